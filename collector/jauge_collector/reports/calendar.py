"""Dates that follow a quarter, each with the law or the rule it comes from.

The law's dates stand in its text (STANDARDS 3); what is derived from a document on file or from
the policy says so. A date of a text that is not in force is given only where the policy asks for
texts to come.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from jauge_models.compliance.evidence import SiteEvidence
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.windows import months_later

from jauge_collector.registers.evidence import completed
from jauge_collector.registers.files import Registers
from jauge_collector.reports.content import Deadline

_LEGAL_REPORT: Final = (
    "Code de l'énergie, L.236-1 et D.236-3 (décret n° 2025-1382); "
    "Delegated Regulation (EU) 2024/1364, Art. 3"
)
_YEARLY: Final = (
    ("legal_report", 5, 15, _LEGAL_REPORT),
    ("tertiary_report", 9, 30, "Éco Énergie Tertiaire, décret n° 2019-771"),
)
"""Key in the locale, month and day, text."""
_LABEL: Final = date(2027, 8, 15)
"""The first day of the Union's label by the text that is not in force."""


def calendar(registers: Registers, site: str, policy: Policy, last: date) -> tuple[Deadline, ...]:
    """The dates to look at after a quarter's last day, in order; an overdue one is in the past."""
    found = [Deadline(key=k, day=_next(last, m, d), basis=text) for k, m, d, text in _YEARLY]
    found += _of_documents(registers, site, policy, last)
    told = registers.policy
    if told is not None and told.goal.next_edition_published is not None:
        found.append(
            Deadline(
                key="edition",
                day=months_later(told.goal.next_edition_published, policy.edition_months),
                basis="Delegated Regulation (EU) 2021/2139, Annex I, 8.1",
            )
        )
    if told is not None and told.pending_texts:
        day = max(_LABEL, _next(last, _LABEL.month, _LABEL.day))
        found.append(Deadline(key="label", day=day, basis="C(2026) 3472 final"))
    return tuple(sorted(found, key=lambda one: (one.day, one.key)))


def _of_documents(
    registers: Registers, site: str, policy: Policy, last: date
) -> Iterator[Deadline]:
    evidence = completed(SiteEvidence(site=site), registers, last)
    returns = [document.day for document in evidence.annual_returns]
    if returns:
        yield Deadline(
            key="annual_return",
            day=months_later(max(returns), policy.return_months),
            basis="EU Code of Conduct for Data Centres (JRC); project rule",
        )
    audits = [document.day for document in evidence.verifications]
    if audits:
        yield Deadline(
            key="audit",
            day=months_later(max(audits), policy.verification_months),
            basis="Delegated Regulation (EU) 2021/2139, Annex I, 8.1",
        )


def _next(last: date, month: int, day: int) -> date:
    """The first such day after a quarter's last day."""
    this_year = date(last.year, month, day)
    return this_year if this_year > last else date(last.year + 1, month, day)
