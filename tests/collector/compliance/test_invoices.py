"""S15 through the gatherer: suppliers' invoices beside what was measured over the same days."""

import msgspec
import pytest
from jauge_collector import cli, sites
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.confirmations import confirm
from jauge_models.intervals import Basis

from tests.collector.compliance.yard import END, KWH, START, Yard, days, keep

DAY_OF_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
"""Where the months of 2025 begin, in days."""
PER_DAY = {"dc": 150.0, "tank": 0.01}
"""kWh and m3, as the yard measures them."""
UNIT = {"dc": "kWh", "tank": "m3"}


def _attest(yard: Yard, *words: str) -> int:
    config = str(yard.folder / "collector.toml")
    return cli.main(["attest", *words, "--site", "yard", "--config", config])


def month(yard: Yard, meter: str, number: int, times: float, *words: str) -> None:
    """One month of a meter by its invoice: so many times what was measured."""
    first, last = DAY_OF_MONTH[number], DAY_OF_MONTH[number + 1]
    year, month = divmod(number + 1, 12)
    asked = (
        *("--meter", meter, "--unit", UNIT[meter], "--signatory", "supplier"),
        *("--amount", f"{PER_DAY[meter] * (last - first) * times:.6f}"),
        *("--from", f"2025-{number + 1:02}-01"),
        *("--to", f"{2025 + year}-{month + 1:02}-01"),
    )
    assert _attest(yard, *asked, *words) == 0


def bill(yard: Yard, meter: str, times: float = 1.0, months: range = range(12)) -> None:
    """Invoices of some months."""
    for number in months:
        month(yard, meter, number, times, "--invoice")


def test_a_year_of_invoices_that_agree(yard: Yard) -> None:
    """1.9 % apart for energy and 4.9 % for water: within 2 % and 5 %."""
    bill(yard, "dc", 1 / 1.019)
    bill(yard, "tank", 1 / 0.951)
    found = yard.criterion("S15")
    assert (found["status"], found["reason"]["key"]) == ("met", "invoices.agree")
    assert found["reason"]["values"]["difference"] == pytest.approx(0.049, abs=1e-4)
    assert len(found["evidence"]) == 24


@pytest.mark.parametrize(("meter", "times"), [("dc", 1 / 1.021), ("tank", 1 / 0.949)])
def test_one_month_apart_does_not_agree(yard: Yard, meter: str, times: float) -> None:
    """Beyond the tolerance in one month of twelve; a written cause settles it."""
    bill(yard, "dc", months=range(1 if meter == "dc" else 0, 12))
    bill(yard, "tank", months=range(1 if meter == "tank" else 0, 12))
    month(yard, meter, 0, times, "--invoice")
    found = yard.criterion("S15")
    assert (found["status"], found["reason"]["key"]) == ("not_met", "invoices.disagree")
    assert found["reason"]["values"]["first"] == "2025-01-01"
    assert found["reason"]["values"]["last"] == "2025-01-31"
    (entry,) = [int(each.removeprefix("entry:")) for each in found["evidence"]]
    month(yard, meter, 0, times, "--invoice", "--cause", "read late", "--corrects", str(entry))
    assert yard.status("S15") == ("met", "invoices.agree")


def test_without_invoices_nothing_is_compared(yard: Yard) -> None:
    """A monthly figure that nobody called an invoice is none; ten months are too few."""
    for number in range(12):
        month(yard, "dc", number, 1.0)
    assert yard.status("S15") == ("not_measured", "invoices.absent")


def test_ten_months_are_too_few(yard: Yard) -> None:
    """304 of 365 days of energy; water is whole."""
    bill(yard, "tank")
    bill(yard, "dc", months=range(10))
    found = yard.criterion("S15")
    assert (found["status"], found["reason"]["key"]) == ("not_measured", "invoices.few")
    assert found["reason"]["values"]["share"] == pytest.approx(304 / 365)


def _hole(yard: Yard, hours: int) -> None:
    """So much of the last day of January was not measured, and not counted."""
    (row,) = days(150 * KWH * (1 - hours / 24), 30, 31)
    part = row.length_ms * (24 - hours) // 24
    holed = msgspec.structs.replace(row, covered_ms=part, profile_ms=part)
    with Ledger(yard.folder / "ledger.db") as ledger:
        keep(ledger, "dc", [holed])


def test_a_month_that_was_not_wholly_measured_is_not_compared(yard: Yard) -> None:
    """A hole of 1 % could make half of the tolerance by itself: 8 h of January's 744 may."""
    bill(yard, "tank")
    bill(yard, "dc")
    _hole(yard, 7)
    assert len(yard.criterion("S15")["evidence"]) == 24
    _hole(yard, 8)
    found = yard.criterion("S15")
    assert (found["status"], len(found["evidence"])) == ("met", 23)


def test_an_estimate_proves_no_invoice(yard: Yard) -> None:
    """Nor does what somebody signed for: it may be the invoice itself."""
    bill(yard, "tank")
    bill(yard, "dc")
    with Ledger(yard.folder / "ledger.db") as ledger:
        keep(ledger, "dc", days(150 * KWH, 0, 100, basis=Basis.ESTIMATE))
        keep(ledger, "dc", days(150 * KWH, 100, 200, basis=Basis.ATTESTED))
    found = yard.criterion("S15")
    assert (found["status"], found["reason"]["key"]) == ("not_measured", "invoices.few")


def test_an_invoice_needs_its_second_person(yard: Yard) -> None:
    """By the default policy, as everything that one person signs for."""
    bill(yard, "dc")
    bill(yard, "tank")
    yard.edit("policy.toml", "two_people = []", "")
    assert yard.status("S15") == ("not_measured", "invoices.absent")
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        for entry in ledger.entries("yard", "amount"):
            confirm(ledger, site, entry.id, signatory="another", now_ms=END)
    assert yard.status("S15") == ("met", "invoices.agree")


def test_a_meter_that_does_not_count_yet_proves_no_invoice(yard: Yard) -> None:
    """Its record was never compared with its dial."""
    bill(yard, "dc")
    bill(yard, "tank")
    from_start = 'feeds = ["gw/meter:dc"]\ninterval_s = 86400\ncounts = "from_start"\n'
    yard.edit("yard.toml", from_start, 'feeds = ["gw/meter:dc"]\ninterval_s = 86400\n')
    assert yard.status("S15") == ("not_measured", "invoices.absent")


def test_what_the_command_says_of_an_invoice(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is compared, not set aside; the list marks it."""
    month(yard, "dc", 0, 1.0, "--invoice")
    assert "compared with what was measured" in capsys.readouterr().out
    assert _attest(yard, "--list") == 0
    assert "  invoice  supplier" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--amount", "1", "--from", "2025-01-01", "--to", "2025-02-01", "--cause", "x"), "cause"),
        (("--reading", "1", "--at", "2025-01-01", "--invoice"), "invoice"),
        (("--reading", "1", "--at", "2025-01-01", "--cause", "x"), "cause"),
    ],
)
def test_words_that_need_an_invoice(
    yard: Yard, words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the option; nothing is kept."""
    asked = ("--meter", "dc", "--unit", "kWh", "--signatory", "s", *words)
    assert _attest(yard, *asked) == 2
    assert f"--{option}" in capsys.readouterr().err
    with Ledger(yard.folder / "ledger.db") as ledger:
        assert [e for e in ledger.entries("yard", "amount") if e.subject == "dc"] == []
        assert [e for e in ledger.entries("yard", "reading") if e.start_ms >= START] == []
