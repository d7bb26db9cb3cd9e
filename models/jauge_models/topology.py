"""The site as the ledger knows it: meters with their history, connections, events, attributes.

Times are milliseconds since the Unix epoch, UTC; a validity is half-open and open-ended where a
bound is None. What is dated stays for good: history is added to, never rewritten.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from jauge_models.counters import Dial
from jauge_models.intervals import Grade, Replacement
from jauge_models.power_models import ServerModel


class Commodity(StrEnum):
    """What flows through a meter."""

    ELECTRICITY = "electricity"
    WATER = "water"
    HEAT = "heat"
    FUEL = "fuel"


@dataclass(frozen=True, slots=True)
class Measures:
    """Names of the catalogue's quantities that can feed a meter of one commodity."""

    register: str
    amount: str
    power: str | None
    unit: str


MEASURES: Final = {
    Commodity.ELECTRICITY: Measures("energy", "energy_amount", "power", "J"),
    Commodity.WATER: Measures("water", "water_amount", None, "m3"),
    Commodity.HEAT: Measures("heat", "heat_amount", None, "J"),
    Commodity.FUEL: Measures("fuel", "fuel_amount", None, "m3"),
}


@dataclass(frozen=True, slots=True)
class Validity:
    """A half-open span of time; None is open."""

    from_ms: int | None = None
    to_ms: int | None = None

    def holds(self, time_ms: int) -> bool:
        """Whether the moment lies inside."""
        return (self.from_ms is None or self.from_ms <= time_ms) and (
            self.to_ms is None or time_ms < self.to_ms
        )

    def overlaps(self, other: "Validity") -> bool:
        """Whether the two spans share any moment."""
        return (other.to_ms is None or self.from_ms is None or self.from_ms < other.to_ms) and (
            self.to_ms is None or other.from_ms is None or other.from_ms < self.to_ms
        )

    def shared(self, other: "Validity") -> "Validity | None":
        """The time in both spans, where there is any."""
        if not self.overlaps(other):
            return None
        starts = [at for at in (self.from_ms, other.from_ms) if at is not None]
        ends = [at for at in (self.to_ms, other.to_ms) if at is not None]
        return Validity(max(starts, default=None), min(ends, default=None))


ALWAYS: Final = Validity()


@dataclass(frozen=True, slots=True)
class Factor:
    """A dated multiplier of a meter's raw values: CT ratio, pulse weight."""

    value: float
    validity: Validity = ALWAYS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a meter's readings come from: one resource of one agent."""

    agent: str
    resource: str


@dataclass(frozen=True, slots=True)
class Meter:
    """A register that counts for the site.

    ``feeds`` are ranked: the first that covers an interval provides it. ``interval_ms`` is the
    length of its ledger rows; ``period_ms`` the period of its amounts (quantities of kind amount);
    ``max_gap_ms`` how far apart power samples may lie. ``uncertainty`` is the relative standard
    error of meter and transformer together. ``grade`` replaces the grade that follows from how
    the values are obtained, never for the better. ``estimator`` says what a host draws from how
    busy it is, for the time in which nothing measured it.
    """

    id: str
    commodity: Commodity
    feeds: tuple[Feed, ...] = ()
    name: str = ""
    location: str = ""
    accuracy_class: str = ""
    uncertainty: float | None = None
    interval_ms: int = 15 * 60 * 1000
    period_ms: int = 60 * 60 * 1000
    max_gap_ms: int = 180 * 1000
    bridge_ms: int | None = None
    dial: Dial = field(default_factory=Dial)
    grade: Grade | None = None
    factors: tuple[Factor, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    validity: Validity = ALWAYS
    estimator: ServerModel | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Upstream feeds downstream: incomer → UPS → PDU → outlet → host. Resource or meter ids."""

    upstream: str
    downstream: str
    feed: str = ""
    validity: Validity = ALWAYS


class EventKind(StrEnum):
    """Planned events that change what a reading means."""

    BYPASS = "bypass"
    GENERATOR_TEST = "generator_test"
    LOAD_BANK = "load_bank"
    BATTERY = "battery"
    """A UPS runs on its battery, in a test or without mains: it gives more than it takes."""
    MAINTENANCE = "maintenance"


BLINDING: Final = frozenset({EventKind.BYPASS, EventKind.GENERATOR_TEST})
"""Events during which a true zero of a meter means « not measured », not « nothing flowed »."""


@dataclass(frozen=True, slots=True)
class Event:
    """A declared event on one meter or resource, or on the whole site (``subject`` empty)."""

    kind: EventKind
    validity: Validity
    subject: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A dated fact about a site, rack, feed or guest: its operator, its tenant."""

    subject: str
    name: str
    value: str
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything dated about one site that is not a reading."""

    meters: tuple[Meter, ...] = ()
    connections: tuple[Connection, ...] = ()
    events: tuple[Event, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    _by_id: dict[str, Meter] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for meter in self.meters:
            if meter.id in self._by_id:
                raise ValueError(f"meter {meter.id!r} is named twice")
            self._by_id[meter.id] = meter

    def meter(self, meter_id: str) -> Meter:
        """The meter of that id; raises KeyError."""
        return self._by_id[meter_id]

    def upstream(self, subject: str, time_ms: int) -> list[str]:
        """What feeds a subject at a moment, in the order declared."""
        return [
            c.upstream
            for c in self.connections
            if c.downstream == subject and c.validity.holds(time_ms)
        ]

    def downstream(self, subject: str, time_ms: int) -> list[str]:
        """What a subject feeds at a moment, in the order declared."""
        return [
            c.downstream
            for c in self.connections
            if c.upstream == subject and c.validity.holds(time_ms)
        ]

    def attribute(self, subject: str, name: str, time_ms: int) -> str | None:
        """The value of a dated fact at a moment; the one declared last wins."""
        for fact in reversed(self.attributes):
            if (fact.subject, fact.name) == (subject, name) and fact.validity.holds(time_ms):
                return fact.value
        return None


def factor_at(meter: Meter, time_ms: int) -> float:
    """The multiplier in force; 1 where none is declared, the one declared last where several."""
    for factor in reversed(meter.factors):
        if factor.validity.holds(time_ms):
            return factor.value
    return 1.0


def cuts(validities: Iterable[Validity], start_ms: int, end_ms: int) -> Sequence[tuple[int, int]]:
    """[start, end) cut wherever a validity begins or ends, so that each piece sees one state."""
    edges = {start_ms, end_ms}
    for validity in validities:
        edges |= {
            edge
            for edge in (validity.from_ms, validity.to_ms)
            if edge is not None and start_ms < edge < end_ms
        }
    return list(pairwise(sorted(edges)))
