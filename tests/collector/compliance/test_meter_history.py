"""S13 and S14 through the gatherer: reports that were issued, and the register of the meters."""

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime

import pytest
from jauge_collector import cli, config, sites
from jauge_collector.compliance import closing, life
from jauge_collector.compliance.issued import reports
from jauge_collector.compliance.meter_history import histories, meter_register
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import configured
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.registers.meters import CALIBRATION
from jauge_collector.reports.gather import gather
from jauge_collector.stores.open import open_store

from tests.collector.compliance.yard import END, START, Yard

SNAPSHOT = "5" * 64
COMPLETE = 'location = "room"\naccuracy_class = "0.5S"\nreason = "test"\n'


def _ms(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _close(yard: Yard, quarter: str, days: Iterable[str]) -> None:
    """Steps of the quarter's life, as closing it writes them."""
    with Ledger(yard.folder / "ledger.db") as ledger:
        for revision, day in enumerate(days, 1):
            content = {
                "act": "closed",
                "revision": revision,
                "by": "officer",
                "note": "",
                "data_hash": "d" * 64,
                "snapshot": SNAPSHOT,
            }
            ledger.link("yard", "quarter", quarter, content, _ms(day))


def test_a_report_of_the_quarter_before_is_issued(yard: Yard) -> None:
    """Closed 75 days before the end; evidence is its edition, the reason has its hash."""
    _close(yard, "2025-Q3", ["2025-10-17"])
    found = yard.criterion("S13")
    assert (found["status"], found["reason"]["key"]) == ("met", "report.issued")
    assert found["reason"]["values"] == {"day": "2025-10-17", "hash": SNAPSHOT}
    assert found["evidence"] == ["2025-Q3-r1"]


def test_a_quarter_that_was_really_closed_is_a_report(yard: Yard) -> None:
    """Gathered, archived and closed on 17 October: the hash is that of the stored file."""
    at_ms = _ms("2025-10-17")

    async def close() -> life.Standing:
        settings = config.load(yard.folder / "collector.toml")
        site = sites.load(yard.folder / "yard.toml")
        registers = files.load(site.registers, yard.folder, site.name)
        quarter = quarter_of("2025-Q3", site.zone, at_ms)
        with Ledger(yard.folder / "ledger.db") as ledger:
            async with open_store(settings) as store:
                sources = configured(settings, site, registers, ledger, store)
                made = await gather(sources, quarter, at_ms)
                return await closing.close_quarter(
                    sources, yard.folder, quarter, made, by="officer", now_ms=at_ms
                )

    standing = asyncio.run(close())
    kept = life.file_of(yard.folder / "reports", "yard", "2025-Q3", 1).read_bytes()
    assert standing.snapshot == hashlib.sha256(kept).hexdigest()
    found = yard.criterion("S13")
    assert (found["status"], found["reason"]["key"]) == ("met", "report.issued")
    assert found["reason"]["values"] == {"day": "2025-10-17", "hash": standing.snapshot}


def test_an_old_report_is_too_old(yard: Yard) -> None:
    """101 days before the end is one too many; 100 are not."""
    _close(yard, "2025-Q2", ["2025-09-21"])
    assert yard.status("S13") == ("not_met", "report.old")
    _close(yard, "2025-Q1", ["2025-09-22"])
    assert yard.status("S13") == ("met", "report.issued")


def test_no_report_or_a_later_one_is_none(yard: Yard) -> None:
    """What was closed after the quarter proves nothing of it: the same record comes again."""
    assert yard.status("S13") == ("not_measured", "report.absent")
    _close(yard, "2025-Q4", ["2026-01-08"])
    assert yard.status("S13") == ("not_measured", "report.absent")


def test_every_edition_stays_a_report(yard: Yard) -> None:
    """One that was replaced later was issued when it was."""
    _close(yard, "2025-Q3", ["2025-10-17", "2026-02-01"])
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        at_end = reports(ledger, site, date(2025, 12, 31))
        later = reports(ledger, site, date(2026, 2, 1))
    assert [(one.id, one.day) for one in at_end] == [("2025-Q3-r1", date(2025, 10, 17))]
    assert [one.id for one in later] == ["2025-Q3-r1", "2025-Q3-r2"]


# --- the register of meters


def _complete(yard: Yard) -> None:
    yard.edit("yard.toml", 'reason = "test"\n', COMPLETE)


def test_a_register_with_every_history_is_kept(yard: Yard) -> None:
    """Place, class and beginning of each meter; since its first row, for the ledger's ten years."""
    _complete(yard)
    found = yard.criterion("S14")
    assert (found["status"], found["reason"]["key"]) == ("met", "register.kept")
    assert found["reason"]["values"] == {"since": "2025-01-01", "years": 10}


@pytest.mark.parametrize("gone", ["location", "accuracy_class"])
def test_a_meter_without_place_or_class_has_no_history(yard: Yard, gone: str) -> None:
    """Only meters of the boundary are asked for: the fourth is a server's outlet."""
    lines = [line for line in COMPLETE.splitlines() if not line.startswith(gone)]
    yard.edit("yard.toml", 'reason = "test"\n', "\n".join(lines) + "\n")
    found = yard.criterion("S14")
    assert (found["status"], found["reason"]["key"]) == ("not_met", "register.incomplete")
    assert found["reason"]["values"] == {"meters": ["dc", "it", "tank"]}


def test_a_meter_that_was_never_commissioned_has_no_history(yard: Yard) -> None:
    """Until an entry says since when it counts."""
    _complete(yard)
    from_start = 'feeds = ["gw/meter:it"]\ninterval_s = 86400\ncounts = "from_start"\n'
    yard.edit("yard.toml", from_start, 'feeds = ["gw/meter:it"]\ninterval_s = 86400\n')
    assert yard.criterion("S14")["reason"]["values"] == {"meters": ["it"]}
    with Ledger(yard.folder / "ledger.db") as ledger:
        ledger.append(
            "yard", "commissioning", "it", start_ms=START, end_ms=END, content={}, now_ms=END
        )
    assert yard.status("S14") == ("met", "register.kept")


def test_a_register_kept_for_too_short(yard: Yard) -> None:
    """The years are those that the collector is told to keep."""
    _complete(yard)
    yard.edit("collector.toml", "[store]", "[retention]\nledger_years = 5\n[store]")
    found = yard.criterion("S14")
    assert (found["status"], found["reason"]["key"]) == ("not_met", "register.short")
    assert found["reason"]["values"] == {"years": 5, "limit": 10}


def test_no_register_without_anything_in_it(yard: Yard) -> None:
    """Meters that are declared and of which nothing was ever read or entered."""
    (yard.folder / "ledger.db").unlink()
    _complete(yard)
    assert yard.status("S14") == ("not_measured", "register.absent")


def _meter(yard: Yard, *words: str) -> int:
    config = str(yard.folder / "collector.toml")
    return cli.main(["meter", *words, "--site", "yard", "--config", config])


def test_a_calibration_is_part_of_the_history(yard: Yard) -> None:
    """With its certificate, the file's hash and its end; before it was made nobody knew of it."""
    certificate = yard.folder / "certificate.pdf"
    certificate.write_text("an example", encoding="utf-8")
    dates = ("--at", "2025-02-11", "--valid-until", "2029-02-11")
    more = ("--certificate", "EX-1", "--document", str(certificate), "--signatory", "officer")
    assert _meter(yard, "calibrate", "--meter", "dc", *dates, *more) == 0
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        dc = next(each for each in histories(ledger, site, END) if each.meter.id == "dc")
        early = next(each for each in histories(ledger, site, START) if each.meter.id == "dc")
    (found,) = dc.of(CALIBRATION)
    assert (found.start_ms, found.end_ms) == (_ms("2025-02-11"), _ms("2029-02-11"))
    assert found.content["certificate"] == "EX-1"
    assert (yard.folder / "documents" / str(found.document)).read_text() == "an example"
    assert early.entries == ()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--at", "2025-02-11", "--valid-until", "2025-02-11"), "--valid-until"),
        (("--at", "2999-02-11"), "--at"),
        (("--at", "2025-02-11", "--document", "nowhere.pdf"), "--document"),
        (("--at", "2025-02-11", "--corrects", "99"), "--corrects"),
    ],
)
def test_a_calibration_that_cannot_be(
    yard: Yard, words: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the option; nothing is kept."""
    asked = ("calibrate", "--meter", "dc", "--certificate", "EX-1", *words)
    assert _meter(yard, *asked) == 2
    assert problem in capsys.readouterr().err
    with Ledger(yard.folder / "ledger.db") as ledger:
        assert ledger.entries("yard", CALIBRATION) == []


def test_a_correction_takes_the_place_of_a_calibration(yard: Yard) -> None:
    """The history shows what holds; the register keeps both."""
    first = ("calibrate", "--meter", "dc", "--certificate", "EX-1", "--at", "2025-02-11")
    assert _meter(yard, *first) == 0
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        (entry,) = ledger.entries("yard", CALIBRATION)
        assert _meter(yard, *first[:-1], "2025-03-11", "--corrects", str(entry.id)) == 0
        (found,) = histories(ledger, site, END)[0].of(CALIBRATION)
        assert found.corrects == entry.id
        assert len(ledger.entries("yard", CALIBRATION, corrected=True)) == 2


def test_a_factor_since_ever_makes_no_meter_old(yard: Yard) -> None:
    """The register begins with the first row, reading or commissioning."""
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        content = {"value": 2.0, "reason": "test"}
        ledger.append("yard", "factor", "dc", start_ms=0, content=content, now_ms=END)
        found = meter_register(ledger, site, END, 10)
    assert found is not None
    assert found.since == date(2025, 1, 1)
