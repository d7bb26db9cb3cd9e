"""Rooms and racks: intake air against what its equipment allows, and for how long outside."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Query, Row, bars, count, lines, stat, table
from jauge_dashboards.boards.variables import INTAKE_RACK, INTAKE_ROOM, SITE
from jauge_dashboards.queries import joined, metric, none_is_zero, reading

_INTAKE: Final = metric("intake_info", site="$site", room="~$room", rack="~$rack")
_TEMPERATURE: Final = reading("temperature", site="$site")
_HUMIDITY: Final = reading("humidity", site="$site")
_PLACES: Final = ("room", "row", "rack", "class")
_AT_INTAKE: Final = joined(_TEMPERATURE, _INTAKE, "agent, resource", *_PLACES)
_HUMID_INTAKE: Final = joined(_HUMIDITY, _INTAKE, "agent, resource", *_PLACES)
_HERE: Final = "{{place}}"
_ROWS_OF_THE_ROOM: Final = f"group by (class) ({_INTAKE})"


def _at_place(expression: str) -> str:
    """With the label ``place``: the rack, or the room and row of a sensor of a whole row."""
    joined_up = f'label_join({expression}, "place", " ", "room", "row")'
    return f'label_replace({joined_up}, "place", "$1", "rack", "(.+)")'


def _limit(bound: str) -> str:
    return metric("envelope_limit_celsius", site="$site", bound=bound)


def _shown_limit(bound: str) -> str:
    """The limit of each class that is in the rooms shown."""
    return f"max by (class) ({_limit(bound)}) and on (class) {_ROWS_OF_THE_ROOM}"


def _outside(range_: str) -> str:
    """1 at a sensor outside a range, 0 within."""
    high, low = _limit(f"{range_}_high"), _limit(f"{range_}_low")
    return (
        f"(({_AT_INTAKE} > bool on (site, class) group_left () {high}) "
        f"+ ({_AT_INTAKE} < bool on (site, class) group_left () {low}))"
    )


def _by_rack(expression: str) -> str:
    return f"sum by (room, row, rack) (sum_over_time({expression}[$__range:$__interval]))"


def _hours(range_: str) -> str:
    """Hours outside over the time shown, by a sample at each of Grafana's intervals."""
    return f"sort_desc({_at_place(_by_rack(_outside(range_)))} * $__interval_ms / 3600000)"


def _dew_point() -> str:
    """By the Magnus formula over water with WMO's coefficients, as the record has it."""
    # Temperature enters twice; both sides are one sensor's, so their labels match as they are.
    temperature = f"({_TEMPERATURE} and on (site, agent, resource) {_HUMIDITY})"
    gamma = f"(ln({_HUMIDITY} / 100) + 17.62 * {temperature} / (243.12 + {temperature}))"
    return joined(f"(243.12 * {gamma} / (17.62 - {gamma}))", _INTAKE, "agent, resource", *_PLACES)


_SILENT: Final = (
    f"({_INTAKE} unless on (site, agent, resource) present_over_time({_TEMPERATURE}[15m]))"
)

_NOW: Final = Row(
    "now",
    (
        stat(
            key="warmest",
            queries=(Query(f"max({_AT_INTAKE})"),),
            unit=style.CELSIUS,
            decimals=1,
            width=6,
        ),
        stat(
            key="coldest",
            queries=(Query(f"min({_AT_INTAKE})"),),
            unit=style.CELSIUS,
            decimals=1,
            width=6,
        ),
        count(
            key="outside_now",
            queries=(Query(f"sum({_outside('recommended')})"),),
            steps=style.NONE_IS_GOOD,
            width=6,
        ),
        count(
            key="silent",
            queries=(Query(none_is_zero(f"count({_SILENT})")),),
            steps=style.NONE_IS_GOOD,
            width=6,
        ),
    ),
)

_AIR: Final = Row(
    "air",
    (
        lines(
            key="intake",
            queries=(
                Query(_at_place(_AT_INTAKE), _HERE),
                Query(_shown_limit("allowable_high"), word="allowable", look="limit"),
                Query(_shown_limit("allowable_low"), word="allowable", look="limit"),
                Query(_shown_limit("recommended_high"), word="recommended", look="advice"),
                Query(_shown_limit("recommended_low"), word="recommended", look="advice"),
            ),
            unit=style.CELSIUS,
            decimals=1,
            width=24,
            height=9,
        ),
    ),
)

_OUTSIDE: Final = Row(
    "outside",
    (
        bars(
            key="outside_recommended",
            queries=(Query(_hours("recommended"), _HERE),),
            unit=style.HOURS,
            decimals=1,
            low=0,
            steps=(style.Step(None, style.GOOD), style.Step(0.08, style.WARN)),
            width=12,
            height=6,
        ),
        bars(
            key="outside_allowable",
            queries=(Query(_hours("allowable"), _HERE),),
            unit=style.HOURS,
            decimals=1,
            low=0,
            steps=(style.Step(None, style.GOOD), style.Step(0.08, style.BAD)),
            width=12,
            height=6,
        ),
    ),
)

_MOISTURE: Final = Row(
    "moisture",
    (
        lines(
            key="humidity",
            queries=(Query(_at_place(_HUMID_INTAKE), _HERE),),
            unit=style.HUMIDITY,
            decimals=0,
            low=0,
            high=100,
            width=12,
            height=7,
        ),
        lines(
            key="dew_point",
            queries=(Query(_at_place(_dew_point()), _HERE),),
            unit=style.CELSIUS,
            decimals=1,
            width=12,
            height=7,
        ),
    ),
)

_KEY: Final = "room, row, rack, class"
_SENSORS: Final = Row(
    "sensors",
    (
        table(
            key="sensors",
            queries=(
                Query(f"group by ({_KEY}) ({_INTAKE})"),
                Query(f"max by ({_KEY}) ({_AT_INTAKE})"),
                Query(f"max by ({_KEY}) ({_HUMID_INTAKE})"),
            ),
            unit=style.PLAIN,
            decimals=1,
            columns=(
                Column(field="room", word="room"),
                Column(field="row", word="row"),
                Column(field="rack", word="rack"),
                Column(field="class", word="class"),
                Column(field="Value #B", word="temperature"),
                Column(field="Value #C", word="humidity"),
            ),
            sort=("temperature", True),
            width=24,
            height=7,
        ),
    ),
)

BOARD: Final = Board(
    key="rooms",
    variables=(SITE, INTAKE_ROOM, INTAKE_RACK),
    rows=(_NOW, _AIR, _OUTSIDE, _MOISTURE, _SENSORS),
    narrower=("hosts",),
)
