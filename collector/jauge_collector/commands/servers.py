"""``jauge-collector servers``: which servers of a site comply in a quarter, and why not."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.commands.period import named_site
from jauge_collector.registers import files
from jauge_collector.registers.problems import RegisterError

if TYPE_CHECKING:
    from jauge_collector.compliance.quarters import Quarter
    from jauge_collector.compliance.record import Record
    from jauge_collector.registers.files import Registers
    from jauge_collector.sites import Site

_EXAMPLE: Final = "jauge-collector servers --site paris --quarter 2026-Q4 --json"
LANGUAGES: Final = ("fr", "en")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "servers",
        help="the compliance register: which servers comply, and why not",
        description="Judges every server of a site by the compliance policy: by its registers, "
        "meters and sensors. Machines that were seen and are not listed count too. What is not "
        "measured is said to be so, never guessed.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument(
        "--quarter", default="", metavar="QUARTER", help="2026-Q4; the running one where absent"
    )
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="fr", help="language of the text (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Print the record; 2 where a register is wrong, each problem on its line.

    Raises ConfigurationError, LedgerError and StoreError.
    """
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    now_ms = round(time.time() * 1000)
    from jauge_collector.compliance.quarters import quarter_of  # noqa: PLC0415 - --help is instant

    try:
        quarter = quarter_of(args.quarter, site.zone, now_ms)
    except ValueError as error:
        raise ConfigurationError("--quarter", "", str(error)) from None
    try:
        registers = files.load(site.registers, site.file.parent, site.name)
        found = await _record(settings, site, registers, quarter, now_ms)
    except RegisterError as error:
        return _complain(error)
    if args.json:
        encoded = msgspec.json.encode(found, order="deterministic")
        sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
        return 0
    from jauge_collector.compliance.report import report  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.words import words  # noqa: PLC0415 - --help is instant

    sys.stdout.write("\n".join([*report(found, words(args.lang)), ""]))
    return 0


async def _record(
    settings: config.CollectorConfig,
    site: "Site",
    registers: "Registers",
    quarter: "Quarter",
    now_ms: int,
) -> "Record":
    from jauge_collector.compliance.record import record  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.sources import configured  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    with Ledger(settings.state(settings.ledger.path)) as ledger:
        async with open_store(settings) as store:
            sources = configured(settings, site, registers, ledger, store)
            return await record(sources, quarter, civil.day(now_ms, site.zone))


def _complain(error: RegisterError) -> int:
    for problem in error.problems:
        sys.stderr.write(f"jauge-collector: {' '.join(str(problem).split())}\n")
    left = error.count - len(error.problems)
    if left > 0:
        sys.stderr.write(f"jauge-collector: {left} more problems in the registers\n")
    return 2
