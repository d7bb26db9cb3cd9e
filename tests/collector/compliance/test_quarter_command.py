"""``jauge-collector quarter``: from a running ledger to an approved edition, and a restatement."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli, sites
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.work import Work
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.collector.compliance.yard import DAY, END, KWH, START, Yard

Q4 = START + 273 * DAY
"""1 October 2025."""
METER = Series("yard", "gw", "meter:dc", "energy")


class Office:
    """The command over a yard."""

    def __init__(self, yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
        self.yard = yard
        self._capsys = capsys
        yard.edit("policy.toml", "two_people = []", 'two_people = ["quarter_approval"]')

    @property
    def folder(self) -> Path:
        """Where site, ledger and store are."""
        return self.yard.folder

    def run(self, act: str, *words: str, code: int = 0, named: bool = True) -> str:
        """One act; its stdout, or on failure its stderr."""
        self._capsys.readouterr()
        config = str(self.folder / "collector.toml")
        which = ("--quarter", "2025-Q4") if named else ()
        got = cli.main(["quarter", act, "--site", "yard", "--config", config, *which, *words])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        return str(err if code else out)

    def json(self, act: str, *words: str, named: bool = True) -> Any:
        """One act; what it prints for programs."""
        return json.loads(self.run(act, "--json", *words, named=named))

    def verify(self, code: int = 0) -> str:
        """Whether all is what was kept."""
        self._capsys.readouterr()
        got = cli.main(["verify", "--config", str(self.folder / "collector.toml")])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        return str(out)

    def measure(self, *points: tuple[int, float]) -> None:
        """Readings of the meter dc, and a pass over them."""

        async def work() -> None:
            site = sites.load(self.folder / "yard.toml")
            now_ms = END + 10 * DAY
            with Ledger(self.folder / "ledger.db") as ledger:
                # The yard's rows were put there by hand: they count as computed from its site.
                known = Work(ledger, site, [], now_ms)
                ledger.set_declared("yard", known.redeclared)
                async with SqliteStore(self.folder / "readings.db", retention_days=20000) as store:
                    await store.write([Reading(METER, at, value) for at, value in points])
                    ledger.mark("yard", "gw", [at for at, _ in points], now_ms)
                    store.settle_s = 0.0
                    await run_pass(store, ledger, site, now_ms)

        asyncio.run(work())

    def row(self, at: int) -> Interval:
        """The row of dc that begins at a moment."""
        with Ledger(self.folder / "ledger.db") as ledger:
            (row,) = ledger.rows("yard", ["dc"], at, at + 1)["dc"]
            return row


@pytest.fixture
def office(yard: Yard, capsys: pytest.CaptureFixture[str]) -> Office:
    """An office over a yard of its own."""
    return Office(yard, capsys)


def test_a_quarter_is_closed_and_approved(office: Office) -> None:
    """By two people; the list tells who did what, and everything verifies."""
    told = office.json("close", "--signatory", "Ada", "--note", "as planned")
    assert (told["state"], told["revision"], told["closed"]["by"]) == ("closed", 1, "Ada")
    for file in ("reports/yard/2025-Q4-r1.json", "archive/yard/2025-Q4-r1.ndjson.gz"):
        assert (office.folder / file).is_file()
    error = office.run("approve", "--signatory", "ADA", code=2)
    assert error == (
        "jauge-collector: --signatory: 'ADA' closed 2025-Q4; another person must approve it "
        "(policy: two_people)\n"
    )
    assert "edition 1, is approved by Grace" in office.run("approve", "--signatory", "Grace")
    (listed,) = office.json("list", named=False)
    assert (listed["state"], listed["approved"]["by"], listed["proposed_rows"]) == (
        "approved",
        "Grace",
        0,
    )
    text = office.run("list", named=False)
    assert "2025-Q4  approved   edition 1" in text
    assert "closed (edition 1) by Ada: as planned" in text
    assert "all holds" in office.verify()


def test_what_cannot_be_closed_is_told_at_once(office: Office) -> None:
    """A quarter that runs, none at all, nobody who signs: one line, and nothing is written."""
    assert "--signatory: missing" in office.run("close", code=2)
    error = office.run("close", "--quarter", "2026", "--signatory", "Ada", code=2)
    assert error == "jauge-collector: --quarter: '2026' is no quarter; write 2026-Q4\n"
    assert not (office.folder / "reports").exists()
    assert not (office.folder / "archive").exists()
    assert office.run("list", named=False) == "no quarter was ever closed\n"


def test_late_readings_are_proposed_and_restated(office: Office) -> None:
    """A closed day changes by a signature only; the next edition says that it was restated."""
    office.run("close", "--signatory", "Ada")
    office.run("approve", "--signatory", "Grace")
    assert office.run("restate", "--dry-run") == "nothing is proposed for 2025-Q4\n"
    office.measure((Q4, KWH), (Q4 + DAY, 91 * KWH), (Q4 + 2 * DAY, 241 * KWH))
    assert office.row(Q4).amount == pytest.approx(150 * KWH)
    text = office.run("restate", "--dry-run")
    assert "dc: 2 rows would change, 300 -> 240 kWh" in text
    assert "touches edition 1 of 2025-Q4, which is approved" in text
    assert "--reason: missing" in office.run("restate", "--signatory", "Ada", code=2)
    told = office.json("restate", "--signatory", "Ada", "--reason", "the gateway lagged")
    assert told["meters"] == [
        {"meter": "dc", "rows": 2, "before": 300.0, "after": 240.0, "unit": "kWh"}
    ]
    assert office.row(Q4).amount == pytest.approx(90 * KWH)
    assert "rows were restated since: close it again" in office.run("list", named=False)
    told = office.json("close", "--signatory", "Ada")
    assert (told["revision"], told["closed"]["note"]) == (2, "the gateway lagged")
    stored = json.loads((office.folder / "reports/yard/2025-Q4-r2.json").read_bytes())
    restated = {each["figure"]: each for each in stored["restated"]}
    energy = restated["quarter.E_DC"]
    assert energy["before"] - energy["after"] == pytest.approx(60)
    assert (energy["why"], energy["signatory"]) == ("the gateway lagged", "Ada")
    assert "all holds" in office.verify()
    with Ledger(office.folder / "ledger.db") as ledger, ledger.transaction(writes=True) as c:
        c.exec_driver_sql("UPDATE intervals SET amount = 1 WHERE start_ms = ?", (Q4 + 5 * DAY,))
    assert "rows of meter dc are not those that were closed" in office.verify(code=1)
