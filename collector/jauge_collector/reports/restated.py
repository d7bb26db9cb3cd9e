"""Figures that an earlier edition gave otherwise: of this quarter, and of others restated in it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from jauge_collector import civil
from jauge_collector.compliance import life
from jauge_collector.compliance.life import RESTATED, Standing
from jauge_collector.ledger.book import Ledger
from jauge_collector.reports.content import Report, Restated, Signed
from jauge_collector.reports.figures import Figure, figures
from jauge_collector.sites import Site

_SAME: Final = 1e-9
"""Relative: below it two figures are one."""


def restated(report: Report, ledger: Ledger, site: Site, folder: Path) -> Report:
    """The report with what it says otherwise than the stored edition of its quarter.

    Where it says the same figures, it keeps what that edition told of the one before, so that
    gathering a closed quarter anew gives the report again that was closed. After that come other
    quarters whose newest edition was closed within this one. Raises ConfigurationError where a
    stored edition is not what was closed, and LedgerError.
    """
    quarter = report.record.quarter
    standing = life.standing(ledger, site.name, quarter)
    own: tuple[Restated, ...] = ()
    if standing.revision:
        earlier = life.stored(folder, standing)
        own = tuple(_differences(earlier, report, standing, site)) or tuple(
            each for each in earlier.restated if each.quarter == quarter
        )
    others = _of_others(report, ledger, site, folder)
    return msgspec.structs.replace(report, restated=(*own, *others))


def _of_others(report: Report, ledger: Ledger, site: Site, folder: Path) -> Iterator[Restated]:
    """What new editions of other quarters, closed within this one, gave otherwise."""
    record = report.record
    for standing in life.standings(ledger, site.name):
        if standing.quarter == record.quarter or standing.revision < 2 or standing.closed is None:
            continue
        if record.start <= civil.day(standing.closed.at_ms, site.zone) <= record.as_of:
            stored = life.stored(folder, standing)
            yield from (each for each in stored.restated if each.quarter == standing.quarter)


def _differences(
    before: Report, after: Report, standing: Standing, site: Site
) -> Iterator[Restated]:
    """Figures that differ, in the order of the later report; one that is gone is None after."""
    signed = _signed(standing)
    old = {figure.key: figure for figure in figures(before)}
    new = {figure.key: figure for figure in figures(after)}
    for key in dict.fromkeys((*new, *old)):
        one, other = _value(old.get(key)), _value(new.get(key))
        if one == other or (one is not None and other is not None and _is_same(one, other)):
            continue
        yield Restated(
            quarter=before.record.quarter,
            figure=key,
            before=one,
            after=other,
            unit=(new.get(key) or old[key]).unit,
            why=signed.note,
            signatory=signed.by,
            day=civil.day(signed.at_ms, site.zone),
            published=standing.published is not None,
        )


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def _is_same(before: float, after: float) -> bool:
    return math.isclose(before, after, rel_tol=_SAME)


def _signed(standing: Standing) -> Signed:
    """The last restatement; where nobody signed one, the day of the edition alone."""
    acts = [step.signed for step in standing.history if step.act == RESTATED]
    if acts:
        return acts[-1]
    return Signed(by="", at_ms=standing.closed.at_ms if standing.closed else 0)
