"""Whether the clock is believed enough to delete by it.

One start with a clock years ahead would make everything past its time. What tells is readings:
agents stamp them by clocks of their own, and some must be a few days old. Younger ones tell
nothing where an agent shares this machine's clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jauge_models.effectiveness import DAY_MS
from jauge_models.resources import Series

from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores import Store

AHEAD: Final = "clock_ahead"
BEHIND: Final = "clock_behind"
OFF: Final = "clock_off"
"""Why nothing is purged: the labels of the counter."""

YOUNGEST_MS: Final = 2 * DAY_MS
OLDEST_MS: Final = 7 * DAY_MS
"""A reading between these ages proves the clock: it is at most so far ahead."""
_BEHIND_MS: Final = DAY_MS
_SERIES_AT_ONCE: Final = 256


class Doubt(NamedTuple):
    """Why the clock is not believed: one of the labels, and a line for a person."""

    reason: str
    text: str


async def doubt(
    store: Store, ledger: Ledger, sites: Mapping[str, Site], now_ms: int
) -> Doubt | None:
    """Why nothing may be deleted by this clock; None where it may. Raises StoreError, LedgerError.

    Nothing speaks against a clock where neither readings nor rows are older than `OLDEST_MS`.
    """
    # A store that keeps less than four days can only be asked for what it keeps.
    keeps_ms = now_ms - await store.oldest_kept_ms(now_ms)
    until_ms = now_ms - min(YOUNGEST_MS, keeps_ms // 2)
    proven, last_ms = False, None
    for name, site in sites.items():
        for position, some in enumerate(_in_turn(site, await store.series(name))):
            if position == 0:
                later = await store.after(some, now_ms + _BEHIND_MS)
                if later:
                    newest_ms = max(point.time_ms for point in later.values())
                    text = f"the clock says {_utc(now_ms)}, yet readings are of {_utc(newest_ms)}"
                    return Doubt(BEHIND, text)
            if proven:
                break
            for point in (await store.before(some, until_ms)).values():
                last_ms = point.time_ms if last_ms is None else max(last_ms, point.time_ms)
            proven = last_ms is not None and last_ms >= now_ms - OLDEST_MS
    if proven:
        return None
    if last_ms is None and not kept.has_rows_before(ledger, now_ms - OLDEST_MS):
        return None
    seen = "" if last_ms is None else f" (the last before is of {_utc(last_ms)})"
    return Doubt(
        AHEAD,
        f"the clock says {_utc(now_ms)}, yet no reading is from the week before, the last "
        f"{YOUNGEST_MS // DAY_MS} days left out{seen}",
    )


def _in_turn(site: Site, series: Iterable[Series]) -> list[Sequence[Series]]:
    """What feeds meters first, for that is read all the time; some at a time."""
    feeding = {(f.agent, f.resource) for meter in site.topology.meters for f in meter.feeds}
    ordered = sorted(series, key=lambda s: ((s.agent, s.resource) not in feeding, s))
    return [ordered[at : at + _SERIES_AT_ONCE] for at in range(0, len(ordered), _SERIES_AT_ONCE)]


def _utc(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
