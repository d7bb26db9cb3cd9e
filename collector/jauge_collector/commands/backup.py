"""``jauge-collector backup``: everything that proves the record, in one file; and back again."""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import config
from jauge_collector.commands.entering import Subparsers, say
from jauge_collector.importer.progress import Bar

_EXAMPLE: Final = """jauge-collector backup --out /backup/jauge-2026-10-06.tar
  jauge-collector backup --restore /backup/jauge-2026-10-06.tar --into /srv/jauge-restored"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "backup",
        help="back up the ledger with all that proves it, or restore such a backup",
        description="Writes the ledger, documents, stored reports, archived readings, "
        "collector.toml, site files and registers into one tar with the SHA-256 of each; the "
        "collector may be running. Secrets and raw readings are not in it. With --restore it lays "
        "a backup out below a new folder, once every digest and the ledger's chain hold.",
        epilog=f"example: {_EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FILE", help="the file to write; a new one")
    what.add_argument("--restore", type=Path, metavar="FILE", help="the backup to bring back")
    parser.add_argument("--into", type=Path, metavar="DIR", help="where to: a new or empty folder")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Back up, or restore. Raises ConfigurationError, LedgerError and OSError."""
    from jauge_collector import backup  # noqa: PLC0415 - --help is instant

    if (args.restore is None) != (args.into is None):
        raise ConfigurationError("--into", "", "goes with --restore", "give both, or --out alone")
    bar = Bar(sys.stderr)
    left_out: list[str] = []
    now_ms = time.time_ns() // 1_000_000
    try:
        if args.restore is not None:
            made = backup.restore(args.restore, args.into, now_ms, progress=bar)
        else:
            settings = config.load(args.config)
            made, left_out = backup.back_up(settings, args.out, now_ms, progress=bar)
    finally:
        bar.clear()
    size = sum(each.bytes for each in made.files.values())
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made.made_ms // 1000))
    lines = [f"not in it: {each}" for each in left_out]
    if args.restore is None:
        lines.append(f"{args.out}: {len(made.files)} files, {size / 1e6:.1f} MB, head {made.head}")
    else:
        state = args.into / "state"
        lines += [
            f"{args.into}: {len(made.files)} files of {when}, all digests and the chain hold",
            f"next: name {state} as state_dir in collector.toml, put the secrets in place, restore",
            "the store by its own means, then run jauge-collector verify",
        ]
    say(args, backup.told(made) | {"left_out": left_out}, "\n".join(lines))
    return 1 if left_out else 0
