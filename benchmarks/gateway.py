"""One agent as a gateway: hundreds of devices of three kinds, of which three are ill."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import cpu_s, memory, running, still_running
from benchmarks.rows import Better, Row, Table, say
from tests.agent.answering import Answering, answering
from tests.agent.certificates import Authority
from tests.parts import Mosquitto, free_port

CPU_LIMIT: Final = 0.05
"""Share of one core at a period of 60 s (issue 4)."""
RSS_LIMIT_MIB: Final = 150e6 / 2**20
"""150 MB."""

PERIOD_S: Final = 60.0
"""That of the limits, and the shortest at which a BMC may be asked: nothing is scaled."""

_UNITS: Final = 10
"""Meters behind one Modbus gateway."""
_OUTLETS: Final = 12
_EPDU: Final = "1.3.6.1.4.1.534.6.6.7"
_OFF: Final = ("host", "rapl", "hwmon", "power_supply", "ipmi", "nvml", "mqtt")
_OPENING_S: Final = 300.0
"""Seconds within which every device that is well must have been found."""


@dataclass(frozen=True, slots=True)
class Site:
    """How many devices of each kind; one of SNMP hangs, one answers garbage, one meter refuses."""

    snmp: int
    modbus: int
    redfish: int

    @property
    def ill(self) -> int:
        """Devices that never give a value."""
        return 3

    @property
    def well(self) -> int:
        """Devices that must be read at each tick."""
        return self.snmp + self.modbus + self.redfish - self.ill


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    read: Sequence[int]
    """Devices that gave a reading, by tick."""
    unread: Mapping[str, int]
    """Ticks at which a device that is well gave none, by device."""
    series: int
    cpu_share: float
    """Of one core, over whole periods."""
    rss_mib: float
    peak_mib: float
    opened_s: float
    """Seconds from the start until each device that is well had been read."""


@dataclass(slots=True)
class _Ground:
    """The devices as the agent's configuration names them, and the series that stands for each."""

    sections: list[str]
    marks: dict[str, str]
    """Device by the name of its series."""

    def add(self, section: str, mark: str | None, **keys: Any) -> None:
        lines = [f"[[sources.{section}.devices]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.sections.append("\n".join(lines))
        if mark is not None:
            self.marks[mark] = f"{section} {keys.get('port')} {keys.get('unit', '')}".strip()


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """500 devices at their real period, for as many whole periods as fit, two at least."""
    site = Site(snmp=300, modbus=150, redfish=50)
    ticks = max(2, round(seconds / PERIOD_S))
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as folder:
        found = await trial(Path(folder), site, period_s=PERIOD_S, ticks=ticks)
    rows = [
        Row(
            *("devices read at the worst tick", min(found.read), "", "limit", site.well),
            *(Better.HIGHER, True),
        ),
        Row(
            *("CPU", found.cpu_share * 100, "% of a core", "limit", CPU_LIMIT * 100),
            *(Better.LOWER, True),
        ),
        Row("RSS, highest", found.peak_mib, "MiB", "limit", RSS_LIMIT_MIB, Better.LOWER, True),
    ]
    notes = [
        f"{site.snmp} SNMP: PDUs with {_OUTLETS} outlets",
        f"{site.modbus} Modbus: {_UNITS} behind an address; {site.redfish} Redfish, over TLS",
        "one hangs, one answers garbage, one refuses",
        f"{ticks} ticks, {found.series} series each; RSS at the end {found.rss_mib:.0f} MiB",
        f"all read {found.opened_s:.0f} s after the start; load average {os.getloadavg()[0]:.1f}",
    ]
    if found.unread:
        notes.append(f"not at each tick: {dict(found.unread)}")
    return Table("gateway", "One gateway, 500 devices at 60 s", rows, notes)


async def trial(directory: Path, site: Site, *, period_s: float, ticks: int) -> Trial:
    """Run an agent on such a site until every device was read, then for that many ticks."""
    async with (
        Mosquitto(directory / "mosquitto") as broker,
        answering(broker.port) as collector,
        _devices(directory, site) as ground,
    ):
        config = _configuration(directory, broker.port, ground, site, period_s)
        argv = [sys.executable, "-m", "jauge_agent.cli", "run", "--config", str(config)]
        log = directory / "agent.log"
        begun = time.monotonic()
        async with running(argv, log) as process:
            done = 0
            while not done:
                still_running(process, log)
                await asyncio.sleep(0.1)
                done = _complete(collector, ground.marks, period_s)
                if time.monotonic() > begun + _OPENING_S + period_s:
                    left = set(ground.marks) - _seen(collector)
                    raise TimeoutError(f"not read: {[ground.marks[each] for each in left][:5]}")
            opened_s = time.monotonic() - begun
            say(f"gateway: all {site.well} devices read after {opened_s:.0f} s")
            spent, since = cpu_s(process.pid), time.monotonic()
            await asyncio.sleep(period_s * ticks)
            share = (cpu_s(process.pid) - spent) / (time.monotonic() - since)
            # What was read at the last tick may still be on its way.
            last, patience_end = done + ticks, time.monotonic() + period_s
            while (
                not ground.marks.keys() <= _by_tick(collector, period_s)[last]
                and time.monotonic() < patience_end
            ):
                still_running(process, log)
                await asyncio.sleep(0.1)
            now = memory(process.pid, ())
            peak = _peak_mib(process.pid)
    by_tick = _by_tick(collector, period_s)
    judged = [by_tick[tick] for tick in range(done + 1, done + 1 + ticks)]
    unread = Counter(ground.marks[each] for names in judged for each in ground.marks.keys() - names)
    read = [len(ground.marks.keys() & names) for names in judged]
    series = max(len(names) for names in judged)
    return Trial(read, unread, series, share, now.rss, peak, opened_s)


def _by_tick(collector: Answering, period_s: float) -> defaultdict[int, set[str]]:
    """Series by number of the tick."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for pack in collector.packs:
        tick = round(pack.time_ms / 1000 / period_s)
        found[tick] |= {record.n for record in pack.records}
    return found


def _complete(collector: Answering, marks: Mapping[str, str], period_s: float) -> int:
    """The first tick that has every device that is well; 0 until there is one."""
    by_tick = _by_tick(collector, period_s)
    return min((tick for tick, names in by_tick.items() if marks.keys() <= names), default=0)


def _seen(collector: Answering) -> set[str]:
    return {record.n for pack in collector.packs for record in pack.records}


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = [each for each in status.splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _configuration(
    directory: Path, broker_port: int, ground: _Ground, site: Site, period_s: float
) -> Path:
    spool = directory / "spool"
    spool.mkdir()
    common = [f"[sources.snmp]\nperiod_s = {period_s}", f"[sources.modbus]\nperiod_s = {period_s}"]
    if site.redfish:
        ca, password = directory / "pki" / "authority.pem", directory / "password"
        common.append(
            f'[sources.redfish]\nusername = "jauge"\npassword_file = {json.dumps(str(password))}\n'
            f"ca_file = {json.dumps(str(ca))}"
        )
    common += [f"[sources.{name}]\nenabled = false" for name in _OFF]
    path = directory / "agent.toml"
    path.write_text(
        f'site = "bench"\nagent = "gateway"\n[broker]\ntls = false\nport = {broker_port}\n'
        f"[spool]\ndirectory = {json.dumps(str(spool))}\n"
        + "\n".join([*common, *ground.sections, ""]),
        encoding="utf-8",
    )
    return path


@contextlib.asynccontextmanager
async def _devices(directory: Path, site: Site) -> AsyncIterator[_Ground]:
    ground = _Ground([], {})
    async with contextlib.AsyncExitStack() as stack:
        await _add_pdus(stack, directory, site, ground)
        await _add_meters(stack, site, ground)
        if site.redfish:
            await _add_servers(stack, directory, site, ground)
        yield ground


async def _add_pdus(
    stack: contextlib.AsyncExitStack, directory: Path, site: Site, ground: _Ground
) -> None:
    from tests.agent.snmp.responder import Device, Garbage, Silent, listening  # noqa: PLC0415 - only this part

    secret = directory / "community"
    secret.write_text("public\n", encoding="utf-8")
    secret.chmod(0o600)
    # The ill ones stand first: who asked in turn would keep the others waiting.
    for ill in (Silent(), Garbage()):
        port = await stack.enter_async_context(listening(ill))
        ground.add("snmp", None, host="127.0.0.1", port=port, community_file=str(secret))
    for number in range(site.snmp - 2):
        serial = f"G{number:09}"
        port = await stack.enter_async_context(listening(Device(_pdu(serial))))
        mark = f"pdu:{serial}/power"
        ground.add("snmp", mark, host="127.0.0.1", port=port, community_file=str(secret))


def _pdu(serial: str) -> dict[str, int | str]:
    """An Eaton ePDU as its MIB describes it; every value is an example, measured nowhere."""
    objects: dict[str, int | str] = {
        "1.3.6.1.2.1.1.2.0": f"oid:{_EPDU}",
        f"{_EPDU}.1.2.1.2.0": "ePDU MA",
        f"{_EPDU}.1.2.1.4.0": serial,
        f"{_EPDU}.1.2.1.9.0": 1,
        f"{_EPDU}.3.1.1.3.0.1": 500,
        f"{_EPDU}.3.2.1.3.0.1.1": 230_130,
        f"{_EPDU}.3.3.1.4.0.1.1": 6106,
        f"{_EPDU}.3.5.1.3.0.1": 1405,
        f"{_EPDU}.3.5.1.4.0.1": 1391,
        f"{_EPDU}.3.5.1.5.0.1": 9_787_062,
    }
    for outlet in range(1, _OUTLETS + 1):
        objects[f"{_EPDU}.6.1.1.3.0.{outlet}"] = f"Outlet A{outlet}"
        objects[f"{_EPDU}.6.4.1.3.0.{outlet}"] = 445
        objects[f"{_EPDU}.6.5.1.3.0.{outlet}"] = 101
        objects[f"{_EPDU}.6.5.1.4.0.{outlet}"] = 1_178_507
    return objects


async def _add_meters(stack: contextlib.AsyncExitStack, site: Site, ground: _Ground) -> None:
    from jauge_agent.sources.modbus.profile import load  # noqa: PLC0415 - only this part

    from tests.agent.modbus.meters import device, put_point, serving  # noqa: PLC0415 - only this part

    profile = load("eastron-sdm630")
    registers: dict[tuple[int, int], int] = {}
    for point in profile.points:
        # Each reading asks for the gaps between the values too.
        put_point(registers, profile, point, 50.0 if point.quantity != "power_factor" else 0.9)
    last = max(address for _, address in registers)
    whole = {(profile.function, address): 0 for address in range(last + 1)} | registers
    refusing = {"profile": "eastron-sdm630", "id": "refusing"}
    ground.add("modbus", None, host="127.0.0.1", port=free_port(), **refusing)
    for first in range(0, site.modbus - 1, _UNITS):
        numbers = range(first, min(first + _UNITS, site.modbus - 1))
        units = [device(1 + number - first, whole) for number in numbers]
        port = (await stack.enter_async_context(serving(*units))).port
        for number in numbers:
            ident = f"M{number:05}"
            keys = {"unit": 1 + number - first, "profile": "eastron-sdm630", "id": ident}
            ground.add("modbus", f"meter:{ident}/power", host="127.0.0.1", port=port, **keys)


async def _add_servers(
    stack: contextlib.AsyncExitStack, directory: Path, site: Site, ground: _Ground
) -> None:
    from tests.agent.redfish.machines import control, server  # noqa: PLC0415 - only this part
    from tests.agent.redfish.server import PASSWORD, RedfishServer  # noqa: PLC0415 - only this part

    pki = directory / "pki"
    pki.mkdir()
    authority = Authority(pki)
    certificate = authority.issue("bmc")
    password = directory / "password"
    password.write_text(PASSWORD + "\n", encoding="utf-8")
    password.chmod(0o600)
    for number in range(site.redfish):
        uuid = f"00000000-0000-4000-8000-{number:012}"
        supplies = [{"MemberId": str(n), "PowerInputWatts": 200} for n in (1, 2)]
        documents = server(PowerControl=[control(400)], PowerSupplies=supplies)
        documents["/redfish/v1/Systems/1"]["UUID"] = uuid
        bmc = await stack.enter_async_context(RedfishServer(documents, certificate))
        bmc.login_delay.set()
        ground.add("redfish", f"host:{uuid}/power", host="127.0.0.1", port=bmc.port)
