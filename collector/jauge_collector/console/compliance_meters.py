"""Meters as the record needs them: class, place, feeds, coverage, and each one's history."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from jauge_models.topology import MEASURES, Meter

from jauge_collector.console.compliance_words import Asked, frame
from jauge_collector.console.rendering import Cell, Column, Table
from jauge_collector.console.text import Language
from jauge_collector.console.views import MeterView
from jauge_collector.ledger.entries import Entry
from jauge_collector.sites import Site

_MOST_METERS: Final = 200
_MOST_EVENTS: Final = 200
_MOST_FEEDS: Final = 3


class Told(NamedTuple):
    """What only who sees all of the site is told of its meters, by id."""

    lives: Mapping[str, Sequence[Entry]] = MappingProxyType({})
    """What was entered about each, corrected entries included."""
    lacks: Mapping[str, Sequence[str]] = MappingProxyType({})
    """What the history of a meter of the boundary has to say and does not (S14)."""
    coverage: Mapping[str, float] = MappingProxyType({})
    """Measured share of the quarter."""


def meters(asked: Asked, views: Sequence[MeterView], told: Told) -> dict[str, Any]:
    """What the template needs."""
    return {
        **frame(asked, "meters"),
        "table": _meters(asked, views, told),
        "history": _history(asked, told.lives),
    }


def _meters(asked: Asked, views: Sequence[MeterView], told: Told) -> Table:
    language, site = asked.visit.language, asked.site
    known = {meter.id: meter for meter in site.topology.meters}
    rows = []
    for view in views[:_MOST_METERS]:
        href = asked.visit.link(f"/{site.name}/meter/{view.meter}")
        name = view.name or view.meter
        feeds = list(view.feeds[:_MOST_FEEDS])
        more = len(view.feeds) - len(feeds)
        covered = told.coverage.get(view.meter)
        rows.append(
            [
                Cell(name, view.meter if name != view.meter else "", href),
                Cell(language(f"commodity_{view.commodity}")),
                Cell(view.location or "–"),
                Cell(_class(language, known.get(view.meter), view)),
                Cell(
                    ", ".join(feeds) or language("attested_only"),
                    language("and_others", count=language.number(more)) if more > 0 else "",
                ),
                _counts(language, site, view),
                Cell("–" if covered is None else language.percent(covered)),
                _lacking(language, told.lacks.get(view.meter)),
            ]
        )
    columns = [
        Column(language("meter")),
        Column(language("commodity")),
        Column(language("location")),
        Column(language("accuracy_class")),
        Column(language("feeds")),
        Column(language("counts_begin")),
        Column(language("coverage_quarter"), number=True),
        Column(language("meter_register")),
    ]
    return Table(language("meters"), columns, rows, max(0, len(views) - _MOST_METERS))


def _class(language: Language, meter: Meter | None, view: MeterView) -> str:
    if view.accuracy_class:
        return view.accuracy_class
    if meter is not None and meter.uncertainty is not None:
        return f"±\u00a0{language.percent(meter.uncertainty, 2)}"
    return language("unknown")


def _counts(language: Language, site: Site, view: MeterView) -> Cell:
    if view.counts_from_start:
        return Cell(language("from_the_start"))
    if view.counts_from_ms is None:
        return Cell(language("not_commissioned"), chip="warn")
    return Cell(language.moment(view.counts_from_ms, site.zone))


def _lacking(language: Language, lacks: Sequence[str] | None) -> Cell:
    if lacks is None:
        return Cell("–")
    if not lacks:
        return Cell(language("register_complete"), chip="good")
    missing = ", ".join(language(f"lacks_{name}") for name in lacks)
    return Cell(language("register_lacks"), missing, chip="warn")


def _history(asked: Asked, lives: Mapping[str, Sequence[Entry]]) -> Table:
    """The newest first."""
    language = asked.visit.language
    every = sorted(
        (entry for entries in lives.values() for entry in entries),
        key=lambda entry: (-entry.start_ms, -entry.id),
    )
    corrected = {entry.corrects for entry in every if entry.corrects is not None}
    rows = [_event(asked, entry, corrected) for entry in every[:_MOST_EVENTS]]
    columns = [
        Column(language("history_when")),
        Column(language("meter")),
        Column(language("history_what")),
        Column(language("entered_value")),
        Column(language("signatory")),
        Column(language("entry_number"), number=True),
    ]
    return Table(language("meter_history"), columns, rows, max(0, len(every) - _MOST_EVENTS))


def _event(asked: Asked, entry: Entry, corrected: Iterable[int | None]) -> list[Cell]:
    language, site = asked.visit.language, asked.site
    gone = language("entry_corrected") if entry.id in set(corrected) else ""
    kind = f"entry_{entry.kind}"
    return [
        Cell(language.moment(entry.start_ms, site.zone)),
        Cell(entry.subject),
        Cell(language(kind) if language.has(kind) else entry.kind, gone),
        Cell(_value(language, site, entry)),
        Cell(entry.signatory or "–"),
        Cell(str(entry.id)),
    ]


def _value(language: Language, site: Site, entry: Entry) -> str:
    """What was entered, as it was typed where that was kept."""
    told = entry.content
    if told.get("entered"):
        return str(told["entered"])
    if "final" in told and "first" in told:
        try:
            base = MEASURES[site.topology.meter(entry.subject).commodity].unit
        except KeyError:
            return "–"
        return language(
            "old_to_new",
            old=language.total(float(told["final"]), base),
            new=language.total(float(told["first"]), base),
        )
    if "value" in told:
        return f"× {language.plain(float(told['value']))}"
    if told.get("certificate"):
        return str(told["certificate"])
    if "coverage" in told:
        return language("dial_agrees", coverage=language.percent(float(told["coverage"])))
    return str(told.get("reason") or told.get("note") or "–")
