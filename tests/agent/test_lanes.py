"""The two lanes: live first, unanswered again, and one probe at a time while nobody answers."""

import itertools
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.lanes import Lane, Lanes
from jauge_agent.spool import Batch, Spool

NOW = 1_700_000_000_000
RESEND = 60.0


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path, machine="m", max_bytes=10**8, max_age_ms=10**9, now_ms=NOW)


class Wire:
    """A connection that takes everything; time moves only from event to event."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.lanes = Lanes(spool, RESEND, random.Random(3))
        self.sent: list[tuple[float, Lane, int]] = []
        self.now = 0.0
        self.lanes.connected(0.0)

    def take(self, *, live: bool = True) -> int:
        """A new batch, offered to the lanes when live."""
        batch = self.spool.add(NOW + self.spool.newest_seq, b"[]", 1, NOW + 10**6)
        assert batch is not None
        if live:
            self.lanes.offer(batch)
        return batch.seq

    def until(self, end: float) -> None:
        """Send what is chosen until ``end``; never more than a thousand steps."""
        for _ in range(1000):
            choice = self.lanes.choose(self.now)
            if choice.batch is not None:
                self.lanes.sending(choice.batch, choice.lane, self.now)
                self.sent.append((self.now, choice.lane, choice.batch.seq))
            elif choice.ask_again_at > end:
                self.now = end
                return
            else:
                assert choice.ask_again_at > self.now, "the lanes spin"
                self.now = choice.ask_again_at
        raise AssertionError("too many steps")

    def answer(self, *seqs: int) -> None:
        """The collector has stored these."""
        ranges = [(seq, seq) for seq in seqs]
        self.spool.settle(ranges, [])
        self.lanes.answered(ranges, [], self.now)


def test_a_new_batch_goes_at_once_and_once(spool: Spool) -> None:
    """Within the resend period a batch is sent one time."""
    wire = Wire(spool)
    seq = wire.take()
    wire.until(RESEND - 1)
    assert wire.sent == [(0.0, Lane.LIVE, seq)]


def test_leftovers_go_oldest_first_five_a_second_behind_live_data(spool: Spool) -> None:
    """Batches of an earlier run are sent in order at the bounded rate; a new one overtakes them."""
    wire = Wire(spool)
    old = [wire.take(live=False) for _ in range(20)]
    wire.until(1.0)
    new = wire.take()
    wire.until(10.0)
    assert [seq for _, lane, seq in wire.sent if lane is Lane.AGAIN] == old
    assert (1.0, Lane.LIVE, new) in wire.sent
    again = [at for at, lane, _ in wire.sent if lane is Lane.AGAIN]
    assert all(b - a > 0.199 for a, b in itertools.pairwise(again))
    assert again[-1] < 4.1


def test_an_unanswered_batch_goes_again_after_the_resend_period(spool: Spool) -> None:
    """While others are answered, the one that is not comes again after 60 s, and again."""
    wire = Wire(spool)
    lost = wire.take()
    for second in range(1, 150):
        seq = wire.take()
        wire.until(float(second))
        wire.answer(seq)
    again = [at for at, lane, seq in wire.sent if seq == lost]
    assert again == [0.0, pytest.approx(60, abs=1), pytest.approx(120, abs=2)]
    assert not wire.lanes.probing


def test_an_answered_batch_never_goes_again(spool: Spool) -> None:
    """What is answered in time is sent once."""
    wire = Wire(spool)
    for second in range(200):
        seq = wire.take()
        wire.until(float(second) + 0.5)
        wire.answer(seq)
        wire.until(float(second + 1))
    assert len(wire.sent) == 200
    assert {lane for _, lane, _ in wire.sent} == {Lane.LIVE}


def test_nobody_answering_leaves_one_probe_per_growing_pause(spool: Spool) -> None:
    """After a silent resend period only probes go out, 1 s to 5 min apart, live data or not."""
    wire = Wire(spool)
    for second in range(0, 3600, 10):
        wire.take()
        wire.until(float(second))
    assert wire.lanes.probing
    live = [at for at, lane, _ in wire.sent if lane is Lane.LIVE]
    assert max(live) < RESEND
    assert not [at for at, lane, _ in wire.sent if lane is Lane.AGAIN]
    probes = [at for at, lane, _ in wire.sent if lane is Lane.PROBE]
    pauses = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert pauses[0] <= 1
    assert all(0.5 <= pause <= 301 for pause in pauses)
    assert max(pauses) >= 150
    assert 12 <= len(probes) <= 40


def test_a_probe_that_cannot_be_answered_does_not_block_the_way(spool: Spool) -> None:
    """Old and new batches are probed by turns, so that neither kind can be in the way."""
    wire = Wire(spool)
    old = wire.take()
    for second in range(0, 400, 20):
        wire.take()
        wire.until(float(second))
    probed = [seq for _, lane, seq in wire.sent if lane is Lane.PROBE]
    assert old in probed
    assert max(probed) > old + 3


def test_the_first_answer_ends_the_probing(spool: Spool) -> None:
    """Live data flow again at once and the backlog follows at its rate."""
    wire = Wire(spool)
    for second in range(300):
        wire.take()
        wire.until(float(second))
    probe = wire.sent[-1][2]
    wire.answer(probe)
    assert not wire.lanes.probing
    count = len(wire.sent)
    new = wire.take()
    wire.until(wire.now + 10)
    lanes_used = wire.sent[count:]
    assert lanes_used[0][1:] == (Lane.LIVE, new)
    assert 45 <= len([1 for _, lane, _ in lanes_used if lane is Lane.AGAIN]) <= 52


def test_a_new_connection_ends_the_probing(spool: Spool) -> None:
    """Who connects again tries as if somebody listened, for one resend period."""
    wire = Wire(spool)
    wire.take()
    wire.until(200.0)
    assert wire.lanes.probing
    wire.lanes.connected(wire.now)
    assert not wire.lanes.probing


def test_what_the_broker_did_not_take_is_due_at_once(spool: Spool) -> None:
    """A failed publish does not have to wait for the resend period."""
    wire = Wire(spool)
    seq = wire.take()
    choice = wire.lanes.choose(0.0)
    assert isinstance(choice.batch, Batch)
    wire.lanes.sending(choice.batch, choice.lane, 0.0)
    wire.lanes.failed(choice.batch)
    wire.lanes.connected(1.0)
    wire.now = 1.0
    wire.until(2.0)
    assert wire.sent == [(1.0, Lane.AGAIN, seq)]


def test_memory_is_bounded_in_a_long_outage(spool: Spool) -> None:
    """Thousands of waiting batches are not held in memory."""
    wire = Wire(spool)
    for _ in range(2_000):
        wire.take()
    wire.until(100.0)
    assert len(wire.lanes._sent) < 400
    assert len(wire.lanes._live) <= 16
    assert len(wire.lanes._candidates) <= 700


class Pump:
    """A publisher with a timer, which may leave out to ask what comes after a batch."""

    def __init__(self, directory: str, *, leaves_out: bool) -> None:
        self.spool = Spool(
            Path(directory), machine="m", max_bytes=10**8, max_age_ms=10**9, now_ms=NOW
        )
        self.lanes = Lanes(self.spool, RESEND, random.Random(3))
        self.lanes.connected(0.0)
        self.leaves_out = leaves_out
        self.now = 0.0
        self.planned: float | None = None
        self.asked = 0
        self.sent: list[tuple[float, Lane, int]] = []
        self.pump()

    def pump(self) -> None:
        """Send what is to be sent now, and plan when to ask again."""
        while True:
            self.asked += 1
            choice = self.lanes.choose(self.now)
            if choice.batch is None:
                self.planned = min(choice.ask_again_at, self.planned or choice.ask_again_at)
                return
            self.lanes.sending(choice.batch, choice.lane, self.now)
            self.sent.append((self.now, choice.lane, choice.batch.seq))
            if self.leaves_out and self.planned and self.lanes.was_last(choice.lane):
                return

    def do(self, what: str, number: int) -> None:
        """Take ``number`` batches, together or while not connected; pass that time; or answer."""
        if what == "answer":
            waiting = [seq for seq, _ in self.spool.oldest(number)]
            ranges = [(seq, seq) for seq in waiting if any(seq == sent for *_, sent in self.sent)]
            self.spool.settle(ranges, [])
            self.lanes.answered(ranges, [], self.now)
            self.pump()
        elif what == "pass":
            end = self.now + number
            while self.planned is not None and self.planned <= end:
                self.now, self.planned = self.planned, None
                self.pump()
            self.now = end
        else:
            for _ in range(number):
                batch = self.spool.add(NOW + self.spool.newest_seq, b"[]", 1, NOW + 10**6)
                assert batch is not None
                if what != "miss":
                    self.lanes.offer(batch)
                if what == "take":
                    self.pump()
            if what == "burst":
                self.pump()


_DOINGS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "burst", "miss", "answer", "pass", "pass"]),
        st.integers(1, 30),
    ),
    max_size=15,
)


@settings(max_examples=20, deadline=None)
@given(_DOINGS)
def test_what_was_planned_before_a_new_batch_still_holds_after_it(
    doings: Sequence[tuple[str, int]],
) -> None:
    """Not asking what comes after the last new batch changes nothing of what goes out, nor when."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        asks, leaves_out = Pump(one, leaves_out=False), Pump(two, leaves_out=True)
        for what, number in doings:
            asks.do(what, number)
            leaves_out.do(what, number)
        assert leaves_out.sent == asks.sent
        assert leaves_out.asked <= asks.asked
        asks.spool.close()
        leaves_out.spool.close()


def test_a_new_batch_alone_needs_no_second_question(tmp_path: Path) -> None:
    """One tick after another: each is asked for once."""
    pump = Pump(str(tmp_path), leaves_out=True)
    before = pump.asked
    for _ in range(20):
        pump.do("take", 1)
    assert pump.asked == before + 20
