"""The publisher: everything that speaks MQTT.

A PUBACK means nothing here: only the collector's answer frees a batch. Sessions are clean, and
every connection starts from the spool.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import aiomqtt
from jauge_models.wire import (
    Address,
    Answer,
    Channel,
    WireError,
    decode_answer,
    seal,
)

from jauge_agent.announcements import Announcements
from jauge_agent.broker import Broker
from jauge_agent.cancellation import raise_if_cancelled
from jauge_agent.config import BrokerConfig
from jauge_agent.connection import Connection
from jauge_agent.hearing import Heard, Hearing
from jauge_agent.lanes import Lane, Lanes
from jauge_agent.logs import Trouble, say
from jauge_agent.numbers import Numbers
from jauge_agent.refusal import Failure
from jauge_agent.spool import Batch, Spool

STATE_PERIOD_S: Final = 60.0
LONGEST_RECONNECT_S: Final = 60.0

FILES_PERIOD_S: Final = 60.0
"""How often certificates are looked at for renewal and for their end."""

_STEADY_S: Final = 30.0
"""A connection that lasted this long was good: the next attempt comes soon."""
_CALL_TIMEOUT_S: Final = 10.0
_FAREWELL_S: Final = 2.0
_MOMENT_S: Final = 0.05
_IN_FLIGHT: Final = 16
"""Batches without a PUBACK: below the 20 that paho sends before it queues."""

_CUT_SHORT_S: Final = 10.0
"""A connection without an answer that ends sooner may have been ended for what was published."""

_TOO_OFTEN: Final = 3
"""So many connections cut short in a row are no accident."""
_TAKEN_OVER: Final = (
    "each connection is ended soon after it was made: another client uses this certificate or "
    "name: two agents under one name?"
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PublisherStats:
    """What the publisher has done since the agent started."""

    connected: bool = False
    connections: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Lost or failed connections by `Failure`."""
    published: Counter[Lane] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """Answers received: taken, foreign (another boot), bad."""
    last_answer_ms: int | None = None


class _Ending(NamedTuple):
    """How a connection ended that ended by itself."""

    reason: Failure
    detail: str


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
        announcements: Announcements,
        chance: random.Random,
    ) -> None:
        """``open_tick_ms``: time of the oldest tick whose batches are not all in the spool."""
        self.stats = PublisherStats()
        self.hearing = Hearing(_log, address.base_name[:-1])
        self.broker = Broker(broker, address)
        self._address = address
        self._topics = {channel: address.topic(channel) for channel in Channel}
        self._boot = boot
        self._spool = spool
        self._lanes = Lanes(spool, resend_after_s, chance)
        self._now_ms = now_ms
        self._open_tick_ms = open_tick_ms
        self._announcements = announcements
        self._chance = chance
        self._client: Connection | None = None
        self._outstanding: dict[int, tuple[float, Batch | None]] = {}
        """Messages without a PUBACK by their number: when they were sent, and the batch."""
        self._sent = Numbers()
        """Of every batch sent under this boot: only these can have an answer."""
        self._birth_due = False
        self._question_due = False
        self._cut_short = 0
        """Connections in a row that were accepted and did not become steady."""
        self._timer: asyncio.TimerHandle | None = None
        self._pumping: asyncio.Handle | None = None
        self._is_reading = False
        self._files_at = 0.0
        where: dict[str, Any] = {"host": broker.host, "port": broker.port}
        self._trouble = Trouble(_log, "broker", words=("not reached", "reached"), **where)
        self._later_trouble = Trouble(_log, "broker", **where)
        """What takes the place of the other once the broker has been reached."""

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

    def look_at_files(self) -> None:
        """Renewed certificates may be there: look soon, not only when it is time."""
        self._files_at = 0.0

    async def run(self) -> None:
        """Connect, and connect again, until cancelled; then say goodbye."""
        attempt = 0
        while True:
            begun = time.monotonic()
            before = self.stats.connections, self.stats.answers["taken"]
            ending = await self._connect_once()
            raise_if_cancelled()
            if ending is None:
                await self._ask_when_due()
                continue  # with renewed certificates, or after the question
            lasted = time.monotonic() - begun
            connections, answers = self.stats.connections, self.stats.answers["taken"]
            if lasted < _CUT_SHORT_S and (connections, answers) == (before[0] + 1, before[1]):
                ending = await self._explained(ending)
            unexplained = connections > before[0] and ending.reason is Failure.NETWORK
            self._count_short(unexplained=unexplained, lasted=lasted)
            if self._is_contested:
                ending = _Ending(Failure.TAKEN_OVER, _TAKEN_OVER)
            self.stats.failures[ending.reason] += 1
            self._trouble.lost(ending.detail, cause=ending.reason, reason=ending.reason)
            attempt = 0 if lasted > _STEADY_S else attempt + 1
            longest = min(2.0**attempt, LONGEST_RECONNECT_S)
            await asyncio.sleep(longest * self._chance.uniform(0.5, 1.0))

    def _count_short(self, *, unexplained: bool, lasted: float) -> None:
        """Take note of a connection, or an attempt at one, and whether nothing tells why it ended.

        Of two clients under one name each holds it until the other tries again, so that once they
        are at it a longer one is no sign of peace.
        """
        limit = LONGEST_RECONNECT_S if self._is_contested else _STEADY_S
        self._cut_short = self._cut_short + 1 if unexplained and lasted < limit else 0

    @property
    def _is_contested(self) -> bool:
        return self._cut_short >= _TOO_OFTEN

    async def _connect_once(self) -> _Ending | None:
        """One connection from its start to its end: how it ended, if not by our will."""
        client = None
        try:
            client = self.broker.connection(
                will=self._announcements.state(online=False),
                timeout_s=_CALL_TIMEOUT_S,
                on_payload=self._take_answer,
                on_acknowledged=self._acknowledged,
            )
            async with client:
                # On Python 3.11 aiomqtt's wait_for may have lost a cancellation.
                raise_if_cancelled()
                try:
                    await self._session(client)
                finally:
                    self._end_session()
                    # aiomqtt waits this long for the end of a connection that is dead already.
                    client.timeout = _FAREWELL_S
        except Exception as error:  # noqa: BLE001 - a bug here must not end the measuring
            ending = _Ending(*self.broker.explain(error, client))
            if ending.reason is Failure.BUG:
                _log.debug("publisher failed", exc_info=error)
            return ending
        finally:
            if client is not None:
                client.abandon()
        return None

    async def _explained(self, ending: _Ending) -> _Ending:
        """Whether a connection was cut short by the broker for what was published over it."""
        if self.hearing.standing is not Heard.REFUSED:
            standing = await self._ask()
            if standing is not Heard.REFUSED:
                return ending
            self.hearing.found(standing, time.monotonic())
        return _Ending(Failure.NOT_PERMITTED, self.hearing.line(Heard.REFUSED))

    async def _ask_when_due(self) -> None:
        """Find out why nobody answers, if that was why the connection ended."""
        if not self._question_due:
            return
        self._question_due = False
        standing = await self._ask()
        if self.hearing.waiting_since is not None:  # and no answer came meanwhile
            self.hearing.found(standing, asyncio.get_running_loop().time())

    async def _ask(self) -> Heard:
        """Ask the broker what becomes of the newest batch; of the birth where there is none."""
        newest = self._spool.newest()
        batch = None if newest is None else self._spool.get(newest)
        if batch is None:
            return await self.broker.ask(Channel.BIRTH, self._announcements.birth())
        self._sent.add(batch.seq)
        return await self.broker.ask(Channel.READINGS, self._sealed(batch))

    async def _session(self, client: Connection) -> None:
        """Work until the connection is lost (an error) or the agent stops (CancelledError).

        Returns when the connection shall be made anew: with renewed certificates, or after a
        question to the broker, which may allow one connection to a certificate.
        """
        await client.hear(self._topics[Channel.ACK])
        raise_if_cancelled()
        self._birth_due = True
        self._lanes.connected(asyncio.get_running_loop().time())
        self._client = client
        self.stats.connected = True
        self.stats.connections += 1
        if self.stats.connections == 1:
            broker = self.broker.config
            say(_log, logging.INFO, "connected", host=broker.host, port=broker.port)
        if self.hearing.standing is not Heard.REFUSED and not self._is_contested:
            self._recovered()
        try:
            await self._keep(client)
        except asyncio.CancelledError:
            with contextlib.suppress(aiomqtt.MqttError):
                self._send_state(client, online=False)
            # What lies unread when the socket is closed makes the broker see a broken connection,
            # and it would send the will after the state.
            await self._finish(client)
            raise

    def _recovered(self) -> None:
        """The connection holds."""
        self._trouble.recovered()
        self._trouble = self._later_trouble

    async def _keep(self, client: Connection) -> None:
        """Send what is due until the connection is lost, and raise why; or see `_session`."""
        loop = asyncio.get_running_loop()
        look_every_s = min(_CALL_TIMEOUT_S, self.broker.config.keepalive_s / 2)
        begun = state_at = loop.time()
        self._files_at = begun + FILES_PERIOD_S
        self._pump()
        while not client.lost.done():
            now = loop.time()
            if now >= state_at:
                state_at = now + STATE_PERIOD_S
                self._send_state(client, online=True)
            client.read()
            if any(at + _CALL_TIMEOUT_S < now for at, _ in self._outstanding.values()):
                client.break_off(aiomqtt.MqttError("the broker acknowledges nothing"))
            client.keep_alive()
            holds_s = LONGEST_RECONNECT_S if self._is_contested else _CUT_SHORT_S
            if self._trouble.lasting and now >= begun + holds_s:
                self._cut_short = 0
                self._recovered()
            if now >= self._files_at:
                self._files_at = now + FILES_PERIOD_S
                self.broker.keyring.say_validity()
                if self.broker.keyring.is_renewed():
                    await self._finish(client)
                    say(_log, logging.INFO, "credentials renewed", host=self.broker.config.host)
                    return
            if self._lanes.probing and self.hearing.should_ask(now):
                self._question_due = True
                await self._finish(client)
                return
            await asyncio.wait((client.lost,), timeout=look_every_s)
        error = client.lost.exception()
        if error is None or isinstance(error, OSError):
            raise aiomqtt.MqttError(str(error or "connection closed")) from error
        raise error

    async def _finish(self, client: Connection) -> None:
        """Send nothing more, and let the broker acknowledge what was sent."""
        self._client = None
        client.listen()
        deadline = time.monotonic() + _FAREWELL_S
        while self._outstanding and not client.lost.done() and time.monotonic() < deadline:
            await asyncio.wait((client.lost,), timeout=_MOMENT_S)

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
        if self._client is not None and self._pumping is None and not self._is_reading:
            self._pumping = asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Send what the lanes choose, as long as the broker keeps up."""
        client = self._client
        if client is None:
            return
        if client.is_ripe or self._is_time_for_more():
            # What is to be sent for it is sent here, without another turn of the loop.
            self._is_reading = True
            try:
                client.read()
            finally:
                self._is_reading = False
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
            if (batch := choice.batch) is None:
                self._pump_at(choice.ask_again_at)
                client.gather()
                return
            self._lanes.sending(batch, choice.lane, now)
            self._sent.add(batch.seq)
            self.hearing.sent(now)
            try:
                number = client.send(self._topics[Channel.READINGS], self._sealed(batch))
            except aiomqtt.MqttError:
                self._lanes.failed(batch)
                raise
            self._outstanding[number] = (now, batch)
            self.stats.published[choice.lane] += 1
            if self._timer is not None and self._lanes.was_last(choice.lane):
                client.gather()
                return
        client.listen()  # for the PUBACKs that make room

    def _is_time_for_more(self) -> bool:
        """Whether more than new batches may go: none goes again whose answer lies unread."""
        return self._timer is None or self._timer.when() <= asyncio.get_running_loop().time()

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

    def _acknowledged(self, number: int, _: int) -> None:
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
        now = asyncio.get_running_loop().time()
        self._lanes.answered(answer.stored, answer.refused, now)
        more = self._spool.spooled.batches > 0
        self.hearing.answered(now, more=more)
        if more:
            self._pump_soon()

    def _is_possible(self, answer: Answer) -> bool:
        """Whether it names only batches that were sent under this boot."""
        for low, high in answer.stored:
            if not self._sent.covers(low, high):
                return False
        return all(self._sent.covers(seq, seq) for seq, _ in answer.refused)

    def _send_state(self, client: Connection, *, online: bool) -> None:
        self._send(client, Channel.STATE, self._announcements.state(online=online))

    def _send_birth(self, client: Connection) -> None:
        self._birth_due = False
        self._send(client, Channel.BIRTH, self._announcements.birth())

    def _send(self, client: Connection, channel: Channel, payload: bytes) -> None:
        number = client.send(self._topics[channel], payload, retain=True)
        self._outstanding[number] = (asyncio.get_running_loop().time(), None)

    def _sealed(self, batch: Batch) -> bytes:
        oldest_ms = batch.time_ms
        if (spooled_ms := self._spool.oldest_ms()) is not None:
            oldest_ms = min(oldest_ms, spooled_ms)
        if (open_ms := self._open_tick_ms()) is not None:
            oldest_ms = min(oldest_ms, open_ms)
        return seal(
            batch.body,
            address=self._address,
            boot=self._boot,
            seq=batch.seq,
            oldest_ms=oldest_ms,
            time_ms=batch.time_ms,
        )
