"""Up to where the samples of each resource were taken, also across a restart.

A vCenter can be asked for the samples of the last hour. What was not asked for in time is a gap,
which is closed in slices, oldest first, beside what is new.

What is remembered lies two reads back and is taken for some minutes older still, so that what a
crash took from the end of the spool is asked for again: the same value at the same time is the same
reading.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from jauge_agent.logs import Trouble
from jauge_agent.whole_files import write_whole

KEPT_MS: Final = 3_600_000
"""How far back a vCenter has samples of every 20 s (vSphere: Monitoring and Performance)."""
OVERLAP_MS: Final = 180_000
SLICE_MS: Final = 300_000
"""How much of a gap is asked for at a time."""

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where one resource stands. Times in ms since the Unix epoch; ends included, starts not."""

    taken: int
    """The newest sample that was taken."""
    gap: tuple[int, int] | None = None
    """What was not asked for yet, before that."""


class Window(NamedTuple):
    """Samples to ask for: those after ``start`` up to ``end``."""

    start: int
    end: int


Places = Mapping[str, Place]
"""By resource."""


def live(place: Place | None, end: int, length: int) -> tuple[Place, Window]:
    """What is new at ``end``, no longer than ``length``; what lies before becomes a gap."""
    begin = end - length
    if place is None:
        place = Place(begin)
    if place.taken < begin:
        since = max(place.gap[0] if place.gap else place.taken, end - KEPT_MS)
        place = Place(begin, (since, begin) if since < begin else None)
    return place, Window(min(place.taken, end), end)


def behind(place: Place, end: int) -> Window | None:
    """The next slice of a gap, as far as the vCenter still has it."""
    if place.gap is None:
        return None
    start = max(place.gap[0], end - KEPT_MS)
    if start >= place.gap[1]:
        return None
    return Window(start, min(start + SLICE_MS, place.gap[1]))


def caught_up(place: Place, window: Window) -> Place:
    """The same after a slice of its gap has been asked for."""
    if place.gap is None or window.end >= place.gap[1]:
        return Place(place.taken)
    return Place(place.taken, (window.end, place.gap[1]))


class _Group(msgspec.Struct, frozen=True):
    """Resources that stand at one place; the first group of a file is that of all others."""

    taken: int
    gap: tuple[int, int] | None = None
    of: list[str] = []


class _File(msgspec.Struct, frozen=True):
    """What a file holds."""

    vcenter: str
    groups: Annotated[list[_Group], msgspec.Meta(min_length=1)]


class Memory:
    """The file of one vCenter."""

    def __init__(self, file: Path, device: str) -> None:
        """``device`` is what logs call the vCenter. Nothing is read or written yet."""
        self._file = file
        self._written = b""
        self._trouble = Trouble(
            _log, "place", words=("not kept", "kept again"), source="vsphere", device=device
        )

    def recalled(self, vcenter: str, resources: Iterable[str]) -> dict[str, Place]:
        """Where these resources stood; empty without a file, or for another vCenter's."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        if kept.vcenter != vcenter:
            return {}
        common, *others = [(_earlier(group), group.of) for group in kept.groups]
        apart = {resource: place for place, of in others for resource in of}
        return {resource: apart.get(resource, common[0]) for resource in resources}

    def keep(self, vcenter: str, places: Places) -> None:
        """Write where the resources stand, whole or not at all."""
        if not places:
            return
        counted = Counter(places.values())
        (most, _), *others = counted.most_common()
        groups = [_Group(most.taken, most.gap)]
        members: dict[Place, list[str]] = {place: [] for place, _ in others}
        for resource, place in places.items():
            if place != most:
                members[place].append(resource)
        groups += [_Group(place.taken, place.gap, of) for place, of in members.items()]
        text = msgspec.json.encode(_File(vcenter, groups))
        if text == self._written:
            return
        try:
            write_whole(self._file, text)
        except OSError as error:
            self._trouble.lost(str(error))
        else:
            self._written = text
            self._trouble.recovered()


def kept(places: Places, resources: Collection[str], end: int) -> dict[str, Place]:
    """The places of these resources, and those of others as long as there may be samples."""
    return {
        resource: place
        for resource, place in places.items()
        if resource in resources or place.taken > end - KEPT_MS
    }


def _earlier(group: _Group) -> Place:
    gap = None if group.gap is None else (group.gap[0] - OVERLAP_MS, group.gap[1])
    return Place(group.taken - OVERLAP_MS, gap)
