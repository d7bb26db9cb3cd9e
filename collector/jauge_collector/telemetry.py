"""What the collector says about itself on /metrics, in a registry of its own.

Names, labels and texts are those of the catalogue, `jauge_models.metrics`: nothing else can be
shown. Families about sites, ``jauge_kpi_…`` among them, are set as a whole by the console. Labels
are bounded: reasons and queues come from enumerations, agents and resources from the inventory.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jauge_models.metrics import METRICS
from jauge_models.metrics import Metric as Entry
from jauge_models.resources import kind_of
from jauge_models.site_metrics import SITE_METRICS
from jauge_models.wire import MAX_LABELS, MAX_TEXT_LENGTH, Address, Birth
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from jauge_collector.exposition import family, joined, line
from jauge_collector.inbox import Drop
from jauge_collector.inventory import Agent, Inventory

_PREFIX: Final = "jauge_collector"
_RESOURCE_INFO: Final = "jauge_resource_info"
_QUEUES: Final = (Drop.INBOX, Drop.INBOX_BYTES, Drop.SENDER)
_SET_AS_A_WHOLE: Final = (
    *(metric.name for metric in SITE_METRICS if metric.name != _RESOURCE_INFO),
    f"{_PREFIX}_tickets",
    f"{_PREFIX}_sink_dropped_readings",
)
"""Families that are there from the start, without a sample."""
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
        self._own = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram

        self.messages = counter("messages_received")
        self.packs_stored = counter("packs_stored")
        self.packs_answered = counter("packs_answered")
        self.packs_refused = counter("packs_refused")
        self.packs_unanswered = counter("packs_unanswered")
        self.readings_received = counter("readings_received")
        self.readings_stored = counter("readings_stored")
        self.readings_refused = counter("readings_refused")
        self.documents_refused = counter("documents_refused")
        self.births_cut = counter("births_cut")
        self.quarantines = counter("quarantines")
        self.messages_dropped = counter("messages_dropped")
        self.broker_refusals = counter("broker_refusals")
        self.broker_log_skipped = counter("broker_log_skipped")
        self.queue_size = gauge("queue_size")
        self.queue_limit = gauge("queue_limit")
        dropped = _entry("queue_dropped_total")
        self.queue_dropped = Counter(dropped.family, dropped.help, dropped.labels, registry=None)
        self._dropped: dict[str, Callable[[], float]] = {}
        self.answer_delay = histogram("answer_delay_seconds", _ANSWER_SECONDS)
        self.store_delay = histogram("store_delay_seconds", _SECONDS)
        self.store_errors = counter("store_errors")
        self.ledger_errors = counter("ledger_errors")
        self.ledger_pass = histogram("ledger_pass_seconds", _SECONDS)
        self.purges_refused = counter("purges_refused")
        self.ledger_writer = gauge("ledger_writer")
        self.mqtt_connected = gauge("mqtt_connected")
        self.mqtt_connections = counter("mqtt_connections")
        self.mqtt_failures = counter("mqtt_failures")
        self.access_refused = counter("access_refused")
        self.console_connections_ended = counter("console_connections_ended")
        self.console_errors = counter("console_errors")
        self.heartbeat_s: float | None = None
        """When every stage was last seen to make progress, in Unix seconds."""
        self._lags: dict[str, Callable[[], float | None]] = {}
        self._pulled: dict[str, Callable[[], Iterable[Sample]]] = {}
        self._own.register(_Own(self))
        self._families: dict[str, Sequence[Sample]] = dict.fromkeys(_SET_AS_A_WHOLE, ())
        self._own.register(_Agents(inventory))
        ProcessCollector(registry=self._own)
        self._resources = _Resources(inventory)
        self.registry = CollectorRegistry()
        """Everything, for who asks for a sample; /metrics is `exposition`."""
        self.registry.register(_Everything(self._own, self._families, self._resources))

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

    def watch_family(self, name: str, samples: Callable[[], Iterable[Sample]]) -> None:
        """Show a family of gauges that is asked for at each scrape.

        Raises KeyError for one that the catalogue lacks.
        """
        self._pulled[METRICS[name].name] = samples

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

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The page of /metrics and its type, in the format that a request's ``Accept`` names."""
        encode, content_type = choose_encoder(accept)
        families = [
            family(name, METRICS[name].help, (line(name, s.labels, s.value) for s in samples))
            for name, samples in list(self._families.items())
        ]
        described = METRICS[_RESOURCE_INFO].help
        families.append(family(_RESOURCE_INFO, described, self._resources.lines()))
        return joined(encode(self._own), families), content_type

    def own(self) -> Iterable[Metric]:
        """What is read from the parts when /metrics is asked for."""
        drops, lags = _counted(_entry("queue_dropped_total")), _gauged(_entry("lag_seconds"))
        for metric in self.queue_dropped.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    name = sample.labels["queue"]
                    told = self._dropped[name]() if name in self._dropped else 0.0
                    drops.add_metric([name], sample.value + told)
        for stage, lag in self._lags.items():
            if (lag_s := lag()) is not None:
                lags.add_metric([stage], lag_s)
        heartbeat = _gauged(_entry("heartbeat_timestamp_seconds"))
        if self.heartbeat_s is not None:
            heartbeat.add_metric([], self.heartbeat_s)
        yield from (drops, lags, heartbeat)
        for name, pulled in self._pulled.items():
            yield _whole(name, pulled())

    def set_family(self, name: str, samples: Iterable[Sample]) -> None:
        """Replace a whole family, e.g. ``jauge_kpi_pue_ratio``; what is missing has no sample.

        Raises KeyError for one that the catalogue lacks.
        """
        self._families[METRICS[name].name] = tuple(samples)

    def _counter(self, name: str) -> Counter:
        entry = _entry(f"{name}_total")
        return Counter(entry.family, entry.help, entry.labels, registry=self._own)

    def _gauge(self, name: str) -> Gauge:
        entry = _entry(name)
        return Gauge(entry.name, entry.help, entry.labels, registry=self._own)

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        entry = _entry(name)
        return Histogram(entry.name, entry.help, buckets=buckets, registry=self._own)


def _entry(name: str) -> Entry:
    """What the catalogue says of one of the collector's own."""
    return METRICS[f"{_PREFIX}_{name}"]


def _counted(entry: Entry) -> CounterMetricFamily:
    return CounterMetricFamily(entry.family, entry.help, labels=entry.labels)


def _gauged(entry: Entry) -> GaugeMetricFamily:
    return GaugeMetricFamily(entry.name, entry.help, labels=entry.labels)


def _whole(name: str, samples: Iterable[Sample]) -> Metric:
    family = Metric(name, METRICS[name].help, "gauge")
    for one in samples:
        family.add_sample(name, dict(one.labels), one.value)
    return family


class _Own(Collector):
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[Metric]:
        return self._telemetry.own()


class _Everything(Collector):
    """What the client library knows, and the families that are set as a whole."""

    def __init__(
        self,
        own: CollectorRegistry,
        families: Mapping[str, Sequence[Sample]],
        resources: "_Resources",
    ) -> None:
        self._parts = own, families, resources

    def collect(self) -> Iterable[Metric]:
        own, families, resources = self._parts
        yield from own.collect()
        for name, samples in list(families.items()):
            yield _whole(name, samples)
        yield _whole(_RESOURCE_INFO, resources.samples())


class _Resources:
    """``jauge_resource_info``: what each agent's birth describes, as long as it is the same."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._told: dict[Address, tuple[Birth, str]] = {}

    def samples(self) -> Iterator[Sample]:
        """One for each resource."""
        for agent in list(self._inventory):
            yield from _resources_of(agent)

    def lines(self) -> list[str]:
        """The same as lines; those of an agent are kept until it sends another birth."""
        told: dict[Address, tuple[Birth, str]] = {}
        for agent in list(self._inventory):
            if (birth := agent.birth) is None:
                continue
            known = self._told.get(agent.address)
            if known is None or known[0] is not birth:
                lines = (line(_RESOURCE_INFO, s.labels, s.value) for s in _resources_of(agent))
                known = birth, "".join(lines)
            told[agent.address] = known
        self._told = told
        return [lines for _, lines in told.values()]


def _resources_of(agent: Agent) -> Iterator[Sample]:
    for resource in agent.birth.resources if agent.birth else ():
        yield Sample(resource_labels(agent, resource.id, resource.name, resource.labels), 1.0)


class _Agents(Collector):
    """Agents, read from the inventory when /metrics is asked for."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def collect(self) -> Iterable[Metric]:
        inventory = self._inventory
        agents = list(inventory)
        quarantined = sum(agent.quarantined for agent in agents)
        for name, number in (("agents", len(agents)), ("agents_quarantined", quarantined)):
            family = _gauged(_entry(name))
            family.add_metric([], number)
            yield family
        for name, count in (
            ("agents_forgotten", inventory.forgotten),
            ("documents_not_kept", inventory.not_kept),
            ("quarantines_released", inventory.released),
        ):
            counted = _counted(_entry(f"{name}_total"))
            counted.add_metric([], count)
            yield counted
        yield from self._of_each(agents)

    def _of_each(self, agents: Sequence[Agent]) -> Iterable[Metric]:
        seen, online = (
            _gauged(_entry(f"agent_{name}")) for name in ("last_seen_timestamp_seconds", "online")
        )
        skew, steps = (
            _gauged(_entry(f"agent_{name}")) for name in ("skew_seconds", "clock_last_step_seconds")
        )
        source_seen = _gauged(_entry("source_last_seen_timestamp_seconds"))
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
    """Labels of jauge_resource_info: the identity always wins over what a birth document says.

    A resource without a name goes by its identifier, so that no line of a dashboard is nameless.
    """
    usable = {
        key: value[:MAX_TEXT_LENGTH]
        for key, value in list(labels.items())[:MAX_LABELS]
        if _LABEL.fullmatch(key) and not key.startswith("__")
    }
    return usable | {
        "name": (name.strip() or resource)[:MAX_TEXT_LENGTH],
        "site": agent.address.site,
        "agent": agent.address.agent,
        "kind": kind_of(resource),
        "resource": resource,
    }
