"""Cooling and water: heat carried away, water drawn, and what makes it so."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Link, Query, Row, lines, stat
from jauge_dashboards.boards.variables import SITE
from jauge_dashboards.queries import metric, named, reading

_WATER: Final = reading("water", site="$site")
_FLOW: Final = reading("flow", site="$site")
_EVAPORATION: Final = reading("evaporative_cooling", site="$site")
_HEAT: Final = reading("thermal_power", site="$site")
_TEMPERATURE: Final = reading("temperature", site="$site", kind="cooling_unit")
_ELSEWHERE: Final = (
    f"({reading('temperature', site='$site', kind='sensor')} "
    f"unless on (site, agent, resource) {metric('intake_info', site='$site')})"
)
_LITRES: Final = "3600000"
"""l/h in a m3/s."""
_LITTLE: Final = 10
"""l/h up to which the axis reaches in winter, when no water is drawn."""
_NAME: Final = "{{name}}"

_NOW: Final = Row(
    "now",
    (
        stat(
            key="wue",
            queries=(
                Query(
                    metric(
                        "kpi_wue_cubic_metres_per_megawatt_hour",
                        site="$site",
                        period="twelve_months",
                    ),
                    "{{label}}",
                ),
            ),
            unit=style.LITRES_PER_KILOWATT_HOUR,
            decimals=2,
            names=True,
            width=6,
            links=(Link(word="indicator", url="${console}/${site}/kpi/wue"),),
        ),
        stat(
            key="drawn",
            queries=(Query(f"sum(increase({_WATER}[$__range]))"),),
            unit=style.CUBIC_METRES,
            decimals=2,
            width=6,
        ),
        stat(
            key="heat_now",
            queries=(Query(f"sum({_HEAT})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        stat(
            key="warmest_intake",
            queries=(
                Query(
                    f"max({reading('temperature', site='$site')} and on (site, agent, resource) "
                    f"{metric('intake_info', site='$site')})"
                ),
            ),
            unit=style.CELSIUS,
            decimals=1,
            width=6,
        ),
    ),
)

_DRAWN: Final = Row(
    "water",
    (
        lines(
            key="registers",
            queries=(Query(named(f"rate({_WATER}[$__rate_interval]) * {_LITRES}", "name"), _NAME),),
            unit=style.LITRES_PER_HOUR,
            low=0,
            soft_high=_LITTLE,
            width=8,
        ),
        lines(
            key="flows",
            queries=(Query(named(f"{_FLOW} * {_LITRES}", "name"), _NAME),),
            unit=style.LITRES_PER_HOUR,
            low=0,
            soft_high=_LITTLE,
            width=8,
        ),
        lines(
            key="evaporation",
            queries=(Query(named(_EVAPORATION, "name"), _NAME),),
            unit=style.SHARE,
            low=0,
            high=1,
            states="evaporation",
            width=8,
        ),
    ),
)

_CARRIED: Final = Row(
    "heat",
    (
        lines(
            key="heat",
            queries=(Query(named(_HEAT, "name"), _NAME),),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=12,
        ),
        lines(
            key="units",
            queries=(Query(named(_TEMPERATURE, "name"), _NAME),),
            unit=style.CELSIUS,
            decimals=1,
            width=12,
        ),
    ),
)

_CAUSES: Final = Row(
    "causes",
    (
        lines(
            key="around",
            queries=(Query(named(_ELSEWHERE, "name"), _NAME),),
            unit=style.CELSIUS,
            decimals=1,
            width=12,
        ),
        lines(
            key="it",
            queries=(
                Query(
                    metric("total_power_watts", site="$site", symbol="E_IT", zone=""),
                    word="it",
                    look="it",
                ),
            ),
            unit=style.WATTS,
            low=0,
            width=12,
        ),
    ),
)

BOARD: Final = Board(
    key="cooling",
    variables=(SITE,),
    rows=(_NOW, _DRAWN, _CARRIED, _CAUSES),
    narrower=("rooms", "power"),
)
