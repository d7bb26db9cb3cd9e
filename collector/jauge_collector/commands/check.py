"""``jauge-collector check``: whether `run` would accept the configuration."""

import argparse
import json
import sys
import time
from pathlib import Path

from jauge_collector import at_rest, config


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="check the configuration and all files it names",
        description="Reads the configuration and every file it names, registers included, and "
        "changes nothing. Exit status 0, or 2 with what is wrong. Whether broker and store answer "
        "is not asked.",
        epilog="example: jauge-collector check --config /etc/jauge/collector.toml",
    )
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="what was found, as JSON on stdout")
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Check. Raises ConfigurationError."""
    settings = config.load(args.config)
    from jauge_collector import (  # noqa: PLC0415 - heavy; --help must be instant
        credentials,
        expiry,
        exposure,
        sites,
    )
    from jauge_collector.compliance.words import words  # noqa: PLC0415 - --help is instant
    from jauge_collector.console import tls  # noqa: PLC0415 - --help is instant
    from jauge_collector.console.gate import Gate  # noqa: PLC0415 - --help is instant
    from jauge_collector.declared_hosts import doubts  # noqa: PLC0415 - --help is instant
    from jauge_collector.inventory import Inventory  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers import files  # noqa: PLC0415 - --help is instant
    from jauge_collector.telemetry import Telemetry  # noqa: PLC0415 - --help is instant

    known = sites.load_all([settings.beside(path) for path in settings.sites])
    _ = settings.listen
    credentials.password(settings)
    credentials.broker_context(settings)
    tls.context(settings)
    Gate(settings, known, Telemetry(Inventory()))
    if settings.influxdb is not None and settings.influxdb.token_file is not None:
        settings.read("influxdb.token_file", settings.influxdb.token_file)
    registers = [files.load(site.registers, site.file.parent, site.name) for site in known.values()]
    now_s = time.time()
    warnings = [*expiry.check(settings, now_s), *exposure.warnings(settings, now_s)]
    found = {
        site.name: {
            "meters": len(site.topology.meters),
            "hosts": len(site.hosts),
            "equations": len(site.equations),
            "time_zone": site.zone_name,
            "simulated": site.simulated,
        }
        for site in known.values()
    }
    if said := at_rest.warning(settings):
        sys.stderr.write(f"jauge-collector: warning: {said}\n")
    for each in warnings:
        sys.stderr.write(f"jauge-collector: warning: {args.config}: {each}\n")
    for site in known.values():
        for each in doubts(site.hosts):
            sys.stderr.write(f"jauge-collector: note: {site.name}: {each}\n")
    for one in registers:
        for note in one.notes:
            sys.stderr.write(f"jauge-collector: note: {words('en').note(note)}\n")
    if args.json:
        sys.stdout.write(f"{json.dumps({'config': str(args.config), 'sites': found}, indent=1)}\n")
        return 0
    for name, facts in found.items():
        sys.stdout.write(
            f"{name}: {facts['meters']} meters, {facts['hosts']} hosts, "
            f"{facts['equations']} equations, "
            f"{facts['time_zone']}{', simulated' if facts['simulated'] else ''}\n"
        )
    sys.stdout.write(f"{args.config}: fine\n")
    return 0
