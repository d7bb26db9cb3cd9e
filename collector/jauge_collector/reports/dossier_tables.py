"""The tables of the verifier's dossier, row by row: nothing is held that a file can take."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import chain as chained
from typing import Final, NamedTuple

from jauge_models.compliance.evidence import Invoice
from jauge_models.compliance.windows import Window
from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import MEASURES, Meter

from jauge_collector import civil
from jauge_collector.compliance.invoices import invoices
from jauge_collector.csv_text import Cell, moment
from jauge_collector.kpis import counting_since
from jauge_collector.ledger import chain
from jauge_collector.ledger.entries import CONFIRMATION, Entry
from jauge_collector.registers.attestations import CERTIFICATE, HOURS, SET_POINT
from jauge_collector.registers.confirmations import confirmed
from jauge_collector.registers.documents import Document, DocumentKind
from jauge_collector.registers.evidence import limits
from jauge_collector.registers.meters import (
    CALIBRATION,
    COMMISSIONING,
    FACTOR,
    READING,
    REPLACEMENT,
)
from jauge_collector.reports.boundary import named
from jauge_collector.reports.dossier_subject import Subject, Table, divisor, unit_of
from jauge_collector.reports.gaps import of_meter

KINDS: Final = (
    READING,
    "amount",
    SET_POINT,
    HOURS,
    CERTIFICATE,
    COMMISSIONING,
    REPLACEMENT,
    FACTOR,
    CALIBRATION,
    "event",
    CONFIRMATION,
    "clock_withdrawal",
)


def equations(of: Subject) -> Table:
    """The boundary sheet: each term of each total."""
    columns = (
        "total",
        "zone",
        "place",
        "category",
        "undeducted",
        "meter",
        "sign",
        "factor",
        "valid_from",
        "valid_to",
        "reason",
        "evidence",
    )
    rows = (
        (
            name,
            equation.zone,
            "" if equation.place is None else equation.place.value,
            equation.category,
            " | ".join(equation.undeducted),
            term.meter,
            term.sign,
            term.factor,
            moment(term.validity.from_ms),
            moment(term.validity.to_ms),
            term.reason,
            term.evidence,
        )
        for name, equation in named(of.site.equations)
        for term in equation.terms
    )
    return Table(columns, rows)


def meters(of: Subject) -> Table:
    """Every meter of the boundary with its class, dial and coverage."""
    columns = (
        "meter",
        "name",
        "commodity",
        "location",
        "accuracy_class",
        "uncertainty",
        "feeds",
        "interval_s",
        "modulus",
        "resolution",
        "unit",
        "counts_from",
        "valid_from",
        "valid_to",
        "coverage",
        "method",
        "grade",
    )
    since = counting_since(of.ledger, of.site)
    states = {state.id: state for state in of.report.meters}

    def row(meter: Meter) -> Sequence[Cell]:
        state = states.get(meter.id)
        modulus = meter.dial.modulus
        per = divisor(meter)
        return (
            meter.id,
            meter.name,
            meter.commodity.value,
            meter.location,
            meter.accuracy_class,
            meter.uncertainty,
            " | ".join(f"{feed.agent}/{feed.resource}" for feed in meter.feeds),
            meter.interval_ms // 1000,
            None if modulus is None else modulus / per,
            meter.dial.resolution / per,
            unit_of(meter),
            moment(since.get(meter.id)),
            moment(meter.validity.from_ms),
            moment(meter.validity.to_ms),
            None if state is None else state.coverage,
            None if state is None else state.method,
            None if state is None else state.grade.value,
        )

    return Table(columns, (row(of.boundary.topology.meter(each)) for each in of.boundary.meters))


def ratios(of: Subject) -> Table:
    """Transformer ratios and other factors, declared or entered."""
    rows = (
        (
            meter,
            factor.value,
            moment(factor.validity.from_ms),
            moment(factor.validity.to_ms),
            factor.reason,
        )
        for meter in of.boundary.meters
        for factor in of.boundary.topology.meter(meter).factors
    )
    return Table(("meter", "value", "valid_from", "valid_to", "reason"), rows)


def calibrations(of: Subject) -> Table:
    """Calibrations entered, and certificates of the register, by the meter they are about."""
    filed = (
        (one.subject, one.id, one.title, one.dated.isoformat(), _day(one.valid_to), one.sha256)
        for one in of.registers.documents
        if one.kind is DocumentKind.CALIBRATION
    )
    made = (
        (
            entry.subject,
            f"entry:{entry.id}",
            str(entry.content.get("certificate", "")),
            civil.day(entry.start_ms, of.site.zone).isoformat(),
            None if entry.end_ms is None else civil.day(entry.end_ms, of.site.zone).isoformat(),
            entry.document,
        )
        for entry in of.ledger.entries(of.site.name, CALIBRATION)
    )
    return Table(("meter", "id", "title", "dated", "valid_to", "sha256"), chained(made, filed))


def entered(of: Subject) -> list[Entry]:
    """Every entry of the site in the order entered, corrected ones included."""
    found = [
        entry for kind in KINDS for entry in of.ledger.entries(of.site.name, kind, corrected=True)
    ]
    return sorted(found, key=lambda entry: entry.id)


def entries(of: Subject) -> Table:
    """The same as a table: who signed, who confirmed, what replaced what."""
    found = entered(of)
    seconds = confirmed(of.ledger, of.site.name)
    later = {entry.corrects: entry.id for entry in found if entry.corrects is not None}
    columns = (
        "id",
        "kind",
        "subject",
        "start",
        "end",
        "content",
        "signatory",
        "confirmed_by",
        "document",
        "corrects",
        "corrected_by",
        "entered_at",
    )
    rows = (
        (
            entry.id,
            entry.kind,
            entry.subject,
            moment(entry.start_ms),
            moment(entry.end_ms),
            json.dumps(dict(entry.content), sort_keys=True, ensure_ascii=False),
            entry.signatory,
            seconds.get(entry.id),
            entry.document,
            entry.corrects,
            later.get(entry.id),
            moment(entry.entered_ms),
        )
        for entry in found
    )
    return Table(columns, rows)


def clocks(of: Subject) -> Table:
    """When agents' clocks were wrong within the twelve months, and by how much."""
    start_ms, end_ms = of.boundary.span
    rows = (
        (agent, moment(span.from_ms), moment(span.to_ms), span.skew_ms / 1000)
        for agent, spans in sorted(of.ledger.wrong_clocks(of.site.name).items())
        for span in spans
        if span.from_ms < end_ms and span.to_ms > start_ms
    )
    return Table(("agent", "start", "end", "skew_s"), rows)


class Piece(NamedTuple):
    """One document of the dossier, and how its file was found."""

    document: Document | None
    """Of the register; None for one that came with an entry."""
    sha256: str
    file: str
    state: str
    """present, missing or changed."""


def documents(found: Iterable[Piece], states: Mapping[str, str]) -> Table:
    """Documents with their digests, and under which name each lies in the dossier."""
    columns = (
        "id",
        "title",
        "kind",
        "dated",
        "valid_to",
        "subject",
        "role",
        "confirmed_by",
        "sha256",
        "file",
        "state",
    )

    def row(piece: Piece) -> Sequence[Cell]:
        one = piece.document
        last = (piece.sha256, piece.file, states[piece.state])
        if one is None:
            return ("", "", "", "", "", "", "", "", *last)
        return (
            one.id,
            one.title,
            one.kind.value,
            one.dated.isoformat(),
            _day(one.valid_to),
            one.subject,
            one.role,
            one.confirmed_by,
            *last,
        )

    return Table(columns, map(row, found))


def gaps(of: Subject) -> Table:
    """Every gap of every meter over the twelve months, in time order."""
    rows = (
        (
            gap.meter,
            moment(gap.start_ms),
            moment(gap.end_ms),
            "true" if gap.bridged else "false",
            " ".join(gap.flags),
        )
        for meter in of.boundary.meters
        for gap in of_meter(of.boundary, meter)
    )
    return Table(("meter", "start", "end", "bridged", "flags"), rows)


def restatements(of: Subject) -> Table:
    """Figures of earlier editions that are other now."""
    rows = (
        (
            one.quarter,
            one.figure,
            one.before,
            one.after,
            one.unit,
            one.why,
            one.signatory,
            one.day.isoformat(),
            "true" if one.published else "false",
        )
        for one in of.report.restated
    )
    columns = ("quarter", "figure", "before", "after", "unit", "why", "signatory", "day")
    return Table((*columns, "published"), rows)


def billed(of: Subject) -> Table:
    """Suppliers' invoices that touch the twelve months, beside what was measured."""
    window = Window(of.report.year.first, of.report.year.last)
    found = invoices(of.ledger, of.site, window, limits(of.registers))
    columns = (
        "id",
        "commodity",
        "start",
        "end",
        "invoiced",
        "measured",
        "difference",
        "unit",
        "cause",
    )

    def row(one: Invoice) -> Sequence[Cell]:
        energy = MEASURES[one.commodity].unit == "J"
        per = JOULES_PER_KWH if energy else 1.0
        measured = None if one.measured is None else one.measured / per
        return (
            one.id,
            one.commodity.value,
            one.first.isoformat(),
            one.last.isoformat(),
            one.invoiced / per,
            measured,
            None if measured is None else measured - one.invoiced / per,
            "kWh" if energy else "m3",
            one.cause,
        )

    return Table(columns, map(row, found))


def links(of: Subject) -> Table:
    """The site's links of the chain; each can be checked by its own digest."""
    columns = ("id", "kind", "subject", "at", "at_ms", "content", "previous", "digest")
    rows = (
        (
            link.id,
            link.kind,
            link.subject,
            moment(link.at_ms),
            link.at_ms,
            chain.canonical(dict(link.content)).decode(),
            link.previous,
            link.digest,
        )
        for link in of.ledger.links(of.site.name)
    )
    return Table(columns, rows)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
