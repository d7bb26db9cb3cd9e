"""``jauge-collector verify``, through the real command line, on files that somebody changed."""

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_collector.compliance import archive
from jauge_collector.compliance.life import file_of
from jauge_collector.ledger import closing
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import add_link

from tests.collector.ledger.bench import DAY, HOUR, KWH, MINUTE, START, Bench
from tests.collector.registers.test_commands import Desk


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A site with a bill that somebody signed, and its document."""
    desk = Desk(tmp_path, capsys)
    bill = tmp_path / "bill.pdf"
    bill.write_bytes(b"%PDF example")
    desk.run(
        "attest", "--meter", "water", "--amount", "3", "--unit", "m3", "--from", "2026-02-01",
        "--to", "2026-03-01", "--signatory", "A. First", "--document", str(bill),
    )  # fmt: skip
    return desk


def _document(desk: Desk) -> Path:
    (path,) = (desk.folder / "documents").iterdir()
    return path


def _store_report(desk: Desk, text: bytes = b"{}") -> Path:
    """A report as `life.close` leaves it: its file, and the digest of that in the chain."""
    path = file_of(desk.folder / "reports", "lab", "2026-Q1", 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    said = {"act": "closed", "revision": 1, "snapshot": digest, "by": "A", "data_hash": digest}
    with Ledger(desk.folder / "ledger.db") as ledger:
        ledger.link("lab", "quarter", "2026-Q1", said, 9)
    return path


def _store_archive(desk: Desk, *, expired: bool = False) -> Path:
    """Archived readings as closing a quarter leaves them, and what the chain says of them."""
    path = archive.file_of(desk.folder / "archive", "lab", "2026-Q1", 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"readings")
    said = {"revision": 1, "sha256": hashlib.sha256(b"readings").hexdigest()}
    with Ledger(desk.folder / "ledger.db") as ledger:
        ledger.link("lab", "archive", "2026-Q1", said, 9)
        if expired:
            archive.expire(ledger, desk.folder / "archive", "lab", "2026-Q1", 10, dry_run=False)
    return path


def _head(desk: Desk) -> str:
    head: str = desk.json("verify")["head"]
    return head


def test_all_holds(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """The counts, the head, and status 0; for all sites and for one."""
    _store_report(desk)
    told = desk.json("verify")
    assert told | {"head": ""} == {
        "holds": True,
        "links": 2,
        "head": "",
        "entries": 1,
        "erased": 0,
        "adopted": 0,
        "documents": 1,
        "reports": 1,
        "archives": 0,
        "problems": [],
    }
    text = desk.run("verify")
    assert text.splitlines() == [
        "links: 2, entries: 1, documents: 1, reports: 1, archives: 0",
        f"head {told['head']}",
        "all holds",
    ]
    assert cli.main(["verify", "--config", str(desk.config)]) == 0
    assert capsys.readouterr() == (text, "")


def test_an_anchor_is_found_in_its_link(desk: Desk) -> None:
    """A digest kept earlier lies in its link however long the chain has become."""
    head = _head(desk)
    desk.run("attest", "--confirm", "1", "--signatory", "B. Second")
    assert desk.json("verify", "--anchor", head.upper())["anchor"]["link"] == 1
    assert "the anchor is the digest of link 1 of 2" in desk.run("verify", "--anchor", head)
    text = desk.run("verify", "--anchor", "0" * 63 + "1", code=1)
    assert "history was rewritten" in text
    assert desk.json("verify", "--anchor", "0" * 63 + "1", code=1)["anchor"] == {
        "link": None,
        "at_ms": None,
    }


def _sql(desk: Desk, statement: str) -> None:
    with sqlite3.connect(desk.folder / "ledger.db") as connection:
        connection.execute(statement)
    connection.close()


BROKEN: list[tuple[Any, str]] = [
    (lambda desk: _document(desk).write_bytes(b"%PDF another"), "of entry 1 is not what was kept"),
    (lambda desk: _document(desk).unlink(), "of entry 1 is missing"),
    (
        lambda desk: _store_report(desk).write_bytes(b"[]"),
        "report 2026-Q1 of lab, revision 1 is no",
    ),
    (lambda desk: _store_report(desk).unlink(), "report 2026-Q1 of lab, revision 1 is missing"),
    (
        lambda desk: _store_archive(desk).write_bytes(b"others"),
        "archive 2026-Q1 of lab, revision 1 is not",
    ),
    (lambda desk: _sql(desk, "UPDATE entries SET signatory='B'"), "entry 1 (amount of water) is n"),
    (lambda desk: _sql(desk, "DELETE FROM chain"), "entry 1 (amount of water) is in no link"),
]


@pytest.mark.parametrize(("harm", "told"), BROKEN)
def test_what_does_not_hold_is_named(desk: Desk, harm: Any, told: str) -> None:
    """One line for each, at the head of the output; status 1."""
    harm(desk)
    first, *_, last = desk.run("verify", code=1).splitlines()
    assert first.startswith("broken: ")
    assert told in first
    assert last == "broken things: 1"


async def _quarter(bench: Bench) -> None:
    """A day of rows, closed as `life.close` does it."""
    points = [(at, KWH * (1 + at / HOUR)) for at in range(0, DAY + 1, 5 * MINUTE)]
    await bench.receive(points)
    await bench.account(3 * DAY)
    span = (START, START + DAY)
    with bench.ledger.transaction(writes=True) as connection:
        rows = closing.digests(connection, "lab", ["mains"], *span)
        closing.close_span(connection, "lab", "2026-Q1", ["mains"], *span, START + 3 * DAY)
        said = {"act": "closed", "rows": rows, "start_ms": span[0], "end_ms": span[1]}
        add_link(connection, "lab", "quarter", "2026-Q1", said, START + 3 * DAY)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            f"UPDATE intervals SET amount = amount + 1 WHERE start_ms = {START}",
            ["lab: quarter 2026-Q1: rows of meter mains are not those that were closed"],
        ),
        (
            """UPDATE chain SET content = '{"rows": 5}' WHERE kind = 'quarter'""",
            [
                "link 2 (quarter 2026-Q1) does not say what it said when it was made",
                "lab: closed rows cannot be checked, for their links make no sense",
            ],
        ),
    ],
)
def test_closed_rows_are_held_against_their_digest(desk: Desk, how: str, told: list[str]) -> None:
    """A row changed behind the ledger's back is found, and what cannot be read is said."""
    desk.use(_quarter)
    assert desk.json("verify")["holds"]
    _sql(desk, how)
    assert desk.json("verify", code=1)["problems"] == told


def test_an_archive_that_went_by_its_time_is_not_missed(desk: Desk) -> None:
    """The chain says that it went."""
    assert not _store_archive(desk, expired=True).exists()
    assert desk.json("verify")["archives"] == 0


def test_an_entry_may_not_lead_to_another_file(desk: Desk) -> None:
    """What stands for a document's digest is no path."""
    _sql(desk, "UPDATE entries SET document='../collector.toml'")
    lines = desk.run("verify", code=1).splitlines()
    assert any("document ../collector of entry 1" in line for line in lines)
    assert any("cannot be read: is a directory" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--anchor", "abc"), "--anchor: is no digest; give its 64"),
        (("--site", "elsewhere"), "no site 'elsewhere'"),
    ],
)
def test_what_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    """One line and status 2."""
    assert cli.main(["verify", "--config", str(desk.config), *words]) == 2
    assert told in capsys.readouterr().err


def test_no_ledger_is_made(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is none, nothing would hold but an empty one."""
    for path in desk.folder.glob("ledger.db*"):
        path.unlink()
    assert cli.main(["verify", "--config", str(desk.config)]) == 2
    assert "there is no ledger" in capsys.readouterr().err
    assert not (desk.folder / "ledger.db").exists()


def test_it_is_json_when_broken_too(desk: Desk) -> None:
    """A machine that watches reads the same."""
    _sql(desk, "DELETE FROM entries")
    told = desk.json("verify", code=1)
    assert told["holds"] is False
    assert told["problems"] == ["entry 1 of link 1 is gone, and no link says why"]
    assert json.dumps(told)
