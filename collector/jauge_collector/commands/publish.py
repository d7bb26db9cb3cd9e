"""``jauge-collector publish``: the public page and open data of an approved quarter."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.commands.entering import Subparsers, add_command, say
from jauge_collector.commands.period import named_site
from jauge_collector.registers import files as registers_of

if TYPE_CHECKING:
    from jauge_collector.compliance.life import Standing
    from jauge_collector.ledger.book import Ledger
    from jauge_collector.publication.content import Public
    from jauge_collector.registers.files import Registers
    from jauge_collector.reports.content import Report
    from jauge_collector.sites import Site

_EXAMPLE: Final = """jauge-collector publish --site paris --quarter 2026-Q4 \\
    --out /srv/www/paris --by officer"""
LANGUAGES: Final = ("fr", "en")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "publish",
        summary="Write the public page and open data of an approved quarter.",
        example=_EXAMPLE,
    )
    parser.add_argument("--quarter", required=True, metavar="QUARTER", help="2026-Q4")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--by", required=True, metavar="NAME", help="who publishes it")
    parser.add_argument(
        "--lang", choices=LANGUAGES, default="fr", help="language of the pages (%(default)s)"
    )
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Write the files and note it in the chain; again gives the same bytes.

    Raises ConfigurationError where the quarter is not approved, and LedgerError.
    """
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    now_ms = round(time.time() * 1000)
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant
    from jauge_collector.publication import site as files  # noqa: PLC0415 - --help is instant

    registers = registers_of.load(site.registers, site.file.parent, site.name)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        found = _approved(ledger, settings, site, args.quarter)
        public = _public(ledger, settings, site, registers, found)
        rendered = files.rendered(public, args.lang)
        written = files.write(rendered, args.out)
        where = public.pages.get("page_url") or str(args.out)
        content = {
            "quarter": args.quarter,
            "revision": found.standing.revision,
            "data_hash": public.data_hash,
            "language": args.lang,
            "where": where,
            "files": files.digests(rendered),
        }
        news = _note(ledger, site, found.standing, content, args.by, now_ms)
    told = {**content, "written": [str(path) for path in written], "noted": news}
    missing = (
        [] if public.pages.get("publisher_name") else ["; no publisher in the facility register"]
    )
    done = "noted in the chain" if news else "the same bytes as before, nothing to note"
    say(args, told, f"{len(written)} files written to {args.out}; {done}{''.join(missing)}")
    return 0


class _Approved(NamedTuple):
    """An approved quarter and its report."""

    standing: "Standing"
    report: "Report"


def _approved(
    ledger: "Ledger", settings: config.CollectorConfig, site: "Site", quarter: str
) -> _Approved:
    """The approved edition of a quarter. Raises ConfigurationError where there is none."""
    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant

    standing = life.standing(ledger, site.name, quarter)
    if standing.state not in {life.State.APPROVED, life.State.PUBLISHED}:
        raise ConfigurationError(
            "--quarter",
            "",
            f"{quarter} is {standing.state}",
            "only an approved quarter is published: "
            + ("close it first" if standing.state is life.State.OPEN else "have it approved first"),
        )
    if standing.restated:
        raise ConfigurationError(
            "--quarter",
            "",
            f"rows of {quarter} were restated since it was approved",
            "close and approve it again",
        )
    return _Approved(standing, life.stored(settings.state(life.REPORTS), standing))


def _public(
    ledger: "Ledger",
    settings: config.CollectorConfig,
    site: "Site",
    registers: "Registers",
    found: _Approved,
) -> "Public":
    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.attested_set_points import mean  # noqa: PLC0415 - --help
    from jauge_collector.publication.content import public  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.evidence import limits  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.facility import supplied  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.eed import annex, last_full_year  # noqa: PLC0415 - --help

    record = found.report.record
    year = last_full_year(record.as_of)
    closing: Report | None = found.report
    if record.quarter != f"{year}-Q4":
        last = life.standing(ledger, site.name, f"{year}-Q4")
        approved = last.state in {life.State.APPROVED, life.State.PUBLISHED}
        closing = life.stored(settings.state(life.REPORTS), last) if approved else None
    approval = found.standing.approved
    if approval is None:  # what is approved has one
        raise ConfigurationError("--quarter", "", "has no approval", "have it approved first")
    return public(
        found.report,
        annex(
            site=site.name,
            title=record.title,
            year=year,
            registers=registers,
            figures=None if closing is None else closing.year,
            set_point=None
            if closing is None
            else mean(closing.temperature.attested_set_points, limits(registers).intake_measured),
            simulated=record.simulated,
        ),
        supplied(registers.facility, site.name, year, record.as_of),
        approved_on=civil.day(approval.at_ms, site.zone),
        annual_approved=closing is not None,
    )


def _note(  # noqa: PLR0917 - what is noted, in its order
    ledger: "Ledger",
    site: "Site",
    standing: "Standing",
    content: dict[str, object],
    by: str,
    now_ms: int,
) -> bool:
    """Note a publication in the chain; False where it says what the last one did."""
    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger import chain  # noqa: PLC0415 - --help is instant

    before = ledger.links(site.name, chain.PUBLICATION, standing.quarter)
    if standing.state is life.State.PUBLISHED and before and before[-1].content == content:
        return False
    life.publish(
        ledger,
        site.name,
        standing.quarter,
        by=by,
        where=str(content["where"]),
        now_ms=now_ms,
    )
    ledger.link(site.name, chain.PUBLICATION, standing.quarter, content, now_ms)
    return True
