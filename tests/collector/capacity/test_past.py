"""What nodes and GPUs did, as the planner reads it: None where not known, never zero."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_collector.capacity import past
from jauge_collector.capacity.past import WEEKS, YEAR_WEEKS
from jauge_collector.config import StoreConfig
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_models.capacity.history import SAMPLES
from jauge_models.capacity.outlook import Counted
from jauge_models.intervals import Basis
from jauge_models.readings import Reading
from jauge_models.resources import Series, number_of
from jauge_models.wire import ResourceDescription
from sqlalchemy import text

from tests.collector.capacity.measured import (
    EACH_MS,
    HOUR,
    PLANT,
    Measured,
    by_hour,
    ledger_in,
    site_of,
    sqlite_in,
    steady,
)
from tests.collector.stores.conftest import Opened
from tests.parts import VictoriaMetrics


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Measured]:
    """A plant of which nothing was measured yet."""
    with ledger_in(tmp_path) as ledger:
        async with sqlite_in(tmp_path) as store:
            yield Measured(*site_of(tmp_path), ledger, store)


@pytest.fixture
async def single(tmp_path: Path) -> AsyncIterator[Measured]:
    """The same, whose third node has one GPU."""
    with ledger_in(tmp_path) as ledger:
        async with sqlite_in(tmp_path) as store:
            plant = PLANT.replace("gpus = 4", "gpus = 1\ngpu_memory_gib = 40")
            yield Measured(*site_of(tmp_path, plant=plant), ledger, store)


async def test_hours_are_means_and_what_was_not_measured_is_none(single: Measured) -> None:
    """A gap, an hour half covered, a row that nobody measured, and the time before all of it."""
    activity = steady(0.5, 5)
    del activity[-3]
    await single.say("n3", "gpu:0", "gpu_utilisation", activity)
    await single.say("n3", "gpu:0", "power", steady(200.0, 5))
    single.draw("gw/host:3", {-5: 900.0, -4: None})
    single.draw("gw/host:3", {-3: 900.0}, coverage=0.5)
    single.draw("gw/host:3", {-2: 900.0}, basis=Basis.ESTIMATE)
    single.draw("gw/host:3", {-1: 0.0})
    found = await single.read()
    (gpu,) = found.history.gpus
    assert (gpu.node, gpu.gpu, len(gpu.activity)) == ("n3", 0, WEEKS * 168)
    assert gpu.activity[-6:] == (
        None,
        *map(pytest.approx, (0.5, 0.5)),
        None,
        *map(pytest.approx, (0.5, 0.5)),
    )
    assert gpu.watts[-1] == pytest.approx(200.0)
    assert gpu.held == ()
    assert found.uses["n3"].used[-3:] == [None, 1.0, 1.0]
    assert len(found.node_w["n3"]) == found.power_hours == YEAR_WEEKS * 168
    assert found.node_w["n3"][-6:] == [None, 900.0, None, None, None, 0.0]
    assert set(found.node_w["n1"]) == {None}


async def test_readings_too_far_apart_measure_nothing_between(plant: Measured) -> None:
    """Eight minutes without one leave the hour unknown; four do not."""
    series = Series("ex", "n3", "gpu:0", "gpu_utilisation")
    start_ms = plant.end_ms - 2 * HOUR
    for hour, silent in ((0, range(10, 18)), (1, range(10, 14))):
        await plant.store.write(
            [
                Reading(series, start_ms + hour * HOUR + minute * 60_000, 0.25)
                for minute in range(61)
                if minute not in silent
            ]
        )
    (gpu,) = (await plant.read()).history.gpus
    assert gpu.activity[-2] is None
    assert gpu.activity[-1] == pytest.approx(0.25)


async def test_a_curve_is_learnt_and_too_little_is_said(plant: Measured) -> None:
    """Nine days of a node that is idle, half busy and busy; of the other kind nothing."""
    busy = by_hour(-216, 0, lambda hour: (0.0, 0.04, 0.6, 1.0)[hour % 4])
    for gpu in (0, 1):
        await plant.say("vc", f"gpu:a-{gpu}", "gpu_utilisation", busy)
        await plant.say("vc", f"gpu:a-{gpu}", "power", steady(100.0))
    plant.describe("vc", _cards("a", 2))
    await plant.say("vc", "host:a", "power", steady(1.0, 1))
    await plant.say("vc", "host:b", "power", steady(1.0, 1))
    plant.draw("n1", {hour: 300 + 700 * activity for hour, activity in busy.items()})
    found = await plant.read()
    assert found.unlearnt == {"four": SAMPLES}
    curve = found.history.curves["two"]
    assert curve.samples == 216
    assert curve.at(1.0)[0] == pytest.approx(1000, rel=0.02)
    assert curve.at(0.0)[0] == pytest.approx(300, rel=0.02)
    assert curve.error_of_full < 0.02


async def test_what_is_given_away_is_told_by_holders(plant: Measured) -> None:
    """By shares of parts, by who holds it whole, by silence of a GPU that is heard."""
    guest, host = number_of("guest:g"), number_of("host")
    for gpu in range(4):
        await plant.say("n3", f"gpu:{gpu}", "gpu_utilisation", steady(0.0))
    await plant.say("n3", "host", "power", steady(500.0))
    # Two parts of the first, one of them from the third hour before the end on.
    await plant.say("n3", "gpu_instance:0.1", "share", steady(0.25))
    await plant.say("n3", "gpu_instance:0.2", "share", steady(0.5, 2))
    # The second says who holds it: its host, then a guest. The third had somebody at first.
    holders = by_hour(-6, 0, lambda hour: float(host if hour < -3 else guest))
    await plant.say("n3", "gpu:1", "runs_on", holders)
    await plant.say("n3", "gpu:2", "share", by_hour(-6, -4, lambda _: 1.0))
    found = await plant.read()
    first, second, third, fourth = found.history.gpus
    assert first.held[-6:] == (True,) * 6
    assert second.held[-6:] == (False, False, False, True, True, True)
    assert third.held[-6:-4] == (True, True)
    assert third.held[-3:] == (False, False, False)
    assert (fourth.held, first.held[-7]) == ((), None)
    # The hour in which the share ends is not known for the third, so not for the node.
    assert found.uses["n3"].used[-7:] == [
        None,
        *map(pytest.approx, (1.25, 1.25)),
        pytest.approx(0.25),
        *map(pytest.approx, (1.25, 1.75, 1.75)),
    ]


async def test_an_hour_in_which_a_holder_came_is_not_known(plant: Measured) -> None:
    """Neither a whole hour nor none of it."""
    await plant.say("n3", "gpu:0", "gpu_utilisation", steady(0.5))
    series = Series("ex", "n3", "gpu:0", "share")
    half = range(plant.end_ms - HOUR // 2, plant.end_ms + 1, EACH_MS)
    await plant.store.write([Reading(series, at, 1.0) for at in half])
    await plant.say("n3", "gpu:1", "share", by_hour(-2, -1, lambda _: 1.0))
    gpu, _ = (await plant.read()).history.gpus
    # Before somebody was told to have the other one, nobody knows what the agent would have said.
    assert gpu.held[-3:] == (None, False, None)


async def test_hours_before_the_first_holder_was_told_are_not_known(single: Measured) -> None:
    """An agent that did not tell of holders yet gave its GPUs to nobody knows whom."""
    await single.say("n3", "gpu:0", "gpu_utilisation", steady(0.9))
    await single.say("n3", "gpu:0", "share", by_hour(-3, -2, lambda _: 0.5))
    use = (await single.read()).uses["n3"]
    assert use.used[-6:-3] == [None] * 3
    assert (use.used[-3], use.used[-1]) == pytest.approx((0.5, 0.0))


async def test_a_gpu_that_is_replaced_counts_until_then_and_the_new_one_since(
    single: Measured,
) -> None:
    """Though the store remembers the old one, and of the new one nothing was heard before."""
    old, new = by_hour(-60, -40, lambda _: 0.5), by_hour(-30, 0, lambda _: 0.25)
    await single.say("n3", "gpu:z", "gpu_utilisation", old)
    await single.say("n3", "gpu:a", "gpu_utilisation", new)
    found = await single.read()
    activity = found.uses["n3"].activity
    assert activity[-60:-40] == pytest.approx([0.5] * 20)
    assert activity[-40:-30] == [None] * 10
    assert activity[-30:] == pytest.approx([0.25] * 30)
    assert set(found.uses["n3"].used[-30:]) == {1.0}


async def test_a_replaced_gpu_takes_no_number_of_the_kind(single: Measured) -> None:
    """Who has the new one has the first GPU, whatever the old one was called."""
    await single.say("n3", "gpu:a", "gpu_utilisation", by_hour(-60, -40, lambda _: 0.5))
    await single.say("n3", "gpu:b", "gpu_utilisation", steady(0.25))
    at_ms, holder = single.now_ms - 60_000, float(number_of("guest:g"))
    await single.store.write(
        [
            Reading(Series("ex", "n3", "gpu:b", "runs_on"), at_ms, holder),
            Reading(Series("ex", "n3", "guest:g", "processors"), at_ms, 4.0),
        ]
    )
    (running,) = (await single.read()).history.running
    assert running.gpus == (0,)


async def test_gpus_that_fell_silent_together_are_not_gone(plant: Measured) -> None:
    """An agent that is down says nothing of what its GPUs do: not known, and not nothing."""
    for gpu in range(4):
        await plant.say("n3", f"gpu:{gpu}", "share", by_hour(-60, -40, lambda _: 1.0))
    use = (await plant.read()).uses["n3"]
    assert use.used[-60:-40] == pytest.approx([4.0] * 20)
    assert use.used[-40:] == [None] * 40


@pytest.mark.parametrize(("hours", "used"), [(23, None), (24, 3.0)])
async def test_a_gpu_is_gone_once_the_others_were_heard_for_a_day(
    plant: Measured, hours: int, used: float | None
) -> None:
    """Until then its silence may end; then it is held by nobody, and what all did is not known."""
    for gpu in range(4):
        first = 0 if gpu else -hours
        told = by_hour(-hours - 5, first, lambda _: 1.0)
        await plant.say("n3", f"gpu:{gpu}", "share", told)
        await plant.say("n3", f"gpu:{gpu}", "gpu_utilisation", told)
    use = (await plant.read()).uses["n3"]
    assert use.used[-hours - 5 : -hours] == pytest.approx([4.0] * 5)
    assert use.used[-hours + 1 :] == [used] * (hours - 1)
    assert use.activity[-hours - 2] == pytest.approx(1.0)
    assert use.activity[-1] is None


async def test_fewer_gpus_than_the_kind_has_do_not_tell_of_all(plant: Measured) -> None:
    """Two of four at work are not two of four: of the others nobody knows. Holders are told."""
    for gpu in range(2):
        await plant.say("n3", f"gpu:{gpu}", "gpu_utilisation", steady(0.5))
    use = (await plant.read()).uses["n3"]
    assert (use.used[-1], use.activity[-1]) == (None, None)
    for gpu in range(2):
        await plant.say("n3", f"gpu:{gpu}", "share", steady(0.5))
    use = (await plant.read()).uses["n3"]
    assert use.used[-1] == pytest.approx(1.0)
    assert use.activity[-1] is None


async def test_more_gpus_than_the_kind_has_are_not_used_ones(single: Measured) -> None:
    """The plant file is wrong then, and more than all of them would be used."""
    for gpu in range(2):
        await single.say("n3", f"gpu:{gpu}", "gpu_utilisation", steady(0.5))
        await single.say("n3", f"gpu:{gpu}", "share", steady(1.0))
    use = (await single.read()).uses["n3"]
    assert (use.used[-1], use.activity[-1], use.memory_mib[-1]) == (None, None, None)


async def test_gpus_of_a_gateway_with_many_hosts_are_in_one_node_each(plant: Measured) -> None:
    """By the host that a birth names, else by who holds them; the agent alone tells nothing."""
    for host in "abc":
        await plant.say("vc", f"host:{host}", "power", steady(500.0))
    for gpu in ("a-0", "a-1", "x", "y", "z"):
        await plant.say("vc", f"gpu:{gpu}", "gpu_utilisation", steady(0.5))
    plant.describe("vc", _cards("a", 2))
    at_ms = plant.now_ms - 60_000
    holders = {
        "gpu:x": "host:b",
        "gpu:y": "guest:g",
        "guest:g": "host:b",
        "gpu:z": "host:c",
    }
    await plant.store.write(
        [
            *(
                Reading(Series("ex", "vc", one, "runs_on"), at_ms, float(number_of(holder)))
                for one, holder in holders.items()
            ),
            Reading(Series("ex", "vc", "guest:g", "processors"), at_ms, 12.0),
        ]
    )
    found = await plant.read()
    assert [(one.node, one.gpu) for one in found.history.gpus] == [
        ("n1", 0),
        ("n1", 1),
        ("n2", 0),
        ("n2", 1),
    ]
    (running,) = found.history.running
    assert (running.node, running.gpus, running.workload.id) == ("n2", (1,), "vc/guest:g")
    assert (running.workload.gpu_milli, running.workload.cpu_milli) == (1000, 12_000)


async def test_who_has_gpus_now(plant: Measured) -> None:
    """A guest on parts of one, a guest on two whole ones; not the host, nor who left long ago."""
    at_ms = plant.now_ms - 60_000

    def said(resource: str, quantity: str, value: float, before_ms: int = 0) -> Reading:
        return Reading(Series("ex", "n3", resource, quantity), at_ms - before_ms, value)

    def held(resource: str, holder: str, share: float | None = None) -> list[Reading]:
        told = [said(resource, "runs_on", float(number_of(holder)))]
        return told if share is None else [*told, said(resource, "share", share)]

    await plant.store.write(
        [
            *held("gpu_instance:0.1", "guest:small", 0.25),
            *held("gpu_instance:0.2", "guest:small", 0.125),
            *held("gpu:1", "guest:large"),
            *held("gpu:2", "guest:large"),
            *held("gpu:3", "host"),
            said("guest:small", "processors", 4.0),
            said("guest:large", "cpu_utilisation", 0.5),
            said("guest:gone", "cpu_utilisation", 0.5, before_ms=HOUR),
        ]
    )
    found = (await plant.read()).history.running
    told = {one.workload.id: (one.gpus, one.workload.gpu_milli) for one in found}
    assert told == {"n3/guest:small": ((0,), 375), "n3/guest:large": ((1, 2), 1000)}


async def test_progress_is_told_node_by_node(plant: Measured) -> None:
    """How many were read, and how many there are."""
    heard: list[tuple[int, int]] = []
    await past.read(
        plant.site,
        plant.declared,
        plant.ledger,
        plant.store,
        plant.now_ms,
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.end_to_end
async def test_a_real_time_series_store_says_the_same(
    tmp_path: Path, victoria_metrics: VictoriaMetrics
) -> None:
    """The same hours out of VictoriaMetrics as out of SQLite."""
    now_ms = time.time_ns() // 1_000_000
    found = []
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with (
        sqlite_in(tmp_path) as sqlite,
        VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as server,
    ):
        for folder, store in ((tmp_path / "one", sqlite), (tmp_path / "two", server)):
            with ledger_in(folder) as ledger:
                plant = Measured(*site_of(folder), ledger, store, now_ms)
                told = await plant.say("n3", "gpu:0", "gpu_utilisation", steady(0.25))
                told += await plant.say("n3", "gpu:0", "power", steady(150.0))
                told += await plant.say("n3", "gpu_instance:0.1", "share", steady(0.5))
                if store is server:
                    await Opened(server, victoria_metrics).shows(told)
                plant.draw("gw/host:3", steady(700.0))
                found.append(await plant.read())
    first, second = found
    assert first == second
    assert {second.uses["n3"].used[hour] for hour in range(-6, 0)} == {0.5}


def _cards(host: str, number: int) -> list[ResourceDescription]:
    """A host and its GPUs, which name it, as a birth describes them."""
    name = f"host {host}"
    cards = [
        ResourceDescription(f"gpu:{host}-{at}", {}, "card", {"host": name}) for at in range(number)
    ]
    return [ResourceDescription(f"host:{host}", {}, name), *cards]


async def test_memory_is_what_holders_have_else_what_is_in_use(plant: Measured) -> None:
    """A part of the declared memory by its share; in bytes, or as a part of what is declared."""
    await plant.say("vc", "host:a", "power", steady(1.0, 1))
    await plant.say("vc", "host:b", "power", steady(1.0, 1))
    plant.describe("vc", [*_cards("a", 2), *_cards("b", 1)])
    for gpu in ("a-0", "a-1", "b-0"):
        await plant.say("vc", f"gpu:{gpu}", "gpu_utilisation", steady(0.5))
    await plant.say("vc", "gpu:a-0", "memory_used", steady(float(3 * 2**30)))
    await plant.say("vc", "gpu:a-0", "memory_utilisation", steady(0.9))
    await plant.say("vc", "gpu:a-1", "memory_utilisation", steady(0.25))
    await plant.say("vc", "gpu:b-0", "share", steady(0.5))
    await plant.say("vc", "gpu:b-0", "memory_used", steady(float(2**30)))
    found = (await plant.read()).uses
    assert found["n1"].memory_mib[-1] == pytest.approx((3 + 20) * 1024)
    assert found["n2"].memory_mib[-1] == pytest.approx(40 * 1024)
    assert (found["n1"].memory_counted, found["n1"].counted) == (
        Counted.MEMORY_USED,
        Counted.AT_WORK,
    )
    assert (found["n2"].memory_counted, found["n2"].counted) == (Counted.GIVEN, Counted.GIVEN)


async def test_a_year_is_read_in_pieces_and_is_the_same_then(single: Measured) -> None:
    """Each reading goes on where the last one stopped, and what was kept is not read again."""
    hours = by_hour(-30 * 168, 0, lambda hour: (0.0, 0.25, 0.5)[hour % 3])
    # A reading every two minutes of thirty weeks would take long: one hour in seven is enough.
    hours = {hour: part for hour, part in hours.items() if hour % 7 < 2}
    for quantity in ("gpu_utilisation", "power"):
        await single.say("n3", "gpu:0", quantity, hours)
    whole = await past.read(
        single.site, single.declared, single.ledger, single.store, single.now_ms, fresh=None
    )
    with single.ledger.transaction(writes=True) as connection:
        connection.execute(text("DELETE FROM sensor_hours"))
    known: list[int] = []
    found = None
    for _ in range(9):
        found = await past.read(
            single.site, single.declared, single.ledger, single.store, single.now_ms, fresh=6
        )
        known.append(found.use_hours // 168)
        assert list(found.uses["n3"].activity) == list(
            whole.uses["n3"].activity[-found.use_hours :]
        )
        assert found.history == whole.history
    # Two series: three weeks with each reading, until nothing comes before.
    assert known == [11, 14, 17, 20, 23, 26, 29, 53, 53]
    assert found == whole


async def test_a_week_more_is_read_though_it_is_more_than_was_granted(plant: Measured) -> None:
    """Or a large plant would never know more than eight."""
    for quantity in ("gpu_utilisation", "power"):
        await plant.say("n3", "gpu:0", quantity, by_hour(-12 * 168, 0, lambda _: 0.5))
    known = [
        (
            await past.read(
                plant.site, plant.declared, plant.ledger, plant.store, plant.now_ms, fresh=0
            )
        ).use_hours
        // 168
        for _ in range(3)
    ]
    assert known == [9, 10, 11]


async def test_hours_of_a_gpu_held_whole_are_kept_under_its_hosts(plant: Measured) -> None:
    """Once the agent reports another host, hours that were kept of the same readings are others."""
    await plant.say("n3", "gpu:0", "gpu_utilisation", steady(0.5))
    await plant.say("n3", "gpu:0", "runs_on", steady(float(number_of("host:x"))))
    assert (await plant.read()).uses["n3"].used[-2] == pytest.approx(1.0)
    assert (await plant.read()).uses["n3"].used[-2] == pytest.approx(1.0)
    await plant.say("n3", "host:x", "power", steady(1.0, 1))
    assert (await plant.read()).uses["n3"].used[-2] == pytest.approx(0.0)
