"""``jauge-collector token``: a token for the console, shown once."""

import argparse
import json
import sys
import time
from datetime import UTC

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.access import tokens
from jauge_collector.access.roles import ALL, Role

_COMMAND = "jauge-collector token"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "token",
        help="make a token for the console and its JSON interface",
        description="Makes a token and prints it once, with the entry for the tokens file "
        "(console.access.tokens_file), which holds only its hash. Nothing is written anywhere.",
        epilog=f"example: {_COMMAND} --name prometheus --role reader --expires 2027-01-01",
    )
    parser.add_argument("--name", required=True, help="whose it is, for the record of changes")
    parser.add_argument(
        "--role", required=True, choices=[role.value for role in Role], help="what they may do"
    )
    parser.add_argument(
        "--site", action="append", metavar="S", help="only this site; may be given again"
    )
    parser.add_argument(
        "--tenant", action="append", metavar="T", help="only this tenant's things; again for more"
    )
    parser.add_argument("--expires", metavar="DATE", help="from when it is refused (UTC)")
    parser.add_argument("--json", action="store_true", help="the same as JSON on stdout")
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Make and print. Raises ConfigurationError."""
    if not tokens.is_person(args.name):
        problem = f"{args.name!r} is no name"
        raise ConfigurationError(_COMMAND, "--name", problem, "1 to 128 printable characters")
    if args.expires is not None:
        try:
            ends_ms = civil.moment_ms(args.expires, UTC)
        except (ValueError, OverflowError) as error:
            raise ConfigurationError(_COMMAND, "--expires", str(error)) from None
        if ends_ms <= time.time() * 1000:
            problem = f"{args.expires} is past: the token would never be taken"
            raise ConfigurationError(_COMMAND, "--expires", problem, "name a day to come")
    token = tokens.make()
    entry = {
        "name": args.name,
        "role": args.role,
        "sites": args.site or [ALL],
        "tenants": args.tenant or [ALL],
        "sha256": tokens.digest_of(token).hex(),
    }
    if args.expires is not None:
        entry["expires"] = args.expires
    # Of strings and lists of strings, JSON is TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    section = "\n".join(["[[tokens]]", *lines])
    if args.json:
        told = {"token": token, "entry": entry, "toml": section}
        sys.stdout.write(f"{json.dumps(told, ensure_ascii=False, indent=1)}\n")
        return 0
    sys.stdout.write(
        f"# The token, shown this once: give it to its holder, store it nowhere else.\n"
        f"{token}\n\n# For the tokens file:\n{section}\n"
    )
    return 0
