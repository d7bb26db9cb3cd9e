"""``jauge-collector plan``: what GPU workloads fit, when it is full, and what more would take."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from jauge_models.configuration import ConfigurationError

from jauge_collector import config
from jauge_collector.commands import new_file
from jauge_collector.commands.period import only_or_named_site
from jauge_collector.commands.servers import LANGUAGES
from jauge_collector.importer.progress import Bar

if TYPE_CHECKING:
    from jauge_collector.capacity.planning import Known

_EXAMPLE: Final = "jauge-collector plan --scenario next-year.toml --picture next-year.svg"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "plan",
        help="GPU capacity: what fits, when it is full, of what, and what more would take",
        description="Answers a scenario of GPU workloads for the plant that a site declares: what "
        "fits hour by hour, what waits, what stops the rest, which limit is nearest (GPUs, memory, "
        "rack, breaker with a feed lost, cooling), what it draws and costs, and what each what-if "
        "changes. What was measured goes before what is declared; what is not known is said.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument(
        "--scenario", type=Path, required=True, metavar="FILE", help="TOML of the workloads"
    )
    parser.add_argument("--site", help="name of the site; the only one where absent")
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="en", help="language of the text (%(default)s)"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="write the fullest week as SVG"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the tables as CSV")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


def _are_one(first: Path, second: Path) -> bool:
    return first.absolute().resolve() == second.absolute().resolve()


async def main(args: argparse.Namespace) -> int:
    """Print the answer. Raises ConfigurationError, LedgerError and StoreError."""
    if args.csv is not None and args.picture is not None and _are_one(args.csv, args.picture):
        raise ConfigurationError("--csv", "", "is the file of --picture", "name two files")
    settings = config.load(args.config)
    site = only_or_named_site(settings, args.site)
    file = str(args.scenario)
    from jauge_models.capacity.scenario import decode  # noqa: PLC0415 - --help is instant

    from jauge_collector.capacity import planning  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    scenario = decode(config.read_text(args.scenario), file=file)
    now_ms = round(time.time() * 1000)
    zone = planning.checked(scenario, planning.plant_of(site, now_ms), file=file)
    bar = Bar(sys.stderr)
    try:
        with Ledger(settings.state(settings.ledger.path)) as ledger:
            async with open_store(settings) as store:
                known: Known = await planning.gather(
                    site,
                    ledger,
                    store,
                    now_ms,
                    policy=settings.policy.coverage(),
                    progress=lambda done, total: bar("nodes", done, total),
                )
        bar("placement", 0, 1)
        found = planning.plan(known, scenario, file=file)
    finally:
        bar.clear()
    from jauge_collector.capacity import picture, sheet_csv  # noqa: PLC0415 - --help is instant
    from jauge_collector.capacity.sheet import lines, sheet  # noqa: PLC0415 - --help is instant
    from jauge_collector.capacity.words import words  # noqa: PLC0415 - --help is instant

    w = words(args.lang)
    told = sheet(found, w, zone)
    if args.picture is not None:
        new_file.write(args.picture, f"{picture.svg(found, w, zone)}\n")
    if args.csv is not None:
        new_file.write(args.csv, sheet_csv.text(told))
    if args.json:
        encoded = msgspec.json.encode(found, order="deterministic")
        sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*lines(told), ""]))
    return 0
