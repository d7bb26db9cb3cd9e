"""The source ``vsphere``: many vCenters, each polled on a thread of its own."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from jauge_agent.clock import now_ms
from jauge_agent.logins import Logins
from jauge_agent.logs import Trouble, say
from jauge_agent.polling import Device, Poller
from jauge_agent.secret_files import SecretError, read_secret
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
)
from jauge_agent.sources.vsphere.failures import ExpiredError, RefusedError
from jauge_agent.sources.vsphere.settings import FLOOR_S, VCenter, VsphereSettings
from jauge_agent.threaded import OwnThread
from jauge_agent.trust import Trust

if TYPE_CHECKING:
    import ssl

    from jauge_agent.sources.vsphere.inventory import Inventory
    from jauge_agent.sources.vsphere.places import Memory, Place
    from jauge_agent.sources.vsphere.polling import Poll, Round
    from jauge_agent.sources.vsphere.session import Login, Session

DEADLINE_S: Final = 240.0
"""Seconds for one round of requests; the tick does not wait for it."""
CLOCKS_PART_MS: Final = 30_000
"""Clocks of vCenter and agent that part by more put samples at the wrong time: it is said."""
_CLOSE_S: Final = 2.0

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class VsphereSource:
    """Hosts, guests and GPUs of vCenters."""

    Settings = VsphereSettings
    later = "power and all other counters are described once measured"

    def __init__(self, settings: VsphereSettings) -> None:
        self._settings = settings
        trust = Trust()
        self._vcenters = [VCenterSource(each, settings, trust) for each in settings.devices]
        self._poller = Poller(
            "vsphere",
            [
                Device(device.label, vcenter, deadline_s=DEADLINE_S, floor_s=FLOOR_S)
                for device, vcenter in zip(settings.devices, self._vcenters, strict=True)
            ],
            settings,
        )

    def remember(self, file: Path) -> None:
        """Keep the place of each vCenter in a file beside this one."""
        for vcenter in self._vcenters:
            vcenter.remember(file.with_name(f"{file.name}-{vcenter.label}"))

    async def open(self) -> Sequence[ResourceDescription]:
        """Log in. Raises AbsentError when no vCenter is listed or pyvmomi is missing."""
        if self._settings.devices and find_spec("pyVmomi") is None:
            raise AbsentError("pyvmomi is not installed; install jauge-agent[vsphere]")
        for vcenter in self._vcenters:
            if not vcenter.verifies:
                say(
                    _log,
                    logging.WARNING,
                    "certificate not checked",
                    source="vsphere",
                    device=vcenter.label,
                    detail="anybody may answer for this vCenter and learn its password",
                )
        return await self._poller.open()

    async def read(self) -> Outcome:
        """Read the vCenters."""
        return await self._poller.read()

    async def close(self) -> None:
        """End the sessions."""
        await self._poller.close()


class VCenterSource:
    """One vCenter: one session and one thread."""

    def __init__(self, device: VCenter, settings: VsphereSettings, trust: Trust) -> None:
        """Nothing is asked before ``open``."""
        self.label = device.label
        self.verifies = settings.verify if device.verify is None else device.verify
        self._device = device
        self._settings = settings
        self._trust = trust
        self._thread = OwnThread(f"vsphere {device.label}")
        self._session: Session | None = None
        self._poll: Poll | None = None
        self._inventory: Inventory | None = None
        self._look_at = 0.0
        """When all is looked at again, by the monotonic clock."""
        self._is_closing = False
        self._is_lost = False
        """Whether the last read failed."""
        self._file: Path | None = None
        self._memory: Memory | None = None
        self._places: dict[str, Place] = {}
        self._handed: deque[dict[str, Place]] = deque(maxlen=2)
        """Where the resources stood after each of the last reads."""
        self._seen: dict[str, set[str]] = {}
        self._description: tuple[Inventory, int, list[ResourceDescription]] | None = None
        """With the inventory and the number of quantities that it is of."""
        self._announced: Sequence[ResourceDescription] = ()
        self._logins = Logins(device.label)
        self._renewals = _trouble("session", ("ended", "renewed"), device.label)
        self._clocks = _trouble("clock", ("differs", "agrees"), device.label)
        self._clusters = _trouble("cluster", ("without hosts", "with hosts"), device.label)
        self._tags = _trouble("custom attribute", ("missing", "there"), device.label)

    @property
    def title(self) -> str:
        """What the vCenter calls itself."""
        return "" if self._session is None else self._session.title

    @property
    def inventory(self) -> "Inventory | None":
        """What was found last."""
        return self._inventory

    @property
    def behind(self) -> int:
        """Hosts and guests of which samples are still missing."""
        return sum(place.gap is not None for place in self._places.values())

    def remember(self, file: Path) -> None:
        """Where to keep up to where samples were taken."""
        self._file = file

    async def open(self) -> Sequence[ResourceDescription]:
        """Log in and look at everything."""
        self._is_closing = False
        self._announced = await self._called(self._open)
        return self._announced

    async def read(self) -> Outcome:
        """Ask for all samples since the last, and for some of what was missed before."""
        done, sizes, described = await self._called(self._read)
        # From here on nobody can give up waiting: what was read is handed over.
        self._places = done.places
        self._handed.append(done.places)
        resources = None
        if described is not self._announced and described != self._announced:
            resources = described
        self._announced = described
        return Outcome(sizes, done.failed, resources, done.dated)

    async def close(self) -> None:
        """Log out; takes `_CLOSE_S` at most, a call in flight logs out when it ends."""
        self._is_closing = True
        with suppress(RetryError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._thread.call(self._close)
        self._thread.close()

    async def _called(self, function: Callable[[], _Result]) -> _Result:
        """A call on the thread. Raises SourceError."""
        self._logins.check()
        try:
            result = await self._thread.call(lambda: self._unless_closing(function))
        except asyncio.CancelledError:
            # Nobody waits any more; a vCenter that drips would hold the thread for ever.
            if self._session is not None:
                self._session.abort()
            raise
        except RefusedError as refused:
            raise self._logins.refused(str(refused)) from None
        self._logins.admitted()
        return result

    def _unless_closing(self, function: Callable[[], _Result]) -> _Result:
        try:
            return function()
        finally:
            if self._is_closing:
                self._close()

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _open(self) -> list[ResourceDescription]:
        from jauge_agent.sources.vsphere.session import Session  # noqa: PLC0415 - pyvmomi

        self._close()
        device = self._device
        self._session = Session(device.host, device.port, self._tls())
        self._log_in()
        self._look()
        self._recall()
        return self._described()

    def _log_in(self) -> None:
        from jauge_agent.sources.vsphere.counters import numbered  # noqa: PLC0415 - see above
        from jauge_agent.sources.vsphere.polling import LIVE_MS, Poll  # noqa: PLC0415 - see above
        from jauge_agent.sources.vsphere.totals import Totals  # noqa: PLC0415 - see above

        assert self._session is not None  # noqa: S101 - made when it was opened
        self._session.open(self._login())
        totals = Totals() if self._poll is None else self._poll.totals
        period_ms = round(1000 * self._settings.period_s)
        live_ms = max(LIVE_MS, period_ms * 3 // 2)
        counters = numbered(self._session.counters())
        batch = self._settings.batch
        self._poll = Poll(self._session, counters, totals, batch, live_ms, period_ms)
        self._inventory = None

    def _look(self) -> "Inventory":
        """What there is, all of it or what has changed."""
        from jauge_agent.sources.vsphere.inventory import refreshed, taken  # noqa: PLC0415 - see above

        assert self._session is not None  # noqa: S101 - see above
        if self._inventory is None or time.monotonic() >= self._look_at:
            self._inventory = taken(self._session, self._device)
            self._look_at = time.monotonic() + self._settings.inventory_s
            self._look_for_names(self._inventory)
        else:
            self._inventory = refreshed(self._session, self._device, self._inventory)
        return self._inventory

    def _look_for_names(self, inventory: "Inventory") -> None:
        """Say which clusters have no host, and which attributes are not there: a name is wrong."""
        there = {host.cluster for host in inventory.hosts.values()}
        if wrong := sorted(set(self._device.clusters) - there):
            self._clusters.lost(f"clusters: no host is in {', '.join(map(repr, wrong))}")
        else:
            self._clusters.recovered()
        if inventory.without:
            names = ", ".join(map(repr, inventory.without))
            self._tags.lost(f"tags: the vCenter has no custom attribute {names}")
        else:
            self._tags.recovered()

    def _read(self) -> "tuple[Round, list[Sample], list[ResourceDescription]]":
        self._keep()
        try:
            try:
                done = self._once()
            except ExpiredError as expired:
                if not self._is_lost:  # else the poller has said it already
                    self._renewals.lost(str(expired))
                self._log_in()
                done = self._once()
        except RetryError:
            self._is_lost = True
            raise
        self._is_lost = False
        self._renewals.recovered()
        return done

    def _once(self) -> "tuple[Round, list[Sample], list[ResourceDescription]]":
        from jauge_agent.sources.vsphere.subjects import (  # noqa: PLC0415 - pyvmomi
            held_samples,
            subjects_of,
        )

        assert self._session is not None  # noqa: S101 - opened before it is read
        assert self._poll is not None  # noqa: S101 - see above
        if not self._session.is_open:
            self._log_in()
        inventory = self._look()
        now = self._session.now_ms()
        self._compare_clocks(now)
        subjects = subjects_of(inventory, self._device.pools)
        done = self._poll.round(subjects, self._places, now)
        for resource, quantities in done.seen.items():
            self._seen.setdefault(resource, set()).update(quantities)
        sizes = [sample for subject in subjects for sample in subject.sizes]
        sizes += held_samples(inventory)
        done.failed.update(inventory.failed)
        done.failed += Counter(disconnected=inventory.disconnected())
        return done, sizes, self._described()

    def _described(self) -> list[ResourceDescription]:
        """What there is; the very same list as long as nothing has changed."""
        from jauge_agent.sources.vsphere.subjects import described  # noqa: PLC0415 - pyvmomi

        assert self._inventory is not None  # noqa: S101 - looked at before
        number = sum(map(len, self._seen.values()))
        if self._description is not None:
            inventory, known, description = self._description
            if inventory is self._inventory and known == number:
                return description
        found = described(self._inventory, self._device.pools, self._seen)
        names = {each.id for each in found}
        self._seen = {name: what for name, what in self._seen.items() if name in names}
        number = sum(map(len, self._seen.values()))
        self._description = (self._inventory, number, found)
        return found

    def _recall(self) -> None:
        """Take up where an earlier run of the agent stood."""
        from jauge_agent.sources.vsphere.places import Memory  # noqa: PLC0415 - only where used
        from jauge_agent.sources.vsphere.subjects import subjects_of  # noqa: PLC0415 - pyvmomi

        assert self._session is not None  # noqa: S101 - see above
        assert self._inventory is not None  # noqa: S101 - see above
        if self._file is None or self._memory is not None:
            return
        self._memory = Memory(self._file, self.label)
        subjects = subjects_of(self._inventory, self._device.pools)
        resources = [subject.resource for subject in subjects]
        self._places = self._memory.recalled(self._session.identity, resources)

    def _keep(self) -> None:
        """Write where the read before the last one stood: what it gave is in the spool."""
        if self._memory is not None and self._session is not None and len(self._handed) == 2:
            self._memory.keep(self._session.identity, self._handed[0])

    def _compare_clocks(self, vcenters_ms: int) -> None:
        ahead_s = (vcenters_ms - now_ms()) / 1000
        if abs(ahead_s) * 1000 > CLOCKS_PART_MS:
            self._clocks.lost(f"the vCenter's is {ahead_s:+.0f} s from this machine's")
        else:
            self._clocks.recovered()

    def _login(self) -> "Login":
        from jauge_agent.sources.vsphere.session import Login  # noqa: PLC0415 - pyvmomi

        username = self._device.username or self._settings.username
        file = self._device.password_file or self._settings.password_file
        assert username is not None  # noqa: S101 - the settings refuse it
        assert file is not None  # noqa: S101 - see above
        try:
            return Login(username, read_secret(file))
        except SecretError as error:
            raise FatalError(f"password_file: {error}") from None

    def _tls(self) -> "ssl.SSLContext":
        return self._trust.context(
            self._device.ca_file or self._settings.ca_file, verify=self.verifies
        )


def _trouble(what: str, words: tuple[str, str], device: str) -> Trouble:
    return Trouble(_log, what, words=words, source="vsphere", device=device)
