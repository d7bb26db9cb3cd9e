"""Values in Redfish documents: where each stands, and whether what stands there is one."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from jauge_models.quantities import CATALOGUE
from jauge_models.wire import Method

from jauge_agent.finite import finite

Document = Mapping[str, Any]


class Missing(StrEnum):
    """Why there is no value; a bounded set, because it becomes a label."""

    DOCUMENT = "document"
    """The document could not be had."""
    GONE = "gone"
    """Nothing of that name is in the document."""
    NULL = "null"
    """The BMC says that it has no value."""
    STATE = "state"
    """The part is absent, disabled or offline."""
    NUMBER = "number"
    """What stands there is no number."""
    RANGE = "range"
    """Outside of what the catalogue or a server allows."""
    RATED = "rated"
    """The name plate's power in the place of a measured one."""
    ZERO = "zero"
    """No power at all, from a system that is on."""


IN_WORDS: Final[Mapping[str, str]] = {
    Missing.DOCUMENT: "its document could not be had",
    Missing.GONE: "nothing of that name is in its document any more",
    Missing.NULL: "the BMC has no value now",
    Missing.STATE: "its part is absent, disabled or offline",
    Missing.NUMBER: "what stands there is no number",
    Missing.RANGE: "no server or sensor can have that value",
    Missing.RATED: "it is the name plate's power, not a measured one",
    Missing.ZERO: "no power at all from a system that is on: suspicious",
}
"""Why there is no value, for people."""


class Member(NamedTuple):
    """The element of a list whose ``key`` holds ``value``: places in a list change."""

    key: str
    value: str


Step = str | int | Member

_DEAD: Final = frozenset({"Absent", "Disabled", "UnavailableOffline", "Deferring"})
"""States of a part whose readings are left over from better times, or were never taken."""

_DECIMAL: Final = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII)

LARGEST_SERVER_W: Final = 60_000.0
"""No single BMC stands for more; 65 535 is what some say when they do not know."""


@dataclass(frozen=True, slots=True)
class Place:
    """One number in one document."""

    document: str
    """Path on the BMC."""
    steps: tuple[Step, ...]
    is_rated: Callable[[Document], bool] | None = None
    """Whether the object around the number shows that it was not measured."""


@dataclass(frozen=True, slots=True)
class Pick:
    """One series of a BMC: the sum of its places times a factor, in the catalogue's unit."""

    resource: str
    quantity: str
    places: tuple[Place, ...]
    factor: float = 1.0
    method: Method = Method.GAUGE
    power_state: str | None = None
    """Document that says whether the system is on, where no power at all would be a lie."""

    def value(self, documents: Mapping[str, Document]) -> float | Missing:
        """The value, if every place has one; a part of a sum is never given for the whole."""
        limits = CATALOGUE[self.quantity]
        high = min(limits.high, LARGEST_SERVER_W) if self.quantity == "power" else limits.high
        total = 0.0
        for place in self.places:
            value = value_at(place, documents)
            if isinstance(value, Missing):
                return value
            value *= self.factor
            total += value
            if not (limits.low <= value <= high and limits.low <= total <= high):
                return Missing.RANGE
        return total


def value_at(place: Place, documents: Mapping[str, Document]) -> float | Missing:
    """The finite number at a place."""
    around: Document = {}
    node: Any = documents.get(place.document)
    if node is None:
        return Missing.DOCUMENT
    for step in place.steps:
        if isinstance(node, Mapping):
            if is_dead(node):
                return Missing.STATE
            around = node
        node = _next(node, step)
        if isinstance(node, Missing):
            return node
    value = number(node)
    if not isinstance(value, Missing) and place.is_rated is not None and place.is_rated(around):
        return Missing.RATED
    return value


def number(node: object) -> float | Missing:
    """What a JSON value says as a number; some firmware writes numbers as text."""
    if node is None:
        return Missing.NULL
    if isinstance(node, str) and _DECIMAL.fullmatch(node.strip()):
        node = float(node)
    value = finite(node)
    return Missing.NUMBER if value is None else value


def is_dead(node: Document) -> bool:
    """Whether a part says that it is not there or does not work."""
    status = node.get("Status")
    return isinstance(status, Mapping) and text(status, "State") in _DEAD


def text(node: object, key: str) -> str:
    """A text of an object; empty for anything else."""
    value = node.get(key) if isinstance(node, Mapping) else None
    return value.strip() if isinstance(value, str) else ""


def objects(node: object, key: str) -> list[Document]:
    """The objects in a list of an object; what else stands there is left out."""
    value = node.get(key) if isinstance(node, Mapping) else None
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, Mapping)]


def step_to(siblings: Sequence[Document], element: Document) -> Step:
    """How to find an element of a list again: by what tells it from its siblings, else by place."""
    for key in ("MemberId", "@odata.id", "DataSourceUri", "DeviceName", "Name"):
        value = element.get(key)
        if isinstance(value, str) and sum(each.get(key) == value for each in siblings) == 1:
            return Member(key, value)
    return next(index for index, each in enumerate(siblings) if each is element)


def _next(node: Any, step: Step) -> Any:
    if node is None:
        return Missing.NULL
    match step, node:
        case str(), Mapping():
            return node.get(step, Missing.GONE)
        case Member(key=key, value=value), list():
            for each in node:
                if isinstance(each, Mapping) and each.get(key) == value:
                    return each
            return Missing.GONE
        case int(), list():
            found = [each for each in node if isinstance(each, Mapping)]
            return found[step] if step < len(found) else Missing.GONE
        case _:
            return Missing.GONE


@dataclass(frozen=True, slots=True)
class Taken:
    """What the documents of one poll gave."""

    values: list[tuple[Pick, float]] = field(default_factory=list)
    missing: list[tuple[Pick, Missing]] = field(default_factory=list)


def take(picks: Sequence[Pick], documents: Mapping[str, Document]) -> Taken:
    """The value of each pick, or why it has none."""
    taken = Taken()
    for pick in picks:
        value = pick.value(documents)
        if isinstance(value, Missing):
            taken.missing.append((pick, value))
        else:
            taken.values.append((pick, value))
    return taken
