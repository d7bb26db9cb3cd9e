"""What is kept how long: the policy of ``[retention]`` carried out, and erasures on demand.

Raw readings go from the store, whoever asks; rows and names go from the ledger by the process
that holds its writer lock. While a collector runs, that is the collector: `Retention.account`
does what a command asked for, and the policy once a day.
"""

import asyncio
import calendar
import hashlib
import logging
import time
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec
from jauge_models.effectiveness import DAY_MS

from jauge_collector import civil
from jauge_collector.access import audit as audit_log
from jauge_collector.access.audit import AuditLog
from jauge_collector.config import CollectorConfig, RetentionConfig
from jauge_collector.faults import Faults
from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.sites import Site
from jauge_collector.stores import Held, Source, Store

_log = logging.getLogger(__name__)

DOCUMENTS: Final = Path("documents")
"""Folder of attested values' documents, below ``state_dir``."""
_YEAR: Final = 12

Progress = Callable[[str, int, int], None]


class Gone(msgspec.Struct, frozen=True):
    """One kind of thing that went, or would go."""

    what: str
    """``readings``, ``rows``, ``guest_hours``, ``entries``, ``documents``, ``names``,
    ``console_audit``, ``audit``."""
    rows: int
    oldest_ms: int | None = None
    newest_ms: int | None = None
    into: int | None = None
    """Days that hourly rows were made into."""

    @classmethod
    def of(cls, what: str, held: Held, *, into: int | None = None) -> "Gone":
        """What was held and is no longer."""
        return cls(what, *held, into=into)


class Erasure(msgspec.Struct, frozen=True):
    """Whose readings and names go: resources of agents, and agents of which nothing stays."""

    site: str
    sources: list[Source]
    agents: list[str]
    stays: dict[str, list[str]] = {}
    """``<agent>/<resource>`` that meters are fed from, with their meters: these stay."""

    @property
    def fingerprint(self) -> str:
        """Tells this erasure from others without naming whom it concerned."""
        text = repr((self.site, sorted(self.sources), sorted(self.agents)))
        return hashlib.sha256(text.encode()).hexdigest()


class Request(msgspec.Struct, frozen=True):
    """What a command asks the running collector for."""

    site: str | None = None
    """One site, or all: the policy."""
    erasure: Erasure | None = None
    """Instead of the policy."""


def before(now_ms: int, months: int, where: tzinfo) -> int:
    """The midnight that began the civil day some months ago; the month's last where shorter."""
    today = civil.day(now_ms, where)
    first = civil.first_of_month(today, -months)
    last = calendar.monthrange(first.year, first.month)[1]
    return civil.midnight_ms(date(first.year, first.month, min(today.day, last)), where)


# --- the policy


def expire(
    ledger: Ledger,
    config: CollectorConfig,
    sites: Mapping[str, Site],
    *,
    now_ms: int,
    oldest_kept_ms: int,
    site: str | None = None,
    dry_run: bool,
    progress: Progress | None = None,
) -> list[Gone]:
    """What the ledger and the documents no longer keep; it goes, unless it is a dry run.

    ``oldest_kept_ms`` is the store's. Raises LedgerError, OSError; what was cut short is taken
    again. The caller holds the writer lock.
    """
    policy = config.retention
    years_ms = before(now_ms, policy.ledger_years * _YEAR, UTC)
    rows, hours, days, names = Held(0), Held(0), 0, 0
    alive: set[tuple[str, str]] = set()
    subjects = kept.subjects(ledger, site)
    for done, subject in enumerate(subjects):
        where = sites[subject.site].zone if subject.site in sites else UTC
        until_ms = before(now_ms, policy.ledger_years * _YEAR, where)
        rows = rows.joined(kept.old_rows(ledger, subject, until_ms, dry_run=dry_run))
        if subject.source is not None:
            if kept.without_rows(ledger, subject, until_ms, dry_run=dry_run):
                names += 1
                continue
            alive.add((subject.site, subject.source[0]))
        if subject.is_guest:
            until_ms = before(now_ms, policy.guest_hours_months, where)
            made = kept.compact(ledger, subject, until_ms, where, now_ms, dry_run=dry_run)
            hours, days = hours.joined(made.hours), days + made.days
        if progress is not None:
            progress("ledger", done + 1, len(subjects))
    for name in [site] if site is not None else kept.named_sites(ledger):
        feeding = {agent for agent, _ in _feeding(sites[name])} if name in sites else set()
        for agent, oldest_ms in ledger.oldest(name).items():
            if oldest_ms < oldest_kept_ms and agent not in feeding and (name, agent) not in alive:
                names += kept.known_of(ledger, name, agent)
                if not dry_run:
                    kept.forget_agents(ledger, name, [agent])
    closed = kept.old_entries(ledger, kept.CLOSED, years_ms, site)
    documents = Held(0)
    if site is None:
        named = kept.named_documents(ledger, without=closed)
        documents = _documents(named, config, now_ms, dry_run=dry_run)
    audit_ms = before(now_ms, policy.audit_years * _YEAR, UTC)
    audit = kept.old_entries(ledger, (kept.PURGE,), audit_ms, site)
    changes = Held(0)
    if site is None:
        log = AuditLog(config.state(audit_log.FILE))
        months_ms = before(now_ms, policy.console_audit_months, UTC)
        times = log.forget(months_ms, dry_run=dry_run)
        changes = Held(len(times), min(times, default=None), max(times, default=None))
    return [
        Gone.of("rows", rows),
        Gone.of("guest_hours", hours, into=days),
        Gone.of("entries", kept.drop_entries(ledger, closed, dry_run=dry_run)),
        Gone.of("documents", documents),
        Gone("names", names),
        Gone.of("console_audit", changes),
        Gone.of("audit", kept.drop_entries(ledger, audit, dry_run=dry_run)),
    ]


def _documents(
    named: Container[str], config: CollectorConfig, now_ms: int, *, dry_run: bool
) -> Held:
    """Documents that no entry names and that are older than the policy keeps them."""
    folder = config.state(DOCUMENTS)
    until_ms = before(now_ms, config.retention.documents_years * _YEAR, UTC)
    gone = Held(0)
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        entered_ms = round(file.stat().st_mtime * 1000)
        if file.name in named or entered_ms >= until_ms:
            continue
        gone = gone.joined(Held(1, entered_ms, entered_ms))
        if not dry_run:
            file.unlink(missing_ok=True)
    return gone


# --- on demand


def _feeding(site: Site) -> dict[Source, list[str]]:
    """What meters are fed from, with the meters."""
    found: dict[Source, list[str]] = {}
    for meter in site.topology.meters:
        for feed in meter.feeds:
            found.setdefault((feed.agent, feed.resource), []).append(meter.id)
    return found


async def erasure(
    store: Store, ledger: Ledger, site: Site, *, agent: str | None, resource: str | None
) -> Erasure:
    """What goes where an agent, or a resource of any agent, is to be erased.

    Raises StoreError, LedgerError.
    """
    known = {(series.agent, series.resource) for series in await store.series(site.name)}
    known |= await asyncio.to_thread(kept.sources_of, ledger, site.name)
    meant = {s for s in known if agent in (None, s[0]) and resource in (None, s[1])}
    feeding = _feeding(site)
    stays = {f"{a}/{r}": feeding[a, r] for a, r in sorted(meant & feeding.keys())}
    gone = sorted(meant - feeding.keys())
    whole = [agent] if agent is not None and not stays else []
    return Erasure(site.name, gone, whole, stays)


async def held(store: Store, erasure: Erasure) -> Gone:
    """The readings that an erasure takes. Raises StoreError."""
    return Gone.of("readings", await store.held(erasure.site, erasure.sources))


def erase(ledger: Ledger, erasure: Erasure, *, dry_run: bool) -> list[Gone]:
    """Rows and names go from the ledger, unless it is a dry run. Raises LedgerError.

    The caller holds the writer lock; the readings are gone already.
    """
    rows, names = kept.erase(ledger, erasure.site, erasure.sources, dry_run=dry_run)
    known = sum(kept.known_of(ledger, erasure.site, agent) for agent in erasure.agents)
    if not dry_run:
        known = kept.forget_agents(ledger, erasure.site, erasure.agents)
    return [Gone.of("rows", rows), Gone("names", names + known)]


# --- the record


def record(
    ledger: Ledger,
    gone: Iterable[Gone],
    *,
    policy: RetentionConfig,
    retention_days: float | None,
    now_ms: int,
    site: str | None = None,
    erasure: Erasure | None = None,
    signatory: str = "",
) -> int | None:
    """Enter that a purge was done, and how much went; None where nothing did.

    An erasure is entered by its fingerprint: the record must not keep the name.
    """
    counts = {part.what: part.rows for part in gone if part.rows}
    if not counts:
        return None
    content: dict[str, Any] = {"rows": counts}
    if erasure is None:
        content["policy"] = msgspec.to_builtins(policy) | {"readings_days": retention_days}
    return ledger.append(
        site or "",
        kept.PURGE,
        f"sha256:{erasure.fingerprint}" if erasure else "policy",
        start_ms=now_ms,
        content=content,
        now_ms=now_ms,
        signatory=signatory,
    )


# --- beside the running collector


class Retention:
    """What a running collector does about it, in two parts that never raise LedgerError."""

    def __init__(
        self, config: CollectorConfig, sites: Mapping[str, Site], ledger: Ledger, faults: Faults
    ) -> None:
        self._config = config
        self._sites = sites
        self._ledger = ledger
        self._faults = faults
        self._done_through_ms: int | None = None
        self._readings = 0
        self._failing = False

    async def purge(self, store: Store) -> None:
        """Old readings from the store, old examples from memory. Raises StoreError."""
        now_ms = time.time_ns() // 1_000_000
        self._faults.forget(now_ms - round(self._config.retention.fault_examples_days * DAY_MS))
        self._readings += await store.purge(now_ms)

    async def account(self, store: Store) -> None:
        """Whatever a command asked for, and the policy once a day; the caller holds the lock."""
        now_ms = time.time_ns() // 1_000_000
        try:
            oldest_kept_ms = await store.oldest_kept_ms(now_ms)
            await asyncio.to_thread(self._account, now_ms, oldest_kept_ms)
        except (LedgerError, OSError) as error:
            if not self._failing:
                _log.error("retention: %s", error)
            self._failing = True
        else:
            if self._failing:
                _log.info("retention works again")
            self._failing = False

    def _account(self, now_ms: int, oldest_kept_ms: int) -> None:
        for asked in kept.asked(self._ledger):
            request = msgspec.convert(asked.content, Request)
            if request.erasure is not None:
                gone = erase(self._ledger, request.erasure, dry_run=False)
            else:
                gone = self._expire(now_ms, oldest_kept_ms, request.site)
            kept.answer(self._ledger, asked, {"gone": msgspec.to_builtins(gone)})
        today_ms = before(now_ms, 0, UTC)
        if self._done_through_ms != today_ms:
            gone = self._expire(now_ms, oldest_kept_ms, None)
            gone.append(Gone("readings", self._readings))
            record(
                self._ledger,
                gone,
                policy=self._config.retention,
                retention_days=readings_days(self._config),
                now_ms=now_ms,
            )
            kept.drop_old_requests(self._ledger, now_ms - DAY_MS)
            self._done_through_ms, self._readings = today_ms, 0

    def _expire(self, now_ms: int, oldest_kept_ms: int, site: str | None) -> list[Gone]:
        return expire(
            self._ledger,
            self._config,
            self._sites,
            now_ms=now_ms,
            oldest_kept_ms=oldest_kept_ms,
            site=site,
            dry_run=False,
        )


def readings_days(config: CollectorConfig) -> float | None:
    """Days that the embedded store keeps readings; None where the store's own flag says."""
    return config.store.retention_days if config.store.kind == "sqlite" else None
