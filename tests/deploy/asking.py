"""What the tests ask hosts: services and versions, the broker by MQTT and NTP, the collector."""

import json
import re
import sqlite3
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

from tests.deploy.ground import BROKER_NAME, SITE, Ground
from tests.deploy.hosts import Host

_LEDGER: Final = "/var/lib/jauge/ledger.db"
_CONNECT: Final = """
import json, socket, ssl, sys
name, authority, certificate, key = sys.argv[1:5]
context = ssl.create_default_context(cafile=authority)
if certificate:
    context.load_cert_chain(certificate, key)
# CONNECT of MQTT 3.1.1: clean session, keepalive 60 s, client identifier "x".
packet = bytes([0x10, 13, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 60, 0, 1]) + b"x"
try:
    with socket.create_connection((name, 8883), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=name) as line:
            line.sendall(packet)
            print(json.dumps(line.recv(4) == bytes([0x20, 2, 0, 0])))
except (ssl.SSLError, ConnectionError):
    print("false")
"""
_ASK_TIME: Final = """
import json, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    line.settimeout(20)
    line.sendto(bytes([0x23]) + bytes(47), (sys.argv[1], 123))
    packet = line.recv(48)
seconds = struct.unpack("!I", packet[40:44])[0] - 2_208_988_800
print(json.dumps({"mode": packet[0] & 7, "stratum": packet[1], "seconds": seconds}))
"""
_LEDGER_ROWS: Final = f"""
import json, sqlite3
ledger = sqlite3.connect("file:{_LEDGER}?mode=ro", uri=True)
print(json.dumps({{
    "entries": ledger.execute("SELECT * FROM entries ORDER BY id").fetchall(),
    "chain": ledger.execute("SELECT * FROM chain ORDER BY 1").fetchall(),
    "rows": ledger.execute(
        "SELECT name, start_ms, end_ms, amount, covered_ms FROM intervals JOIN subjects"
        " ON subjects.id = subject ORDER BY 1, 2").fetchall(),
}}, default=str))
"""


def admitted(host: Host, certificate: str = "", key: str = "") -> bool:
    """Whether the broker takes a connection from a host, with a certificate or without."""
    told = host.run(
        "python3",
        "-c",
        _CONNECT,
        *(BROKER_NAME, "/etc/jauge-agent/authority.pem", certificate, key),
    )
    return bool(json.loads(told))


def time_of_broker(host: Host) -> dict[str, int]:
    """What the broker answers a host by NTP: mode, stratum and seconds since 1970."""
    answer: dict[str, int] = json.loads(host.run("python3", "-c", _ASK_TIME, BROKER_NAME))
    return answer


def entered(site: Ground, day: int) -> None:
    """An entry of a person in the record: a day of maintenance."""
    site.hosts["collector"].run(
        *("runuser", "--user=jauge", "--", "jauge-collector", "event", "add"),
        *("--site", SITE, "--kind", "maintenance", "--signatory", "a test"),
        *("--from", f"2026-01-{day:02}T00:00", "--to", f"2026-01-{day:02}T12:00"),
        *("--reason", f"day {day}"),
    )


def ledger_of(site: Ground) -> dict[str, Any]:
    """What people entered, the chain over it, and the rows that were computed."""
    told: dict[str, Any] = json.loads(site.hosts["collector"].run("python3", "-c", _LEDGER_ROWS))
    return told


def entries_in(file: Path) -> int:
    """How many entries the ledger of a backup holds."""
    with tarfile.open(file) as tar:
        (name,) = (each for each in tar.getnames() if each.endswith("ledger.db"))
        part = tar.extractfile(name)
        assert part is not None
        ledger = file.with_suffix(".db")
        ledger.write_bytes(part.read())
    database = sqlite3.connect(ledger)
    try:
        (count,) = database.execute("SELECT count(*) FROM entries").fetchone()
    finally:
        database.close()
    return int(count)


def link(host: Host, name: str = "current") -> str:
    """The version that a link of a host leads to; empty where there is none."""
    return Path(host.run("readlink", f"/opt/jauge/{name}", check=False).strip()).name


def runs_from(host: Host, unit: str) -> str:
    """The version that a running service has loaded, whatever links say."""
    maps = host.run("cat", f"/proc/{host.main_pid(unit)}/maps")
    (version,) = set(re.findall(r"/opt/jauge/([^/]+)/", maps))
    return str(version)


def exposure(host: Host, unit: str) -> float:
    """How exposed a service is by systemd's own judgement, from 0 to 10; it is printed."""
    said = host.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    sys.stdout.write(f"{host.name} {unit}: {found[1]}\n")
    return float(found[1])


def kept(host: Host) -> tuple[str, str]:
    """Certificate and key of a host's agent, copied as somebody might who means no good."""
    for name in ("certificate.pem", "key.pem"):
        host.run("cp", f"/etc/jauge-agent/{name}", f"/srv/{name}")
    return "/srv/certificate.pem", "/srv/key.pem"


def known(site: Ground) -> set[str]:
    """The agents that the collector knows."""
    return {each["agent"] for each in site.ask(f"/api/v1/agents?site={SITE}")["agents"]}
