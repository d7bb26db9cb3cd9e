"""Annex: GPU capacity by what was measured, of sites that declare a plant."""

from collections.abc import Iterator
from typing import Final

from jauge_collector.capacity.measured_tables import AHEAD
from jauge_collector.capacity.sheet_table import ranged, used
from jauge_collector.capacity.words import Words, words
from jauge_collector.reports.content import Capacity, CapacityLimit, CapacityPool, Report
from jauge_collector.reports.document import Block, Bullets, Cell, Column, Paragraph, Section, Table
from jauge_collector.reports.prose import DASH, Prose

_NAMES: Final = 6
"""Of what is not known; the JSON has all."""


def capacity(report: Report, p: Prose) -> Iterator[Section]:
    """GPUs and their use, idle draw, limits and when they are full, what is not known."""
    found = report.capacity
    if found is None:
        return
    blocks: list[Block] = []
    if found.problem:
        blocks.append(Paragraph(text=p("capacity_problem", problem=found.problem), tone="warning"))
    else:
        blocks += [
            Paragraph(text=p("capacity_basis"), tone="note"),
            _gpus(found, p),
            Paragraph(text=_idle(found, p)),
            _limits(found, p),
        ]
        if found.limits_left_out:
            blocks.append(Paragraph(text=p("capacity_left", count=found.limits_left_out)))
        if found.pools:
            blocks.append(_pools(found, p))
        if found.unknown:
            blocks += [
                Paragraph(text=p("capacity_unknown"), tone="intro"),
                Bullets(
                    items=tuple(
                        p(f"capacity_{gap.code}", names=p.some(gap.names, _NAMES))
                        for gap in found.unknown
                    )
                ),
            ]
    yield Section(id="capacity", title=p("section_capacity"), blocks=tuple(blocks))


def _gpus(found: Capacity, p: Prose) -> Table:
    return Table(
        caption=p("capacity_gpus_used"),
        columns=(
            Column(name=p("capacity_kind"), width=2),
            Column(name=p("capacity_number"), number=True),
            Column(name=p("capacity_used"), number=True),
            Column(name=p("capacity_share"), number=True),
            Column(name=p("coverage"), number=True),
        ),
        rows=tuple(
            (
                Cell(text=one.gpu, strong=True),
                Cell(text=p.number(one.number)),
                Cell(text=p("not_measured") if one.used is None else p.number(one.used, "", 1)),
                Cell(text=DASH if one.used is None else p.share(one.used / one.number)),
                Cell(text=p.share(one.coverage)),
            )
            for one in found.gpus
        ),
        note=p("capacity_gpus_note"),
    )


def _idle(found: Capacity, p: Prose) -> str:
    idle = found.idle
    if idle is None:
        return p("capacity_no_idle")
    told = p(
        "capacity_idle",
        below=p.plain.percent(idle.below, 0),
        idle=p.number(idle.idle_hours),
        hours=p.number(idle.hours),
        kwh=p("not_measured") if idle.kwh is None else p.total(idle.kwh, "kWh"),
    )
    if not idle.unmeasured_hours:
        return told
    return f"{told} " + p("capacity_idle_unmeasured", hours=p.number(idle.unmeasured_hours))


def _limits(found: Capacity, p: Prose) -> Table:
    w = words(p.plain.code)
    return Table(
        caption=p("capacity_limits"),
        columns=(
            Column(name=p("capacity_limit"), width=2.2),
            Column(name=p("capacity_used_part"), number=True, width=1),
            Column(name=p("capacity_chance"), number=True, width=1.4),
            Column(name=p("capacity_days_10"), number=True, width=0.9),
            Column(name=p("capacity_days_50"), number=True, width=0.9),
            Column(name=p("capacity_days_90"), number=True, width=0.9),
            Column(name=p("capacity_forecast"), width=2.6),
        ),
        rows=tuple(
            (
                Cell(text=w.names[one.limit], sub=_place(one, w)),
                Cell(text=DASH if one.used is None else p.share(one.used)),
                Cell(text=_chance(one, p)),
                *(Cell(text=days) for days in _told(one, p)),
                Cell(text=_forecast(one, p, w)),
            )
            for one in found.limits
        ),
        note=p("capacity_limits_note"),
    )


def _place(one: CapacityLimit, w: Words) -> str:
    return f"{one.place} · {w.counted[one.counted]}" if one.counted else one.place


def _pools(found: Capacity, p: Prose) -> Table:
    w = words(p.plain.code)
    return Table(
        caption=p("capacity_pools"),
        columns=(
            Column(name=p("capacity_kind"), width=2),
            Column(name=p("capacity_last"), number=True),
            *(Column(name=p(f"capacity_{name}"), number=True, width=1.6) for name in AHEAD),
            Column(name=p("capacity_forecast"), width=2.2),
        ),
        rows=tuple(
            (
                Cell(text=one.gpu, sub=w.names[one.what], strong=True),
                Cell(text=DASH if one.last is None else used(one.what, one.last, w)),
                *(_hour(one.what, getattr(one, name), w) for name in AHEAD),
                Cell(text=_method(one, p, w)),
            )
            for one in found.pools
        ),
        note=p("capacity_pools_note"),
    )


def _hour(what: str, hour: tuple[float, float, float] | None, w: Words) -> Cell:
    if hour is None:
        return Cell(text=DASH)
    middle, bounds = ranged(what, *hour, w)
    return Cell(text=middle, sub=bounds)


def _chance(one: CapacityLimit, p: Prose) -> str:
    if one.probability is None or one.horizon_days is None:
        return DASH
    return p(
        "capacity_within",
        chance=p.plain.percent(one.probability, 0),
        days=p.number(one.horizon_days),
    )


def _told(one: CapacityLimit, p: Prose) -> tuple[str, ...]:
    return tuple(
        DASH if days is None else p.number(days) if days else p("capacity_now")
        for days in (one.days_10, one.days_50, one.days_90)
    )


def _forecast(one: CapacityLimit, p: Prose, w: Words) -> str:
    if not one.method:
        return p("capacity_declared") if one.limit == "breaker" else p("capacity_too_short")
    return _method(one, p, w)


def _method(one: CapacityLimit | CapacityPool, p: Prose, w: Words) -> str:
    if isinstance(one, CapacityPool) and not one.method:
        return p("capacity_refused", have=p.number(one.have), needed=p.number(one.needed))
    if one.skill is None:
        return p("capacity_no_skill")
    skill = p.plain.percent(one.skill, 0)
    return p("capacity_skill", method=w.methods[one.method], skill=skill)
