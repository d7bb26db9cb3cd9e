"""``jauge-collector kpi --explain``: from a figure to its meters, their rows, their readings."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.adding_up import adding_up
from jauge_collector.commands.period import asked_span, named_site

if TYPE_CHECKING:
    from jauge_models.boundaries import Equation

    from jauge_collector.audit_trail import DayRow, Explanation, MeterPart, SideParts
    from jauge_collector.ledger.rows import Row
    from jauge_collector.row_readings import Behind
    from jauge_collector.sites import Site

INDICATORS = ("pue", "ppue", "wue", "cue", "ref", "erf")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--explain`` and what goes with it."""
    group = parser.add_argument_group("the way back from a figure (--explain)")
    group.add_argument(
        "--explain",
        action="store_true",
        help="terms, rows and registers that an indicator is made of; with --meter and --day the "
        "rows of a day, with --readings the raw readings behind them",
    )
    group.add_argument("--indicator", choices=INDICATORS, default="pue", help="(%(default)s)")
    group.add_argument("--zone", default="", help="of a partial PUE")
    group.add_argument(
        "--over",
        metavar="PLACE",
        default="",
        help="of a PUE: by the E_IT equation of that place, where the site declares several",
    )
    group.add_argument("--meter", help="id of a meter")
    group.add_argument("--day", metavar="DATE", help="civil day of the site, 2026-01-31")
    group.add_argument(
        "--readings", action="store_true", help="raw readings behind the rows of the day"
    )


def refuse_strays(args: argparse.Namespace) -> None:
    """Options that do nothing without another one. Raises ConfigurationError."""
    for option, given, needs, there in (
        ("--over", args.over, "--explain", args.explain),
        ("--meter", args.meter, "--explain", args.explain),
        ("--day", args.day, "--meter", args.meter),
        ("--meter", args.meter, "--day", args.day),
        ("--readings", args.readings, "--meter", args.meter),
    ):
        if given and not there:
            raise ConfigurationError(option, "", f"needs {needs}", f"add {needs}")


async def main(args: argparse.Namespace) -> int:
    """Print the step that is asked for. Raises ConfigurationError, LedgerError and StoreError."""
    settings = config.load(args.config)
    site = named_site(settings, args.site)
    if args.meter:
        return await _day(args, settings, site)
    from jauge_models.rules import Indicator  # noqa: PLC0415 - --help is instant

    from jauge_collector.audit_trail import explain  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant

    span = asked_span(args, site)
    zones = sorted({e.zone for e in site.equations if e.zone})
    if (args.indicator == "ppue" or args.zone) and args.zone not in zones:
        known = f"known are {', '.join(zones)}" if zones else "the site declares none"
        raise ConfigurationError("--zone", "", f"no zone {args.zone!r}", known)
    over = _over(args, site)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        found = explain(
            ledger,
            site,
            Indicator(args.indicator),
            span,
            settings.policy.coverage(),
            zone=args.zone,
            over=over,
        )
    _say(args, found, _explanation(found, _elsewhere(args, site, over), _config(args)))
    return 0


def _places(site: "Site") -> "dict[str, Equation]":
    """Every E_IT equation of the whole site by its place; of one place the first."""
    from jauge_models.boundaries import Symbol  # noqa: PLC0415 - --help is instant

    first = site.equation(Symbol.E_IT)
    found: dict[str, Equation] = {}
    for each in (first, *site.further(Symbol.E_IT)):
        if each is not None:
            found.setdefault(str(each.place or ""), each)
    return found


def _over(args: argparse.Namespace, site: "Site") -> "Equation | None":
    """The equation that ``--over`` names. Raises ConfigurationError."""
    if not args.over:
        return None
    if args.indicator != "pue":
        raise ConfigurationError("--over", "", "is of a PUE", "add --indicator pue")
    places = _places(site)
    if args.over not in places:
        known = f"known are {', '.join(filter(None, places))}"
        raise ConfigurationError("--over", "", f"no E_IT equation of {args.over!r}", known)
    return places[args.over]


def _elsewhere(args: argparse.Namespace, site: "Site", over: "Equation | None") -> list[str]:
    """Places by which the same PUE can be explained too."""
    if args.indicator != "pue":
        return []
    from jauge_models.boundaries import Symbol  # noqa: PLC0415 - --help is instant

    shown = over or site.equation(Symbol.E_IT)
    return [place for place, each in _places(site).items() if each != shown and place]


async def _day(args: argparse.Namespace, settings: config.CollectorConfig, site: "Site") -> int:
    """The rows of a meter and day, and the readings behind them where asked for."""
    from jauge_collector.audit_trail import rows_of_day  # noqa: PLC0415 - --help is instant
    from jauge_collector.ledger.book import Ledger  # noqa: PLC0415 - --help is instant

    meters = [meter.id for meter in site.topology.meters]
    if args.meter not in meters:
        known = f"known are {', '.join(meters)}"
        raise ConfigurationError("--meter", "", f"no meter {args.meter!r}", known)
    try:
        day = civil.day(civil.moment_ms(args.day, site.zone), site.zone)
    except ValueError as error:
        raise ConfigurationError("--day", "", str(error)) from None
    span = civil.midnight_ms(day, site.zone), civil.midnight_ms(day + timedelta(days=1), site.zone)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        both = rows_of_day(ledger, site, args.meter, *span)
    rows = [told for _, told in both]
    if not args.readings:
        again = f"jauge-collector kpi --site {site.name} --explain --meter {args.meter}"
        following = f"{again} --day {day.isoformat()} --readings{_config(args)}"
        told: dict[str, Any] = {"meter": args.meter, "day": day.isoformat(), "rows": rows}
        _say(args, told | {"readings": following}, _rows(rows, following))
        return 0
    behind = await _behind(settings, site, args.meter, [row for row, _ in both])
    from jauge_models.quantities import CATALOGUE  # noqa: PLC0415 - --help is instant

    series = [
        {
            "feed": f"{one.series.agent}/{one.series.resource}/{one.series.quantity}",
            "unit": CATALOGUE[one.series.quantity].unit,
            "found_in": one.place,
            "lost": one.lost,
            "readings": [
                {"time": civil.local(at, site.zone).isoformat(), "value": value}
                for at, value in one.points
            ],
        }
        for one in behind
    ]
    said = {"meter": args.meter, "day": day.isoformat(), "rows": rows, "series": series}
    _say(args, said, _readings(series))
    return 0


async def _behind(
    settings: config.CollectorConfig, site: "Site", meter: str, rows: "Sequence[Row]"
) -> "list[Behind]":
    from jauge_collector.compliance.archive import ARCHIVE  # noqa: PLC0415 - --help is instant
    from jauge_collector.row_readings import readings_behind  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    async with open_store(settings) as store:
        return await readings_behind(
            store,
            site,
            site.topology.meter(meter),
            rows,
            archive=settings.state(ARCHIVE),
            now_ms=time.time_ns() // 1_000_000,
        )


def _say(args: argparse.Namespace, told: Any, lines: Iterator[str]) -> None:
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(told), indent=2).decode()
    else:
        text = "\n".join(lines)
    sys.stdout.write(f"{text}\n")


def _config(args: argparse.Namespace) -> str:
    """What a further command must be told too."""
    return "" if args.config == config.DEFAULT_PATH else f" --config {args.config}"


def _explanation(
    found: "Explanation", elsewhere: Sequence[str], config_option: str
) -> Iterator[str]:
    value = "not measured" if found.value is None else f"{found.value:.5f}"
    unit = "" if found.unit == "1" else f" {found.unit}"
    yield f"{found.label} = {value}{'' if found.value is None else unit}"
    yield f"{found.site}, {found.start} to {found.end}, joint coverage {found.coverage * 100:.2f} %"
    if found.reason:
        yield found.reason
    yield found.formula
    if found.weighting:
        yield found.weighting
    if elsewhere:
        yield f"also by the E_IT equation of: {', '.join(elsewhere)} (--over PLACE)"
    yield f"counted: {found.spans} stretches of time in which both totals are measured"
    for side in (found.numerator, found.denominator):
        if side is not None:
            yield ""
            yield from _side(side, config_option)


def _side(side: "SideParts", config_option: str) -> Iterator[str]:
    decimals = 6 if side.unit == "m3" else 3
    shown = adding_up([term.amount for term in side.terms], decimals)
    total = "nothing counts" if side.amount is None else f"{side.amount:.{decimals}f} {side.unit}"
    yield f"{side.equation}: {total}"
    for term, amount in zip(side.terms, shown, strict=True):
        sign = "-" if term.sign < 0 else "+"
        yield f"  {sign} {term.factor:g} × {term.meter}: {amount:.{decimals}f} {side.unit}"
        yield from (f"      {line}" for line in _term(term))
        yield f"      rows of a day: {term.rows_of_a_day}{config_option}"


def _term(term: "MeterPart") -> Iterator[str]:
    if term.valid or term.reason or term.evidence:
        yield "; ".join(filter(None, (term.valid, term.reason, term.evidence)))
    bases = ", ".join(f"{count} {basis}" for basis, count in term.bases.items()) or "none"
    yield (
        f"rows: {term.rows} ({bases}), {term.revised} restated; "
        f"the meter measured {term.coverage * 100:.2f} % of the period"
    )
    if term.opening is not None and term.closing is not None:
        yield (
            f"register: {term.opening.value:.6f} {term.opening.unit} at {term.opening.time}, "
            f"{term.closing.value:.6f} {term.closing.unit} at {term.closing.time}"
        )
    for gap in term.gaps:
        yield f"not measured: {gap.start} to {gap.end}, {gap.hours:g} h"


def _rows(rows: "Sequence[DayRow]", following: str) -> Iterator[str]:
    if not rows:
        yield "the ledger has no row of this meter and day"
        return
    for row in rows:
        amount = "not measured" if row.amount is None else f"{row.amount:.6f} {row.unit}"
        parts = [
            f"{row.start} to {row.end}: {amount}",
            f"{row.coverage * 100:.2f} % covered",
            f"{row.basis} ({row.grade})",
            *row.flags,
            f"revision {row.revision}, {'final' if row.final else 'provisional'}",
            f"by {row.feed}",
        ]
        if not row.counts:
            parts.append("does not count: before the meter was commissioned, or set aside")
        yield ", ".join(parts)
        if row.opening is not None and row.closing is not None:
            yield (
                f"    {row.opening.value:.6f} {row.opening.unit} at {row.opening.time}; "
                f"{row.closing.value:.6f} {row.closing.unit} at {row.closing.time}"
            )
    yield f"readings: {following}"


def _readings(series: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not series:
        yield "no reading is behind these rows: people entered them, or there are none"
    for one in series:
        place = f"in the {one['found_in']}" if one["found_in"] else "nowhere"
        yield f"{one['feed']}, {one['unit']}: {len(one['readings'])} readings, {place}"
        if one["lost"]:
            yield one["lost"]
        yield from (f"  {reading['time']}  {reading['value']!r}" for reading in one["readings"])
