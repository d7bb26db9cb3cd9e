"""Section 3: the way to the goal, with both readings of its date.

Points are of closed quarters; a forecast is today's record with its dated actions done, never a
regression. A straight line is drawn by the policy's rule alone and is called the project's own.
"""

from typing import Final

from jauge_models.compliance.trajectory import Goal, LastStart

from jauge_collector.reports import charts
from jauge_collector.reports.content import Report
from jauge_collector.reports.document import (
    Block,
    Cell,
    Column,
    Paragraph,
    Picture,
    Section,
    Table,
    cells,
)
from jauge_collector.reports.prose import DASH, Prose
from jauge_collector.reports.sections.opening import dates

_UNLOCKS: Final = 8
_STARTS: Final = 12


def way(report: Report, p: Prose) -> Section:
    """Section 3: points of closed quarters, both dates, milestones, forecast, what unlocks."""
    found = report.record.trajectory
    blocks: list[Block] = [Paragraph(text=dates(report, p))]
    if report.record.headline.total:
        blocks.append(way_picture(report, p))
    points = [
        (
            p.plain.day(point.day),
            p("kind_actual"),
            point.demonstrated,
            point.declared,
            point.total,
            point.share,
            DASH,
        )
        for point in found.history
    ]
    points += [
        (
            p.plain.day(step.point.day),
            p("kind_today") if at == 0 else p("kind_forecast"),
            step.point.demonstrated,
            step.point.declared,
            step.point.total,
            step.point.share,
            p.some(step.criteria, 4) or DASH,
        )
        for at, step in enumerate(found.forecast)
    ]
    blocks.append(
        Table(
            caption=p("points"),
            columns=(
                Column(name=p("day"), width=1.3),
                Column(name=p("kind"), width=1.3),
                Column(name=p("demonstrated"), number=True),
                Column(name="%", number=True),
                Column(name=p("declared"), number=True),
                Column(name=p("servers"), number=True),
                Column(name=p("due"), width=2.4),
            ),
            rows=tuple(
                cells(
                    day,
                    kind,
                    p.number(demonstrated),
                    p.share(share),
                    p.number(declared),
                    p.number(total),
                    due,
                )
                for day, kind, demonstrated, declared, total, share, due in points
            ),
            note=p("forecast_note"),
        )
    )
    blocks += _milestones(found.goals, p)
    blocks += _starts(found.last_starts, p)
    blocks += _unlocks(report, p)
    return Section(id="way", title=p("section_way"), blocks=tuple(blocks))


def way_picture(report: Report, p: Prose) -> Picture:
    """The trajectory with both readings of the date."""
    found = report.record.trajectory
    actual = [
        charts.Mark(point.day, point.share) for point in found.history if point.share is not None
    ]
    steps = [
        charts.Mark(step.point.day, step.point.share)
        for step in found.forecast
        if step.point.share is not None
    ]
    if steps and (not actual or actual[-1].day < steps[0].day):
        actual.append(steps[0])
    last = found.goals[-1] if found.goals else None
    milestones = last.milestones if last else ()
    text = charts.trajectory(
        charts.Way(
            actual=actual,
            planned=steps[1:],
            milestones=[charts.Mark(each.day, each.share) for each in milestones],
            line=[charts.Mark(each.day, each.share) for each in (last.line if last else ())],
            deadlines=[
                (
                    goal.deadline.day,
                    p(f"goal_mark_{goal.deadline.reading}", day=p.numeric(goal.deadline.day)),
                )
                for goal in found.goals
            ],
            names=(p("key_actual"), p("key_planned"), p("key_milestones"), p("key_line")),
        ),
        percent=lambda share: p.plain.percent(share, 0),
        day=p.numeric,
    )
    said = [p("point_alt", day=mark.day, share=mark.share) for mark in (*actual, *steps[1:])]
    dates = [p.plain.day(goal.deadline.day) for goal in found.goals]
    return Picture(
        svg=text,
        alt=p("way_alt", points=p.joined(said[:12]), dates=", ".join(dates)),
        caption=p("way_caption"),
    )


def _milestones(goals: tuple[Goal, ...], p: Prose) -> list[Block]:
    if any(goal.line for goal in goals):
        return [Paragraph(text=p("line_rule"), tone="note")]
    milestones = goals[-1].milestones if goals else ()
    if not milestones:
        return [Paragraph(text=p("no_milestones"), tone="note")]
    return [
        Table(
            caption=p("milestones"),
            columns=(
                Column(name=p("day")),
                Column(name=p("aimed"), number=True),
                Column(name=p("note"), width=4),
            ),
            rows=tuple(
                cells(p.plain.day(each.day), p.share(each.share), each.note or DASH)
                for each in milestones
            ),
        )
    ]


def _starts(starts: tuple[LastStart, ...], p: Prose) -> list[Block]:
    if not starts:
        return []
    return [
        Table(
            caption=p("starts"),
            columns=(
                Column(name=p("criterion"), width=2.6),
                Column(name=p("reading_of_date")),
                Column(name=p("start_by"), width=1.4),
                Column(name=p("meters"), width=2),
                Column(name=p("servers"), number=True),
            ),
            rows=tuple(
                (
                    Cell(text=f"{each.criterion} {p.record.criteria[each.criterion]}"),
                    Cell(text=p.name(each.reading)),
                    Cell(
                        text=p.plain.day(each.day),
                        sub=p("past") if each.past else "",
                        strong=each.past,
                    ),
                    Cell(text=p.some(each.evidence, 4) or DASH),
                    Cell(text=p.number(each.machines) if each.machines else DASH),
                )
                for each in starts[:_STARTS]
            ),
            note=p("starts_note"),
        )
    ]


def _unlocks(report: Report, p: Prose) -> list[Block]:
    found = [each for each in report.record.trajectory.unlocks if each.blocked][:_UNLOCKS]
    if not found:
        return []
    return [
        Table(
            caption=p("unlocks"),
            columns=(
                Column(name=p("criteria"), width=3),
                Column(name=p("would_demonstrate"), number=True, width=1.3),
                Column(name=p("would_declare"), number=True, width=1.3),
                Column(name=p("keeps"), number=True, width=1.3),
                Column(name="kWh", number=True),
            ),
            rows=tuple(
                cells(
                    _named(each.criteria, p),
                    p.number(each.demonstrated),
                    p.number(each.declared_if_attested),
                    p.number(each.blocked),
                    p.number(each.kwh),
                )
                for each in found
            ),
            note=p("unlocks_note"),
        )
    ]


def _named(criteria: tuple[str, ...], p: Prose) -> str:
    """One criterion by its title; of several the numbers alone."""
    if len(criteria) > 1:
        return ", ".join(criteria)
    return f"{criteria[0]} {p.record.criteria[criteria[0]]}"
