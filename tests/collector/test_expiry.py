"""The collector's own certificates: said before they end, shown, and taken up when renewed."""

import logging
import shutil
import ssl
import time
from pathlib import Path

import pytest
from jauge_collector import cli, config
from jauge_collector.console import tls
from jauge_collector.credentials import broker_context
from jauge_collector.expiry import Expiry
from jauge_collector.inventory import Inventory
from jauge_collector.telemetry import Telemetry
from jauge_models.configuration import ConfigurationError

from tests import parts
from tests.agent.certificates import Authority
from tests.collector.running import configured

DAY_S = 86_400.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Signs the certificates of a test."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    return Authority(tmp_path)


def shows(folder: Path, *, mqtt: str = "collector", console: str = "console") -> Path:
    """A configuration with these two certificates."""
    lines = f'ca_file = "authority.pem"\ncert_file = "{mqtt}.pem"\nkey_file = "{mqtt}.key"'
    path = configured(folder, mqtt_port=parts.free_port(), mqtt=lines)
    pair = f'cert_file = "{console}.pem"\nkey_file = "{console}.key"\n'
    path.write_text(path.read_text(encoding="utf-8") + pair, encoding="utf-8")
    return path


def watch(path: Path, now_s: float | None = None) -> tuple[Expiry, Telemetry]:
    """What watches the certificates of a configuration, at a fixed time or now."""
    telemetry = Telemetry(Inventory())
    clock = time.time if now_s is None else lambda: now_s
    return Expiry(config.load(path), telemetry, clock=clock), telemetry


def end_of(telemetry: Telemetry, use: str) -> float | None:
    """What /metrics says of the end of one."""
    name = "jauge_collector_certificate_expiry_timestamp_seconds"
    return telemetry.registry.get_sample_value(name, {"use": use})


@pytest.mark.parametrize("use", ["mqtt", "console"])
def test_check_refuses_what_has_expired_and_warns_of_what_soon_will(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str], *, use: str
) -> None:
    """Exit status 2 for one of 2020, a warning for one of two days, nothing for one of a month."""
    for name, days in (("collector", 30), ("console", 30), ("short", 2)):
        authority.issue(name, days=days)
    authority.issue("old", expired=True)
    assert cli.main(["check", "--config", str(shows(tmp_path))]) == 0
    assert "expires" not in capsys.readouterr().err
    assert cli.main(["check", "--config", str(shows(tmp_path, **{use: "short"}))]) == 0
    assert f"{use}.cert_file: {tmp_path / 'short.pem'} expires on " in capsys.readouterr().err
    assert cli.main(["check", "--config", str(shows(tmp_path, **{use: "old"}))]) == 2
    said = capsys.readouterr().err
    assert f"{use}.cert_file: {tmp_path / 'old.pem'} has expired on 2020-01-02T00:00:00Z" in said
    assert said.count("\n") == 1


def test_the_end_of_each_is_shown_and_said_once(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing a month ahead; a warning less than 14 days before, an error after it."""
    authority.issue("collector", days=30)
    authority.issue("console", days=60)
    path, now_s = shows(tmp_path), time.time()
    expiry, telemetry = watch(path)
    expiry.look()
    assert end_of(telemetry, "mqtt") == pytest.approx(now_s + 30 * DAY_S, abs=120)
    assert end_of(telemetry, "console") == pytest.approx(now_s + 60 * DAY_S, abs=120)
    assert not caplog.records
    for days, level, words in (
        (17, logging.WARNING, "expires on"),
        (31, logging.ERROR, "has expired on"),
    ):
        expiry, _ = watch(path, now_s + days * DAY_S)
        for _ in range(3):
            expiry.look()
        (record,) = caplog.records
        assert record.levelno == level
        assert f"mqtt.cert_file: {tmp_path / 'collector.pem'} {words}" in record.getMessage()
        caplog.clear()


def shown(context: ssl.SSLContext, authority: Path) -> int:
    """Serial number of the certificate that a server with that context shows."""
    client = ssl.create_default_context(cafile=str(authority))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(6):
        for one in (asking, server):
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                continue
    told = asking.getpeercert()
    assert told is not None
    return int(str(told["serialNumber"]), 16)


def test_a_renewed_certificate_of_the_console_is_shown_without_a_restart(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Once both files are there: half a renewal changes nothing, and is said once."""
    authority.issue("collector", days=30)
    authority.issue("console", days=30)
    renewed = authority.issue("console", file="renewed", days=60)
    path = shows(tmp_path)
    expiry, telemetry = watch(path)
    context = expiry.serve(tls.context(config.load(path)))
    assert context is not None
    expiry.look()
    first, before = shown(context, authority.certificate), end_of(telemetry, "console")
    shutil.copy(renewed.certificate, tmp_path / "console.pem")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            expiry.look()
        (record,) = caplog.records
        assert "console.key_file" in record.getMessage()
        assert "is not the key of" in record.getMessage()
        assert (shown(context, authority.certificate), end_of(telemetry, "console")) == (
            first,
            before,
        )
        shutil.copy(renewed.key, tmp_path / "console.key")
        expiry.look()
    assert shown(context, authority.certificate) != first
    assert end_of(telemetry, "console") == pytest.approx(time.time() + 60 * DAY_S, abs=120)
    assert "shows its renewed certificate" in caplog.text


@pytest.mark.parametrize(
    ("file", "text", "key", "words"),
    [
        ("collector.key", None, "mqtt.key_file", "collector.key cannot be read: no such file"),
        ("collector.pem", None, "mqtt.cert_file", "collector.pem cannot be read: no such file"),
        ("authority.pem", None, "mqtt.ca_file", "authority.pem cannot be read: no such file"),
        ("collector.key", "no key", "mqtt.key_file", "holds no private key in PEM form"),
        ("collector.pem", "none", "mqtt.cert_file", "holds no certificate in PEM form"),
        ("authority.pem", "none", "mqtt.ca_file", "holds no certificate in PEM form"),
        ("collector.key", "console.key", "mqtt.key_file", "is not the key of"),
    ],
)
def test_the_file_at_fault_is_named_with_its_key(
    tmp_path: Path,
    authority: Authority,
    *,
    file: str,
    text: str | None,
    key: str,
    words: str,
) -> None:
    """Missing, empty of what it shall hold, or of another certificate; OpenSSL's words stay out."""
    authority.issue("collector")
    authority.issue("console")
    path = shows(tmp_path)
    assert broker_context(config.load(path)) is not None
    if text is None:
        (tmp_path / file).unlink()
    elif (tmp_path / text).exists():
        shutil.copy(tmp_path / text, tmp_path / file)
    else:
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        broker_context(config.load(path))
    assert caught.value.key == key
    assert words in str(caught.value)
    assert "PEM lib" not in str(caught.value)
