"""Stores: where raw readings are kept, and read back by the ledger."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeAlias

from jauge_models.intervals import Point, Points
from jauge_models.readings import Reading
from jauge_models.resources import Series


class StoreError(Exception):
    """The store did not take or give what was asked; the same call may succeed later."""


class UnfitStoreError(StoreError):
    """The store is set up so that data would be lost or doubled: the collector must not run."""


Source: TypeAlias = tuple[str, str]
"""An agent and one of its resources."""


class Held(NamedTuple):
    """Something kept: how many rows or things, and the times of the oldest and the newest."""

    rows: int
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def joined(self, other: "Held") -> "Held":
        """Both together."""
        times = [self.oldest_ms, self.newest_ms, other.oldest_ms, other.newest_ms]
        known = [time_ms for time_ms in times if time_ms is not None]
        return Held(self.rows + other.rows, min(known, default=None), max(known, default=None))


class LeftOut(StrEnum):
    """Why one reading is not written though its batch is. A bounded set: it becomes a label."""

    NAME = "name"
    """The series cannot be named in the store."""
    VALUE = "value"
    """Not a finite number."""
    LINE = "line"
    """The server refuses this line, and takes its neighbours."""


class Store(Protocol):
    """Keeps readings by (series, time); the same series and time are the same reading.

    Of two differing values at the same time the larger is kept, whichever came first.
    An async context manager: entering opens it and raises UnfitStoreError or StoreError.
    All spans are half-open, [start_ms, end_ms), and both ends are always given.
    """

    @property
    def settle_s(self) -> float:
        """Seconds from `write` until what was written would survive a kill and is readable.

        That holds only if `generation` is still the same then.
        """
        ...

    @property
    def left_out(self) -> Mapping[LeftOut, int]:
        """Readings given to `write` since opening that no store could take, by reason."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def generation(self) -> str:
        """Names the running store process: another value means it was restarted in between."""
        ...

    async def oldest_kept_ms(self, now_ms: int) -> int:
        """The oldest time stamp that the store still keeps."""
        ...

    async def write(self, readings: Sequence[Reading]) -> None:
        """Write readings; returns once the store has accepted all but what is `left_out`.

        Raises StoreError; some may have been accepted then, and all may be written again.
        """
        ...

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> dict[Series, Points]:
        """Raw readings. A series without any is left out."""
        ...

    async def before(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The last reading before a moment, for each series that has one."""
        ...

    async def after(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The first reading at or after a moment, for each series that has one."""
        ...

    async def series(self, site: str) -> list[Series]:
        """Every series of a site that the store knows."""
        ...

    async def latest(self, site: str, since_ms: int) -> dict[Series, Point]:
        """The newest reading of each series of a site, where it is not older than ``since_ms``."""
        ...

    async def purge(self, now_ms: int, site: str | None = None) -> int:
        """Delete what is older than `oldest_kept_ms`, in steps that delay no write; how many.

        Of one site or of all.

        0 where the store does so by itself.
        """
        ...

    async def expired(self, now_ms: int, site: str | None = None) -> Held:
        """What `purge` would delete; nothing where the store does so by itself."""
        ...

    async def held(self, site: str, sources: Collection[Source]) -> Held:
        """The readings of all quantities of some resources."""
        ...

    async def erase(self, site: str, sources: Collection[Source]) -> None:
        """Delete these resources' readings and series for good; others are not touched.

        What is written for them afterwards begins anew.
        """
        ...

    async def reclaim(self, *, alone: bool) -> None:
        """Give freed space back, and overwrite it; ``alone`` when nobody else uses the store."""
        ...

    async def complaints(self) -> Mapping[str, int]:
        """Rows that the store itself dropped since opening, by its own words; empty is well."""
        ...
