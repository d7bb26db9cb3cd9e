"""Two BMCs that answer IPMI over loopback: OpenIPMI's simulator with sensors, and one with DCMI."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.parts import RealPart

USER: Final = "jauge"
PASSWORD: Final = 'p# "x\\y'

_PROBE: Final = bytes.fromhex("0600ff07000000000000000000092018c88100388e04b5")
"""Get Channel Authentication Capabilities, which every BMC answers without a session."""

DCMI_SCRIPT: Final = Path(__file__).with_name("dcmi_bmc.py")


class _Bmc(RealPart):
    async def ready(self) -> bool:
        """Whether it answers over UDP."""

        def ask() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.settimeout(0.3)
                one.connect((self.host, self.port))
                try:
                    one.send(_PROBE)
                    return bool(one.recv(100))
                except OSError:
                    return False

        return await asyncio.to_thread(ask)


class DcmiBmc(_Bmc):
    """One with DCMI; ``says`` sets what it tells."""

    program = "python3"
    package = "python3"

    def __init__(self, directory: Path, *, password: str = PASSWORD) -> None:
        super().__init__(directory)
        self.executable = sys.executable
        self.password = password
        self._file = directory / "watts"
        self.says("412")

    def says(self, text: str) -> None:
        """What FILE holds, see ``dcmi_bmc``."""
        self._file.write_text(text, encoding="ascii")

    def arguments(self) -> list[str]:
        """The script with its arguments."""
        return [str(DCMI_SCRIPT), str(self.port), str(self._file), self.password]


class Simulated(NamedTuple):
    """A sensor of the simulator."""

    name: str
    type: int
    unit: int
    """IPMI's number: 1 degrees Celsius, 4 volts, 6 watts, 18 revolutions per minute."""
    multiplier: int
    raw: int | None
    """What it reads, 0 to 255; None for one that never has a reading."""


_TYPES: Final = {1: 0x01, 4: 0x02, 18: 0x04, 6: 0x0B}

SENSORS: Final = (
    Simulated("Pwr Consumption", 0x0B, 6, 4, 140),
    Simulated("Inlet Temp", 0x01, 1, 1, 24),
    Simulated("CPU1 Temp", 0x01, 1, 1, 61),
    Simulated("Fan1", 0x04, 18, 60, 100),
    Simulated("PS1 Input Power", 0x0B, 6, 4, 75),
    Simulated("PS2 Input Power", 0x0B, 6, 4, 0),
    Simulated("Exhaust Temp", 0x01, 1, 1, None),
)


class IpmiSim(_Bmc):
    """OpenIPMI's simulator with some sensors; it knows no DCMI."""

    program = "ipmi_sim"
    package = "openipmi"

    def __init__(self, directory: Path, sensors: Sequence[Simulated] = SENSORS) -> None:
        super().__init__(directory)
        self.sensors = sensors

    def reads(self, number: int, raw: int) -> None:
        """Set the raw reading of a sensor, counted from 1."""
        (self.directory / f"{number}.value").write_text(str(raw), encoding="ascii")

    def arguments(self) -> list[str]:
        """Its configuration, written anew at each start."""
        emulation = [
            "mc_setbmc 0x20",
            "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr",
            "sel_enable 0x20 1000 0x0a",
        ]
        for number, sensor in enumerate(self.sensors, 1):
            record = " ".join(f"0x{byte:02x}" for byte in _record(number, sensor))
            added = f"sensor_add 0x20 0 {number} {sensor.type} 1"
            if sensor.raw is not None:
                self.reads(number, sensor.raw)
                added += f' poll 100 file "{self.directory / f"{number}.value"}"'
            nothing = " ".join(["0" * 15] * 4)
            emulation += [
                f"main_sdr_add 0x20 {record}",
                added,
                f"sensor_set_event_support 0x20 0 {number} enable scanning none {nothing}",
            ]
        emulation.append("mc_enable 0x20")
        commands = self.directory / "sim.emu"
        commands.write_text("\n".join(emulation) + "\n", encoding="ascii")
        lan = self.directory / "lan.conf"
        allowed = "".join(
            f"    allowed_auths_{role} none md2 md5 straight\n"
            for role in ("callback", "user", "operator", "admin")
        )
        lan.write_text(
            f'name "sim"\nset_working_mc 0x20\n  startlan 1\n    addr {self.host} {self.port}\n'
            f"    priv_limit admin\n{allowed}    guid a123456789abcdefa123456789abcdef\n  endlan\n"
            f'  user 1 true "" "{PASSWORD[:1]}" user 10 none md2 md5 straight\n'
            f'  user 2 true "{USER}" "{SIM_PASSWORD}" admin 10 none md2 md5 straight\n',
            encoding="ascii",
        )
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        return ["-n", "-c", str(lan), "-f", str(commands), "-s", str(state)]


SIM_PASSWORD: Final = "a-secret"
"""The simulator reads its passwords without quoting."""


def _record(number: int, sensor: Simulated) -> list[int]:
    """A full sensor record, IPMI 2.0 table 43-1, without thresholds."""
    name = list(sensor.name.encode("ascii"))
    body = [0x20, 0, number, 7, number, 0x7F, 0x68, sensor.type, 0x01, *[0] * 6, 0x00, sensor.unit]
    body += [0, 0, sensor.multiplier, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, *[0] * 8, 0, 0, 0]
    body += [0xC0 | len(name), *name]
    return [number & 0xFF, number >> 8, 0x51, 0x01, len(body), *body]
