"""Rows that stay: closed by the officer or by their age, or known from more readings."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.ledger import closing
from jauge_collector.ledger.closed_rows import CLOSES_AFTER_MS, Proposal
from jauge_collector.ledger.rows import Row
from jauge_collector.registers import events, meters
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Basis, Flag, Interval
from jauge_models.topology import Event, EventKind, Validity

from tests.collector.ledger.bench import DAY, HOUR, KWH, MAINS, MINUTE, QUARTER, START, Bench
from tests.collector.ledger.cluster import Cluster, account_all, deliver, shares

NAME = "2026-Q1"
LATER = CLOSES_AFTER_MS + 3 * DAY
"""By now every row of the first days is closed by its age."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The site with one register meter."""
    async with Bench(tmp_path) as made:
        yield made


def steady(start: int, end: int, kwh_per_hour: float = 12.0) -> list[tuple[int, float]]:
    """A register in J that advances evenly from 1 kWh at time 0, read each minute."""
    return [(at, KWH * (1 + kwh_per_hour * at / HOUR)) for at in range(start, end + 1, MINUTE)]


def close(bench: Bench, end: int = HOUR, name: str = NAME, start: int = 0) -> None:
    """The officer closes the quarter, which here is as long as the test needs."""
    with bench.ledger.transaction(writes=True) as connection:
        closing.close_span(
            connection, "lab", name, ["mains"], START + start, START + end, bench.now_ms
        )


def proposed(bench: Bench, end: int = 90 * DAY) -> Sequence[Proposal]:
    """What is proposed for the meter."""
    found = closing.proposed(bench.ledger, "lab", ["mains"], START, START + end)
    return found[0].proposals if found else []


def restate(bench: Bench, end: int = 90 * DAY) -> list[closing.Change]:
    """The proposals carried out."""
    with bench.ledger.transaction(writes=True) as connection:
        return closing.restate(connection, "lab", ["mains"], START, START + end, bench.now_ms)


def rows_of(bench: Bench) -> list[tuple[Interval, str]]:
    """Rows with what provided them."""
    found: list[Row] = bench.ledger.current("lab", "mains", START - DAY, START + 90 * DAY)
    return [(row.interval, row.feed) for row in found]


async def gappy(bench: Bench) -> None:
    """Two hours of a register whose second quarter hour was not read yet, closed to the first."""
    await bench.receive([(0, KWH), (QUARTER, 2 * KWH), (HOUR, 8 * KWH), (2 * HOUR, 12 * KWH)])
    await bench.account()


# --- closed by the officer


async def test_late_readings_leave_closed_rows_and_are_proposed(bench: Bench) -> None:
    """The row stays, its proposal names both amounts; rows of the open hour change as ever."""
    await gappy(bench)
    close(bench)
    before = rows_of(bench)
    await bench.receive([(2 * QUARTER, 3 * KWH), (HOUR + QUARTER, 11 * KWH)])
    result = await bench.account()
    assert rows_of(bench)[:4] == before[:4]
    assert bench.row(HOUR).amount == pytest.approx(3 * KWH)
    assert result.revised == 4
    found = proposed(bench)
    assert [one.start_ms - START for one in found] == [QUARTER, 2 * QUARTER, 3 * QUARTER]
    assert [one.amount for one in found] == pytest.approx([2 * KWH] * 3)
    assert [one.new_amount for one in found] == pytest.approx([KWH, 2.5 * KWH, 2.5 * KWH])
    assert {one.reason for one in found} == {"readings"}
    assert {one.first_ms for one in found} == {bench.now_ms}


async def test_a_proposal_goes_when_it_no_longer_differs(bench: Bench) -> None:
    """An event that was entered and taken back proposes nothing in the end."""
    await bench.receive(steady(0, 2 * HOUR, kwh_per_hour=0.0))
    await bench.account()
    close(bench)
    begin, end = START + 5 * MINUTE, START + 50 * MINUTE
    event = Event(EventKind.BYPASS, Validity(begin, end), "", "")
    entry = events.enter_event(bench.ledger, bench.site, event, now_ms=bench.now_ms)
    await bench.account()
    assert {one.reason for one in proposed(bench)} == {"entry"}
    moved = replace(event, validity=Validity(START + 3 * HOUR, START + 4 * HOUR))
    events.enter_event(bench.ledger, bench.site, moved, now_ms=bench.now_ms, corrects=entry)
    await bench.account()
    assert proposed(bench) == []


async def test_a_restatement_carries_out_what_was_proposed(bench: Bench) -> None:
    """Rows change, what they were stays as revisions, and a further pass proposes nothing."""
    await gappy(bench)
    close(bench)
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account()
    (change,) = restate(bench)
    assert (change.meter, change.rows) == ("mains", 3)
    assert change.before == pytest.approx(change.after)
    assert bench.row(QUARTER).amount == pytest.approx(KWH)
    history = bench.ledger.history("lab", "mains", START + QUARTER)
    assert [row.interval.amount for row in history] == pytest.approx([2 * KWH, KWH])
    assert [row.revision for row in history] == [0, 1]
    assert history[1].final
    assert proposed(bench) == []
    bench.ledger.mark("lab", "gw", [START + 2 * QUARTER], bench.now_ms)
    result = await bench.account()
    assert (result.written, result.revised) == (0, 0)
    assert proposed(bench) == []


async def test_nothing_comes_into_a_quarter_that_was_closed(bench: Bench) -> None:
    """Not even where no row stands: the report said that nothing was measured there."""
    await bench.receive(steady(0, QUARTER))
    await bench.account()
    close(bench)
    await bench.receive([(HOUR, 13 * KWH)])
    await bench.account()
    assert [row.start_ms - START for row in bench.rows()] == [0]
    assert [(one.stands, one.start_ms - START) for one in proposed(bench)] == [
        (False, n * QUARTER) for n in (1, 2, 3)
    ]
    restate(bench)
    assert len(bench.rows()) == 4


async def test_closing_makes_rows_final(bench: Bench) -> None:
    """A backlog that may still come changes a row of a closed quarter by restatement only."""
    bench.ledger.set_oldest("lab", "gw", START)
    await gappy(bench)
    assert not any(row.final for row in bench.ledger.current("lab", "mains", START, START + HOUR))
    close(bench)
    rows = bench.ledger.current("lab", "mains", START, START + 2 * HOUR)
    assert [row.final for row in rows] == [True] * 4 + [False] * 4
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account()
    assert len(proposed(bench)) == 3


async def test_a_dial_reading_changes_no_closed_row(tmp_path: Path) -> None:
    """A meter that people read: its rows reach over quarters, and close with the first of them."""
    unfed = '[[meters]]\nid = "mains"\ncommodity = "electricity"\n'
    async with Bench(tmp_path, unfed) as bench:
        bench.now_ms = START + 40 * DAY
        meter = bench.site.topology.meter("mains")

        async def read(at: int, value: float) -> None:
            meters.enter_reading(
                bench.ledger,
                bench.site,
                meter,
                value,
                at_ms=START + at,
                now_ms=bench.now_ms,
                entered="",
                signatory="reader",
            )
            await bench.account()

        await read(0, KWH)
        await read(20 * DAY, 21 * KWH)
        close(bench, end=10 * DAY)
        before = rows_of(bench)
        await read(5 * DAY, 2 * KWH)
        assert rows_of(bench) == before
        found = proposed(bench)
        assert [(one.stands, one.reason) for one in found] == [(True, "dial"), (False, "dial")]
        restate(bench, end=10 * DAY)
        assert [row.amount for row in bench.rows()] == pytest.approx([KWH, 19 * KWH])


# --- closed by their age


async def test_rows_close_45_days_after_they_ended(bench: Bench) -> None:
    """Without anybody closing the quarter; what is younger still changes."""
    await gappy(bench)
    late = [(2 * QUARTER, 3 * KWH)]
    await bench.receive(late)
    await bench.account(now=CLOSES_AFTER_MS - DAY)
    assert bench.row(QUARTER).amount == pytest.approx(KWH)
    await bench.receive([(HOUR + QUARTER, 11 * KWH)])
    await bench.account(now=LATER)
    assert bench.row(HOUR).amount == pytest.approx(KWH)
    assert len(proposed(bench)) == 4


async def test_an_unmeasured_row_is_filled_in_a_quarter_nobody_closed(bench: Bench) -> None:
    """A suspended row holds no amount and nothing was built on it; data may come after all."""
    await bench.receive([*steady(0, HOUR), (HOUR + MINUTE, 0.5 * KWH)])
    await bench.account()
    await bench.receive([(2 * HOUR, 0.7 * KWH)])
    await bench.account()
    assert bench.row(HOUR + QUARTER).amount is None
    meters.enter_reading(
        bench.ledger,
        bench.site,
        bench.site.topology.meter("mains"),
        0.5 * KWH,
        at_ms=START + HOUR + MINUTE,
        now_ms=START + LATER,
        entered="",
        signatory="reader",
    )
    await bench.account(now=LATER)
    assert bench.row(HOUR + QUARTER).amount is not None
    assert not [one for one in proposed(bench) if one.start_ms == START + HOUR + QUARTER]


async def test_imported_history_comes_in_pieces(bench: Bench) -> None:
    """Rows that first stood long after their time close 45 days after that: imports go on."""
    await bench.receive(steady(0, HOUR + 7 * MINUTE))
    await bench.account(now=300 * DAY)
    assert bench.row(HOUR).coverage < 1
    await bench.receive(steady(HOUR + 7 * MINUTE, 2 * HOUR))
    await bench.account(now=301 * DAY)
    assert bench.row(HOUR).coverage == 1
    assert proposed(bench) == []
    before = rows_of(bench)
    await bench.receive([(QUARTER + 30_000, 4.15 * KWH)])
    await bench.account(now=300 * DAY + LATER)
    assert rows_of(bench) == before


async def test_a_restatement_is_no_way_back_to_open(bench: Bench) -> None:
    """A row stood since its first revision, however often it was restated."""
    await gappy(bench)
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account(now=LATER)
    restate(bench)
    await bench.receive([(2 * QUARTER + MINUTE, 3.05 * KWH)])
    await bench.account(now=LATER + DAY)
    assert len(proposed(bench)) == 2


# --- fewer readings


async def test_a_store_that_lost_readings_changes_no_row(bench: Bench, tmp_path: Path) -> None:
    """Closed or not, measured time never shrinks because readings are gone; nothing is proposed."""
    await bench.receive(steady(0, 3 * HOUR))
    await bench.account()
    close(bench)
    before = rows_of(bench)
    async with SqliteStore(tmp_path / "empty.db", retention_days=4000.0) as empty:
        bench.store = empty
        empty.settle_s = 0.0
        bench.ledger.mark("lab", "gw", range(START, START + 3 * HOUR, QUARTER), bench.now_ms)
        await bench.account()
        assert rows_of(bench) == before
        await bench.receive(steady(0, 10 * MINUTE, kwh_per_hour=11.0))
        result = await bench.account()
    assert rows_of(bench) == before
    assert result.revised == 0
    assert proposed(bench) == []


@pytest.mark.parametrize("left", [[], [(0, KWH), (HOUR, 8 * KWH)]])
async def test_a_proposal_outlives_the_readings_it_was_made_of(
    bench: Bench, tmp_path: Path, left: list[tuple[int, float]]
) -> None:
    """A store that lost all or some of them takes nothing back; the restatement still can be."""
    await gappy(bench)
    close(bench)
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account()
    before = proposed(bench)
    assert len(before) == 3
    async with SqliteStore(tmp_path / "other.db", retention_days=4000.0) as other:
        other.settle_s = 0.0
        bench.store = other
        await bench.receive(left)
        bench.ledger.mark("lab", "gw", range(START, START + HOUR, QUARTER), bench.now_ms)
        await bench.account()
    kept = {one.start_ms: one for one in proposed(bench)}
    assert [kept.get(one.start_ms) for one in before] == before
    restate(bench, end=HOUR)
    assert bench.row(QUARTER).amount == pytest.approx(KWH)


async def test_a_store_that_lost_readings_shares_nothing_out_anew(
    bench: Bench, tmp_path: Path
) -> None:
    """Guests keep what they were given of an hour whose host can no longer be computed."""
    cluster = Cluster(last=2 * HOUR)
    cluster.host("a")
    cluster.guest("g", "a")
    bench.ledger.set_methods("lab", cluster.agent, cluster.methods())
    await deliver(bench, cluster.readings)
    await account_all(bench)
    rows = bench.rows("vc/guest:g"), bench.rows("vc/host:a")
    before = shares(bench)
    assert [len(some) for some in rows] == [2, 2]
    async with SqliteStore(tmp_path / "empty.db", retention_days=4000.0) as empty:
        empty.settle_s = 0.0
        bench.store = empty
        bench.ledger.mark("lab", cluster.agent, range(START, START + 2 * HOUR, HOUR), bench.now_ms)
        await account_all(bench)
    assert (bench.rows("vc/guest:g"), bench.rows("vc/host:a")) == rows
    assert shares(bench) == before


async def test_a_meter_that_is_declared_anew_loses_no_row_to_a_hole(
    bench: Bench, tmp_path: Path
) -> None:
    """Its name changed and the store lost a day: the rows stay; its feed changed: they go."""
    await bench.receive(steady(0, HOUR))
    await bench.account()
    before = rows_of(bench)
    async with SqliteStore(tmp_path / "empty.db", retention_days=4000.0) as empty:
        empty.settle_s = 0.0
        bench.store = empty
        bench.declare(MAINS + 'name = "incomer"')
        await bench.account()
        assert rows_of(bench) == before
        bench.declare(MAINS.replace("gw/meter:mains", "gw/meter:other"))
        await bench.account()
        assert rows_of(bench) == []


async def test_what_was_seen_or_declared_may_leave_less(bench: Bench) -> None:
    """A jump suspends the rows behind it though fewer of them are measured then."""
    await bench.receive([(0, KWH), (HOUR, 2 * KWH), (2 * HOUR, 3 * KWH)])
    await bench.account()
    assert bench.row(HOUR).coverage == 1
    await bench.receive([(90 * MINUTE, 700 * KWH)])
    await bench.account()
    row = bench.row(HOUR + 2 * QUARTER)
    assert row.amount is None
    assert Flag.SUSPENDED in row.flags


async def test_a_measurement_takes_the_place_of_an_estimate_that_covered_more(
    tmp_path: Path,
) -> None:
    """From the model of a machine to its power, though half of the time has any."""
    hosts = '[[hosts]]\nid = "h"\nfeeds = ["gw/host:h"]\nidle_w = 100\nfull_w = 200\n'
    async with Bench(tmp_path, MAINS, hosts) as bench:
        use = [(at, 0.5) for at in range(0, HOUR + 1, MINUTE)]
        await bench.receive(use, resource="host:h", quantity="cpu_utilisation")
        await bench.account()
        (row,) = bench.rows("h")
        assert row.basis is Basis.ESTIMATE
        power = [(at, 180.0) for at in range(0, 45 * MINUTE + 1, MINUTE)]
        await bench.receive(power, resource="host:h", quantity="power")
        await bench.account()
        (row,) = bench.rows("h")
        assert row.basis is Basis.POWER
        assert row.coverage == 0.75


# --- whatever the order


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(
        st.tuples(
            st.integers(0, 4 * 60),
            st.one_of(st.just(0.0), st.floats(0, 3)),
            st.sampled_from(["energy", "power"]),
        ),
        min_size=3,
        max_size=24,
        unique_by=lambda v: (v[0], v[2]),
    ),
    seed=st.randoms(use_true_random=False),
    acts=st.lists(st.sampled_from(["close", "restate", "close all"]), min_size=1, max_size=3),
)
def test_closed_rows_with_their_proposals_are_what_a_pass_would_make(
    values: list[tuple[int, float, str]], seed: random.Random, acts: list[str]
) -> None:
    """Any order of late data, closing and restating: closed rows stay; both together are all."""

    async def receive(bench: Bench, some: list[tuple[int, float, str]]) -> None:
        for quantity, scale in (("energy", KWH), ("power", 1000.0)):
            points = [(at * MINUTE, v * scale) for at, v, kind in some if kind == quantity]
            if points:
                await bench.receive(points, quantity=quantity)

    async def everything() -> list[tuple[Interval, str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with Bench(Path(folder)) as bench:
                await receive(bench, values)
                await bench.account()
                return rows_of(bench)

    def closed(rows: list[tuple[Interval, str]], end: int) -> list[tuple[Interval, str]]:
        return [row for row in rows if row[0].start_ms < START + end]

    async def in_parts() -> list[tuple[Interval, str]]:
        some = values.copy()
        seed.shuffle(some)
        with tempfile.TemporaryDirectory() as folder:
            async with Bench(Path(folder)) as bench:
                end = 0
                for n, act in enumerate([*acts, ""]):
                    kept = closed(rows_of(bench), end)
                    await receive(bench, some[n :: len(acts) + 1])
                    await bench.account()
                    assert closed(rows_of(bench), end) == kept
                    if act.startswith("close"):
                        end = max(end, 4 * HOUR if act == "close all" else 2 * HOUR)
                        close(bench, end, f"2026-Q{n + 1}")
                    elif act == "restate":
                        restate(bench)
                        assert proposed(bench) == []
                restate(bench)
                return rows_of(bench)

    assert asyncio.run(in_parts()) == asyncio.run(everything())


# --- what the chain vouches for


async def test_a_row_changed_behind_the_ledgers_back_is_found(bench: Bench) -> None:
    """The digest of a quarter's rows names the quarter and the meter."""
    await gappy(bench)

    def digests() -> closing.Digests:
        return closing.digests_now(bench.ledger, "lab", ["mains"], START, START + HOUR)

    close(bench)
    told = {"act": "closed", "start_ms": START, "end_ms": START + HOUR, "rows": digests()}
    bench.ledger.link("lab", "quarter", NAME, told, bench.now_ms)
    assert closing.broken_rows(bench.ledger, "lab") == []
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account()
    assert closing.broken_rows(bench.ledger, "lab") == []
    restate(bench)
    assert closing.broken_rows(bench.ledger, "lab") == [closing.Broken(NAME, "mains")]
    told = {"start_ms": START, "end_ms": START + HOUR, "rows": digests()}
    bench.ledger.link("lab", "restatement", NAME, told, bench.now_ms)
    assert closing.broken_rows(bench.ledger, "lab") == []
    with bench.ledger.transaction(writes=True) as connection:
        connection.exec_driver_sql(
            "UPDATE intervals SET amount = amount * 0.9 WHERE start_ms = ?", (START + QUARTER,)
        )
    (broken,) = closing.broken_rows(bench.ledger, "lab")
    assert str(broken) == f"quarter {NAME}: rows of meter mains are not those that were closed"
