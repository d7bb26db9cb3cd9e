"""The bills of materials list what the locks list, whole, and nothing else."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".venv-sbom" / "bin" / "python"
BILLS = {
    "agent": ["agent", "models"],
    "collector": ["collector", "models"],
    "demo": ["deploy/demo", "models", "agent", "collector"],
}


def written(lock: Path, projects: list[str], output: Path) -> subprocess.CompletedProcess[str]:
    """What ``make sbom`` does for one bill."""
    if not PROGRAM.exists():
        if os.environ.get("CI"):
            pytest.fail("make sbom has not made .venv-sbom")
        pytest.skip("no .venv-sbom: run make sbom")
    places = {"--lock": lock, "--installed": ROOT / ".venv", "--output": output}
    arguments = [str(word) for pair in places.items() for word in pair]
    return subprocess.run(
        [PROGRAM, ROOT / "requirements" / "sbom.py", *projects, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )


def bill(kind: str, folder: Path) -> dict[str, Any]:
    """One bill, read back; the program has validated it against CycloneDX's schema."""
    output = folder / "bill.json"
    done = written(ROOT / "requirements" / f"{kind}.txt", BILLS[kind], output)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("kind", BILLS)
def test_a_bill_lists_exactly_what_the_lock_lists(kind: str, tmp_path: Path) -> None:
    """Each name with its versions and every hash of each, besides our own packages."""
    locked = {}
    text = (ROOT / "requirements" / f"{kind}.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=\S)", text.strip()):
        name, version = block.split()[0].split("==")
        hashes = set(re.findall(r"sha256:(\w+)", block))
        locked[canonicalize_name(name), version] = hashes
    found = bill(kind, tmp_path)
    listed = {
        (part["name"], part["version"]): {each["content"] for each in part["hashes"]}
        for part in found["components"]
        if not part["name"].startswith("jauge-")
    }
    assert listed == locked
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    ours = [found["metadata"]["component"], *found["components"]]
    names = {part["name"] for part in ours if part["name"].startswith("jauge-")}
    assert names == {f"jauge-{Path(folder).name}" for folder in BILLS[kind]}


@pytest.mark.parametrize("kind", BILLS)
def test_a_bill_names_licences_and_no_address(kind: str, tmp_path: Path) -> None:
    """Of what is installed here every licence; nothing says where a package is fetched from."""
    found = bill(kind, tmp_path)
    without = {
        part["name"]
        for part in found["components"]
        if "licenses" not in part and not part.get("properties")
    }
    assert without == set()
    text = json.dumps({key: value for key, value in found.items() if key != "$schema"})
    assert "://" not in text


def test_a_bill_says_what_needs_what(tmp_path: Path) -> None:
    """The graph leads from the program to all that it was locked for."""
    found = bill("agent", tmp_path)
    needs = {part["ref"]: part.get("dependsOn", []) for part in found["dependencies"]}
    reached, ahead = set(), ["jauge-agent"]
    while ahead:
        ref = ahead.pop()
        if ref not in reached:
            reached.add(ref)
            ahead += needs[ref]
    assert reached == {"jauge-agent"} | {part["bom-ref"] for part in found["components"]}


def test_the_same_lock_gives_the_same_bytes(tmp_path: Path) -> None:
    """No moment and nothing random stands in a bill."""
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bill("agent", tmp_path / name)
        texts.append((tmp_path / name / "bill.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    """With one line, and no bill is written."""
    lock = tmp_path / "lock.txt"
    lock.write_text("msgspec==0.22.0\n", encoding="utf-8")
    done = written(lock, ["agent"], tmp_path / "bill.json")
    assert done.returncode != 0
    assert "not a pin with hashes: msgspec==0.22.0" in done.stderr
    assert not (tmp_path / "bill.json").exists()
