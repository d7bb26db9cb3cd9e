"""Results and shares: where each server stands, and what share of whose servers does.

The headline is *demonstrated*; *declared* stands beside it and is never added. Cloud services have
a line of their own and are in no share.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from jauge_models.compliance.criteria import CORE, OWN, Finding, concluded, required_of_site
from jauge_models.compliance.denominator import (
    Denominator,
    Inventory,
    Machine,
    Removal,
    denominator,
)
from jauge_models.compliance.evidence import Attestation, Sighting, SiteEvidence
from jauge_models.compliance.policy import Act, Policy
from jauge_models.compliance.server_criteria import (
    server_criteria,
    status_of_site,
    unlisted_criteria,
)
from jauge_models.compliance.site_criteria import site_criteria
from jauge_models.compliance.status import CriterionResult, Result, Status, reason, result_of
from jauge_models.compliance.windows import Window
from jauge_models.effectiveness import Kpi
from jauge_models.rules import Indicator


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Where one machine stands. ``own`` is its result on its own criteria, without its site's."""

    machine: Machine
    criteria: tuple[CriterionResult, ...]
    result: Result
    own: Result
    simulated: bool = False


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud service that somebody uses, with what its provider attests."""

    service: str
    owner: str = ""
    used_by: str = ""
    attestation: Attestation | None = None
    energy_kwh: float | None = None


class CloudLine(msgspec.Struct, frozen=True):
    """A cloud service and where it stands: declared at best."""

    cloud: Cloud
    result: Result


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """A quarter's record, by one policy."""

    as_of: date
    policy_version: str
    policy_digest: str
    sites: Mapping[str, tuple[CriterionResult, ...]]
    servers: tuple[Outcome, ...]
    removals: tuple[Removal, ...] = ()
    left_out: tuple[Machine, ...] = ()
    clouds: tuple[CloudLine, ...] = ()


def assess(
    sites: Iterable[SiteEvidence],
    inventory: Inventory,
    sightings: Iterable[Sighting],
    quarter: Window,
    policy: Policy,
    *,
    clouds: Iterable[Cloud] = (),
) -> Assessment:
    """Evaluate a quarter on its last day. Raises ValueError where two sites have one name."""
    by_name: dict[str, SiteEvidence] = {}
    for site in sites:
        if site.site in by_name:
            raise ValueError(f"site {site.site!r} is given twice")
        by_name[site.site] = site
    of_sites = {name: site_criteria(site, policy, quarter.last) for name, site in by_name.items()}
    counted: Denominator = denominator(inventory, sightings, quarter, policy)
    return Assessment(
        as_of=quarter.last,
        policy_version=policy.version,
        policy_digest=policy.digest(),
        sites=of_sites,
        servers=tuple(
            _outcome(machine, by_name.get(machine.site), of_sites, policy, quarter.last)
            for machine in counted.machines
        ),
        removals=counted.removals,
        left_out=counted.left_out,
        clouds=tuple(CloudLine(cloud, _of_cloud(cloud, policy)) for cloud in clouds),
    )


def _outcome(
    machine: Machine,
    site: SiteEvidence | None,
    of_sites: Mapping[str, tuple[CriterionResult, ...]],
    policy: Policy,
    as_of: date,
) -> Outcome:
    of_site = of_sites.get(machine.site, ())
    if machine.server is None:
        criteria = unlisted_criteria(machine.seen_by, of_site, machine.site, policy)
    else:
        criteria = server_criteria(machine.server, site, of_site, policy, as_of)
        if machine.twice:
            why = reason("inventory.twice", other=machine.twice[0])
            first = concluded("V1", Finding(Status.NOT_MET, why), policy)
            criteria = (first, *criteria[1:])
    statuses = {each.criterion: each.status for each in criteria}
    return Outcome(
        machine=machine,
        criteria=criteria,
        result=result_of(statuses[criterion] for criterion in CORE),
        own=result_of(statuses[criterion] for criterion in OWN),
        simulated=site is not None and site.simulated,
    )


def _of_cloud(cloud: Cloud, policy: Policy) -> Result:
    signed = cloud.attestation
    if signed is not None and policy.is_confirmed(
        Act.ATTESTATION, signed.signatory, signed.confirmed_by
    ):
        return Result.DECLARED
    return Result.NOT_DEMONSTRATED


Lift = Callable[[str, CriterionResult], Status]
"""What a criterion of a subject (a site's name or a machine's id) would be."""


def result_if(outcome: Outcome, assessment: Assessment, policy: Policy, lift: Lift) -> Result:
    """A machine's result if criteria of it and of its site were otherwise."""
    machine = outcome.machine
    of_machine = {each.criterion: each for each in outcome.criteria}
    statuses = [lift(machine.id, of_machine[criterion]) for criterion in OWN]
    hosted = of_machine["V2"].status
    of_site = {each.criterion: each for each in assessment.sites.get(machine.site, ())}
    if of_site:
        derived = status_of_site(
            lift(machine.site, of_site[criterion]) for criterion in required_of_site(policy)
        )
        if derived is not Status.NOT_MEASURED:
            hosted = derived
    return result_of([*statuses, hosted])


class Proportions(msgspec.Struct, frozen=True):
    """Amounts by result, with how many machines have an amount that nobody knows."""

    amounts: Mapping[Result, float]
    unknown: int = 0

    @property
    def total(self) -> float:
        """All that is known."""
        return sum(self.amounts.values())

    def share(self, result: Result = Result.DEMONSTRATED) -> float | None:
        """A result's share of what is known, 0 to 1; None of nothing.

        Of what is demonstrated the energy is known: its share is a highest one while amounts of
        other machines are unknown.
        """
        return min(1.0, self.amounts.get(result, 0.0) / self.total) if self.total else None


class Blocking(msgspec.Struct, frozen=True):
    """A site criterion that V2 asks for and that is not met, with how many machines it keeps."""

    site: str
    criterion: str
    status: Status
    machines: int


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of some machines.

    A rack stands where the worst of its machines does. ``own`` is the count on server criteria
    alone (V1, V3 to V5): it is printed with the headline, and so is what blocks.
    """

    servers: Proportions
    kwh: Proportions
    racks: Proportions
    own: Proportions
    blocking: tuple[Blocking, ...]
    simulated: int = 0


def shares(outcomes: Sequence[Outcome], assessment: Assessment, policy: Policy) -> Shares:
    """The shares of machines of an assessment."""
    racks: dict[tuple[str, str], Result] = {}
    kwh = dict.fromkeys(Result, 0.0)
    unknown_kwh = unknown_rack = 0
    for outcome in outcomes:
        machine = outcome.machine
        if machine.energy_kwh is None:
            unknown_kwh += 1
        else:
            kwh[outcome.result] += machine.energy_kwh
        if not machine.rack:
            unknown_rack += 1
            continue
        place = machine.site, machine.rack
        known = racks.get(place, outcome.result)
        racks[place] = max(known, outcome.result, key=lambda result: result.rank)
    return Shares(
        servers=Proportions(_counted(outcome.result for outcome in outcomes)),
        kwh=Proportions(kwh, unknown_kwh),
        racks=Proportions(_counted(racks.values()), unknown_rack),
        own=Proportions(_counted(outcome.own for outcome in outcomes)),
        blocking=_blocking(outcomes, assessment, policy),
        simulated=sum(outcome.simulated for outcome in outcomes),
    )


def _counted(results: Iterable[Result]) -> dict[Result, float]:
    counts = dict.fromkeys(Result, 0.0)
    for result in results:
        counts[result] += 1
    return counts


def _blocking(
    outcomes: Sequence[Outcome], assessment: Assessment, policy: Policy
) -> tuple[Blocking, ...]:
    hosted: dict[str, int] = {}
    for outcome in outcomes:
        hosted[outcome.machine.site] = hosted.get(outcome.machine.site, 0) + 1
    asked = required_of_site(policy)
    return tuple(
        Blocking(site, each.criterion, each.status, machines)
        for site, machines in sorted(hosted.items())
        for each in assessment.sites.get(site, ())
        if each.criterion in asked and not each.status.passes
    )


def per_body(assessment: Assessment, policy: Policy) -> dict[str, Shares]:
    """One share per body that owns machines; "" holds those of nobody known."""
    return _grouped(assessment, policy, lambda machine: machine.owner)


def per_tenant(assessment: Assessment, policy: Policy) -> dict[str, Shares]:
    """One share per tenant that uses machines; "" holds those of nobody known."""
    return _grouped(assessment, policy, lambda machine: machine.used_by)


def _grouped(
    assessment: Assessment, policy: Policy, of: Callable[[Machine], str]
) -> dict[str, Shares]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in assessment.servers:
        groups.setdefault(of(outcome.machine), []).append(outcome)
    return {name: shares(groups[name], assessment, policy) for name in sorted(groups)}


class Attributed(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's part of a site's energy (kWh) or water (m3): its IT energy × the site's ratio.

    It is called attributed. It is never a PUE or WUE of the tenant.
    """

    amount: float
    unit: str
    it_kwh: float
    operators: Kpi


_UNITS: Final = {Indicator.PUE: ("kWh", 1.0), Indicator.WUE: ("m3", 1e-3)}


def attributed(indicator: Indicator, it_kwh: float, operators: Kpi) -> Attributed | None:
    """A tenant's attributed figure; None where the operator's is not known.

    ``operators`` is the operator's figure of that indicator. Raises KeyError for any but PUE and
    WUE.
    """
    unit, scale = _UNITS[indicator]
    if operators.value is None:
        return None
    amount = it_kwh * scale * operators.value
    return Attributed(amount=amount, unit=unit, it_kwh=it_kwh, operators=operators)
