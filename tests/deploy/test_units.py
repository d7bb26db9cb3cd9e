"""The units as the roles write them: sound by systemd's own judgement, and little exposed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rendered import Wanted, render

MOST_EXPOSED = 3.0
"""Of ten; what the project allows for any unit."""

OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "jauge-agent.service": ("agent", {}),
    "jauge-collector.service": ("collector", {}),
    "jauge-backup.service": ("collector", {}),
    "jauge-backup.timer": ("collector", {}),
    "jauge-alerts.service": ("alerting", {}),
}
DEVICES: dict[str, Any] = {
    "agent_ipmi_device": "/dev/ipmi0",
    "agent_gpu": True,
    "agent_credentials": {"bmc": "x"},
    "agent_config": {"spool": {"directory": "/srv/spool"}},
    "agent_unit_settings": {"Nice": 5},
}
OF_DEBIAN = {
    "mosquitto.service": "broker",
    "victoria-metrics.service": "store",
    "prometheus-alertmanager.service": "alerting",
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two file systems with all units: as by default, and with every device and addition."""
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    plain, full = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("full")
    etc = "etc/systemd/system"
    for root, more in ((plain, {}), (full, DEVICES)):
        wanted = [
            Wanted(
                role, f"{name}.j2", variables | (more if role == "agent" else {}), f"{etc}/{name}"
            )
            for name, (role, variables) in OWN.items()
        ]
        wanted += [
            Wanted(role, f"{name}.conf.j2", {}, f"{etc}/{name}.d/jauge.conf")
            for name, role in OF_DEBIAN.items()
            if Path("/usr/lib/systemd/system", name).is_file()
        ]
        render(wanted, root)
        system = root / "usr/lib/systemd/system"
        system.mkdir(parents=True)
        for unit in Path("/usr/lib/systemd/system").glob("*.target"):
            shutil.copy(unit, system)
        for name in OF_DEBIAN:
            if (unit := Path("/usr/lib/systemd/system", name)).is_file():
                shutil.copy(unit, system)
        for unit in root.rglob("*.service"):
            for program in re.findall(r"(?m)^Exec\w+=[-+!@:]*(/\S+)", unit.read_text("utf-8")):
                stub = root / program.lstrip("/")
                stub.parent.mkdir(parents=True, exist_ok=True)
                stub.write_text("#!/bin/sh\n")
                stub.chmod(0o755)
    return plain, full


def exposure(root: Path, unit: str) -> float:
    """What systemd-analyze says, from 0 to 10."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@pytest.mark.parametrize("unit", [*(name for name in OWN if name.endswith("service")), *OF_DEBIAN])
def test_a_unit_is_little_exposed(roots: tuple[Path, Path], unit: str) -> None:
    """Below three, as shipped and with every device; the scores are printed (``-s``)."""
    if unit in OF_DEBIAN and not Path("/usr/lib/systemd/system", unit).is_file():
        pytest.skip(f"{unit} of Debian is not installed")
    scores = [exposure(root, unit) for root in roots]
    sys.stdout.write(f"{unit}: {scores[0]} by default, {scores[1]} with all additions\n")
    assert max(scores) < MOST_EXPOSED


def test_an_open_unit_would_be_found_out(roots: tuple[Path, Path], tmp_path: Path) -> None:
    """The judgement above can fail: a bare unit is far beyond."""
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / "bare.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(tmp_path, "bare.service") > 2 * MOST_EXPOSED


@pytest.mark.parametrize("unit", [*OWN, *OF_DEBIAN])
def test_systemd_takes_every_line(roots: tuple[Path, Path], unit: str) -> None:
    """``systemd-analyze verify`` has nothing to say: no unknown key, no value that is dropped."""
    if unit in OF_DEBIAN and not Path("/usr/lib/systemd/system", unit).is_file():
        pytest.skip(f"{unit} of Debian is not installed")
    for root in roots:
        done = subprocess.run(
            [
                "systemd-analyze",
                "verify",
                f"--root={root}",
                "--man=no",
                "--recursive-errors=no",
                unit,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if unit in line or "Unknown" in line]
        assert said == [], done.stderr
        assert done.returncode == 0, done.stderr


def test_a_line_that_systemd_does_not_know_would_be_found_out(tmp_path: Path) -> None:
    """The judgement above can fail too."""
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    (folder / "odd.service").write_text("[Service]\nExecStart=/bin/true\nProtectSytem=strict\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={tmp_path}", "--man=no", "odd.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ProtectSytem" in done.stderr


def test_services_tell_when_they_are_ready_and_that_they_live(roots: tuple[Path, Path]) -> None:
    """Both own services are of type notify with a watchdog, and get their key as a credential."""
    for unit, key in (
        ("jauge-agent.service", "/etc/jauge-agent/key.pem"),
        ("jauge-collector.service", "/etc/jauge/key.pem"),
    ):
        text = (roots[0] / "etc/systemd/system" / unit).read_text("utf-8").splitlines()
        assert "Type=notify" in text
        assert any(line.startswith("WatchdogSec=") for line in text)
        assert f"LoadCredential=key.pem:{key}" in text
        assert "ProtectSystem=strict" in text
        assert "CapabilityBoundingSet=" in text


def test_only_named_devices_are_open(roots: tuple[Path, Path]) -> None:
    """Without a device the agent sees none; with some, these alone."""
    plain, full = (
        (root / "etc/systemd/system/jauge-agent.service").read_text("utf-8") for root in roots
    )
    assert "PrivateDevices=yes" in plain
    assert "DeviceAllow" not in plain
    assert "DevicePolicy=closed" in full
    assert "DeviceAllow=/dev/ipmi0 rw" in full
    assert "LoadCredential=bmc:/etc/jauge-agent/bmc" in full
    assert "ReadWritePaths=/srv/spool" in full
