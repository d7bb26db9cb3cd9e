"""Several periods out of rows that were read once, against each period read for itself."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from jauge_collector import civil, sites
from jauge_collector.kpis import boundary_rows, site_kpis
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, Stretch
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.intervals import GRADE_OF, Basis, Interval
from jauge_models.topology import Commodity

HOUR = 3_600_000
DAY = 24 * HOUR
SITE = """
[site]
name = "yard"
time_zone = "Europe/Paris"

[[meters]]
id = "dc"
commodity = "electricity"
feeds = ["gw/meter:dc"]

[[meters]]
id = "it"
commodity = "electricity"
feeds = ["gw/meter:it"]
counts = "from_start"
reason = "test"
accuracy_class = "B"

[[meters]]
id = "tank"
commodity = "water"
feeds = ["gw/meter:tank"]
counts = "from_start"
reason = "test"

[[equations]]
symbol = "E_DC"
terms = [{ meter = "dc" }]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "it" }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "tank" }]
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def _fill(ledger: Ledger, random: Random, meter: str, start_ms: int, length: int) -> None:
    commodity = Commodity.WATER if meter == "tank" else Commodity.ELECTRICITY
    rows: list[Row] = []
    for at in range(start_ms - length // 3, start_ms + 92 * DAY, length):
        basis = random.choice([Basis.REGISTER, Basis.REGISTER, Basis.REGISTER, Basis.ESTIMATE])
        if random.random() < 0.02:
            continue
        amount = random.uniform(1, 2) * (1e9 if meter == "dc" else 4e8) * length / HOUR
        row = Interval(at, at + length, amount, length, length, basis, GRADE_OF[basis])
        rows.append(Row(row, "gw/x/energy", final=True))
    stretch = Stretch(meter, commodity, start_ms - DAY, start_ms + 93 * DAY, rows)
    ledger.save("yard", [stretch], start_ms)


@pytest.mark.parametrize("seed", range(8))
def test_a_period_out_of_many_is_as_if_it_were_alone(
    tmp_path: Path, ledger: Ledger, seed: int
) -> None:
    """To the bit: months and the quarter, with a bill across two of them and rows across bounds."""
    random = Random(seed)
    file = tmp_path / "site.toml"
    file.write_text(SITE, encoding="utf-8")
    site = sites.load(file)
    start_ms = civil.moment_ms("2026-03-01", site.zone)
    end_ms = civil.moment_ms("2026-06-01", site.zone)
    for meter in ("dc", "it", "tank"):
        _fill(ledger, random, meter, start_ms, random.choice([HOUR, 5 * HOUR, DAY]))
    with ledger.transaction(writes=True) as connection:  # a hole for the bill
        connection.exec_driver_sql(
            "DELETE FROM intervals WHERE start_ms >= ? AND start_ms < ?"
            " AND subject = (SELECT id FROM subjects WHERE name = 'it')",
            (start_ms + 19 * DAY, start_ms + 50 * DAY),
        )
    content = {"base": 28 * 24 * 6e8, "entered": "test", "note": ""}
    ledger.append(
        "yard",
        "amount",
        "it",
        start_ms=start_ms + 21 * DAY,
        end_ms=start_ms + 49 * DAY,
        content=content,
        now_ms=end_ms,
        signatory="operator",
    )
    ledger.append(
        "yard",
        "commissioning",
        "dc",
        start_ms=start_ms + random.choice([-DAY, 3 * DAY]),
        content={},
        now_ms=end_ms,
    )
    policy = CoveragePolicy(minimum=0.5)
    rows = boundary_rows(ledger, site, start_ms, end_ms)
    months = civil.period(start_ms, end_ms, site.zone).months
    found = [site_kpis(ledger, site, *span, policy, rows=rows) for span in months]
    assert found == [site_kpis(ledger, site, *span, policy) for span in months]
    whole = site_kpis(ledger, site, start_ms, end_ms, policy, rows=rows)
    assert whole == site_kpis(ledger, site, start_ms, end_ms, policy)
    assert any(each.pue.value for each in found)
    assert found[0].pue.attested_share > 0
