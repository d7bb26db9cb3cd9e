"""The mqtt source: one connection of its own, which only listens."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from typing import Final

from jauge_agent.cancellation import raise_if_cancelled
from jauge_agent.clock import now_ms
from jauge_agent.logs import Trouble
from jauge_agent.source import AbsentError, Outcome, ResourceDescription, RetryError
from jauge_agent.sources.mqtt.config import MqttSettings
from jauge_agent.sources.mqtt.values import LastValues, filters

LONGEST_RECONNECT_S: Final = 60.0

_STEADY_S: Final = 30.0
_SHARE: Final = 0.7
"""Part of the deadline that opening, and the first reading, wait for the broker."""

_log = logging.getLogger(__name__)


class MqttSource:
    """Meets `Source`; the last value of each point, taken in the background."""

    Settings = MqttSettings

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._values = LastValues(settings.points)
        self._listening: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()
        self._tried = asyncio.Event()
        self._heard = asyncio.Event()
        self._is_first = True
        self._why = "not connected yet"
        broker = settings.broker
        self._trouble = Trouble(_log, "mqtt source's broker", host=broker.host, port=broker.port)

    async def open(self) -> Sequence[ResourceDescription]:
        """Connect and subscribe. Raises AbsentError without a point, RetryError until it works."""
        if not self._settings.points:
            raise AbsentError("no point is listed under sources.mqtt.points")
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="mqtt source")
        self._tried.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHARE * self._settings.deadline_s):
                if not self._subscribed.is_set():
                    await self._tried.wait()
        if not self._subscribed.is_set():
            raise RetryError(self._why)
        return self._values.resources()

    async def read(self) -> Outcome:
        """The values that are ones now; those of a lost broker until they are too old."""
        if self._is_first:
            self._is_first = False
            await self._first_values()
        samples, failed = self._values.read(now_ms() / 1000)
        if not self._subscribed.is_set():
            failed["broker"] += 1
        changed = self._values.changed
        return Outcome(samples, failed, self._values.resources() if changed else None)

    async def close(self) -> None:
        """End the connection."""
        task, self._listening = self._listening, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,), timeout=3)

    async def _first_values(self) -> None:
        """Wait a while for each point to be heard, so that a single reading shows something."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHARE * self._settings.deadline_s):
                while not self._values.is_complete():
                    self._heard.clear()
                    await self._heard.wait()

    async def _listen(self) -> None:
        """Connect, and connect again, until cancelled."""
        from jauge_agent.sources.mqtt.listener import listen  # noqa: PLC0415 - loads MQTT

        topics = list(filters(self._settings.points))
        attempt = 0
        chance = random.Random()  # noqa: S311 - jitter, nothing secret
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            self._why = await listen(self._settings.broker, topics, self._take, self._ready)
            self._subscribed.clear()
            self._tried.set()
            raise_if_cancelled()
            self._trouble.lost(self._why)
            attempt = 0 if loop.time() - begun > _STEADY_S else attempt + 1
            await asyncio.sleep(min(2.0**attempt, LONGEST_RECONNECT_S) * chance.uniform(0.5, 1.0))

    def _ready(self) -> None:
        self._subscribed.set()
        self._tried.set()
        self._trouble.recovered()

    def _take(self, topic: str, payload: bytes, kept: bool) -> None:
        self._values.take(topic, payload, kept=kept, now_s=now_ms() / 1000)
        self._heard.set()
