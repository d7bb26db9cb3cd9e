"""No secret leaves its file: not in logs, errors, help, metrics, documents or reprs."""

import asyncio
import os
import re
import sys
import urllib.request
from pathlib import Path

import pytest
from jauge_agent import config
from jauge_agent.broker import Broker
from jauge_agent.pseudonyms import Pseudonyms

from tests.agent.answering import answering
from tests.agent.certificates import Issued, make_password_file
from tests.agent.ground import Ground
from tests.agent.test_publisher import ADDRESS
from tests.parts import Mosquitto, eventually, free_port

PASSWORD = "pass-nobody-may-see"
KEY = "key-nobody-may-see-0123456789"


def written(folder: Path, port: int, metrics: int, more: str = "") -> Path:
    """An agent with all its secrets, at the level that says most."""
    (folder / "spool").mkdir(exist_ok=True)
    for name, text in (("password", PASSWORD), ("pseudonyms", KEY)):
        (folder / name).write_text(f"{text}\n")
        (folder / name).chmod(0o644)  # worth a warning, which must not quote it
    path = folder / "agent.toml"
    path.write_text(
        f'site = "lab"\nagent = "a1"\n[broker]\nport = {port}\nusername = "a1"\n'
        f'password_file = "{folder / "password"}"\n{more or "tls = false"}\n'
        f'[privacy]\npseudonymise = ["guest"]\nkey_file = "{folder / "pseudonyms"}"\n'
        f'[spool]\ndirectory = "{folder / "spool"}"\n[log]\nlevel = "debug"\n'
        f"[metrics]\nport = {metrics}\n[sources.host]\nperiod_s = 0.2\n"
    )
    return path


def lines_of_key(issued: Issued) -> list[str]:
    """The lines of a private key that are secret."""
    return [line for line in issued.key.read_text().splitlines() if not line.startswith("-")]


async def output_of(*arguments: str) -> str:
    """Everything a command says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jauge_agent.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONASYNCIODEBUG": "1"},
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return out.decode()


async def test_a_running_agent_tells_no_secret(tmp_path: Path) -> None:
    """Refused first, taken later: neither logs nor metrics nor documents name a secret."""
    passwords = tmp_path / "passwords"
    make_password_file(passwords, "a1", "another")
    # The collector comes in by the other door, without a password.
    door = free_port()
    settings = {
        "per_listener_settings": "true",
        "allow_anonymous": "false",
        "password_file": f"{passwords}\nlistener {door} 127.0.0.1\nallow_anonymous true",
    }
    metrics = free_port()
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.settings = {"per_listener_settings": "true", **broker.settings, **settings}
    path = written(tmp_path, broker.port, metrics)
    async with broker, answering(door) as collector:
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-m", "jauge_agent.cli", "run", "--config", str(path)),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            text = await asyncio.to_thread(scraped_until, metrics, r"failures.*not_authorised")
            make_password_file(passwords, "a1", PASSWORD)
            await broker.restart()
            await eventually(lambda: len(collector.packs) > 3, within=60, what="packs")
            text += await asyncio.to_thread(scraped_until, metrics, r"_connected 1\.0")
        finally:
            agent.terminate()
            _, err = await agent.communicate()
        said = err.decode()
        documents = repr((collector.packs, collector.births, collector.states))
    assert agent.returncode == 0
    spool = [path for path in (tmp_path / "spool").iterdir() if path.is_file()]
    assert spool
    assert "secret exposed" in said
    assert "refuses user a1" in said
    for secret in (PASSWORD, KEY):
        assert secret not in said
        assert secret not in text
        assert secret not in documents
        assert not [path for path in spool if secret.encode() in path.read_bytes()]


def scraped_until(port: int, pattern: str) -> str:
    """What /metrics shows once it shows that; AssertionError after 30 s."""
    import time

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
        except OSError:
            continue
        if re.search(pattern, text):
            return text
    raise AssertionError(pattern)


async def test_no_command_tells_a_secret(ground: Ground, tmp_path: Path) -> None:
    """Help, check, once, and the errors of files that are wrong."""
    pair = (
        f'ca_file = "{ground.authority.certificate}"\n'
        f'cert_file = "{ground.client.certificate}"\nkey_file = "{ground.client.key}"'
    )
    path = str(written(tmp_path, ground.broker.port, free_port(), pair))
    said = ""
    for command in ("sources", "once", "run", "check"):
        said += await output_of(command, "--help")
    for command in ("check", "once", "sources"):
        said += await output_of(command, "--config", path)
        said += await output_of(command, "--json", "--config", path)
    assert "warning" in said
    for name, text in (
        ("pseudonyms", "key-nobody"),
        ("pseudonyms", f"{KEY}\udcff"),
        ("password", f"{PASSWORD}\udcff"),
    ):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        said += await output_of("check", "--config", path)
    whole = ground.client.key.read_text()
    ground.client.key.write_text(whole.replace("\n", "\nx", 2))
    said += await output_of("check", "--config", path)
    assert "privacy.key_file: holds too few bytes" in said
    assert "broker.key_file" in said
    ground.client.key.write_text(whole)
    for secret in (PASSWORD, "key-nobody", *lines_of_key(ground.client)):
        assert secret not in said


async def test_a_secret_in_the_place_of_its_file_is_not_repeated(tmp_path: Path) -> None:
    """Who writes the password where its file's name belongs finds it in no error."""
    path = written(tmp_path, 9, 10)
    text = path.read_text()
    for key, name in (("password_file", "password"), ("key_file", "pseudonyms")):
        path.write_text(text.replace(f'{key} = "{tmp_path / name}"', f'{key} = "{PASSWORD}"'))
        said = await output_of("check", "--config", str(path))
        assert f"{key}: this systemd credential cannot be read" in said
        assert PASSWORD not in said
    path.write_text(text.replace("password_file", "password"))
    said = await output_of("check", "--config", str(path))
    assert "unknown key; did you mean 'password_file'?" in said


def test_no_repr_tells_a_secret(tmp_path: Path, ground: Ground) -> None:
    """Whatever ends in a log or a traceback."""
    read = config.read(written(tmp_path, 9, 10))
    broker = Broker(read.broker, ADDRESS)
    shown = broker.keyring.show()
    pseudonyms = Pseudonyms(["guest"], KEY)
    assert shown.password == PASSWORD
    for each in (read, read.broker, broker, broker.keyring, shown, pseudonyms):
        assert PASSWORD not in f"{each!r} {each}"
        assert KEY not in f"{each!r} {each}"


@pytest.mark.parametrize("field", ["password", "secret", "token"])
def test_the_configuration_has_no_place_for_a_secret(field: str) -> None:
    """Secrets are in files: no key takes one."""
    from jauge_models.samples import keys

    for key in keys(config.AgentConfig):
        name = key.rpartition(".")[2]
        assert field not in name or name.endswith("_file"), key
