"""What a pass makes of readings: late, repeated, shuffled, missing, jumping, declared."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.ledger import book
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.rows import Row, subject_ids
from jauge_collector.registers import events, meters
from jauge_models.intervals import Basis, Flag, Grade, Interval, Replacement
from jauge_models.topology import Event, EventKind, Factor, Validity
from jauge_models.wire import Method
from sqlalchemy import Connection, event

from tests.collector.ledger.bench import DAY, HOUR, KWH, MAINS, MINUTE, QUARTER, START, Bench

POWERED = """
[[meters]]
id = "mains"
commodity = "electricity"
feeds = ["gw/pdu:a", "spare/pdu:b"]
"""
HOURLY = """
[[meters]]
id = "mains"
commodity = "electricity"
feeds = ["import/meter:mains"]
interval_s = 3600
"""
CHANGING = MAINS + 'factors = [{ value = 2.0, valid_from = "2026-01-01T01:07", reason = "CT" }]'
BYPASS = """
[[events]]
kind = "bypass"
begin = "2026-01-01T00:40"
end = "2026-01-01T01:35"
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The site with one register meter."""
    async with Bench(tmp_path) as made:
        yield made


def steady(start: int, end: int, step: int, kwh_per_hour: float = 12.0) -> list[tuple[int, float]]:
    """A register in J that advances evenly from 1 kWh."""
    return [
        (at, KWH * (1 + kwh_per_hour * (at - start) / HOUR)) for at in range(start, end + 1, step)
    ]


async def test_a_register_gives_rows_that_prove_themselves(bench: Bench) -> None:
    """Each row holds the difference of the register at its bounds, and both readings."""
    await bench.receive(steady(0, HOUR, MINUTE))
    result = await bench.account()
    rows = bench.rows()
    assert [row.start_ms - START for row in rows] == [0, QUARTER, 2 * QUARTER, 3 * QUARTER]
    assert all(row.amount == pytest.approx(3 * KWH) for row in rows)
    first = rows[0]
    assert first.opening is not None
    assert first.closing is not None
    assert first.closing.value - first.opening.value == pytest.approx(first.amount)
    assert (first.basis, first.grade, first.coverage) == (Basis.REGISTER, Grade.HIGH, 1.0)
    assert result.written == 4
    assert result.revised == 0


async def test_an_outage_is_bridged_in_total_but_not_in_profile(bench: Bench) -> None:
    """Across a hole of a register the total is measured, its spread is not: profile coverage 0."""
    points = steady(0, 3 * HOUR, MINUTE)
    held = [p for p in points if not QUARTER + MINUTE < p[0] < 2 * HOUR + MINUTE]
    await bench.receive(held)
    await bench.account()
    inside = bench.row(HOUR)
    assert inside.coverage == 1.0
    assert inside.profile_coverage == 0.0
    assert Flag.BRIDGED in inside.flags
    assert inside.amount == pytest.approx(3 * KWH)
    assert sum(row.amount or 0 for row in bench.rows()) == pytest.approx(36 * KWH)


async def test_a_late_reading_changes_every_row_between_its_neighbours(bench: Bench) -> None:
    """A late register reading restates the rows from the earlier to the later reading, only."""
    await bench.receive([(0, KWH), (QUARTER, 2 * KWH), (5 * QUARTER, 10 * KWH)])
    await bench.account()
    assert bench.row(2 * QUARTER).amount == pytest.approx(2 * KWH)
    await bench.receive([(3 * QUARTER + MINUTE, 9 * KWH)])
    result = await bench.account()
    assert result.revised == 4
    assert bench.row(0).amount == pytest.approx(KWH)
    assert bench.row(QUARTER).amount == pytest.approx(7 * KWH * 15 / 31)
    history = bench.ledger.history("lab", "mains", START + QUARTER)
    assert [row.revision for row in history] == [0, 1]
    assert history[0].interval.amount == pytest.approx(2 * KWH)
    assert history[0].replaced_ms == bench.now_ms
    assert len(bench.ledger.history("lab", "mains", START)) == 1


async def test_a_second_delivery_changes_nothing(bench: Bench) -> None:
    """The same readings once more write no row and make no revision."""
    points = steady(0, 6 * HOUR, 7 * MINUTE)
    await bench.receive(points)
    await bench.account()
    before = rows_of(bench)
    await bench.receive(points)
    result = await bench.account()
    assert (result.written, result.revised, result.marks_left) == (0, 0, 0)
    assert result.marks > 0
    assert rows_of(bench) == before


def rows_of(bench: Bench, subject: str = "mains") -> list[tuple[Interval, str]]:
    """Rows with what provided them, without when they were computed."""
    found: list[Row] = bench.ledger.current("lab", subject, START - DAY, START + 30 * DAY)
    return [(row.interval, row.feed) for row in found]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(
        st.tuples(
            st.integers(0, 4 * 60),
            st.one_of(st.just(0.0), st.floats(0, 3)),
            st.sampled_from(["energy", "power"]),
        ),
        min_size=2,
        max_size=30,
        unique_by=lambda v: (v[0], v[2]),
    ),
    seed=st.randoms(use_true_random=False),
    cuts=st.integers(1, 4),
)
def test_order_and_interruption_never_change_the_rows(
    values: list[tuple[int, float, str]], seed: random.Random, cuts: int
) -> None:
    """Any order of arrival, in any number of passes, gives the rows of one orderly delivery."""
    total = 0.0
    readings: list[tuple[int, float, str]] = []
    for minute, step, quantity in sorted(values):
        total += step * KWH
        readings.append((minute * MINUTE, total if quantity == "energy" else step * 1e3, quantity))
    shuffled = list(readings)
    seed.shuffle(shuffled)
    size = max(1, len(shuffled) // cuts)
    parts = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]

    async def rows(deliveries: list[list[tuple[int, float, str]]]) -> list[tuple[Interval, str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with Bench(Path(folder), CHANGING, BYPASS) as bench:
                for part in deliveries:
                    for at, value, quantity in part:
                        await bench.receive([(at, value)], quantity=quantity)
                    await bench.account()
                return rows_of(bench)

    assert asyncio.run(rows([readings])) == asyncio.run(rows(parts))


async def test_a_restart_in_the_middle_gives_the_same_rows(tmp_path: Path) -> None:
    """A pass that died before it deleted its marks is done again by the next process."""
    points = steady(0, 4 * HOUR, 5 * MINUTE)
    async with Bench(tmp_path) as bench:
        await bench.receive(points[:20])
        await bench.account()
        await bench.receive(points[20:])
    async with Bench(tmp_path) as bench:
        assert bench.ledger.marks("lab", bench.now_ms)
        await bench.account()
        again = rows_of(bench)
    other = tmp_path / "other"
    other.mkdir()
    async with Bench(other) as bench:
        await bench.receive(points)
        await bench.account()
        assert again == rows_of(bench)
        assert len(again) == 16


async def test_a_mark_renewed_during_the_pass_survives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that comes while its interval is recomputed is not forgotten."""
    await bench.receive(steady(0, HOUR, MINUTE))
    read = bench.store.read
    came = False

    async def read_then_receive(*args: object) -> object:
        nonlocal came
        found = await read(*args)  # type: ignore[arg-type]
        if not came:
            came = True
            await bench.receive([(HOUR, KWH * 113)])
            await bench.receive([(HOUR + MINUTE, KWH * 14)])
        return found

    monkeypatch.setattr(bench.store, "read", read_then_receive)
    first = await bench.account()
    assert first.marks_left == 1
    second = await bench.account()
    assert second.marks_left == 0
    assert [m for m in bench.ledger.marks("lab", bench.now_ms) if m.scope == "agent"] == []


async def test_marks_wait_until_the_store_has_settled(tmp_path: Path) -> None:
    """A mark younger than the store's settle time is kept: its readings may not show yet."""
    async with Bench(tmp_path, settle_s=30) as bench:
        await bench.receive(steady(0, HOUR, MINUTE))
        bench.now_ms += 20_000
        await bench.receive([(HOUR, KWH * 13)])
        early = await bench.account(2 * DAY + 29_999)
        assert early.marks == 0
        between = await bench.account(2 * DAY + 30_000)
        assert (between.marks, between.marks_left) == (5, 1)
        late = await bench.account(2 * DAY + 50_000)
        assert (late.marks, late.marks_left) == (1, 0)


async def test_provisional_rows_are_overwritten_without_a_revision(bench: Bench) -> None:
    """Until its end and the agent's oldest unanswered batch are past, a row leaves no revision."""
    bench.now_ms = START + 10 * MINUTE
    bench.ledger.set_oldest("lab", "gw", START)
    await bench.receive(steady(0, 10 * MINUTE, MINUTE))
    await bench.account(11 * MINUTE)
    await bench.receive(steady(0, 20 * MINUTE, MINUTE))
    result = await bench.account(21 * MINUTE)
    assert result.revised == 0
    (row,) = bench.ledger.history("lab", "mains", START)
    assert not row.final
    bench.ledger.set_oldest("lab", "gw", START + 17 * MINUTE)
    await bench.account(21 * MINUTE)
    (row,) = bench.ledger.history("lab", "mains", START)
    assert not row.final, "the reading that shows its end may still come"
    bench.ledger.set_oldest("lab", "gw", START + 20 * MINUTE)
    result = await bench.account(22 * MINUTE)
    (row,) = bench.ledger.history("lab", "mains", START)
    assert row.final
    assert row.interval.amount == pytest.approx(3 * KWH)
    assert result.revised == 0
    (later,) = bench.ledger.history("lab", "mains", START + QUARTER)
    assert not later.final


async def test_a_final_row_stays_final_and_keeps_its_revision(bench: Bench) -> None:
    """What was final and changes later is kept as it stood, with the time of the change."""
    bench.now_ms = START + DAY
    await bench.receive([(0, KWH), (QUARTER, 2 * KWH)])
    await bench.account()
    bench.ledger.set_oldest("lab", "gw", START)
    await bench.receive([(10 * MINUTE, 1.2 * KWH)])
    await bench.account(DAY + 1)
    assert len(bench.ledger.history("lab", "mains", START)) == 1, "the amount did not change"
    await bench.receive([(QUARTER, 3 * KWH)])
    await bench.account(DAY + 2)
    earlier, current = bench.ledger.history("lab", "mains", START)
    assert current.final
    assert (earlier.interval.amount, current.interval.amount) == (KWH, 2 * KWH)
    assert earlier.replaced_ms == START + DAY + 2


async def test_a_corrected_factor_restates_from_its_date(bench: Bench) -> None:
    """A factor entered later restates rows from its date on, splitting the row it falls into."""
    await bench.receive(steady(0, 2 * HOUR, MINUTE))
    await bench.account()
    meter = bench.site.topology.meter("mains")
    meters.enter_factor(
        bench.ledger,
        bench.site,
        meter,
        Factor(2.0, Validity(START + HOUR + 5 * MINUTE, None), "transformers are 200/5"),
        now_ms=bench.now_ms,
    )
    result = await bench.account()
    assert bench.row(3 * QUARTER).amount == pytest.approx(3 * KWH)
    assert bench.row(4 * QUARTER).amount == pytest.approx((1 + 2 * 2) * KWH)
    assert bench.row(5 * QUARTER).amount == pytest.approx(6 * KWH)
    opening = bench.row(5 * QUARTER).opening
    assert opening is not None
    assert opening.value == pytest.approx(16 * KWH), "raw values stay as they came"
    assert result.revised == 4


async def test_an_edited_site_file_restates_too(bench: Bench) -> None:
    """Changing a meter's declaration recomputes its rows; an unchanged file costs nothing."""
    await bench.receive(steady(0, HOUR, MINUTE))
    await bench.account()
    assert (await bench.account()).written == 0
    bench.declare(MAINS + 'factors = [{ value = 3.0, reason = "pulse weight" }]\n')
    assert (await bench.account()).revised == 4
    assert bench.row(0).amount == pytest.approx(9 * KWH)
    bench.declare(MAINS + "interval_s = 3600\n")
    await bench.account()
    assert [(r.start_ms - START, r.end_ms - START) for r in bench.rows()] == [(0, HOUR)]
    assert bench.row(0).amount == pytest.approx(12 * KWH)


async def test_a_replacement_splits_the_register(bench: Bench) -> None:
    """Old final and new first index give both meters' parts; the meter is not suspended."""
    before = steady(0, 20 * MINUTE, MINUTE)
    after = [
        (at, KWH * 0.2 * (at - 20 * MINUTE) / MINUTE) for at in range(21 * MINUTE, HOUR, MINUTE)
    ]
    await bench.receive(before + after)
    await bench.account()
    assert Flag.SUSPENDED in bench.row(2 * QUARTER).flags
    meter = bench.site.topology.meter("mains")
    change = Replacement(START + 20 * MINUTE + 30_000, 5.1 * KWH, 0.1 * KWH)
    meters.enter_replacement(bench.ledger, bench.site, meter, change, now_ms=bench.now_ms)
    await bench.account()
    row = bench.row(QUARTER)
    assert row.amount == pytest.approx(3 * KWH)
    assert Flag.REPLACED in row.flags
    assert bench.row(2 * QUARTER).amount == pytest.approx(3 * KWH)
    assert not any(Flag.SUSPENDED in r.flags for r in bench.rows())
    assert meters.suspended_since(bench.ledger, bench.site) == {}


async def test_an_undeclared_jump_suspends_until_the_meter_is_read(bench: Bench) -> None:
    """After a jump nothing of the meter counts, also later, until a person has read it."""
    points = steady(0, HOUR, MINUTE) + [
        (at, value + 500 * KWH) for at, value in steady(HOUR + MINUTE, 2 * HOUR, MINUTE)
    ]
    await bench.receive(points)
    await bench.account()
    assert bench.row(3 * QUARTER).amount == pytest.approx(3 * KWH)
    for at in (HOUR, HOUR + QUARTER, HOUR + 3 * QUARTER):
        assert bench.row(at).amount is None
        assert Flag.SUSPENDED in bench.row(at).flags
    assert Flag.JUMP in bench.row(HOUR).flags
    assert meters.suspended_since(bench.ledger, bench.site) == {"mains": START + HOUR}
    meter = bench.site.topology.meter("mains")
    meters.enter_reading(
        bench.ledger,
        bench.site,
        meter,
        505 * KWH,
        at_ms=START + HOUR + 20 * MINUTE,
        now_ms=bench.now_ms,
    )
    await bench.account()
    assert bench.row(HOUR).amount is None
    half = bench.row(HOUR + QUARTER)
    assert half.covered_ms == 10 * MINUTE
    assert half.amount == pytest.approx(2 * KWH)
    assert bench.row(HOUR + 2 * QUARTER).amount == pytest.approx(3 * KWH)
    assert meters.suspended_since(bench.ledger, bench.site) == {}


async def test_readings_after_a_jump_that_arrive_in_a_later_pass_are_suspended(
    bench: Bench,
) -> None:
    """Suspension does not depend on which pass saw the jump, nor on what came first."""
    late = [(at, 500 * KWH + at) for at in range(2 * HOUR, 3 * HOUR + 1, MINUTE)]
    await bench.receive(late)
    await bench.account()
    assert bench.row(2 * HOUR).amount is not None
    await bench.receive(steady(0, HOUR, MINUTE))
    await bench.receive([(HOUR + MINUTE, 500 * KWH)])
    await bench.account()
    assert Flag.SUSPENDED in bench.row(2 * HOUR).flags
    assert Flag.SUSPENDED in bench.row(2 * HOUR + 3 * QUARTER).flags, "far from what arrived"
    await bench.receive([(5 * HOUR, 501 * KWH)])
    await bench.account()
    assert bench.row(4 * HOUR).amount is None


async def test_a_wrap_is_counted_and_suspends_nothing(bench: Bench) -> None:
    """A register that passes its modulus gives what its unwrapped twin would."""
    points = [(at, (value + 990 * KWH) % (1000 * KWH)) for at, value in steady(0, HOUR, MINUTE)]
    await bench.receive(points)
    await bench.account()
    assert sum(row.amount or 0 for row in bench.rows()) == pytest.approx(12 * KWH)
    assert any(Flag.WRAPPED in row.flags for row in bench.rows())


async def test_a_feed_of_lower_rank_stands_in_where_the_first_has_a_hole(tmp_path: Path) -> None:
    """Per interval the first feed that covers it whole provides the row."""
    async with Bench(tmp_path, POWERED) as bench:
        own = [(at, 1000.0) for at in range(0, HOUR + 1, MINUTE)]
        hole = [p for p in own if not QUARTER < p[0] < 2 * QUARTER]
        await bench.receive(hole, resource="pdu:a", quantity="power")
        await bench.receive(
            [(at, 900.0) for at, _ in own], agent="spare", resource="pdu:b", quantity="power"
        )
        await bench.account()
        amounts = [(row.amount or 0) / 900 for row in bench.rows()]
        assert amounts == pytest.approx([1000, 900, 1000, 1000])
        feeds = {row.feed for row in bench.ledger.current("lab", "mains", START, START + HOUR)}
        assert feeds == {"gw/pdu:a/power", "spare/pdu:b/power"}
        assert {row.grade for row in bench.rows()} == {Grade.MEDIUM}


async def test_what_a_birth_says_decides_how_far_a_value_is_trusted(tmp_path: Path) -> None:
    """An estimate is never called a measurement; a device that says register is one."""
    async with Bench(tmp_path, POWERED) as bench:
        bench.ledger.set_methods("lab", "gw", {("pdu:a", "power"): Method.ESTIMATE})
        power = [(at, 1000.0) for at in range(0, HOUR + 1, MINUTE)]
        await bench.receive(power, resource="pdu:a", quantity="power")
        await bench.account()
        assert {(r.basis, r.grade) for r in bench.rows()} == {(Basis.ESTIMATE, Grade.LOW)}
        await bench.receive(steady(0, HOUR, MINUTE), resource="pdu:a")
        await bench.account()
        assert {(r.basis, r.grade) for r in bench.rows()} == {(Basis.COUNTER, Grade.MEDIUM)}


async def test_a_device_counter_is_bridged_only_up_to_a_limit(tmp_path: Path) -> None:
    """A processor's counter may wrap unseen in a long gap: that time is not covered."""
    rapl = POWERED.replace("gw/pdu:a", "gw/package:0")
    async with Bench(tmp_path, rapl) as bench:
        points = [p for p in steady(0, HOUR, MINUTE) if not 16 * MINUTE < p[0] < 30 * MINUTE]
        await bench.receive(points, resource="package:0")
        await bench.account()
        row = bench.row(QUARTER)
        assert row.covered_ms == MINUTE
        assert row.amount == pytest.approx(0.2 * KWH)


async def test_amounts_of_hours_are_taken_whole(tmp_path: Path) -> None:
    """An amount stands for the period that ends at its time stamp."""
    async with Bench(tmp_path, HOURLY) as bench:
        await bench.receive(
            [(HOUR, 5 * KWH), (2 * HOUR, 6 * KWH)],
            agent="import",
            quantity="energy_amount",
        )
        await bench.account()
        assert [(r.start_ms - START, r.amount) for r in bench.rows()] == [
            (0, 5 * KWH),
            (HOUR, 6 * KWH),
        ]
        current = bench.ledger.current("lab", "mains", START, START + 2 * HOUR)
        assert all(row.final for row in current), "an import has no oldest batch to wait for"


@pytest.mark.parametrize("quantity", ["power", "energy"])
async def test_a_true_zero_during_a_declared_bypass_is_not_measured(
    tmp_path: Path, quantity: str
) -> None:
    """Zero flow during a bypass is time not covered, flagged; before and after stay measured."""
    meters_toml = MAINS.replace("dial =", "#dial =")
    async with Bench(tmp_path, meters_toml) as bench:
        if quantity == "power":
            points = [
                (at, 0.0 if HOUR <= at < 2 * HOUR else 4000.0)
                for at in range(0, 3 * HOUR + 1, MINUTE)
            ]
        else:
            points = [
                (at, 4 * KWH * (min(at, HOUR) + max(at - 2 * HOUR, 0)) / HOUR)
                for at in range(0, 3 * HOUR + 1, MINUTE)
            ]
        await bench.receive(points, quantity=quantity)
        await bench.account()
        assert bench.row(HOUR + QUARTER).amount == 0
        events.enter_event(
            bench.ledger,
            bench.site,
            Event(EventKind.BYPASS, Validity(START + HOUR, START + 2 * HOUR), "mains"),
            now_ms=bench.now_ms,
        )
        result = await bench.account()
        assert result.revised == 4
        blind = bench.row(HOUR + QUARTER)
        assert blind.amount is None
        assert blind.coverage == 0
        assert Flag.EVENT in blind.flags
        assert bench.row(3 * QUARTER).amount == pytest.approx(KWH, rel=0.04)
        assert bench.row(2 * HOUR).amount == pytest.approx(KWH, rel=0.04)


async def test_flow_during_a_declared_bypass_still_counts(bench: Bench) -> None:
    """An event makes nothing of what was measured: only a true zero is in doubt."""
    events.enter_event(
        bench.ledger,
        bench.site,
        Event(EventKind.BYPASS, Validity(START, START + HOUR)),
        now_ms=bench.now_ms,
    )
    await bench.receive(steady(0, HOUR, MINUTE))
    await bench.account()
    assert all(row.coverage == 1 for row in bench.rows())


UPS = """
[[meters]]
id = "racks"
commodity = "electricity"
feeds = ["gw/meter:racks"]
[[meters]]
id = "ups-out"
commodity = "electricity"
feeds = ["gw/meter:ups-out"]
"""
WIRED = """
[[connections]]
upstream = "ups:1"
downstream = "ups-out"
[[connections]]
upstream = "ups-out"
downstream = "racks"
"""
TWO_WAYS = """
[[connections]]
upstream = "ups:2"
downstream = "racks"
"""


@pytest.mark.parametrize(("more", "believed"), [("", False), (TWO_WAYS, True)])
async def test_an_undeclared_zero_of_a_ups_output_suspends_the_interval(
    tmp_path: Path, more: str, *, believed: bool
) -> None:
    """Zero at the UPS while what it alone feeds draws is not believed; with a second way it is."""
    async with Bench(tmp_path, UPS, WIRED + more) as bench:
        minutes = range(0, HOUR + 1, MINUTE)
        await bench.receive(
            [(at, 0.0 if at >= 2 * QUARTER else 2000.0) for at in minutes],
            resource="meter:ups-out",
            quantity="power",
        )
        await bench.account()
        assert bench.row(3 * QUARTER, "ups-out").amount == 0, "nothing below is known yet"
        await bench.receive(
            [(at, 2000.0) for at in minutes], resource="meter:racks", quantity="power"
        )
        await bench.account()
        row = bench.row(3 * QUARTER, "ups-out")
        assert row.amount == (0 if believed else None)
        assert (Flag.SUSPENDED in row.flags) is not believed
        assert bench.row(0, "ups-out").amount == pytest.approx(2000 * 900)
        assert (await bench.account()).written == 0


async def test_rows_before_the_retention_are_frozen(tmp_path: Path) -> None:
    """What the store no longer holds is never recomputed from the rest."""
    async with Bench(tmp_path, retention_days=10) as bench:
        await bench.receive(steady(0, DAY, QUARTER, 1.0))
        await bench.account(DAY)
        bench.now_ms = START + 10 * DAY + 12 * HOUR
        await bench.store.purge(bench.now_ms)
        before = rows_of(bench)
        bench.ledger.mark("lab", "gw", [START + h * HOUR for h in range(24)], bench.now_ms)
        result = await bench.account()
        assert rows_of(bench) == before
        assert result.revised == 0
        assert len(before) == 96


async def test_a_row_keeps_the_opening_that_the_store_has_forgotten(tmp_path: Path) -> None:
    """A register's earlier reading has left the store: the row's own opening stands for it."""
    async with Bench(tmp_path, retention_days=10) as bench:
        await bench.receive([(11 * HOUR, KWH), (20 * HOUR, 10 * KWH)])
        await bench.account(DAY)
        bench.now_ms = START + 10 * DAY + 12 * HOUR
        assert await bench.store.purge(bench.now_ms) == 1
        before = rows_of(bench)
        await bench.receive([(21 * HOUR, 11 * KWH)])
        result = await bench.account()
        assert result.revised == 0
        assert rows_of(bench)[: len(before)] == before
        assert bench.row(20 * HOUR).amount == pytest.approx(KWH / 4)


async def test_a_host_that_no_meter_claims_has_hourly_rows(bench: Bench) -> None:
    """A host's energy is accounted by the hour under its agent's name."""
    await bench.receive(
        [(at, 120.0) for at in range(0, 2 * HOUR + 1, MINUTE)],
        agent="node7",
        resource="host",
        quantity="power",
    )
    await bench.account()
    rows = bench.rows("node7/host")
    assert [(r.start_ms - START, r.end_ms - START) for r in rows] == [(0, HOUR), (HOUR, 2 * HOUR)]
    assert rows[0].amount == pytest.approx(120 * 3600)
    assert rows[0].grade is Grade.MEDIUM


async def test_hosts_are_seen_to_by_the_quarter_hour(bench: Bench) -> None:
    """Marks of a host that feeds no meter wait for the quarter's end: thousands come at once."""
    bench.now_ms = START + 14 * MINUTE
    power = [(at, 120.0) for at in range(0, 14 * MINUTE, MINUTE)]
    await bench.receive(power, agent="node7", resource="host", quantity="power")
    assert (await bench.account()).marks == 0
    assert (await bench.account(QUARTER)).marks_left == 0
    assert bench.row(0, "node7/host").amount == pytest.approx(120 * 13 * 60)


async def test_a_row_that_became_uncovered_does_not_linger(bench: Bench) -> None:
    """When a declaration takes a meter's past away, its rows go, and their revisions stay."""
    await bench.receive(steady(0, HOUR, MINUTE))
    await bench.account()
    bench.declare(MAINS + 'valid_from = "2026-01-01T00:30"\n')
    result = await bench.account()
    assert [row.start_ms - START for row in bench.rows()] == [2 * QUARTER, 3 * QUARTER]
    assert result.revised == 2
    assert len(bench.ledger.history("lab", "mains", START)) == 1


async def test_a_feed_taken_away_takes_its_rows_along(bench: Bench) -> None:
    """Where the new feed of a meter has no readings, no row of the old one is left."""
    await bench.receive(steady(0, 3 * HOUR, MINUTE))
    await bench.receive(steady(HOUR, 2 * HOUR, MINUTE), resource="meter:other")
    await bench.account()
    assert len(bench.rows()) == 12
    bench.declare(MAINS.replace("gw/meter:mains", "gw/meter:other"))
    await bench.account()
    assert [row.start_ms - START for row in bench.rows()] == list(range(HOUR, 2 * HOUR, QUARTER))


async def test_a_pass_plans_no_more_rows_than_there_can_be(tmp_path: Path) -> None:
    """A short history long ago is not recomputed up to now, nor its agent taken for a host."""
    async with Bench(tmp_path, HOURLY) as bench:
        bench.now_ms = START + 300 * DAY
        await bench.receive(steady(0, DAY, HOUR), agent="import")
        for declaration in (HOURLY, HOURLY + "max_gap_s = 7200\n"):
            bench.declare(declaration)
            planned = 0

            def told(_: int, rows: int) -> None:
                nonlocal planned
                planned = rows

            await run_pass(bench.store, bench.ledger, bench.site, bench.now_ms, progress=told)
            assert len(bench.rows()) == 24
            assert 24 <= planned <= 24 + 6


async def test_a_meter_declared_after_its_readings_came_gets_its_past(tmp_path: Path) -> None:
    """Readings stored before anybody declared the meter are accounted once it is."""
    async with Bench(tmp_path, UPS) as bench:
        await bench.receive(steady(0, HOUR, MINUTE))
        await bench.account()
        assert bench.rows() == []
        bench.declare(MAINS)
        await bench.account()
        assert len(bench.rows()) == 4


UNFED = MAINS.replace('["gw/meter:mains"]', "[]")


async def read_dial(bench: Bench, *readings: tuple[int, float]) -> None:
    """A person reads the meter's dial: (ms after START, kWh)."""
    for at, kwh in readings:
        meters.enter_reading(
            bench.ledger,
            bench.site,
            bench.site.topology.meter("mains"),
            kwh * KWH,
            at_ms=START + at,
            now_ms=bench.now_ms,
        )


async def test_a_meter_that_loses_its_feeds_keeps_its_history(tmp_path: Path) -> None:
    """Only dial rows come and go with dial readings: what was measured stays as it stood."""
    async with Bench(tmp_path) as bench:
        await bench.receive(steady(0, DAY, 5 * MINUTE))
        await bench.account()
        before = rows_of(bench)
        assert len(before) == 96
        bench.declare(UNFED)
        result = await bench.account()
        assert (result.written, result.revised) == (0, 0)
        assert rows_of(bench) == before
        bench.now_ms = START + 20 * DAY
        await read_dial(bench, (12 * HOUR, 145), (DAY, 289), (3 * DAY, 300), (9 * DAY, 340))
        await bench.account()
        after = rows_of(bench)
        assert after[:96] == before, "the dial's half day beside them does not count"
        assert [r.start_ms - START for r, _ in after[96:]] == [DAY, 3 * DAY]
        assert [r.amount for r, _ in after[96:]] == pytest.approx([11 * KWH, 40 * KWH])
        (last,) = [
            e for e in bench.ledger.entries("lab", "reading") if e.start_ms > START + 5 * DAY
        ]
        meters.enter_reading(
            bench.ledger,
            bench.site,
            bench.site.topology.meter("mains"),
            330 * KWH,
            at_ms=START + 8 * DAY,
            now_ms=bench.now_ms,
            corrects=last.id,
        )
        await bench.account()
        found = rows_of(bench)
        assert found[:97] == after[:97]
        ((moved, _),) = found[97:]
        assert moved.end_ms == START + 8 * DAY
        assert moved.amount == pytest.approx(30 * KWH)


async def test_a_meter_that_gets_feeds_keeps_what_people_read_before(tmp_path: Path) -> None:
    """Dial rows from before the feed stay and follow a corrected reading; no new ones come."""
    async with Bench(tmp_path, UNFED) as bench:
        await read_dial(bench, (0, 100), (12 * HOUR, 112))
        await bench.account()
        assert [row.basis for row in bench.rows()] == [Basis.ATTESTED]
        bench.declare(MAINS)
        await bench.receive(steady(DAY, DAY + HOUR, MINUTE))
        await bench.account()
        bases = [row.basis for row in bench.rows()]
        assert bases == [Basis.ATTESTED, *[Basis.REGISTER] * 4]
        first = bench.ledger.entries("lab", "reading")[0]
        meters.enter_reading(
            bench.ledger,
            bench.site,
            bench.site.topology.meter("mains"),
            102 * KWH,
            at_ms=START,
            now_ms=bench.now_ms,
            corrects=first.id,
        )
        await read_dial(bench, (20 * HOUR, 125))
        await bench.account()
        assert bench.row(0).amount == pytest.approx(10 * KWH)
        assert len(bench.rows()) == 5
        assert bench.ledger.set_aside("lab", ["mains"], START, START + DAY) == []


async def test_a_dial_row_gives_way_to_what_was_measured_in_it(tmp_path: Path) -> None:
    """Rows never overlap: a late reading inside the span of a dial row takes its place."""
    async with Bench(tmp_path, UNFED) as bench:
        await read_dial(bench, (0, 100), (12 * HOUR, 112))
        await bench.account()
        bench.declare(MAINS)
        await bench.receive(steady(11 * HOUR, 13 * HOUR, MINUTE))
        await bench.account()
        rows = bench.rows()
        assert {row.basis for row in rows} == {Basis.REGISTER}
        assert len(rows) == 8
        assert len(bench.ledger.history("lab", "mains", START)) == 1


async def test_a_method_that_a_birth_tells_later_restates(tmp_path: Path) -> None:
    """Rows computed as measured become estimates once the birth says so, and back again."""
    async with Bench(tmp_path, POWERED) as bench:
        power = [(at, 1000.0) for at in range(0, HOUR + 1, MINUTE)]
        await bench.receive(power, resource="pdu:a", quantity="power")
        await bench.account()
        assert {(r.basis, r.grade) for r in bench.rows()} == {(Basis.POWER, Grade.MEDIUM)}
        bench.ledger.set_methods("lab", "gw", {("pdu:a", "power"): Method.ESTIMATE})
        assert (await bench.account()).revised == 4
        assert {(r.basis, r.grade) for r in bench.rows()} == {(Basis.ESTIMATE, Grade.LOW)}
        assert (await bench.account()).written == 0
        bench.ledger.set_methods("lab", "gw", {("pdu:a", "power"): Method.GAUGE})
        assert (await bench.account()).revised == 4
        assert {r.basis for r in bench.rows()} == {Basis.POWER}


@pytest.mark.parametrize(
    ("feed", "dial", "watts", "believed"),
    [
        ("host", "", 61.5, False),
        ("host", "", 0.0, True),
        ("pdu:a", "", 61.5, True),
        ("pdu:a", "dial = { resolution = 0.1 }", 61.5, True),
        ("pdu:a", "dial = { resolution = 0.01 }", 61.5, False),
    ],
)
async def test_a_counter_that_stands_still_gives_way_to_power(
    tmp_path: Path, feed: str, dial: str, watts: float, *, believed: bool
) -> None:
    """A total at rest is no zero while the feed's power exceeds the total's smallest step."""
    async with Bench(tmp_path, POWERED.replace("gw/pdu:a", f"gw/{feed}") + dial) as bench:
        minutes = range(0, HOUR + 1, MINUTE)
        await bench.receive([(at, 5 * KWH) for at in minutes], resource=feed)
        await bench.receive([(at, watts) for at in minutes], resource=feed, quantity="power")
        await bench.receive(
            [(at, 900.0) for at in minutes], agent="spare", resource="pdu:b", quantity="power"
        )
        await bench.account()
        assert len(bench.rows()) == 4
        assert {row.basis for row in bench.rows()} == {Basis.COUNTER if believed else Basis.POWER}
        amounts = [row.amount for row in bench.rows()]
        assert amounts == pytest.approx([0.0 if believed else watts * 900] * 4)
        assert (await bench.account()).written == 0


async def test_a_pass_does_not_list_all_subjects_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many hosts, each query asks for the keys it needs: never those of the whole site."""
    async with Bench(tmp_path) as bench:
        asked: list[int] = []

        def counted(connection: Connection, site: str, names: Iterable[str]) -> dict[str, int]:
            found = subject_ids(connection, site, names)
            asked.append(len(found))
            return found

        for host in ("a", "b", "c", "d", "e"):
            await bench.receive(steady(0, HOUR, MINUTE), agent=host, resource="host")
        await bench.account()
        monkeypatch.setattr(book, "subject_ids", counted)
        assert len(bench.ledger.current("lab", "a/host", START, START + HOUR)) == 1
        assert bench.ledger.extent("lab", "b/host", START, START + HOUR) is not None
        bench.ledger.rows("lab", ["c/host", "d/host"], START, START + HOUR)
        assert asked == [1, 1, 2]


async def test_a_pass_asks_the_ledger_for_many_hosts_at_once(tmp_path: Path) -> None:
    """Fifty hosts take as many statements as five, at the first pass and at later ones."""
    asked: dict[int, list[int]] = {}
    for hosts in (5, 50):
        folder = tmp_path / str(hosts)
        folder.mkdir()
        async with Bench(folder) as bench:
            statements: list[object] = []

            def note(*statement: object, noted: list[object] = statements) -> None:
                noted.append(statement)

            event.listen(bench.ledger._engine, "before_cursor_execute", note)
            asked[hosts] = []
            for at in (MINUTE, 20 * MINUTE, 40 * MINUTE):
                for host in range(hosts):
                    # A total that begins after the hour's row: its own opening is looked for.
                    total = [(at, KWH + at), (at + 5 * MINUTE, KWH + at + 600.0)]
                    await bench.receive(total, agent=f"h{host}", resource="host")
                statements.clear()
                await bench.account()
                asked[hosts].append(len(statements))
            rows = [bench.row(0, f"h{host}/host") for host in range(hosts)]
            assert {row.amount for row in rows} == {3 * 600.0}
    assert asked[5] == asked[50]
