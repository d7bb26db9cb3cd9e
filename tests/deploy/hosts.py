"""Real hosts: Debian booted by systemd-nspawn, each with a disk, an address and an identity.

A host's disk is a layer over the shared root, mounted in a namespace of its own, so that nothing
stays mounted when it ends; and it ends with this process, however that ends.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.deploy.network import Network, NotHereError

BOOT_WITHIN_S: Final = 120.0
_STOP_WITHIN_S: Final = 60.0
_COMMAND_WITHIN_S: Final = 120.0
_NESTED: Final = 3
_PROGRAMS: Final = {
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
}
_BEGIN: Final = """set -e
for group in $1; do echo 0 >"$group/cgroup.procs"; done
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3,workdir=$4" "$5"
mount --bind "$6" "$7"
mount -t proc proc /proc
shift 7
"$@"
"""
"""Of the first process of a namespace of processes: with it all others end."""
_CGROUPS: Final = [Path("/sys/fs/cgroup", part) for part in ("systemd", "unified", "")]


def require() -> None:
    """Raise NotHereError where hosts cannot be booted."""
    if os.geteuid() != 0:
        raise NotHereError("real hosts need root")
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            raise NotHereError(f"{program} is not installed (Debian package {package})")


def until(condition: Callable[[], bool], *, within: float, what: str) -> None:
    """Return once ``condition`` holds; AssertionError naming ``what`` after ``within`` s."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.25)


class Host:
    """One machine. Its disk outlives a power cut."""

    capability = ""
    """One that it has beyond those of a container, such as CAP_SYS_TIME; set it while it is off."""

    def __init__(self, name: str, address: str, folder: Path, network: Network) -> None:
        """Nothing is made before ``install``."""
        self.name = name
        self.address = address
        self._folder = folder
        self._namespace = network.namespace(address)
        self._label = f"jauge-{os.getpid()}-{name}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader: int | None = None

    @property
    def disk(self) -> Path:
        """What this host has changed of the shared root; to be written while it is off."""
        return self._folder / "disk"

    @property
    def log(self) -> Path:
        """Its console."""
        return self._folder / "console.log"

    def install(self, lower: Path, names: Mapping[str, str], authorised: str) -> None:
        """A fresh disk over ``lower``: names by address, and whose key may log in as root."""
        self._lower = lower
        for part in ("disk", "work", "root"):
            (self._folder / part).mkdir(parents=True)
        self.write("etc/hostname", f"{self.name}\n")
        lines = [f"{address} {name}" for address, name in names.items()]
        self.write("etc/hosts", "\n".join(["127.0.0.1 localhost", *lines, ""]))
        self.write("root/.ssh/authorized_keys", authorised)
        self.new_identity()

    def copy_of(self, other: "Host") -> None:
        """The disk of another, which is off, as a clone has it: identity, keys and all."""
        self._lower = other._lower
        for part in ("work", "root"):
            (self._folder / part).mkdir(parents=True)
        subprocess.run(["cp", "-a", str(other.disk), str(self.disk)], check=True)
        self.write("etc/hostname", f"{self.name}\n")

    def new_identity(self) -> None:
        """Another machine id, and keys of ssh of its own."""
        self.write("etc/machine-id", f"{uuid.uuid4().hex}\n")
        keys = self.disk / "etc/ssh"
        keys.mkdir(parents=True, exist_ok=True)
        for key in keys.glob("ssh_host_*"):
            key.unlink()
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "ssh_host_ed25519_key"],
            check=True,
        )

    def write(self, path: str, text: str) -> None:
        """A file of a host that is off."""
        file = self.disk / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # What mkdir made is of this process' umask; a home that others may write ssh refuses.
        file.parent.chmod(0o700 if path.startswith("root/") else 0o755)
        file.write_text(text)

    def remove(self, path: str) -> None:
        """A file away that a host, which is off, has made."""
        (self.disk / path).unlink()

    @property
    def public_key(self) -> str:
        """Its key of ssh."""
        return (self.disk / "etc/ssh/ssh_host_ed25519_key.pub").read_text()

    def boot(self) -> None:
        """Switch on, and wait until systemd says that all is up."""
        assert self._nspawn is None, f"{self.name} is on"
        network = self._folder / "network"
        network.touch()
        layers = [str(self._folder / part) for part in ("disk", "work", "root")]
        command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--mount", "--propagation", "private", "--pid", "--fork"),
            *("--kill-child=KILL", "sh", "-c", _BEGIN, "sh"),
            *(" ".join(map(str, self._own_groups())), str(self._lower), *layers),
            *(self._namespace, str(network)),
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
            f"--directory={layers[-1]}",
            f"--network-namespace-path={network}",
            f"--machine={self._label}",
            f"--hostname={self.name}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            *([f"--capability={self.capability}"] if self.capability else []),
        ]
        with self.log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._is_up, within=BOOT_WITHIN_S, what=f"{self.name} is up ({self.log})")

    def power_cut(self) -> None:
        """End everything on it at once."""
        if self._nspawn is None:
            return
        if self._leader is not None:
            self._signal(self._leader)
        self._nspawn.kill()
        self._off()

    def shut_down(self) -> None:
        """End everything on it in order; at once where that takes too long."""
        if self._nspawn is None:
            return
        try:
            self.run("systemctl", "poweroff")
            self._nspawn.wait(_STOP_WITHIN_S)
        except (AssertionError, subprocess.TimeoutExpired):
            self.power_cut()
            return
        self._off()

    def reboot(self) -> None:
        """In order, and up again."""
        self.shut_down()
        self.boot()

    def run(self, *command: str, check: bool = True, given: str = "") -> str:
        """What a command says on standard output, run as root on the host.

        Raises AssertionError where ``check`` and it fails.
        """
        assert self._leader is not None, f"{self.name} is off"
        done = subprocess.run(
            [
                *("nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net"),
                *("--pid", "--root", "--wd", "--"),
                *("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"),
                *("LC_ALL=C.UTF-8", *command),
            ],
            input=given,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
        if check and done.returncode:
            said = (done.stdout + done.stderr)[-2000:]
            raise AssertionError(f"{self.name}: {shlex.join(command)}: {done.returncode}: {said}")
        return done.stdout

    def main_pid(self, unit: str) -> int:
        """Process id, as the host counts, of a service; 0 when it does not run."""
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", unit).strip())

    def is_active(self, unit: str) -> bool:
        """Whether systemd says so."""
        return self.run("systemctl", "is-active", unit, check=False).strip() == "active"

    def kill(self, unit: str) -> None:
        """SIGKILL to a service's main process, and wait until another has come in its place."""
        before = self.main_pid(unit)
        assert before, f"{unit} does not run on {self.name}"
        self.run("kill", "-KILL", str(before))

        def another() -> bool:
            return self.main_pid(unit) not in {0, before} and self.is_active(unit)

        until(another, within=60, what=f"{unit} of {self.name} is back")

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            tail = self.log.read_text(errors="replace")[-1500:]
            self._nspawn = None
            raise NotHereError(f"systemd-nspawn ended:\n{tail}")
        if self._leader is None:
            self._leader = _first_process(self._label)
        if self._leader is None:
            return False
        try:
            said = self.run("systemctl", "is-system-running", check=False).strip()
        except subprocess.TimeoutExpired:
            return False
        return said in {"running", "degraded"}

    def _off(self) -> None:
        assert self._nspawn is not None
        self._nspawn.wait(_STOP_WITHIN_S)
        leader, self._nspawn, self._leader = self._leader, None, None
        if leader is not None:
            until(
                lambda: not Path(f"/proc/{leader}").exists(),
                within=_STOP_WITHIN_S,
                what=f"{self.name} is off",
            )
        for group in self._groups():
            for folder in sorted(group.rglob("*/"), reverse=True):
                folder.rmdir()
            group.rmdir()

    def _groups(self) -> list[Path]:
        """Its control groups, in each hierarchy that systemd uses."""
        return [path / self._label for path in _CGROUPS if (path / self._label).is_dir()]

    def _own_groups(self) -> list[Path]:
        """Made anew: in one shared group, hosts would see each other's services."""
        for path in _CGROUPS:
            if (path / "cgroup.procs").is_file():
                (path / self._label).mkdir()
        return self._groups()

    def _signal(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _first_process(label: str) -> int | None:
    """The process that is number one of a container, once there is one, by its control group."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue
        (line,) = (line for line in status.splitlines() if line.startswith("NSpid:"))
        numbers = line.split()[1:]
        # Of ours, of the namespace around the container, and of the container.
        if len(numbers) == _NESTED and numbers[-1] == "1" and f"/{label}/" in groups:
            return int(numbers[0])
    return None
