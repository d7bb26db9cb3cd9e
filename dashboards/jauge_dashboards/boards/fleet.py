"""Fleet health: whether what should be heard is heard, and nothing is lost on the way."""

from typing import Final

from jauge_dashboards import style
from jauge_dashboards.board import Board, Column, Link, Query, Row, bars, count, lines, stat, table
from jauge_dashboards.boards.variables import SITE
from jauge_dashboards.queries import alerts, metric, none_is_zero

_SEEN: Final = metric("collector_agent_last_seen_timestamp_seconds", site="$site")
_ONLINE: Final = metric("collector_agent_online", site="$site")
_SKEW: Final = metric("collector_agent_skew_seconds", site="$site")
_SOURCE: Final = metric("collector_source_last_seen_timestamp_seconds", site="$site")
_SILENT_S: Final = 900
_AGENT: Final = "site, agent"
_FLEET: Final = Link(word="fleet", url="${console}/${site}/fleet")
# A page begins where an alert fires that did not fire five minutes earlier.
_PAGE: Final = alerts(severity="page")
_PAGES: Final = f"sum(sum_over_time(({_PAGE} unless {_PAGE} offset 5m)[7d:5m]))"
_WATCHED: Final = f"0 * count({alerts(alertname='Watchdog')})"


def _said(online: int, word: str) -> str:
    """Agents whose last state was this, with a word for it."""
    state = f"max by ({_AGENT}) ({_ONLINE}) == {online}"
    return f'label_replace({state}, "state", "{word}", "", "")'


def _rate(name: str) -> str:
    return f"sum(rate({metric(name)}[$__rate_interval]))"


_NOW: Final = Row(
    "now",
    (
        count(
            key="online",
            queries=(Query(f"sum(max by ({_AGENT}) ({_ONLINE}))"),),
            width=4,
            links=(_FLEET,),
        ),
        count(
            key="silent",
            queries=(
                Query(none_is_zero(f"count(time() - max by ({_AGENT}) ({_SEEN}) > {_SILENT_S})")),
            ),
            steps=style.NONE_IS_GOOD,
            width=4,
            links=(_FLEET,),
        ),
        count(
            key="silent_sources",
            queries=(
                Query(
                    none_is_zero(
                        f"count(time() - max by ({_AGENT}, source) ({_SOURCE}) > {_SILENT_S})"
                    )
                ),
            ),
            steps=style.NONE_IS_GOOD,
            width=4,
            links=(_FLEET,),
        ),
        count(
            key="quarantined",
            queries=(Query(f"max({metric('collector_agents_quarantined')})"),),
            steps=style.NONE_IS_GOOD,
            width=4,
            links=(_FLEET,),
        ),
        stat(
            key="lag",
            queries=(Query(f"max({metric('collector_lag_seconds', stage='!kpis')})"),),
            unit=style.SECONDS,
            decimals=0,
            steps=style.at_most(60, 300),
            width=4,
        ),
        count(
            key="pages",
            queries=(Query(f"{_PAGES} or {_WATCHED}"),),
            width=4,
            missing="no_alerting",
        ),
    ),
)

_WHO: Final = Row(
    "who",
    (
        table(
            key="agents",
            queries=(
                Query(f"(time() - max by ({_AGENT}) ({_SEEN})) / 60"),
                Query(f"{_said(1, 'online')} or {_said(0, 'offline')}"),
                Query(f"max by ({_AGENT}) ({_SKEW})"),
            ),
            unit=style.PLAIN,
            decimals=2,
            columns=(
                Column(field="agent", word="agent"),
                Column(field="Value #A", word="silent_for", steps=style.at_most(3, 15)),
                Column(field="state", word="online"),
                Column(field="Value #C", word="skew"),
            ),
            states="online",
            sort=("silent_for", True),
            width=12,
        ),
        table(
            key="sources",
            queries=(Query(f"(time() - max by ({_AGENT}, source) ({_SOURCE})) / 60"),),
            unit=style.PLAIN,
            decimals=1,
            columns=(
                Column(field="agent", word="agent"),
                Column(field="source", word="source"),
                Column(field="Value", word="silent_for", steps=style.at_most(3, 15)),
            ),
            sort=("silent_for", True),
            width=12,
        ),
    ),
)

_ARRIVAL: Final = Row(
    "arrival",
    (
        lines(
            key="stored",
            queries=(
                Query(_rate("collector_readings_received_total"), word="received"),
                Query(_rate("collector_readings_stored_total"), word="stored", look="electricity"),
            ),
            unit=style.PER_SECOND,
            low=0,
            width=12,
        ),
        lines(
            key="lost",
            queries=(
                Query(
                    none_is_zero(_rate("collector_readings_refused_total")), word="readings_refused"
                ),
                Query(none_is_zero(_rate("collector_packs_refused_total")), word="packs_refused"),
                Query(
                    none_is_zero(_rate("collector_packs_unanswered_total")), word="packs_unanswered"
                ),
                Query(none_is_zero(_rate("collector_queue_dropped_total")), word="queue_dropped"),
            ),
            unit=style.PER_SECOND,
            low=0,
            width=12,
        ),
    ),
)

_COLLECTOR: Final = Row(
    "collector",
    (
        lines(
            key="lags",
            queries=(Query(f"max by (stage) ({metric('collector_lag_seconds')})", "{{stage}}"),),
            unit=style.SECONDS,
            low=0,
            width=12,
            height=7,
        ),
        lines(
            key="queues",
            queries=(
                Query(
                    f"max by (queue) ({metric('collector_queue_size')} "
                    f"/ {metric('collector_queue_limit')})",
                    "{{queue}}",
                ),
            ),
            unit=style.SHARE,
            low=0,
            legend=False,
            width=12,
            height=7,
        ),
    ),
)

_WAITING: Final = metric("agent_spool_waiting_readings")
_OUTCOMES: Final = metric("agent_spool_readings_total", outcome="!~stored|taken")
_SPOOLS: Final = Row(
    "spools",
    (
        lines(
            key="waiting",
            queries=(Query(f"max by (instance) ({_WAITING})", "{{instance}}"),),
            unit=style.COUNT,
            low=0,
            width=12,
            height=7,
            missing="no_agent_scraped",
        ),
        lines(
            key="dropped",
            queries=(
                Query(
                    f"sum by (instance, outcome, reason) (rate({_OUTCOMES}[$__rate_interval])) "
                    f"or sum by (instance) (0 * {_WAITING})",
                    "{{instance}} {{outcome}} {{reason}}",
                ),
            ),
            unit=style.PER_SECOND,
            low=0,
            width=12,
            height=7,
            missing="no_agent_scraped",
        ),
    ),
)

_EXPIRY: Final = metric("collector_certificate_expiry_timestamp_seconds")
_AGENT_EXPIRY: Final = metric("agent_certificate_expiry_timestamp_seconds")
_CERTIFICATES: Final = (
    f"min by (use) ({_EXPIRY}) or min by (use) "
    f'(label_replace({_AGENT_EXPIRY}, "use", "$1", "instance", "(.+)"))'
)
_SOON: Final = Row(
    "soon",
    (
        lines(
            key="skew",
            queries=(Query(f"max by ({_AGENT}) ({_SKEW})", "{{agent}}"),),
            unit=style.SECONDS,
            decimals=2,
            width=8,
            height=7,
        ),
        bars(
            key="budget",
            queries=(
                Query(
                    none_is_zero(
                        "sum by (agent, family) "
                        f"({metric('collector_resources_over_budget', site='$site')})"
                    ),
                    "{{agent}} {{family}}",
                ),
            ),
            unit=style.COUNT,
            decimals=0,
            low=0,
            steps=style.NONE_IS_GOOD,
            width=8,
            height=7,
        ),
        bars(
            key="certificates",
            queries=(Query(f"sort((({_CERTIFICATES}) - time()) / 86400)", "{{use}}"),),
            unit=style.DAYS,
            decimals=0,
            low=0,
            steps=style.at_least(30, 14),
            width=8,
            height=7,
            missing="no_certificates",
        ),
    ),
)

BOARD: Final = Board(
    key="fleet",
    variables=(SITE,),
    rows=(_NOW, _WHO, _ARRIVAL, _COLLECTOR, _SPOOLS, _SOON),
    start="now-6h",
)
