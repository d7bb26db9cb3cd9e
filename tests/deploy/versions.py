"""Archives to install from: of the working tree, of a later version, of a broken one."""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_BUILD_WITHIN_S: Final = 600


def build(out: Path, version: str, pythons: str) -> Path:
    """What ``make dist`` writes for some Pythons, as ``version``."""
    subprocess.run(
        [
            *(ROOT / "deploy/dist.sh", "--python", sys.executable, "--out", out),
            *("--version", version, "--pythons", pythons),
            *("--components", "agent gateway collector dashboards"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_BUILD_WITHIN_S,
    )
    return out


def renamed(dist: Path, out: Path, version: str) -> Path:
    """The same archives as another version."""
    before = (dist / "VERSION").read_text().strip()
    out.mkdir(parents=True)
    for archive in dist.glob("*.tar"):
        shutil.copy(archive, out / archive.name.replace(f"-{before}-", f"-{version}-"))
    (out / "VERSION").write_text(f"{version}\n")
    _sums(out)
    return out


def broken(dist: Path, out: Path, version: str, component: str) -> Path:
    """A version in which one component's program ends as soon as it shall run."""
    renamed(dist, out, version)
    for archive in out.glob(f"jauge-{component}-*.tar"):
        _break(archive, component)
    _sums(out)
    return out


def _break(archive: Path, component: str) -> None:
    with tarfile.open(archive) as tar:
        files = {
            member.name: file.read()
            for member in tar.getmembers()
            if (file := tar.extractfile(member)) is not None
        }
    (name,) = (name for name in files if f"/jauge_{component}-" in name)
    sound = hashlib.sha256(files[name]).hexdigest()
    files[name] = _with_a_fault(files[name], f"jauge_{component}/cli.py")
    (requirements,) = (name for name in files if name.endswith("requirements.txt"))
    text = files[requirements].decode()
    assert sound in text
    files[requirements] = text.replace(sound, hashlib.sha256(files[name]).hexdigest()).encode()
    with tarfile.open(archive, "w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, BytesIO(content))


def _with_a_fault(wheel: bytes, module: str) -> bytes:
    """The wheel with a program that says so and ends."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(wheel)) as whole, zipfile.ZipFile(out, "w") as other:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename == module:
                text, found = re.subn(
                    r"(?m)^(def main\(.*\n)",
                    r'raise SystemExit("broken on purpose")\n\1',
                    content.decode(),
                )
                assert found == 1, module
                content = text.encode()
            other.writestr(entry, content)
    return out.getvalue()


def _sums(out: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(out.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (out / "SHA256SUMS").write_text("".join(lines))
