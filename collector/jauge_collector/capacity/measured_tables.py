"""Tables of what was measured: when limits are full, what is ahead for each pool, idle GPUs."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from jauge_models.capacity.answer import Answer
from jauge_models.capacity.forecast import Forecast
from jauge_models.capacity.fullness import Fullness, Limit
from jauge_models.capacity.history import LATELY
from jauge_models.capacity.idle_gpus import IdleGpus
from jauge_models.capacity.outlook import Measure, TooLittle

from jauge_collector.capacity.sheet_table import (
    NONE,
    Table,
    amount,
    hours,
    name,
    ranged,
    table,
    used,
)
from jauge_collector.capacity.words import Words

AHEAD: Final = {"in_a_day": 24, "in_a_week": 168, "in_four_weeks": 672}
"""Columns of a pool's forecast, and how many hours ahead each looks."""
_OF_POOLS: Final = (Limit.GPUS, Limit.GPU_MEMORY)


def outlook(found: Answer, w: Words) -> Table | None:
    """When each limit is full, with its chances."""
    rows = []
    for one in found.outlook:
        few, full = one.too_few_days, one.full
        if full is not None:
            told = (
                w(
                    "chance_within",
                    chance=w.plain.percent(full.probability, 0),
                    days=w.plain.number(full.horizon_days),
                ),
                *(_in_days(days, w) for days in (full.days_10, full.days_50, full.days_90)),
                _method(full, w),
            )
        elif few is not None:
            told = (NONE, NONE, NONE, NONE, _too_short(few, w))
        else:
            continue
        rows.append((name(w, one.limit.value), one.place, w.counted[one.counted.value], *told))
    columns = ("limit", "place", "counted", ">chance", ">days_10", ">days_50", ">days_90")
    return table("outlook", w, (*columns, "~forecast"), rows, " ".join(_how(found, w)))


def _how(found: Answer, w: Words) -> Iterator[str]:
    yield w("outlook_text")
    if any(one.limit is Limit.BREAKER for one in found.outlook):
        yield w("outlook_breakers")
    if found.gpu_weeks is not None:
        yield w("gpu_weeks", weeks=w.plain.number(found.gpu_weeks))


def _in_days(days: float | None, w: Words) -> str:
    if days is None:
        return w("not_within")
    return w("in_days", days=w.plain.number(days)) if days else w("full_now")


def _method(found: Fullness | Forecast, w: Words) -> str:
    if found.skill is None:
        return w("seasonal_naive")
    skill = w.plain.percent(found.skill, 0)
    return w("skill", method=w.methods[found.method], skill=skill)


def _too_short(few: TooLittle, w: Words) -> str:
    if few.missing == LATELY:
        return w("not_lately")
    number = w.plain.number
    return w("too_short", have=number(few.have), needed=number(few.needed))


class _Ahead(NamedTuple):
    """One forecast of a pool; ``what``: a limit or a measure."""

    pool: str
    what: Limit | Measure
    hours: Forecast | None
    too_little: TooLittle | None


def pools(found: Answer, w: Words) -> Table | None:
    """What is ahead for each pool: GPUs and memory, how busy its GPUs are, what its nodes draw."""
    every = [
        *(
            _Ahead(one.place, one.limit, one.hours, one.too_little)
            for one in found.outlook
            if one.limit in _OF_POOLS
        ),
        *(_Ahead(one.pool, one.measure, one.hours, one.too_little) for one in found.pools),
    ]
    rows = [_ahead(one, w) for one in sorted(every, key=lambda one: one.pool)]
    columns = ("pool", "what", ">last", *(f">{key}" for key in AHEAD), "~forecast")
    return table("pools", w, columns, rows, w("pools_text"))


def _ahead(one: _Ahead, w: Words) -> tuple[str, ...]:
    told = (one.pool, name(w, one.what.value))
    if one.hours is None:
        why = "" if one.too_little is None else _too_short(one.too_little, w)
        return (*told, NONE, *(NONE for _ in AHEAD), why)
    cells = (_at(one.what, one.hours, step - 1, w) for step in AHEAD.values())
    last = NONE if one.hours.last is None else used(one.what, one.hours.last, w)
    return (*told, last, *cells, _method(one.hours, w))


def _at(what: str, ahead: Forecast, at: int, w: Words) -> str:
    if at >= len(ahead.middle):
        return NONE
    middle, bounds = ranged(what, ahead.middle[at], ahead.lower[at], ahead.upper[at], w)
    return f"{middle} ({bounds})" if bounds else middle


def idle(found: IdleGpus | None, w: Words) -> Table | None:
    """GPUs that did next to nothing, and what they drew."""
    if found is None or not found.hours:
        return None
    number = w.plain.number
    parts = [
        w(
            "idle_text",
            gpus=number(found.gpus),
            hours=number(found.hours),
            idle=number(found.idle_hours),
            share=w.plain.percent(found.idle_hours / found.hours),
            below=w.plain.percent(found.below),
        )
    ]
    if found.kwh is not None and found.kwh_year is not None:
        euros = found.euros_year
        parts.append(
            w(
                "idle_cost",
                kwh=amount(found.kwh, "kWh", w),
                year=amount(found.kwh_year, "kWh", w),
                euros="" if euros is None else w("idle_euros", euros=amount(euros, "€", w)),
            )
        )
    if found.unmeasured_hours:
        parts.append(w("idle_unmeasured", hours=number(found.unmeasured_hours)))
    rows = tuple(
        (
            one.node,
            str(one.gpu),
            hours(w, one.idle_hours),
            NONE if one.held_hours is None else hours(w, one.held_hours),
            NONE if one.kwh is None else amount(one.kwh, "kWh", w),
        )
        for one in found.worst
    )
    columns = ("node", ">gpu", ">idle_hours", ">held", ">drawn")
    text = " ".join(parts)
    return table("idle", w, columns, rows, text) or Table("idle", w("idle"), text, (), ())
