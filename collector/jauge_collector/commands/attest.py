"""``jauge-collector attest``: what people sign for, of meters, rooms and papers.

A second person confirms each.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jauge_models.configuration import ConfigurationError

from jauge_collector.commands import attest_statement
from jauge_collector.commands.entering import Desk, Subparsers, add_command, desk, say

if TYPE_CHECKING:
    from jauge_collector.ledger.book import SetAside

_EXAMPLE = """jauge-collector attest --site paris --meter incomer --amount 412.7 --unit MWh \\
    --from 2026-01-01 --to 2026-02-01 --invoice --document bill.pdf --signatory 'energy manager'
  jauge-collector attest --site paris --meter water --reading 10250.5 --unit m3 \\
    --at 2026-01-31T17:00 --signatory 'energy manager'
  jauge-collector attest --site paris --set-point 24 --room hall-1 \\
    --from 2026-01-01 --to 2026-02-01 --document bms.pdf --signatory 'facility manager'
  jauge-collector attest --site paris --observed 740 --allowable 738 --recommended 702 \\
    --room hall-1 --row A --from 2026-01-01 --to 2026-02-01 --document bms.pdf \\
    --signatory 'facility manager'
  jauge-collector attest --site paris --certificate annual_return --from 2026-01-20 \\
    --document return.pdf --signatory 'energy manager'
  jauge-collector attest --site paris --confirm 12 --signatory 'facility manager'"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "attest",
        summary="Enter what somebody signs for: a reading, a bill or monthly figure, a set point, "
        "hours of intake air, a certificate; or confirm one.",
        example=_EXAMPLE,
    )
    parser.add_argument("--meter", help="id of the meter")
    parser.add_argument("--reading", type=float, metavar="VALUE", help="what the dial showed")
    parser.add_argument("--at", metavar="TIME", help="when the dial showed it")
    parser.add_argument("--amount", type=float, metavar="VALUE", help="what flowed, by the bill")
    parser.add_argument(
        "--from", dest="begin", metavar="DATE", help="first day; a certificate's date"
    )
    parser.add_argument("--to", dest="end", metavar="DATE", help="end, excluded")
    parser.add_argument(
        "--invoice", action="store_true", help="a supplier's: compared with what was measured"
    )
    parser.add_argument("--cause", default="", help="written cause of a difference from an invoice")
    parser.add_argument("--unit", help="kWh, MWh, J, m3 or L, as it fits the meter")
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="the bill, photograph, print-out or certificate",
    )
    parser.add_argument("--signatory", default="", help="who answers for the value, or confirms")
    parser.add_argument("--note", default="", help="anything a verifier should know")
    parser.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    parser.add_argument(
        "--confirm", type=int, metavar="ID", help="vouch for this entry as a second person"
    )
    parser.add_argument("--list", action="store_true", help="show what has been attested")
    attest_statement.add_options(parser)
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Enter or list attested values. Raises ConfigurationError and LedgerError."""
    with desk(args) as at:
        if args.list:
            _show(args, at)
        elif args.confirm is not None:
            _confirm(args, at)
        else:
            await _enter(args, at)
    return 0


def _confirm(args: argparse.Namespace, at: Desk) -> None:
    from jauge_collector.registers import confirmations  # noqa: PLC0415 - --help is instant

    for option in (*attest_statement.OPTIONS, "document"):
        if attest_statement.is_given(args, option):
            raise ConfigurationError(
                attest_statement.option(option),
                "",
                "does not go with --confirm",
                "give --signatory, and --note if any: the entry says the rest, or a correction",
            )
    if args.corrects is not None:
        raise ConfigurationError(
            "--corrects", "", "does not go with --confirm", "enter the correction, confirm that"
        )
    key = confirmations.confirm(
        at.ledger,
        at.site,
        args.confirm,
        signatory=args.signatory,
        now_ms=at.now_ms,
        note=args.note,
    )
    entry = next(
        e for e in at.ledger.entries(at.site.name, confirmations.CONFIRMATION) if e.id == key
    )
    say(args, at.entry(entry), f"entry {key}: {entry.signatory} confirms {args.confirm}")


async def _enter(args: argparse.Namespace, at: Desk) -> None:
    from jauge_models.compliance.persons import person_key  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import attestations, meters  # noqa: PLC0415 - --help is instant

    kind = attest_statement.kind_of(args)
    attest_statement.refuse_others(args, kind)
    if kind not in {"reading", "amount"}:
        await attest_statement.enter(args, at, kind)
        return
    for option in ("meter", "unit", "signatory"):
        given = getattr(args, option)
        if not (person_key(given) if option == "signatory" else given):
            raise ConfigurationError(f"--{option}", "", "missing", "see --help for an example")
    meter = meters.meter_of(at.site, args.meter)
    value = args.amount if args.reading is None else args.reading
    base = attestations.in_base(meter, value, args.unit)
    moments = _moments(args, at)
    name = f" ({args.document.name})" if args.document is not None else ""
    what: dict[str, Any] = {
        "entered": f"{value:.15g} {args.unit}",
        "signatory": args.signatory,
        "note": f"{args.note}{name}".strip(),
        "corrects": args.corrects,
        "now_ms": at.now_ms,
    }
    folder = at.settings.state(Path("documents"))
    with attestations.document_kept(at.ledger, folder, args.document) as document:
        what["document"] = document
        if args.reading is None:
            key = attestations.enter_amount(
                at.ledger,
                at.site,
                meter,
                base,
                start_ms=moments[0],
                end_ms=moments[1],
                invoice=args.invoice,
                cause=args.cause,
                **what,
            )
        else:
            key = meters.enter_reading(at.ledger, at.site, meter, base, at_ms=moments[0], **what)
    more: dict[str, Any] = {}
    if args.reading is None:
        aside = _set_aside(at, meter.id, key, moments[0], moments[1])
        more["counts"] = aside is None
        account = "it stands where nothing was measured"
        if aside is not None and args.invoice:
            account = "it is compared with what was measured, which goes before it (S15)"
        elif aside is not None:
            first, last = at.when(aside.first_ms), at.when(aside.last_ms)
            account = (
                f"it does not count: rows between {first} and {last} lie in its span and go "
                "before; to have it count, attest only what was not measured"
            )
    else:
        account = await at.account()
    entry = next(e for e in attestations.attested(at.ledger, at.site) if e.id == key)
    say(
        args,
        at.entry(entry) | {"rows": account} | more,
        f"entry {key}: {what['entered']} attested for {meter.id}; {account}",
    )


def _set_aside(at: Desk, meter: str, key: int, start_ms: int, end_ms: int) -> "SetAside | None":
    """What keeps an amount just entered from counting."""
    from jauge_collector.kpis import counting_since  # noqa: PLC0415 - --help is instant

    found = at.ledger.set_aside(
        at.site.name, [meter], start_ms, end_ms, counts_from=counting_since(at.ledger, at.site)
    )
    return next((aside for aside in found if aside.entry.id == key), None)


def _moments(args: argparse.Namespace, at: Desk) -> list[int]:
    """The moment of a reading, or both ends of an amount."""
    needed = ("begin", "end") if args.reading is None else ("at",)
    names = {"begin": "--from", "end": "--to", "at": "--at"}
    for option, name in names.items():
        given = getattr(args, option) is not None
        if given != (option in needed):
            problem = "does not go with it" if given else "missing"
            raise ConfigurationError(name, "", problem, "see --help for an example")
    return [at.moment(names[option], getattr(args, option)) for option in needed]


def _show(args: argparse.Namespace, at: Desk) -> None:
    from jauge_collector.registers import attestations, confirmations  # noqa: PLC0415 - --help is instant

    found = [
        entry
        for entry in attestations.attested(at.ledger, at.site)
        if args.meter in (None, entry.subject)
    ]
    corrected = {entry.corrects: entry.id for entry in found}
    second = confirmations.confirmed(at.ledger, at.site.name)
    lines = [
        f"{e.id:>5}  {e.subject:<20} {e.content['entered']:<18} {at.when(e.start_ms)}"
        + (f" to {at.when(e.end_ms)}" if e.end_ms is not None else "")
        + ("  invoice" if attestations.is_invoice(e) else "")
        + (f"  {e.signatory}" if e.signatory else "")
        + (f"  confirmed by {second[e.id]}" if e.id in second else "")
        + (f"  document {e.document[:12]}" if e.document else "")
        + (f"  corrected by {corrected[e.id]}" if e.id in corrected else "")
        for e in found
    ]
    told = [
        at.entry(entry)
        | {"corrected_by": corrected.get(entry.id), "confirmed_by": second.get(entry.id)}
        for entry in found
    ]
    say(args, told, "\n".join(lines) or "nothing has been attested")
