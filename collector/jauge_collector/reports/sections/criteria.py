"""Sections 6 and 7 and the annex: every criterion, what is not met and by whose doing it ends.

A practice's number is printed only where the officer's register holds it with edition and page;
else « pratique à référencer ».
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from jauge_models.compliance.criteria import CORE, SERVER_CRITERIA
from jauge_models.compliance.evidence import Action, Effect
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Result, Status

from jauge_collector.compliance.record import Record
from jauge_collector.compliance.report import first_blocking
from jauge_collector.reports.content import Report
from jauge_collector.reports.document import (
    Block,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    cells,
)
from jauge_collector.reports.prose import DASH, Prose
from jauge_collector.reports.write import stem

ANNEX_ROWS: Final = 100
"""Rows of the list of servers; all are in ``servers.csv`` of the tables."""
SERVERS_FILE: Final = "servers.csv"
_NAMED: Final = 12
_EVIDENCE: Final = 4


def criteria(report: Report, p: Prose) -> Section:
    """Section 6: the site's criteria with evidence, and how many servers meet each of theirs."""
    record = report.record
    of_site = record.assessment.sites.get(record.site, ())
    site = Table(
        caption=p("site_criteria"),
        columns=(
            Column(name=p("criterion"), width=2.5),
            Column(name=p("status"), width=1.4),
            Column(name=p("why"), width=3.6),
            Column(name=p("evidence"), width=1.8),
            Column(name=p("basis"), width=2.4),
        ),
        rows=tuple(
            (
                Cell(text=f"{each.criterion} {record_title(each, p)}", strong=True),
                status_cell(each, p),
                Cell(text=p.record.reason(each.reason)),
                Cell(text=p.some(each.evidence, _EVIDENCE) or DASH),
                Cell(text=_basis(each, p)),
            )
            for each in of_site
        ),
    )
    blocks: list[Block] = [site]
    blocks.append(_of_servers(report, p))
    blocks.append(Paragraph(text=p("criteria_note", core=CORE), tone="note"))
    return Section(id="criteria", title=p("section_criteria"), blocks=tuple(blocks))


def record_title(each: CriterionResult, p: Prose) -> str:
    """A criterion's title."""
    return p.record.criteria[each.criterion]


def status_cell(each: CriterionResult, p: Prose) -> Cell:
    """A status with its annotations, which are never a pass."""
    notes = p.joined(p.record(note.kind, day=note.day) for note in each.annotations)
    return Cell(text=p.record.name(each.status), sub=notes, strong=each.status is Status.NOT_MET)


def _basis(each: CriterionResult, p: Prose) -> str:
    text = p.basis(each.basis, project=each.project, status=each.rule_status)
    if each.numbers:
        text = p("practices", basis=text, numbers=each.numbers)
    return text


def _of_servers(report: Report, p: Prose) -> Table:
    counts: dict[str, Counter[Status]] = {row.id: Counter() for row in SERVER_CRITERIA}
    for outcome in report.record.assessment.servers:
        for each in outcome.criteria:
            counts[each.criterion][each.status] += 1
    return Table(
        caption=p("server_criteria"),
        columns=(
            Column(name=p("criterion"), width=3.4),
            *(Column(name=p.record.name(status), number=True) for status in Status),
        ),
        rows=tuple(
            (
                Cell(text=f"{name} {p.record.criteria[name]}", strong=name in CORE),
                *cells(*(p.number(found[status]) for status in Status)),
            )
            for name, found in counts.items()
        ),
    )


class _Group(NamedTuple):
    """Servers that the same criterion blocks first."""

    criterion: CriterionResult
    servers: list[Outcome]


def nonconformities(report: Report, p: Prose) -> Section:
    """Section 7: cause, owner and date of whatever is not met or not measured."""
    record = report.record
    of_site = record.assessment.sites.get(record.site, ())
    failing = [each for each in of_site if not _settled(each)]
    blocks: list[Block] = []
    if failing:
        blocks.append(
            _failing(
                p("site_failing"),
                [
                    (
                        Cell(text=f"{each.criterion} {record_title(each, p)}", strong=True),
                        status_cell(each, p),
                        Cell(text=p.record.reason(each.reason)),
                        *_doing([a for a in record.actions if a.criterion == each.criterion], p),
                    )
                    for each in failing
                ],
                p,
            )
        )
    groups = _groups(report)
    if groups:
        rows = [
            (
                Cell(
                    text=f"{group.criterion.criterion} {record_title(group.criterion, p)}",
                    sub=p("servers_count", count=len(group.servers)),
                    strong=True,
                ),
                status_cell(group.criterion, p),
                Cell(
                    text=_cause(group, p),
                    sub=p.some(tuple(each.machine.id for each in group.servers), _NAMED),
                ),
                *_doing(_actions(group, record), p),
            )
            for group in groups
        ]
        blocks.append(_failing(p("servers_failing"), rows, p))
    if not blocks:
        blocks.append(Paragraph(text=p("nothing_failing")))
    return Section(id="nonconformities", title=p("section_nonconformities"), blocks=tuple(blocks))


def _settled(each: CriterionResult) -> bool:
    return each.status.passes or each.status is Status.NOT_APPLICABLE


def _failing(caption: str, rows: Sequence[tuple[Cell, ...]], p: Prose) -> Table:
    return Table(
        caption=caption,
        columns=(
            Column(name=p("criterion"), width=2.5),
            Column(name=p("status"), width=1.4),
            Column(name=p("cause"), width=4.2),
            Column(name=p("owner"), width=1.8),
            Column(name=p("due_date"), width=1.5),
        ),
        rows=tuple(rows),
    )


def _doing(actions: list[Action], p: Prose) -> tuple[Cell, Cell]:
    if not actions:
        return Cell(text=p("nobody_yet"), strong=True), Cell(text=p("no_date"))
    owners = tuple(dict.fromkeys(each.owner for each in actions))
    last = max(actions, key=lambda each: each.day)
    later = last.effect is Effect.AFTER_TWELVE_MONTHS
    return Cell(text=p.some(owners, 3)), Cell(
        text=p.plain.day(last.day), sub=p("effect_later") if later else ""
    )


def _groups(report: Report) -> list[_Group]:
    """Servers not demonstrated by what blocks them first, the largest group first."""
    found: dict[tuple[str, str], _Group] = {}
    for outcome in report.record.assessment.servers:
        if outcome.result is Result.DEMONSTRATED:
            continue
        first = first_blocking(outcome, report.record)
        if first is None:
            continue
        found.setdefault((first.criterion, first.status), _Group(first, [])).servers.append(outcome)
    return sorted(
        found.values(),
        key=lambda group: (-len(group.servers), group.criterion.criterion, group.criterion.status),
    )


def _cause(group: _Group, p: Prose) -> str:
    """The most frequent causes of a group, with their numbers where there are several."""
    criterion = group.criterion.criterion
    causes: Counter[str] = Counter()
    for outcome in group.servers:
        own = next((each for each in outcome.criteria if each.criterion == criterion), None)
        causes[p.record.reason((own or group.criterion).reason)] += 1
    common = causes.most_common(3)
    if len(causes) == 1:
        return common[0][0]
    said = p.joined(p("cause_count", cause=cause, count=count) for cause, count in common)
    return said if len(causes) == len(common) else p("causes_more", causes=said)


def _actions(group: _Group, record: Record) -> list[Action]:
    """The dated actions on what blocks a group: the servers' own, or their site's."""
    criterion = group.criterion.criterion
    if any(each.criterion == criterion for each in record.assessment.sites.get(record.site, ())):
        return [action for action in record.actions if action.criterion == criterion]
    return [
        action
        for outcome in group.servers
        if outcome.machine.server is not None
        for action in outcome.machine.server.actions
        if action.criterion == criterion
    ]


def servers(report: Report, p: Prose) -> Section:
    """Annex: the servers, those not demonstrated first; all of them are in the CSV file."""
    outcomes = sorted(
        report.record.assessment.servers,
        key=lambda each: (-each.result.rank, each.machine.id),
    )
    if not outcomes:
        return Section(
            id="servers",
            title=p("section_servers"),
            blocks=(Paragraph(text=p.record("no_servers")),),
        )
    shown = outcomes[:ANNEX_ROWS]
    left = len(outcomes) - len(shown)
    return Section(
        id="servers",
        title=p("section_servers"),
        blocks=(
            Table(
                caption=p("servers_table"),
                columns=(
                    Column(name=p("server"), width=2.4),
                    Column(name=p("rack"), width=1.2),
                    Column(name=p("body"), width=1.8),
                    Column(name="kWh", number=True, width=1.1),
                    Column(name=p("result"), width=1.5),
                    Column(name=p("first_blocking"), width=3.6),
                ),
                rows=tuple(_row(each, report, p) for each in shown),
                note=p("servers_left", count=left, file=SERVERS_FILE)
                if left
                else p("servers_all", file=SERVERS_FILE),
                link=f"{stem(report, p.plain.code)}/{SERVERS_FILE}",
            ),
        ),
    )


def _row(outcome: Outcome, report: Report, p: Prose) -> tuple[Cell, ...]:
    machine = outcome.machine
    first = first_blocking(outcome, report.record)
    why = "" if first is None else p.record.reason(first.reason)
    return (
        Cell(text=machine.id),
        Cell(text=machine.rack or DASH),
        Cell(text=machine.owner or p("nobody_known")),
        Cell(text=p.number(machine.energy_kwh)),
        Cell(text=p.record.name(outcome.result), strong=outcome.result is Result.NOT_COMPLIANT),
        Cell(text=DASH)
        if first is None
        else Cell(text=f"{first.criterion} {record_title(first, p)}", sub=why),
    )


def definitions(p: Prose) -> Section:
    """Annex: what the words of the report mean, and what it does not claim."""
    names = [
        *(f"means_{result}" for result in Result),
        "means_core",
        "means_coverage",
        "means_grade",
        "means_interim",
        "means_attributed",
    ]
    return Section(
        id="definitions",
        title=p("section_definitions"),
        blocks=(
            Table(
                caption=p("definitions"),
                columns=(Column(name=p("word"), width=1.6), Column(name=p("meaning"), width=6)),
                rows=tuple(_definition(name, p) for name in names),
            ),
            Paragraph(text=p("not_claimed")),
        ),
    )


def _definition(key: str, p: Prose) -> tuple[Cell, ...]:
    word, _, meaning = p(key).partition(" = ")
    return Cell(text=word, strong=True), Cell(text=meaning)


def blocking_criteria(report: Report) -> Iterator[CriterionResult]:
    """The site's criteria that keep servers from being demonstrated."""
    record = report.record
    asked = {each.criterion for each in record.shares.blocking}
    yield from (
        each for each in record.assessment.sites.get(record.site, ()) if each.criterion in asked
    )
