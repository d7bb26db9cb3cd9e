"""The planner's answer as it is read: one sentence, tables, what was not known.

One form for the terminal, the console, the report and CSV; numbers are written as the language
does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from jauge_models.capacity.answer import Answer, Option, Sentence
from jauge_models.capacity.consolidation_plan import Consolidation
from jauge_models.capacity.fullness import Fullness, Limit
from jauge_models.capacity.idle_gpus import IdleGpus
from jauge_models.capacity.limit_use import LimitUse
from jauge_models.capacity.node_load import REST
from jauge_models.capacity.outcome import Amount, Figure, Outcome
from jauge_models.capacity.siting import Unknown
from jauge_models.capacity.workloads import Obstacle

from jauge_collector import civil
from jauge_collector.capacity.words import Words

_MOST_MOVES: Final = 6
_AMOUNTS: Final = ("it_kwh", "site_kwh", "co2e_kg", "water_m3", "euros")
_UNITS: Final = {
    "it_kwh": "kWh",
    "site_kwh": "kWh",
    "co2e_kg": "kgCO2e",
    "water_m3": "m³",
    "euros": "€",
}
_FIGURE_UNITS: Final = {"pue": "", "wue": "L/kWh", "carbon": "kgCO2e/kWh", "price": "€/kWh"}
_FIXED: Final = "\u00a0"


class Column(NamedTuple):
    """A column; ``number``: its cells stand on the right."""

    title: str
    number: bool = False


class Table(NamedTuple):
    """A table with its heading; ``text`` says what it means, ``key`` is of no language."""

    key: str
    title: str
    text: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


class Sheet(NamedTuple):
    """All that is read, in its order."""

    title: str
    period: str
    sentence: str
    tables: tuple[Table, ...]
    unknown_title: str
    unknown: tuple[str, ...]
    simulated_title: str
    simulated: tuple[str, ...]


def sheet(found: Answer, unlearnt: Mapping[str, str], w: Words, zone: tzinfo) -> Sheet:
    """The answer in the words of a language.

    ``unlearnt``: kinds of which too little was measured, with the code of what is missing;
    ``zone``: the scenario's.
    """
    end_ms = found.start_ms + found.hours * 3_600_000
    tables = (
        _services(found.base, w),
        _limits(found.base.limits, w, zone),
        _options(found.options, w),
        _energy(found.base, w),
        _outlook(found, w),
        _idle(found.idle, w),
        _consolidation("consolidation_now", found.running, w),
        _consolidation("consolidation", found.consolidation, w),
        _draws(found, w),
        _figures(found, w),
    )
    return Sheet(
        title=found.scenario,
        period=w(
            "period",
            start=w.plain.day(civil.day(found.start_ms, zone)),
            end=w.plain.day(civil.day(end_ms - 1, zone)),
            hours=w.plain.number(found.hours),
        ),
        sentence=sentence(found.sentence, found.options, w, zone),
        tables=tuple(table for table in tables if table is not None),
        unknown_title=w("unknown"),
        unknown=(
            *(w.lacking(code) for code in found.base.unknown),
            *_of_options(found, w),
            *(
                w.lacking(f"curve:{kind}", why=w.names[why])
                for kind, why in sorted(unlearnt.items())
            ),
        ),
        simulated_title=w("simulated"),
        simulated=tuple(w.how(code) for code in found.simulated),
    )


def _of_options(found: Answer, w: Words) -> Iterator[str]:
    """What was not known of an option's plant beside what was not of the plant as it is."""
    for option in found.options:
        codes = [code for code in option.outcome.unknown if code not in found.base.unknown]
        if any(Unknown.RACK_UNITS in added.unknown for added in option.change.added):
            codes.append("rack_units")
        for code in codes:
            yield w("of_option", option=option.name, what=w.lacking(code))


def sentence(said: Sentence, options: Sequence[Option], w: Words, zone: tzinfo) -> str:
    """The answer in one or two sentences."""
    values = dict(said.values)
    told = {
        "waited": _whole(w, values.get("waited")),
        "longest": _whole(w, values.get("longest_wait_h")),
        "workload": values.get("workload", ""),
        "unplaced": _whole(w, values.get("unplaced")),
        "asked": _asked(w, values),
        "obstacle": _name(w, str(values.get("obstacle", ""))),
    }
    parts = [w(said.code, **told)]
    if said.code == "refused" and options:
        parts.append(w("remedy", remedy=said.remedy) if said.remedy else w("no_remedy"))
    if "limit" in values:
        at_ms = values.get("at_ms")
        moment = w.plain.moment(int(at_ms), zone) if at_ms is not None else ""
        parts.append(
            w(
                "nearest_at" if moment else "nearest",
                limit=_name(w, str(values["limit"])),
                place=values["place"],
                share=w.plain.percent(float(values["share"])),
                moment=moment,
            )
        )
    return " ".join(parts)


def _whole(w: Words, value: str | float | None) -> str:
    return w.plain.number(float(value)) if value is not None else ""


def _asked(w: Words, values: Mapping[str, str | float]) -> str:
    """With its unit: hours are not desktops."""
    number = _whole(w, values.get("asked"))
    return w("runs" if values.get("unit") == "runs" else "instance_hours", number=number)


def _name(w: Words, code: str) -> str:
    return w.names.get(code, code)


def _services(base: Outcome, w: Words) -> Table | None:
    number = w.plain.number
    rows = [
        (
            one.id,
            w("runs", number=number(one.runs))
            if one.runs
            else w("instance_hours", number=number(one.asked_hours)),
            w("runs", number=number(one.on_time + one.waited))
            if one.runs
            else w("instance_hours", number=number(one.placed_hours)),
            f"{number(one.placed_most)}{_FIXED}/{_FIXED}{number(one.asked_most)}",
            number(one.waited) if one.runs else "–",
            number(one.given_up) if one.runs else "–",
            _obstacles(one.obstacles, w),
        )
        for one in base.services
    ]
    columns = (
        Column(w("workload")),
        Column(w("asked"), number=True),
        Column(w("placed"), number=True),
        Column(w("most"), number=True),
        Column(w("waited"), number=True),
        Column(w("given_up"), number=True),
        Column(w("why")),
    )
    return _table("services", w, columns, rows)


def _obstacles(some: Iterable[tuple[Obstacle, int]], w: Words) -> str:
    return ", ".join(f"{_name(w, one.value)} ({w.plain.number(nodes)})" for one, nodes in some)


def _limits(limits: Iterable[LimitUse], w: Words, zone: tzinfo) -> Table | None:
    rows = [
        (
            _name(w, one.limit.value),
            one.place,
            _amount_of(one.limit, one.used, w),
            _amount_of(one.limit, one.of, w),
            w.plain.percent(one.share),
            w("feed_lost", feed=one.lost_feed)
            if one.lost_feed
            else w("always")
            if one.at_ms is None
            else w.plain.moment(one.at_ms, zone),
        )
        for one in limits
    ]
    columns = (
        Column(w("limit")),
        Column(w("place")),
        Column(w("used"), number=True),
        Column(w("of"), number=True),
        Column(w("share"), number=True),
        Column(w("when")),
    )
    return _table("limits", w, columns, rows)


def _amount_of(limit: Limit, value: float, w: Words) -> str:
    if limit is Limit.GPUS:
        return w.plain.plain(value, 4)
    if limit is Limit.GPU_MEMORY:
        return f"{w.plain.plain(value / 1024, 4)}{_FIXED}GiB"
    return w.plain.quantity(value, "W")


def _options(options: Sequence[Option], w: Words) -> Table | None:
    rows = [
        (
            one.name,
            _verdict(one, w),
            _delta(one.difference.it_kwh, "kWh", w),
            _delta(one.difference.site_kwh, "kWh", w),
            _delta(one.difference.euros, "€", w),
            _binds(one, w),
        )
        for one in options
    ]
    columns = (
        Column(w("option")),
        Column(w("answer")),
        Column(w("it_difference"), number=True),
        Column(w("site_difference"), number=True),
        Column(w("euros_difference"), number=True),
        Column(w("binds")),
    )
    return _table("options", w, columns, rows)


def _verdict(one: Option, w: Words) -> str:
    parts = [w("option_fits") if one.fits else w("option_not")]
    for added in one.change.added:
        if added.placed < added.number:
            parts.append(
                w(
                    "not_sited",
                    placed=w.plain.number(added.placed),
                    number=w.plain.number(added.number),
                    obstacle=_obstacles(added.obstacles[:1], w) or w("no_rack"),
                )
            )
        elif added.racks:
            racks = ", ".join(f"{name} ({number})" for name, number in added.racks.items())
            parts.append(w("racks", racks=racks))
    return w("joined").join(parts)


def _binds(one: Option, w: Words) -> str:
    if one.binding is None:
        return "–"
    share = "" if one.binding.share is None else w.plain.percent(one.binding.share)
    return " ".join(filter(None, (_name(w, one.binding.code), one.binding.place, share)))


def _delta(value: float | None, unit: str, w: Words) -> str:
    if value is None:
        return w("not_known")
    return f"{'+' if value > 0 else ''}{_plain(value, unit, w)}"


def _plain(value: float, unit: str, w: Words) -> str:
    if unit == "kWh" and abs(value) >= 10_000:
        value, unit = value / 1000, "MWh"
    if unit == "kgCO2e" and abs(value) >= 10_000:
        value, unit = value / 1000, "tCO2e"
    text = w.plain.number(value) if abs(value) >= 100 else w.plain.plain(value, 3)
    return f"{text}{_FIXED}{unit}" if unit else text


def _energy(base: Outcome, w: Words) -> Table | None:
    rows: list[tuple[str, ...]] = []
    for name in _AMOUNTS:
        amount: Amount | None = getattr(base.energy, name)
        rows.append((w(name), *_with_bounds(amount, _UNITS[name], w)))
    if base.idle_kwh is not None:
        rows.append((w("of_which_idle"), _plain(base.idle_kwh, "kWh", w), ""))
    for name, kwh in sorted(base.parts.items(), key=lambda part: -part[1]):
        title = w("at_rest") if name == REST else w("of_workload", workload=name)
        rows.append((title, _plain(kwh, "kWh", w), ""))
    columns = (
        Column(w("what")),
        Column(w("amount"), number=True),
        Column(w("interval"), number=True),
    )
    return _table("energy", w, columns, rows)


def _with_bounds(amount: Amount | None, unit: str, w: Words) -> tuple[str, str]:
    if amount is None:
        return w("not_known"), ""
    if amount.low is None or amount.high is None:
        return _plain(amount.value, unit, w), "–"
    low, high = _plain(amount.low, unit, w), _plain(amount.high, unit, w)
    return _plain(amount.value, unit, w), f"{low} – {high}"


def _idle(idle: IdleGpus | None, w: Words) -> Table | None:
    if idle is None or not idle.hours:
        return None
    number = w.plain.number
    parts = [
        w(
            "idle_text",
            gpus=number(idle.gpus),
            hours=number(idle.hours),
            idle=number(idle.idle_hours),
            share=w.plain.percent(idle.idle_hours / idle.hours),
            below=w.plain.percent(idle.below),
        )
    ]
    if idle.kwh is not None and idle.kwh_year is not None:
        euros = idle.euros_year
        parts.append(
            w(
                "idle_cost",
                kwh=_plain(idle.kwh, "kWh", w),
                year=_plain(idle.kwh_year, "kWh", w),
                euros="" if euros is None else w("idle_euros", euros=_plain(euros, "€", w)),
            )
        )
    if idle.unmeasured_hours:
        parts.append(w("idle_unmeasured", hours=number(idle.unmeasured_hours)))
    rows = [
        (
            one.node,
            str(one.gpu),
            w("instance_hours", number=number(one.idle_hours)),
            "–" if one.held_hours is None else w("instance_hours", number=number(one.held_hours)),
            "–" if one.kwh is None else _plain(one.kwh, "kWh", w),
        )
        for one in idle.worst
    ]
    columns = (
        Column(w("node")),
        Column(w("gpu")),
        Column(w("idle_hours"), number=True),
        Column(w("held"), number=True),
        Column(w("drawn"), number=True),
    )
    return Table("idle", w("idle"), " ".join(parts), columns, tuple(rows))


def _consolidation(key: str, plan: Consolidation | None, w: Words) -> Table | None:
    if plan is None:
        return None
    if not plan.emptied:
        return Table(key, w(key), w("consolidation_none"), (), ())
    rows = []
    for one in plan.emptied:
        moves = [f"{move.instance} → {move.target}" for move in one.moves[:_MOST_MOVES]]
        if len(one.moves) > _MOST_MOVES:
            moves.append(f"+{w.plain.number(len(one.moves) - _MOST_MOVES)}")
        saved = w("not_known") if one.rest_kwh is None else _plain(one.rest_kwh, "kWh", w)
        rows.append((one.node, ", ".join(moves) or "–", saved))
    text = w(
        "consolidation_text",
        number=w.plain.number(len(plan.emptied)),
        kwh=w("not_known") if plan.kwh is None else _plain(plan.kwh, "kWh", w),
    )
    columns = (Column(w("node")), Column(w("moves")), Column(w("saved"), number=True))
    return Table(key, w(key), text, columns, tuple(rows))


def _draws(found: Answer, w: Words) -> Table | None:
    rows = [
        (
            one.kind,
            w.plain.quantity(one.idle_w, "W"),
            w.plain.quantity(one.full_w, "W"),
            w.plain.quantity(one.full_high_w, "W"),
            w("measured") if one.measured else w("declared", basis=one.basis),
        )
        for one in found.draws
    ]
    columns = (
        Column(w("kind")),
        Column(w("idle_w"), number=True),
        Column(w("full_w"), number=True),
        Column(w("full_high_w"), number=True),
        Column(w("basis")),
    )
    return _table("draws", w, columns, rows)


def _figures(found: Answer, w: Words) -> Table | None:
    rows = []
    for name, unit in _FIGURE_UNITS.items():
        figure: Figure | None = getattr(found.figures, name)
        if figure is not None:
            value = w.plain.plain(figure.value, 4)
            said = w("measured") if figure.measured else w("declared", basis="").rstrip(" :\u202f")
            source = f"{w.plain.label(figure.source)} ({said})"
            rows.append((w(name), f"{value}{_FIXED}{unit}".rstrip(_FIXED), source))
    columns = (Column(w("figure")), Column(w("value"), number=True), Column(w("source")))
    return _table("figures", w, columns, rows)


def _outlook(found: Answer, w: Words) -> Table | None:
    columns = (
        Column(w("limit")),
        Column(w("place")),
        Column(w("chance"), number=True),
        Column(w("days_10"), number=True),
        Column(w("days_50"), number=True),
        Column(w("days_90"), number=True),
        Column(w("forecast")),
    )
    rows = []
    for one in found.outlook:
        few = one.too_few_days
        full = one.full
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
            why = w(
                "too_short",
                have=w.plain.number(few.have),
                needed=w.plain.number(few.needed),
            )
            told = ("–", "–", "–", "–", why)
        else:
            continue
        rows.append((_name(w, one.limit.value), one.place, *told))
    return _table("outlook", w, columns, rows)


def _in_days(days: float | None, w: Words) -> str:
    if days is None:
        return w("not_within")
    return w("in_days", days=w.plain.number(days)) if days else w("full_now")


def _method(full: Fullness, w: Words) -> str:
    if full.skill is None:
        return w("seasonal_naive")
    return w("skill", method=w.methods[full.method], skill=w.plain.percent(full.skill, 0))


def _table(
    key: str, w: Words, columns: tuple[Column, ...], rows: Sequence[tuple[str, ...]]
) -> Table | None:
    return Table(key, w(key), "", columns, tuple(rows)) if rows else None


def lines(found: Sheet) -> Iterator[str]:
    """The sheet for a terminal, tables aligned."""
    yield found.title
    yield found.period
    yield ""
    yield found.sentence
    for table in found.tables:
        yield ""
        yield table.title
        if table.text:
            yield f"  {table.text}"
        yield from _aligned(table)
    for title, some in (
        (found.unknown_title, found.unknown),
        (found.simulated_title, found.simulated),
    ):
        if some:
            yield ""
            yield title
            yield from (f"  {one}" for one in some)


def _aligned(table: Table) -> Iterator[str]:
    rows = [tuple(column.title for column in table.columns), *table.rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(table.columns))]
    for row in rows if table.columns else ():
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()
