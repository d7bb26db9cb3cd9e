"""The clock of this machine: whether it was set, and whether the agents' say that it is off.

Everything that is compared with the wall clock stands or falls with it. What only measures how
long something took goes by the monotonic clock, which nobody sets.
"""

import ctypes
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from statistics import median_low
from typing import Final, NamedTuple

from jauge_models.wire import STATE_EVERY_S, Address, State

from jauge_collector.inventory import MAX_AGENTS
from jauge_collector.skew import SLEW, WRONG_MS

_log = logging.getLogger(__name__)

STEP_MS: Final = 1_000
"""A change against the monotonic clock beyond it, between two looks, is no slewing."""
GATHER_S: Final = STATE_EVERY_S + 5.0
"""Within it every agent sends a state: no agent is found wrong before it is over."""

_SPEAKS_FOR_S: Final = 3 * STATE_EVERY_S
_LOOK_EVERY_S: Final = 5.0
_LOOK_EVERY_OFF_S: Final = 1.0
_TIME_ERROR: Final = 5
"""Return value of adjtimex(2) while the clock is not synchronised."""
_TIMEX_BYTES: Final = 512
"""More than ``struct timex`` takes on any architecture."""


def synchronised() -> bool | None:
    """Whether the kernel holds the clock for synchronised; None when it does not say."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # All zero: modes = 0 only reads.
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


def wall_ms() -> int:
    """Milliseconds since the Unix epoch, UTC, as this machine has it."""
    return time.time_ns() // 1_000_000


class _Said(NamedTuple):
    at_s: float
    """When, on our monotonic clock."""
    ahead_ms: float
    """The agent's wall clock minus our monotonic one: steps of ours do not change it."""
    boot: str
    steps: int | None
    synchronised: bool | None


class OwnClock:
    """Holds our wall clock against the monotonic one and against the agents' clocks."""

    def __init__(
        self,
        wall: Callable[[], int] = wall_ms,
        monotonic: Callable[[], float] = time.monotonic,
        kernel: Callable[[], bool | None] = synchronised,
        limit: int = MAX_AGENTS,
    ) -> None:
        self._wall, self._monotonic, self._kernel = wall, monotonic, kernel
        self._limit = limit
        self._said: OrderedDict[Address, _Said] = OrderedDict()
        self._ahead_ms = wall() - monotonic() * 1000
        self._began_s = self._steady_from_s = self._looked_s = monotonic()
        self.problem = ""
        """Why our clock is not to be believed, for /readyz; empty while it is."""

    def look(self) -> None:
        """Notice whether the clock was set since the last look, and what the agents say of it."""
        now_s = self._monotonic()
        ahead_ms = self._wall() - now_s * 1000
        if abs(ahead_ms - self._ahead_ms) > STEP_MS:
            _log.warning(
                "this machine's clock was set by %.0f s", (ahead_ms - self._ahead_ms) / 1000
            )
            self._steady_from_s = now_s
        self._ahead_ms, self._looked_s = ahead_ms, now_s
        problem = self._judged(now_s, ahead_ms)
        if bool(problem) is not bool(self.problem):
            _log.log(
                logging.ERROR if problem else logging.INFO,
                "%s",
                problem or "this machine's clock agrees with the agents' again",
            )
        self.problem = problem

    @property
    def steady_s(self) -> float:
        """For how long, as far as this process knows, the clock was not set."""
        return self._monotonic() - self._steady_from_s

    @property
    def may_judge(self) -> bool:
        """Whether it is known well enough to call something old, or an agent's clock wrong."""
        return not self.problem and self._monotonic() - self._began_s >= GATHER_S

    def heard(self, address: Address, state: State, received_ms: int) -> bool:
        """Note a live state; whether our clock may be trusted to judge the agent's by it.

        It may not while too few agents were heard since the start to tell whose clock is off, nor
        while most of them, or those that are synchronised where we are not, say that it is ours.
        """
        now_s = self._monotonic()
        waited_ms = min(max(0, self._wall() - received_ms), 60_000)
        at_s = now_s - waited_ms / 1000
        said = _Said(
            at_s,
            state.sent_at * 1000 - at_s * 1000,
            state.boot,
            state.clock_steps,
            state.synchronised,
        )
        last = self._said.get(address)
        if last is not None and state.clock_steps is not None and last[2:4] == said[2:4]:
            # It was not set: what seems to fall back was held up on its way.
            least_ms = last.ahead_ms - SLEW * 1000 * (at_s - last.at_s)
            said = said._replace(ahead_ms=max(said.ahead_ms, least_ms))
        self._said[address] = said
        self._said.move_to_end(address)
        if len(self._said) > self._limit:
            self._said.popitem(last=False)
        since_s = now_s - self._looked_s
        is_off = abs(received_ms - state.sent_at * 1000) > WRONG_MS
        # Thousands of states are judged once for all of a second, not once for each.
        if self._is_set(now_s) or since_s >= (_LOOK_EVERY_OFF_S if is_off else _LOOK_EVERY_S):
            self.look()
        return self.may_judge

    def _is_set(self, now_s: float) -> bool:
        return abs(self._wall() - now_s * 1000 - self._ahead_ms) > STEP_MS

    def _judged(self, now_s: float, ahead_ms: float) -> str:
        """Why our clock is wrong: more than half of the agents find so, and agree by how much.

        Where the kernel holds our clock for synchronised, only those that do not call theirs
        unsynchronised count, and three have to say so; where it does not, two are enough, or one
        that is.
        """
        heard = [said for said in self._said.values() if now_s - said.at_s <= _SPEAKS_FOR_S]
        if all(abs(ahead_ms - said.ahead_ms) <= WRONG_MS for said in heard):
            return ""
        ours = self._kernel()
        of = len(heard)
        found = None
        if ours:
            equals = [said for said in heard if said.synchronised is not False]
            found = _agreed(equals, ahead_ms, of, quorum=3)
        else:
            if ours is False:
                found = _agreed([one for one in heard if one.synchronised], ahead_ms, of, quorum=1)
            found = found or _agreed(heard, ahead_ms, of, quorum=2)
        if found is None:
            return ""
        count, off_ms = found
        return (
            f"this machine's clock is {abs(off_ms) / 1000:.0f} s "
            f"{'ahead of' if off_ms > 0 else 'behind'} those of {count} of {of} agents: "
            "no agent's clock is judged until it is right"
        )


def _agreed(
    voters: Iterable[_Said], ahead_ms: float, of: int, *, quorum: int
) -> tuple[int, float] | None:
    """How many voters find us off by about the same, and by how much; None where too few do."""
    off = sorted(off_ms for said in voters if abs(off_ms := ahead_ms - said.ahead_ms) > WRONG_MS)
    if not off:
        return None
    middle = median_low(off)
    count = sum(abs(off_ms - middle) <= WRONG_MS for off_ms in off)
    return (count, middle) if count >= quorum and count * 2 > of else None
