"""What the collector publishes on its ``/metrics`` about itself and about the agents it hears."""

from typing import Final

from jauge_models.metric import Metric, MetricType, MetricUnit

_COUNT: Final = MetricUnit.COUNT
_STATE: Final = MetricUnit.STATE
_SECOND: Final = MetricUnit.SECOND
_BYTE: Final = MetricUnit.BYTE
_TIMESTAMP: Final = MetricUnit.TIMESTAMP


def _gauge(name: str, unit: MetricUnit, text: str, *labels: str) -> Metric:
    return Metric(f"jauge_collector_{name}", MetricType.GAUGE, unit, labels, text)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"jauge_collector_{name}_total", MetricType.COUNTER, _COUNT, labels, text)


def _histogram(name: str, text: str) -> Metric:
    return Metric(f"jauge_collector_{name}", MetricType.HISTOGRAM, _SECOND, (), text)


COLLECTOR_METRICS: Final = (
    # --- from the broker to the store
    _counter("messages_received", "MQTT messages received.", "channel"),
    _counter("packs_stored", "Packs that the store has accepted."),
    _counter("packs_answered", "Packs answered as stored."),
    _counter("packs_refused", "Packs answered as refused.", "reason"),
    _counter("packs_unanswered", "Packs left without an answer: they come again.", "reason"),
    _counter("readings_received", "Readings in usable packs."),
    _counter("readings_stored", "Readings that the store has accepted."),
    _counter("readings_refused", "Readings left out of a pack that was stored.", "reason"),
    _counter("documents_refused", "Births and states that could not be used.", "reason"),
    _counter("births_cut", "Entries of births that were left out or cut short.", "reason"),
    _counter("quarantines", "Agents put into quarantine as clones."),
    _counter("messages_dropped", "Messages dropped unread: their sender exceeds a rate.", "reason"),
    _counter("broker_refusals", "Refusals that the broker's log told of.", "reason"),
    _counter("broker_log_skipped", "Lines of the broker's log beyond what is read in a second."),
    _gauge("queue_size", _COUNT, "What waits in a queue.", "queue"),
    _gauge("queue_limit", _COUNT, "What a queue holds at most.", "queue"),
    _counter("queue_dropped", "What did not fit into a queue.", "queue"),
    _histogram("answer_delay_seconds", "From receipt of a pack to its answer."),
    _histogram("store_delay_seconds", "From receipt of a pack until the store accepted it."),
    _gauge("lag_seconds", _SECOND, "How far behind a stage is.", "stage"),
    _gauge("heartbeat_timestamp_seconds", _TIMESTAMP, "When every stage last made progress."),
    _gauge("mqtt_connected", _STATE, "1 while connected to the broker."),
    _counter("mqtt_connections", "Connections made to the broker."),
    _counter("mqtt_failures", "Connections to the broker that failed or were lost.", "reason"),
    # --- store and ledger
    _counter("store_errors", "Calls that the store failed."),
    _gauge(
        "sink_dropped_readings",
        _COUNT,
        "Readings not copied to InfluxDB since the start, by reason.",
        "reason",
    ),
    _counter("ledger_errors", "Marks and passes that failed."),
    _histogram("ledger_pass_seconds", "Duration of a ledger pass over all sites."),
    _gauge("ledger_writer", _STATE, "1 while this collector holds the ledger's writer lock."),
    _counter(
        "purges_refused", "Times that nothing went by its age: the clock is doubted.", "reason"
    ),
    _gauge(
        "tickets",
        _COUNT,
        "Tickets of cross-checks; acknowledged ones are not resolved.",
        "site",
        "kind",
        "state",
    ),
    # --- the console
    _counter("access_refused", "Requests that the console did not let in, by reason.", "reason"),
    _counter(
        "console_connections_ended",
        "Connections that the console did not take or that did not last, by reason.",
        "reason",
    ),
    _counter("console_errors", "Requests that an error of the collector's own ended."),
    _gauge(
        "certificate_expiry_timestamp_seconds",
        _TIMESTAMP,
        "Until when a certificate of the collector's own is valid, by what it is for.",
        "use",
    ),
    # --- agents
    _gauge("agents", _COUNT, "Agents heard of."),
    _gauge("agents_quarantined", _COUNT, "Agents of which two speak under one name."),
    _counter("agents_forgotten", "Silent agents that made room for others."),
    _counter("documents_not_kept", "Births and states beyond a limit."),
    _counter("quarantines_released", "Quarantines ended by a person."),
    _gauge(
        "agent_last_seen_timestamp_seconds",
        _TIMESTAMP,
        "When an agent was heard.",
        "site",
        "agent",
    ),
    _gauge("agent_online", _STATE, "What an agent's last state said.", "site", "agent"),
    _gauge("agent_skew_seconds", _SECOND, "Collector's clock minus agent's.", "site", "agent"),
    _gauge(
        "agent_clock_last_step_seconds",
        _SECOND,
        "Size of the last step of an agent's clock, forward > 0.",
        "site",
        "agent",
    ),
    _gauge(
        "source_last_seen_timestamp_seconds",
        _TIMESTAMP,
        "When a source of an agent last delivered, as the agent says.",
        "site",
        "agent",
        "source",
    ),
    _gauge(
        "meter_last_seen_timestamp_seconds",
        _TIMESTAMP,
        "Time of the newest reading that feeds a meter.",
        "site",
        "meter",
    ),
    _gauge(
        "resources_over_budget",
        _COUNT,
        "Hosts, guests and GPUs of an agent of which series are left out, where there are any.",
        "site",
        "agent",
        "family",
    ),
)

_PROCESS: Final = (
    ("virtual_memory_bytes", MetricType.GAUGE, _BYTE, "Virtual memory size in bytes."),
    ("resident_memory_bytes", MetricType.GAUGE, _BYTE, "Resident memory size in bytes."),
    (
        "start_time_seconds",
        MetricType.GAUGE,
        _TIMESTAMP,
        "Start time of the process since unix epoch in seconds.",
    ),
    (
        "cpu_seconds_total",
        MetricType.COUNTER,
        _SECOND,
        "Total user and system CPU time spent in seconds.",
    ),
    ("open_fds", MetricType.GAUGE, _COUNT, "Number of open file descriptors."),
    ("max_fds", MetricType.GAUGE, _COUNT, "Maximum number of open file descriptors."),
)

PROCESS_METRICS: Final = tuple(
    Metric(f"process_{name}", kind, unit, (), text) for name, kind, unit, text in _PROCESS
)
"""Of the collector's process, named by the practice of Prometheus' clients, on Linux."""
