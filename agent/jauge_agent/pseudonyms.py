"""Names that do not leave the host: keyed hashes in their place.

The same name gives the same hash on every agent with the same key, after every restart, so that
what belongs together can be told; without the key nobody can turn names into hashes to compare.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from jauge_models.resources import kind_of
from jauge_models.wire import ResourceDescription
from msgspec.structs import replace

PREFIX: Final = "pn-"
"""Marks a pseudonym, so that nobody takes it for a name."""

TELLING_NOTHING: Final = frozenset(
    {"room", "row", "rack", "unit", "feed", "phase", "side", "vendor", "model", "firmware"}
    | {"left_out"}
)
"""Labels that stay: what describes place and make. Whatever else a source thinks of is a name."""

_DIGITS: Final = 16


class Pseudonyms:
    """Hides names and labels of resources of some kinds."""

    def __init__(self, kinds: Iterable[str], key: str) -> None:
        """``key``: a secret; `jauge_agent.config` says how long it must be."""
        self._kinds = frozenset(kinds)
        self._key = key.encode()

    def of(self, name: str) -> str:
        """What stands for a name; nothing for none."""
        if not name:
            return name
        return PREFIX + hmac.digest(self._key, name.encode(), hashlib.sha256).hex()[:_DIGITS]

    def hide(self, resources: Iterable[ResourceDescription]) -> list[ResourceDescription]:
        """The resources as they may be told; ids, which sources make of UUIDs, stay."""
        return [
            self._hidden(each) if kind_of(each.id) in self._kinds else each for each in resources
        ]

    def _hidden(self, resource: ResourceDescription) -> ResourceDescription:
        labels = {
            label: value if label in TELLING_NOTHING else self.of(value)
            for label, value in resource.labels.items()
        }
        return replace(resource, name=self.of(resource.name), labels=labels)
