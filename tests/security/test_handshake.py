"""Who may connect at all: a current certificate of our authority, over TLS 1.2 or later."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.parts import eventually
from tests.security.client import Client, is_let_in
from tests.security.conftest import ALICE, BOB, COLLECTOR
from tests.security.ground import (
    WITHIN_S,
    Authority,
    Identity,
    Loosening,
    ShippedBroker,
    openssl,
)

pytestmark = pytest.mark.usefixtures("real_mosquitto")


class Stranger(NamedTuple):
    """Somebody whom the broker must not let in.

    ``shows`` makes what they come with; ``loosened`` is the protection without which they are
    let in, None where it is no line of ours but TLS itself.
    """

    shows: Callable[[Authority], ssl.SSLContext | None]
    loosened: Callable[[Authority], Loosening] | None
    said: str
    """What the broker's log says of it, and with it the topic that the collector reads."""


def without(*keys: str, then: str = "") -> Callable[[Authority], Loosening]:
    """The configuration without these lines, and with others."""
    return lambda _: (
        lambda text: re.sub(rf"(?m)^({'|'.join(keys)}) .*\n", "", text) + then.replace(";", "\n")
    )


def trusting_both(authority: Authority) -> Loosening:
    """The broker trusts the other authority too, and does not look for what it has revoked."""
    both = authority.folder / "both.pem"
    other = authority.folder / "other" / "authority.pem"
    both.write_bytes(authority.certificate.read_bytes() + other.read_bytes())
    return lambda text: re.sub(
        "(?m)^cafile .*$", f"cafile {both}", re.sub("(?m)^crlfile .*$", "", text)
    )


def foreign(authority: Authority) -> ssl.SSLContext:
    """The right name, certified by somebody else."""
    other = Authority(authority.folder / "other")
    return other.agent(ALICE).context(trust=authority.certificate)


def revoked(authority: Authority) -> ssl.SSLContext:
    """A certificate that was good until the broker was told."""
    one = authority.agent(ALICE)
    authority.run("revoke", ALICE)
    return one.context()


def certified_by_an_agent(authority: Authority) -> ssl.SSLContext:
    """Bob's name, signed with Alice's own key, with her certificate in the chain."""
    alice, bob = authority.agent(ALICE), authority.sign(BOB)
    request = bob.certificate.with_name("request.csr")
    openssl(
        *("x509", "-req", "-in", request, "-out", bob.certificate, "-days", "2"),
        *("-CA", alice.certificate, "-CAkey", alice.key),
    )
    chain = bob.certificate.read_text() + alice.certificate.read_text()
    bob.certificate.write_text(chain)
    return bob.context()


def old_tls(authority: Authority) -> ssl.SSLContext:
    """A good certificate over TLS 1.1."""
    context = authority.agent(ALICE).context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def weak_cipher(authority: Authority) -> ssl.SSLContext:
    """A good certificate over TLS 1.2 with a suite that authenticates by a hash of its own."""
    context = authority.agent(ALICE).context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    return context


ANYBODY = ";allow_anonymous true"
TLS = ("cafile", "certfile", "keyfile", "crlfile", "tls_version", "ciphers", "allow_anonymous")
IDENTITY = ("require_certificate", "use_identity_as_username", "allow_anonymous")
STRANGERS = {
    "without TLS": Stranger(
        lambda _: None,
        without(*TLS, *IDENTITY, "use_username_as_clientid", then=ANYBODY),
        "failed: error:",
    ),
    "without a certificate": Stranger(
        lambda authority: ssl.create_default_context(cafile=authority.certificate),
        without(*IDENTITY, "use_username_as_clientid", then=ANYBODY),
        "peer did not return a certificate",
    ),
    "of another authority": Stranger(foreign, trusting_both, "certificate verify failed"),
    "revoked": Stranger(revoked, without("crlfile"), "certificate verify failed"),
    "expired": Stranger(
        lambda authority: authority.sign(ALICE, expired=True).context(),
        None,
        "certificate verify failed",
    ),
    "certified by an agent": Stranger(certified_by_an_agent, None, "certificate verify failed"),
    "the broker's certificate": Stranger(
        lambda authority: Identity(authority.broker).context(), None, "certificate verify failed"
    ),
    "TLS 1.1": Stranger(
        old_tls,
        without("tls_version", "ciphers", then="tls_version tlsv1.1;ciphers ALL:@SECLEVEL=0"),
        "unsupported protocol",
    ),
    "an old cipher": Stranger(weak_cipher, without("ciphers"), "no shared cipher"),
}


@pytest.fixture
def own_authority(tmp_path: Path, authority: Authority) -> Authority:
    """An authority that this test may change."""
    return Authority(tmp_path / "authority")


@pytest.mark.parametrize("who", STRANGERS)
async def test_strangers_are_refused(tmp_path: Path, own_authority: Authority, who: str) -> None:
    """Nobody without a current certificate of the authority gets a session; the log says why."""
    stranger = STRANGERS[who]
    context = stranger.shows(own_authority)
    async with ShippedBroker(tmp_path / "broker", own_authority) as broker:
        before = broker.said(stranger.said)

        async def is_told() -> bool:
            # Mosquitto says nothing of a connection that is gone when it comes to look at it.
            assert not await is_let_in(Client(broker.port, context))
            return broker.said(stranger.said) > before

        await eventually(is_told, within=WITHIN_S, what=stranger.said)
        assert not broker.said("New client connected")
        assert await is_let_in(Client(broker.port, own_authority.collector(COLLECTOR)))


@pytest.mark.parametrize("who", [name for name, each in STRANGERS.items() if each.loosened])
async def test_it_is_the_configuration_that_refuses_them(
    tmp_path: Path, own_authority: Authority, who: str
) -> None:
    """Without the lines that protect, the same client is let in: the test above can fail."""
    stranger = STRANGERS[who]
    assert stranger.loosened
    context = stranger.shows(own_authority)
    loosened = stranger.loosened(own_authority)
    async with ShippedBroker(tmp_path / "broker", own_authority, settings=loosened) as broker:
        assert await is_let_in(Client(broker.port, context)), broker.log.read_text()


async def test_an_agent_cannot_play_the_broker(tmp_path: Path, own_authority: Authority) -> None:
    """Agents and collectors refuse a broker that shows an agent's certificate."""
    alice, bob = own_authority.agent(ALICE), own_authority.agent(BOB)
    for name in ("certificate.pem", "key.pem"):
        (own_authority.broker / name).write_bytes((alice.certificate.parent / name).read_bytes())
    async with ShippedBroker(tmp_path / "broker", own_authority) as broker:
        assert not await is_let_in(Client(broker.port, bob))
    own_authority.run("broker", "localhost", "127.0.0.1")
    await broker.start()
    assert await is_let_in(Client(broker.port, bob))
    await broker.stop()


async def test_revoking_works_without_a_restart_but_ends_no_session(
    tmp_path: Path, own_authority: Authority
) -> None:
    """After a reload nobody new gets in by it; who is in stays until the broker starts again."""
    alice, bob = own_authority.agent(ALICE), own_authority.agent(BOB)

    async def refused() -> bool:
        return not await is_let_in(Client(broker.port, bob))

    broker = ShippedBroker(tmp_path / "broker", own_authority)
    async with broker, Client(broker.port, alice) as inside:
        for name in (ALICE, BOB):
            own_authority.run("revoke", name)
        assert not await refused()
        broker.reload()
        await eventually(refused, within=WITHIN_S, what="refused")
        assert await inside.is_there()
        await broker.restart()
        await inside.is_thrown_out()
        assert not await is_let_in(Client(broker.port, alice))


async def test_a_past_date_on_the_list_locks_everybody_out(
    tmp_path: Path, own_authority: Authority
) -> None:
    """Which is why the script writes the list for as long as the authority lives."""
    folder = own_authority.folder
    collector = own_authority.collector()
    text = (folder / "openssl.cnf").read_text().replace("$ENV::JAUGE_AUTHORITY", str(folder))
    (folder / "past.cnf").write_text(text.replace("$ENV::JAUGE_NAMES", "DNS:unused"))
    openssl(
        *("ca", "-config", folder / "past.cnf", "-gencrl"),
        *("-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250201000000Z"),
        *("-out", own_authority.broker / "revoked.pem"),
    )
    async with ShippedBroker(tmp_path / "broker", own_authority) as broker:
        assert not await is_let_in(Client(broker.port, collector))
