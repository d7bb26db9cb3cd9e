"""All MQTT of the collector: receives what agents publish, sends them their answers.

MQTT 3.1.1, clean session, no manual acknowledgement: what is lost between broker and store
comes again, because only our answer frees an agent's spool (docs/decisions).
"""

import asyncio
import logging
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import TOPIC_ROOT, Channel
from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode

from jauge_collector.config import CollectorConfig
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

MAX_WAITING: Final = 20_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024

_SHORTEST_BACK_OFF_S: Final = 0.5
_LONGEST_BACK_OFF_S: Final = 30.0
_STEADY_S: Final = 60.0
"""A connection that held this long starts the back-off anew."""
_KEEPALIVE_S: Final = 30
_ANSWERS_IN_A_ROW: Final = 100
_CHANNELS: Final = (Channel.READINGS, Channel.BIRTH, Channel.STATE)


class Received(NamedTuple):
    """One message. ``time_ms``: when it was received."""

    topic: str
    payload: bytes
    retained: bool
    time_ms: int


class Inbox:
    """What waits to be stored: bounded in messages and bytes, the newest dropped beyond."""

    def __init__(
        self,
        dropped: Callable[[], None],
        *,
        limit: int = MAX_WAITING,
        limit_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._dropped = dropped
        self._waiting: deque[Received] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest_ms(self) -> int | None:
        """When the message that waits longest was received."""
        return self._waiting[0].time_ms if self._waiting else None

    def put(self, message: Received) -> None:
        """Keep a message, or drop it where there is no room."""
        grown = self.bytes + len(message.payload)
        if len(self._waiting) >= self.limit or grown > self.limit_bytes:
            self._dropped()
            return
        self.bytes = grown
        self._waiting.append(message)
        self._filled.set()

    async def take(self, most: int, *, gather_s: float = 0.0) -> list[Received]:
        """The oldest messages, at least one and at most ``most``.

        Once there is one, waits ``gather_s`` for more unless there are enough already.
        """
        await self._filled.wait()
        waiting = self._waiting
        if len(waiting) < most and gather_s:
            await asyncio.sleep(gather_s)
        taken = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        self.bytes -= sum(len(message.payload) for message in taken)
        if not waiting:
            self._filled.clear()
        return taken


class Subscriber:
    """Keeps one connection to the broker; `run` never ends by itself."""

    def __init__(self, config: CollectorConfig, inbox: Inbox, telemetry: Telemetry) -> None:
        """Raises ConfigurationError where a file it names cannot be used."""
        self._config = config
        self._mqtt = config.mqtt
        self._inbox = inbox
        self._telemetry = telemetry
        password(config)
        tls_context(config)
        self._client: aiomqtt.Client | None = None
        self.connected = asyncio.Event()
        self.problem = "not connected yet"
        """Why there is no connection, for /readyz; empty while there is one."""
        self._loss_told = False

    async def run(self) -> None:
        """Connect, subscribe, receive; begin again with jittered back-off when it breaks."""
        back_off_s = _SHORTEST_BACK_OFF_S
        while True:
            began = time.monotonic()
            try:
                await self._session()
            except (aiomqtt.MqttError, ConfigurationError, ValueError) as error:
                # ValueError, UnicodeError among them: what no resolver takes for a host name.
                _raise_if_cancelled()
                self._lost(error)
            if time.monotonic() - began >= _STEADY_S:
                back_off_s = _SHORTEST_BACK_OFF_S
            await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
            back_off_s = min(back_off_s * 2, _LONGEST_BACK_OFF_S)

    async def publish(self, answers: Iterable[tuple[str, bytes]]) -> int:
        """Send answers, QoS 0, not retained; how many went out before the connection broke."""
        sent = 0
        for topic, payload in answers:
            if self._client is None:
                break
            try:
                await self._client.publish(topic, payload, qos=0, retain=False)
            except aiomqtt.MqttError:
                break
            sent += 1
            if sent % _ANSWERS_IN_A_ROW == 0:
                await asyncio.sleep(0)  # a publish at QoS 0 does not yield by itself
        return sent

    async def _session(self) -> None:
        client = _Client(
            self._mqtt.host,
            self._mqtt.port,
            username=self._mqtt.username,
            # Read anew for each connection, so that renewed secrets are taken up.
            password=password(self._config),
            identifier=self._mqtt.client_id or None,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            tls_context=tls_context(self._config),
            queue_type=_handover_to(self._inbox),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        async with client:
            _raise_if_cancelled()
            granted = await client.subscribe([(f"{TOPIC_ROOT}/+/+/{c}", 1) for c in _CHANNELS])
            if any(isinstance(code, ReasonCode) and code.is_failure for code in granted):
                raise aiomqtt.MqttError("the broker refuses the subscription")
            _raise_if_cancelled()
            self._client = client
            self._found()
            try:
                async for _ in client.messages:
                    pass  # the handover took it already; the iterator tells of a lost connection
            finally:
                self._client = None
                self.connected.clear()
                self._telemetry.mqtt_connected.set(0)

    def _found(self) -> None:
        _log.info("connected to the broker at %s:%d", self._mqtt.host, self._mqtt.port)
        self.problem = ""
        self._loss_told = False
        self.connected.set()
        self._telemetry.mqtt_connected.set(1)
        self._telemetry.mqtt_connections.inc()

    def _lost(self, error: Exception) -> None:
        self.problem = str(error) or str(error.__cause__ or "refused")
        self._telemetry.mqtt_failures.labels(_reason(error)).inc()
        if not self._loss_told:
            self._loss_told = True
            where = f"{self._mqtt.host}:{self._mqtt.port}"
            _log.warning("no connection to the broker at %s: %s", where, self.problem)


class _ClosedError(aiomqtt.MqttError):
    """The broker ended a connection instead of accepting it."""


def _reason(error: Exception) -> str:
    """Why there is no connection, out of a bounded set: refused, tls, file, host, network."""
    if isinstance(error, ConfigurationError):
        return "file"
    if isinstance(error, ValueError):
        return "host"
    if isinstance(error, MqttConnectError | _ClosedError):
        return "refused"
    # aiomqtt hides what it translates, but does not lose it.
    return "tls" if isinstance(error.__context__, ssl.SSLError) else "network"


class _Client(aiomqtt.Client):
    """Notices at once when the broker ends a connection instead of accepting it.

    aiomqtt waits until its time is up, and leaves the socket of a failed attempt open.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._client.disable_logger()  # it says every failure anew

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            self._client.disconnect()
            raise

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, *more: Any
    ) -> None:
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, *more)
        else:
            self._connected.set_exception(
                _ClosedError(
                    "the broker closed the connection at once: check TLS and client certificate"
                )
            )


def _raise_if_cancelled() -> None:
    """End when asked to: on Python 3.11 aiomqtt's wait_for may lose that, or an error hide it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _handover_to(inbox: Inbox) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A queue for aiomqtt that gives each message to the inbox as it arrives.

    aiomqtt's own makes a task for each message taken out, and logs each one that does not fit.
    """

    class Handover(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            now_ms = time.time_ns() // 1_000_000
            inbox.put(Received(item.topic.value, item.payload, item.retain, now_ms))

    return Handover


def password(config: CollectorConfig) -> str | None:
    """The broker's password out of its file. Raises ConfigurationError."""
    if config.mqtt.password_file is None:
        return None
    path = config.beside(config.mqtt.password_file)
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise _unusable(config, "mqtt.password_file", path, error) from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            str(config.source), "mqtt.password_file", f"{path} is not UTF-8 text"
        ) from None


class _ClosingSocket(ssl.SSLSocket):
    """Closed when its handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(config: CollectorConfig) -> ssl.SSLContext | None:
    """Trust and identity as the configuration says; None without TLS. Raises ConfigurationError."""
    mqtt = config.mqtt
    files = {"ca_file": mqtt.ca_file, "cert_file": mqtt.cert_file, "key_file": mqtt.key_file}
    if not mqtt.tls:
        for key, path in files.items():
            if path is not None:
                raise ConfigurationError(
                    str(config.source), f"mqtt.{key}", "is set without TLS", "set mqtt.tls = true"
                )
        return None
    authorities = None if mqtt.ca_file is None else config.beside(mqtt.ca_file)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(config, "mqtt.ca_file", authorities, error) from None
    context.sslsocket_class = _ClosingSocket
    if mqtt.cert_file is not None:
        certificate = config.beside(mqtt.cert_file)
        key_file = None if mqtt.key_file is None else config.beside(mqtt.key_file)
        try:
            context.load_cert_chain(certificate, key_file, password=_no_passphrase)
        except (OSError, ssl.SSLError) as error:
            raise _unusable(config, "mqtt.cert_file", certificate, error) from None
    return context


def _no_passphrase() -> str:
    """Instead of asking on the terminal, which a service does not have."""
    return ""


def _unusable(
    config: CollectorConfig, key: str, path: Path | None, error: OSError
) -> ConfigurationError:
    problem = (error.strerror or str(error)).lower()
    return ConfigurationError(str(config.source), key, f"{path} cannot be used: {problem}")
