"""The ledger's book: its lock, its file, and what it keeps of agents and people."""

import sqlite3
from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest
from jauge_collector.ledger.book import Ledger, LedgerError, LedgerLockedError
from jauge_collector.ledger.rows import Jump, Row, Stretch
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Basis, Grade, Interval
from jauge_models.topology import Commodity
from jauge_models.wire import Method

HOUR = 3_600_000


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """A second collector is refused the lock at once, and gets it when the first is done."""
    with Ledger(tmp_path / "ledger.db") as first, Ledger(tmp_path / "ledger.db") as second:
        with (
            first.writer(),
            pytest.raises(LedgerLockedError, match="another collector"),
            second.writer(),
        ):
            pass
        with second.writer():
            pass


def test_a_newer_ledger_is_not_opened(tmp_path: Path) -> None:
    """An older program never writes into a ledger it does not understand."""
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE facts SET value = 99")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="newer version"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    """The error names the file, without a traceback's worth of SQL."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db: file is not a database"):
        Ledger(path)


def test_what_agents_say_is_kept(tmp_path: Path) -> None:
    """Oldest unanswered batch and methods survive, and the last word wins."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.set_oldest("lab", "gw", 5)
        ledger.record({("lab", "gw"): [7, 900_001]}, {("lab", "gw"): 9, ("lab", "b"): 1}, 3)
        ledger.set_methods("lab", "gw", {("meter:a", "energy"): Method.COUNTER})
        ledger.set_methods("lab", "gw", {("meter:a", "energy"): Method.REGISTER})
    with Ledger(path) as ledger:
        assert ledger.oldest("lab") == {"gw": 9, "b": 1}
        assert ledger.methods("lab") == {("gw", "meter:a", "energy"): Method.REGISTER}
        assert [m.start_ms for m in ledger.marks("lab", 3)] == [0, 900_000]
        assert ledger.marks("other", 3) == []


def test_a_mark_that_was_renewed_is_not_deleted(tmp_path: Path) -> None:
    """Deleting asks for the generation that was read."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.mark("lab", "gw", [0, 900_000], 1)
        read = ledger.marks("lab", 1)
        ledger.mark("lab", "gw", [10], 2)
        assert ledger.unmark("lab", read) == 1
        (left,) = ledger.marks("lab", 1)
        assert (left.start_ms, left.generation, left.last_ms) == (0, 1, 2)


def test_a_mark_never_looks_older_than_it_is(tmp_path: Path) -> None:
    """A clock that was set back does not make a renewed mark seem settled."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.mark("lab", "gw", [0], 50)
        ledger.mark("lab", "gw", [0], 20)
        (mark,) = ledger.marks("lab", 50)
        assert (mark.last_ms, mark.generation) == (50, 1)
        ledger.mark("lab", "gw", [0], 60)
        assert ledger.marks("lab", 60)[0].last_ms == 60


def test_a_ledger_that_may_not_be_written_names_the_fix(tmp_path: Path) -> None:
    """SQLite needs to write even to read: the line names path, folder and what to do."""
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerError, match=r"ledger\.db: unable to open.*must be writable.*run as"):
        Ledger(tmp_path / "ledger.db")


def test_an_entry_corrects_only_one_of_its_own_subject(tmp_path: Path) -> None:
    """Another meter's entry stays in force, unless the entry may move and names both."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        key = ledger.append("lab", "factor", "dc", start_ms=5, content={"value": 2.0}, now_ms=9)
        with pytest.raises(ConfigurationError, match="is one of 'dc', not of 'it'"):
            ledger.append("lab", "factor", "it", start_ms=7, content={}, now_ms=9, corrects=key)
        assert [e.id for e in ledger.entries("lab", "factor")] == [key]
        assert ledger.marks("lab", 9) == []
        for wrong in (10**20, -1, 0):
            with pytest.raises(ConfigurationError, match=f"no factor numbered {wrong}"):
                ledger.append(
                    "lab", "factor", "dc", start_ms=7, content={}, now_ms=9, corrects=wrong
                )
        ledger.append(
            "lab",
            "factor",
            "it",
            start_ms=7,
            content={},
            now_ms=9,
            corrects=key,
            may_move=True,
            restates=[("it", 7, None), ("dc", 7, None)],
        )
        assert {(m.name, m.start_ms) for m in ledger.marks("lab", 9)} == {("it", 5), ("dc", 5)}


def test_what_is_no_number_is_never_kept(tmp_path: Path) -> None:
    """The last guard: infinity reaches no entry, whichever register lets it through."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        with pytest.raises(ValueError, match="JSON"):
            ledger.append("lab", "factor", "dc", start_ms=5, content={"value": inf}, now_ms=9)
        assert ledger.entries("lab", "factor") == []


def hour(at: int, amount: float, *, final: bool = True) -> Row:
    """A row of one hour."""
    interval = Interval(at * HOUR, (at + 1) * HOUR, amount, HOUR, HOUR, Basis.POWER, Grade.MEDIUM)
    return Row(interval, "gw/host/power", final=final)


def stretch(
    subject: str, start: int, end: int, rows: Sequence[Row], jumps: Sequence[int] = ()
) -> Stretch:
    """Recomputed rows of some hours, with the jumps that were seen in them."""
    return Stretch(
        subject,
        Commodity.ELECTRICITY,
        start * HOUR,
        end * HOUR,
        rows,
        [Jump("feed", at, at - 1) for at in jumps],
        {"feed": (start * HOUR, end * HOUR)},
    )


def kept(ledger: Ledger, subject: str) -> list[tuple[int, float | None, int]]:
    """Hour, amount and revision of each current row."""
    return [
        (row.interval.start_ms // HOUR, row.interval.amount, row.revision)
        for row in ledger.current("lab", subject, 0, 99 * HOUR)
    ]


def test_rows_of_many_subjects_are_saved_together_as_each_alone(tmp_path: Path) -> None:
    """Known and new ones, of one span and of others, a subject twice: what is not meant stays."""
    first = [
        stretch("a", 0, 2, [hour(0, 1.0), hour(1, 2.0)], [5]),
        stretch("b", 0, 2, [hour(0, 3.0, final=False)], [6]),
        stretch("gone", 0, 2, [hour(0, 9.0)], [7]),
    ]
    then = [
        stretch("a", 0, 1, [hour(0, 1.5)]),
        stretch("new", 0, 1, [hour(0, 8.0)], [9]),
        stretch("b", 0, 1, [hour(0, 3.5)], [6, 8]),
        stretch("nothing", 0, 1, []),
        stretch("gone", 0, 1, []),
        stretch("a", 1, 3, [hour(1, 2.0), hour(2, 4.0)]),
        stretch("a", 2, 4, [hour(2, 5.0), hour(3, 6.0)]),
    ]
    found: list[object] = []
    for together in (True, False):
        with Ledger(tmp_path / f"{together}.db") as ledger:
            ledger.save("other", [stretch("a", 0, 1, [hour(0, 7.0)])], 1)
            ledger.save("lab", first, 1)
            many = [then] if together else [[one] for one in then]
            saved = [ledger.save("lab", some, 2) for some in many]
            assert kept(ledger, "a") == [(0, 1.5, 1), (1, 2.0, 0), (2, 5.0, 1), (3, 6.0, 0)]
            assert kept(ledger, "b") == [(0, 3.5, 0)]
            assert kept(ledger, "new") == [(0, 8.0, 0)]
            assert kept(ledger, "gone") == kept(ledger, "nothing") == []
            assert ledger.jumps("lab") == {
                "b": [Jump("feed", 6, 5), Jump("feed", 8, 7)],
                "new": [Jump("feed", 9, 8)],
            }
            assert [row.interval.amount for row in ledger.history("lab", "a", 0)] == [1.0, 1.5]
            assert [row.interval.amount for row in ledger.history("lab", "gone", 0)] == [9.0]
            assert ledger.rows("other", ["a"], 0, HOUR)["a"][0].amount == 7.0
            found.append((sum(one.written for one in saved), sum(one.revised for one in saved)))
    assert found[0] == found[1] == (6, 3)


def test_the_row_that_holds_a_moment_is_found_of_many(tmp_path: Path) -> None:
    """One at most of each, whatever came before; its end is no part of it."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.save("lab", [stretch("a", 0, 9, [hour(at, at) for at in range(9)])], 1)
        ledger.save("lab", [stretch("b", 0, 9, [hour(2, 2.0), hour(4, 4.0)])], 1)
        for at_ms, wanted in (
            (2 * HOUR, {"a": 2.0, "b": 2.0}),
            (4 * HOUR - 1, {"a": 3.0}),
            (4 * HOUR + 1, {"a": 4.0, "b": 4.0}),
            (9 * HOUR, {}),
        ):
            held = ledger.holding("lab", ["b", "nobody", "a"], at_ms)
            assert {name: row.interval.amount for name, row in held.items()} == wanted
        assert ledger.holding("other", ["a"], HOUR) == {}
