"""SNMP agents that answer for real: snmpsim with recorded devices, and net-snmp's snmpd."""

import bz2
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.parts import RealPart

WALKS = (
    "apc-7902b",
    "apc-8641",
    "apc-8932",
    "eastpower-istars-swv053",
    "eaton-93e-80",
    "eaton-9px-partial",
    "emerson-network-power",
    "huawei-gse200m",
    "ingrasys-power-switch",
    "phoenixtec-power",
    "vertiv-power",
)
"""Power devices whose walks PyPI's snmpsim-data carries: others' data, read where installed."""

OUTPUT_SOURCE = {
    "eaton-93e-80": "1.3.6.1.4.1.534.1.4.5.0",
    "huawei-gse200m": "1.3.6.1.2.1.33.1.4.1.0",
    "ingrasys-power-switch": "1.3.6.1.2.1.33.1.4.1.0",
}
"""Recorded UPS of each profile, and the object with what their output is fed from."""

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"


def walk(name: str) -> bytes:
    """A recorded device of snmpsim-data; skips where that is not installed."""
    spec = find_spec("snmpsim_data")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("snmpsim-data is not installed (PyPI)")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    for path in (*folder.glob(f"UPS/{name}.snmprec*"), *folder.glob(f"iot/{name}.snmprec*")):
        raw = path.read_bytes()
        return bz2.decompress(raw) if path.suffix == ".bz2" else raw
    pytest.skip(f"snmpsim-data has no {name}")


def fed_from(name: str, source: int) -> bytes:
    """A recorded UPS, but for what it says that its output is fed from."""
    lines = walk(name).splitlines()
    begin = f"{OUTPUT_SOURCE[name]}|".encode()
    (at,) = (at for at, line in enumerate(lines) if line.startswith(begin))
    lines[at] = begin + f"2|{source}".encode()
    return b"\n".join(lines) + b"\n"


def objects_of(record: bytes) -> Iterator[tuple[str, str]]:
    """Identifier and value as text of each line of a record."""
    for line in record.decode("latin-1").splitlines():
        oid, _, rest = line.partition("|")
        kind, _, value = rest.partition("|")
        if value:
            yield oid, bytes.fromhex(value).decode("latin-1") if kind.endswith("x") else value


def record(objects: Mapping[str, int | str]) -> bytes:
    """A device as snmpsim serves it: whole numbers as integers, ``oid:…`` as an identifier."""
    lines = []
    for oid, value in sorted(objects.items(), key=lambda one: [int(n) for n in one[0].split(".")]):
        if isinstance(value, int):
            lines.append(f"{oid}|2|{value}" if -(2**31) <= value < 2**31 else f"{oid}|66|{value}")
        elif value.startswith("oid:"):
            lines.append(f"{oid}|6|{value[4:]}")
        else:
            lines.append(f"{oid}|4x|{value.encode().hex()}")
    return "\n".join(lines).encode() + b"\n"


class Answering(RealPart):
    """An SNMP agent on UDP that is ready when it answers one GET."""

    community = "public"

    async def ready(self) -> bool:
        """Whether it answers."""
        from gufo.snmp import SnmpError
        from gufo.snmp.aio import SnmpSession

        session = SnmpSession(
            self.host, port=self.port, community=self.community, timeout=0.3, limit_rps=None
        )
        with suppress(TimeoutError, SnmpError, OSError):
            return bool(await session.get_many([SYS_OBJECT_ID]))
        return False


class Snmpsim(Answering):
    """snmpsim: each record is a device of its own, whose community is the record's name."""

    program = str(Path(sys.executable).with_name("snmpsim-command-responder"))
    package = "none; PyPI snmpsim and pysmi"

    def __init__(self, directory: Path, records: Mapping[str, bytes]) -> None:
        """The records stand ready before it starts."""
        super().__init__(directory)
        self.log = directory / "snmpsim.log"
        self.community = next(iter(records))
        (directory / "data").mkdir()
        for name, record in records.items():
            (directory / "data" / f"{name}.snmprec").write_bytes(record)

    def arguments(self) -> list[str]:
        """As any user; as root it wants to be told that this is meant."""
        root = ["--process-user=root", "--process-group=root"] if os.geteuid() == 0 else []
        return [
            f"--data-dir={self.directory / 'data'}",
            f"--cache-dir={self.directory / 'cache'}",
            f"--agent-udpv4-endpoint={self.host}:{self.port}",
            "--log-level=error",
            *root,
        ]


class Snmpd(Answering):
    """net-snmp's agent: objects given by ``override``, one community, one SNMPv3 user."""

    program = "snmpd"
    package = "snmpd"

    def __init__(self, directory: Path, objects: Sequence[tuple[str, str, str]]) -> None:
        """``objects``: identifier, type as snmpd.conf names it, value."""
        super().__init__(directory)
        lines = [
            f"agentAddress udp:{self.host}:{self.port}",
            "rocommunity public",
            "createUser reader SHA-256 authsecret AES privsecret",
            "rouser reader priv",
            *(f"override -rw {oid} {kind} {value}" for oid, kind, value in objects),
        ]
        (directory / "snmpd.conf").write_text("\n".join(lines) + "\n")

    def arguments(self) -> list[str]:
        """In the foreground, with nothing of the machine's own configuration."""
        return ["-f", "-Le", "-C", "-c", str(self.directory / "snmpd.conf")]
