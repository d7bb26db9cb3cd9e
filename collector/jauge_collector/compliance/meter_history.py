"""The register of the boundary's meters: since when it is kept, and what each one's history lacks.

A meter's history is where it is, its class or uncertainty, when it began to count, and the dated
entries about it: readings of its dial, replacements, factors, calibrations (S14).
"""

from datetime import date
from typing import Final, NamedTuple

from jauge_models.compliance.evidence import MeterRegister
from jauge_models.topology import Meter

from jauge_collector import civil
from jauge_collector.compliance.logging_interval import meters_of
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.attestations import AMOUNT
from jauge_collector.registers.meters import COMMISSIONING, READING, REPLACEMENT, life_of
from jauge_collector.sites import Site

_TELLING: Final = frozenset({AMOUNT, READING, REPLACEMENT, COMMISSIONING})
"""Entries that tell that a meter was there: a factor may hold since ever, a calibration precede."""


class History(NamedTuple):
    """A meter with what happened to it up to a day, entries that were corrected left out.

    ``since`` is the first day that anything tells of it: an entry or a row. ``lacks`` names what
    its history has to say and does not: ``location``, ``class``, ``commissioning``.
    """

    meter: Meter
    since: date | None
    entries: tuple[Entry, ...]
    lacks: tuple[str, ...]

    def of(self, kind: str) -> tuple[Entry, ...]:
        """Its entries of a kind, by time."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


def histories(ledger: Ledger, site: Site, until_ms: int) -> tuple[History, ...]:
    """Every meter that an equation of the site ever counted, by a moment. Raises LedgerError."""
    return tuple(
        _history(ledger, site, meter, until_ms)
        for meter in meters_of(site, site.equations, (0, until_ms))
    )


def meter_register(
    ledger: Ledger, site: Site, until_ms: int, kept_years: int
) -> MeterRegister | None:
    """The register of the boundary's meters as it stood; None while nothing tells of any.

    ``kept_years`` is how long the ledger keeps rows and entries; a meter's own history stays as
    long as it counts. One that the site file lets count from the start, and says why, needs no
    commissioning, nor does one without a feed. Raises LedgerError.
    """
    known = histories(ledger, site, until_ms)
    since = min((each.since for each in known if each.since is not None), default=None)
    if since is None:
        return None
    return MeterRegister(
        since=since,
        kept_years=kept_years,
        without_history=tuple(each.meter.id for each in known if each.lacks),
    )


def _history(ledger: Ledger, site: Site, meter: Meter, until_ms: int) -> History:
    every = [entry for entry in life_of(ledger, site, meter) if entry.start_ms < until_ms]
    corrected = {entry.corrects for entry in every}
    entries = sorted(
        (entry for entry in every if entry.id not in corrected),
        key=lambda entry: (entry.start_ms, entry.id),
    )
    amounts = ledger.entries(site.name, AMOUNT, meter.id)
    first = [entry.start_ms for entry in (*entries, *amounts) if entry.kind in _TELLING]
    first = [at for at in first if at < until_ms]
    if (extent := ledger.extent(site.name, meter.id, 0, until_ms)) is not None:
        first.append(extent[0])
    begun = (
        not meter.feeds  # what people attest counts without
        or meter.id in site.counting_from_start
        or any(entry.kind == COMMISSIONING for entry in entries)
    )
    missing = {
        "location": not meter.location,
        "class": not meter.accuracy_class and meter.uncertainty is None,
        "commissioning": not begun,
    }
    return History(
        meter,
        civil.day(min(first), site.zone) if first else None,
        tuple(entries),
        tuple(name for name, is_missing in missing.items() if is_missing),
    )
