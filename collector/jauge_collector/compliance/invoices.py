"""Suppliers' invoices beside what was measured over the same days (S15).

An invoice is an attested amount that was entered as one (``attest --invoice``): what an operator
tells each month is no supplier's bill. Each stands on the meter at its point of supply.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from functools import partial
from typing import Final

from jauge_models.compliance.evidence import Invoice
from jauge_models.compliance.policy import Act, Policy
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Basis
from jauge_models.topology import Commodity, Meter

from jauge_collector import civil
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.attestations import AMOUNT, is_invoice
from jauge_collector.registers.confirmations import confirmed
from jauge_collector.registers.meters import recorded
from jauge_collector.sites import Site

_TOLERATED_HOLE: Final = 0.5
"""Of the tolerance: a hole of more of the span could make the difference by itself."""


def invoices(ledger: Ledger, site: Site, window: Window, policy: Policy) -> tuple[Invoice, ...]:
    """The invoices of a site that touch a window, in base units (J, m3), each with what counts.

    ``measured`` is what the meter's rows say over the whole span of the invoice, without what was
    signed for or estimated; None where they miss more of it than half of the tolerance. Where the
    policy asks for a second person, an invoice counts once confirmed; while the correction of one
    waits there is none of its commodity, for the others alone could agree. Raises LedgerError.
    """
    since = counting_since(ledger, site)
    found: list[Invoice] = []
    for meter, entry in _touching(ledger, site, window, policy):
        counts_from = since.get(meter.id)
        measured = None
        if counts_from is not None and counts_from <= entry.start_ms:
            measured = _measured(ledger, site, entry, _tolerance(meter.commodity, policy))
        found.append(_beside(measured, entry, meter.commodity, site.zone))
    return tuple(found)


def _touching(
    ledger: Ledger, site: Site, window: Window, policy: Policy
) -> Iterator[tuple[Meter, Entry]]:
    known = {meter.id: meter for meter in site.topology.meters}
    within = partial(_within, span_ms(window, site.zone), known)
    unsure = {meter.commodity for meter, _ in within(ledger.withdrawn(site.name, AMOUNT))}
    second = confirmed(ledger, site.name)
    for meter, entry in within(ledger.entries(site.name, AMOUNT)):
        if meter.commodity in unsure:
            continue
        if policy.is_confirmed(Act.ATTESTATION, entry.signatory, second.get(entry.id, "")):
            yield meter, entry


def _within(
    span: tuple[int, int], known: Mapping[str, Meter], entries: Iterable[Entry]
) -> Iterator[tuple[Meter, Entry]]:
    """Invoices that touch a span, each with its meter."""
    for entry in entries:
        meter = known.get(entry.subject)
        if meter is None or entry.end_ms is None or not is_invoice(entry):
            continue
        if entry.start_ms < span[1] and span[0] < entry.end_ms:
            yield meter, entry


def _measured(ledger: Ledger, site: Site, entry: Entry, tolerance: float) -> float | None:
    """What the meter's rows say over the span of an invoice; None where too much is missing."""
    start_ms, end_ms = entry.start_ms, entry.end_ms or entry.start_ms
    rows = (row.interval for row in ledger.current(site.name, entry.subject, start_ms, end_ms))
    proven = (row for row in rows if row.basis is not Basis.ESTIMATE)
    amount, covered = recorded(proven, start_ms, end_ms)
    hole = 1 - covered / (end_ms - start_ms)
    return amount if hole <= _TOLERATED_HOLE * tolerance else None


def _beside(measured: float | None, entry: Entry, commodity: Commodity, zone: tzinfo) -> Invoice:
    return Invoice(
        id=f"entry:{entry.id}",
        commodity=commodity,
        first=civil.day(entry.start_ms, zone),
        last=civil.day((entry.end_ms or entry.start_ms) - 1, zone),
        invoiced=float(entry.content["base"]),
        measured=measured,
        cause=str(entry.content.get("cause", "")),
    )


def _tolerance(commodity: Commodity, policy: Policy) -> float:
    return policy.water_tolerance if commodity is Commodity.WATER else policy.energy_tolerance
