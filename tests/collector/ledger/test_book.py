"""The ledger's book: its lock, its file, and what it keeps of agents and people."""

import sqlite3
from math import inf
from pathlib import Path

import pytest
from jauge_collector.ledger.book import Ledger, LedgerError, LedgerLockedError
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import Method


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
