"""From the inbox to the store, and from the store to the answer."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from jauge_models.readings import Reading
from jauge_models.wire import (
    Address,
    Channel,
    Reason,
    WireError,
    decode_birth,
    decode_state,
    encode,
)

from jauge_collector.answers import Answers, Arrival
from jauge_collector.births import Births
from jauge_collector.checks import MALFORMED, Batch, Checks, PackError
from jauge_collector.clock import OwnClock, wall_ms
from jauge_collector.faults import Faults, Named, printable
from jauge_collector.fed import Fed
from jauge_collector.inbox import Inbox, Received
from jauge_collector.inventory import Agent, Inventory
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.marks import Marks
from jauge_collector.packs import Together
from jauge_collector.progress import Progress
from jauge_collector.skew import Skews
from jauge_collector.stores import Store, StoreError
from jauge_collector.stores.influxdb import InfluxSink
from jauge_collector.subscriber import Subscriber
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

_MESSAGES_PER_ROUND: Final = 256
"""Enough for a whole request to the store, few enough to keep the event loop free."""
_GATHER_S: Final = 0.05
"""One request to the store, and one commit, for what comes within it."""
_READINGS_TOPIC: Final = f"/{Channel.READINGS}"
_BIRTH_TOPIC: Final = f"/{Channel.BIRTH}"
_LONGEST_BACK_OFF_S: Final = 5.0
_ANSWER_EVERY_S: Final = 0.5
HANGS_AFTER_S: Final = 20.0
"""Longer than the store or the ledger may take to fail: waiting for them with a deadline is
progress, and each says that it is over."""
STALLS_AFTER_S: Final = 3.0
"""Until a call of the store fails, /readyz shows it as not ready from then on."""
_ANSWER_EVERY_UNSETTLED_S: Final = 0.05
"""Where the store settles at once, nothing is gained by waiting to merge answers."""

CLONE: Final = "clone"
STORE: Final = "store"
LEDGER: Final = "ledger"
RESTARTED: Final = "restarted"
PENDING: Final = "pending"
RETAINED: Final = "retained"
"""Somebody has let the broker keep a pack: it comes at every connection and is no sign of life."""
AGENTS: Final = "agents"
"""As many agents are known as may be, and this one is new."""
BUG: Final = "bug"
"""Reasons why a pack gets no answer, beside those of `wire.Reason`."""


class _Accepted(NamedTuple):
    batch: Batch
    agent: Agent
    received_ms: int


class Ingest:
    """Stores what arrives and answers it once that is durable. `store` and `answer` run forever.

    Nothing here holds up for long: what the store or the ledger fails to take is forgotten
    unanswered, and its agent sends it again.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        subscriber: Subscriber,
        store: Store,
        ledger: Ledger,
        checks: Checks,
        inventory: Inventory,
        faults: Faults,
        telemetry: Telemetry,
        sink: InfluxSink | None = None,
        fed: Fed | None = None,
        progress: Progress | None = None,
        now_ms: Callable[[], int] = wall_ms,
        clock: OwnClock | None = None,
    ) -> None:
        self._inbox = inbox
        self._subscriber = subscriber
        self._store = store
        self._ledger = ledger
        self._checks = checks
        self._inventory = inventory
        self._faults = faults
        self._telemetry = telemetry
        self._sink = sink
        self._now_ms = now_ms
        self.clock = clock or OwnClock()
        progress = progress or Progress()
        self._storing = progress.stage("store", HANGS_AFTER_S)
        self._answering = progress.stage("answer", HANGS_AFTER_S)
        self.marks = Marks()
        self._skews = Skews()
        self._marking = asyncio.Lock()
        self._births = Births(ledger, telemetry, self._storing.alive)
        self._asked_s: float | None = None
        """Since when the running call of the store has not come back."""
        self._bug_told = False
        self._named = Named()
        self._generation: str | None = None
        self._oldest_kept_ms = 0
        self._stirred = asyncio.Event()
        self.answers = Answers(store.settle_s, time.monotonic)
        self.fed = fed or Fed(())
        self.store_problem = ""
        """Why the store took nothing last time; empty while it works."""
        self.ledger_problem = ""

    async def store(self) -> None:
        """Take messages from the inbox, round by round."""
        try:
            await asyncio.to_thread(self._learn)
        except LedgerError as error:
            self.ledger_failed(error)
        back_off_s = 0.0
        while True:
            messages = await self._inbox.take(_MESSAGES_PER_ROUND, gather_s=_GATHER_S)
            with self._storing.step():
                taken = await self._round(messages)
            if taken:
                back_off_s = 0.0
            else:
                back_off_s = min(max(0.5, back_off_s * 2), _LONGEST_BACK_OFF_S)
                await asyncio.sleep(back_off_s * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)

    async def answer(self) -> None:
        """Send answers as they fall due, while there is a broker to send them to."""
        every_s = _ANSWER_EVERY_S if self._store.settle_s else _ANSWER_EVERY_UNSETTLED_S
        while True:
            await self._something_due()
            await self._subscriber.connected.wait()
            try:
                with self._answering.step():
                    await self._answer_due()
            except StoreError as error:
                self.store_failed(error)
            await asyncio.sleep(every_s)

    @property
    def undelivered(self) -> int:
        """Births that wait for the ledger."""
        return len(self._births)

    async def write_marks(self) -> None:
        """Make what was noted for the ledger durable. Raises LedgerError."""
        async with self._marking:
            due = self.marks.take(self._now_ms())
            if due.is_empty:
                return
            try:
                await asyncio.to_thread(
                    self._ledger.record,
                    due.arrived,
                    due.oldest_ms,
                    due.stamp_ms,
                    due.wrong_clocks,
                )
            except BaseException:
                self.marks.failed(due)
                raise
            self.marks.written(due)

    async def write_births(self) -> None:
        """Tell the ledger what births say. Raises LedgerError."""
        async with self._marking:
            await self._births.write()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """A call of the store, which ends by its own deadline."""
        self._asked_s = time.monotonic()
        try:
            yield
        finally:
            self._asked_s = None
            self._storing.alive()

    @property
    def store_stalls(self) -> str:
        """For how long the store has not answered what it was asked; empty while it does."""
        if self._asked_s is None or (waited_s := time.monotonic() - self._asked_s) < STALLS_AFTER_S:
            return ""
        return f"has not answered for {waited_s:.0f} s"

    async def _round(self, messages: Sequence[Received]) -> bool:
        """Judge, store and mark; whether store and ledger took it."""
        try:
            with self._asking():
                if self._generation is None:
                    self._generation = await self._store.generation()
                generation = self._generation
                self._oldest_kept_ms = await self._store.oldest_kept_ms(self._now_ms())
        except StoreError as error:
            self.store_failed(error)
            generation = None
        if any(message.topic.endswith(_BIRTH_TOPIC) for message in messages):
            await self._heed_forgetting()
        accepted = self._judged(messages)
        if self._births:
            try:
                await self.write_births()
            except LedgerError as error:
                self.ledger_failed(error)
                return self._forget(accepted, LEDGER)
            finally:
                self._storing.alive()
        if not accepted:
            return generation is not None
        if generation is None:
            return self._forget(accepted, STORE)
        readings = Together(taken.batch.readings for taken in accepted)
        return await self._keep(accepted, readings, generation)

    async def _heed_forgetting(self) -> None:
        """Once names have gone from the ledger, whoever returns is news to it."""
        try:
            await self._births.heed_forgetting()
        except LedgerError as error:
            self.ledger_failed(error)

    def _judged(self, messages: Sequence[Received]) -> list[_Accepted]:
        """Packs of which all that is right may be stored; whatever else came is noted."""
        accepted: list[_Accepted] = []
        kinds: Counter[str] = Counter()
        for message in messages:
            try:
                if not message.topic.endswith(_READINGS_TOPIC):
                    self._note_document(message, kinds)
                    continue
                kinds[Channel.READINGS] += 1
                taken = self._judge(message)
            except Exception as error:  # noqa: BLE001 (one message must not stop the storing of all)
                self._note_bug(message, error)
                continue
            if taken is not None:
                accepted.append(taken)
        for channel, count in kinds.items():
            self._telemetry.messages.labels(channel).inc(count)
        left_out = Counter(flaw for taken in accepted for flaw, _ in taken.batch.left_out)
        for reason, count in left_out.items():
            self._telemetry.readings_refused.labels(reason).inc(count)
        self._telemetry.readings_received.inc(
            left_out.total() + sum(len(taken.batch.readings) for taken in accepted)
        )
        return accepted

    async def _keep(
        self, accepted: Sequence[_Accepted], readings: Sequence[Reading], generation: str
    ) -> bool:
        if self.marks.is_full and not await self._marks_written():
            self._telemetry.queue_dropped.labels("marks").inc(len(accepted))
            return self._forget(accepted, LEDGER)
        if readings:
            before = dict(self._store.left_out)
            try:
                with self._asking():
                    await self._store.write(readings)
            except StoreError as error:
                self.store_failed(error)
                return self._forget(accepted, STORE)
            kept = len(readings)
            for reason, count in self._store.left_out.items():
                if risen := count - before.get(reason, 0):
                    self._telemetry.readings_refused.labels(f"store_{reason}").inc(risen)
                    kept -= risen
            self._telemetry.readings_stored.inc(kept)
            self.store_works()
            if self._sink is not None:
                self._sink.offer(readings)
        now_ms = self._now_ms()
        self._telemetry.packs_stored.inc(len(accepted))
        self._telemetry.store_delay.observe((now_ms - accepted[0].received_ms) / 1000)
        for taken in accepted:
            batch, agent = taken.batch, taken.agent
            agent.oldest_ms = min(batch.oldest_ms, batch.time_ms)
            agent.newest_ms = max(batch.time_ms, agent.newest_ms or 0)
            self.fed.note(batch.address, batch.readings)
            self.marks.note(batch.address, batch.times_ms, agent.oldest_ms)
        if self.marks.waiting and not await self._marks_written():
            return self._forget(accepted, LEDGER)
        arrivals = [
            Arrival(taken.batch.address, taken.batch.boot, taken.batch.seq, taken.received_ms)
            for taken in accepted
        ]
        if too_many := self.answers.stored(arrivals, generation):
            self._telemetry.packs_unanswered.labels(PENDING).inc(too_many)
            self._telemetry.queue_dropped.labels("answers").inc(too_many)
        self._stirred.set()
        return True

    async def _marks_written(self) -> bool:
        try:
            await self.write_marks()
        except LedgerError as error:
            self.ledger_failed(error)
            return False
        self.ledger_works()
        return True

    def _judge(self, message: Received) -> _Accepted | None:
        now_ms = message.time_ms
        if message.retained:
            self._telemetry.packs_unanswered.labels(RETAINED).inc()
            self._faults.note(
                RETAINED,
                time_ms=now_ms,
                topic=message.topic,
                detail="clear what the broker keeps of this topic",
                payload=message.payload,
            )
            return None
        try:
            batch = self._checks.batch(message.topic, message.payload, now_ms, self._oldest_kept_ms)
        except PackError as error:
            self._reject(message, error)
            return None
        self._inbox.note_readings(message, len(batch.readings) + len(batch.left_out))
        if not self._inventory.has_room(batch.address, now_ms):
            self._telemetry.packs_unanswered.labels(AGENTS).inc()
            self._note_crowd(message)
            return None
        agent = self._inventory.seen(batch.address, now_ms)
        if agent.heard(batch.boot, now_ms):
            self._tell_of_quarantine(agent)
        if agent.quarantined_since_ms is not None:
            self._telemetry.packs_unanswered.labels(CLONE).inc()
            self._faults.note(
                CLONE,
                time_ms=now_ms,
                topic=message.topic,
                detail=f"boot ids {' and '.join(agent.twins or ())} alternate",
                payload=message.payload,
            )
            return None
        for flaw, record in batch.left_out:
            self._faults.note(
                flaw,
                time_ms=now_ms,
                topic=message.topic,
                detail=f"n={record.n!r} u={record.u!r} v={record.v!r}",
                payload=message.payload,
            )
        return _Accepted(batch, agent, now_ms)

    def _note_crowd(self, message: Received) -> None:
        self._telemetry.queue_dropped.labels(AGENTS).inc()
        self._faults.note(
            AGENTS, time_ms=message.time_ms, topic=message.topic, payload=message.payload
        )
        if self._named.first(AGENTS, message.time_ms):
            _log.warning(
                "%d agents are known and no more may be (limits.agents): others are dropped",
                self._inventory.limit,
            )

    def _name(self, message: Received, error: WireError) -> None:
        """Say in the log who is not who he says, or not wanted: once for each."""
        if error.reason is Reason.UNKNOWN_AGENT:
            name = message.topic.rpartition("/")[0]
            if self._named.first((error.reason, name), message.time_ms):
                _log.warning("%s is dropped: %s", _quoted(name), error.detail)
        elif error.reason is Reason.ADDRESS and isinstance(error, PackError) and error.refusal:
            if self._named.first((error.reason, message.topic), message.time_ms):
                _log.warning(
                    "%s carries another sender's packs, which are refused: %s",
                    _quoted(message.topic),
                    printable(message.payload),
                )
        elif error.reason is Reason.ADDRESS and self._named.first(error.detail, message.time_ms):
            _log.info("%s is dropped: %s", _quoted(message.topic), error.detail)

    def _reject(self, message: Received, error: PackError) -> None:
        if error.reason in MALFORMED and (error.refusal or error.reason is not Reason.ADDRESS):
            self._inbox.note_malformed(message)
        self._name(message, error)
        self._faults.note(
            error.reason,
            time_ms=message.time_ms,
            topic=message.topic,
            detail=error.detail,
            payload=message.payload,
        )
        # An agent deletes what is refused: not because our own clock runs ahead.
        unproven = error.reason is Reason.TOO_OLD and not self.clock.may_judge
        if error.refusal is not None and not unproven:
            if self.answers.refused(*error.refusal, str(error.reason)):
                self._telemetry.packs_refused.labels(error.reason).inc()
                self._stirred.set()
                return
            self._telemetry.queue_dropped.labels("refusals").inc()
        self._telemetry.packs_unanswered.labels(error.reason).inc()

    def _note_bug(self, message: Received, error: Exception) -> None:
        self._inbox.note_malformed(message)
        if message.topic.endswith(_READINGS_TOPIC):
            self._telemetry.packs_unanswered.labels(BUG).inc()
        else:
            self._telemetry.documents_refused.labels(BUG).inc()
        self._faults.note(
            BUG,
            time_ms=message.time_ms,
            topic=message.topic,
            detail=f"{type(error).__name__}: {error}",
            payload=message.payload,
        )
        if not self._bug_told:
            self._bug_told = True
            _log.error("a fault of the collector: a message is left out", exc_info=error)

    def _note_document(self, message: Received, kinds: Counter[str]) -> None:
        """A birth or a state."""
        if not message.payload:
            return  # how MQTT clears a retained message
        try:
            address, channel = self._checks.address(message.topic)
            if not self._inventory.has_room(address, message.time_ms):
                self._telemetry.documents_refused.labels(AGENTS).inc()
                self._note_crowd(message)
                return
            size = len(message.payload)
            if channel is Channel.BIRTH:
                cuts: Counter[str] = Counter()
                birth = decode_birth(message.payload, cuts)
                self._note_cuts(message, cuts)
                agent = self._inventory.born(
                    address, birth, message.time_ms, retained=message.retained, size=size
                )
                self._births.heard(agent, message.time_ms)
            elif channel is Channel.STATE:
                state = decode_state(message.payload)
                agent = self._inventory.stated(
                    address, state, message.time_ms, retained=message.retained, size=size
                )
                if (
                    state.online
                    and not message.retained
                    and not agent.quarantined
                    and self.clock.heard(address, state, message.time_ms)
                ):
                    self.marks.note_clock(
                        address, self._skews.note(address, state, message.time_ms)
                    )
            kinds[channel] += 1
        except WireError as error:
            if error.reason in MALFORMED and error.reason is not Reason.ADDRESS:
                self._inbox.note_malformed(message)
            self._name(message, error)
            self._telemetry.documents_refused.labels(error.reason).inc()
            self._faults.note(
                f"document_{error.reason}",
                time_ms=message.time_ms,
                topic=message.topic,
                detail=error.detail,
                payload=message.payload,
            )

    def _note_cuts(self, message: Received, cuts: Counter[str]) -> None:
        for cut, times in cuts.items():
            self._telemetry.births_cut.labels(cut).inc(times)
            self._faults.note(
                f"birth_{cut}",
                time_ms=message.time_ms,
                topic=message.topic,
                detail=f"{times} left out or cut",
                payload=message.payload,
                times=times,
            )

    def _learn(self) -> None:
        """What the ledger knows: at a start, ten thousand retained births come at once."""
        self._births.learn(self._checks.sites)
        for site in self._checks.sites:
            self._skews.settled(
                {Address(site, agent): at for agent, at in self._ledger.oldest(site).items()}
            )

    async def _something_due(self) -> None:
        while True:
            due_s = self.answers.next_due_s
            wait_s = None if due_s is None else due_s - time.monotonic()
            if wait_s is not None and wait_s <= 0:
                return
            self._stirred.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    async def _answer_due(self) -> None:
        due_by_s = time.monotonic()
        self._generation = await self._store.generation()
        silenced = [agent.address for agent in self._inventory.quarantined()]
        due = self.answers.take(self._generation, due_by_s, silenced)
        if due.forgotten:
            self._telemetry.packs_unanswered.labels(RESTARTED).inc(due.forgotten)
            _log.warning(
                "the store was restarted: %d batches are not answered and come again", due.forgotten
            )
        sent = await self._subscriber.publish(
            (address.topic(Channel.ACK), encode(answer)) for address, answer in due.answers
        )
        if sent == len(due.answers):
            self._telemetry.packs_answered.inc(len(due.answered))
            now_ms = self._now_ms()
            for received_ms in {arrival.received_ms for arrival in due.answered}:
                self._telemetry.answer_delay.observe((now_ms - received_ms) / 1000)

    def _forget(self, accepted: Sequence[_Accepted], reason: str) -> bool:
        self._telemetry.packs_unanswered.labels(reason).inc(len(accepted))
        return False

    def store_failed(self, error: StoreError) -> None:
        """Count a failure; log the first of a row."""
        self._telemetry.store_errors.inc()
        self._generation = None
        if not self.store_problem:
            _log.warning("the store is lost: %s", error)
        self.store_problem = str(error)

    def store_works(self) -> None:
        """Log the recovery after a failure."""
        if self.store_problem:
            _log.info("the store works again")
            self.store_problem = ""

    def ledger_failed(self, error: LedgerError) -> None:
        """Count a failure; log the first of a row."""
        self._telemetry.ledger_errors.inc()
        if not self.ledger_problem:
            _log.warning("the ledger is lost: %s", error)
        self.ledger_problem = str(error)

    def ledger_works(self) -> None:
        """Log the recovery after a failure."""
        if self.ledger_problem:
            _log.info("the ledger works again")
            self.ledger_problem = ""

    def _tell_of_quarantine(self, agent: Agent) -> None:
        name = "/".join(agent.address)
        if agent.twins is None:
            _log.info("agent %s is one again and no longer in quarantine", name)
            return
        self._telemetry.quarantines.inc()
        _log.error(
            "agent %s is in quarantine: two run under its name (boot ids %s and %s); "
            "give one of them another name",
            name,
            *agent.twins,
        )


def _quoted(text: str) -> str:
    return printable(text.encode(errors="backslashreplace"))
