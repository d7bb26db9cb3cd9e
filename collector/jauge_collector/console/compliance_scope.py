"""What of a compliance record a visitor may see.

Who is limited to tenants sees the servers that the inventory says these use, with their own
criteria; of the site's criteria the status and no more. What another body owns, or another row of
the inventory is called, is not told, nor are figures of the whole site or of racks, which tell of
others by difference.
"""

from collections.abc import Iterable
from math import fsum
from typing import Final, NamedTuple

import msgspec
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Reason, Result

from jauge_collector.compliance.record import Record

HIDDEN: Final = "…"
"""Stands for a name of somebody else's."""


class Count(NamedTuple):
    """One result: machines and their shares, 0 to 1; None of nothing, or of what nobody knows."""

    result: Result
    servers: int
    servers_share: float | None
    kwh: float | None
    kwh_share: float | None
    racks: int | None
    racks_share: float | None


class Seen(NamedTuple):
    """A record as one visitor sees it; ``whole``: all of it."""

    record: Record
    whole: bool
    servers: tuple[Outcome, ...]
    site: tuple[CriterionResult, ...]
    counts: tuple[Count, ...]
    total: int
    own: int
    """Machines demonstrated on their own criteria alone."""

    @property
    def own_share(self) -> float | None:
        """Their share."""
        return self.own / self.total if self.total else None

    def of(self, result: Result) -> Count:
        """The machines of one result."""
        return next(each for each in self.counts if each.result is result)


def seen(record: Record, tenants: frozenset[str] | None) -> Seen:
    """The record for a visitor; ``tenants`` None: the whole site's."""
    of_site = tuple(record.assessment.sites.get(record.site, ()))
    if tenants is None:
        head = record.headline
        counts = tuple(Count(result, *msgspec.structs.astuple(s)) for result, s in _all(record))
        return Seen(
            record,
            True,
            record.assessment.servers,
            of_site,
            counts,
            head.total,
            head.own_demonstrated,
        )
    own = [each for each in record.assessment.servers if each.machine.used_by in tenants]
    ids = {each.machine.id for each in own}
    return Seen(
        record,
        False,
        tuple(_redacted(each, tenants, ids) for each in own),
        tuple(_bare(each) for each in of_site),
        tuple(_counts(own)),
        len(own),
        sum(each.own is Result.DEMONSTRATED for each in own),
    )


def _all(record: Record) -> Iterable[tuple[Result, msgspec.Struct]]:
    return ((result, record.headline.results[result]) for result in Result)


def _counts(servers: list[Outcome]) -> Iterable[Count]:
    """Counted anew: a share of others' machines would tell of them."""
    known = fsum(e.machine.energy_kwh for e in servers if e.machine.energy_kwh is not None)
    for result in Result:
        some = [each for each in servers if each.result is result]
        energies = [e.machine.energy_kwh for e in some if e.machine.energy_kwh is not None]
        kwh = fsum(energies) if energies or not some else None
        yield Count(
            result,
            len(some),
            len(some) / len(servers) if servers else None,
            kwh,
            kwh / known if kwh is not None and known else None,
            None,
            None,
        )


def _redacted(outcome: Outcome, tenants: frozenset[str], ids: set[str]) -> Outcome:
    machine = outcome.machine
    others = tuple(each for each in machine.twice if each in ids)
    owner = machine.owner if machine.owner in tenants else ""
    return msgspec.structs.replace(
        outcome,
        machine=msgspec.structs.replace(machine, owner=owner, twice=others),
        criteria=tuple(_without_others(each, ids) for each in outcome.criteria),
    )


def _without_others(each: CriterionResult, ids: set[str]) -> CriterionResult:
    other = each.reason.values.get("other")
    if each.reason.key != "inventory.twice" or other in ids:
        return each
    reason = Reason(each.reason.key, {**each.reason.values, "other": HIDDEN})
    return msgspec.structs.replace(each, reason=reason, evidence=())


def _bare(each: CriterionResult) -> CriterionResult:
    """A criterion of the site without what names meters, documents and people."""
    return msgspec.structs.replace(each, evidence=(), annotations=(), numbers=())
