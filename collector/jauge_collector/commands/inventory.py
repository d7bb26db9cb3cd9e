"""``jauge-collector inventory``: servers out of NetBox, as rows for the officer's register."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jauge_models.configuration import ConfigurationError

from jauge_collector.commands import new_file
from jauge_collector.registers.problems import RegisterError

if TYPE_CHECKING:
    from jauge_collector.registers.servers import Server

_EXAMPLE = """jauge-collector inventory https://netbox.example.org --token-file netbox.token \\
    --mapping netbox.toml --known serveurs.csv --out nouveaux.csv
  jauge-collector inventory devices.csv --mapping netbox.toml"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "inventory",
        help="servers out of NetBox, as rows for the register",
        description="Reads NetBox's devices from its API, or from an export (CSV or JSON), and "
        "writes those that a mapping calls servers as rows of the register of servers. Nothing is "
        "guessed: what is left out is counted on stderr. Registers are the officer's: the rows "
        "are to be looked at and pasted.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("source", metavar="SOURCE", help="NetBox's address, or a file")
    parser.add_argument("--mapping", type=Path, required=True, help="TOML; docs/registers.md")
    parser.add_argument("--token-file", type=Path, help="file with a token that may read devices")
    parser.add_argument(
        "--known", type=Path, metavar="CSV", help="the register: leave out what it holds already"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file instead of stdout")
    parser.add_argument("--json", action="store_true", help="what was read, as JSON on stdout")
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Read, check and write; 2 where devices or the register are wrong, each on its line.

    Raises ConfigurationError.
    """
    from jauge_collector.registers import servers  # noqa: PLC0415 - --help is instant

    try:
        found, lines = await _servers(args)
    except RegisterError as error:
        for problem in error.problems:
            sys.stderr.write(f"jauge-collector: {' '.join(str(problem).split())}\n")
        return 2
    for line in lines:
        sys.stderr.write(f"{line}\n")
    text = servers.written(found)
    if args.out is not None:
        new_file.write(args.out, text)
    if args.json:
        told = {"servers": [one.id for one in found], "notes": lines}
        sys.stdout.write(f"{json.dumps(told, indent=1, ensure_ascii=False)}\n")
    elif args.out is None:
        sys.stdout.write(text)
    return 0


async def _servers(args: argparse.Namespace) -> tuple[list["Server"], list[str]]:
    """Servers that are to be entered, and what to tell of the others."""
    from jauge_collector.importer import netbox_api, netbox_devices  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers import servers  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.problems import File, read_file  # noqa: PLC0415 - --help is instant

    try:
        text = args.mapping.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(args.mapping), "", f"cannot be read: {error}") from None
    mapping = netbox_devices.read_mapping(text, str(args.mapping))
    if "://" in args.source:
        content = await netbox_api.pages(args.source, "devices", args.token_file)
        file = File(args.source, content)
    elif args.token_file is not None:
        raise ConfigurationError("--token-file", "", "is for NetBox's address, not for a file")
    else:
        file = read_file(Path(args.source))
    taken = netbox_devices.servers_of(file, mapping)
    found, lines = list(taken.servers), list(netbox_devices.told(taken))
    if args.known is not None:
        found = netbox_devices.added(found, servers.parse(read_file(args.known)))
        lines.append(f"{len(found)} of them are not in {args.known}")
    return found, lines
