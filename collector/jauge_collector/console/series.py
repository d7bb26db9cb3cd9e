"""From the slots of an energy profile to charts, with the ticks of civil time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from itertools import groupby
from math import fsum
from typing import Final

from jauge_collector import civil
from jauge_collector.console import charts
from jauge_collector.console.charts import Chart, Curve, Row, Tick
from jauge_collector.console.text import Language
from jauge_collector.kpis import Slot, Step

_HOUR_MS: Final = 3_600_000

DRAWN: Final = 0.90
"""A slot is drawn when at least this share of it is measured; below, it is a gap."""


@dataclass(frozen=True, slots=True)
class Named:
    """Slots of one total with its name and its look."""

    name: str
    style: charts.Style
    slots: Sequence[Slot]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart is about, and where it stands in time."""

    id: str
    title: str
    description: str
    start_ms: int
    end_ms: int
    ticks: tuple[Tick, ...]
    headline: str = ""


def measured(slot: Slot) -> bool:
    """Whether enough of a slot is measured to show a figure for it."""
    return slot.amount is not None and slot.coverage >= DRAWN


def gathered(slots: Sequence[Slot], zone: tzinfo, step: Step) -> list[Slot]:
    """Quarters of an hour as hours, or days as months: sums of the same figures."""

    def bound(slot: Slot) -> object:
        when = civil.local(slot.start_ms, zone)
        if step is Step.MONTH:
            return (when.year, when.month)
        return (when.date(), when.hour, when.utcoffset())

    found: list[Slot] = []
    for _, group in groupby(slots, key=bound):
        some = list(group)
        covered = sum(slot.covered_ms for slot in some)
        amount = fsum(slot.amount for slot in some if slot.amount is not None)
        totals = sum(slot.totals_ms for slot in some)
        start, end = some[0].start_ms, some[-1].end_ms
        found.append(Slot(start, end, amount if covered else None, covered, totals))
    return found


def of_totals(slots: Sequence[Slot], periods_ms: Sequence[int], language: Language) -> list[str]:
    """In words, that slots were read as totals of periods; nothing where none was."""
    if not periods_ms or not any(slot.totals_ms for slot in slots):
        return []
    longest = max(periods_ms)
    if longest == _HOUR_MS:
        return [language("from_hourly_totals")]
    return [language("from_totals", length=language.age(longest))]


def gaps(profiles: Sequence[Sequence[Slot]]) -> list[tuple[int, int]]:
    """Times in which one of several profiles over the same slots is not measured, joined."""
    found: list[tuple[int, int]] = []
    for slots in zip(*profiles, strict=True):
        if all(measured(slot) for slot in slots):
            continue
        start, end = slots[0].start_ms, slots[0].end_ms
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def hour_ticks(start_ms: int, end_ms: int, zone: tzinfo) -> tuple[Tick, ...]:
    """Every three hours of the civil day."""
    ticks: list[Tick] = []
    for at in range(start_ms - start_ms % _HOUR_MS, end_ms + 1, _HOUR_MS):
        moment = civil.local(at, zone)
        if at >= start_ms and moment.minute == 0 and moment.hour % 3 == 0:
            ticks.append(Tick(at, moment.strftime("%H:%M"), minor=moment.hour % 6 != 0))
    return tuple(ticks)


def month_ticks(start_ms: int, end_ms: int, zone: tzinfo, language: Language) -> tuple[Tick, ...]:
    """The first of every month."""
    ticks: list[Tick] = []
    when = civil.first_of_month(civil.day(start_ms, zone), 1)
    while (at := civil.midnight_ms(when, zone)) < end_ms:
        label = str(when.year) if when.month == 1 else language.month(when.month)
        ticks.append(Tick(at, label, minor=when.month % 2 == 0))
        when = civil.first_of_month(when, 1)
    return tuple(ticks)


def day_ticks(first: date, end_ms: int, zone: tzinfo) -> tuple[Tick, ...]:
    """Days of one month by number."""
    ticks: list[Tick] = []
    when = first
    while (at := civil.midnight_ms(when, zone)) < end_ms:
        ticks.append(Tick(at, str(when.day), minor=when.day % 5 != 1))
        when += timedelta(days=1)
    return tuple(ticks)


def power_chart(
    frame: Frame,
    totals: Sequence[Named],
    rows: Sequence[tuple[str, Sequence[Slot]]],
    language: Language,
) -> Chart:
    """Mean power of each slot as lines; ``rows`` are the table's lines, a slot for each total."""
    return Chart(
        id=frame.id,
        title=frame.title,
        description=frame.description,
        kind="line",
        unit="W",
        start_ms=frame.start_ms,
        end_ms=frame.end_ms,
        curves=tuple(
            Curve(
                total.name,
                total.style,
                [
                    charts.Slot(s.start_ms, s.end_ms, s.rate if measured(s) else None)
                    for s in total.slots
                ],
            )
            for total in totals
        ),
        ticks=frame.ticks,
        columns=(*(total.name for total in totals), language("coverage_short")),
        rows=tuple(
            Row(
                slots[0].start_ms,
                slots[0].end_ms,
                name,
                (
                    *(_shown(s.rate if measured(s) else None, "W", language) for s in slots),
                    language.percent(min(s.coverage for s in slots)),
                ),
            )
            for name, slots in rows
            if slots
        ),
        headline=frame.headline,
    )


def amount_chart(
    frame: Frame, total: Named, names: Sequence[str], unit: str, language: Language
) -> Chart:
    """What flowed in each slot as bars; ``names`` are the slots' in the table."""
    return Chart(
        id=frame.id,
        title=frame.title,
        description=frame.description,
        kind="bar",
        unit=unit,
        start_ms=frame.start_ms,
        end_ms=frame.end_ms,
        curves=(
            Curve(
                total.name,
                total.style,
                [
                    charts.Slot(s.start_ms, s.end_ms, s.amount if measured(s) else None)
                    for s in total.slots
                ],
            ),
        ),
        ticks=frame.ticks,
        columns=(total.name, language("coverage_short")),
        rows=tuple(
            Row(
                s.start_ms,
                s.end_ms,
                name,
                (
                    _shown(s.amount if measured(s) else None, unit, language),
                    language.percent(s.coverage),
                ),
            )
            for name, s in zip(names, total.slots, strict=True)
        ),
        headline=frame.headline,
    )


def _shown(value: float | None, unit: str, language: Language) -> str:
    return language("not_measured") if value is None else language.quantity(value, unit)
