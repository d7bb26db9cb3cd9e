"""The contract of a source: what an agent reads from.

A source does one thing: read. Ticks, deadlines, back-off, logging once and self-metrics are the
runner's. A new source is a module in ``jauge_agent.sources`` with a class that meets `Source`,
one line in the table ``jauge_agent.sources.BUILT_IN``, and a folder of fixtures.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec
from jauge_models.wire import Method, ResourceDescription, Sample


class SourceError(Exception):
    """Base of the three failures a source may name. The text is for a person."""


class AbsentError(SourceError):
    """The host does not offer what the source reads: said once, at start, and no failure."""


class RetryError(SourceError):
    """Temporary: the runner backs off and tries again."""


class FatalError(SourceError):
    """The source cannot go on; the others do."""


_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


class Outcome(NamedTuple):
    """What one read gave. ``failed`` counts, by a bounded reason, values that could not be had."""

    samples: Sequence[Sample]
    failed: Mapping[str, int] = _NONE
    resources: Sequence[ResourceDescription] | None = None
    """All that can be read now, when it is not what was said before; the agent announces it."""
    dated: Mapping[int, Sequence[Sample]] = _NONE
    """Samples that the device itself dated, by time in ms since the Unix epoch: each moment makes
    a batch of its own. They may lie hours back, never ahead of the agent's clock."""


def samples_of(found: Iterable[tuple[str, str, float]]) -> list[Sample]:
    """Samples of resource, quantity and value, at half the price of ``Sample(…)`` for each."""
    return list(map(tuple.__new__, repeat(Sample), found))


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings every source has; a source's own settings extend it."""

    enabled: bool = True
    """Whether the source runs when the host offers it."""
    period_s: Annotated[float, msgspec.Meta(ge=0.1, le=86400)] = 30.0
    """Seconds between reads; ticks fall on wall-clock multiples."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    """Seconds after which a read is given up and counted as failed."""


class Source(Protocol):
    """What an agent reads from. One instance lives as long as the agent.

    ``open`` prepares and raises AbsentError when this host lacks the source; it is called again
    after a FatalError only by a restart. ``read`` returns all that could be read for this tick:
    missing values are left out, never zero. A source on a blocking SDK wraps it in
    ``jauge_agent.threaded``, which gives it a thread of its own.

    A source may also have ``read_now``, a plain function that does what ``read`` does when it
    takes no more than two milliseconds, and else returns None without a trace: then ``read``
    follows. The runner tries it first, because a task with its deadline costs more than most
    reads.

    One that describes some quantities only once they had a value may say so in ``later``, for who
    asks what there is before it.

    A source that must know after a restart where it stood may have ``remember``, which takes the
    path of a file of its own and is called once before ``open``; the file's folder exists. What
    ``read`` has returned is in the spool when ``read`` is called again, and not before.
    """

    async def open(self) -> Sequence[ResourceDescription]:
        """Find what can be read, as birth documents describe it."""
        ...

    async def read(self) -> Outcome:
        """Read once. Raises RetryError or FatalError when nothing can be had."""
        ...

    async def close(self) -> None:
        """Give back sessions and files; must not raise."""
        ...


__all__ = [
    "AbsentError",
    "FatalError",
    "Method",
    "Outcome",
    "ResourceDescription",
    "RetryError",
    "Sample",
    "Source",
    "SourceError",
    "SourceSettings",
    "samples_of",
]
