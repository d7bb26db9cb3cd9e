"""The control node: an inventory, keys, and Ansible's plays against hosts of ours by ssh."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.deploy.hosts import Host
from tests.deploy.network import Network
from tests.deploy.rendered import ANSIBLE, playbook_program

PLAY_WITHIN_S: Final = 900
_RECAP: Final = re.compile(
    r"(?m)^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)"
    r" +skipped=\d+ +rescued=(\d+)"
)


class Recap(NamedTuple):
    """Tasks of one host."""

    ok: int
    changed: int
    unreachable: int
    failed: int
    rescued: int


class Play(NamedTuple):
    """What one run of a playbook came to."""

    status: int
    said: str
    hosts: Mapping[str, Recap]

    @property
    def changes(self) -> list[str]:
        """The names of tasks that changed something, in their order."""
        found, task = [], ""
        for line in self.said.splitlines():
            if line.startswith(("TASK [", "RUNNING HANDLER [")):
                task = line.split("[", 1)[1].rsplit("]", 1)[0]
            elif line.startswith("changed: ") and task not in found:
                found.append(task)
        return found


def done(play: Play) -> Play:
    """A play that came to its end on every host."""
    assert play.status == 0, play.said[-3000:]
    assert all(not host.failed and not host.unreachable for host in play.hosts.values())
    return play


class ControlNode:
    """Where plays are run from. Its folder holds inventory, authority and secrets."""

    def __init__(self, folder: Path, network: Network) -> None:
        """Make the key that hosts let in."""
        self.folder = folder
        self._network = network
        self._plays = 0
        (folder / "sites").mkdir(parents=True)
        self._key = folder / "id"
        self._lines = folder / "lines"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
        self.own: dict[str, dict[str, Any]] = {}
        """Variables of one host, by its name."""
        self.variables: dict[str, Any] = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts",
        }

    @property
    def public_key(self) -> str:
        """Of the key that hosts let in."""
        return self._key.with_suffix(".pub").read_text()

    @property
    def authority(self) -> Path:
        """The folder of the authority, once a play has begun it."""
        return self.folder / "authority"

    def file(self, name: str, text: str) -> str:
        """A file beside the inventory, readable by us alone; its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def know(self, hosts: Sequence[Host], groups: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the inventory: ``groups`` is Ansible's ``children``."""
        tree = {
            "all": {
                "vars": self.variables,
                "hosts": {
                    host.name: {"ansible_host": host.address, **self.own.get(host.name, {})}
                    for host in hosts
                },
                "children": groups,
            }
        }
        self.file("hosts.json", json.dumps(tree))
        known = [f"{host.address} {host.public_key}" for host in hosts]
        self.file("known_hosts", "".join(known))

    def play(self, book: str, *options: str, **variables: Any) -> Play:
        """Run a playbook, with variables that win over all others; it is given up after a while."""
        self._plays += 1
        log = self.folder / f"play-{self._plays:02}-{book}.log"
        command = [
            *self._network.prefix,
            *(playbook_program(), "-i", str(self.folder / "hosts.json")),
            *(*options, "--extra-vars", json.dumps(variables), str(ANSIBLE / book)),
        ]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._lines),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
        }
        with (
            log.open("w") as out,
            subprocess.Popen(
                command,
                cwd=ANSIBLE,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                status = process.wait(PLAY_WITHIN_S)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        self._hang_up()
        said = log.read_text(errors="replace")
        recap = {name: Recap(*map(int, numbers)) for name, *numbers in _RECAP.findall(said)}
        return Play(status, said, recap)

    def _hang_up(self) -> None:
        """End the connections that ssh keeps for a next play: its hosts may be others by then."""
        for socket in self._lines.glob("*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "host"],
                capture_output=True,
                check=False,
            )
