"""Where two people are needed, who alone withdraws what a total rests on makes it no better."""

from typing import TYPE_CHECKING, cast

import pytest
from jauge_collector import sites
from jauge_collector.compliance.confirmed_ledger import ConfirmedLedger
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.files import Registers
from jauge_collector.reports.boundary import read
from jauge_collector.reports.dossier_intervals import intervals
from jauge_collector.reports.dossier_subject import Subject

from tests.collector.compliance.test_attested_air import SIGNED, attest
from tests.collector.compliance.test_withdrawn import SECOND, two_people
from tests.collector.compliance.yard import DAY, END, KWH, START, Yard, days, keep

if TYPE_CHECKING:
    from jauge_collector.reports.content import Report

HAND = '[[meters]]\nid = "hand"\ncommodity = "electricity"\n'
WORST = ("2025-07-10", "2025-07-16")
"""Six days of far more than the others: without them the PUE would be 1.5, and covered enough."""


def pue(yard: Yard) -> list[float | None]:
    """Each PUE of the record: with signed amounts, then without where these took part."""
    return [kpi["value"] for kpi in yard.json()["pue"]]


def proven(yard: Yard) -> int:
    """How many intervals a dossier of the year tells, of meters of the PUE."""
    site = sites.load(yard.folder / "yard.toml")
    with ConfirmedLedger(yard.folder / "ledger.db", site) as ledger:
        boundary = read(ledger, site, (START, END))
        report = cast("Report", None)  # the intervals are told without it
        of = Subject(site, Registers(), ledger, ledger, report, boundary, (START, END))
        rows = list(intervals(of, (START, END)).rows)
    return sum(row[0] in {"dc", "hand"} for row in rows)


def by_hand(yard: Yard) -> None:
    """E_DC is of a meter that people read."""
    yard.edit("yard.toml", "[[hosts]]", f"{HAND}[[hosts]]")
    yard.edit("yard.toml", '[{ meter = "dc" }]', '[{ meter = "hand" }]')


def amount(
    yard: Yard,
    capsys: pytest.CaptureFixture[str],
    kwh: float,
    first: str,
    end: str,
    *more: str,
    meter: str = "hand",
) -> int:
    """A signed amount; the number of its entry."""
    what = ("--meter", meter, "--amount", str(kwh), "--unit", "kWh")
    span = ("--from", first, "--to", end)
    return int(attest(yard, capsys, *what, *span, *SIGNED, *more)["id"])


def test_the_worst_days_cannot_be_taken_out_of_a_pue(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor by a correction that moves elsewhere; what is left of the meter makes no figure."""
    by_hand(yard)
    first, end = WORST
    amount(yard, capsys, 190 * 150, "2025-01-01", first)
    amount(yard, capsys, 169 * 150, end, "2026-01-01")
    worst = amount(yard, capsys, 6 * 3500, *WORST)
    two_people(yard, capsys, *(one["id"] for one in attest(yard, capsys, "--list")))
    whole = (359 * 150 + 6 * 3500) / (365 * 100)
    assert pue(yard) == [pytest.approx(whole), None]
    assert yard.status("S3")[0] == "met_attested"
    moved = amount(yard, capsys, 900, "2024-07-10", "2024-07-16", "--corrects", str(worst))
    assert pue(yard) == [None]
    assert yard.status("S3")[0] == "not_measured"
    new = amount(yard, capsys, 6 * 150, *WORST, "--corrects", str(moved))
    assert pue(yard) == [None]
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    assert pue(yard) == [pytest.approx(1.5), None]


def test_the_worst_days_cannot_be_taken_out_beside_what_was_measured(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """A meter that failed for six days counts no more than one that people read."""
    with Ledger(yard.folder / "ledger.db") as ledger:
        kept = [row for row in days(150 * KWH) if not 190 <= (row.start_ms - START) // DAY < 196]
        keep(ledger, "dc", kept)
    worst = amount(yard, capsys, 6 * 3500, *WORST, meter="dc")
    two_people(yard, capsys, *(one["id"] for one in attest(yard, capsys, "--list")))
    whole = (359 * 150 + 6 * 3500) / (365 * 100)
    assert pue(yard) == [pytest.approx(whole), pytest.approx(1.5)]
    assert proven(yard) == 360
    amount(yard, capsys, 6 * 150, *WORST, "--corrects", str(worst), meter="dc")
    assert pue(yard) == [None]
    assert proven(yard) == 0


def test_an_amount_that_did_not_count_takes_nothing_with_it(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """One beside what was measured, and one of another year: the PUE stays what it was."""
    beside = amount(yard, capsys, 9, "2025-01-01", "2025-02-01", meter="dc")
    before = amount(yard, capsys, 9, "2024-06-01", "2024-07-01", meter="dc")
    two_people(yard, capsys, *(one["id"] for one in attest(yard, capsys, "--list")))
    known = pue(yard)
    assert known == [pytest.approx(1.5)]
    for key, span in (
        (beside, ("2025-01-01", "2025-02-01")),
        (before, ("2024-06-01", "2024-07-01")),
    ):
        amount(yard, capsys, 8, *span, "--corrects", str(key), meter="dc")
    assert pue(yard) == known


def test_the_worst_days_cannot_be_taken_out_of_dial_readings(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the reading that ends them, and the days that follow, the rest would be enough."""
    by_hand(yard)
    told = (
        ("2025-01-01", 190 * 150),
        (WORST[0], 6 * 3500),
        (WORST[1], 150),
        ("2025-07-17", 168 * 150),
    )
    keys, dial = [], 0.0

    def enter(value: float, at: str, *more: str) -> int:
        words = ("--meter", "hand", "--reading", str(value), "--unit", "kWh", "--at", at)
        return int(attest(yard, capsys, *words, *SIGNED, *more)["id"])

    for at, then in told:
        keys.append(enter(dial, at))
        dial += then
    enter(dial, "2026-01-01")
    two_people(yard, capsys, *(one["id"] for one in attest(yard, capsys, "--list")))
    whole = (359 * 150 + 6 * 3500) / (365 * 100)
    assert pue(yard) == [pytest.approx(whole), None]
    new = enter(190 * 150 + 6 * 150, WORST[1], "--corrects", str(keys[2]))
    assert pue(yard) == [None]
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    assert pue(yard)[0] == pytest.approx(whole)


@pytest.mark.parametrize("months", [True, False], ids=["a-month", "the-year"])
def test_a_machine_weighs_as_much_while_its_amount_is_withdrawn(
    yard: Yard, capsys: pytest.CaptureFixture[str], *, months: bool
) -> None:
    """What is demonstrated is no larger part of all kWh because somebody corrects another's."""
    (year,) = attest(yard, capsys, "--list")
    spans = [("2025-01-01", "2026-01-01")]
    if months:
        spans = [("2025-01-01", "2025-11-01"), ("2025-11-01", "2025-12-01")]
        spans.append(("2025-12-01", "2026-01-01"))
    keys: list[int] = []
    for first, end in spans:
        more = () if keys else ("--corrects", str(year["id"]))
        keys.append(amount(yard, capsys, 9000, first, end, *more, meter="outlet2"))
    two_people(yard, capsys, *keys)

    def shares() -> list[float]:
        results = yard.json()["headline"]["results"].values()
        return sorted(one["kwh_share"] for one in results)

    def weight() -> float:
        servers = yard.json()["assessment"]["servers"]
        return float(next(m["energy_kwh"] for s in servers if (m := s["machine"])["id"] == "SRV-2"))

    known, kwh = shares(), weight()
    assert kwh == pytest.approx(9000 * (31 / 304 + 2) if months else 9000 * 92 / 365)
    new = amount(yard, capsys, 10, *spans[-1], "--corrects", str(keys[-1]), meter="outlet2")
    assert yard.server_status("SRV-2", "V5")[0] == ("met_attested" if months else "not_measured")
    assert shares() == pytest.approx(known)
    assert weight() == pytest.approx(kwh)
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    assert weight() < kwh


def test_a_bill_does_not_speak_for_dial_readings_under_correction(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long the hole would be: a bill that was set aside would fill it, and says less."""
    by_hand(yard)
    words = ("--meter", "hand", "--unit", "kWh", *SIGNED)
    attest(yard, capsys, *words, "--reading", "0", "--at", "2025-01-01")
    ends = ("--at", "2026-01-01")
    last = attest(yard, capsys, *words, "--reading", str(365 * 200), *ends)["id"]
    amount(yard, capsys, 365 * 150, "2025-01-01", "2026-01-01")
    two_people(yard, capsys, *(one["id"] for one in attest(yard, capsys, "--list")))
    assert pue(yard) == [pytest.approx(2.0), None]
    attest(yard, capsys, *words, "--reading", "1", *ends, "--corrects", str(last))
    assert pue(yard) == [None]
