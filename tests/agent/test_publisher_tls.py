"""The publisher and brokers that ask for proof, or say nothing at all."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from jauge_agent.config import BrokerConfig

from tests.agent.certificates import Authority, Issued, make_password_file
from tests.agent.test_publisher import Bench, running
from tests.parts import Mosquitto, eventually, free_port

SECRET = "a-secret-nobody-may-see"


@dataclass
class Ground:
    """A broker that wants TLS and client certificates, and what a client needs for it."""

    broker: Mosquitto
    authority: Authority
    client: Issued
    folder: Path

    def config(self, **changes: object) -> BrokerConfig:
        """The right configuration, but for ``changes``."""
        right: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.broker.port,
            "tls": True,
            "ca_file": str(self.authority.certificate),
            "cert_file": str(self.client.certificate),
            "key_file": str(self.client.key),
        }
        return BrokerConfig(**{**right, **changes})  # type: ignore[arg-type]


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """Mosquitto with an authority of its own; only the name in the certificate may publish."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    folder = tmp_path / "pki"
    folder.mkdir()
    authority = Authority(folder)
    server = authority.issue("server")
    acl = folder / "acl"
    acl.write_text("user a1\ntopic readwrite jauge/v1/lab/a1/#\n", encoding="utf-8")
    for path in (server.key, server.certificate, authority.certificate, acl):
        path.chmod(0o644)
    broker = Mosquitto(
        tmp_path / "mosquitto",
        settings={
            "allow_anonymous": "false",
            "cafile": str(authority.certificate),
            "certfile": str(server.certificate),
            "keyfile": str(server.key),
            "require_certificate": "true",
            "use_identity_as_username": "true",
            "acl_file": str(acl),
        },
    )
    async with broker:
        yield Ground(broker, authority, authority.issue("a1"), folder)


@contextlib.asynccontextmanager
async def bench_at(config: BrokerConfig, tmp_path: Path) -> AsyncIterator[Bench]:
    """A publisher at work with that configuration."""
    bench = Bench(tmp_path / "spool", config.port)
    bench.publisher._broker = config
    async with running(bench):
        yield bench


async def failed(bench: Bench, reason: str, times: int = 2) -> None:
    """Wait for that many failures, all for that reason, and none with a connection."""
    await eventually(
        lambda: bench.publisher.stats.failures.total() >= times, within=20, what="failures"
    )
    assert set(bench.publisher.stats.failures) == {reason}
    assert bench.publisher.stats.connections == 0


async def test_a_client_certificate_opens_the_broker(ground: Ground, tmp_path: Path) -> None:
    """With the right certificates every batch reaches the broker, under the name in ours."""
    async with bench_at(ground.config(), tmp_path) as bench:
        await bench.connected()
        for _ in range(5):
            bench.take()
        await eventually(
            lambda: not bench.publisher._outstanding, within=10, what="acknowledged by the broker"
        )
        assert bench.publisher.stats.published.total() == 5
        assert not bench.publisher.stats.failures
    assert "as jauge-agent:lab:a1 (p2, c1, k60, u'a1')" in ground.broker.log.read_text()


def foreign_authority(ground: Ground) -> dict[str, str]:
    """Trust in somebody else."""
    return {"ca_file": str(Authority(ground.folder, "another").certificate)}


def expired(ground: Ground) -> dict[str, str]:
    """A certificate that was good in 2020."""
    old = ground.authority.issue("a1", file="old", expired=True)
    return {"cert_file": str(old.certificate), "key_file": str(old.key)}


def no_certificate(_: Ground) -> dict[str, None]:
    """None at all."""
    return {"cert_file": None, "key_file": None}


@pytest.mark.parametrize(
    ("change", "reason"),
    [(foreign_authority, "tls"), (expired, "refused"), (no_certificate, "refused")],
)
async def test_a_wrong_certificate_is_said_once_and_healed_by_the_right_one(
    ground: Ground,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Ground], dict[str, str]],
    reason: str,
) -> None:
    """It is counted under its reason, tried again, and forgotten when put right."""
    with caplog.at_level(logging.INFO):
        async with bench_at(ground.config(**change(ground)), tmp_path) as bench:
            await failed(bench, reason)
            bench.publisher._broker = ground.config()
            bench.take()
            await bench.connected()
            await eventually(
                lambda: bench.publisher.stats.published.total() == 1, within=10, what="sent"
            )
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("broker ")]
    assert said == ["broker lost", "broker recovered"]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_wrong_password_is_refused_and_never_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker's refusal names no secret, and the right password in the file heals it."""
    passwords, ours = tmp_path / "passwords", tmp_path / "password"
    make_password_file(passwords, "a1", SECRET)
    ours.write_text(f"wrong-{SECRET}\n", encoding="utf-8")
    broker = Mosquitto(
        tmp_path / "mosquitto",
        settings={"allow_anonymous": "false", "password_file": str(passwords)},
    )
    with caplog.at_level(logging.DEBUG):
        async with broker:
            config = BrokerConfig(
                port=broker.port, tls=False, username="a1", password_file=str(ours)
            )
            async with bench_at(config, tmp_path) as bench:
                await failed(bench, "refused")
                ours.write_text(f"{SECRET}\n", encoding="utf-8")
                await bench.connected()
    assert SECRET not in caplog.text
    assert not any(SECRET in str(vars(record)) for record in caplog.records)


async def test_a_missing_certificate_file_is_a_failure_of_its_own(
    ground: Ground, tmp_path: Path
) -> None:
    """A file that is gone at run time is counted as such, and read again at the next attempt."""
    hidden = ground.folder / "hidden.pem"
    ground.client.certificate.rename(hidden)
    async with bench_at(ground.config(), tmp_path) as bench:
        await failed(bench, "file")
        hidden.rename(ground.client.certificate)
        await bench.connected()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_broker_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """A port that takes connections and never speaks is a failure, and holds up no end."""
    monkeypatch.setattr("jauge_agent.publisher._CALL_TIMEOUT_S", 0.5)
    port = free_port()
    taken: list[asyncio.StreamWriter] = []
    gone = 0

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal gone
        taken.append(writer)
        while await reader.read(1000):
            pass
        gone += 1

    async with await asyncio.start_server(keep, "127.0.0.1", port):
        config = BrokerConfig(port=port, tls=tls)
        async with bench_at(config, tmp_path) as bench:
            await failed(bench, "network", times=1 if tls else 2)
            await eventually(lambda: gone >= 1, within=10, what="the socket closed")
            async with asyncio.timeout(8):
                await eventually(lambda: len(taken) > gone, within=8, what="tried again")
        for writer in taken:
            writer.close()
