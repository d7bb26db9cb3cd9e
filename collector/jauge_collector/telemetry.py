"""What the collector says about itself on /metrics, in a registry of its own.

Names begin with ``jauge_collector_``; KPIs, ``jauge_kpi_…``, are set here by the service. Labels
are bounded: reasons and queues come from enumerations, agents and resources from the inventory.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jauge_models.resources import kind_of
from jauge_models.wire import MAX_LABELS, MAX_TEXT_LENGTH
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jauge_collector.inbox import Drop
from jauge_collector.inventory import Agent, Inventory

_PREFIX: Final = "jauge_collector"
_QUEUES: Final = (Drop.INBOX, Drop.INBOX_BYTES, Drop.SENDER)
_DROPPED_TEXT: Final = "What did not fit into a queue."
_LABEL: Final = re.compile(r"[a-z][a-z0-9_]*")
_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ANSWER_SECONDS: Final = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 35, 40, 60, 120)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family that is set as a whole."""

    labels: Mapping[str, str]
    value: float


class Telemetry:
    """The collector's own metrics."""

    def __init__(self, inventory: Inventory) -> None:
        self.registry = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram

        self.messages = counter("messages_received", "MQTT messages received.", "channel")
        self.packs_stored = counter("packs_stored", "Packs that the store has accepted.")
        self.packs_answered = counter("packs_answered", "Packs answered as stored.")
        self.packs_refused = counter("packs_refused", "Packs answered as refused.", "reason")
        self.packs_unanswered = counter(
            "packs_unanswered", "Packs left without an answer: they come again.", "reason"
        )
        self.readings_received = counter("readings_received", "Readings in usable packs.")
        self.readings_stored = counter("readings_stored", "Readings that the store has accepted.")
        self.readings_refused = counter(
            "readings_refused", "Readings left out of a pack that was stored.", "reason"
        )
        self.documents_refused = counter(
            "documents_refused", "Births and states that could not be used.", "reason"
        )
        self.births_cut = counter(
            "births_cut", "Entries of births that were left out or cut short.", "reason"
        )
        self.quarantines = counter("quarantines", "Agents put into quarantine as clones.")
        self.messages_dropped = counter(
            "messages_dropped", "Messages dropped unread: their sender exceeds a rate.", "reason"
        )
        self.broker_refusals = counter(
            "broker_refusals", "Refusals that the broker's log told of.", "reason"
        )
        self.broker_log_skipped = counter(
            "broker_log_skipped", "Lines of the broker's log beyond what is read in a second."
        )
        self.queue_size = gauge("queue_size", "What waits in a queue.", "queue")
        self.queue_limit = gauge("queue_limit", "What a queue holds at most.", "queue")
        self.queue_dropped = Counter(
            f"{_PREFIX}_queue_dropped", _DROPPED_TEXT, ("queue",), registry=None
        )
        self._dropped: dict[str, Callable[[], float]] = {}
        self.answer_delay = histogram(
            "answer_delay_seconds", "From receipt of a pack to its answer.", _ANSWER_SECONDS
        )
        self.store_delay = histogram(
            "store_delay_seconds", "From receipt of a pack until the store accepted it.", _SECONDS
        )
        self.store_errors = counter("store_errors", "Calls that the store failed.")
        self.ledger_errors = counter("ledger_errors", "Marks and passes that failed.")
        self.ledger_pass = histogram(
            "ledger_pass_seconds", "Duration of a ledger pass over all sites.", _SECONDS
        )
        self.purges_refused = counter(
            "purges_refused", "Times that nothing went by its age: the clock is doubted.", "reason"
        )
        self.ledger_writer = gauge(
            "ledger_writer", "1 while this collector holds the ledger's writer lock."
        )
        self.mqtt_connected = gauge("mqtt_connected", "1 while connected to the broker.")
        self.mqtt_connections = counter("mqtt_connections", "Connections made to the broker.")
        self.mqtt_failures = counter(
            "mqtt_failures", "Connections to the broker that failed or were lost.", "reason"
        )
        self.access_refused = counter(
            "access_refused", "Requests that the console did not let in, by reason.", "reason"
        )
        self.console_connections_ended = counter(
            "console_connections_ended",
            "Connections that the console did not take or that did not last, by reason.",
            "reason",
        )
        self.console_errors = counter(
            "console_errors", "Requests that an error of the collector's own ended."
        )
        self.heartbeat_s: float | None = None
        """When every stage was last seen to make progress, in Unix seconds."""
        self._lags: dict[str, Callable[[], float | None]] = {}
        self._pulled: dict[str, tuple[str, Callable[[], Iterable[Sample]]]] = {}
        self.registry.register(_Own(self))
        self._families: dict[str, tuple[str, Sequence[Sample]]] = {}
        self.registry.register(_Agents(inventory))
        self.registry.register(_Families(self._families))
        ProcessCollector(registry=self.registry)

    def count_drop(self, reason: Drop) -> None:
        """A message that the inbox did not take."""
        if reason in _QUEUES:
            self.queue_dropped.labels(reason).inc()
        else:
            self.messages_dropped.labels(reason).inc()

    def watch_queue(
        self,
        name: str,
        *,
        size: Callable[[], float],
        limit: float,
        dropped: Callable[[], float] | None = None,
    ) -> None:
        """Show a bounded buffer: what is in it, what it takes, and what it did not take so far.

        The latter is ``dropped`` and what was counted in `queue_dropped`.
        """
        self.queue_size.labels(name).set_function(size)
        self.queue_limit.labels(name).set(limit)
        self.queue_dropped.labels(name)
        if dropped is not None:
            self._dropped[name] = dropped

    def watch_lag(self, stage: str, lag_s: Callable[[], float | None]) -> None:
        """Show how far behind a stage is, in seconds; nothing while that is None."""
        self._lags[stage] = lag_s

    def watch_family(self, name: str, text: str, samples: Callable[[], Iterable[Sample]]) -> None:
        """Show a family of gauges that is asked for at each scrape."""
        self._pulled[name] = (text, samples)

    def counted(self, counter: Counter, label: str) -> float:
        """What a counter with one label has come to."""
        return next(
            (
                sample.value
                for metric in counter.collect()
                for sample in metric.samples
                if sample.name.endswith("_total") and label in sample.labels.values()
            ),
            0.0,
        )

    def own(self) -> Iterable[Metric]:
        """What is read from the parts when /metrics is asked for."""
        drops = CounterMetricFamily(f"{_PREFIX}_queue_dropped", _DROPPED_TEXT, labels=("queue",))
        for metric in self.queue_dropped.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    name = sample.labels["queue"]
                    told = self._dropped[name]() if name in self._dropped else 0.0
                    drops.add_metric([name], sample.value + told)
        lags = GaugeMetricFamily(
            f"{_PREFIX}_lag_seconds", "How far behind a stage is.", labels=("stage",)
        )
        for stage, lag in self._lags.items():
            if (lag_s := lag()) is not None:
                lags.add_metric([stage], lag_s)
        heartbeat = GaugeMetricFamily(
            f"{_PREFIX}_heartbeat_timestamp_seconds", "When every stage last made progress."
        )
        if self.heartbeat_s is not None:
            heartbeat.add_metric([], self.heartbeat_s)
        yield from (drops, lags, heartbeat)
        for name, (text, pulled) in self._pulled.items():
            family = Metric(name, text, "gauge")
            for one in pulled():
                family.add_sample(name, dict(one.labels), one.value)
            yield family

    def set_family(self, name: str, help_text: str, samples: Iterable[Sample]) -> None:
        """Replace a whole family of gauges, e.g. ``jauge_kpi_pue``; missing values are absent."""
        self._families[name] = (help_text, tuple(samples))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, buckets=buckets, registry=self.registry)


class _Own(Collector):
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[Metric]:
        return self._telemetry.own()


class _Families(Collector):
    def __init__(self, families: Mapping[str, tuple[str, Sequence[Sample]]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for name, (text, samples) in list(self._families.items()):
            family = Metric(name, text, "gauge")
            for sample in samples:
                family.add_sample(name, dict(sample.labels), sample.value)
            yield family


class _Agents(Collector):
    """Agents and what they measure, read from the inventory when /metrics is asked for."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def collect(self) -> Iterable[Metric]:
        inventory = self._inventory
        agents = list(inventory)
        yield GaugeMetricFamily(f"{_PREFIX}_agents", "Agents heard of.", len(agents))
        yield GaugeMetricFamily(
            f"{_PREFIX}_agents_quarantined",
            "Agents of which two speak under one name.",
            sum(agent.quarantined for agent in agents),
        )
        for name, text, count in (
            ("agents_forgotten", "Silent agents that made room for others.", inventory.forgotten),
            ("documents_not_kept", "Births and states beyond a limit.", inventory.not_kept),
            ("quarantines_released", "Quarantines ended by a person.", inventory.released),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, count)
        yield from self._of_each(agents)
        info = Metric("jauge_resource_info", "Changing labels of a resource; always 1.", "gauge")
        for agent in agents:
            for resource in agent.birth.resources if agent.birth else ():
                labels = resource_labels(agent, resource.id, resource.name, resource.labels)
                info.add_sample("jauge_resource_info", labels, 1.0)
        yield info

    def _of_each(self, agents: Sequence[Agent]) -> Iterable[Metric]:
        names = ("site", "agent")
        seen = GaugeMetricFamily(
            f"{_PREFIX}_agent_last_seen_timestamp_seconds", "When an agent was heard.", labels=names
        )
        online = GaugeMetricFamily(
            f"{_PREFIX}_agent_online", "What an agent's last state said.", labels=names
        )
        skew = GaugeMetricFamily(
            f"{_PREFIX}_agent_skew_seconds", "Collector's clock minus agent's.", labels=names
        )
        source_seen = GaugeMetricFamily(
            f"{_PREFIX}_source_last_seen_timestamp_seconds",
            "When a source of an agent last delivered, as the agent says.",
            labels=(*names, "source"),
        )
        steps = GaugeMetricFamily(
            f"{_PREFIX}_agent_clock_last_step_seconds",
            "Size of the last step of an agent's clock, forward > 0.",
            labels=names,
        )
        for agent in agents:
            for source, seen_s in _delivered(agent):
                source_seen.add_metric((*agent.address, source), seen_s)
            if agent.state is not None and agent.state.last_step_s is not None:
                steps.add_metric(agent.address, agent.state.last_step_s)
            if agent.last_seen_ms:
                seen.add_metric(agent.address, agent.last_seen_ms / 1000)
            if agent.online is not None:
                online.add_metric(agent.address, float(agent.online))
            if agent.skew_ms is not None:
                skew.add_metric(agent.address, agent.skew_ms / 1000)
        yield from (seen, online, skew, steps, source_seen)


def _delivered(agent: Agent) -> Iterable[tuple[str, float]]:
    """When each source of the birth last delivered, on the collector's clock; unknown ones not."""
    if agent.birth is None or agent.state is None:
        return
    skew_s = (agent.skew_ms or 0) / 1000
    for source in {source.name: None for source in agent.birth.sources}:
        if (seen_s := agent.state.delivered.get(source)) is not None:
            yield source, seen_s + skew_s


def resource_labels(
    agent: Agent, resource: str, name: str, labels: Mapping[str, str]
) -> dict[str, str]:
    """Labels of jauge_resource_info: the identity always wins over what a birth document says."""
    usable = {
        key: value[:MAX_TEXT_LENGTH]
        for key, value in list(labels.items())[:MAX_LABELS]
        if _LABEL.fullmatch(key) and not key.startswith("__")
    }
    return usable | {
        "name": name[:MAX_TEXT_LENGTH],
        "site": agent.address.site,
        "agent": agent.address.agent,
        "kind": kind_of(resource),
        "resource": resource,
    }
