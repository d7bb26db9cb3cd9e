"""What flows through a site, as the overview draws it: power and water, of a day and of a year."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from jauge_models.boundaries import Symbol
from jauge_models.crosschecks import HOUR_MS
from jauge_models.topology import Meter

from jauge_collector import civil
from jauge_collector.console.charts import Chart
from jauge_collector.console.rendering import Glance, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.series import (
    Frame,
    Named,
    amount_chart,
    gaps,
    gathered,
    hour_ticks,
    measured,
    month_ticks,
    of_totals,
    power_chart,
)
from jauge_collector.console.text import Language
from jauge_collector.kpis import Slot, Step
from jauge_collector.sites import Site

_DAY_MS: Final = 86_400_000
_LATE_MS: Final = 15 * 60_000
"""How long after its end a ledger row may take to be there."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Group:
    """Charts under one heading."""

    name: str
    charts: Sequence[Chart]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The charts, and what of them stands in the strip at the top."""

    groups: Sequence[Group]
    glance: Sequence[Glance]


async def drawn(visit: Visit, site: Site, figures: ScopedFigures, year: Span) -> Drawn:
    """Charts of the last day and of twelve months. Raises LedgerError."""
    day_end = visit.now_ms - visit.now_ms % 900_000
    day = (day_end - _DAY_MS, day_end)
    language = visit.language
    (power_day, now), (power_year, _), (water_day, water), (water_year, _) = await asyncio.gather(
        _power(visit, site, figures, "power_day", day),
        _power(visit, site, figures, "power_year", year),
        _water(visit, site, figures, "water_day", day),
        _water(visit, site, figures, "water_year", year),
    )
    return Drawn(
        [
            Group(language("commodity_electricity").capitalize(), [power_day, power_year]),
            Group(language("commodity_water").capitalize(), [water_day, water_year]),
        ],
        [now, water],
    )


_TOTALS: Final[tuple[tuple[Symbol, Literal["total", "it"]], ...]] = (
    (Symbol.E_DC, "total"),
    (Symbol.E_IT, "it"),
)


async def _power(
    visit: Visit, site: Site, figures: ScopedFigures, id_: str, span: Span
) -> tuple[Chart, Glance]:
    language = visit.language
    of_day = id_ == "power_day"
    coarse = Step.HOUR if of_day else Step.MONTH
    known = [(symbol, style) for symbol, style in _TOTALS if site.equation(symbol)]
    symbols = [symbol for symbol, _ in known]
    if of_day:
        fine, profiles = await _day_profiles(site, figures, symbols, span)
    else:
        fine, profiles = Step.DAY, await _profiles(site, figures, symbols, span, Step.DAY)
    totals = [
        Named(language(f"curve_{style}"), style, slots)
        for (_, style), slots in zip(known, profiles, strict=True)
    ]
    rows = [
        (_slot_name(slots[0], site, language, coarse), slots)
        for slots in zip(*(gathered(p, site.zone, coarse) for p in profiles), strict=True)
    ]
    latest = _latest(totals) if of_day else {}
    late_ms = 2 * max((length for s in symbols for length in _lengths(site, s, fine)), default=0)
    ages = {style: visit.now_ms - slot.end_ms for style, (_, slot) in latest.items()}
    late = {style for style, age in ages.items() if age > late_ms + _LATE_MS}
    at: dict[str, str] = {
        style: _when(visit, site, slot.end_ms, dated=style in late)
        for style, (_, slot) in latest.items()
    }
    power: dict[str, str] = {
        total.style: language.quantity(slot.rate or 0.0, "W") for total, slot in latest.values()
    }
    words = [
        f"{total.name} {language('latest_at', value=power[style], moment=at[style])}"
        for style, (total, _) in latest.items()
    ]
    words += _holes(totals, site, language, of_day=of_day)
    for symbol, total in zip(symbols, totals, strict=True):
        if told := of_totals(total.slots, _periods(site, symbol), language):
            words += told
            break
    about = [at["total"]] if "total" in at else []
    if "it" in power:
        # One moment is said once.
        other = "" if at["it"] == at.get("total") else f", {at['it']}"
        about.append(f"{language('curve_it')} {power['it']}{other}")
    if late:
        about.append(language.ago(max(ages.values())))
    glance = Glance(
        language("glance_power"),
        power.get("total", language("not_measured")),
        " · ".join(about),
        "warn" if late else "",
    )
    text = _of_slots(site, symbols, language, fine)
    frame = _frame(visit, site, id_, span, (" · ".join(words), text))
    return power_chart(frame, totals, rows, language), glance


def _when(visit: Visit, site: Site, time_ms: int, *, dated: bool) -> str:
    """A time of day, with its date where that is not today's or has to be said."""
    language = visit.language
    day, clock = civil.day(time_ms, site.zone), language.clock(time_ms, site.zone)
    if dated or day != civil.day(visit.now_ms, site.zone):
        return language("at_day_clock", day=language.day(day), clock=clock)
    return language("at_clock", clock=clock)


async def _profiles(
    site: Site, figures: ScopedFigures, symbols: Sequence[Symbol], span: Span, step: Step
) -> list[list[Slot]]:
    return await asyncio.gather(
        *(figures.profile(site.name, symbol, *span, step) for symbol in symbols)
    )


async def _day_profiles(
    site: Site, figures: ScopedFigures, symbols: Sequence[Symbol], span: Span
) -> tuple[Step, list[list[Slot]]]:
    """Quarters of an hour; hours where the rows are no shorter or say more by the hour."""
    rows_ms = [meter.interval_ms for symbol in symbols for meter in _meters_of(site, symbol)]
    if max(rows_ms, default=0) >= HOUR_MS:
        return Step.HOUR, await _profiles(site, figures, symbols, span, Step.HOUR)
    quarters = await _profiles(site, figures, symbols, span, Step.QUARTER_HOUR)
    if all(_covered(slots) == 1 for slots in quarters):
        return Step.QUARTER_HOUR, quarters
    hours = await _profiles(site, figures, symbols, span, Step.HOUR)
    if sum(map(_covered, hours)) > sum(map(_covered, quarters)):
        return Step.HOUR, hours
    return Step.QUARTER_HOUR, quarters


def _meters_of(site: Site, symbol: Symbol) -> list[Meter]:
    equation = site.equation(symbol)
    return [site.topology.meter(term.meter) for term in equation.terms] if equation else []


def _periods(site: Site, symbol: Symbol) -> list[int]:
    return [meter.period_ms for meter in _meters_of(site, symbol)]


def _lengths(site: Site, symbol: Symbol, step: Step) -> list[int]:
    """What a total's newest figure may be as old as: its rows, or the hours it is drawn by."""
    least = HOUR_MS if step is Step.HOUR else 0
    return [max(meter.interval_ms, least) for meter in _meters_of(site, symbol)]


def _of_slots(site: Site, symbols: Sequence[Symbol], language: Language, step: Step) -> str:
    """What each point of a chart is the mean of."""
    if step is Step.DAY:
        return language("power_year_text")
    if step is Step.QUARTER_HOUR:
        return language("power_day_text")
    longest = max((length for s in symbols for length in _lengths(site, s, step)), default=HOUR_MS)
    if longest > HOUR_MS:
        return language("power_day_long_text", length=language.age(longest))
    return language("power_day_hours_text")


async def _water(
    visit: Visit, site: Site, figures: ScopedFigures, id_: str, span: Span
) -> tuple[Chart, Glance]:
    language = visit.language
    step = Step.HOUR if id_ == "water_day" else Step.MONTH
    slots = await figures.profile(site.name, Symbol.W_IN, *span, step)
    amounts = [slot.amount for slot in slots if measured(slot)]
    total = language.quantity(sum(amount or 0.0 for amount in amounts), "m3")
    whole = bool(slots) and len(amounts) == len(slots)
    headline = language("total_of", value=total) if whole else ""
    told = of_totals(slots, _periods(site, Symbol.W_IN), language)
    headline = " · ".join(filter(None, [headline, *told]))
    names = [_slot_name(slot, site, language, step) for slot in slots]
    frame = _frame(
        visit,
        site,
        id_,
        span,
        (headline or _no_equation(site, language), language(f"{id_}_text")),
    )
    curve = Named(language("curve_water"), "water", slots)
    glance = Glance(
        language("glance_water"),
        total if whole else language("not_measured"),
        _no_equation(site, language)
        or f"{language('coverage_short')} {language.percent(_covered(slots))}",
    )
    return amount_chart(frame, curve, names, "m3", language), glance


def _covered(slots: Sequence[Slot]) -> float:
    length = sum(slot.end_ms - slot.start_ms for slot in slots)
    return sum(slot.covered_ms for slot in slots) / length if length else 0.0


def _holes(totals: Sequence[Named], site: Site, language: Language, *, of_day: bool) -> list[str]:
    """When some total is not measured, in words: the first two times, and how many more."""
    words: list[str] = []
    for start, end in gaps([total.slots for total in totals]):
        if of_day:
            times = [language.clock(at, site.zone) for at in (start, end)]
            words.append(language("hole_clock", start=times[0], end=times[1]))
            continue
        days = [language.day(civil.day(at, site.zone)) for at in (start, end - 1)]
        if days[0] == days[1]:
            words.append(language("hole_day", day=days[0]))
        else:
            words.append(language("hole_from_to", start=days[0], end=days[1]))
    if len(words) > 3:
        words = [*words[:2], language("holes_more", number=language.number(len(words) - 2))]
    return words


def _no_equation(site: Site, language: Language) -> str:
    return "" if site.equation(Symbol.W_IN) else language("no_equation")


def _frame(visit: Visit, site: Site, id_: str, span: Span, words: tuple[str, str]) -> Frame:
    headline, text = words
    language = visit.language
    ticks = (
        hour_ticks(*span, site.zone)
        if id_.endswith("_day")
        else month_ticks(*span, site.zone, language)
    )
    return Frame(
        id_.replace("_", "-"),
        language(id_),
        text,
        *span,
        ticks,
        headline or "\u00a0",
    )


def _latest(totals: Sequence[Named]) -> dict[str, tuple[Named, Slot]]:
    """The newest slot of each total that is measured, by style."""
    found: dict[str, tuple[Named, Slot]] = {}
    for total in totals:
        slot = next((slot for slot in reversed(total.slots) if measured(slot)), None)
        if slot is not None:
            found[total.style] = (total, slot)
    return found


def _slot_name(slot: Slot, site: Site, language: Language, step: Step) -> str:
    when = civil.local(slot.start_ms, site.zone)
    if step is Step.MONTH:
        return f"{language.month(when.month)} {when.year}"
    if step is Step.DAY:
        return language.day(when.date())
    return f"{language.clock(slot.start_ms, site.zone)}–{language.clock(slot.end_ms, site.zone)}"
