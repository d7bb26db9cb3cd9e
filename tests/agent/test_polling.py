"""Many devices behind one source: none waits for another, whatever the others do."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.polling import PROMPT_AGAIN, REOPEN_AFTER, Device, Poller
from jauge_agent.runner import Runner
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    RetryError,
    SourceSettings,
)
from jauge_agent.testing import ScriptedSource, Slow, Step, VirtualClock, configured, run_virtual
from jauge_models.wire import Method, ResourceDescription, Sample

PERIOD_S = 60.0
DEADLINE_S = 10.0
HANG = Slow(1e9, RetryError("never"))
_Result = TypeVar("_Result")


def watts(device: str, value: float = 1.0) -> Outcome:
    """One sample of a device."""
    return Outcome([Sample(f"pdu:{device}", "power", value)])


def described(device: str) -> list[ResourceDescription]:
    """What a device offers."""
    return [ResourceDescription(f"pdu:{device}", {"power": Method.GAUGE})]


def scripted(name: str, *script: Step, opening: Sequence[BaseException] = ()) -> ScriptedSource:
    """A device that plays a script."""
    return ScriptedSource(script, described(name), opening)


def poller(*devices: Device, period_s: float = PERIOD_S) -> Poller:
    """A poller with the usual settings."""
    settings_ = SourceSettings(period_s=period_s, deadline_s=DEADLINE_S)
    return Poller("snmp", devices, settings_, chance=random.Random(3))


async def ticks(
    polling: Poller, number: int, *, period_s: float = PERIOD_S
) -> list[tuple[float, Outcome | RetryError]]:
    """Open, then read at each period: how long each read took, and what it gave."""
    time = asyncio.get_running_loop().time
    await polling.open()
    found: list[tuple[float, Outcome | RetryError]] = []
    for _ in range(number):
        await asyncio.sleep(period_s - time() % period_s)
        begun = time()
        try:
            outcome: Outcome | RetryError = await polling.read()
        except RetryError as error:
            outcome = error
        found.append((time() - begun, outcome))
    await polling.close()
    return found


def given_by(outcome: Outcome | RetryError) -> Outcome:
    """The outcome, which must be one."""
    assert isinstance(outcome, Outcome), outcome
    return outcome


def names(outcome: Outcome | RetryError) -> list[str]:
    """Resources that came."""
    return [sample.resource for sample in given_by(outcome).samples]


def test_one_that_hangs_is_waited_for_once_and_then_never() -> None:
    """The first tick waits for its deadline, the later ones only for those that answer."""
    hanging = scripted("hang", HANG)
    polling = poller(Device("hang", hanging), Device("good", scripted("good", watts("good"))))
    (first, _), *later = run_virtual(ticks(polling, 30))
    assert first <= DEADLINE_S
    assert all(took < 0.1 for took, _ in later)
    assert all(names(outcome) == ["pdu:good"] for _, outcome in later)
    reasons = sum((Counter(given_by(outcome).failed) for _, outcome in later), Counter[str]())
    assert set(reasons) <= {"deadline", "lost"}
    assert 2 <= hanging.reads < 15
    assert hanging.closed >= 1


@given(
    scripts=st.lists(
        st.lists(
            st.sampled_from(["good", "slow", "late", "hang", "retry", "bug", "fatal", "refused"]),
            min_size=1,
            max_size=6,
        ),
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_healthy_device_is_read_at_every_tick_whatever_the_others_do(
    scripts: list[list[str]],
) -> None:
    """Its value is in each outcome, within the deadline, each series once, reasons bounded."""

    def step(name: str, kind: str) -> Step:
        steps: dict[str, Step] = {
            "good": watts(name),
            "slow": Slow(5, watts(name)),
            "late": Slow(50, watts(name)),
            "hang": HANG,
            "retry": RetryError("busy"),
            "bug": ValueError("bug"),
            "fatal": FatalError("not for us"),
            "refused": ConnectionRefusedError("refused"),
        }
        return steps[kind]

    others = [
        Device(str(at), scripted(str(at), *(step(str(at), kind) for kind in kinds)), deadline_s=55)
        for at, kinds in enumerate(scripts)
    ]
    healthy = scripted("healthy", watts("healthy"))
    found = run_virtual(ticks(poller(*others, Device("healthy", healthy)), 12))
    assert healthy.reads == 12
    for took, outcome in found:
        assert took <= DEADLINE_S * 0.9 + 0.01
        assert isinstance(outcome, Outcome)
        given_names = names(outcome)
        assert "pdu:healthy" in given_names
        assert len(given_names) == len(set(given_names))
        assert set(outcome.failed) <= {
            *("deadline", "retry", "unsuitable", "bug", "lost", "busy", "late"),
        }
        assert all(number > 0 for number in outcome.failed.values())


def test_a_device_is_never_asked_twice_at_a_time() -> None:
    """A call that ignores its cancellation keeps its device busy, and no other."""

    class Stubborn(ScriptedSource):
        running = 0
        most = 0

        async def read(self) -> Outcome:
            self.running += 1
            self.most = max(self.most, self.running)
            end = asyncio.get_running_loop().time() + 1000
            while (left := end - asyncio.get_running_loop().time()) > 0:
                try:
                    await asyncio.sleep(left)
                except asyncio.CancelledError:
                    continue
            self.running -= 1
            return watts("stubborn")

    stubborn = Stubborn([HANG], described("stubborn"))
    good = Device("good", scripted("good", watts("good")))
    found = run_virtual(ticks(poller(Device("stubborn", stubborn), good), 40))
    assert stubborn.most == 1
    assert all(names(outcome) == ["pdu:good"] for _, outcome in found)
    assert sum(given_by(outcome).failed.get("busy", 0) for _, outcome in found) > 10


def test_an_answer_after_the_tick_comes_with_the_next() -> None:
    """A device of 50 s delays nobody and is not lost either."""
    slow = Device("slow", scripted("slow", Slow(50, watts("slow"))), deadline_s=55)
    good = Device("good", scripted("good", watts("good")))
    (first, one), (second, two), (third, three), *_ = run_virtual(ticks(poller(slow, good), 5))
    assert first <= DEADLINE_S
    assert max(second, third) < 0.1
    assert names(one) == ["pdu:good"]
    assert names(two) == names(three) == ["pdu:slow", "pdu:good"]


def test_loss_and_recovery_are_said_once_per_device(caplog: pytest.LogCaptureFixture) -> None:
    """Two lines for one device however long it takes, and pauses that grow."""
    fails = [RetryError("no route")] * 6
    flaky = scripted("flaky", *fails, watts("flaky"))
    good = Device("good", scripted("good", watts("good")))
    with caplog.at_level(logging.INFO, "jauge_agent"):
        found = run_virtual(ticks(poller(Device("flaky", flaky), good), 60))
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["device lost", "device recovered"]
    assert all(record.__dict__["fields"]["device"] == "flaky" for record in caplog.records)
    assert names(found[-1][1]) == ["pdu:flaky", "pdu:good"]
    tried = [at for at, (_, outcome) in enumerate(found) if given_by(outcome).failed.get("retry")]
    assert len(tried) == 6
    assert tried[-1] - tried[-2] >= 2 * (tried[1] - tried[0])


def test_a_device_that_failed_often_is_opened_anew() -> None:
    """Another device may stand at its address: what it offers is asked again, and announced."""

    class Replaced(ScriptedSource):
        opened = 0

        async def open(self) -> Sequence[ResourceDescription]:
            self.opened += 1
            return described(f"serial-{self.opened}")

    script: list[Step] = [
        watts("serial-1"),
        *[RetryError("gone")] * REOPEN_AFTER,
        watts("serial-2"),
    ]
    replaced = Replaced(script)
    good = Device("good", scripted("good", watts("good")))
    found = run_virtual(ticks(poller(Device("one", replaced), good), 30))
    assert (replaced.opened, replaced.closed) == (2, 2)
    announced = [
        resources for _, each in found if (resources := given_by(each).resources) is not None
    ]
    assert [[one.id for one in resources] for resources in announced] == [
        ["pdu:serial-2", "pdu:good"]
    ]


def test_a_device_that_opens_late_is_announced_when_it_does() -> None:
    """The others start without it; the agent then has the full list of resources."""
    late = scripted("late", watts("late"), opening=[RetryError("booting")] * 3)
    polling = poller(Device("late", late), Device("good", scripted("good", watts("good"))))

    async def story() -> tuple[list[str], list[list[str]]]:
        at_first = [resource.id for resource in await polling.open()]
        announced = []
        for _ in range(20):
            await asyncio.sleep(PERIOD_S)
            outcome = await polling.read()
            if outcome.resources is not None:
                announced.append([resource.id for resource in outcome.resources])
        return at_first, announced

    at_first, announced = run_virtual(story())
    assert at_first == ["pdu:good"]
    assert announced == [["pdu:late", "pdu:good"]]


def test_periods_of_devices_are_kept_and_never_below_the_makers_floor() -> None:
    """A device of 150 s is read at every third tick of 60 s; a floor wins over a wish."""
    counted = {
        "each": (scripted("each", watts("each")), None, 0.0),
        "third": (scripted("third", watts("third")), 180.0, 0.0),
        "floor": (scripted("floor", watts("floor")), 60.0, 120.0),
        "eager": (scripted("eager", watts("eager")), 1.0, 0.0),
    }
    devices = [
        Device(name, source, period_s=period_s, floor_s=floor_s)
        for name, (source, period_s, floor_s) in counted.items()
    ]
    run_virtual(ticks(poller(*devices), 60))
    assert {name: source.reads for name, (source, *_) in counted.items()} == {
        "each": 60,
        "third": 20,
        "floor": 30,
        "eager": 60,
    }


def test_a_floor_that_a_device_tells_when_it_is_open_is_kept() -> None:
    """The family of a device is known only once it has answered."""

    class Careful(ScriptedSource):
        floor_s = 0.0

        async def open(self) -> Sequence[ResourceDescription]:
            self.floor_s = 180.0
            return self.resources

    careful = Careful([watts("careful")], described("careful"))
    run_virtual(ticks(poller(Device("careful", careful)), 30))
    assert careful.reads == 10


def test_a_resource_of_two_devices_is_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    """The same device under two addresses gives one series; it is said, and counted."""
    twice = [Device(name, scripted("same", watts("same"))) for name in ("a", "b")]
    found = run_virtual(ticks(poller(*twice), 3))
    assert all(names(outcome) == ["pdu:same"] for _, outcome in found)
    assert all(given_by(outcome).failed == {"duplicate": 1} for _, outcome in found)
    assert [record.getMessage() for record in caplog.records] == ["device repeats another"]


@pytest.mark.parametrize("slow", ["a", "b"])
def test_of_two_that_give_one_resource_the_first_listed_counts(
    slow: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who answers first makes no difference, nor that the first is lost for a while."""
    gone = RetryError("gone")
    script: dict[str, list[Step]] = {
        "a": [watts("same", 1), watts("same", 1), gone, gone, watts("same", 1)],
        "b": [watts("same", 2)],
    }
    script[slow] = [Slow(1, step) if isinstance(step, Outcome) else step for step in script[slow]]
    for chance in range(5):
        polling = Poller(
            "snmp",
            [Device(name, scripted("same", *steps)) for name, steps in script.items()],
            SourceSettings(period_s=PERIOD_S, deadline_s=DEADLINE_S),
            chance=random.Random(chance),
        )
        found = run_virtual(ticks(polling, 12))
        values = {sample.value for _, each in found for sample in given_by(each).samples}
        assert values == {1}
        assert given_by(found[-1][1]).failed == {"duplicate": 1}
    said = [r.__dict__["fields"] for r in caplog.records if "repeats" in r.getMessage()]
    assert {(each["device"], each["other"]) for each in said} == {("b", "a")}


def dated(device: str, *times: int) -> Outcome:
    """Samples that a device dated itself, their values their times."""
    moments = {each: [Sample(f"pdu:{device}", "power", float(each))] for each in times}
    return Outcome([Sample(f"pdu:{device}", "power", 1.0)], dated=moments)


def test_what_devices_dated_themselves_is_given_together_by_its_time() -> None:
    """Each moment has the samples of all devices."""
    first, other = scripted("a", dated("a", 10, 20)), scripted("b", dated("b", 20, 30))
    ((_, outcome),) = run_virtual(ticks(poller(Device("a", first), Device("b", other)), 1))
    given = {
        time: [each.resource for each in samples]
        for time, samples in given_by(outcome).dated.items()
    }
    assert given == {10: ["pdu:a"], 20: ["pdu:a", "pdu:b"], 30: ["pdu:b"]}


def test_what_is_dated_is_given_however_late_it_comes() -> None:
    """An answer too old for its tick keeps its dated samples, and counts the others."""
    late = scripted("late", Slow(30, dated("late", 10)))
    device = Device("late", late, period_s=600, deadline_s=600)
    _, (_, outcome) = run_virtual(ticks(poller(device), 2, period_s=300))
    assert names(outcome) == []
    assert list(given_by(outcome).dated) == [10]
    assert given_by(outcome).failed["late"] == 1


def test_an_answer_that_another_one_replaces_keeps_what_it_dated() -> None:
    """The second came before the first was given."""
    slow = scripted("slow", Slow(15, dated("slow", 10)), dated("slow", 20))
    found = run_virtual(ticks(poller(Device("slow", slow, deadline_s=600)), 2))
    given = [time for _, outcome in found if isinstance(outcome, Outcome) for time in outcome.dated]
    assert sorted(given) == [10, 20]


def test_dated_samples_of_a_resource_that_another_device_gives_are_counted_and_left_out() -> None:
    """Of two that give one resource the first one listed counts, also in the past."""
    first = ScriptedSource([dated("a", 10)], described("a"))
    other = ScriptedSource([dated("a", 10, 20)], described("a"))
    ((_, outcome),) = run_virtual(ticks(poller(Device("1", first), Device("2", other)), 1))
    assert {time: len(each) for time, each in given_by(outcome).dated.items()} == {10: 1}
    assert given_by(outcome).failed["duplicate"] == 3


def test_one_listed_first_that_opens_late_takes_its_resource() -> None:
    """Until then the other one gives it: never both at a time."""
    late = scripted("same", watts("same", 1), opening=[RetryError("booting")] * 2)
    soon = scripted("same", watts("same", 2))
    found = run_virtual(ticks(poller(Device("late", late), Device("soon", soon)), 12))
    values = [[sample.value for sample in given_by(each).samples] for _, each in found]
    assert all(len(each) == 1 for each in values)
    assert values == sorted(values, reverse=True)
    assert (values[0], values[-1]) == ([2], [1])


def test_one_that_hangs_again_and_again_is_not_waited_for_each_time() -> None:
    """Every second call hangs: one good answer is no reason to trust it again."""
    script: list[Step] = [watts("flap"), HANG]
    flapping = scripted("flap", *script * 60)
    good = Device("good", scripted("good", watts("good")))
    found = run_virtual(ticks(poller(Device("flap", flapping), good), 60))
    assert all("pdu:good" in names(outcome) for _, outcome in found)
    assert sum(took > 1 for took, _ in found) == 1
    assert sum("pdu:flap" in names(outcome) for _, outcome in found) > 10


def test_one_that_is_prompt_again_is_waited_for_again() -> None:
    """Late once, then in time some times in a row: its values come with their own tick."""
    script: list[Step] = [Slow(30, watts("x")), *[Slow(2, watts("x"))] * 30]
    good = Device("good", scripted("good", watts("good")))
    found = run_virtual(ticks(poller(Device("x", scripted("x", *script), deadline_s=55), good), 20))
    waited = [took > 1 for took, _ in found]
    assert waited == [True] + [False] * PROMPT_AGAIN + [True] * (19 - PROMPT_AGAIN)


def test_when_all_are_lost_the_source_says_so() -> None:
    """No device, no outcome: an empty one would pass for a good read."""
    dead = [Device(str(at), scripted(str(at), RetryError("no route"))) for at in range(3)]
    found = run_virtual(ticks(poller(*dead), 4))
    assert all(isinstance(outcome, RetryError) for _, outcome in found)
    assert "none of 3 devices answers; 0: no route" in str(found[0][1])


@pytest.mark.parametrize(
    ("devices", "error", "says"),
    [
        ([], AbsentError, "no device is listed under sources.snmp.devices"),
        ([ScriptedSource([HANG], opening=[RetryError("no route")])], RetryError, "x: no route"),
    ],
)
def test_opening_without_any_device(
    devices: list[ScriptedSource], error: type[Exception], says: str
) -> None:
    """Nothing listed is absence; nothing answering is temporary."""
    polling = poller(*(Device("x", device) for device in devices))
    with pytest.raises(error, match=says):
        run_virtual(polling.open())


def test_requests_are_spread_at_the_start_of_a_tick() -> None:
    """Five hundred devices are not asked at one instant, and are all there soon."""
    moments: list[float] = []

    def read(name: str) -> Callable[[], Outcome]:
        def give() -> Outcome:
            moments.append(asyncio.get_running_loop().time())
            return watts(name)

        return give

    devices = [Device(str(at), scripted(str(at), read(str(at)))) for at in range(500)]
    ((took, outcome),) = run_virtual(ticks(poller(*devices), 1))
    assert len(names(outcome)) == 500
    assert len(set(moments)) > 400
    assert took <= 1


def test_a_close_in_the_middle_ends_every_call_and_closes_every_device() -> None:
    """No session is left behind, not even by a device whose closing fails or hangs."""

    class Sticky(ScriptedSource):
        async def close(self) -> None:
            await asyncio.sleep(1e9)

    class Broken(ScriptedSource):
        async def close(self) -> None:
            raise OSError("gone")

    good = scripted("good", HANG)
    sources = [good, Sticky([HANG], described("sticky")), Broken([HANG], described("broken"))]
    polling = poller(*(Device(str(at), source) for at, source in enumerate(sources)))

    async def story() -> tuple[float, set[str]]:
        await polling.open()
        reading = asyncio.create_task(polling.read())
        await asyncio.sleep(1)
        reading.cancel()
        begun = asyncio.get_running_loop().time()
        await polling.close()
        here = asyncio.current_task()
        await asyncio.sleep(0)
        return (
            asyncio.get_running_loop().time() - begun,
            {task.get_name() for task in asyncio.all_tasks() if task is not here},
        )

    took, left = run_virtual(story())
    assert took <= 4
    assert left <= {"close 1"}
    assert good.closed == 1


def test_the_runner_announces_what_devices_offer_later() -> None:
    """Behind a real runner: a device that comes later is in the birth document."""
    late = scripted("late", watts("late"), opening=[RetryError("booting")])
    devices = [Device("late", late), Device("good", scripted("good", watts("good")))]
    polling = poller(*devices, period_s=10.0)
    settings_ = SourceSettings(period_s=10.0, deadline_s=DEADLINE_S)

    async def story() -> tuple[int, list[str]]:
        clock = VirtualClock()
        changes: list[None] = []
        runner = Runner(
            [configured("snmp", polling, settings_)],
            deliver=lambda *_: None,
            now_ms=clock.now_ms,
            on_change=lambda: changes.append(None),
            chance=random.Random(1),
        )
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(60)
        _, resources = runner.describe()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(changes), sorted(resource.id for resource in resources)

    assert run(story()) == (2, ["pdu:good", "pdu:late"])


def run(story: Coroutine[Any, Any, _Result]) -> _Result:
    """A story in virtual time."""
    return run_virtual(story)
