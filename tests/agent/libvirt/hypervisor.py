"""A libvirtd of the tests' own, with sockets and folders of its own, and tiny emulated guests.

It serves one user (``qemu:///session``), so that it touches nothing of the machine's. Started by
root it runs as nobody. A guest has no operating system: its disk holds a boot sector that goes
round in a circle, which keeps its processor busy.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

PROGRAMS: Final = {
    "libvirtd": "libvirt-daemon libvirt-daemon-driver-qemu",
    "qemu-system-x86_64": "qemu-system-x86",
    "virsh": "libvirt-clients",
}
"""Programs that are started, with their Debian packages."""

START_S: Final = 60.0
"""The first answer takes long where QEMU is looked at for the first time."""

_BOOT_SECTOR: Final = b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_GUEST: Final = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>
    <about:guest xmlns:about='urn:example'><about:project>archive</about:project></about:guest>
  </metadata>
  <memory unit='MiB'>48</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='{boot}'/></os>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    {network}
  </devices>
</domain>
"""


def missing() -> str:
    """Why it cannot be started here; empty when it can."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if os.geteuid() == 0 and shutil.which("setpriv", path=_PATH) is None:
        lacking.append("setpriv")
    packages = " ".join(PROGRAMS.get(name, "util-linux") for name in lacking)
    return f"not installed: {', '.join(lacking)} (Debian packages {packages})" if lacking else ""


class Hypervisor:
    """One libvirtd; `start` and `stop` it, and guests under it."""

    def __init__(self) -> None:
        # Not pytest's folder: nobody may not look into it, and a socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="jauge-kvm-"))
        self.folder.chmod(0o755)
        self._environment = os.environ | {
            "PATH": _PATH,
            "HOME": str(self.folder),
            "LC_ALL": "C",
            **{
                f"XDG_{name}": str(self.folder / name.lower())
                for name in ("RUNTIME_DIR", "CONFIG_HOME", "CACHE_HOME", "DATA_HOME")
            },
        }
        self._prefix: list[str] = []
        self.socket = self.folder / "s" / "libvirt-sock"
        self._configure()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
            self._prefix = ["setpriv", *who]
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where it is asked."""
        return f"qemu+unix:///session?socket={self.socket}"

    def start(self) -> None:
        """Start, and wait until it answers. Raises AssertionError with the end of its log."""
        log = self.folder / "libvirtd.log"
        with log.open("ab") as out:
            self._daemon = subprocess.Popen(
                [*self._prefix, "libvirtd", "--config", str(self.folder / "libvirtd.conf")],
                env=self._environment,
                stdout=out,
                stderr=out,
            )
        deadline = time.monotonic() + START_S
        while self._virsh("list").returncode != 0:
            said = log.read_text(errors="replace")[-2000:]
            assert self._daemon.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon; its guests run on."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(timeout=20)
            self._daemon = None

    def close(self) -> None:
        """End guests and daemon, and remove everything."""
        if self._daemon is not None:
            for uuid in self._virsh("list", "--uuid").stdout.split():
                self._virsh("destroy", uuid)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def define(self, name: str, uuid: str, *, tap: str | None = None) -> None:
        """Make a guest known, not started.

        With a network device of this machine it looks for a system there, which it does not find.
        """
        disk = self.folder / f"{uuid}.img"
        disk.write_bytes(_BOOT_SECTOR.ljust(1024 * 1024, b"\0"))
        disk.chmod(0o666)
        network, boot = "<interface type='user'/>", "hd"
        if tap is not None:
            boot = "network"
            target = f"<target dev='{tap}' managed='no'/>"
            network = f"<interface type='ethernet'>{target}</interface>"
        emulator = shutil.which("qemu-system-x86_64", path=_PATH)
        xml = self.folder / f"{uuid}.xml"
        values = {"name": name, "uuid": uuid, "disk": disk, "network": network, "boot": boot}
        xml.write_text(_GUEST.format(emulator=emulator, **values))
        self.do("define", str(xml))

    def do(self, *command: str) -> str:
        """One command of virsh, with every right; raises AssertionError when it fails."""
        done = self._virsh(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _virsh(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["virsh", "--connect", self.uri, *command],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def _configure(self) -> None:
        self.socket.parent.mkdir()
        for name in ("runtime_dir", "config_home", "cache_home", "data_home"):
            (self.folder / name).mkdir()
        (self.folder / "config_home" / "libvirt").mkdir()
        (self.folder / "config_home" / "libvirt" / "qemu.conf").write_text(
            'stdio_handler = "file"\n'  # there is no virtlogd
        )
        (self.folder / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.socket.parent}"\nauth_unix_ro = "none"\n'
            'auth_unix_rw = "none"\nlog_outputs = "3:stderr"\n'
        )
