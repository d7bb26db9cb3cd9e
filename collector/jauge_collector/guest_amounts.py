"""Energy of guests over a span by whose they were, told hour by hour.

A span in which a guest changed hands is parted at that hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import fsum
from typing import NamedTuple

from jauge_models.attribution import Certainty
from jauge_models.topology import Validity

from jauge_collector.access.holders import Holders
from jauge_collector.access.tenancy import within
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.shares import OWN, Share, ShareTotal

Span = tuple[int, int]
"""Its ends in ms since the Unix epoch, the second excluded."""


class Amount(NamedTuple):
    """Energy of one guest, or of a host's own part (no guest), while it was one tenant's."""

    host: str
    guest: str
    tenant: str
    energy: float
    certainty: Certainty


def parted(
    ledger: Ledger, site: str, total: ShareTotal, holders: Holders, span: Span
) -> Iterator[tuple[str, ShareTotal | Share]]:
    """A total with its tenant, or each share of it where the guest changed hands in the span.

    Hosts' own parts are nobody's.
    """
    agent, _, resource = total.guest.partition("/")
    pieces = holders.pieces(agent, resource, *span) if total.guest != OWN else []
    if not pieces or (len(pieces) == 1 and pieces[0][:2] == span):
        yield (pieces[0].tenant if pieces else ""), total
        return
    for share in ledger.shares(site, *span, host=total.host, guest=total.guest):
        held = (p.tenant for p in pieces if p.start_ms <= share.start_ms < p.end_ms)
        yield next(held, ""), share


def amounts(
    ledger: Ledger, site: str, totals: Iterable[ShareTotal], holders: Holders, span: Span
) -> list[Amount]:
    """Totals over a span, parted where a guest changed hands within it: all that there is."""
    found: list[Amount] = []
    for one in totals:
        by: dict[str, list[ShareTotal | Share]] = defaultdict(list)
        for tenant, part in parted(ledger, site, one, holders, span):
            by[tenant].append(part)
        found += [_amount(one, tenant, some) for tenant, some in by.items()]
    return found


def amounts_of(
    ledger: Ledger,
    site: str,
    totals: Iterable[ShareTotal],
    holders: Holders,
    span: Span,
    *,
    tenants: frozenset[str],
) -> list[Amount]:
    """Totals over a span, of each guest the hours that lie within the time one tenant had it."""
    found: list[Amount] = []
    for one in totals:
        agent, _, resource = one.guest.partition("/")
        for tenant in sorted(tenants) if one.guest != OWN else ():
            held = holders.guest(agent, resource, frozenset({tenant}))
            if within(held, *span) is not None:
                found.append(Amount(one.host, one.guest, tenant, one.energy, one.certainty))
            elif any(Validity(*span).overlaps(part) for part in held):
                shares = ledger.shares(site, *span, host=one.host, guest=one.guest)
                some = [s for s in shares if within(held, s.start_ms, s.end_ms) is not None]
                if some:
                    found.append(_amount(one, tenant, some))
    return found


def _amount(total: ShareTotal, tenant: str, parts: Sequence[ShareTotal | Share]) -> Amount:
    worst = max((part.certainty for part in parts), key=lambda one: one.rank)
    energy = fsum(part.energy for part in parts)
    return Amount(total.host, total.guest, tenant, energy, worst)
