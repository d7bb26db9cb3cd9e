"""What is kept how long: the policy of ``[retention]`` carried out, and erasures on demand.

Raw readings go from the store, whoever asks; rows and names go from the ledger by the process
that holds its writer lock. While a collector runs, that is the collector: see `purging`.
"""

import asyncio
import calendar
import hashlib
import logging
from collections.abc import Callable, Container, Generator, Iterable, Mapping
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Any, Final

import msgspec

from jauge_collector import civil
from jauge_collector.access import audit as audit_log
from jauge_collector.access.audit import AuditLog
from jauge_collector.compliance import archive
from jauge_collector.config import CollectorConfig, RetentionConfig
from jauge_collector.ledger import closing
from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.compaction import Compaction, Unit, compact
from jauge_collector.ledger.erased_events import erase_events
from jauge_collector.ledger.tickets import TicketBook
from jauge_collector.registers.events import declared_names, restated
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
    """``readings``, ``rows``, ``guest_hours``, ``host_hours``, ``entries``, ``tickets``,
    ``documents``, ``archives``, ``names``, ``shares``, ``console_audit``, ``audit``."""
    rows: int
    oldest_ms: int | None = None
    newest_ms: int | None = None
    into: int | None = None
    """Months or days that hourly rows of guests or hosts were made into."""

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
    """``<agent>/<resource>`` that meters or declared hosts are fed from, with these: they stay."""
    subjects: list[str] = []
    """Names under which events go with them: not what the site declares or another agent has."""

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
    steps = expiry(
        ledger,
        config,
        sites,
        now_ms=now_ms,
        oldest_kept_ms=oldest_kept_ms,
        site=site,
        dry_run=dry_run,
        progress=progress,
    )
    while True:
        try:
            next(steps)
        except StopIteration as done:
            gone: list[Gone] = done.value
            return gone


def expiry(
    ledger: Ledger,
    config: CollectorConfig,
    sites: Mapping[str, Site],
    *,
    now_ms: int,
    oldest_kept_ms: int,
    site: str | None = None,
    dry_run: bool,
    progress: Progress | None = None,
) -> Generator[None, None, list[Gone]]:
    """`expire`, which stops between subjects: a pass may go on there, and an erasure be done."""
    policy = config.retention
    years_ms = before(now_ms, policy.ledger_years * _YEAR, UTC)
    rows, names = Held(0), 0
    made = {"guest_hours": Compaction(Held(0), 0), "host_hours": Compaction(Held(0), 0)}
    alive: set[tuple[str, str]] = set()
    archives = _archives(ledger, config, sites, now_ms=now_ms, site=site, dry_run=dry_run)
    subjects = kept.subjects(ledger, site)
    # Of all of them first: a subject's name goes with the last that is kept of it.
    shares = yield from _old_shares(ledger, policy, sites, subjects, now_ms=now_ms, dry_run=dry_run)
    for done, subject in enumerate(subjects):
        yield
        if not kept.stands(ledger, subject):
            continue
        where = _zone(sites, subject.site)
        until_ms = before(now_ms, policy.ledger_years * _YEAR, where)
        rows = rows.joined(kept.old_rows(ledger, subject, until_ms, dry_run=dry_run))
        if subject.source is not None:
            if kept.without_rows(ledger, subject, until_ms, dry_run=dry_run):
                names += 1
                continue
            alive.add((subject.site, subject.source[0]))
        if (tier := _tier(policy, sites, subject)) is not None:
            what, months, unit = tier
            span = until_ms, before(now_ms, months, where)
            done_now = compact(ledger, subject, span, where, unit, now_ms, dry_run=dry_run)
            made[what] = Compaction(
                made[what].rows.joined(done_now.rows), made[what].into + done_now.into
            )
        if progress is not None:
            progress("ledger", done + 1, len(subjects))
    for name in [site] if site is not None else kept.named_sites(ledger):
        silent = {a for a, oldest_ms in ledger.oldest(name).items() if oldest_ms < oldest_kept_ms}
        silent -= {agent for agent, _ in _feeding(sites[name])} if name in sites else set()
        for agent in sorted(agent for agent in silent if (name, agent) not in alive):
            names += kept.known_of(ledger, name, agent)
            if not dry_run:
                kept.forget_agents(ledger, name, [agent], now_ms)
        # Hours count only while the store has the readings at both their ends.
        kept.drop_old_hours(ledger, name, max(years_ms, oldest_kept_ms), dry_run=dry_run)
        until_ms = before(now_ms, policy.guest_hours_months, _zone(sites, name))
        names += kept.old_descriptions(ledger, name, until_ms, dry_run=dry_run).rows
    tickets = Held(*TicketBook(ledger).forget(years_ms, site, dry_run=dry_run))
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
        *(Gone.of(what, of.rows, into=of.into) for what, of in made.items()),
        Gone.of("shares", shares),
        Gone.of("entries", kept.drop_entries(ledger, closed, now_ms, dry_run=dry_run)),
        Gone.of("tickets", tickets),
        Gone.of("documents", documents),
        Gone.of("archives", archives),
        Gone("names", names),
        Gone.of("console_audit", changes),
        Gone.of("audit", kept.drop_entries(ledger, audit, now_ms, dry_run=dry_run)),
    ]


def _tier(
    policy: RetentionConfig, sites: Mapping[str, Site], subject: kept.Subject
) -> tuple[str, int, Unit] | None:
    """After how many months a subject's rows are made into what; None for meters: never."""
    if subject.is_guest:
        return "guest_hours", policy.guest_hours_months, Unit.MONTH
    site = sites.get(subject.site)
    is_host = site is not None and any(host.id == subject.name for host in site.hosts)
    if subject.source is None and not is_host:
        return None
    # Not before what its guests are told by.
    months = max(policy.host_hours_months, policy.guest_hours_months)
    return "host_hours", months, Unit.DAY


def _zone(sites: Mapping[str, Site], site: str) -> tzinfo:
    return sites[site].zone if site in sites else UTC


def _old_shares(
    ledger: Ledger,
    policy: RetentionConfig,
    sites: Mapping[str, Site],
    subjects: Iterable[kept.Subject],
    *,
    now_ms: int,
    dry_run: bool,
) -> Generator[None, None, Held]:
    """How hosts were shared out goes with the hours of their guests; stops between hosts."""
    found = Held(0)
    for subject in subjects:
        yield
        if kept.stands(ledger, subject):
            until_ms = before(now_ms, policy.guest_hours_months, _zone(sites, subject.site))
            found = found.joined(kept.old_shares(ledger, subject, until_ms, dry_run=dry_run))
    return found


def _archives(
    ledger: Ledger,
    config: CollectorConfig,
    sites: Mapping[str, Site],
    *,
    now_ms: int,
    site: str | None,
    dry_run: bool,
) -> Held:
    """Archived readings go with the rows they are behind; the chain is told before either goes."""
    folder = config.state(archive.ARCHIVE)
    gone = Held(0)
    for name in closing.sites_closed(ledger):
        if site not in {None, name}:
            continue
        until_ms = before(now_ms, config.retention.ledger_years * _YEAR, _zone(sites, name))
        if not dry_run:
            closing.expire(ledger, name, until_ms, now_ms)
        for quarter in closing.closed_by(ledger, name, until_ms):
            files = archive.expire(ledger, folder, name, quarter, now_ms, dry_run=dry_run)
            gone = gone.joined(Held(files))
    return gone


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
    """What meters and declared hosts are fed from, with these."""
    found: dict[Source, list[str]] = {}
    for meter in (*site.topology.meters, *(host.meter for host in site.hosts)):
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
    others = {of_other for _, of_other in known.difference(gone)}
    names = {f"{a}/{r}" for a, r in gone} | {r for _, r in gone if r not in others}
    return Erasure(site.name, gone, whole, stays, sorted(names - declared_names(site)))


async def held(store: Store, erasure: Erasure) -> Gone:
    """The readings that an erasure takes. Raises StoreError."""
    return Gone.of("readings", await store.held(erasure.site, erasure.sources))


def erase(
    ledger: Ledger, site: Site | None, erasure: Erasure, *, now_ms: int, dry_run: bool
) -> list[Gone]:
    """Rows, names and events go from the ledger, unless it is a dry run. Raises LedgerError.

    The caller holds the writer lock; the readings are gone already. Of a site that is no longer
    declared, no meter is marked.
    """
    meters = restated(site) if site is not None else []
    rows, names = kept.erase(ledger, erasure.site, erasure.sources, dry_run=dry_run)
    names += erase_events(ledger, erasure.site, erasure.subjects, meters, now_ms, dry_run=dry_run)
    known = sum(kept.known_of(ledger, erasure.site, agent) for agent in erasure.agents)
    if not dry_run:
        known = kept.forget_agents(ledger, erasure.site, erasure.agents, now_ms)
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


def readings_days(config: CollectorConfig) -> float | None:
    """Days that the embedded store keeps readings; None where the store's own flag says."""
    return config.store.retention_days if config.store.kind == "sqlite" else None
