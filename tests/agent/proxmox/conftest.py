"""Fixtures of the Proxmox trials."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jauge_agent.sources.proxmox.settings import ProxmoxCluster, ProxmoxSettings

from tests.agent.certificates import Authority, Issued

if TYPE_CHECKING:
    from tests.agent.proxmox.cluster import Answers, ProxmoxServer

Serving = Callable[..., Awaitable["ProxmoxServer"]]
Settings = Callable[..., ProxmoxSettings]


@pytest.fixture
def certificate(authority: Authority) -> Issued:
    """What the nodes of a test show."""
    return authority.issue("node")


@pytest.fixture
async def serve(certificate: Issued) -> AsyncIterator[Serving]:
    """Starts nodes; in the end each has seen nothing but GET, one at a time."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra proxmox)")
    from tests.agent.proxmox.cluster import ProxmoxServer

    servers: list[ProxmoxServer] = []
    async with AsyncExitStack() as stack:

        async def start(answers: "Answers", **changes: Any) -> ProxmoxServer:
            servers.append(ProxmoxServer(answers, certificate, **changes))
            return await stack.enter_async_context(servers[-1])

        yield start
    for server in servers:
        assert {method for method, _ in server.asked} <= {"GET"}
        assert all(path.startswith("/api2/json/") for _, path in server.asked)
        assert server.most_in_flight <= 1


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with the right token."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra proxmox)")
    from tests.agent.proxmox.cluster import TOKEN

    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    return file


@pytest.fixture
def settings(authority: Authority, token_file: Path) -> Settings:
    """Settings for one node, with the right token and authority."""

    def make(server: "ProxmoxServer", **changes: Any) -> ProxmoxSettings:
        of_source = {key: changes.pop(key) for key in ("tenant", "service") if key in changes}
        given = {"ca_file": str(authority.certificate)} | changes
        device = ProxmoxCluster(host="127.0.0.1", port=server.port, **given)
        return ProxmoxSettings(token_file=str(token_file), devices=[device], **of_source)

    return make
