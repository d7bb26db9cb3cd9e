"""``jauge-collector verify``: whether ledger, documents and reports are what was kept."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import config
from jauge_collector.commands.entering import Subparsers, say
from jauge_collector.commands.period import named_site
from jauge_collector.importer.progress import Bar
from jauge_collector.sites import load_all

if TYPE_CHECKING:
    from jauge_collector.compliance.kept_files import Checked
    from jauge_collector.ledger.book import Ledger
    from jauge_collector.ledger.verification import Anchor, Verified
    from jauge_collector.sites import Site

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "verify",
        help="check that the ledger, documents and reports are what was kept",
        description="Walks the whole hash chain, holds every entry against its link, every "
        "document, report and archive against its SHA-256, and closed rows against their digests. "
        "Changes nothing; the collector may be running. Exit status 0, or 1 with a line for each "
        "thing that does not hold. Whoever may write the ledger's file could make a whole new "
        "chain: keep the digest of the head elsewhere, on a published report say, and give it to "
        "--anchor later.",
        epilog="example: jauge-collector verify --config /etc/jauge/collector.toml",
    )
    parser.add_argument(
        "--site", help="documents, reports and rows of this site alone; the chain is one for all"
    )
    parser.add_argument(
        "--anchor", metavar="HEX", help="a digest kept earlier: says in which link it lies"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Verify. Raises ConfigurationError and LedgerError."""
    settings = config.load(args.config)
    if args.anchor is not None and not _DIGEST.fullmatch(args.anchor):
        raise ConfigurationError("--anchor", "", "is no digest", "give its 64 hexadecimal digits")
    known = load_all([settings.beside(path) for path in settings.sites])
    site = None if args.site is None else named_site(settings, args.site)
    file = settings.state(settings.ledger.path)
    if not file.exists():
        raise ConfigurationError(str(file), "", "there is no ledger", "check ledger.path")
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.verification import verify  # noqa: PLC0415 - --help is instant

    bar = Bar(sys.stderr)
    anchor = None if args.anchor is None else args.anchor.lower()
    with Ledger(file) as ledger:
        found = verify(ledger, anchor=anchor, progress=bar)
        files = _files(settings, ledger, site, bar)
        rows = list(_rows(ledger, known.values() if site is None else [site]))
    bar.clear()
    problems = [
        *found.problems,
        *(problem for checked in files.values() for problem in checked.problems),
        *rows,
    ]
    counts = {what: checked.files for what, checked in files.items()}
    say(args, _told(found, counts, problems), "\n".join(_lines(found, counts, problems)))
    return 1 if problems else 0


def _files(
    settings: config.CollectorConfig, ledger: "Ledger", site: "Site | None", bar: Bar
) -> "dict[str, Checked]":
    from jauge_collector import retention  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance import archive, kept_files, life  # noqa: PLC0415 - --help is instant

    name = None if site is None else site.name
    named = {
        "documents": kept_files.documents(ledger, settings.state(retention.DOCUMENTS), name),
        "reports": kept_files.reports(ledger, settings.state(life.REPORTS), name),
        "archives": kept_files.archives(ledger, settings.state(archive.ARCHIVE), name),
    }
    return {what: kept_files.check(some, what=what, progress=bar) for what, some in named.items()}


def _rows(ledger: "Ledger", sites: "Iterable[Site]") -> Iterator[str]:
    """Closed rows that are not what they were when their quarter was closed."""
    from jauge_collector.ledger.closing import broken_rows  # noqa: PLC0415 - --help is instant

    for site in sites:
        try:
            found = broken_rows(ledger, site.name)
        except (KeyError, TypeError, ValueError, AttributeError):
            # A link that was changed may say anything; the chain tells which one.
            yield f"{site.name}: closed rows cannot be checked, for their links make no sense"
        else:
            yield from (f"{site.name}: {broken}" for broken in found)


def _told(found: "Verified", files: dict[str, int], problems: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "holds": not problems,
        "links": found.links,
        "head": found.head,
        "entries": found.entries,
        "erased": found.erased,
        "adopted": found.adopted,
        **files,
        "problems": problems,
    }
    if found.anchor is not None:
        told["anchor"] = found.anchor._asdict()
    return told


def _lines(found: "Verified", files: dict[str, int], problems: list[str]) -> Iterator[str]:
    yield from (f"broken: {problem}" for problem in problems)
    counts = {"links": found.links, "entries": found.entries, **files}
    yield ", ".join(f"{what}: {count}" for what, count in counts.items())
    if found.erased:
        yield f"erased, as noted: {found.erased}"
    if found.adopted:
        yield f"entered before the chain, which holds them as it found them: {found.adopted}"
    if found.anchor is not None and found.anchor.link is not None:
        yield _anchored(found, found.anchor)
    yield f"head {found.head}"
    yield f"broken things: {len(problems)}" if problems else "all holds"


def _anchored(found: "Verified", anchor: "Anchor") -> str:
    return f"the anchor is the digest of link {anchor.link} of {found.links}"
