"""``jauge-collector meter``: the life of a meter, from its commissioning to its replacement."""

import argparse
from typing import TYPE_CHECKING, Any

from jauge_models.configuration import ConfigurationError

from jauge_collector.commands import calibration
from jauge_collector.commands.entering import Desk, Subparsers, add_command, desk, say

if TYPE_CHECKING:
    from jauge_models.topology import Meter

    from jauge_collector.registers.meters import Comparison


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser(
        "meter",
        help="the life of a meter: dial readings, commissioning, replacement, factor",
        description="What people enter about a meter. Values are those of its dial: kWh for "
        "electricity and heat, m3 for water and fuel.",
        epilog="example: jauge-collector meter read --site paris --meter incomer "
        "--reading 48210.4 --at 2026-01-10T08:00",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_commission(own)
    _add_read(own)
    _add_replace(own)
    _add_factor(own)
    calibration.add_parser(own)
    _add_list(own)


def _add(own: Subparsers, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return add_command(own, name, summary=summary, example=f"jauge-collector meter {example}")


def _add_entry(own: Subparsers, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser = _add(own, name, summary, example)
    parser.add_argument("--meter", required=True, help="id of the meter")
    parser.add_argument("--signatory", default="", help="who answers for the entry")
    return parser


def _add_commission(own: Subparsers) -> None:
    parser = _add_entry(
        own,
        "commission",
        "Let a meter count once two dial readings agree with the record.",
        "commission --site paris --meter incomer \\\n"
        "    --reading 48210.4 --at 2026-01-10T08:00 --reading 50122.9 --at 2026-01-12T08:00",
    )
    parser.add_argument(
        "--reading",
        type=float,
        action="append",
        metavar="VALUE",
        help="a dial reading, twice; without any the last two that were entered",
    )
    parser.add_argument("--at", action="append", metavar="TIME", help="when it was read, twice")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="how far the record may be from the dial (default: %(default)s)",
    )
    parser.add_argument(
        "--multiplier",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="what is printed on the dial, e.g. 40 for a transformer (default: %(default)s)",
    )
    parser.set_defaults(func=commission)


def _add_read(own: Subparsers) -> None:
    parser = _add_entry(
        own,
        "read",
        "Enter what a person read on the dial; it also ends a suspension. Where two people are "
        "needed, another one confirms it with attest --confirm.",
        "read --site paris --meter incomer --reading 48210.4 --at 2026-01-10T08:00",
    )
    parser.add_argument("--reading", type=float, required=True, metavar="VALUE", help="the dial")
    parser.add_argument("--at", required=True, metavar="TIME", help="when it was read")
    parser.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    parser.set_defaults(func=read)


def _add_replace(own: Subparsers) -> None:
    parser = _add_entry(
        own,
        "replace",
        "Enter a change of meter: the old one's final and the new one's first index.",
        "replace --site paris --meter incomer --final 99120.7 --first 3.2 "
        "--at 2026-03-02T10:30 --reason 'calibration due'",
    )
    parser.add_argument("--final", type=float, required=True, metavar="VALUE", help="old, last")
    parser.add_argument("--first", type=float, required=True, metavar="VALUE", help="new, first")
    parser.add_argument("--at", required=True, metavar="TIME", help="when it was changed")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    parser.set_defaults(func=replace)


def _add_factor(own: Subparsers) -> None:
    parser = _add_entry(
        own,
        "factor",
        "Enter a dated multiplier of raw values; what depends on it is restated.",
        "factor --site paris --meter incomer --value 40 --from 2026-01-01 "
        "--reason '200/5 A transformers, not 100/5'",
    )
    parser.add_argument("--value", type=float, required=True, metavar="FACTOR", help="multiplier")
    parser.add_argument("--from", dest="begin", required=True, metavar="DATE", help="holds from")
    parser.add_argument("--to", dest="end", metavar="DATE", help="to, excluded; open without")
    parser.add_argument("--reason", required=True, help="why; it stands with the restated rows")
    parser.add_argument("--corrects", type=int, metavar="ID", help="the entry this one replaces")
    parser.set_defaults(func=factor)


def _add_list(own: Subparsers) -> None:
    parser = _add(
        own, "list", "Show each meter, whether it counts, and its entries.", "list --site paris"
    )
    parser.add_argument("--meter", help="this one only")
    parser.set_defaults(func=list_meters)


async def commission(args: argparse.Namespace) -> int:
    """Compare dial and record; the meter counts from the first reading where they agree."""
    from jauge_models.intervals import Point  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        meter = meters.meter_of(at.site, args.meter)
        if not 0 < args.tolerance < 1:
            raise ConfigurationError("--tolerance", "", f"{args.tolerance:g}", "give e.g. 0.02")
        if not 0 < args.multiplier <= meters.MOST_FACTOR:
            raise ConfigurationError("--multiplier", "", f"{args.multiplier:g}", "give e.g. 40")
        values, moments = args.reading or [], args.at or []
        if len(values) != len(moments) or len(values) not in {0, 2}:
            raise ConfigurationError(
                "--reading", "", "give two, each with its --at", "or none for the last two entered"
            )
        known = set(meters.dial_points(at.ledger, at.site.name, meter.id))
        pairs = zip(values, moments, strict=True)
        given = [Point(at.moment("--at", m), meters.to_base(meter, v)) for v, m in pairs]
        for point in given:
            meters.check_reading(point.value, at_ms=point.time_ms, now_ms=at.now_ms)
        for value, point in zip(values, given, strict=True):
            if point not in known:
                _read(args, at, meter, value, point)
        await at.account()
        points = sorted(given) or meters.dial_points(at.ledger, at.site.name, meter.id)[-2:]
        if len(points) < 2:
            raise ConfigurationError(
                "--reading", "", f"{meter.id} has fewer than two dial readings", "enter them"
            )
        first, second = points
        found = meters.compare(
            at.ledger,
            at.site,
            meter,
            first,
            second,
            tolerance=args.tolerance,
            multiplier=args.multiplier,
        )
        if found.agrees:
            meters.enter_commissioning(
                at.ledger, at.site, meter, found, now_ms=at.now_ms, signatory=args.signatory
            )
        text = _verdict(at, meter, found)
        if not found.agrees and not args.json:
            raise meters.DisagreementError(text)
        say(args, _told(at, meter, found), text)
        return 0 if found.agrees else 1


def _told(at: Desk, meter: "Meter", found: "Comparison") -> dict[str, Any]:
    unit = _Unit(meter)
    return {
        "meter": meter.id,
        "agrees": found.agrees,
        "counts_from": at.when(found.first.time_ms) if found.agrees else None,
        "from": at.when(found.first.time_ms),
        "to": at.when(found.second.time_ms),
        "unit": unit.name,
        "on_dial": unit.number(found.on_dial),
        "recorded": unit.number(found.recorded),
        "difference": found.relative,
        "allowed": unit.number(found.allowed),
        "coverage": found.coverage,
    }


def _verdict(at: Desk, meter: "Meter", found: "Comparison") -> str:
    unit = _Unit(meter)
    span = f"between {at.when(found.first.time_ms)} and {at.when(found.second.time_ms)}"
    if found.on_dial <= 0:
        return f"{meter.id}: the dial did not advance {span}; wait until something has flowed"
    dial, record = unit.text(found.on_dial), unit.text(found.recorded)
    relative = f"{(found.relative or 0) * 100:+.2f} %"
    if found.agrees:
        since = at.when(found.first.time_ms)
        return f"{meter.id} counts from {since}: dial {dial}, record {record} ({relative})"
    if not found.covered:
        share = f"{found.coverage * 100:.1f} %"
        return f"{meter.id} does not count: the record covers only {share} of the time {span}"
    return (
        f"{meter.id} does not count: {span} the dial advanced by {dial} and the record holds "
        f"{record}, {relative}, allowed {unit.text(found.allowed)}; check factor and readings"
    )


async def read(args: argparse.Namespace) -> int:
    """Enter a dial reading."""
    from jauge_models.intervals import Point  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        meter = meters.meter_of(at.site, args.meter)
        point = Point(at.moment("--at", args.at), meters.to_base(meter, args.reading))
        key = _read(args, at, meter, args.reading, point, corrects=args.corrects)
        what = f"{meter.id} read {args.reading:.15g} {meters.dial_unit(meter)}"
        return await _finish(args, at, meter, key, what)


def _read(
    args: argparse.Namespace,
    at: Desk,
    meter: "Meter",
    value: float,
    point: Any,
    *,
    corrects: int | None = None,
) -> int:
    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    return meters.enter_reading(
        at.ledger,
        at.site,
        meter,
        point.value,
        at_ms=point.time_ms,
        now_ms=at.now_ms,
        entered=f"{value:.15g} {meters.dial_unit(meter)}",
        signatory=args.signatory,
        corrects=corrects,
    )


async def replace(args: argparse.Namespace) -> int:
    """Enter a replacement."""
    from jauge_models.intervals import Replacement  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        meter = meters.meter_of(at.site, args.meter)
        change = Replacement(
            at.moment("--at", args.at),
            meters.to_base(meter, args.final),
            meters.to_base(meter, args.first),
        )
        key = meters.enter_replacement(
            at.ledger,
            at.site,
            meter,
            change,
            now_ms=at.now_ms,
            reason=args.reason,
            signatory=args.signatory,
            corrects=args.corrects,
        )
        return await _finish(args, at, meter, key, f"{meter.id} replaced")


async def factor(args: argparse.Namespace) -> int:
    """Enter a factor."""
    from jauge_models.topology import Factor, Validity  # noqa: PLC0415 - --help is instant

    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        meter = meters.meter_of(at.site, args.meter)
        begin = at.moment("--from", args.begin)
        end = None if args.end is None else at.moment("--to", args.end)
        if end is not None and end <= begin:
            raise ConfigurationError("--to", "", "is not after --from", "--to is excluded")
        key = meters.enter_factor(
            at.ledger,
            at.site,
            meter,
            Factor(args.value, Validity(begin, end), args.reason),
            now_ms=at.now_ms,
            signatory=args.signatory,
            corrects=args.corrects,
        )
        what = f"{meter.id} has factor {args.value:g} from {at.when(begin)}"
        return await _finish(args, at, meter, key, what)


async def _finish(args: argparse.Namespace, at: Desk, meter: "Meter", key: int, what: str) -> int:
    """Restate what the entry changes and show it."""
    from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

    account = await at.account()
    entry = next(e for e in meters.life_of(at.ledger, at.site, meter) if e.id == key)
    say(args, at.entry(entry) | {"rows": account}, f"entry {key}: {what}; {account}")
    return 0


def list_meters(args: argparse.Namespace) -> int:
    """Show meters and their entries."""
    from jauge_collector.registers import confirmations, meters  # noqa: PLC0415 - --help is instant

    with desk(args) as at:
        chosen = (
            at.site.topology.meters
            if args.meter is None
            else (meters.meter_of(at.site, args.meter),)
        )
        since = at.ledger.commissioned(at.site.name)
        suspended = meters.suspended_since(at.ledger, at.site)
        second = confirmations.confirmed(at.ledger, at.site.name)
        told: list[dict[str, Any]] = []
        lines: list[str] = []
        for meter in chosen:
            counts = at.when(since.get(meter.id))
            if meter.id in at.site.counting_from_start:
                counts = "the start"
            stopped = at.when(suspended.get(meter.id))
            life = [
                at.entry(entry) | ({"confirmed_by": second[entry.id]} if entry.id in second else {})
                for entry in meters.life_of(at.ledger, at.site, meter)
            ]
            told.append(
                {
                    "meter": meter.id,
                    "name": meter.name,
                    "commodity": meter.commodity.value,
                    "counts_from": counts,
                    "suspended_since": stopped,
                    "entries": life,
                }
            )
            state = f"counts from {counts}" if counts else "not commissioned: does not count"
            if stopped:
                state += f"; suspended since {stopped}, read or replace it"
            lines.append(f"{meter.id}  {meter.commodity}  {state}")
            lines += [f"  {_line(entry)}" for entry in life]
        say(args, told, "\n".join(lines) or f"site {at.site.name} has no meters")
    return 0


def _line(entry: dict[str, Any]) -> str:
    plain = {"id", "kind", "subject", "from", "at", "to"}
    rest = ", ".join(f"{k} {v}" for k, v in entry.items() if k not in plain and v not in (None, ""))
    span = entry.get("at") or f"{entry['from']} to {entry['to']}"
    return f"{entry['id']:>5}  {entry['kind']:<13} {span}  {rest}"


class _Unit:
    """Amounts as a meter's dial shows them."""

    def __init__(self, meter: "Meter") -> None:
        from jauge_collector.registers import meters  # noqa: PLC0415 - --help is instant

        self.name = meters.dial_unit(meter)
        self._one = meters.to_base(meter, 1)

    def number(self, base: float) -> float:
        """In the dial's unit."""
        return base / self._one

    def text(self, base: float) -> str:
        """With the unit, to a thousandth."""
        return f"{self.number(base):,.3f} {self.name}".replace(",", "\u202f")
