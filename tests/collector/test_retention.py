"""What the policy takes from ledger and documents, and what it leaves."""

import math
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_collector import civil, clock_doubt, purging, retention, sites
from jauge_collector.access.audit import FILE, AuditLog, Change
from jauge_collector.clock import OwnClock
from jauge_collector.compliance import archive
from jauge_collector.config import CollectorConfig, RetentionConfig, load
from jauge_collector.faults import Faults
from jauge_collector.inventory import Inventory
from jauge_collector.ledger import closing, kept_hours, purge_requests
from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.compaction import Unit, compact
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.ledger.shares import OWN, HostHour, Share
from jauge_collector.progress import Progress
from jauge_collector.sites import Site
from jauge_collector.stores.sqlite import SqliteStore
from jauge_collector.telemetry import Telemetry
from jauge_models.attribution import Certainty
from jauge_models.intervals import Basis, Flag, Grade, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity
from jauge_models.wire import Address, Method, State
from sqlalchemy import Connection, event

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
PARIS = ZoneInfo("Europe/Paris")
SITE = """
[site]
name = "s"
time_zone = "{zone}"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["gw/meter:it"]
counts = "from_start"
reason = "a test"
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{{ meter = "it" }}]
"""


def ms(year: int, month: int, day: int, hour: int = 0, where: tzinfo = UTC) -> int:
    """A moment."""
    return round(datetime(year, month, day, hour, tzinfo=where).timestamp() * 1000)


class Kept:
    """A ledger with its site and configuration."""

    def __init__(self, folder: Path, zone: str = "Europe/Paris", more: str = "") -> None:
        (folder / "s.toml").write_text(SITE.format(zone=zone) + more)
        (folder / "collector.toml").write_text('sites = ["s.toml"]\nstate_dir = "state"\n')
        self.config: CollectorConfig = load(folder / "collector.toml")
        self.sites: dict[str, Site] = {"s": sites.load(folder / "s.toml")}
        self.ledger = Ledger(self.config.state(self.config.ledger.path))

    def rows(self, subject: str, start_ms: int, end_ms: int) -> list[Interval]:
        """Current rows."""
        return self.ledger.rows("s", [subject], start_ms, end_ms)[subject]

    def fill(
        self, subject: str, start_ms: int, end_ms: int, length_ms: int = HOUR, amount: float = 0.1
    ) -> None:
        """Rows of one length, each with an amount of its own."""
        rows = [
            Row(
                Interval(
                    at,
                    at + length_ms,
                    amount + at % 977,
                    length_ms,
                    length_ms,
                    Basis.POWER,
                    Grade.MEDIUM,
                ),
                f"{subject}/power",
                final=True,
            )
            for at in range(start_ms, end_ms, length_ms)
        ]
        self.ledger.save(
            "s", [Stretch(subject, Commodity.ELECTRICITY, start_ms, end_ms, rows)], NOW_MS
        )

    def expire(
        self, *, dry_run: bool = False, oldest_kept_ms: int = NOW_MS - 800 * DAY
    ) -> dict[str, retention.Gone]:
        """The policy."""
        gone = retention.expire(
            self.ledger,
            self.config,
            self.sites,
            now_ms=NOW_MS,
            oldest_kept_ms=oldest_kept_ms,
            dry_run=dry_run,
        )
        return {part.what: part for part in gone}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Kept]:
    """An empty one."""
    made = Kept(tmp_path)
    yield made
    made.ledger.close()


def test_the_defaults_are_those_of_the_design() -> None:
    """Ten years of rows, documents and records; 13 months of guests' hours, 3 years of hosts'."""
    assert msgspec.to_builtins(RetentionConfig()) == {
        "ledger_years": 10,
        "guest_hours_months": 13,
        "host_hours_months": 36,
        "documents_years": 10,
        "audit_years": 10,
        "console_audit_months": 12,
        "fault_examples_days": 30.0,
    }


def test_rows_older_than_ten_years_go_and_younger_stay(book: Kept) -> None:
    """Of meters and of hosts, to the civil day, in more rows than one step takes."""
    edge = ms(2016, 7, 15, where=PARIS)
    book.fill("it", edge - 6000 * HOUR, edge + 3 * HOUR)
    book.fill("h/host", edge - 2 * HOUR, edge + 3 * HOUR)
    planned = book.expire(dry_run=True)
    assert len(book.rows("it", 0, NOW_MS)) == 6003
    gone = book.expire()
    assert gone == planned
    assert gone["rows"] == retention.Gone("rows", 6002, edge - 6000 * HOUR, edge - HOUR)
    assert [row.start_ms - edge for row in book.rows("it", 0, NOW_MS)] == [0, HOUR, 2 * HOUR]
    (day,) = book.rows("h/host", 0, NOW_MS)
    assert (day.start_ms, day.covered_ms) == (edge, 3 * HOUR)
    assert {part.rows for part in book.expire().values()} == {0}


def test_guests_hours_become_months_after_thirteen(book: Kept) -> None:
    """Civil months, with a change of the clock or without; hosts and meters keep their hours."""
    edge = ms(2025, 6, 1, where=PARIS)  # 15 June is 13 months ago: June has not ended then
    spans = {
        ms(2024, 10, 1, where=PARIS): 31 * 24 + 1,
        ms(2025, 3, 1, where=PARIS): 31 * 24 - 1,
        ms(2025, 5, 1, where=PARIS): 31 * 24,
    }
    for start, hours in spans.items():
        for subject in ("h/guest:a", "h/host", "it"):
            book.fill(subject, start, start + hours * HOUR)
    book.fill("h/guest:a", edge, edge + 5 * HOUR)
    before = {start: book.rows("h/guest:a", start, start + n * HOUR) for start, n in spans.items()}
    planned = book.expire(dry_run=True)
    gone = book.expire()
    assert gone == planned
    assert (gone["guest_hours"].rows, gone["guest_hours"].into) == (sum(spans.values()), 3)
    assert (gone["rows"].rows, gone["host_hours"].rows) == (0, 0)
    for start, hours in spans.items():
        (month,) = book.rows("h/guest:a", start, start + hours * HOUR)
        assert (month.start_ms, month.end_ms) == (start, start + hours * HOUR)
        assert month.amount == math.fsum(row.amount or 0.0 for row in before[start])
        assert (month.coverage, month.grade) == (1, Grade.MEDIUM)
        assert Flag.COMPACTED in month.flags
        assert len(book.rows("h/host", start, start + hours * HOUR)) == hours
    assert len(book.rows("h/guest:a", edge, edge + DAY)) == 5
    assert book.expire()["guest_hours"].rows == 0


def test_days_that_were_made_before_become_months(book: Kept) -> None:
    """A ledger of an earlier version holds days of guests; hours of the same month join them."""
    start = ms(2025, 3, 1, where=PARIS)
    book.fill("h/guest:a", start, start + 72 * HOUR)
    (subject,) = kept.subjects(book.ledger)
    compact(book.ledger, subject, (0, start + 48 * HOUR), PARIS, Unit.DAY, NOW_MS, dry_run=False)
    rows = book.rows("h/guest:a", 0, NOW_MS)
    assert [row.length_ms // HOUR for row in rows] == [24, 24] + [1] * 24
    gone = book.expire()["guest_hours"]
    assert (gone.rows, gone.into) == (26, 1)
    (month,) = book.rows("h/guest:a", 0, NOW_MS)
    assert month.covered_ms == 72 * HOUR
    assert month.amount == pytest.approx(math.fsum(row.amount or 0.0 for row in rows))


def test_hosts_hours_become_days_after_three_years(tmp_path: Path) -> None:
    """Those that agents report and those that the site file declares; meters keep their rows."""
    more = '[[hosts]]\nid = "esx"\nfeeds = ["vc/host:esx"]\n'
    book = Kept(tmp_path, more=more)
    edge = ms(2023, 7, 15, where=PARIS)
    for subject in ("it", "esx", "h/host"):
        book.fill(subject, edge - 48 * HOUR, edge + 24 * HOUR)
    gone = book.expire()["host_hours"]
    assert (gone.rows, gone.into) == (96, 4)
    for subject in ("esx", "h/host"):
        lengths = [row.length_ms // HOUR for row in book.rows(subject, 0, NOW_MS)]
        assert lengths == [24, 24] + [1] * 24
    assert len(book.rows("it", 0, NOW_MS)) == 72
    book.ledger.close()


def test_what_was_compacted_half_way_is_taken_up_again(book: Kept) -> None:
    """A month is one transaction: before it and after it the sums are the same."""
    start = ms(2025, 1, 1, where=PARIS)
    book.fill("h/guest:a", start, start + 59 * DAY)
    total = math.fsum(row.amount or 0.0 for row in book.rows("h/guest:a", 0, NOW_MS))
    (subject,) = kept.subjects(book.ledger)

    class KilledError(Exception):
        """Stands for the end of the process."""

    class Dying(Ledger):
        """A ledger whose second writing transaction is cut short after its work."""

        writes = 0

        @contextmanager
        def transaction(self, *, writes: bool) -> Iterator[Connection]:
            with super().transaction(writes=writes) as connection:
                yield connection
                self.writes += writes
                if self.writes == 2:
                    raise KilledError

    until_ms = ms(2025, 3, 15, where=PARIS)
    with (
        Dying(book.config.state(book.config.ledger.path)) as ledger,
        pytest.raises(KilledError),
    ):
        compact(ledger, subject, (0, until_ms), PARIS, Unit.MONTH, NOW_MS, dry_run=False)
    rows = book.rows("h/guest:a", 0, NOW_MS)
    assert [Flag.COMPACTED in row.flags for row in rows] == [True] + [False] * (28 * 24)
    assert math.fsum(row.amount or 0.0 for row in rows) == pytest.approx(total)
    made = compact(book.ledger, subject, (0, until_ms), PARIS, Unit.MONTH, NOW_MS, dry_run=False)
    assert (made.rows.rows, made.into) == (28 * 24, 1)
    rows = book.rows("h/guest:a", 0, NOW_MS)
    assert math.fsum(row.amount or 0.0 for row in rows) == pytest.approx(total)


@given(
    zone=st.sampled_from(["Europe/Paris", "UTC", "Asia/Kolkata", "America/St_Johns"]),
    other=st.sampled_from(["Europe/Paris", "UTC", "UTC-05:00"]),
    hours=st.sets(st.integers(0, 24 * 12), max_size=120),
    first=st.integers(0, 365 * 24),
    units=st.permutations([Unit.DAY, Unit.MONTH]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_compaction_conserves_energy_and_cover(  # noqa: PLR0917 - what is drawn, by name
    tmp_path_factory: pytest.TempPathFactory,
    zone: str,
    other: str,
    hours: set[int],
    first: int,
    units: list[Unit],
) -> None:
    """Any rows, across changes of the clock and of the site's zone: sums stay, none overlap."""
    book = Kept(tmp_path_factory.mktemp("kept"), zone)
    begin = ms(2024, 3, 20) + first * HOUR
    for hour in sorted(hours):
        book.fill("h/guest:a", begin + hour * HOUR, begin + (hour + 1) * HOUR)
    before = book.rows("h/guest:a", 0, NOW_MS)
    for name, unit in ((name, unit) for name in (zone, other) for unit in units):
        until_ms = retention.before(NOW_MS, 13, civil.zone(name))
        for subject in kept.subjects(book.ledger):
            compact(
                book.ledger, subject, (0, until_ms), civil.zone(name), unit, NOW_MS, dry_run=False
            )
        after = book.rows("h/guest:a", 0, NOW_MS)
        amounts = [math.fsum(row.amount or 0.0 for row in rows) for rows in (before, after)]
        assert amounts[0] == pytest.approx(amounts[1], rel=1e-15)
        assert sum(row.covered_ms for row in before) == sum(row.covered_ms for row in after)
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(after))
        old = [row for row in after if row.end_ms <= until_ms - 33 * DAY]
        if name == zone:
            assert all(Flag.COMPACTED in row.flags for row in old)
            assert unit is Unit.DAY or all(row.length_ms > 27 * DAY for row in old)
    book.ledger.close()


def test_a_compacted_month_is_never_computed_again(book: Kept) -> None:
    """A pass that saves hours of such a month changes nothing; what lies beside it is saved."""
    start = ms(2025, 5, 1, where=PARIS)
    book.fill("h/guest:a", start, start + DAY)
    book.expire()
    (month,) = book.rows("h/guest:a", start, start + DAY)
    book.fill("h/guest:a", start - HOUR, start + 2 * HOUR, amount=7.0)
    assert [row.start_ms for row in book.rows("h/guest:a", 0, NOW_MS)] == [start - HOUR, start]
    assert book.rows("h/guest:a", start, start + DAY) == [month]


def test_revisions_of_compacted_hours_go_too(book: Kept) -> None:
    """An earlier version of an hour would tell what the month hides."""
    start = ms(2025, 5, 1, where=PARIS)
    book.fill("h/guest:a", start, start + DAY, amount=1.0)
    book.fill("h/guest:a", start, start + DAY, amount=2.0)
    assert len(book.ledger.history("s", "h/guest:a", start)) == 2
    book.expire()
    assert len(book.ledger.history("s", "h/guest:a", start)) == 1
    assert len(book.ledger.history("s", "h/guest:a", start + HOUR)) == 0


def test_archives_go_with_the_rows_they_are_behind(book: Kept) -> None:
    """After ten years, the chain told first: what it vouched for is gone, as noted."""
    old, young = (ms(2016, 4, 1, where=PARIS), ms(2016, 7, 1, where=PARIS)), ms(2025, 1, 1)
    folder = book.config.state(archive.ARCHIVE)
    for name, start, end in (("2016-Q2", *old), ("2025-Q1", young, young + 90 * DAY)):
        book.fill("it", start, start + 5 * HOUR)
        file = archive.file_of(folder, "s", name, 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"readings")
        with book.ledger.transaction(writes=True) as connection:
            closing.close_span(connection, "s", name, ["it"], start, end, NOW_MS)
            rows = closing.digests(connection, "s", ["it"], start, end)
        told = {"act": "closed", "start_ms": start, "end_ms": end, "rows": rows}
        book.ledger.link("s", "quarter", name, told, NOW_MS)
        late = Interval(start, start + HOUR, 9.0, HOUR, HOUR, Basis.POWER, Grade.MEDIUM)
        row = Row(late, "it/power", final=True)
        stretch = Stretch("it", Commodity.ELECTRICITY, start, start + HOUR, [row], meter=True)
        book.ledger.save("s", [stretch], NOW_MS)
    assert len(closing.proposed(book.ledger, "s", ["it"], 0, NOW_MS)[0].proposals) == 2
    planned = book.expire(dry_run=True)
    assert len(list((folder / "s").iterdir())) == 2
    assert len(book.ledger.links("s")) == 2
    gone = book.expire()
    assert gone == planned
    assert (gone["archives"].rows, gone["rows"].rows) == (1, 5)
    assert [file.name for file in (folder / "s").iterdir()] == ["2025-Q1-r1.ndjson.gz"]
    assert [
        (link.kind, link.subject, link.content["act"]) for link in book.ledger.links("s")[2:]
    ] == [
        ("quarter", "2016-Q2", "expired"),
        ("archive", "2016-Q2", "expired"),
    ]
    assert closing.broken_rows(book.ledger, "s") == []
    (left,) = closing.proposed(book.ledger, "s", ["it"], 0, NOW_MS)
    assert [one.start_ms for one in left.proposals] == [young]
    book.expire()
    assert len(book.ledger.links("s")) == 4


def test_old_attestations_go_with_their_documents(book: Kept) -> None:
    """Unless a younger entry corrects or names them; the life of meters stays."""
    old, young = ms(2016, 1, 1), ms(2026, 1, 1)
    folder = book.config.state(retention.DOCUMENTS)
    folder.mkdir(parents=True)
    for name in ("old", "shared", "orphan", "fresh"):
        (folder / name).write_bytes(b"x")
        age = NOW_MS if name == "fresh" else old
        os.utime(folder / name, (age / 1000, age / 1000))

    def enter(kind: str, at: int, document: str | None = None, corrects: int | None = None) -> int:
        return book.ledger.append(
            "s",
            kind,
            "it",
            start_ms=at,
            end_ms=at + DAY,
            content={"base": 1.0, "event": "bypass"},
            now_ms=at + DAY,
            document=document,
            corrects=corrects,
        )

    first = enter("amount", old, "old")
    enter("amount", old, "old", corrects=first)
    corrected = enter("amount", old, "shared")
    enter("amount", young, "shared", corrects=corrected)
    enter("event", old)
    enter("factor", old)
    planned = book.expire(dry_run=True)
    gone = book.expire()
    assert gone["entries"] == planned["entries"]
    assert gone["entries"].rows == 3
    assert sorted(file.name for file in folder.iterdir()) == ["fresh", "shared"]
    left = [e.id for e in book.ledger.entries("s", "amount", corrected=True)]
    assert left == [corrected, corrected + 1]
    assert len(book.ledger.entries("s", "factor")) == 1
    assert {part.rows for part in book.expire().values()} == {0}


def test_names_go_with_the_last_that_they_name(book: Kept) -> None:
    """Of an agent long silent; not of one that has rows, feeds a meter or was heard of late."""
    long_ago = NOW_MS - 900 * DAY
    for agent in ("gone", "gw", "with-rows", "heard"):
        book.ledger.set_oldest("s", agent, NOW_MS if agent == "heard" else long_ago)
        book.ledger.set_methods("s", agent, {("host", "power"): Method.GAUGE})
        book.ledger.mark("s", agent, [long_ago], NOW_MS)
    book.fill("with-rows/host", long_ago, long_ago + HOUR)
    book.fill("past/host", ms(2010, 1, 1), ms(2010, 1, 2))
    planned = book.expire(dry_run=True)
    gone = book.expire()
    assert gone["names"] == planned["names"]
    assert gone["names"].rows == 3  # bfrom and method of one agent, the host without rows
    assert {agent for agent, _, _ in book.ledger.methods("s")} == {"gw", "with-rows", "heard"}
    assert book.ledger.oldest("s").keys() == {"gw", "with-rows", "heard"}
    assert [s.name for s in kept.subjects(book.ledger)] == ["with-rows/host"]


def test_a_purge_is_entered_and_its_entry_goes_in_turn(book: Kept) -> None:
    """What, by which policy, how much; nothing where nothing went."""
    gone = [retention.Gone("rows", 5), retention.Gone("names", 0)]
    policy = book.config.retention
    old = ms(2010, 1, 1)
    for at in (old, NOW_MS):
        key = retention.record(book.ledger, gone, policy=policy, retention_days=800, now_ms=at)
        assert key is not None
    nothing = retention.record(book.ledger, gone[1:], policy=policy, retention_days=8, now_ms=1)
    assert nothing is None
    entry = book.ledger.entries("", kept.PURGE)[-1]
    assert entry.content["rows"] == {"rows": 5}
    assert entry.content["policy"]["ledger_years"] == 10
    assert entry.content["policy"]["readings_days"] == 800
    assert book.expire()["audit"].rows == 1
    assert [e.start_ms for e in book.ledger.entries("", kept.PURGE)] == [NOW_MS]


def test_the_consoles_record_goes_line_by_line(book: Kept) -> None:
    """Changes older than a year, from every file of it; the others and their order stay."""
    log = AuditLog(book.config.state(FILE), largest=400)
    times = [ms(2025, month, 1) for month in range(1, 13)]
    for at in times:
        log.add(Change(time_ms=at, who="ada", how="session", source="10.0.0.1", what="sign_in"))
    assert log.path.with_name(f"{FILE}.1").exists()
    planned = book.expire(dry_run=True)["console_audit"]
    assert (
        planned
        == book.expire()["console_audit"]
        == retention.Gone("console_audit", 7, times[0], times[6])
    )
    assert [change.time_ms for change in log.newest(99)] == times[:6:-1]
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_examples_of_refused_messages_are_forgotten() -> None:
    """Their text goes after its time; how often the reason occurred stays."""
    faults = Faults()
    faults.note("unit", time_ms=1000, topic="jauge/v1/s/a/readings", detail="W?", payload=b"x")
    faults.note("range", time_ms=3000, topic="jauge/v1/s/b/readings")
    assert faults.forget(2000) == 1
    assert faults.forget(2000) == 0
    assert faults.by_reason["unit"].count == 1
    assert faults.by_reason["unit"].example.topic == ""
    assert faults.by_reason["range"].example.topic == "jauge/v1/s/b/readings"


def test_months_back_end_on_a_day_that_exists() -> None:
    """13 months before the end of March is the end of February."""
    march = ms(2026, 3, 31, 12)
    assert retention.before(march, 13, UTC) == ms(2025, 2, 28)
    assert retention.before(march, 0, UTC) == ms(2026, 3, 31)
    leap = ms(2024, 2, 29)
    assert retention.before(leap, 120, UTC) == ms(2014, 2, 28)
    assert retention.before(leap, 12, PARIS) == ms(2023, 2, 28, where=PARIS)
    assert NOW - timedelta(days=396) < datetime.fromtimestamp(
        retention.before(NOW_MS, 13, UTC) / 1000, UTC
    )


# --- beside a running collector


@dataclass
class Serving:
    """`Retention` with a real store, and the hands of its clock."""

    retention: purging.Retention
    store: SqliteStore
    telemetry: Telemetry
    clock: OwnClock
    now_ms: int = NOW_MS

    async def held(self) -> int:
        """Readings of the meter."""
        return (await self.store.held("s", [("gw", "meter:it")])).rows

    def refused(self, reason: str) -> float:
        """What the counter says."""
        return self.telemetry.counted(self.telemetry.purges_refused, reason)


@pytest.fixture
async def serving(
    book: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Serving]:
    """Hourly readings of the last 800 hours."""
    monkeypatch.setattr(purging, "STEADY_S", 0.0)
    async with SqliteStore(tmp_path / "readings.db", retention_days=400) as store:
        series = Series("s", "gw", "meter:it", "energy")
        await store.write([Reading(series, NOW_MS - at * HOUR, 1e6 - at) for at in range(800)])
        telemetry = Telemetry(Inventory(10))
        clock = OwnClock(kernel=lambda: False)
        made = purging.Retention(
            book.config,
            book.sites,
            book.ledger,
            Faults(),
            clock=clock,
            telemetry=telemetry,
            stage=Progress().stage("retention", 60.0),
            now_ms=lambda: it.now_ms,
        )
        it = Serving(made, store, telemetry, clock)
        yield it


@pytest.mark.parametrize(("years", "reason"), [(3, clock_doubt.AHEAD), (-3, clock_doubt.BEHIND)])
async def test_a_wrong_clock_takes_nothing(
    book: Kept,
    serving: Serving,
    years: int,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor while an agent shares it; said once, counted, shown, and over with it."""
    book.fill("it", ms(2016, 1, 1), ms(2016, 1, 2))
    book.fill(
        "it", NOW_MS - NOW_MS % HOUR - 9 * 365 * DAY, NOW_MS - NOW_MS % HOUR - 3285 * DAY + DAY
    )
    rows = len(book.rows("it", 0, NOW_MS))
    serving.now_ms = NOW_MS + years * 365 * DAY
    if reason == clock_doubt.AHEAD:
        shared = Series("s", "gw", "meter:other", "energy")
        await serving.store.write([Reading(shared, serving.now_ms - 1000, 1.0)])
    for _ in range(2):
        await serving.retention.purge(serving.store)
        await serving.retention.account(serving.store)
    assert await serving.held() == 800
    assert len(book.rows("it", 0, NOW_MS)) == rows
    assert serving.refused(reason) == 2
    assert serving.retention.put_off.startswith("nothing is purged: ")
    assert caplog.text.count("nothing is purged") == 1
    if reason == clock_doubt.AHEAD:
        await serving.store.erase("s", [("gw", "meter:other")])
    serving.now_ms = NOW_MS
    await serving.retention.purge(serving.store)
    await serving.retention.account(serving.store)
    assert serving.retention.put_off == ""
    assert len(book.rows("it", 0, NOW_MS)) == rows - 24
    assert await serving.held() == 800


async def test_a_clock_that_agents_find_wrong_takes_nothing(serving: Serving) -> None:
    """Though readings would prove it: whoever is synchronised where we are not knows better."""
    said = State("b1", online=True, sent_at=time.time() - 7200, synchronised=True)
    serving.clock.heard(Address("s", "gw"), said, time.time_ns() // 1_000_000)
    await serving.retention.purge(serving.store)
    assert serving.refused(clock_doubt.OFF) == 1
    assert serving.retention.put_off.startswith("nothing is purged: ")


async def test_after_a_month_off_the_purge_goes_on_in_days(book: Kept, serving: Serving) -> None:
    """Readings two days old prove the clock again, without anybody's doing."""
    back_ms = NOW_MS + 30 * DAY
    series = Series("s", "gw", "meter:it", "energy")
    for hours, believed in ((1, False), (47, False), (49, True)):
        serving.now_ms = back_ms + hours * HOUR
        await serving.store.write(
            [Reading(series, back_ms + at * HOUR, 2e6) for at in range(hours)]
        )
        await serving.retention.purge(serving.store)
        assert (serving.retention.put_off == "") is believed


async def test_nothing_goes_while_the_clock_is_not_steady(
    book: Kept, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a start the clock may yet be set; that is no fault, and not counted as one."""
    monkeypatch.setattr(purging, "STEADY_S", 3600.0)
    book.fill("it", ms(2010, 1, 1), ms(2010, 1, 2))
    serving.now_ms += 380 * DAY
    await serving.retention.purge(serving.store)
    await serving.retention.account(serving.store)
    assert await serving.held() == 800
    assert len(book.rows("it", 0, NOW_MS)) == 24
    assert serving.retention.put_off == ""


async def test_a_site_without_a_past_is_not_doubted(book: Kept, serving: Serving) -> None:
    """Its first day proves no clock, and has nothing to lose by one; rows of old do."""
    await serving.store.erase("s", [("gw", "meter:it")])
    assert await clock_doubt.doubt(serving.store, book.ledger, book.sites, NOW_MS) is None
    book.fill("it", ms(2010, 1, 1), ms(2010, 1, 2))
    found = await clock_doubt.doubt(serving.store, book.ledger, book.sites, NOW_MS)
    assert found is not None
    assert found.reason == clock_doubt.AHEAD


async def test_passes_go_on_between_subjects(
    book: Kept, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first compaction takes many turns; what is asked meanwhile to be erased is, at once."""
    monkeypatch.setattr(purging, "_SLICE_S", 0.0)
    start = ms(2025, 3, 1, where=PARIS)
    guests = [f"h/guest:{name}" for name in "abcd"]
    for guest in guests:
        book.fill(guest, start, start + 2 * DAY)

    def compacted() -> list[str]:
        return [g for g in guests if len(book.rows(g, 0, NOW_MS)) == 1]

    turns: list[list[str]] = []
    while len(turns) < 2:
        await serving.retention.account(serving.store)
        turns.append(compacted())
    assert len(turns[-1]) < 2
    whom = retention.Erasure("s", [("h", "guest:c")], [])
    key = purge_requests.ask(
        book.ledger, msgspec.to_builtins(retention.Request(erasure=whom)), NOW_MS
    )
    await serving.retention.account(serving.store)
    assert len(compacted()) < 3
    outcome = purge_requests.answered(book.ledger, key)
    assert outcome is not None
    assert [part["rows"] for part in outcome["gone"]] == [48, 0]
    for _ in range(9):
        await serving.retention.account(serving.store)
    assert compacted() == ["h/guest:a", "h/guest:b", "h/guest:d"]
    (entry,) = book.ledger.entries("", kept.PURGE)
    assert entry.content["rows"]["guest_hours"] == 3 * 48


def test_days_are_made_many_at_once(book: Kept) -> None:
    """A commit, and so a flush to the disk, for each day would hold up a first compaction."""
    start = ms(2024, 1, 1, where=PARIS)
    book.fill("h/guest:a", start, start + 200 * DAY)
    (subject,) = kept.subjects(book.ledger)
    commits: list[object] = []
    event.listen(book.ledger._engine, "commit", commits.append)
    made = compact(book.ledger, subject, (0, NOW_MS), PARIS, Unit.DAY, NOW_MS, dry_run=False)
    assert made.into >= 199
    assert 1 <= len(commits) <= 200 / 64 + 1


def shared_hour(book: Kept, start_ms: int, guest: str = "vc/guest:x") -> None:
    """A host's hour, shared between one guest and itself."""
    book.fill("vc/host:a", start_ms, start_ms + HOUR)
    parts = [
        Share(
            "vc/host:a", name, start_ms, start_ms + HOUR, 1.0, 2.0, 0.0, HOUR,
            Certainty.DERIVED, None, None, None, None, None, final=True,
        )
        for name in (OWN, guest)
    ]  # fmt: skip
    book.ledger.save_shares("s", [HostHour("vc/host:a", start_ms, parts)])
    book.fill(guest, start_ms, start_ms + HOUR)


async def test_what_feeds_a_declared_host_stays(tmp_path: Path) -> None:
    """As what feeds a meter does: its guests go, its own readings and rows do not."""
    book = Kept(tmp_path)
    host = '[[hosts]]\nid = "srv"\nfeeds = ["vc/host:a"]\n'
    (tmp_path / "s.toml").write_text(SITE.format(zone="UTC") + host)
    site = sites.load(tmp_path / "s.toml")
    for resource in ("host:a", "guest:x"):
        book.ledger.set_methods("s", "vc", {(resource, "power"): Method.GAUGE})
    async with SqliteStore(tmp_path / "readings.db", retention_days=1) as store:
        found = await retention.erasure(store, book.ledger, site, agent="vc", resource=None)
    book.ledger.close()
    assert found.sources == [("vc", "guest:x")]
    assert found.stays == {"vc/host:a": ["srv"]}
    assert found.agents == []


def test_shares_go_with_the_hours_of_guests(book: Kept) -> None:
    """Thirteen months; the hosts' own rows stay as long as all rows do."""
    ancient = ms(2010, 1, 1)
    shared_hour(book, ancient, "vc/guest:long-gone")
    old, young = ms(2025, 5, 1, where=PARIS), ms(2025, 7, 1, where=PARIS)
    for start_ms in (old, young):
        shared_hour(book, start_ms)
    book.fill("zz/host", old, young, DAY)
    assert book.expire(dry_run=True)["shares"].rows == 4
    assert book.expire()["shares"].rows == 4
    assert "vc/guest:long-gone" not in {one.name for one in kept.subjects(book.ledger)}
    assert {share.start_ms for share in book.ledger.shares("s", 0, NOW_MS)} == {young}
    assert len(book.rows("vc/host:a", 0, NOW_MS)) == 2
    assert book.expire()["shares"].rows == 0


def test_descriptions_go_once_nothing_needs_them(book: Kept) -> None:
    """What another one followed before the guests' hours; all of a guest that has no row left."""
    long_ago, before = ms(2024, 1, 1), ms(2025, 1, 1)
    shared_hour(book, ms(2026, 7, 1))
    for at_ms, name in ((long_ago, "older"), (before, "old"), (ms(2026, 1, 1), "new")):
        book.ledger.set_descriptions("s", "vc", {"guest:x": (name, "{}")}, at_ms)
    book.ledger.set_descriptions("s", "vc", {"guest:gone": ("gone", "{}")}, long_ago)
    book.ledger.set_descriptions("s", "vc", {"host:a": ("a", "{}")}, long_ago)
    book.ledger.set_oldest("s", "vc", NOW_MS)
    planned = book.expire(dry_run=True)["names"]
    assert book.expire()["names"] == planned
    assert planned.rows == 2
    names = {key: [one.name for one in some] for key, some in book.ledger.histories("s").items()}
    assert names == {("vc", "guest:x"): ["old", "new"], ("vc", "host:a"): ["a"]}


def test_an_erased_guest_leaves_no_share_and_no_name(book: Kept) -> None:
    """Of its rows, shares and descriptions nothing stays; the host's own part does."""
    shared_hour(book, ms(2026, 7, 1))
    book.ledger.set_descriptions("s", "vc", {"guest:x": ("secret", "{}")}, NOW_MS)
    assert ("vc", "guest:x") in kept.sources_of(book.ledger, "s")
    erasure = retention.Erasure("s", [("vc", "guest:x")], [])
    retention.erase(book.ledger, book.sites["s"], erasure, now_ms=NOW_MS, dry_run=False)
    assert book.rows("vc/guest:x", 0, NOW_MS) == []
    assert [share.guest for share in book.ledger.shares("s", 0, NOW_MS)] == [OWN]
    assert book.ledger.histories("s") == {}
    assert "vc/guest:x" not in {one.name for one in kept.subjects(book.ledger)}
    retention.erase(
        book.ledger, None, retention.Erasure("s", [("vc", "host:a")], []), now_ms=1, dry_run=False
    )
    assert book.ledger.shares("s", 0, NOW_MS) == []


def test_hours_of_sensors_go_with_the_readings_that_gave_them(book: Kept) -> None:
    """A block that ended before what the store still has can count no more."""
    sensor = kept_hours.Sensor("s", "gw", "gpu:0", "power", 180_000)
    week = kept_hours.BLOCK_MS
    oldest_ms = NOW_MS - 800 * DAY
    starts = [(oldest_ms // week + at) * week for at in (-2, -1, 0, 1)]
    book.ledger.set_oldest("s", "gw", NOW_MS)
    with book.ledger.transaction(writes=True) as connection:
        assert kept_hours.claim(connection, sensor, starts, "t") == set(starts)
        kept_hours.settle(connection, sensor, "t", dict.fromkeys(starts, "{}"))
    book.expire(dry_run=True)
    assert _blocks(book) == starts
    book.expire()
    assert _blocks(book) == starts[2:]


def _blocks(book: Kept) -> list[int]:
    with book.ledger.transaction(writes=False) as connection:
        found = kept_hours.kept_starts(connection, "s", 180_000, (0, NOW_MS))
    return sorted(start for starts in found.values() for start in starts)
