"""The record as text for people: the headline with what qualifies it, then every server."""

from collections.abc import Iterator, Sequence
from typing import Final

from jauge_models.compliance.criteria import CORE
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Result
from jauge_models.effectiveness import Kpi

from jauge_collector.compliance.record import Record
from jauge_collector.compliance.words import Words

_PASSING: Final = (Result.DECLARED, Result.NOT_APPLICABLE)
"""Results of servers that nothing fails, but that something keeps from being demonstrated."""


def report(record: Record, words: Words) -> Iterator[str]:
    """Its lines, without line ends."""
    yield from _heading(record, words)
    yield ""
    yield from _headline(record, words)
    yield ""
    yield from _site(record, words)
    yield ""
    yield from _goal(record, words)
    if record.assessment.servers:
        yield ""
        yield from aligned(
            [
                (words("server"), words("rack"), words("result"), words("blocking")),
                *(_server(outcome, record, words) for outcome in record.assessment.servers),
            ]
        )
    yield from _beside(record, words)


def _heading(record: Record, words: Words) -> Iterator[str]:
    yield words("title", title=record.title, site=record.site, quarter=record.quarter)
    yield words("as_of", start=record.start, day=record.as_of)
    if record.simulated:
        yield words("simulated")
    if record.note:
        yield record.note
    if record.running or not record.policy_approved:
        yield words("provisional")
    if record.running:
        yield words("running")
    if not record.policy_approved:
        yield words("unapproved")
    digest = record.policy_hash or record.assessment.policy_digest
    yield words("policy", version=record.policy_version, digest=digest[:12])


def _headline(record: Record, words: Words) -> Iterator[str]:
    head = record.headline
    if not head.total:
        yield words("no_servers")
        return
    rows = [("", words("servers"), "%", "kWh", "%", words("racks"), "%")]
    for result, share in head.results.items():
        rows.append(
            (
                words.name(result),
                str(share.servers),
                words.share(share.servers_share),
                "–" if share.kwh is None else words.plain.number(share.kwh),
                words.share(share.kwh_share),
                str(share.racks),
                words.share(share.racks_share),
            )
        )
    yield from aligned(rows, figures=True)
    if not record.is_listed:
        yield words("nothing_listed", count=head.total)
        return
    yield words("own", count=head.own_demonstrated, total=head.total, share=head.own_share or 0.0)
    if head.kwh_unknown:
        yield words("kwh_unknown", count=head.kwh_unknown)
    if head.racks_unknown:
        yield words("racks_unknown", count=head.racks_unknown)


def _site(record: Record, words: Words) -> Iterator[str]:
    of_site = {each.criterion: each for each in record.assessment.sites.get(record.site, ())}
    blocking = record.shares.blocking
    if blocking or record.headline.total:  # without a machine nothing can be blocked
        yield words("site_blocks" if blocking else "site_free")
    for each in blocking:
        yield f"  {_said(of_site[each.criterion], words)}"
    for kpi in (*record.pue, *record.wue):
        yield f"  {_kpi(kpi, words)}"
    if record.unconfirmed:
        yield words("unconfirmed", count=record.unconfirmed)


def _kpi(kpi: Kpi, words: Words) -> str:
    unit = "" if kpi.unit == "1" else f" {kpi.unit}"
    if kpi.value is None:
        return words("kpi_none", label=kpi.label, reason=kpi.reason or "")
    return words(
        "kpi",
        label=kpi.label,
        value=words.plain.number(kpi.value, 3) + unit,
        coverage=kpi.coverage,
        attested=kpi.attested_share,
    )


def _goal(record: Record, words: Words) -> Iterator[str]:
    edition = record.edition or words("no_edition")
    yield words("reading", reading=record.goal_reading, edition=edition)
    for goal in record.trajectory.goals:
        deadline = goal.deadline
        yield words(f"goal_{deadline.reading}", day=deadline.day, last=deadline.last_measured)
        for start in record.trajectory.last_starts:
            if start.reading is deadline.reading:
                key = "start_past" if start.past else "start_by"
                yield "  " + words(
                    key,
                    criterion=start.criterion,
                    title=words.criteria[start.criterion],
                    day=start.day,
                )
    for goal in record.trajectory.goals[-1:]:
        for milestone in goal.milestones:
            yield words(
                "milestone", day=milestone.day, share=milestone.share, note=milestone.note or "–"
            )
    for step in record.trajectory.forecast[1:]:
        yield words(
            "forecast",
            day=step.point.day,
            count=step.point.demonstrated,
            total=step.point.total,
            criteria=step.criteria,
        )


def _server(outcome: Outcome, record: Record, words: Words) -> tuple[str, ...]:
    machine = outcome.machine
    first = first_blocking(outcome, record)
    return (
        machine.id,
        machine.rack or "–",
        words.name(outcome.result),
        "" if first is None else _said(first, words),
    )


def first_blocking(outcome: Outcome, record: Record) -> CriterionResult | None:
    """The core criterion that a server lacks most for its result, the first of the worst.

    Of V2 it is that of the site which blocks, for « hosted in a site » says nothing to do.
    """
    if outcome.result is Result.DEMONSTRATED:
        return None
    core = [each for each in outcome.criteria if each.criterion in CORE]
    worst = _worst(core)
    if worst is None or worst.criterion != "V2" or outcome.result in _PASSING:
        return worst
    named = worst.reason.values.get("criteria", ())
    of_site = record.assessment.sites.get(record.site, ())
    return (
        _worst([each for each in of_site if isinstance(named, tuple) and each.criterion in named])
        or worst
    )


def _worst(criteria: Sequence[CriterionResult]) -> CriterionResult | None:
    ranks = ("not_met", "not_measured", "not_applicable", "met_attested")
    for rank in ranks:
        for each in criteria:
            if each.status == rank:
                return each
    return None


def _said(each: CriterionResult, words: Words) -> str:
    notes = "".join(f" [{words(note.kind, day=note.day)}]" for note in each.annotations)
    text = words(
        "criterion",
        criterion=each.criterion,
        title=words.criteria[each.criterion],
        status=words.name(each.status),
        reason=words.reason(each.reason),
    )
    return text + notes


def _beside(record: Record, words: Words) -> Iterator[str]:
    found = record.assessment
    if found.removals:
        yield ""
        for gone in found.removals:
            yield words("removed", server=gone.server, day=gone.day, why=gone.reason or "–")
    if found.left_out:
        yield ""
        yield words("left_out", servers=tuple(each.id for each in found.left_out))
    if found.clouds:
        yield ""
        for line in found.clouds:
            yield words("cloud", service=line.cloud.service, result=words.name(line.result))
    if record.notes:
        yield ""
        yield words("notes")
        yield from (f"  {words.note(note)}" for note in record.notes)


def aligned(rows: Sequence[tuple[str, ...]], *, figures: bool = False) -> Iterator[str]:
    """Columns side by side; with ``figures`` all but the first to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if figures and at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
