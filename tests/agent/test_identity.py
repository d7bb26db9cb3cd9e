"""Who an agent is: its configuration and its certificate say the same, or it does not start."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jauge_agent import config
from jauge_agent.cli import main
from jauge_models.configuration import ConfigurationError

from tests.agent.certificates import Authority, Issued


def written(folder: Path, issued: Issued, head: str = "", more: str = "") -> Path:
    """A configuration file with that certificate."""
    (folder / "spool").mkdir(exist_ok=True)
    path = folder / "agent.toml"
    path.write_text(
        f'{head}\n[broker]\nhost = "127.0.0.1"\nport = 9\n'
        f'cert_file = "{issued.certificate}"\nkey_file = "{issued.key}"\n{more}\n'
        f'[spool]\ndirectory = "{folder / "spool"}"\n[sources.host]\nperiod_s = 0.2\n'
    )
    return path


@pytest.mark.parametrize("head", ["", 'site = "lab"', 'agent = "a1"', 'site = "lab"\nagent = "a1"'])
def test_the_certificate_names_what_the_file_does_not(
    authority: Authority, tmp_path: Path, head: str
) -> None:
    """Site, agent or both, whatever the host is called."""
    read = config.read(written(tmp_path, authority.issue("lab/a1"), head))
    assert (read.site, read.agent) == ("lab", "a1")
    assert tuple(read.address) == ("lab", "a1")


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [
        ("lab/a2", 'site = "lab"\nagent = "a1"', "is for lab/a2, this agent is lab/a1; have one"),
        ("lab/a1", 'site = "lyon"', "is for lab/a1, this agent is lyon/<agent>; have one issued"),
        ("lab/a1", 'agent = "a2"', "is for lab/a1, this agent is <site>/a2; have one issued for"),
        ("a1", 'site = "lab"\nagent = "a1"', "is for 'a1', which names no agent; have one issued"),
        ("lab/a1/x", "", "is for 'lab/a1/x', which names no agent; have one issued for <site>/"),
        ("lab/a 1", "", "is for 'lab/a 1', which names no agent"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_certificate_for_another_name_is_one_line_and_exit_2(
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    name: str,
    head: str,
    line: str,
) -> None:
    """File, key, for whom it is, who this agent is, what to do."""
    path = written(tmp_path, authority.issue(name, file="own"), head)
    assert main([command, "--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"jauge-agent: {path}: broker.cert_file: {tmp_path}/pki/own.pem {line}")


def other_key(authority: Authority, issued: Issued) -> None:
    """The key of another certificate."""
    shutil.copy(authority.issue("lab/a2").key, issued.key)


def encrypted_key(_: Authority, issued: Issued) -> None:
    """A key that wants a passphrase."""
    command = ["openssl", "pkey", "-in", str(issued.key), "-aes256", "-passout", "pass:tell-nobody"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    issued.key.write_bytes(done.stdout)


def no_key(_: Authority, issued: Issued) -> None:
    """A file of something else."""
    issued.key.write_text("tell-nobody")


def no_certificate(_: Authority, issued: Issued) -> None:
    """The key in the place of the certificate."""
    shutil.copy(issued.key, issued.certificate)


@pytest.mark.parametrize(
    ("spoil", "key", "line"),
    [
        (other_key, "key_file", "own.key is not the key of"),
        (encrypted_key, "key_file", "own.key is encrypted; give a key without a passphrase"),
        (no_key, "key_file", "own.pem cannot be used"),
        (no_certificate, "cert_file", "own.pem holds no certificate in PEM form"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_files_that_do_not_fit_are_one_line_and_exit_2(
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    spoil: Callable[[Authority, Issued], None],
    key: str,
    line: str,
) -> None:
    """The key is named, nobody is asked for a passphrase, and nothing of the file is shown."""
    issued = authority.issue("lab/a1", file="own")
    spoil(authority, issued)
    path = written(tmp_path, issued)
    assert main([command, "--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"{path}: broker.{key}: " in err
    assert line in err
    assert "tell-nobody" not in err


def test_an_authority_that_is_none_is_named(authority: Authority, tmp_path: Path) -> None:
    """A file without a certificate cannot be trusted."""
    issued = authority.issue("lab/a1")
    path = written(tmp_path, issued, more=f'ca_file = "{issued.key}"')
    with pytest.raises(ConfigurationError, match=r"broker\.ca_file: .* holds no certif"):
        config.read(path)


@pytest.mark.parametrize(
    ("validity", "line"),
    [("expired", "has expired on 2020-01-02"), ("not_yet_valid", "is not valid before 2090-01-01")],
)
async def test_a_certificate_out_of_time_fails_the_check_and_not_the_measuring(
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    validity: str,
    line: str,
) -> None:
    """``check`` says it with exit 2; ``run`` says it and fills the spool until it is renewed."""
    issued = authority.issue("lab/a1", file="own", **{validity: True})  # type: ignore[arg-type]
    path = written(tmp_path, issued)
    assert main(["check", "--config", str(path)]) == 2
    err = capsys.readouterr().err
    assert f"{path}: broker.cert_file: {issued.certificate} {line}" in err
    assert err.count("\n") == 1
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jauge_agent.cli", "run", "--config", str(path)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert agent.stderr is not None
    async with asyncio.timeout(30):
        while b'event="certificate ' not in (told := await agent.stderr.readline()):
            assert told, "ended"
    agent.terminate()
    await agent.communicate()
    assert agent.returncode == 0
    assert str(issued.certificate).encode() in told
