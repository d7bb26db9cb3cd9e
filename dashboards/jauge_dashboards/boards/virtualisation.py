"""Virtualisation: clusters, hosts, guests; watts of each guest, and guests that do nothing."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Link, Query, Row, bars, count, lines, stat, table
from jauge_dashboards.boards.variables import SITE, hosts_with
from jauge_dashboards.queries import joined, metric, named, none_is_zero, reading

_INFO: Final = metric("host_info", site="$site", host="~$host", room="~$room", rack="~$rack")
_POWER: Final = joined(metric("host_power_watts", site="$site"), _INFO, "host", "cluster", "name")
_OWN: Final = joined(metric("host_own_power_watts", site="$site"), _INFO, "host", "name")
_GUESTS: Final = (
    f"({metric('guest_attributed_power_watts', site='$site', host='~$host')} "
    f"and on (site, host) {_INFO})"
)
_EACH_GUEST: Final = f"max by (site, guest) ({_GUESTS})"
"""Each guest once: one that moves is seen on both hosts for a moment."""
_NAMED_GUESTS: Final = named(_GUESTS, "name")
_CPU: Final = reading("cpu_utilisation", site="$site", kind="guest")
_MEAN: Final = f"avg_over_time({_CPU}[$__range])"
_IDLE_GUESTS: Final = f"({_GUESTS} and on (site, agent, resource) ({_MEAN} < 0.05))"
_MOST: Final = 8

_NOW: Final = Row(
    "now",
    (
        stat(
            key="hosts_now",
            queries=(Query(f"sum({_POWER})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        stat(
            key="guests_now",
            queries=(Query(f"sum({_EACH_GUEST})"),),
            unit=style.WATTS,
            decimals=1,
            width=6,
        ),
        count(
            key="running",
            queries=(Query(f"count({_EACH_GUEST})"),),
            width=6,
        ),
        count(
            key="idle_now",
            queries=(Query(none_is_zero(f"count({_IDLE_GUESTS})")),),
            width=6,
        ),
    ),
)

_CLUSTERS: Final = Row(
    "clusters",
    (
        lines(
            key="clusters",
            queries=(Query(f"sum by (cluster) ({_POWER})", "{{cluster}}"),),
            unit=style.WATTS,
            low=0,
            width=12,
        ),
        lines(
            key="shares",
            queries=(
                Query(f"sum({_EACH_GUEST})", word="guests"),
                Query(f"sum({_OWN})", word="own"),
            ),
            unit=style.WATTS,
            low=0,
            stacked=True,
            width=12,
        ),
    ),
)

_EACH: Final = Row(
    "each",
    (
        lines(
            key="guests",
            queries=(Query(f"topk({_MOST}, {_NAMED_GUESTS})", "{{name}}"),),
            unit=style.WATTS,
            low=0,
            width=24,
        ),
    ),
)

_KEY: Final = "site, agent, resource, guest, host, certainty, name"


def _table(*queries: tuple[str, float]) -> tuple[Query, ...]:
    """Each query by the same labels, so that their values stand in one line, rounded to a step."""
    return tuple(Query(f"round(max by ({_KEY}) ({one}), {step})") for one, step in queries)


def _beside(expression: str) -> str:
    """A reading of each guest of the hosts shown, with the labels of its watts."""
    return f"({_NAMED_GUESTS}) * 0 + on (site, agent, resource) group_left () ({expression})"


_PROCESSORS: Final = reading("processors", site="$site", kind="guest")

_USE: Final = Row(
    "use",
    (
        bars(
            key="least",
            queries=(Query(f"sort(bottomk(10, {_beside(_MEAN)}))", "{{name}}"),),
            unit=style.SHARE,
            decimals=1,
            low=0,
            steps=(style.Step(None, style.WARN), style.Step(0.05, style.GOOD)),
            width=8,
            height=style.TABLE_HEIGHT,
        ),
        table(
            key="all",
            queries=_table(
                (_NAMED_GUESTS, 1),
                (f"100 * ({_beside(_MEAN)})", 0.1),
                (f"({_beside(_PROCESSORS)})", 1),
            ),
            unit=style.PLAIN,
            columns=(
                Column(field="name", word="guest"),
                Column(field="Value #A", word="power"),
                Column(field="certainty", word="certainty"),
                Column(field="Value #B", word="mean_cpu"),
                Column(field="Value #C", word="processors"),
                Column(field="guest", word="id"),
            ),
            sort=("power", True),
            states="certainty",
            links=(Link(word="guest", url="${console}/${site}/guests/[[id]]", column="guest"),),
            width=16,
            height=style.TABLE_HEIGHT,
        ),
    ),
)

BOARD: Final = Board(
    key="virtualisation",
    variables=(SITE, *hosts_with("guest_attributed_power_watts")),
    rows=(_NOW, _CLUSTERS, _EACH, _USE),
    narrower=("gpus", "hosts"),
)
