"""``jauge-collector report``: an open quarter, a closed one, an earlier edition, bad input."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_collector.reports.content import data_hash, decode

from tests.collector.compliance.yard import Yard
from tests.collector.reports.desk import closed

QUARTER = ("--quarter", "2025-Q4")


def run(yard: Yard, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """The command; its stdout, or on failure its stderr."""
    capsys.readouterr()
    config = str(yard.folder / "collector.toml")
    got = cli.main(["report", "--config", config, "--out", str(yard.folder / "out"), *words])
    out, err = capsys.readouterr()
    assert got == code, err or out
    return err if code else out


def told(yard: Yard, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What it says of the JSON that it wrote."""
    said: dict[str, Any] = json.loads(
        run(yard, capsys, *QUARTER, "--formats", "json", "--json", *words)
    )
    return said


def test_an_open_quarter_is_gathered_now(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """The only site, provisional; each file with its digest."""
    said = told(yard, capsys)
    assert (said["site"], said["quarter"]) == ("yard", "2025-Q4")
    assert (said["state"], said["revision"], said["provisional"]) == ("open", 0, True)
    (file,) = said["files"]
    content = Path(file["path"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert said["data_hash"] == data_hash(decode(content))


def test_what_it_says_to_people(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """The files, one a line, and how the report stands."""
    lines = run(yard, capsys, *QUARTER, "--formats", "csv, JSON", "--lang", "en").splitlines()
    assert lines[-1] == "2025-Q4 of yard: provisional"
    assert [Path(line).name for line in lines[:-1]] == [
        *(f"{name}.csv" for name in ("servers", "criteria", "figures", "meters", "gaps")),
        "trajectory.csv",
        "datapackage.json",
        "jauge-yard-2025-Q4.json",
    ]


def test_a_closed_quarter_comes_as_it_was_stored(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """What changes afterwards shows only when it is asked for; each edition can be had again."""
    first = closed(yard.folder, "2025-Q4")
    yard.edit("servers.csv", "SRV-2;SN2;R;1;A1;o", "SRV-2;SN2;R;1;A1;another")
    kept = told(yard, capsys)
    assert (kept["state"], kept["revision"]) == ("closed", 1)
    assert kept["data_hash"] == data_hash(first)
    fresh = told(yard, capsys, "--fresh")
    assert (fresh["state"], fresh["revision"]) == ("open", 0)
    assert fresh["data_hash"] != kept["data_hash"]
    second = closed(yard.folder, "2025-Q4")
    newest = told(yard, capsys)
    assert (newest["revision"], newest["data_hash"]) == (2, data_hash(second))
    assert Path(newest["files"][0]["path"]).name == "jauge-yard-2025-Q4-r2.json"
    assert told(yard, capsys, "--revision", "1")["data_hash"] == kept["data_hash"]


def test_two_processes_say_the_same(yard: Yard) -> None:
    """Whatever the order of their hashes: one data hash, one set of tables."""
    said = [_in_a_process(yard, seed) for seed in ("1", "2")]
    assert said[0]["data_hash"] == said[1]["data_hash"]
    digests = [{Path(each["path"]).name: each["sha256"] for each in one["files"]} for one in said]
    for name, digest in digests[0].items():
        if name.endswith(".csv"):
            assert digests[1][name] == digest, name


def _in_a_process(yard: Yard, seed: str) -> dict[str, Any]:
    words = ["report", *QUARTER, "--out", str(yard.folder / seed), "--formats", "csv", "--json"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "jauge_collector.cli",
            *words,
            "--config",
            str(yard.folder / "collector.toml"),
        ],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
        text=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--quarter", "2025-Q5"), "--quarter: '2025-Q5' is no quarter; write 2026-Q4"),
        (("--quarter", "2999-Q1"), "--quarter: 2999-Q1 has no whole day yet"),
        ((*QUARTER, "--site", "nowhere"), "no site 'nowhere'; known are yard"),
        ((*QUARTER, "--formats", "pdf,docx"), "--formats: 'docx' is no format; some of pdf"),
        ((*QUARTER, "--formats", ","), "--formats: names no format; some of pdf"),
        ((*QUARTER, "--revision", "3"), "2025-Q4 has no revision 3; close it first"),
        ((*QUARTER, "--out", "/dev/null/x"), "--out: /dev/null/x cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(
    yard: Yard, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """Option, problem and fix; exit code 2, and nothing written."""
    error = run(yard, capsys, *words, code=2)
    assert message in error
    assert error.count("\n") == 1
    assert not list((yard.folder / "out").glob("jauge-*"))


def test_several_sites_have_to_be_told_apart(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --site, where there are two."""
    other = yard.folder / "other.toml"
    text = (yard.folder / "yard.toml").read_text(encoding="utf-8")
    other.write_text(text.replace('name = "yard"', 'name = "other"'), encoding="utf-8")
    yard.edit("collector.toml", '["yard.toml"]', '["yard.toml", "other.toml"]')
    error = run(yard, capsys, *QUARTER, code=2)
    assert "--site: there are 2 sites; name one of yard, other" in error


def test_a_wrong_register_is_one_line(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line and column; exit code 2."""
    yard.edit("servers.csv", "2024-01-01;gw/host:SN1", "yesterday;gw/host:SN1")
    error = run(yard, capsys, *QUARTER, "--formats", "json", code=2)
    assert "servers.csv: line 2, column valid_from" in error
    assert error.count("\n") == 1


def test_a_stored_report_that_was_changed_is_refused(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """A byte of it, and it is not written out as the one that was closed."""
    closed(yard.folder, "2025-Q4")
    (kept,) = (yard.folder / "reports").rglob("*.json")
    kept.write_bytes(kept.read_bytes().replace(b'"yard"', b'"gard"', 1))
    error = run(yard, capsys, *QUARTER, "--formats", "json", code=2)
    assert "is not the report that was closed" in error
