"""How a quarter stands, read from what the chain says was done to it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from jauge_collector.ledger import chain
from jauge_collector.ledger.chain import Link
from jauge_collector.reports.content import Signed


class State(StrEnum):
    """How far a quarter has come."""

    OPEN = "open"
    CLOSED = "closed"
    APPROVED = "approved"
    PUBLISHED = "published"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done to a quarter, as the chain holds it.

    ``act`` is a state, or ``restatement`` for rows that were restated; ``data_hash`` and
    ``snapshot`` are those of the revision that it was done to.
    """

    act: str
    revision: int
    signed: Signed
    data_hash: str = ""
    snapshot: str = ""
    where: str = ""
    """Where it was published."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A quarter as it stands: its last edition, and all that was done to it, oldest first.

    ``revision`` is 1 for the first edition and 0 while there is none. ``snapshot`` is the SHA-256
    of the stored report, ``data_hash`` that of what it says.
    """

    site: str
    quarter: str
    state: State = State.OPEN
    revision: int = 0
    data_hash: str = ""
    snapshot: str = ""
    closed: Signed | None = None
    approved: Signed | None = None
    published: Signed | None = None
    history: tuple[Step, ...] = ()

    @property
    def restated(self) -> tuple[Step, ...]:
        """Restatements of rows since the last edition: the next one must be closed."""
        found: list[Step] = []
        for step in self.history:
            if step.act == State.CLOSED:
                found = []
            elif step.act == RESTATED:
                found.append(step)
        return tuple(found)

    def edition(self, revision: int) -> Step | None:
        """How a revision was closed; None where there is none."""
        for step in self.history:
            if (step.act, step.revision) == (State.CLOSED.value, revision):
                return step
        return None

    def reached(self, revision: int) -> State:
        """How far one revision has come."""
        acts = [
            State(step.act)
            for step in self.history
            if step.revision == revision and step.act != RESTATED
        ]
        return acts[-1] if acts else State.OPEN


RESTATED: Final = "restatement"
"""Act of a `Step` that stands for a restatement of rows."""

_ACTS: Final = frozenset(
    {State.CLOSED.value, State.APPROVED.value, State.PUBLISHED.value, RESTATED}
)


def stands(site: str, quarter: str, steps: Sequence[Link]) -> Standing:
    """A quarter as some links in their order tell it."""
    history: list[Step] = []
    edition: Step | None = None
    for link in steps:
        told = link.content
        signed = Signed(by=told["by"], at_ms=link.at_ms, note=told.get("note", ""))
        act = RESTATED if link.kind == chain.RESTATEMENT else told["act"]
        if act not in _ACTS:  # its rows or its archive went by their time
            continue
        if act == State.CLOSED:
            edition = Step(
                act=act,
                revision=told["revision"],
                signed=signed,
                data_hash=told["data_hash"],
                snapshot=told["snapshot"],
            )
            history.append(edition)
            continue
        history.append(
            Step(
                act=act,
                revision=edition.revision if edition else 0,
                signed=signed,
                data_hash=edition.data_hash if edition else "",
                snapshot=edition.snapshot if edition else "",
                where=told.get("where", ""),
            )
        )
    found = Standing(site=site, quarter=quarter, history=tuple(history))
    if edition is None:
        return found
    acts = {step.act: step.signed for step in history if step.revision == edition.revision}
    return msgspec.structs.replace(
        found,
        state=found.reached(edition.revision),
        revision=edition.revision,
        data_hash=edition.data_hash,
        snapshot=edition.snapshot,
        closed=edition.signed,
        approved=acts.get(State.APPROVED.value),
        published=acts.get(State.PUBLISHED.value),
    )
