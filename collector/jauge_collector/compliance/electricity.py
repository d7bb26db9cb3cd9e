"""How well a machine's own electricity is known, hour by hour, by what feeds it; and how much.

A machine may be read by several: its BMC, its agent, a metered outlet. In each hour the one that
measured most of it counts, so that nothing is added twice.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
from jauge_models.compliance.evidence import Electricity
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Basis, Flag, Grade, Interval
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector.compliance.quarters import span_ms
from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


class _Hour(msgspec.Struct, gc=False):
    """What one feed knows of one hour: ms measured, signed for and estimated; J but estimated."""

    measured: float = 0.0
    attested: float = 0.0
    estimated: float = 0.0
    joules: float = 0.0

    def rank(self) -> tuple[float, float, float]:
        """The better known hour has the larger one."""
        return self.measured, self.measured + self.attested, self.estimated


class Known(NamedTuple):
    """A machine's electricity, None where no row tells of it, and kWh that are known of it.

    Energy is what was measured or signed for, never scaled up; None where nothing was.
    """

    electricity: Electricity | None
    energy_kwh: float | None


NOTHING: Final = Known(None, None)


class MachineEnergy:
    """Electricity of machines of one site by their feeds (``agent/resource``)."""

    def __init__(self, ledger: Ledger, site: Site) -> None:
        self._ledger = ledger
        self._site = site
        self._since = counting_since(ledger, site)
        self._meters = {
            f"{feed.agent}/{feed.resource}": meter.id
            for meter in site.topology.meters
            for feed in meter.feeds
        }
        self._hosts = {
            f"{feed.agent}/{feed.resource}": host.id
            for host in site.hosts
            for feed in host.meter.feeds
        }

    def subjects(self, feeds: Iterable[str]) -> list[str]:
        """Whose rows tell of a machine: declared hosts and meters first, then feeds themselves."""
        feeds = list(feeds)
        named = [self._hosts.get(feed) or self._meters.get(feed) for feed in feeds]
        return list(dict.fromkeys([*filter(None, named), *feeds]))

    def known(self, feeds: Iterable[str], window: Window, quarter: Window) -> Known:
        """Shares of a window and energy of a quarter that ends with it. Raises LedgerError.

        Of the time before the window nothing counts.
        """
        span = span_ms(window, self._site.zone)
        hours = self._hours(self.subjects(feeds), *span)
        if not hours:
            return NOTHING
        length = span[1] - span[0]
        signed = {at: hour for at, (_, hour) in hours.items() if hour.measured or hour.attested}
        first_ms = max(min(signed) * _HOUR_MS, span[0]) if signed else None
        taken = sum(hour.measured + hour.attested for hour in signed.values())
        electricity = Electricity(
            measured=_share(sum(hour.measured for hour in signed.values()), length),
            attested=_share(sum(hour.attested for hour in signed.values()), length),
            estimated=_share(sum(hour.estimated for _, hour in hours.values()), length),
            meters=tuple(dict.fromkeys(subject for subject, _ in hours.values())),
            first_day=None
            if first_ms is None
            else window.first + timedelta(days=(first_ms - span[0]) // _DAY_MS),
            since_first=0.0 if first_ms is None else _share(taken, span[1] - first_ms),
        )
        since = span_ms(quarter, self._site.zone)[0] // _HOUR_MS
        joules = [hour.joules for at, hour in signed.items() if at >= since]
        return Known(electricity, sum(joules) / JOULES_PER_KWH if joules else None)

    def last_measured_ms(self, feeds: Iterable[str], start_ms: int, end_ms: int) -> int | None:
        """When in [start, end) something of a machine was measured last; None where nothing was."""
        hours = self._hours(self.subjects(feeds), start_ms, end_ms)
        known = [at for at, (_, hour) in hours.items() if hour.measured]
        return min(max(known) * _HOUR_MS + _HOUR_MS, end_ms) - 1 if known else None

    def _hours(
        self, subjects: Sequence[str], start_ms: int, end_ms: int
    ) -> dict[int, tuple[str, _Hour]]:
        """By hour since the epoch: the subject that knows most of it, and what it knows."""
        meters = set(self._meters.values())
        best: dict[int, tuple[str, _Hour]] = {}
        for subject in subjects:
            # A host or a feed counts as it is; a meter only once it was commissioned.
            counts_from = self._since if subject in meters else None
            rows = self._ledger.rows(
                self._site.name, [subject], start_ms, end_ms, counts_from=counts_from, proofs=False
            )[subject]
            hours: dict[int, _Hour] = {}
            for row in rows:
                _spread(row, hours, start_ms, end_ms)
            for at, hour in hours.items():
                if at not in best or hour.rank() > best[at][1].rank():
                    best[at] = subject, hour
        return best


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole)


def _spread(row: Interval, hours: dict[int, _Hour], start_ms: int, end_ms: int) -> None:
    """Add what a row knows to the hours that it touches within [start, end), linearly."""
    if row.amount is None or not row.covered_ms:
        return
    begin, end = max(row.start_ms, start_ms), min(row.end_ms, end_ms)
    length = row.end_ms - row.start_ms
    estimated = row.basis is Basis.ESTIMATE or (
        row.grade is Grade.LOW and Flag.CLOCK not in row.flags
    )
    while begin < end:
        at = begin // _HOUR_MS
        until = min(end, (at + 1) * _HOUR_MS)
        part = (until - begin) / length
        hour = hours.get(at)
        if hour is None:
            hour = hours[at] = _Hour()
        if estimated:
            hour.estimated += row.covered_ms * part
        else:
            hour.joules += row.amount * part
            if row.basis is Basis.ATTESTED:
                hour.attested += row.covered_ms * part
            else:
                hour.measured += row.covered_ms * part
        begin = until
