"""``jauge-collector report``: the quarterly report of a site as files."""

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from jauge_models.configuration import ConfigurationError

from jauge_collector import config
from jauge_collector.commands.period import only_or_named_site
from jauge_collector.commands.servers import LANGUAGES
from jauge_collector.importer.progress import Bar
from jauge_collector.registers import files

if TYPE_CHECKING:
    from jauge_collector.compliance.quarters import Quarter
    from jauge_collector.reports.content import Report
    from jauge_collector.sites import Site

_EXAMPLE: Final = "jauge-collector report --site paris --quarter 2026-Q3 --out reports"
_FORMATS: Final = ("pdf", "html", "csv", "json", "summary")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "report",
        help="the quarterly report as PDF, HTML, tables and JSON",
        description="Writes the report of a quarter. One that was closed is written as it was "
        "stored; one that is open is gathered now, and says that it is provisional.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("--site", help="name of the site; the only one where absent")
    parser.add_argument(
        "--quarter", default="", metavar="QUARTER", help="2026-Q3; the running one where absent"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write into"
    )
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="fr", help="language of the report (%(default)s)"
    )
    parser.add_argument(
        "--formats",
        default=",".join(_FORMATS),
        metavar="LIST",
        help="some of %(default)s, with commas between",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--revision", type=int, metavar="N", help="an earlier edition of a closed quarter"
    )
    which.add_argument(
        "--fresh", action="store_true", help="gather a closed quarter anew, as if it were open"
    )
    parser.add_argument("--json", action="store_true", help="the files written, as JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Write the files. Raises ConfigurationError, LedgerError and StoreError."""
    formats = _formats(args.formats)
    settings = config.load(args.config)
    site = only_or_named_site(settings, args.site)
    now_ms = round(time.time() * 1000)
    from jauge_collector.compliance.quarters import quarter_of  # noqa: PLC0415 - --help is instant

    try:
        quarter = quarter_of(args.quarter, site.zone, now_ms)
    except ValueError as error:
        raise ConfigurationError("--quarter", "", str(error)) from None
    _writable(args.out)
    bar = Bar(sys.stderr)
    try:
        report = await _report(settings, site, quarter, args, now_ms, bar)
        bar("files", 1, 1)
        from jauge_collector.reports.write import write  # noqa: PLC0415 - --help is instant

        try:
            written = write(report, args.out, args.lang, formats)
        except OSError as error:
            problem = f"{error.filename} cannot be written: {(error.strerror or 'error').lower()}"
            fix = "make room, or name another folder"
            raise ConfigurationError("--out", "", problem, fix) from None
    finally:
        bar.clear()
    _say(report, written, as_json=args.json)
    return 0


async def _report(  # noqa: PLR0917 - what was asked, of what, when
    settings: config.CollectorConfig,
    site: "Site",
    quarter: "Quarter",
    args: argparse.Namespace,
    now_ms: int,
    bar: Bar,
) -> "Report":
    """The stored report of a closed quarter; else what is gathered now."""
    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.sources import configured  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.gather import gather  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    file, folder = settings.state(settings.ledger.path), settings.state(life.REPORTS)
    with Ledger(file) as ledger:
        standing = life.standing(ledger, site.name, quarter.name)
        if args.revision is not None or (standing.revision and not args.fresh):
            return life.stored(folder, standing, args.revision)
        registers = files.load(site.registers, site.file.parent, site.name)
        async with open_store(settings) as store:
            sources = configured(settings, site, registers, ledger, store)
            return await gather(sources, quarter, now_ms, progress=bar)


def _formats(text: str) -> list[str]:
    asked = [each.strip().lower() for each in text.split(",") if each.strip()]
    unknown = [each for each in asked if each not in _FORMATS]
    if unknown or not asked:
        problem = f"{unknown[0]!r} is no format" if unknown else "names no format"
        raise ConfigurationError("--formats", "", problem, f"some of {', '.join(_FORMATS)}")
    return asked


def _writable(folder: Path) -> None:
    """Whether files can be written there is known before a report is gathered."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".jauge-writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        problem = f"{folder} cannot be written: {(error.strerror or 'error').lower()}"
        raise ConfigurationError("--out", "", problem, "name another folder") from None


def _say(report: "Report", written: list[Path], *, as_json: bool) -> None:
    if not as_json:
        state = "provisional" if report.provisional else report.state
        sys.stdout.write("".join(f"{path}\n" for path in written))
        sys.stdout.write(f"{report.record.quarter} of {report.record.site}: {state}\n")
        return
    from jauge_collector.reports.content import data_hash  # noqa: PLC0415 - --help is instant

    told = {
        "site": report.record.site,
        "quarter": report.record.quarter,
        "state": report.state,
        "revision": report.revision,
        "provisional": report.provisional,
        "data_hash": data_hash(report),
        "files": [
            {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in written
        ],
    }
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
