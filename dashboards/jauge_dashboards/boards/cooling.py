"""Cooling and water: heat carried away, water drawn, and what makes it so."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Form, Link, Query, Row, View
from jauge_dashboards.boards.variables import SITE
from jauge_dashboards.queries import metric, named, reading

_WATER: Final = reading("water", site="$site")
_FLOW: Final = reading("flow", site="$site")
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
        View(
            key="wue",
            form=Form.STAT,
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
            height=style.STAT_HEIGHT,
            links=(Link(word="indicator", url="${console}/${site}/kpi/wue"),),
        ),
        View(
            key="drawn",
            form=Form.STAT,
            queries=(Query(f"sum(increase({_WATER}[$__range]))"),),
            unit=style.CUBIC_METRES,
            decimals=2,
            width=6,
            height=style.STAT_HEIGHT,
        ),
        View(
            key="heat_now",
            form=Form.STAT,
            queries=(Query(f"sum({_HEAT})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
            height=style.STAT_HEIGHT,
        ),
        View(
            key="warmest_intake",
            form=Form.STAT,
            queries=(
                Query(
                    f"max({reading('temperature', site='$site')} and on (site, agent, resource) "
                    f"{metric('intake_info', site='$site')})"
                ),
            ),
            unit=style.CELSIUS,
            decimals=1,
            width=6,
            height=style.STAT_HEIGHT,
        ),
    ),
)

_DRAWN: Final = Row(
    "water",
    (
        View(
            key="registers",
            form=Form.LINES,
            queries=(Query(named(f"rate({_WATER}[$__rate_interval]) * {_LITRES}", "name"), _NAME),),
            unit=style.LITRES_PER_HOUR,
            low=0,
            soft_high=_LITTLE,
            width=12,
        ),
        View(
            key="flows",
            form=Form.LINES,
            queries=(Query(named(f"{_FLOW} * {_LITRES}", "name"), _NAME),),
            unit=style.LITRES_PER_HOUR,
            low=0,
            soft_high=_LITTLE,
            width=12,
        ),
    ),
)

_CARRIED: Final = Row(
    "heat",
    (
        View(
            key="heat",
            form=Form.LINES,
            queries=(Query(named(_HEAT, "name"), _NAME),),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=12,
        ),
        View(
            key="units",
            form=Form.LINES,
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
        View(
            key="around",
            form=Form.LINES,
            queries=(Query(named(_ELSEWHERE, "name"), _NAME),),
            unit=style.CELSIUS,
            decimals=1,
            width=12,
        ),
        View(
            key="it",
            form=Form.LINES,
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
