"""Gathers the quarterly report: the judged record with every figure, gap and change beside it.

The same ledger, registers and store give the same report, whenever it is gathered: what depends on
today is counted from the day after the quarter's last one.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import msgspec
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.windows import Window, twelve_months

from jauge_collector import __version__, civil
from jauge_collector.compliance import sensor_hours
from jauge_collector.compliance.attested_set_points import of_rooms
from jauge_collector.compliance.confirmed_ledger import counted
from jauge_collector.compliance.history import with_history
from jauge_collector.compliance.metering import it_equation
from jauge_collector.compliance.quarters import Quarter, span_ms
from jauge_collector.compliance.record import Record, judged_record
from jauge_collector.compliance.sources import BoundarySums, Sources
from jauge_collector.gc_pause import gc_paused
from jauge_collector.kpis import SiteKpis, SiteSums
from jauge_collector.ledger import chain
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.certificates import with_certificates
from jauge_collector.registers.confirmations import confirmed
from jauge_collector.registers.evidence import limits
from jauge_collector.registers.policy import GoalSection
from jauge_collector.registers.set_points import set_points
from jauge_collector.reports import boundary as boundaries
from jauge_collector.reports.amounts import amounts
from jauge_collector.reports.attested_air import attested_hours
from jauge_collector.reports.boundary import Boundary, Span
from jauge_collector.reports.calendar import calendar
from jauge_collector.reports.capacity import capacity
from jauge_collector.reports.changes import changes
from jauge_collector.reports.content import Figures, Report, Sobriety, decode, encode
from jauge_collector.reports.gaps import gaps
from jauge_collector.reports.meters import events, states
from jauge_collector.reports.restated import restated
from jauge_collector.reports.rooms import temperature
from jauge_collector.reports.rules import factors, rules
from jauge_collector.reports.slots import slots
from jauge_collector.reports.sobriety import sobriety, year_of

Progress = Callable[[str, int, int], None]
"""Is told a phase out of `PHASES`, how much of the whole is done, and how much there is."""
PHASES: Final = ("record", "figures", "months", "rooms", "gaps", "editions", "gpus")


def unheard(_phase: str, _done: int, _total: int) -> None:
    """Progress that nobody asked for."""


async def gather(
    sources: Sources, quarter: Quarter, now_ms: int, *, progress: Progress | None = None
) -> Report:
    """The report of a quarter, open. ``sources.ledger`` is the whole one.

    ``now_ms`` is kept as when it was gathered and decides nothing, but how much of a quarter that
    still runs there is to tell of GPUs. Raises RegisterError,
    LedgerError, StoreError, and ConfigurationError where a stored report of an earlier edition or
    quarter is not what was closed.
    """
    tell = _Steps(progress or unheard)
    tell.begin("record")
    policy = limits(sources.registers)
    with counted(sources, policy) as what, gc_paused():
        counting = replace(sources, ledger=what.ledger)
        judged = await judged_record(
            counting, quarter, quarter.window.last + timedelta(days=1), what.unconfirmed
        )
        report = await _gathered(counting, quarter, judged, tell)
    tell.begin("editions")
    judged = with_history(report.record, sources, quarter.window.last + timedelta(days=1))
    report = msgspec.structs.replace(report, record=judged)
    report = restated(report, sources.ledger, sources.site, sources.reports_folder)
    tell.begin("gpus")
    told_of_gpus = await capacity(
        sources, span_ms(quarter.window, sources.site.zone), now_ms, progress=tell.of_gpus
    )
    report = msgspec.structs.replace(report, capacity=told_of_gpus)
    tell.end()
    # As it reads back from its JSON, where a whole number of a float is a float: so that the hash
    # of a stored report is the one of the report that was stored.
    told = msgspec.structs.replace(
        report, software=__version__, gathered_ms=now_ms, chain_head=_chain_head(sources.ledger)
    )
    return decode(encode(told))


async def _gathered(sources: Sources, quarter: Quarter, judged: Record, tell: "_Steps") -> Report:
    """What the ledger that counts says, beside the record."""
    site, ledger = sources.site, sources.ledger
    registers = with_certificates(sources.registers, ledger, site)
    policy, day = limits(registers), quarter.window.last
    year = twelve_months(day)
    span, year_span = (span_ms(window, site.zone) for window in (quarter.window, year))
    of_year = sources.boundary(*year_span, policy.coverage)
    found = boundaries.read(ledger, site, year_span, rows=of_year.rows)
    tell.begin("figures")
    of_quarter = _sums(ledger, found, span, policy)
    both = [
        _figures(sources, window, found, of)
        for window, of in (
            (quarter.window, BoundarySums(found.rows, of_quarter, of_quarter.figures())),
            (year, of_year),
        )
    ]
    tell.begin("months")
    twelve = tuple(
        slots(
            found,
            it_equation(site),
            lambda month: _sums(ledger, found, month, policy),
            policy.coverage,
        )
    )
    tell.begin("rooms")
    hours = await sensor_hours.read(
        sources,
        [sensor for place in registers.rooms for sensor in place.intake],
        year,
        policy.hourly_s * 1000,
    )
    rooms = msgspec.structs.replace(
        temperature(registers, site, hours, policy, quarter=quarter.window, year=year),
        attested_set_points=of_rooms(set_points(ledger, site.name), registers, site, year),
        attested_hours=attested_hours(sources, judged, year),
    )
    tell.begin("gaps")
    longest, left_out = gaps(found)
    return Report(
        record=judged,
        quarter=both[0],
        year=both[1],
        months=twelve,
        temperature=rooms,
        meters=tuple(states(found, span)),
        events=tuple(events(ledger, found, confirmed(ledger, site.name))),
        gaps=longest,
        gaps_left_out=left_out,
        restated=(),
        inventory=changes(registers.servers, judged.assessment.removals, site.name, quarter.window),
        rules=tuple(rules(site, rooms, pending=_pending(sources))),
        factors=tuple(factors(registers, found)),
        calendar=calendar(registers, site.name, policy, day),
        sobriety=_sobriety(sources, found),
    )


def _chain_head(ledger: Ledger) -> str:
    with ledger.transaction(writes=False) as connection:
        return chain.head(connection)


def _figures(sources: Sources, window: Window, found: Boundary, of: BoundarySums) -> Figures:
    """Those of a window, whose totals ``of`` has."""
    site = sources.site
    span = span_ms(window, site.zone)
    without = None
    if _is_signed(of.kpis):
        without = sources.without_attested(*span, limits(sources.registers).coverage)
    return Figures(
        first=window.first,
        last=window.last,
        kpis=of.kpis,
        without_attested=without,
        amounts=amounts(found, span, of.sums),
    )


def _sums(ledger: Ledger, found: Boundary, span: Span, policy: Policy) -> SiteSums:
    """Totals of a span within the boundary's, out of the rows that are read already."""
    site = found.site
    return SiteSums(ledger, site, civil.period(*span, site.zone), policy.coverage, rows=found.rows)


def _is_signed(kpis: SiteKpis) -> bool:
    """Whether a signed amount takes part in any indicator."""
    several = (kpis.pue, kpis.wue, kpis.cue, kpis.ref, kpis.erf, *kpis.pue_elsewhere)
    zones = (entry.kpi for entry in kpis.ppue)
    return any(kpi.attested_share for kpi in (*several, *zones))


def _sobriety(sources: Sources, now: Boundary) -> Sobriety | None:
    number = _goal(sources).sobriety_base_year
    if number is None:
        return None
    base = year_of(number)
    span = span_ms(base, sources.site.zone)
    return sobriety(boundaries.read(sources.ledger, sources.site, span), now, base)


def _goal(sources: Sources) -> GoalSection:
    told = sources.registers.policy
    return GoalSection() if told is None else told.goal


def _pending(sources: Sources) -> bool:
    told = sources.registers.policy
    return told is not None and told.pending_texts


class _Steps:
    """Tells which phase begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, phase: str) -> None:
        """A phase of `PHASES` begins."""
        self._progress(phase, PHASES.index(phase), len(PHASES))

    def of_gpus(self, done: int, total: int) -> None:
        """So many nodes of the phase ``gpus`` were read: without hours kept they take minutes."""
        before = PHASES.index("gpus")
        self._progress("gpus", before * total + done, len(PHASES) * total)

    def end(self) -> None:
        """All is done."""
        self._progress(PHASES[-1], len(PHASES), len(PHASES))
