"""``jauge-collector purge``: what is past its time goes, or all of one agent or guest."""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jauge_models.configuration import ConfigurationError
from jauge_models.resources import is_name, is_resource

from jauge_collector import config
from jauge_collector.commands.entering import Subparsers, say
from jauge_collector.importer.progress import Bar

if TYPE_CHECKING:
    from jauge_collector.ledger.book import Ledger
    from jauge_collector.retention import Erasure, Gone
    from jauge_collector.sites import Site
    from jauge_collector.stores import Store

_WORDS: Final = {
    "readings": "raw readings",
    "rows": "rows of the ledger and their revisions",
    "guest_hours": "hourly and daily rows of guests",
    "host_hours": "hourly rows of hosts",
    "shares": "shares of hosts' rows among guests",
    "entries": "attested amounts and events",
    "tickets": "resolved tickets of cross-checks",
    "documents": "documents of attested values",
    "archives": "archived readings of closed quarters",
    "names": "names of agents and resources",
    "console_audit": "changes made by the console",
    "audit": "records of earlier purges",
}
_UNITS: Final = {"guest_hours": "into_months", "host_hours": "into_days"}
_POLL_S: Final = 0.1
_HANDED_OVER_S: Final = 300.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "purge",
        help="delete what is past its time, or all of one agent or guest",
        description="Deletes what the policy of [retention] and store.retention_days no longer "
        "keeps. With --agent or --resource it deletes the readings, rows and names of that agent "
        "or resource alone, of any age; what meters are fed from stays, with the rows of meters. "
        "The collector may be running. Deletes for good; try --dry-run first.",
        epilog="example: jauge-collector purge --dry-run --config /etc/jauge/collector.toml",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and stop there")
    parser.add_argument("--site", help="this site alone; needed by --agent and --resource")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--agent", help="erase all of this agent")
    whose.add_argument("--resource", help="erase all of this resource, e.g. guest:NAME")
    parser.add_argument(
        "--even-if-clock-jumped",
        action="store_true",
        help="purge by age though no reading of the last days proves the clock: it is right",
    )
    parser.add_argument("--signatory", default="", help="who answers for the purge")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Purge. Raises ConfigurationError, LedgerError, StoreError."""
    settings = config.load(args.config)
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.sites import load_all  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    known = load_all([settings.beside(path) for path in settings.sites])
    _check(args, known)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        async with open_store(settings) as store:
            work = _Work(args, settings, known, ledger, store)
            told = await (work.erase() if args.agent or args.resource else work.expire())
    say(args, told, "\n".join(_lines(args, told)))
    return 0


def _check(args: argparse.Namespace, known: Mapping[str, "Site"]) -> None:
    if args.site is not None and args.site not in known:
        names = ", ".join(sorted(known))
        raise ConfigurationError("--site", "", f"{args.site!r} is unknown", f"known: {names}")
    for option, name, fits in (
        ("--agent", args.agent, is_name),
        ("--resource", args.resource, is_resource),
    ):
        if name is None:
            continue
        if not fits(name):
            raise ConfigurationError(
                option, "", f"{name!r} is no {option[2:]}", "write it as the console shows it"
            )
        if args.site is None:
            raise ConfigurationError("--site", "", "is missing", f"{option} is one of a site")


class _Work:
    def __init__(
        self,
        args: argparse.Namespace,
        settings: config.CollectorConfig,
        known: Mapping[str, "Site"],
        ledger: "Ledger",
        store: "Store",
    ) -> None:
        self._args = args
        self._settings = settings
        self._known = known
        self._ledger = ledger
        self._store = store
        self._now_ms = time.time_ns() // 1_000_000
        self._bar = Bar(sys.stderr)

    async def expire(self) -> dict[str, Any]:
        """By policy."""
        from jauge_collector import retention  # noqa: PLC0415 - --help is instant
        from jauge_collector.ledger.book import LedgerError  # noqa: PLC0415 - --help is instant

        readings = retention.Gone.of(
            "readings", await self._store.expired(self._now_ms, self._args.site)
        )
        doubt = await self._doubt()
        if not self._args.dry_run:
            if doubt:
                raise LedgerError(
                    f"nothing is purged: {doubt}; if the clock is right, add --even-if-clock-jumped"
                )
            await self._store.purge(self._now_ms, self._args.site)
        oldest_kept_ms = await self._store.oldest_kept_ms(self._now_ms)

        def work(*, dry_run: bool) -> "list[Gone]":
            return retention.expire(
                self._ledger,
                self._settings,
                self._known,
                now_ms=self._now_ms,
                oldest_kept_ms=oldest_kept_ms,
                site=self._args.site,
                dry_run=dry_run,
                progress=self._bar,
            )

        if self._args.dry_run:
            gone = await asyncio.to_thread(work, dry_run=True)
            return await self._told([readings, *gone]) | {"doubt": doubt}
        gone, alone = await self._hold(
            lambda: work(dry_run=False), retention.Request(site=self._args.site)
        )
        return await self._told([readings, *gone], alone=alone)

    async def _doubt(self) -> str:
        """Why nothing may go by this clock; empty where it may, or must."""
        from jauge_collector import clock_doubt  # noqa: PLC0415 - --help is instant

        if self._args.even_if_clock_jumped:
            return ""
        found = await clock_doubt.doubt(self._store, self._ledger, self._known, self._now_ms)
        return found.text if found is not None else ""

    async def erase(self) -> dict[str, Any]:
        """One agent or resource."""
        from jauge_collector import retention  # noqa: PLC0415 - --help is instant

        site = self._known[self._args.site]

        def work(*, dry_run: bool) -> "list[Gone]":
            return retention.erase(self._ledger, site, meant, now_ms=self._now_ms, dry_run=dry_run)

        meant = await retention.erasure(
            self._store,
            self._ledger,
            site,
            agent=self._args.agent,
            resource=self._args.resource,
        )
        readings = await retention.held(self._store, meant)
        if self._args.dry_run:
            gone = await asyncio.to_thread(work, dry_run=True)
            return await self._told([readings, *gone], erasure=meant)
        await self._store.erase(meant.site, meant.sources)
        gone, alone = await self._hold(
            lambda: work(dry_run=False),
            retention.Request(erasure=meant),
        )
        return await self._told([readings, *gone], erasure=meant, alone=alone)

    async def _hold(self, work: Any, request: Any) -> "tuple[list[Gone], bool]":
        """Do it under the writer lock, or have the collector do it that holds it.

        Whether it was done here, so that nobody else computes rows.
        """
        import msgspec  # noqa: PLC0415 - --help is instant

        from jauge_collector import retention  # noqa: PLC0415 - --help is instant
        from jauge_collector.ledger import purge_requests  # noqa: PLC0415 - --help is instant
        from jauge_collector.ledger.book import LedgerError, LedgerLockedError  # noqa: PLC0415 - --help is instant

        deadline = time.monotonic() + _HANDED_OVER_S
        key: int | None = None
        while time.monotonic() < deadline:
            if key is not None and (outcome := purge_requests.answered(self._ledger, key)):
                if error := outcome.get("error"):
                    raise LedgerError(
                        f"the collector could not do it: {error}; readings are gone, what stands in"
                        " the ledger may be there still: run the command again"
                    )
                return msgspec.convert(outcome["gone"], list[retention.Gone]), False
            try:
                with self._ledger.writer():
                    if key is not None:
                        purge_requests.withdraw(self._ledger, key)
                    return await asyncio.to_thread(work), True
            except LedgerLockedError:
                if key is None:
                    key = purge_requests.ask(
                        self._ledger, msgspec.to_builtins(request), self._now_ms
                    )
            self._bar("the collector's next pass", 0, 1)
            await asyncio.sleep(_POLL_S)
        raise LedgerError(
            f"another process computes the ledger and has not done it within {_HANDED_OVER_S:g} s;"
            " it stays asked for; run the command again to see it done"
        )

    async def _told(
        self, gone: "Sequence[Gone]", *, erasure: "Erasure | None" = None, alone: bool = False
    ) -> dict[str, Any]:
        """The record is made, space given back, and the outcome told."""
        from jauge_collector import retention  # noqa: PLC0415 - --help is instant
        from jauge_collector.ledger import retention as kept  # noqa: PLC0415 - --help is instant

        key: int | None = None
        if not self._args.dry_run:
            key = retention.record(
                self._ledger,
                gone,
                policy=self._settings.retention,
                retention_days=retention.readings_days(self._settings),
                now_ms=self._now_ms,
                site=self._args.site,
                erasure=erasure,
                signatory=self._args.signatory,
            )
            if key is not None:
                await self._store.reclaim(alone=alone)
                alone = alone and await asyncio.to_thread(kept.reclaim, self._ledger)
        self._bar.clear()
        return {
            "dry_run": self._args.dry_run,
            "site": self._args.site,
            "gone": {
                part.what: {
                    "rows": part.rows,
                    "oldest": _utc(part.oldest_ms),
                    "newest": _utc(part.newest_ms),
                    **({} if part.into is None else {_UNITS[part.what]: part.into}),
                }
                for part in gone
            },
            "stays": {} if erasure is None else erasure.stays,
            "overwritten": alone,
            "entry": key,
        }


def _utc(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ms // 1000))


def _lines(args: argparse.Namespace, told: Mapping[str, Any]) -> list[str]:
    verb = "would go" if told["dry_run"] else "gone"
    lines = []
    for what, part in told["gone"].items():
        line = f"{part['rows']:>12}  {_WORDS[what]}"
        if part["oldest"]:
            line += f", {part['oldest'][:10]} to {part['newest'][:10]}"
        for unit in _UNITS.values():
            if part.get(unit):
                line += f", made {unit.replace('_', ' ')}: {part[unit]}"
        lines.append(line)
    total = sum(part["rows"] for part in told["gone"].values())
    lines += [
        f"stays: {source}, for meters are fed from it: {', '.join(meters)}"
        for source, meters in told["stays"].items()
    ]
    if args.agent and not told["dry_run"]:
        lines.append(
            f"the broker still keeps what {args.agent} said of itself: clear its retained birth "
            "and state there"
        )
    if total and not told["dry_run"] and not told["overwritten"]:
        lines.append(
            "freed pages of the databases are used again in time; to overwrite them all now, run "
            "this while the collector is stopped"
        )
    if told.get("doubt"):
        lines.append(f"nothing would be purged now: {told['doubt']}")
    lines.append(
        f"{verb}: {total}" + (f"; entry {told['entry']}" if told["entry"] is not None else "")
    )
    return lines
