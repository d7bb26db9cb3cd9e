"""The command ``guests``: sums by guest, host, cluster, tenant and service that add up."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_collector.ledger.descriptions import described
from jauge_models.wire import ResourceDescription

from tests.collector.ledger.bench import HOUR, MAINS, START, Bench
from tests.collector.ledger.cluster import GATEWAY, Cluster, account_all

DECLARED = """
[[hosts]]
id = "a"
name = "Host A"
feeds = ["vc/host:a"]
cluster = "north"
[[attributes]]
subject = "vc/guest:g1"
name = "tenant"
value = "alpha"
valid_to = "2026-01-01T01:00"
"""


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """A configuration whose ledger holds two hours of two hosts with three guests."""
    path = tmp_path / "collector.toml"
    path.write_text('sites = ["lab.toml"]\nstate_dir = "."\n[ledger]\npath = "ledger.db"\n')
    async with Bench(tmp_path, MAINS + DECLARED) as bench:
        cluster = Cluster(last=2 * HOUR)
        cluster.host("a", power=300.0)
        cluster.host("b", power=200.0)
        for guest, host in (("g1", "a"), ("g2", "a"), ("g3", "b")):
            cluster.guest(guest, host)
        resources = [
            ResourceDescription("host:b", name="=b()", labels={"cluster": "south"}),
            ResourceDescription(
                "guest:g1", name="web", labels={"tenant": "bravo", "service": "s1"}
            ),
            ResourceDescription("guest:g2", name="db", labels={"tenant": "bravo", "service": "s1"}),
        ]
        bench.ledger.set_descriptions(
            "lab", GATEWAY, described({one.id: one for one in resources}), START
        )
        await account_all(bench, cluster)
        yield path


def told(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """What the command prints about two hours."""
    span = ("--from", "2026-01-01", "--to", "2026-01-01T02:00")
    status = cli.main(["guests", "--site", "lab", *span, *more, "--config", str(config)])
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    return said.out


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("guest", {"vc/guest:g1", "vc/guest:g2", "vc/guest:g3"}),
        ("host", {"a", "vc/host:b"}),
        ("cluster", {"north", "south"}),
        ("tenant", {"alpha", "bravo", ""}),
        ("service", {"s1", ""}),
    ],
)
async def test_sums_add_up_whatever_they_are_by(
    config: Path, capsys: pytest.CaptureFixture[str], by: str, keys: set[str]
) -> None:
    """Rows and what hosts keep are the hosts' energy: 300 W and 200 W over two hours."""
    found: dict[str, Any] = json.loads(told(config, capsys, "--by", by, "--json"))
    rows = {row["key"]: row for row in found["rows"]}
    assert rows.keys() == keys
    assert found["energy"] == pytest.approx(500 * 7200)
    assert sum(row["energy"] for row in rows.values()) + (found["own"] or 0) == pytest.approx(
        found["energy"]
    )
    for row in rows.values():
        assert row["idle"] + row["dynamic"] + row["gpu"] == pytest.approx(row["energy"])
    if by == "tenant":  # the site file's word for an hour, then that of its birth
        one_hour = rows["alpha"]["energy"]
        assert rows["bravo"]["energy"] == pytest.approx(3 * one_hour)
        assert (rows["alpha"]["guests"], rows["bravo"]["guests"]) == (1, 2)


async def test_as_text_and_csv(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names for people, kWh, certainty; no cell that a spreadsheet would run."""
    text = told(config, capsys)
    assert "1.000 kWh in all, of it" in text
    assert any(line.startswith("web ") and line.endswith("estimated") for line in text.splitlines())
    rows = list(csv.DictReader(io.StringIO(told(config, capsys, "--by", "host", "--csv"))))
    assert [row["name"] for row in rows] == ["Host A", "'=b()"]
    assert [float(row["energy_kwh"]) for row in rows] == pytest.approx([0.6, 0.4])
    assert [row["guests"] for row in rows] == ["2", "1"]
    assert [float(row["covered_hours"]) for row in rows] == [2.0, 2.0]


async def test_bad_input_is_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown site, a period that ends before it begins."""
    for more, words in (
        (["--site", "x", "--to", "2026-02-01"], "no site 'x'; known are lab"),
        (["--site", "lab", "--to", "2025-01-01"], "2025-01-01 is not after --from 2026-01-01"),
    ):
        given = ["guests", "--from", "2026-01-01", *more, "--config", str(config)]
        assert cli.main(given) == 2
        assert words in capsys.readouterr().err


async def test_nothing_shared_out_is_no_zero(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A period of which nothing is known has no energy, and is not final."""
    given = ["guests", "--site", "lab", "--from", "2025-01-01", "--to", "2025-01-02"]
    assert cli.main([*given, "--json", "--config", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["energy"], found["own"], found["final"]) == ([], None, None, False)
    assert cli.main([*given, "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert "Nothing was shared out in this time." in text
    assert "kWh" not in text
