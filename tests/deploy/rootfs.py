"""A bare Debian as a folder, made once and kept, with the packages that roles ask for at hand.

The packages are downloaded, not installed: hosts, which have no network but their own, install
them from their own archive as from a mirror.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from tests.deploy.network import NotHereError

_BUILD_WITHIN_S: Final = 900
_OWN: Final = ("python3", "python3-apt", "systemd-sysv", "dbus", "openssh-server", "iproute2")
"""What a server has before Ansible comes, and an address."""
_RULES: Final = """APT::Install-Recommends "false";
Binary::apt::APT::Keep-Downloaded-Packages "true";
"""


class Debian(NamedTuple):
    """A release, its own Python, and what its hosts shall be able to install."""

    release: str
    python: str
    packages: tuple[str, ...]


TRIXIE: Final = Debian(
    "trixie",
    "3.13",
    (
        "chrony",
        "freeipmi-tools",
        "mosquitto",
        "openssl",
        "prometheus-alertmanager",
        "python3-venv",
        "victoria-metrics",
    ),
)
BOOKWORM: Final = Debian(
    "bookworm",
    "3.11",
    ("chrony", "freeipmi-tools", "mosquitto", "openssl", "python3-venv"),
)
"""Without store and alerts, for which its packages are too old."""


def built(debian: Debian) -> Path:
    """The folder, to be used as the lower layer only; raises NotHereError where it cannot be."""
    for program in ("debootstrap", "chroot", "apt-get"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            raise NotHereError(f"{program} is not installed (Debian package debootstrap)")
    digest = hashlib.sha256(repr((debian, _OWN, _RULES)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jauge-tests"
    root = cache / f"debian-{debian.release}-{digest}"
    if root.is_dir():
        return root
    cache.mkdir(parents=True, exist_ok=True)
    begun = cache / f"{root.name}.{os.getpid()}"
    try:
        _build(debian, begun, _mirror())
        begun.rename(root)
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return root


def _build(debian: Debian, root: Path, mirror: str) -> None:
    own = ",".join(_OWN)
    _do("debootstrap", "--variant=minbase", f"--include={own}", debian.release, str(root), mirror)
    (root / "etc/apt/apt.conf.d/90tests").write_text(_RULES)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    inside = ("chroot", str(root), "apt-get", "--quiet", "--yes")
    _do(*inside, "update")
    _do(*inside, "install", "--download-only", *debian.packages)
    # Each host has an identity and keys of its own.
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/resolv.conf").unlink()


def _mirror() -> str:
    """Where this machine gets Debian from."""
    found = _do("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)")
    for line in found.splitlines():
        origin, label, where = line.split("|", 2)
        if (origin, label) == ("Debian", "Debian") and where.startswith("http"):
            return where
    raise NotHereError("no mirror of Debian among this machine's own sources; apt-get update")


def _do(*command: str) -> str:
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C",
        "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    }
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_WITHIN_S,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-800:]
        raise NotHereError(f"{' '.join(command[:3])}: {said}")
    return done.stdout
