"""A restatement is whole or not at all: killed anywhere, or with somebody else restating too."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC
from itertools import count
from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_collector.compliance import closing
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.closing import broken_rows
from jauge_collector.ledger.verification import verify
from jauge_models.configuration import ConfigurationError
from sqlalchemy import Connection

from tests.collector.compliance.test_life import NAME, NOW, close, late
from tests.collector.ledger.bench import HOUR, KWH, QUARTER, Bench
from tests.killed import finishes

STATEMENTS = {"execute", "executemany", "commit"}


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A site with a closed quarter and three rows that would be others."""
    home = tmp_path / "home"
    home.mkdir()
    async with Bench(home) as bench:
        bench.now_ms = NOW
        await bench.receive(
            [(0, KWH), (QUARTER, 2 * KWH), (HOUR, 8 * KWH), (HOUR + QUARTER, 9 * KWH)]
        )
        await bench.account()
        close(bench)
        await late(bench)
    return home


def restate(ledger: Ledger, folder: Path) -> closing.Restatement:
    """The officer signs."""
    site = sites.load(folder / "lab.toml")
    quarter = quarter_of(NAME, UTC, NOW)
    return closing.restate(ledger, site, quarter, by="Officer", reason="late", now_ms=NOW + 3)


def said(folder: Path) -> list[str]:
    """All that the ledger holds."""
    database = sqlite3.connect(folder / "ledger.db")
    try:
        return list(database.iterdump())
    finally:
        database.close()


def copied(folder: Path, name: str) -> Path:
    """The same site once more."""
    return Path(shutil.copytree(folder, folder.parent / name))


def test_killed_anywhere_it_leaves_all_as_it_was(folder: Path) -> None:
    """At each statement until the commit; what was killed is done again, to the same end."""
    before = said(folder)
    whole = copied(folder, "whole")
    with Ledger(whole / "ledger.db") as ledger:
        restate(ledger, whole)
    after = said(whole)
    assert after != before

    def work(at: Path) -> Callable[[Callable[[], None]], object]:
        def run(begin: Callable[[], None]) -> None:
            with Ledger(at / "ledger.db") as ledger:
                begin()
                restate(ledger, at)

        return run

    seen = []
    for number in count():
        one = copied(folder, f"killed-{number}")
        if finishes(work(one), STATEMENTS, number):
            assert said(one) == after
            break
        seen.append(said(one))
        assert seen[-1] in (before, after)
        with Ledger(one / "ledger.db") as ledger:
            assert not verify(ledger).problems
            assert broken_rows(ledger, "lab") == []
            if seen[-1] == before:
                restate(ledger, one)
        assert said(one) == after
    assert seen.count(before) > 10  # it was struck within, not only around


class _Overtaken(Ledger):
    """One whose next change comes after somebody else's."""

    def __init__(self, path: Path, first: Callable[[], object]) -> None:
        self._first: Callable[[], object] | None = None
        super().__init__(path)
        self._first = first

    def transaction(self, *, writes: bool) -> AbstractContextManager[Connection]:
        first = self._first
        if writes and first is not None:
            self._first = None
            first()
        return super().transaction(writes=writes)


def test_nothing_is_restated_twice(folder: Path) -> None:
    """Who comes second finds nothing to sign for."""

    def another() -> None:
        with Ledger(folder / "ledger.db") as other:
            restate(other, folder)

    with (
        _Overtaken(folder / "ledger.db", another) as ledger,
        pytest.raises(ConfigurationError, match="nothing is proposed for 2026-Q1"),
    ):
        restate(ledger, folder)
    with Ledger(folder / "ledger.db") as found:
        (link,) = found.links("lab", "restatement")
    assert link.content["rows_changed"] == 3


async def test_what_a_pass_proposes_meanwhile_is_told_with_the_rest(folder: Path) -> None:
    """All that is carried out is in the answer and the chain; nothing waits, nothing is lost."""
    other = copied(folder, "other")
    async with Bench(other) as bench:
        bench.now_ms = NOW
        await bench.receive([(HOUR + 2 * QUARTER, 12 * KWH)])
        await bench.account()
    more = other / "ledger.db"

    def a_pass() -> None:
        with sqlite3.connect(folder / "ledger.db") as database:
            database.execute("ATTACH ? AS other", (str(more),))
            database.execute("DELETE FROM proposals")
            database.execute("INSERT INTO proposals SELECT * FROM other.proposals")
        database.close()

    with _Overtaken(folder / "ledger.db", a_pass) as ledger:
        done = restate(ledger, folder)
        assert done.rows == sum(len(each.proposals) for each in done.proposals) > 3
        (link,) = ledger.links("lab", "restatement")
        assert link.content["rows_changed"] == done.rows
        assert (
            closing.preview(ledger, sites.load(folder / "lab.toml"), quarter_of(NAME, UTC, NOW))[0]
            == []
        )
        assert broken_rows(ledger, "lab") == []
