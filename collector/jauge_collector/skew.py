"""Which of an agent's time stamps to distrust, from the states that it sends.

A state shows how far the agent's clock is from the collector's, and for longer the way that the
state took. It speaks for the readings around it: back to the state before, on to the next one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from jauge_models.wire import STATE_EVERY_S, Address, State

from jauge_collector.inventory import MAX_AGENTS
from jauge_collector.ledger.clocks import ClockSpan

SHOWN_MS: Final = 2_000
"""A skew beyond it is shown as a warning."""
WRONG_MS: Final = 30_000
"""A clock that is further off stamps nothing that may be compared with other meters."""
LARGEST_MS: Final = 366 * 86_400_000
"""Spans further from our clock than this are not kept: no reading that is stored lies there."""

_EVERY_MS: Final = round(STATE_EVERY_S * 1000)
_SLEWED_MS: Final = 5_000
"""More than slewing changes a clock by between two states: it was set, or the state was late."""
SLEW: Final = 0.000_5
"""What a kernel slews by at most, of the time that passes."""
_FIRST_REACH_MS: Final = 60 * 60_000
"""How far back the first state after a start speaks at most."""
_NOTED_EVERY_MS: Final = _EVERY_MS * 9 // 10
"""A state that comes sooner after one that wrote spans tells nothing: the next one speaks for it.
Agents send at intervals of `STATE_EVERY_S`, and whoever sends more often writes no more."""


class _Heard(NamedTuple):
    sent_ms: int
    received_ms: int
    boot: str
    steps: int | None

    @property
    def skew_ms(self) -> int:
        return self.received_ms - self.sent_ms

    @property
    def is_wrong(self) -> bool:
        return abs(self.skew_ms) > WRONG_MS


class Skews:
    """The last live state of each agent, bounded in number. Decides without I/O."""

    def __init__(self, limit: int = MAX_AGENTS) -> None:
        self._limit = limit
        self._last: OrderedDict[Address, _Heard] = OrderedDict()
        self._settled_ms: dict[Address, int] = {}
        self._wrote_ms: OrderedDict[Address, int] = OrderedDict()

    def settled(self, oldest_ms: Mapping[Address, int]) -> None:
        """What was settled of each agent before this process began: no further back to look."""
        self._settled_ms.update(oldest_ms)

    def note(self, address: Address, state: State, received_ms: int) -> list[ClockSpan]:
        """The spans of the agent's time stamps that a live state makes doubtful."""
        heard = _Heard(round(state.sent_at * 1000), received_ms, state.boot, state.clock_steps)
        last = self._last.get(address)
        if last is not None and _tells_nothing(last, heard):
            return []
        wrote_ms = self._wrote_ms.get(address)
        if wrote_ms is not None and abs(received_ms - wrote_ms) < _NOTED_EVERY_MS:
            return []
        self._last[address] = heard
        self._last.move_to_end(address)
        if len(self._last) > self._limit:
            self._last.popitem(last=False)
        spans: list[ClockSpan] = []
        if last is not None and last.is_wrong:
            silent_ms = max(0, received_ms - last.received_ms)
            end_ms = last.sent_ms + silent_ms
            if heard.sent_ms >= last.sent_ms:
                end_ms = min(end_ms, heard.sent_ms)
            if end_ms > last.sent_ms + _EVERY_MS:
                spans.append(ClockSpan(last.sent_ms, end_ms, last.skew_ms))
        if heard.is_wrong:
            begin_ms = max(0, self._begin_ms(address, last, heard))
            spans.append(ClockSpan(begin_ms, heard.sent_ms + _EVERY_MS, heard.skew_ms))
        spans = list(_within(spans, received_ms - LARGEST_MS, received_ms + LARGEST_MS))
        if spans:
            self._wrote_ms[address] = received_ms
            self._wrote_ms.move_to_end(address)
            if len(self._wrote_ms) > self._limit:
                self._wrote_ms.popitem(last=False)
        return spans

    def _begin_ms(self, address: Address, last: _Heard | None, heard: _Heard) -> int:
        """From where a wrong clock may have stamped what came before this state."""
        if last is None:
            begin_ms = heard.sent_ms - _FIRST_REACH_MS
            known_ms = self._settled_ms.get(address)
            known_ms = None if known_ms is None else known_ms - _EVERY_MS
        else:
            begin_ms = heard.sent_ms - max(0, heard.received_ms - last.received_ms)
            known_ms = last.sent_ms
        if known_ms is None or known_ms > heard.sent_ms:
            return begin_ms
        return max(begin_ms, known_ms)


def _within(spans: Iterable[ClockSpan], from_ms: int, to_ms: int) -> Iterator[ClockSpan]:
    for span in spans:
        begin_ms, end_ms = max(span.from_ms, from_ms), min(span.to_ms, to_ms)
        if begin_ms < end_ms:
            yield span._replace(from_ms=begin_ms, to_ms=end_ms)


def _tells_nothing(last: _Heard, heard: _Heard) -> bool:
    """Whether a state is the last one again, was held up on its way, or it is our clock that moved.

    A clock that was not set between two states cannot have lost or gained seconds between them.
    """
    if heard.boot != last.boot:
        return False
    if heard.sent_ms == last.sent_ms:
        return True
    if heard.steps is None or heard.steps != last.steps:
        return False
    moved_ms = abs(heard.skew_ms - last.skew_ms)
    return heard.sent_ms < last.sent_ms or moved_ms > _SLEWED_MS + SLEW * (
        heard.sent_ms - last.sent_ms
    )
