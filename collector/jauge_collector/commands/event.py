"""``jauge-collector event``: what was planned and changes what readings mean."""

import argparse
from typing import Any

from jauge_collector.commands.entering import Subparsers, add_command, desk, say

_KINDS = ("bypass", "generator_test", "load_bank", "battery", "maintenance")


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser(
        "event",
        help="planned events: bypass, generator test, load bank, battery, maintenance",
        description="Events that change what a reading means. During a bypass or a generator "
        "test a true zero counts as not measured; cross-checks pause during all of them.",
        epilog="example: jauge-collector event add --site paris --kind bypass --subject ups-a "
        "--from 2026-03-02T10:00 --to 2026-03-02T11:30",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = add_command(
        own,
        "add",
        summary="Enter an event with both its ends.",
        example="jauge-collector event add --site paris --kind bypass --subject ups-a "
        "--from 2026-03-02T10:00 --to 2026-03-02T11:30 --reason 'battery replacement'",
    )
    add.add_argument("--kind", required=True, choices=_KINDS, help="what happens")
    add.add_argument(
        "--subject", default="", help="meter, host or resource; without, the whole site"
    )
    add.add_argument("--from", dest="begin", required=True, metavar="TIME", help="beginning")
    add.add_argument("--to", dest="end", required=True, metavar="TIME", help="end, excluded")
    add.add_argument("--reason", default="", help="why")
    add.add_argument("--signatory", default="", help="who answers for the entry")
    add.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    add.set_defaults(func=add_event)
    show = add_command(
        own, "list", summary="Show the events.", example="jauge-collector event list --site paris"
    )
    show.set_defaults(func=list_events)


async def add_event(args: argparse.Namespace) -> int:
    """Enter an event. Raises ConfigurationError and LedgerError."""
    from jauge_models.topology import Event, EventKind, Validity  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import events  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        begin, end = at.moment("--from", args.begin), at.moment("--to", args.end)
        key = events.enter_event(
            at.ledger,
            at.site,
            Event(EventKind(args.kind), Validity(begin, end), args.subject, args.reason),
            now_ms=at.now_ms,
            signatory=args.signatory,
            corrects=args.corrects,
        )
        account = await at.account()
        entry = next(e for e in at.ledger.entries(at.site.name, events.EVENT) if e.id == key)
        where = args.subject or f"all of {at.site.name}"
        text = f"entry {key}: {args.kind} of {where} from {at.when(begin)} to {at.when(end)}"
        say(args, at.entry(entry) | {"rows": account}, f"{text}; {account}")
    return 0


def list_events(args: argparse.Namespace) -> int:
    """Show the events of the site file and of the register."""
    from jauge_collector.registers import events  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        told: list[dict[str, Any]] = [
            {
                "id": None,
                "event": event.kind.value,
                "subject": event.subject,
                "from": at.when(event.validity.from_ms),
                "to": at.when(event.validity.to_ms),
                "reason": event.reason,
                "signatory": "",
                "corrected_by": None,
            }
            for event in at.site.topology.events
        ]
        found = at.ledger.entries(at.site.name, events.EVENT, corrected=True)
        corrected = {entry.corrects: entry.id for entry in found}
        told += [at.entry(entry) | {"corrected_by": corrected.get(entry.id)} for entry in found]
        lines = [_line(event) for event in told]
        say(args, told, "\n".join(lines) or "no events")
    return 0


def _line(event: dict[str, Any]) -> str:
    key, subject = event["id"] or "file", event["subject"] or "whole site"
    span = f"{event['from']} to {event['to']}"
    text = f"{key:>5}  {event['event']:<15} {subject:<20} {span}  {event['reason']}"
    return text + (f"  corrected by {event['corrected_by']}" if event["corrected_by"] else "")
