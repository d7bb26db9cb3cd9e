"""``jauge-collector quarter``: close a quarter, approve it, restate its rows, list them all."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jauge_models.configuration import ConfigurationError

from jauge_collector.commands.entering import Desk, Subparsers, add_command, desk, say
from jauge_collector.importer.progress import Bar
from jauge_collector.registers import files

if TYPE_CHECKING:
    from jauge_models.topology import Commodity

    from jauge_collector.compliance.closing import Restatement
    from jauge_collector.compliance.life import Standing
    from jauge_collector.compliance.quarters import Quarter
    from jauge_collector.ledger.closing import Change, Proposed
    from jauge_collector.reports.content import Signed

_CLOSE: Final = "jauge-collector quarter close --site paris --quarter 2026-Q3 --signatory 'A. Name'"
_APPROVE: Final = (
    "jauge-collector quarter approve --site paris --quarter 2026-Q3 --signatory 'B. Name'"
)
_LIST: Final = "jauge-collector quarter list --site paris"
_RESTATE: Final = "jauge-collector quarter restate --site paris --quarter 2026-Q3 --dry-run"
_LINES: Final = 40
"""Proposals shown one by one to people; --json gives all."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "quarter",
        help="close a quarter, approve it, restate it, or list how each stands",
        description="The life of a quarter: open, closed by the officer, approved by another "
        "person, published. Closing stores the report and the readings behind it; from then on "
        "rows of the site's meters change by a signed restatement only.",
        epilog=f"example: {_CLOSE}",
    )
    acts = parser.add_subparsers(title="acts", required=True, metavar="ACT")
    closing = _act(acts, "close", "Close a quarter that has ended, or close it again.", _CLOSE)
    closing.add_argument(
        "--note", default="", help="why; needed where it was approved or published already"
    )
    closing.set_defaults(func=close)
    approving = _act(acts, "approve", "Approve the last edition, as another person.", _APPROVE)
    approving.add_argument("--note", default="", help="anything a verifier should know")
    approving.set_defaults(func=approve)
    listing = add_command(acts, "list", summary="Show how each quarter stands.", example=_LIST)
    listing.set_defaults(func=show)
    restating = _act(acts, "restate", "Show or carry out what changes closed rows.", _RESTATE)
    restating.add_argument("--reason", default="", help="why closed figures change")
    restating.add_argument(
        "--dry-run", action="store_true", help="show what is proposed, and stop there"
    )
    restating.set_defaults(func=restate)


def _act(acts: Subparsers, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser = add_command(acts, name, summary=summary, example=example)
    parser.add_argument("--quarter", required=True, metavar="QUARTER", help="such as 2026-Q3")
    parser.add_argument("--signatory", default="", help="who does it")
    return parser


# --- close and approve


async def close(args: argparse.Namespace) -> int:
    """Close. Raises ConfigurationError, LedgerError, StoreError and OSError."""
    from jauge_collector.compliance import closing, life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.sources import configured  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.accounting import account_now  # noqa: PLC0415 - --help is instant
    from jauge_collector.reports.gather import gather  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    bar = Bar(sys.stderr)
    with desk(args) as at:
        quarter = _quarter(args, at)
        life.person_of(args.signatory)
        if quarter.running:
            problem, fix = f"{quarter.name} has not ended", "close it from the next quarter on"
            raise ConfigurationError("--quarter", "", problem, fix)
        registers = files.load(at.site.registers, at.site.file.parent, at.site.name)
        try:
            async with open_store(at.settings) as store:
                sources = configured(at.settings, at.site, registers, at.ledger, store)
                if at.ledger.marks(at.site.name, at.now_ms):  # a running collector does it itself
                    await account_now(store, at.ledger, at.site, at.now_ms)
                rows = closing.digests(at.ledger, at.site, quarter)
                report = await gather(sources, quarter, at.now_ms, progress=bar)
                found = await closing.close_quarter(
                    sources,
                    at.settings.state(Path()),
                    quarter,
                    report,
                    by=args.signatory,
                    now_ms=at.now_ms,
                    note=args.note,
                    rows=rows,
                    progress=bar,
                )
        finally:
            bar.clear()
        say(
            args,
            _told(at, found),
            f"{found.quarter} of {found.site} is closed, edition {found.revision}, by "
            f"{args.signatory}; data hash {found.data_hash}\n"
            f"it is provisional until another person approves it: {_APPROVE.split(' --')[0]}",
        )
    return 0


def approve(args: argparse.Namespace) -> int:
    """Approve. Raises ConfigurationError and LedgerError."""
    from jauge_models.compliance.policy import Act  # noqa: PLC0415 - --help is instant

    from jauge_collector.compliance import life  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.evidence import limits  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        quarter = _quarter(args, at)
        registers = files.load(at.site.registers, at.site.file.parent, at.site.name)
        standing = life.standing(at.ledger, at.site.name, quarter.name)
        if standing.revision:  # what is approved must still be what was closed
            life.stored(at.settings.state(life.REPORTS), standing)
        found = life.approve(
            at.ledger,
            at.site.name,
            quarter.name,
            by=args.signatory,
            now_ms=at.now_ms,
            note=args.note,
            two_people=Act.QUARTER_APPROVAL in limits(registers).two_people,
        )
        say(
            args,
            _told(at, found),
            f"{found.quarter} of {found.site}, edition {found.revision}, is approved by "
            f"{args.signatory}",
        )
    return 0


# --- list


def show(args: argparse.Namespace) -> int:
    """List. Raises ConfigurationError and LedgerError."""
    from jauge_collector.compliance import closing, life  # noqa: PLC0415 - --help is instant
    from jauge_collector.compliance.quarters import quarter_of  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        told: list[dict[str, Any]] = []
        lines: list[str] = []
        for standing in life.standings(at.ledger, at.site.name):
            quarter = quarter_of(standing.quarter, at.site.zone, at.now_ms)
            waiting = closing.preview(at.ledger, at.site, quarter).rows
            told.append(_told(at, standing) | {"proposed_rows": waiting})
            lines += _standing_lines(at, standing, waiting)
        say(args, told, "\n".join(lines) or "no quarter was ever closed")
    return 0


def _standing_lines(at: Desk, standing: "Standing", waiting: int) -> Iterator[str]:
    yield (
        f"{standing.quarter}  {standing.state:<9}  edition {standing.revision}  data hash "
        f"{standing.data_hash[:12]}"
    )
    for step in standing.history:
        edition = f"edition {step.revision}" if step.revision else "before any edition"
        where = f" at {step.where}" if step.where else ""
        note = f": {step.signed.note}" if step.signed.note and not step.where else ""
        yield (
            f"    {at.when(step.signed.at_ms)}  {step.act} ({edition}) by {step.signed.by}"
            f"{where}{note}"
        )
    if standing.restated:
        yield "    rows were restated since: close it again"
    if waiting:
        yield f"    {waiting} closed rows would change: see quarter restate --dry-run"


def _told(at: Desk, found: "Standing") -> dict[str, Any]:
    def signed(one: "Signed | None") -> dict[str, Any] | None:
        if one is None:
            return None
        return {"by": one.by, "at": at.when(one.at_ms), "note": one.note}

    return {
        "site": found.site,
        "quarter": found.quarter,
        "state": found.state.value,
        "revision": found.revision,
        "data_hash": found.data_hash,
        "snapshot": found.snapshot,
        "closed": signed(found.closed),
        "approved": signed(found.approved),
        "published": signed(found.published),
        "restated_since": len(found.restated),
        "history": [
            {
                "act": step.act,
                "revision": step.revision,
                **(signed(step.signed) or {}),
                **({"where": step.where} if step.where else {}),
            }
            for step in found.history
        ],
    }


# --- restate


def restate(args: argparse.Namespace) -> int:
    """Restate, or show what would be. Raises ConfigurationError and LedgerError."""
    from jauge_collector.compliance import closing  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        quarter = _quarter(args, at)
        if args.dry_run:
            done = closing.preview(at.ledger, at.site, quarter)
        else:
            done = closing.restate(
                at.ledger,
                at.site,
                quarter,
                by=args.signatory,
                reason=args.reason,
                now_ms=at.now_ms,
            )
        told = {
            "site": at.site.name,
            "quarter": quarter.name,
            "dry_run": args.dry_run,
            "rows": done.rows,
            "meters": [_change(at, change) for change in done.changes],
            "touches": [
                {"quarter": one.quarter, "revision": one.revision, "state": one.state.value}
                for one in done.touched
            ],
            "proposals": [each for proposed in done.proposals for each in _proposals(at, proposed)],
        }
        say(args, told, "\n".join(_restated_lines(at, quarter, done, args)))
    return 0


def _restated_lines(
    at: Desk,
    quarter: "Quarter",
    done: "Restatement",
    args: argparse.Namespace,
) -> Iterable[str]:
    if not done.rows:
        yield f"nothing is proposed for {quarter.name}"
        return
    shown = [each for proposed in done.proposals for each in _proposals(at, proposed)]
    for each in shown[:_LINES] if args.dry_run else ():
        yield (
            f"{each['meter']:<16}  {each['start']}  {_amount(each['before'])} -> "
            f"{_amount(each['after'])} {each['unit']}  {each['reason']}, first seen "
            f"{each['first_seen']}"
        )
    if args.dry_run and len(shown) > _LINES:
        yield f"and {len(shown) - _LINES} more; --json gives all"
    for change in done.changes:
        one = _change(at, change)
        verb = "would change" if args.dry_run else "changed"
        yield (
            f"{change.meter}: {change.rows} rows {verb}, {_amount(one['before'])} -> "
            f"{_amount(one['after'])} {one['unit']}"
        )
    for touched in done.touched:
        yield (
            f"touches edition {touched.revision} of {touched.quarter}, which is {touched.state}: "
            "close it again"
        )


def _amount(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _change(at: Desk, change: "Change") -> dict[str, Any]:
    scale, unit = _unit(_commodity(at, change.meter))
    return {
        "meter": change.meter,
        "rows": change.rows,
        "before": change.before / scale,
        "after": change.after / scale,
        "unit": unit,
    }


def _proposals(at: Desk, found: "Proposed") -> Iterator[dict[str, Any]]:
    scale, unit = _unit(_commodity(at, found.meter))
    for one in found.proposals:
        yield {
            "meter": found.meter,
            "start": at.when(one.start_ms),
            "end": at.when(one.end_ms),
            "before": None if one.amount is None else one.amount / scale,
            "after": None if one.new_amount is None else one.new_amount / scale,
            "unit": unit,
            "goes": one.new is None,
            "comes": not one.stands,
            "reason": one.reason,
            "first_seen": at.when(one.first_ms),
        }


def _commodity(at: Desk, meter: str) -> "Commodity":
    return at.site.topology.meter(meter).commodity


def _unit(commodity: "Commodity") -> tuple[float, str]:
    """Of what people read: base units in one of it, and its name."""
    from jauge_models.topology import MEASURES  # noqa: PLC0415 - --help is instant

    return (3.6e6, "kWh") if MEASURES[commodity].unit == "J" else (1.0, "m3")


def _quarter(args: argparse.Namespace, at: Desk) -> "Quarter":
    from jauge_collector.compliance.quarters import quarter_of  # noqa: PLC0415 - --help is instant

    try:
        return quarter_of(args.quarter, at.site.zone, at.now_ms)
    except ValueError as error:
        raise ConfigurationError("--quarter", "", str(error)) from None
