"""The console's connections: how many there may be, for how long, and what is said of strangers.

Anybody who reaches the port may connect. So the number is bounded, in all and for each address;
each connection has a deadline at every moment of its life; and nothing of what came over it is
logged. Connections are accepted here and not by the event loop's server: that one knows no limit,
hands a connection over only after its TLS handshake, and when the process runs out of file
descriptors logs a traceback a hundred times a second.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from jauge_collector import descriptors
from jauge_collector.access.throttle import network
from jauge_collector.console.failures import Failures
from jauge_collector.faults import Named
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

MOST: Final = 512
"""Connections at a time, those in their TLS handshake with them."""
MOST_OF_ONE: Final = 64
"""Connections of one address (of an IPv6 /64); a trusted proxy and this machine may have all."""
_DESCRIPTORS_SHARE: Final = 0.25
"""Of the file descriptors that the process may have: broker, store and ledger need theirs."""
_BACKLOG: Final = 128
_ACCEPT_AGAIN_S: Final = 1.0
_NOTHING_CAME_S: Final = 0.01
_RECOVERED_AFTER_S: Final = 60.0
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
STRANGE: Final = (HttpProcessingError, web.RequestPayloadError)
"""What is raised where a request, or its body, is no HTTP; their texts quote it."""


class Ended(StrEnum):
    """Why a connection was not taken or did not last, as /metrics counts it."""

    ALL = "all"
    """There were as many as there may be."""
    ADDRESS = "address"
    """Its address had as many as one may have."""
    DESCRIPTORS = "descriptors"
    """The process had no file descriptor for it: it waits."""
    TLS = "tls"
    """The handshake failed, or took too long."""
    LATE = "late"
    """A request, or the reading of its answer, took too long."""
    MALFORMED = "malformed"
    """It brought something that is no HTTP."""


_SAID: Final = {
    Ended.ALL: "there are too many connections",
    Ended.ADDRESS: "too many connections from there",
    Ended.MALFORMED: "no HTTP came from there",
}
"""What the log says, once for each address; the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of connections, in number and in seconds."""

    most: int = MOST
    most_of_one: int = MOST_OF_ONE
    handshake_s: float = 10.0
    request_s: float = 10.0
    """From connecting, or from the first byte of a later request, to the end of its headers."""
    answer_s: float = 120.0
    """From there until the answer is written, the body's coming included."""
    idle_s: float = 75.0
    """Between two requests; longer than proxies keep a connection."""


class Place:
    """One of the connections there may be, until it is left."""

    def __init__(self, open_: Counter[str], source: str) -> None:
        self._open, self._source, self._left = open_, source, False
        open_[source] += 1

    def leave(self) -> None:
        """Give it back; again does nothing."""
        if not self._left:
            self._left = True
            self._open[self._source] -= 1
            if not self._open[self._source]:
                del self._open[self._source]


class Connections:
    """Takes connections for an application. ``limits`` may be set until `listening`."""

    def __init__(
        self, telemetry: Telemetry, failures: Failures, trusts: Callable[[str], bool]
    ) -> None:
        """``trusts`` tells addresses of proxies, which bring everybody's connections."""
        share = int(descriptors.limit() * _DESCRIPTORS_SHARE)
        self.limits = Limits(most=max(8, min(MOST, share)))
        self.failures = failures
        self._trusts = trusts
        self._ended = telemetry.console_connections_ended
        self._open: Counter[str] = Counter()
        self._refused = 0
        self._named = Named()
        self._short_s: float | None = None
        for reason in Ended:
            self._ended.labels(reason)
        telemetry.watch_queue(
            "console_connections",
            size=self._open.total,
            limit=self.limits.most,
            dropped=lambda: self._refused,
        )

    @contextlib.asynccontextmanager
    async def listening(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        encrypted: ssl.SSLContext | None = None,
        stop_within_s: float = 3.0,
    ) -> AsyncIterator[int]:
        """Serve the application; gives the port. Raises OSError where it cannot be had."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=stop_within_s)
        await runner.setup()
        tasks: set[asyncio.Task[None]] = set()
        try:
            with contextlib.ExitStack() as stack:
                sockets = [stack.enter_context(one) for one in await _listen(host, port)]
                server = cast(web.Server, runner.server)  # it is there once set up
                for one in sockets:
                    self._spawn(tasks, self._accept(one, server, encrypted, tasks))
                try:
                    yield sockets[0].getsockname()[1]
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await runner.cleanup()

    def ended(self, reason: Ended, peer: str) -> None:
        """Count a connection that was not taken or did not last; say it if it is to be said."""
        self._ended.labels(reason).inc()
        words, now_ms = _SAID.get(reason), time.time_ns() // 1_000_000
        if words and self._named.first((reason, network(peer)), now_ms):
            _log.warning("console: refused %s: %s (more is only counted)", peer, words)

    def _spawn(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        def done(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.failures.note(error, "", "a connection")

        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(done)

    async def _accept(
        self,
        listening: socket.socket,
        server: web.Server,
        encrypted: ssl.SSLContext | None,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                short = error.errno in _SHORT
                if short:
                    self._run_short(error)
                await asyncio.sleep(_ACCEPT_AGAIN_S if short else _NOTHING_CAME_S)
            else:
                self._recover()
                if (place := self.admit(address[0])) is None:
                    accepted.close()
                else:
                    self._spawn(tasks, self._take(accepted, address[0], server, encrypted, place))
            # Whoever connects without end must not keep the others waiting.
            await asyncio.sleep(0)

    def admit(self, peer: str) -> Place | None:
        """A place for a connection from an address; None, and counted, where there is none."""
        limits, source = self.limits, network(peer)
        if self._open.total() >= limits.most:
            reason = Ended.ALL
        elif self._open[source] >= self._share(peer):
            reason = Ended.ADDRESS
        else:
            return Place(self._open, source)
        self._refused += 1
        self.ended(reason, peer)
        return None

    def _share(self, peer: str) -> int:
        whole = self._trusts(peer) or ipaddress.ip_address(peer).is_loopback
        return self.limits.most if whole else self.limits.most_of_one

    async def _take(
        self,
        accepted: socket.socket,
        peer: str,
        server: web.Server,
        encrypted: ssl.SSLContext | None,
        place: Place,
    ) -> None:
        try:
            loop = asyncio.get_running_loop()
            within_s = self.limits.handshake_s if encrypted else None
            await loop.connect_accepted_socket(
                lambda: Connection(self, server, peer, place.leave),
                accepted,
                ssl=encrypted,
                ssl_handshake_timeout=within_s,
                ssl_shutdown_timeout=within_s,
            )
        except OSError:  # ssl.SSLError and time-outs are
            place.leave()
            self.ended(Ended.TLS, peer)
        except BaseException:
            place.leave()
            raise

    def _run_short(self, error: OSError) -> None:
        self._ended.labels(Ended.DESCRIPTORS).inc()
        if self._short_s is None:
            _log.error("console: takes no connections for now: %s", error.strerror)
        self._short_s = time.monotonic()

    def _recover(self) -> None:
        if self._short_s is None or time.monotonic() - self._short_s < _RECOVERED_AFTER_S:
            return
        self._short_s = None
        _log.info("console: takes connections again")


class Connection(web.RequestHandler):
    """One connection: has a deadline at any time, and logs nothing of what it brings."""

    def __init__(
        self, connections: Connections, server: web.Server, peer: str, leave: Callable[[], None]
    ) -> None:
        self._limits = connections.limits
        unlogged: dict[str, Any] = {"access_log": None}
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.idle_s,
            lingering_time=self._limits.request_s,
            **unlogged,
        )
        self._connections = connections
        self._peer = peer
        self._leave = leave
        self._deadline: asyncio.TimerHandle | None = None
        self._resting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request is awaited."""
        self._abort = cast(asyncio.Transport, transport).abort
        self._within(self._limits.request_s)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """A byte after a rest begins the next request."""
        if self._resting:
            self._resting = False
            self._within(self._limits.request_s)
        super().data_received(data)

    def begun(self) -> None:
        """The headers of a request are there."""
        self._resting = False
        self._within(self._limits.answer_s)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Once the answer is written, the connection may rest."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            if self.transport is not None:
                self._resting = True
                # Who is to close it first is aiohttp, in order; what it cannot close is cut off.
                self._within(self._limits.idle_s + self._limits.request_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Another one may come."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._leave()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's, and quotes the request
    ) -> web.StreamResponse:
        """What is no HTTP is 400; what escaped the application is 500. Neither tells more."""
        self._note(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        text = "this is no HTTP\n" if status == 400 else "an error of the collector\n"
        answer = web.Response(status=status, text=text, headers={"Server": "jauge"})
        answer.force_close()
        return answer

    def log_exception(self, *_: Any, **kw: Any) -> None:
        """In place of aiohttp's log, which would quote the request."""
        self._note(kw.get("exc_info"))

    def _note(self, error: object) -> None:
        if isinstance(error, STRANGE):
            self._connections.ended(Ended.MALFORMED, self._peer)
        elif isinstance(error, BaseException) and not isinstance(error, ConnectionError):
            self._connections.failures.note(error, "", "a connection")

    def _within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._cut_off)

    def _cut_off(self) -> None:
        self._connections.ended(Ended.LATE, self._peer)
        self._abort()


@web.middleware
async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells a connection that a request of it is being answered."""
    if isinstance(request.protocol, Connection):
        request.protocol.begun()
    return await handler(request)


async def _listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setblocking(False)
            one.bind(address)
            one.listen(_BACKLOG)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
