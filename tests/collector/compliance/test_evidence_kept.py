"""What closing keeps of readings: a quarter closed again without its store is judged the same."""

from datetime import date
from pathlib import Path

import pytest
from jauge_collector.compliance import (
    archive,
    closing,
    evidence_file,
    kept_files,
    life,
    sensor_hours,
)
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.reports.content import Report
from jauge_collector.reports.gather import gather
from jauge_models.compliance.status import Status
from jauge_models.compliance.windows import Window, twelve_months
from jauge_models.configuration import ConfigurationError

from tests.collector.compliance.yard import DAY, END, HOUR, SENSOR, START, Yard, with_sources

NAME = "2025-Q4"
NOW = END + 5 * DAY
KEPT = "gw/sensor:h-1"
MINUTE = 60_000
CLOSED = ("S7", "S8", "S9", "S10")


def _gathered(folder: Path) -> Report:
    async def work(sources: Sources) -> Report:
        return await gather(sources, quarter_of(NAME, sources.site.zone, NOW), NOW)

    return with_sources(folder, work)


def _closed(folder: Path, note: str = "") -> Report:
    """Closed as the officer does."""

    async def work(sources: Sources) -> Report:
        quarter = quarter_of(NAME, sources.site.zone, NOW)
        report = await gather(sources, quarter, NOW)
        await closing.close_quarter(
            sources, folder, quarter, report, by="officer", now_ms=NOW, note=note
        )
        return report

    return with_sources(folder, work)


def _purged(folder: Path, until_ms: int) -> None:
    """Raw retention expires: what is older goes from the store."""

    async def work(sources: Sources) -> None:
        assert await sources.store.purge(until_ms + DAY)

    with_sources(folder, work, retention_days=1)


def _emptied(folder: Path) -> None:
    """The store is lost."""
    for file in folder.glob("readings.db*"):
        file.unlink()


def _read_hours(folder: Path, window: Window, gap_ms: int = HOUR) -> air.Hours:
    async def work(sources: Sources) -> air.Hours:
        return (await sensor_hours.read(sources, [SENSOR], window, gap_ms))[SENSOR]

    return with_sources(folder, work)


def _days() -> tuple[date, date]:
    window = twelve_months(date(2025, 12, 31))
    return window.first, window.last


def _problems(folder: Path) -> list[str]:
    """What `verify` says of the archives."""
    with Ledger(folder / "ledger.db") as ledger:
        named = kept_files.archives(ledger, folder / "archive", None)
    return list(kept_files.check(named, what="archives").problems)


@pytest.fixture
def measured(yard: Yard) -> Yard:
    """The yard with humidity, logged boundary meters and a busy processor."""
    yard.edit("rooms.csv", "intake\n", "intake;humidity\n")
    yard.edit("rooms.csv", SENSOR, f"{SENSOR};{KEPT}")
    hourly = [at * HOUR for at in range(365 * 24 + 1)]
    yard.write(KEPT, ((at, 45.0) for at in hourly), "humidity")
    yard.write(KEPT, ((at + 20 * MINUTE, 22.0) for at in hourly[:-1]))
    autumn = hourly[273 * 24 :]
    for meter, quantity in (("dc", "energy"), ("it", "energy"), ("tank", "water")):
        yard.write(f"gw/meter:{meter}", ((at, float(at)) for at in autumn), quantity)
    slices = range(320 * DAY, 365 * DAY, 10 * MINUTE)
    yard.write("gw/host:SN1", ((at + MINUTE, 0.4) for at in slices), "cpu_utilisation")
    return yard


def test_a_quarter_closed_again_without_its_store_is_judged_the_same(measured: Yard) -> None:
    """Every criterion and share, the temperature section, and `verify` holds."""
    folder = measured.folder
    first = _closed(folder)
    before = first.record.assessment
    judged = {each.criterion: each.status for each in before.sites["yard"]}
    assert {name: judged[name] for name in CLOSED} == dict.fromkeys(CLOSED, Status.MET)
    uses = [each.machine.server.use for each in before.servers if each.machine.server]
    assert any(use is not None and use.cpu == pytest.approx(0.4) for use in uses)
    _emptied(folder)
    with pytest.raises(ConfigurationError, match="its report would say the same"):
        _closed(folder, "closed again")
    measured.edit("documents.csv", "D-4;t;", "D-4;another title;")
    second = _closed(folder, "closed again")
    assert second.record.assessment == before
    assert second.record.headline == first.record.headline
    assert second.temperature == first.temperature
    assert _problems(folder) == []
    # Equal evidence is kept once.
    one, two = (evidence_file.file_of(folder / "archive", "yard", NAME, n) for n in (1, 2))
    assert one.stat().st_ino == two.stat().st_ino


@pytest.mark.parametrize(
    "until", [START + 200 * DAY + 25 * MINUTE, END - 20 * DAY - 35 * MINUTE, START + 1]
)
def test_raw_retention_that_expires_changes_no_result(measured: Yard, until: int) -> None:
    """Wherever it cuts: in the midst of an hour, of the quarter, or at its very beginning."""
    folder = measured.folder
    first = _closed(folder)
    _purged(folder, until)
    again = _gathered(folder)
    assert again.record.assessment == first.record.assessment
    assert again.temperature == first.temperature


def test_without_an_archive_the_same_is_lost(measured: Yard) -> None:
    """So that the tests above can fail."""
    _emptied(measured.folder)
    found = {
        each.criterion: each.status
        for each in _gathered(measured.folder).record.assessment.sites["yard"]
    }
    assert all(found[name] is not Status.MET for name in CLOSED)


def test_what_the_store_has_goes_first(measured: Yard) -> None:
    """A late hour counts though an archive lacks it; an hour is one place's alone."""
    folder = measured.folder
    window = Window(*_days())
    _closed(folder)
    before = _read_hours(folder, window)
    _emptied(folder)
    assert _read_hours(folder, window) == before
    at = 100 * DAY
    measured.write(SENSOR, ((at + n * 10 * MINUTE, 30.0) for n in range(19)))
    after = _read_hours(folder, window)
    hour = (START + at) // HOUR
    assert [after[hour + n].mean for n in range(-1, 4)] == [22, 30, 30, 30, 22]
    assert len(after) == len(before)


def test_the_next_quarter_takes_the_older_hours_of_the_last_closing(measured: Yard) -> None:
    """Its twelve months reach back; an archive of a longer gap counts for no shorter one."""
    folder = measured.folder
    _closed(folder)
    _emptied(folder)
    first, last = _days()
    window = twelve_months(last.replace(year=2026, month=3))
    taken = _read_hours(folder, window)
    assert (min(taken), max(taken)) == ((START + 90 * DAY) // HOUR, END // HOUR - 1)
    assert _read_hours(folder, Window(first, last), HOUR // 2) == {}


def test_an_archive_that_is_not_what_was_kept_is_refused(measured: Yard) -> None:
    """By the record that would stand on it, and by `verify`; with the file and the fix."""
    folder = measured.folder
    _closed(folder)
    _emptied(folder)
    file = evidence_file.file_of(folder / "archive", "yard", NAME, 1)
    whole = file.read_bytes()
    for content in (whole[:-20], whole + b"x"):
        file.write_bytes(content)
        with pytest.raises(
            ConfigurationError, match=r"hours\.ndjson\.gz: is not what .* restore it"
        ):
            _gathered(folder)
        (problem,) = _problems(folder)
        assert problem.startswith(f"archived hours {NAME} of yard, revision 1 is not what was kept")
    file.unlink()
    with pytest.raises(ConfigurationError, match="no such file or directory"):
        _gathered(folder)


def test_evidence_goes_with_the_readings(measured: Yard) -> None:
    """Past its time both files go, the chain says so, and nobody looks for them."""
    folder = measured.folder
    _closed(folder)
    with Ledger(folder / "ledger.db") as ledger:
        asked = ledger, folder / "archive", "yard", NAME, NOW
        assert archive.expire(*asked, dry_run=True) == 2
        assert archive.expire(*asked, dry_run=False) == 2
        assert ledger.links("yard", "archive", NAME)[-1].content == {"act": "expired", "files": 2}
        assert life.standing(ledger, "yard", NAME).revision == 1
    assert _problems(folder) == []
    _emptied(folder)
    assert _read_hours(folder, Window(*_days())) == {}
