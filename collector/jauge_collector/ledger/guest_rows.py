"""A guest's own rows: each is the sum of its shares in an hour, on whatever hosts it ran."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from jauge_models.attribution import Certainty
from jauge_models.crosschecks import HOUR_MS
from jauge_models.intervals import Basis, Flag, Grade, Interval, worst
from jauge_models.topology import Commodity
from sqlalchemy import select

from jauge_collector.ledger import schema
from jauge_collector.ledger.activity import LEAST_GAP_MS
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.ledger.rows import Row, Saved, Stretch, subject_ids

_AT_ONCE: Final = 400
"""Rows of one transaction: marks wait for it."""
_INHERITED: Final = frozenset({Flag.BRIDGED, Flag.CLOCK})
"""Flags of a host's row that say of its parts too what they say of it."""

WrongClocks = Mapping[str, Sequence[ClockSpan]]


class _HostRow:
    """What a guest's row takes over from the row, or rows, of a host in the same hour."""

    def __init__(self) -> None:
        self.grades: list[Grade] = []
        self.flags: set[Flag] = set()
        self.covered_ms = 0
        self.profile_ms = 0

    def add(self, row: Any) -> None:
        self.grades.append(Grade(row.grade))
        self.flags |= {flag for word in row.flags.split() if (flag := Flag(word)) in _INHERITED}
        self.covered_ms += row.covered_ms
        self.profile_ms += row.profile_ms


def account_guests(
    ledger: Ledger,
    site: str,
    start_ms: int,
    guests: Collection[str],
    *,
    gaps: Mapping[str, int],
    wrong_clocks: WrongClocks,
    now_ms: int,
    alive: Callable[[], None],
) -> Saved:
    """Sum the shares of some guests in one hour anew; a guest without any has no row.

    To be called once the shares of every host of that hour are saved. ``gaps`` (ms) are those of
    hosts by their names.
    """
    written = revised = 0
    names = sorted(guests)
    for at in range(0, len(names), _AT_ONCE):
        some = names[at : at + _AT_ONCE]
        rows = _rows(ledger, site, start_ms, some, gaps=gaps, wrong_clocks=wrong_clocks)
        stretches = [
            Stretch(
                name,
                Commodity.ELECTRICITY,
                start_ms,
                start_ms + HOUR_MS,
                [rows[name]] if name in rows else [],
            )
            for name in some
        ]
        saved = ledger.save(site, stretches, now_ms)
        written += saved.written
        revised += saved.revised
        alive()
    return Saved(written, revised)


def _rows(
    ledger: Ledger,
    site: str,
    start_ms: int,
    guests: Sequence[str],
    *,
    gaps: Mapping[str, int],
    wrong_clocks: WrongClocks,
) -> dict[str, Row]:
    t, i, hosts = schema.shares.c, schema.intervals.c, schema.subjects.alias("hosts")
    within = (t.start_ms >= start_ms) & (t.start_ms < start_ms + HOUR_MS)
    shares: dict[str, list[Any]] = defaultdict(list)
    of_hosts: dict[int, _HostRow] = defaultdict(_HostRow)
    with ledger.transaction(writes=False) as connection:
        ids = subject_ids(connection, site, guests)
        by_id = {key: name for name, key in ids.items()}
        chosen = (
            select(schema.shares, hosts.c.name)
            .join(hosts, hosts.c.id == t.host)
            .where(t.guest.in_(by_id), within)
            .order_by(hosts.c.name)
        )
        for share in connection.execute(chosen):
            shares[by_id[share.guest]].append(share)
        keys = {share.host for some in shares.values() for share in some}
        rows = select(i.subject, i.grade, i.flags, i.covered_ms, i.profile_ms).where(
            i.subject.in_(keys),
            i.start_ms >= start_ms,
            i.start_ms < start_ms + HOUR_MS,
            i.amount.is_not(None),
        )
        for row in connection.execute(rows):
            of_hosts[row.subject].add(row)
    return {
        guest: _row(guest, some, of_hosts, start_ms, gaps=gaps, wrong_clocks=wrong_clocks)
        for guest, some in shares.items()
    }


def _row(
    guest: str,
    shares: Sequence[Any],
    of_hosts: Mapping[int, _HostRow],
    start_ms: int,
    *,
    gaps: Mapping[str, int],
    wrong_clocks: WrongClocks,
) -> Row:
    hosts = [of_hosts[share.host] for share in shares]
    end_ms = start_ms + HOUR_MS
    covered_ms = sum(share.covered_ms for share in shares)
    profile_ms = sum(
        min(share.covered_ms, host.profile_ms)
        if host.profile_ms < host.covered_ms
        else share.covered_ms
        for share, host in zip(shares, hosts, strict=True)
    )
    flags = frozenset(flag for host in hosts for flag in host.flags)
    gap_ms = max(gaps.get(share.name, LEAST_GAP_MS) for share in shares)
    if _is_mistimed(
        wrong_clocks.get(guest.partition("/")[0], ()), start_ms - gap_ms, end_ms + gap_ms
    ):
        flags |= {Flag.CLOCK}
    grade = worst([Grade.MEDIUM, *(grade for host in hosts for grade in host.grades)])
    if Flag.CLOCK in flags or any(s.certainty == Certainty.ESTIMATED for s in shares):
        grade = Grade.LOW
    return Row(
        Interval(
            start_ms,
            end_ms,
            sum(share.idle + share.dynamic + share.gpu for share in shares),
            covered_ms,
            profile_ms,
            Basis.SHARE,
            grade,
            flags=flags,
        ),
        " + ".join(share.name for share in shares),
        final=all(share.final for share in shares),
    )


def _is_mistimed(spans: Sequence[ClockSpan], start_ms: int, end_ms: int) -> bool:
    """Whether an agent's clock was wrong when it stamped readings of [start, end)."""
    return any(span.from_ms < end_ms and span.to_ms > start_ms for span in spans)
