"""From the dated connection map to the checks that it allows: who may draw no more than whom.

A check is as small as the map lets it be. Two things that share a feed, or two feeds that share
something fed, belong to one sum; else each has its own. What nobody measures is looked through:
hosts on a strip without meters stand against the unit above it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jauge_models.crosschecks import HOUR_MS, Check
from jauge_models.topology import Connection, Event, EventKind

SUSPENDING = frozenset(EventKind)
"""In none of them energy flows as the map says, or not all of it: discharging batteries, load
banks, open bypasses, things taken out for maintenance."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A check by its key: what it is over each span [start, end) of the map, in order."""

    key: str
    variants: tuple[tuple[int, int, Check], ...]

    def at(self, hour_ms: int) -> Check | None:
        """The check in an hour; None where the map does not declare it for all of the hour."""
        for start, end, check in self.variants:
            if start <= hour_ms and hour_ms + HOUR_MS <= end:
                return check
        return None

    @property
    def end_ms(self) -> int:
        """Until when the map declares it."""
        return self.variants[-1][1]

    @property
    def newest(self) -> Check:
        """The check as it was last."""
        return self.variants[-1][2]

    @property
    def subjects(self) -> frozenset[str]:
        """Everybody who ever takes part."""
        return frozenset(name for _, _, check in self.variants for name in check.subjects)


def plan(
    connections: Sequence[Connection],
    measured: Collection[str],
    start_ms: int,
    end_ms: int,
) -> list[Planned]:
    """Every check of the map over [start, end), by key; ``measured`` are the names with rows."""
    found: dict[str, list[tuple[int, int, Check]]] = {}
    edges = {start_ms, end_ms}
    for one in connections:
        bounds = (one.validity.from_ms, one.validity.to_ms)
        edges |= {at for at in bounds if at is not None and start_ms < at < end_ms}
    for begin, end in pairwise(sorted(edges)):
        links = {(c.upstream, c.downstream) for c in connections if c.validity.holds(begin)}
        for check in checks(links, measured):
            known = found.setdefault(check.key, [])
            if known and known[-1][1:] == (begin, check):
                known[-1] = (known[-1][0], end, check)
            else:
                known.append((begin, end, check))
    return [Planned(key, tuple(found[key])) for key in sorted(found)]


def checks(links: Collection[tuple[str, str]], measured: Collection[str]) -> list[Check]:
    """The checks of one state of the map, given as (upstream, downstream), by key."""
    above: dict[str, set[str]] = {}
    for upstream, downstream in links:
        above.setdefault(downstream, set()).add(upstream)
    feeds = {
        name: _feeding(name, above, measured, frozenset({name}))
        for name in above
        if name in measured
    }
    groups = _groups({name: found for name, found in feeds.items() if found})
    made = [
        Check(
            tuple(sorted(lower)),
            tuple(sorted(name for name in upper if name in measured)),
            tuple(sorted(name for name in upper if name not in measured)),
        )
        for lower, upper in groups
    ]
    return sorted(made, key=lambda check: check.key)


def _feeding(
    name: str,
    above: Mapping[str, set[str]],
    measured: Collection[str],
    seen: frozenset[str],
) -> set[str]:
    """The nearest measured things above, and those at the top that nobody measures."""
    found: set[str] = set()
    for upper in above.get(name, ()):
        if upper in seen:
            continue
        if upper in measured or upper not in above:
            found.add(upper)
        else:
            found |= _feeding(upper, above, measured, seen | {upper})
    return found


def _groups(feeds: Mapping[str, set[str]]) -> Iterable[tuple[set[str], set[str]]]:
    """Things with what feeds them, put together where they share a feed."""
    groups: list[tuple[set[str], set[str]]] = []
    of: dict[str, int] = {}
    for name in sorted(feeds):
        lower, upper = {name}, set(feeds[name])
        for at in {of[feed] for feed in upper if feed in of}:
            others = groups[at]
            lower |= others[0]
            upper |= others[1]
            groups[at] = (set(), set())
        groups.append((lower, upper))
        of |= dict.fromkeys(upper, len(groups) - 1)
    return [group for group in groups if group[0]]


def unmapped(connections: Sequence[Connection], measured: Iterable[str], time_ms: int) -> list[str]:
    """What is measured and stands nowhere on the map at a moment: it is not checked."""
    mapped = {
        name
        for one in connections
        if one.validity.holds(time_ms)
        for name in (one.upstream, one.downstream)
    }
    return sorted(set(measured) - mapped)


def suspended(events: Iterable[Event], names: Collection[str], hour_ms: int) -> Event | None:
    """The first event that touches the hour and concerns one of the names, or the whole site."""
    for event in events:
        start, end = event.validity.from_ms, event.validity.to_ms
        touches = (start is None or start < hour_ms + HOUR_MS) and (end is None or hour_ms < end)
        if touches and event.kind in SUSPENDING and (not event.subject or event.subject in names):
            return event
    return None
