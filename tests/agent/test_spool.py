"""The spool keeps every batch, bounded, and its account is exact."""

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.spool import Count, Drop, Outcome, Spool
from jauge_agent.spool_file import FILE_NAME, SpoolError

NOW = 1_700_000_000_000
DAY = 86_400_000
BODY = b'[{"n":"host/power","u":"W","v":1.0}]'


def opened(
    directory: Path,
    *,
    machine: str = "m1",
    max_bytes: int = 10_000_000,
    max_age_ms: int = 30 * DAY,
    now_ms: int = NOW,
) -> Spool:
    """A spool with ample bounds."""
    return Spool(
        directory, machine=machine, max_bytes=max_bytes, max_age_ms=max_age_ms, now_ms=now_ms
    )


def taken(spool: Spool, time_ms: int = NOW, readings: int = 1, body: bytes = BODY) -> int:
    """Add a batch at its own time; its number."""
    batch = spool.add(time_ms, body, readings, max(time_ms, NOW))
    assert batch is not None
    return batch.seq


def assert_balanced(spool: Spool) -> None:
    """The sum: taken = stored + refused + dropped + spooled, in batches and in readings."""
    ends = [spool.total(outcome) for outcome in Outcome if outcome is not Outcome.TAKEN]
    ends.append(spool.spooled)
    assert spool.total(Outcome.TAKEN) == Count(
        sum(end.batches for end in ends), sum(end.readings for end in ends)
    )


def killed(spool: Spool) -> None:
    """End the process' hold on the file as a kill would: nothing more is committed."""
    if spool._database.in_transaction:
        spool._database.execute("ROLLBACK")
    spool._database.close()


def test_batches_survive_a_restart_in_order(tmp_path: Path) -> None:
    """What was taken is there after a kill, oldest first, with its bytes."""
    spool = opened(tmp_path)
    seqs = [taken(spool, NOW + i, body=b"[%d]" % i) for i in range(3)]
    killed(spool)
    again = opened(tmp_path, now_ms=NOW + 10)
    assert [seq for seq, _ in again.oldest(10)] == seqs
    batch = again.get(seqs[1])
    assert batch is not None
    assert (batch.time_ms, batch.body) == (NOW + 1, b"[1]")
    assert_balanced(again)
    again.close()


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    """After the newest batch was stored and the process restarted, numbers go on."""
    spool = opened(tmp_path)
    last = [taken(spool) for _ in range(3)][-1]
    spool.settle([(1, last)], [])
    spool.close()
    again = opened(tmp_path)
    assert taken(again) == last + 1
    again.close()


def test_an_answer_deletes_and_counts(tmp_path: Path) -> None:
    """Stored ranges and refused numbers leave the spool, unknown numbers change nothing."""
    spool = opened(tmp_path)
    for _ in range(5):
        taken(spool, readings=2)
    spool.settle([(1, 2), (7, 900)], [(4, "too_old"), (5, "made up"), (77, "limits")])
    assert [seq for seq, _ in spool.oldest(10)] == [3]
    assert spool.account[Outcome.STORED, ""] == Count(2, 4)
    assert spool.account[Outcome.REFUSED, "too_old"] == Count(1, 2)
    assert spool.account[Outcome.REFUSED, "other"] == Count(1, 2)
    assert_balanced(spool)
    spool.close()


def test_an_answer_not_yet_committed_is_undone_by_a_kill(tmp_path: Path) -> None:
    """A kill after an answer brings the batch back with an account that fits."""
    spool = opened(tmp_path)
    seq = taken(spool)
    spool.settle([(seq, seq)], [])
    assert spool.spooled == Count(0, 0)
    killed(spool)
    again = opened(tmp_path)
    assert again.spooled == Count(1, 1)
    assert_balanced(again)
    again.close()


def test_the_oldest_are_dropped_when_the_file_is_full(tmp_path: Path) -> None:
    """The file stays within its bound, drops from the oldest end, and counts it."""
    spool = opened(tmp_path, max_bytes=400_000)
    for i in range(300):
        taken(spool, NOW + i, readings=60, body=os.urandom(3000))
        assert spool.used_bytes <= 400_000
    left = [seq for seq, _ in spool.oldest(1000)]
    assert left == list(range(left[0], 301))
    assert spool.account[Outcome.DROPPED, Drop.DISK_CAP] == Count(left[0] - 1, 60 * (left[0] - 1))
    assert (tmp_path / FILE_NAME).stat().st_size <= 450_000
    assert_balanced(spool)
    spool.close()


def test_one_batch_larger_than_the_bound_is_still_kept(tmp_path: Path) -> None:
    """The newest batch is never dropped for space."""
    spool = opened(tmp_path, max_bytes=50_000)
    taken(spool)
    seq = taken(spool, body=os.urandom(200_000))
    assert [each for each, _ in spool.oldest(10)] == [seq]
    spool.close()


def test_old_batches_are_dropped_by_age(tmp_path: Path) -> None:
    """What is older than the limit goes when a new batch comes, and is counted."""
    spool = opened(tmp_path, max_age_ms=DAY)
    taken(spool, NOW, readings=7)
    taken(spool, NOW + DAY // 2)
    taken(spool, NOW + DAY + 1)
    assert spool.account[Outcome.DROPPED, Drop.AGE] == Count(1, 7)
    assert spool.spooled.batches == 2
    assert_balanced(spool)
    spool.close()


def test_a_backward_step_drops_the_future_and_holds_back_what_may_be_stored(
    tmp_path: Path,
) -> None:
    """What is stamped later than now goes; nothing is taken up to the newest time sent."""
    spool = opened(tmp_path)
    for i in range(1, 5):
        taken(spool, NOW + i * 1000, readings=3)
    spool.sent(NOW + 3000)
    spool.clock_went_back(NOW + 2000)
    assert [time for _, time in spool.oldest(9)] == [NOW + 1000, NOW + 2000]
    assert spool.add(NOW + 3000, BODY, 3, NOW + 3000) is None
    assert spool.add(NOW + 4000, BODY, 3, NOW + 4000) is not None
    assert spool.account[Outcome.DROPPED, Drop.CLOCK] == Count(3, 9)
    assert_balanced(spool)
    spool.close()


def test_a_backward_step_while_the_agent_was_off_is_noticed(tmp_path: Path) -> None:
    """At start, what is stamped later than now goes, and times that were sent stay closed."""
    spool = opened(tmp_path)
    taken(spool, NOW)
    spool.sent(NOW + 5000)
    taken(spool, NOW + 5000)
    spool.close()
    again = opened(tmp_path, now_ms=NOW + 1000)
    assert again.spooled == Count(1, 1)
    assert again.add(NOW + 2000, BODY, 1, NOW + 2000) is None
    assert again.add(NOW + 6000, BODY, 1, NOW + 6000) is not None
    assert_balanced(again)
    again.close()


@settings(max_examples=40, deadline=None)
@given(answered=st.lists(st.booleans(), min_size=1, max_size=25), step_ms=st.integers(400, 7000))
def test_times_that_were_sent_stay_closed_after_a_kill(
    tmp_path_factory: pytest.TempPathFactory, *, answered: list[bool], step_ms: int
) -> None:
    """Whatever has been answered meanwhile; and never a time at which nothing was taken."""
    directory = tmp_path_factory.mktemp("spool")
    spool = opened(directory)
    sent, at = [NOW], NOW
    for number, is_answered in enumerate(answered):
        at = NOW + (number + 1) * step_ms
        batch = taken(spool, at)
        if number + 1 < len(answered):
            spool.sent(at)
            sent.append(at)
            if is_answered:
                spool.settle([(1, batch)], [])
    killed(spool)
    again = opened(directory, now_ms=NOW - 60_000)
    assert len(sent) == 1 or again.add(sent[-1], BODY, 1, sent[-1]) is None
    assert again.add(at + 1, BODY, 1, at + 1) is not None
    assert_balanced(again)
    again.close()


def test_a_late_batch_of_an_earlier_tick_is_taken(tmp_path: Path) -> None:
    """Without a clock step, an older time than the newest sent one is no reason to refuse."""
    spool = opened(tmp_path)
    taken(spool, NOW + 1000)
    spool.sent(NOW + 1000)
    taken(spool, NOW)
    assert spool.oldest_ms() == NOW
    spool.close()


def test_the_file_of_another_machine_is_moved_aside(tmp_path: Path) -> None:
    """A copied disk does not send the other machine's readings; the file is kept."""
    spool = opened(tmp_path)
    taken(spool)
    spool.close()
    other = opened(tmp_path, machine="m2")
    assert other.spooled == Count(0, 0)
    assert other.moved_aside == 1
    assert (tmp_path / f"{FILE_NAME}.unfit-1").exists()
    other.close()


@pytest.mark.parametrize(
    "damage", [b"no database at all " * 300, b"SQLite format 3\0" + b"x" * 9000]
)
def test_a_damaged_file_is_moved_aside_at_start(tmp_path: Path, damage: bytes) -> None:
    """Rubbish in place of the file ends in a new spool and a file kept aside."""
    (tmp_path / FILE_NAME).write_bytes(damage)
    spool = opened(tmp_path)
    assert spool.moved_aside == 1
    assert taken(spool) == 1
    spool.close()


def test_a_file_damaged_while_running_is_replaced_and_numbers_go_on(tmp_path: Path) -> None:
    """The agent goes on with a new file, in which no number of the old one comes again."""
    spool = opened(tmp_path)
    for i in range(200):
        taken(spool, NOW + i, body=os.urandom(2000))
    spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(300_000))
    spool._database.execute("PRAGMA shrink_memory")
    for i in range(3):
        spool.add(NOW + 1000 + i, BODY, 1, NOW + 2000)
    assert spool.moved_aside == 1
    assert spool.spooled.batches > 0
    assert min(seq for seq, _ in spool.oldest(10)) > 200
    assert_balanced(spool)
    spool.close()


def test_a_full_disk_is_counted_and_survived(tmp_path: Path) -> None:
    """While no page can be had, new batches are counted as dropped; later ones are taken."""
    spool = opened(tmp_path)
    taken(spool, readings=5)
    spool.settle([(1, 1)], [])
    taken(spool, readings=5)
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count = {pages}")
    assert spool.add(NOW, os.urandom(100_000), 5, NOW) is None
    assert spool.account[Outcome.DROPPED, Drop.DISK_FULL] == Count(1, 5)
    assert_balanced(spool)
    spool._database.execute("PRAGMA max_page_count = 1000000")
    taken(spool, readings=5)
    assert spool.account[Outcome.DROPPED, Drop.DISK_FULL] == Count(1, 5)
    assert spool.total(Outcome.TAKEN) == Count(4, 20)
    assert_balanced(spool)
    spool.close()
    again = opened(tmp_path)
    assert again.total(Outcome.TAKEN) == Count(4, 20)
    assert_balanced(again)
    again.close()


def test_a_second_agent_cannot_open_the_same_spool(tmp_path: Path) -> None:
    """The second one is told so, and nothing is moved aside."""
    spool = opened(tmp_path)
    with pytest.raises(SpoolError, match="in use by another process"):
        opened(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*unfit*")) == []
    spool.close()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error names the file and what to look at."""
    with pytest.raises(SpoolError, match="check that the directory exists"):
        opened(tmp_path / "nowhere")


def test_the_file_is_private(tmp_path: Path) -> None:
    """Nobody else may read what lies in the spool."""
    spool = opened(tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
    spool.close()


OPERATION = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 9), st.integers(0, 3000)),
    st.tuples(st.just("store"), st.integers(1, 40), st.integers(0, 10)),
    st.tuples(st.just("refuse"), st.integers(1, 40), st.just(0)),
    st.tuples(st.just("back"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("kill"), st.just(0), st.just(0)),
    st.tuples(st.just("full"), st.integers(1, 9), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(operations=st.lists(OPERATION, max_size=40))
def test_the_account_balances_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, int]]
) -> None:
    """Adds, answers, clock steps, kills and a full disk in any order leave an exact account."""
    directory = tmp_path_factory.mktemp("spool")
    spool = opened(directory, max_bytes=60_000, max_age_ms=40_000)
    now = NOW
    handed_in = 0
    for what, number, size in operations:
        if what == "add":
            now += 1000
            spool.add(now, os.urandom(size), number, now)
            spool.sent(now)
            handed_in += number
        elif what == "store":
            spool.settle([(number, number + size)], [])
        elif what == "refuse":
            spool.settle([], [(number, "too_old")])
        elif what == "back":
            now -= number * 1000
            spool.clock_went_back(now)
        elif what == "full":
            spool._database.execute("PRAGMA max_page_count = 1")
            now += 1000
            spool.add(now, os.urandom(50_000), number, now)
            handed_in += number
            spool._database.execute("PRAGMA max_page_count = 1000000")
        else:
            _, unwritten = spool._unwritten.get((Outcome.TAKEN, ""), (0, 0))
            handed_in -= unwritten
            killed(spool)
            spool = opened(directory, max_bytes=60_000, max_age_ms=40_000, now_ms=now)
        assert_balanced(spool)
        rows = spool._database.execute(
            "SELECT count(*), ifnull(sum(readings), 0), min(time_ms) FROM batch"
        ).fetchone()
        assert spool.spooled == Count(rows[0], rows[1])
        assert spool.oldest_ms() == rows[2]
    assert spool.total(Outcome.TAKEN).readings == handed_in
    spool.close()
    with sqlite3.connect(directory / FILE_NAME) as database:
        written = database.execute(
            "SELECT sum(readings * CASE outcome WHEN 'taken' THEN 1 ELSE -1 END) FROM account"
        ).fetchone()[0]
        spooled = database.execute("SELECT ifnull(sum(readings), 0) FROM batch").fetchone()[0]
        assert (written or 0) == spooled
    database.close()


def test_dropped_batches_are_named_by_their_times(tmp_path: Path) -> None:
    """Ranges hold exactly what was dropped; an answer in between parts two of them."""
    spool = opened(tmp_path, max_bytes=100_000)
    for i in range(100):
        taken(spool, NOW + i, readings=2, body=os.urandom(3000))
    (first,) = spool.dropped_ranges
    left = [time_ms for _, time_ms in spool.oldest(1000)]
    assert first == (Drop.DISK_CAP, NOW, left[0] - 1, left[0] - NOW, 2 * (left[0] - NOW))
    answered = spool.oldest(1)[0][0]
    spool.settle([(answered, answered)], [])
    for i in range(100, 140):
        taken(spool, NOW + i, readings=2, body=os.urandom(3000))
    assert spool.dropped_ranges[0] == first
    left = [time_ms for _, time_ms in spool.oldest(1000)]
    second = spool.dropped_ranges[1]
    assert (second.first_ms, second.last_ms) == (first.last_ms + 2, left[0] - 1)
    assert sum(one.batches for one in spool.dropped_ranges) == spool.total(Outcome.DROPPED).batches
    killed(spool)
    again = opened(tmp_path, max_bytes=100_000, now_ms=NOW + 200)
    assert sum(one.batches for one in again.dropped_ranges) == again.total(Outcome.DROPPED).batches
    again.close()


def test_a_batch_that_the_clock_forbids_is_named(tmp_path: Path) -> None:
    """A tick below the floor counts and leaves its time."""
    spool = opened(tmp_path)
    taken(spool, NOW)
    spool.sent(NOW)
    spool.clock_went_back(NOW - 5000)
    assert spool.add(NOW - 4000, BODY, 3, NOW - 4000) is None
    assert [(one.reason, one.first_ms, one.batches) for one in spool.dropped_ranges] == [
        (Drop.CLOCK, NOW - 4000, 2)
    ]
    assert spool.dropped_ranges[0].last_ms == NOW
    assert_balanced(spool)
    spool.close()


def test_ranges_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the oldest join, and none is forgotten."""
    monkeypatch.setattr("jauge_agent.dropped._MOST_RANGES", 5)
    spool = opened(tmp_path)
    for i in range(20):
        seq = taken(spool, NOW - 20 * DAY + i * 1000)
        spool.settle([(seq, seq)], [])
        spool.add(NOW + 2 * DAY + i, BODY, 1, NOW)
    assert len(spool.dropped_ranges) == 5
    assert sum(one.batches for one in spool.dropped_ranges) == 20
    assert spool.dropped_ranges[0].first_ms == NOW + 2 * DAY
    spool.close()


def test_a_spool_of_the_first_format_is_upgraded_whole(tmp_path: Path) -> None:
    """Batches and account of the earlier agent stay; the first answer frees them as ever."""
    spool = opened(tmp_path)
    seqs = [taken(spool, NOW + i) for i in range(50)]
    database = spool._database
    database.execute("DROP TABLE dropped")
    database.execute("ALTER TABLE batch DROP COLUMN crc")
    database.execute("PRAGMA user_version = 1")
    spool.close()
    again = opened(tmp_path, now_ms=NOW + 100)
    assert again.moved_aside == 0
    assert [seq for seq, _ in again.oldest(100)] == seqs
    assert again.dropped_ranges == []
    assert again.get(seqs[7]) == (seqs[7], NOW + 7, BODY)
    again.settle([(seqs[0], seqs[-1])], [])
    assert again.total(Outcome.STORED).batches == 50
    assert_balanced(again)
    again.close()


def test_a_spool_of_a_later_format_is_kept_aside(tmp_path: Path) -> None:
    """An agent that was set back does not touch what it does not understand."""
    spool = opened(tmp_path)
    taken(spool)
    spool._database.execute("PRAGMA user_version = 99")
    spool.close()
    again = opened(tmp_path)
    assert again.moved_aside == 1
    assert again.spooled == Count(0, 0)
    again.close()


def test_batches_are_safe_from_a_power_cut_within_the_time_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is flushed at the first batch, then once the time has passed: the clock is ours."""
    now = 100.0
    flushed: list[float] = []
    real = os.fdatasync

    def flush(file: int) -> None:
        flushed.append(now)
        real(file)

    monkeypatch.setattr("os.fdatasync", flush)
    spool = Spool(
        tmp_path,
        machine="m1",
        max_bytes=10**7,
        max_age_ms=DAY,
        now_ms=NOW,
        sync_s=10.0,
        clock=lambda: now,
    )
    for _ in range(25):
        taken(spool, NOW + round(now * 1000))
        now += 1
    assert flushed == [100.0, 110.0, 120.0]
    spool.close()


def test_a_batch_that_the_disk_has_changed_is_not_sent(tmp_path: Path) -> None:
    """One digit turned in the file: dropped, counted and named; the others go out."""
    spool = opened(tmp_path)
    seqs = [taken(spool, NOW + i, readings=2) for i in range(3)]
    spool._database.execute(
        "UPDATE batch SET body = ? WHERE seq = ?", (BODY.replace(b"1.0", b"7.0"), seqs[1])
    )
    assert spool.get(seqs[0]) is not None
    assert spool.get(seqs[1]) is None
    assert spool.get(seqs[2]) is not None
    assert spool.account[Outcome.DROPPED, Drop.DAMAGED] == Count(1, 2)
    assert [one[:3] for one in spool.dropped_ranges] == [(Drop.DAMAGED, NOW + 1, NOW + 1)]
    assert_balanced(spool)
    spool.close()
