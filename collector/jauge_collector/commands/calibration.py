"""``jauge-collector meter calibrate``: a calibration with its certificate."""

import argparse
from pathlib import Path

from jauge_collector.commands.entering import Subparsers, add_command, desk, say


def add_parser(own: Subparsers) -> None:
    """Add the command to those of ``meter``."""
    parser = add_command(
        own,
        "calibrate",
        summary="Enter that a meter was calibrated, with its certificate; no row changes.",
        example="jauge-collector meter calibrate --site paris --meter incomer --at 2026-02-11 "
        "\\\n    --valid-until 2030-02-11 --certificate 'K-2026-117' --document certificate.pdf",
    )
    parser.add_argument("--meter", required=True, help="id of the meter")
    parser.add_argument("--signatory", default="", help="who answers for the entry")
    parser.add_argument("--at", required=True, metavar="DATE", help="when it was calibrated")
    parser.add_argument(
        "--valid-until", metavar="DATE", help="first day on which that holds no more; open without"
    )
    parser.add_argument("--certificate", required=True, metavar="NUMBER", help="of its certificate")
    parser.add_argument("--document", type=Path, metavar="FILE", help="the certificate")
    parser.add_argument("--note", default="", help="anything a verifier should know")
    parser.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Enter a calibration. Raises ConfigurationError and LedgerError."""
    from jauge_collector.registers import attestations, calibrations, meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        meter = meters.meter_of(at.site, args.meter)
        begin = at.moment("--at", args.at)
        end = None if args.valid_until is None else at.moment("--valid-until", args.valid_until)
        folder = at.settings.state(Path("documents"))
        with attestations.document_kept(at.ledger, folder, args.document) as document:
            key = calibrations.enter_calibration(
                at.ledger,
                at.site,
                meter,
                at_ms=begin,
                valid_until_ms=end,
                certificate=args.certificate,
                now_ms=at.now_ms,
                signatory=args.signatory,
                document=document,
                note=args.note,
                corrects=args.corrects,
            )
        entry = next(e for e in meters.life_of(at.ledger, at.site, meter) if e.id == key)
        say(
            args,
            at.entry(entry),
            f"entry {key}: {meter.id} calibrated, certificate {args.certificate.strip()}",
        )
    return 0
