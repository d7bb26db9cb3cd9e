"""Stands before the simulator, over TLS: sees every request, can answer QueryPerf from a record.

The simulator draws new noise for each answer. A record of one of its answers, an hour long, gives
the same value for the same time however often it is asked: the samples repeat hour after hour, so
that their dates move with the clock, and those older than an hour are gone, as a vCenter's are.
"""

import contextlib
import http.client
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from jauge_agent.sources.vsphere.places import KEPT_MS
from jauge_agent.sources.vsphere.query import answered
from jauge_agent.sources.vsphere.totals import STEP_MS

RECORD = Path(__file__).parent / "recorded" / "query_perf.xml"

_METHOD = re.compile(rb"<soapenv:Body>\s*<(\w+)")
_SPEC = re.compile(
    r'<querySpec><entity type="(\w+)">([\w-]+)</entity><startTime>(.*?)</startTime>'
    r"<endTime>(.*?)</endTime><maxSample>(\d+)</maxSample>(.*?)<intervalId>"
)
_METRIC = re.compile(r"<counterId>(\d+)</counterId><instance>(.*?)</instance>")


class Record:
    """What the simulator once answered, hour after hour."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        """``now_ms`` is the vCenter's clock."""
        self._now_ms = now_ms
        with RECORD.open("rb") as file:
            entities = answered(file.read)
        self._samples: dict[tuple[str, int], Mapping[int, int]] = {
            (entity.key, number): dict(zip(map(_slot, entity.times), samples, strict=True))
            for entity in entities
            for number, _, samples in entity.series
        }
        self.keys = {entity.key for entity in entities}

    def value(self, key: str, counter: int, time_ms: int) -> int | None:
        """The sample of a counter at a time; None where the record has no such series."""
        return self._samples.get((key, counter), {}).get(_slot(time_ms))

    def answer(self, request: str) -> bytes:
        """The answer to a QueryPerf, as the simulator writes it."""
        parts = [self._entity(found) for found in _SPEC.findall(request)]
        return (
            '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
            'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
            '<QueryPerfResponse xmlns="urn:vim25">' + "".join(parts) + "</QueryPerfResponse>"
            "</soapenv:Body></soapenv:Envelope>"
        ).encode()

    def _entity(self, asked: tuple[str, ...]) -> str:
        kind, key, start, end, most, metrics = asked
        oldest = max(_time_ms(start), self._now_ms() - KEPT_MS)
        newest = _time_ms(end) - _time_ms(end) % STEP_MS
        times = list(range(newest, oldest, -STEP_MS))[: int(most)]
        infos = [
            f"<sampleInfo><timestamp>{datetime.fromtimestamp(each / 1000, UTC).isoformat()}"
            "</timestamp><interval>20</interval></sampleInfo>"
            for each in times
        ]
        series = [
            f"<value><id><counterId>{number}</counterId><instance>{instance}</instance></id>"
            + "".join(
                f"<value>{value}</value>"
                for each in times
                if (value := self.value(key, int(number), each)) is not None
            )
            + "</value>"
            for number, instance in _METRIC.findall(metrics)
        ]
        head = f'<returnval><entity type="{kind}">{key}</entity>'
        return head + "".join(infos) + "".join(series) + "</returnval>"


class Relay:
    """A server on a free loopback port; use as a context manager."""

    def __init__(self, target: int, certificate: Path, key: Path) -> None:
        """``target`` is the simulator's port, without TLS."""
        self.methods: list[str] = []
        """Names of what was asked, in order."""
        self.record: Record | None = None
        self.is_down = False
        """Whether connections are dropped without an answer."""
        self.drips = threading.Event()
        """Set to answer QueryPerf byte by byte, without end."""
        self.faults: list[Callable[[str, bytes], bytes | None]] = []
        """Asked for each request what to answer in the simulator's place (with status 500)."""
        relay = self

        class Handler(BaseHTTPRequestHandler):
            """Passes a request on."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """One SOAP request."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.handle(self, body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            """Says nothing of connections that break: they are part of the trial."""

            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing."""

        self._target = target
        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request."""
        if self.is_down:
            handler.close_connection = True
            return
        found = _METHOD.search(body)
        method = found[1].decode() if found else ""
        self.methods.append(method)
        for fault in self.faults:
            if (said := fault(method, body)) is not None:
                _send(handler, 500, said, {})
                return
        if self.drips.is_set() and method == "QueryPerf":
            self._drip(handler)
            return
        if self.record is not None and method == "QueryPerf":
            _send(handler, 200, self.record.answer(body.decode()), {})
            return
        self._pass_on(handler, body)

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        handler.close_connection = True
        pause = threading.Event()
        with contextlib.suppress(OSError):
            while self.drips.is_set():
                handler.wfile.write(b" ")
                pause.wait(0.02)

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        onward = http.client.HTTPConnection("127.0.0.1", self._target, timeout=20)
        try:
            onward.request("POST", handler.path, body, dict(handler.headers))
            answer = onward.getresponse()
            text = answer.read()
            cookie = answer.getheader("Set-Cookie")
            _send(handler, answer.status, text, {"Set-Cookie": cookie} if cookie else {})
        except OSError:
            handler.close_connection = True
        finally:
            onward.close()


def _send(
    handler: BaseHTTPRequestHandler, status: int, text: bytes, headers: Mapping[str, str]
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(text)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(text)


def _slot(time_ms: int) -> int:
    return time_ms % KEPT_MS // STEP_MS


def _time_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
