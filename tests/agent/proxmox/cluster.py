"""The API of Proxmox VE over HTTPS: serves answers by their paths, and misbehaves if asked."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from tests.agent.certificates import Issued

RECORDED: Final = Path(__file__).with_name("recorded")
TOKEN: Final = "jauge@pve!readings=00000000-0000-4000-8000-00000000cafe"

Answers = Mapping[str, Any]
"""``data`` by path below ``/api2/json``; a number is a status."""


def recorded() -> dict[str, Any]:
    """The recorded cluster, whose one running guest has a configuration made by hand."""
    answers = {
        "/cluster/status": _data("cluster_status"),
        "/cluster/resources": _data("cluster_resources"),
        "/nodes/node1/status": _data("node1_status"),
        "/nodes/node2/qemu/100/config": config("uuid=7D0F1E2D-3C4B-4A59-8877-66554433AABB"),
    }
    return answers | {f"/nodes/node{each}/status": 403 for each in (2, 3, 4)}


def config(smbios1: str | None = None, vmgenid: str | None = None) -> dict[str, Any]:
    """A guest's configuration, by hand after the API's documents."""
    made: dict[str, Any] = {"cores": 2, "memory": "2048", "ostype": "l26", "digest": "0" * 40}
    if smbios1 is not None:
        made["smbios1"] = smbios1
    if vmgenid is not None:
        made["vmgenid"] = vmgenid
    return made


def node(name: str, **changes: Any) -> dict[str, Any]:
    """A node in the list of all, by hand after the recorded ones."""
    made: dict[str, Any] = {"type": "node", "id": f"node/{name}", "node": name, "status": "online"}
    made |= {"cpu": 0.25, "maxcpu": 16, "mem": 2**34, "maxmem": 2**36, "uptime": 5000}
    return made | changes


def guest(vmid: int, on: str, **changes: Any) -> dict[str, Any]:
    """A running guest in the list of all, by hand after the recorded ones."""
    kind = changes.get("type", "qemu")
    made: dict[str, Any] = {
        "type": kind,
        "id": f"{kind}/{vmid}",
        "vmid": vmid,
        "node": on,
        "template": 0,
    }
    made |= {"name": f"guest-{vmid}", "status": "running", "cpu": 0.5, "maxcpu": 2}
    made |= {"mem": 2**30, "maxmem": 2**31, "uptime": 4000, "diskread": 7000, "diskwrite": 800}
    return made | {"netin": 60000, "netout": 5000} | changes


def _data(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_bytes())["data"]


class ProxmoxServer:
    """One node on a free port of 127.0.0.1; ``async with`` starts and ends it."""

    def __init__(self, answers: Answers, certificate: Issued, port: int = 0) -> None:
        self.answers: dict[str, Any] = dict(answers)
        self.bodies: dict[str, bytes] = {}
        """Whole bodies by path, in the place of an answer."""
        self.token = TOKEN
        self.asked: list[tuple[str, str]] = []
        """Every request: method and path."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections: set[object] = set()
        self.moved = ""
        """Where every answer sends to, if anywhere."""
        self.hangs: set[str] = set()
        """Paths that get no answer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._tls = context
        self._runner: web.AppRunner | None = None
        self.port = port

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs))
        self.connections.add(request.transport)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if request.path.removeprefix("/api2/json") in self.hangs:
                await asyncio.Event().wait()
            return self._answered(request)
        finally:
            self.in_flight -= 1

    def _answered(self, request: web.Request) -> web.Response:
        if request.method != "GET" or request.can_read_body:
            return web.Response(status=501)
        if request.headers.get("Authorization") != f"PVEAPIToken={self.token}":
            return web.Response(status=401, reason="invalid token value!")
        path = request.path.removeprefix("/api2/json")
        if self.moved:
            return web.Response(status=302, headers={"Location": self.moved + request.path})
        if path in self.bodies:
            return web.Response(body=self.bodies[path], content_type="application/json")
        answer = self.answers.get(path, 500)
        if isinstance(answer, int):
            return web.json_response({"data": None}, status=answer)
        return web.json_response({"data": answer})
