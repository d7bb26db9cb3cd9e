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
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

import aiomqtt
from jauge_models.certificates import Certificate
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import TOPIC_ROOT, Channel
from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode

from jauge_collector import broker_log, credentials, heartbeat
from jauge_collector.broker_log import BrokerLog
from jauge_collector.config import CollectorConfig
from jauge_collector.heartbeat import Heartbeat
from jauge_collector.inbox import Inbox
from jauge_collector.progress import Progress
from jauge_collector.receiver import Receiver, publish_packet
from jauge_collector.refusal import (
    BrokenError,
    ClosedError,
    DeafError,
    Drops,
    Failure,
    SubscriptionError,
    explain,
)
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
        credentials.password(config)
        credentials.broker_context(config)
        self._client: _Client | None = None
        self.connected = asyncio.Event()
        self.problem = "not connected yet"
        """Why there is no connection, for /readyz; empty while there is one."""
        self._loss_told = False
        self._drops = Drops()
        self._drops_told = False
        self._attempt: _Client | None = None
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
        waiting = iter(answers)
        while row := list(islice(waiting, _ANSWERS_IN_A_ROW)):
            if self._client is None:
                break
            try:
                await self._client.publish_row(row)
            except aiomqtt.MqttError:
                break
            sent += len(row)
            await asyncio.sleep(0)  # a publish at QoS 0 does not always yield by itself
        return sent

    async def _session(self) -> None:
        client = self._attempt = _Client(
            self._mqtt.host,
            self._mqtt.port,
            username=self._mqtt.username,
            # Read anew for each connection, so that renewed secrets are taken up.
            password=credentials.password(self._config),
            identifier=self._mqtt.client_id or None,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            tls_context=credentials.broker_context(self._config),
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
                raise SubscriptionError("the broker refuses the subscription")
            _raise_if_cancelled()
            await self._ask_for_log(client)
            self._client = client
            self._found()
            try:
                async with asyncio.timeout(None) as patience, self._beating(client, patience):
                    async for _ in client.messages:
                        pass  # delivered already; the iterator tells of a lost connection
            except TimeoutError:
                raise DeafError(self._heartbeat.topic) from None
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
            if self._drops.is_over(time.monotonic(), _STEADY_S):
                self._recovered()
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
        self._drops.made(time.monotonic())
        if not self._deaf and not self._drops.recurring:
            self._recovered()
        self.connected.set()
        self._telemetry.mqtt_connected.set(1)
        self._telemetry.mqtt_connections.inc()

    def _recovered(self) -> None:
        _log.info("connected to the broker at %s:%d", self._mqtt.host, self._mqtt.port)
        self.problem = ""
        self._loss_told = self._drops_told = False

    def _lost(self, error: Exception) -> None:
        self._deaf = isinstance(error, DeafError)
        self._drops.ended(time.monotonic())
        attempt, self._attempt = self._attempt, None
        failure, self.problem = explain(
            error,
            self._mqtt,
            alert=attempt.alert if attempt else None,
            certificate=self._certificate(),
            drops=self._drops,
        )
        self._telemetry.mqtt_failures.labels(failure).inc()
        is_news = failure is Failure.DROPPED and not self._drops_told
        if is_news or not self._loss_told:
            self._loss_told = True
            self._drops_told = self._drops_told or is_news
            where = f"{self._mqtt.host}:{self._mqtt.port}"
            what = "the broker delivers nothing" if self._deaf else "no connection to the broker"
            more = " (more of this is only counted)" if is_news else ""
            _log.warning("%s at %s: %s%s", what, where, self.problem, more)

    def _certificate(self) -> Certificate | None:
        try:
            return credentials.certificate(self._config, "mqtt")
        except ConfigurationError:
            return None  # which is what is wrong, and said


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
        self._socket: object = None
        self._is_over = False

    async def publish_row(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send at least one message, QoS 0, not retained; returns once all are written.

        Raises MqttError. paho makes a dozen objects, two system calls and a turn of the event loop
        of each message: all but the last go to it as one.
        """
        *others, (topic, payload) = messages
        if others:
            if self._client.socket() is None:
                raise aiomqtt.MqttCodeError(paho.MQTT_ERR_NO_CONN, "could not publish")
            packets = b"".join(publish_packet(*message) for message in others)
            # As of QoS 1, of which paho does not want to tell anybody that it was written.
            self._client._packet_queue(paho.PUBLISH, packets, 0, 1)  # noqa: SLF001 - paho offers no other way
        # Written after them, and waited for.
        await self.publish(topic, payload, qos=0, retain=False)

    @property
    def alert(self) -> ssl.SSLError | None:
        """What TLS said when it ended the connection."""
        return getattr(self._socket, "alert", None)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        super()._on_socket_open(client, userdata, sock)
        self._socket = sock
        # After the base class's own reader, which this one replaces.
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _watch(self, sock: Any) -> None:
        if self._is_over:  # given up meanwhile: the thread that connects could not be
            self._client._sock_close()  # noqa: SLF001 - paho offers no other way
        elif sock.fileno() >= 0:  # it may be closed by now, when ended at once
            self._loop.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            self._receiver.read()
        except Exception as error:  # noqa: BLE001 (whatever it was, this connection is of no more use)
            if not self._disconnected.done():
                self._disconnected.set_exception(BrokenError(str(error) or type(error).__name__))
            # Nobody else does: aiomqtt takes what it has noted as disconnected for closed.
            self._client._sock_close()  # noqa: SLF001 - paho offers no other way

    async def __aenter__(self) -> Self:
        begun = self._disconnected
        try:
            await super().__aenter__()
            self._raise_if_ended(begun)
        except BaseException:
            self._is_over = True
            self._client.disconnect()
            self._client._sock_close()  # noqa: SLF001 (where it could not even say goodbye)
            self._look()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            self._is_over = True
            self._look()

    def _raise_if_ended(self, begun: "asyncio.Future[None]") -> None:
        """Of an end that came with the beginning, which aiomqtt forgets, to wait for messages."""
        if begun.done():
            self._lock.release()
            error = begun.exception()
            raise aiomqtt.MqttError(str(error or "connection closed")) from error

    def _look(self) -> None:
        """At why it ended, or asyncio says of each that nobody did."""
        for future in (self._connected, self._disconnected):
            if future.done() and not future.cancelled():
                future.exception()

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, *more: Any
    ) -> None:
        if self._is_over:
            return  # nobody would ask how it ended
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, *more)
        else:
            self._connected.set_exception(ClosedError("the broker closed the connection"))


def _raise_if_cancelled() -> None:
    """End when asked to: on Python 3.11 aiomqtt's wait_for may lose that, or an error hide it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
