"""What an attested value says, in the reader's language."""

from jauge_collector import civil
from jauge_collector.console.text import Language
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.attestations import CERTIFICATE, HOURS, SET_POINT
from jauge_collector.sites import Site


def value_text(language: Language, entry: Entry) -> str:
    """What was attested: as typed, where it is an amount or a reading."""
    told = entry.content
    if entry.kind == SET_POINT:
        return language("set_point_of", value=language.quantity(float(told["celsius"]), "°C"))
    if entry.kind == HOURS:
        return language(
            "hours_of",
            quantity=language(f"quantity_{told['quantity']}"),
            envelope=told["envelope"],
            observed=language.plain(float(told["observed"])),
            allowable=language.plain(float(told["allowable"])),
            recommended=language.plain(float(told["recommended"])),
        )
    if entry.kind == CERTIFICATE:
        name = language(f"certifies_{told['certifies']}")
        return name if told.get("year") is None else f"{name} {told['year']}"
    return str(told.get("entered") or "–")


def when_text(language: Language, site: Site, entry: Entry) -> str:
    """The days that it is of, or the moment; the first day of a certificate that stays valid."""
    if entry.end_ms is None and entry.kind == CERTIFICATE:
        return language("since_day", day=language.day(civil.day(entry.start_ms, site.zone)))
    if entry.end_ms is None:
        return language.moment(entry.start_ms, site.zone)
    last = civil.day(entry.end_ms - 1, site.zone)
    first = civil.day(entry.start_ms, site.zone)
    return language("period", start=language.day(first), end=language.day(last))
