"""The agent's own measurements, for Prometheus, on loopback and only when configured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

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
        yield _gauge("build_info", "1, with the version", 1, version=__version__)
        yield from self._sources()
        yield from self._ticks()
        yield from self._budget()
        yield from self._spooled()
        yield from self._published()

    def _sources(self) -> Iterator[Metric]:
        standing = GaugeMetricFamily(
            f"{_PREFIX}_source_standing",
            "1 for how the source stands",
            labels=["source", "standing"],
        )
        reads = _counter("source_reads", "Reads begun", "source")
        failures = _counter("source_read_failures", "Failed reads by reason", "source", "reason")
        missing = _counter(
            "source_values_missing", "Values that could not be had", "source", "reason"
        )
        left_out = _counter("source_values_left_out", "Values against the rules", "source", "flaw")
        skipped = _counter("source_ticks_skipped", "Ticks while still reading", "source")
        duration = _gauge_family("source_read_duration_seconds", "Of the last read", "source")
        success = _gauge_family(
            "source_last_success_timestamp_seconds", "Unix time of the last good read", "source"
        )
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
        yield _count("ticks", "Ticks given out", stats.ticks)
        yield _count("ticks_missed", "Ticks that came too late to be given out", stats.missed)
        yield _count("clock_steps", "Steps of the wall clock", stats.steps)
        yield _gauge(
            "clock_last_step_seconds",
            "Size of the last step, forward > 0",
            stats.last_step_ms / 1000,
        )

    def _budget(self) -> Iterator[Metric]:
        budget = self._runner.budget
        for name, help_text, counts in (
            ("series", "Series taken of what has a budget", budget.admitted),
            ("series_left_out", "Series beyond their budget", budget.refused),
        ):
            family = _gauge_family(name, help_text, "family")
            for each, number in counts.items():
                family.add_metric([each], number)
            yield family

    def _spooled(self) -> Iterator[Metric]:
        for field, what in (("batches", "Batches"), ("readings", "Readings")):
            account = _counter(
                f"spool_{field}",
                f"{what} by outcome, since the spool was begun",
                "outcome",
                "reason",
            )
            for (outcome, reason), count in sorted(self._spool.account.items()):
                account.add_metric([outcome, reason], getattr(count, field))
            yield account
            spooled = getattr(self._spool.spooled, field)
            yield _gauge(f"spool_waiting_{field}", f"{what} without an answer", spooled)
        oldest = self._spool.last_oldest_ms
        if oldest is not None:
            yield _gauge(
                "spool_oldest_timestamp_seconds", "Time of the oldest waiting batch", oldest / 1000
            )
        yield _gauge("spool_used_bytes", "Bytes in use in the file", self._spool.used_bytes)
        yield _count("spool_moved_aside", "Unfit files moved aside", self._spool.moved_aside)

    def _published(self) -> Iterator[Metric]:
        stats = self._publisher.stats
        yield _gauge("connected", "1 while connected to the broker", float(stats.connected))
        yield _count("connections", "Connections made", stats.connections)
        for name, help_text, label, counts in (
            ("connection_failures", "Connections failed or lost", "reason", stats.failures),
            ("published_batches", "Batches sent to the broker", "lane", stats.published),
            ("answers", "Answers of the collector", "verdict", stats.answers),
        ):
            family = _counter(name, help_text, label)
            for value, number in counts.copy().items():
                family.add_metric([str(value)], number)
            yield family
        if stats.last_answer_ms is not None:
            yield _gauge(
                "last_answer_timestamp_seconds",
                "Unix time of the last answer",
                stats.last_answer_ms / 1000,
            )
        yield from self._heard()

    def _heard(self) -> Iterator[Metric]:
        hearing = self._publisher.hearing
        since = hearing.waiting_since
        yield _gauge(
            "unanswered_seconds",
            "Since batches have gone out without any answer; 0 while none waits",
            0.0 if since is None else time.monotonic() - since,
        )
        standing = GaugeMetricFamily(
            f"{_PREFIX}_heard", "1 for what becomes of the batches", labels=["standing"]
        )
        for each in Heard:
            standing.add_metric([each], float(hearing.standing is each))
        yield standing
        certificate = self._publisher.broker.keyring.certificate
        if certificate is not None:
            yield _gauge(
                "certificate_expiry_timestamp_seconds",
                "Unix time until which the agent's certificate is valid",
                certificate.not_after_s,
            )


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


_PREFIX = "jauge_agent"


def _counter(name: str, help_text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}_{name}", help_text, labels=labels)


def _count(name: str, help_text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}_{name}", help_text, value=value)


def _gauge_family(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=labels)


def _gauge(name: str, help_text: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
