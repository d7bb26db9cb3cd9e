"""The collector's own health: its buffers, the lag of each stage, silence, a dead-man signal.

The signal and the watchdog's signs of life stop as soon as a stage hangs, and whoever waits for
them notices; that a part is only down (no broker, no store) does not stop them.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from jauge_models.budgets import Family, family_of

from jauge_collector.births import MAX_UNDELIVERED
from jauge_collector.checks import SERIES, Checks
from jauge_collector.config import CollectorConfig
from jauge_collector.faults import Named
from jauge_collector.fed import Fed
from jauge_collector.inbox import Inbox
from jauge_collector.ingest import Ingest
from jauge_collector.inventory import Inventory
from jauge_collector.progress import Progress
from jauge_collector.state import Part
from jauge_collector.stores.influxdb import InfluxSink
from jauge_collector.systemd import ServiceManager
from jauge_collector.telemetry import Sample, Telemetry

_log = logging.getLogger(__name__)

LAG_LIMIT_S: Final = 30.0
"""Beyond it the service is not ready: what arrives waits too long to be stored."""
SILENCE_S: Final = 180.0
"""No pack from anybody for so long, and for three of the shortest periods, is silence."""

_PULSE_S: Final = 1.0


class Vitals:
    """Watches the parts of one service. `pulse` runs forever."""

    def __init__(
        self,
        config: CollectorConfig,
        *,
        inbox: Inbox,
        ingest: Ingest,
        inventory: Inventory,
        checks: Checks,
        sink: InfluxSink | None,
        telemetry: Telemetry,
        progress: Progress,
        manager: ServiceManager,
    ) -> None:
        self._config = config
        self._inbox = inbox
        self._ingest = ingest
        self._inventory = inventory
        self._telemetry = telemetry
        self._progress = progress
        self._manager = manager
        self._began_ms = _now_ms()
        self._passed_s: float | None = None
        self._due_since_ms: int | None = None
        self._trouble = ""
        self._silence_told = False
        self._checks = checks
        self._named = Named()
        inventory.watch_use(checks.use)
        self._watch_queues(checks, sink)
        telemetry.watch_lag("store", self.lag_s)
        telemetry.watch_lag("answer", lambda: _age_s(ingest.answers.oldest_ms))
        telemetry.watch_lag("marks", self._marks_lag_s)
        telemetry.watch_lag("ledger", self._ledger_lag_s)
        telemetry.watch_family(
            "jauge_collector_meter_last_seen_timestamp_seconds",
            lambda: _meters(ingest.fed),
        )
        telemetry.watch_family(
            "jauge_collector_resources_over_budget",
            lambda: _over_budget(checks),
        )

    def parts(self) -> Sequence[Part]:
        """What /readyz shows beside broker, store and ledger."""
        lag_s, silence, trouble = self.lag_s(), self.silence(), self._progress.trouble
        return (
            Part("lag", lag_s <= LAG_LIMIT_S, f"{lag_s:.1f} s" if lag_s > LAG_LIMIT_S else ""),
            Part("silence", not silence, silence),
            Part("progress", not trouble, trouble),
        )

    def lag_s(self) -> float:
        """For how long the message that is due next has waited to be stored."""
        return _age_s(self._inbox.oldest_ms)

    def silence(self) -> str:
        """Since when nobody sent a usable pack; empty while somebody does, or nobody ever did."""
        agents = list(self._inventory)
        last_ms = max((a.last_pack_ms for a in agents if a.last_pack_ms is not None), default=None)
        if last_ms is None and not any(agent.online for agent in agents):
            return ""
        periods_s = (
            source.period_s
            for agent in agents
            if agent.birth is not None and agent.online is not False
            for source in agent.birth.sources
            if source.absent is None
        )
        limit_s = max(SILENCE_S, 3 * min(periods_s, default=0.0))
        since_ms = self._began_ms if last_ms is None else last_ms
        if _age_s(since_ms) <= limit_s:
            return ""
        when = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat(timespec="seconds")
        if last_ms is None:
            return f"no usable pack from anybody since the start at {when}"
        return f"no usable pack from anybody since {when}"

    def passed(self, due_since_ms: int | None, *, whole: bool) -> None:
        """The ledger was looked at: since when marks are due, and whether a pass went through."""
        self._due_since_ms = due_since_ms or 0
        if whole:
            self._passed_s = time.monotonic()

    def standby(self) -> None:
        """Another collector computes the ledger: how old its pass is, is not known here."""
        self._passed_s = None

    def tell_of_silence(self) -> None:
        """Log silence, once, and its end. To be called now and then."""
        silence = self.silence()
        if bool(silence) is not self._silence_told:
            self._silence_told = bool(silence)
            if silence:
                _log.warning("%s", silence)
            else:
                _log.info("agents are heard again")

    async def pulse(self) -> None:
        """Give the signs of life for as long as every stage makes progress."""
        watchdog_s = self._manager.watchdog_s
        sign_s = 0.0
        while True:
            trouble = self._progress.trouble
            self.tell_of_budgets()
            if not trouble:
                self._telemetry.heartbeat_s = time.time()
                if watchdog_s is not None and time.monotonic() - sign_s >= watchdog_s / 4:
                    sign_s = time.monotonic()
                    self._manager.tell("WATCHDOG=1")
            if bool(trouble) is not bool(self._trouble):
                if trouble:
                    _log.error("no progress: %s", trouble)
                else:
                    _log.info("every stage makes progress again")
            self._trouble = trouble
            await asyncio.sleep(_PULSE_S if watchdog_s is None else min(_PULSE_S, watchdog_s / 4))

    def tell_of_budgets(self) -> None:
        """Log whose series are left out, once a day for each agent and family."""
        for address in self._checks.over_budget():
            use = self._checks.use(address)
            over = use.left_out if use is not None else {}
            for family in Family:
                of_it = [one for one in over if family_of(one) is family]
                if of_it and self._named.first((address, family), _now_ms()):
                    _log.warning(
                        "agent %s brings more than the %d series of one %s that budget.%s allows: "
                        "what exceeds is left out of %d of them, %s the first",
                        "/".join(address),
                        self._checks.budgets.of(family),
                        family,
                        family,
                        len(of_it),
                        of_it[0],
                    )

    def _marks_lag_s(self) -> float | None:
        return None if self._due_since_ms is None else _age_s(self._due_since_ms or None)

    def _ledger_lag_s(self) -> float | None:
        return None if self._passed_s is None else time.monotonic() - self._passed_s

    def _watch_queues(self, checks: Checks, sink: InfluxSink | None) -> None:
        watch, limits = self._telemetry.watch_queue, self._config.limits
        inbox, ingest, inventory = self._inbox, self._ingest, self._inventory
        answers, marks = ingest.answers, ingest.marks
        refused = self._telemetry.readings_refused
        watch("inbox", size=lambda: len(inbox), limit=inbox.limit)
        watch("inbox_bytes", size=lambda: inbox.bytes, limit=inbox.limit_bytes)
        watch("sender", size=lambda: inbox.longest, limit=inbox.sender_limit)
        watch("senders", size=lambda: inbox.senders, limit=limits.agents)
        watch("answers", size=lambda: answers.size, limit=answers.limit)
        watch("refusals", size=lambda: answers.refusals, limit=answers.refusals_limit)
        watch("births", size=lambda: ingest.undelivered, limit=MAX_UNDELIVERED)
        watch("marks", size=lambda: len(marks), limit=marks.limit)
        if sink is not None:
            watch(
                "sink",
                size=lambda: sink.waiting,
                limit=sink.limit,
                dropped=lambda: sink.dropped.get("full", 0),
            )
        watch(
            "agents",
            size=lambda: len(inventory),
            limit=inventory.limit,
            dropped=lambda: inventory.forgotten,
        )
        watch(
            "resources",
            size=lambda: inventory.resources,
            limit=inventory.resources_limit,
            dropped=lambda: inventory.crowded,
        )
        watch(
            "documents_bytes",
            size=lambda: inventory.bytes,
            limit=inventory.bytes_limit,
            dropped=lambda: inventory.not_kept - inventory.crowded,
        )
        watch(
            "series",
            size=lambda: checks.series,
            limit=checks.series_limit,
            dropped=lambda: self._telemetry.counted(refused, SERIES),
        )


def _meters(fed: Fed) -> Iterable[Sample]:
    for (site, meter), newest_ms in list(fed.newest_ms.items()):
        yield Sample({"site": site, "meter": meter}, newest_ms / 1000)


def _over_budget(checks: Checks) -> Iterable[Sample]:
    for address in checks.over_budget():
        use = checks.use(address)
        over = Counter(map(family_of, use.left_out if use is not None else ()))
        for family, number in over.items():
            if family is not None:
                labels = {"site": address.site, "agent": address.agent, "family": str(family)}
                yield Sample(labels, number)


def _age_s(moment_ms: int | None) -> float:
    """Seconds since a moment; 0 where there is none."""
    return 0.0 if moment_ms is None else max(0.0, time.time() - moment_ms / 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
