"""The overview of a quarter's record, and the site's criteria."""

from typing import Any, Final

from jauge_models.compliance.policy import Reading
from jauge_models.compliance.results import Shares
from jauge_models.compliance.status import CriterionResult, Result
from jauge_models.effectiveness import Kpi

from jauge_collector.console.compliance_scope import Seen
from jauge_collector.console.compliance_words import (
    Asked,
    basis,
    criterion_name,
    first_line,
    frame,
    joined,
    kwh,
    reason,
    result_cell,
    share,
    state_cell,
    status_cell,
)
from jauge_collector.console.records import Found
from jauge_collector.console.rendering import Cell, Column, Fact, Glance, Table
from jauge_collector.console.text import Language

_MOST_BODIES: Final = 50
_MOST_NAMED: Final = 6


def overview(asked: Asked, found: Found, seen: Seen) -> dict[str, Any]:
    """What the overview's template needs."""
    language, record = asked.visit.language, found.record
    whole = seen.whole
    return {
        **frame(asked, "", found),
        "from_to": language(
            "record_days",
            start=language.day(record.start),
            end=language.day(record.as_of),
        ),
        "withheld": "" if whole else language("record_own_servers"),
        "glance": _glance(asked, seen),
        "results": _results(asked, seen),
        "notes": _notes(language, found, seen) if whole else [],
        "blocking": _blocking(asked, seen),
        "goals": _goals(asked, found, seen),
        "milestones": _milestones(asked, found) if whole else None,
        "forecast": _forecast(asked, found) if whole else None,
        "history": _history(asked, found) if whole else None,
        "bodies": _groups(asked, "body", record.bodies) if whole else None,
        "tenants": _groups(asked, "tenant", record.tenants) if whole else None,
        "indicators": _indicators(asked, found) if whole else None,
        "facts": _facts(asked, found),
    }


def _glance(asked: Asked, seen: Seen) -> list[Glance]:
    language = asked.visit.language
    shown, said = seen.of(Result.DEMONSTRATED), seen.of(Result.DECLARED)
    blocking = seen.record.shares.blocking if seen.total else ()
    state = state_cell(language, asked.site, asked.standing)
    to_servers = asked.link("servers")
    return [
        Glance(
            language("demonstrated_servers"),
            share(asked, shown.servers_share),
            first_line(seen, language),
            href=to_servers,
        ),
        Glance(
            language("declared_beside"),
            share(asked, said.servers_share),
            language("never_added", count=language.number(said.servers)),
        ),
        Glance(
            language("own_criteria"),
            share(asked, seen.own_share),
            language("own_criteria_sub", count=language.number(seen.own)),
        ),
        Glance(
            language("blocking_criteria"),
            ", ".join(each.criterion for each in blocking) or language("nothing_blocks"),
            href=asked.link("criteria") if blocking else "",
        ),
        Glance(language("quarter_state"), state.text, state.sub, state.chip),
    ]


def _results(asked: Asked, seen: Seen) -> Table:
    language = asked.visit.language
    rows = []
    for each in seen.counts:
        row = [
            result_cell(asked, each.result),
            Cell(language.number(each.servers)),
            Cell(share(asked, each.servers_share)),
            Cell(kwh(language, each.kwh)),
            Cell(share(asked, each.kwh_share)),
        ]
        if each.racks is not None:
            row += [Cell(language.number(each.racks)), Cell(share(asked, each.racks_share))]
        rows.append(row)
    names = ["servers_count", "servers_share", "kwh_count", "kwh_share"]
    names += ["racks_count", "racks_share"] if seen.whole else []
    columns = [Column(language("result")), *(Column(language(n), number=True) for n in names)]
    return Table(language("results"), columns, rows)


def _notes(language: Language, found: Found, seen: Seen) -> list[str]:
    """What qualifies the shares and must be read with them."""
    record = found.record
    head, more = record.headline, record.assessment
    notes = []
    if not seen.total:
        notes.append(language("no_servers_at_all"))
    elif not found.record.is_listed:
        notes.append(language("nothing_listed", count=language.number(head.total)))
    if head.kwh_unknown:
        notes.append(language("kwh_unknown", count=language.number(head.kwh_unknown)))
    if head.racks_unknown:
        notes.append(language("racks_unknown", count=language.number(head.racks_unknown)))
    if more.removals:
        names = ", ".join(each.server for each in more.removals[:_MOST_BODIES])
        notes.append(language("removed_servers", servers=names))
    if more.left_out:
        notes.append(language("left_out_servers", count=language.number(len(more.left_out))))
    if more.clouds:
        notes.append(language("cloud_services", count=language.number(len(more.clouds))))
    return notes


def _blocking(asked: Asked, seen: Seen) -> Table:
    language = asked.visit.language
    of_site = {each.criterion: each for each in seen.site}
    rows = [
        [
            Cell(criterion_name(asked, each.criterion)),
            status_cell(asked, of_site[each.criterion]),
            Cell(reason(asked, of_site[each.criterion]) if seen.whole else "–"),
            Cell(language.number(each.machines) if seen.whole else "–"),
        ]
        for each in (seen.record.shares.blocking if seen.total else ())
    ]
    columns = [
        Column(language("criterion")),
        Column(language("criterion_status")),
        Column(language("criterion_reason")),
        Column(language("servers_kept"), number=True),
    ]
    return Table(language("blocking_criteria"), columns, rows)


def _goals(asked: Asked, found: Found, seen: Seen) -> Table:
    """Both readings of the date, never one alone."""
    language, record = asked.visit.language, found.record
    rows = []
    for goal in record.trajectory.goals:
        deadline = goal.deadline
        missing = [
            start for start in record.trajectory.last_starts if start.reading is deadline.reading
        ]
        first = min(missing, key=lambda start: start.day, default=None)
        start = Cell(language("nothing_missing"), chip="good")
        if first is not None:
            start = Cell(
                language.day(first.day),
                joined(
                    [
                        criterion_name(asked, first.criterion),
                        language("date_past") if first.past else "",
                        language("and_others", count=language.number(len(missing) - 1))
                        if len(missing) > 1
                        else "",
                    ]
                ),
            )
        snapshot = Cell(language("not_yet"))
        if goal.snapshot is not None:
            snapshot = Cell(asked.words.share(goal.snapshot.share), language.day(goal.snapshot.day))
        wide = deadline.reading is Reading.WIDE
        row = [
            Cell(language("goal_wide" if wide else "goal_strict")),
            Cell(language.day(deadline.day)),
            Cell(language.day(deadline.last_measured)),
        ]
        rows.append([*row, start, snapshot] if seen.whole else row)
    names = ["goal_reading", "goal_by", "goal_measured", "goal_start", "goal_snapshot"]
    names = names if seen.whole else names[:3]
    return Table(language("goal_dates"), [Column(language(name)) for name in names], rows)


def _milestones(asked: Asked, found: Found) -> Table:
    """Those of the policy, for the whole site's share."""
    language = asked.visit.language
    rows = [
        [
            Cell(language.day(each.day)),
            Cell(asked.words.share(each.share)),
            Cell(each.note or "–"),
        ]
        for goal in found.record.trajectory.goals[-1:]
        for each in goal.milestones
    ]
    columns = [
        Column(language("milestone_day")),
        Column(language("milestone_share"), number=True),
        Column(language("milestone_note")),
    ]
    return Table(language("milestones"), columns, rows)


def _forecast(asked: Asked, found: Found) -> Table:
    language = asked.visit.language
    rows = [
        [
            Cell(language.day(step.point.day)),
            Cell(language.number(step.point.demonstrated)),
            Cell(asked.words.share(step.point.share)),
            Cell(", ".join(step.criteria[:_MOST_NAMED]), _more(language, len(step.criteria))),
        ]
        for step in found.record.trajectory.forecast[1:][:_MOST_BODIES]
    ]
    columns = [
        Column(language("forecast_day")),
        Column(language("demonstrated_count"), number=True),
        Column(language("servers_share"), number=True),
        Column(language("forecast_done")),
    ]
    return Table(language("forecast"), columns, rows)


def _more(language: Language, count: int) -> str:
    more = count - _MOST_NAMED
    return language("and_others", count=language.number(more)) if more > 0 else ""


def _history(asked: Asked, found: Found) -> Table:
    language = asked.visit.language
    rows = [
        [
            Cell(language.day(point.day)),
            Cell(language.number(point.demonstrated)),
            Cell(asked.words.share(point.share)),
            Cell(language.number(point.declared)),
            Cell(language.number(point.total)),
        ]
        for point in found.record.trajectory.history
    ]
    columns = [
        Column(language("history_day")),
        Column(language("demonstrated_count"), number=True),
        Column(language("servers_share"), number=True),
        Column(language("declared_count"), number=True),
        Column(language("servers_count"), number=True),
    ]
    return Table(language("share_history"), columns, rows)


def _groups(asked: Asked, kind: str, groups: dict[str, Shares]) -> Table:
    """One share per body or tenant."""
    language = asked.visit.language
    rows = []
    for name, each in list(groups.items())[:_MOST_BODIES]:
        counts = each.servers
        cells = [
            Cell(name or language("nobody_known")),
            Cell(asked.words.share(counts.share())),
            Cell(language.number(counts.amounts.get(Result.DEMONSTRATED, 0))),
            Cell(language.number(counts.amounts.get(Result.DECLARED, 0))),
            Cell(language.number(counts.total)),
            Cell(asked.words.share(each.own.share())),
        ]
        rows.append(cells)
    columns = [
        Column(language(f"group_{kind}")),
        *(
            Column(language(key), number=True)
            for key in (
                "servers_share",
                "demonstrated_count",
                "declared_count",
                "servers_count",
                "own_criteria",
            )
        ),
    ]
    more = max(0, len(groups) - _MOST_BODIES)
    return Table(language(f"groups_{kind}"), columns, rows, more)


def _indicators(asked: Asked, found: Found) -> Table:
    language = asked.visit.language
    rows = [_indicator(asked, each) for each in (*found.record.pue, *found.record.wue)]
    columns = [
        Column(language("indicator")),
        Column(language("value"), number=True),
        Column(language("coverage"), number=True),
        Column(language("attested"), number=True),
    ]
    return Table(language("indicators"), columns, rows)


def _indicator(asked: Asked, each: Kpi) -> list[Cell]:
    language = asked.visit.language
    name = language.label(each.label)
    if each.value is None:
        why = language.reason(each.reason or "")
        return [Cell(name), Cell(language("not_measured")), Cell("–"), Cell("–", why)]
    unit = "" if each.unit == "1" else f"\u00a0{each.unit.replace('m3', 'm³')}"
    return [
        Cell(name),
        Cell(language.number(each.value, 3) + unit),
        Cell(language.percent(each.coverage)),
        Cell(language.percent(each.attested_share)),
    ]


def _facts(asked: Asked, found: Found) -> list[Fact]:
    language, record = asked.visit.language, found.record
    digest = record.policy_hash or record.assessment.policy_digest
    facts = [
        Fact(
            language("goal_reading"),
            joined([record.goal_reading, record.edition or language("no_edition")]),
        ),
        Fact(
            language("policy"),
            language("version_digest", version=record.policy_version, digest=digest[:12]),
        ),
    ]
    if asked.standing.data_hash:
        facts.append(Fact(language("data_digest"), asked.standing.data_hash[:12]))
        facts.append(Fact(language("edition_number"), str(asked.standing.revision)))
    return facts


def criteria(asked: Asked, found: Found, seen: Seen) -> dict[str, Any]:
    """What the template of the site's criteria needs."""
    language = asked.visit.language
    return {
        **frame(asked, "criteria", found),
        "withheld": "" if seen.whole else language("record_site_withheld"),
        "table": criteria_table(asked, seen.site, "site_criteria", whole=seen.whole),
    }


def criteria_table(
    asked: Asked, rows: tuple[CriterionResult, ...], caption: str, *, whole: bool
) -> Table:
    """Criteria with status, reason, evidence and what they rest on."""
    language = asked.visit.language
    columns = [
        Column(language(key))
        for key in (
            "criterion",
            "criterion_status",
            "criterion_reason",
            "criterion_evidence",
            "criterion_basis",
        )
    ]
    cells = [
        [
            Cell(criterion_name(asked, each.criterion)),
            status_cell(asked, each),
            Cell(reason(asked, each) if whole else "–"),
            _evidence(language, each),
            basis(asked, each),
        ]
        for each in rows
    ]
    return Table(language(caption), columns, cells)


def _evidence(language: Language, each: CriterionResult) -> Cell:
    names = each.evidence
    if not names:
        return Cell("–")
    return Cell(", ".join(names[:_MOST_NAMED]), _more(language, len(names)))
