"""Sums across restarts: a part that has gone is missed, and one that stays away is forgotten."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from jauge_agent.source import Outcome
from jauge_agent.sources.snmp.device import SnmpDevice
from jauge_agent.sources.snmp.members import FORGET_S, Members
from jauge_agent.sources.snmp.profile import SYS_OBJECT_ID, profiles
from jauge_agent.sources.snmp.session import Value
from jauge_agent.sources.snmp.settings import SnmpSettings
from jauge_agent.sources.snmp.source import SnmpSource
from jauge_agent.testing import run_virtual

from tests.agent.snmp.test_changes import ONE, TWO, chain, given, holding

PX = "1.3.6.1.4.1.13742.6"
TOTAL = ("pdu:S4A7", "power")


class Clock:
    """Unix time that stands still until it is set."""

    now_s = 1_790_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def remembered(file: Path, clock: Clock | None = None) -> Members:
    """What a source that starts anew knows."""
    members = Members(clock or Clock())
    members.keep_in(file)
    return members


def read_of(objects: dict[str, Value], members: Members) -> Outcome:
    """One reading of a device that is opened for the first time."""
    one = SnmpDevice(holding(objects), profiles(), name="pdu", labels={}, members=members)

    async def story() -> Outcome:
        await one.open()
        return await one.read()

    return run_virtual(story())


def inlets(available: Iterable[int]) -> dict[str, Value]:
    """A unit with two inlets of 1 kW each, of which those are measured."""
    found: dict[str, Value] = {SYS_OBJECT_ID: PX, f"{PX}.3.2.1.1.4.1": b"PXA17"}
    for inlet in (1, 2):
        found |= {
            f"{PX}.3.3.3.1.2.1.{inlet}": b"I",
            f"{PX}.5.2.3.1.4.1.{inlet}.5": 1000,
            f"{PX}.5.2.3.1.2.1.{inlet}.5": 1 if inlet in available else 2,
            f"{PX}.3.3.4.1.7.1.{inlet}.5": 0,
        }
    return found


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was said, and about what."""
    return [
        (record.getMessage(), str(record.__dict__["fields"].get("detail")))
        for record in caplog.records
    ]


def test_a_unit_that_fell_off_before_a_restart_is_still_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """1 + 2 kW, a restart, and the second unit is in no table: 1 kW is not the whole."""
    file = tmp_path / "snmp"
    assert given(read_of(chain(ONE, TWO), remembered(file)))["pdu:S4A7/power"] == 3000
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        outcome = read_of(chain(ONE), remembered(file))
    assert "pdu:S4A7/power" not in given(outcome)
    assert outcome.failed["incomplete"] == 1
    assert said(caplog) == [("sum incomplete", "pdu:S4A7: power without inlet:S4A7.2.1")]
    assert given(read_of(chain(ONE, TWO), remembered(file)))["pdu:S4A7/power"] == 3000


def test_what_stays_away_for_a_month_is_taken_for_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not a day before, and it is said; what is there is never forgotten."""
    file, clock = tmp_path / "snmp", Clock()
    read_of(chain(ONE, TWO), remembered(file, clock))
    clock.now_s += FORGET_S - 1
    assert "pdu:S4A7/power" not in given(read_of(chain(ONE), remembered(file, clock)))
    clock.now_s += 2
    caplog.clear()
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        outcome = read_of(chain(ONE), remembered(file, clock))
    assert given(outcome)["pdu:S4A7/power"] == 1000
    assert [event for event, _ in said(caplog)] == ["part of a sum forgotten"]
    assert remembered(file, clock).of(TOTAL) == {("inlet:S4A7.1.1", "power")}


def test_an_inlet_that_was_never_available_makes_no_smaller_sum(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The device has it and says that it does not measure it: from the first survey on."""
    assert given(read_of(inlets((1, 2)), Members()))["pdu:PXA17/power"] == 2000
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        outcome = read_of(inlets((1,)), Members())
    assert given(outcome) == {"inlet:PXA17.1.1/power": 1000}
    assert said(caplog) == [("sum incomplete", "pdu:PXA17: power without inlet:PXA17.1.2")]


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"resource": 5}]', b"\xff"])
def test_a_file_that_is_none_is_begun_anew(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Said, and then kept again."""
    file = tmp_path / "snmp"
    file.write_bytes(text)
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        read_of(chain(ONE, TWO), remembered(file))
    assert [event for event, _ in said(caplog)] == ["parts of sums not known"]
    assert len(remembered(file).of(TOTAL)) == 2


def test_a_folder_that_cannot_be_written_costs_no_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once for all devices; the sums go on from memory."""
    members = remembered(tmp_path / "nowhere" / "snmp")
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        for _ in range(2):
            assert given(read_of(chain(ONE, TWO), members))["pdu:S4A7/power"] == 3000
            read_of(inlets((1, 2)), members)
    assert [event for event, _ in said(caplog)] == ["parts of sums not kept"]
    assert len(members.of(TOTAL)) == 2


def test_the_file_is_written_when_something_is_new_and_once_a_day(tmp_path: Path) -> None:
    """Thousands of surveys a day must not wear a disk out."""
    file, clock = tmp_path / "snmp", Clock()
    members = remembered(file, clock)
    read_of(chain(ONE, TWO), members)
    first = file.read_bytes()
    clock.now_s += 3600
    read_of(chain(ONE, TWO), members)
    assert file.read_bytes() == first
    clock.now_s += 86_400
    read_of(chain(ONE, TWO), members)
    seen = {part["seen_s"] for one in json.loads(file.read_bytes()) for part in one["parts"]}
    assert seen == {clock.now_s}


def test_a_clock_that_was_ahead_keeps_nothing_for_years(tmp_path: Path) -> None:
    """Seen in 2100, the clock put right: a month from then it is forgotten."""
    file, clock = tmp_path / "snmp", Clock()
    clock.now_s += 80 * 365 * 86_400
    read_of(chain(ONE, TWO), remembered(file, clock))
    clock.now_s = Clock.now_s
    members = remembered(file, clock)
    assert len(members.of(TOTAL)) == 2
    clock.now_s += FORGET_S + 1
    assert members.of(TOTAL) == set()


async def test_the_source_keeps_its_file_where_the_agent_says(tmp_path: Path) -> None:
    """Without devices nothing is written."""
    source = SnmpSource(SnmpSettings())
    source.remember(tmp_path / "snmp")
    with pytest.raises(Exception, match="no device is listed"):
        await source.open()
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - a folder of this test
