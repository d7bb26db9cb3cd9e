"""Many devices behind one source: each with its own deadline, back-off and busy flag.

A device is itself a `Source`; a `Poller` makes one source of many, so that ticks, self-metrics
and the spool see one. A tick waits for the devices that answered in time when they were last
asked; one that failed is asked as well, and one that was late until it has been prompt some times
in a row, but neither is waited for beyond the others. What answers after its tick was closed is
given with the next one: its stamp is then late by less than a period. What a device dated itself is
given whenever it comes.
"""

import asyncio
import logging
import random
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import ResourceDescription, Sample

from jauge_agent.logs import Trouble, say
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    RetryError,
    Source,
    SourceError,
    SourceSettings,
)

LONGEST_BACKOFF_S: Final = 300.0
UNSUITABLE_S: Final = 3600.0
"""Pause after a device said that it can never be read: it may have been replaced."""
REOPEN_AFTER: Final = 3
"""Failures in a row after which a device is opened anew: another may stand at its address."""

PROMPT_AGAIN: Final = 6
"""Prompt answers in a row after which a device that was late, or hung, is waited for again."""

_SHARE: Final = 0.9
"""Part of the source's own deadline, and of its period, within which a tick must be closed."""
_QUICK: Final = 0.1
"""Part of a tick's patience that a failure may take without harm to the ticks."""
_SPREAD_S: Final = 0.002
"""Seconds between the requests of two devices, so that hundreds do not start at one instant."""
_OPENING_SPREAD_S: Final = 0.02
"""The same when devices are opened, which takes them many requests."""
_CLOSE_S: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """One device to poll. ``name`` is what logs call it; two devices never share one."""

    name: str
    source: Source
    period_s: float | None = None
    """Seconds between two reads; the source's period when left out, or when shorter than it."""
    deadline_s: float | None = None
    """Seconds after which an answer is given up; as long as a tick can wait when left out."""
    floor_s: float = 0.0
    """Shortest period that its maker allows; what the source says in ``floor_s`` once it is open
    counts as well."""


@dataclass(slots=True, eq=False)
class _Polled:
    """A device with where it stands."""

    device: Device
    period_s: float
    deadline_s: float
    offset_s: float
    """Where in a tick it is asked."""
    opening_offset_s: float
    trouble: Trouble
    place: int
    """Where it stands in the configuration: of two that give one resource, the first counts."""
    resources: Sequence[ResourceDescription] = ()
    is_open: bool = False
    prompt_in_row: int = PROMPT_AGAIN
    """Answers in a row that came soon enough for their tick; trusted before the first."""
    failures_in_row: int = 0
    last_reason: str = ""
    asked_at: float = float("-inf")
    not_before: float = float("-inf")
    task: asyncio.Task[None] | None = None
    answer: Outcome | None = None
    answered_at: float = float("-inf")
    dated: dict[int, list[Sample]] = field(default_factory=dict)
    """What it dated itself since the last tick, also in answers that a later one has replaced."""
    taken: set[str] = field(default_factory=set)
    """Its resources that a device before it in the configuration gives as well."""
    failed: Counter[str] = field(default_factory=Counter)
    """Failures since the last tick."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is in flight."""
        return self.task is not None and not self.task.done()

    @property
    def is_prompt(self) -> bool:
        """Whether a tick may wait for it: it was in time again and again, or never late."""
        return self.prompt_in_row >= PROMPT_AGAIN

    @property
    def is_lost(self) -> bool:
        """Whether the last request failed."""
        return self.failures_in_row > 0


class Poller:
    """Meets `Source` for many devices. Devices are opened in the background of the first ticks.

    ``open`` raises AbsentError when no device is listed, RetryError when none could be opened
    within the deadline of the source. ``read`` raises RetryError when every device has failed:
    then the back-off of the source stands for that of its devices. Reasons of failure are
    ``deadline``, ``retry``, ``unsuitable``, ``bug``, ``lost`` (not asked, it backs off), ``busy``
    (still at the last request), ``late``, ``duplicate`` and what the devices themselves count.
    """

    def __init__(
        self,
        source: str,
        devices: Iterable[Device],
        settings: SourceSettings,
        *,
        chance: random.Random | None = None,
    ) -> None:
        """``source`` is the name in the configuration; settings give period and deadline."""
        self._chance = chance or random.Random()  # noqa: S311 - jitter, nothing secret
        self._source = source
        self._period_s = settings.period_s
        self._patience_s = _SHARE * min(settings.deadline_s, settings.period_s)
        self._quick_s = _QUICK * self._patience_s
        listed = list(devices)
        spread = min(len(listed) * _SPREAD_S, 0.1 * self._patience_s)
        opening = min(len(listed) * _OPENING_SPREAD_S, 0.5 * self._patience_s)
        self._polled = [
            _Polled(
                device,
                max(device.period_s or 0.0, device.floor_s, settings.period_s),
                device.deadline_s or self._patience_s - spread,
                self._chance.uniform(0, spread),
                self._chance.uniform(0, opening),
                Trouble(_log, "device", source=source, device=device.name),
                place,
            )
            for place, device in enumerate(listed)
        ]
        self._givers: dict[str, list[int]] = {}
        """Places of the devices that give a resource, by its name; the first one's is published."""
        self._changed = False

    async def open(self) -> Sequence[ResourceDescription]:
        """Open the devices side by side; what is not there yet is tried again by `read`."""
        if not self._polled:
            raise AbsentError(f"no device is listed under sources.{self._source}.devices")
        asked = [one for one in self._polled if not one.is_open and not one.is_busy]
        for one in asked:
            one.task = self._begin(one, reading=False)
        await self._wait(asked)
        self._refuse_if_all_lost()
        if not any(one.is_open for one in self._polled):
            raise RetryError(f"none of {len(self._polled)} devices has answered yet")
        self._changed = False
        return self._resources()

    async def read(self) -> Outcome:
        """What the devices gave for this tick; their failures are counted and said once."""
        now = asyncio.get_running_loop().time()
        due, failed = self._due(now)
        for one in due:
            one.asked_at = now
            one.task = self._begin(one, reading=True)
        await self._wait(due)
        self._refuse_if_all_lost()
        samples = self._collected(failed)
        dated = self._collected_dated(failed)
        if not self._changed:
            return Outcome(samples, failed, dated=dated)
        self._changed = False
        return Outcome(samples, failed, self._resources(), dated)

    async def close(self) -> None:
        """Stop what is in flight and close every device; bounded in time."""
        tasks = [one.task for one in self._polled if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S / 3)
        closing = [
            asyncio.create_task(_closed(one.device.source), name=f"close {one.device.name}")
            for one in self._polled
        ]
        if closing:
            _, left = await asyncio.wait(closing, timeout=_CLOSE_S)
            for task in left:
                task.cancel()
        for one in self._polled:
            one.is_open = False

    def _due(self, now: float) -> tuple[list[_Polled], Counter[str]]:
        """Who is to be asked at this tick, and why the others who should be are not."""
        failed: Counter[str] = Counter()
        due: list[_Polled] = []
        all_lost = all(one.is_lost for one in self._polled)
        for one in self._polled:
            failed.update(one.failed)
            one.failed.clear()
            if now + self._period_s / 2 < one.asked_at + one.period_s:
                continue
            if one.is_busy:
                failed["busy"] += 1
            elif now < one.not_before and not all_lost:
                failed["lost"] += 1
            else:
                due.append(one)
        return due, failed

    def _begin(self, one: _Polled, *, reading: bool) -> asyncio.Task[None]:
        attempt = self._attempt(one, reading=reading)
        return asyncio.create_task(attempt, name=f"device {one.device.name}")

    async def _wait(self, asked: Sequence[_Polled]) -> None:
        """Until the prompt ones have answered; for the others only if there are none of those."""
        awaited = [one for one in asked if one.is_prompt and not one.is_lost] or asked
        tasks = [one.task for one in awaited if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self._patience_s)
        for one in awaited:
            if one.is_busy and one.is_open:
                one.prompt_in_row = 0

    async def _attempt(self, one: _Polled, *, reading: bool) -> None:
        """One request of a device within its deadline; whatever happens is noted, not raised."""
        begun, was_open = asyncio.get_running_loop().time(), one.is_open
        await asyncio.sleep(one.offset_s if reading else one.opening_offset_s)
        work = self._called(one, reading=reading)
        call = asyncio.create_task(work, name=f"call of {one.device.name}")
        try:
            await asyncio.wait((call,), timeout=one.deadline_s)
            if not call.done():
                self._failed(one, "deadline", f"no answer within {one.deadline_s:.3g} s")
            elif call.cancelled():
                self._failed(one, "bug", "the device cancelled its own call")
            elif (error := call.exception()) is not None:
                self._failed(one, *_explained(error))
            else:
                self._answered(one, call.result())
            if was_open:  # opening takes a device longer than it ever takes again
                self._judge(one, asyncio.get_running_loop().time() - begun)
        finally:
            # The device stays busy until its call has ended, however it takes a cancellation.
            call.add_done_callback(_retrieve)
            call.cancel()
            await asyncio.wait((call,))

    def _judge(self, one: _Polled, took_s: float) -> None:
        """Note how much of a tick a call of a device has cost, or would have."""
        if took_s > (self._quick_s if one.is_lost else self._patience_s):
            one.prompt_in_row = 0
        elif not one.is_lost:
            one.prompt_in_row = min(one.prompt_in_row + 1, PROMPT_AGAIN)

    async def _called(self, one: _Polled, *, reading: bool) -> Outcome | None:
        source = one.device.source
        if one.is_open and one.failures_in_row >= REOPEN_AFTER:
            one.is_open = False
            await source.close()
        if not one.is_open:
            self._describe(one, await source.open())
            one.is_open = True
            one.period_s = max(one.period_s, getattr(source, "floor_s", 0.0))
        return await source.read() if reading else None

    def _describe(self, one: _Polled, resources: Sequence[ResourceDescription]) -> None:
        """Take what a device gives; of two that give the same, the first one listed counts.

        That one stays it while it is lost, so that a series does not go from one device to the
        other and back; who answers first makes no difference once both have been opened.
        """
        before = {resource.id for resource in one.resources}
        now = {resource.id for resource in resources}
        self._changed |= list(one.resources) != list(resources)
        one.resources = resources
        for name in before - now:
            self._givers[name].remove(one.place)
            one.taken.discard(name)
        for name in now - before:
            insort(self._givers.setdefault(name, []), one.place)
        repeating: dict[int, str] = {}
        for name in sorted(before ^ now):
            if not self._givers[name]:
                del self._givers[name]
                continue
            first, *others = self._givers[name]
            self._polled[first].taken.discard(name)
            for place in others:
                if name not in self._polled[place].taken:
                    self._polled[place].taken.add(name)
                    repeating.setdefault(place, name)
            self._changed |= bool(others) or name in before
        for place, name in repeating.items():
            say(
                _log,
                logging.WARNING,
                "device repeats another",
                source=self._source,
                device=self._polled[place].device.name,
                other=self._polled[self._givers[name][0]].device.name,
                resource=name,
            )

    def _answered(self, one: _Polled, outcome: Outcome | None) -> None:
        if outcome is not None and outcome.resources is not None:
            self._describe(one, outcome.resources)
        one.failures_in_row = 0
        one.not_before = float("-inf")
        one.answer = outcome
        for time_ms, samples in outcome.dated.items() if outcome is not None else ():
            one.dated.setdefault(time_ms, []).extend(samples)
        one.answered_at = asyncio.get_running_loop().time()
        one.trouble.recovered()

    def _failed(self, one: _Polled, reason: str, detail: str) -> None:
        one.failures_in_row += 1
        one.failed[reason] += 1
        one.last_reason = detail
        longest = max(LONGEST_BACKOFF_S, one.period_s)
        pause = min(longest, one.period_s * 2.0 ** min(one.failures_in_row - 1, 30))
        if reason == "unsuitable":
            pause = max(longest, UNSUITABLE_S)
        one.not_before = asyncio.get_running_loop().time() + pause * self._chance.uniform(0.5, 1)
        one.trouble.lost(detail, reason=reason)

    def _collected(self, failed: Counter[str]) -> list[Sample]:
        """The answers since the last tick, each once, and the failures since it into ``failed``."""
        oldest = asyncio.get_running_loop().time() - 1.5 * self._period_s
        samples: list[Sample] = []
        for one in self._polled:
            failed.update(one.failed)
            one.failed.clear()
            outcome, one.answer = one.answer, None
            if outcome is None:
                continue
            failed.update(outcome.failed)
            if one.answered_at < oldest:
                failed["late"] += len(outcome.samples)
                continue
            samples += _of_its_own(one, outcome.samples, failed)
        return samples

    def _collected_dated(self, failed: Counter[str]) -> Mapping[int, Sequence[Sample]]:
        """What the devices dated themselves: true however late it comes."""
        together: dict[int, list[Sample]] = {}
        for one in self._polled:
            dated, one.dated = one.dated, {}
            for time_ms, samples in dated.items():
                if own := _of_its_own(one, samples, failed):
                    together.setdefault(time_ms, []).extend(own)
        return together

    def _refuse_if_all_lost(self) -> None:
        """Raises RetryError when no device stands well and none has left an answer."""
        if any(not one.is_lost or one.answer is not None for one in self._polled):
            return
        first = self._polled[0]
        if len(self._polled) == 1:
            raise RetryError(f"{first.device.name}: {first.last_reason}")
        raise RetryError(
            f"none of {len(self._polled)} devices answers; {first.device.name}: {first.last_reason}"
        )

    def _resources(self) -> list[ResourceDescription]:
        found: dict[str, ResourceDescription] = {}
        for one in self._polled:
            for resource in one.resources:
                if resource.id not in one.taken:
                    found.setdefault(resource.id, resource)
        return list(found.values())


def _of_its_own(one: _Polled, samples: Sequence[Sample], failed: Counter[str]) -> Sequence[Sample]:
    """Without those of resources that another device gives, which are counted."""
    if not one.taken:
        return samples
    kept = [sample for sample in samples if sample.resource not in one.taken]
    failed["duplicate"] += len(samples) - len(kept)
    return kept


async def _closed(source: Source) -> None:
    try:
        await source.close()
    except Exception:  # noqa: BLE001 - one device's bug must not keep the others open
        _log.debug("a device could not be closed", exc_info=True)


def _explained(error: BaseException) -> tuple[str, str]:
    if isinstance(error, FatalError | AbsentError):
        return "unsuitable", str(error)
    if isinstance(error, SourceError):
        return "retry", str(error)
    if isinstance(error, TimeoutError):
        return "deadline", str(error) or "no answer"
    if isinstance(error, OSError):
        return "retry", str(error)
    return "bug", f"{type(error).__name__}: {error}"


def _retrieve(call: asyncio.Task[Outcome | None]) -> None:
    """Take note of how a call ended that nobody waits for, or asyncio reports it as lost."""
    if not call.cancelled():
        call.exception()
