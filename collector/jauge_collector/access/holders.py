"""Whose each guest is, at any time: what the site file says, else the dated label ``tenant``.

A person's word goes first: only while the site file says nothing of a guest, neither by itself
nor by its agent or the whole site, does what its agent reports of it count (a tag of the
hypervisor, which the agent's configuration maps). Such a label opens nothing to a tenant whom no
site file names: no token can name them. It opens nothing from before it was first reported.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jauge_models.topology import Validity

from jauge_collector.access.tenancy import TENANT, Held, Tenancy
from jauge_collector.ledger.histories import Histories


class Piece(NamedTuple):
    """A span in which a guest is one tenant's."""

    start_ms: int
    end_ms: int
    tenant: str


class Holders:
    """The tenants of one site's guests and hosts; ``tenancy`` is that of the site file."""

    def __init__(self, tenancy: Tenancy, histories: Histories) -> None:
        self._tenancy = tenancy
        self._histories = histories
        self._said = tenancy.tenants | {""}

    def guest(self, agent: str, resource: str, tenants: frozenset[str]) -> Held:
        """When a guest belongs to one of them."""
        silent = _between(self._tenancy.resource(agent, resource, self._said))
        labels = [
            one
            for span, tenant in self._labelled(agent, resource)
            if tenant in tenants
            for one in _both((span,), silent)
        ]
        return _joined([*self._tenancy.resource(agent, resource, tenants), *labels])

    def host(self, subject: str, tenants: frozenset[str]) -> Held:
        """When a host, or meter, belongs to one of them by the site file; no label counts."""
        try:
            return self._tenancy.subject(subject, tenants)
        except KeyError:
            return ()

    def pieces(self, agent: str, resource: str, start_ms: int, end_ms: int) -> list[Piece]:
        """[start, end) parted by whose the guest is, in order; what is nobody's is left out.

        For who may see all: here the first label holds also before it was reported.
        """
        within = (Validity(start_ms, end_ms),)
        told: list[tuple[Validity, str]] = []
        of_file = self._tenancy.resource(agent, resource, self._said)
        for tenant in self._tenancy.tenants if of_file else ():
            held = self._tenancy.resource(agent, resource, frozenset({tenant}))
            told += [(span, tenant) for span in held]
        silent = _between(of_file)
        for span, tenant in self._labelled(agent, resource, since_ever=True):
            told += [(one, tenant) for one in _both((span,), silent) if tenant]
        return sorted(
            Piece(one.from_ms or 0, one.to_ms or 0, tenant)
            for span, tenant in told
            for one in _both(within, (span,))
        )

    def _labelled(
        self, agent: str, resource: str, *, since_ever: bool = False
    ) -> Iterable[tuple[Validity, str]]:
        history = self._histories.get((agent, resource), ())
        for at, one in enumerate(history):
            since = None if since_ever and not at else one.from_ms
            until = history[at + 1].from_ms if at + 1 < len(history) else None
            yield Validity(since, until), one.labels.get(TENANT, "")


def _both(some: Held, others: Held) -> Held:
    """The time in a span of each."""
    pairs = (one.shared(other) for one in some for other in others)
    return tuple(span for span in pairs if span is not None)


def _between(spans: Held) -> Held:
    """The time in none of some spans, which are in order and do not overlap."""
    found: list[Validity] = []
    since: int | None = None
    for span in spans:
        if span.from_ms is not None and (since is None or since < span.from_ms):
            found.append(Validity(since, span.from_ms))
        if span.to_ms is None:
            return tuple(found)
        since = span.to_ms
    return (*found, Validity(since, None))


def _joined(spans: Sequence[Validity]) -> Held:
    """Spans in order, those that touch as one."""
    found: list[Validity] = []
    for span in sorted(spans, key=lambda one: (one.from_ms is not None, one.from_ms or 0)):
        if found and found[-1].to_ms == span.from_ms:
            span = Validity(found.pop().from_ms, span.to_ms)  # noqa: PLW2901 - joined
        found.append(span)
    return tuple(found)
