"""Hosts: what each draws, how that is known, and how busy it is."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Link, Query, Row, count, lines, stat, table, uid
from jauge_dashboards.boards.variables import SITE, hosts_with
from jauge_dashboards.queries import joined, metric, none_is_zero, reading

_INFO: Final = metric("host_info", site="$site", host="~$host", room="~$room", rack="~$rack")
_FEED: Final = metric("host_feed_info", site="$site", host="~$host")
_POWER: Final = metric("host_power_watts", site="$site")
_NAMED: Final = joined(_POWER, _INFO, "host", "name")
_ESTIMATED: Final = joined(
    metric("host_power_watts", site="$site", certainty="estimated"), _INFO, "host", "name"
)


def _of_host(expression: str) -> str:
    """Readings of the agents that tell of a host, by host; the largest where two do."""
    return joined(
        f"max by (site, host) ({joined(expression, _FEED, 'agent, resource', 'host')})",
        _INFO,
        "host",
        "name",
    )


_CPU: Final = _of_host(reading("cpu_utilisation", site="$site", kind="host"))
_USED: Final = reading("memory_used", site="$site", kind="host")
_SIZE: Final = reading("memory_size", site="$site", kind="host")
_MEMORY: Final = _of_host(
    f"({_USED} / {_SIZE} or {reading('memory_utilisation', site='$site', kind='host')})"
)

_NOW: Final = Row(
    "now",
    (
        stat(
            key="power_now",
            queries=(Query(f"sum({_NAMED})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        count(
            key="telling",
            queries=(Query(f"count({_NAMED})"),),
            width=6,
        ),
        count(
            key="untold",
            queries=(Query(none_is_zero(f"count({_INFO} unless on (site, host) {_POWER})")),),
            steps=style.NONE_IS_GOOD,
            width=6,
        ),
        count(
            key="estimated",
            queries=(Query(none_is_zero(f"count({_ESTIMATED})")),),
            steps=style.NONE_IS_GOOD,
            width=6,
        ),
    ),
)

_DRAW: Final = Row(
    "draw",
    (
        lines(
            key="power",
            queries=(Query(_NAMED, "{{name}}"),),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=24,
        ),
    ),
)

_BUSY: Final = Row(
    "busy",
    (
        lines(
            key="cpu",
            queries=(Query(_CPU, "{{name}}"),),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            width=12,
        ),
        lines(
            key="memory",
            queries=(Query(_MEMORY, "{{name}}"),),
            unit=style.SHARE,
            decimals=0,
            low=0,
            high=1,
            width=12,
        ),
    ),
)

_KEY: Final = "host, name"
_EACH: Final = Row(
    "each",
    (
        table(
            key="hosts",
            queries=(
                Query(f"group by ({_KEY}, cluster, room, rack) ({_INFO})"),
                Query(f"round(max by ({_KEY}, certainty) ({_NAMED}))"),
                Query(f"round(100 * max by ({_KEY}) ({_CPU}), 0.1)"),
                Query(f"round(100 * max by ({_KEY}) ({_MEMORY}), 0.1)"),
            ),
            unit=style.PLAIN,
            columns=(
                Column(field="name", word="host"),
                Column(field="cluster", word="cluster"),
                Column(field="room", word="room"),
                Column(field="rack", word="rack"),
                Column(field="Value #B", word="power"),
                Column(field="certainty", word="certainty"),
                Column(field="Value #C", word="cpu"),
                Column(field="Value #D", word="memory"),
                Column(field="host", word="id"),
            ),
            sort=("power", True),
            states="certainty",
            links=(
                Link(
                    word="virtualisation",
                    column="host",
                    url=f"/d/{uid('virtualisation')}?var-site=${{site}}&var-host=[[id]]"
                    "&${__url_time_range}",
                ),
            ),
            width=24,
            height=style.TABLE_HEIGHT,
        ),
    ),
)

BOARD: Final = Board(
    key="hosts",
    variables=(SITE, *hosts_with("host_power_watts")),
    rows=(_NOW, _DRAW, _BUSY, _EACH),
    narrower=("virtualisation", "gpus"),
)
