"""Attested hours of intake air as a report shows them: beside what is measured, never in it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from jauge_models.compliance.windows import Window

from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.record import Record
from jauge_collector.compliance.sources import Sources
from jauge_collector.registers.attestations import HOURS
from jauge_collector.registers.confirmations import confirmed
from jauge_collector.registers.intake_hours import IntakeHours, intake_hours
from jauge_collector.reports.content import AttestedHours

_HOUR_MS: Final = 3_600_000


def attested_hours(sources: Sources, judged: Record, year: Window) -> tuple[AttestedHours, ...]:
    """Hours that touch the twelve months, in time order; which of them count the record says.

    Raises LedgerError.
    """
    ledger, site = sources.ledger, sources.site
    start_ms, end_ms = span_ms(year, site.zone)
    second = confirmed(ledger, site.name)
    entries = {entry.id: entry for entry in ledger.entries(site.name, HOURS)}
    counting = set(_evidence(judged))
    return tuple(
        _told(one, counting, entries[one.entry].signatory, second, entries[one.entry].document)
        for one in intake_hours(ledger, site)
        if one.start_ms < end_ms and start_ms < one.end_ms
    )


def _evidence(judged: Record) -> Iterator[str]:
    assessment = judged.assessment
    for criteria in (
        *assessment.sites.values(),
        *(each.criteria for each in assessment.servers),
    ):
        for each in criteria:
            yield from each.evidence


def _told(
    one: IntakeHours,
    counting: Collection[str],
    signatory: str,
    second: Mapping[int, str],
    document: str | None,
) -> AttestedHours:
    return AttestedHours(
        entry=one.entry,
        place=one.place.name,
        quantity=one.quantity,
        envelope=one.envelope,
        first=one.first,
        last=one.last,
        observed_h=one.observed_ms / _HOUR_MS,
        allowable_h=one.allowable_ms / _HOUR_MS,
        recommended_h=one.recommended_ms / _HOUR_MS,
        counts=f"entry:{one.entry}" in counting,
        signatory=signatory,
        confirmed_by=second.get(one.entry, ""),
        document=document,
    )
