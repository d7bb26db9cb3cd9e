"""How every dashboard looks: units that Grafana knows, colours with a meaning, sizes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

COLUMNS: Final = 24
"""Width of a dashboard in Grafana's grid; a row of the grid is 30 pixels high."""
ROW_HEIGHT: Final = 1
STAT_HEIGHT: Final = 4
PANEL_HEIGHT: Final = 8
TABLE_HEIGHT: Final = 9

# --- sizes of text in pixels: one each, so that no panel shouts
STAT_VALUE: Final = 28
STAT_NAME: Final = 14
BAR_VALUE: Final = 18
BAR_NAME: Final = 12
"""Grafana keeps room beside a bar for names of 12 pixels: larger ones are cut."""
EMPTY_CELL: Final = "–"
"""In a table, where a resource has no such label."""

# --- units, by Grafana's identifiers
WATTS: Final = "watt"
WATTS_SIGNED: Final = WATTS
AMPERES: Final = "amp"
CELSIUS: Final = "celsius"
HUMIDITY: Final = "percent"
SHARE: Final = "percentunit"
SECONDS: Final = "s"
DURATION: Final = "dtdurations"
HOURS: Final = "suffix:h"
DAYS: Final = "d"
LITRES_PER_HOUR: Final = "litreh"
CUBIC_METRES: Final = "m3"
COUNT: Final = "short"
PER_SECOND: Final = "suffix:/s"
PLAIN: Final = "none"
TEXT: Final = "string"
LITRES_PER_KILOWATT_HOUR: Final = "suffix:L/kWh"

UNITS: Final = frozenset(
    {
        WATTS,
        AMPERES,
        CELSIUS,
        HUMIDITY,
        SHARE,
        SECONDS,
        DURATION,
        DAYS,
        LITRES_PER_HOUR,
        CUBIC_METRES,
        COUNT,
        PLAIN,
        TEXT,
    }
)
"""Identifiers of Grafana's own list that dashboards may use."""
CUSTOM_UNITS: Final = frozenset({LITRES_PER_KILOWATT_HOUR, HOURS, PER_SECOND})
"""Units that Grafana's list lacks, or writes out in English, as custom ones (``suffix:``).

Grafana puts the space between number and suffix itself.
"""

# --- colours: names of Grafana's palette, legible on dark and on light
CALM: Final = "text"
GOOD: Final = "green"
WARN: Final = "orange"
BAD: Final = "red"
ELECTRICITY: Final = "blue"
IT: Final = "purple"
COOLING: Final = "light-blue"
LIMIT: Final = "red"
ADVICE: Final = "orange"

ANNOTATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"maintenance": "blue", "restatement": "purple", "alert": "red"}
)


class Step(NamedTuple):
    """From ``value`` on, ``color``; the first of several steps has None: from anywhere."""

    value: float | None
    color: str


def at_least(good: float, enough: float) -> tuple[Step, ...]:
    """Red below ``enough``, orange below ``good``, else green."""
    return (Step(None, BAD), Step(enough, WARN), Step(good, GOOD))


def at_most(warn: float, bad: float) -> tuple[Step, ...]:
    """Green below ``warn``, red from ``bad`` on."""
    return (Step(None, GOOD), Step(warn, WARN), Step(bad, BAD))


NONE_IS_GOOD: Final = (Step(None, GOOD), Step(1, WARN))
"""Of counts that should be 0."""
NEAR_A_LIMIT: Final = at_most(0.8, 0.9)
"""Of a share of a limit: four fifths is where electricians plan."""
