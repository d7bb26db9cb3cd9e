"""Site overview: how the site stands, in one look."""

from typing import Final

from jauge_models.compliance.policy import Reading
from jauge_models.compliance.status import Result

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Link, Query, Row, bars, lines, stat, table, uid
from jauge_dashboards.boards.variables import SITE
from jauge_dashboards.queries import joined, metric

_YEAR: Final = {"site": "$site", "period": "twelve_months"}
_METER: Final = metric("meter_info", site="$site")
_POWER: Final = metric("meter_power_watts", site="$site", commodity="electricity")
_COMPLIANCE: Final = Link(word="compliance", url="${console}/${site}/compliance")
_INDICATOR: Final = "${console}/${site}/kpi/"
_NARROW: Final = f"/d/{uid('power')}?var-site=${{site}}&${{__url_time_range}}"


def _total(symbol: str) -> str:
    return metric("total_power_watts", site="$site", symbol=symbol, zone="")


_NOW: Final = Row(
    "now",
    (
        stat(
            key="power_now",
            queries=(Query(_total("E_DC")),),
            unit=style.WATTS,
            decimals=1,
            width=4,
            links=(Link(word="power", url=_NARROW),),
        ),
        stat(
            key="it_now",
            queries=(Query(_total("E_IT")),),
            unit=style.WATTS,
            decimals=1,
            width=4,
            links=(Link(word="power", url=_NARROW),),
        ),
        stat(
            key="pue",
            queries=(Query(metric("kpi_pue_ratio", **_YEAR), "{{label}}"),),
            unit=style.PLAIN,
            decimals=2,
            width=4,
            names=True,
            links=(Link(word="indicator", url=f"{_INDICATOR}pue"),),
        ),
        stat(
            key="wue",
            queries=(
                Query(metric("kpi_wue_cubic_metres_per_megawatt_hour", **_YEAR), "{{label}}"),
            ),
            unit=style.LITRES_PER_KILOWATT_HOUR,
            decimals=2,
            width=4,
            names=True,
            links=(Link(word="indicator", url=f"{_INDICATOR}wue"),),
        ),
        stat(
            key="coverage",
            queries=(Query(metric("kpi_coverage_ratio", kpi="pue", **_YEAR)),),
            unit=style.SHARE,
            decimals=1,
            steps=style.at_least(0.99, 0.95),
            width=4,
        ),
        stat(
            key="compliance",
            queries=(Query(metric("compliance_share_ratio", site="$site", result="demonstrated")),),
            unit=style.SHARE,
            decimals=1,
            width=4,
            links=(_COMPLIANCE,),
        ),
    ),
)

_FLOWS: Final = Row(
    "flows",
    (
        lines(
            key="power",
            queries=(
                Query(_total("E_DC"), word="data_centre", look="electricity"),
                Query(_total("E_IT"), word="it", look="it"),
            ),
            unit=style.WATTS,
            low=0,
            width=16,
        ),
        bars(
            key="meters",
            queries=(Query(f"sort_desc({joined(_POWER, _METER, 'meter', 'name')})", "{{name}}"),),
            unit=style.WATTS,
            decimals=1,
            low=0,
            width=8,
            links=(Link(word="power", url=_NARROW),),
        ),
    ),
)

_MOVES: Final = "30d"
"""Indicators over months move by the day: a day of them is a flat line."""

_YEAR_LONG: Final = Row(
    "year",
    (
        lines(
            key="pue_year",
            queries=(
                Query(metric("kpi_pue_ratio", **_YEAR), word="twelve_months", look="electricity"),
                Query(metric("kpi_pue_ratio", site="$site", period="quarter"), word="quarter"),
            ),
            unit=style.PLAIN,
            decimals=3,
            since=_MOVES,
            width=12,
            height=7,
        ),
        lines(
            key="wue_year",
            queries=(
                Query(
                    metric("kpi_wue_cubic_metres_per_megawatt_hour", **_YEAR),
                    word="twelve_months",
                    look="cooling",
                ),
                Query(
                    metric(
                        "kpi_wue_cubic_metres_per_megawatt_hour", site="$site", period="quarter"
                    ),
                    word="quarter",
                ),
            ),
            unit=style.LITRES_PER_KILOWATT_HOUR,
            decimals=2,
            since=_MOVES,
            width=12,
            height=7,
        ),
    ),
)

_SEEN: Final = metric("collector_meter_last_seen_timestamp_seconds", site="$site")
_SILENT_MIN: Final = f"((time() - {_SEEN}) / 60)"
_GAPS: Final = Row(
    "gaps",
    (
        bars(
            key="coverages",
            queries=(Query(metric("kpi_coverage_ratio", **_YEAR), "{{kpi}} {{zone}}"),),
            unit=style.SHARE,
            decimals=1,
            low=0,
            high=1,
            steps=style.at_least(0.99, 0.95),
            width=12,
            height=7,
        ),
        table(
            key="meters_seen",
            queries=(
                Query(
                    "max by (site, meter, name, location) "
                    f"({joined(_SILENT_MIN, _METER, 'meter', 'name', 'location')})"
                ),
            ),
            unit=style.PLAIN,
            decimals=1,
            columns=(
                Column(field="name", word="meter"),
                Column(field="location", word="location"),
                Column(field="Value", word="silent_for", steps=style.at_most(5, 15)),
            ),
            sort=("silent_for", True),
            width=12,
            height=7,
        ),
    ),
)

_DEMONSTRATED: Final = metric("compliance_share_ratio", site="$site", result="demonstrated")
_REQUIRED: Final = metric("compliance_required_ratio", site="$site")


def _by_result(expression: str) -> str:
    """What is not 0, each result by its name in the reader's language."""
    shown = f'label_replace({expression} > 0, "shown", "$1", "result", "(.+)")'
    for result in Result:
        shown = f'label_replace({shown}, "shown", "@result_{result}@", "result", "{result}")'
    return shown


def _line() -> str:
    """What the line asks for by each reading of the goal, by its name in the reader's language."""
    shown = f'label_replace({_REQUIRED}, "shown", "@required@ ($1)", "reading", "(.+)")'
    for reading in Reading:
        name = f"@required@ (@reading_{reading}@)"
        shown = f'label_replace({shown}, "shown", "{name}", "reading", "{reading}")'
    return shown


_RECORD: Final = Row(
    "record",
    (
        lines(
            key="trajectory",
            queries=(
                Query(
                    f'label_replace({_DEMONSTRATED}, "shown", "@demonstrated@", "", "") or '
                    f"{_line()}",
                    "{{shown}}",
                ),
            ),
            unit=style.SHARE,
            low=0,
            high=1,
            width=12,
            height=7,
            links=(_COMPLIANCE,),
        ),
        bars(
            key="servers",
            queries=(Query(_by_result(metric("compliance_servers", site="$site")), "{{shown}}"),),
            unit=style.COUNT,
            decimals=0,
            low=0,
            width=12,
            height=7,
            links=(_COMPLIANCE,),
        ),
    ),
)

BOARD: Final = Board(
    key="site",
    variables=(SITE,),
    rows=(_NOW, _FLOWS, _YEAR_LONG, _GAPS, _RECORD),
    narrower=("power", "cooling", "rooms", "hosts", "virtualisation", "gpus", "fleet"),
)
