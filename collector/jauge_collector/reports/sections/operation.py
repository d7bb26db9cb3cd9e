"""Section 4: energy and water by indicator and by total, their months, and Sobriété."""

from collections.abc import Iterator

from jauge_models.effectiveness import Kpi

from jauge_collector.reports.content import Figures, Report, Sobriety
from jauge_collector.reports.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    cells,
)
from jauge_collector.reports.prose import DASH, Prose
from jauge_collector.reports.sections.months import months


def figures(report: Report, p: Prose) -> Section:
    """Section 4: indicators and totals of the year and of the quarter, months, Sobriété."""
    blocks: list[Block] = [
        Bullets(items=(*labels(report.year, p), *labels(report.quarter, p))),
        _kpis(report, "year", report.year, p),
        _kpis(report, "quarter", report.quarter, p),
        Paragraph(text=_objectives(report, p), tone="note"),
    ]
    blocks += _without(report, p)
    totals = [
        _amounts(report, "year", report.year, p),
        _amounts(report, "quarter", report.quarter, p),
    ]
    parts = [
        Section(
            id="totals",
            title=p("totals"),
            blocks=(*totals, Paragraph(text=p("totals_note"), tone="note")),
        ),
        Section(id="months", title=p("months"), blocks=tuple(months(report, p))),
        Section(id="sobriety", title=p("sobriety"), blocks=_sobriety(report.sobriety, p)),
        Section(id="boundary", title=p("boundary"), blocks=(_boundary(report, p),)),
    ]
    return Section(
        id="figures", title=p("section_figures"), blocks=tuple(blocks), parts=tuple(parts)
    )


def _objectives(report: Report, p: Prose) -> str:
    """Both objectives as the policy has them, and that the Code asks for neither."""
    record = report.record
    both = {"pue": record.pue_objective, "wue": record.wue_objective}
    said = p("rgesn", **both) if record.objectives_of_rgesn else p("own_objectives", **both)
    return f"{said} " + p("water_season")


def labels(figures: Figures, p: Prose) -> Iterator[str]:
    """« PUE1 = 1,38 (12 mois au 30/09/2026) », as the standard writes it."""
    for kpi in (figures.kpis.pue, figures.kpis.wue):
        yield p(
            "labelled",
            label=p.label(kpi),
            value=p.value(kpi),
            period=p.period(kpi, figures.first, figures.last),
        )


def indicators(figures: Figures) -> Iterator[tuple[str, Kpi]]:
    """Every indicator of a period with its key."""
    kpis = figures.kpis
    yield "pue", kpis.pue
    for number, kpi in enumerate(kpis.pue_elsewhere, 2):
        yield f"pue_{number}", kpi
    for zone in kpis.ppue:
        yield f"ppue/{zone.zone}", zone.kpi
    yield from (("wue", kpis.wue), ("cue", kpis.cue), ("ref", kpis.ref), ("erf", kpis.erf))


def _kpis(report: Report, key: str, figures: Figures, p: Prose) -> Table:
    rows = []
    for name, kpi in indicators(figures):
        mark = _restated(report, f"{key}.{name}", p)
        zone = name.removeprefix("ppue/") if name.startswith("ppue/") else ""
        reason = p.plain.reason(kpi.reason) if kpi.reason else ""
        rows.append(
            (
                Cell(text=p.label(kpi), strong=True, sub=zone or mark),
                Cell(text=p.value(kpi), strong=kpi.value is not None, sub=mark if zone else ""),
                Cell(text=p.uncertainty(kpi.value, kpi.uncertainty)),
                Cell(text=kpi.category or DASH),
                Cell(text=p.share(kpi.coverage)),
                Cell(text=p.share(kpi.attested_share)),
                Cell(text=p.plain(f"grade_{kpi.grade}") if kpi.status else DASH),
                Cell(text=reason or (p.plain(f"status_{kpi.status}") if kpi.status else DASH)),
            )
        )
    return Table(
        caption=p(f"kpis_{key}", first=figures.first, last=figures.last),
        columns=(
            Column(name=p("figure"), width=1.9),
            Column(name=p("value"), width=2, number=True),
            Column(name=p("uncertainty"), width=1.1, number=True),
            Column(name=p("category"), width=1.1),
            Column(name=p("coverage"), width=1.1, number=True),
            Column(name=p("attested"), width=1, number=True),
            Column(name=p("grade"), width=1),
            Column(name=p("status"), width=2.3),
        ),
        rows=tuple(rows),
    )


def _restated(report: Report, figure: str, p: Prose) -> str:
    hit = any(
        each.figure == figure and each.quarter == report.record.quarter for each in report.restated
    )
    return p("restated_mark") if hit else ""


def _without(report: Report, p: Prose) -> list[Block]:
    """The same without what somebody signed for, where that took part."""
    rows = []
    for key, each in (("year", report.year), ("quarter", report.quarter)):
        if each.without_attested is None:
            continue
        for kpi in (each.without_attested.pue, each.without_attested.wue):
            reason = p.plain.reason(kpi.reason) if kpi.reason else ""
            rows.append(
                (
                    Cell(text=p(key)),
                    Cell(text=p.label(kpi)),
                    Cell(text=p.value(kpi)),
                    Cell(text=p.share(kpi.coverage)),
                    Cell(text=reason or DASH),
                )
            )
    if not rows:
        return []
    return [
        Table(
            caption=p("without_attested"),
            columns=(
                Column(name=p("period"), width=1.5),
                Column(name=p("figure")),
                Column(name=p("value"), number=True),
                Column(name=p("coverage"), number=True),
                Column(name=p("reason"), width=3),
            ),
            rows=tuple(rows),
        )
    ]


def _amounts(report: Report, key: str, figures: Figures, p: Prose) -> Table:
    rows = tuple(
        (
            Cell(
                text=each.symbol,
                strong=True,
                sub=p.joined(
                    filter(
                        None,
                        (_symbol(each.symbol, p), _restated(report, f"{key}.{each.symbol}", p)),
                    )
                ),
            ),
            Cell(text=p.amount(each), strong=each.value is not None),
            Cell(text=p.uncertainty(each.value, each.uncertainty)),
            Cell(text=p.share(each.coverage)),
            Cell(text=p.share(each.attested_share)),
            Cell(text=p.share(each.estimated_share)),
            Cell(
                text=p.plain(f"grade_{each.grade}"),
                sub=p.plain.reason(each.reason) if each.reason else "",
            ),
        )
        for each in figures.amounts
    )
    return Table(
        caption=p(f"amounts_{key}", first=figures.first, last=figures.last),
        columns=(
            Column(name=p("total"), width=2),
            Column(name=p("value"), number=True, width=1.6),
            Column(name=p("uncertainty"), number=True, width=1.1),
            Column(name=p("coverage"), number=True, width=1.1),
            Column(name=p("attested"), number=True),
            Column(name=p("estimated"), number=True),
            Column(name=p("grade"), width=2.2),
        ),
        rows=rows,
    )


def _symbol(symbol: str, p: Prose) -> str:
    """What a total is called; of a further one its place or zone too."""
    base, mark, place = symbol.partition("@" if "@" in symbol else "/")
    named = p.name(base)
    if named == base:
        return ""
    return f"{named} ({p.name(place)})" if mark else named


def _sobriety(found: Sobriety | None, p: Prose) -> tuple[Block, ...]:
    if found is None:
        return (Paragraph(text=p("no_base_year")),)
    table = Table(
        caption=p("sobriety_table", first=found.base_first, last=found.base_last),
        columns=(
            Column(name=p("total"), width=2),
            Column(name=p("base_period"), number=True, width=1.5),
            Column(name=p("twelve_months"), number=True, width=1.5),
            Column(name=p("change"), number=True),
            Column(name=p("reason"), width=2),
        ),
        rows=tuple(
            (
                Cell(
                    text=row.symbol,
                    strong=True,
                    sub=_symbol(row.symbol, p),
                ),
                Cell(text=p.total(row.base, row.unit)),
                Cell(text=p.total(row.now, row.unit)),
                Cell(text=_change(row.change, p), strong=True),
                Cell(text=p.plain.reason(row.reason) if row.reason else DASH),
            )
            for row in found.rows
        ),
    )
    return (table, Paragraph(text=p("sobriety_note"), tone="note"))


def _change(change: float | None, p: Prose) -> str:
    if change is None:
        return DASH
    sign = "+" if change > 0 else ""
    return f"{sign}{p.plain.number(change * 100, 1)}\u202f%"


def _boundary(report: Report, p: Prose) -> Table:
    rows: dict[str, tuple[Cell, ...]] = {}
    for _, kpi in indicators(report.year):
        if kpi.boundary:
            rows[p.label(kpi)] = cells(p.label(kpi), kpi.formula, kpi.boundary)
    return Table(
        caption=p("boundary_table"),
        columns=(
            Column(name=p("figure")),
            Column(name=p("formula"), width=2),
            Column(name=p("equations"), width=4),
        ),
        rows=tuple(rows.values()),
    )
