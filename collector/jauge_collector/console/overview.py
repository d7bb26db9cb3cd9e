"""The overview of a site: indicators, charts, and what its meters and agents are doing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from jauge_models.boundaries import Symbol
from jauge_models.effectiveness import Kpi, PeriodKind

from jauge_collector import civil
from jauge_collector.console.charts import Chart
from jauge_collector.console.figures import Figures, quarter_so_far, twelve_months
from jauge_collector.console.rendering import Cell, Column, Table, Visit
from jauge_collector.console.series import (
    Frame,
    Named,
    amount_chart,
    hour_ticks,
    measured,
    month_ticks,
    power_chart,
)
from jauge_collector.console.text import Language
from jauge_collector.console.views import AgentView, MeterView, Presence
from jauge_collector.kpis import SiteKpis, Slot, Step
from jauge_collector.sites import Site

INDICATORS: Final = ("pue", "wue", "cue", "ref", "erf")
LARGE: Final = ("pue", "wue")

_DAY_MS: Final = 86_400_000
_STALE_MS: Final = 15 * 60_000
_ENOUGH: Final = 0.99

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """An indicator as a page shows it; ``value`` None where it is withheld, with the reason."""

    over: str
    label: str
    value: str | None
    unit: str
    reason: str
    coverage: str
    facts: Sequence[tuple[str, str]]
    href: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One indicator over twelve months and over the quarter so far."""

    id: str
    name: str
    year: Shown
    quarter: Shown


async def context(visit: Visit, site: Site, figures: Figures) -> dict[str, Any]:
    """What the template of the overview needs. Raises LedgerError and StoreError."""
    year = twelve_months(site, visit.now_ms)
    quarter = quarter_so_far(site, visit.now_ms)
    of_year, of_quarter, charts, meters = await asyncio.gather(
        figures.twelve_months(site.name),
        figures.this_quarter(site.name),
        _charts(visit, site, figures, year),
        figures.meters(site.name),
    )
    tiles = [
        Tile(
            name,
            visit.language(f"name_{name}"),
            shown(visit, site, name, of_year, year, over=visit.language("twelve_months")),
            shown(visit, site, name, of_quarter, quarter, over=visit.language("quarter")),
        )
        for name in INDICATORS
    ]
    return {
        "site": site,
        "tiles": [tile for tile in tiles if tile.id in LARGE],
        "smalls": [tile for tile in tiles if tile.id not in LARGE],
        "charts": charts,
        "meters": _meters(visit, site, meters),
        "agents": _agents(visit, site, figures.agents(site.name)),
        "moment": visit.language.moment(visit.now_ms, site.zone, seconds=True),
    }


def shown(visit: Visit, site: Site, name: str, kpis: SiteKpis, span: Span, *, over: str) -> Shown:
    """One indicator of a set, worded."""
    language = visit.language
    kpi: Kpi = getattr(kpis, name)
    facts: list[tuple[str, str]] = []
    if kpi.category:
        facts.append((language("category"), kpi.category))
    if kpi.numerator is not None:
        facts.append((language("coverage"), language.percent(kpi.coverage)))
    if kpi.value is not None:
        if kpi.uncertainty is not None:
            facts.append((language("uncertainty"), f"± {language.percent(kpi.uncertainty)}"))
        facts.append((language("grade"), language(f"grade_{kpi.grade}")))
        facts.append((language("status"), language(f"status_{kpi.status}")))
        if kpi.attested_share > 0:
            facts.append((language("attested"), language.percent(kpi.attested_share)))
    return Shown(
        over=over,
        label=language.label(kpi.label),
        value=None if kpi.value is None else language.number(kpi.value, _decimals(name, kpi)),
        unit=_UNITS.get(kpi.unit, kpi.unit),
        reason=language.reason(kpi.reason or ""),
        coverage=language.percent(kpi.coverage),
        facts=facts,
        href=visit.link(
            f"/{site.name}/kpi/{name}",
            **{
                key: civil.local(at, site.zone).replace(tzinfo=None).isoformat(timespec="minutes")
                for key, at in zip(("from", "to"), span, strict=True)
            },
        ),
    )


_UNITS: Final = {"1": "", "m3/MWh": "L/kWh", "kgCO2e/kWh": "kgCO₂e/kWh"}


def _decimals(name: str, kpi: Kpi) -> int:
    return 2 if name == "pue" and kpi.period_kind is not PeriodKind.LONGER else 3


# --- charts


@dataclass(frozen=True, slots=True)
class Group:
    """Charts under one heading."""

    name: str
    charts: Sequence[Chart]


async def _charts(visit: Visit, site: Site, figures: Figures, year: Span) -> list[Group]:
    day_end = visit.now_ms - visit.now_ms % 900_000
    day = (day_end - _DAY_MS, day_end)
    language = visit.language
    power_day, power_year, water_day, water_year = await asyncio.gather(
        _power(visit, site, figures, "power_day", day),
        _power(visit, site, figures, "power_year", year),
        _water(visit, site, figures, "water_day", day),
        _water(visit, site, figures, "water_year", year),
    )
    return [
        Group(language("commodity_electricity").capitalize(), [power_day, power_year]),
        Group(language("commodity_water").capitalize(), [water_day, water_year]),
    ]


_TOTALS: Final[tuple[tuple[Symbol, Literal["total", "it"]], ...]] = (
    (Symbol.E_DC, "total"),
    (Symbol.E_IT, "it"),
)


async def _power(visit: Visit, site: Site, figures: Figures, id_: str, span: Span) -> Chart:
    language = visit.language
    of_day = id_ == "power_day"
    fine, coarse = (Step.QUARTER_HOUR, Step.HOUR) if of_day else (Step.DAY, Step.MONTH)
    known = [(symbol, style) for symbol, style in _TOTALS if site.equation(symbol)]
    profiles = await asyncio.gather(
        *(figures.profile(site.name, symbol, *span, fine) for symbol, _ in known),
        *(figures.profile(site.name, symbol, *span, coarse) for symbol, _ in known),
    )
    totals = [
        Named(language(f"curve_{style}"), style, slots)
        for (_, style), slots in zip(known, profiles, strict=False)
    ]
    rows = [
        (_slot_name(slots[0], site, language, coarse), slots)
        for slots in zip(*profiles[len(known) :], strict=True)
    ]
    frame = _frame(visit, site, id_, span, _latest(totals, site, language) if of_day else "")
    return power_chart(frame, totals, rows, language)


async def _water(visit: Visit, site: Site, figures: Figures, id_: str, span: Span) -> Chart:
    language = visit.language
    step = Step.HOUR if id_ == "water_day" else Step.MONTH
    slots = await figures.profile(site.name, Symbol.W_IN, *span, step)
    amounts = [slot.amount for slot in slots if measured(slot)]
    total = sum(amount for amount in amounts if amount is not None)
    whole = bool(slots) and len(amounts) == len(slots)
    headline = language("total_of", value=language.quantity(total, "m3")) if whole else ""
    names = [_slot_name(slot, site, language, step) for slot in slots]
    frame = _frame(visit, site, id_, span, headline or _no_equation(site, language))
    return amount_chart(
        frame, Named(language("curve_water"), "water", slots), names, "m3", language
    )


def _no_equation(site: Site, language: Language) -> str:
    return "" if site.equation(Symbol.W_IN) else language("no_equation")


def _frame(visit: Visit, site: Site, id_: str, span: Span, headline: str) -> Frame:
    language = visit.language
    ticks = (
        hour_ticks(*span, site.zone)
        if id_.endswith("_day")
        else month_ticks(*span, site.zone, language)
    )
    return Frame(
        id_.replace("_", "-"),
        language(id_),
        language(f"{id_}_text"),
        *span,
        ticks,
        headline or "\u00a0",
    )


def _latest(totals: Sequence[Named], site: Site, language: Language) -> str:
    words: list[str] = []
    for total in totals:
        for slot in reversed(total.slots):
            if measured(slot) and slot.rate is not None:
                text = language(
                    "latest_at",
                    value=language.quantity(slot.rate, "W"),
                    moment=language.clock(slot.end_ms, site.zone),
                )
                words.append(f"{total.name} {text}")
                break
    return " · ".join(words)


def _slot_name(slot: Slot, site: Site, language: Language, step: Step) -> str:
    when = civil.local(slot.start_ms, site.zone)
    if step is Step.MONTH:
        return f"{language.month(when.month)} {when.year}"
    if step is Step.DAY:
        return language.day(when.date())
    return f"{language.clock(slot.start_ms, site.zone)}–{language.clock(slot.end_ms, site.zone)}"


# --- meters and agents


def meter_state(visit: Visit, site: Site, meter: MeterView) -> Cell:
    """Whether a meter counts, in words and a mark."""
    language = visit.language
    reading = meter.last_reading
    if meter.suspended:
        return Cell(language("suspended"), chip="bad")
    if meter.feeds and (reading is None or visit.now_ms - reading.time_ms > _STALE_MS):
        return Cell(language("silent"), chip="bad")
    if meter.counts_from_start:
        return Cell(language("counts"), chip="good")
    if meter.counts_from_ms is None:
        return Cell(language("not_commissioned"), chip="warn")
    day = language.day(civil.day(meter.counts_from_ms, site.zone))
    return Cell(language("counts_since", day=day), chip="good")


def _meters(visit: Visit, site: Site, meters: Sequence[MeterView]) -> Table:
    language = visit.language
    rows: list[list[Cell]] = []
    for meter in meters:
        reading = meter.last_reading
        basis = Cell(language("none_yet"))
        if meter.basis and meter.grade:
            basis = Cell(language(f"basis_{meter.basis}"), language(f"grade_{meter.grade}"))
        rows.append(
            [
                Cell(
                    meter.name,
                    meter.location,
                    visit.link(f"/{site.name}/meter/{meter.meter}"),
                ),
                meter_state(visit, site, meter),
                Cell(language(f"commodity_{meter.commodity}")),
                Cell(language("never_read"))
                if reading is None
                else Cell(
                    language.quantity(reading.value, reading.unit),
                    language.age(visit.now_ms - reading.time_ms),
                ),
                basis,
                Cell(language.percent(meter.coverage_day)),
                Cell(language.percent(meter.coverage_month)),
            ]
        )
    rows.sort(key=lambda row: _ORDER[row[1].chip])
    return Table(
        language("meters"),
        [
            Column(language("meter")),
            Column(language("state")),
            Column(language("commodity")),
            Column(language("last_reading"), number=True),
            Column(language("basis")),
            Column(language("coverage_day"), number=True),
            Column(language("coverage_month"), number=True),
        ],
        rows,
    )


_ORDER: Final = {"bad": 0, "warn": 1, "good": 2}
_CHIP_OF: Final = {
    Presence.ONLINE: "good",
    Presence.SILENT: "warn",
    Presence.OFFLINE: "bad",
    Presence.QUARANTINED: "bad",
}


def presence_cell(language: Language, agent: AgentView) -> Cell:
    """Whether an agent is heard, in words and a mark."""
    return Cell(language(f"presence_{agent.presence}"), chip=_CHIP_OF[agent.presence])


def skew_text(language: Language, agent: AgentView) -> str:
    """An agent's clock against the collector's."""
    if agent.skew_ms is None:
        return language("unknown")
    return f"{language.number(agent.skew_ms / 1000, 1)}\u00a0{language('unit_second')}"


def synchronisation(language: Language, agent: AgentView) -> str:
    """What an agent says of its own clock."""
    if agent.synchronised is None:
        return ""
    return language("synchronised" if agent.synchronised else "not_synchronised")


def _agents(visit: Visit, site: Site, agents: Sequence[AgentView]) -> Table:
    language = visit.language
    rows = [
        [
            Cell(agent.agent, href=visit.link(f"/{site.name}/agent/{agent.agent}")),
            presence_cell(language, agent),
            Cell(
                language("unknown")
                if agent.last_seen_ms is None
                else language.age(visit.now_ms - agent.last_seen_ms)
            ),
            Cell(skew_text(language, agent), synchronisation(language, agent)),
            Cell(language("unknown") if agent.spooled is None else language.number(agent.spooled)),
            Cell(language.number(agent.resources)),
            Cell(agent.version or language("unknown")),
        ]
        for agent in agents
    ]
    rows.sort(key=lambda row: _ORDER[row[1].chip])
    return Table(
        language("agents"),
        [
            Column(language("agent")),
            Column(language("presence")),
            Column(language("last_seen"), number=True),
            Column(language("clock_skew"), number=True),
            Column(language("spooled"), number=True),
            Column(language("resources"), number=True),
            Column(language("version")),
        ],
        rows,
    )


def month_starts(span: Span, site: Site) -> list[Span]:
    """Civil months of a span, clipped to it."""
    found: list[Span] = []
    at = span[0]
    while at < span[1]:
        month = civil.first_of_month(civil.day(at, site.zone), 1)
        following = min(civil.midnight_ms(month, site.zone), span[1])
        found.append((at, following))
        at = following
    return found


def day_span(site: Site, day_ms: int) -> Span:
    """The civil day that holds a moment."""
    day = civil.day(day_ms, site.zone)
    return civil.midnight_ms(day, site.zone), civil.midnight_ms(day + timedelta(days=1), site.zone)
