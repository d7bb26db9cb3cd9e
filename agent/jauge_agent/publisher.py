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
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

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
from jauge_agent.lanes import Lane, Lanes
from jauge_agent.logs import Trouble, say
from jauge_agent.spool import Batch, Spool

STATE_PERIOD_S: Final = 60.0
LONGEST_RECONNECT_S: Final = 60.0

_STEADY_S: Final = 30.0
"""A connection that lasted this long was good: the next attempt comes soon."""
_CALL_TIMEOUT_S: Final = 10.0
_FAREWELL_S: Final = 2.0
_OUTGOING: Final = 64

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PublisherStats:
    """What the publisher has done since the agent started."""

    connected: bool = False
    connections: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Lost or failed connections: refused, network, file, bug."""
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
        self._wake = asyncio.Event()
        self._birth_due = asyncio.Event()
        self._connection = Trouble(_log, "broker", host=broker.host, port=broker.port)
        self._hearing = Trouble(_log, "collector")
        self._cut_birth_said = False
        # aiomqtt warns about every full queue and pending call: counted here, not said.
        self._client_log = logging.getLogger(f"{__name__}.mqtt")
        self._client_log.setLevel(logging.CRITICAL)

    def offer(self, batch: Batch) -> None:
        """A new batch lies in the spool: send it at once, if somebody listens."""
        if self.stats.connected:
            self._lanes.offer(batch)
            self._wake.set()

    def forget(self) -> None:
        """Batches were dropped from the spool because the clock was set back."""
        self._lanes.forget()
        self._wake.set()

    def announce(self) -> None:
        """What the agent offers has changed: send the birth document anew."""
        self._birth_due.set()

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
            client = self._client()
            async with client:
                try:
                    await self._session(client)
                finally:
                    self.stats.connected = False
                    # aiomqtt waits this long for the end of a connection that is dead already.
                    client.timeout = _FAREWELL_S
                    _retrieve_loss(client)
        except MqttConnectError as error:
            return "refused", str(error) or "the broker refused: check user, password, certificate"
        except aiomqtt.MqttError as error:
            return "network", str(error) or "connection lost"
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            return "file", str(error)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the measuring
            _log.debug("publisher failed", exc_info=error)
            return "bug", f"{type(error).__name__}: {error}"
        return "network", "connection closed"

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
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
            queue_type=_handing_to(self._take_answer),
            max_queued_outgoing_messages=_OUTGOING,
            logger=self._client_log,
        )

    async def _session(self, client: aiomqtt.Client) -> None:
        """Work until the connection is lost (MqttError) or the agent stops (CancelledError)."""
        client.pending_calls_threshold = _OUTGOING
        await client.subscribe(self._topic(Channel.ACK), qos=0)
        await self._publish_birth(client)
        await self._publish_state(client, online=True)
        self._lanes.connected(asyncio.get_running_loop().time())
        self.stats.connected = True
        self.stats.connections += 1
        if self.stats.connections == 1:
            say(_log, logging.INFO, "connected", host=self._broker.host, port=self._broker.port)
        self._connection.recovered()
        try:
            await _first_failure(
                self._send(client),
                self._receive(client),
                self._keep_state(client),
                self._keep_birth(client),
            )
        except asyncio.CancelledError:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await self._publish_state(client, online=False)
            raise

    async def _send(self, client: aiomqtt.Client) -> None:
        time = asyncio.get_running_loop().time
        topic = self._topic(Channel.READINGS)
        while True:
            self._wake.clear()
            choice = self._lanes.choose(time())
            if self._lanes.probing:
                self._hearing.lost("nobody answers; sending one batch at a time")
            if (batch := choice.batch) is None:
                await self._woken_by(choice.ask_again_at)
                continue
            self._lanes.sending(batch, choice.lane, time())
            try:
                await client.publish(topic, self._sealed(batch), qos=1)
            except aiomqtt.MqttError:
                self._lanes.failed(batch)
                raise
            self.stats.published[choice.lane] += 1

    async def _woken_by(self, moment: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self._wake.wait()

    async def _receive(self, client: aiomqtt.Client) -> None:
        """Wait for the loss of the connection; answers go their own way, see `_handing_to`."""
        async for _ in client.messages:
            pass

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
            self._wake.set()

    def _is_possible(self, answer: Answer) -> bool:
        newest = self._spool.newest_seq
        return all(1 <= low <= high <= newest for low, high in answer.stored) and all(
            1 <= seq <= newest for seq, _ in answer.refused
        )

    async def _keep_state(self, client: aiomqtt.Client) -> None:
        while True:
            await asyncio.sleep(STATE_PERIOD_S)
            await self._publish_state(client, online=True)

    async def _keep_birth(self, client: aiomqtt.Client) -> None:
        while True:
            await self._birth_due.wait()
            await self._publish_birth(client)

    async def _publish_state(self, client: aiomqtt.Client, *, online: bool) -> None:
        await client.publish(
            self._topic(Channel.STATE), self._state(online=online), qos=1, retain=True
        )

    async def _publish_birth(self, client: aiomqtt.Client) -> None:
        self._birth_due.clear()
        await client.publish(self._topic(Channel.BIRTH), self._birth(), qos=1, retain=True)

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


def _handing_to(take: Callable[[bytes], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """A queue that hands each message over at once.

    aiomqtt starts two tasks per message that it takes from a queue: at one answer a second that
    is a tenth of what the agent costs. Nothing waits here, so nothing needs a bound.
    """

    class Handing(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            take(item.payload)

    return Handing


def _tls_context(broker: BrokerConfig) -> ssl.SSLContext:
    """Made anew for each connection, so that renewed certificates are taken up."""
    authorities = str(resolved(broker.ca_file)) if broker.ca_file else None
    context = ssl.create_default_context(cafile=authorities)
    if broker.cert_file and broker.key_file:
        context.load_cert_chain(resolved(broker.cert_file), resolved(broker.key_file))
    return context


async def _first_failure(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run endless jobs side by side until one fails, and raise its exception alone.

    No task group: on Python 3.11 it can leave its task marked as cancelled, see `cancellation`.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()


def _retrieve_loss(client: aiomqtt.Client) -> None:
    """Take note of how the connection ended, or asyncio reports the exception as lost."""
    lost = client._disconnected  # noqa: SLF001 - aiomqtt 2 has no other way
    if lost.done() and not lost.cancelled():
        lost.exception()
