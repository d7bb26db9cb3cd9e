"""Files as the roles write them: their templates, rendered by Ansible itself on this machine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "deploy" / "ansible"
ROLES = ANSIBLE / "roles"
SHARED = {
    "jauge_site": "paris",
    "jauge_broker_host": "broker.example.org",
    "jauge_sites": str(ANSIBLE / "inventories" / "example" / "sites"),
}
"""What every inventory sets."""


class Wanted(NamedTuple):
    """A template of a role, the variables that it is rendered with, and the name of the file."""

    role: str
    template: str
    variables: Mapping[str, Any]
    name: str


def playbook_program() -> str:
    """``ansible-playbook``; skips the test where it is not installed."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    found = str(beside) if beside.is_file() else shutil.which("ansible-playbook")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("ansible-core is not installed")
        pytest.skip("ansible-core is not installed")
    return found


def render(wanted: list[Wanted], folder: Path, *, groups: Sequence[str] = ()) -> None:
    """Write each file below ``folder``, as for a host of these groups."""
    plays = [
        {
            "name": each.name,
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "become": False,
            "vars_files": [
                str(ROLES / role / "defaults" / "main.yml") for role in ("release", each.role)
            ],
            "vars": {
                **SHARED,
                "role_path": str(ROLES / each.role),
            },
            "tasks": [
                {
                    "name": each.template,
                    # Stronger than the role's own values, which vars_files make strong.
                    "vars": dict(each.variables),
                    "ansible.builtin.template": {
                        "src": str(ROLES / each.role / "templates" / each.template),
                        "dest": str(folder / each.name),
                        "mode": "0644",
                    },
                }
            ],
        }
        for each in wanted
    ]
    for each in wanted:
        (folder / each.name).parent.mkdir(parents=True, exist_ok=True)
    book = folder / "render.json"
    book.write_text(json.dumps(plays), encoding="utf-8")
    inventory = folder / "hosts.json"
    inventory.write_text(
        json.dumps({group: {"hosts": {"localhost": {}}} for group in ("all", *groups)}),
        encoding="utf-8",
    )
    done = subprocess.run(
        [playbook_program(), "-i", str(inventory), str(book)],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
