"""The command line ``python -m benchmarks``: progress on stderr, Markdown or JSON on stdout."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from benchmarks.rows import Table, say

_BENCHMARKS: Final = (
    "agent",
    "ingest",
    "ledger",
    "report",
    "durability",
    "hostile",
    "gateway",
    "vsphere",
    "placement",
    "scenario",
    "power_curves",
    "forecast",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a benchmark could not run."""
    options = _parser().parse_args(arguments)
    tables: list[Table] = []
    failed = False
    for name in options.only or _BENCHMARKS:
        say(f"== {name}")
        module = import_module(f"benchmarks.{name}")
        try:
            table: Table = asyncio.run(module.measure(seconds=options.seconds, full=options.full))
        except KeyboardInterrupt:
            return 130
        except Exception as error:  # one that cannot run must not hide the others
            if os.environ.get("JAUGE_BENCH_DEBUG"):
                raise
            say(f"{name}: {type(error).__name__}: {error}")
            failed = True
            continue
        tables.append(table)
    if options.json:
        print(json.dumps([table.as_json() for table in tables], ensure_ascii=False, indent=1))
    else:
        print("\n\n".join(table.markdown() for table in tables))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Each figure beside a peer or a limit of the same run; docs/benchmarks.md.",
        epilog="example: make bench ARGS='--only agent --seconds 30'",
    )
    parser.add_argument(
        "--only", action="append", choices=_BENCHMARKS, help="run this one (may be repeated)"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="length of each stretch that is measured over time (60)",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also what takes long: ingest with 10 000 agents, placement with ten seeds",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("between 1 and 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
