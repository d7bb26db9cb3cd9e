"""InfluxDB 2 as a second, write-only sink: it never holds up the main store, nor fails it."""

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from jauge_models.readings import Reading

from jauge_collector.config import InfluxConfig
from jauge_collector.stores import LeftOut, StoreError
from jauge_collector.stores.lines import LineWriter

_log = logging.getLogger(__name__)

_MOST_WAITING: Final = 200_000
_PER_WRITE: Final = 8192
_BACK_OFF_S: Final = (1.0, 60.0)


class InfluxSink:
    """Copies readings to InfluxDB 2 as far as it can keep up; what it cannot is counted.

    ``dropped`` counts readings lost because the sink was full (``full``) and those that
    InfluxDB refuses (see LeftOut); ``written`` those that it took.
    """

    def __init__(
        self,
        config: InfluxConfig,
        *,
        token: str = "",
        most_waiting: int = _MOST_WAITING,
        back_off_s: tuple[float, float] = _BACK_OFF_S,
    ) -> None:
        self._url = config.url
        self._lines = LineWriter(config.url, org=config.org, bucket=config.bucket, token=token)
        self._waiting: deque[Reading] = deque()
        self.limit = most_waiting
        """Readings that may wait."""
        self._back_off_s = back_off_s
        self._offered = asyncio.Event()
        self._full = 0
        self.written = 0
        self.failing = False

    @property
    def waiting(self) -> int:
        """Readings not yet taken by InfluxDB."""
        return len(self._waiting)

    @property
    def dropped(self) -> dict[str, int]:
        """Readings given up since the start, by reason."""
        left_out: Counter[LeftOut] = self._lines.left_out
        counts = {"full": self._full, **{str(reason): left_out[reason] for reason in LeftOut}}
        return {reason: count for reason, count in counts.items() if count}

    def offer(self, readings: Sequence[Reading]) -> None:
        """Queue readings that the main store has accepted; never waits and never fails."""
        room = max(0, self.limit - len(self._waiting))
        self._waiting.extend(readings[:room])
        self._full += max(0, len(readings) - room)
        self._offered.set()

    async def run(self) -> None:
        """Write what is offered, until cancelled."""
        delay_s, longest_s = self._back_off_s
        async with self._lines:
            while True:
                if not self._waiting:
                    self._offered.clear()
                    await self._offered.wait()
                batch = [self._waiting[i] for i in range(min(_PER_WRITE, len(self._waiting)))]
                if await self._written(batch):
                    delay_s = self._back_off_s[0]
                else:
                    await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                    delay_s = min(2 * delay_s, longest_s)

    async def _written(self, batch: list[Reading]) -> bool:
        left_out = self._lines.left_out.total()
        try:
            await self._lines.write(batch)
        except StoreError as error:
            if not self.failing:
                self.failing = True
                _log.warning("the InfluxDB sink is lost: %s", error)
            return False
        if self.failing:
            self.failing = False
            _log.warning("the InfluxDB sink at %s is back", self._url)
        self.written += len(batch) - (self._lines.left_out.total() - left_out)
        for _ in batch:
            self._waiting.popleft()
        return True
