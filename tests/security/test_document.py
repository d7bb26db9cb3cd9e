"""docs/security.md says what is so: its commands run, its figures and names are the code's."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_agent.config import AgentConfig
from jauge_collector.access.roles import MAY, Permission, Role
from jauge_collector.config import CollectorFile
from jauge_models.wire import MAX_PAYLOAD_BYTES

from tests.security.ground import SHIPPED, WITHIN_S

ROOT = SHIPPED.parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"(?m)^(\w+) (.+)$", (SHIPPED / "mosquitto.conf").read_text()))
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("models/jauge_models", "agent/jauge_agent", "collector/jauge_collector")
    for path in (ROOT / folder).rglob("*.py")
)


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    after = TEXT.partition(f"\n## {heading}\n")[2]
    rows = re.search(r"((?:^\|.*\n)+)", after, re.MULTILINE)
    assert rows
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]
    return cells[2:]


def blocks(language: str) -> list[tuple[str, str]]:
    """Name and text of every fenced block of a language."""
    return re.findall(rf"(?ms)^```{language} ?([\w.-]*)\n(.*?)^```$", TEXT)


def setting(path: str) -> Any:
    """The default of a key of collector.toml or agent.toml; LookupError where there is none."""
    section, _, key = path.partition(".")
    for whole in (CollectorFile, AgentConfig):
        for field in msgspec.structs.fields(whole):
            if field.encode_name == section and hasattr(field.default, key):
                return getattr(field.default, key)
    raise LookupError(path)


@pytest.mark.parametrize(("what", "said", "source"), table("Limits"))
def test_limits_are_those_of_the_code(what: str, said: str, source: str) -> None:
    """Each value of the table is what its source holds."""
    name, _, divisor = source.partition(" / ")
    name = name.strip("`")
    if name in SETTINGS:
        real: Any = SETTINGS[name]
    elif name.startswith("jauge_"):
        module, _, constant = name.rpartition(".")
        real = getattr(importlib.import_module(module), constant)
    else:
        real = setting(name)
    assert float(said) == float(real) / float(divisor or 1), what


def test_the_brokers_limits_fit_those_of_the_programs() -> None:
    """What the protocol allows goes through, and an agent's keepalive is taken."""
    longest = msgspec.inspect.type_info(type(AgentConfig(site="s").broker))
    assert isinstance(longest, msgspec.inspect.StructType)
    (keepalive,) = (field.type for field in longest.fields if field.name == "keepalive_s")
    assert isinstance(keepalive, msgspec.inspect.IntType)
    assert int(SETTINGS["max_keepalive"]) == keepalive.le
    head = 1 + 4 + 2 + len("jauge/v1///readings") + 2 * 128 + 2
    assert MAX_PAYLOAD_BYTES + head <= int(SETTINGS["max_packet_size"])
    assert int(SETTINGS["max_packet_size"]) <= MAX_PAYLOAD_BYTES + 1024
    assert int(SETTINGS["max_connections"]) >= setting("limits.agents")


def test_every_setting_that_is_named_exists() -> None:
    """Keys of the two files in the form `section.key`, and of mosquitto.conf."""
    named = set(re.findall(r"`((?:[a-z_]+\.)+[a-z_]+)(?: = [^`]+)?`", TEXT))
    keys = {
        name for name in named if not re.search(r"\.(md|pem|py|toml|conf|acl|sh|csr|jsonl)$", name)
    }
    assert {"broker.tls", "mqtt.tls", "console.access.mode"} <= keys
    for key in keys:
        if key.startswith("console.access."):
            assert hasattr(setting("console.access"), key.rpartition(".")[2]), key
        else:
            setting(key)
    for key in ("max_queued_messages", "persistence", "require_certificate"):
        assert f"`{key}" in TEXT
        assert key in SETTINGS


def test_every_measurement_that_is_named_exists() -> None:
    """Names of /metrics, without what prometheus-client adds to them."""
    named = set(re.findall(r"`(jauge_(?:agent|collector)_[a-z_]+)(?:\{[^`]*\})?`", TEXT))
    assert len(named) >= 5
    for name in named:
        short = re.sub(r"^jauge_(agent|collector)_", "", name).removesuffix("_total")
        assert re.search(rf'["_]{short}"', CODE), name
    for reason in re.findall(r'reason="(\w+)"', TEXT):
        assert f'"{reason}"' in CODE, reason


def test_the_table_of_roles_is_the_codes() -> None:
    """Who may see, release, plan, attest and close, approve, and look into changes."""
    columns = ({Permission.READ, Permission.AGENTS, Permission.WATCH},
               {Permission.RELEASE, Permission.ACKNOWLEDGE},
               {Permission.PLAN, Permission.SCENARIOS},
               {Permission.ATTEST, Permission.CLOSE}, {Permission.APPROVE},
               {Permission.MANAGE})  # fmt: skip
    rows = table("The console")
    assert [row[0].strip("`") for row in rows] == [str(role) for role in Role]
    for row in rows:
        granted = set[Permission]().union(
            *(permissions for permissions, cell in zip(columns, row[1:], strict=True) if cell)
        )
        assert granted == MAY[Role(row[0].strip("`"))], row


def test_the_access_list_is_the_documents() -> None:
    """Every topic of the table is granted to whom it says, and nothing is granted beyond it."""
    (agent, collector, nobody) = table("Identity")
    assert set(nobody[1:]) == {"nothing"}
    granted: dict[str, set[tuple[str, str]]] = {}
    who = "%u"
    for line in (SHIPPED / "access.acl").read_text().splitlines():
        words = line.split()
        if line.startswith("user "):
            who = words[1]
        elif line.startswith(("pattern ", "topic ")):
            kinds = ("read", "write") if words[1] == "readwrite" else (words[1],)
            granted.setdefault(who, set()).update((kind, words[2]) for kind in kinds)

    def told(row: list[str], name: str) -> set[tuple[str, str]]:
        found = set()
        for kind, cell in zip(("write", "read"), row[1:], strict=True):
            stem = ""
            for topic in re.findall(r"`([^`]+)`", cell):
                whole = topic.replace("…", stem)
                stem = whole.rpartition("/")[0] if "…" not in topic else stem
                found.add((kind, whole.replace(name, "%u")))
        return found

    assert granted["%u"] == told(agent, "paris/srv-1")
    assert granted["collector"] == granted["collector-2"] == told(collector, "\0")


def test_the_commands_work_as_they_are_written(tmp_path: Path) -> None:
    """In order, in one shell; folders of the machine, its users and its services stand aside."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "etc").mkdir()
    (tmp_path / "bin").mkdir()
    service = tmp_path / "bin" / "systemctl"
    service.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/services\n')
    service.chmod(0o755)
    script = "\n".join(text for _, text in blocks("sh"))
    for real, here in (
        ("/srv/jauge-authority", f"{tmp_path}/authority"),
        ("/etc/mosquitto", f"{tmp_path}/etc/mosquitto"),
        ("-o root -g mosquitto ", ""),
    ):
        assert real in script
        script = script.replace(real, here)
    # The document copies the folder to another machine.
    script = script.replace("broker/*.pem", '"$JAUGE_AUTHORITY"/issued/broker/*.pem')
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    installed = {path.name for path in (tmp_path / "etc" / "mosquitto" / "tls").iterdir()}
    assert installed == {
        Path(SETTINGS[key]).name for key in ("cafile", "certfile", "keyfile", "crlfile")
    }
    assert (tmp_path / "services").read_text().splitlines() == ["restart mosquitto"] * 2
    revoked = tmp_path / "etc" / "mosquitto" / "tls" / "revoked.pem"
    certificate = tmp_path / "authority" / "issued" / "paris" / "srv-1" / "certificate.pem"
    verify = subprocess.run(
        ["openssl", "verify", "-crl_check", "-CRLfile", revoked,
         "-CAfile", tmp_path / "authority" / "authority.pem", certificate],
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert "certificate revoked" in verify.stderr


@pytest.mark.parametrize(("name", "text"), blocks("ini"))
def test_systemd_knows_every_setting_of_the_units(tmp_path: Path, name: str, text: str) -> None:
    """No name is misspelt and no value unreadable."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    unit = tmp_path / name
    unit.write_text(f"[Unit]\nDescription=A test\n{text}ExecStart=/bin/true\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    about = [line for line in done.stderr.splitlines() if name in line]
    assert [line for line in about if "User" not in line] == []


def test_the_firewall_rules_are_understood() -> None:
    """By nft, in a network of its own."""
    if shutil.which("nft") is None or os.geteuid() != 0:
        pytest.skip("needs root and nft (Debian package nftables)")
    ((_, rules),) = [block for block in blocks("text") if block[0] == "nftables.conf"]
    done = subprocess.run(
        ["unshare", "--net", "nft", "--check", "--file", "-"],
        input=rules,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_VISITS: str = """
import socket, subprocess, sys
subprocess.run(["nft", "-f", "-"], input=sys.stdin.read(), text=True, check=True)
server = socket.create_server(("::", 8883), family=socket.AF_INET6, dualstack_ipv6=True, backlog=99)
for host in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = []
    for _ in range(12):
        client = socket.socket(family)
        client.settimeout(0.5)
        client.bind((host, 0))
        made.append(client)
        try:
            client.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", 8883))
        except OSError:
            break
    print(host, len(made) - 1)
"""


def test_the_firewall_rules_hold_for_both_families() -> None:
    """Ten connections from an address of the site, none from any other; in a network of its own."""
    if shutil.which("nft") is None or os.geteuid() != 0:
        pytest.skip("needs root and nft (Debian package nftables)")
    ((_, rules),) = [block for block in blocks("text") if block[0] == "nftables.conf"]
    inside, outside = ["10.1.2.3", "fd00::5"], ["192.0.2.1", "2001:db8::1"]
    hosts = [*inside, *outside, "127.0.0.1", "::1"]
    addresses = "".join(
        f"ip addr add {host}/{'128 nodad' if ':' in host else '32'} dev lo; "
        for host in [*inside, *outside]
    )
    script = f'ip link set lo up; {addresses}exec "$@"'
    done = subprocess.run(
        ["unshare", "--net", "sh", "-euc", script, "sh", sys.executable, "-c", _VISITS, *hosts],
        input=rules,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = dict(line.split() for line in done.stdout.splitlines())
    assert made == dict.fromkeys(hosts, "10") | dict.fromkeys(outside, "0")
