"""How old a write may be that a kill of the store still takes: what ``settle`` must exceed.

VictoriaMetrics is written to every quarter of a second, killed with SIGKILL and started again; the
age of the oldest write that is gone is set against what the collector demands.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from jauge_collector.stores.victoriametrics import least_settle_s

from benchmarks.rows import Better, Row, Table, say
from tests.parts import VictoriaMetrics

_SERIES: Final = 20
_EVERY_S: Final = 0.25
_INTERVALS_S: Final = (1.0, 5.0)


async def measure(*, seconds: float, full: bool) -> Table:
    """Kills of the store for each flush interval: three, or six when ``full``."""
    kills = 6 if full else 3
    rows: list[Row] = []
    for flush_s in _INTERVALS_S:
        ages: list[float] = []
        for number in range(kills):
            # Kills fall at different moments between two flushes.
            length = min(seconds, 12 + 4 * flush_s) + 0.37 * number * flush_s
            ages.append(await _oldest_lost_s(flush_s, length))
            say(f"flush {flush_s:g} s, kill {number + 1} of {kills}: {ages[-1]:.1f} s")
        rows.append(
            Row(
                f"oldest write lost, flush interval {flush_s:g} s, {kills} kills",
                max(ages),
                "s",
                "settle demanded",
                least_settle_s(flush_s),
                Better.LOWER,
                is_limit=True,
            )
        )
    return Table("durability", "Kills of the store: how long until a write is durable", rows)


async def _oldest_lost_s(flush_s: float, length_s: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        flags = {"inmemoryDataFlushInterval": f"{flush_s:g}s"}
        store = VictoriaMetrics(Path(folder), flags=flags)
        await store.start()
        try:
            written = await _write_for(store, length_s)
            await store.kill()
            killed = time.time()
            await store.start()
            await store.force_flush()
            kept = await _kept(store, round(written[0] * 1000), round(killed * 1000))
        finally:
            await store.stop()
    return max((killed - at for at in written if kept.get(round(at * 1000)) != _SERIES), default=0)


async def _write_for(store: VictoriaMetrics, length_s: float) -> list[float]:
    written: list[float] = []
    until = time.time() + length_s
    while (now := time.time()) < until:
        lines = [f"durability,n={n} value={now:.3f} {round(now * 1000)}" for n in range(_SERIES)]
        status, body = await store.request("POST", "/write?precision=ms", "\n".join(lines).encode())
        if status >= 400:
            raise RuntimeError(f"the store does not take a line: {body.decode()[:200]}")
        written.append(now)
        await asyncio.sleep(_EVERY_S)
    return written


async def _kept(store: VictoriaMetrics, start_ms: int, end_ms: int) -> dict[int, int]:
    """How many series have a value at each time; asked twice, since new series show late."""
    counts: dict[int, int] = {}
    for _ in range(2):
        await asyncio.sleep(1)
        counts = {}
        for points in (await store.export("durability_value", start_ms, end_ms)).values():
            for time_ms, _value in points:
                counts[time_ms] = counts.get(time_ms, 0) + 1
    return counts
