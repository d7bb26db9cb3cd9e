"""What `make dist` puts into an archive: the lock of a component, for one Python on one machine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("agent", "gateway", "collector", "dashboards")


def locked(component: str, python: str, machine: str = "x86_64") -> dict[str, str]:
    """Version by name, as deploy/locked.py prints it."""
    done = subprocess.run(
        [sys.executable, "deploy/locked.py", f"requirements/{component}.txt", python, machine],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+( --hash=sha256:[0-9a-f]{64})+", x) for x in lines)
    return dict(line.split(" ", 1)[0].split("==") for line in lines)


@pytest.mark.parametrize("component", COMPONENTS)
def test_markers_are_those_of_the_target(component: str) -> None:
    """No requirement of another system, whatever Python asks; hashes stay."""
    found = locked(component, "3.13")
    assert "colorama" not in found
    assert found["msgspec"]
    assert locked(component, "3.11").keys() >= found.keys() - {"audioop-lts"}


def test_pythons_differ_where_the_lock_does() -> None:
    """A lock with one version for old and one for new Pythons gives each its own."""
    lock = (ROOT / "requirements/collector.txt").read_text(encoding="utf-8")
    versions = re.findall(r"(?m)^numpy==(\S+) ; python_full_version ([<>]=?) '3.12'", lock)
    assert len(versions) == 2
    old, new = ({sign: version for version, sign in versions}[s] for s in ("<", ">="))
    assert locked("collector", "3.11")["numpy"] == old
    assert locked("collector", "3.13")["numpy"] == new


@pytest.mark.parametrize(
    "options", [["--version", "../x"], ["--components", "nonsense"], ["--out"]]
)
def test_what_cannot_be_meant_is_one_line(options: list[str], tmp_path: Path) -> None:
    """Status 2, and nothing written."""
    done = subprocess.run(
        [ROOT / "deploy/dist.sh", "--python", sys.executable, "--out", tmp_path / "o", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("dist.sh: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_the_script_is_sound() -> None:
    """Shellcheck has nothing to say."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (Debian package shellcheck)")
    subprocess.run(["shellcheck", ROOT / "deploy/dist.sh"], check=True)
