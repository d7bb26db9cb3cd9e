"""A Redfish service over HTTPS: serves trees of documents, counts sessions, misbehaves if asked."""

import asyncio
import base64
import json
import secrets
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from tests.agent.certificates import Issued

SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
USER: Final = "jauge"
PASSWORD: Final = "a secret of this test"

Document = dict[str, Any] | bytes
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def tree(folder: Path) -> dict[str, Document]:
    """The documents of a mockup: ``Chassis/1U/index.json`` at ``/redfish/v1/Chassis/1U``."""
    found: dict[str, Document] = {}
    for file in folder.rglob("index.json"):
        path = file.parent.relative_to(folder).as_posix()
        found["/redfish/v1" if path == "." else f"/redfish/v1/{path}"] = file.read_bytes()
    return found


def dell(folder: Path) -> dict[str, Document]:
    """The recorded answers of one iDRAC 9, under the paths they came from."""
    system, chassis = "/redfish/v1/Systems/System.Embedded.1", "/redfish/v1/Chassis/"
    return {
        "/redfish/v1": {
            "Systems": {"@odata.id": "/redfish/v1/Systems"},
            "Chassis": {"@odata.id": "/redfish/v1/Chassis"},
        },
        "/redfish/v1/Systems": (folder / "dell_available_systems.json").read_bytes(),
        system: (folder / "dell_systems.json").read_bytes(),
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": f"{chassis}System.Embedded.1"}]},
        f"{chassis}System.Embedded.1": (folder / "dell_chassis.json").read_bytes(),
        f"{chassis}System.Embedded.1/Power": (folder / "dell_power.json").read_bytes(),
        f"{chassis}System.Embedded.1/Thermal": (folder / "dell_thermal.json").read_bytes(),
    }


class RedfishServer:
    """One BMC on a free port of 127.0.0.1; ``async with`` starts and ends it."""

    def __init__(self, documents: Mapping[str, Document], certificate: Issued) -> None:
        self.documents: dict[str, Document] = dict(documents)
        self.special: dict[str, Answer] = {}
        """Answers of a path that are no document."""
        self.asked: list[tuple[str, str]] = []
        """Every request: method, path with its query."""
        self.bodies: list[bytes] = []
        """Every body that was sent."""
        self.sessions: dict[str, str] = {}
        """Open sessions: token by path."""
        self.opened = 0
        self.ended = 0
        self.most_sessions = 0
        self.limit = 8
        """Sessions that the BMC has."""
        self.offers_sessions = True
        self.sessions_at = SESSIONS
        self.location: str | None = None
        """What the answer to a login says of where the session is, when not the truth."""
        self.login_delay = asyncio.Event()
        """A login is answered once this is set."""
        self.login_delay.set()
        self.expands = "no"
        """How ``$expand`` is met: ``yes``, ``no`` (ignored), ``refused``."""
        self.password = PASSWORD
        self.in_flight = 0
        self.most_in_flight = 0
        self.statuses: Counter[int] = Counter()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._tls = context
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**16)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
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

    def drop_connections(self) -> None:
        """Close every connection, as controllers do that keep none for long."""
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            assert connection.transport is not None
            connection.transport.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = await self._answered(request)
        except web.HTTPException as error:
            self.statuses[error.status] += 1
            raise
        else:
            self.statuses[answer.status] += 1
            return answer
        finally:
            self.in_flight -= 1

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if request.can_read_body:
            self.bodies.append(await request.read())
        if request.method == "POST" and path == self.sessions_at and self.offers_sessions:
            return await self._log_in()
        if request.method == "DELETE" and path in self.sessions:
            self._admit(request)
            del self.sessions[path]
            self.ended += 1
            return web.Response(status=204)
        if request.method != "GET":
            return web.Response(status=404 if request.method == "DELETE" else 405)
        if path != "/redfish/v1":
            self._admit(request)
        if path in self.special:
            return await self.special[path](request)
        if path not in self.documents:
            return web.Response(status=404)
        return self._document(path, "$expand" in request.query)

    def _document(self, path: str, expanded: bool) -> web.Response:
        document = self.documents[path]
        if expanded and self.expands == "refused":
            return web.Response(status=501)
        if expanded and self.expands == "yes":
            collection = json.loads(document) if isinstance(document, bytes) else document
            members = [self.documents.get(each["@odata.id"]) for each in collection["Members"]]
            document = collection | {
                "Members": [json.loads(m) if isinstance(m, bytes) else m for m in members if m]
            }
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return web.Response(body=body, content_type="application/json")

    async def _log_in(self) -> web.Response:
        await self.login_delay.wait()
        said = json.loads(self.bodies[-1])
        if said != {"UserName": USER, "Password": self.password}:
            return web.json_response({"error": {"code": "Base.1.0.NoValidSession"}}, status=401)
        if len(self.sessions) >= self.limit:
            info = [{"MessageId": "Base.1.8.SessionLimitExceeded", "Message": "No more."}]
            error = {"error": {"@Message.ExtendedInfo": info}}
            return web.json_response(error, status=503)
        self.opened += 1
        session, token = f"{self.sessions_at}/{self.opened}", secrets.token_hex(16)
        self.sessions[session] = token
        self.most_sessions = max(self.most_sessions, len(self.sessions))
        headers = {"X-Auth-Token": token, "Location": self.location or session}
        return web.json_response({"@odata.id": session}, status=201, headers=headers)

    def _admit(self, request: web.Request) -> None:
        if request.headers.get("X-Auth-Token") in self.sessions.values():
            return
        wanted = "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            raise web.HTTPUnauthorized


def check_requests(server: RedfishServer) -> None:
    """Nothing but GET has left, and the opening and closing of sessions; one at a time."""
    for method, path in server.asked:
        if method == "POST":
            assert path in {SESSIONS, "/redfish/v1/Sessions"}
        elif method == "DELETE":
            folder, _, name = path.rpartition("/")
            assert folder == server.sessions_at
            assert name.isdigit()
        else:
            assert method == "GET"
    assert server.most_in_flight <= 1
