"""Which time stamps a state makes doubtful: pure, so tried by examples and by properties."""

import pytest
from jauge_collector.ledger.clocks import ClockSpan, joined
from jauge_collector.skew import WRONG_MS, Skews
from jauge_models.wire import Address, State

from tests.collector.packs import NOW_MS

AGENT = Address("s", "a")
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def heard(
    *states: tuple[int, int], boot: str = "b", steps: list[int] | None = None
) -> list[ClockSpan]:
    """Spans after states, each as (when received after NOW, how far the clock is behind)."""
    skews = Skews()
    spans: list[ClockSpan] = []
    for at, (received, skew) in enumerate(states):
        sent_s = (NOW_MS + received - skew) / 1000
        count = steps[at] if steps else None
        state = State(boot, online=True, sent_at=sent_s, clock_steps=count)
        spans += skews.note(AGENT, state, NOW_MS + received)
    return [ClockSpan(a - NOW_MS, b - NOW_MS, skew) for a, b, skew in joined(spans)]


def test_a_clock_that_is_right_makes_nothing_doubtful() -> None:
    """The limit itself is still right, to either side."""
    assert heard((0, 200), (MINUTE, WRONG_MS), (2 * MINUTE, -WRONG_MS)) == []


def test_a_wrong_clock_is_doubted_from_the_last_right_state_to_the_next() -> None:
    """In the agent's own time stamps; the largest skew is kept."""
    (span,) = heard(
        (0, 0),
        (MINUTE, 40 * SECOND),
        (2 * MINUTE, 41 * SECOND),
        (3 * MINUTE, 40 * SECOND),
        (4 * MINUTE, 0),
    )
    assert span == ClockSpan(0, 3 * MINUTE - 40 * SECOND + MINUTE, 41 * SECOND)


def test_a_clock_set_back_by_a_day_is_doubted_in_the_time_it_then_showed() -> None:
    """Not in the day between, whose time stamps are of the clock as it was right."""
    (span,) = heard((0, 0), (MINUTE, DAY + MINUTE), (2 * MINUTE, 0))
    assert span == ClockSpan(-DAY - MINUTE, -DAY + MINUTE, DAY + MINUTE)
    (span,) = heard((0, 0), (MINUTE, -DAY), (2 * MINUTE, 0))
    assert span == ClockSpan(DAY, DAY + 2 * MINUTE, -DAY)


def test_the_first_state_after_a_start_speaks_back_as_far_as_nothing_was_settled() -> None:
    """At most an hour, and not before what the ledger knew to be settled, less one period."""
    assert heard((0, -MINUTE)) == [ClockSpan(MINUTE - HOUR, 2 * MINUTE, -MINUTE)]
    skews = Skews()
    skews.settled({AGENT: NOW_MS - 5 * MINUTE})
    state = State("b", online=True, sent_at=(NOW_MS + MINUTE) / 1000)
    (span,) = skews.note(AGENT, state, NOW_MS)
    assert span.from_ms == NOW_MS - 6 * MINUTE


def test_silence_after_a_wrong_state_is_doubted_until_the_next_one() -> None:
    """An agent that was cut off for an hour may have been wrong all the while."""
    (span,) = heard((0, MINUTE), (HOUR, 0), boot="b")
    assert span.to_ms == HOUR - MINUTE


def test_a_state_held_up_on_its_way_is_no_wrong_clock() -> None:
    """An agent that counts its clock's steps and saw none: the network was slow, not the clock."""
    cut = ((0, 0), (MINUTE + 40 * SECOND, 40 * SECOND), (2 * MINUTE, 0))
    assert heard(*cut, steps=[0, 0, 0]) == []
    assert heard(*cut, steps=[0, 1, 2]) != []
    assert heard(*cut) != [], "an older agent does not say"


def test_a_step_that_the_agent_has_not_noticed_yet_is_doubted_with_the_next_state() -> None:
    """Back to the last right state, so that nothing is missed by waiting."""
    (span,) = heard((0, 0), (MINUTE, 50 * SECOND), (2 * MINUTE, 50 * SECOND), steps=[0, 0, 1])
    assert span.from_ms == 0
    assert span.to_ms > MINUTE


def test_a_clock_that_drifts_away_is_noticed_without_a_step() -> None:
    """Slewing and drift take hours, and are none of what a slow network does."""
    states = [(n * HOUR, n * 3 * SECOND) for n in range(12)]
    (span,) = heard(*states, steps=[0] * 12)
    assert span.from_ms == 10 * (HOUR - 3 * SECOND)


@pytest.mark.parametrize("back", [HOUR, -HOUR])
def test_where_no_step_was_counted_it_was_our_clock_that_was_set(back: int) -> None:
    """In either direction, for as long as it lasts, and when it is set right again."""
    assert heard((0, 0), (MINUTE, back), (2 * MINUTE, back), (3 * MINUTE, 0), steps=[0] * 4) == []


def test_a_clock_that_drifted_while_it_was_cut_off_is_known_again() -> None:
    """Eight seconds in two days are no step; it is found wrong when it is."""
    states = [(n * 2 * DAY, n * 8 * SECOND) for n in range(5)]
    (span,) = heard(*states, steps=[0] * 5)
    assert span.skew_ms == 32 * SECOND


def test_states_at_every_moment_write_spans_once_a_minute() -> None:
    """With a new boot and another time each; the next one that counts speaks for all of them."""
    skews = Skews()
    wrote = 0
    for n in range(600):
        sent_s = (NOW_MS - (n + 1) * HOUR) / 1000
        state = State(f"b{n}", online=True, sent_at=sent_s)
        wrote += bool(skews.note(AGENT, state, NOW_MS + n * SECOND))
    assert wrote == 600 // 54 + 1


def test_a_time_at_which_no_reading_is_stored_is_not_kept() -> None:
    """Neither 1970 nor a century ahead."""
    for sent_s in (0.0, NOW_MS / 1000 + 100 * 366 * 86_400):
        assert Skews().note(AGENT, State("b", online=True, sent_at=sent_s), NOW_MS) == []


def test_a_state_that_comes_twice_tells_nothing_new() -> None:
    """A redelivery looks later than it was sent."""
    skews = Skews()
    state = State("b", online=True, sent_at=NOW_MS / 1000)
    assert skews.note(AGENT, state, NOW_MS) == []
    assert skews.note(AGENT, state, NOW_MS + MINUTE) == []


def test_agents_are_bounded_in_number() -> None:
    """The one silent longest is forgotten: its next state is a first one."""
    skews = Skews(limit=2)
    for name in ("a", "b", "c"):
        skews.note(Address("s", name), State("b", online=True, sent_at=NOW_MS / 1000), NOW_MS)
    wrong = State("b", online=True, sent_at=(NOW_MS + MINUTE + 1) / 1000)
    assert skews.note(Address("s", "a"), wrong, NOW_MS)[0].from_ms < NOW_MS - 30 * MINUTE
    assert skews.note(Address("s", "c"), wrong, NOW_MS)[0].from_ms >= NOW_MS
