"""``jauge-collector guests``: energy of guests, hosts, clusters, tenants or services."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jauge_collector import config
from jauge_collector.commands.period import add_period, asked_span, named_site

if TYPE_CHECKING:
    from jauge_collector.guest_energy import EnergyOf, GuestEnergy
    from jauge_collector.sites import Site

_EXAMPLE: Final = (
    "jauge-collector guests --site paris --from 2026-01-01 --to 2026-02-01 --by tenant"
)
BY: Final = ("guest", "host", "cluster", "tenant", "service")
_JOULES_PER_KWH: Final = 3.6e6
_COLUMNS: Final = (
    "key",
    "name",
    "energy_kwh",
    "idle_kwh",
    "dynamic_kwh",
    "gpu_kwh",
    "estimated_kwh",
    "guests",
    "covered_hours",
    "certainty",
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "guests",
        help="energy of guests over a period, also by host, cluster, tenant or service",
        description="Adds up what guests had of the energy that their hosts were measured to draw. "
        "The rows and what hosts keep as their own add up to the hosts' energy. Certainty is that "
        "of the least certain hour: measured, derived (measured, then divided) or estimated.",
        epilog=f"example: {_EXAMPLE}",
    )
    add_period(parser)
    parser.add_argument("--by", choices=BY, default="guest", help="what to add up (%(default)s)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object on stdout, in J")
    shape.add_argument("--csv", action="store_true", help="CSV on stdout, in kWh")
    parser.add_argument(
        "--config", type=Path, default=config.DEFAULT_PATH, help="collector.toml (%(default)s)"
    )
    parser.set_defaults(func=main)


def main(args: argparse.Namespace) -> int:
    """Print the sums. Raises ConfigurationError and LedgerError."""
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    start_ms, end_ms = asked_span(args, site)
    from jauge_collector.guest_energy import guest_energy  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant

    with Ledger(settings.state(settings.ledger.path)) as ledger:
        found = guest_energy(ledger, site, start_ms, end_ms, by=args.by)
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    elif args.csv:
        text = _csv(found)
    else:
        text = "\n".join([*_report(found, site), ""])
    sys.stdout.write(text)
    return 0


def _cells(row: "EnergyOf") -> Mapping[str, Any]:
    kwh = {
        f"{name}_kwh": getattr(row, name) / _JOULES_PER_KWH
        for name in ("energy", "idle", "dynamic", "gpu", "estimated")
    }
    return {
        "key": row.key,
        "name": row.name,
        **kwh,
        "guests": row.guests,
        "covered_hours": row.covered_ms / 3_600_000,
        "certainty": row.certainty.value,
    }


def _csv(found: "GuestEnergy") -> str:
    from jauge_collector.csv_text import written  # noqa: PLC0415 - --help is instant

    cells = (_cells(row) for row in found.rows)
    return written(_COLUMNS, [[row[name] for name in _COLUMNS] for row in cells])


def _report(found: "GuestEnergy", site: "Site") -> Iterator[str]:
    yield f"{site.title} ({site.name}), {found.start} to {found.end}, by {found.by}"
    if site.simulated:
        yield "SIMULATED: these readings come from a model, not from meters."
    if found.energy is None:
        yield "Nothing was shared out in this time."
        return
    if not found.final:
        yield "Not all hours are final: figures may still change."
    yield ""
    rows = [(found.by, "kWh", "idle", "dynamic", "GPU", "hours", "certainty")]
    for row in found.rows:
        cells = _cells(row)
        energies = ("energy_kwh", "idle_kwh", "dynamic_kwh", "gpu_kwh")
        rows.append(
            (
                row.name or row.key or "(none)",
                *(f"{cells[name]:.3f}" for name in energies),
                f"{cells['covered_hours']:.1f}",
                cells["certainty"],
            )
        )
    yield from _aligned(rows)
    yield ""
    own = "" if found.own is None else f", of it {found.own / _JOULES_PER_KWH:.3f} hosts' own"
    yield f"{found.energy / _JOULES_PER_KWH:.3f} kWh in all{own}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for name, *cells, certainty in rows:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *figures, certainty]).rstrip()
