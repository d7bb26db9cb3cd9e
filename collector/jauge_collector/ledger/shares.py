"""How hosts' rows are shared out among their guests, as the ledger's database holds it.

Energies in J, times in ms since the Unix epoch, UTC. A share belongs to one row of a host: those
of one host and hour add up to it. What a guest's own row says is the sum of its shares.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Any, Final, NamedTuple

import msgspec
from jauge_models.attribution import Certainty, Doubt
from jauge_models.topology import Commodity
from sqlalchemy import Connection, Select, case, delete, func, insert, select

from jauge_collector.ledger import schema
from jauge_collector.ledger.database import Database
from jauge_collector.ledger.rows import add_subject, subject_ids

OWN: Final = ""
"""Instead of a guest: the host's own part, what no guest caused."""


class Share(msgspec.Struct, frozen=True, gc=False):
    """What one guest, or the host itself, had of one row of a host."""

    host: str
    """Subject of the host's row: its id in the site file, or ``<agent>/<resource>``."""
    guest: str
    """``<agent>/guest:<uuid>``; empty for the host's own part."""
    start_ms: int
    end_ms: int
    idle: float
    dynamic: float
    gpu: float
    covered_ms: int
    """Time in which the guest was seen there and the host measured."""
    certainty: Certainty
    busy: float | None
    """Processors busy, mean while seen."""
    busy_peak: float | None
    """Of the busiest slot."""
    processors: float | None
    """Given to it."""
    memory_used_peak: float | None
    """B."""
    memory_size: float | None
    """B."""
    final: bool
    reconciliation: float | None = None
    """Of a host's own part: what the hypervisor's own counters of its guests were multiplied by to
    add up to their dynamic energy; None where there are none."""
    doubts: frozenset[Doubt] = frozenset()
    """Of a host's own part: the counters that disagreed in any slot."""

    @property
    def energy(self) -> float:
        """J."""
        return self.idle + self.dynamic + self.gpu


class HostCheck(NamedTuple):
    """How far the counters of a host and its guests agreed over a period, as `Share` says it."""

    reconciliation: float | None
    doubts: Mapping[Doubt, int]
    """In how many hours each was."""


class ShareTotal(msgspec.Struct, frozen=True, gc=False):
    """The shares of one guest, or of the host itself, on one host over a period.

    Members as those of `Share`: energies and covered time are sums, ``busy`` and ``processors``
    means by covered time, peaks and ``memory_size`` the highest, ``certainty`` the worst.
    """

    host: str
    guest: str
    hours: int
    """How many shares were summed."""
    idle: float
    dynamic: float
    gpu: float
    covered_ms: int
    certainty: Certainty
    busy: float | None
    busy_peak: float | None
    processors: float | None
    memory_used_peak: float | None
    memory_size: float | None
    final: bool
    """Whether none can change any more."""

    @property
    def energy(self) -> float:
        """J."""
        return self.idle + self.dynamic + self.gpu


class HostHour(NamedTuple):
    """One row of a host, shared out: all its shares, none where there is nothing to share."""

    host: str
    start_ms: int
    shares: Sequence[Share]


class ShareBook(Database):
    """The ledger's shares."""

    def shares(
        self,
        site: str,
        start_ms: int,
        end_ms: int,
        *,
        host: str | None = None,
        guest: str | None = None,
    ) -> list[Share]:
        """Shares of rows that begin in [start, end), by time, host and guest; the own part first.

        Of one host, or of one guest wherever it ran, where named; a guest of `OWN` asks for own
        parts.
        """
        with self._reading() as connection:
            wanted = _chosen(connection, site, (start_ms, end_ms), host=host, guest=guest)
            if wanted is None:
                return []
            hosts, guests = _HOSTS.c, _GUESTS.c
            rows = wanted.order_by(_T.start_ms, hosts.name, _T.guest != _T.host, guests.name)
            return [_share(row) for row in connection.execute(rows)]

    def share_totals(self, site: str, start_ms: int, end_ms: int) -> list[ShareTotal]:
        """Shares of rows that begin in [start, end), summed by host and guest, in that order."""
        with self._reading() as connection:
            rows = connection.execute(_totals(site, start_ms, end_ms))
            return [_total(row) for row in rows]

    def host_checks(self, site: str, start_ms: int, end_ms: int) -> dict[str, HostCheck]:
        """By host, how far its counters agree in the rows that begin in [start, end).

        Hours count by the dynamic energy of their guests.
        """
        of_guests = func.sum(case((_T.guest != _T.host, _T.dynamic), else_=0.0))
        rows = (
            select(_HOSTS.c.name, of_guests, func.max(_T.reconciliation), func.max(_T.doubts))
            .join(schema.shares, _HOSTS.c.id == _T.host)
            .where(_HOSTS.c.site == site, _T.start_ms >= start_ms, _T.start_ms < end_ms)
            .group_by(_T.host, _T.start_ms)
        )
        hours: dict[str, list[tuple[float, float | None, str | None]]] = {}
        with self._reading() as connection:
            for name, dynamic, factor, doubts in connection.execute(rows):
                hours.setdefault(name, []).append((dynamic, factor, doubts))
        return {
            name: HostCheck(
                _reconciled((dynamic, factor) for dynamic, factor, _ in some),
                Counter(doubt for _, _, doubts in some for doubt in _doubts(doubts)),
            )
            for name, some in hours.items()
        }

    def unshared(self, site: str) -> dict[str, list[tuple[int, int]]]:
        """By host, spans of hours that are still to be shared out anew, in order."""
        t = schema.unshared.c
        found: dict[str, list[tuple[int, int]]] = {}
        wanted = select(t.host, t.start_ms, t.end_ms).where(t.site == site)
        with self._reading() as connection:
            for host, start_ms, end_ms in connection.execute(wanted.order_by(t.host, t.start_ms)):
                found.setdefault(host, []).append((start_ms, end_ms))
        return found

    def set_unshared(self, site: str, spans: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Put what is still to be shared out in place of what stands there; one transaction."""
        records = [
            {"site": site, "host": host, "start_ms": start_ms, "end_ms": end_ms}
            for host, some in spans.items()
            for start_ms, end_ms in some
        ]
        with self._writing() as connection:
            connection.execute(delete(schema.unshared).where(schema.unshared.c.site == site))
            if records:
                connection.execute(insert(schema.unshared), records)

    def shared_hour(self, site: str, start_ms: int) -> dict[str, tuple[float, bool]]:
        """By host: what the shares of its hour add up to, and whether they are final."""
        final = func.min(case((_T.final, 1), else_=0))
        rows = (
            select(_HOSTS.c.name, func.sum(_T.idle + _T.dynamic + _T.gpu), final)
            .join(schema.shares, _HOSTS.c.id == _T.host)
            .where(_HOSTS.c.site == site, _T.start_ms == start_ms)
            .group_by(_HOSTS.c.name)
        )
        with self._reading() as connection:
            return {name: (energy, bool(last)) for name, energy, last in connection.execute(rows)}

    def save_shares(self, site: str, hours: Iterable[HostHour]) -> dict[int, set[str]]:
        """Put each host and hour's shares in place of what stands there; one transaction.

        Returns, by hour, the guests that have or had one there: whose own rows are to be summed
        anew, once the shares of every host are saved. A host without rows has no shares.
        """
        touched: dict[int, set[str]] = {}
        hours = list(hours)
        names = {hour.host for hour in hours}
        names |= {share.guest for hour in hours for share in hour.shares if share.guest != OWN}
        with self._writing() as connection:
            ids = subject_ids(connection, site, sorted(names))
            records: list[dict[str, Any]] = []
            for hour in hours:
                guests = touched.setdefault(hour.start_ms, set())
                if hour.host not in ids:
                    continue
                guests |= _removed(connection, ids[hour.host], hour.start_ms)
                for share in hour.shares:
                    name = hour.host if share.guest == OWN else share.guest
                    if name not in ids:
                        ids[name] = add_subject(connection, site, name, _ELECTRICITY)
                    if share.guest != OWN:
                        guests.add(share.guest)
                    records.append(_record(share, ids[hour.host], ids[name]))
            if records:
                connection.execute(insert(schema.shares), records)
        return touched


_T: Final = schema.shares.c
_HOSTS: Final = schema.subjects.alias("hosts")
_GUESTS: Final = schema.subjects.alias("guests")
_ELECTRICITY: Final = Commodity.ELECTRICITY
_KEYS_AT_ONCE: Final = 500
_BY_RANK: Final = {certainty.rank: certainty for certainty in Certainty}
_NAMED: Final = schema.shares.join(_HOSTS, _HOSTS.c.id == _T.host).join(
    _GUESTS, _GUESTS.c.id == _T.guest
)


def _doubts(words: str | None) -> frozenset[Doubt]:
    return frozenset(Doubt(word) for word in (words or "").split())


def _reconciled(hours: Iterable[tuple[float, float | None]]) -> float | None:
    """Of several hours: their guests' dynamic energy over what the counters said of it."""
    known = [(dynamic, factor) for dynamic, factor in hours if factor]
    said = fsum(dynamic / factor for dynamic, factor in known)
    return fsum(dynamic for dynamic, _ in known) / said if said else None


def _share(row: Any) -> Share:
    host, guest, start_ms, end_ms, idle, dynamic, gpu, covered_ms, certainty, *rest = row
    busy, busy_peak, processors, memory_used_peak, memory_size, final, factor, doubts = rest
    return Share(
        host,
        OWN if guest == host else guest,
        start_ms,
        end_ms,
        idle,
        dynamic,
        gpu,
        covered_ms,
        Certainty(certainty),
        busy,
        busy_peak,
        processors,
        memory_used_peak,
        memory_size,
        final,
        factor,
        _doubts(doubts),
    )


def _total(row: Any) -> ShareTotal:
    host, guest, hours, idle, dynamic, gpu, covered_ms, rank, *rest = row
    busy, busy_peak, processors, memory_used_peak, memory_size, final = rest
    return ShareTotal(
        host,
        OWN if guest == host else guest,
        hours,
        idle,
        dynamic,
        gpu,
        covered_ms,
        _BY_RANK[rank],
        busy,
        busy_peak,
        processors,
        memory_used_peak,
        memory_size,
        bool(final),
    )


def _chosen(
    connection: Connection, site: str, span: tuple[int, int], *, host: str | None, guest: str | None
) -> Select[Any] | None:
    """The shares asked for; None where a name has none."""
    start_ms, end_ms = span
    ids = subject_ids(connection, site, [name for name in (host, guest) if name])
    if any(name and name not in ids for name in (host, guest)):
        return None
    wanted = (
        select(
            _HOSTS.c.name.label("host_name"),
            _GUESTS.c.name.label("guest_name"),
            _T.start_ms,
            _T.end_ms,
            _T.idle,
            _T.dynamic,
            _T.gpu,
            _T.covered_ms,
            _T.certainty,
            _T.busy,
            _T.busy_peak,
            _T.processors,
            _T.memory_used_peak,
            _T.memory_size,
            _T.final,
            _T.reconciliation,
            _T.doubts,
        )
        .select_from(_NAMED)
        .where(_HOSTS.c.site == site, _T.start_ms >= start_ms, _T.start_ms < end_ms)
    )
    if host is not None:
        wanted = wanted.where(_T.host == ids.get(host))
    if guest == OWN:
        wanted = wanted.where(_T.guest == _T.host)
    elif guest is not None:
        wanted = wanted.where(_T.guest == ids[guest])
    return wanted


def _totals(site: str, start_ms: int, end_ms: int) -> Select[Any]:
    ranks = {certainty.value: certainty.rank for certainty in Certainty}
    t = schema.shares.c
    summed = (
        select(
            _HOSTS.c.name.label("host_name"),
            _GUESTS.c.name.label("guest_name"),
            func.count(),
            func.sum(t.idle),
            func.sum(t.dynamic),
            func.sum(t.gpu),
            func.sum(t.covered_ms),
            func.max(case(ranks, value=t.certainty)).label("rank"),
            _mean(t.busy),
            func.max(t.busy_peak),
            _mean(t.processors),
            func.max(t.memory_used_peak),
            func.max(t.memory_size),
            func.min(case((t.final, 1), else_=0)).label("final"),
        )
        .select_from(_NAMED)
        .where(_HOSTS.c.site == site, t.start_ms >= start_ms, t.start_ms < end_ms)
    )
    return summed.group_by(t.host, t.guest).order_by(
        _HOSTS.c.name, t.guest != t.host, _GUESTS.c.name
    )


def _mean(of: Any) -> Any:
    """By covered time, of those shares in which it is known."""
    weight = func.sum(case((of.is_not(None), _T.covered_ms)))
    return func.sum(of * _T.covered_ms) / func.nullif(weight, 0)


def _removed(connection: Connection, host: int, start_ms: int) -> set[str]:
    """Shares of one host's row go; the guests that had one."""
    of_row = (_T.host == host) & (_T.start_ms == start_ms)
    guests = select(_GUESTS.c.name).join(schema.shares, _GUESTS.c.id == _T.guest)
    found = set(connection.execute(guests.where(of_row, _T.guest != _T.host)).scalars())
    connection.execute(delete(schema.shares).where(of_row))
    return found


def _record(share: Share, host: int, guest: int) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(share),
        "host": host,
        "guest": guest,
        "certainty": share.certainty.value,
        "doubts": " ".join(sorted(share.doubts)) if share.guest == OWN else None,
    }
