"""What the commands that enter something into the registers have in common."""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.commands.period import named_site
from jauge_collector.sites import Site

if TYPE_CHECKING:
    from jauge_collector.ledger.book import Ledger
    from jauge_collector.ledger.entries import Entry


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it so


def add_command(
    subparsers: Subparsers, name: str, *, summary: str, example: str
) -> argparse.ArgumentParser:
    """A parser with the options that all these commands have; the example ends its --help."""
    parser = subparsers.add_parser(
        name,
        help=summary[:1].lower() + summary[1:].rstrip("."),
        description=summary,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    return parser


class Desk(NamedTuple):
    """Where entries are made: one site and its ledger, at one moment."""

    settings: config.CollectorConfig
    site: Site
    ledger: "Ledger"
    now_ms: int

    def moment(self, option: str, text: str) -> int:
        """A date on the site's clock. Raises ConfigurationError."""
        try:
            return civil.moment_ms(text, self.site.zone)
        except ValueError as error:
            raise ConfigurationError(option, "", str(error)) from None

    def when(self, time_ms: int | None) -> str | None:
        """A moment as people of the site write it."""
        return None if time_ms is None else civil.local(time_ms, self.site.zone).isoformat()

    def entry(self, entry: "Entry") -> dict[str, Any]:
        """An entry as --json prints it."""
        return {
            "id": entry.id,
            "kind": entry.kind,
            "subject": entry.subject,
            "from" if entry.end_ms is not None else "at": self.when(entry.start_ms),
            **({"to": self.when(entry.end_ms)} if entry.end_ms is not None else {}),
            **entry.content,
            "signatory": entry.signatory,
            "document": entry.document,
            "corrects": entry.corrects,
            "entered_at": self.when(entry.entered_ms),
        }

    async def account(self) -> str:
        """Bring the rows up to date, or say who will; an entry is safe in any case."""
        from jauge_collector.ledger.accounting import account_now  # noqa: PLC0415 - --help is instant
        from jauge_collector.ledger.closing import waiting  # noqa: PLC0415 - --help is instant
        from jauge_collector.stores import StoreError  # noqa: PLC0415 - --help is instant
        from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

        try:
            async with open_store(self.settings) as store:
                done = await account_now(store, self.ledger, self.site, self.now_ms)
        except StoreError as error:
            return f"rows follow when the store answers ({error})"
        if done is None:
            return "the running collector brings the rows up to date"
        told = f"{done.written} rows written, {done.revised} of them restated"
        if closed := waiting(self.ledger, self.site.name):
            told += f"; {closed} closed rows would change: see jauge-collector quarter restate"
        return told


@contextmanager
def desk(args: argparse.Namespace) -> Iterator[Desk]:
    """Open the configuration, the site and the ledger that the options name."""
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant

    with Ledger(settings.state(settings.ledger.path)) as ledger:
        yield Desk(settings, site, ledger, time.time_ns() // 1_000_000)


def say(args: argparse.Namespace, told: Mapping[str, Any] | list[Any], text: str) -> None:
    """The outcome on stdout: JSON where asked for, else a line for people.

    JSON has no infinity: such a number of an earlier version's entry is null.
    """
    if args.json:
        text = json.dumps(_numbers(told), indent=2, allow_nan=False)
    sys.stdout.write(f"{text}\n")


def _numbers(told: Any) -> Any:
    if isinstance(told, Mapping):
        return {key: _numbers(value) for key, value in told.items()}
    if isinstance(told, list):
        return [_numbers(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told
