"""``jauge-collector import``: history from a CSV or TSV file, idempotent."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jauge_models.quantities import Kind

from jauge_collector import civil, config
from jauge_collector.commands.period import named_site
from jauge_collector.sites import INTERVAL_LENGTHS_S, Site

if TYPE_CHECKING:
    from jauge_collector.importer.load import Outcome
    from jauge_collector.importer.mapping import Mapping
    from jauge_collector.importer.progress import Bar

_EXAMPLE = "jauge-collector import meters-2025.csv --mapping meters.toml --config collector.toml"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "import",
        help="history from a CSV or TSV file",
        description="Reads a table, plain or gzipped, by a mapping file that says what its "
        "columns mean, into store and ledger. Twice, or in pieces in any order, gives the same; "
        "another value for a time that has one already is refused. Either the whole file is "
        "imported or nothing of it.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the table, e.g. meters.csv.gz")
    parser.add_argument("--mapping", type=Path, required=True, help="the mapping file")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows that cannot be read"
    )
    parser.add_argument("--json", action="store_true", help="what was done, as JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Import one file. Raises ConfigurationError, StoreError and LedgerError."""
    from jauge_collector.importer import mapping as mapping_file  # noqa: PLC0415 - --help is instant
    from jauge_collector.importer.progress import Bar  # noqa: PLC0415 - --help is instant

    settings = config.load(args.config)
    mapping = mapping_file.load(args.mapping)
    site = named_site(settings, mapping.site)
    _check_periods(mapping, site)
    remarks = _short_intervals(mapping, site)
    bar = Bar(sys.stderr)
    try:
        outcome, accounted = asyncio.run(_import(args, settings, mapping, site, bar))
    finally:
        bar.clear()
    if args.json:
        sys.stdout.write(
            json.dumps(_as_json(outcome, remarks, accounted=accounted), indent=2) + "\n"
        )
    else:
        sys.stdout.write(_as_text(args.file, outcome, site, remarks, accounted=accounted))
    return 0


def _check_periods(mapping: "Mapping", site: Site) -> None:
    """The ledger takes an amount's period from the meter: the file must mean the same."""
    fed = {(f.agent, f.resource): m for m in site.topology.meters for f in m.feeds}
    for column in mapping.columns:
        meter = fed.get((mapping.agent, column.series.resource))
        if meter is None or column.quantity.kind is not Kind.AMOUNT:
            continue
        if meter.period_ms != mapping.period_ms:
            raise mapping.wrong(
                "time.period_s",
                f"{mapping.period_ms // 1000}, but meter {meter.id!r} of {site.file} has "
                f"{meter.period_ms // 1000}",
                "make both the length of the file's periods",
            )


def _short_intervals(mapping: "Mapping", site: Site) -> list[str]:
    """One line for each length of a meter's ledger rows that the file's periods exceed."""
    fed = {(f.agent, f.resource): m for m in site.topology.meters for f in m.feeds}
    short: dict[int, list[str]] = {}
    for column in mapping.columns:
        meter = fed.get((mapping.agent, column.series.resource))
        if meter is None or column.quantity.kind is not Kind.AMOUNT:
            continue
        if meter.interval_ms < mapping.period_ms:
            short.setdefault(meter.interval_ms // 1000, []).append(meter.id)
    period_s = mapping.period_ms // 1000
    fitting = next((s for s in sorted(INTERVAL_LENGTHS_S) if s >= period_s), None)
    fix = "" if fitting is None else f"; set interval_s = {fitting} in {site.file}, import again"
    return [
        f"ledger rows of {length_s} s (interval_s of {', '.join(map(repr, meters))}) are shorter "
        f"than the file's periods of {period_s} s: when within a period it flowed is not known{fix}"
        for length_s, meters in sorted(short.items())
    ]


async def _import(
    args: argparse.Namespace,
    settings: config.CollectorConfig,
    mapping: "Mapping",
    site: Site,
    bar: "Bar",
) -> "tuple[Outcome, bool]":
    from jauge_collector.importer.load import load  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.accounting import account_now  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    with Ledger(settings.state(settings.ledger.path)) as ledger:
        async with open_store(settings) as store:
            outcome = await load(
                args.file,
                mapping,
                store,
                ledger,
                skip_bad=args.skip_bad,
                progress=bar,
                now_ms=_now_ms,
            )
            accounted = await account_now(
                store,
                ledger,
                site,
                _now_ms(),
                progress=lambda done, total: bar("accounting", done, total),
            )
    return outcome, accounted is not None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _as_json(outcome: "Outcome", remarks: list[str], *, accounted: bool) -> dict[str, Any]:
    return {
        "rows": outcome.rows,
        "bad_rows": outcome.bad_rows,
        "bad_examples": outcome.bad_examples,
        "readings": outcome.readings,
        "written": outcome.written,
        "not_measured": outcome.not_measured,
        "first_ms": outcome.first_ms,
        "last_ms": outcome.last_ms,
        "accounted": accounted,
        "remarks": remarks,
    }


def _as_text(
    path: Path, outcome: "Outcome", site: Site, remarks: list[str], *, accounted: bool
) -> str:
    new = f"{outcome.readings} readings, of which {outcome.written} new"
    lines = [f"{path}: {outcome.rows} rows, {new}; {outcome.not_measured} cells not measured"]
    if outcome.first_ms is not None and outcome.last_ms is not None:
        first, last = (
            civil.local(at, site.zone).isoformat() for at in (outcome.first_ms, outcome.last_ms)
        )
        lines.append(f"from {first} to {last}")
    if outcome.bad_rows:
        lines.append(f"{outcome.bad_rows} rows left out: {'; '.join(outcome.bad_examples)}")
    lines += remarks
    lines.append(
        "the ledger is up to date" if accounted else "the running collector computes the ledger"
    )
    return "\n".join(lines) + "\n"
