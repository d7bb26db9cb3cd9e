"""What a configuration lays open is said once, by `check` and at start, and forbids nothing."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from jauge_agent.cli import main
from jauge_agent.config import AgentConfig, BrokerConfig, MetricsConfig, PrivacyConfig
from jauge_agent.exposure import exposures


def found(**sections: object) -> list[tuple[str, str, str]]:
    """Event, key and place of what a configuration exposes."""
    config = AgentConfig(site="lab", **sections)  # type: ignore[arg-type]
    return [(each.event, each.key, each.where) for each in exposures(config)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST."])
def test_nothing_leaves_this_machine_over_loopback(host: str) -> None:
    """Plain MQTT to this machine, and metrics for it, are nobody else's business."""
    assert found(broker=BrokerConfig(tls=False, host=host)) == []
    assert found(metrics=MetricsConfig(port=9, address=host)) == []


@pytest.mark.parametrize("host", ["10.0.0.1", "broker.example", "0.0.0.0", "::", "127.0.0.1.x"])
def test_clear_text_and_open_metrics_are_named(host: str) -> None:
    """With the host or address."""
    assert found(broker=BrokerConfig(tls=False, host=host)) == [("tls off", "broker.tls", host)]
    assert found(broker=BrokerConfig(host=host)) == []
    assert found(metrics=MetricsConfig(port=9, address=host)) == [
        ("metrics exposed", "metrics.address", host)
    ]
    assert found(metrics=MetricsConfig(address=host)) == []


@pytest.mark.parametrize(
    ("mode", "is_exposed"),
    [(0o600, False), (0o400, False), (0o640, False), (0o644, True), (0o604, True), (0o660, True)],
)
def test_secrets_that_others_may_read_or_change_are_named(
    tmp_path: Path, mode: int, *, is_exposed: bool
) -> None:
    """A group may read, as services do; nobody but the owner may write, nobody else read."""
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(mode)
    for key, sections in (
        ("broker.key_file", {"broker": BrokerConfig(key_file=str(secret))}),
        ("broker.password_file", {"broker": BrokerConfig(password_file=str(secret))}),
        ("privacy.key_file", {"privacy": PrivacyConfig(key_file=str(secret))}),
    ):
        expected = [("secret exposed", key, str(secret))] if is_exposed else []
        assert found(**sections) == expected


@pytest.mark.parametrize("host", ["10.0.0.1", "bms.example"])
def test_meters_that_are_heard_in_clear_text_are_named(host: str) -> None:
    """The broker of the mqtt source, unless it is on this machine or speaks TLS."""
    plain = {"broker": {"host": host, "tls": False}}
    assert found(sources={"mqtt": plain}) == [("tls off", "sources.mqtt.broker.tls", host)]
    assert found(sources={"mqtt": {"broker": {"host": host}}}) == []
    assert found(sources={"mqtt": {"broker": {"host": "127.0.0.1", "tls": False}}}) == []


def test_secrets_of_devices_that_others_may_read_are_named(tmp_path: Path) -> None:
    """Of a source, of each of its devices, of its broker; a certificate is none."""
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(0o644)
    name = str(secret)
    sections = {
        "snmp": {"devices": [{"community_file": name}, {"auth_file": name, "privacy_file": name}]},
        "redfish": {"password_file": name, "ca_file": name},
        "mqtt": {"broker": {"password_file": name, "cert_file": name, "key_file": name}},
    }
    assert [key for _, key, _ in found(sources=sections)] == [
        "sources.snmp.devices[0].community_file",
        "sources.snmp.devices[1].auth_file",
        "sources.snmp.devices[1].privacy_file",
        "sources.redfish.password_file",
        "sources.mqtt.broker.password_file",
        "sources.mqtt.broker.key_file",
    ]
    secret.chmod(0o600)
    assert found(sources=sections) == []


async def test_check_warns_and_run_says_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is no error: `check` ends well, and the agent starts."""
    (tmp_path / "spool").mkdir()
    path = tmp_path / "agent.toml"
    path.write_text(
        'site = "lab"\nagent = "a1"\n[broker]\ntls = false\nhost = "192.0.2.1"\n'
        f'[spool]\ndirectory = "{tmp_path / "spool"}"\n'
    )
    assert main(["check", "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "fine" in out
    assert err.startswith(f"jauge-agent: warning: {path}: broker.tls: 192.0.2.1: readings cross")
    assert err.count("\n") == 1
    assert main(["check", "--json", "--config", str(path)]) == 0
    out, _ = capsys.readouterr()
    assert json.loads(out)["warnings"] == [err.removeprefix("jauge-agent: warning: ").strip()]
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jauge_agent.cli", "run", "--json", "--config", str(path)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert agent.stderr is not None
    async with asyncio.timeout(30):
        lines = [await agent.stderr.readline() for _ in range(2)]
    agent.terminate()
    _, rest = await agent.communicate()
    said = [json.loads(line) for line in (*lines, *rest.splitlines())]
    off = [each for each in said if each["event"] == "tls off"]
    assert [each["where"] for each in off] == ["192.0.2.1"]
