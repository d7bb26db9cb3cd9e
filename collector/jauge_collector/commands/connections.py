"""``jauge-collector connections``: a connection map, as text to paste or a file to name."""

import argparse
import json
import sys
from datetime import UTC
from pathlib import Path

from jauge_models.configuration import ConfigurationError

from jauge_collector.commands import new_file

_COMMAND = "jauge-collector connections"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "connections",
        help="a connection map from CSV or from NetBox's cables",
        description="Reads what feeds what from a CSV file (columns upstream, downstream, feed, "
        "valid_from, valid_to) or from NetBox's export of cables (CSV or JSON), and writes it as "
        "[[connections]] for a site file, or as the CSV that its connections_file may name. "
        "Nothing is guessed: what is left out is counted on stderr.",
        epilog=f"example: {_COMMAND} cables.csv --netbox names.csv --valid-from 2026-03-01 "
        "--to csv --out connections.csv",
    )
    parser.add_argument("file", type=Path, help="CSV, or an export of NetBox with --netbox")
    parser.add_argument(
        "--netbox",
        type=Path,
        metavar="NAMES",
        help="FILE is NetBox's; NAMES is a CSV of its devices: device, name, outlets",
    )
    parser.add_argument("--valid-from", metavar="DATE", help="from when NetBox's cables hold")
    parser.add_argument("--to", choices=("toml", "csv"), default="toml", help="(%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file instead of stdout")
    parser.add_argument("--json", action="store_true", help="what was read, as JSON on stdout")
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Read, check and write. Raises ConfigurationError."""
    from jauge_collector import civil  # noqa: PLC0415 - --help must be instant
    from jauge_collector.connection_file import (  # noqa: PLC0415 - --help is instant
        COLUMNS,
        as_csv,
        as_toml,
        read_connections,
    )
    from jauge_collector.importer import netbox  # noqa: PLC0415 - --help is instant

    lines: list[str] = []
    if args.netbox is None:
        if args.valid_from is not None:
            raise ConfigurationError(
                _COMMAND, "--valid-from", "is for --netbox", "fill the column valid_from"
            )
        found = [one for _, one in read_connections(args.file)]
    else:
        if args.valid_from is not None:
            try:
                civil.moment_ms(args.valid_from, UTC)
            except (ValueError, OverflowError) as error:
                raise ConfigurationError(_COMMAND, "--valid-from", str(error)) from None
        taken = netbox.read_export(args.file, netbox.read_names(args.netbox), args.valid_from)
        found, lines = taken.connections, list(netbox.told(taken))
    for line in lines:
        sys.stderr.write(f"{line}\n")
    text = as_csv(found) if args.to == "csv" else as_toml(found)
    if args.out is not None:
        new_file.write(args.out, text)
    if args.json:
        rows = [{name: getattr(one, name) for name in COLUMNS} for one in found]
        sys.stdout.write(f"{json.dumps({'connections': rows, 'notes': lines}, indent=1)}\n")
    elif args.out is None:
        sys.stdout.write(text)
    return 0
