"""The console with a certificate of its own, in a running collector."""

import ssl
from pathlib import Path

import aiohttp
import pytest
from jauge_collector import cli, config
from jauge_collector.console import tls
from jauge_models.configuration import ConfigurationError

from tests import parts
from tests.agent.certificates import Authority
from tests.collector.console.doors import READER, write_tokens
from tests.collector.running import collecting, configured

ACCESS = """cert_file = "console.pem"
key_file = "console.key"
[console.access]
mode = "token"
tokens_file = "tokens.toml"
"""


def with_certificate(folder: Path, port: int) -> tuple[Path, Authority]:
    """A configuration with certificate and tokens, and who signed it."""
    authority = Authority(folder)
    authority.issue("console", file="console")
    write_tokens(folder, READER)
    path = configured(folder, mqtt_port=parts.free_port(), port=port)
    path.write_text(path.read_text(encoding="utf-8") + ACCESS, encoding="utf-8")
    return path, authority


async def test_a_small_site_needs_no_proxy(tmp_path: Path) -> None:
    """TLS 1.2 or newer, secure cookies, HSTS; plain HTTP and old TLS get nothing."""
    port = parts.free_port()
    path, authority = with_certificate(tmp_path, port)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    async with collecting(path, ready=False), aiohttp.ClientSession() as session:
        base = f"https://127.0.0.1:{port}"

        async def answers() -> bool:
            try:
                async with session.get(f"{base}/healthz", ssl=trusting) as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await parts.eventually(answers, within=20, what="the console answers over TLS")
        async with session.get(f"{base}/login", ssl=trusting) as answer:
            assert "max-age" in answer.headers["Strict-Transport-Security"]
            assert "Secure" in answer.headers["Set-Cookie"]
        for headers, status in (({}, 401), (READER.bearer, 200)):
            asked = session.get(f"{base}/api/v1/sites", ssl=trusting, headers=headers)
            async with asked as answer:
                assert answer.status == status
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{port}/healthz")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{base}/healthz")


def test_only_tls_that_is_not_outdated_is_spoken(tmp_path: Path) -> None:
    """1.2 at least."""
    path, _ = with_certificate(tmp_path, parts.free_port())
    made = tls.context(config.load(path))
    assert made is not None
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("break_it", "key"),
    [
        (lambda folder: (folder / "console.pem").unlink(), "console.cert_file"),
        (lambda folder: (folder / "console.key").unlink(), "console.key_file"),
        (lambda folder: (folder / "console.key").write_text("no key"), "console.key_file"),
        (lambda folder: (folder / "console.pem").write_text("none"), "console.cert_file"),
        (
            lambda folder: (folder / "console.key").write_text(
                (folder / "authority.key").read_text()
            ),
            "console.key_file",
        ),
    ],
)
def test_a_certificate_that_cannot_be_used_is_named_at_the_start(
    tmp_path: Path, break_it: object, key: str
) -> None:
    """Missing, broken, or not the certificate's key: one line, by check too."""
    path, _ = with_certificate(tmp_path, parts.free_port())
    assert cli.main(["check", "--config", str(path)]) == 0
    assert callable(break_it)
    break_it(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        tls.context(config.load(path))
    assert caught.value.key == key
    assert cli.main(["check", "--config", str(path)]) == 2


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    """Both or none."""
    path, _ = with_certificate(tmp_path, parts.free_port())
    path.write_text(path.read_text().replace('key_file = "console.key"\n', ""), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"console\.key_file"):
        config.load(path)
