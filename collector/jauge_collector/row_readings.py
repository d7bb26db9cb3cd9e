"""Raw readings behind rows of the ledger: out of the store, or of the archive where it forgot."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Point
from jauge_models.resources import Series
from jauge_models.topology import Meter

from jauge_collector import civil
from jauge_collector.ledger.rows import Row
from jauge_collector.sites import Site
from jauge_collector.stores import Store


class Behind(NamedTuple):
    """Readings of one feed, in the unit of its quantity, with the rows' bounds.

    ``place`` says where they were found: ``store`` or ``archive``; empty where nowhere, and
    ``lost`` then says why.
    """

    series: Series
    start_ms: int
    end_ms: int
    points: Sequence[Point]
    place: str
    lost: str = ""


def feeds_of(rows: Iterable[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows by their feed: agent, resource and quantity. What people entered has none."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        agent, _, rest = row.feed.partition("/")
        resource, _, quantity = rest.rpartition("/")
        if agent and resource and quantity:
            found.setdefault((agent, resource, quantity), []).append(row)
    return found


async def readings_behind(
    store: Store, site: Site, meter: Meter, rows: Sequence[Row], *, archive: Path, now_ms: int
) -> list[Behind]:
    """What each feed of some rows was read, from their first bound to their last.

    A bound is that of the register reading where the row has one; else the nearest reading
    beyond it belongs to the rows too, as far as the meter's gap. ``archive`` is the folder of
    archived readings. Raises StoreError.
    """
    kept_ms = await store.oldest_kept_ms(now_ms)
    found: list[Behind] = []
    for names, some in feeds_of(rows).items():
        series = Series(site.name, *names)
        low, high = _bounds(meter, some)
        points = (await store.read([series], low, high + 1)).get(series, ())
        if points and kept_ms <= low:
            found.append(Behind(series, low, high, points, "store"))
        else:
            asked = series, low, high
            found.append(await asyncio.to_thread(_archived, archive, site, meter, asked, points))
    return found


def _bounds(meter: Meter, rows: Sequence[Row]) -> tuple[int, int]:
    first, last = rows[0].interval, rows[-1].interval
    reach = max(meter.max_gap_ms, meter.period_ms)
    low = first.opening.time_ms if first.opening else first.start_ms - reach
    high = last.closing.time_ms if last.closing else last.end_ms + reach
    return min(low, first.start_ms), max(high, last.end_ms)


def _archived(
    archive: Path,
    site: Site,
    meter: Meter,
    asked: tuple[Series, int, int],
    left: Sequence[Point],
) -> Behind:
    """Out of the archive, with what the store has left; the reason where neither has any."""
    from jauge_collector.compliance.archive import readings  # noqa: PLC0415 - seldom needed

    series, low, high = asked
    points: dict[int, float] = {}
    lost = ""
    for quarter in dict.fromkeys(_quarter(site, at) for at in (low, high)):
        try:
            kept = readings(archive, site.name, quarter, meter.id, low, high)
        except ConfigurationError as error:
            lost = lost or str(error)
            continue
        points.update(
            (p.time_ms, p.value) for p in kept.get(series, ()) if low <= p.time_ms <= high
        )
    if not points:
        return Behind(series, low, high, left, "store" if left else "", "" if left else lost)
    points.update((point.time_ms, point.value) for point in left)
    return Behind(series, low, high, [Point(at, points[at]) for at in sorted(points)], "archive")


def _quarter(site: Site, time_ms: int) -> str:
    day = civil.day(time_ms, site.zone)
    return f"{day.year}-Q{(day.month - 1) // 3 + 1}"
