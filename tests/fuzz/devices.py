"""Devices that answer anything: what an agent reads of them is in the catalogue, or nothing.

Each kind of device is a strategy for its answers, and a function that reads them.
"""

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from hypothesis import strategies as st
from jauge_agent.soundness import flaw_in
from jauge_agent.source import Source, SourceError
from jauge_agent.sources.ipmi import answers as ipmi
from jauge_agent.sources.modbus import profile as maps
from jauge_agent.sources.modbus.config import ModbusDevice
from jauge_agent.sources.modbus.device import Meter
from jauge_agent.sources.modbus.gateway import Gateway
from jauge_agent.sources.redfish.inventory import take_inventory
from jauge_agent.sources.redfish.values import Document, take
from jauge_agent.sources.redfish.walking import Walk
from jauge_agent.sources.snmp.device import SnmpDevice
from jauge_agent.sources.snmp.profile import SYS_OBJECT_ID, profiles
from jauge_agent.sources.snmp.session import Value
from jauge_models.wire import Sample

from tests.agent.ipmi.test_answers import TABLES, TEXTS
from tests.agent.redfish.test_fuzz import services
from tests.agent.snmp.test_judgement import ANYTHING

Made = tuple[str, Any]
"""A kind of device, and its answers."""

_WORDS: Final = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0x7FC0]) | st.integers(
    0, 0xFFFF
)
_ROWS: Final = st.lists(st.sampled_from(["1", "2", "3", "1.0", "1.2.3"]), unique=True)


def devices() -> tuple[
    st.SearchStrategy[Made],
    Callable[[], contextlib.AbstractContextManager[Callable[[Made], None]]],
]:
    """What a target needs."""
    kinds: Mapping[str, st.SearchStrategy[Any]] = {
        "snmp": st.tuples(
            st.sampled_from(profiles()), _ROWS, st.lists(ANYTHING, min_size=1, max_size=60)
        ),
        "modbus": st.tuples(
            st.sampled_from(maps.names()), st.lists(_WORDS, min_size=1, max_size=60)
        ),
        "redfish": st.tuples(services(), services()),
        "ipmi": st.tuples(TEXTS, TABLES, TABLES, st.booleans()),
    }
    made = [st.tuples(st.just(kind), answers) for kind, answers in kinds.items()]
    return st.one_of(*made), _opened


@contextlib.contextmanager
def _opened() -> Iterator[Callable[[Made], None]]:
    reading: Mapping[str, Callable[..., list[Sample]]] = {
        "snmp": _snmp,
        "modbus": _modbus,
        "redfish": _redfish,
        "ipmi": _ipmi,
    }
    log = logging.getLogger("jauge_agent")
    before = log.level
    log.setLevel(logging.CRITICAL)  # thousands of devices are ill here
    with contextlib.ExitStack() as stack:
        stack.callback(log.setLevel, before)
        runner = stack.enter_context(asyncio.Runner())

        def run(made: Made) -> None:
            kind, answers = made
            samples = reading[kind](runner, *answers)
            assert [sample for sample in samples if flaw_in(sample)] == []

        yield run


async def _read(source: Source) -> list[Sample]:
    """Opened and read, twice; what it refuses by name is nothing."""
    samples: list[Sample] = []
    with contextlib.suppress(SourceError):
        await source.open()
        for _ in range(2):
            outcome = await source.read()
            series = [(sample.resource, sample.quantity) for sample in outcome.samples]
            assert len(series) == len(set(series)), "a series twice"
            assert all(number > 0 for number in outcome.failed.values())
            samples += outcome.samples
    return samples


class _Answering:
    """Meets `Objects`: the same answer for the same object, each time a device is made."""

    def __init__(self, object_id: str, rows: Sequence[str], values: Sequence[Value]) -> None:
        self.cut: set[str] = set()
        self._object_id = object_id
        self._rows = rows
        self._values = values

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """Nine of ten."""
        found = {oid: self._value(oid) for oid in oids if zlib.crc32(oid.encode()) % 10}
        return found | ({SYS_OBJECT_ID: self._object_id} if SYS_OBJECT_ID in oids else {})

    async def column(self, oid: str) -> list[tuple[str, Value]]:
        """All rows."""
        return [(row, self._value(f"{oid}.{row}")) for row in self._rows]

    def _value(self, oid: str) -> Value:
        return self._values[zlib.crc32(oid.encode()) % len(self._values)]


def _snmp(
    runner: asyncio.Runner, profile: Any, rows: Sequence[str], values: Sequence[Value]
) -> list[Sample]:
    object_id = (profile.recognised.object_ids or ["1.3.6.1.4.1.9"])[0]
    objects = _Answering(object_id, rows, values)
    return runner.run(_read(SnmpDevice(objects, [profile], name="d", labels={})))


class _Holding(Gateway):
    """A gateway before a meter that holds these words, over and over."""

    def __init__(self, words: Sequence[int]) -> None:
        super().__init__("h", 1, answer_s=1.0)
        self._words = words

    async def read(self, unit: int, function: Any, address: int, count: int) -> list[int]:  # noqa: ARG002 - of a gateway
        """Some of them."""
        return [self._words[(address + at) % len(self._words)] for at in range(count)]


def _modbus(runner: asyncio.Runner, name: str, words: Sequence[int]) -> list[Sample]:
    profile = maps.load(name)
    weight = 1e6 if profile.counts_pulses else None
    named = ModbusDevice(host="h", profile=name, id="x", pulse_weight=weight)
    return runner.run(_read(Meter(_Holding(words), named, profile)))


async def _got(documents: Mapping[str, Any], path: str) -> Document | None:
    found = documents.get(path.partition("?")[0].rstrip("/"))
    return found if isinstance(found, dict) else None


def _redfish(
    runner: asyncio.Runner, first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Sample]:
    plan = runner.run(take_inventory(Walk(partial(_got, first)), "bmc"))
    return [
        Sample(pick.resource, pick.quantity, value)
        for documents in (first, second)
        for pick, value in take(
            plan.picks, {path: each for path, each in documents.items() if isinstance(each, dict)}
        ).values
    ]


def _ipmi(
    runner: asyncio.Runner,
    statistics: str,
    first: str,
    second: str,
    has_power: bool,
) -> list[Sample]:
    power = ipmi.power(statistics)
    samples = [] if isinstance(power, ipmi.Missing) else [Sample("host:x", "power", power)]
    by_id = {line.id: line for line in ipmi.lines(second)[0]}
    for sensor in ipmi.worth_reading(ipmi.lines(first)[0], has_power=has_power):
        line = by_id.get(sensor.id)
        value = ipmi.Missing.NULL if line is None else ipmi.value(line, sensor)
        if not isinstance(value, ipmi.Missing):
            resource = f"{sensor.kind}:x.{sensor.tail}".rstrip(".")
            samples.append(Sample(resource, sensor.quantity, value))
    return samples
