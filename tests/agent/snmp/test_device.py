"""A device over hours: surveyed now and then, its changes announced, its old values kept."""

import asyncio
import sys
from collections.abc import Sequence

import pytest
from jauge_agent.source import AbsentError, FatalError, Outcome, ResourceDescription, RetryError
from jauge_agent.sources.snmp.device import SURVEY_S, SnmpDevice
from jauge_agent.sources.snmp.profile import SYS_OBJECT_ID, profiles
from jauge_agent.sources.snmp.session import Value
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings, SnmpSettings
from jauge_agent.sources.snmp.source import SnmpSource
from jauge_agent.testing import run_virtual

RPDU2 = "1.3.6.1.4.1.318.1.1.26"
BASE: dict[str, Value] = {
    SYS_OBJECT_ID: "1.3.6.1.4.1.318.1.3.4.6",
    f"{RPDU2}.2.1.8.1": b"AP8000",
    f"{RPDU2}.2.1.9.1": b"SERIAL1",
    f"{RPDU2}.4.3.1.1.1": 1,
    f"{RPDU2}.4.3.1.5.1": 121,
}


class Memory:
    """Objects in memory, of which a test can change any, and which can fall silent."""

    def __init__(self) -> None:
        """The smallest device that the profile knows."""
        self.objects = dict(BASE)
        self.cut: set[str] = set()
        self.silent_tables = False

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """Those that there are."""
        return {oid: self.objects[oid] for oid in oids if oid in self.objects}

    async def column(self, oid: str) -> list[tuple[str, Value]]:
        """Rows in order."""
        if self.silent_tables:
            raise RetryError("no answer while its tables were read")
        rows = [key for key in self.objects if key.startswith(f"{oid}.")]
        return [(key[len(oid) + 1 :], self.objects[key]) for key in sorted(rows)]


def outlet(number: int, watts: int) -> dict[str, Value]:
    """An outlet that measures."""
    return {
        f"{RPDU2}.9.4.3.1.1.{number}": number,
        f"{RPDU2}.9.4.3.1.7.{number}": watts,
    }


def device(memory: Memory) -> SnmpDevice:
    """A device with all profiles at hand."""
    return SnmpDevice(memory, profiles(), name="pdu", labels={"feed": "B"})


def ids(resources: Sequence[ResourceDescription] | None) -> list[str] | None:
    """Their names."""
    return None if resources is None else [each.id for each in resources]


def test_a_new_outlet_is_found_and_announced() -> None:
    """Not before half an hour has passed, and then once."""
    memory = Memory()

    async def story() -> list[list[str] | None]:
        one = device(memory)
        announced = [ids(await one.open())]
        memory.objects |= outlet(1, 40)
        announced.append(ids((await one.read()).resources))
        await asyncio.sleep(SURVEY_S)
        announced.append(ids((await one.read()).resources))
        announced.append(ids((await one.read()).resources))
        return announced

    pdu = "pdu:SERIAL1"
    assert run_virtual(story()) == [[pdu], None, [pdu, "outlet:SERIAL1.1"], None]


def test_another_device_at_the_address_is_another_resource() -> None:
    """Seen at the next poll, of which nothing is given: no counter continues the old one's."""
    memory = Memory()

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.objects[f"{RPDU2}.2.1.9.1"] = b"SERIAL2"
        return [await one.read(), await one.read()]

    seen, outcome = run_virtual(story())
    assert (list(seen.samples), seen.failed) == ([], {"identity": 1})
    assert ids(seen.resources) == ["pdu:SERIAL2"]
    assert outcome.resources is None
    assert [sample.resource for sample in outcome.samples] == ["pdu:SERIAL2"]


def test_a_survey_that_fails_costs_no_value() -> None:
    """What is known goes on being read; the survey is tried again."""
    memory = Memory()

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.silent_tables = True
        await asyncio.sleep(SURVEY_S)
        outcomes = [await one.read()]
        memory.silent_tables = False
        memory.objects |= outlet(1, 40)
        return [*outcomes, await one.read()]

    silent, after = run_virtual(story())
    assert [sample.value for sample in silent.samples] == [1210]
    assert silent.resources is None
    assert ids(after.resources) == ["pdu:SERIAL1", "outlet:SERIAL1.1"]


def test_a_value_that_ends_is_counted_and_never_zero() -> None:
    """The device begins to say -1: no sample, a reason; it comes back as it went."""
    memory = Memory()

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        outcomes = []
        for raw in (121, -1, b"n/a", 0):
            memory.objects[f"{RPDU2}.4.3.1.5.1"] = raw
            outcomes.append(await one.read())
        del memory.objects[f"{RPDU2}.4.3.1.5.1"]
        return [*outcomes, await one.read()]

    outcomes = run_virtual(story())
    assert [[sample.value for sample in each.samples] for each in outcomes] == [
        [1210],
        [],
        [],
        [0],
        [],
    ]
    assert [dict(each.failed) for each in outcomes] == [
        {},
        {"no-value": 1},
        {"unreadable": 1},
        {},
        {"absent": 1},
    ]


def test_labels_of_the_configuration_are_on_everything() -> None:
    """The feed that the administrator names, beside what the device tells."""
    (pdu,) = run_virtual(device(Memory()).open())
    assert pdu.labels == {"family": "apc-rpdu2", "model": "AP8000", "feed": "B"}


def test_a_device_that_measures_nothing_is_named() -> None:
    """A profile fits, but none of its values is there."""
    memory = Memory()
    memory.objects[f"{RPDU2}.4.3.1.5.1"] = -1
    with pytest.raises(FatalError, match="offers no value that its profile names"):
        run_virtual(device(memory).open())


def test_without_the_library_the_source_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """In plain words, with what to install."""
    monkeypatch.setitem(sys.modules, "gufo", None)
    listed = SnmpDeviceSettings(host="127.0.0.1", community_file="community")
    source = SnmpSource(SnmpSettings(devices=[listed]))
    with pytest.raises(AbsentError, match=r"gufo-snmp is not installed; install jauge-agent\[snmp"):
        run_virtual(source.open())
