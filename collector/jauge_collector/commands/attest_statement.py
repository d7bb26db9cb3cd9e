"""What ``jauge-collector attest`` enters beside meters: set points, hours of air, certificates."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jauge_models.compliance.persons import person_key
from jauge_models.configuration import ConfigurationError

from jauge_collector.commands.entering import Desk, say

if TYPE_CHECKING:
    from jauge_collector.registers.air_places import AirPlace, AirPlaces

_OF_AIR: Final = ("row", "rack", "allowable", "recommended", "humidity", "envelope")
_OF_PAPER: Final = ("subject", "statement", "year")
_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "reading": ("meter", "unit", "at", "begin", "end"),
    "amount": ("meter", "unit", "at", "begin", "end", "invoice", "cause"),
    "set_point": ("room", "begin", "end"),
    "observed": ("room", "begin", "end", *_OF_AIR),
    "certificate": ("begin", "end", *_OF_PAPER),
}
"""What each goes with; signatory, document, note and corrects go with all."""
NAMES: Final[Mapping[str, str]] = {
    "begin": "--from",
    "end": "--to",
    "envelope": "--class",
    "set_point": "--set-point",
}
"""Options that are not named as their value is."""
OPTIONS: Final = tuple(dict.fromkeys((*_ASKED, *(one for some in _ASKED.values() for one in some))))
"""All that say what is attested."""


def option(name: str) -> str:
    """How an option is written."""
    return NAMES.get(name, f"--{name}")


def is_given(args: argparse.Namespace, name: str) -> bool:
    """Whether an option says anything."""
    value = getattr(args, name)
    return value is not None and value is not False and value != ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of set points, hours and certificates."""
    air = parser.add_argument_group("set points and hours of intake air")
    air.add_argument(
        "--set-point", type=float, metavar="CELSIUS", help="what the room's intake is set to"
    )
    air.add_argument("--room", help="as the registers name it")
    air.add_argument("--row", help="row of racks, for hours")
    air.add_argument("--rack", help="for hours")
    air.add_argument(
        "--observed", type=float, metavar="HOURS", help="hours of intake air that were observed"
    )
    air.add_argument(
        "--allowable", type=float, metavar="HOURS", help="of these, within the allowable range"
    )
    air.add_argument(
        "--recommended", type=float, metavar="HOURS", help="of these, within the recommended range"
    )
    air.add_argument(
        "--humidity", action="store_true", help="hours of humidity, not of temperature"
    )
    air.add_argument(
        "--class",
        dest="envelope",
        metavar="CLASS",
        help="whose ranges were counted by; without it the class that the policy judges rooms by",
    )
    paper = parser.add_argument_group("certificates")
    paper.add_argument(
        "--certificate", metavar="KIND", help="what it certifies, e.g. annual_return"
    )
    paper.add_argument("--subject", help="what it is of; the site where absent")
    paper.add_argument("--statement", default="", help="what it says, in a sentence")
    paper.add_argument("--year", type=int, help="the calendar year that a report is about")


def kind_of(args: argparse.Namespace) -> str:
    """Which of the things that can be attested is meant. Raises ConfigurationError."""
    meant = [kind for kind in _ASKED if is_given(args, kind)]
    if len(meant) != 1:
        *first, last = (option(kind) for kind in _ASKED)
        raise ConfigurationError(
            f"{', '.join(first)} or {last}",
            "",
            "give exactly one",
            "see --help for an example",
        )
    return meant[0]


def refuse_others(args: argparse.Namespace, kind: str) -> None:
    """Raises ConfigurationError for an option that does not go with what is attested."""
    for name in OPTIONS:
        if name != kind and name not in _ASKED[kind] and is_given(args, name):
            raise ConfigurationError(
                option(name), "", f"does not go with {option(kind)}", "see --help for an example"
            )


async def enter(args: argparse.Namespace, at: Desk, kind: str) -> None:
    """Enter a set point, hours or a certificate. Raises ConfigurationError and LedgerError."""
    needed = {
        "set_point": ("room", "begin", "end"),
        "observed": ("room", "allowable", "recommended", "begin", "end"),
        "certificate": ("begin", "document"),
    }[kind]
    for name in (*needed, "signatory"):
        given = getattr(args, name)
        if given is None or (name == "signatory" and not person_key(given)):
            raise ConfigurationError(option(name), "", "missing", "see --help for an example")
    from jauge_collector.registers import attestations  # noqa: PLC0415 - --help is instant

    folder = at.settings.state(Path("documents"))
    name = f" ({args.document.name})" if args.document is not None else ""
    what: dict[str, Any] = {
        "start_ms": at.moment("--from", args.begin),
        "end_ms": None if args.end is None else at.moment("--to", args.end),
        "now_ms": at.now_ms,
        "signatory": args.signatory,
        "note": f"{args.note}{name}".strip(),
        "corrects": args.corrects,
    }
    with attestations.document_kept(at.ledger, folder, args.document) as document:
        what["document"] = document
        key, account = await _ENTERED[kind](args, at, what)
    entry = next(e for e in attestations.attested(at.ledger, at.site) if e.id == key)
    says = f"entry {key}: {entry.content['entered']} attested for {entry.subject}"
    say(args, at.entry(entry) | {"account": account}, f"{says}; {account}")


async def _set_point(
    args: argparse.Namespace, at: Desk, what: Mapping[str, Any]
) -> tuple[int, str]:
    from jauge_collector.registers.air_places import air_places  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.set_points import enter_set_point  # noqa: PLC0415 - --help is instant

    key = enter_set_point(
        at.ledger, at.site, air_places(at.site), room=args.room, celsius=args.set_point, **what
    )
    return key, "a set point, not a measurement: S7 without a log, and T_IN of the annex"


async def _hours(args: argparse.Namespace, at: Desk, what: Mapping[str, Any]) -> tuple[int, str]:
    from jauge_collector.registers import intake_hours as hours  # noqa: PLC0415 - --help is instant
    from jauge_collector.registers.air_places import AirPlace, air_places  # noqa: PLC0415 - --help is instant

    known = air_places(at.site)
    place = AirPlace(args.room, args.row or "", args.rack or "")
    quantity = hours.HUMIDITY if args.humidity else hours.TEMPERATURE
    key = hours.enter_hours(
        at.ledger,
        at.site,
        known,
        place=place,
        quantity=quantity,
        envelope=args.envelope or "",
        hours=hours.Counted(args.observed, args.allowable, args.recommended),
        **what,
    )
    span = what["start_ms"], what["end_ms"]
    return key, await _aside(at, known, known.known(*place), quantity, span)


async def _aside(
    at: Desk, known: "AirPlaces", place: "AirPlace", quantity: str, span: tuple[int, int]
) -> str:
    """Whether a sensor measured there in the span, and what that means."""
    from jauge_collector.compliance.attested_air import measuring  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores import StoreError  # noqa: PLC0415 - --help is instant
    from jauge_collector.stores.open import open_store  # noqa: PLC0415 - --help is instant

    told = "they stand where nothing was measured"
    sensors = known.sensors(place, quantity)
    if not sensors:
        return told
    try:
        async with open_store(at.settings) as store:
            found = await measuring(store, at.site.name, sensors, quantity, span)
    except StoreError as error:
        return f"{told}; whether anything was, the store does not say ({error})"
    if not found:
        return told
    return (
        f"they do not count where {', '.join(found[:3])} measured within their span; to have them "
        "count, attest only days on which nothing was measured"
    )


async def _certificate(
    args: argparse.Namespace, at: Desk, what: Mapping[str, Any]
) -> tuple[int, str]:
    from jauge_collector.registers.certificates import enter_certificate  # noqa: PLC0415 - --help is instant

    key = enter_certificate(
        at.ledger,
        at.site,
        kind=args.certificate,
        subject=args.subject or "",
        statement=args.statement,
        year=args.year,
        **what,
    )
    return key, "once confirmed, it counts as a document of the register does"


_ENTERED: Final = {"set_point": _set_point, "observed": _hours, "certificate": _certificate}
