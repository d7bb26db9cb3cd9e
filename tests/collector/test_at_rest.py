"""Encryption at rest: recorded trees of devices, this machine's own, and what is said of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from jauge_collector import at_rest, config
from jauge_collector.at_rest import AtRest
from jauge_collector.commands import check as check_command
from jauge_models.configuration import ConfigurationError

from tests.collector.running import configured
from tests.collector.test_commands import last_line, told

RECORDED = Path(__file__).parent / "fixtures" / "at_rest" / "debian-13.txt"
"""From a virtual machine with Debian 13's kernel: links, folders and files below /sys, by line."""

HAS_DEVICE_MAPPER = "device-mapper" in Path("/proc/misc").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree, laid out again."""
    root = tmp_path_factory.mktemp("sys")
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        kind, name, *rest = line.split(" ", 2)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "L":
            path.symlink_to(rest[0])
        elif kind == "F":
            path.write_text(f"{rest[0]}\n", encoding="utf-8")
        else:
            path.mkdir(exist_ok=True)
    return root


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param("253:0", AtRest.ENCRYPTED, id="LUKS on a disk"),
        pytest.param("253:1", AtRest.ENCRYPTED, id="LUKS on a partition"),
        pytest.param("253:2", AtRest.ENCRYPTED, id="LUKS on a RAID 1"),
        pytest.param("253:3", AtRest.ENCRYPTED, id="LVM on LUKS on a RAID 1"),
        pytest.param("253:4", AtRest.PLAIN, id="LVM on two disks"),
        pytest.param("253:6", AtRest.PLAIN, id="LVM on a LUKS and a plain disk"),
        pytest.param("253:7", AtRest.ENCRYPTED, id="LUKS in LVM on two disks"),
        pytest.param("253:8", AtRest.ENCRYPTED, id="dm-crypt without a header"),
        pytest.param("254:0", AtRest.PLAIN, id="a disk, though LUKS lies on it"),
        pytest.param("254:17", AtRest.PLAIN, id="a partition"),
        pytest.param("254:18", AtRest.PLAIN, id="a partition, though LUKS lies on it"),
        pytest.param("9:0", AtRest.PLAIN, id="a RAID 1"),
        pytest.param("251:0", AtRest.MEMORY, id="zram"),
        pytest.param("7:0", AtRest.UNKNOWN, id="a file as a disk"),
        pytest.param("0:42", AtRest.UNKNOWN, id="a file system without a device"),
    ],
)
def test_a_recorded_device(recorded: Path, number: str, expected: AtRest) -> None:
    """Every way down to a disk must pass dm-crypt, whatever lies above or below it."""
    assert at_rest.of_device(recorded, number) is expected


def test_devices_that_lie_on_each_other_end(tmp_path: Path) -> None:
    """A tree that leads back to itself is not followed for ever."""
    device = tmp_path / "devices" / "dm-0"
    (device / "slaves").mkdir(parents=True)
    (device / "slaves" / "dm-0").symlink_to(device)
    (tmp_path / "dev" / "block").mkdir(parents=True)
    (tmp_path / "dev" / "block" / "253:0").symlink_to(device)
    assert at_rest.of_device(tmp_path, "253:0") is AtRest.UNKNOWN


def test_this_machines_memory_and_file_systems_without_device() -> None:
    """A tmpfs is at rest nowhere; of what has no block device nothing is claimed."""
    if shutil.disk_usage("/dev/shm").total and "/dev/shm tmpfs" in _mounts():
        assert at_rest.of_path(Path("/dev/shm/absent/below")) is AtRest.MEMORY
    assert at_rest.of_path(Path("/proc")) is AtRest.UNKNOWN


def _mounts() -> str:
    return " ".join(
        " ".join(line.split()[1:3]) for line in Path("/proc/mounts").read_text().splitlines()
    )


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[Path, ExitStack]]:
    """A file as a disk, and a stack for what is made of it."""
    if os.geteuid() or not (shutil.which("cryptsetup") and shutil.which("losetup")):
        pytest.skip("needs root, cryptsetup and losetup")
    if not HAS_DEVICE_MAPPER:
        pytest.skip("this kernel has no device-mapper")
    with ExitStack() as stack:
        file = tmp_path / "disk.img"
        with file.open("wb") as disk:
            disk.truncate(64 << 20)
        loop = _run("losetup", "--find", "--show", str(file))
        stack.callback(_run, "losetup", "--detach", loop)
        yield Path(loop), stack


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_a_real_dm_crypt_device(image: tuple[Path, ExitStack], tmp_path: Path) -> None:
    """A file system that is mounted from one is encrypted; nothing but the kernel says so."""
    loop, stack = image
    name = f"jauge-test-{os.getpid()}"
    key = tmp_path / "key"
    key.write_bytes(os.urandom(64))
    quick = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", str(key))
    _run("cryptsetup", "--batch-mode", *quick, "luksFormat", str(loop))
    _run("cryptsetup", "--key-file", str(key), "open", str(loop), name)
    stack.callback(_run, "cryptsetup", "close", name)
    _run("mkfs.ext4", "-q", f"/dev/mapper/{name}")
    place = tmp_path / "mounted"
    place.mkdir()
    _run("mount", f"/dev/mapper/{name}", str(place))
    stack.callback(_run, "umount", str(place))
    assert at_rest.of_path(place / "state") is AtRest.ENCRYPTED


def settings(folder: Path, port: int, encryption: str) -> config.CollectorConfig:
    """A configuration that expects something of the disk."""
    return config.load(configured(folder, mqtt_port=port, state_encryption=encryption))


@pytest.mark.parametrize("found", AtRest)
def test_what_is_said(found: AtRest, tmp_path: Path, free_port: int) -> None:
    """A warning where expected, an error with file, key and fix where required, else silence."""

    def warning(encryption: str) -> str | None:
        return at_rest.warning(settings(tmp_path, free_port, encryption), look=lambda _: found)

    bad = {
        AtRest.PLAIN: "lies on an unencrypted device",
        AtRest.UNKNOWN: "lies on an encrypted device cannot be told",
    }.get(found)
    assert warning("elsewhere") is None
    warned = warning("expected")
    if bad is None:
        assert warned is None
        assert warning("required") is None
        return
    assert warned is not None
    assert f"state_dir: {'whether ' if found is AtRest.UNKNOWN else ''}{tmp_path}" in warned
    assert bad in warned
    with pytest.raises(ConfigurationError, match=rf"collector\.toml: state_dir: .*{bad}; move it"):
        warning("required")


def test_check_and_run_say_it(tmp_path: Path, free_port: int) -> None:
    """On this machine: once on standard error, or the refusal to start; JSON stays JSON."""
    if at_rest.of_path(tmp_path) in {AtRest.ENCRYPTED, AtRest.MEMORY}:
        pytest.skip("the folder for tests is encrypted or in memory")
    path = configured(tmp_path, mqtt_port=free_port, state_encryption="expected")
    status, error = told("check", "--config", path)
    assert status == 0
    assert error.startswith("jauge-collector: warning: ")
    assert error.count("\n") == 1
    path = configured(tmp_path, mqtt_port=free_port, state_encryption="required")
    for command in ("check", "run"):
        status, error = told(command, "--config", path)
        assert status == 2
        assert "state_dir: " in last_line(error)
    path = configured(tmp_path, mqtt_port=free_port, state_encryption="elsewhere")
    assert told("check", "--config", path) == (0, "")


def test_check_keeps_json_clean(
    tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is read by a program has no warning in it."""
    from jauge_collector.cli import _parser

    path = configured(tmp_path, mqtt_port=free_port, state_encryption="expected")
    args = _parser().parse_args(["check", "--json", "--config", str(path)])
    assert check_command.main(args) == 0
    assert json.loads(capsys.readouterr().out)["sites"]
