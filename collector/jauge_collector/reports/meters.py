"""Meters of the boundary as a report lists them, and what people entered about them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from jauge_models.boundaries import Term
from jauge_models.intervals import Basis, worst
from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import Commodity, Event, Meter

from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.attestations import AMOUNT
from jauge_collector.registers.events import EVENT
from jauge_collector.registers.meters import (
    COMMISSIONING,
    FACTOR,
    PER_DIAL_UNIT,
    READING,
    REPLACEMENT,
    dial_unit,
)
from jauge_collector.reports.boundary import Boundary, Span, named
from jauge_collector.reports.content import MeterEvent, MeterState

KINDS: Final = (COMMISSIONING, READING, REPLACEMENT, FACTOR, AMOUNT, EVENT)
"""Kinds of entries that a report lists."""


def states(boundary: Boundary, span: Span) -> Iterator[MeterState]:
    """Every meter of an equation, with how well it was read over a span."""
    terms: dict[str, list[str]] = {meter: [] for meter in boundary.meters}
    for name, equation in named(boundary.site.equations):
        for term in equation.terms:
            commodity = boundary.topology.meter(term.meter).commodity
            terms[term.meter].append(term_text(name, term, commodity))
    for meter_id in boundary.meters:
        meter = boundary.topology.meter(meter_id)
        rows = [row for row in boundary.within(meter_id, span) if row.amount is not None]
        bases = Counter[Basis]()
        covered = 0.0
        for row in rows:
            inside = (min(row.end_ms, span[1]) - max(row.start_ms, span[0])) / row.length_ms
            bases[row.basis] += row.covered_ms
            covered += row.covered_ms * inside
        order = list(Basis)
        most = min(bases, key=lambda basis: (-bases[basis], order.index(basis)), default=None)
        yield MeterState(
            id=meter.id,
            name=meter.name,
            commodity=meter.commodity.value,
            location=meter.location,
            accuracy=meter.accuracy_class,
            feeds=tuple(f"{feed.agent}/{feed.resource}" for feed in meter.feeds),
            terms=tuple(terms[meter_id]),
            coverage=min(1.0, covered / (span[1] - span[0])),
            method="" if most is None else most.value,
            grade=worst(row.grade for row in rows),
        )


def term_text(name: str, term: Term, commodity: Commodity) -> str:
    """Where a meter counts: ``+ E_DC``, ``− E_IT × 0.97``, ``+ E_DC × 9900 kWh/m3`` of a fuel."""
    sign = "−" if term.sign < 0 else "+"
    if commodity is Commodity.FUEL:
        return f"{sign} {name} × {term.factor / JOULES_PER_KWH:g} kWh/m3"
    return f"{sign} {name}" + ("" if term.factor == 1 else f" × {term.factor:g}")


def events(ledger: Ledger, boundary: Boundary, confirmed: Mapping[int, str]) -> list[MeterEvent]:
    """What was entered about the boundary's meters and holds, within its span, in time order.

    Events of the whole site, and those that the site file declares (numbered 0), are among them.
    """
    site = boundary.site
    subjects = {"", *boundary.meters}
    for meter_id in boundary.meters:
        for feed in boundary.topology.meter(meter_id).feeds:
            subjects |= {feed.resource, f"{feed.agent}/{feed.resource}"}
    found = [
        _entered(entry, boundary, confirmed.get(entry.id, ""))
        for kind in KINDS
        for entry in ledger.entries(site.name, kind)
        if entry.subject in subjects and _touches(entry.start_ms, entry.end_ms, boundary.span)
    ]
    found += [
        _declared(event)
        for event in site.topology.events
        if event.subject in subjects
        and _touches(event.validity.from_ms or 0, event.validity.to_ms, boundary.span)
    ]
    return sorted(found, key=lambda each: (each.start_ms, each.entry, each.meter, each.kind))


def _touches(start_ms: int, end_ms: int | None, span: Span) -> bool:
    return start_ms < span[1] and span[0] < (start_ms + 1 if end_ms is None else end_ms)


def _entered(entry: Entry, boundary: Boundary, confirmed_by: str) -> MeterEvent:
    return MeterEvent(
        entry=entry.id,
        meter=entry.subject,
        kind=entry.kind,
        start_ms=entry.start_ms,
        end_ms=entry.end_ms,
        text=_text(entry, boundary),
        signatory=entry.signatory,
        confirmed_by=confirmed_by,
        document=entry.document,
    )


def _declared(event: Event) -> MeterEvent:
    return MeterEvent(
        entry=0,
        meter=event.subject,
        kind=EVENT,
        start_ms=event.validity.from_ms or 0,
        end_ms=event.validity.to_ms,
        text=_joined(event.kind.value, event.reason),
        signatory="",
        confirmed_by="",
        document=None,
    )


def _text(entry: Entry, boundary: Boundary) -> str:
    """What an entry says, in symbols and as typed: no language of ours."""
    content = entry.content
    if entry.kind == EVENT:
        return _joined(str(content["event"]), str(content.get("reason", "")))
    if entry.kind == FACTOR:
        return _joined(f"× {float(content['value']):g}", str(content.get("reason", "")))
    meter = boundary.topology.meter(entry.subject)
    if entry.kind == REPLACEMENT:
        change = f"{_dial(meter, content['final'])} → {_dial(meter, content['first'])}"
        return _joined(f"{change} {dial_unit(meter)}", str(content.get("reason", "")))
    if entry.kind == COMMISSIONING:
        first, second = _dial(meter, content["first"]), _dial(meter, content["second"])
        return f"{first} → {second} {dial_unit(meter)}"
    typed = str(content.get("entered", ""))
    amount = typed or f"{_dial(meter, content['base'])} {dial_unit(meter)}"
    return _joined(amount, str(content.get("note", "")))


def _dial(meter: Meter, base: object) -> str:
    per = PER_DIAL_UNIT["J" if dial_unit(meter) == "kWh" else "m3"]
    return f"{float(str(base)) / per:.10g}"


def _joined(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
