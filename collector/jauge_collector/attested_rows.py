"""Signed amounts beside the rows of a meter, as totals count them: a month's bill, say."""

from jauge_models.intervals import Basis

from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row
from jauge_collector.registers.attestations import AMOUNT
from jauge_collector.sites import Site


def attested_rows(ledger: Ledger, site: Site, meter: str, start_ms: int, end_ms: int) -> list[Row]:
    """Amounts that count and touch [start, end), in time order; ``feed`` is ``entry NUMBER``.

    One that measured rows set aside is not among them, nor a row between readings of a dial:
    `Ledger.current` has that. Raises KeyError for a meter that the site does not have, LedgerError.
    """
    name = site.topology.meter(meter).id
    since = counting_since(ledger, site)
    counting = ledger.rows(site.name, [name], start_ms, end_ms, counts_from=since)[name]
    held = {
        (row.interval.start_ms, row.interval.end_ms)
        for row in ledger.current(site.name, name, start_ms, end_ms)
        if row.interval.basis is Basis.ATTESTED
    }
    entries = {
        (entry.start_ms, entry.end_ms): f"entry {entry.id}"
        for entry in ledger.entries(site.name, AMOUNT, name)
    }
    found: list[Row] = []
    for bill in counting:
        span = bill.start_ms, bill.end_ms
        if bill.basis is Basis.ATTESTED and span not in held:
            found.append(Row(bill, entries.get(span, "entry"), final=True))
    return found
