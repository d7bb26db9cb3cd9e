"""What was received and not stored: counted by a bounded reason, the last example of each kept."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

EXAMPLE_BYTES: Final = 160

MAX_NAMED: Final = 1000
"""Senders, clients and topics that the log names in a day, for each kind of complaint."""
_NAMED_FOR_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Example:
    """The last message of its reason. All texts are printable ASCII and short."""

    time_ms: int
    topic: str
    detail: str
    payload: str


@dataclass(frozen=True, slots=True)
class Fault:
    """How often a reason occurred since the start, and its last example."""

    count: int
    example: Example


class Faults:
    """Counts by reason. Reasons come from enumerations, never from a message."""

    def __init__(self) -> None:
        self._by_reason: dict[str, Fault] = {}

    @property
    def by_reason(self) -> Mapping[str, Fault]:
        """What occurred so far."""
        return MappingProxyType(self._by_reason)

    def forget(self, before_ms: int) -> int:
        """Blank the examples older than a moment; the counts stay. How many went."""
        old = [
            reason
            for reason, fault in self._by_reason.items()
            if fault.example.time_ms < before_ms and fault.example.topic
        ]
        for reason in old:
            fault = self._by_reason[reason]
            self._by_reason[reason] = Fault(fault.count, Example(fault.example.time_ms, "", "", ""))
        return len(old)

    def note(
        self,
        reason: str,
        *,
        time_ms: int,
        topic: str,
        detail: str = "",
        payload: bytes = b"",
        times: int = 1,
    ) -> None:
        """Count an occurrence; what it came from is kept shortened and safe to print."""
        before = self._by_reason.get(reason)
        self._by_reason[reason] = Fault(
            (before.count if before else 0) + times,
            Example(
                time_ms,
                printable(topic.encode(errors="backslashreplace")),
                printable(detail.encode(errors="backslashreplace")),
                printable(payload),
            ),
        )


class Named:
    """What the log has named already, so that it names nothing twice; bounded in number.

    After a day all is forgotten, and what still goes on is named again.
    """

    def __init__(self, limit: int = MAX_NAMED) -> None:
        self._limit = limit
        self._named: set[Hashable] = set()
        self._since_ms: int | None = None

    def first(self, what: Hashable, now_ms: int) -> bool:
        """Whether to name this now: it was not lately, and there is room to remember it."""
        if self._since_ms is None or abs(now_ms - self._since_ms) >= _NAMED_FOR_MS:
            self._named.clear()
            self._since_ms = now_ms
        if what in self._named or len(self._named) >= self._limit:
            return False
        self._named.add(what)
        return True


def printable(raw: bytes) -> str:
    """At most EXAMPLE_BYTES of what a stranger sent, escaped to printable ASCII."""
    text = repr(raw[:EXAMPLE_BYTES])[2:-1]
    return f"{text}..." if len(raw) > EXAMPLE_BYTES else text
