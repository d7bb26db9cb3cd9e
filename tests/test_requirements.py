"""The lock files in requirements/ belong to the pyproject.toml files and to no index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "agent.txt": ["models", "agent"],
    "collector.txt": ["models", "collector"],
    "dashboards.txt": ["models", "dashboards"],
    "demo.txt": ["models", "agent", "collector", "deploy/demo"],
    "dev.txt": ["models", "agent", "collector", "dashboards", "deploy/demo"],
}


def locked(file: str) -> dict[str, set[str]]:
    """Versions by name; several where they differ by Python version or platform."""
    versions: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line):
            versions.setdefault(canonicalize_name(pin[1]), set()).add(pin[2])
    return versions


@pytest.mark.parametrize("file", LOCKS)
def test_a_lock_satisfies_every_dependency(file: str) -> None:
    """Each dependency that a pyproject.toml names is locked at a version it allows."""
    versions = locked(file)
    for folder in LOCKS[file]:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
        for text in project["project"]["dependencies"]:
            wanted = Requirement(text)
            name = canonicalize_name(wanted.name)
            if name.startswith("jauge-"):
                continue
            assert name in versions, f"{folder} wants {text}: run make lock"
            assert all(wanted.specifier.contains(version) for version in versions[name]), (
                f"{folder} wants {text}, {file} has {versions[name]}: run make lock"
            )


@pytest.mark.parametrize("file", ["agent.txt", "collector.txt", "demo.txt", "agent-tests.txt"])
def test_smaller_locks_have_the_versions_of_the_full_one(file: str) -> None:
    """What runs in production is what the tests ran with."""
    full = locked("dev.txt")
    assert {name: versions - full[name] for name, versions in locked(file).items()} == {
        name: set() for name in locked(file)
    }


@pytest.mark.parametrize("file", [*LOCKS, "agent-tests.txt", "sbom.txt"])
def test_locks_have_hashes_and_no_address(file: str) -> None:
    """Every pin carries hashes, and no line says where to fetch it."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
    pins = re.split(r"\n(?=\S)", text.strip())
    assert pins
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []
    assert "://" not in text
