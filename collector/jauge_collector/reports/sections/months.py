"""The twelve months as charts, and as the table that says the same."""

from collections.abc import Iterator

from jauge_collector.reports import charts
from jauge_collector.reports.content import Report
from jauge_collector.reports.document import Block, Column, Paragraph, Picture, Table, cells
from jauge_collector.reports.prose import Prose


def months(report: Report, p: Prose) -> Iterator[Block]:
    """Power, PUE and water by month."""
    slots = report.months
    if not slots:
        yield Paragraph(text=p("no_months"))
        return
    labels = [p.plain.month(slot.first.month) for slot in slots]
    dc = tuple(None if slot.e_dc_w is None else slot.e_dc_w / 1000 for slot in slots)
    it = tuple(None if slot.e_it_w is None else slot.e_it_w / 1000 for slot in slots)
    water = tuple(slot.water_m3 for slot in slots)
    pue = [slot.pue.value for slot in slots]
    objective = report.record.pue_objective
    rgesn = report.record.objectives_of_rgesn
    named = p("objective", value=objective) if rgesn else p("own_objective", value=objective)
    span = p("months_span", first=slots[0].first, last=slots[-1].last)
    yield Picture(
        svg=charts.monthly(
            labels,
            [
                charts.Bars(p("curve_total"), charts.DARK, dc),
                charts.Bars(p("curve_it"), charts.LIGHT, it),
            ],
            unit="kW",
            gap=p("not_measured"),
            number=p.plain.number,
        ),
        alt=p("power_alt", span=span, total=_range(dc, "kW", p), it=_range(it, "kW", p)),
        caption=p("power_caption"),
    )
    yield Picture(
        svg=charts.dots(
            labels,
            pue,
            floor_at=1.0,
            objective=objective,
            objective_name=named,
            gap=p("not_measured"),
            number=p.plain.number,
        ),
        alt=p("pue_alt", span=span, values=_range(tuple(pue), "", p, 2)),
        caption=p("pue_caption"),
    )
    if any(value is not None for value in water):
        yield Picture(
            svg=charts.monthly(
                labels,
                [charts.Bars(p("curve_water"), charts.WATER, water)],
                unit="m³",
                gap=p("not_measured"),
                number=p.plain.number,
            ),
            alt=p("water_alt", span=span, values=_range(water, "m³", p)),
            caption=p("water_caption"),
        )
    yield Table(
        caption=p("months_table"),
        columns=(
            Column(name=p("month"), width=1.4),
            Column(name=p("e_dc_kw"), number=True),
            Column(name=p("e_it_kw"), number=True),
            Column(name=p("water_m3"), number=True),
            Column(name=p("ipue"), number=True),
            Column(name=p("coverage"), number=True),
            Column(name=p("wue_interim"), number=True),
        ),
        rows=tuple(
            cells(
                f"{p.plain.month(slot.first.month)} {slot.first.year}",
                p.number(a, decimals=1),
                p.number(b, decimals=1),
                p.number(slot.water_m3, decimals=1),
                p.number(slot.pue.value, decimals=2),
                p.share(slot.pue.coverage),
                p.number(slot.wue.value, decimals=3),
            )
            for slot, a, b in zip(slots, dc, it, strict=True)
        ),
        note=p("months_note"),
    )


def _range(values: tuple[float | None, ...], unit: str, p: Prose, decimals: int = 0) -> str:
    """The span of the values and how many are missing, for those who do not see the chart."""
    known = [value for value in values if value is not None]
    if not known:
        return p("not_measured")
    text = p(
        "range", low=p.number(min(known), unit, decimals), high=p.number(max(known), unit, decimals)
    )
    missing = len(values) - len(known)
    said = p("months_missing", count=missing)
    return f"{text}, {said}" if missing else text
