"""``jauge-collector kpi``: the indicators of a site over a period."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jauge_collector import config
from jauge_collector.commands import kpi_explained
from jauge_collector.commands.period import add_period, asked_span, named_site

if TYPE_CHECKING:
    from jauge_models.effectiveness import Kpi

    from jauge_collector.kpis import SiteKpis

_EXAMPLE = "jauge-collector kpi --site paris --from 2026-01-01 --to 2026-04-01 --json"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "kpi",
        help="PUE, WUE, CUE, REF and ERF of a site over a period",
        description="Works out the indicators of a site over a period, with all that qualifies "
        "them. A figure that is not measured well enough is withheld, and the reason given. "
        "With --explain, the way back to the readings: terms of a period; rows of a --meter and "
        "--day; the --readings behind them. Each step names the next.",
        epilog=f"example: {_EXAMPLE}",
    )
    add_period(parser, required=False)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    kpi_explained.add_options(parser)
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Print the indicators, or what one is made of.

    Raises ConfigurationError, LedgerError and StoreError.
    """
    kpi_explained.refuse_strays(args)
    if args.explain:
        return await kpi_explained.main(args)
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    start_ms, end_ms = asked_span(args, site)
    from jauge_collector.kpis import site_kpis  # noqa: PLC0415 - heavy; --help must be instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant

    with Ledger(settings.state(settings.ledger.path)) as ledger:
        figures = site_kpis(ledger, site, start_ms, end_ms, settings.policy.coverage())
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(figures), indent=2).decode()
    else:
        text = "\n".join(_report(figures, ongoing=end_ms > time.time() * 1000))
    sys.stdout.write(f"{text}\n")
    return 0


def _report(figures: "SiteKpis", *, ongoing: bool) -> Iterator[str]:
    yield f"{figures.title} ({figures.site}), {figures.start} to {figures.end}, {figures.time_zone}"
    if figures.simulated:
        yield "SIMULATED: these readings come from a model, not from meters."
    if figures.note:
        yield figures.note
    if ongoing:
        yield "The period has not ended: its figures will change."
    yield ""
    rows = [("figure", "value", "coverage", "category", "status", "boundary or reason")]
    shown = [
        figures.pue,
        *figures.pue_elsewhere,
        figures.wue,
        figures.cue,
        figures.ref,
        figures.erf,
    ]
    rows += [_line(kpi) for kpi in shown]
    for entry in figures.ppue:
        name, *rest = _line(entry.kpi)
        rows.append((f"{name} {entry.zone}".rstrip(), *rest))  # type: ignore[arg-type]  # mypy loses the length of what the star takes
    yield from _aligned(rows)


def _line(kpi: "Kpi") -> tuple[str, str, str, str, str, str]:
    unit = "" if kpi.unit == "1" else f" {kpi.unit}"
    return (
        kpi.label,
        "not measured" if kpi.value is None else f"{kpi.value:.5f}{unit}",
        f"{kpi.coverage * 100:.2f} %",
        kpi.category or "-",
        str(kpi.status or "-"),
        kpi.reason or kpi.boundary,
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()
