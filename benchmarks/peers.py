"""The agent and its peers, as each would run on one host: command lines and configuration."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.rows import say

ROOT: Final = Path(__file__).resolve().parents[1]
FIXTURES: Final = ROOT / "tests" / "agent" / "fixtures"
GLANCES_HOME: Final = ROOT / ".venv-bench"
GLANCES: Final = ("glances==4.5.8", "paho-mqtt==2.2.0", "certifi")

_PYTHON: Final = (Path(sys.base_prefix), Path(sys.executable).resolve().parent, ROOT)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One program that watches this machine every second. ``missing``: why it cannot run here."""

    name: str
    argv: Sequence[str] = ()
    own: Sequence[Path] = ()
    """Folders of its program and runtime, for `processes.memory`."""
    topic: str = ""
    """First level of the topics it publishes on; empty where it is scraped instead."""
    scrape_port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""


def sysfs(directory: Path) -> tuple[Path, str]:
    """A sysfs with RAPL and hwmon, and a word on where it comes from.

    This machine's own where it has both; else links to it, with the recorded tree of the tests
    in the two places that are absent.
    """
    real = Path("/sys")
    if any(real.glob("class/powercap/*-rapl:*")) and any(real.glob("class/hwmon/hwmon*")):
        return real, "RAPL and hwmon are this machine's own"
    tree = directory / "sys"
    (tree / "class").mkdir(parents=True)
    for entry in real.iterdir():
        if entry.name != "class":
            (tree / entry.name).symlink_to(entry)
    for entry in (real / "class").iterdir():
        if entry.name not in {"powercap", "hwmon"}:
            (tree / "class" / entry.name).symlink_to(entry)
    for kind, host in (("powercap", "rapl/two_sockets"), ("hwmon", "hwmon/server")):
        (tree / "class" / kind).symlink_to(FIXTURES / host / "sys" / "class" / kind)
    return tree, (
        "this machine has neither RAPL nor hwmon: agent and node_exporter read the recorded trees"
        " of the tests (2 sockets, 8 chips) as plain files, which answer faster than real"
        " registers; collectd and Glances know no other place to look and read no sensors"
    )


def jauge(directory: Path, broker_port: int, sysfs_root: Path) -> Contestant:
    """``jauge-agent run``: host, RAPL and hwmon each second, QoS 1, spool on disk."""
    spool = directory / "spool"
    spool.mkdir()
    root = json.dumps(str(sysfs_root))
    config = directory / "agent.toml"
    config.write_text(
        f'site = "bench"\nagent = "here"\n[broker]\ntls = false\nport = {broker_port}\n'
        f"[spool]\ndirectory = {json.dumps(str(spool))}\n"
        "[sources.host]\nperiod_s = 1\n"
        f"[sources.rapl]\nperiod_s = 1\nsysfs_root = {root}\n"
        f"[sources.hwmon]\nperiod_s = 1\nsysfs_root = {root}\n",
        encoding="utf-8",
    )
    program = Path(sys.executable).with_name("jauge-agent")
    argv = [str(program), "run", "--config", str(config)]
    return Contestant("jauge-agent", argv, _PYTHON, topic="jauge")


def node_exporter(
    name: str, port: int, sysfs_root: Path, collectors: Sequence[str] = ()
) -> Contestant:
    """Prometheus' exporter, with its defaults or with the named collectors alone."""
    program = _found("prometheus-node-exporter")
    if program is None:
        return Contestant(name, missing="not installed (Debian: prometheus-node-exporter)")
    chosen = [f"--collector.{collector}" for collector in collectors]
    argv = [
        program,
        f"--web.listen-address=127.0.0.1:{port}",
        f"--path.sysfs={sysfs_root}",
        *(["--collector.disable-defaults", *chosen] if chosen else []),
    ]
    return Contestant(name, argv, (Path(program),), scrape_port=port)


def collectd(directory: Path, broker_port: int) -> Contestant:
    """The C daemon: cpu, memory, disk, interface, load, uptime each second, QoS 1."""
    name = "collectd"
    program, plugins = _found("collectd"), Path("/usr/lib/collectd")
    if program is None or not (plugins / "mqtt.so").exists():
        return Contestant(name, missing="not installed (Debian: collectd-core mosquitto-clients)")
    loaded = ("cpu", "memory", "disk", "interface", "load", "uptime", "mqtt")
    config = directory / "collectd.conf"
    config.write_text(
        f'Hostname "bench"\nFQDNLookup false\nInterval 1\nBaseDir "{directory}"\n'
        f'PIDFile "{directory}/collectd.pid"\nPluginDir "{plugins}"\n'
        'TypesDB "/usr/share/collectd/types.db"\n'
        + "".join(f"LoadPlugin {plugin}\n" for plugin in loaded)
        + f'<Plugin mqtt>\n<Publish "bench">\nHost "127.0.0.1"\nPort "{broker_port}"\n'
        'ClientId "collectd"\nPrefix "collectd"\nQoS 1\n</Publish>\n</Plugin>\n',
        encoding="utf-8",
    )
    return Contestant(
        name, [program, "-f", "-C", str(config)], (plugins, Path(program)), "collectd"
    )


def glances(
    name: str, directory: Path, broker_port: int, plugins: Sequence[str] = ()
) -> Contestant:
    """Glances, with its defaults or with the named plugins alone, publishing each second."""
    if problem := _install_glances():
        return Contestant(name, missing=problem)
    topic = "glances-" + ("few" if plugins else "all")
    config = directory / f"{topic}.conf"
    config.write_text(
        f"[mqtt]\nhost=127.0.0.1\nport={broker_port}\ntls=false\ndevicename={topic}\n"
        f"user=bench\npassword=bench\ntopic={topic}\n",
        encoding="utf-8",
    )
    chosen = ["--disable-plugin", "all", "--enable-plugin", ",".join(plugins)] if plugins else []
    argv = [
        str(GLANCES_HOME / "bin" / "glances"),
        *("--export", "mqtt", "-q", "-t", "1", "--disable-check-update", "-C", str(config)),
        *chosen,
    ]
    # It writes its log and history below HOME, which is none of ours.
    environment = {"HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
    return Contestant(name, argv, _PYTHON, topic, environment=environment)


def _found(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")


def _install_glances() -> str:
    """Put Glances into an environment of its own, once; why it could not be, or nothing."""
    if (GLANCES_HOME / "installed").exists():
        return ""
    say(f"installing {' '.join(GLANCES)} into {GLANCES_HOME.name} (once)")
    pip = (str(GLANCES_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input")
    for command in ((sys.executable, "-m", "venv", str(GLANCES_HOME)), (*pip, *GLANCES)):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return "could not be installed from PyPI: no end within 300 s"
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"could not be installed from PyPI: {last[:120]}"
    (GLANCES_HOME / "installed").touch()
    return ""
