"""The agent's own measurements, for Prometheus, on loopback and only when configured.

Names, labels and texts are those of the catalogue, `jauge_models.metrics`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from jauge_models.metrics import METRICS, MetricType
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jauge_agent import __version__
from jauge_agent.hearing import Heard
from jauge_agent.publisher import Publisher
from jauge_agent.runner import Runner
from jauge_agent.spool import Spool
from jauge_agent.worker import Standing


class AgentCollector(Collector):
    """Reads the counters of a running agent at each scrape.

    Scrapes come on another thread: containers are copied before they are walked through.
    """

    def __init__(self, runner: Runner, spool: Spool, publisher: Publisher) -> None:
        self._runner = runner
        self._spool = spool
        self._publisher = publisher

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield _one("build_info", 1, __version__)
        yield from self._sources()
        yield from self._ticks()
        yield from self._budget()
        yield from self._spooled()
        yield from self._published()

    def _sources(self) -> Iterator[Metric]:
        standing = _family("source_standing")
        reads, failures = _family("source_reads_total"), _family("source_read_failures_total")
        missing = _family("source_values_missing_total")
        left_out = _family("source_values_left_out_total")
        skipped = _family("source_ticks_skipped_total")
        duration = _family("source_read_duration_seconds")
        success = _family("source_last_success_timestamp_seconds")
        for name, stats in self._runner.source_stats.items():
            for each in Standing:
                standing.add_metric([name, each], float(stats.standing is each))
            reads.add_metric([name], stats.reads)
            skipped.add_metric([name], stats.skipped)
            for family, counts in (
                (failures, stats.failures),
                (missing, stats.missing),
                (left_out, stats.left_out),
            ):
                for reason, number in counts.copy().items():
                    family.add_metric([name, str(reason)], number)
            if stats.last_duration_s is not None:
                duration.add_metric([name], stats.last_duration_s)
            if stats.last_success_ms is not None:
                success.add_metric([name], stats.last_success_ms / 1000)
        yield from (standing, reads, failures, missing, left_out, skipped, duration, success)

    def _ticks(self) -> Iterator[Metric]:
        stats = self._runner.stats
        yield _one("ticks_total", stats.ticks)
        yield _one("ticks_missed_total", stats.missed)
        yield _one("clock_steps_total", stats.steps)
        yield _one("clock_last_step_seconds", stats.last_step_ms / 1000)

    def _budget(self) -> Iterator[Metric]:
        budget = self._runner.budget
        for name, counts in (("series", budget.admitted), ("series_left_out", budget.refused)):
            family = _family(name)
            for each, number in counts.items():
                family.add_metric([each], number)
            yield family

    def _spooled(self) -> Iterator[Metric]:
        for field in ("batches", "readings"):
            account = _family(f"spool_{field}_total")
            for (outcome, reason), count in sorted(self._spool.account.items()):
                account.add_metric([outcome, reason], getattr(count, field))
            yield account
            yield _one(f"spool_waiting_{field}", getattr(self._spool.spooled, field))
        oldest = self._spool.last_oldest_ms
        if oldest is not None:
            yield _one("spool_oldest_timestamp_seconds", oldest / 1000)
        yield _one("spool_used_bytes", self._spool.used_bytes)
        yield _one("spool_moved_aside_total", self._spool.moved_aside)

    def _published(self) -> Iterator[Metric]:
        stats = self._publisher.stats
        yield _one("connected", float(stats.connected))
        yield _one("connections_total", stats.connections)
        for name, counts in (
            ("connection_failures_total", stats.failures),
            ("published_batches_total", stats.published),
            ("answers_total", stats.answers),
        ):
            family = _family(name)
            for value, number in counts.copy().items():
                family.add_metric([str(value)], number)
            yield family
        if stats.last_answer_ms is not None:
            yield _one("last_answer_timestamp_seconds", stats.last_answer_ms / 1000)
        yield from self._heard()

    def _heard(self) -> Iterator[Metric]:
        hearing = self._publisher.hearing
        since = hearing.waiting_since
        yield _one("unanswered_seconds", 0.0 if since is None else time.monotonic() - since)
        standing = _family("heard")
        for each in Heard:
            standing.add_metric([each], float(hearing.standing is each))
        yield standing
        certificate = self._publisher.broker.keyring.certificate
        if certificate is not None:
            yield _one("certificate_expiry_timestamp_seconds", certificate.not_after_s)


@contextmanager
def serving(address: str, port: int, collector: AgentCollector) -> Iterator[None]:
    """Answer http://ADDRESS:PORT/metrics meanwhile; raises OSError when the port is taken."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    server, thread = start_http_server(port, address, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    """An empty family, as the catalogue has it."""
    entry = METRICS[f"jauge_agent_{name}"]
    kind = CounterMetricFamily if entry.type is MetricType.COUNTER else GaugeMetricFamily
    return kind(entry.family, entry.help, labels=entry.labels)


def _one(name: str, value: float, *labels: str) -> Metric:
    """A family of one value."""
    family = _family(name)
    family.add_metric(labels, value)
    return family
