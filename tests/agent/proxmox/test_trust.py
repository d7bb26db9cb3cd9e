"""Whom the source believes, what it refuses to send, and how a cluster is probed."""

import asyncio
import ssl
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from jauge_agent.probe import pasted, probe
from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.proxmox.settings import ProxmoxCluster, ProxmoxSettings
from jauge_agent.sources.proxmox.source import ClusterSource
from jauge_models.configuration import ConfigurationError

from tests.agent.certificates import Authority, Issued
from tests.agent.proxmox.conftest import Serving, Settings

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra proxmox)")

from jauge_agent.sources.proxmox.session import Api, ForbiddenError, is_path

from tests.agent.proxmox.cluster import ProxmoxServer, recorded


async def outcome_of(server: ProxmoxServer, settings: ProxmoxSettings) -> int:
    """How many values a first reading gives."""
    source = ClusterSource(settings.devices[0], settings)
    try:
        await source.open()
        return len((await source.read()).samples)
    finally:
        await source.close()


def fingerprint_of(certificate: Path) -> str:
    """As Proxmox VE shows it."""
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return sha256(der).digest().hex(":").upper()


async def test_a_certificate_is_believed_by_authority_or_fingerprint(
    serve: Serving, settings: Settings, certificate: Issued
) -> None:
    """Either is enough."""
    server = await serve(recorded())
    assert await outcome_of(server, settings(server)) == 29
    one = fingerprint_of(certificate.certificate)
    for written in (one, one.replace(":", "").lower()):
        pinned = settings(server, ca_file=None, fingerprint=written)
        assert await outcome_of(server, pinned) == 29


async def test_another_certificate_gets_no_token(
    serve: Serving, settings: Settings, tmp_path: Path
) -> None:
    """Nothing is asked of who cannot be believed, and the fingerprint that it has is told."""
    server = await serve(recorded())
    with pytest.raises(RetryError, match=r"certificate refused: its SHA-256 is ([0-9A-F]{2}:){31}"):
        await outcome_of(server, settings(server, ca_file=None, fingerprint="AA:" * 31 + "AA"))
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    with pytest.raises(RetryError, match="certificate refused: unable to get local issuer"):
        await outcome_of(server, settings(server, ca_file=str(other.certificate)))
    with pytest.raises(FatalError, match=r"ca_file: .* cannot be read"):
        await outcome_of(server, settings(server, ca_file=str(tmp_path / "none")))
    with pytest.raises(FatalError, match=r"ca_file: .* holds no certificate"):
        await outcome_of(server, settings(server, ca_file=__file__))
    assert server.asked == []


async def test_a_redirect_is_not_followed(serve: Serving, settings: Settings) -> None:
    """The token stays with who was configured."""
    server, other = await serve(recorded()), await serve(recorded())
    server.moved = f"https://127.0.0.1:{other.port}"
    with pytest.raises(RetryError, match="HTTP 302"):
        await outcome_of(server, settings(server))
    assert other.asked == []


@pytest.mark.parametrize(
    "path",
    [
        *("/nodes/../access/ticket", "/nodes/a/qemu/1/config?x=1", "nodes", "//host/x", "/"),
        *("/a b", "/a\r\nHost: x", "/é", "/nodes/a#b", "/" + "a" * 200),
    ],
)
async def test_no_other_question_can_leave(path: str) -> None:
    """Whatever a cluster calls its nodes."""
    assert not is_path(path)
    api = Api(["127.0.0.1:9"], lambda: "", ssl.create_default_context())
    with pytest.raises(ForbiddenError):
        await api.get(path)
    with pytest.raises(ForbiddenError):
        await api.get_aside(path)
    await api.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b'{"data": [', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no data"),
        (b"\xff", "not JSON"),
        (b" " * (33 * 2**20), "longer than 32 MiB"),
    ],
)
async def test_an_answer_of_something_else(
    body: bytes, said: str, serve: Serving, settings: Settings
) -> None:
    """One line, and no crash."""
    server = await serve(recorded())
    server.bodies["/cluster/resources"] = body
    with pytest.raises(RetryError, match=said):
        await outcome_of(server, settings(server))


def test_a_cluster_is_probed(authority: Authority, token_file: Path, tmp_path: Path) -> None:
    """What it is, its values, and the section to paste; the token only by its file."""
    ready, done = threading.Event(), threading.Event()
    ports: list[int] = []

    async def serving() -> None:
        async with ProxmoxServer(recorded(), authority.issue("node")) as server:
            ports.append(server.port)
            ready.set()
            await asyncio.to_thread(done.wait, 30)

    thread = threading.Thread(target=lambda: asyncio.run(serving()))
    thread.start()
    try:
        assert ready.wait(20)
        keys = [f"token_file={token_file}", f"ca_file={authority.certificate}"]
        source, found = probe(f"proxmox://127.0.0.1:{ports[0]}", keys)
    finally:
        done.set()
        thread.join()
    text = pasted(source, found)
    assert "# Proxmox VE: 4 nodes, 1 guests that run" in text
    assert "[[sources.proxmox.devices]]" in text
    assert "/cpu_utilisation = 0.02490601955  (server1)" in text
    assert "cafe" not in text


def test_a_probe_without_a_token_says_how_to_give_one() -> None:
    """And asks nothing."""
    with pytest.raises(RetryError, match="token_file=FILE"):
        probe("proxmox://127.0.0.1:9", [])
    with pytest.raises(ConfigurationError, match="fingerprint"):
        probe("proxmox://127.0.0.1:9", ["fingerprint=AA", "token_file=/x"])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"fingerprint": "AA:BB"}, "SHA-256"),
        ({"fingerprint": "AA" * 32, "ca_file": "x"}, "not both"),
        ({"fingerprint": "AA" * 32, "other_hosts": ["b"]}, "ca_file with other_hosts"),
        ({"other_hosts": ["a"]}, "the host itself"),
        ({"other_hosts": ["b/c"]}, "no name or address"),
        ({"host": "a b"}, "no name or address"),
    ],
)
def test_what_a_cluster_cannot_be(keys: dict[str, object], said: str) -> None:
    """Refused before anything is asked."""
    with pytest.raises(ValueError, match=said):
        ProxmoxCluster(**{"host": "a", **keys})  # type: ignore[arg-type]


def test_what_settings_cannot_be() -> None:
    """Two of one name or place, and a cluster without a token."""
    with pytest.raises(ValueError, match="needs token_file"):
        ProxmoxSettings(devices=[ProxmoxCluster(host="a")])
    twice = [ProxmoxCluster(host="a", name="x"), ProxmoxCluster(host="A", name="y")]
    with pytest.raises(ValueError, match="listed twice"):
        ProxmoxSettings(token_file="t", devices=twice)
    assert ProxmoxCluster(host="::1").authority == "[::1]:8006"
    assert ProxmoxCluster(host="a", other_hosts=["::1"]).authorities_of_others() == ["[::1]:8006"]
