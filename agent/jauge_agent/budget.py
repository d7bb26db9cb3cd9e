"""Which series the agent takes: so many of a host, a guest and a GPU, and what exceeds is left out.

First come, and who is in stays in. Of what comes together, watts and joules are first, and
temperatures of single cores last (`jauge_models.budgets.rank`).
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import msgspec
from jauge_models.budgets import Budgets, Family, Rations, family_of, owner_of, rank
from jauge_models.wire import ResourceDescription, Sample
from msgspec.structs import replace

from jauge_agent.logs import say

BUDGET: Final = "budget"
"""Why a value is left out, among `SourceStats.left_out`."""

LEFT_OUT: Final = "left_out"
"""Label of a resource in the birth: how many series of it, parts included, are left out."""

_MOST: Final = 200_000
"""Series remembered: guests come and go for years. Beyond it all are met anew."""

_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Resource and quantity."""


class Offer(msgspec.Struct, frozen=True, gc=False):
    """What one source gave at one moment, each series once."""

    samples: Sequence[Sample]
    of_machine: bool
    """Whether the source reads the machine that the agent runs on."""
    left_out: Counter[str]
    """Where the source's left out values are counted."""


class Budget:
    """Series by resource, admitted or left out, for as long as the agent runs."""

    def __init__(
        self, budgets: Budgets | None = None, *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """``on_change`` is called when `described` has something new."""
        self._budgets = budgets or Budgets()
        self._on_change = on_change
        self._rations = Rations(self._budgets)
        self._admitted: set[Key] = set()
        self._refused: set[Key] = set()
        self._over: Counter[str] = Counter()
        self._said: set[Family] = set()

    @property
    def admitted(self) -> dict[Family, int]:
        """Series taken, by family; those without a budget are not among them."""
        return _by_family(self._rations.used)

    @property
    def refused(self) -> dict[Family, int]:
        """Series left out, by family."""
        return _by_family(self._over.copy())

    def taken(self, offers: Sequence[Offer], seen: Collection[Key] | None = None) -> list[Sample]:
        """What is taken of what came together; the rest is counted where it came from.

        ``seen``: the series of all offers, where they are known already.
        """
        if seen is None:
            seen = {sample[:2] for offer in offers for sample in offer.samples}
        taken: list[Sample] = []
        if self._admitted.issuperset(seen):
            for offer in offers:
                taken += offer.samples
            return taken
        self._meet(offers)
        for offer in offers:
            before = len(taken)
            taken += [sample for sample in offer.samples if sample[:2] in self._admitted]
            if less := len(offer.samples) - (len(taken) - before):
                offer.left_out[BUDGET] += less
        return taken

    def described(self, resources: Iterable[ResourceDescription]) -> list[ResourceDescription]:
        """Resources without what is left out of them, which would pass for silent; with its number.

        A resource of which nothing is left is not described.
        """
        if not self._refused:
            return list(resources)
        found: dict[str, ResourceDescription] = {}
        for each in resources:
            quantities = {
                quantity: method
                for quantity, method in each.quantities.items()
                if (each.id, quantity) not in self._refused
            }
            if quantities or not each.quantities:
                found[each.id] = replace(each, quantities=quantities)
        for owner, number in self._over.items():
            told = found.get(owner) or ResourceDescription(owner)
            found[owner] = replace(told, labels={**told.labels, LEFT_OUT: str(number)})
        return list(found.values())

    def _meet(self, offers: Sequence[Offer]) -> None:
        """Admit what is new, the most important first, or leave it out."""
        if len(self._admitted) + len(self._refused) > _MOST:
            for kept in (self._rations, self._admitted, self._refused, self._over):
                kept.clear()
        new = {
            (resource, quantity): offer.of_machine
            for offer in offers
            for resource, quantity, _ in offer.samples
            if (resource, quantity) not in self._admitted
            and (resource, quantity) not in self._refused
        }
        refused: list[str] = []
        for key in sorted(new, key=lambda key: rank(*key)):
            owner = owner_of(key[0], of_machine=new[key])
            if owner is None or self._rations.admit(owner, key[1]):
                self._admitted.add(key)
            else:
                self._refused.add(key)
                refused.append(owner)
        if refused:
            self._over.update(refused)
            self._say(refused)
            self._on_change()

    def _say(self, owners: Iterable[str]) -> None:
        """One line for each family, for the first of it that is over its budget."""
        used = self._rations.used
        for owner in owners:
            family = family_of(owner)
            if family is None or family in self._said:
                continue
            self._said.add(family)
            say(
                _log,
                logging.WARNING,
                "series left out",
                resource=owner,
                series=used[owner] + self._over[owner],
                budget=self._budgets.of(family),
                key=f"budget.{family}",
                resources=sum(family_of(each) is family for each in self._over),
                detail=f"raise budget.{family}, here and in collector.toml, or have less read",
            )


def _by_family(counts: dict[str, int]) -> dict[Family, int]:
    found = dict.fromkeys(Family, 0)
    for owner, number in counts.items():
        if (family := family_of(owner)) is not None:
            found[family] += number
    return found
