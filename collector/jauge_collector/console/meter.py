"""The page of one meter: what it is, and each interval of a day with the readings that prove it."""

from datetime import date, timedelta
from math import fsum
from typing import Any, Final, Literal

from jauge_models.boundaries import WHOLE
from jauge_models.intervals import Flag, Interval, Point
from jauge_models.quantities import CATALOGUE
from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import MEASURES, Commodity, Meter, Topology, Validity

from jauge_collector import civil
from jauge_collector.console.indicator import validity
from jauge_collector.console.overview import meter_state
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.series import Frame, Named, amount_chart, day_ticks, of_totals
from jauge_collector.console.text import Language
from jauge_collector.console.views import MeterView, coverage
from jauge_collector.kpis import Slot, Step
from jauge_collector.ledger.rows import Row
from jauge_collector.row_readings import Behind
from jauge_collector.sites import Site
from jauge_collector.stores import StoreError

MOST_READINGS: Final = 300
"""Of one row on a page: the first and the last of them where there are more."""


async def context(  # noqa: PLR0917 - what was asked for, as the address names it
    visit: Visit,
    site: Site,
    figures: ScopedFigures,
    meter_id: str,
    day: date,
    row_ms: int | None = None,
) -> dict[str, Any]:
    """What the template needs. Raises KeyError for an unknown meter, LedgerError.

    Without the store the newest reading is said to be unavailable. ``row_ms`` is where a row of
    the day begins of which the readings are shown, and no other row.
    """
    language = visit.language
    topology = await figures.topology(site.name)
    meter = topology.meter(meter_id)
    try:
        views = await figures.meters(site.name)
    except StoreError:
        views = await figures.meters(site.name, readings=False)
    view = next(view for view in views if view.meter == meter_id)
    start = civil.midnight_ms(day, site.zone)
    end = civil.midnight_ms(day + timedelta(days=1), site.zone)
    page = f"/{site.name}/meter/{meter_id}"
    today = civil.day(visit.now_ms, site.zone)
    rows = await figures.rows(site.name, meter_id, start, end)
    bills = await figures.bills(site.name, meter_id, start, end)
    chosen = [row for row in rows if row.interval.start_ms == row_ms]
    until = min(end, visit.now_ms)
    return {
        "site": site,
        "name": meter.name,
        "about": [*_about(visit, site, meter, view), *_life(language, site, meter, topology)],
        "chart": await _chart(visit, site, figures, meter, day),
        "heading": language("intervals_of", day=language.day(day)),
        "whole_day": visit.link(page, day=day.isoformat()),
        "previous": visit.link(page, day=(day - timedelta(days=1)).isoformat()),
        "following": visit.link(page, day=(day + timedelta(days=1)).isoformat())
        if day < today
        else "",
        "day": _day(language, meter, [row.interval for row in rows], (start, until)),
        "rows": _rows(visit, site, meter, chosen or rows, day),
        "bills": _bills(visit, site, meter, bills),
        "behind": await _behind(visit, site, figures, meter, chosen),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, site: Site, meter: Meter, view: MeterView) -> list[Fact]:
    language = visit.language
    state = meter_state(visit, site, view)
    facts = [
        Fact(language("state"), " · ".join(filter(None, (state.text, state.sub))), chip=state.chip),
        Fact(language("meter"), meter.id),
        Fact(language("commodity"), language(f"commodity_{meter.commodity}")),
    ]
    if meter.location:
        facts.append(Fact(language("location"), meter.location))
    if view.last_reading is not None:
        reading = view.last_reading
        show = language.quantity if CATALOGUE[reading.quantity].unit == "W" else language.total
        value = show(reading.value, reading.unit)
        age = language.ago(visit.now_ms - reading.time_ms)
        facts.append(Fact(language("last_reading"), f"{value}, {age}"))
    elif view.silent is None:
        facts.append(Fact(language("last_reading"), language("unavailable")))
    facts += [
        Fact(
            language("feeds"),
            f"{feed.agent}/{feed.resource}",
            visit.link(f"/{site.name}/agent/{feed.agent}"),
        )
        for feed in meter.feeds
    ]
    minutes = f"{meter.interval_ms // 60_000}\u00a0{language('unit_minute')}"
    facts.append(Fact(language("interval"), minutes))
    if meter.accuracy_class:
        facts.append(Fact(language("accuracy_class"), meter.accuracy_class))
    if meter.uncertainty is not None:
        facts.append(Fact(language("uncertainty"), f"± {language.percent(meter.uncertainty)}"))
    return facts


def _life(language: Language, site: Site, meter: Meter, topology: Topology) -> list[Fact]:
    """What was declared of a meter over time: factors, replacements, events."""
    unit = MEASURES[meter.commodity].unit
    return [
        *(
            Fact(
                language("factor_now"),
                f"× {language.plain(factor.value)}, {validity(language, site, factor.validity)}"
                + (f" ({factor.reason})" if factor.reason else ""),
            )
            for factor in meter.factors
        ),
        *(
            Fact(
                language("replacement"),
                language(
                    "replacement_text",
                    moment=language.moment(change.time_ms, site.zone),
                    old=language.total(change.final, unit),
                    new=language.total(change.first, unit),
                ),
            )
            for change in meter.replacements
        ),
        *(
            Fact(
                language("events"),
                f"{language(f'event_{event.kind}')}, {_span(language, site, event.validity)}"
                + (f" ({event.reason})" if event.reason else ""),
            )
            for event in topology.events
            if event.subject in ("", meter.id)
        ),
    ]


def _span(language: Language, site: Site, span: Validity) -> str:
    start, end = (
        "…" if at is None else language.moment(at, site.zone) for at in (span.from_ms, span.to_ms)
    )
    return language("from_to", start=start, end=end)


def _day(
    language: Language, meter: Meter, rows: list[Interval], span: tuple[int, int]
) -> list[Fact]:
    """The day's sum and how much of it is measured, so far for a day that has not ended."""
    amounts = [row.amount for row in rows if row.amount is not None]
    total = language("not_measured")
    if amounts:
        total = language.total(fsum(amounts), MEASURES[meter.commodity].unit)
    return [
        Fact(language("day_amount"), total),
        Fact(language("coverage"), language.percent(coverage(rows, *span))),
        Fact(language("intervals_count"), language.number(len(rows))),
    ]


async def _chart(visit: Visit, site: Site, figures: ScopedFigures, meter: Meter, day: date) -> Any:
    language = visit.language
    first = civil.first_of_month(day)
    start = civil.midnight_ms(first, site.zone)
    end = civil.midnight_ms(civil.first_of_month(day, 1), site.zone)
    measured_to = min(end, visit.now_ms - visit.now_ms % meter.interval_ms)
    slots: list[Slot] = []
    if measured_to > start:
        slots = await figures.profile(site.name, meter.id, start, measured_to, Step.DAY)
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
        " · ".join(of_totals(slots, [meter.period_ms], language)),
    )
    names = [language.day(civil.day(slot.start_ms, site.zone)) for slot in slots]
    return amount_chart(
        frame,
        Named(meter.name, style, slots),
        names,
        MEASURES[meter.commodity].unit,
        language,
    )


def _remarks(row: Interval) -> list[Flag]:
    """A row whose own bounds were read is proven by them, however far apart they are."""
    whole = row.profile_coverage >= WHOLE
    return [flag for flag in sorted(row.flags) if not (whole and flag is Flag.BRIDGED)]


async def _behind(
    visit: Visit, site: Site, figures: ScopedFigures, meter: Meter, rows: list[Row]
) -> dict[str, Any] | None:
    """The readings that one row was worked out from, both its bounds among them."""
    if not rows:
        return None
    language, interval = visit.language, rows[0].interval
    span = language(
        "from_to",
        start=language.moment(interval.start_ms, site.zone),
        end=language.moment(interval.end_ms, site.zone),
    )
    heading = language("readings_of_row", span=span)
    try:
        found = await figures.readings(site.name, meter.id, rows[0])
    except StoreError:
        return {"heading": heading, "note": language("unavailable"), "tables": []}
    tables = [_readings(language, site, one) for one in found if one.points]
    lost = any(not one.points for one in found) or not found
    return {
        "heading": heading,
        "note": language("readings_lost") if lost else "",
        "tables": tables,
    }


def _readings(language: Language, site: Site, behind: Behind) -> Table:
    unit = CATALOGUE[behind.series.quantity].unit
    per, shown = (JOULES_PER_KWH, "kWh") if unit == "J" else (1.0, unit.replace("m3", "m³"))
    points = behind.points
    half = MOST_READINGS // 2
    if len(points) > MOST_READINGS:
        points = [*points[:half], *points[-half:]]
    feed = f"{behind.series.agent}/{behind.series.resource}/{behind.series.quantity}"
    return Table(
        f"{feed} ({language(f'readings_in_{behind.place}')})",
        [
            Column(language("reading_time")),
            Column(language("value"), number=True),
        ],
        [
            [
                Cell(language.moment(point.time_ms, site.zone, seconds=True)),
                Cell(f"{language.number(point.value / per, 5)}\u00a0{shown}"),
            ]
            for point in points
        ],
        more=len(behind.points) - len(points),
    )


def _unit(meter: Meter) -> tuple[str, float, int]:
    """The unit in which rows are shown, base units of it, and decimals."""
    energy = MEASURES[meter.commodity].unit == "J"
    return ("kWh", JOULES_PER_KWH, 2) if energy else ("m³", 1.0, 4)


def _bills(visit: Visit, site: Site, meter: Meter, rows: list[Row]) -> Table:
    """Signed amounts that hold for the day, over all of their time; they are no part of its sum."""
    language = visit.language
    unit, per, places = _unit(meter)
    return Table(
        language("bills_of_day"),
        [
            Column(language("interval")),
            Column(language("amount"), number=True),
            Column(language("basis")),
            Column(language("entered_as")),
        ],
        [
            [
                Cell(_span(language, site, Validity(row.interval.start_ms, row.interval.end_ms))),
                Cell(f"{language.number((row.interval.amount or 0.0) / per, places)}\u00a0{unit}"),
                Cell(
                    language(f"basis_{row.interval.basis}"),
                    language(f"grade_{row.interval.grade}"),
                ),
                Cell(_entry(language, row.feed)),
            ]
            for row in rows
        ],
    )


def _entry(language: Language, feed: str) -> str:
    number = feed.removeprefix("entry ")
    return language("bill_number", number=number) if number.isdecimal() else "–"


def _rows(visit: Visit, site: Site, meter: Meter, rows: list[Row], day: date) -> Table:
    language = visit.language
    unit, per, places = _unit(meter)

    def reading(point: Point | None) -> Cell:
        if point is None:
            return Cell("–")
        value = language.number(point.value / per, places)
        same = civil.day(point.time_ms, site.zone) == day
        moment = language.clock if same else language.moment
        return Cell(f"{value}\u00a0{unit}", moment(point.time_ms, site.zone, seconds=True))

    table: list[list[Cell]] = []
    for row in rows:
        i = row.interval
        begin, end = (language.clock(at, site.zone) for at in (i.start_ms, i.end_ms))
        words = [language(f"flag_{flag}") for flag in _remarks(i)]
        table.append(
            [
                Cell(
                    f"{begin}–{end}",
                    href=visit.link("", row=str(i.start_ms)) + "#readings" if row.feed else "",
                ),
                Cell(language("not_measured"))
                if i.amount is None
                else Cell(f"{language.number(i.amount / per, places)}\u00a0{unit}"),
                Cell(
                    language(f"basis_{i.basis}"),
                    row.feed if len(meter.feeds) > 1 else language(f"grade_{i.grade}"),
                ),
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
        language("intervals_of", day=language.day(day)),
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
