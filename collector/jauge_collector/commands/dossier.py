"""``jauge-collector dossier``: all that proves a quarter, in one file for its verifier."""

import argparse
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector import config
from jauge_collector.commands.entering import Subparsers, add_command, say
from jauge_collector.commands.period import named_site
from jauge_collector.importer.progress import Bar
from jauge_collector.registers import files

if TYPE_CHECKING:
    from jauge_collector.compliance.life import Standing
    from jauge_collector.reports.dossier_subject import Subject
    from jauge_collector.sites import Site

_EXAMPLE: Final = "jauge-collector dossier --site paris --quarter 2026-Q4 --out dossier.zip"
LANGUAGES: Final = ("fr", "en")
DOCUMENTS: Final = Path("documents")
"""Where documents of entries are kept, below ``state_dir``."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "dossier",
        summary="Write all that proves a closed quarter as one ZIP file for its verifier.",
        example=_EXAMPLE,
    )
    parser.add_argument("--quarter", required=True, metavar="QUARTER", help="2026-Q4")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the ZIP file")
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="fr", help="language of the texts (%(default)s)"
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Write the file. Raises ConfigurationError, RegisterError, LedgerError and StoreError."""
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.whole_file import whole  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.dossier import Dossier  # noqa: PLC0415 - --help is instant

    bar = Bar(sys.stderr)
    async with _closed(settings, site, args.quarter) as found:
        dossier = Dossier(
            found.subject,
            found.standing,
            settings.state(life.REPORTS),
            settings.state(DOCUMENTS),
            args.lang,
        )
        try:
            with whole(args.out) as target:
                count = dossier.write(target, bar)
        except OSError as error:
            problem = f"cannot be written: {(error.strerror or 'error').lower()}"
            raise ConfigurationError("--out", str(args.out), problem, "name another") from None
        finally:
            bar.clear()
        missing = [piece.sha256 for piece, _ in dossier.pieces if not piece.file]
    size = args.out.stat().st_size
    told = {"file": str(args.out), "files": count, "bytes": size, "missing_documents": missing}
    more = f"; {len(missing)} documents of entries are missing" if missing else ""
    say(args, told, f"{args.out}: {count} files, {size} bytes{more}")
    return 0


class _Closed(NamedTuple):
    """A closed quarter, its ledgers open."""

    standing: "Standing"
    subject: "Subject"


@asynccontextmanager
async def _closed(
    settings: config.CollectorConfig, site: "Site", quarter_name: str
) -> AsyncIterator[_Closed]:
    from jauge_models.compliance.windows import twelve_months  # noqa: PLC0415 - --help is instant

    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.confirmed_ledger import counted  # noqa: PLC0415 - --help
    from jauge_collector.compliance.quarters import quarter_of, span_ms  # noqa: PLC0415 - --help
    from jauge_collector.compliance.sources import configured  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.evidence import limits  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.boundary import read  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.dossier_subject import Subject  # noqa: PLC0415 - --help
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    try:
        quarter = quarter_of(quarter_name, site.zone, round(time.time() * 1000))
    except ValueError as error:
        raise ConfigurationError("--quarter", "", str(error)) from None
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        standing = life.standing(ledger, site.name, quarter.name)
        report = life.stored(settings.state(life.REPORTS), standing)
        registers = files.load(site.registers, site.file.parent, site.name)
        async with open_store(settings) as store:
            sources = configured(settings, site, registers, ledger, store)
            with counted(sources, limits(registers)) as counting:
                year = span_ms(twelve_months(quarter.window.last), site.zone)
                subject = Subject(
                    site=site,
                    registers=registers,
                    ledger=ledger,
                    counting=counting.ledger,
                    report=report,
                    boundary=read(counting.ledger, site, year),
                    quarter=span_ms(quarter.window, site.zone),
                )
                yield _Closed(standing, subject)
