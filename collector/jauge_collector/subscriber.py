"""All MQTT of the collector: receives what agents publish, sends them their answers.

MQTT 3.1.1, clean session, no manual acknowledgement: what is lost between broker and store
comes again, because only our answer frees an agent's spool (docs/decisions).
"""

import asyncio
import contextlib
import logging
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import TOPIC_ROOT, Channel
from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode

from jauge_collector import broker_log, heartbeat
from jauge_collector.broker_log import BrokerLog
from jauge_collector.config import CollectorConfig
from jauge_collector.heartbeat import Heartbeat
from jauge_collector.inbox import Inbox
from jauge_collector.progress import Progress
from jauge_collector.receiver import Receiver
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

_SHORTEST_BACK_OFF_S: Final = 0.5
_LONGEST_BACK_OFF_S: Final = 30.0
_STEADY_S: Final = 60.0
"""A connection that held this long starts the back-off anew."""
_KEEPALIVE_S: Final = 30
_ANSWERS_IN_A_ROW: Final = 100
HANGS_AFTER_S: Final = 120.0
"""Longer than a connection takes to fail and the back-off after it."""
_QOS: Final = 0
"""What is lost between broker and collector comes again from the agent. At QoS 1 the broker waits
for our acknowledgements, and a flood of QoS 1 fills its queue, in which everybody's packs stand."""
_CHANNELS: Final = (Channel.READINGS, Channel.BIRTH, Channel.STATE)


class Subscriber:
    """Keeps one connection to the broker; `run` never ends by itself."""

    def __init__(
        self,
        config: CollectorConfig,
        inbox: Inbox,
        telemetry: Telemetry,
        log: BrokerLog | None = None,
        progress: Progress | None = None,
    ) -> None:
        """``log`` is given what the broker says of itself, where configuration and broker let it.

        Raises ConfigurationError where a file it names cannot be used.
        """
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
        self._heartbeat = Heartbeat(config.mqtt.client_id)
        self._deaf = False
        self._refusal_told = False
        self._stage = (progress or Progress()).stage("subscriber", HANGS_AFTER_S)
        self._log = log if config.mqtt.broker_log else None

    async def run(self) -> None:
        """Connect, subscribe, receive; begin again with jittered back-off when it breaks."""
        back_off_s = _SHORTEST_BACK_OFF_S
        with self._stage.step():
            while True:
                began = time.monotonic()
                try:
                    await self._session()
                except (aiomqtt.MqttError, ConfigurationError, ValueError) as error:
                    # ValueError, UnicodeError among them: what no resolver takes for a host name.
                    _raise_if_cancelled()
                    self._lost(error)
                self._stage.alive()
                if time.monotonic() - began >= _STEADY_S:
                    back_off_s = _SHORTEST_BACK_OFF_S
                await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                back_off_s = min(back_off_s * 2, _LONGEST_BACK_OFF_S)
                self._stage.alive()

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
            deliver=self._deliver,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        async with client:
            _raise_if_cancelled()
            granted = await client.subscribe(
                [
                    *((f"{TOPIC_ROOT}/+/+/{channel}", _QOS) for channel in _CHANNELS),
                    (self._heartbeat.topic, 0),
                ]
            )
            needed = granted[: len(_CHANNELS)]
            if any(isinstance(code, ReasonCode) and code.is_failure for code in needed):
                raise aiomqtt.MqttError("the broker refuses the subscription")
            _raise_if_cancelled()
            await self._ask_for_log(client)
            self._client = client
            self._found()
            try:
                async with asyncio.timeout(None) as patience, self._beating(client, patience):
                    async for _ in client.messages:
                        pass  # delivered already; the iterator tells of a lost connection
            except TimeoutError:
                raise _DeafError(self._heartbeat.topic) from None
            finally:
                self._client = None
                self.connected.clear()
                self._telemetry.mqtt_connected.set(0)

    @contextlib.asynccontextmanager
    async def _beating(
        self, client: aiomqtt.Client, patience: asyncio.Timeout
    ) -> AsyncIterator[None]:
        self._heartbeat.connected()
        task = asyncio.create_task(self._beat(client, patience), name="heartbeat")
        try:
            yield
        finally:
            task.cancel()

    async def _beat(self, client: aiomqtt.Client, patience: asyncio.Timeout) -> None:
        """Publish what has to come back; end the patience with a broker that delivers nothing."""
        beat = self._heartbeat
        while not beat.is_deaf:
            self._stage.alive()
            if beat.is_refused and not self._refusal_told:
                self._refusal_told = True
                _log.warning(
                    "the broker does not give %s back: let this collector write and read it, or a "
                    "dead subscription is found only after minutes without agents",
                    beat.topic,
                )
            try:
                await client.publish(beat.topic, beat.beat(), qos=0, retain=False)
            except aiomqtt.MqttError:
                return  # the session notices too
            await asyncio.sleep(heartbeat.EVERY_S)
        patience.reschedule(asyncio.get_running_loop().time())

    def _deliver(self, topic: str, payload: bytes, retained: bool) -> None:
        now_ms = time.time_ns() // 1_000_000
        if self._log is not None and topic.startswith(broker_log.PREFIX):
            self._log.read(topic, payload, now_ms)
            return
        mine = self._heartbeat.take(topic, payload, retained=retained)
        if self._deaf and (self._heartbeat.is_back or not (mine or retained)):
            self._deaf = False
            self._recovered()
        if not mine:
            self._inbox.put(topic, payload, now_ms, retained=retained)

    async def _ask_for_log(self, client: aiomqtt.Client) -> None:
        """Subscribe to the broker's log; one that ends the connection for it is not asked again."""
        if self._log is None:
            return
        try:
            granted = await client.subscribe(broker_log.TOPIC, qos=0)
        except aiomqtt.MqttError:
            self._log = None
            raise
        if any(isinstance(code, ReasonCode) and code.is_failure for code in granted):
            _log.info("the broker does not show its log: what it refuses is not counted here")
            self._log = None

    def _found(self) -> None:
        if not self._deaf:
            self._recovered()
        self.connected.set()
        self._telemetry.mqtt_connected.set(1)
        self._telemetry.mqtt_connections.inc()

    def _recovered(self) -> None:
        _log.info("connected to the broker at %s:%d", self._mqtt.host, self._mqtt.port)
        self.problem = ""
        self._loss_told = False

    def _lost(self, error: Exception) -> None:
        self._deaf = isinstance(error, _DeafError)
        self.problem = str(error) or str(error.__cause__ or "refused")
        self._telemetry.mqtt_failures.labels(_reason(error)).inc()
        if not self._loss_told:
            self._loss_told = True
            where = f"{self._mqtt.host}:{self._mqtt.port}"
            what = "the broker delivers nothing" if self._deaf else "no connection to the broker"
            _log.warning("%s at %s: %s", what, where, self.problem)


class _ClosedError(aiomqtt.MqttError):
    """The broker ended a connection instead of accepting it."""


class _DeafError(aiomqtt.MqttError):
    """The connection holds, and nothing comes through it."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"deaf: not even {topic} comes back, which we publish ourselves")


def _reason(error: Exception) -> str:
    """Why there is no connection, out of a bounded set: deaf, refused, tls, file, host, network."""
    if isinstance(error, _DeafError):
        return "deaf"
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

    def __init__(
        self, *arguments: Any, deliver: Callable[[str, bytes, bool], None], **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self._receiver = Receiver(self._client, deliver)
        self._client.disable_logger()  # it says every failure anew

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        super()._on_socket_open(client, userdata, sock)
        # After the base class's own reader, which this one replaces.
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            self._receiver.read()
        except Exception as error:  # noqa: BLE001 (whatever it was, this connection is of no more use)
            if not self._disconnected.done():
                self._disconnected.set_exception(aiomqtt.MqttError(str(error)))

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
