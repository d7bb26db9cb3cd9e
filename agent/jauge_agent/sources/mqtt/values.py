"""The last value of each point: from which message, and for how long it is one."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import identity, is_resource

from jauge_agent.source import Method, ResourceDescription, Sample
from jauge_agent.sources.mqtt.config import MqttPoint
from jauge_agent.sources.mqtt.payload import NoNumberError, found_in

MOST_SERIES: Final = 2000
"""Series that wildcards may bring; more topics are counted and left alone."""
AHEAD_S: Final = 60.0
"""A time stamp further ahead of this machine's clock than this is not believed."""


@dataclass(slots=True)
class _Held:
    """A value, and when it was measured."""

    point: MqttPoint
    value: float
    time_s: float
    is_new: bool


@dataclass(slots=True)
class LastValues:
    """What the last messages said. All times are Unix seconds."""

    points: Sequence[MqttPoint]
    failed: Counter[str] = field(default_factory=Counter)
    """Messages that gave no value, by reason, since they were last taken."""
    _compiled: list[tuple[MqttPoint, re.Pattern[str]]] = field(default_factory=list)
    _held: dict[tuple[str, str], _Held] = field(default_factory=dict)
    _resources: dict[str, ResourceDescription] = field(default_factory=dict)
    changed: bool = False
    """Whether a resource has appeared since the resources were last taken."""

    def __post_init__(self) -> None:
        """Describe what depends on no message."""
        for point in self.points:
            if not point.is_pattern:
                self._describe(point, point.resource)
        self._compiled = [(point, point.pattern) for point in self.points]

    def take(self, topic: str, payload: bytes, *, kept: bool, now_s: float) -> None:
        """A message; ``kept`` when the broker had it before this connection began."""
        for point, pattern in self._compiled:
            match = pattern.fullmatch(topic)
            if match is None:
                continue
            try:
                self._take(point, match.groups(), payload, kept=kept, now_s=now_s)
            except NoNumberError as error:
                self.failed[error.reason] += 1

    def read(self, now_s: float) -> tuple[list[Sample], Counter[str]]:
        """Values that are ones now, and why the others are none.

        A value holds until its age limit. A running total is given once, with the first reading
        after its message: repeated later it would say that nothing flowed meanwhile.
        """
        failed, self.failed = self.failed, Counter()
        samples: list[Sample] = []
        silent = {(each.resource, each.quantity) for each in self.points if not each.is_pattern}
        for (resource, quantity), held in self._held.items():
            silent.discard((resource, quantity))
            is_new, held.is_new = held.is_new, False
            if now_s - held.time_s > held.point.max_age_s:
                failed["stale"] += 1
            elif is_new or CATALOGUE[quantity].kind is Kind.GAUGE:
                samples.append(Sample(resource, quantity, held.value))
        if silent:
            failed["silent"] += len(silent)
        return samples, failed

    def is_complete(self) -> bool:
        """Whether each point that depends on no wildcard has a value."""
        wanted = {(each.resource, each.quantity) for each in self.points if not each.is_pattern}
        return wanted <= self._held.keys()

    def resources(self) -> list[ResourceDescription]:
        """Everything that is known to be measured."""
        self.changed = False
        return list(self._resources.values())

    def _take(
        self,
        point: MqttPoint,
        wildcards: tuple[str, ...],
        payload: bytes,
        *,
        kept: bool,
        now_s: float,
    ) -> None:
        found = found_in(payload, point)
        if found.time_s is None and kept:
            raise NoNumberError("retained")  # nobody knows how old it is
        if found.time_s is not None and found.time_s > now_s + AHEAD_S:
            raise NoNumberError("future")
        entry = CATALOGUE[point.quantity]
        if not entry.low <= found.value <= entry.high:
            raise NoNumberError("range")
        resource = self._named(point, wildcards)
        time_s = now_s if found.time_s is None else min(found.time_s, now_s)
        held = self._held.get((resource, point.quantity))
        if held is None and len(self._held) >= MOST_SERIES:
            raise NoNumberError("limits")
        if held is not None and time_s < held.time_s:
            return  # overtaken by a later one
        is_repeated = held is not None and found.time_s is not None and time_s == held.time_s
        is_new = not is_repeated or (held is not None and held.is_new)
        self._held[resource, point.quantity] = _Held(point, found.value, time_s, is_new)
        self._describe(point, resource)

    def _named(self, point: MqttPoint, wildcards: tuple[str, ...]) -> str:
        if not point.is_pattern:
            return point.resource
        try:
            resource = point.resource_of(tuple(identity(each) for each in wildcards))
        except ValueError:
            raise NoNumberError("name") from None
        if not is_resource(resource):
            raise NoNumberError("name")
        return resource

    def _describe(self, point: MqttPoint, resource: str) -> None:
        entry = CATALOGUE[point.quantity]
        method = Method.GAUGE if entry.kind is Kind.GAUGE else Method.REGISTER
        known = self._resources.get(resource, ResourceDescription(resource))
        described = ResourceDescription(
            resource,
            {**known.quantities, point.quantity: method},
            known.name or point.name,
            {**known.labels, **point.labels},
        )
        if described != known:
            self._resources[resource] = described
            self.changed = True


def filters(points: Sequence[MqttPoint]) -> Iterator[str]:
    """Topics to subscribe to, each once."""
    yield from dict.fromkeys(point.topic for point in points)
