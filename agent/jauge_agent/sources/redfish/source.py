"""The source ``redfish``: many BMCs, each polled on its own."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

import msgspec

from jauge_agent.bmc import FLOOR_S
from jauge_agent.logins import Logins
from jauge_agent.logs import say
from jauge_agent.place import DevicePlace
from jauge_agent.polling import Device, Poller
from jauge_agent.secret_files import SecretError, read_secret
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
    SourceSettings,
)
from jauge_agent.trust import Trust

if TYPE_CHECKING:
    import ssl

    from jauge_agent.sources.redfish.inventory import Plan
    from jauge_agent.sources.redfish.session import Bmc, Login
    from jauge_agent.sources.redfish.values import Document

DEADLINE_S: Final = 240.0
"""Seconds for one round of requests, a look around included; the tick does not wait for it."""
REVIEW_S: Final = 6 * 3600.0
"""After so long a BMC is looked around anew, whatever it tells in the meantime."""
_MOST_LOOKS: Final = 3
"""Times that one read begins anew because the machine or its supplies have changed."""

_log = logging.getLogger(__name__)


class RedfishDevice(DevicePlace, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One BMC."""

    usual_port: ClassVar[int] = 443

    host: str
    """Name or address of the BMC."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 443
    """Its TCP port."""
    name: str | None = None
    """What logs call it, and its identity if it tells neither UUID nor serial; else the host."""
    username: str | None = None
    """User to log in as; that of the source when left out."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    ca_file: str | None = None
    """Certificates to trust (PEM), the BMC's own too; those of the source when left out."""
    verify: bool | None = None
    """Whether the BMC's certificate is checked; as for the source when left out."""
    login: Literal["session", "basic"] = "session"
    """How to log in; `basic` sends the password with every request."""
    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] | None = None
    """Seconds between reads of this BMC; that of the source when left out."""


class RedfishSettings(SourceSettings, frozen=True):
    """Settings of the redfish source."""

    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] = FLOOR_S
    """Seconds between reads of each BMC; 60 at least."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 50.0
    """Seconds that a tick waits for its BMCs; what comes later goes with the next one."""
    username: str | None = None
    """User to log in as; it needs no more than the right to log in and read."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    ca_file: str | None = None
    """Certificates of the authorities, or of BMCs, to trust (PEM); the system's when left out."""
    verify: bool = True
    """Whether certificates are checked; without, anybody may answer and learn the password."""
    devices: list[RedfishDevice] = msgspec.field(default_factory=list)
    """The BMCs."""

    def __post_init__(self) -> None:
        """Refuse two BMCs of one name, and a password that belongs to nobody."""
        names = Counter(device.label for device in self.devices)
        if repeated := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"devices: {repeated[0]!r} is listed twice")
        for device in self.devices:
            username = device.username or self.username
            password = device.password_file or self.password_file
            if (username is None) != (password is None):
                raise ValueError(f"devices: {device.label!r} needs username and password_file")


class RedfishSource:
    """Power, energy, air and fans of servers by their BMCs."""

    Settings = RedfishSettings

    def __init__(self, settings: RedfishSettings) -> None:
        self._settings = settings
        trust = Trust()
        self._poller = Poller(
            "redfish",
            [
                Device(
                    device.label,
                    BmcSource(device, settings, trust),
                    period_s=device.period_s,
                    deadline_s=DEADLINE_S,
                    floor_s=FLOOR_S,
                )
                for device in settings.devices
            ],
            settings,
        )

    async def open(self) -> Sequence[ResourceDescription]:
        """Open the BMCs. Raises AbsentError when none is listed or aiohttp is missing."""
        if self._settings.devices and find_spec("aiohttp") is None:
            raise AbsentError("aiohttp is not installed; install jauge-agent[redfish]")
        for device in self._settings.devices:
            if not _verifies(device, self._settings):
                say(
                    _log,
                    logging.WARNING,
                    "certificate not checked",
                    source="redfish",
                    device=device.label,
                    detail="anybody may answer for this BMC and learn its password",
                )
        return await self._poller.open()

    async def read(self) -> Outcome:
        """Read the BMCs that are due."""
        return await self._poller.read()

    async def close(self) -> None:
        """End the sessions."""
        await self._poller.close()


class BmcSource:
    """One BMC: looked around when opened, then asked for the documents of its plan."""

    def __init__(self, device: RedfishDevice, settings: RedfishSettings, trust: Trust) -> None:
        self._device = device
        self._settings = settings
        self._trust = trust
        self._bmc: Bmc | None = None
        self._plan: Plan | None = None
        self._announced: Sequence[ResourceDescription] = ()
        self._review_at = 0.0
        self._logins = Logins(device.label)

    @property
    def plan(self) -> "Plan | None":
        """What was found when the BMC was last looked around."""
        return self._plan

    async def open(self) -> Sequence[ResourceDescription]:
        """Log in and look around."""
        from jauge_agent.sources.redfish.session import Bmc  # noqa: PLC0415 - only where used

        if self._bmc is None:
            self._bmc = Bmc(self._device.authority, self._login(), self._tls())
        self._announced = (await self._look_around()).resources
        return self._announced

    async def read(self) -> Outcome:
        """Ask for the documents that hold a value, one after the other."""
        from jauge_agent.sources.redfish.values import Missing, take  # noqa: PLC0415 - aiohttp

        assert self._bmc is not None  # noqa: S101 - opened before it is read
        before = self._plan
        plan, documents = await self._current()
        resources = None
        if before is None or self._announced != plan.resources:
            self._announced = resources = plan.resources
        taken = take(plan.picks, documents)
        failed = Counter(self._bmc.failed)
        self._bmc.failed.clear()
        failed.update(str(missing) for _, missing in taken.missing)
        lies = {
            pick.resource.partition(":")[2]
            for pick, value in taken.values
            if value == 0
            and pick.power_state is not None
            and await self._is_on(pick.power_state, documents)
        }
        samples: list[Sample] = []
        for pick, value in taken.values:
            if value == 0 and pick.quantity == "power" and _is_of(pick.resource, lies):
                failed[str(Missing.ZERO)] += 1
            else:
                samples.append(Sample(pick.resource, pick.quantity, value))
        return Outcome(samples, failed, resources)

    async def close(self) -> None:
        """End the session."""
        bmc, self._bmc = self._bmc, None
        if bmc is not None:
            await bmc.close()

    async def _current(self) -> "tuple[Plan, dict[str, Document]]":
        """The documents of a plan that holds for the machine, and the supplies, of this moment.

        Raises RetryError rather than give what may be another machine's.
        """
        from jauge_agent.sources.redfish.supplies import has_changed  # noqa: PLC0415 - aiohttp

        label = self._device.label
        for _ in range(_MOST_LOOKS):
            if self._plan is None or asyncio.get_running_loop().time() >= self._review_at:
                await self._look_around()
            plan = self._plan
            assert plan is not None  # noqa: S101 - looked around just now or before
            documents = await self._documents(plan)
            if documents is None:
                # Another machine: no rule of the one before it is any use.
                self._plan = None
                continue
            if not any(path in documents for path in plan.documents):
                raise RetryError(f"{label}: none of its documents could be had")
            if any(
                has_changed(was, bays.present(documents)) for bays, was in plan.supplied.items()
            ):
                self._review_at = 0.0
                continue
            return plan, documents
        raise RetryError(f"{label}: it changes while it is read")

    async def _documents(self, plan: "Plan") -> "dict[str, Document] | None":
        """What the plan asks for; None when another machine answers than was looked around."""
        assert self._bmc is not None  # noqa: S101 - see read
        documents = await self._several(plan.known)
        logins = self._bmc.logins
        if self._is_another(plan, documents):
            return None
        supplies = {path for bays in plan.supplied for path in bays.documents}
        others = dict.fromkeys((*plan.documents, *sorted(supplies)))
        documents |= await self._several(path for path in others if path not in plan.known)
        # Behind a new session another machine may have answered from the middle on.
        if logins != self._bmc.logins and self._is_another(plan, await self._several(plan.known)):
            return None
        return documents

    async def _several(self, paths: Iterable[str]) -> "dict[str, Document]":
        """Documents one after the other, without those that cannot be had."""
        found: dict[str, Document] = {}
        for path in paths:
            if (document := await self._get(path)) is not None:
                found[path] = document
        return found

    def _is_another(self, plan: "Plan", documents: "Mapping[str, Document]") -> bool:
        """Whether a document tells another identity than before; RetryError if it tells none."""
        from jauge_agent.sources.redfish.ownership import is_other, told  # noqa: PLC0415 - aiohttp

        silent = False
        for path, known in plan.known.items():
            now = told(documents.get(path, {}))
            if is_other(known, now):
                return True
            silent |= any(known) and not any(now)
        if silent:
            raise RetryError(f"{self._device.label}: it does not tell now which machine it is")
        return False

    async def _look_around(self) -> "Plan":
        from jauge_agent.sources.redfish.inventory import take_inventory  # noqa: PLC0415 - aiohttp
        from jauge_agent.sources.redfish.walking import Walk  # noqa: PLC0415 - aiohttp

        name = self._device.label
        rules = {} if self._plan is None else self._plan.rules
        plan = await take_inventory(Walk(self._get), name, rules)
        if not plan.picks:
            raise AbsentError(f"{self._device.label} answers, but shows no power and no air")
        self._plan = plan
        spread = random.uniform(0.75, 1.0)  # noqa: S311 - nothing secret
        self._review_at = asyncio.get_running_loop().time() + REVIEW_S * spread
        return plan

    async def _get(self, path: str) -> "Document | None":
        from jauge_agent.sources.redfish.session import RefusedError  # noqa: PLC0415 - aiohttp

        assert self._bmc is not None  # noqa: S101 - see read
        self._logins.check()
        try:
            document = await self._bmc.get(path)
        except RefusedError as refused:
            raise self._logins.refused(str(refused)) from None
        self._logins.admitted()
        return document

    async def _is_on(self, path: str, documents: "Mapping[str, Document]") -> bool:
        """Whether a system is on, as far as its BMC tells."""
        from jauge_agent.sources.redfish.values import text  # noqa: PLC0415 - aiohttp

        document = documents.get(path) or await self._get(path)
        return document is None or text(document, "PowerState") in {"", "On"}

    def _login(self) -> "Login | None":
        from jauge_agent.sources.redfish.session import Login  # noqa: PLC0415 - aiohttp

        username = self._device.username or self._settings.username
        file = self._device.password_file or self._settings.password_file
        if username is None or file is None:
            return None
        try:
            password = read_secret(file)
        except SecretError as error:
            raise FatalError(f"password_file: {error}") from None
        return Login(username, password, session=self._device.login == "session")

    def _tls(self) -> "ssl.SSLContext":
        file = self._device.ca_file or self._settings.ca_file
        return self._trust.context(file, verify=_verifies(self._device, self._settings))


def _verifies(device: RedfishDevice, settings: RedfishSettings) -> bool:
    return settings.verify if device.verify is None else device.verify


def _is_of(resource: str, wholes: "set[str]") -> bool:
    """Whether a resource is one of these servers, or a power supply of one of them."""
    ident = resource.partition(":")[2]
    return any(ident == each or ident.startswith(f"{each}.") for each in wholes)
