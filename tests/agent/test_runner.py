"""The runner: aligned ticks, deadlines, back-off, one broken source never delays another."""

import asyncio
import contextlib
import gc
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jauge_agent.config import ConfiguredSource
from jauge_agent.runner import Runner
from jauge_agent.source import AbsentError, FatalError, Outcome, RetryError, SourceSettings
from jauge_agent.testing import (
    START_MS,
    ScriptedSource,
    Slow,
    Step,
    VirtualClock,
    configured,
    run_virtual,
)
from jauge_agent.worker import DATED_PER_S, Standing
from jauge_models.wire import Method, ResourceDescription, Sample

from tests.parts import eventually

SECOND = 1000
FULL_SECOND_MS = START_MS + 500


def power(watts: float, resource: str = "host") -> Outcome:
    """An outcome of one power sample."""
    return Outcome([Sample(resource, "power", watts)])


def source(
    name: str, *script: Step, period_s: float = 1.0, deadline_s: float = 10.0
) -> ConfiguredSource:
    """A scripted source ready for the runner."""
    settings = SourceSettings(period_s=period_s, deadline_s=deadline_s)
    return configured(name, ScriptedSource(script), settings)


@dataclass
class Seen:
    """What a runner delivered, and when."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    batches: list[tuple[int, list[Sample]]] = field(default_factory=list)
    moments_ms: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    changes: int = 0

    def deliver(self, time_ms: int, samples: Sequence[Sample]) -> None:
        """Keep a batch."""
        self.batches.append((time_ms, list(samples)))
        self.moments_ms.append(self.clock.now_ms())

    def change(self) -> None:
        """Count."""
        self.changes += 1

    @property
    def times(self) -> list[int]:
        """Tick times in seconds after the first full second."""
        return [(time_ms - FULL_SECOND_MS) // SECOND for time_ms, _ in self.batches]


def run(
    sources: Sequence[ConfiguredSource],
    during: Callable[[Seen, Runner], Awaitable[None]],
) -> tuple[Seen, Runner]:
    """Run sources in virtual time while ``during`` runs, then cancel."""

    async def main() -> tuple[Seen, Runner]:
        seen = Seen()
        runner = Runner(
            sources,
            deliver=seen.deliver,
            now_ms=seen.clock.now_ms,
            on_step=seen.steps.append,
            on_change=seen.change,
            chance=random.Random(7),
        )
        task = asyncio.create_task(runner.run())
        await during(seen, runner)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen, runner

    return run_virtual(main())


def run_for(seconds: float, *sources: ConfiguredSource) -> tuple[Seen, Runner]:
    """Run sources for a while."""

    async def wait(_: Seen, __: Runner) -> None:
        await asyncio.sleep(seconds)

    return run(sources, wait)


def scripted(one: ConfiguredSource) -> ScriptedSource:
    """The source inside."""
    made = one.build()
    assert isinstance(made, ScriptedSource)
    return made


def test_ticks_fall_on_multiples_of_the_period() -> None:
    """Samples carry wall-clock multiples, though the agent started between two."""
    seen, _ = run_for(95, source("a", power(1), period_s=30))
    assert [time_ms % 30_000 for time_ms, _ in seen.batches] == [0, 0, 0]
    assert len({time_ms for time_ms, _ in seen.batches}) == 3


def test_the_tick_stamps_the_samples_not_the_reading() -> None:
    """A read that takes 100 ms is stamped with the tick that began it."""
    seen, _ = run_for(2.9, source("a", Slow(0.1, power(1))))
    assert [time_ms for time_ms, _ in seen.batches] == [
        FULL_SECOND_MS,
        FULL_SECOND_MS + SECOND,
        FULL_SECOND_MS + 2 * SECOND,
    ]
    assert seen.moments_ms[0] == FULL_SECOND_MS + 100


def test_sources_of_one_tick_make_one_batch() -> None:
    """Different periods meet in one batch where their ticks coincide."""
    seen, _ = run_for(4, source("a", power(1)), source("b", power(2, "psu:1"), period_s=2.0))
    sizes = [len(samples) for _, samples in seen.batches]
    assert sorted(sizes) == [1, 1, 2, 2]


def test_a_slow_source_makes_a_late_batch_with_the_same_time() -> None:
    """The batch closes after the grace; the late answer follows alone under its tick's time."""
    slow = source("slow", Slow(0.8, power(2, "psu:1")), period_s=10)
    seen, _ = run_for(11, source("quick", power(1), period_s=10), slow)
    (first, quick), (second, late) = seen.batches
    assert first == second
    assert [sample.resource for sample in quick] == ["host"]
    assert [sample.resource for sample in late] == ["psu:1"]
    assert [moment - first for moment in seen.moments_ms] == [250, 800]


def test_a_hanging_source_delays_nobody() -> None:
    """Others are read at each tick while one hangs until its deadline, which counts."""
    hanging = source("hang", Slow(1e6, power(2)), deadline_s=3)
    seen, runner = run_for(20, source("good", power(1)), hanging)
    assert seen.times == list(range(20))
    stats = runner.source_stats["hang"]
    assert stats.reads - 1 <= stats.failures["deadline"] <= stats.reads
    assert stats.failures["deadline"] >= 2
    assert stats.skipped > 0
    assert runner.source_stats["good"].skipped == 0


def test_an_open_tick_is_known_until_its_last_answer() -> None:
    """The oldest unfinished tick is told, so that nothing claims to be settled past it."""

    async def look(seen: Seen, runner: Runner) -> None:
        assert runner.open_tick_ms() is None
        await asyncio.sleep(2.6)
        assert runner.open_tick_ms() == FULL_SECOND_MS
        await asyncio.sleep(1.4)
        assert runner.open_tick_ms() != FULL_SECOND_MS

    run([source("slow", Slow(3, power(1)))], look)


def test_absence_is_said_once_and_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A source that is not for this host is described as absent, with its reason."""
    absent = configured(
        "rapl", ScriptedSource([power(1)], opening=[AbsentError("no powercap")]), SourceSettings()
    )
    with caplog.at_level(logging.INFO, "jauge_agent"):
        _, runner = run_for(100, absent)
    assert [record.getMessage() for record in caplog.records] == ["source absent"]
    (described,), _ = runner.describe()
    assert described.absent == "no powercap"
    stats = runner.source_stats["rapl"]
    assert (stats.standing, stats.reads, dict(stats.failures)) == (Standing.ABSENT, 0, {})
    assert scripted(absent).closed == 1


def test_retry_backs_off_and_is_said_once_on_loss_and_once_on_recovery(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pauses grow up to their bound; the log has two lines however long it takes."""
    fails = [RetryError("bus busy")] * 12
    flaky = source("bmc", *fails, power(1))
    with caplog.at_level(logging.INFO, "jauge_agent"):
        seen, runner = run_for(3600, flaky)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["source lost", "source recovered"]
    assert runner.source_stats["bmc"].failures == {"retry": 12}
    assert runner.source_stats["bmc"].standing is Standing.RUNNING
    # 1 + 2 + 4 + … + 256 + 300 + … with jitter between half and whole.
    assert 550 < seen.times[0] < 1500
    assert seen.times[-1] - seen.times[-2] == 1


def test_opening_is_tried_again() -> None:
    """A source that cannot be opened yet is opened later and then described anew."""
    resource = ResourceDescription("host", {"power": Method.GAUGE})
    late = configured(
        "late",
        ScriptedSource([power(1)], [resource], opening=[RetryError("booting"), OSError("no")]),
        SourceSettings(period_s=1),
    )
    seen, runner = run_for(10, late)
    assert seen.times
    assert seen.changes == 1
    assert runner.describe()[1] == [resource]
    assert dict(runner.source_stats["late"].failures) == {"retry": 1, "bug": 1}


def test_fatal_stops_that_source_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The source is closed and never read again; the others go on."""
    broken = source("broken", power(1, "psu:1"), FatalError("firmware too old"))
    with caplog.at_level(logging.INFO, "jauge_agent"):
        seen, runner = run_for(6, source("good", power(2)), broken)
    assert seen.times == list(range(6))
    assert runner.source_stats["broken"].standing is Standing.STOPPED
    assert (scripted(broken).reads, scripted(broken).closed) == (2, 1)
    assert [record.getMessage() for record in caplog.records] == ["source stopped"]


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError("x"), KeyError("y"), asyncio.CancelledError(), RecursionError()]
)
def test_a_bug_counts_and_never_crashes(
    bug: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is one log line and a count; the source is tried again."""
    buggy = source("buggy", bug, bug, power(1))
    with caplog.at_level(logging.INFO, "jauge_agent"):
        seen, runner = run_for(20, buggy)
    assert runner.source_stats["buggy"].failures == {"bug": 2}
    assert seen.times
    assert [r.getMessage() for r in caplog.records] == ["source lost", "source recovered"]


@pytest.mark.parametrize("rubbish", [None, 3, Outcome([None]), Outcome([("host", "power")])])  # type: ignore[list-item]
def test_what_is_no_outcome_is_a_bug_of_the_source(rubbish: object) -> None:
    """Whatever a source returns, the runner goes on."""
    odd = source("odd", lambda: rubbish)  # type: ignore[arg-type, return-value]
    seen, runner = run_for(3.2, source("good", power(1)), odd)
    assert seen.times == [0, 1, 2]
    assert runner.source_stats["odd"].failures["bug"] > 0


def test_a_source_that_does_not_let_itself_be_cancelled_holds_back_itself_alone() -> None:
    """Reads that outlive their deadline do not pile up, and others are read at each tick."""
    reads = 0

    class Stubborn(ScriptedSource):
        async def read(self) -> Outcome:
            nonlocal reads
            reads += 1
            for _ in range(100):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
            return power(2, "psu:1")

    stubborn = configured("x", Stubborn([]), SourceSettings(period_s=1, deadline_s=2))
    seen, runner = run_for(50, source("good", power(1)), stubborn)
    assert seen.times == list(range(50))
    assert reads == 1
    assert runner.source_stats["x"].failures["deadline"] == 1
    assert runner.source_stats["x"].failures["retry"] > 0


def test_a_source_may_use_task_groups_that_fail() -> None:
    """A failing task group inside a source leaves its worker alive."""

    class Grouped(ScriptedSource):
        async def read(self) -> Outcome:
            async def fail() -> None:
                await asyncio.sleep(0.01)
                raise OSError("device gone")

            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
            return power(1)

    _, runner = run_for(60, configured("g", Grouped([]), SourceSettings(period_s=1)))
    assert runner.source_stats["g"].failures["bug"] > 3


def test_a_partial_answer_keeps_what_it_has() -> None:
    """Values that could not be had are counted by reason; the rest is delivered."""
    partial = Outcome([Sample("host", "power", 1)], {"fault": 2})
    seen, runner = run_for(2.1, source("a", partial))
    assert len(seen.batches) == 2
    assert runner.source_stats["a"].missing == {"fault": 4}
    assert runner.source_stats["a"].failures == {}


def test_reasons_of_a_source_are_bounded() -> None:
    """A source that invents reasons without end does not grow the metrics without end."""
    many = Outcome([Sample("host", "power", 1)], {f"r{i}": 1 for i in range(500)})
    _, runner = run_for(1, source("a", many))
    missing = runner.source_stats["a"].missing
    assert len(missing) <= 32
    assert missing.total() == 500


@pytest.mark.parametrize(
    ("sample", "flaw"),
    [
        (Sample("host", "power", float("nan")), "value"),
        (Sample("host", "power", float("inf")), "value"),
        (Sample("host", "power", None), "value"),  # type: ignore[arg-type]
        (Sample("host", "power", 1e30), "range"),
        (Sample("host", "pwr", 1), "quantity"),
        (Sample("no such kind", "power", 1), "name"),
        (Sample("host", "power", 2), "repeated"),
    ],
)
def test_samples_against_the_rules_are_left_out_and_counted(sample: Sample, flaw: str) -> None:
    """What the catalogue does not allow never reaches the spool; the rest does."""
    seen, runner = run_for(2.1, source("a", Outcome([Sample("host", "power", 1), sample])))
    assert [samples for _, samples in seen.batches] == [[Sample("host", "power", 1)]] * 2
    assert runner.source_stats["a"].left_out[flaw] == 2


def test_one_series_from_two_sources_is_kept_once_per_tick() -> None:
    """Two sources that name the same series never make two values of one point."""
    slow = source("slow", Slow(0.5, power(2)), period_s=10)
    seen, runner = run_for(11, source("quick", power(1), period_s=10), slow)
    assert [samples for _, samples in seen.batches] == [[Sample("host", "power", 1)]]
    assert runner.source_stats["slow"].left_out["repeated"] == 1


@pytest.mark.parametrize("seconds", [7200.0, 3.0, -3.0, -7200.0])
def test_a_clock_step_is_recorded_with_its_size(seconds: float) -> None:
    """The step is told before the next tick, and ticks are aligned to the new time."""

    async def step(seen: Seen, _: Runner) -> None:
        await asyncio.sleep(5.1)
        seen.clock.step(seconds)
        await asyncio.sleep(5)

    seen, runner = run([source("a", power(1))], step)
    assert seen.steps == [round(seconds * 1000)]
    assert runner.stats.last_step_ms == round(seconds * 1000)
    assert all(time_ms % SECOND == 0 for time_ms, _ in seen.batches)
    after = seen.times[-1] - seen.times[4]
    assert after == pytest.approx(5 + seconds, abs=1.1)


def test_slewing_is_no_step() -> None:
    """Small corrections move the ticks without a word, and give no tick twice."""

    async def slew(seen: Seen, _: Runner) -> None:
        for _half in range(20):
            await asyncio.sleep(0.5)
            seen.clock.step(-0.02)

    seen, runner = run([source("a", power(1))], slew)
    assert runner.stats.steps == 0
    assert seen.times == list(range(len(seen.times)))


def test_a_tick_that_comes_too_late_is_not_given() -> None:
    """After the process stood still, no sample is stamped with a time long gone."""

    async def stand_still(_: Seen, __: Runner) -> None:
        await asyncio.sleep(2.1)
        loop = asyncio.get_running_loop()
        loop._jumping.now += 30.3  # type: ignore[attr-defined]
        await asyncio.sleep(2)

    seen, runner = run([source("a", power(1))], stand_still)
    assert runner.stats.missed == 30
    assert seen.times[:2] == [0, 1]
    assert all(
        moment - time_ms < SECOND
        for moment, (time_ms, _) in zip(seen.moments_ms, seen.batches, strict=True)
    )


def test_what_was_read_is_delivered_at_the_end_and_sources_are_closed() -> None:
    """A stop within the grace loses nothing of the tick, and closes each source once."""
    quick, slow = source("quick", power(1)), source("slow", Slow(9, power(2, "psu:1")))
    seen, _ = run_for(0.6, quick, slow)
    assert [samples for _, samples in seen.batches] == [[Sample("host", "power", 1)]]
    assert (scripted(quick).closed, scripted(slow).closed) == (1, 1)


def test_self_metrics_of_a_source() -> None:
    """Reads, last duration and last success are kept per source."""
    _, runner = run_for(3, source("a", Slow(0.2, power(1))))
    stats = runner.source_stats["a"]
    assert stats.reads == 3
    assert stats.last_duration_s == pytest.approx(0.2)
    assert stats.last_success_ms == FULL_SECOND_MS + 2 * SECOND + 200


def test_a_disabled_source_is_never_made() -> None:
    """``enabled = false`` keeps a source out of everything."""
    off = configured("off", ScriptedSource([power(1)]), SourceSettings(enabled=False))
    seen, runner = run_for(60, off, source("on", power(1), period_s=30))
    assert set(runner.source_stats) == {"on"}
    assert scripted(off).reads == 0
    assert len(seen.batches) == 2


def test_an_agent_without_sources_waits() -> None:
    """Nothing to read is no reason to end."""

    async def wait(_: Seen, __: Runner) -> None:
        await asyncio.sleep(60)

    seen, _ = run([], wait)
    assert seen.batches == []


def test_what_a_device_dated_itself_makes_batches_of_its_own_times() -> None:
    """Each moment is delivered as one batch, before the tick at which it came."""
    past = {FULL_SECOND_MS - 40 * SECOND: [Sample("host", "power", 1.0)]}
    outcome = Outcome([Sample("host", "power", 3.0)], dated=past)

    async def during(_: Seen, __: Runner) -> None:
        await asyncio.sleep(1.0)

    seen, _ = run([source("vcenter", outcome, power(4.0))], during)
    assert seen.times[0] == -40
    assert seen.batches[0][1] == [Sample("host", "power", 1.0)]
    assert seen.batches[1][1] == [Sample("host", "power", 3.0)]


def backlog() -> Outcome:
    """Three moments of the past with as many samples as are handed over in half a second."""
    many = [Sample(f"sensor:{n}", "temperature", 20.0) for n in range(DATED_PER_S // 2)]
    return Outcome((), dated={FULL_SECOND_MS - ago * SECOND: many for ago in (60, 40, 20)})


def test_many_samples_that_a_device_dated_are_spread_over_time() -> None:
    """The oldest first; a collector that gets an hour of a vCenter at once drops most of it."""

    async def during(seen: Seen, _: Runner) -> None:
        await eventually(lambda: len(seen.batches) == 3, within=10, what="three moments")

    seen, runner = run([source("vcenter", backlog())], during)
    assert seen.times == [-60, -40, -20]
    first, second, third = seen.moments_ms
    assert second - first == pytest.approx(500, abs=20)
    assert third - second == pytest.approx(500, abs=20)
    duration = runner.source_stats["vcenter"].last_duration_s
    assert duration is not None
    assert duration < 0.1


def test_what_waits_to_be_spread_is_delivered_when_the_agent_ends() -> None:
    """What was read is on disk before the end."""

    async def during(seen: Seen, _: Runner) -> None:
        await eventually(lambda: bool(seen.batches), within=10, what="one moment")

    seen, _ = run([source("vcenter", backlog())], during)
    assert seen.times == [-60, -40, -20]
    assert len(set(seen.moments_ms[1:])) == 1


def test_what_a_device_dates_ahead_of_the_clock_is_left_out_and_counted() -> None:
    """A batch of the future would stay unanswered until its time."""
    ahead = {FULL_SECOND_MS + 3600 * SECOND: [Sample("host", "power", 1.0)] * 2}

    async def during(_: Seen, __: Runner) -> None:
        await asyncio.sleep(1.0)

    seen, runner = run([source("vcenter", Outcome((), dated=ahead))], during)
    assert not seen.batches
    assert runner.source_stats["vcenter"].left_out["ahead"] == 2


def test_a_source_that_remembers_is_given_a_file_once_before_it_is_opened(tmp_path: Path) -> None:
    """The folder of its file is there already."""
    given: list[tuple[Path, bool]] = []

    class Remembering(ScriptedSource):
        """One that wants a file."""

        def remember(self, file: Path) -> None:
            """Note it."""
            given.append((file, file.parent.is_dir()))

    async def main() -> None:
        instance = Remembering((power(1.0),))
        runner = Runner(
            [configured("vcenter", instance, SourceSettings(period_s=1.0))],
            deliver=lambda _time_ms, _samples: None,
            now_ms=VirtualClock().now_ms,
            chance=random.Random(7),
            memory=tmp_path / "sources",
        )
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(2.5)
        task.cancel()
        await asyncio.wait((task,))

    run_virtual(main())
    assert given == [(tmp_path / "sources" / "vcenter", True)]


def test_how_a_call_ended_when_the_agent_did_is_not_reported_as_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its worker is cancelled in the moment in which it finds that the source is absent."""
    gc.collect()  # what other tests have left behind
    caplog.clear()

    class Last(ScriptedSource):
        """One whose opening ends as everything does."""

        async def open(self) -> Sequence[ResourceDescription]:
            """End the agent, and fail."""
            mine = asyncio.current_task()
            for task in asyncio.all_tasks() - {mine, ending}:
                task.cancel()
            raise AbsentError("not here")

    ending: asyncio.Task[None] | None = None

    async def main() -> None:
        nonlocal ending
        ending = asyncio.current_task()
        runner = Runner(
            [configured("x", Last(()), SourceSettings(period_s=1.0))],
            deliver=lambda _time_ms, _samples: None,
            now_ms=VirtualClock().now_ms,
            chance=random.Random(7),
        )
        await asyncio.wait((asyncio.create_task(runner.run()),))

    run_virtual(main())
    gc.collect()
    assert "never retrieved" not in caplog.text
