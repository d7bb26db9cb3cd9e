"""Tables of what was worked out for a scenario: workloads, limits, what-ifs, energy, moves."""

from datetime import tzinfo
from typing import Final

from jauge_models.capacity.answer import Answer, Option
from jauge_models.capacity.consolidation_plan import Consolidation
from jauge_models.capacity.node_load import REST
from jauge_models.capacity.outcome import Amount, Figure, Outcome
from jauge_models.capacity.schedule import Service
from jauge_models.capacity.what_if import Added

from jauge_collector.capacity.sheet_table import (
    FIXED,
    NONE,
    Table,
    amount,
    amounts,
    delta,
    hours,
    name,
    obstacles,
    runs,
    table,
    used,
)
from jauge_collector.capacity.words import Words

_MOST_MOVES: Final = 6
_UNITS: Final = {
    "it_kwh": "kWh",
    "site_kwh": "kWh",
    "co2e_kg": "kgCO2e",
    "water_m3": "m³",
    "euros": "€",
}
_FIGURE_UNITS: Final = {"pue": "", "wue": "L/kWh", "carbon": "kgCO2e/kWh", "price": "€/kWh"}


def services(found: Answer, w: Words) -> Table | None:
    """What each workload asked for and got."""
    columns = ("workload", ">asked", ">placed", ">most", ">waited", ">given_up", "why")
    return table("services", w, columns, (_service(one, w) for one in found.base.services))


def _service(one: Service, w: Words) -> tuple[str, ...]:
    number = w.plain.number
    return (
        one.id,
        runs(w, one.runs) if one.runs else hours(w, one.asked_hours),
        runs(w, one.on_time + one.waited) if one.runs else hours(w, one.placed_hours),
        f"{number(one.placed_most)}{FIXED}/{FIXED}{number(one.asked_most)}",
        number(one.waited) if one.runs else NONE,
        number(one.given_up) if one.runs else NONE,
        obstacles(one.obstacles, w),
    )


def limits(found: Answer, w: Words, zone: tzinfo) -> Table | None:
    """The highest use of each limit, and when."""
    rows = (
        (
            name(w, one.limit.value),
            one.place,
            used(one.limit, one.used, w),
            used(one.limit, one.of, w),
            w.plain.percent(one.share),
            w("feed_lost", feed=one.lost_feed)
            if one.lost_feed
            else w("always")
            if one.at_ms is None
            else w.plain.moment(one.at_ms, zone),
        )
        for one in found.base.limits
    )
    return table("limits", w, ("limit", "place", ">used", ">of", ">share", "when"), rows)


def options(found: Answer, w: Words) -> Table | None:
    """Each what-if beside the plant as it is."""
    columns = ("option", "~answer", ">it_difference", ">site_difference", ">euros_difference")
    rows = (
        (
            one.name,
            _verdict(one, w),
            delta(one.difference.it_kwh, "kWh", w),
            delta(one.difference.site_kwh, "kWh", w),
            delta(one.difference.euros, "€", w),
            _binds(one, w),
        )
        for one in found.options
    )
    return table("options", w, (*columns, "binds"), rows)


def _verdict(one: Option, w: Words) -> str:
    missing = [_left_out(added, w) for added in one.change.added if added.placed < added.number]
    # Whoever reads no further must not take a part of the option for all of it.
    fits = w("option_fits_so") if missing else w("option_fits")
    racks = [
        w("racks", racks=", ".join(f"{rack} ({number})" for rack, number in added.racks.items()))
        for added in one.change.added
        if added.racks and added.placed == added.number
    ]
    return w("joined").join((*missing, fits if one.fits else w("option_not"), *racks))


def _left_out(added: Added, w: Words) -> str:
    """How many nodes found a rack, and what kept the next one out of most racks."""
    if not added.obstacles:
        return w("no_rack")
    by = w.keeps[added.obstacles[0][0]]
    if not added.placed:
        return w.several("none_sited", added.number, by=by)
    placed, of = w.plain.number(added.placed), w.plain.number(added.number)
    return w.several("some_sited", added.number - added.placed, placed=placed, of=of, by=by)


def _binds(one: Option, w: Words) -> str:
    if one.binding is None:
        return NONE
    share = "" if one.binding.share is None else w.plain.percent(one.binding.share)
    return " ".join(filter(None, (name(w, one.binding.code), one.binding.place, share)))


def energy(base: Outcome, w: Words) -> Table | None:
    """Amounts of a year with their intervals, and what parts of IT went where."""
    rows: list[tuple[str, ...]] = []
    for key, unit in _UNITS.items():
        found: Amount | None = getattr(base.energy, key)
        rows.append((w(key), *_with_bounds(found, unit, w)))
    if base.idle_kwh is not None:
        rows.append((w("of_which_idle"), amount(base.idle_kwh, "kWh", w), ""))
    for part, kwh in sorted(base.parts.items(), key=lambda one: -one[1]):
        title = w("at_rest") if part == REST else w("of_workload", workload=part)
        rows.append((title, amount(kwh, "kWh", w), ""))
    return table("energy", w, ("what", ">amount", ">interval"), rows)


def _with_bounds(found: Amount | None, unit: str, w: Words) -> tuple[str, str]:
    if found is None:
        return w("not_known"), ""
    if found.low is None or found.high is None:
        return amount(found.value, unit, w), NONE
    return amount(found.value, unit, w), amounts(found.low, found.high, unit, w)


def consolidation(key: str, plan: Consolidation | None, w: Words) -> Table | None:
    """Nodes that could be emptied; a text alone where none was found."""
    if plan is None:
        return None
    rows = []
    for one in plan.emptied:
        moves = [f"{move.instance} → {move.target}" for move in one.moves[:_MOST_MOVES]]
        if len(one.moves) > _MOST_MOVES:
            moves.append(f"+{w.plain.number(len(one.moves) - _MOST_MOVES)}")
        rows.append((one.node, ", ".join(moves) or NONE, amount(one.rest_kwh, "kWh", w)))
    kwh = amount(plan.kwh, "kWh", w)
    text = w.several("consolidation_text", len(rows), kwh=kwh)
    found = table(key, w, ("node", "moves", ">saved"), rows, text)
    return found or Table(key, w(key), w("consolidation_none"), (), ())


def draws(found: Answer, w: Words) -> Table | None:
    """What each kind of node is planned with."""
    rows = (
        (
            one.kind,
            *(w.plain.quantity(watts, "W") for watts in (one.idle_w, one.full_w, one.full_high_w)),
            w("measured") if one.measured else w("declared", basis=one.basis),
        )
        for one in found.draws
    )
    return table("draws", w, ("kind", ">idle_w", ">full_w", ">full_high_w", "basis"), rows)


def figures(found: Answer, w: Words) -> Table | None:
    """What turns kWh of IT into the rest, with its source."""
    rows = []
    for key, unit in _FIGURE_UNITS.items():
        figure: Figure | None = getattr(found.figures, key)
        if figure is not None:
            value = w.plain.plain(figure.value, 4)
            said = w("stated") if figure.status is None else w.plain(f"status_{figure.status}")
            source = f"{w.plain.label(figure.source)} ({said})"
            rows.append((w(key), f"{value}{FIXED}{unit}".rstrip(FIXED), source))
    return table("figures", w, ("figure", ">value", "source"), rows)
