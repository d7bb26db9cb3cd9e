"""The inbox: bounded, in order within a sender, and fair among senders."""

import asyncio
import logging
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector.config import LimitsConfig
from jauge_collector.inbox import MAX_BYTES_OF_ROUND, Drop, Inbox, Received
from jauge_models.wire import MAX_PAYLOAD_BYTES

RATES = {"messages_per_s": 1e6, "readings_per_s": 1e9, "malformed_per_s": 1e6}


class Held:
    """An inbox with a clock of its own and what it dropped."""

    def __init__(self, limits: LimitsConfig, strangers: frozenset[str] = frozenset()) -> None:
        self.now_s = 1000.0
        self.drops: list[Drop] = []
        self.inbox = Inbox(
            self.drops.append,
            limits,
            knows=lambda topic: topic.split("/")[0] not in strangers,
            clock=lambda: self.now_s,
        )

    def put(self, sender: str, payload: bytes = b"x") -> bool:
        """Whether it was kept."""
        before = len(self.inbox)
        self.inbox.put(f"{sender}/readings", payload, 1)
        return len(self.inbox) > before

    def take(self, most: int = 10_000) -> list[Received]:
        """A round, which is there at once."""
        return asyncio.run(self.inbox.take(most)) if len(self.inbox) else []


def limits(**given_: float) -> LimitsConfig:
    """Small numbers of messages, rates that nobody meets unless told."""
    return LimitsConfig(**{"waiting": 100, "waiting_bytes": 4 * 1024**2} | RATES | given_)  # type: ignore[arg-type]


def senders_of(messages: list[Received]) -> list[str]:
    """Of each message, in the order taken."""
    return [message.topic.partition("/")[0] for message in messages]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60_000)),
        st.integers(1, 30),
    ),
    max_size=300,
)


@given(steps=STEPS, share=st.floats(0.05, 1))
def test_order_within_a_sender_holds_and_no_limit_is_exceeded(
    steps: list[tuple[str, int] | int], share: float
) -> None:
    """What is taken of a sender is what was kept of it, in that order, whatever comes between.

    A round takes the same number of each, or all that one has.
    """
    held = Held(limits(sender_share=share))
    inbox = held.inbox
    kept: defaultdict[str, list[bytes]] = defaultdict(list)
    taken: defaultdict[str, list[bytes]] = defaultdict(list)
    for number, step in enumerate(steps):
        if isinstance(step, int):
            had = {name: len(kept[name]) - len(taken[name]) for name in kept}
            some = held.take(step)
            assert len(some) <= step
            got = {name: senders_of(some).count(name) for name in had}
            for message in some:
                taken[message.topic.partition("/")[0]].append(message.payload)
            short = [count for name, count in got.items() if count < had[name]]
            assert not short or max(got.values()) - min(short) <= 1
        else:
            name, size = step
            payload = b"%d " % number + b"x" * size
            if held.put(name, payload):
                kept[name].append(payload)
        waiting = {name: kept[name][len(taken[name]) :] for name in kept}
        assert len(inbox) == sum(map(len, waiting.values())) <= inbox.limit
        assert inbox.bytes == sum(len(p) for w in waiting.values() for p in w) <= inbox.limit_bytes
        for mine in waiting.values():
            assert len(mine) <= inbox.sender_limit
            assert sum(map(len, mine)) <= inbox.sender_limit_bytes
    while some := held.take():
        for message in some:
            taken[message.topic.partition("/")[0]].append(message.payload)
    assert taken == {name: mine for name, mine in kept.items() if mine}
    assert (inbox.bytes, len(inbox)) == (0, 0)


def test_a_flood_takes_its_share_and_no_turn_of_others() -> None:
    """One who floods fills its share; the others' messages are kept, and go in the next round."""
    held = Held(limits(sender_share=0.3))
    assert [held.put("flood") for _ in range(50)] == [True] * 30 + [False] * 20
    assert held.drops == [Drop.SENDER] * 20
    assert all(held.put(f"honest{n}") for n in range(5))
    assert set(senders_of(held.take(6))) == {"flood", *(f"honest{n}" for n in range(5))}
    assert senders_of(held.take(3)) == ["flood"] * 3


def test_however_many_flood_there_is_room_for_one_who_does_not() -> None:
    """Together they never take all: each may have no more than is left."""
    held = Held(limits(sender_share=1))
    for _ in range(100):
        for n in range(20):
            held.put(f"flood{n}")
    assert len(held.inbox) < held.inbox.limit
    assert held.put("honest")
    assert "honest" in senders_of(held.take(21))


def test_large_messages_leave_a_round_short() -> None:
    """A round ends at its bytes, so that the others' next turn is near."""
    held = Held(limits(waiting_bytes=64 * 1024**2, sender_share=1))
    for _ in range(30):
        held.put("large", b"x" * MAX_PAYLOAD_BYTES)
    held.put("honest")
    some = held.take()
    assert "honest" in senders_of(some)
    assert sum(len(m.payload) for m in some) <= MAX_BYTES_OF_ROUND + MAX_PAYLOAD_BYTES


def test_what_is_too_large_is_kept_cut_so_that_it_can_be_answered() -> None:
    """One byte more than may be, whatever came."""
    held = Held(limits(sender_share=0.01))
    assert held.put("a", b"[" * 3_000_000)
    (message,) = held.take()
    assert len(message.payload) == MAX_PAYLOAD_BYTES + 1


def test_messages_beyond_the_rate_are_dropped_until_time_has_passed() -> None:
    """A burst, then so many a second; another sender is not concerned."""
    held = Held(limits(waiting=10_000, sender_share=1, messages_per_s=5, burst_s=4))
    assert [held.put("a") for _ in range(25)] == [True] * 20 + [False] * 5
    assert held.put("b")
    held.now_s += 2
    assert [held.put("a") for _ in range(15)] == [True] * 10 + [False] * 5
    held.now_s += 3600
    assert sum(held.put("a") for _ in range(30)) == 20
    assert set(held.drops) == {Drop.MESSAGES}


def test_readings_beyond_the_rate_are_paid_off_before_more_is_taken() -> None:
    """What a message held is known once it is read; what comes next waits until that is paid."""
    held = Held(limits(readings_per_s=100, burst_s=10))
    assert held.put("a")
    (message,) = held.take()
    held.inbox.note_readings(message, 1500)
    assert not held.put("a")
    assert held.put("b")
    held.now_s += 4
    assert not held.put("a")
    held.now_s += 1
    assert held.put("a")
    assert held.drops == [Drop.READINGS] * 2


def test_who_sends_malformed_messages_is_soon_not_looked_at() -> None:
    """After the burst all of that sender is dropped, but for one now and then."""
    held = Held(limits(malformed_per_s=1, burst_s=5, sender_share=1))
    for _ in range(20):
        held.put("a")
    for message in held.take():
        held.inbox.note_malformed(message)
    assert not held.put("a")
    assert held.put("b")
    held.now_s += 1
    assert held.put("a")
    assert set(held.drops) == {Drop.MALFORMED}


def test_names_that_nobody_knows_are_one_sender() -> None:
    """Invented names share one share, and none of them is remembered."""
    held = Held(limits(sender_share=0.1), frozenset(f"x{n}" for n in range(1000)))
    assert sum(held.put(f"x{n}") for n in range(1000)) == 10
    assert held.inbox.senders == 0
    assert held.put("a")
    assert senders_of(held.take(2)) == ["x0", "a"]


def test_senders_are_bounded_and_silent_ones_make_room() -> None:
    """Beyond the number newcomers share with the strangers, until somebody was silent long."""
    held = Held(limits(agents=3, burst_s=10))
    for name in "abc":
        held.put(name)
    held.put("d")
    assert held.inbox.senders == 3
    held.take()
    held.now_s += 5
    held.put("a")
    held.put("e")
    assert held.inbox.senders == 3
    held.now_s += 6
    held.put("f")
    held.put("a")
    assert held.inbox.senders == 3
    assert set(held.inbox._senders) == {"a", "c", "f"}


def test_a_flood_is_named_once_when_it_begins_and_once_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not for each message, and not again in every pause of it."""
    held = Held(limits(messages_per_s=1, burst_s=1))

    def said() -> list[str]:
        return [r.getMessage() for r in caplog.records]

    with caplog.at_level(logging.INFO):
        for _ in range(50):
            for _ in range(10):
                held.put("noisy")
            held.take()
            held.inbox.end_floods()
            held.now_s += 3
        assert len(said()) == 1
        assert said()[0].startswith("noisy: more than its limit (messages)")
        held.now_s += 70
        held.inbox.end_floods()
        held.inbox.end_floods()
    assert said()[1:] == [f"noisy: the flood is over, {len(held.drops)} messages dropped"]
    assert len(held.drops) == 450
