"""``jauge-collector annex``: every field of the European database's annex, for one year."""

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.commands.period import named_site
from jauge_collector.registers import files

if TYPE_CHECKING:
    from jauge_collector.reports.eed import Annex
    from jauge_collector.sites import Site

_EXAMPLE: Final = "jauge-collector annex --site paris --year 2026 > annexe.csv"
LANGUAGES: Final = ("fr", "en")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "annex",
        help="fields of Delegated Regulation (EU) 2024/1364 for a calendar year",
        description="Every field of annexes I to III of Delegated Regulation (EU) 2024/1364, as "
        "CSV on stdout: with its value and source, or « to be supplied by the operator » (register "
        "of the facility). What is not in force stands there only where the policy asks for it.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument(
        "--year", type=int, metavar="YEAR", help="calendar year; the last full one where absent"
    )
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="fr", help="language of the texts (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of CSV")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Print the annex. Raises ConfigurationError, RegisterError, LedgerError and StoreError."""
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    found = await _annex(settings, site, _year(args.year, site))
    from jauge_collector.reports import eed_files as eed  # noqa: PLC0415 - --help is instant

    if args.json:
        sys.stdout.write(eed.as_json(found).decode())
    else:
        sys.stdout.write(eed.as_csv(found, args.lang))
    return 0


def _year(asked: int | None, site: "Site") -> int:
    from jauge_collector.reports.eed import last_full_year  # noqa: PLC0415 - --help is instant

    now_ms = round(time.time() * 1000)
    last = last_full_year(civil.day(now_ms, site.zone) - timedelta(days=1))
    year = last if asked is None else asked
    if year not in civil.YEARS or year > last:
        problem = f"{year} is not over" if year in civil.YEARS else f"{year} is no year"
        raise ConfigurationError("--year", "", problem, f"the last full year is {last}")
    return year


async def _annex(settings: config.CollectorConfig, site: "Site", year: int) -> "Annex":
    from jauge_collector.compliance.attested_set_points import year_mean  # noqa: PLC0415 - --help
    from jauge_collector.compliance.confirmed_ledger import counted  # noqa: PLC0415 - --help
    from jauge_collector.compliance.sources import configured  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.evidence import limits  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.eed import annex  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.eed_figures import year_figures  # noqa: PLC0415 - --help
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    registers = files.load(site.registers, site.file.parent, site.name)
    policy = limits(registers)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        async with open_store(settings) as store:
            sources = configured(settings, site, registers, ledger, store)
            with counted(sources, policy) as counting:
                found = year_figures(counting.ledger, site, year, policy.coverage)
                set_point = year_mean(
                    counting.ledger, registers, site, year, policy.intake_measured
                )
    return annex(
        site=site.name,
        title=site.title,
        year=year,
        registers=registers,
        figures=found.figures,
        fresh=found.fresh,
        set_point=set_point,
        simulated=site.simulated,
    )
