"""A whole site on real hosts: a broker, a collector, a store, agents, as a layout says.

Seconds stand where a site has minutes; else nothing differs from what docs/operations.md tells.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.deploy import hook, rootfs, versions
from tests.deploy.control import ControlNode
from tests.deploy.hosts import Host, require
from tests.deploy.network import ADDRESSES, OURS, Network, NotHereError
from tests.deploy.rootfs import BOOKWORM, TRIXIE, Debian

ASKED_FOR: Final = pytest.mark.skipif(
    os.environ.get("JAUGE_REAL_HOSTS") != "1",
    reason="boots real hosts, for minutes: make test-deploy",
)
MOST_EXPOSED: Final = 3.0
"""Of ten; what the project allows for any unit."""
SITE: Final = "paris"
BROKER_NAME: Final = "broker.example.org"
ADDRESS: Final = {
    "broker": f"{ADDRESSES}2",
    "collector": f"{ADDRESSES}3",
    "store": f"{ADDRESSES}4",
    "gateway": f"{ADDRESSES}5",
    "srv1": f"{ADDRESSES}11",
    "srv2": f"{ADDRESSES}12",
    "clone": f"{ADDRESSES}13",
}
STORE: Final = "http://127.0.0.1:8428"
CONSOLE: Final = f"https://{ADDRESS['collector']}:8443"
WATTS: Final = 150
_OTHERS: Final = ("broker", "collector", "store")
_HOOK_PORT: Final = 9099
_SITE_FILE: Final = """
[site]
name = "paris"
time_zone = "UTC"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["FEED/sensor:meter.power1"]
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


class Layout(NamedTuple):
    """Which hosts there are, of which release, and what runs where; one is ``collector``."""

    hosts: Mapping[str, Debian]
    broker: str = "broker"
    store: str = "collector"
    meter: str = "srv1"
    """The agent that reads the meter of the site file."""
    alerts: bool = True
    """Whether the store's host evaluates and delivers alerts, too."""


SITE_OF_BOTH: Final = Layout(
    {"broker": TRIXIE, "collector": TRIXIE, "srv1": TRIXIE, "srv2": BOOKWORM}
)
"""A host for each; agents of both releases."""
SITE_OF_BOOKWORM: Final = Layout(
    {"collector": BOOKWORM, "store": TRIXIE, "gateway": BOOKWORM},
    broker="collector",
    store="store",
    meter="gateway",
    alerts=False,
)
"""All that bookworm can be: broker and collector on one host, a gateway alone on another."""


class Ground:
    """The hosts, bare at first, and the control node."""

    def __init__(
        self, folder: Path, network: Network, layout: Layout, lowers: Mapping[Debian, Path]
    ) -> None:
        """Hosts off, an inventory, archives of the first version."""
        self.folder = folder
        self._network = network
        self._layout = layout
        self._lowers = lowers
        self.control = ControlNode(folder / "control", network)
        self.hosts: dict[str, Host] = {}
        self._gateways = {"gateway"}
        for name, debian in layout.hosts.items():
            self.bare(name, debian)
        self._meter()
        self._clock()
        pythons = " ".join(sorted({debian.python for debian in lowers}))
        self.dist = versions.build(folder / "dist-1", "1", pythons)
        self.token = self._secrets()
        self._inventory()
        self._heard = folder / "hook.jsonl"
        self._heard.touch()

    def machine(self, name: str) -> Host:
        """A further host, without a disk yet."""
        host = Host(name, ADDRESS[name], self.folder / name, self._network)
        self.hosts[name] = host
        return host

    def bare(self, name: str, debian: Debian) -> Host:
        """A further host as it comes from an installation; off."""
        host = self.machine(name)
        host.install(self._lowers[debian], self._names(), self.control.public_key)
        return host

    @property
    def store_url(self) -> str:
        """Base URL of the store, for all who ask it."""
        here = self._layout.store == "collector"
        return STORE if here else f"http://{ADDRESS[self._layout.store]}:8428"

    def ask_store(self, path: str) -> str:
        """The store's answer for a path."""
        return self.fetch(self._layout.store, f"{self.store_url}{path}")

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
        broker = self._layout.broker
        return names | {ADDRESS[broker]: f"{broker} {BROKER_NAME}", OURS: "control"}

    def _meter(self) -> None:
        """A power sensor as Linux would show it: hosts of the test have none."""
        chip = "srv/sys/class/hwmon/hwmon0"
        host = self.hosts[self._layout.meter]
        host.write(f"{chip}/name", "meter\n")
        host.write(f"{chip}/power1_input", f"{WATTS * 1_000_000}\n")

    def _clock(self) -> None:
        """Chrony runs only where it may set the clock; with -x it does not: it is everybody's."""
        host = self.hosts[self._layout.broker]
        host.capability = "CAP_SYS_TIME"
        host.write("etc/default/chrony", 'DAEMON_OPTS="-F 1 -x"\n')

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
        self.control.file("sites/paris.toml", _SITE_FILE.replace("FEED", self._layout.meter))
        self.control.variables |= {
            "jauge_site": SITE,
            "jauge_broker_host": BROKER_NAME,
            "jauge_store_url": self.store_url,
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
        measured = {
            "agent_config": {
                "delivery": {"resend_after_s": 45},
                "sources": {
                    "host": {"period_s": 1},
                    "hwmon": {"sysfs_root": "/srv/sys", "period_s": 1},
                },
            },
        }
        agents = self.hosts.keys() - self._gateways - set(_OTHERS)
        groups: dict[str, Any] = {
            "jauge_broker": {
                "hosts": {self._layout.broker: {}},
                "vars": {"broker_ntp_networks": [f"{ADDRESSES}0/24"]},
            },
            "jauge_store": {
                "hosts": {self._layout.store: {}},
                "vars": {
                    "store_listen": self.store_url.removeprefix("http://"),
                    "store_flags": {"inmemoryDataFlushInterval": "1s"},
                    "store_scrape_interval": "5s",
                    "store_scrape_collector": CONSOLE.removeprefix("https://"),
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
            "jauge_agents": {"hosts": {name: {} for name in sorted(agents)}, "vars": measured},
            "jauge_gateways": {
                "hosts": {name: {} for name in self.hosts.keys() & self._gateways},
                "vars": measured,
            },
        }
        if self._layout.alerts:
            groups["jauge_alerting"] = {
                "hosts": {self._layout.store: {}},
                "vars": {
                    "alerting_interval": "5s",
                    "alerting_secrets": {
                        f"{name}.url": str(secrets / f"{name}.url")
                        for name in ("on-call", "office", "readers")
                    },
                    "alerting_settings": _ALERTS,
                },
            }
        self.control.know(list(self.hosts.values()), groups)


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
def ground(layout: Layout) -> Iterator[Ground]:
    """Hosts that are on, with the web hook; all gone afterwards. Raises NotHereError."""
    require()
    lowers = {debian: rootfs.built(debian) for debian in set(layout.hosts.values())}
    # Short: sockets of ssh lie below it.
    with tempfile.TemporaryDirectory(prefix="jauge-") as folder, Network() as network:
        made = Ground(Path(folder), network, layout, lowers)
        with made.listening():
            try:
                for host in made.hosts.values():
                    host.boot()
                yield made
            finally:
                made.off()


@contextmanager
def hosts_or_skip(layout: Layout) -> Iterator[Ground]:
    """The same; skips the test where this machine cannot boot them."""
    try:
        made = ground(layout)
        site = made.__enter__()
    except NotHereError as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        yield site
    finally:
        made.__exit__(None, None, None)
