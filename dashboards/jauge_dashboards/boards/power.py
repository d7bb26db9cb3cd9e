"""Power chain: incomer, UPS, PDU, racks; what is lost on the way and how near each limit is."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import (
    Board,
    Column,
    Link,
    Query,
    Row,
    bars,
    count,
    lines,
    stat,
    table,
    uid,
)
from jauge_dashboards.boards.variables import PDU_RACK, PDU_ROOM, SITE
from jauge_dashboards.queries import joined, metric, named, none_is_zero, reading

_INFO: Final = metric("meter_info", site="$site")
_METER: Final = metric("meter_power_watts", site="$site", commodity="electricity")
_LIMIT: Final = metric("meter_limit_watts", site="$site")
_CONNECTION: Final = metric("connection_info", site="$site")
_AMPERES: Final = metric("meter_limit_amperes", site="$site")
_LOADED: Final = metric("meter_limit_amperes", site="$site", load="!")
_CURRENT: Final = (
    f"{reading('current', site='$site')} * on (site, agent, resource) "
    f"group_left (phase, feed, load) (0 * {_AMPERES} + 1)"
)


def _as(label: str, expression: str) -> str:
    """A meter's samples under another label, to meet the connections that name it."""
    return f'label_replace({expression}, "{label}", "$1", "meter", "(.+)")'


_BELOW: Final = (
    f"{_CONNECTION} * on (site, downstream) group_left () "
    f"sum by (site, downstream) ({_as('downstream', _METER)})"
)
# A level of which one meter is silent tells nothing of losses.
_LOSSES: Final = (
    f"(sum by (site, upstream) ({_as('upstream', _METER)}) "
    f"- on (site, upstream) sum by (site, upstream) ({_BELOW})) "
    f"and on (site, upstream) (count by (site, upstream) ({_BELOW}) "
    f"== on (site, upstream) count by (site, upstream) ({_CONNECTION}))"
)
_NAMED_LOSSES: Final = joined(f"({_LOSSES})", _as("upstream", _INFO), "upstream", "name")
_TICKETS: Final = metric("collector_tickets", site="$site", state="~open|still_open")
_RESOURCE: Final = metric("resource_info", site="$site", room="~$room", rack="~$rack")
_PLACED: Final = f"topk by (site, agent, resource) (1, {_RESOURCE})"


def _rack_power(kind: str) -> str:
    return (
        f"sum by (room, rack) ({reading('power', site='$site', kind=kind)} "
        f"* on (site, agent, resource) group_left (room, rack) {_PLACED})"
    )


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
            width=6,
        ),
        stat(
            key="it_now",
            queries=(Query(_total("E_IT")),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        stat(
            key="losses_now",
            queries=(Query(f"sum({_LOSSES})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        count(
            key="tickets",
            queries=(Query(none_is_zero(f"sum({_TICKETS})")),),
            steps=style.NONE_IS_GOOD,
            width=6,
            links=(Link(word="tickets", url="${console}/${site}/tickets"),),
        ),
    ),
)

_METERS: Final = Row(
    "meters",
    (
        lines(
            key="meters",
            queries=(Query(joined(_METER, _INFO, "meter", "name"), "{{name}}"),),
            unit=style.WATTS,
            low=0,
            width=14,
        ),
        table(
            key="meters_now",
            queries=(
                Query(f"max by (meter, name) ({joined(_METER, _INFO, 'meter', 'name')})"),
                Query(f"max by (meter, name) ({joined(_LIMIT, _INFO, 'meter', 'name')})"),
            ),
            unit=style.WATTS,
            decimals=1,
            columns=(
                Column(field="name", word="meter"),
                Column(field="Value #A", word="drawn"),
                Column(field="Value #B", word="limit"),
            ),
            sort=("drawn", True),
            width=10,
        ),
    ),
)

_LOST: Final = Row(
    "lost",
    (
        lines(
            key="losses",
            queries=(Query(_NAMED_LOSSES, "{{name}}"),),
            unit=style.WATTS,
            width=12,
        ),
        lines(
            key="ups_load",
            queries=(Query(named(reading("load", site="$site", kind="ups"), "name"), "{{name}}"),),
            unit=style.SHARE,
            low=0,
            steps=(style.Step(None, style.CALM), style.Step(0.8, style.WARN)),
            width=12,
        ),
    ),
)

_BATTERIES: Final = Row(
    "batteries",
    (
        bars(
            key="on_battery",
            queries=(Query(named(reading("on_battery", site="$site"), "name"), "{{name}}"),),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=(style.Step(None, style.GOOD), style.Step(0.5, style.BAD)),
            states="on_battery",
            width=8,
            height=5,
        ),
        bars(
            key="charge",
            queries=(
                Query(
                    named(reading("charge", site="$site", kind="~ups|battery"), "name"), "{{name}}"
                ),
            ),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.at_least(0.9, 0.5),
            width=8,
            height=5,
        ),
        bars(
            key="runtime",
            queries=(
                Query(
                    named(reading("runtime", site="$site", kind="~ups|battery"), "name"), "{{name}}"
                ),
            ),
            unit=style.SECONDS,
            decimals=0,
            low=0,
            steps=style.at_least(600, 300),
            width=8,
            height=5,
        ),
    ),
)

_NEAREST: Final = 9
"""Bars that a panel has room for."""

_LIMITS: Final = Row(
    "limits",
    (
        bars(
            key="meter_limits",
            queries=(
                Query(
                    "sort_desc("
                    + joined(f"({_METER} / on (site, meter) {_LIMIT})", _INFO, "meter", "name")
                    + ")",
                    "{{name}}",
                ),
            ),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.NEAR_A_LIMIT,
            width=12,
        ),
        bars(
            key="phase_limits",
            queries=(
                Query(
                    f"sort_desc(topk({_NEAREST}, {reading('current', site='$site')} "
                    f"/ on (site, agent, resource) group_right () {_AMPERES}))",
                    "{{load}} {{feed}} {{phase}}",
                ),
            ),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.NEAR_A_LIMIT,
            width=12,
        ),
        lines(
            key="phases",
            queries=(Query(_CURRENT, "{{load}} {{feed}} {{phase}}"),),
            unit=style.AMPERES,
            low=0,
            legend=False,
            width=12,
        ),
        bars(
            key="one_feed",
            queries=(
                Query(
                    f"sort_desc(topk({_NEAREST}, sum by (load, phase) ({_CURRENT}) "
                    f"/ on (load, phase) min by (load, phase) ({_LOADED})))",
                    "{{load}} {{phase}}",
                ),
            ),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            steps=style.NEAR_A_LIMIT,
            width=12,
        ),
    ),
)

_RACKS: Final = Row(
    "racks",
    (
        lines(
            key="racks",
            queries=(Query(_rack_power("pdu"), "{{rack}}"),),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=16,
        ),
        table(
            key="racks_now",
            queries=(Query(_rack_power("pdu")),),
            unit=style.WATTS,
            decimals=1,
            columns=(
                Column(field="room", word="room"),
                Column(field="rack", word="rack"),
                Column(field="Value", word="drawn"),
            ),
            sort=("drawn", True),
            width=8,
            links=(
                Link(
                    word="rooms",
                    column="rack",
                    url=f"/d/{uid('rooms')}?var-site=${{site}}&var-rack=[[rack]]"
                    "&${__url_time_range}",
                ),
            ),
        ),
    ),
)

BOARD: Final = Board(
    key="power",
    variables=(SITE, PDU_ROOM, PDU_RACK),
    rows=(_NOW, _METERS, _LOST, _BATTERIES, _LIMITS, _RACKS),
    narrower=("rooms", "hosts"),
)
