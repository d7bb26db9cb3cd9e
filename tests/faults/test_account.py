"""The account can find what it looks for: doctored spools and stores, each found out."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from jauge_agent.spool import Spool
from jauge_agent.spool_file import FILE_NAME

from tests.faults import cli
from tests.faults.account import Account, balance, keep_journal, read_books, total
from tests.faults.counting import value_at
from tests.faults.matrix import Expect, Fault
from tests.faults.stage import left_in, now_ms

SERIES = 3
TICKS = range(1_700_000_000_000, 1_700_000_010_000, 1000)


def opened(folder: Path, *, max_bytes: int = 10**9) -> Spool:
    """The spool as an agent opens it."""
    return Spool(folder, machine="m", max_bytes=max_bytes, max_age_ms=10**15, now_ms=now_ms())


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Ten batches taken, journalled, none answered."""
    opened(tmp_path).close()
    keep_journal(tmp_path)
    spool = opened(tmp_path)
    left_in(spool, TICKS, SERIES)
    yield spool
    spool.close()


def in_store(*ticks: int) -> dict[tuple[int, int], list[float]]:
    """A store that holds these ticks."""
    return {(n, tick): [value_at(n, tick)] for tick in ticks for n in range(SERIES)}


def account(spool: Spool, stored: dict[tuple[int, int], list[float]]) -> Account:
    """The account once the agent has ended."""
    folder = Path(spool._file.path).parent
    spool.close()
    return balance(read_books(folder), stored, SERIES)


def test_all_stored_closes(spool: Spool) -> None:
    """Ten answered and found."""
    spool.settle([(1, 10)], [])
    found = account(spool, in_store(*TICKS))
    assert (found.taken, found.stored, found.lost, found.twice, found.wrong) == (30, 30, 0, 0, 0)
    assert list(Expect().breaches(found)) == []


def test_a_reading_that_was_answered_and_is_not_in_the_store_is_lost(spool: Spool) -> None:
    """One of thirty is missing."""
    spool.settle([(1, 10)], [])
    stored = in_store(*TICKS)
    del stored[1, TICKS[4]]
    found = account(spool, stored)
    assert found.lost == 1
    assert found.unexplained == 0, "the counters cannot know"
    assert list(Expect().breaches(found)) == ["1 readings lost"]


def test_a_batch_that_vanished_from_the_spool_is_lost_and_unexplained(spool: Spool) -> None:
    """Deleted behind the agent's back."""
    folder = spool._file.path.parent
    spool.settle([(1, 5)], [])
    spool.close()
    database = sqlite3.connect(folder / FILE_NAME)
    with database:
        database.execute("DELETE FROM batch WHERE seq = 7")
    database.close()
    found = balance(read_books(folder), in_store(*TICKS[:5]), SERIES)
    assert (found.lost, found.unexplained, found.spooled) == (3, 3, 12)


def test_what_is_spooled_or_refused_is_not_lost(spool: Spool) -> None:
    """Three answered, one of them refused; the rest waits."""
    spool.settle([(1, 2)], [(3, "too_old")])
    found = account(spool, in_store(*TICKS[:2]))
    assert (found.stored, found.refused, found.spooled, found.lost) == (6, 3, 21, 0)
    assert found.refusals == {"too_old": 3}
    assert "refused for ['too_old'], not for []" in list(Expect().breaches(found))


def test_a_range_of_drops_explains_no_more_than_it_counts(tmp_path: Path) -> None:
    """The spool was at its cap; one reading more than it dropped is missing from the store."""
    opened(tmp_path).close()
    keep_journal(tmp_path)
    spool = opened(tmp_path, max_bytes=150_000)
    left_in(spool, range(TICKS[0], TICKS[0] + 200_000, 1000), 20)
    (dropped,) = spool.dropped_ranges
    kept = [spool.get(seq) for seq in range(1, 201)]
    spool.settle([(1, 200)], [])
    spool.close()
    stored = {
        (n, batch.time_ms): [value_at(n, batch.time_ms)]
        for batch in kept
        if batch is not None
        for n in range(20)
    }
    books = read_books(tmp_path)
    found = balance(books, stored, 20)
    assert found.dropped == dropped.readings > 0
    assert (found.lost, found.unexplained) == (0, 0)
    assert list(Expect(drops=frozenset({"disk_cap"})).breaches(found)) == []
    del stored[0, max(books.journal)]
    assert balance(books, stored, 20).lost == 1


def test_twice_wrong_and_foreign_readings_are_seen(spool: Spool) -> None:
    """One point double, one value altered, one tick that nobody took."""
    spool.settle([(1, 10)], [])
    stored = in_store(*TICKS)
    stored[0, TICKS[0]] *= 2
    stored[1, TICKS[0]] = [1.0]
    stored[2, TICKS[0] + 1] = [value_at(2, TICKS[0] + 1)]
    found = account(spool, stored)
    assert (found.twice, found.wrong, found.lost) == (1, 2, 0)
    assert len(list(Expect().breaches(found))) == 2


def test_a_control_row_without_doubles_is_broken(spool: Spool) -> None:
    """Where doubles must show, none is a failure."""
    spool.settle([(1, 10)], [])
    found = account(spool, in_store(*TICKS))
    assert list(Expect(doubled=True).breaches(found)) == ["0 readings twice"]


def test_several_agents_add_up() -> None:
    """Counts are summed, the longest time to catch up stands."""
    one = Account(5, 3, 1, 1, 0, 0, 0, 0, {"age": 1}, {"limits": 1}, catch_up_s=2.0)
    both = total([one, one])
    assert (both.taken, both.drops, both.refusals) == (10, {"age": 2}, {"limits": 2})
    assert both.catch_up_s == 2.0


def test_the_command_says_what_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row holds, one has lost something, one fails: exit status 1, three rows in the file."""

    async def holds(folder: Path) -> Account:
        return Account(5, 5, 0, 0, 0, 0, 0, 0)

    async def loses(folder: Path) -> Account:
        return Account(5, 5, 0, 0, 0, 0, 2, 0)

    async def fails(folder: Path) -> Account:
        raise AssertionError("not in time")

    rows = [Fault(play.__name__, play, False, Expect(), False) for play in (holds, loses, fails)]
    monkeypatch.setattr(cli, "faults", lambda **_: rows)
    file = tmp_path / "build" / "faults.json"
    assert cli.main(["--json", str(file), "--jobs", "2"]) == 1
    said = capsys.readouterr().out
    assert "\033" not in said, "this is no terminal"
    assert "2 readings lost" in said
    assert "not in time" in said
    written = json.loads(file.read_text())
    assert [row["fault"] for row in written] == ["holds", "loses", "fails"]
    assert written[0].keys() >= {
        "fault", "taken", "stored", "twice", "lost", "dropped", "catch_up_s"
    }  # fmt: skip
    monkeypatch.setattr(cli, "faults", lambda **_: rows[:1])
    document = tmp_path / "document.md"
    document.write_text("a\n<!-- faults: written by make faults -->\nold\n<!-- /faults -->\nb\n")
    assert cli.main(["--json", str(file), "--document", str(document)]) == 0
    shown = document.read_text().splitlines()
    assert (shown[0], shown[-1]) == ("a", "b")
    assert "old" not in shown
    assert any(line.startswith("| holds |") for line in shown)
    monkeypatch.setattr(cli, "faults", lambda **_: [])
    assert cli.main(["--json", str(file), "--only", "x"]) == 2
