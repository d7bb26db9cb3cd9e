"""The page of one meter: what it is, and each interval of a day with the readings that prove it."""

from datetime import date, timedelta
from typing import Any, Literal

from jauge_models.intervals import Point
from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import MEASURES, Commodity, Meter

from jauge_collector import civil
from jauge_collector.console.figures import Figures
from jauge_collector.console.indicator import validity
from jauge_collector.console.overview import meter_state
from jauge_collector.console.rendering import Cell, Column, Table, Visit
from jauge_collector.console.series import Frame, Named, amount_chart, day_ticks
from jauge_collector.console.text import Language
from jauge_collector.console.views import MeterView
from jauge_collector.kpis import Step
from jauge_collector.ledger.rows import Row
from jauge_collector.sites import Site


async def context(
    visit: Visit, site: Site, figures: Figures, meter_id: str, day: date
) -> dict[str, Any]:
    """What the template needs. Raises KeyError for an unknown meter, LedgerError, StoreError."""
    language = visit.language
    meter = site.topology.meter(meter_id)
    view = next(view for view in await figures.meters(site.name) if view.meter == meter_id)
    start = civil.midnight_ms(day, site.zone)
    end = civil.midnight_ms(day + timedelta(days=1), site.zone)
    page = f"/{site.name}/meter/{meter_id}"
    today = civil.day(visit.now_ms, site.zone)
    return {
        "site": site,
        "name": meter.name,
        "about": _about(visit, site, meter, view),
        "chart": await _chart(visit, site, figures, meter, day),
        "heading": language("intervals_of", day=language.day(day)),
        "previous": visit.link(page, day=(day - timedelta(days=1)).isoformat()),
        "following": visit.link(page, day=(day + timedelta(days=1)).isoformat())
        if day < today
        else "",
        "rows": _rows(language, site, meter, await figures.rows(site.name, meter_id, start, end)),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, site: Site, meter: Meter, view: MeterView) -> list[tuple[str, str]]:
    language = visit.language
    facts = [
        (language("meter"), meter.id),
        (language("commodity"), language(f"commodity_{meter.commodity}")),
        (language("state"), meter_state(visit, site, view).text),
        (language("feeds"), ", ".join(view.feeds) or "–"),
        (language("interval"), f"{meter.interval_ms // 60_000}\u00a0{language('unit_minute')}"),
    ]
    if meter.location:
        facts.insert(1, (language("location"), meter.location))
    if meter.accuracy_class:
        facts.append((language("accuracy_class"), meter.accuracy_class))
    if meter.uncertainty is not None:
        facts.append((language("uncertainty"), f"± {language.percent(meter.uncertainty)}"))
    if view.last_reading is not None:
        value = language.quantity(view.last_reading.value, view.last_reading.unit, 6)
        age = language.age(visit.now_ms - view.last_reading.time_ms)
        facts.append((language("last_reading"), f"{value} ({age})"))
    facts += [
        (
            language("factor_now"),
            f"× {language.significant(factor.value, 6)}, "
            + validity(language, site, factor.validity)
            + (f" ({factor.reason})" if factor.reason else ""),
        )
        for factor in meter.factors
    ]
    return facts


async def _chart(visit: Visit, site: Site, figures: Figures, meter: Meter, day: date) -> Any:
    language = visit.language
    first = civil.first_of_month(day)
    start = civil.midnight_ms(first, site.zone)
    end = civil.midnight_ms(civil.first_of_month(day, 1), site.zone)
    slots = await figures.profile(site.name, meter.id, start, end, Step.DAY)
    style: Literal["water", "total"] = "total"
    if meter.commodity is Commodity.WATER:
        style = "water"
    month = f"{language.month(first.month)} {first.year}"
    frame = Frame(
        "month",
        language("month_chart", month=month),
        language("month_chart_text"),
        start,
        end,
        day_ticks(first, end, site.zone),
    )
    names = [language.day(civil.day(slot.start_ms, site.zone)) for slot in slots]
    return amount_chart(
        frame,
        Named(meter.name, style, slots),
        names,
        MEASURES[meter.commodity].unit,
        language,
    )


def _rows(language: Language, site: Site, meter: Meter, rows: list[Row]) -> Table:
    energy = MEASURES[meter.commodity].unit == "J"
    unit, per, places = ("kWh", JOULES_PER_KWH, 2) if energy else ("m³", 1.0, 4)

    def reading(point: Point | None) -> Cell:
        if point is None:
            return Cell("–")
        value = language.number(point.value / per, places)
        return Cell(f"{value}\u00a0{unit}", language.moment(point.time_ms, site.zone, seconds=True))

    table: list[list[Cell]] = []
    for row in rows:
        i = row.interval
        words = [language(f"flag_{flag}") for flag in sorted(i.flags)]
        table.append(
            [
                Cell(
                    f"{language.clock(i.start_ms, site.zone)}–{language.clock(i.end_ms, site.zone)}"
                ),
                Cell(language("not_measured"))
                if i.amount is None
                else Cell(f"{language.number(i.amount / per, places)}\u00a0{unit}"),
                Cell(language(f"basis_{i.basis}"), language(f"grade_{i.grade}")),
                Cell(language.percent(i.coverage)),
                Cell(language.percent(i.profile_coverage)),
                reading(i.opening),
                reading(i.closing),
                Cell("; ".join(words) or "–"),
                Cell(
                    language.number(row.revision),
                    language("final" if row.final else "provisional"),
                ),
            ]
        )
    return Table(
        language("intervals_of", day=""),
        [
            Column(language("interval")),
            Column(language("amount"), number=True),
            Column(language("basis")),
            Column(language("coverage"), number=True),
            Column(language("profile"), number=True),
            Column(language("opening"), number=True),
            Column(language("closing"), number=True),
            Column(language("flags")),
            Column(language("revision"), number=True),
        ],
        table,
    )
