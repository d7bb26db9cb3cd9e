"""``jauge-collector run``: the service."""

import argparse
import logging
import time
from pathlib import Path

from jauge_collector import at_rest, config, descriptors, exposure


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        help="receive, store and answer readings; keep the ledger; serve the console",
        description="Receives what agents publish, stores it and answers; keeps the ledger and "
        "serves the console, until SIGINT or SIGTERM.",
        epilog="example: jauge-collector run --config /etc/jauge/collector.toml",
    )
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least important lines to log (%(default)s)",
    )
    parser.set_defaults(func=main)


async def main(args: argparse.Namespace) -> int:
    """Serve until told to stop. Raises ConfigurationError, LedgerError and StoreError."""
    settings = config.load(args.config)
    logging.basicConfig(
        level=args.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # It quotes what strangers send, though only when asked for every detail.
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    descriptors.raise_limit()
    if said := at_rest.warning(settings):
        logging.getLogger(__name__).warning("%s", said)
    for each in exposure.warnings(settings, time.time()):
        logging.getLogger(__name__).warning("%s: %s", args.config, each)
    from jauge_collector.service import run  # noqa: PLC0415 - heavy; --help must be instant

    await run(settings)
    return 0
