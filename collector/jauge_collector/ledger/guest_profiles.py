"""Profiles of guests out of the ledger's shares, summed by the database where it can.

Five weeks of 5 000 guests are 4.2 million shares. They are read host by host, in the order of the
table's key, and grouped by hour of the week, by day, and as a whole: what `profiled` makes of the
hours themselves. A guest that had several hosts, or several agents, is folded by `profiled`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache
from typing import Any, Final

from jauge_models.attribution import Certainty
from jauge_models.guest_use import (
    GuestProfile,
    HourOfGuest,
    HourOfWeek,
    UsePolicy,
    profiled,
)
from sqlalchemy import ColumnElement, Connection, case, func, select

from jauge_collector import civil
from jauge_collector.ledger import schema

_T: Final = schema.shares.c
_LATER: Final = schema.shares.alias("later")
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_THURSDAY: Final = 72
"""Hour of the week at which the Unix epoch began; Monday 00:00 is 0."""
_BY_RANK: Final = {certainty.rank: certainty for certainty in Certainty}
_CERTAIN: Final = {one.value: one for one in Certainty}
_KNOWN: Final = _T.busy.is_not(None) & (_T.processors > 0)
"""Whether an hour's activity is known: only then the guest counts as seen."""


def host_ids(connection: Connection, site: str) -> dict[int, str]:
    """Every host whose rows were ever shared out: its key and name, by name.

    One look into the key of the table for each, where DISTINCT would read all of it.
    """
    first = select(func.min(_T.host).label("host")).cte("found", recursive=True)
    after = select(func.min(_T.host)).where(_T.host > first.c.host).scalar_subquery()
    found = first.union_all(select(after).where(first.c.host.is_not(None)))
    s = schema.subjects.c
    rows = connection.execute(
        select(s.id, s.name).join(found, found.c.host == s.id).where(s.site == site)
    )
    return {row.id: row.name for row in sorted(rows, key=lambda row: row.name)}


def guest_ids(connection: Connection, site: str) -> dict[str, dict[str, int]]:
    """By resource, ``guest:<uuid>``: the names under which agents report it, and their keys."""
    s = schema.subjects.c
    rows = connection.execute(
        select(s.id, s.name).where(s.site == site, s.name.contains("/guest:")).order_by(s.name)
    )
    found: dict[str, dict[str, int]] = {}
    for key, name in rows:
        found.setdefault(name.partition("/")[2], {})[name] = key
    return dict(sorted(found.items()))


def profiles(
    connection: Connection,
    site: str,
    span: tuple[int, int],
    zone: tzinfo,
    policy: UsePolicy,
) -> Iterator[GuestProfile]:
    """The profile of each guest that has shares of rows that begin in [start, end).

    One after the other: a profile holds a week, and all of them would be too much.
    """
    guests = guest_ids(connection, site)
    named = {key: name for name, keys in guests.items() for key in keys.values()}
    hosts = list(host_ids(connection, site))
    wholes = {host: _wholes(connection, host, span) for host in hosts}
    ran = Counter(named[row.guest] for rows in wholes.values() for row in rows)
    for host in hosts:
        single = {row.guest: row for row in wholes[host] if ran[named[row.guest]] == 1}
        if not single:
            continue
        days = _days(connection, host, span, zone)
        weeks = _weeks(connection, host, span, zone)
        for key, row in single.items():
            profile = _profile(row, days[key], span, policy)
            yield profile._replace(guest=named[key], week=weeks[key])
    period_s = (span[1] - span[0]) / 1000
    for guest, times in ran.items():
        if times > 1:
            hours = hours_of_guest(connection, list(guests[guest].values()), span, zone)
            yield profiled(guest, hours, period_s, policy)


def hours_of_guest(
    connection: Connection, keys: Sequence[int], span: tuple[int, int], zone: tzinfo
) -> Iterator[HourOfGuest]:
    """A guest's shares of rows that begin in [start, end), on the site's clock.

    ``keys`` are those of `guest_ids`: a guest may have moved from one agent's host to another's.
    """
    rows = connection.execute(
        select(
            _T.start_ms,
            _T.covered_ms,
            _T.idle,
            _T.dynamic,
            _T.gpu,
            _T.certainty,
            _T.busy,
            _T.busy_peak,
            _T.processors,
            _T.memory_used_peak,
            _T.memory_size,
        )
        .where(_T.guest.in_(keys), _T.start_ms >= span[0], _T.start_ms < span[1])
        .where(_T.guest != _T.host)
    )
    for at_ms, covered_ms, idle, dynamic, gpu, certainty, *rest in rows:
        yield HourOfGuest(
            *_on_the_clock(at_ms, zone), covered_ms, idle, dynamic, gpu, _CERTAIN[certainty], *rest
        )


@lru_cache(maxsize=4096)
def _on_the_clock(at_ms: int, zone: tzinfo) -> tuple[int, int]:
    """Number of the civil day, and hour of the week from Monday on."""
    local = civil.local(at_ms, zone)
    return local.toordinal(), 24 * local.weekday() + local.hour


def _of_host(host: int, span: tuple[int, int]) -> ColumnElement[bool]:
    return (
        (_T.host == host)
        & (_T.start_ms >= span[0])
        & (_T.start_ms < span[1])
        & (_T.guest != _T.host)
        & (_T.covered_ms > 0)
    )


def _wholes(connection: Connection, host: int, span: tuple[int, int]) -> Sequence[Any]:
    ranks = {certainty.value: certainty.rank for certainty in Certainty}
    return connection.execute(
        select(
            _T.guest,
            func.sum(case((_KNOWN, _T.busy * _T.covered_ms))).label("busy_ms"),
            func.max(case((_KNOWN, _T.busy))).label("busiest"),
            func.max(case((_KNOWN, _T.busy_peak))).label("busy_peak"),
            func.max(_T.memory_used_peak).label("memory_used_peak"),
            func.max(_T.gpu).label("gpu"),
            func.max(case(ranks, value=_T.certainty)).label("rank"),
            _last(_LATER.c.processors, span).label("processors"),
            _last(_LATER.c.memory_size, span).label("memory_size"),
        )
        .where(_of_host(host, span))
        .group_by(_T.guest)
    ).all()


def _last(column: Any, span: tuple[int, int]) -> Any:
    """The last known value of a guest in the span."""
    later = _LATER.c
    return (
        select(column)
        .where(later.guest == _T.guest, later.start_ms >= span[0], later.start_ms < span[1])
        .where(later.covered_ms > 0, column.is_not(None))
        .order_by(later.start_ms.desc())
        .limit(1)
        .correlate(schema.shares)
        .scalar_subquery()
    )


def _days(
    connection: Connection, host: int, span: tuple[int, int], zone: tzinfo
) -> Mapping[int, list[int]]:
    """By guest: how long its activity was known on each civil day, in ms."""
    day = (_local_ms(span, zone) // _DAY_MS).label("day")
    known = func.sum(case((_KNOWN, _T.covered_ms), else_=0))
    found: dict[int, list[int]] = defaultdict(list)
    for guest, _, known_ms in connection.execute(
        select(_T.guest, day, known).where(_of_host(host, span)).group_by(_T.guest, day)
    ):
        found[guest].append(int(known_ms))
    return found


def _weeks(
    connection: Connection, host: int, span: tuple[int, int], zone: tzinfo
) -> Mapping[int, dict[int, HourOfWeek]]:
    """By guest: its hours of the week."""
    hour = ((_local_ms(span, zone) // _HOUR_MS + _THURSDAY) % 168).label("hour")
    found: dict[int, dict[int, HourOfWeek]] = defaultdict(dict)
    for guest, at, known_ms, *rest in connection.execute(
        select(
            _T.guest,
            hour,
            func.sum(case((_KNOWN, _T.covered_ms), else_=0)),
            func.max(case((_KNOWN, _T.busy / _T.processors))),
            func.sum(_T.idle),
            func.sum(_T.dynamic),
            func.sum(_T.gpu),
        )
        .where(_of_host(host, span))
        .group_by(_T.guest, hour)
        .order_by(_T.guest, hour)
    ):
        found[guest][at] = HourOfWeek(int(known_ms) / _HOUR_MS, *rest)
    return found


def _local_ms(span: tuple[int, int], zone: tzinfo) -> Any:
    """The moment on the site's clock, as if that were UTC; changes of the clock are told apart."""
    offsets: list[tuple[int, int]] = []
    for at in range(span[0], span[1], _HOUR_MS):
        moment = civil.local(at, zone)
        offset = moment.utcoffset()
        offset_ms = 0 if offset is None else round(offset.total_seconds() * 1000)
        if not offsets or offsets[-1][1] != offset_ms:
            offsets.append((at, offset_ms))
    *changes, (_, first) = reversed(offsets)
    if not changes:
        return _T.start_ms + first
    return _T.start_ms + case(
        *((_T.start_ms >= at, offset_ms) for at, offset_ms in changes), else_=first
    )


def _profile(
    row: Any, days: Sequence[int], span: tuple[int, int], policy: UsePolicy
) -> GuestProfile:
    period_s, seen_ms = (span[1] - span[0]) / 1000, sum(days)
    peaks = [peak for peak in (row.busiest, row.busy_peak) if peak is not None]
    return GuestProfile(
        guest="",
        period_s=period_s,
        days=sum(day_ms >= policy.day_hours * _HOUR_MS for day_ms in days),
        coverage=min(seen_ms / 1000 / period_s, 1.0),
        busy=row.busy_ms / seen_ms if seen_ms else None,
        busy_peak=max(peaks, default=None),
        processors=row.processors,
        memory_used_peak=row.memory_used_peak,
        memory_size=row.memory_size,
        holds_gpu=row.gpu > 0,
        gpu_unknown=row.gpu > 0,
        certainty=_BY_RANK[row.rank],
        week={},
    )
