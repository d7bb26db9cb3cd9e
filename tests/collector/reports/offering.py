"""Quarters of a yard approved, and the commands that give them away."""

from pathlib import Path

import pytest
from jauge_collector import cli
from jauge_collector.compliance import life
from jauge_collector.compliance.life import Standing

from tests.collector.compliance.yard import Yard
from tests.collector.reports.desk import NOW, closed, ledger_of

FACILITY = """\
key;value;year;secret
operator_name;Operator (example);;
municipality;Town (example);;
entry_into_operation;2012-03;;
pd_it;120,5;2025;
s_dc;900;2025;oui
mixed_building;non;;
publisher_name;Publisher (example);;
publisher_uri;https://publisher.invalid/;;
page_url;https://publisher.invalid/dc/index.html;;
contact;mailto:service@publisher.invalid;;
"""
AUDIT = """\
accessibility_state;partiellement conforme;;
accessibility_audit_day;2026-02-01;;
accessibility_audit_rate;0,75;;
accessibility_audit_role;external auditor (example);;
"""


def with_facility(yard: Yard, text: str = FACILITY) -> None:
    """Give the yard a register of what the operator supplies."""
    (yard.folder / "facility.csv").write_text(text, encoding="utf-8")
    yard.edit(
        "yard.toml", 'policy = "policy.toml"', 'policy = "policy.toml"\nfacility = "facility.csv"'
    )


def approved(folder: Path, quarter: str, *, by: str = "second") -> Standing:
    """Close a quarter and have another person approve it."""
    closed(folder, quarter)
    with ledger_of(folder) as ledger:
        return life.approve(ledger, "yard", quarter, by=by, now_ms=NOW + 1)


def standing(folder: Path, quarter: str) -> Standing:
    """How a quarter stands."""
    with ledger_of(folder) as ledger:
        return life.standing(ledger, "yard", quarter)


class Commands:
    """The commands over a yard."""

    def __init__(self, yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
        self.yard = yard
        self._capsys = capsys

    def run(self, name: str, *words: str, code: int = 0) -> str:
        """One of them; its stdout, or on failure its one line of stderr."""
        self._capsys.readouterr()
        config = str(self.yard.folder / "collector.toml")
        got = cli.main([name, "--site", "yard", "--config", config, *words])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        if code:
            assert err.count("\n") == 1, err
        return str(err if code else out)

    def publish(
        self, out: Path, quarter: str = "2025-Q4", *words: str, code: int = 0, by: str = "third"
    ) -> str:
        """``publish``."""
        asked = ("--quarter", quarter, "--out", str(out), "--by", by)
        return self.run("publish", *asked, *words, code=code)

    def dossier(self, out: Path, quarter: str = "2025-Q4", *words: str, code: int = 0) -> str:
        """``dossier``."""
        return self.run("dossier", "--quarter", quarter, "--out", str(out), *words, code=code)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
