"""The hash chain: what it vouches for, and that changes of the file past the program are seen."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import START, Link, canonical, row_digest
from jauge_collector.ledger.entries import note_erased
from jauge_collector.ledger.erased_events import erase_events
from jauge_collector.ledger.verification import Anchor, Verified, verify

DAY = 24 * 3_600_000
Tamper = Callable[[sqlite3.Connection], Any]


def enter(ledger: Ledger, meter: str, base: float = 1.0, **more: Any) -> int:
    """An amount of a day."""
    given: dict[str, Any] = {
        "start_ms": 0,
        "end_ms": DAY,
        "now_ms": 2 * DAY,
        "signatory": "first",
    } | more
    return ledger.append("lab", "amount", meter, content={"base": base}, **given)


def build(path: Path) -> list[Link]:
    """Four entries and a closed quarter; the links."""
    with Ledger(path) as ledger:
        for meter in ("a", "b", "c"):
            enter(ledger, meter)
        ledger.link("lab", "quarter", "2026-Q1", {"revision": 1}, 3 * DAY)
        enter(ledger, "d")
        return ledger.links("lab")


def tamper(path: Path, how: str | Tamper) -> None:
    """Change the file as somebody would who has it in hand."""
    with sqlite3.connect(path) as connection:
        connection.executescript(how) if isinstance(how, str) else how(connection)
    connection.close()


def checked(path: Path, anchor: str | None = None) -> Verified:
    """What `verify` finds."""
    with Ledger(path) as ledger:
        return verify(ledger, anchor=anchor)


def test_a_digest_is_of_what_the_link_says_and_the_one_before(tmp_path: Path) -> None:
    """Worked out by hand from the stored row, so that another program can do so too."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.link("lab", "archive", "2026-Q1", {"ä": (1, 2.5), "b": None}, 7)
        ledger.link("", "registers", "", {}, 8)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        first, second = connection.execute("SELECT previous, digest FROM chain ORDER BY id")
    connection.close()
    said = (
        '{"at_ms":7,"content":{"b":null,"ä":[1,2.5]},"id":1,"kind":"archive","site":"lab",'
        '"subject":"2026-Q1"}'
    )
    digest = hashlib.sha256(("0" * 64 + said).encode()).hexdigest()
    assert first == ("0" * 64, digest)
    said = '{"at_ms":8,"content":{},"id":2,"kind":"registers","site":"","subject":""}'
    assert second == (digest, hashlib.sha256((digest + said).encode()).hexdigest())


def test_a_link_is_read_as_it_was_returned(tmp_path: Path) -> None:
    """By site, kind and subject; what JSON cannot hold is refused and adds nothing."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        made = ledger.link("lab", "quarter", "2026-Q1", {"rows": (1, 2), "by": {1: "x"}}, 5)
        ledger.link("other", "quarter", "2026-Q1", {}, 6)
        with pytest.raises(ValueError, match="JSON"):
            ledger.link("lab", "quarter", "2026-Q2", {"share": float("nan")}, 7)
        assert ledger.links("lab") == [made]
        assert ledger.links("lab", "quarter", "2026-Q1") == [made]
        assert ledger.links("lab", "archive") == []
        assert ledger.links("lab", subject="2026-Q2") == []


def test_what_was_only_entered_holds(tmp_path: Path) -> None:
    """Head, counts, and every digest lies in its link; a wrong anchor lies in none."""
    links = build(tmp_path / "ledger.db")
    found = checked(tmp_path / "ledger.db", links[1].digest)
    assert found == Verified(
        links=5,
        head=links[-1].digest,
        entries=4,
        erased=0,
        adopted=0,
        anchor=Anchor(2, 2 * DAY),
        problems=(),
    )
    assert checked(tmp_path / "ledger.db", START).anchor == (0, None)
    wrong = checked(tmp_path / "ledger.db", "f" * 64)
    assert wrong.anchor == (None, None)
    assert ["digest of no link" in problem for problem in wrong.problems] == [True]


def test_a_new_ledger_holds(tmp_path: Path) -> None:
    """Its head is what stands before the first link."""
    assert checked(tmp_path / "ledger.db")[:3] == (0, START, 0)


SWAP = "UPDATE chain SET id=9 WHERE id=2; UPDATE chain SET id=2 WHERE id=3;\
 UPDATE chain SET id=3 WHERE id=9"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            "UPDATE entries SET content='{\"base\": 2.0}' WHERE id=2",
            ("entry 2 (amount of b) is n",),
        ),
        ("UPDATE entries SET signatory='second' WHERE id=1", ("entry 1 (amount of a) is not",)),
        ("UPDATE entries SET start_ms=x'00' WHERE id=1", ("entry 1 (amount of a) is not what",)),
        ("DELETE FROM entries WHERE id=4", ("entry 4 of link 5 is gone",)),
        (
            (
                "INSERT INTO entries SELECT 9, site, kind, 'e', start_ms, end_ms, content, "
                "signatory, document, corrects, entered_ms, salt FROM entries WHERE id=1"
            ),
            ("entry 9 (amount of e) is in no link",),
        ),
        ("DELETE FROM chain WHERE id=4", ("link 4 is missing",)),
        ("DELETE FROM chain WHERE id=1", ("link 1 is missing", "entry 1 (amount of a) is in no")),
        ("DELETE FROM chain WHERE id=5", ("entry 4 (amount of d) is in no link",)),
        (
            "DELETE FROM chain WHERE id IN (3, 4)",
            ("links 3 to 4 are missing", "entry 3 (amount of c) is in no link"),
        ),
        (
            SWAP,
            (
                "link 2 (entry 3) does not follow",
                "link 2 (entry 3) does not say",
                "link 3 (entry 2) does not follow",
                "link 3 (entry 2) does not say",
                "link 4 (quarter 2026-Q1) does not follow",
            ),
        ),
        (
            "UPDATE chain SET content='{\"revision\":2}' WHERE id=4",
            ("link 4 (quarter 2026-Q1) does not say",),
        ),
        ("UPDATE chain SET content='{' WHERE id=4", ("link 4 (quarter 2026-Q1) does not say",)),
        ("UPDATE chain SET at_ms=x'00' WHERE id=4", ("link 4 (quarter 2026-Q1) does not say",)),
        (
            "UPDATE chain SET subject='x' WHERE id=5",
            ("link 5 (entry x) does not say", "link 5 (entry x) names no entry", "entry 4 (amo"),
        ),
    ],
)
def test_whoever_changes_the_file_is_seen(tmp_path: Path, how: str, told: tuple[str, ...]) -> None:
    """Each change is named where it was made, in as few lines as it takes."""
    path = tmp_path / "ledger.db"
    build(path)
    tamper(path, how)
    problems = checked(path).problems
    assert len(problems) == len(told), problems
    for line, start in zip(problems, told, strict=True):
        assert line.startswith(start)


def _vouch(connection: sqlite3.Connection, key: int, at: int) -> None:
    """Make link ``at`` vouch for an entry as it is now, with digests that fit."""
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT * FROM entries WHERE id=?", (key,)).fetchone()
    link = connection.execute("SELECT * FROM chain WHERE id=?", (at,)).fetchone()
    content = json.loads(link["content"]) | {"sha256": row_digest(dict(row))}
    _write(connection, Link(**{**dict(link), "content": content}))


def _write(connection: sqlite3.Connection, link: Link) -> str:
    connection.execute(
        "UPDATE chain SET content=?, previous=?, digest=? WHERE id=?",
        (canonical(link.content).decode(), link.previous, link.expected, link.id),
    )
    return link.expected


def test_a_link_that_fits_its_changed_entry_breaks_the_next(tmp_path: Path) -> None:
    """Who knows how a link is made still has to make all that follow."""
    path = tmp_path / "ledger.db"
    build(path)

    def forge(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE entries SET content='{\"base\": 2.0}' WHERE id=2")
        _vouch(connection, 2, 2)

    tamper(path, forge)
    (problem,) = checked(path).problems
    assert problem.startswith("link 3 (entry 3) does not follow link 2")


def test_only_an_anchor_tells_of_a_history_that_was_rewritten_whole(tmp_path: Path) -> None:
    """Every link made anew holds in itself; the digest somebody kept lies in none of them."""
    path = tmp_path / "ledger.db"
    links = build(path)

    def forge(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE entries SET content='{\"base\": 2.0}' WHERE id=2")
        _vouch(connection, 2, 2)
        previous = START
        for row in connection.execute("SELECT * FROM chain ORDER BY id").fetchall():
            link = Link(**{**dict(row), "content": json.loads(row["content"])})
            previous = _write(connection, link._replace(previous=previous))

    tamper(path, forge)
    assert checked(path).problems == ()
    assert checked(path, links[0].digest).anchor == (1, 2 * DAY), "nothing before was touched"
    (problem,) = checked(path, links[-1].digest).problems
    assert "rewritten" in problem


def test_an_entry_is_vouched_for_once(tmp_path: Path) -> None:
    """A second link for a changed entry, well made at the end, changes nothing."""
    path = tmp_path / "ledger.db"
    build(path)
    tamper(path, "UPDATE entries SET content='{\"base\": 2.0}' WHERE id=2")
    with Ledger(path) as ledger:
        with sqlite3.connect(path) as connection:
            connection.row_factory = sqlite3.Row
            row = dict(connection.execute("SELECT * FROM entries WHERE id=2").fetchone())
        connection.close()
        ledger.link("lab", "entry", "2", {"sha256": row_digest(row)}, 9)
    first, second = checked(path).problems
    assert first.startswith("link 6 (entry 2) vouches for entry 2, which link 2 did")
    assert second.startswith("entry 2 (amount of b) is not what was entered")


def test_what_is_erased_is_noted_and_nothing_is_broken(tmp_path: Path) -> None:
    """Entries past their time go with what was said of them; the chain tells that they went."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        old = enter(ledger, "a")
        ledger.append(
            "lab", "confirmation", str(old), start_ms=0, content={}, now_ms=3 * DAY, signatory="b"
        )
        enter(ledger, "a", start_ms=DAY, end_ms=5 * DAY, now_ms=6 * DAY)
        going = kept.old_entries(ledger, kept.CLOSED, 2 * DAY, None)
        assert sorted(going) == [1, 2]
        before = verify(ledger)
        kept.drop_entries(ledger, going, 9 * DAY, dry_run=True)
        assert verify(ledger) == before
        kept.drop_entries(ledger, going, 9 * DAY, dry_run=False)
        (link,) = ledger.links("lab", "erased")
        assert (link.subject, link.at_ms) == ("expired", 9 * DAY)
        assert link.content == {"entries": [1, 2], "rewritten": {}}
    found = checked(path)
    assert (found.entries, found.erased, found.problems) == (1, 2, ())
    tamper(
        path,
        "INSERT INTO entries SELECT 1, site, kind, subject, 0, 1, content, signatory, document, "
        "corrects, entered_ms, salt FROM entries WHERE id=3",
    )
    (problem,) = checked(path).problems
    assert problem == "entry 1 (amount of a) is there, though link 4 says it was erased"


def _event(ledger: Ledger, subject: str, corrects: int | None = None) -> int:
    return ledger.append(
        "lab",
        "event",
        subject,
        start_ms=0,
        end_ms=DAY,
        content={"event": "maintenance", "reason": f"{subject} again"},
        now_ms=2 * DAY,
        corrects=corrects,
        may_move=True,
    )


def test_an_erased_name_leaves_its_entry_vouched_for_anew(tmp_path: Path) -> None:
    """What must stay for what it corrects loses name, reason and salt: no digest tells of them."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        first = _event(ledger, "mains")
        named = _event(ledger, "host:mr-x", first)
        alone = _event(ledger, "host:mr-x")
        assert erase_events(ledger, "lab", ["host:mr-x"], [], 9, dry_run=False) == 2
        (link,) = ledger.links("lab", "erased")
        assert link.content["entries"] == [alone]
        assert list(link.content["rewritten"]) == [str(named)]
        assert "mr-x" not in json.dumps([each.content for each in ledger.links("lab")])
    found = checked(path)
    assert (found.entries, found.erased, found.problems) == (2, 2, ())
    tamper(path, f"UPDATE entries SET start_ms=1 WHERE id={named}")
    assert "is not what was entered: see link 4" in checked(path).problems[0]


def test_an_erasure_rewrites_nothing_but_a_name(tmp_path: Path) -> None:
    """A link that lets an amount be another one is none that the program makes."""
    path = tmp_path / "ledger.db"
    build(path)
    tamper(path, "UPDATE entries SET content='{\"base\": 2.0}' WHERE id=2")
    with Ledger(path) as ledger, ledger.transaction(writes=True) as connection:
        note_erased(connection, "lab", [2], "on demand", 9)
    (problem,) = checked(path).problems
    assert problem == "entry 2 (amount of b) was rewritten, which no erasure does: see link 6"


def test_the_digest_of_an_erased_row_cannot_be_guessed(tmp_path: Path) -> None:
    """Entries that say the same have digests of their own: each has a salt, which goes with it."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        for _ in range(2):
            _event(ledger, "host:mr-x")
    with sqlite3.connect(path) as connection:
        salts = [row[0] for row in connection.execute("SELECT salt FROM entries")]
    connection.close()
    assert len(set(salts)) == 2
    assert {len(salt) for salt in salts} == {32}


def test_an_older_ledger_gets_its_chain(tmp_path: Path) -> None:
    """What was entered before is linked in its order, and said to be vouched for from now on."""
    path = tmp_path / "ledger.db"
    script = (Path(__file__).parent / "ledger-1.sql").read_text(encoding="utf-8")
    tamper(path, script)
    found = checked(path)
    assert (found.links, found.entries, found.adopted, found.problems) == (1, 1, 1, ())
    assert checked(path) == found, "once"
    with Ledger(path) as ledger:
        enter(ledger, "a")
    assert checked(path)[2:5] == (2, 0, 1)
    tamper(path, "UPDATE entries SET content='{}' WHERE id=1")
    assert len(checked(path).problems) == 1


def test_writers_at_the_same_time_make_one_chain(tmp_path: Path) -> None:
    """Two processes' worth of entries: no number twice, none left out."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as first, Ledger(path) as second, ThreadPoolExecutor(4) as threads:
        work = [
            threads.submit(enter, ledger, f"m{n}") for n in range(10) for ledger in (first, second)
        ]
        assert sorted(each.result() for each in work) == list(range(1, 21))
    found = checked(path)
    assert (found.links, found.entries, found.problems) == (20, 20, ())


def test_an_entry_that_is_not_kept_leaves_no_link(tmp_path: Path) -> None:
    """Both stand in one transaction."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        key = enter(ledger, "a")
        enter(ledger, "a", corrects=key)
        with pytest.raises(Exception, match="already corrected"):
            enter(ledger, "a", corrects=key)
        assert [link.subject for link in ledger.links("lab")] == ["1", "2"]
