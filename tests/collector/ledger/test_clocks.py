"""Readings of a wrong clock count, are graded low, and are compared with nothing."""

import asyncio
import random
import sqlite3
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.kpis import site_kpis
from jauge_collector.ledger import clocks
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.clocks import ClockSpan, bounded, joined
from jauge_collector.ledger.schema import VERSION
from jauge_models.effectiveness import CoveragePolicy, Kpi
from jauge_models.intervals import Flag, Grade, Interval

from tests.collector.ledger.bench import DAY, HOUR, KWH, MAINS, MINUTE, QUARTER, START, Bench
from tests.collector.ledger.test_accounting import POWERED, UPS, WIRED, rows_of, steady

SKEW = 45_000
SECOND = 1000


def wrong(bench: Bench, start: int, end: int, agent: str = "gw", skew: int = SKEW) -> None:
    """An agent's clock was wrong in a span of ms after START."""
    span = ClockSpan(START + start, START + end, skew)
    bench.ledger.note_clock("lab", agent, [span], bench.now_ms)


def mistimed(bench: Bench, meter: str = "mains") -> list[int]:
    """Which rows say so, in quarter hours after START."""
    rows = bench.rows(meter)
    assert all((row.grade is Grade.LOW) == (Flag.CLOCK in row.flags) for row in rows)
    return [(row.start_ms - START) // QUARTER for row in rows if Flag.CLOCK in row.flags]


async def test_rows_of_a_wrong_clock_count_and_are_graded_low(tmp_path: Path) -> None:
    """Computed before the state was heard, they are restated; the amounts stay."""
    async with Bench(tmp_path) as bench:
        await bench.receive(steady(0, 2 * HOUR, MINUTE))
        await bench.account()
        before = bench.rows()
        assert {row.grade for row in before} == {Grade.HIGH}
        wrong(bench, QUARTER + MINUTE, 3 * QUARTER - MINUTE)
        result = await bench.account()
        assert mistimed(bench) == [1, 2]
        assert result.written == 2
        assert [row.amount for row in bench.rows()] == [row.amount for row in before]
        assert [row.is_comparable for row in bench.rows()[:4]] == [True, False, False, True]
        again = await bench.account()
        assert (again.marks, again.written) == (0, 0)
        wrong(bench, QUARTER + MINUTE, 3 * QUARTER - MINUTE)
        assert not bench.ledger.marks("lab", bench.now_ms), "nothing new was said"


async def test_what_takes_part_decides_and_not_the_hour(tmp_path: Path) -> None:
    """A register read at ten to, by a wrong clock, opens the next row: that is low too."""
    async with Bench(tmp_path) as bench:
        points = [
            (0, KWH),
            (QUARTER - 5 * MINUTE, 2 * KWH),
            (3 * QUARTER, 3 * KWH),
            (HOUR, 4 * KWH),
        ]
        await bench.receive(points)
        wrong(bench, QUARTER - 6 * MINUTE, QUARTER - 4 * MINUTE)
        await bench.account()
        assert mistimed(bench) == [0, 1, 2]


async def test_a_sample_beyond_the_longest_gap_takes_no_part(tmp_path: Path) -> None:
    """Power: what is too far away to be integrated cannot spoil a row either."""
    async with Bench(tmp_path, POWERED) as bench:
        hole = range(QUARTER + 5 * MINUTE, 2 * QUARTER)
        own = [(at, 1000.0) for at in range(0, HOUR + 1, MINUTE) if at not in hole]
        await bench.receive(own, resource="pdu:a", quantity="power")
        wrong(bench, 2 * QUARTER, 2 * QUARTER + MINUTE)
        await bench.account()
        assert mistimed(bench) == [2]


async def test_another_agents_clock_does_not_matter(tmp_path: Path) -> None:
    """Nor does a wrong clock of an agent whose reading was not the one that was used."""
    async with Bench(tmp_path, POWERED) as bench:
        own = [(at, 1000.0) for at in range(0, HOUR + 1, MINUTE)]
        await bench.receive(own, resource="pdu:a", quantity="power")
        await bench.receive(own, agent="spare", resource="pdu:b", quantity="power")
        wrong(bench, 0, DAY, agent="spare")
        await bench.account()
        assert mistimed(bench) == []


async def test_an_indicator_is_graded_as_its_weakest_row(tmp_path: Path) -> None:
    """The same figure, graded low, and by that called an estimate."""
    more = """
[[equations]]
symbol = "E_DC"
terms = [{ meter = "mains" }]
"""
    meters = MAINS + 'counts = "from_start"\nreason = "a test"\n'
    async with Bench(tmp_path, meters, more) as bench:
        await bench.receive(steady(0, DAY, MINUTE))
        await bench.account()

        def pue() -> Kpi:
            return site_kpis(bench.ledger, bench.site, START, START + DAY, CoveragePolicy()).pue

        assert (pue().value, pue().grade) == (1.0, Grade.HIGH)
        wrong(bench, HOUR, HOUR + MINUTE)
        await bench.account()
        assert (pue().value, pue().grade) == (1.0, Grade.LOW)


@pytest.mark.parametrize("agent", ["gw", "lower"])
async def test_a_wrong_clock_is_left_out_of_cross_checks(tmp_path: Path, agent: str) -> None:
    """A UPS zero is held against what draws below it, unless a wrong clock stamped either."""
    meters = UPS.replace("gw/meter:racks", "lower/meter:racks")
    async with Bench(tmp_path, meters, WIRED) as bench:
        for of, resource, watts in (("gw", "meter:ups-out", 0.0), ("lower", "meter:racks", 2e3)):
            points = [(at, watts) for at in range(0, HOUR + 1, MINUTE)]
            await bench.receive(points, agent=of, resource=resource, quantity="power")
        await bench.account()
        assert Flag.SUSPENDED in bench.row(QUARTER, "ups-out").flags
        wrong(bench, QUARTER + MINUTE, 2 * QUARTER - MINUTE, agent=agent)
        await bench.account()
        assert Flag.SUSPENDED not in bench.row(QUARTER, "ups-out").flags
        assert Flag.SUSPENDED in bench.row(2 * QUARTER, "ups-out").flags


_SPANS = st.lists(
    st.tuples(st.integers(0, 4 * 60), st.integers(1, 40), st.integers(-90, 90)), max_size=6
)


@settings(max_examples=25, deadline=None)
@given(
    spans=_SPANS,
    minutes=st.lists(st.integers(0, 4 * 60), min_size=2, max_size=25, unique=True),
    seed=st.randoms(use_true_random=False),
    passes=st.integers(1, 4),
)
def test_the_order_of_states_and_readings_never_changes_the_rows(
    spans: list[tuple[int, int, int]], minutes: list[int], seed: random.Random, passes: int
) -> None:
    """Any order of both, repeated, in any number of passes, gives the rows of one pass."""
    facts: list[tuple[int, int, int] | int] = [*spans, *sorted(minutes)]
    shuffled = [*facts, *seed.sample(facts, len(facts) // 2)]
    seed.shuffle(shuffled)
    size = -(-len(shuffled) // passes)
    parts = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]

    async def rows(
        deliveries: list[list[tuple[int, int, int] | int]],
    ) -> list[tuple[Interval, str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with Bench(Path(folder)) as bench:
                for part in deliveries:
                    for fact in part:
                        if isinstance(fact, int):
                            await bench.receive([(fact * MINUTE, KWH * (1 + fact / 60))])
                        else:
                            at, length, skew = fact
                            wrong(bench, at * MINUTE, (at + length) * MINUTE, skew=skew * SECOND)
                    await bench.account()
                found = rows_of(bench)
                bench.ledger.mark_meter("lab", "mains", START, None, bench.now_ms)
                assert (await bench.account()).written == 0, "computing again changes nothing"
                return found

    assert asyncio.run(rows([facts])) == asyncio.run(rows(parts))


@given(spans=_SPANS, seed=st.randoms(use_true_random=False))
def test_spans_join_in_any_order(spans: list[tuple[int, int, int]], seed: random.Random) -> None:
    """Those of two collectors give what one of them would have kept."""
    every = [ClockSpan(at, at + length, skew) for at, length, skew in spans]
    shuffled = [*every, *every]
    seed.shuffle(shuffled)
    step: list[ClockSpan] = []
    for span in shuffled:
        step = joined([*step, span])
    assert step == joined(every)
    assert all(a.to_ms < b.from_ms for a, b in pairwise(step))
    fewer = bounded(step, 2)
    assert len(fewer) <= 2
    assert all(any(f.from_ms <= s.from_ms and s.to_ms <= f.to_ms for f in fewer) for s in step)


def test_a_mad_clock_fills_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit none is added and nothing marked; what touches a known one joins it."""
    monkeypatch.setattr(clocks, "MAX_SPANS_OF_AGENT", 3)
    with Ledger(tmp_path / "ledger.db") as ledger:

        def note(at: int, length: int = 1) -> int:
            span = ClockSpan(START + at, START + at + length, SKEW)
            before = len(ledger.marks("lab", START + DAY))
            ledger.note_clock("lab", "gw", [span], START + DAY)
            return len(ledger.marks("lab", START + DAY)) - before

        assert [note(at * HOUR) for at in (0, 10, 20, 21, 5)] == [1, 1, 1, 0, 0]
        spans = ledger.wrong_clocks("lab")["gw"]
        assert [span.from_ms - START for span in spans] == [0, 10 * HOUR, 20 * HOUR]
        note(0, 10 * HOUR)
        assert len(ledger.wrong_clocks("lab")["gw"]) == 2, "it joins two"
        assert note(21 * HOUR) == 1, "so there is room for another"


async def test_what_was_said_of_a_clock_in_error_is_taken_back(tmp_path: Path) -> None:
    """Its rows get their grade back; an entry keeps what was withdrawn, by whom and why."""
    async with Bench(tmp_path) as bench:
        await bench.receive(steady(0, 2 * HOUR, MINUTE))
        wrong(bench, 0, HOUR)
        wrong(bench, HOUR + MINUTE, 2 * HOUR)
        await bench.account()
        assert len(mistimed(bench)) == 8

        def withdraw(until: int) -> tuple[int, list[ClockSpan]]:
            return bench.ledger.withdraw_clock(
                "lab", "gw", START, START + until, reason="ours", signatory="A", now_ms=bench.now_ms
            )

        assert withdraw(HOUR - 1) == (0, []), "a span goes whole or not at all"
        key, gone = withdraw(HOUR)
        await bench.account()
        assert mistimed(bench) == [4, 5, 6, 7]
        (entry,) = bench.ledger.entries("lab", "clock_withdrawal", "gw")
        assert (entry.id, entry.signatory, entry.content["reason"]) == (key, "A", "ours")
        assert entry.content["spans"] == [list(span) for span in gone]


def test_what_lies_ahead_is_kept_and_marks_nothing(tmp_path: Path) -> None:
    """A clock a year ahead: no row can be there yet."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ahead = ClockSpan(START + 365 * DAY, START + 366 * DAY, -365 * DAY)
        ledger.note_clock("lab", "gw", [ahead], START)
        assert ledger.wrong_clocks("lab") == {"gw": [ahead]}
        assert ledger.wrong_clocks("other") == {}
        assert ledger.marks("lab", START) == []


async def test_an_older_ledger_is_brought_up_to_date(tmp_path: Path) -> None:
    """A file that version 1 wrote opens, keeps all it held, and takes what is new."""
    script = (Path(__file__).parent / "ledger-1.sql").read_text(encoding="utf-8")
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.executescript(script)
    connection.close()
    async with Bench(tmp_path) as bench:
        assert len(bench.rows()) == 4
        assert bench.ledger.oldest("lab") == {"gw": START + HOUR}
        assert len(bench.ledger.marks("lab", bench.now_ms)) == 1
        assert len(bench.ledger.entries("lab", "reading")) == 1
        await bench.receive(steady(0, HOUR, 5 * MINUTE))
        wrong(bench, 0, MINUTE)
        await bench.account()
        assert mistimed(bench) == [0]
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        assert connection.execute("SELECT value FROM facts").fetchall() == [(VERSION,)]
    connection.close()
