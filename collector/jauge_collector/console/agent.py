"""The page of one agent: how it is, what it reads from, and its newest readings."""

from typing import Any, Final

from jauge_collector.console.overview import presence_cell, skew_cell
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.text import Language
from jauge_collector.console.views import (
    AgentView,
    Presence,
    ReadingView,
    ResourceView,
    silence_ms,
)
from jauge_collector.sites import Site

MOST_ROWS: Final = 250
"""Keeps the page small for a gateway with thousands of outlets."""


def context(
    visit: Visit, site: Site, agent: AgentView, resources: list[ResourceView]
) -> dict[str, Any]:
    """What the template needs."""
    language = visit.language
    return {
        "site": site,
        "name": agent.agent,
        "quarantine": _quarantine(visit.language, agent),
        "about": _about(visit, agent),
        "sources": _sources(language, agent),
        "readings": _readings(visit, agent, resources),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, agent: AgentView) -> list[Fact]:
    language = visit.language
    unknown = language("unknown")
    seen = unknown
    if agent.last_seen_ms is not None:
        seen = language.ago(visit.now_ms - agent.last_seen_ms)
    spooled = unknown if agent.spooled is None else language.number(agent.spooled)
    skew = skew_cell(language, agent)
    clock = ", ".join(filter(None, (skew.text, skew.sub)))
    presence = presence_cell(language, agent)
    return [
        Fact(language("presence"), presence.text, chip=presence.chip),
        Fact(language("last_seen"), seen),
        Fact(language("clock_skew"), clock, chip=skew.chip),
        *_steps(language, agent),
        Fact(language("spooled"), spooled),
        Fact(language("version"), agent.version or unknown),
        Fact(language("boot"), agent.boot or unknown),
    ]


def _quarantine(language: Language, agent: AgentView) -> str:
    if agent.presence is not Presence.QUARANTINED:
        return ""
    return language("quarantine_text", runs=", ".join(agent.twins) or language("unknown"))


def _steps(language: Language, agent: AgentView) -> list[Fact]:
    if not agent.clock_steps or agent.last_step_s is None:
        return []
    text = language(
        "clock_steps_text",
        number=language.number(agent.clock_steps),
        size=language.number(agent.last_step_s, 1),
    )
    return [Fact(language("clock_steps"), text)]


def _sources(language: Language, agent: AgentView) -> Table:
    return Table(
        language("sources"),
        [
            Column(language("source")),
            Column(language("state")),
            Column(language("source_period"), number=True),
        ],
        [
            [
                Cell(source.name),
                Cell(language("source_present"), chip="good")
                if source.absent is None
                else Cell(language("source_absent"), sub=source.absent, sub_lang="en"),
                Cell(f"{language.plain(source.period_s)}\u00a0{language('unit_second')}"),
            ]
            for source in agent.sources
        ],
    )


def _readings(visit: Visit, agent: AgentView, resources: list[ResourceView]) -> Table:
    language = visit.language
    patience = silence_ms(source.period_s for source in agent.sources)
    rows = [
        _row(visit, resource, reading, patience)
        for resource in resources
        for reading in resource.readings
    ]
    rows.sort(key=lambda row: row[1].chip == "")
    return Table(
        language("readings"),
        [
            Column(language("resource")),
            Column(language("age")),
            Column(language("quantity")),
            Column(language("value"), number=True),
            Column(language("method")),
        ],
        rows[:MOST_ROWS],
        more=max(0, len(rows) - MOST_ROWS),
    )


def _row(
    visit: Visit, resource: ResourceView, reading: ReadingView, patience_ms: int
) -> list[Cell]:
    language = visit.language
    name = language(f"quantity_{reading.quantity}")
    head = Cell(resource.name or resource.id, resource.id if resource.name else "")
    what = Cell(name, sub="" if reading.quantity == name else reading.quantity, sub_lang="en")
    method = Cell(language(f"method_{reading.method}") if reading.method else "–")
    if reading.value is None or reading.time_ms is None:
        return [
            head,
            Cell(language("silent"), chip="bad"),
            what,
            Cell(language("not_measured")),
            method,
        ]
    age_ms = visit.now_ms - reading.time_ms
    late = age_ms > patience_ms
    running = reading.method in ("register", "counter")
    value = language.total if running else language.quantity
    return [
        head,
        Cell(
            language("silent") if late else language.age(age_ms),
            sub=language.age(age_ms) if late else "",
            chip="bad" if late else "",
        ),
        what,
        Cell(value(reading.value, reading.unit)),
        method,
    ]
