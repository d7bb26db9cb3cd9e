"""How many series a host, a guest or a GPU may have: one rule for agents and for the collector.

Every series costs its store memory and disk for as long as it is kept, so that a source which tells
more of each thing than anybody reads is noticed at the source. What counts against which budget is
`owner_of`; what is cut first where a budget is full is `rank`. There is no resource for a process:
what is measured of processes has no series at all.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from jauge_models.resources import kind_of


class Family(StrEnum):
    """What a budget is for."""

    HOST = "host"
    GUEST = "guest"
    GPU = "gpu"


class Budgets(NamedTuple):
    """Series that one resource of each family may have."""

    host: int = 60
    guest: int = 15
    gpu: int = 25
    """Of a GPU, and of each instance of one."""

    def of(self, family: Family) -> int:
        """Series that one resource of a family may have."""
        return self[_ORDER.index(family)]


LARGEST: Final = 10_000
"""No budget is larger."""

WATTS: Final = frozenset({"power", "energy", "energy_amount"})
"""Never cut by what else is measured: a full budget takes them all the same, up to its own number
of them again."""

NEEDED: Final = frozenset(
    {
        "cpu_time",
        "cpu_utilisation",
        "gpu_utilisation",
        "memory_size",
        "memory_used",
        "processors",
        "runs_on",
        "share",
    }
)
"""What the watts of a host are shared by: admitted before the rest."""

_ORDER: Final = tuple(Family)
_FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "host": Family.HOST,
        "guest": Family.GUEST,
        "gpu": Family.GPU,
        "gpu_instance": Family.GPU,
    }
)
_MACHINE: Final = "host"
_CORE: Final = re.compile(r"\bcore[-_.:]?\d+$", re.IGNORECASE)
_SHIFT: Final = 16
_ALL: Final = (1 << _SHIFT) - 1


def family_of(resource: str) -> Family | None:
    """The family whose budget a resource has; None where it has none."""
    return _FAMILIES.get(kind_of(resource))


def owner_of(resource: str, *, of_machine: bool = False) -> str | None:
    """The resource against whose budget a series counts; None where it counts against none.

    A host, a guest, a GPU and an instance of a GPU each have one of their own. ``of_machine``: what
    was measured is the machine that the agent runs on; then every other resource is a part of the
    agent's one ``host``. Devices (PDU, UPS, meter, outlet, what a BMC tells) have no budget.
    """
    if kind_of(resource) in _FAMILIES:
        return resource
    return _MACHINE if of_machine else None


def rank(resource: str, quantity: str) -> int:
    """Who is admitted first among series that come together, 0 before all others.

    Watts and joules; then what they are shared by; then what a whole says of itself; then its
    parts, and temperatures of single cores last.
    """
    if quantity in WATTS:
        return 0
    if quantity in NEEDED:
        return 1
    if kind_of(resource) in _FAMILIES:
        return 2
    return 4 if quantity == "temperature" and _CORE.search(resource) else 3


class Rations:
    """How many series of each owner were admitted: first come, and who is in stays in."""

    __slots__ = ("_budgets", "_used")

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        # All series in the low bits and watts above them: a collector holds one of an owner.
        self._used: dict[str, int] = {}

    def admit(self, owner: str, quantity: str) -> bool:
        """Whether one more series of an owner is admitted; to be asked once for each series."""
        family = family_of(owner)
        if family is None:
            return True
        limit, used = self._budgets.of(family), self._used.get(owner, 0)
        if quantity in WATTS:
            if used >> _SHIFT >= limit:
                return False
            used += 1 << _SHIFT
        elif used & _ALL >= limit:
            return False
        self._used[owner] = used + 1
        return True

    @property
    def used(self) -> dict[str, int]:
        """Series admitted of each owner that has any."""
        return {owner: used & _ALL for owner, used in self._used.copy().items()}

    def clear(self) -> None:
        """Forget all."""
        self._used.clear()
