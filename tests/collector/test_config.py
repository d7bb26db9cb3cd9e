"""``collector.toml``: what cannot be meant is refused at load, in one line with file, key, fix."""

from pathlib import Path

import pytest
from jauge_collector import config
from jauge_models.configuration import ConfigurationError


def load(folder: Path, text: str) -> config.CollectorConfig:
    """A configuration with that text."""
    path = folder / "collector.toml"
    path.write_text(f'sites = ["site.toml"]\n{text}\n', encoding="utf-8")
    return config.load(path)


def refused(folder: Path, text: str) -> str:
    """What is said of a text, after the file's name."""
    with pytest.raises(ConfigurationError) as error:
        _ = load(folder, text).listen
    said = str(error.value)
    assert "\n" not in said
    return said.removeprefix(f"{folder / 'collector.toml'}: ")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999"])
def test_the_brokers_port_is_one(tmp_path: Path, port: str) -> None:
    """1 to 65535."""
    assert refused(tmp_path, f"[mqtt]\nport = {port}").startswith("mqtt.port: expected `int` ")


HOSTS = ["", " ", "..bad", "a..b", "a b", "a/b", "x" * 64, "a." * 127 + "b", "broker:1883", "[::1]"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_can_be_looked_up(tmp_path: Path, host: str) -> None:
    """A name that no resolver takes is refused, not tried for ever."""
    said = refused(tmp_path, f'[mqtt]\nhost = "{host}"')
    assert said.startswith(f"mqtt.host: {host!r} is no host; write a name")


@pytest.mark.parametrize(
    "host",
    ["localhost", "10.0.0.7", "::1", "a.example.org.", "my_broker", "x" * 63, "dépôt.example"],
)
def test_hosts_that_can(tmp_path: Path, host: str) -> None:
    """Names, also of other alphabets or with an underscore, and addresses of both kinds."""
    assert load(tmp_path, f'[mqtt]\nhost = "{host}"').mqtt.host == host


@pytest.mark.parametrize("listen", ["..bad:8090", ":8090", "127.0.0.1:0", f"{'x' * 64}:8090"])
def test_the_console_listens_somewhere(tmp_path: Path, listen: str) -> None:
    """What is no address is refused before it is bound."""
    assert refused(tmp_path, f'[console]\nlisten = "{listen}"').startswith("console.listen: ")
    assert load(tmp_path, '[console]\nlisten = "[::1]:8090"').listen == ("::1", 8090)


@pytest.mark.parametrize(
    ("section", "key", "values"),
    [
        ("store", "settle_s", ["-1", "nan", "inf", "1e300"]),
        ("store", "retention_days", ["0", "-1", "nan", "inf", "1e300"]),
        ("store", "minimum_retention_days", ["0", "nan"]),
        ("ledger", "pass_every_s", ["0", "-1", "nan", "inf", "1e300"]),
        ("limits", "agents", ["0", "-1", "1.5"]),
        ("limits", "sender_share", ["0", "1.5", "nan"]),
        ("limits", "messages_per_s", ["0", "nan", "inf"]),
        ("limits", "malformed_per_s", ["0", "-1", "1e300"]),
        ("limits", "burst_s", ["0", "nan"]),
        ("policy", "minimum_coverage", ["-1", "0", "nan", "1.5"]),
        ("policy", "month_minimum", ["-0.1", "5", "nan"]),
        ("policy", "longest_gap_days", ["-1", "nan", "inf", "1e300"]),
    ],
)
def test_numbers_are_bounded(tmp_path: Path, section: str, key: str, values: list[str]) -> None:
    """Nonsense is named with its key, and nothing that is not finite gets in."""
    for value in values:
        assert refused(tmp_path, f"[{section}]\n{key} = {value}").startswith(f"{section}.{key}: ")


def test_what_load_fills_in_is_no_key(tmp_path: Path) -> None:
    """``source`` is the file itself: whoever writes it is told that there is no such key."""
    for value in ("", ".", "/etc/other.toml"):
        assert refused(tmp_path, f'source = "{value}"').startswith("source: unknown key; ")
    assert load(tmp_path, "").source == tmp_path / "collector.toml"


def test_a_credential_of_systemd_goes_before_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name that systemd handed over is that; all else lies where it did."""
    settings = load(tmp_path, "")
    given = tmp_path / "credentials"
    (given / "tls").mkdir(parents=True)
    for name in ("key.pem", "tls/key.pem"):
        (given / name).touch()
    beside = tmp_path / "key.pem"
    assert settings.beside(Path("key.pem")) == beside
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    assert settings.beside(Path("key.pem")) == given / "key.pem"
    assert settings.beside(Path("other.pem")) == tmp_path / "other.pem"
    assert settings.beside(Path("tls/key.pem")) == tmp_path / "tls/key.pem"
    assert settings.beside(beside) == beside
