"""Whose clock is off when agents and collector differ: only the clocks are made."""

import logging

import pytest
from jauge_collector.clock import GATHER_S, OwnClock
from jauge_collector.skew import WRONG_MS, Skews
from jauge_models.wire import Address, State

from tests.collector.packs import NOW_MS

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Fleet:
    """A collector and agents that send a state a minute each, on clocks as far off as told."""

    def __init__(self, agents: int, *, kernel: bool | None, off_ms: int = 0) -> None:
        self.passed_ms = 0
        self.off_ms = off_ms
        self.kernel = kernel
        self.agents = [Address("s", f"a{n}") for n in range(agents)]
        self.agent_off_ms = dict.fromkeys(self.agents, 0)
        self.steps: int | None = 0
        self.synchronised: bool | None = True
        self.clock = OwnClock(self.now_ms, lambda: 500 + self.passed_ms / 1000, lambda: self.kernel)
        self.skews = Skews()

    def now_ms(self) -> int:
        """The collector's wall clock."""
        return NOW_MS + self.passed_ms + self.off_ms

    def minutes(self, count: int) -> set[str]:
        """Let each agent send so many states; the agents that spans were written of."""
        found = set()
        for _ in range(count):
            for address in self.agents:
                self.passed_ms += MINUTE_MS // len(self.agents)
                sent_ms = NOW_MS + self.passed_ms + self.agent_off_ms[address]
                state = State(
                    "b",
                    online=True,
                    sent_at=sent_ms / 1000,
                    synchronised=self.synchronised,
                    clock_steps=self.steps,
                )
                if self.clock.heard(address, state, self.now_ms()) and self.skews.note(
                    address, state, self.now_ms()
                ):
                    found.add(address.agent)
        return found


@pytest.mark.parametrize("kernel", [True, False, None])
@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
def test_a_collector_that_starts_off_finds_no_agent_wrong(
    off_ms: int, *, kernel: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred right agents: it is us, which is said once, shown, and over once it is right."""
    caplog.set_level(logging.INFO, logger="jauge_collector.clock")
    fleet = Fleet(100, kernel=kernel, off_ms=off_ms)
    assert fleet.minutes(5) == set()
    assert "3600 s" in fleet.clock.problem
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    fleet.off_ms = 0
    assert fleet.minutes(5) == set()
    assert fleet.clock.problem == ""
    assert caplog.records[-1].levelno == logging.INFO


@pytest.mark.parametrize("steps", [0, None])
@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
def test_a_collector_whose_clock_is_set_wrong_finds_no_agent_wrong(
    off_ms: int, steps: int | None
) -> None:
    """At once, by what the agents said before, be they old ones that count no steps."""
    fleet = Fleet(100, kernel=True)
    fleet.steps = steps
    assert fleet.minutes(3) == set()
    fleet.off_ms = off_ms
    assert fleet.minutes(5) == set()
    assert fleet.clock.problem
    fleet.off_ms = 0
    assert fleet.minutes(3) == set()


def test_the_agents_that_are_wrong_are_found_among_those_that_are_right() -> None:
    """A third of them; not before all had time to speak."""
    fleet = Fleet(9, kernel=True)
    fleet.agent_off_ms |= dict.fromkeys(fleet.agents[:3], HOUR_MS)
    assert fleet.minutes(1) == set()
    assert fleet.minutes(3) == {"a0", "a1", "a2"}
    assert fleet.clock.problem == ""
    assert GATHER_S > MINUTE_MS / 1000


def test_two_alone_go_by_who_is_synchronised() -> None:
    """One agent and a collector an hour apart: no majority, but kernels that know."""
    found = []
    for ours, theirs in ((True, True), (True, False), (None, None), (False, True)):
        fleet = Fleet(1, kernel=ours, off_ms=HOUR_MS)
        fleet.synchronised = theirs
        found.append((bool(fleet.minutes(4)), bool(fleet.clock.problem)))
    assert found == [(True, False), (True, False), (True, False), (False, True)]


def test_one_that_calls_itself_synchronised_does_not_outvote_the_others() -> None:
    """Else one agent could take the collector's clock from all."""
    fleet = Fleet(5, kernel=False)
    fleet.agent_off_ms[fleet.agents[0]] = HOUR_MS
    fleet.minutes(4)
    assert fleet.clock.problem == ""


def test_states_that_were_held_up_say_nothing_of_our_clock() -> None:
    """A broker that was away for a minute delivers them all late."""
    fleet = Fleet(10, kernel=True)
    fleet.minutes(3)
    fleet.agent_off_ms = dict.fromkeys(fleet.agents, -2 * WRONG_MS)
    assert fleet.minutes(1) == set()
    assert fleet.clock.problem == ""


def test_a_clock_is_steady_from_when_it_was_last_set() -> None:
    """By more than slewing, in either direction."""
    fleet = Fleet(1, kernel=True)
    for step_ms, steady_s in ((0, 100.0), (500, 200.0), (2_000, 0.0), (-2_000, 0.0), (0, 100.0)):
        fleet.passed_ms += 100_000
        fleet.off_ms += step_ms
        fleet.clock.look()
        assert fleet.clock.steady_s == steady_s
