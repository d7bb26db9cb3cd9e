"""First page and sections 1 and 2: the reading of the goal, the scope, the one figure.

STANDARDS 8: *demonstrated* is the headline; *declared* stands beside it and is never added; the
share on server criteria alone and the site criteria that block always go with it.
"""

from collections.abc import Iterator, Mapping

from jauge_models.compliance.results import Shares, attributed
from jauge_models.compliance.status import Result
from jauge_models.rules import Indicator

from jauge_collector.compliance.record import Headline, Share
from jauge_collector.reports import charts
from jauge_collector.reports.content import Report
from jauge_collector.reports.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Paragraph,
    Picture,
    Section,
    Table,
    Tile,
    Tiles,
    cells,
)
from jauge_collector.reports.prose import DASH, Prose
from jauge_collector.reports.sections.operation import labels


def opening(report: Report, p: Prose) -> tuple[Block, ...]:
    """The first page: what stands there whatever the figures are."""
    record = report.record
    blocks: list[Block] = [
        Paragraph(text=reason, tone="warning") for reason in _qualified(report, p)
    ]
    blocks.append(Paragraph(text=reading(report, p), tone="note"))
    head = record.headline
    if not head.total:
        blocks.append(Paragraph(text=p.record("no_servers"), tone="lead"))
        return tuple(blocks)
    blocks.append(Tiles(tiles=tuple(_tiles(report, p))))
    blocks.append(results_picture(report, p))
    blocks.append(Paragraph(text=_own(report, p), tone="lead"))
    blocks.append(Paragraph(text=_blocking(record.shares, p)))
    blocks.append(Paragraph(text=dates(report, p)))
    blocks.append(Paragraph(text=p.joined(labels(report.year, p)) + "."))
    return tuple(blocks)


def reading(report: Report, p: Prose) -> str:
    """« Lecture retenue » word for word, with a line to fill in where nobody validated it."""
    record = report.record
    validated = (
        p("validated", role=record.goal_validated_role, day=p.numeric(record.goal_validated_on))
        if record.goal_validated_role and record.goal_validated_on
        else p("not_validated")
    )
    return p(
        "reading",
        reading=record.goal_reading,
        edition=record.edition or p("no_edition"),
        others=p.joined(record.goal_others) or p("no_others"),
        validated=validated,
    )


def _qualified(report: Report, p: Prose) -> Iterator[str]:
    record = report.record
    if report.provisional:
        why = p.record("running") if record.running else p("not_approved")
        yield p("provisional_because", why=why)
    if not record.policy_approved:
        yield p.record("unapproved")
    if record.simulated:
        yield p.record("simulated")
    if record.note:
        yield record.note


def _tiles(report: Report, p: Prose) -> Iterator[Tile]:
    for result, share in by_result(report.record.headline):
        if result is Result.NOT_APPLICABLE and not share.servers:
            continue
        yield Tile(
            value=p.share(share.servers_share),
            name=p.record.name(result),
            sub=p("servers_of", count=share.servers, total=report.record.headline.total),
            main=result is Result.DEMONSTRATED,
        )


def by_result(head: Headline) -> Iterator[tuple[Result, Share]]:
    """The best first: a record read from JSON has its results in the order of their names."""
    return ((result, head.results[result]) for result in Result)


def results_picture(report: Report, p: Prose) -> Picture:
    """The servers by result as a bar."""
    found = report.record.headline.results
    named = {
        result: p("result_key", name=p.record.name(result), count=share.servers)
        for result, share in by_result(report.record.headline)
        if share.servers or result is not Result.NOT_APPLICABLE
    }
    parts = [charts.Part(name, found[result].servers, result) for result, name in named.items()]
    return Picture(
        svg=charts.results(parts),
        alt=p("results_alt", parts=p.joined(named.values())),
        caption=p("results_caption"),
    )


def _own(report: Report, p: Prose) -> str:
    head = report.record.headline
    return p.record(
        "own", count=head.own_demonstrated, total=head.total, share=head.own_share or 0.0
    )


def _blocking(shares: Shares, p: Prose) -> str:
    if not shares.blocking:
        return p.record("site_free")
    said = [
        p(
            "blocks",
            criterion=each.criterion,
            title=p.record.criteria[each.criterion],
            status=p.record.name(each.status),
            count=each.machines,
        )
        for each in shares.blocking
    ]
    return f"{p.record('site_blocks')} {' ; '.join(said)}."


def dates(report: Report, p: Prose) -> str:
    """Both readings of the date, with the last day measured for each."""
    return " ".join(
        p.record(
            f"goal_{goal.deadline.reading}",
            day=goal.deadline.day,
            last=goal.deadline.last_measured,
        )
        + "."
        for goal in report.record.trajectory.goals
    )


def scope(report: Report, p: Prose) -> Section:
    """Section 1: what is reported on, how many machines, what changed."""
    record, found = report.record, report.record.assessment
    unlisted = sum(outcome.machine.server is None for outcome in found.servers)
    facts = [
        (p("site"), f"{record.title} ({record.site})"),
        (
            p("quarter"),
            p(
                "quarter_days",
                quarter=quarter(record.quarter, p),
                first=record.start,
                last=record.as_of,
            ),
        ),
        (p("time_zone"), report.quarter.kpis.time_zone),
        (p("state"), p.name(report.state)),
        (p("revision"), p.number(report.revision)),
        (
            p("inventory_count"),
            p(
                "inventory_text",
                total=record.headline.total,
                unlisted=unlisted,
                racks=_racks(report),
            ),
        ),
        (p("left_out_count"), p.some(tuple(each.id for each in found.left_out), 12) or p("none")),
        (p("unconfirmed"), p.number(record.unconfirmed)),
    ]
    blocks: list[Block] = [facts_table(p("scope_facts"), facts, p)]
    if report.inventory:
        rows = tuple(
            cells(
                p.plain.day(each.day),
                each.server,
                p("came" if each.came else "went"),
                each.reason or DASH,
            )
            for each in report.inventory[:60]
        )
        left = len(report.inventory) - len(rows)
        blocks.append(
            Table(
                caption=p("changes"),
                columns=(
                    Column(name=p("day"), width=1),
                    Column(name=p("server"), width=2),
                    Column(name=p("change"), width=1),
                    Column(name=p("reason"), width=3),
                ),
                rows=rows,
                note=p("rows_left", count=left) if left else "",
            )
        )
    else:
        blocks.append(Paragraph(text=p("no_changes")))
    if found.clouds:
        blocks.append(
            Table(
                caption=p("clouds"),
                columns=(
                    Column(name=p("service"), width=2),
                    Column(name=p("used_by"), width=2),
                    Column(name=p("result")),
                    Column(name="kWh", number=True),
                ),
                rows=tuple(
                    cells(
                        line.cloud.service,
                        line.cloud.used_by or DASH,
                        p.record.name(line.result),
                        p.number(line.cloud.energy_kwh),
                    )
                    for line in found.clouds
                ),
                note=p("clouds_note"),
            )
        )
    if record.notes:
        items = tuple(p.record.note(note) for note in record.notes[:20])
        blocks += [Paragraph(text=p.record("notes")), Bullets(items=items)]
    return Section(id="scope", title=p("section_scope"), blocks=tuple(blocks))


def quarter(name: str, p: Prose) -> str:
    """« 3e trimestre 2026 » of ``2026-Q3``."""
    year, _, number = name.partition("-Q")
    return p(f"quarter_{number}", year=year) if p.has(f"quarter_{number}") else name


def _racks(report: Report) -> int:
    return len({each.machine.rack for each in report.record.assessment.servers} - {""})


def facts_table(caption: str, facts: list[tuple[str, str]], p: Prose) -> Table:
    """Named facts as a table of two columns."""
    return Table(
        caption=caption,
        columns=(Column(name=p("fact"), width=2), Column(name=p("value"), width=5)),
        rows=tuple((Cell(text=name, strong=True), Cell(text=text)) for name, text in facts),
    )


def result(report: Report, p: Prose) -> Section:
    """Section 2: the one figure, by servers, kWh and racks; per body and tenant."""
    record, head = report.record, report.record.headline
    if not head.total:
        return Section(
            id="result",
            title=p("section_result"),
            blocks=(Paragraph(text=p.record("no_servers")),),
        )
    notes = [_own(report, p) + "."]
    if head.kwh_unknown:
        notes.append(p.record("kwh_unknown", count=head.kwh_unknown))
    if head.racks_unknown:
        notes.append(p.record("racks_unknown", count=head.racks_unknown) + ".")
    table = Table(
        caption=p("result_table"),
        columns=(
            Column(name=p("result"), width=2.4),
            Column(name=p("servers"), number=True),
            Column(name="%", number=True),
            Column(name="kWh", number=True, width=1.3),
            Column(name="%", number=True),
            Column(name=p("racks"), number=True),
            Column(name="%", number=True),
        ),
        rows=tuple(
            (
                Cell(text=p.record.name(each), strong=each is Result.DEMONSTRATED),
                *cells(
                    p.number(share.servers),
                    p.share(share.servers_share),
                    p.number(share.kwh),
                    p.share(share.kwh_share),
                    p.number(share.racks),
                    p.share(share.racks_share),
                ),
            )
            for each, share in by_result(head)
        ),
        note=" ".join(notes),
    )
    blocks: tuple[Block, ...] = (
        Paragraph(text=p("result_lead"), tone="intro"),
        table,
        Paragraph(text=_blocking(record.shares, p)),
        _group(p("bodies"), p("body"), record.bodies, p),
    )
    return Section(
        id="result",
        title=p("section_result"),
        blocks=blocks,
        parts=(Section(id="tenants", title=p("tenants"), blocks=_tenants(report, p)),),
    )


def _group(caption: str, head: str, groups: Mapping[str, Shares], p: Prose) -> Table:
    """One share per body."""
    rows = []
    for name, found in list(groups.items())[:60]:
        amounts = found.servers.amounts
        rows.append(
            cells(
                name or p("nobody_known"),
                p.number(found.servers.total),
                p.number(amounts.get(Result.DEMONSTRATED, 0)),
                p.share(found.servers.share()),
                p.number(amounts.get(Result.DECLARED, 0)),
                p.share(found.own.share()),
            )
        )
    return Table(
        caption=caption,
        columns=(
            Column(name=head, width=3),
            Column(name=p("servers"), number=True),
            Column(name=p("demonstrated"), number=True),
            Column(name="%", number=True),
            Column(name=p("declared"), number=True),
            Column(name=p("own_share"), number=True, width=1.4),
        ),
        rows=tuple(rows),
        note=p("rows_left", count=len(groups) - len(rows)) if len(groups) > len(rows) else "",
    )


def _tenants(report: Report, p: Prose) -> tuple[Block, ...]:
    """What tenants use, and what of the site is attributed to them; no ratio is theirs."""
    pue, wue = report.quarter.kpis.pue, report.quarter.kpis.wue
    rows = []
    tenants = list(report.record.tenants.items())
    for name, found in tenants[:60]:
        known = found.kwh.unknown < found.servers.total
        kwh = found.kwh.total if known else None
        energy = None if kwh is None else attributed(Indicator.PUE, kwh, pue)
        water = None if kwh is None else attributed(Indicator.WUE, kwh, wue)
        rows.append(
            cells(
                name or p("nobody_known"),
                p.number(found.servers.total),
                p.share(found.servers.share()),
                p.number(kwh),
                p.number(found.kwh.unknown),
                p.number(energy.amount if energy else None),
                p.total(water.amount if water else None, "m3"),
            )
        )
    table = Table(
        caption=p("tenants_table"),
        columns=(
            Column(name=p("tenant"), width=3),
            Column(name=p("servers"), number=True),
            Column(name=p("demonstrated_share"), number=True, width=1.2),
            Column(name=p("tenant_kwh"), number=True, width=1.3),
            Column(name=p("energy_unknown"), number=True, width=1.2),
            Column(name=p("attributed_kwh"), number=True, width=1.4),
            Column(name=p("attributed_m3"), number=True, width=1.2),
        ),
        rows=tuple(rows),
        note=p("rows_left", count=len(tenants) - len(rows)) if len(tenants) > len(rows) else "",
    )
    return (table, Paragraph(text=p("attributed_note"), tone="note"))
