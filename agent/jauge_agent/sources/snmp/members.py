"""What each sum has had as parts, kept across restarts.

A unit of a chain that has fallen off is in no table any more: only who remembers it knows that the
sum of the others is too small. One that stays away for `FORGET_S` is taken for removed.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from jauge_agent.logs import say
from jauge_agent.whole_files import write_whole

Key = tuple[str, str]
"""Resource and quantity."""

FORGET_S: Final = 30 * 86_400.0
"""Seconds after which a part that is not there any more is no part."""

_FRESH_S: Final = 86_400.0
"""Seconds by which the file may be behind."""

_log = logging.getLogger(__name__)


class _Part(msgspec.Struct, frozen=True):
    resource: str
    quantity: str
    seen_s: Annotated[float, msgspec.Meta(ge=0)]
    """Unix time at which it was there last."""


class _Sum(msgspec.Struct, frozen=True):
    resource: str
    quantity: str
    parts: list[_Part]


class Members:
    """Parts of sums, by the name of the sum; of all devices of one agent."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        """``now_s``: Unix time. Nothing is kept on disk before `keep_in`."""
        self._now_s = now_s
        self._file: Path | None = None
        self._seen: dict[Key, dict[Key, float]] = {}
        self._kept: dict[Key, dict[Key, float]] = {}
        """As they stand in the file."""

    def keep_in(self, file: Path) -> None:
        """Begin with what a file holds, and keep it there; what is no such file is begun anew."""
        self._file = file
        try:
            held = msgspec.json.decode(file.read_bytes(), type=list[_Sum])
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            say(_log, logging.WARNING, "parts of sums not known", file=file, detail=str(error))
            return
        now_s = self._now_s()
        for one in held:
            # A clock that was ahead must not keep a part for years.
            found = {(p.resource, p.quantity): min(p.seen_s, now_s) for p in one.parts}
            self._seen[one.resource, one.quantity] = found
        self._kept = {total: dict(parts) for total, parts in self._seen.items()}

    def of(self, total: Key) -> set[Key]:
        """The parts that a sum must have; what was not there for `FORGET_S` is forgotten."""
        parts = self._seen.get(total, {})
        oldest_s = self._now_s() - FORGET_S
        for key in [key for key, seen_s in parts.items() if seen_s < oldest_s]:
            del parts[key]
            say(
                _log,
                logging.WARNING,
                "part of a sum forgotten",
                sum="/".join(total),
                part="/".join(key),
                detail=f"not there for {FORGET_S / 86_400:g} days: the sum is of the others now",
            )
        return set(parts)

    def note(self, present: Mapping[Key, Iterable[Key]]) -> None:
        """What the sums of one device have as parts now."""
        now_s = self._now_s()
        for total, keys in present.items():
            self._seen.setdefault(total, {}).update(dict.fromkeys(keys, now_s))
        if self._file is not None and self._is_behind(present):
            self._save(self._file)

    def _is_behind(self, totals: Iterable[Key]) -> bool:
        for total in totals:
            seen, kept = self._seen[total], self._kept.get(total, {})
            if seen.keys() != kept.keys() or any(
                seen_s - kept[key] >= _FRESH_S for key, seen_s in seen.items()
            ):
                return True
        return False

    def _save(self, file: Path) -> None:
        held = [
            _Sum(*total, [_Part(*key, seen_s) for key, seen_s in sorted(parts.items())])
            for total, parts in sorted(self._seen.items())
            if parts
        ]
        try:
            write_whole(file, msgspec.json.encode(held))
        except OSError as error:
            say(_log, logging.WARNING, "parts of sums not kept", file=file, detail=str(error))
            self._file = None
        self._kept = {total: dict(parts) for total, parts in self._seen.items()}
