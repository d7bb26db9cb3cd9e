"""The publisher: everything that speaks MQTT.

A PUBACK means nothing here: only the collector's answer frees a batch. Sessions are clean, and
every connection starts from the spool.
"""

import asyncio
import contextlib
import logging
import math
import random
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.wire import (
    MAX_BIRTH_RESOURCES,
    MAX_PAYLOAD_BYTES,
    Address,
    Answer,
    Birth,
    Channel,
    ResourceDescription,
    SourceDescription,
    State,
    WireError,
    decode_answer,
    encode,
    seal,
)

from jauge_agent import __version__
from jauge_agent.cancellation import raise_if_cancelled
from jauge_agent.clock import synchronised
from jauge_agent.config import BrokerConfig, resolved, secret
from jauge_agent.connection import ClosedError, Connection
from jauge_agent.lanes import Lane, Lanes
from jauge_agent.logs import Trouble, say
from jauge_agent.numbers import Numbers
from jauge_agent.spool import Batch, Spool

STATE_PERIOD_S: Final = 60.0
LONGEST_RECONNECT_S: Final = 60.0

_STEADY_S: Final = 30.0
"""A connection that lasted this long was good: the next attempt comes soon."""
_CALL_TIMEOUT_S: Final = 10.0
_FAREWELL_S: Final = 2.0
_OUTGOING: Final = 64
_IN_FLIGHT: Final = 16
"""Batches without a PUBACK: below the 20 that paho sends before it queues."""

_SECURITY: Final = "cert_file and key_file, and what the broker asks for"
_PORT: Final = "the port, and whether the broker wants TLS"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PublisherStats:
    """What the publisher has done since the agent started."""

    connected: bool = False
    connections: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Lost or failed connections: refused, tls, network, file, bug."""
    published: Counter[Lane] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """Answers received: taken, foreign (another boot), bad."""
    last_answer_ms: int | None = None


class Publisher:
    """Keeps one connection to the broker and sends what the lanes choose."""

    def __init__(
        self,
        broker: BrokerConfig,
        *,
        address: Address,
        boot: str,
        spool: Spool,
        resend_after_s: float,
        now_ms: Callable[[], int],
        open_tick_ms: Callable[[], int | None],
        describe: Callable[[], tuple[list[SourceDescription], list[ResourceDescription]]],
        chance: random.Random,
    ) -> None:
        """``open_tick_ms``: time of the oldest tick whose batches are not all in the spool."""
        self.stats = PublisherStats()
        self._broker = broker
        self._address = address
        self._boot = boot
        self._spool = spool
        self._lanes = Lanes(spool, resend_after_s, chance)
        self._now_ms = now_ms
        self._open_tick_ms = open_tick_ms
        self._describe = describe
        self._chance = chance
        self._client: Connection | None = None
        self._outstanding: dict[int, tuple[float, Batch | None]] = {}
        """Messages without a PUBACK by their number: when they were sent, and the batch."""
        self._sent = Numbers()
        """Of every batch sent under this boot: only these can have an answer."""
        self._birth_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._pumping: asyncio.Handle | None = None
        self._connection = Trouble(_log, "broker", host=broker.host, port=broker.port)
        self._hearing = Trouble(_log, "collector")
        self._cut_birth_said = False
        # aiomqtt warns about every full queue and pending call: counted here, not said.
        self._client_log = logging.getLogger(f"{__name__}.mqtt")
        self._client_log.setLevel(logging.CRITICAL)

    def offer(self, batch: Batch) -> None:
        """A new batch lies in the spool: send it at once, if somebody listens."""
        if self._client is not None:
            self._lanes.offer(batch)
            self._pump()

    def forget(self) -> None:
        """Batches were dropped from the spool because the clock was set back."""
        self._lanes.forget()
        self._pump_soon()

    def announce(self) -> None:
        """What the agent offers has changed: send the birth document anew."""
        self._birth_due = True
        self._pump_soon()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled; then say goodbye."""
        attempt = 0
        time = asyncio.get_running_loop().time
        while True:
            begun = time()
            reason, detail = await self._connect_once()
            raise_if_cancelled()
            self.stats.failures[reason] += 1
            self._connection.lost(detail, reason=reason)
            attempt = 0 if time() - begun > _STEADY_S else attempt + 1
            longest = min(2.0**attempt, LONGEST_RECONNECT_S)
            await asyncio.sleep(longest * self._chance.uniform(0.5, 1.0))

    async def _connect_once(self) -> tuple[str, str]:
        """One connection from its start to its end, which is always a failure: says which."""
        try:
            client = self._new_client()
            try:
                async with client:
                    # On Python 3.11 aiomqtt's wait_for may have lost a cancellation.
                    raise_if_cancelled()
                    try:
                        await self._session(client)
                    finally:
                        self._end_session()
                        # aiomqtt waits this long for the end of a connection that is dead already.
                        client.timeout = _FAREWELL_S
            finally:
                client.abandon()
        except MqttConnectError as error:
            return "refused", str(error) or "the broker refused: check user, password, certificate"
        except ClosedError as error:
            return "refused", f"{error} at once: check {_SECURITY if self._broker.tls else _PORT}"
        except aiomqtt.MqttError as error:
            # aiomqtt hides what it translates, but does not lose it.
            reason = "tls" if isinstance(error.__context__, ssl.SSLError) else "network"
            return reason, str(error) or "connection lost"
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            return "file", str(error)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the measuring
            _log.debug("publisher failed", exc_info=error)
            return "bug", f"{type(error).__name__}: {error}"
        return "network", "connection closed"

    def _new_client(self) -> Connection:
        broker = self._broker
        return Connection(
            broker.host,
            broker.port,
            username=broker.username,
            password=secret(broker.password_file) if broker.password_file else None,
            # One name, so that a broker ends a half-open connection and sends its will before
            # this one says that it is online.
            identifier=f"jauge-agent:{self._address.site}:{self._address.agent}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=broker.keepalive_s,
            tls_context=_tls_context(broker) if broker.tls else None,
            will=aiomqtt.Will(
                self._topic(Channel.STATE), self._state(online=False), 1, retain=True
            ),
            timeout=_CALL_TIMEOUT_S,
            on_payload=self._take_answer,
            on_acknowledged=self._acknowledged,
            max_queued_outgoing_messages=_OUTGOING,
            logger=self._client_log,
        )

    async def _session(self, client: Connection) -> None:
        """Work until the connection is lost (MqttError) or the agent stops (CancelledError)."""
        await client.subscribe(self._topic(Channel.ACK), qos=0)
        raise_if_cancelled()
        self._birth_due = True
        self._lanes.connected(asyncio.get_running_loop().time())
        self._client = client
        self.stats.connected = True
        self.stats.connections += 1
        if self.stats.connections == 1:
            say(_log, logging.INFO, "connected", host=self._broker.host, port=self._broker.port)
        self._connection.recovered()
        try:
            await self._keep(client)
        except asyncio.CancelledError:
            with contextlib.suppress(aiomqtt.MqttError):
                self._send_state(client, online=False)
            raise

    async def _keep(self, client: Connection) -> None:
        """Send what is due until the connection is lost; raises why, an MqttError."""
        time = asyncio.get_running_loop().time
        look_every_s = min(_CALL_TIMEOUT_S, self._broker.keepalive_s) / 2
        state_at = time()
        self._pump()
        while not client.lost.done():
            now = time()
            if now >= state_at:
                state_at = now + STATE_PERIOD_S
                self._send_state(client, online=True)
            client.read()
            if any(at + _CALL_TIMEOUT_S < now for at, _ in self._outstanding.values()):
                client.break_off(aiomqtt.MqttError("the broker acknowledges nothing"))
            client.keep_alive()
            await asyncio.wait((client.lost,), timeout=look_every_s)
        error = client.lost.exception()
        if isinstance(error, OSError):
            raise aiomqtt.MqttError(str(error)) from error
        if error is not None:
            raise error

    def _end_session(self) -> None:
        self.stats.connected = False
        self._client = None
        for handle in (self._timer, self._pumping):
            if handle is not None:
                handle.cancel()
        self._timer = self._pumping = None
        for _, batch in self._outstanding.values():
            if batch is not None:
                self._lanes.failed(batch)
        self._outstanding.clear()

    def _pump_soon(self) -> None:
        """Pump when the client may be used, which it may not from within its own calls."""
        if self._client is not None and self._pumping is None:
            self._pumping = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Send what the lanes choose, as long as the broker keeps up."""
        client = self._client
        if client is None:
            return
        # First what has come in: no batch goes again whose answer lies there.
        client.read()
        if self._pumping is not None:
            self._pumping.cancel()
            self._pumping = None
        if client.lost.done():
            return
        try:
            if self._birth_due:
                self._send_birth(client)
            self._send_batches(client)
        except Exception as error:  # noqa: BLE001 - whoever offers a batch must not suffer from it
            client.break_off(error)

    def _send_batches(self, client: Connection) -> None:
        loop = asyncio.get_running_loop()
        while len(self._outstanding) < _IN_FLIGHT:
            now = loop.time()
            choice = self._lanes.choose(now)
            if self._lanes.probing:
                self._hearing.lost("nobody answers; sending one batch at a time")
            if (batch := choice.batch) is None:
                self._pump_at(choice.ask_again_at)
                client.gather()
                return
            self._lanes.sending(batch, choice.lane, now)
            self._sent.add(batch.seq)
            try:
                number = client.send(self._topic(Channel.READINGS), self._sealed(batch))
            except aiomqtt.MqttError:
                self._lanes.failed(batch)
                raise
            self._outstanding[number] = (now, batch)
            self.stats.published[choice.lane] += 1
        client.listen()  # for the PUBACKs that make room

    def _pump_at(self, moment: float) -> None:
        """Pump at ``moment``, or earlier where that is planned already."""
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._pump_by_timer)

    def _pump_by_timer(self) -> None:
        self._timer = None
        self._pump()

    def _acknowledged(self, number: int) -> None:
        """A PUBACK: it says only that the broker keeps up."""
        if len(self._outstanding) >= _IN_FLIGHT:
            self._pump_soon()
        self._outstanding.pop(number, None)

    def _take_answer(self, payload: bytes) -> None:
        try:
            answer = decode_answer(payload)
        except WireError as error:
            self.stats.answers["bad"] += 1
            _log.debug("bad answer: %s", error)
            return
        if answer.boot != self._boot:
            self.stats.answers["foreign"] += 1
            return
        if not self._is_possible(answer):
            self.stats.answers["bad"] += 1
            _log.debug("impossible answer: %r", answer)
            return
        self.stats.answers["taken"] += 1
        self.stats.last_answer_ms = self._now_ms()
        self._spool.settle(answer.stored, answer.refused)
        self._lanes.answered(answer.stored, answer.refused, asyncio.get_running_loop().time())
        self._hearing.recovered()
        if self._spool.spooled.batches:
            self._pump_soon()

    def _is_possible(self, answer: Answer) -> bool:
        """Whether it names only batches that were sent under this boot."""
        return all(self._sent.covers(low, high) for low, high in answer.stored) and all(
            self._sent.covers(seq, seq) for seq, _ in answer.refused
        )

    def _send_state(self, client: Connection, *, online: bool) -> None:
        self._send(client, Channel.STATE, self._state(online=online))

    def _send_birth(self, client: Connection) -> None:
        self._birth_due = False
        self._send(client, Channel.BIRTH, self._birth())

    def _send(self, client: Connection, channel: Channel, payload: bytes) -> None:
        number = client.send(self._topic(channel), payload, retain=True)
        self._outstanding[number] = (asyncio.get_running_loop().time(), None)

    def _topic(self, channel: Channel) -> str:
        return self._address.topic(channel)

    def _sealed(self, batch: Batch) -> bytes:
        unanswered = (batch.time_ms, self._spool.oldest_ms(), self._open_tick_ms())
        return seal(
            batch.body,
            address=self._address,
            boot=self._boot,
            seq=batch.seq,
            oldest_ms=min(moment for moment in unanswered if moment is not None),
            time_ms=batch.time_ms,
        )

    def _state(self, *, online: bool) -> bytes:
        return encode(
            State(
                boot=self._boot,
                online=online,
                sent_at=self._now_ms() / 1000,
                synchronised=synchronised(),
                spooled=self._spool.spooled.batches,
            )
        )

    def _birth(self) -> bytes:
        """The birth document, cut to what the protocol allows."""
        sources, resources = self._describe()
        kept = resources[:MAX_BIRTH_RESOURCES]
        while True:
            document = encode(
                Birth(
                    boot=self._boot,
                    version=__version__,
                    sent_at=self._now_ms() / 1000,
                    sources=sources,
                    resources=kept,
                )
            )
            if len(document) <= MAX_PAYLOAD_BYTES or not kept:
                break
            kept = kept[: math.floor(len(kept) * 0.9)]
        if len(kept) < len(resources) and not self._cut_birth_said:
            self._cut_birth_said = True
            say(_log, logging.WARNING, "birth cut", described=len(kept), resources=len(resources))
        return document


class _ClosingSocket(ssl.SSLSocket):
    """Closed when its handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _tls_context(broker: BrokerConfig) -> ssl.SSLContext:
    """Made anew for each connection, so that renewed certificates are taken up."""
    authorities = str(resolved(broker.ca_file)) if broker.ca_file else None
    context = ssl.create_default_context(cafile=authorities)
    context.sslsocket_class = _ClosingSocket
    if broker.cert_file and broker.key_file:
        context.load_cert_chain(resolved(broker.cert_file), resolved(broker.key_file))
    return context
