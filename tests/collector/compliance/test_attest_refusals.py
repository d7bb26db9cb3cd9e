"""What ``attest`` refuses of rooms and papers: one clear line, and nothing is entered."""

import pytest
from jauge_collector import sites
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.attestations import attested

from tests.collector.compliance.test_attested_air import SIGNED, YEAR, attest, hours
from tests.collector.compliance.yard import Yard

WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--set-point", "24", "--room", "Q", *YEAR), "--room: 'Q' is no room"),
    (("--set-point", "24", *YEAR), "--room: missing"),
    (("--set-point", "75", "--room", "R", *YEAR), "no set point of intake air"),
    (("--set-point", "nan", "--room", "R", *YEAR), "no set point of intake air"),
    (("--set-point", "24", "--room", "R", "--row", "1", *YEAR), "--row: does not go with"),
    (("--set-point", "24", "--room", "R", "--unit", "kWh", *YEAR), "--unit: does not go with"),
    (("--set-point", "24", "--amount", "0", "--room", "R", *YEAR), "give exactly one"),
    (("--set-point", "24", "--room", "R", "--from", "2025-01-01T08:00", "--to", "2026-01-01"),
     "--from: is no whole day"),
    (("--set-point", "24", "--room", "R", "--from", "2025-01-01", "--to", "2990-01-01"),
     "--to: lies in the future"),
    (("--certificate", "annual_return", "--from", "2025-01-01"), "--document: missing"),
    (("--certificate", "annual_retrun", "--from", "2025-01-01", "--document", "{pdf}"),
     "did you mean 'annual_return'?"),
    (("--certificate", "calibration", "--from", "2025-01-01", "--document", "{pdf}"),
     "meter calibrate"),
    (("--certificate", "envelope", "--from", "2025-01-01", "--document", "{pdf}"),
     "register of documents"),
    (("--certificate", "legal_report", "--from", "2025-05-01", "--document", "{pdf}"),
     "--year: missing"),
    (("--certificate", "legal_report", "--year", "2052", "--from", "2025-05-01",
      "--document", "{pdf}"), "--year: 2052"),
    (("--certificate", "annual_return", "--subject", "else", "--from", "2025-01-01",
      "--document", "{pdf}"), "--subject: a annual_return is of the site"),
    (("--certificate", "annual_return", "--from", "2990-01-01", "--document", "{pdf}"),
     "--from: lies in the future"),
    (("--confirm", "1", "--room", "R"), "--room: does not go with --confirm"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_bad_input_is_one_clear_line_and_enters_nothing(
    yard: Yard, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """Exit code 2; no entry, and no document that was not there."""
    pdf = str(yard.folder / "d.pdf")
    told = attest(yard, capsys, *(word.format(pdf=pdf) for word in words), *SIGNED, code=2)
    assert said in told
    assert told.count("\n") == 1
    assert _kept(yard) == 1  # the bill of the yard
    assert not list((yard.folder / "documents").glob("*"))


COUNTS: list[tuple[tuple[float, float, float], str]] = [
    ((8761, 8760, 8760), "--observed"),
    ((0, 0, 0), "--observed"),
    ((float("nan"), 0, 0), "--observed"),
    ((float("inf"), 0, 0), "--observed"),
    ((8760, 8761, 0), "--allowable"),
    ((8760, -1, -1), "--allowable"),
    ((8760, 8000, 8001), "--recommended"),
    ((8760, 8000, float("nan")), "--recommended"),
]


@pytest.mark.parametrize(("counted", "option"), COUNTS)
def test_hours_that_cannot_be_are_refused(
    yard: Yard,
    capsys: pytest.CaptureFixture[str],
    counted: tuple[float, float, float],
    option: str,
) -> None:
    """Recommended within allowable within observed within the span."""
    assert hours(yard, capsys, *counted, code=2).startswith(f"jauge-collector: {option}: ")
    assert _kept(yard) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--class", "H1"), "'H1' is no class"),
        (("--class", "B"), "'B' is no class"),
        (("--row", "7"), "'7' is no row of R"),
        (("--rack", "Z9"), "'Z9' is no rack of R"),
    ],
)
def test_what_the_registers_do_not_have_is_refused(
    yard: Yard, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    """A class from memory judges nothing; a place that nobody knows would count for nothing."""
    assert said in hours(yard, capsys, 8760, 8760, 8760, place=("--room", "R"), more=more, code=2)


def test_one_time_of_a_place_is_attested_once(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another quantity or class is another thing; a correction may name another place."""
    key = hours(yard, capsys, 8760, 8760, 8760)["id"]
    overlap = hours(yard, capsys, 8760, 8760, 8760, code=2)
    assert f"overlaps entry {key} of R / 1; correct that with --corrects {key}" in overlap
    hours(yard, capsys, 8760, 8760, 8760, more=("--class", "A1"))
    hours(yard, capsys, 8760, 8760, 8760, more=("--humidity",))
    hours(yard, capsys, 8760, 8760, 8760, place=("--room", "R"), more=("--corrects", str(key)))
    with Ledger(yard.folder / "ledger.db") as ledger:
        assert [one.subject for one in ledger.entries("yard", "intake_hours")].count("R / 1") == 2


def _kept(yard: Yard) -> int:
    with Ledger(yard.folder / "ledger.db") as ledger:
        return len(attested(ledger, sites.load(yard.folder / "yard.toml")))
