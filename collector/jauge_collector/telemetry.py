"""What the collector says about itself on /metrics, in a registry of its own.

Names begin with ``jauge_collector_``; KPIs, ``jauge_kpi_…``, are set here by the service. Labels
are bounded: reasons and queues come from enumerations, agents and resources from the inventory.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jauge_models.resources import kind_of
from jauge_models.wire import MAX_LABELS, MAX_TEXT_LENGTH
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jauge_collector.inventory import Agent, Inventory

_PREFIX: Final = "jauge_collector"
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
        self.queue_size = gauge("queue_size", "What waits in a queue.", "queue")
        self.queue_limit = gauge("queue_limit", "What a queue holds at most.", "queue")
        self.queue_dropped = counter("queue_dropped", "What did not fit into a queue.", "queue")
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
        self.ledger_writer = gauge(
            "ledger_writer", "1 while this collector holds the ledger's writer lock."
        )
        self.mqtt_connected = gauge("mqtt_connected", "1 while connected to the broker.")
        self.mqtt_connections = counter("mqtt_connections", "Connections made to the broker.")
        self.mqtt_failures = counter(
            "mqtt_failures", "Connections to the broker that failed or were lost.", "reason"
        )
        self.lag = gauge("lag_seconds", "Age of the oldest message that waits to be stored.")
        self._families: dict[str, tuple[str, Sequence[Sample]]] = {}
        self.registry.register(_Agents(inventory))
        self.registry.register(_Families(self._families))
        ProcessCollector(registry=self.registry)

    def set_family(self, name: str, help_text: str, samples: Iterable[Sample]) -> None:
        """Replace a whole family of gauges, e.g. ``jauge_kpi_pue``; missing values are absent."""
        self._families[name] = (help_text, tuple(samples))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, buckets=buckets, registry=self.registry)


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
        agents = list(self._inventory)
        yield GaugeMetricFamily(f"{_PREFIX}_agents", "Agents heard of.", len(agents))
        yield GaugeMetricFamily(
            f"{_PREFIX}_agents_quarantined",
            "Agents of which two speak under one name.",
            sum(agent.quarantined for agent in agents),
        )
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
        for agent in agents:
            seen.add_metric(agent.address, agent.last_seen_ms / 1000)
            if agent.online is not None:
                online.add_metric(agent.address, float(agent.online))
            if agent.skew_ms is not None:
                skew.add_metric(agent.address, agent.skew_ms / 1000)
        yield from (seen, online, skew)


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
