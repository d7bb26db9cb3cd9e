"""Certificates are renewed while the agent runs: taken up whole, or not at all."""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from jauge_agent.config import BrokerConfig
from jauge_agent.credentials import tls_context
from jauge_agent.keyring import Keyring
from jauge_agent.spool import Count, Outcome

from tests.agent.answering import answering
from tests.agent.certificates import Authority, Issued
from tests.agent.ground import Ground, bench_at, fields_of, pair
from tests.agent.test_publisher import ADDRESS
from tests.parts import eventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at its files every half second instead of every minute."""
    monkeypatch.setattr("jauge_agent.publisher._CALL_TIMEOUT_S", 1.0)
    monkeypatch.setattr("jauge_agent.publisher.FILES_PERIOD_S", 0.1)


def put(new: Issued, in_place_of: Issued) -> None:
    """Write a certificate and its key where the other's are, each at once."""
    for source, to in ((new.certificate, in_place_of.certificate), (new.key, in_place_of.key)):
        copy = to.with_suffix(".next")
        shutil.copy(source, copy)
        copy.replace(to)


def events(caplog: pytest.LogCaptureFixture, *beginnings: str) -> list[str]:
    """Events that begin so, in order."""
    said = [record.getMessage() for record in caplog.records]
    return [event for event in said if event.startswith(beginnings)]


async def test_nothing_is_lost_or_doubled_while_certificates_are_renewed(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three renewals under way: each batch is answered, stored once; the new ones are in use."""
    collector_pair = ground.authority.issue("collector")
    tls = tls_context(ground.authority.certificate, collector_pair.certificate, collector_pair.key)
    old = [ground.authority.issue("lab/a1", file=f"a1-{number}") for number in range(4)]
    put(old[0], ground.client)
    with caplog.at_level(logging.INFO):
        async with (
            answering(ground.broker.port, tls=tls) as collector,
            bench_at(ground.config(), tmp_path, resend_after_s=3.0) as bench,
        ):
            await bench.connected()
            stats = bench.publisher.stats

            def published_meanwhile(connections: int) -> bool:
                bench.take()
                return stats.connections == connections and stats.connected

            for number in (1, 2, 3):
                put(old[number], ground.client)
                await eventually(
                    lambda n=number + 1: published_meanwhile(n),  # type: ignore[misc]
                    within=30,
                    what="connected with the renewed certificate",
                )
            assert not stats.failures
            await bench.empty(within=60)
            taken = len(bench.given)
            assert collector.stored == bench.given
            assert collector.changed == []
            assert bench.spool.total(Outcome.STORED) == Count(taken, taken)
            assert bench.spool.total(Outcome.DROPPED) == Count(0, 0)
            # Now those before the last are revoked: the agent is not affected.
            ground.authority.revoke(*old[:3])
            await ground.broker.restart()
            await eventually(lambda: stats.connections == 5, within=30, what="connected anew")
    assert events(caplog, "credentials ") == ["credentials renewed"] * 3


async def test_a_half_written_pair_keeps_what_was_there(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Certificate written, key not yet: said once, kept even over a loss, over when it is whole."""
    caplog.set_level(logging.INFO)
    new = ground.authority.issue("lab/a1", file="renewed")
    async with bench_at(ground.config(), tmp_path) as bench:
        stats = bench.publisher.stats
        await bench.connected()
        shutil.copy(new.certificate, ground.client.certificate)
        await eventually(
            lambda: events(caplog, "credentials ") == ["credentials unusable"],
            within=10,
            what="said",
        )
        assert stats.connections == 1
        await ground.broker.restart()
        await eventually(lambda: stats.connections == 2, within=30, what="connected with the old")
        shutil.copy(new.key, ground.client.key)
        await eventually(lambda: stats.connections == 3, within=30, what="connected with the new")
        assert set(stats.failures) == {"network"}
    assert events(caplog, "credentials ") == [
        "credentials unusable",
        "credentials renewed",
        "credentials usable",
    ]
    detail = fields_of(next(r for r in caplog.records if "unusable" in r.getMessage()))["detail"]
    assert "is not the key of" in detail


async def test_another_agents_certificate_is_not_taken_up(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A renewal that mixes up two machines changes nothing, and is said."""
    async with bench_at(ground.config(), tmp_path) as bench:
        await bench.connected()
        put(ground.authority.issue("lab/a2"), ground.client)
        await eventually(
            lambda: events(caplog, "credentials ") == ["credentials unusable"],
            within=10,
            what="said",
        )
        assert bench.publisher.stats.connections == 1
    assert "'lab/a2', not for lab/a1" in fields_of(caplog.records[-1])["detail"]


def test_a_certificate_whose_time_has_not_come_does_not_replace_a_valid_one(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """One that was put there too early waits; where there is none better it is tried."""
    valid, early = (
        authority.issue("lab/a1"),
        authority.issue("lab/a1", file="x", not_yet_valid=True),
    )
    keyring = Keyring(BrokerConfig(**pair(valid)), ADDRESS)  # type: ignore[arg-type]
    before = keyring.show().certificate
    put(early, valid)
    assert not keyring.is_renewed()
    assert keyring.show().certificate == before
    assert events(caplog, "credentials ") == ["credentials unusable"]
    fresh = Keyring(BrokerConfig(**pair(valid)), ADDRESS)  # type: ignore[arg-type]
    assert fresh.show().certificate != before
    put(authority.issue("lab/a1", file="y"), valid)
    assert keyring.is_renewed()


async def test_sighup_takes_up_a_renewed_certificate(ground: Ground, tmp_path: Path) -> None:
    """Whoever renews need not wait: the running agent looks when it is told to."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "agent.toml").write_text(
        f'[broker]\nport = {ground.broker.port}\nca_file = "{ground.authority.certificate}"\n'
        f'cert_file = "{ground.client.certificate}"\nkey_file = "{ground.client.key}"\n'
        f'keepalive_s = 5\n[spool]\ndirectory = "{tmp_path / "spool"}"\n'
    )
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jauge_agent.cli", "run", "--json"),
        *("--config", str(tmp_path / "agent.toml")),
        stderr=asyncio.subprocess.PIPE,
    )
    assert agent.stderr is not None
    told: list[str] = []
    try:
        async with asyncio.timeout(60):
            while "connected" not in told:
                told.append(json.loads(await agent.stderr.readline())["event"])
            put(ground.authority.issue("lab/a1", file="renewed"), ground.client)
            os.kill(agent.pid, signal.SIGHUP)
            while "credentials renewed" not in told:
                told.append(json.loads(await agent.stderr.readline())["event"])
    finally:
        agent.terminate()
        await agent.communicate()
    assert agent.returncode == 0


@pytest.mark.parametrize(
    ("days", "expired", "event"),
    [
        (2, False, ["certificate expires soon"]),
        (15, False, []),
        (2, True, ["certificate expired"]),
    ],
)
def test_the_end_of_a_certificate_is_said_once(
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    *,
    days: int,
    expired: bool,
    event: list[str],
) -> None:
    """Two weeks before, and when it is over; a renewed one has nothing to be said of."""
    issued = authority.issue("lab/a1", days=days, expired=expired)
    keyring = Keyring(BrokerConfig(**pair(issued)), ADDRESS)  # type: ignore[arg-type]
    for _ in range(3):
        keyring.show()
        keyring.say_validity()
    assert events(caplog, "certificate ") == event
    assert keyring.certificate is not None
    assert expired or abs(keyring.certificate.not_after_s - time.time() - days * 86400) < 600
    put(authority.issue("lab/a1", file="next", days=30), issued)
    keyring.show()
    assert events(caplog, "certificate ") == event


def test_a_password_that_is_no_text_names_its_key_and_nothing_of_it(tmp_path: Path) -> None:
    """Bytes that cannot be decoded do not come back in the error."""
    (tmp_path / "password").write_bytes(b"secret-\xff")
    config = BrokerConfig(tls=False, username="u", password_file=str(tmp_path / "password"))
    with pytest.raises(ValueError, match="is not UTF-8 text") as error:
        Keyring(config, ADDRESS).show()
    assert "secret" not in str(error.value)
