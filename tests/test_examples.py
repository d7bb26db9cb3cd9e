"""What documents show is true: commands run, files of configuration read, JSON decodes.

A block whose fence names a file (```` ```toml agent.toml ````) is written under that name; a block
``sh`` is run after those above it; a block ``text`` after it is what it prints.
"""

import json
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from jauge_agent import cli as agent_cli
from jauge_agent import config as agent_config
from jauge_agent.sources.modbus import profile as modbus_profile
from jauge_collector import cli as collector_cli
from jauge_collector import config as collector_config
from jauge_collector import sites
from jauge_collector.importer import mapping
from jauge_dashboards import cli as dashboards_cli
from jauge_dashboards.alerts import settings as alert_settings
from jauge_demo import cli as demo_cli

from tests.agent.certificates import Authority

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *EXAMPLES.rglob("*.md")])
PARSERS: dict[str, Callable[[], ArgumentParser]] = {
    "jauge-agent": agent_cli._parser,
    "jauge-collector": collector_cli._parser,
    "jauge-dashboards": dashboards_cli._parser,
    "jauge-demo": demo_cli._parser,
}
MAINS: dict[str, Callable[[list[str]], int]] = {
    "jauge-agent": agent_cli.main,
    "jauge-collector": collector_cli.main,
}
SERVING = {("jauge-agent", "run"), ("jauge-collector", "run")}
"""They end only when they are told to: their arguments are checked, not they."""


class Block(NamedTuple):
    """One fenced block: its language, the word after it, and its text."""

    language: str
    name: str
    text: str


def blocks(document: Path) -> Iterator[Block]:
    """Every fenced block of a document."""
    found = re.findall(
        r"^```(\w*) ?([\w./-]*)\n(.*?)^```$", document.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return (Block(*groups) for groups in found)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each of our commands in a block."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
        if words and words[0] in PARSERS:
            yield words[: words.index(">")] if ">" in words else words


def files_of(document: Path, *names: str) -> list[Block]:
    """The blocks of a document that show a file, whose name begins so."""
    return [b for b in blocks(document) if b.name.startswith(names) and b.language == "toml"]


COMMANDS = [
    pytest.param(words, id=f"{document.relative_to(ROOT)}: {' '.join(words[:3])}")
    for document in DOCUMENTS
    for block in blocks(document)
    if block.language in {"", "sh"}
    for words in commands(block.text)
]


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_exist_with_these_options(words: list[str]) -> None:
    """Every command that a document shows is accepted by the program's parser."""
    if "…" not in words:
        PARSERS[words[0]]().parse_args(words[1:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_json_blocks_decode(document: Path) -> None:
    """Every JSON block is JSON."""
    for block in blocks(document):
        if block.language == "json":
            json.loads(block.text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_configuration_blocks_read(document: Path, tmp_path: Path) -> None:
    """Every TOML block says what file it is, and is a valid one."""
    for block in blocks(document):
        if block.language != "toml":
            continue
        path = tmp_path / block.name
        path.write_text(block.text, encoding="utf-8")
        if block.name == "agent.toml":
            if "cert_file" in block.text:
                issued = Authority(tmp_path).issue("paris/srv-1", file="certificate")
                issued.key.rename(tmp_path / "key.pem")
            for secret in re.findall(r'^\w+_file = "([^"]+)"', block.text, re.MULTILINE):
                text = path.read_text("utf-8").replace(secret, str(tmp_path / Path(secret).name))
                path.write_text(text, encoding="utf-8")
                if not (tmp_path / Path(secret).name).exists():
                    (tmp_path / Path(secret).name).write_text("at least 16 bytes", "utf-8")
            read = agent_config.read(path)
            agent_config.configured_sources(read.sources, file=str(path))
        elif block.name == "collector.toml":
            collector_config.load(path)
        elif block.name == "mapping.toml":
            mapping.load(path)
        elif block.name == "alerts.toml":
            alert_settings.load(path)
        elif block.name == "modbus-profile.toml":
            modbus_profile.load(str(path))
        else:
            sites.load(path)


class Terminal:
    """Runs the commands of a document, one after the other, in a folder."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self._capsys = capsys
        monkeypatch.chdir(folder)

    def follow(self, document: Path) -> list[tuple[str, ...]]:
        """Do what the document says; returns the commands that were run."""
        done: list[tuple[str, ...]] = []
        printed = ""
        for block in blocks(document):
            if block.name:
                (self.folder / block.name).write_text(block.text, encoding="utf-8")
            elif block.language == "text":
                assert printed == block.text
            elif block.language == "sh":
                self._capsys.readouterr()
                for words in commands(block.text):
                    if (words[0], words[1]) not in SERVING:
                        assert MAINS[words[0]](words[1:]) == 0, self._capsys.readouterr().err
                        done.append(tuple(words[:3]))
                printed = self._capsys.readouterr().out
        return done


@pytest.fixture
def terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """A terminal in an empty folder."""
    return Terminal(tmp_path, capsys, monkeypatch)


def _hourly(path: Path, head: str, delimiter: str, pattern: str, cells: tuple[str, ...]) -> None:
    """A month of hour-ending rows that are all alike."""
    ends = (
        datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(1, 31 * 24 + 1)
    )
    rows = [delimiter.join((end.strftime(pattern), *cells)) for end in ends]
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")


def test_the_readme_is_a_tour_that_works(terminal: Terminal) -> None:
    """From an empty folder, a file of meters and a bill to the figures that it shows."""
    head = "end of hour;incomer kWh;UPS kWh"
    _hourly(terminal.folder / "meters.csv", head, ";", "%d/%m/%Y %H:%M", ("100", "80"))
    (terminal.folder / "bill.pdf").write_bytes(b"%PDF-1.4 an example")
    done = terminal.follow(ROOT / "README.md")
    assert ("jauge-agent", "once", "--config") in done
    assert [words[1] for words in done if words[0] == "jauge-collector"] == [
        "check",
        "import",
        "meter",
        "meter",
        "attest",
        "kpi",
    ]


def test_the_example_of_building_data_works(terminal: Terminal) -> None:
    """Its commands take any file with its columns."""
    for file in (EXAMPLES / "energyplus").glob("*.toml"):
        (terminal.folder / file.name).write_bytes(file.read_bytes())
    columns = [
        block.column for block in mapping.load(terminal.folder / "mapping.toml").declared.columns
    ]
    head = ",".join(["hour_ending_local_standard_time", *map(str, columns)])
    name = "two_zone_dc_stockholm_hourly.csv"
    _hourly(terminal.folder / name, head, ",", "%Y-%m-%dT%H:%M", ("1.5",) * len(columns))
    done = terminal.follow(EXAMPLES / "energyplus" / "README.md")
    assert [words[1] for words in done] == ["import", "kpi"]
