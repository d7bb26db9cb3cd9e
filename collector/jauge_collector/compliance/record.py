"""The compliance record of one site and quarter, gathered and judged; what every reader shows."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import msgspec
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import Action, Intake, ServerEvidence, SiteEvidence, Use
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import Envelope
from jauge_models.compliance.results import (
    Assessment,
    Shares,
    assess,
    per_body,
    per_tenant,
    shares,
)
from jauge_models.compliance.status import Result
from jauge_models.compliance.trajectory import Trajectory, trajectory
from jauge_models.compliance.windows import Window, since, twelve_months
from jauge_models.effectiveness import Kpi

from jauge_collector.compliance import attested_air, sensor_hours
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.attested_set_points import evidence as set_points_of_rooms
from jauge_collector.compliance.attested_set_points import of_rooms
from jauge_collector.compliance.confirmed_ledger import counted
from jauge_collector.compliance.electricity import MachineEnergy
from jauge_collector.compliance.humidity import humidity_of_rows
from jauge_collector.compliance.idle import uses_of_servers
from jauge_collector.compliance.invoices import invoices
from jauge_collector.compliance.issued import reports
from jauge_collector.compliance.logging_interval import slowest_interval_s
from jauge_collector.compliance.meter_history import meter_register
from jauge_collector.compliance.metering import metered_site
from jauge_collector.compliance.quarters import Quarter, span_ms
from jauge_collector.compliance.row_intakes import intakes_of_rows
from jauge_collector.compliance.sightings import sightings
from jauge_collector.compliance.sources import Sources
from jauge_collector.gc_pause import gc_paused
from jauge_collector.registers import policy as policy_file
from jauge_collector.registers.certificates import with_certificates
from jauge_collector.registers.evidence import completed, limits
from jauge_collector.registers.files import Registers
from jauge_collector.registers.intake_hours import TEMPERATURE, IntakeHours, with_withdrawn
from jauge_collector.registers.listing import listing
from jauge_collector.registers.notes import Note
from jauge_collector.registers.servers import Server
from jauge_collector.registers.set_points import set_points
from jauge_collector.sites import Site

_USUAL: Final = Policy()


class Share(msgspec.Struct, frozen=True):
    """One result: how many machines, kWh and racks, and their shares (0 to 1; None of nothing).

    ``kwh`` is None where there are machines and the energy of none is known.
    """

    servers: int
    servers_share: float | None
    kwh: float | None
    kwh_share: float | None
    racks: int
    racks_share: float | None


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """The figures printed first; ``own`` is the demonstrated share on server criteria alone."""

    total: int
    results: dict[Result, Share]
    own_demonstrated: int
    own_share: float | None
    kwh_unknown: int
    """Machines whose energy nobody knows: shares by kWh leave them out."""
    racks_unknown: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A site's record of a quarter, with all that qualifies it."""

    site: str
    title: str
    simulated: bool
    note: str
    quarter: str
    start: date
    as_of: date
    running: bool
    policy_version: str
    policy_hash: str | None
    """Of the policy's file, as people approve it; None where the site names none."""
    policy_approved: bool
    goal_reading: str
    goal_others: tuple[str, ...] = ()
    """Other readings of the goal, which the first page names."""
    goal_validated_role: str = ""
    goal_validated_on: date | None = None
    edition: str
    headline: Headline
    pue: tuple[Kpi, ...]
    wue: tuple[Kpi, ...]
    shares: Shares
    bodies: dict[str, Shares]
    tenants: dict[str, Shares]
    assessment: Assessment
    trajectory: Trajectory
    unconfirmed: int = 0
    """Attested values in the ledger that count for nothing without a second person."""
    registers: dict[str, str]
    """SHA-256 of each register as it was read."""
    notes: tuple[Note, ...]
    """What of the registers reads well and should be looked at."""
    actions: tuple[Action, ...] = ()
    """The site's own dated remediation actions; a server's are with its machine."""
    pue_objective: float = _USUAL.pue_objective
    """The policy's, shown and never required: reached below it."""
    wue_objective: float = _USUAL.wue_objective
    """The same of water, m3/MWh: reached at it."""

    @property
    def is_listed(self) -> bool:
        """Whether the inventory lists any machine of the site; those seen beside it count too."""
        return any(each.machine.server is not None for each in self.assessment.servers)

    @property
    def objectives_of_rgesn(self) -> bool:
        """Whether these objectives are RGESN's own, which the policy has where it says nothing."""
        usual = _USUAL.pue_objective, _USUAL.wue_objective
        return (self.pue_objective, self.wue_objective) == usual


async def record(sources: Sources, quarter: Quarter, today: date) -> Record:
    """Gather the evidence and judge it. ``sources.ledger`` is the whole one.

    Where the policy asks for a second person, what one person alone signed for counts for nothing.
    Raises RegisterError, LedgerError and StoreError, and ConfigurationError where an archive that
    stands in for the store is not what was kept.
    """
    with counted(sources, limits(sources.registers)) as what, gc_paused():
        counting = replace(sources, ledger=what.ledger)
        return await judged_record(counting, quarter, today, what.unconfirmed)


async def judged_record(
    sources: Sources, quarter: Quarter, today: date, unconfirmed: int
) -> Record:
    """The same where ``sources.ledger`` is already the one that `counted` gives.

    ``unconfirmed`` is how many signed values it leaves out.
    """
    site = sources.site
    registers = with_certificates(sources.registers, sources.ledger, site)
    sources = replace(sources, registers=registers)
    signed = with_withdrawn(sources.ledger, site)
    policy = limits(registers)
    day = quarter.window.last
    energy = MachineEnergy(sources.ledger, site)
    listed = listing([registers], day)
    window = twelve_months(day)
    hours = await sensor_hours.read(
        sources,
        [sensor for place in registers.rooms for sensor in place.intake],
        window,
        policy.hourly_s * 1000,
    )
    evidence = await _site_evidence(sources, quarter.window, window, hours, policy, signed=signed)
    uses = await uses_of_servers(sources, quarter.window, policy.idle_days)
    warm = attested_air.by_place(signed, TEMPERATURE)
    gathered = _Servers(site, registers, energy, quarter.window, policy, uses=uses, signed=warm)
    inventory = Inventory(
        tuple(gathered.filled(server, hours) for server in listed.inventory.servers),
        listed.inventory.chassis,
    )
    assessment = _of_site(
        assess(
            [evidence],
            inventory,
            await sightings(sources, quarter.window, inventory, energy),
            quarter.window,
            policy,
            clouds=listed.clouds,
        ),
        site.name,
        inventory,
    )
    found = shares(assessment.servers, assessment, policy)
    told = registers.policy
    goal = told.goal if told else policy_file.GoalSection()
    return Record(
        site=site.name,
        title=site.title,
        simulated=site.simulated,
        note=site.note,
        quarter=quarter.name,
        start=quarter.window.first,
        as_of=day,
        running=quarter.running,
        policy_version=policy.version,
        policy_hash=None if told is None else policy_file.policy_hash(told),
        policy_approved=told is not None and policy_file.is_approved(told),
        goal_reading=goal.reading,
        goal_others=goal.others,
        goal_validated_role=goal.validated_role,
        goal_validated_on=goal.validated_on,
        edition=told.goal.edition if told else "",
        headline=_headline(found, assessment),
        pue=evidence.pue,
        wue=evidence.wue,
        shares=found,
        bodies=per_body(assessment, policy),
        tenants=per_tenant(assessment, policy),
        assessment=assessment,
        trajectory=trajectory(
            assessment, (), policy, today, milestones=policy_file.milestones(told)
        ),
        unconfirmed=unconfirmed,
        registers=dict(registers.digests),
        notes=registers.notes,
        actions=evidence.actions,
        pue_objective=policy.pue_objective,
        wue_objective=policy.wue_objective,
    )


async def _site_evidence(
    sources: Sources,
    quarter: Window,
    window: Window,
    hours: Mapping[str, air.Hours],
    policy: Policy,
    *,
    signed: Sequence[IntakeHours],
) -> SiteEvidence:
    """All that is on file about the site at the end of a quarter, and of twelve months."""
    site, registers, ledger = sources.site, sources.registers, sources.ledger
    day = quarter.last
    evidence = metered_site(
        completed(SiteEvidence(site=site.name), registers, day), sources, window, policy.coverage
    )
    end_ms = span_ms(quarter, site.zone)[1]
    return msgspec.structs.replace(
        evidence,
        simulated=site.simulated,
        rows=intakes_of_rows(registers, site, hours, window, policy, signed=signed),
        attested_set_points=set_points_of_rooms(
            of_rooms(set_points(ledger, site.name), registers, site, window)
        ),
        humidity=await humidity_of_rows(sources, window, hours, policy, signed=signed),
        slowest_interval_s=await slowest_interval_s(sources, quarter),
        reports=reports(ledger, site, day),
        meters=meter_register(ledger, site, end_ms, sources.kept_years),
        invoices=invoices(ledger, site, window, policy),
    )


class _Servers:
    """What ledger and store know of servers that the inventory lists."""

    def __init__(
        self,
        site: Site,
        registers: Registers,
        energy: MachineEnergy,
        quarter: Window,
        policy: Policy,
        *,
        uses: Mapping[str, Use],
        signed: attested_air.ByPlace,
    ) -> None:
        self._uses = uses
        self._signed = signed
        self._site = site
        self._registers = registers
        self._energy = energy
        self._quarter = quarter
        self._policy = policy
        self._intakes: dict[Hashable, Intake] = {}
        self._rows: defaultdict[str, list[Server]] = defaultdict(list)
        for row in registers.servers:
            self._rows[row.id].append(row)

    def filled(self, server: ServerEvidence, hours: Mapping[str, air.Hours]) -> ServerEvidence:
        """A server of this site with its electricity, energy and intake; others as they are."""
        day = self._quarter.last
        if server.site != self._site.name or not server.is_valid(day):
            return server
        rows = self._rows[server.id]
        feeds = [feed for row in rows if row.holds(day) for feed in row.feeds]
        window = since(server.valid_from, day)
        declared = server.envelope
        envelope = None
        if declared is not None:
            envelope = declared.own or self._policy.envelope(declared.name)
        taken = None
        if envelope is not None and not envelope.liquid:
            stays = air.stays_of(rows, self._registers, self._site.name)
            told = attested_air.of_server(self._signed, rows, self._site.zone)
            taken = self._taken(server.id, (tuple(stays), told), hours, envelope, window)
        known = self._energy.known(feeds, window, self._quarter)
        return msgspec.structs.replace(
            server,
            intake=taken,
            electricity=known.electricity,
            energy_kwh=known.energy_kwh,
            use=self._uses.get(server.id),
        )

    def _taken(
        self,
        name: str,
        known: tuple[tuple[air.Stay, ...], attested_air.Levels],
        hours: Mapping[str, air.Hours],
        envelope: Envelope,
        window: Window,
    ) -> Intake | None:
        """The intake of a place, worked out once for all servers that share it.

        ``known`` is where they stood, and what is attested of it.
        """
        stays, told = known
        if not stays and not any(any(level) for level in told):
            return None
        key = (known, envelope.name, envelope.allowable, window)
        if key not in self._intakes:
            zone = self._site.zone
            self._intakes[key] = attested_air.with_attested(
                air.intake(name, stays, hours, envelope, window=window, zone=zone),
                told,
                attested_air.Rule(window, zone, envelope.name, self._policy.intake_measured),
                attested_air.measured_by(stays, hours, zone),
            )
        return msgspec.structs.replace(self._intakes[key], place=name)


def _of_site(assessment: Assessment, site: str, inventory: Inventory) -> Assessment:
    """What stands at one site: an inventory may list several sites, and each judges its own."""
    here = {server.id for server in inventory.servers if server.site == site}
    return msgspec.structs.replace(
        assessment,
        servers=tuple(each for each in assessment.servers if each.machine.site == site),
        removals=tuple(each for each in assessment.removals if each.server in here),
        left_out=tuple(each for each in assessment.left_out if each.site == site),
    )


def _headline(found: Shares, assessment: Assessment) -> Headline:
    dark = {outcome.result for outcome in assessment.servers} - {
        outcome.result for outcome in assessment.servers if outcome.machine.energy_kwh is not None
    }
    own = found.own.amounts.get(Result.DEMONSTRATED, 0.0)
    return Headline(
        total=len(assessment.servers),
        results={
            result: Share(
                servers=int(found.servers.amounts.get(result, 0)),
                servers_share=found.servers.share(result),
                kwh=None if result in dark else found.kwh.amounts.get(result, 0.0),
                kwh_share=found.kwh.share(result),
                racks=int(found.racks.amounts.get(result, 0)),
                racks_share=found.racks.share(result),
            )
            for result in Result
        },
        own_demonstrated=int(own),
        own_share=found.own.share(),
        kwh_unknown=found.kwh.unknown,
        racks_unknown=found.racks.unknown,
    )
