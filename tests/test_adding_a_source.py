"""docs/adding-a-source.md, followed in a copy of the repository that lacks its source."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_examples import ROOT

DOCUMENT = ROOT / "docs" / "adding-a-source.md"
NAME = "power_supply"


class Block(NamedTuple):
    """One fenced block: its language, the file it is for, and its text."""

    language: str
    file: str
    text: str


def blocks() -> list[Block]:
    """The blocks of the document, in its order."""
    found = re.findall(
        r"^(```+)(\w+) ?([\w./-]*)\n(.*?)^\1$",
        DOCUMENT.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return [Block(*groups[1:]) for groups in found]


class Copy:
    """The agent and the tests of the contract, as if the source had never been."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        leave_out = shutil.ignore_patterns("__pycache__", f"{NAME}*")
        shutil.copytree(ROOT / "agent/jauge_agent", folder / "agent/jauge_agent", ignore=leave_out)
        (folder / "tests/agent/fixtures").mkdir(parents=True)
        for file in ("tests/__init__.py", "tests/agent/__init__.py"):
            shutil.copy(ROOT / file, folder / file)
        shutil.copy(ROOT / "tests/agent/test_source_contract.py", folder / "tests/agent")
        (folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_mode = auto\naddopts = --import-mode=importlib\npythonpath = .\n"
        )
        table = folder / "agent/jauge_agent/sources/__init__.py"
        lines = table.read_text("utf-8").splitlines(keepends=True)
        table.write_text("".join(line for line in lines if NAME not in line), "utf-8")

    def follow(self, block: Block) -> str:
        """Do what a block says; gives what its commands print. Fails as they do."""
        path = self.folder / block.file
        if block.language == "sh":
            return self.run(block.text.replace(".venv/bin/python", sys.executable))
        if block.language == "diff":
            text = path.read_text("utf-8")
            for before, added in re.findall(r"^ (.*\n)\+(.*\n)", block.text, re.MULTILINE):
                assert text.count(before) == 1
                text = text.replace(before, before + added)
            path.write_text(text, "utf-8")
        else:
            path.write_text(block.text, "utf-8")
        return ""

    def run(self, commands: str) -> str:
        """What a shell prints in the copy, whose agent stands before the installed one."""
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "agent")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy without the source."""
    made = Copy(tmp_path)
    python = f"{sys.executable} -c"
    shown = made.run(f"{python} 'import jauge_agent.sources as s; print(s.__file__, *s.BUILT_IN)'")
    assert shown.startswith(str(tmp_path))
    assert NAME not in shown.split()
    return made


def test_who_follows_the_document_has_a_source(copy: Copy) -> None:
    """Its files, its line, its fixture: the contract holds, and the source has its page."""
    printed = ""
    for block in blocks():
        printed = copy.follow(block) or printed
    assert re.search(r"^[1-9] passed", printed.splitlines()[-1].strip("= "))
    page = copy.run(f"{sys.executable} -m jauge_agent.document source:{NAME}")
    assert page == (ROOT / "docs" / "sources" / f"{NAME}.md").read_text("utf-8")


def test_the_contract_fails_for_a_source_that_breaks_it(copy: Copy) -> None:
    """Or the test above would show nothing: here a voltage is ten times what it should be."""
    for block in blocks():
        if block.file.endswith(f"{NAME}.py"):
            wrong = block.text.replace('("voltage", 1e6)', '("voltage", 1e5)')
            assert wrong != block.text
            block = block._replace(text=wrong)  # noqa: PLW2901 - the same block, changed
        if "pytest" in block.text:
            with pytest.raises(AssertionError, match="battery:BAT0/voltage"):
                copy.follow(block)
        else:
            copy.follow(block)


def test_the_document_shows_the_source_as_it_is() -> None:
    """Each file that it shows is the repository's, and each line that it adds is there."""
    for block in blocks():
        if block.language == "diff":
            added = "".join(re.findall(r"^\+(.*\n)", block.text, re.MULTILINE))
            assert added in (ROOT / block.file).read_text("utf-8")
        elif block.file:
            assert block.text == (ROOT / block.file).read_text("utf-8"), block.file
