"""The overview of a site: indicators, charts, and what its meters and agents are doing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jauge_models.effectiveness import Kpi, PeriodKind

from jauge_collector import civil
from jauge_collector.console import flows
from jauge_collector.console.figures import quarter_so_far, twelve_months
from jauge_collector.console.rendering import Cell, Column, Fact, Glance, Table, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.text import Language
from jauge_collector.console.views import (
    AgentView,
    MeterView,
    Presence,
    ReadingView,
    counting,
)
from jauge_collector.kpis import SiteKpis
from jauge_collector.sites import Site
from jauge_collector.skew import SHOWN_MS, WRONG_MS
from jauge_collector.stores import StoreError

INDICATORS: Final = ("pue", "wue", "cue", "ref", "erf")
LARGE: Final = ("pue", "wue")

MOST_ROWS: Final = 50
"""Of meters and of agents, the worst first: what keeps the page below 150 kB."""

Span = flows.Span


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
    """What the template of the overview needs. Raises LedgerError.

    Without the store the rest is shown, and what the store knows is marked as unavailable.
    """
    year = twelve_months(site, visit.now_ms)
    quarter = quarter_so_far(site, visit.now_ms)
    agents = sorted(figures.agents(site.name), key=lambda a: _ORDER[_CHIP_OF[a.presence]])
    whole = figures.totals(site.name)
    drawn, tiles, of_store = await asyncio.gather(
        flows.drawn(visit, site, figures, year) if whole else _nothing_drawn(),
        _tiles(visit, site, figures, year, quarter),
        _of_store(site, figures, [agent.agent for agent in agents[:MOST_ROWS]]),
    )
    meters, silent, highlights = of_store.meters, of_store.silent, of_store.highlights
    agents.sort(key=lambda a: (_ORDER[_CHIP_OF[a.presence]], -silent.get(a.agent, 0)))
    states = [meter_state(visit, site, meter) for meter in meters]
    return {
        "site": site,
        "glance": [
            *drawn.glance,
            _meters_glance(visit.language, meters, states),
            *(_agents_glance(visit.language, agents, of_store) if agents or whole else []),
        ],
        "unavailable": "" if of_store.answers else visit.language("store_unavailable"),
        "tiles": [tile for tile in tiles if tile.id in LARGE],
        "smalls": [tile for tile in tiles if tile.id not in LARGE],
        "charts": drawn.groups,
        "withheld": not whole,
        "meters": _meters(visit, site, meters, states),
        "agents": _agents(visit, site, agents, silent, highlights),
        "moment": visit.language.moment(visit.now_ms, site.zone, seconds=True),
    }


async def _nothing_drawn() -> flows.Drawn:
    return flows.Drawn([], [])


@dataclass(frozen=True, slots=True)
class _OfStore:
    """What needs the store: the meters without their readings, and nothing else, without it."""

    meters: Sequence[MeterView]
    silent: Mapping[str, int]
    highlights: Mapping[str, Sequence[ReadingView]]
    answers: bool


async def _of_store(site: Site, figures: ScopedFigures, agents: Sequence[str]) -> _OfStore:
    try:
        meters, silent, highlights = await asyncio.gather(
            figures.meters(site.name),
            figures.silent(site.name),
            figures.highlights(site.name, agents),
        )
    except StoreError:
        return _OfStore(await figures.meters(site.name, readings=False), {}, {}, answers=False)
    return _OfStore(meters, silent, highlights, answers=True)


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


def _meters_glance(
    language: Language, meters: Sequence[MeterView], states: Sequence[Cell]
) -> Glance:
    """How many meters count, as the indicators count them; silence is another matter."""
    number = sum(counting(meter) for meter in meters)
    mute = sum(meter.silent is True for meter in meters)
    worst = max((state.chip for state in states), key=_BY_WORST.index, default="good")
    text = language("of_all", number=language.number(number), all=language.number(len(meters)))
    sub = _silent_words(language, mute) if mute else ""
    return Glance(language("glance_meters"), text, sub, chip=worst, href="#meters")


def _agents_glance(
    language: Language, agents: Sequence[AgentView], of_store: _OfStore
) -> list[Glance]:
    silent = of_store.silent
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
        _silent_glance(language, of_store, mute, where),
    ]


def _silent_glance(
    language: Language, of_store: _OfStore, mute: int, where: Sequence[str]
) -> Glance:
    """Silent sensors of the agents online; « all fresh » only where some are watched."""
    name, unsaid = language("glance_silent"), "–"
    if not of_store.answers:
        return Glance(name, unsaid, language("unavailable"), "warn", "#agents")
    if not of_store.silent:
        return Glance(name, unsaid, language("none_online"), "warn", "#agents")
    if mute:
        named = ", ".join(where[:3]) + (" …" if len(where) > 3 else "")
        return Glance(name, language.number(mute), named, "bad", "#agents")
    if any(meter.silent for meter in of_store.meters):
        return Glance(name, language.number(0), language("online_fresh"), "good", "#agents")
    return Glance(name, language.number(0), language("all_fresh"), "good", "#agents")


# --- meters and agents


def meter_state(visit: Visit, site: Site, meter: MeterView) -> Cell:
    """Whether a meter counts and whether it is heard, in words and a mark."""
    language = visit.language
    if meter.suspended:
        return Cell(language("suspended"), chip="bad")
    counts = Cell(language("not_commissioned"), chip="warn")
    if meter.counts_from_start:
        counts = Cell(language("counts"), chip="good")
    elif meter.attested_only:
        counts = Cell(language("counts_attested"), chip="good")
    elif meter.counts_from_ms is not None:
        day = language.day(civil.day(meter.counts_from_ms, site.zone))
        counts = Cell(language("counts_since", day=day), chip="good")
    if meter.silent:
        return Cell(language("silent"), sub=counts.text, chip="bad")
    return counts


def reading_cell(visit: Visit, meter: MeterView) -> Cell:
    """A meter's newest reading with its age, or why there is none."""
    language, reading = visit.language, meter.last_reading
    if reading is None:
        return Cell(language("unavailable" if meter.silent is None else "never_read"))
    return Cell(
        language.quantity(reading.value, reading.unit), language.ago(visit.now_ms - reading.time_ms)
    )


def _meters(visit: Visit, site: Site, meters: Sequence[MeterView], states: Sequence[Cell]) -> Table:
    language = visit.language
    ranked = sorted(zip(meters, states, strict=True), key=lambda pair: _ORDER[pair[1].chip])
    rows: list[list[Cell]] = []
    for meter, state in ranked[:MOST_ROWS]:
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
                reading_cell(visit, meter),
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
    return Cell(_silent_words(language, count), chip="bad")


def _silent_words(language: Language, count: int) -> str:
    if count == 1:
        return language("silent_one")
    return language("silent_count", number=language.number(count))


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
