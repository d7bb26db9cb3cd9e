"""The publisher and brokers that ask for proof, or say nothing at all."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from jauge_agent.broker import Broker
from jauge_agent.config import BrokerConfig
from jauge_agent.refusal import Failure

from tests.agent.certificates import Authority, Issued, make_password_file
from tests.agent.ground import Ground, bench_at, failed, fields_of, ground_in, pair
from tests.agent.test_publisher import ADDRESS, Bench
from tests.parts import Mosquitto, eventually, free_port

SECRET = "a-secret-nobody-may-see"


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
    assert "as jauge-agent:lab:a1 (p2, c1, k60, u'lab/a1')" in ground.broker.log.read_text()


def foreign_authority(ground: Ground) -> dict[str, object]:
    """Trust in somebody else."""
    return {"ca_file": str(Authority(ground.folder, "another").certificate)}


def expired(ground: Ground) -> dict[str, object]:
    """A certificate that was good in 2020."""
    return pair(ground.authority.issue("lab/a1", file="old", expired=True))


def not_yet_valid(ground: Ground) -> dict[str, object]:
    """A certificate for the next century."""
    return pair(ground.authority.issue("lab/a1", file="new", not_yet_valid=True))


def revoked(ground: Ground) -> dict[str, object]:
    """A certificate that the authority has taken back."""
    return pair(ground.authority.issue("lab/a1", file="revoked"))


def of_another_authority(ground: Ground) -> dict[str, object]:
    """A certificate that the broker's authority did not issue."""
    return pair(Authority(ground.folder, "another").issue("lab/a1", file="foreign"))


def no_certificate(_: Ground) -> dict[str, object]:
    """None at all."""
    return {"cert_file": None, "key_file": None}


def no_tls(_: Ground) -> dict[str, object]:
    """Plain MQTT to a port that speaks TLS."""
    return {"tls": False, "ca_file": None, "cert_file": None, "key_file": None}


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        (foreign_authority, Failure.BROKER_UNTRUSTED, "another.pem do not vouch for the broker"),
        (expired, Failure.CERTIFICATE_EXPIRED, "old.pem: it has expired: renew it"),
        (not_yet_valid, Failure.CERTIFICATE_NOT_YET_VALID, "new.pem: it is not yet valid"),
        (revoked, Failure.CERTIFICATE_REVOKED, "revoked.pem: it is revoked"),
        (of_another_authority, Failure.CERTIFICATE_UNTRUSTED, "foreign.pem: the broker trusts"),
        (no_certificate, Failure.CERTIFICATE_MISSING, "asks for a certificate"),
        (no_tls, Failure.CLOSED, "check whether this port speaks TLS"),
    ],
)
async def test_a_wrong_certificate_is_said_once_and_healed_by_the_right_one(
    ground: Ground,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    change: Callable[[Ground], dict[str, object]],
    reason: Failure,
    line: str,
) -> None:
    """It is counted under a reason of its own, tried again, and forgotten when put right."""
    wrong = ground.config(**change(ground))
    if change is revoked:
        await ground.broker.stop()
        ground.authority.revoke(Issued(ground.folder, "revoked"))
        await ground.broker.start()
    with caplog.at_level(logging.INFO):
        async with bench_at(wrong, tmp_path) as bench:
            await failed(bench, reason)
            bench.publisher.broker = Broker(ground.config(), ADDRESS)
            bench.take()
            await bench.connected()
            await eventually(
                lambda: bench.publisher.stats.published.total() == 1, within=10, what="sent"
            )
    said = [r for r in caplog.records if r.getMessage().startswith("broker ")]
    assert [r.getMessage() for r in said] == ["broker not reached", "broker reached"]
    assert fields_of(said[0])["reason"] == reason
    assert line in fields_of(said[0])["detail"]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"expired": True}, Failure.BROKER_EXPIRED),
        ({"hosts": "DNS:broker.example"}, Failure.BROKER_NAME),
    ],
)
async def test_a_broker_that_does_not_prove_itself_gets_nothing(
    authority: Authority, tmp_path: Path, server: dict[str, object], reason: Failure
) -> None:
    """A broker whose certificate is old, or another host's, is refused for that."""
    issued = authority.issue("server", **server)  # type: ignore[arg-type]
    made = ground_in(tmp_path / "pki", authority, issued)
    async with made.broker, bench_at(made.config(), tmp_path) as bench:
        await failed(bench, reason)


async def test_tls_to_a_plain_port_is_a_reason_of_its_own(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Whoever is there, it speaks no TLS."""
    async with bench_at(BrokerConfig(port=mosquitto.port), tmp_path) as bench:
        await failed(bench, Failure.NO_TLS)


async def test_a_host_that_nobody_knows_is_a_reason_of_its_own(tmp_path: Path) -> None:
    """The name leads nowhere, which is no failure of the network."""
    async with bench_at(BrokerConfig(host="broker.invalid", tls=False), tmp_path) as bench:
        await failed(bench, Failure.NAME)


async def test_a_certificate_for_another_agent_is_never_shown(
    ground: Ground, tmp_path: Path
) -> None:
    """Nothing connects under a name that is not this agent's."""
    other = pair(ground.authority.issue("lab/a2"))
    async with bench_at(ground.config(**other), tmp_path) as bench:
        await failed(bench, Failure.FILE)
    assert "jauge-agent:" not in ground.broker.log.read_text()


def test_nothing_before_tls_1_2_is_spoken_and_the_broker_is_checked() -> None:
    """The defaults of the system may be weaker; ours are said."""
    context = Broker(BrokerConfig(), ADDRESS).keyring.show().context
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


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
                await failed(bench, Failure.NOT_AUTHORISED)
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
        await failed(bench, Failure.FILE)
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


async def test_two_agents_under_one_certificate_are_said_once(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each ends the other's connection: after a few, why is said once, and then only counted."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    with caplog.at_level(logging.INFO):
        async with (
            bench_at(ground.config(), one) as first,
            bench_at(ground.config(), two) as second,
        ):

            def counted(bench: Bench) -> int:
                return bench.publisher.stats.failures[Failure.TAKEN_OVER]

            await eventually(
                lambda: counted(first) > 0 and counted(second) > 0, within=120, what="both know"
            )
            said = len(lines_of(caplog))
            before = counted(first)
            await eventually(lambda: counted(first) > before, within=120, what="once more")
            assert len(lines_of(caplog)) == said
    causes = [fields for fields in lines_of(caplog) if fields.get("reason") == "taken_over"]
    assert len(causes) == 2, "once by each"
    assert all("two agents under one name?" in fields["detail"] for fields in causes)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """What publishers have said of their connections."""
    return [fields_of(r) for r in caplog.records if r.getMessage().startswith("broker ")]
