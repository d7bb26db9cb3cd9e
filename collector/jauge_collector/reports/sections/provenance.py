"""Sections 8 to 11: what was not measured, what changed, by which rules, and who signed.

What a reader needs to find the data again: versions, hashes, sources with their vintage.
"""

from datetime import tzinfo
from typing import Final

from jauge_models.rules import RuleStatus

from jauge_collector.ledger.chain import START
from jauge_collector.reports.content import MeterEvent, Report, data_hash
from jauge_collector.reports.document import (
    Block,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    cells,
)
from jauge_collector.reports.prose import DASH, Prose, zone_of
from jauge_collector.reports.sections.opening import facts_table

_ROWS: Final = 50


def history(report: Report, p: Prose) -> Section:
    """Section 8: gaps, estimates, meters and what happened to them, restatements."""
    zone = zone_of(report.quarter.kpis.time_zone)
    parts = (
        Section(id="gaps", title=p("gaps"), blocks=_gaps(report, p, zone)),
        Section(id="meters", title=p("meters_title"), blocks=_meters(report, p)),
        Section(id="events", title=p("events"), blocks=_events(report, p, zone)),
        Section(id="restated", title=p("restated"), blocks=_restated(report, p)),
    )
    return Section(id="history", title=p("section_history"), parts=parts)


def _gaps(report: Report, p: Prose, zone: tzinfo) -> tuple[Block, ...]:
    if not report.gaps:
        return (Paragraph(text=p("no_gaps")),)
    shown = report.gaps[:_ROWS]
    left = len(report.gaps) - len(shown) + report.gaps_left_out
    return (
        Table(
            caption=p("gaps_table"),
            columns=(
                Column(name=p("meter"), width=2),
                Column(name=p("from"), width=1.8),
                Column(name=p("to"), width=1.8),
                Column(name=p("length"), number=True),
                Column(name=p("treatment"), width=2.4),
            ),
            rows=tuple(
                cells(
                    gap.meter,
                    p.plain.moment(gap.start_ms, zone),
                    p.plain.moment(gap.end_ms, zone),
                    p.plain.age(gap.end_ms - gap.start_ms),
                    _treatment(gap.bridged, gap.flags, p),
                )
                for gap in shown
            ),
            note=p("gaps_left", count=left) if left else "",
        ),
    )


def _treatment(bridged: bool, flags: tuple[str, ...], p: Prose) -> str:
    said = [p("bridged" if bridged else "not_bridged")]
    said += [
        p.plain(f"flag_{flag}") if p.plain.has(f"flag_{flag}") else flag
        for flag in flags
        if flag != "bridged"
    ]
    return p.joined(said)


def _meters(report: Report, p: Prose) -> tuple[Block, ...]:
    if not report.meters:
        return (Paragraph(text=p("no_meters")),)
    return (
        Table(
            caption=p("meters_table"),
            columns=(
                Column(name=p("meter"), width=1.9),
                Column(name=p("commodity"), width=1.2),
                Column(name=p("location"), width=1.7),
                Column(name=p("accuracy"), width=1.1),
                Column(name=p("counts_in"), width=2),
                Column(name=p("coverage"), number=True, width=1.2),
                Column(name=p("method"), width=1.5),
            ),
            rows=tuple(
                (
                    Cell(text=each.id, sub=each.name if each.name != each.id else "", strong=True),
                    Cell(text=p.record.name(each.commodity)),
                    Cell(text=each.location or DASH),
                    Cell(text=each.accuracy or p("unknown")),
                    Cell(text=p.some(each.terms, 4) or DASH),
                    Cell(text=p.share(each.coverage)),
                    Cell(
                        text=p.plain(key)
                        if p.plain.has(key := f"basis_{each.method}")
                        else each.method or DASH,
                        sub=p.plain(f"grade_{each.grade}"),
                    ),
                )
                for each in report.meters[:_ROWS]
            ),
            note=p("rows_left", count=len(report.meters) - _ROWS)
            if len(report.meters) > _ROWS
            else "",
        ),
    )


def _events(report: Report, p: Prose, zone: tzinfo) -> tuple[Block, ...]:
    if not report.events:
        return (Paragraph(text=p("no_events")),)
    shown = report.events[:_ROWS]
    left = len(report.events) - len(shown)
    return (
        Table(
            caption=p("events_table"),
            columns=(
                Column(name=p("entry"), number=True, width=0.8),
                Column(name=p("meter"), width=1.6),
                Column(name=p("event"), width=1.5),
                Column(name=p("from"), width=1.5),
                Column(name=p("text"), width=2.4),
                Column(name=p("signatory"), width=1.8),
                Column(name=p("document"), width=1.3),
            ),
            rows=tuple(_event(each, p, zone) for each in shown),
            note=p("rows_left", count=left) if left else "",
        ),
    )


def _event(each: MeterEvent, p: Prose, zone: tzinfo) -> tuple[Cell, ...]:
    until = "" if each.end_ms is None else p("until", moment=p.plain.moment(each.end_ms, zone))
    confirmed = (
        p("confirmed_by", name=each.confirmed_by) if each.confirmed_by else p("not_confirmed")
    )
    return (
        Cell(text=p.number(each.entry) if each.entry else DASH),
        Cell(text=each.meter),
        Cell(
            text=p.name(f"entry_{each.kind}") if f"entry_{each.kind}" in p.own.names else each.kind
        ),
        Cell(text=p.plain.moment(each.start_ms, zone), sub=until),
        Cell(text=each.text or DASH),
        Cell(text=each.signatory or DASH, sub=confirmed),
        Cell(text=each.document or DASH),
    )


def _restated(report: Report, p: Prose) -> tuple[Block, ...]:
    if not report.restated:
        return (Paragraph(text=p("nothing_restated")),)
    return (
        Table(
            caption=p("restated_table"),
            columns=(
                Column(name=p("figure"), width=1.6),
                Column(name=p("before"), number=True, width=1.3),
                Column(name=p("after"), number=True, width=1.3),
                Column(name=p("why"), width=3),
                Column(name=p("signatory"), width=1.8),
                Column(name=p("published_before"), width=1.1),
            ),
            rows=tuple(
                (
                    Cell(text=p.figure(each.figure), sub=each.quarter, strong=True),
                    Cell(text=_precise(each.before, each.unit, p)),
                    Cell(text=_precise(each.after, each.unit, p), strong=True),
                    Cell(text=each.why or DASH),
                    Cell(text=each.signatory or DASH, sub=p.plain.day(each.day)),
                    Cell(text=p.record.name("yes" if each.published else "no")),
                )
                for each in report.restated[:_ROWS]
            ),
            note=p("rows_left", count=len(report.restated) - _ROWS)
            if len(report.restated) > _ROWS
            else "",
        ),
    )


def _precise(value: float | None, unit: str, p: Prose) -> str:
    if value is None:
        return p("not_measured")
    shown = p.number(0.0, unit)[1:]
    return f"{p.plain.plain(value, 7)}{shown}"


def versions(report: Report, p: Prose) -> Section:
    """Section 9: what the same figures come from again."""
    record = report.record
    facts = [
        (p("policy_version"), record.policy_version),
        (p("policy_hash"), record.policy_hash or record.assessment.policy_digest),
        (p("data_hash"), data_hash(report)),
        (p("software"), report.software or p("unknown")),
        (p("form"), p.number(report.form)),
        (
            p("chain_head") if report.revision else p("chain_head_open"),
            p("no_chain_head") if report.chain_head in {"", START} else report.chain_head,
        ),
    ]
    rules = Table(
        caption=p("rules_table"),
        columns=(
            Column(name=p("rule"), width=1.2),
            Column(name=p("formula"), width=2.6),
            Column(name=p("reference"), width=3.4),
            Column(name=p("rule_status"), width=1.4),
        ),
        rows=tuple(
            cells(each.id, each.formula, p.text_of(each.reference), p.plain(f"rule_{each.status}"))
            for each in report.rules
            if each.status is not RuleStatus.MEMORY
        ),
    )
    blocks: list[Block] = [facts_table(p("versions"), facts, p), rules]
    if report.factors:
        blocks.append(
            Table(
                caption=p("factors_table"),
                columns=(
                    Column(name=p("subject"), width=1.6),
                    Column(name=p("value"), number=True, width=1.4),
                    Column(name=p("factor_scope"), width=1.3),
                    Column(name=p("source"), width=3.2),
                    Column(name=p("vintage"), width=1),
                ),
                rows=tuple(
                    cells(
                        each.subject,
                        f"{p.plain.plain(each.value)}\u00a0{each.unit}",
                        p.name(each.scope),
                        each.source,
                        each.vintage or DASH,
                    )
                    for each in report.factors
                ),
                note=p("factors_note"),
            )
        )
    else:
        blocks.append(Paragraph(text=p("no_factors")))
    if record.registers:
        blocks.append(
            Table(
                caption=p("registers_table"),
                columns=(Column(name=p("register")), Column(name="SHA-256", width=4)),
                rows=tuple(
                    cells(name, digest) for name, digest in sorted(record.registers.items())
                ),
            )
        )
    return Section(id="versions", title=p("section_versions"), blocks=tuple(blocks))


def calendar(report: Report, p: Prose) -> Section:
    """Section 10: what is due next, by which law."""
    if not report.calendar:
        return Section(
            id="calendar",
            title=p("section_calendar"),
            blocks=(Paragraph(text=p("no_calendar")),),
        )
    return Section(
        id="calendar",
        title=p("section_calendar"),
        blocks=(
            Table(
                caption=p("calendar_table"),
                columns=(
                    Column(name=p("day"), width=1.3),
                    Column(name=p("what"), width=4),
                    Column(name=p("basis"), width=3),
                ),
                rows=tuple(
                    (
                        Cell(text=p.plain.day(each.day), strong=True),
                        Cell(text=deadline(each.key, p)),
                        Cell(text=p.text_of(each.basis) or DASH),
                    )
                    for each in sorted(report.calendar, key=lambda each: (each.day, each.key))
                ),
            ),
        ),
    )


def deadline(key: str, p: Prose) -> str:
    """A date of the calendar in words."""
    return p(f"deadline_{key}") if p.has(f"deadline_{key}") else key


def signatures(report: Report, p: Prose) -> Section:
    """Section 11: who closed, who approved, who published; lines to sign where nobody did."""
    zone = zone_of(report.quarter.kpis.time_zone)
    rows = []
    for act, signed in (
        ("closed", report.closed),
        ("approved", report.approved),
        ("published", report.published),
    ):
        if signed is None:
            rows.append(cells(p(f"act_{act}"), *[p("to_sign")] * 3))
        else:
            moment = p.plain.moment(signed.at_ms, zone)
            rows.append(cells(p(f"act_{act}"), signed.by, moment, signed.note or DASH))
    return Section(
        id="signatures",
        title=p("section_signatures"),
        blocks=(
            Paragraph(text=p("two_people_note")),
            Table(
                caption=p("signatures_table"),
                columns=(
                    Column(name=p("act"), width=2),
                    Column(name=p("name_role"), width=3),
                    Column(name=p("day"), width=2),
                    Column(name=p("note"), width=3),
                ),
                rows=tuple(rows),
            ),
        ),
    )
