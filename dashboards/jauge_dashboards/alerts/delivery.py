"""Rules about the road from the sensor to the store, and about what holds others back."""

from typing import Final

from jauge_dashboards.alerts.rule import Form, Rule, Severity, Topic
from jauge_dashboards.alerts.selectors import (
    THING,
    any_reading,
    devices,
    each,
    newest,
    recent,
)
from jauge_dashboards.alerts.settings import Thresholds, seconds
from jauge_dashboards.queries import metric

COLLECTOR_JOB: Final = "jauge-collector"
STORE_JOB: Final = "jauge-store"
"""Names of the scrape jobs that the rules know."""
WATCHDOG: Final = "Watchdog"
EVENT: Final = "JaugeEventActive"
INTERRUPTED: Final = "JaugeDeliveryInterrupted"
INSTANCE_DOWN: Final = "JaugeCollectorInstanceDown"

_DAY_S: Final = 86_400
_KNOWN: Final = "1h"
"""What a collector last said of an agent holds for so long when the collector is gone."""


def watchdog() -> Rule:
    """Always fires: whoever waits for it outside the site cries when it ends."""
    return Rule(
        WATCHDOG, Severity.NONE, Topic.DELIVERY, "vector(1)", Form.NUMBER, tells_value=False
    )


def event(limits: Thresholds) -> Rule:
    """Its scope under each label that an alert may have it in, so that it holds those back.

    ``agent/resource`` comes under both.
    """
    named = each(metric("event_active"), "site", "kind", "scope")
    for label, scope in (
        ("meter", "([^/]+)"),
        ("host", "([^/]+)"),
        ("resource", "(?:[^/]+/)?([^/]+)"),
        ("agent", "([^/]+)(?:/[^/]+)?"),
    ):
        named = f'label_replace({named}, "{label}", "$1", "scope", "{scope}")'
    return Rule(
        EVENT,
        Severity.NONE,
        Topic.DELIVERY,
        named,
        Form.NUMBER,
        keep=limits.recent,
        board="site",
        tells_value=False,
    )


def interrupted(limits: Thresholds) -> Rule:
    """Nothing can be said of who is silent: it holds those alerts back, and a while longer."""
    connected = f"max({recent(metric('collector_mqtt_connected'), limits)}) == 0"
    late = f"min({_lag(limits)}) > {limits.store_lag_s:g}"
    up = f'max(up{{job="{COLLECTOR_JOB}"}}) == 0'
    return Rule(
        INTERRUPTED,
        Severity.NONE,
        Topic.DELIVERY,
        f"max({connected} or {up} or {_store_gone()} or {late})",
        Form.NUMBER,
        keep=limits.grace,
        tells_value=False,
        variables=(),
    )


def down(limits: Thresholds) -> tuple[Rule, ...]:
    """Broker, store and collector: the causes that everything behind them hides."""
    heartbeat = recent(metric("collector_heartbeat_timestamp_seconds"), limits)
    gone = f'max(up{{job="{COLLECTOR_JOB}"}}) == 0 or absent(up{{job="{COLLECTOR_JOB}"}})'
    expressions = {
        "JaugeBrokerDown": f"max({recent(metric('collector_mqtt_connected'), limits)}) == 0",
        "JaugeStoreDown": f"{_store_gone()} or min({_lag(limits)}) > {limits.store_lag_s:g}",
        "JaugeCollectorDown": f"max({gone} or time() - max({heartbeat}) > 60)",
    }
    return tuple(
        Rule(
            name,
            Severity.PAGE,
            Topic.DELIVERY,
            expression,
            Form.NUMBER,
            limits.down_for,
            limit=limits.down_for,
            tells_value=False,
            variables=(),
        )
        for name, expression in expressions.items()
    )


def instance_down(limits: Thresholds) -> Rule:
    """One collector of several: as long as another works, `down` says nothing of it."""
    up = f'up{{job="{COLLECTOR_JOB}"}}'
    stuck = f"time() - {recent(metric('collector_heartbeat_timestamp_seconds'), limits)} > 60"
    parted = f"{recent(metric('collector_mqtt_connected'), limits)} == 0"
    return Rule(
        INSTANCE_DOWN,
        Severity.TICKET,
        Topic.DELIVERY,
        f"{each(f'{up} == 0 or {stuck} or {parted}', 'instance')} and on () (count({up}) > 1)",
        Form.NUMBER,
        limits.down_for,
        limits.recent,
        limits.down_for,
        tells_value=False,
        variables=(),
    )


def silent(limits: Thresholds) -> tuple[Rule, ...]:
    """Agents, their sources, and the devices that they describe."""
    seen = each(
        newest(metric("collector_agent_last_seen_timestamp_seconds"), _KNOWN), "site", "agent"
    )
    known = each(recent(metric("collector_agent_online"), limits), "site", "agent")
    started = recent(f'process_start_time_seconds{{job="{COLLECTOR_JOB}"}}', limits)
    since = f"0 * {known} + on () group_left () (time() - max({started}))"
    unheard = f"({since}) unless on (site, agent) {seen}"
    delivered = each(
        newest(metric("collector_source_last_seen_timestamp_seconds"), _KNOWN),
        "site",
        "agent",
        "source",
    )
    common = (limits.silent_for, limits.recent)
    return (
        Rule(
            "JaugeAgentSilent",
            Severity.TICKET,
            Topic.DELIVERY,
            f"(time() - {seen} or {unheard}) > {seconds(limits.agent_silent):g}",
            Form.DURATION,
            *common,
            limits.agent_silent,
        ),
        Rule(
            "JaugeSourceSilent",
            Severity.TICKET,
            Topic.DELIVERY,
            f"time() - {delivered} > {seconds(limits.source_silent):g}",
            Form.DURATION,
            *common,
            limits.source_silent,
        ),
        Rule(
            "JaugeSensorSilent",
            Severity.TICKET,
            Topic.DELIVERY,
            f"{devices(limits)} unless on ({THING}) {any_reading(limits.sensor_silent)}",
            Form.NUMBER,
            *common,
            limits.sensor_silent,
            tells_value=False,
        ),
    )


def late(limits: Thresholds) -> tuple[Rule, ...]:
    """What will stop deliveries if nobody looks."""
    skew = recent(metric("collector_agent_skew_seconds"), limits)
    oldest = recent(metric("agent_spool_oldest_timestamp_seconds"), limits)
    ends = " or ".join(
        f"min by ({label}) ({recent(metric(name), limits)})"
        for label, name in (
            ("use", "collector_certificate_expiry_timestamp_seconds"),
            ("instance", "agent_certificate_expiry_timestamp_seconds"),
        )
    )
    return (
        Rule(
            "JaugeClockSkewed",
            Severity.TICKET,
            Topic.DELIVERY,
            f"{each(f'abs({skew})', 'site', 'agent')} > {limits.skew_s:g}",
            Form.SECONDS,
            limits.skew_for,
            limits.keep,
            f"{limits.skew_s:g} s",
        ),
        Rule(
            "JaugeSpoolFilling",
            Severity.TICKET,
            Topic.DELIVERY,
            f"time() - min by (instance) ({oldest}) > {seconds(limits.spool_waiting):g}",
            Form.DURATION,
            limits.silent_for,
            limits.recent,
            limits.spool_waiting,
            variables=(),
        ),
        Rule(
            "JaugeCertificateExpiring",
            Severity.TICKET,
            Topic.DELIVERY,
            f"({ends}) - time() < {limits.certificate_days * _DAY_S:.0f}",
            Form.DAYS,
            "1h",
            limits.keep,
            f"{limits.certificate_days:g} d",
            scale=1 / _DAY_S,
            variables=(),
        ),
    )


def _lag(limits: Thresholds) -> str:
    return recent(metric("collector_lag_seconds", stage="store"), limits)


def _store_gone() -> str:
    return f'max(up{{job="{STORE_JOB}"}}) == 0'
