"""The source ``libvirt``: the guests of this machine, and what it has to give them."""

import logging
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.wire import Method

from jauge_agent.machine import labels_of
from jauge_agent.source import (
    AbsentError,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
    SourceSettings,
)
from jauge_agent.sources.libvirt import library, virsh
from jauge_agent.sources.libvirt.definition import Definition, gpus, printable, read
from jauge_agent.sources.libvirt.meter import Meter, is_running
from jauge_agent.sources.libvirt.records import Record
from jauge_agent.threaded import OwnThread

SURVEY_S: Final = 300.0
"""Seconds after which definitions are read anew: devices are given while guests run."""

_HOST: Final = "host"
_URI: Final = re.compile(
    r"qemu:///(system|session)|qemu\+unix:///(system|session)\?socket=/[A-Za-z0-9._/-]+", re.ASCII
)
_SOCKETS: Final = (
    "/run/libvirt/libvirt-sock-ro",
    "/run/libvirt/virtqemud-sock-ro",
)
"""Where the daemon serves readers: the one for everything, or the newer one for QEMU only."""

_log = logging.getLogger(__name__)


class LibvirtSettings(SourceSettings, frozen=True):
    """Settings of the libvirt source."""

    uri: str = "qemu:///system"
    """Which libvirt of this machine: `qemu:///system`, or `qemu+unix:///system?socket=PATH`."""
    tenant: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Element of a guest's `<metadata>` whose text is its label `tenant`, such as `project`."""
    service: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Element of a guest's `<metadata>` whose text is its label `service`."""

    def __post_init__(self) -> None:
        """Refuse other hypervisors and other machines."""
        if not _URI.fullmatch(self.uri):
            raise ValueError(
                f"uri {self.uri!r} is no QEMU of this machine: write qemu:///system or"
                " qemu+unix:///system?socket=/PATH"
            )


class Way(Protocol):
    """How libvirt is asked. Every call raises RetryError when it does not answer."""

    async def guests(self) -> list[Record]:
        """Every guest that has a process."""
        ...

    async def definitions(self, uuids: Iterable[str]) -> dict[str, str]:
        """XML by UUID, of those that are still there."""
        ...

    async def close(self) -> None:
        """Give back what is held; must not raise."""
        ...


class LibvirtSource:
    """Processor time, memory, disks and networks of every guest that runs here."""

    Settings = LibvirtSettings

    def __init__(
        self, settings: LibvirtSettings, *, way: Way | None = None, sysfs: Path = Path("/sys")
    ) -> None:
        """``way`` overrides what the machine offers."""
        self._settings = settings
        self._way = way
        self._sysfs = sysfs
        self._guests: dict[str, _Guest] = {}
        self._described: list[ResourceDescription] = []
        self._labels_of_host: dict[str, str] = {}
        self._surveyed_at = float("-inf")

    async def open(self) -> Sequence[ResourceDescription]:
        """Ask once. Raises AbsentError where there is no libvirt, or none that may be asked."""
        if self._way is None:
            self._way = _way(self._settings)
        self._labels_of_host = _labels_of_host(self._sysfs)
        await self._read(self._way)
        self._described = self._descriptions()
        return self._described

    async def read(self) -> Outcome:
        """Every guest that runs now. Raises RetryError when libvirt does not answer."""
        assert self._way is not None  # noqa: S101 - opened before it is read
        samples, failed = await self._read(self._way)
        described = self._descriptions()
        changed, self._described = described != self._described, described
        return Outcome(samples, failed, described if changed else None)

    async def close(self) -> None:
        """End the connection."""
        if self._way is not None:
            await self._way.close()

    async def _read(self, way: Way) -> tuple[list[Sample], Counter[str]]:
        records = [each for each in await way.guests() if is_running(each.stats)]
        failed: Counter[str] = Counter()
        samples = [Sample(_HOST, quantity, value) for quantity, value in _of_host().items()]
        seen: set[str] = set()
        for record in records:
            if record.uuid in seen:
                failed["duplicate"] += 1
                continue
            seen.add(record.uuid)
            guest = self._guests.setdefault(record.uuid, _Guest())
            guest.name = printable(record.name)
            values, missing = guest.meter.read(record.stats, time.time())
            failed.update(missing)
            guest.begun_anew = values.get("cpu_time", 0.0) < guest.cpu_time
            guest.cpu_time = values.get("cpu_time", guest.cpu_time)
            guest.quantities.update(dict.fromkeys(values))
            samples += [
                Sample(f"guest:{record.uuid}", quantity, value)
                for quantity, value in values.items()
            ]
        for uuid in self._guests.keys() - seen:
            del self._guests[uuid]
        await self._survey(way)
        return samples, failed

    async def _survey(self, way: Way) -> None:
        """Read the definitions of guests that are new or have started anew; at times, of all."""
        now = time.monotonic()
        all_of_them = now >= self._surveyed_at + SURVEY_S
        wanted = [
            uuid
            for uuid, guest in self._guests.items()
            if all_of_them or guest.definition is None or guest.begun_anew
        ]
        if all_of_them:
            self._surveyed_at = now
        if not wanted:
            return
        for uuid, xml in (await way.definitions(wanted)).items():
            if uuid in self._guests:
                guest = self._guests[uuid]
                guest.definition = read(xml)
                guest.gpus = gpus(guest.definition, self._sysfs)

    def _descriptions(self) -> list[ResourceDescription]:
        host = ResourceDescription(
            _HOST, dict.fromkeys(_of_host(), Method.GAUGE), labels=self._labels_of_host
        )
        return [host, *(self._description(uuid) for uuid in sorted(self._guests))]

    def _description(self, uuid: str) -> ResourceDescription:
        guest = self._guests[uuid]
        labels = {"host": socket.gethostname(), **guest.gpus}
        if "memory_used" in guest.quantities:
            labels["memory"] = guest.meter.memory
        metadata = guest.definition.metadata if guest.definition else {}
        for label in ("tenant", "service"):
            if value := metadata.get(getattr(self._settings, label)):
                labels[label] = value
        methods = {
            name: Method.COUNTER if CATALOGUE[name].kind is Kind.COUNTER else Method.GAUGE
            for name in guest.quantities
        }
        return ResourceDescription(f"guest:{uuid}", methods, guest.name, labels)


class _Guest:
    """One guest that runs."""

    def __init__(self) -> None:
        self.name = ""
        self.meter = Meter()
        self.quantities: dict[str, None] = {}
        """What it has told so far, in order."""
        self.definition: Definition | None = None
        self.gpus: dict[str, str] = {}
        self.cpu_time = 0.0
        self.begun_anew = False


class _Threaded:
    """libvirt's module on a thread of its own, for its calls may block."""

    def __init__(self, uri: str) -> None:
        self._library = library.Library(uri)
        self._thread = OwnThread("libvirt")

    async def guests(self) -> list[Record]:
        """See `Way`."""
        try:
            return await self._thread.call(self._library.guests)
        except ConnectionError as error:
            raise RetryError(str(error)) from None

    async def definitions(self, uuids: Iterable[str]) -> dict[str, str]:
        """See `Way`."""
        wanted = list(uuids)
        try:
            return await self._thread.call(lambda: self._library.definitions(wanted))
        except ConnectionError as error:
            raise RetryError(str(error)) from None

    async def close(self) -> None:
        """Not waited for when a call hangs."""
        try:
            await self._thread.call(self._library.close)
        except RetryError:
            _log.debug("libvirt is not closed: a call has not come back")
        self._thread.close()


def _way(settings: LibvirtSettings) -> Way:
    """The better way that this machine offers; raises AbsentError in plain words."""
    program = virsh.found()
    if program is None and not library.found():
        raise AbsentError(
            "no libvirt on this machine: neither its Python module (Debian package"
            f" {library.PACKAGE}) nor virsh ({virsh.PACKAGE}) is installed"
        )
    _check_socket(settings.uri)
    if library.found():
        return _Threaded(settings.uri)
    assert program is not None  # noqa: S101 - see above
    return virsh.Virsh(program, settings.uri, 0.9 * settings.deadline_s)


def _check_socket(uri: str) -> None:
    """Raises AbsentError where no daemon serves, or not this user."""
    url = urlsplit(uri)
    given = parse_qs(url.query).get("socket")
    if not given and url.path != "/system":
        return  # a daemon of the user's own, started when it is asked
    places = [Path(each) for each in given or _SOCKETS]
    there = [each for each in places if each.exists()]
    if not there:
        raise AbsentError(
            f"no libvirt serves {places[0]}: where guests run, enable libvirtd.socket or"
            " virtqemud.socket and restart the agent"
        )
    if not any(os.access(each, os.R_OK | os.W_OK) for each in there):
        raise AbsentError(f"{there[0]} may not be used: {_way_in(there[0])}")


def _way_in(path: Path) -> str:
    """What gives this user access to a socket."""
    import grp  # noqa: PLC0415 - only for this text

    group = path.stat().st_gid
    try:
        name = grp.getgrgid(group).gr_name
    except KeyError:
        name = str(group)
    if group == 0:
        return "let everybody read: unix_sock_ro_perms = 0777 in libvirtd.conf"
    return f"the agent's user must be in the group {name}"


def _of_host() -> dict[str, float]:
    """What this machine has: processors that are on line, and memory as the kernel counts it."""
    return {
        "processors": float(os.sysconf("SC_NPROCESSORS_ONLN")),
        "memory_size": float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
    }


def _labels_of_host(sysfs: Path) -> dict[str, str]:
    told = labels_of(Path("/proc"), sysfs)
    return {new: told[name] for new, name in (("model", "product"), ("cpu", "cpu")) if name in told}
