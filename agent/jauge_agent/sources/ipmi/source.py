"""The source ``ipmi``: many BMCs over the network, and this machine's own if asked for."""

import asyncio
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jauge_models.resources import identity
from jauge_models.wire import Method

from jauge_agent.bmc import FLOOR_S
from jauge_agent.logins import Logins
from jauge_agent.logs import say
from jauge_agent.polling import Device, Poller
from jauge_agent.programs import Printed, found
from jauge_agent.secret_files import SecretError, read_secret
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
)
from jauge_agent.sources.ipmi.settings import IpmiDevice, IpmiSettings

if TYPE_CHECKING:
    from jauge_agent.sources.ipmi.answers import Missing, Sensor

DEADLINE_S: Final = 300.0
"""Seconds for one round; the tick does not wait for it."""
PROGRAM_S: Final = 30.0
"""Seconds for one program: longer than its own time-out of 20 s."""
LISTING_S: Final = 200.0
"""Seconds for the list of all sensors, whose descriptions some BMCs take minutes to give."""
MOST_PROGRAMS: Final = 64
"""Programs that run at one time, at some megabytes each."""


_log = logging.getLogger(__name__)


class IpmiSource:
    """Power, air and fans of servers by FreeIPMI."""

    Settings = IpmiSettings

    def __init__(self, settings: IpmiSettings) -> None:
        self._settings = settings
        self._cache = Cache(settings.cache_directory)
        slots = asyncio.Semaphore(MOST_PROGRAMS)
        devices: list[IpmiDevice | None] = [*settings.devices]
        if settings.in_band:
            devices.append(None)
        self._poller = Poller(
            "ipmi",
            [
                Device(
                    "this machine" if device is None else device.label,
                    BmcSource(device, settings, self._cache, slots),
                    period_s=None if device is None else device.period_s,
                    deadline_s=DEADLINE_S,
                    floor_s=FLOOR_S,
                )
                for device in devices
            ],
            settings,
        )

    async def open(self) -> Sequence[ResourceDescription]:
        """Open the BMCs. Raises AbsentError with every reason why there is nothing to read."""
        if reasons := _absent(self._settings):
            raise AbsentError("; ".join(reasons))
        self._cache.open()
        return await self._poller.open()

    async def read(self) -> Outcome:
        """Read the BMCs that are due."""
        return await self._poller.read()

    async def close(self) -> None:
        """End the programs that run."""
        await self._poller.close()
        self._cache.close()


class BmcSource:
    """One BMC; ``device`` is None for this machine's own."""

    def __init__(
        self,
        device: IpmiDevice | None,
        settings: IpmiSettings,
        cache: "Cache",
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._device = device
        self._settings = settings
        self._cache = cache
        self._slots = slots or asyncio.Semaphore(1)
        self._name = "this machine" if device is None else device.label
        self._sensors: Sequence[Sensor] = ()
        self._has_power = False
        self._logins = Logins(self._name)

    async def open(self) -> Sequence[ResourceDescription]:
        """Find out whether DCMI tells the power, and which sensors there are."""
        from jauge_agent.sources.ipmi import answers  # noqa: PLC0415 - only where used

        power, why = await self._power()
        # Statistics that are switched off, or a zero, may become a value later.
        self._has_power = not isinstance(power, answers.Missing) or power in {
            answers.Missing.INACTIVE,
            answers.Missing.ZERO,
        }
        if power is answers.Missing.INACTIVE:
            say(
                _log,
                logging.WARNING,
                "power statistics not active",
                source="ipmi",
                device=self._name,
                detail="switch on power measurement in this BMC",
            )
        self._sensors = ()
        if self._settings.sensors:
            printed = await self._run("ipmi-sensors", ["--comma-separated-output"], LISTING_S)
            if printed.status == 0:
                listed, _ = answers.lines(printed.out)
                has_value = not isinstance(power, answers.Missing)
                self._sensors = answers.worth_reading(listed, has_power=has_value)
                self._has_power &= not any(each.kind == "host" for each in self._sensors)
            elif not self._has_power:
                raise RetryError(f"{self._name}: {answers.said(printed.err)}")
        if not self._has_power and not self._sensors:
            raise AbsentError(f"{self._name}: no DCMI power ({why}) and no sensor of power or air")
        return self._resources()

    async def read(self) -> Outcome:
        """The power, then the sensors; one program at a time."""
        from jauge_agent.sources.ipmi import answers  # noqa: PLC0415 - see open

        samples: list[Sample] = []
        failed: Counter[str] = Counter()
        why = ""
        if self._has_power:
            power, why = await self._power()
            if isinstance(power, answers.Missing):
                failed[str(power)] += 1
            else:
                samples.append(Sample(self._resource("host", ""), "power", power))
        if self._sensors:
            records = ",".join(each.id for each in self._sensors)
            arguments = ["--comma-separated-output", f"--record-ids={records}"]
            printed = await self._run("ipmi-sensors", arguments, PROGRAM_S)
            if printed.status == 0:
                listed, wrong = answers.lines(printed.out)
                failed.update({"text": wrong} if wrong else {})
                by_id = {line.id: line for line in listed}
                for sensor in self._sensors:
                    line = by_id.get(sensor.id)
                    value = answers.Missing.NULL if line is None else answers.value(line, sensor)
                    if isinstance(value, answers.Missing):
                        failed[str(value)] += 1
                    else:
                        name = self._resource(sensor.kind, sensor.tail)
                        samples.append(Sample(name, sensor.quantity, value))
            else:
                failed["sensors"] += len(self._sensors)
                why = answers.said(printed.err)
        if not samples:
            raise RetryError(f"{self._name}: {why or 'no sensor has a reading'}")
        return Outcome(samples, failed)

    async def close(self) -> None:
        """Nothing is kept open between reads."""

    async def _power(self) -> "tuple[float | Missing, str]":
        """The server's power by DCMI or why it has none, and the same in words."""
        from jauge_agent.sources.ipmi import answers  # noqa: PLC0415 - see open

        printed = await self._run("ipmi-dcmi", ["--get-system-power-statistics"], PROGRAM_S)
        if printed.status != 0:
            return answers.Missing.TEXT, answers.said(printed.err) or "ipmi-dcmi failed"
        power = answers.power(printed.out)
        return power, answers.IN_WORDS[power] if isinstance(power, answers.Missing) else ""

    async def _run(self, name: str, arguments: Sequence[str], deadline_s: float) -> "Printed":
        """Run one program; raises RetryError when the BMC does not answer or lets nobody in."""
        from jauge_agent.sources.ipmi import answers, programs  # noqa: PLC0415 - see open

        self._logins.check()
        program = found(name)
        if program is None:
            raise FatalError(f"{name} is not installed (Debian package {programs.PACKAGE})")
        given = [*self._connection(), *arguments]
        if name == programs.SENSORS:
            given += ["--quiet-cache", "--sdr-cache-recreate"]
            given.append(f"--sdr-cache-directory={self._cache.path}")
        try:
            async with self._slots:
                printed = await programs.run(
                    program, given, self._credentials(), deadline_s=deadline_s
                )
        except TimeoutError:
            raise RetryError(f"{self._name}: {name} gave no answer in {deadline_s:g} s") from None
        except OSError as error:
            raise RetryError(f"{name} cannot be started: {error.strerror or error}") from None
        if printed.status != 0 and answers.is_refusal(printed.err):
            raise self._logins.refused(f"{self._name}: {answers.said(printed.err)}")
        if printed.status != 0 and _NO_ANSWER.search(printed.err):
            raise RetryError(f"{self._name}: {answers.said(printed.err)}")
        self._logins.admitted()
        return printed

    def _connection(self) -> list[str]:
        if self._device is None:
            return ["--driver-type=OPENIPMI", f"--driver-device={self._settings.device}"]
        given = [
            "--driver-type=LAN_2_0",
            f"--hostname={self._device.authority}",
            f"--privilege-level={self._settings.privilege}",
        ]
        if self._settings.cipher_suite is not None:
            given.append(f"--cipher-suite-id={self._settings.cipher_suite}")
        flags = self._device.workarounds
        flags = self._settings.workarounds if flags is None else flags
        return [*given, f"--workaround-flags={','.join(flags)}"] if flags else given

    def _credentials(self) -> bytes:
        from jauge_agent.sources.ipmi.programs import configuration  # noqa: PLC0415 - see open

        if self._device is None:
            return b""
        file = self._device.password_file or self._settings.password_file
        try:
            password = None if file is None else read_secret(file)
            username = self._device.username or self._settings.username
            return configuration(username=username, password=password)
        except SecretError as error:
            raise FatalError(f"password_file: {error}") from None
        except ValueError as error:
            raise FatalError(f"{self._name}: {error}") from None

    def _resources(self) -> list[ResourceDescription]:
        found: dict[str, ResourceDescription] = {}
        if self._has_power:
            host = self._resource("host", "")
            found[host] = ResourceDescription(host, {"power": Method.GAUGE}, self._name)
        for sensor in self._sensors:
            resource = self._resource(sensor.kind, sensor.tail)
            found[resource] = ResourceDescription(
                resource,
                {sensor.quantity: Method.GAUGE},
                f"{self._name} {sensor.name}",
                dict(sensor.labels),
            )
        return list(found.values())

    def _resource(self, kind: str, tail: str) -> str:
        """``host:<server>``, ``psu:<server>.1``; this machine itself is ``host``."""
        if self._device is None:
            return f"{kind}:{tail}" if tail else kind
        ident = identity(self._device.label)[:64]
        return f"{kind}:{ident}.{tail}" if tail else f"{kind}:{ident}"


_NO_ANSWER: Final = re.compile(
    r"timeout|BMC busy|connection|could not find|could not open|permission denied", re.IGNORECASE
)
"""Errors after which there is no use in starting the other program."""


class Cache:
    """A folder for what FreeIPMI keeps of sensors; a temporary one goes when it is closed."""

    def __init__(self, given: str | None) -> None:
        self.path = given or ""
        self._temporary = given is None

    def open(self) -> None:
        """Make the folder; raises RetryError."""
        try:
            if self._temporary and not self.path:
                self.path = tempfile.mkdtemp(prefix="jauge-ipmi-")
            else:
                Path(self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            where = self.path or "a temporary folder"
            raise RetryError(f"{where} cannot be made: {error.strerror or error}") from None

    def close(self) -> None:
        """Remove a temporary folder."""
        if self._temporary and self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path = ""


def _absent(settings: IpmiSettings) -> list[str]:
    """Why this source has nothing to read, in plain words; empty when it has."""
    from jauge_agent.sources.ipmi import programs  # noqa: PLC0415 - see open

    device = Path(settings.device)
    reasons: list[str] = []
    if not settings.devices and not settings.in_band:
        here = f"{device} is {'there' if device.exists() else 'not there'}"
        reasons.append(f"no BMC is listed under sources.ipmi.devices; in_band is false ({here})")
    missing = [each for each in (programs.DCMI, programs.SENSORS) if found(each) is None]
    if missing:
        reasons.append(f"FreeIPMI is not installed (Debian package {programs.PACKAGE})")
    if settings.in_band and not settings.devices:
        if not device.exists():
            reasons.append(f"no {device}: this machine has no BMC, or ipmi_devintf is not loaded")
        elif not os.access(device, os.R_OK | os.W_OK):
            reasons.append(f"{device} may not be used: {_way_in(device)}")
    return reasons


def _way_in(device: Path) -> str:
    """What gives this user access to a device."""
    import grp  # noqa: PLC0415 - only for this text

    about = device.stat()
    if about.st_gid == 0 or about.st_mode & 0o060 != 0o060:
        return "a udev rule must give it to a group of the agent's user (GROUP, MODE 0660)"
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    return f"the agent's user must be in the group {group}"
