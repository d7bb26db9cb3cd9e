"""What a second person's word changes in the record of a site."""

from jauge_collector import sites
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.confirmations import confirm

from tests.collector.compliance.yard import END, Yard, criterion_of


def _confirm(yard: Yard, *keys: int) -> None:
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        for key in keys:
            confirm(ledger, site, key, signatory="facility manager", now_ms=END)


def test_a_confirmed_value_counts_as_attested(yard: Yard) -> None:
    """By the default policy a machine on a signed amount is declared once it is confirmed."""
    yard.edit("policy.toml", "two_people = []", "")
    alone = yard.run("--json")
    assert yard.json()["unconfirmed"] == 1
    assert yard.results()["SRV-2"] == "not_demonstrated"
    _confirm(yard, 1)
    assert yard.run("--json") != alone
    assert yard.json()["unconfirmed"] == 0
    assert yard.results()["SRV-2"] == "declared"


def test_an_operators_total_needs_its_second_person(yard: Yard) -> None:
    """S3 and S4 rest on a signed E_DC only once it is confirmed, and the PUE's shares say so."""
    yard.edit("yard.toml", '[{ meter = "dc" }]', '[{ meter = "outlet2" }]')
    yard.edit("policy.toml", "two_people = []", "")
    before = yard.json()
    assert [kpi["attested_share"] for kpi in before["pue"]] == [0.0]
    _confirm(yard, 1)
    after = yard.json()
    for criterion in ("S3", "S4"):
        status = [
            criterion_of(record["assessment"]["sites"]["yard"], criterion)["status"]
            for record in (before, after)
        ]
        assert status == ["not_measured", "met_attested"], criterion
    assert [kpi["attested_share"] for kpi in after["pue"]] == [1.0, 0.0]
