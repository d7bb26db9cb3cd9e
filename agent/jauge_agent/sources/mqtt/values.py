"""The last value of each point: from which message, and for how long it is one.

A resource's quantity belongs to the topic that has given it first, or whose point names it without
a wildcard: two topics never mix in one series, however alike their names become on the wire.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import identity, is_resource

from jauge_agent.logs import say
from jauge_agent.source import Method, ResourceDescription, Sample
from jauge_agent.sources.mqtt.config import MqttPoint
from jauge_agent.sources.mqtt.payload import Found, NoNumberError, found_in

MOST_SERIES: Final = 2000
"""Series that wildcards may bring; more topics are counted and left alone."""
AHEAD_S: Final = 60.0
"""A time stamp further ahead of this machine's clock than this is not believed."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """A value, and when it was measured; None for a state without a meaning."""

    point: MqttPoint
    value: float | None
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
    _owners: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """Topic, and place of the point, to which a resource's quantity belongs."""
    _repeating: set[tuple[str, int]] = field(default_factory=set)
    """Topics, and places of points, that have been named as giving what belongs to another."""
    _resources: dict[str, ResourceDescription] = field(default_factory=dict)
    changed: bool = False
    """Whether a resource has appeared since the resources were last taken."""

    def __post_init__(self) -> None:
        """Describe what depends on no message."""
        for place, point in enumerate(self.points):
            if not point.is_pattern:
                self._describe(point, point.resource)
                self._owners[point.resource, point.quantity] = (point.topic, place)
        self._compiled = [(point, point.pattern) for point in self.points]

    def take(self, topic: str, payload: bytes, *, kept: bool, now_s: float) -> None:
        """A message; ``kept`` when the broker had it before this connection began."""
        for place, (point, pattern) in enumerate(self._compiled):
            match = pattern.fullmatch(topic)
            if match is None:
                continue
            try:
                found = self._found(point, payload, kept=kept, now_s=now_s)
                resource = self._named(point, match.groups())
                is_value = found.value is not None
                self._own((resource, point.quantity), (topic, place), is_value=is_value)
            except NoNumberError as error:
                self.failed[error.reason] += 1
            else:
                self._hold(point, resource, found, now_s)

    def read(self, now_s: float) -> tuple[list[Sample], Counter[str]]:
        """Values that are ones now, and why the others are none.

        All get the time of the tick that asks, as every sample of a source does: one that was
        measured earlier is stamped late, by the point's age limit at the most.
        A value holds until its age limit. A running total is given once, with the first reading
        after its message: repeated later it would say that nothing flowed meanwhile. A state that
        is not understood ends the one before: the device is in that one no longer.
        """
        failed, self.failed = self.failed, Counter()
        samples: list[Sample] = []
        silent = {(each.resource, each.quantity) for each in self.points if not each.is_pattern}
        for (resource, quantity), held in self._held.items():
            silent.discard((resource, quantity))
            is_new, held.is_new = held.is_new, False
            held.time_s = min(held.time_s, now_s)  # the clock was put back: it ages from now on
            if now_s - held.time_s > held.point.max_age_s:
                failed["stale"] += 1
            elif held.value is None:
                failed["state"] += 1
            elif is_new or CATALOGUE[quantity].kind is Kind.GAUGE:
                samples.append(Sample(resource, quantity, held.value))
        if silent:
            failed["silent"] += len(silent)
        return samples, failed

    def is_complete(self) -> bool:
        """Whether each point that depends on no wildcard has been heard."""
        wanted = {(each.resource, each.quantity) for each in self.points if not each.is_pattern}
        return wanted <= self._held.keys()

    def resources(self) -> list[ResourceDescription]:
        """Everything that is known to be measured."""
        self.changed = False
        return list(self._resources.values())

    def _found(self, point: MqttPoint, payload: bytes, *, kept: bool, now_s: float) -> Found:
        """What the message says; raises NoNumberError for what is not to be believed."""
        found = found_in(payload, point)
        if found.time_s is None and kept:
            raise NoNumberError("retained")  # nobody knows how old it is
        if found.time_s is not None and found.time_s > now_s + AHEAD_S:
            raise NoNumberError("future")
        entry = CATALOGUE[point.quantity]
        if found.value is not None and not entry.low <= found.value <= entry.high:
            raise NoNumberError("range")
        return found

    def _own(self, series: tuple[str, str], giver: tuple[str, int], *, is_value: bool) -> None:
        """Let it belong to who gives it first; raises NoNumberError for anybody else.

        An unknown word makes no series: a wildcard also matches topics of something else.
        """
        owner = self._owners.get(series)
        if owner == giver:
            return
        if owner is None:
            if not is_value:
                raise NoNumberError("state")
            if len(self._owners) >= MOST_SERIES:
                raise NoNumberError("limits")
            self._owners[series] = giver
            return
        if giver not in self._repeating and len(self._repeating) < MOST_SERIES:
            self._repeating.add(giver)
            resource, quantity = series
            say(
                _log,
                logging.WARNING,
                "topic repeats another",
                source="mqtt",
                topic=giver[0],
                other=owner[0],
                resource=resource,
                quantity=quantity,
                detail="it is not published: give it a point and a resource of its own",
            )
        raise NoNumberError("duplicate")

    def _hold(self, point: MqttPoint, resource: str, found: Found, now_s: float) -> None:
        time_s = now_s if found.time_s is None else min(found.time_s, now_s)
        held = self._held.get((resource, point.quantity))
        if held is not None and found.time_s is not None and time_s < held.time_s <= now_s:
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
