"""Which rows stay as they are: closed ones, and any that fewer readings would take the place of.

A row of a site meter is closed once the officer has closed its quarter, or 45 days after it ended
(after it first stood, where readings came later still). What a pass would make of it is kept as a
proposal; only a signed restatement carries it out. Rows of hosts and guests do not close.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from jauge_models.effectiveness import DAY_MS
from jauge_models.intervals import Basis, Flag
from sqlalchemy import Connection, delete, func, insert, select

from jauge_collector.ledger import schema

CLOSES_AFTER_MS: Final = 45 * DAY_MS
"""A row nobody closed is closed so long after it ended, and stood."""

Content = tuple[object, ...]
"""Columns of a row from ``end_ms`` to ``feed``, as `rows.content_of` gives them."""

_END, _AMOUNT, _COVERED, _PROFILE, _BASIS = range(5)
_OPENING, _CLOSING, _FLAGS, _FEED = 6, 8, 10, 11
_SUBJECT, _START, _REVISION, _CONTENT, _FINAL, _COMPUTED = 0, 1, 2, slice(3, 15), 15, 16
_RUNNING: Final = frozenset({Basis.REGISTER.value, Basis.COUNTER.value})
_EXPLAINS: Final = frozenset(flag.value for flag in Flag) - {
    Flag.BRIDGED.value,
    Flag.CLOCK.value,
    Flag.COMPACTED.value,
}
"""Flags of what was seen or declared: where one is, more readings may leave less that is known."""

MayLessen = Callable[[int, int, str], bool]
"""Whether a declaration explains that less is known of [start, end), measured by a feed."""


class Verdict(Enum):
    """What becomes of a row that a pass computes otherwise."""

    REPLACE = "replace"
    FEWER = "fewer"
    """It stays: what is new was computed from fewer readings."""
    CLOSED = "closed"
    """It stays, and what is new is proposed."""


class Closed(NamedTuple):
    """What is closed of a site at a moment."""

    spans: tuple[tuple[int, int], ...]
    now_ms: int

    @classmethod
    def of(cls, connection: Connection, site: str, now_ms: int) -> "Closed":
        """As the ledger has it."""
        t = schema.closings.c
        found = connection.execute(select(t.start_ms, t.end_ms).where(t.site == site))
        return cls(tuple((row.start_ms, row.end_ms) for row in found), now_ms)

    def by_officer(self, start_ms: int, end_ms: int) -> bool:
        """Whether a span touches a quarter that was closed."""
        return any(start < end_ms and start_ms < end for start, end in self.spans)

    def holds(self, connection: Connection, old: Sequence[Any]) -> bool:
        """Whether a row, as a record of `schema.intervals`, is closed.

        One without any measured time, in a quarter that nobody closed, is not: nothing was built
        on it.
        """
        start_ms, content = old[_START], old[_CONTENT]
        if not old[_FINAL]:
            return False
        if self.by_officer(start_ms, content[_END]):
            return True
        before_ms = self.now_ms - CLOSES_AFTER_MS
        if content[_END] > before_ms or not content[_COVERED]:
            return False
        stood_ms: int = old[_COMPUTED]
        if stood_ms > before_ms and old[_REVISION]:
            t = schema.revisions.c
            first = select(func.min(t.computed_ms)).where(
                t.subject == old[_SUBJECT], t.start_ms == start_ms
            )
            stood_ms = min(stood_ms, connection.execute(first).scalar() or stood_ms)
        return stood_ms <= before_ms


def is_fewer(start_ms: int, old: Content, new: Content | None, may_lessen: MayLessen) -> bool:
    """Whether less is known than before, and nothing that was seen or declared says why.

    That is less measured time, or of a register the same from readings that lie further apart.
    """
    if Basis.ATTESTED.value in {old[_BASIS], new[_BASIS] if new else None}:
        return False
    known, covered = _ms(old[_COVERED]), _ms(new[_COVERED]) if new else 0
    if covered > known:
        return False
    if covered == known and not _is_coarser(old, new):
        return False
    if new is not None and _is_explained(old, new):
        return False
    return not may_lessen(start_ms, _ms(old[_END]), str(old[_FEED]))


def _is_coarser(old: Content, new: Content | None) -> bool:
    """Of a register's row with the same cover: whether readings in it or about it are missing."""
    if (
        new is None
        or old[_BASIS] not in _RUNNING
        or (old[_BASIS], old[_FEED]) != (new[_BASIS], new[_FEED])
    ):
        return False
    if _ms(new[_PROFILE]) < _ms(old[_PROFILE]):
        return True
    return any(
        before is not None and after is not None and sign * _ms(after) > sign * _ms(before)
        for before, after, sign in (
            (old[_OPENING], new[_OPENING], -1),
            (old[_CLOSING], new[_CLOSING], 1),
        )
    )


def _is_explained(old: Content, new: Content) -> bool:
    flags = {*str(new[_FLAGS]).split(), *str(old[_FLAGS]).split()}
    if flags & _EXPLAINS:
        return True
    if old[_BASIS] == Basis.ESTIMATE.value:  # gives way to a measurement of half its cover
        return new[_BASIS] != Basis.ESTIMATE.value
    # A total that stood still gives way to the power of its feed.
    return bool(
        old[_AMOUNT] == 0
        and old[_BASIS] in _RUNNING
        and new[_BASIS] == Basis.POWER.value
        and new[_AMOUNT]
    )


def _ms(value: object) -> int:
    return value if isinstance(value, int) else 0


# --- proposals


class Proposal(NamedTuple):
    """What a pass would make of one closed row. Amounts are in base units (J or m3).

    ``stands`` is whether there is a row now; ``new`` is None where it would go.
    """

    start_ms: int
    end_ms: int
    stands: bool
    amount: float | None
    new: Content | None
    reason: str
    """``readings``, ``declaration``, ``entry`` or ``dial``: why it was computed again."""
    first_ms: int

    @property
    def new_amount(self) -> float | None:
        """The amount it would have."""
        value = self.new[_AMOUNT] if self.new else None
        return float(value) if isinstance(value, int | float) else None


def proposals_of(
    connection: Connection, subject: int, start_ms: int, end_ms: int, *, by_hand: bool | None = None
) -> list[Proposal]:
    """Those of one subject that touch [start, end), in time order."""
    t = schema.proposals.c
    where = (t.subject == subject) & (t.start_ms < end_ms) & (t.end_ms > start_ms)
    if by_hand is not None:
        where &= t.by_hand.is_(by_hand)
    return [
        Proposal(
            row.start_ms,
            row.end_ms,
            row.stands,
            row.amount,
            None if row.new is None else tuple(json.loads(row.new)),
            row.reason,
            row.first_ms,
        )
        for row in connection.execute(select(schema.proposals).where(where).order_by(t.start_ms))
    ]


class Notes:
    """Proposals of one stretch of a subject, as a pass finds them; `keep` makes them the known."""

    def __init__(self, subject: int, reason: str, now_ms: int, *, by_hand: bool) -> None:
        self._subject = subject
        self._reason = reason
        self._now_ms = now_ms
        self._by_hand = by_hand
        self._found: dict[int, tuple[Sequence[Any] | None, Content | None]] = {}
        self._unseen: set[int] = set()

    def propose(self, start_ms: int, old: Sequence[Any] | None, new: Content | None) -> None:
        """A closed row would be another, go, or come."""
        self._found[start_ms] = (old, new)

    def unseen(self, start_ms: int) -> None:
        """Too little was read to tell: what was proposed for a row stays proposed."""
        self._unseen.add(start_ms)

    def keep(self, connection: Connection, start_ms: int, end_ms: int) -> None:
        """Put them in place of those known of rows that begin in [start, end)."""
        t = schema.proposals.c
        known = {
            one.start_ms: one
            for one in proposals_of(
                connection, self._subject, start_ms, end_ms, by_hand=self._by_hand
            )
            if start_ms <= one.start_ms
        }
        wanted = {start: self._record(start, *what) for start, what in self._found.items()}
        gone: list[int] = []
        for start, one in known.items():
            if start in self._unseen or self._is_fuller(one, start):
                wanted.pop(start, None)
                continue
            gone.append(start)
            if start in wanted:
                wanted[start]["first_ms"] = one.first_ms
        for at in range(0, len(gone), _AT_ONCE):
            connection.execute(
                delete(schema.proposals).where(
                    t.subject == self._subject,
                    t.by_hand.is_(self._by_hand),
                    t.start_ms.in_(gone[at : at + _AT_ONCE]),
                )
            )
        if wanted:
            connection.execute(insert(schema.proposals), list(wanted.values()))

    def _is_fuller(self, known: Proposal, start_ms: int) -> bool:
        """Whether what was proposed before rests on more readings than what is now."""
        if start_ms not in self._found or known.new is None:
            return False
        new = self._found[start_ms][1]
        return is_fewer(start_ms, known.new, new, _never)

    def _record(
        self, start_ms: int, old: Sequence[Any] | None, new: Content | None
    ) -> dict[str, object]:
        ends = [_ms(content[_END]) for content in (old and old[_CONTENT], new) if content]
        return {
            "subject": self._subject,
            "start_ms": start_ms,
            "end_ms": max(ends),
            "by_hand": self._by_hand,
            "stands": old is not None,
            "amount": old[_CONTENT][_AMOUNT] if old is not None else None,
            "new": None if new is None else json.dumps(new, allow_nan=False),
            "reason": self._reason,
            "first_ms": self._now_ms,
        }


_AT_ONCE: Final = 500


def _never(_start_ms: int, _end_ms: int, _feed: str) -> bool:
    return False


# --- while rows are replaced


class Guard:
    """Says of each row of a stretch whether it may be replaced, and keeps what is proposed."""

    def __init__(
        self,
        connection: Connection,
        *,
        closed: Closed | None,
        may_lessen: MayLessen | None,
        notes: Notes,
    ) -> None:
        self._connection = connection
        self._closed = closed
        self._may_lessen = may_lessen
        self._notes = notes
        self._spans: list[tuple[int, int]] = []
        self._fewer: list[tuple[int, int]] = []

    @property
    def fewer(self) -> Sequence[tuple[int, int]]:
        """Spans of rows that stayed because too little was read."""
        return self._fewer

    def verdict(self, old: Sequence[Any], new: Content | None) -> Verdict:
        """What becomes of a row that comes out as another, or as none."""
        start_ms, content = old[_START], tuple(old[_CONTENT])
        if self._may_lessen and is_fewer(start_ms, content, new, self._may_lessen):
            self._notes.unseen(start_ms)
            self._fewer.append((start_ms, content[_END]))
            return Verdict.FEWER
        if self._closed is None or not self._closed.holds(self._connection, old):
            return Verdict.REPLACE
        self._notes.propose(start_ms, old, new)
        self._spans.append((start_ms, content[_END]))
        return Verdict.CLOSED

    def let_in(
        self, fresh: Mapping[int, tuple[Content, bool]], stood: Iterable[int]
    ) -> dict[int, tuple[Content, bool]]:
        """Of some new rows those that may stand; ``stood`` are the starts of rows they replace.

        One that touches a row that stays does not, nor one of a quarter that was closed.
        """
        if not (self._spans or self._fewer or (self._closed and self._closed.spans)):
            return dict(fresh)
        replacing = set(stood)
        stay, fewer = sorted(self._spans), sorted(self._fewer)
        found: dict[int, tuple[Content, bool]] = {}
        for start_ms, row in fresh.items():
            end_ms = _ms(row[0][_END])
            if _touches(fewer, start_ms, end_ms):
                continue
            if _touches(stay, start_ms, end_ms) or (
                start_ms not in replacing
                and self._closed is not None
                and self._closed.by_officer(start_ms, end_ms)
            ):
                self._notes.propose(start_ms, None, row[0])
                continue
            found[start_ms] = row
        return found

    def keep(self, start_ms: int, end_ms: int) -> None:
        """What is proposed for [start, end) takes the place of what was."""
        if self._closed is not None:
            self._notes.keep(self._connection, start_ms, end_ms)


def _touches(spans: Sequence[tuple[int, int]], start_ms: int, end_ms: int) -> bool:
    """Whether one of some spans in order, none of which overlap, touches [start, end)."""
    at = bisect_left(spans, (end_ms,)) - 1
    return at >= 0 and spans[at][1] > start_ms
