"""``jauge-collector clock``: when agents' clocks were wrong, and taking back what was said so."""

import argparse

from jauge_collector.commands.entering import Subparsers, add_command, desk, say


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser(
        "clock",
        help="when agents' clocks were wrong: show it, withdraw it",
        description="Rows computed from readings that a wrong clock stamped are graded low. Where "
        "it was the collector's clock that was wrong, what was noted can be withdrawn.",
        epilog="example: jauge-collector clock list --site paris",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    show = add_command(
        own,
        "list",
        summary="Show when agents' clocks were wrong, in their own time stamps.",
        example="jauge-collector clock list --site paris",
    )
    show.set_defaults(func=list_clocks)
    withdraw = add_command(
        own,
        "withdraw",
        summary="Take back that agents' clocks were wrong, in spans that lie between two times.",
        example="jauge-collector clock withdraw --site paris --from 2026-03-02T10:00 "
        "--to 2026-03-02T13:00 --reason 'the collector was an hour ahead' --signatory 'A. Martin'",
    )
    withdraw.add_argument("--agent", help="of this agent; without, of every agent of the site")
    withdraw.add_argument("--from", dest="begin", required=True, metavar="TIME", help="beginning")
    withdraw.add_argument("--to", dest="end", required=True, metavar="TIME", help="end, excluded")
    withdraw.add_argument("--reason", required=True, help="why; it is kept")
    withdraw.add_argument("--signatory", required=True, help="who answers for it")
    withdraw.set_defaults(func=withdraw_clocks)


def list_clocks(args: argparse.Namespace) -> int:
    """Show every span of every agent of the site."""
    with desk(args) as at:
        told = [
            {
                "agent": agent,
                "from": at.when(span.from_ms),
                "to": at.when(span.to_ms),
                "skew_s": span.skew_ms / 1000,
            }
            for agent, spans in at.ledger.wrong_clocks(at.site.name).items()
            for span in spans
        ]
        lines = [
            f"{one['agent']:<24} {one['from']} to {one['to']}  {one['skew_s']:+.0f} s"
            for one in told
        ]
        say(args, told, "\n".join(lines) or "no agent's clock was wrong")
    return 0


async def withdraw_clocks(args: argparse.Namespace) -> int:
    """Withdraw spans, and account what they fed. Raises ConfigurationError, LedgerError."""
    with desk(args) as at:
        begin, end = at.moment("--from", args.begin), at.moment("--to", args.end)
        known = at.ledger.wrong_clocks(at.site.name)
        told = []
        for agent in sorted(known) if args.agent is None else [args.agent]:
            key, gone = at.ledger.withdraw_clock(
                at.site.name,
                agent,
                begin,
                end,
                reason=args.reason,
                signatory=args.signatory,
                now_ms=at.now_ms,
            )
            if gone:
                told.append({"id": key, "agent": agent, "spans": len(gone)})
        account = await at.account() if told else "nothing lies wholly between these times"
        lines = [f"entry {one['id']}: {one['spans']} of {one['agent']}" for one in told]
        say(args, {"withdrawn": told, "rows": account}, "\n".join([*lines, account]))
    return 0
