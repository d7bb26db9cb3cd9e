"""Real daemons on free loopback ports, for tests and benchmarks: started, killed, brought back.

Needs the standard library only, so that the agent's tests run where only the agent is installed.
"""

import asyncio
import http.client
import inspect
import json
import os
import shutil
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 10.0


class PartMissingError(Exception):
    """The daemon's program is not on this machine; the text names its Debian package."""


def free_port() -> int:
    """A TCP port that was free on 127.0.0.1 a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within: float, what: str = "condition"
) -> None:
    """Return once ``condition`` holds; raise AssertionError naming ``what`` after ``within`` s."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.02)


class RealPart(ABC):
    """One daemon; ``async with`` starts and stops it. Port and data outlive ``kill()``."""

    program: ClassVar[str]
    package: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Keep data and log in ``directory``, made if absent; may raise PartMissingError.

        It listens on ``host``, behind ``prefix`` (a command that runs it in its place, such as
        ``ip netns exec NAME``) and with ``environment`` beside that of this process.
        """
        path = shutil.which(self.program, path=os.environ.get("PATH", "") + ":/usr/sbin")
        if path is None:
            raise PartMissingError(
                f"{self.program} is not installed (Debian package {self.package})"
            )
        directory.mkdir(parents=True, exist_ok=True)
        self.executable = path
        self.directory = directory
        self.port = port or free_port()
        self.host = host
        self.prefix = tuple(prefix)
        self.environment = dict(environment or {})
        self.log = directory / f"{self.program}.log"
        self._process: asyncio.subprocess.Process | None = None

    @abstractmethod
    def arguments(self) -> list[str]:
        """The command line after the program."""

    @abstractmethod
    async def ready(self) -> bool:
        """Whether the daemon serves."""

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None, f"{self.program} is not running"
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status of one that ended by itself; None while it runs or was never started."""
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        """Start and wait until it serves; RuntimeError with the end of its log if it does not."""
        assert self._process is None, f"{self.program} is running"
        if await self.ready():
            raise RuntimeError(f"port {self.port} is taken by another process")
        with self.log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *self.prefix,
                self.executable,
                *self.arguments(),
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )

        async def up_or_gone() -> bool:
            return process.returncode is not None or await self.ready()

        try:
            await eventually(up_or_gone, within=START_DEADLINE_S, what=f"{self.program} serves")
        except BaseException:
            await self.kill()
            raise
        if process.returncode is not None:
            self._process = None
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.program} exited with {process.returncode}:\n{tail}")

    async def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it in order (SIGTERM), by SIGKILL if it takes too long; nothing if not running."""
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()

    async def restart(self) -> None:
        """Start it again on the same port and data, ending it in order first if it runs."""
        await self.stop()
        await self.start()

    async def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._process.wait()
        self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


class Mosquitto(RealPart):
    """An anonymous loopback broker, MQTT 3.1.1 and 5, without persistence unless asked for."""

    program = "mosquitto"
    package = "mosquitto"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """``settings`` are lines of mosquitto.conf that replace or add to those of the tests."""
        super().__init__(directory, port=port, host=host, prefix=prefix, environment=environment)
        self.settings = {
            "listener": f"{self.port} {self.host}",
            "allow_anonymous": "true",
            "set_tcp_nodelay": "true",
            "max_inflight_messages": "100",
            "max_queued_messages": "0",  # no limit: the broker of a test drops nothing by itself
            "persistence": "false",
            "persistence_location": f"{directory}/",
            "log_dest": "stderr",
            **({"user": "root"} if os.geteuid() == 0 else {}),
            **(settings or {}),
        }

    def arguments(self) -> list[str]:
        """The configuration file, written anew at each start."""
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text("".join(f"{key} {to}\n" for key, to in self.settings.items()))
        return ["-c", str(configuration)]

    async def ready(self) -> bool:
        """Whether the port accepts connections."""
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


class VictoriaMetrics(RealPart):
    """A single-node store with the flags that Jauge asks for, showing fresh data at once."""

    program = "victoria-metrics"
    package = "victoria-metrics"

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        """``flags`` replace or add to those of the tests, without the leading dash."""
        super().__init__(directory, port=port, host=host, prefix=prefix, environment=environment)
        self.flags = {
            "httpListenAddr": f"{self.host}:{self.port}",
            "storageDataPath": str(directory / "data"),
            "retentionPeriod": "10y",
            "dedup.minScrapeInterval": "1ms",
            "search.latencyOffset": "0s",
            "inmemoryDataFlushInterval": "1s",
            "memory.allowedBytes": "256MB",
            **(flags or {}),
        }

    @property
    def url(self) -> str:
        """Base address, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    def arguments(self) -> list[str]:
        """The flags."""
        return [f"-{name}={to}" for name, to in self.flags.items()]

    async def ready(self) -> bool:
        """Whether /health answers."""
        try:
            return (await self.request("GET", "/health"))[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    async def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one request; OSError when it does not answer."""

        def ask() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
            try:
                connection.request(method, path, body)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return await asyncio.to_thread(ask)

    async def force_flush(self) -> None:
        """Make what was accepted visible to queries soon; not durable by that."""
        status, body = await self.request("GET", "/internal/force_flush")
        assert status == 200, body

    async def export(
        self, selector: str, start_ms: int, end_ms: int
    ) -> dict[str, list[tuple[int, float]]]:
        """Raw points of every series that matches, by its labels as sorted JSON; ends included."""
        query = urlencode({"match[]": selector, "start": start_ms / 1000, "end": end_ms / 1000})
        status, body = await self.request("GET", f"/api/v1/export?{query}")
        assert status == 200, body
        series: dict[str, list[tuple[int, float]]] = {}
        for line in body.splitlines():
            block = json.loads(line)
            points = series.setdefault(json.dumps(block["metric"], sort_keys=True), [])
            points.extend(zip(block["timestamps"], block["values"], strict=True))
        return series


class Served(RealPart):
    """A daemon of flags that says over HTTP when it is ready."""

    health: ClassVar[str] = "/-/ready"
    listens: ClassVar[str] = "-web.listen-address"
    """The flag for host and port, with its dashes, which all of its flags have."""

    def __init__(self, directory: Path, flags: Mapping[str, str]) -> None:
        """``flags`` without dashes."""
        super().__init__(directory)
        self.flags = dict(flags)

    @property
    def url(self) -> str:
        """Base address, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    def arguments(self) -> list[str]:
        """The flags."""
        dashes = "-" * (len(self.listens) - len(self.listens.lstrip("-")))
        given = [f"{dashes}{name}={to}" for name, to in self.flags.items()]
        return [*given, f"{self.listens}={self.host}:{self.port}"]

    async def ready(self) -> bool:
        """Whether it says so."""
        try:
            return (await self.request("GET", self.health))[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    async def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of one request, which if it has a body is JSON; OSError."""

        def ask() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return await asyncio.to_thread(ask)


class Alertmanager(Served):
    """Delivers as a configuration file says, without a cluster."""

    program = "prometheus-alertmanager"
    package = "prometheus-alertmanager"
    listens = "--web.listen-address"

    def __init__(self, directory: Path, configuration: Path) -> None:
        flags = {"config.file": str(configuration), "storage.path": str(directory / "data")}
        super().__init__(directory, flags | {"cluster.listen-address": ""})

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to its API, with JSON both ways."""
        status, text = await self.request(method, path, json.dumps(body).encode())
        assert status == 200, text
        return json.loads(text) if text else None
