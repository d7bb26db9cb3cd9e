"""The command line: parses and dispatches; each command is a module of its own."""

import argparse
import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from jauge_models.configuration import ConfigurationError

from jauge_collector import __version__
from jauge_collector.stores import StoreError, UnfitStoreError

COMMANDS: Final = (
    "run",
    "check",
    "import_",
    "kpi",
    "guests",
    "plan",
    "servers",
    "report",
    "quarter",
    "annex",
    "publish",
    "dossier",
    "attest",
    "meter",
    "event",
    "clock",
    "connections",
    "inventory",
    "purge",
    "token",
    "verify",
    "backup",
)


_OURS_ALONE: Final = 0o077
"""What others may not do with the files we make: ledger, readings, documents, records."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; for those of the commands too."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: failed while running; 2: bad input or configuration."""
    if sys.stdout is None:  # whoever started us has closed it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    args = _parser().parse_args(argv)
    before = os.umask(_OURS_ALONE)
    try:
        outcome = args.func(args)
        if inspect.iscoroutine(outcome):
            outcome = asyncio.run(outcome)
        sys.stdout.flush()
    except (ConfigurationError, UnfitStoreError) as error:
        return _complain(error, 2)
    except _run_time_errors() as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    finally:
        os.umask(before)
    return int(outcome)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jauge-collector",
        description="Stores readings and answers with accounted energy, water and KPIs.",
        epilog="example: jauge-collector run --config /etc/jauge/collector.toml",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"jauge_collector.commands.{name}").add_parser(subparsers)
    return parser


def _run_time_errors() -> tuple[type[Exception], ...]:
    """With LedgerError where a command has loaded the ledger at all: it is heavy to import."""
    book = sys.modules.get("jauge_collector.ledger.book")
    return (StoreError, OSError, *((book.LedgerError,) if book else ()))


def _complain(error: Exception, code: int) -> int:
    if not isinstance(error, BrokenPipeError):  # of which whoever read our output knows
        print(f"jauge-collector: {' '.join(str(error).split())}", file=sys.stderr)
    if isinstance(error, OSError):
        _give_up_output()
    return code


def _give_up_output() -> None:
    """Point stdout away where it takes nothing more, or its last flush complains again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
