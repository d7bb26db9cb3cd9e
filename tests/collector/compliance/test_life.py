"""Life of a quarter: who may do what when, what is stored, and what a restatement leaves behind."""

import fcntl
from collections.abc import AsyncIterator
from datetime import UTC, date
from pathlib import Path

import msgspec
import pytest
from jauge_collector.compliance import archive, closing, life
from jauge_collector.compliance.life import State
from jauge_collector.compliance.quarters import Quarter, quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.closing import broken_rows
from jauge_collector.registers import meters
from jauge_collector.registers.files import Registers
from jauge_collector.reports.content import Report, data_hash, decode, encode
from jauge_models.compliance.windows import Window
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Interval, Point
from jauge_models.resources import Series

from tests.collector.ledger.bench import DAY, HOUR, KWH, QUARTER, START, Bench
from tests.collector.reports.example import example

NAME = "2026-Q1"
NOW = START + 100 * DAY


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A site in the second quarter, with an hour of readings in the first."""
    async with Bench(tmp_path) as made:
        made.now_ms = NOW
        await made.receive(
            [(0, KWH), (QUARTER, 2 * KWH), (HOUR, 8 * KWH), (HOUR + QUARTER, 9 * KWH)]
        )
        await made.account()
        yield made


def quarter(name: str = NAME) -> Quarter:
    """A quarter of the bench's site."""
    return quarter_of(name, UTC, NOW)


def report(note: str = "", **changes: object) -> Report:
    """A report of the first quarter; the note makes it another one."""
    made = example(approved=False, servers=1)
    told = {"site": "lab", "quarter": NAME, "start": date(2026, 1, 1), "as_of": date(2026, 3, 31)}
    record = msgspec.structs.replace(made.record, **{**told, "note": note, **changes})
    return msgspec.structs.replace(made, record=record)


def close(bench: Bench, note: str = "", why: str = "", by: str = "Officer") -> life.Standing:
    """The officer closes the quarter with a report of its own."""
    return life.close(
        bench.ledger,
        bench.folder / "reports",
        bench.site,
        report(note),
        by=by,
        now_ms=bench.now_ms,
        note=why,
    )


def approve(bench: Bench, by: str = "Director", *, two_people: bool = True) -> life.Standing:
    """Somebody approves it."""
    return life.approve(
        bench.ledger, "lab", NAME, by=by, now_ms=bench.now_ms + 1, two_people=two_people
    )


def publish(bench: Bench) -> life.Standing:
    """It is published."""
    where = "https://example.org/data"
    return life.publish(
        bench.ledger, "lab", NAME, by="Officer", where=where, now_ms=bench.now_ms + 2
    )


async def late(bench: Bench) -> None:
    """A reading comes after all, and its rows are proposed."""
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    await bench.account()


def sources(bench: Bench) -> Sources:
    """What an archive is made of."""
    return Sources(bench.site, Registers(), bench.ledger, bench.folder / "ledger.db", bench.store)


# --- states


def test_a_quarter_goes_through_its_states(bench: Bench) -> None:
    """Who, when and why are kept; what is not approved is provisional."""
    assert life.standing(bench.ledger, "lab", NAME) == life.Standing(site="lab", quarter=NAME)
    assert life.standings(bench.ledger, "lab") == ()
    closed = close(bench, by="  Ada   Officer ", why="as planned")
    assert (closed.state, closed.revision) == (State.CLOSED, 1)
    assert closed.closed is not None
    assert (closed.closed.by, closed.closed.at_ms, closed.closed.note) == (
        "Ada Officer",
        NOW,
        "as planned",
    )
    assert closed.data_hash == data_hash(decode(encode(report())))
    assert life.stored(bench.folder / "reports", closed).provisional
    approved = approve(bench)
    assert (approved.state, approved.approved and approved.approved.by) == (
        State.APPROVED,
        "Director",
    )
    stored = life.stored(bench.folder / "reports", approved)
    assert not stored.provisional
    assert (stored.state, stored.revision, stored.closed) == ("approved", 1, closed.closed)
    assert data_hash(stored) == closed.data_hash
    published = publish(bench)
    assert published.state is State.PUBLISHED
    assert [step.act for step in published.history] == ["closed", "approved", "published"]
    assert published.history[-1].where == "https://example.org/data"
    assert life.standings(bench.ledger, "lab") == (published,)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"running": True}, "2026-Q1 has not ended"),
        ({"site": "other"}, "the report is of 'other'"),
    ],
)
def test_what_may_not_be_closed(bench: Bench, changes: dict[str, object], problem: str) -> None:
    """A running quarter, or another site's; nothing is left of the attempt."""
    with pytest.raises(ConfigurationError, match=problem):
        life.close(
            bench.ledger,
            bench.folder / "reports",
            bench.site,
            report("", **changes),
            by="Officer",
            now_ms=NOW,
        )
    assert not (bench.folder / "reports").exists()
    assert bench.ledger.links("lab", "quarter") == []


def test_every_act_is_signed(bench: Bench) -> None:
    """Blanks are nobody."""
    with pytest.raises(ConfigurationError, match="--signatory: missing"):
        close(bench, by=" ")
    close(bench)
    with pytest.raises(ConfigurationError, match="--signatory: missing"):
        approve(bench, by="\t")


def test_another_person_approves(bench: Bench) -> None:
    """However the name is written; unless the policy does not ask for two people."""
    with pytest.raises(ConfigurationError, match=r"2026-Q1 is open.*close it first"):
        approve(bench)
    close(bench, by="Ada Officer")
    with pytest.raises(ConfigurationError, match="another person must approve it"):
        approve(bench, by=" ada  OFFICER ")
    assert approve(bench, by="ada officer", two_people=False).state is State.APPROVED
    with pytest.raises(ConfigurationError, match="2026-Q1 is approved"):
        approve(bench)


def test_only_what_is_approved_is_published(bench: Bench) -> None:
    """Neither an open nor a closed quarter."""
    with pytest.raises(ConfigurationError, match="is open; only an approved one"):
        publish(bench)
    close(bench)
    with pytest.raises(ConfigurationError, match="is closed; only an approved one"):
        publish(bench)


def test_a_new_edition_stands_beside_the_old_one(bench: Bench) -> None:
    """Closed again with a reason; it is provisional anew, and the earlier report stays readable."""
    folder = bench.folder / "reports"
    close(bench)
    with pytest.raises(ConfigurationError, match="its report would say the same"):
        close(bench)
    assert close(bench, "a word").revision == 2
    approve(bench)
    publish(bench)
    with pytest.raises(ConfigurationError, match="--note: missing: 2026-Q1 is published"):
        close(bench, "other words")
    third = close(bench, "other words", "a bill came late")
    assert (third.state, third.revision, third.approved) == (State.CLOSED, 3, None)
    assert [third.reached(n) for n in (1, 2, 3)] == [State.CLOSED, State.PUBLISHED, State.CLOSED]
    assert life.stored(folder, third).record.note == "other words"
    second = life.stored(folder, third, 2)
    assert (second.record.note, second.state, second.provisional) == ("a word", "published", False)
    assert len(list((folder / "lab").iterdir())) == 3
    with pytest.raises(ConfigurationError, match="has no revision 4"):
        life.stored(folder, third, 4)


def test_a_stored_report_proves_itself(bench: Bench) -> None:
    """One that was changed or is gone is refused, not shown; the group may read it."""
    folder = bench.folder / "reports"
    standing = close(bench)
    file = folder / "lab" / "2026-Q1-r1.json"
    assert file.stat().st_mode & 0o777 == 0o640
    text = file.read_bytes()
    file.write_bytes(text.replace(b'"quarter":"2026-Q1"', b'"quarter":"2026-Q2"'))
    with pytest.raises(ConfigurationError, match="is not the report that was closed"):
        life.stored(folder, standing)
    file.write_bytes(text)
    assert encode(life.stored(folder, standing)) == text
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read: no such file"):
        life.stored(folder, standing)
    with pytest.raises(ConfigurationError, match="2026-Q2 was never closed"):
        life.stored(folder, life.standing(bench.ledger, "lab", "2026-Q2"))


async def test_rows_that_changed_meanwhile_are_not_closed_unseen(bench: Bench) -> None:
    """The report was gathered from other rows than stand by now."""
    rows = closing.digests(bench.ledger, bench.site, quarter())
    await late(bench)
    with pytest.raises(ConfigurationError, match="changed while the report was gathered"):
        life.close(
            bench.ledger,
            bench.folder / "reports",
            bench.site,
            report(),
            by="Officer",
            now_ms=NOW,
            rows=rows,
        )
    assert bench.ledger.links("lab", "quarter") == []


# --- restatements


async def test_a_restated_quarter_must_be_closed_again(bench: Bench) -> None:
    """What was approved stays as it was; the next edition has the restatement's reason."""
    close(bench)
    approve(bench)
    await late(bench)
    before = life.standing(bench.ledger, "lab", NAME)
    assert before.restated == ()
    done = closing.restate(
        bench.ledger, bench.site, quarter(), by="Officer", reason="late", now_ms=NOW + 3
    )
    assert done.rows == 3
    assert [(one.quarter, one.revision, one.state) for one in done.touched] == [
        (NAME, 1, State.APPROVED)
    ]
    standing = life.standing(bench.ledger, "lab", NAME)
    assert (standing.state, len(standing.restated)) == (State.APPROVED, 1)
    with pytest.raises(ConfigurationError, match="restated after it was closed; close it again"):
        publish(bench)
    (link,) = bench.ledger.links("lab", "restatement")
    assert link.content["touches"] == [{"quarter": NAME, "revision": 1, "state": "approved"}]
    told = link.content["meters"]["mains"]
    assert told["rows"] == link.content["rows_changed"] == 3
    assert (told["before"], told["after"]) == pytest.approx((6 * KWH, 6 * KWH))
    again = close(bench, "what it says now")
    assert (again.revision, again.closed and again.closed.note) == (2, "late")
    assert again.restated == ()
    assert approve(bench).state is State.APPROVED
    assert broken_rows(bench.ledger, "lab") == []


async def test_a_restatement_is_signed_and_has_a_reason(bench: Bench) -> None:
    """And something to restate."""
    close(bench)

    def restate(by: str = "Officer", reason: str = "late") -> None:
        closing.restate(bench.ledger, bench.site, quarter(), by=by, reason=reason, now_ms=NOW)

    with pytest.raises(ConfigurationError, match="nothing is proposed for 2026-Q1"):
        restate()
    await late(bench)
    with pytest.raises(ConfigurationError, match="--signatory: missing"):
        restate(by="")
    with pytest.raises(ConfigurationError, match="--reason: missing"):
        restate(reason=" ")
    before = bench.rows()
    assert closing.preview(bench.ledger, bench.site, quarter()).rows == 3
    assert bench.rows() == before


async def test_a_row_of_two_quarters_restates_both(tmp_path: Path) -> None:
    """A meter that people read: what is restated for one quarter changes the other's figures."""
    unfed = '[[meters]]\nid = "mains"\ncommodity = "electricity"\n'
    async with Bench(tmp_path, unfed) as bench:
        bench.now_ms = START + 200 * DAY

        async def read(day: int, value: float) -> None:
            meters.enter_reading(
                bench.ledger,
                bench.site,
                bench.site.topology.meter("mains"),
                value,
                at_ms=START + day * DAY,
                now_ms=bench.now_ms,
                entered="",
                signatory="reader",
            )
            await bench.account()

        await read(0, KWH)
        await read(150, 151 * KWH)
        for name, first, last in (
            ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
            ("2026-Q2", date(2026, 4, 1), date(2026, 6, 30)),
        ):
            life.close(
                bench.ledger,
                tmp_path / "reports",
                bench.site,
                report(quarter=name, start=first, as_of=last),
                by="Officer",
                now_ms=bench.now_ms,
            )
        await read(60, 31 * KWH)
        later = Quarter("2026-Q2", Window(date(2026, 4, 1), date(2026, 6, 30)), running=False)
        done = closing.restate(
            bench.ledger, bench.site, later, by="Officer", reason="read", now_ms=bench.now_ms
        )
        assert [one.quarter for one in done.touched] == ["2026-Q1", "2026-Q2"]
        assert [row.amount for row in bench.rows(end=200 * DAY)] == pytest.approx(
            [30 * KWH, 120 * KWH]
        )
        assert broken_rows(bench.ledger, "lab") == []
        for standing in life.standings(bench.ledger, "lab"):
            assert len(standing.restated) == 1


def close_second(bench: Bench) -> life.Standing:
    """The officer closes the second quarter of 2026 too; no reading lies in it."""
    bench.now_ms = START + 200 * DAY
    later = report(quarter="2026-Q2", start=date(2026, 4, 1), as_of=date(2026, 6, 30))
    return life.close(
        bench.ledger, bench.folder / "reports", bench.site, later, by="O", now_ms=bench.now_ms
    )


async def test_a_restatement_touches_what_has_its_rows_in_twelve_months(bench: Bench) -> None:
    """The annual figures of a later quarter rest on them: it is closed again too."""
    close(bench)
    close_second(bench)
    await bench.receive([(2 * QUARTER, 6 * KWH)])
    await bench.account()
    assert [
        one.quarter for one in closing.preview(bench.ledger, bench.site, quarter()).touched
    ] == [
        NAME,
        "2026-Q2",
    ]
    closing.restate(
        bench.ledger, bench.site, quarter(), by="Officer", reason="late", now_ms=bench.now_ms
    )
    first, second = bench.ledger.links("lab", "restatement")
    assert [first.subject, second.subject] == [NAME, "2026-Q2"]
    assert "rows" in first.content
    assert "rows" not in second.content  # its own did not change: nothing new to vouch for
    assert len(life.standing(bench.ledger, "lab", "2026-Q2").restated) == 1
    assert broken_rows(bench.ledger, "lab") == []


async def test_nobody_signs_for_rows_that_somebody_changed(bench: Bench) -> None:
    """A new edition, or a restatement, would vouch for them from then on."""
    close(bench)
    await bench.receive([(2 * QUARTER, 6 * KWH)])
    await bench.account()
    with bench.ledger.transaction(writes=True) as connection:
        connection.exec_driver_sql(
            "UPDATE intervals SET amount = amount + 1 WHERE start_ms = ?", (START + HOUR,)
        )
    with pytest.raises(ConfigurationError, match="are not those that were closed; run"):
        close(bench, "another")
    with pytest.raises(ConfigurationError, match="are not those that were closed; run"):
        closing.restate(
            bench.ledger, bench.site, quarter(), by="Officer", reason="late", now_ms=bench.now_ms
        )
    assert bench.ledger.links("lab", "restatement") == []
    assert life.standing(bench.ledger, "lab", NAME).revision == 1


async def test_one_closes_at_a_time(bench: Bench) -> None:
    """Two would write one archive, of which the chain knows one digest."""
    folder = bench.folder / "archive" / "lab"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="somebody else is closing a quarter of lab"):
            await closing.close_quarter(
                sources(bench), bench.folder, quarter(), report(), by="O", now_ms=bench.now_ms
            )
    (folder / ".cut-short").touch()
    done = await closing.close_quarter(
        sources(bench), bench.folder, quarter(), report(), by="O", now_ms=bench.now_ms
    )
    assert done.revision == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        f"{NAME}-r1.hours.ndjson.gz",
        f"{NAME}-r1.ndjson.gz",
    ]


# --- the archive


async def test_the_readings_behind_a_quarter_are_kept(bench: Bench) -> None:
    """From an archived register to a row's amount, without the store; twice the same bytes."""
    folder = bench.folder / "archive"
    told = await archive.archive(sources(bench), folder, quarter(), revision=1)
    assert (told["readings"], told["first_ms"], told["last_ms"]) == (
        4,
        START,
        START + HOUR + QUARTER,
    )
    row: Interval = bench.row(QUARTER)
    found = archive.readings(folder, "lab", NAME, "mains", row.start_ms, row.end_ms)
    points = found[Series("lab", "gw", "meter:mains", "energy")]
    assert [(p.time_ms - START, p.value) for p in points] == [(QUARTER, 2 * KWH), (HOUR, 8 * KWH)]
    share = (row.end_ms - row.start_ms) / (points[1].time_ms - points[0].time_ms)
    assert (points[1].value - points[0].value) * share == pytest.approx(row.amount)
    first = archive.file_of(folder, "lab", NAME, 1)
    again = await archive.archive(sources(bench), folder, quarter(), revision=2)
    second = archive.file_of(folder, "lab", NAME, 2)
    assert again == told
    assert second.read_bytes() == first.read_bytes()
    assert second.stat().st_ino == first.stat().st_ino


async def test_an_archive_keeps_what_the_store_has_forgotten(bench: Bench) -> None:
    """A later edition holds a late reading and lacks forgotten ones: both are read back."""
    folder = bench.folder / "archive"
    await archive.archive(sources(bench), folder, quarter(), revision=1)
    await bench.store.erase("lab", [("gw", "meter:mains")])
    await bench.receive([(2 * QUARTER, 3 * KWH)])
    told = await archive.archive(sources(bench), folder, quarter(), revision=2)
    assert told["readings"] == 1
    (points,) = archive.readings(folder, "lab", NAME, "mains", START, START + HOUR).values()
    assert [p.value / KWH for p in points] == [1, 2, 3, 8]


async def test_an_archive_that_cannot_be_read_says_so(bench: Bench) -> None:
    """In one line with a fix: none there, cut short, or of a meter it does not hold."""
    folder = bench.folder / "archive"

    def read(meter: str = "mains") -> dict[Series, list[Point]]:
        return archive.readings(folder, "lab", NAME, meter, START, START + HOUR)

    with pytest.raises(ConfigurationError, match="no readings of 2026-Q1 are archived"):
        read()
    await archive.archive(sources(bench), folder, quarter(), revision=1)
    assert read("other") == {}
    file = archive.file_of(folder, "lab", NAME, 1)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ConfigurationError, match="restore it from a backup"):
        read()


async def test_closing_archives_in_the_same_commit(bench: Bench) -> None:
    """The chain holds the archive's digest beside the closing."""
    made = report()
    standing = await closing.close_quarter(
        sources(bench), bench.folder, quarter(), made, by="Officer", now_ms=NOW
    )
    (link,) = bench.ledger.links("lab", "archive", NAME)
    assert (link.content["revision"], link.content["readings"]) == (standing.revision, 4)
    (step,) = bench.ledger.links("lab", "quarter", NAME)
    assert link.id == step.id + 1
    assert life.stored(bench.folder / "reports", standing).chain_head == step.previous
    with pytest.raises(ConfigurationError, match="would say the same"):
        await closing.close_quarter(
            sources(bench), bench.folder, quarter(), made, by="Officer", now_ms=NOW
        )
    assert not archive.file_of(bench.folder / "archive", "lab", NAME, 2).exists()
