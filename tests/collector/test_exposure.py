"""What a configuration leaves open, or contradicts itself in, is said by ``check``."""

from pathlib import Path

import pytest
from jauge_collector import cli, config
from jauge_collector.exposure import warnings
from jauge_models.configuration import ConfigurationError

from tests.collector.console.doors import READER, Holder, write_tokens
from tests.collector.running import configured
from tests.parts import free_port

NOW_S = 1_800_000_000.0


def written(folder: Path, *, mqtt: str = "tls = false", more: str = "", console: str = "") -> Path:
    """A configuration file with these lines."""
    path = configured(folder, mqtt_port=free_port(), mqtt=mqtt)
    path.write_text(f"{path.read_text(encoding='utf-8')}{console}\n{more}\n", encoding="utf-8")
    return path


def said(path: Path) -> str:
    """All warnings, a line each."""
    return "\n".join(warnings(config.load(path), NOW_S))


def test_clear_text_over_a_network_is_said_and_on_this_machine_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By check, on standard error."""
    assert said(written(tmp_path)) == ""
    path = written(tmp_path, mqtt='tls = false\nhost = "broker.example"')
    assert said(path).startswith("mqtt.tls: is off to broker.example: readings cross the network")
    assert cli.main(["check", "--config", str(path)]) == 0
    assert f"warning: {path}: mqtt.tls: is off" in capsys.readouterr().err


def test_a_secret_that_others_may_read_is_said(tmp_path: Path) -> None:
    """0644 is, 0600 is not."""
    secret = tmp_path / "password"
    secret.write_text("x", encoding="utf-8")
    path = written(tmp_path, mqtt='tls = false\nusername = "u"\npassword_file = "password"')
    secret.chmod(0o644)
    assert said(path) == (f"mqtt.password_file: {secret}: mode 0644 lets others in; chmod 0600")
    secret.chmod(0o600)
    assert said(path) == ""


def test_a_record_kept_for_less_than_it_may_be_asked_for_is_said(tmp_path: Path) -> None:
    """Ten years are enough, nine are not."""
    assert said(written(tmp_path, more="[retention]\nledger_years = 10")) == ""
    short = said(written(tmp_path, more="[retention]\nledger_years = 9"))
    assert short.startswith("retention.ledger_years: 9 is less than the 10 ")


ACCESS = '[console.access]\nmode = "token"\ntokens_file = "tokens.toml"'


def test_tokens_that_let_nobody_in_are_said(tmp_path: Path) -> None:
    """An empty file, and who has expired, by name."""
    path = written(tmp_path, more=ACCESS)
    (tmp_path / "tokens.toml").write_text("", encoding="utf-8")
    assert "tokens.toml holds no token: nobody can come in" in said(path)
    write_tokens(tmp_path, READER, Holder("prometheus", "reader", expires="2020-01-01"))
    (line,) = said(path).splitlines()
    assert "token 'prometheus' has expired on 2020-01-01" in line


def test_an_absent_tokens_file_is_named_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configuration, the key that names it, and the file."""
    path = written(tmp_path, more=ACCESS)
    assert cli.main(["check", "--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}: console.access.tokens_file: {tmp_path / 'tokens.toml'} cannot be" in told


def test_tokens_that_are_never_asked_for_are_refused(tmp_path: Path) -> None:
    """An open console with a tokens file is a mistake that looks like protection."""
    write_tokens(tmp_path, READER)
    with pytest.raises(ConfigurationError, match=r"console\.access\.mode: is 'open', so nobody"):
        config.load(written(tmp_path, more=ACCESS.replace('"token"', '"open"')))


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "128.0.0.0/1"])
def test_a_proxy_is_not_the_whole_internet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, network: str
) -> None:
    """Refused; a private network of any size is not."""
    write_tokens(tmp_path, READER)
    path = written(tmp_path, more=f'{ACCESS}\ntrusted_proxies = ["{network}"]')
    assert cli.main(["check", "--config", str(path)]) == 2
    assert "console.access.trusted_proxies" in capsys.readouterr().err
    path = written(tmp_path, more=f'{ACCESS}\ntrusted_proxies = ["10.0.0.0/8"]')
    assert cli.main(["check", "--config", str(path)]) == 0


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8428", "localhost", "", "ftp://a", "http://", "http://a:0", "http://a:x"]
)
@pytest.mark.parametrize("key", ["url", "write_url", "metrics_urls"])
def test_the_stores_url_is_one(tmp_path: Path, *, key: str, url: str) -> None:
    """HTTP or HTTPS with a host."""
    path = configured(tmp_path, mqtt_port=free_port(), store_url="http://127.0.0.1:1")
    text = path.read_text(encoding="utf-8")
    value = f'["{url}"]' if key == "metrics_urls" else f'"{url}"'
    if key == "url":
        text = text.replace('url = "http://127.0.0.1:1"', f"url = {value}")
    else:
        text = text.replace("[store]", f"[store]\n{key} = {value}")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"store\.{key}.* is no URL of HTTP"):
        config.load(path)
