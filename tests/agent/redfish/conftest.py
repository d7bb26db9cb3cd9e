"""Fixtures of the Redfish trials."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jauge_agent.sources.redfish.source import RedfishDevice, RedfishSettings

from tests.agent.certificates import Authority, Issued

if TYPE_CHECKING:
    from tests.agent.redfish.server import Document, RedfishServer

Serving = Callable[[Mapping[str, "Document"]], Awaitable["RedfishServer"]]
Settings = Callable[..., RedfishSettings]


@pytest.fixture
def certificate(authority: Authority) -> Issued:
    """What the BMCs of a test show."""
    return authority.issue("bmc")


@pytest.fixture
async def serve(certificate: Issued) -> AsyncIterator[Serving]:
    """Starts BMCs; in the end each has seen nothing but reading and sessions opened and closed."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")
    from tests.agent.redfish.server import RedfishServer, check_requests

    servers: list[RedfishServer] = []
    async with AsyncExitStack() as stack:

        async def start(documents: Mapping[str, "Document"]) -> RedfishServer:
            servers.append(RedfishServer(documents, certificate))
            return await stack.enter_async_context(servers[-1])

        yield start
    for server in servers:
        check_requests(server)


@pytest.fixture
def settings(authority: Authority, tmp_path: Path) -> Settings:
    """Settings for some BMCs, with the right user, password and authority."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")
    from tests.agent.redfish.server import PASSWORD, USER

    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n", encoding="utf-8")

    def make(*servers: "RedfishServer", **changes: Any) -> RedfishSettings:
        given = {
            "username": USER,
            "password_file": str(password),
            "ca_file": str(authority.certificate),
            "devices": [RedfishDevice(host="127.0.0.1", port=each.port) for each in servers],
        }
        return RedfishSettings(**(given | changes))

    return make
