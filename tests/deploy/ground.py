"""A whole site on real hosts: a broker, a collector with store and alerts, two agents.

Seconds stand where a site has minutes; else nothing differs from what docs/operations.md tells.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.deploy import hook, rootfs, versions
from tests.deploy.control import ControlNode
from tests.deploy.hosts import Host, require
from tests.deploy.network import ADDRESSES, OURS, Network

SITE: Final = "paris"
BROKER_NAME: Final = "broker.example.org"
ADDRESS: Final = {
    "broker": f"{ADDRESSES}2",
    "collector": f"{ADDRESSES}3",
    "srv1": f"{ADDRESSES}11",
    "srv2": f"{ADDRESSES}12",
    "clone": f"{ADDRESSES}13",
}
STORE: Final = "http://127.0.0.1:8428"
CONSOLE: Final = f"https://{ADDRESS['collector']}:8443"
WATTS: Final = 150
_OTHERS: Final = ("broker", "collector")
_HOOK_PORT: Final = 9099
_SITE_FILE: Final = """
[site]
name = "paris"
time_zone = "UTC"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["srv1/sensor:meter.power1"]
interval_s = 300
counts = "from_start"
reason = "a test"
[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "it" }]
"""
_ASK: Final = """
import ssl, sys, urllib.request
url, trusted, token = sys.argv[1:4]
context = ssl.create_default_context(cafile=trusted) if trusted else None
headers = {"Authorization": f"Bearer {token}"} if token else {}
with urllib.request.urlopen(
    urllib.request.Request(url, headers=headers), timeout=20, context=context
) as answer:
    sys.stdout.buffer.write(answer.read())
"""


class Ground:
    """The hosts, bare at first, and the control node."""

    def __init__(self, folder: Path, network: Network, lower: Path) -> None:
        """Hosts off, an inventory, archives of the first version."""
        self.folder = folder
        self._network = network
        self._lower = lower
        self.control = ControlNode(folder / "control", network)
        self.hosts: dict[str, Host] = {}
        for name in ("broker", "collector", "srv1", "srv2"):
            host = self.machine(name)
            host.install(lower, self._names(), self.control.public_key)
        self._meter()
        self._clock()
        self.dist = versions.build(folder / "dist-1", "1", "3.13")
        self.token = self._secrets()
        self._inventory()
        self._heard = folder / "hook.jsonl"
        self._heard.touch()

    def machine(self, name: str) -> Host:
        """A further host, without a disk yet."""
        host = Host(name, ADDRESS[name], self.folder / name, self._network)
        self.hosts[name] = host
        return host

    def ask(self, path: str) -> Any:
        """The console's JSON for a path, by TLS and with a token, over the network."""
        command = [sys.executable, "-c", _ASK, CONSOLE + path, self._trusted, self.token]
        done = subprocess.run(
            [*self._network.prefix, *command], capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-800:]
        return json.loads(done.stdout)

    def fetch(self, host: str, url: str) -> str:
        """What a host answers to itself."""
        return self.hosts[host].run("python3", "-c", _ASK, url, "", "")

    def agent(self, host: str) -> dict[str, float]:
        """What a host's agent says of itself, by name and labels as they stand there."""
        lines = self.fetch(host, "http://127.0.0.1:9480/metrics").splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
        }

    def heard(self) -> list[dict[str, Any]]:
        """What the web hook was told, in its order."""
        return [json.loads(line) for line in self._heard.read_text().splitlines()]

    def told_of(self, name: str, status: str, **labels: str) -> bool:
        """Whether an alert was told of, with this status and these labels."""
        return any(
            alert["status"] == status
            and (labels | {"alertname": name}).items() <= alert["labels"].items()
            for each in self.heard()
            for alert in each["message"]["alerts"]
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The web hook, as long as this lasts."""
        command = [sys.executable, hook.__file__, OURS, str(_HOOK_PORT), str(self._heard)]
        with subprocess.Popen([*self._network.prefix, *command], stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                yield
            finally:
                server.kill()

    def off(self) -> None:
        """End all hosts."""
        for host in self.hosts.values():
            host.power_cut()

    def _names(self) -> dict[str, str]:
        names = {address: name for name, address in ADDRESS.items()}
        return names | {ADDRESS["broker"]: f"broker {BROKER_NAME}", OURS: "control"}

    def _meter(self) -> None:
        """A power sensor as Linux would show it: hosts of the test have none."""
        chip = "srv/sys/class/hwmon/hwmon0"
        self.hosts["srv1"].write(f"{chip}/name", "meter\n")
        self.hosts["srv1"].write(f"{chip}/power1_input", f"{WATTS * 1_000_000}\n")

    def _clock(self) -> None:
        """Chrony runs only where it may set the clock; with -x it does not: it is everybody's."""
        self.hosts["broker"].capability = "CAP_SYS_TIME"
        self.hosts["broker"].write("etc/default/chrony", 'DAEMON_OPTS="-F 1 -x"\n')

    def _secrets(self) -> str:
        """Tokens, the console's certificate, and whom to call."""
        folder = self.control.folder
        program = Path(sys.executable).with_name("jauge-collector")
        made = subprocess.run(
            [program, "token", "--name", "test", "--role", "reader", "--json"],
            capture_output=True,
            check=True,
        )
        token = json.loads(made.stdout)
        self.control.file("secrets/tokens.toml", token["toml"] + "\n")
        self.control.file("secrets/token", token["token"] + "\n")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=collector"),
                *("-addext", f"subjectAltName=IP:{ADDRESS['collector']},DNS:collector"),
                *("-keyout", folder / "secrets/console-key.pem"),
                *("-out", folder / "secrets/console.pem"),
            ],
            check=True,
            capture_output=True,
        )
        self._trusted = str(folder / "secrets/console.pem")
        for receiver in ("on-call", "office", "readers"):
            url = f"http://{OURS}:{_HOOK_PORT}/{receiver}"
            self.control.file(f"secrets/{receiver}.url", url)
        text: str = token["token"]
        return text

    def _inventory(self) -> None:
        secrets = self.control.folder / "secrets"
        self.control.file("sites/paris.toml", _SITE_FILE)
        self.control.variables |= {
            "jauge_site": SITE,
            "jauge_broker_host": BROKER_NAME,
            "jauge_dist": str(self.dist),
            "jauge_apt_cache_seconds": 0,
            "preflight_time_sync": "warn",
            "preflight_least_mb": 100,
            "collector_gate_token": str(secrets / "token"),
        }
        self.know()

    def know(self) -> None:
        """Write the inventory of all hosts that there are."""
        secrets = self.control.folder / "secrets"
        self.control.know(
            list(self.hosts.values()),
            {
                "jauge_broker": {
                    "hosts": {"broker": {}},
                    "vars": {"broker_ntp_networks": [f"{ADDRESSES}0/24"]},
                },
                "jauge_store": {
                    "hosts": {"collector": {}},
                    "vars": {
                        "store_flags": {"inmemoryDataFlushInterval": "1s"},
                        "store_scrape_interval": "5s",
                        "store_scrape_collector": "127.0.0.1:8443",
                        "store_scrape_scheme": "https",
                        "store_scrape_name": "collector",
                        "store_scrape_ca_file": str(secrets / "console.pem"),
                        "store_scrape_token_file": str(secrets / "token"),
                    },
                },
                "jauge_collector": {
                    "hosts": {"collector": {}},
                    "vars": {
                        "collector_tokens": str(secrets / "tokens.toml"),
                        "collector_credentials": {
                            "console.pem": str(secrets / "console.pem"),
                            "console-key.pem": str(secrets / "console-key.pem"),
                        },
                        "collector_config": {
                            "state_encryption": "elsewhere",
                            "store": {"settle_s": 12},
                            "ledger": {"pass_every_s": 2},
                            "console": {
                                "listen": "0.0.0.0:8443",
                                "cert_file": "console.pem",
                                "key_file": "console-key.pem",
                            },
                        },
                    },
                },
                "jauge_alerting": {
                    "hosts": {"collector": {}},
                    "vars": {
                        "alerting_interval": "5s",
                        "alerting_secrets": {
                            f"{name}.url": str(secrets / f"{name}.url")
                            for name in ("on-call", "office", "readers")
                        },
                        "alerting_settings": _ALERTS,
                    },
                },
                "jauge_agents": {
                    "hosts": {name: {} for name in self.hosts if name not in _OTHERS},
                    "vars": {
                        "agent_config": {
                            "delivery": {"resend_after_s": 45},
                            "sources": {
                                "host": {"period_s": 1},
                                "hwmon": {"sysfs_root": "/srv/sys", "period_s": 1},
                            },
                        },
                    },
                },
            },
        )


_ALERTS: Final = {
    "thresholds": {
        "recent": "40s",
        "keep": "10s",
        "grace": "20s",
        "agent_silent": "30s",
        "source_silent": "120s",
        "sensor_silent": "150s",
        "silent_for": "1s",
    },
    "routing": {"page_wait": "1s", "ticket_wait": "1s", "group_interval": "5s"},
    "routes": [
        {"severity": "page", "receiver": "on-call"},
        {"severity": "ticket", "receiver": "office"},
        {"severity": "report", "receiver": "readers"},
    ],
}


@contextmanager
def ground() -> Iterator[Ground]:
    """Hosts that are on, with the web hook; all gone afterwards. Raises NotHereError."""
    require()
    lower = rootfs.built(rootfs.TRIXIE)
    # Short: sockets of ssh lie below it.
    with tempfile.TemporaryDirectory(prefix="jauge-") as folder, Network() as network:
        made = Ground(Path(folder), network, lower)
        with made.listening():
            try:
                for host in made.hosts.values():
                    host.boot()
                yield made
            finally:
                made.off()
