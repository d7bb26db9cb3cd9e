"""What was received and not stored: counted by a bounded reason, the last example of each kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

EXAMPLE_BYTES: Final = 160


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


def printable(raw: bytes) -> str:
    """At most EXAMPLE_BYTES of what a stranger sent, escaped to printable ASCII."""
    text = repr(raw[:EXAMPLE_BYTES])[2:-1]
    return f"{text}..." if len(raw) > EXAMPLE_BYTES else text
