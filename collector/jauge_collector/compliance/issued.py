"""The written reports that were issued, one for each edition of a closed quarter (S13)."""

from datetime import date

from jauge_models.compliance.evidence import Document

from jauge_collector import civil
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site


def reports(ledger: Ledger, site: Site, day: date) -> tuple[Document, ...]:
    """Every report closed by a civil day, dated by its closing, with the hash it was stored under.

    A report is written when its quarter is closed; whether it was approved since is the quarter's
    own standing. Raises LedgerError.
    """
    # A report holds a record: its life cannot be imported where records are made.
    from jauge_collector.compliance.life import State, standings  # noqa: PLC0415

    found = (
        Document(
            f"{standing.quarter}-r{step.revision}",
            civil.day(step.signed.at_ms, site.zone),
            step.snapshot,
        )
        for standing in standings(ledger, site.name)
        for step in standing.history
        if step.act == State.CLOSED
    )
    return tuple(document for document in found if document.day <= day)
