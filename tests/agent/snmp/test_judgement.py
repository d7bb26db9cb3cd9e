"""What a device says is judged: no answer crashes, no wrong watt passes."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.soundness import flaw_in
from jauge_agent.source import Outcome, SourceError
from jauge_agent.sources.snmp.device import SnmpDevice
from jauge_agent.sources.snmp.judgement import Measured, Total, judged, number_in
from jauge_agent.sources.snmp.profile import SYS_OBJECT_ID, Profile, profiles
from jauge_agent.sources.snmp.session import Value
from jauge_agent.testing import run_virtual
from jauge_models.wire import Sample

ANYTHING = st.one_of(
    st.integers(),
    st.integers(-10, 5000),
    st.floats(),
    st.binary(max_size=40),
    st.text(max_size=20),
    st.sampled_from([-1, 0, 2**31 - 1, 2**32 - 1, 2**64 - 1, b"", b"12.5", b"1e400", "1.3.6.1"]),
)


class Claiming:
    """An agent that claims to have everything a profile could ask for."""

    def __init__(self, object_id: str, answers: st.DataObject, rows: list[str]) -> None:
        """``answers`` gives the values, drawn as they are asked for."""
        self._object_id = object_id
        self._answers = answers
        self._rows = rows
        self.cut: set[str] = set()

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """Something for most of them."""
        found: dict[str, Value] = {}
        for oid in oids:
            if oid == SYS_OBJECT_ID:
                found[oid] = self._object_id
            elif self._answers.draw(st.integers(0, 9)):
                found[oid] = self._answers.draw(ANYTHING)
        return found

    async def column(self, oid: str) -> list[tuple[str, Value]]:
        """The rows, with something in each."""
        assert oid
        return [(row, self._answers.draw(ANYTHING)) for row in self._rows]


@pytest.mark.parametrize("profile", [pytest.param(each, id=each.family) for each in profiles()])
@given(answers=st.data(), rows=st.lists(st.sampled_from(["1", "2", "1.0", "1.2.3"]), unique=True))
@settings(max_examples=15, deadline=None)
def test_whatever_a_device_answers_is_in_range_or_left_out(
    profile: Profile, answers: st.DataObject, rows: list[str]
) -> None:
    """Never a crash, never a value outside the catalogue, never one series twice."""
    object_id = (profile.recognised.object_ids or ["1.3.6.1.4.1.9"])[0]
    device = SnmpDevice(Claiming(object_id, answers, rows), [profile], name="d", labels={})

    async def read() -> Outcome | None:
        try:
            await device.open()
            return await device.read()
        except SourceError:
            return None

    outcome = run_virtual(read())
    if outcome is None:
        return
    assert [sample for sample in outcome.samples if flaw_in(sample)] == []
    series = [(sample.resource, sample.quantity) for sample in outcome.samples]
    assert len(series) == len(set(series))
    assert set(outcome.failed) <= {
        *("absent", "unreadable", "no-value", "range", "suspicious", "scale", "incomplete"),
        *("changed", "unavailable", "identity", "negative", "state"),
    }
    assert all(number > 0 for number in outcome.failed.values())


def point(
    resource: str, quantity: str, *, none: tuple[float, ...] = (-1,), scale: float = 1
) -> Measured:
    """A value of a thing; its object is named like it."""
    high = {"voltage": 1000, "load": 2, "temperature": 125}.get(quantity, 1e6)
    return Measured(
        resource, quantity, f"{resource}/{quantity}", scale, 0, frozenset(none), 0, high
    )


def of(resource: str, **values: Value) -> tuple[list[Measured], dict[str, Value]]:
    """A thing with its raw values."""
    return (
        [point(resource, quantity) for quantity in values],
        {f"{resource}/{quantity}": value for quantity, value in values.items()},
    )


@pytest.mark.parametrize(
    ("resource", "values", "believed"),
    [
        ("phase:a", {"current": 21, "voltage": 227, "power": 0}, False),
        ("phase:a", {"current": 21, "power": 0}, False),
        ("phase:a", {"load": 0.2, "power": 0}, False),
        ("phase:a", {"current": 0, "voltage": 230, "power": 0, "load": 0}, True),
        ("outlet:a", {"current": 0.1, "voltage": 230, "power": 0}, True),
        ("phase:a", {"current": 18, "voltage": 220, "power": 34}, False),
        ("phase:a", {"current": 27, "voltage": 220, "power": 5100}, True),
        ("phase:a", {"current": 27, "voltage": 220, "power": 51_000}, False),
        ("pdu:a", {"current": 10, "voltage": 400, "power": 6900}, True),
        ("phase:a", {"current": 10, "voltage": 2300, "power": 2000}, False),
        # Tenths of kW, kW, tens of watts where watts are meant; watts that volt-amperes exclude.
        ("phase:a", {"current": 9, "voltage": 230, "power": 20}, False),
        ("phase:a", {"current": 9, "voltage": 230, "power": 2}, False),
        ("phase:a", {"current": 9, "voltage": 230, "power": 150}, False),
        ("phase:a", {"current": 9, "voltage": 230, "power": 210}, True),
        ("outlet:a", {"current": 0.3, "voltage": 230, "power": 8}, True),
        ("pdu:a", {"apparent_power": 1405, "power": 1391}, True),
        ("pdu:a", {"apparent_power": 1405, "power": 13_910}, False),
        ("pdu:a", {"apparent_power": 1405, "power": 14}, False),
        ("pdu:a", {"apparent_power": 1405, "power": 0}, False),
        ("pdu:a", {"apparent_power": 0, "power": 1391}, True),
        ("pdu:a", {"apparent_power": 60, "power": 0}, True),
    ],
)
def test_a_power_is_believed_when_nothing_beside_it_excludes_it(
    resource: str, values: dict[str, float], believed: bool
) -> None:
    """0 W while amperes flow, and watts that volts and amperes exclude, are left out."""
    wanted, objects = of(resource, **values)
    verdict = judged(wanted, [], objects)
    powers = [sample for sample in verdict.samples if sample.quantity == "power"]
    assert powers == ([Sample(resource, "power", values["power"])] if believed else [])
    assert bool(verdict.failed["suspicious"] + verdict.failed["scale"]) is not believed


def test_a_phase_that_runs_backwards_is_no_reading_and_is_said() -> None:
    """Counted by a reason of its own, named, and no part of a sum: one that lacks it is none."""
    parts = [point(f"phase:{n}", "power") for n in (1, 2, 3)]
    raw: dict[str, Value] = dict(
        zip((part.oid for part in parts), (3000, -2000, 3000), strict=True)
    )
    verdict = judged(parts, [Total("pdu:a", "power", parts)], raw)
    assert {sample.resource for sample in verdict.samples} == {"phase:1", "phase:3"}
    assert verdict.failed == {"negative": 1, "incomplete": 1}
    assert [doubt.partition(": ")[0] for doubt in verdict.doubts] == ["phase:2"]
    assert "reversed" in verdict.doubts[0]


def test_a_total_lacks_when_a_part_does() -> None:
    """The sum of two phases of three is no total."""
    parts = [point(f"phase:{n}", "power") for n in (1, 2, 3)]
    total = Total("ups:a", "power", parts)
    full: dict[str, Value] = {part.oid: 100 for part in parts}
    assert Sample("ups:a", "power", 300.0) in judged(parts, [total], full).samples
    lacking = judged(parts, [total], {**full, parts[1].oid: -1})
    assert "ups:a" not in {sample.resource for sample in lacking.samples}
    assert lacking.failed == {"no-value": 1, "incomplete": 1}


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (5, 5.0),
        (b" 12.5 ", 12.5),
        (b"12,5", None),
        (b"nan", None),
        (b"", None),
        (True, None),
        (math.inf, None),
        (10**400, None),
        ("1.3.6.1.4", None),
    ],
)
def test_numbers_are_read_from_text_and_nothing_else(raw: Value, number: float | None) -> None:
    """A finite number, or none."""
    assert number_in(raw) == number
