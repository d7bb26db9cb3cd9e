"""The page of one agent: how it is, what it reads from, and its newest readings."""

from typing import Any

from jauge_collector.console.overview import presence_cell, skew_text, synchronisation
from jauge_collector.console.rendering import Cell, Column, Table, Visit
from jauge_collector.console.text import Language
from jauge_collector.console.views import AgentView, ReadingView, ResourceView
from jauge_collector.sites import Site

_MOST_ROWS = 400
"""Keeps the page small for a gateway with thousands of outlets; the JSON interface has them all."""


def context(
    visit: Visit, site: Site, agent: AgentView, resources: list[ResourceView]
) -> dict[str, Any]:
    """What the template needs."""
    language = visit.language
    return {
        "site": site,
        "name": agent.agent,
        "about": _about(visit, agent),
        "sources": _sources(language, agent),
        "readings": _readings(visit, site, agent, resources),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, agent: AgentView) -> list[tuple[str, str]]:
    language = visit.language
    unknown = language("unknown")
    seen = unknown
    if agent.last_seen_ms is not None:
        seen = language.age(visit.now_ms - agent.last_seen_ms)
    spooled = unknown if agent.spooled is None else language.number(agent.spooled)
    clock = ", ".join(filter(None, (skew_text(language, agent), synchronisation(language, agent))))
    return [
        (language("presence"), presence_cell(language, agent).text),
        (language("last_seen"), seen),
        (language("clock_skew"), clock),
        (language("spooled"), spooled),
        (language("version"), agent.version or unknown),
        (language("boot"), agent.boot or unknown),
    ]


def _sources(language: Language, agent: AgentView) -> Table:
    return Table(
        language("sources"),
        [
            Column(language("source")),
            Column(language("source_period"), number=True),
            Column(language("state")),
        ],
        [
            [
                Cell(source.name),
                Cell(f"{language.significant(source.period_s)}\u00a0{language('unit_second')}"),
                Cell(language("source_present"), chip="good")
                if source.absent is None
                else Cell(language("source_absent", reason=source.absent)),
            ]
            for source in agent.sources
        ],
    )


def _readings(visit: Visit, site: Site, agent: AgentView, resources: list[ResourceView]) -> Table:
    language = visit.language
    patience = 3000 * max([60.0, *(source.period_s for source in agent.sources)])
    rows = [
        _row(visit, resource, reading, patience)
        for resource in resources
        for reading in resource.readings
    ]
    del site
    rows.sort(key=lambda row: row[3].chip == "")
    return Table(
        language("readings"),
        [
            Column(language("resource")),
            Column(language("quantity")),
            Column(language("value"), number=True),
            Column(language("age"), number=True),
            Column(language("method")),
        ],
        rows[:_MOST_ROWS],
    )


def _row(
    visit: Visit, resource: ResourceView, reading: ReadingView, patience_ms: float
) -> list[Cell]:
    language = visit.language
    head = Cell(resource.name or resource.id, resource.id if resource.name else "")
    method = Cell(language(f"method_{reading.method}") if reading.method else "–")
    if reading.value is None or reading.time_ms is None:
        return [
            head,
            Cell(reading.quantity),
            Cell(language("not_measured")),
            Cell(language("silent"), chip="bad"),
            method,
        ]
    age_ms = visit.now_ms - reading.time_ms
    late = age_ms > patience_ms
    return [
        head,
        Cell(reading.quantity),
        Cell(language.quantity(reading.value, reading.unit, 5)),
        Cell(
            language("silent") if late else language.age(age_ms),
            sub=language.age(age_ms) if late else "",
            chip="bad" if late else "",
        ),
        method,
    ]
