"""GPU capacity: what is given away, what works, what it draws, and what fills up first."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Form, Query, Row, View, bars, lines, stat, table
from jauge_dashboards.boards.variables import SITE, hosts_with
from jauge_dashboards.queries import joined, metric, named, none_is_zero, reading

_INFO: Final = metric("host_info", site="$site", host="~$host", room="~$room", rack="~$rack")
_GIVEN: Final = joined(metric("gpu_allocated_ratio", site="$site"), _INFO, "host", "rack")


def _of_gpus(quantity: str) -> str:
    """Readings of the GPUs that are in the hosts shown, with the host and its rack."""
    return (
        f"{reading(quantity, site='$site', kind='gpu')} * on (site, agent, resource) "
        f"group_left (host, rack) (0 * {_GIVEN} + 1)"
    )


_POWER: Final = _of_gpus("power")
_ACTIVITY: Final = _of_gpus("gpu_utilisation")
_USED: Final = metric("capacity_used_ratio", site="$site")
_CHANCE: Final = metric("capacity_full_probability_ratio", site="$site")
_HORIZON: Final = metric("capacity_full_horizon_seconds", site="$site")
_SKILL: Final = metric("capacity_forecast_skill_ratio", site="$site")
_DAY_S: Final = 86_400
_NOT_WITHIN: Final = 3650
"""Stands for a limit that no forecast reaches: none looks further ahead than a year."""
_TOO_SHORT: Final = -1
"""Stands for a past from which nothing can be told."""
_NEAREST: Final = (
    f"min({metric('capacity_full_seconds', site='$site', chance='0.5')}) / {_DAY_S} "
    f"or (0 * count({_CHANCE}) + {_NOT_WITHIN}) "
    f"or (0 * count({metric('capacity_timestamp_seconds', site='$site')}) + {_TOO_SHORT})"
)
_LIMITS: Final = ("gpus", "gpu_memory", "rack_power", "breaker", "room_cooling")
_METER: Final = metric("meter_info", site="$site")
_DRAWN: Final = metric("meter_power_watts", site="$site")
_LIMIT: Final = metric("meter_limit_watts", site="$site")
_NAME: Final = "{{name}}"


def _by_limit(expression: str) -> str:
    """With ``shown``: the limit in the reader's language, and its place."""
    shown = expression
    for limit in _LIMITS:
        shown = f'label_replace({shown}, "shown", "@limit_{limit}@", "limit", "{limit}")'
    return shown


def _days(chance: str) -> str:
    return f"{metric('capacity_full_seconds', site='$site', chance=chance)} / {_DAY_S}"


def _count(key: str, expression: str) -> View:
    return View(
        key=key,
        form=Form.STAT,
        queries=(Query(expression),),
        unit=style.COUNT,
        width=5,
        height=style.STAT_HEIGHT,
    )


_NOW: Final = Row(
    "now",
    (
        _count("installed", f"count({_GIVEN})"),
        _count("given", f"sum({_GIVEN})"),
        _count("working", none_is_zero(f"count({_ACTIVITY} > 0.05)")),
        stat(
            key="power_now",
            queries=(Query(f"sum({_POWER})"),),
            unit=style.WATTS,
            decimals=1,
            width=5,
        ),
        stat(
            key="days_to_full",
            queries=(Query(_NEAREST),),
            unit=style.COUNT,
            decimals=0,
            steps=(
                style.Step(None, style.CALM),
                style.Step(0, style.BAD),
                style.Step(90, style.WARN),
                style.Step(180, style.GOOD),
            ),
            states="days_to_full",
            missing="no_plant",
            width=4,
        ),
    ),
)

_OF_LIMIT: Final = "shown, limit, place"
_FULL: Final = Row(
    "full",
    (
        bars(
            key="used",
            queries=(Query(f"sort_desc({_by_limit(_USED)})", "{{shown}} {{place}}"),),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.NEAR_A_LIMIT,
            missing="no_plant",
            width=24,
            height=8,
        ),
        table(
            key="full",
            queries=tuple(
                Query(f"round(max by ({_OF_LIMIT}) ({_by_limit(one)}))")
                for one in (
                    f"100 * {_USED}",
                    f"100 * {_CHANCE}",
                    *(_days(chance) for chance in ("0.1", "0.5", "0.9")),
                    f"{_HORIZON} / {_DAY_S}",
                    f"100 * {_SKILL}",
                )
            ),
            unit=style.PLAIN,
            columns=(
                Column(field="shown", word="limit"),
                Column(field="place", word="place"),
                Column(field="Value #A", word="used"),
                Column(field="Value #B", word="chance"),
                Column(field="Value #C", word="days_10"),
                Column(field="Value #D", word="days_50"),
                Column(field="Value #E", word="days_90"),
                Column(field="Value #F", word="horizon"),
                Column(field="Value #G", word="skill"),
            ),
            sort=("chance", True),
            missing="nothing",
            width=24,
            height=11,
        ),
    ),
)

_ALLOCATION: Final = Row(
    "allocation",
    (
        lines(
            key="allocation",
            queries=(
                Query(f"sum({_GIVEN})", word="given", look="electricity"),
                Query(f"count({_GIVEN})", word="installed", look="limit"),
            ),
            unit=style.COUNT,
            low=0,
            width=12,
        ),
        lines(
            key="activity",
            queries=(Query(named(f"({_ACTIVITY})", "name"), _NAME),),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            width=12,
        ),
    ),
)

_DRAW: Final = Row(
    "draw",
    (
        lines(
            key="power",
            queries=(Query(named(f"({_POWER})", "name"), _NAME),),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=12,
        ),
        bars(
            key="room_left",
            queries=(
                Query(
                    "sort("
                    + joined(f"(1 - {_DRAWN} / on (site, meter) {_LIMIT})", _METER, "meter", "name")
                    + ")",
                    _NAME,
                ),
            ),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.at_least(0.2, 0.1),
            width=12,
        ),
    ),
)

_KEY: Final = "site, agent, resource, host, rack, name"
_EACH: Final = Row(
    "each",
    (
        table(
            key="gpus",
            queries=tuple(
                Query(f"round({scale} * max by ({_KEY}) ({named(f'({one})', 'name')}))")
                for scale, one in ((100, _GIVEN), (100, _ACTIVITY), (1, _POWER))
            ),
            unit=style.PLAIN,
            columns=(
                Column(field="name", word="gpu"),
                Column(field="host", word="host"),
                Column(field="rack", word="rack"),
                Column(field="Value #A", word="given"),
                Column(field="Value #B", word="activity"),
                Column(field="Value #C", word="power"),
            ),
            sort=("power", True),
            width=24,
            height=style.TABLE_HEIGHT,
        ),
    ),
)

BOARD: Final = Board(
    key="gpus",
    variables=(SITE, *hosts_with("gpu_allocated_ratio")),
    rows=(_NOW, _FULL, _ALLOCATION, _DRAW, _EACH),
    start="now-7d",
    narrower=("hosts", "virtualisation"),
)
