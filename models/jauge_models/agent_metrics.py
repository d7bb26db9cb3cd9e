"""What an agent publishes on its ``/metrics``: about itself, never what it measures."""

from typing import Final

from jauge_models.metric import Metric, MetricType, MetricUnit, Publisher

_COUNT: Final = MetricUnit.COUNT
_STATE: Final = MetricUnit.STATE
_SECOND: Final = MetricUnit.SECOND
_TIMESTAMP: Final = MetricUnit.TIMESTAMP


def _gauge(name: str, unit: MetricUnit, text: str, *labels: str) -> Metric:
    return Metric(f"jauge_agent_{name}", MetricType.GAUGE, unit, labels, text, Publisher.AGENT)


def _counter(name: str, text: str, *labels: str) -> Metric:
    full = f"jauge_agent_{name}_total"
    return Metric(full, MetricType.COUNTER, _COUNT, labels, text, Publisher.AGENT)


AGENT_METRICS: Final = (
    _gauge("build_info", _STATE, "1, with the version.", "version"),
    # --- sources and ticks
    _gauge("source_standing", _STATE, "1 for how the source stands.", "source", "standing"),
    _counter("source_reads", "Reads begun.", "source"),
    _counter("source_read_failures", "Failed reads by reason.", "source", "reason"),
    _counter("source_values_missing", "Values that could not be had.", "source", "reason"),
    _counter("source_values_left_out", "Values against the rules.", "source", "flaw"),
    _counter("source_ticks_skipped", "Ticks while still reading.", "source"),
    _gauge("source_read_duration_seconds", _SECOND, "Of the last read.", "source"),
    _gauge(
        "source_last_success_timestamp_seconds",
        _TIMESTAMP,
        "Unix time of the last good read.",
        "source",
    ),
    _counter("ticks", "Ticks given out."),
    _counter("ticks_missed", "Ticks that came too late to be given out."),
    _counter("clock_steps", "Steps of the wall clock."),
    _gauge("clock_last_step_seconds", _SECOND, "Size of the last step, forward > 0."),
    _gauge("series", _COUNT, "Series taken of what has a budget.", "family"),
    _gauge("series_left_out", _COUNT, "Series beyond their budget.", "family"),
    # --- the spool
    _counter(
        "spool_batches", "Batches by outcome, since the spool was begun.", "outcome", "reason"
    ),
    _counter(
        "spool_readings", "Readings by outcome, since the spool was begun.", "outcome", "reason"
    ),
    _gauge("spool_waiting_batches", _COUNT, "Batches without an answer."),
    _gauge("spool_waiting_readings", _COUNT, "Readings without an answer."),
    _gauge("spool_oldest_timestamp_seconds", _TIMESTAMP, "Time of the oldest waiting batch."),
    _gauge("spool_used_bytes", MetricUnit.BYTE, "Bytes in use in the file."),
    _counter("spool_moved_aside", "Unfit files moved aside."),
    # --- broker and collector
    _gauge("connected", _STATE, "1 while connected to the broker."),
    _counter("connections", "Connections made."),
    _counter("connection_failures", "Connections failed or lost.", "reason"),
    _counter("published_batches", "Batches sent to the broker.", "lane"),
    _counter("answers", "Answers of the collector.", "verdict"),
    _gauge("last_answer_timestamp_seconds", _TIMESTAMP, "Unix time of the last answer."),
    _gauge(
        "unanswered_seconds",
        _SECOND,
        "Since batches have gone out without any answer; 0 while none waits.",
    ),
    _gauge("heard", _STATE, "1 for what becomes of the batches.", "standing"),
    _gauge(
        "certificate_expiry_timestamp_seconds",
        _TIMESTAMP,
        "Unix time until which the agent's certificate is valid.",
    ),
)
