"""Whether what is written below a path is encrypted on its way to the disk.

Seen from this machine alone: device-mapper names each of its targets, and a dm-crypt one begins
with ``CRYPT-``. What encrypts below (the hypervisor, the array, the disk itself) does not show,
nor does a file system that encrypts by itself.
"""

import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector.config import CollectorConfig

SYSFS: Final = Path("/sys")
MOUNTS: Final = Path("/proc/self/mountinfo")

_CRYPT: Final = "CRYPT-"
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_IN_MEMORY_DEVICES: Final = ("ram", "zram")
_DEEPEST: Final = 16
"""Layers of devices that are believed to lie on each other."""


class AtRest(StrEnum):
    """What can be told of a place."""

    ENCRYPTED = "encrypted"
    """Every disk below is reached through dm-crypt only."""
    PLAIN = "plain"
    """A disk is written to in the clear, as far as this machine can see."""
    MEMORY = "memory"
    """It does not outlive the power: nothing is at rest."""
    UNKNOWN = "unknown"
    """The file system hides its devices: overlay, ZFS, btrfs, the network."""


def of_path(path: Path, *, sysfs: Path = SYSFS, mounts: Path = MOUNTS) -> AtRest:
    """What holds for a path, or for the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        device = path.stat().st_dev
        kinds = _kinds(mounts.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return AtRest.UNKNOWN
    number = f"{os.major(device)}:{os.minor(device)}"
    if kinds.get(number) in _IN_MEMORY:
        return AtRest.MEMORY
    return of_device(sysfs, number)


def of_device(sysfs: Path, number: str) -> AtRest:
    """What holds for a block device by its number, ``MAJOR:MINOR``, in a tree like ``/sys``.

    A file system without a block device of its own has a number of major 0: unknown.
    """
    device = sysfs / "dev" / "block" / number
    if not device.exists():
        return AtRest.UNKNOWN
    found = set(_below(device.resolve(), 0))
    for worst in (AtRest.UNKNOWN, AtRest.PLAIN, AtRest.ENCRYPTED):
        if worst in found:
            return worst
    return AtRest.MEMORY


def _below(device: Path, depth: int) -> Iterator[AtRest]:
    """What holds for each way from a device down to a disk."""
    if depth > _DEEPEST:
        yield AtRest.UNKNOWN
        return
    if _word(device / "dm" / "uuid").startswith(_CRYPT):
        yield AtRest.ENCRYPTED
        return
    slaves = device / "slaves"
    lower = sorted(slaves.iterdir()) if slaves.is_dir() else []
    if lower:
        for slave in lower:
            yield from _below(slave.resolve(), depth + 1)
    elif (device / "partition").exists():
        yield from _below(device.parent, depth + 1)
    elif (device / "loop").is_dir():
        yield AtRest.UNKNOWN  # a file as a disk: where the file lies is not followed
    elif device.name.startswith(_IN_MEMORY_DEVICES):
        # zram may write what does not compress to a disk.
        backed = _word(device / "backing_dev") not in {"", "none"}
        yield AtRest.UNKNOWN if backed else AtRest.MEMORY
    else:
        yield AtRest.PLAIN


def _kinds(mountinfo: str) -> dict[str, str]:
    """File system types by device number (proc(5), mountinfo: field 3, first after the dash)."""
    kinds: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split()
        if dash and len(fields) > 2:
            kinds[fields[2]] = right.partition(" ")[0]
    return kinds


def _word(file: Path) -> str:
    """What a file of sysfs says; nothing where it is absent."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def warning(config: CollectorConfig, *, look: Callable[[Path], AtRest] = of_path) -> str | None:
    """One line where ``state_dir`` does not lie on an encrypted device as far as can be told.

    ``look`` tells what holds for a path. Raises ConfigurationError where that is required.
    """
    if config.state_encryption == "elsewhere":
        return None
    folder = config.beside(config.state_dir)
    found = look(folder)
    if found in {AtRest.ENCRYPTED, AtRest.MEMORY}:
        return None
    problem = (
        f"{folder} lies on an unencrypted device"
        if found is AtRest.PLAIN
        else f"whether {folder} lies on an encrypted device cannot be told"
    )
    fix = "move it to an encrypted volume, or say state_encryption = 'elsewhere' where it is done"
    if config.state_encryption == "required":
        raise ConfigurationError(str(config.source), "state_dir", problem, fix)
    return f"{config.source}: state_dir: {problem}; {fix} below what this machine sees"
