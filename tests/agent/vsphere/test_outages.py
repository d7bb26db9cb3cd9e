"""What was missed is asked for later: complete, none twice, at its own time and value."""

from collections.abc import Iterable
from pathlib import Path

import pytest

pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")

from jauge_agent.source import Outcome, RetryError
from jauge_agent.sources.vsphere.places import KEPT_MS
from jauge_agent.sources.vsphere.polling import LEAST_BEHIND, MOST_BEHIND, most_behind
from jauge_agent.sources.vsphere.settings import VsphereSettings
from jauge_agent.sources.vsphere.source import VCenterSource
from jauge_agent.sources.vsphere.totals import STEP_MS
from jauge_agent.trust import Trust

from tests.agent.vsphere.conftest import Ground, Start, plain, values
from tests.agent.vsphere.relay import Record

POWER, CPU = 157, 2
"""What the simulator calls the counters."""


@pytest.fixture
async def ground(start: Start) -> Ground:
    """A vCenter whose samples are those of the record."""
    made = await start("-hosts", "2", "-guests", "3", "-power")
    made.relay.record = Record(made.clock.now_ms)
    return made


def collected(outcomes: Iterable[Outcome]) -> dict[tuple[int, str, str], float]:
    """All dated values; none may come twice."""
    found: dict[tuple[int, str, str], float] = {}
    for outcome in outcomes:
        new = values(outcome)
        assert not new.keys() & found.keys()
        found |= new
    return found


async def caught_up(source: VCenterSource) -> list[Outcome]:
    """Read until nothing is missing."""
    found = [await source.read()]
    while source.behind:
        assert len(found) < 50
        found.append(await source.read())
    return found


def keys(source: VCenterSource, record: Record) -> dict[str, str]:
    """Keys of what the record holds, by resource."""
    inventory = source.inventory
    assert inventory is not None
    found = {host.resource: key for key, host in inventory.hosts.items()}
    found |= {guest.resource: key for key, guest in inventory.guests.items()}
    return {resource: key for resource, key in found.items() if key in record.keys}


def check(
    found: dict[tuple[int, str, str], float], source: VCenterSource, ground: Ground
) -> tuple[int, int]:
    """Each series is complete and has the record's values; gives first and last time."""
    record = ground.relay.record
    assert record is not None
    known = keys(source, record)
    assert len(known) == 3
    spans: set[tuple[int, int]] = set()
    for resource, key in known.items():
        for quantity, counter, factor in (("power", POWER, 1), ("cpu_utilisation", CPU, 1e-4)):
            series = {
                time: value
                for (time, name, what), value in found.items()
                if (name, what) == (resource, quantity)
            }
            first, last = min(series), max(series)
            assert sorted(series) == list(range(first, last + 1, STEP_MS))
            for time, value in series.items():
                sample = record.value(key, counter, time)
                assert sample is not None
                assert value == pytest.approx(sample * factor)
            spans.add((first, last))
    (span,) = spans
    return span


async def test_after_an_outage_of_fifty_minutes_nothing_is_missing_and_nothing_double(
    ground: Ground,
) -> None:
    """151 samples between, each with the value that the vCenter had for that time."""
    source = ground.source()
    await source.open()
    outcomes = [await source.read()]
    ground.relay.is_down = True
    for _ in range(3):
        ground.clock.add(1000)
        with pytest.raises(RetryError):
            await source.read()
    ground.relay.is_down = False
    outcomes += await caught_up(source)
    found = collected(outcomes)
    first, last = check(found, source, ground)
    assert last - first == (150 + 8) * STEP_MS
    times = {time for time, _, what in found if what == "power"}
    assert len(times) == 159
    ground.clock.add(60)
    assert len({time for time, _, what in values(await source.read()) if what == "power"}) == 3


async def test_what_a_vcenter_has_no_more_is_not_asked_for_and_no_zero(ground: Ground) -> None:
    """After two hours, the last one."""
    source = ground.source()
    await source.open()
    before = collected([await source.read()])
    ground.clock.add(7200)
    after = collected(await caught_up(source))
    check(before, source, ground)
    first, last = check(after, source, ground)
    assert KEPT_MS - 2 * STEP_MS <= last - first < KEPT_MS
    assert 0 not in after.values()


async def test_new_samples_come_before_old_ones_and_a_read_has_its_bounds(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of five minutes, the oldest first, beside what is new at each reading."""
    monkeypatch.setattr("jauge_agent.sources.vsphere.polling.MOST_BEHIND", 1)
    source = ground.source()
    await source.open()
    before = await source.read()
    newest = max(time for time, *_ in values(before))
    ground.clock.add(2000)
    outcomes: list[Outcome] = []
    for number in range(1, 7):
        outcome = await source.read()
        outcomes.append(outcome)
        times = sorted({time for time, _, what in values(outcome) if what == "power"})
        old = [each for each in times if each <= newest + number * 300_000]
        assert len(old) == 15
        assert len(times) - len(old) >= 3
        ground.clock.add(60)
    outcomes += await caught_up(source)
    check(collected([before, *outcomes]), source, ground)


@pytest.mark.parametrize(
    ("step", "period_ms", "samples"),
    [
        (200, 60_000, LEAST_BEHIND),  # an hour of fifty guests at once
        (16_200, 60_000, 97_200),
        (16_200, 20_000, LEAST_BEHIND),
        (16_200, 300_000, MOST_BEHIND),
    ],
)
def test_the_past_is_made_good_twice_as_fast_as_time_passes_within_bounds(
    step: int, period_ms: int, samples: int
) -> None:
    """5 000 guests and 300 hosts have 16 200 samples every 20 s."""
    assert most_behind(step, period_ms) == samples


async def test_a_small_share_of_the_past_goes_round_the_oldest_first(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request for one of five at each reading, each once before one comes again."""
    monkeypatch.setattr("jauge_agent.sources.vsphere.polling.MOST_BEHIND", 1)
    (device,) = ground.settings().devices
    settings = VsphereSettings(devices=[device], batch=1)
    source = VCenterSource(device, settings, Trust())
    ground.sources.append(source)
    await source.open()
    newest = max(time for time, *_ in values(await source.read()))
    ground.clock.add(2000)
    asked: list[str] = []
    for _ in range(10):
        given = values(await source.read())
        old = {
            name
            for time, name, what in given
            if what == "cpu_utilisation" and time <= newest + 600_000
        }
        assert len(old) <= 1
        asked += old
    # Three of the five are in the record.
    assert len(asked) == 6
    assert len(set(asked[:3])) == len(set(asked[3:])) == 3


async def test_after_a_restart_the_agent_goes_on_where_it_stood(
    ground: Ground, tmp_path: Path
) -> None:
    """From the file: nothing is missing, and what is asked again is some minutes at most."""
    file = tmp_path / "vsphere-vcenter"
    source = ground.source()
    source.remember(file)
    await source.open()
    outcomes = []
    for _ in range(4):
        outcomes.append(await source.read())
        ground.clock.add(60)
    await source.close()
    before = collected(outcomes)
    assert file.stat().st_size < 400
    ground.clock.add(1800)
    again = ground.source()
    again.remember(file)
    await again.open()
    after = collected(await caught_up(again))
    check(before | after, again, ground)
    twice = {time for time, _, what in before.keys() & after.keys() if what == "power"}
    # Two readings whose samples may not have come to the spool, and three minutes before them.
    assert len(twice) == 3 + 3 + 9
    assert all(
        before[key] == after[key] for key in before.keys() & after.keys() if key[2] == "power"
    )


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"vcenter":"x","groups":[]}', b"\xff\x00"])
async def test_a_broken_file_is_as_none(ground: Ground, tmp_path: Path, text: bytes) -> None:
    """It begins with the last minutes, and writes a sound one."""
    file = tmp_path / "vsphere-vcenter"
    file.write_bytes(text)
    source = ground.source()
    source.remember(file)
    await source.open()
    for _ in range(3):
        assert len({time for time, _, what in values(await source.read()) if what == "power"}) > 0
        ground.clock.add(60)
    await source.read()
    assert file.read_bytes().startswith(b'{"vcenter":"dbed6e0c')


async def test_a_reading_that_nobody_waited_for_is_read_again(ground: Ground) -> None:
    """Its places are not taken: the samples come with the next one."""
    source = ground.source()
    await source.open()
    before = await source.read()
    ground.clock.add(60)
    await source._called(source._read)  # what a deadline does: the answer is thrown away
    after = await source.read()
    first, last = check(collected([before, after]), source, ground)
    assert last - first == (8 + 3) * STEP_MS
    assert plain(after, "runs_on")
