"""The overview of a site: indicators, charts, and what its meters and agents are doing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from jauge_models.boundaries import Symbol
from jauge_models.effectiveness import Kpi, PeriodKind

from jauge_collector import civil
from jauge_collector.console.charts import Chart
from jauge_collector.console.figures import quarter_so_far, twelve_months
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.series import (
    Frame,
    Named,
    amount_chart,
    gaps,
    gathered,
    hour_ticks,
    measured,
    month_ticks,
    power_chart,
)
from jauge_collector.console.text import Language
from jauge_collector.console.views import AgentView, MeterView, Presence, ReadingView
from jauge_collector.kpis import SiteKpis, Slot, Step
from jauge_collector.sites import Site
from jauge_collector.skew import SHOWN_MS, WRONG_MS

INDICATORS: Final = ("pue", "wue", "cue", "ref", "erf")
LARGE: Final = ("pue", "wue")

MOST_ROWS: Final = 50
"""Of meters and of agents, the worst first: what keeps the page below 150 kB."""
_DAY_MS: Final = 86_400_000
_STALE_MS: Final = 15 * 60_000

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
    facts: Sequence[Fact]
    href: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One indicator over twelve months and over the quarter so far."""

    id: str
    name: str
    year: Shown
    quarter: Shown


async def context(visit: Visit, site: Site, figures: ScopedFigures) -> dict[str, Any]:
    """What the template of the overview needs. Raises LedgerError and StoreError."""
    year = twelve_months(site, visit.now_ms)
    quarter = quarter_so_far(site, visit.now_ms)
    agents = sorted(figures.agents(site.name), key=lambda a: _ORDER[_CHIP_OF[a.presence]])
    whole = figures.totals(site.name)
    of_totals, tiles, meters, silent, highlights = await asyncio.gather(
        _charts(visit, site, figures, year) if whole else _no_charts(),
        _tiles(visit, site, figures, year, quarter),
        figures.meters(site.name),
        figures.silent(site.name),
        figures.highlights(site.name, [agent.agent for agent in agents[:MOST_ROWS]]),
    )
    agents.sort(key=lambda a: (_ORDER[_CHIP_OF[a.presence]], -silent.get(a.agent, 0)))
    states = [meter_state(visit, site, meter) for meter in meters]
    return {
        "site": site,
        "glance": [
            *of_totals.glance,
            _meters_glance(visit.language, states),
            *(_agents_glance(visit.language, agents, silent) if agents or whole else []),
        ],
        "tiles": [tile for tile in tiles if tile.id in LARGE],
        "smalls": [tile for tile in tiles if tile.id not in LARGE],
        "charts": of_totals.groups,
        "withheld": not whole,
        "meters": _meters(visit, site, meters, states),
        "agents": _agents(visit, site, agents, silent, highlights),
        "moment": visit.language.moment(visit.now_ms, site.zone, seconds=True),
    }


async def _tiles(
    visit: Visit, site: Site, figures: ScopedFigures, year: Span, quarter: Span
) -> list[Tile]:
    """The indicators, where the visitor may see them."""
    if not figures.indicators(site.name):
        return []
    of_year, of_quarter = await asyncio.gather(
        figures.twelve_months(site.name), figures.this_quarter(site.name)
    )
    return [
        Tile(
            name,
            visit.language(f"name_{name}"),
            shown(visit, site, name, of_year, year, over=visit.language("twelve_months")),
            shown(visit, site, name, of_quarter, quarter, over=visit.language("quarter")),
        )
        for name in INDICATORS
    ]


def shown(visit: Visit, site: Site, name: str, kpis: SiteKpis, span: Span, *, over: str) -> Shown:
    """One indicator of a set, worded."""
    language = visit.language
    kpi: Kpi = getattr(kpis, name)
    facts: list[Fact] = []
    if kpi.category:
        facts.append(Fact(language("category"), kpi.category))
    if kpi.numerator is not None:
        facts.append(Fact(language("coverage"), language.percent(kpi.coverage)))
    if kpi.value is not None:
        if kpi.uncertainty is not None:
            share = language.percent(kpi.uncertainty)
            facts.append(Fact(language("uncertainty"), language("uncertainty_k2", value=share)))
        facts.append(Fact(language("grade"), language(f"grade_{kpi.grade}")))
        facts.append(Fact(language("status"), language(f"status_{kpi.status}")))
        if kpi.attested_share > 0:
            facts.append(Fact(language("attested"), language.percent(kpi.attested_share)))
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


# --- at a glance


@dataclass(frozen=True, slots=True)
class Glance:
    """One fact of the strip at the top; ``chip`` marks a state, ``href`` leads to more."""

    name: str
    text: str
    sub: str = ""
    chip: str = ""
    href: str = ""


def _meters_glance(language: Language, states: Sequence[Cell]) -> Glance:
    good = sum(state.chip == "good" for state in states)
    worst = max((state.chip for state in states), key=_BY_WORST.index, default="good")
    text = language("of_all", number=language.number(good), all=language.number(len(states)))
    return Glance(language("glance_meters"), text, chip=worst, href="#meters")


def _agents_glance(
    language: Language, agents: Sequence[AgentView], silent: Mapping[str, int]
) -> list[Glance]:
    online = sum(agent.presence is Presence.ONLINE for agent in agents)
    worst = max((_CHIP_OF[agent.presence] for agent in agents), key=_BY_WORST.index, default="warn")
    mute = sum(silent.values())
    where = [agent.agent for agent in agents if silent.get(agent.agent)]
    return [
        Glance(
            language("glance_agents"),
            language("of_all", number=language.number(online), all=language.number(len(agents))),
            chip=worst,
            href="#agents",
        ),
        Glance(
            language("glance_silent"),
            language.number(mute),
            ", ".join(where[:3]) + (" …" if len(where) > 3 else "")
            if mute
            else language("all_fresh"),
            "bad" if mute else "good",
            "#agents",
        ),
    ]


# --- charts


@dataclass(frozen=True, slots=True)
class Group:
    """Charts under one heading."""

    name: str
    charts: Sequence[Chart]


@dataclass(frozen=True, slots=True)
class _Drawn:
    groups: Sequence[Group]
    glance: Sequence[Glance]


async def _no_charts() -> _Drawn:
    return _Drawn([], [])


async def _charts(visit: Visit, site: Site, figures: ScopedFigures, year: Span) -> _Drawn:
    day_end = visit.now_ms - visit.now_ms % 900_000
    day = (day_end - _DAY_MS, day_end)
    language = visit.language
    (power_day, now), (power_year, _), (water_day, water), (water_year, _) = await asyncio.gather(
        _power(visit, site, figures, "power_day", day),
        _power(visit, site, figures, "power_year", year),
        _water(visit, site, figures, "water_day", day),
        _water(visit, site, figures, "water_year", year),
    )
    return _Drawn(
        [
            Group(language("commodity_electricity").capitalize(), [power_day, power_year]),
            Group(language("commodity_water").capitalize(), [water_day, water_year]),
        ],
        [now, water],
    )


_TOTALS: Final[tuple[tuple[Symbol, Literal["total", "it"]], ...]] = (
    (Symbol.E_DC, "total"),
    (Symbol.E_IT, "it"),
)


async def _power(
    visit: Visit, site: Site, figures: ScopedFigures, id_: str, span: Span
) -> tuple[Chart, Glance]:
    language = visit.language
    of_day = id_ == "power_day"
    fine, coarse = (Step.QUARTER_HOUR, Step.HOUR) if of_day else (Step.DAY, Step.MONTH)
    known = [(symbol, style) for symbol, style in _TOTALS if site.equation(symbol)]
    profiles = await asyncio.gather(
        *(figures.profile(site.name, symbol, *span, fine) for symbol, _ in known)
    )
    totals = [
        Named(language(f"curve_{style}"), style, slots)
        for (_, style), slots in zip(known, profiles, strict=True)
    ]
    rows = [
        (_slot_name(slots[0], site, language, coarse), slots)
        for slots in zip(*(gathered(p, site.zone, coarse) for p in profiles), strict=True)
    ]
    latest = _latest(totals) if of_day else {}
    at: dict[str, str] = {
        total.style: language.clock(slot.end_ms, site.zone) for total, slot in latest.values()
    }
    power: dict[str, str] = {
        total.style: language.quantity(slot.rate or 0.0, "W") for total, slot in latest.values()
    }
    words = [
        f"{total.name} {language('latest_at', value=power[style], moment=at[style])}"
        for style, (total, _) in latest.items()
    ]
    words += _holes(totals, site, language, of_day=of_day)
    glance = Glance(
        language("glance_power"),
        power.get("total", language("not_measured")),
        language("glance_power_text", it=power["it"], moment=at["it"]) if "it" in power else "",
    )
    frame = _frame(visit, site, id_, span, " · ".join(words))
    return power_chart(frame, totals, rows, language), glance


async def _water(
    visit: Visit, site: Site, figures: ScopedFigures, id_: str, span: Span
) -> tuple[Chart, Glance]:
    language = visit.language
    step = Step.HOUR if id_ == "water_day" else Step.MONTH
    slots = await figures.profile(site.name, Symbol.W_IN, *span, step)
    amounts = [slot.amount for slot in slots if measured(slot)]
    total = language.quantity(sum(amount or 0.0 for amount in amounts), "m3")
    whole = bool(slots) and len(amounts) == len(slots)
    headline = language("total_of", value=total) if whole else ""
    names = [_slot_name(slot, site, language, step) for slot in slots]
    frame = _frame(visit, site, id_, span, headline or _no_equation(site, language))
    curve = Named(language("curve_water"), "water", slots)
    glance = Glance(
        language("glance_water"),
        total if whole else language("not_measured"),
        _no_equation(site, language)
        or f"{language('coverage_short')} {language.percent(_covered(slots))}",
    )
    return amount_chart(frame, curve, names, "m3", language), glance


def _covered(slots: Sequence[Slot]) -> float:
    length = sum(slot.end_ms - slot.start_ms for slot in slots)
    return sum(slot.covered_ms for slot in slots) / length if length else 0.0


def _holes(totals: Sequence[Named], site: Site, language: Language, *, of_day: bool) -> list[str]:
    """When some total is not measured, in words: the first two times, and how many more."""
    words: list[str] = []
    for start, end in gaps([total.slots for total in totals]):
        if of_day:
            times = [language.clock(at, site.zone) for at in (start, end)]
            words.append(language("hole_clock", start=times[0], end=times[1]))
            continue
        days = [language.day(civil.day(at, site.zone)) for at in (start, end - 1)]
        if days[0] == days[1]:
            words.append(language("hole_day", day=days[0]))
        else:
            words.append(language("hole_from_to", start=days[0], end=days[1]))
    if len(words) > 3:
        words = [*words[:2], language("holes_more", number=language.number(len(words) - 2))]
    return words


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


def _latest(totals: Sequence[Named]) -> dict[str, tuple[Named, Slot]]:
    """The newest slot of each total that is measured, by style."""
    found: dict[str, tuple[Named, Slot]] = {}
    for total in totals:
        slot = next((slot for slot in reversed(total.slots) if measured(slot)), None)
        if slot is not None:
            found[total.style] = (total, slot)
    return found


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


def _meters(visit: Visit, site: Site, meters: Sequence[MeterView], states: Sequence[Cell]) -> Table:
    language = visit.language
    ranked = sorted(zip(meters, states, strict=True), key=lambda pair: _ORDER[pair[1].chip])
    rows: list[list[Cell]] = []
    for meter, state in ranked[:MOST_ROWS]:
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
                state,
                Cell(language(f"commodity_{meter.commodity}")),
                Cell(language("never_read"))
                if reading is None
                else Cell(
                    language.quantity(reading.value, reading.unit),
                    language.ago(visit.now_ms - reading.time_ms),
                ),
                basis,
                Cell(language.percent(meter.coverage_day)),
                Cell(language.percent(meter.coverage_month)),
            ]
        )
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
        more=len(meters) - len(rows),
        elsewhere=f"/api/v1/meters?site={site.name}",
    )


_BY_WORST: Final = ("good", "warn", "bad")
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


def skew_cell(language: Language, agent: AgentView) -> Cell:
    """An agent's clock against the collector's, marked from where it matters."""
    sub = synchronisation(language, agent)
    if agent.skew_ms is None:
        return Cell(language("unknown"), sub)
    off_ms = abs(agent.skew_ms)
    return Cell(
        f"{language.number(agent.skew_ms / 1000, 1)}\u00a0{language('unit_second')}",
        sub,
        chip="bad" if off_ms > WRONG_MS else "warn" if off_ms > SHOWN_MS else "",
    )


def synchronisation(language: Language, agent: AgentView) -> str:
    """What an agent says of its own clock."""
    if agent.synchronised is None:
        return ""
    return language("synchronised" if agent.synchronised else "not_synchronised")


def _agents(
    visit: Visit,
    site: Site,
    agents: Sequence[AgentView],
    silent: Mapping[str, int],
    highlights: Mapping[str, Sequence[ReadingView]],
) -> Table:
    language = visit.language
    unknown = language("unknown")
    rows = [
        [
            Cell(
                agent.agent,
                _newest(language, highlights.get(agent.agent, ())),
                visit.link(f"/{site.name}/agent/{agent.agent}"),
            ),
            presence_cell(language, agent),
            _silent_cell(language, silent.get(agent.agent)),
            Cell(
                unknown
                if agent.last_seen_ms is None
                else language.ago(visit.now_ms - agent.last_seen_ms)
            ),
            skew_cell(language, agent),
            Cell(unknown if agent.spooled is None else language.number(agent.spooled)),
            Cell(language.number(agent.resources)),
            Cell(agent.version or unknown),
        ]
        for agent in agents[:MOST_ROWS]
    ]
    return Table(
        language("agents"),
        [
            Column(language("agent")),
            Column(language("presence")),
            Column(language("readings_column")),
            Column(language("last_seen"), number=True),
            Column(language("clock_skew"), number=True),
            Column(language("spooled"), number=True),
            Column(language("resources"), number=True),
            Column(language("version")),
        ],
        rows,
        more=len(agents) - len(rows),
        elsewhere=f"/api/v1/agents?site={site.name}",
    )


def _newest(language: Language, readings: Sequence[ReadingView]) -> str:
    return " · ".join(
        f"{language(f'quantity_{reading.quantity}')} "
        + language.quantity(reading.value, reading.unit)
        for reading in readings
        if reading.value is not None
    )


def _silent_cell(language: Language, count: int | None) -> Cell:
    if count is None:
        return Cell("–")
    if count == 0:
        return Cell(language("fresh"), chip="good")
    if count == 1:
        return Cell(language("silent_one"), chip="bad")
    return Cell(language("silent_count", number=language.number(count)), chip="bad")


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
