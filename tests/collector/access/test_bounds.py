"""What is kept of visitors is bounded in number and in time; only the test moves the clock."""

from jauge_collector.access.sessions import FORM_HOLDS_S, MOST_OF_ONE, FormTokens, Sessions
from jauge_collector.access.throttle import FAILURES, WINDOW_S, Throttle


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_sessions_end_with_their_time_and_by_signing_out() -> None:
    """A value opens one session; neither its hash nor another value does."""
    clock = Clock()
    sessions = Sessions(100.0, clock=clock)
    value = sessions.begin(b"a")
    found = sessions.get(value)
    assert found is not None
    assert found.digest == b"a"
    assert sessions.get(found.binding) is None
    assert sessions.get("") is None
    assert sessions.get("\udce9") is None
    clock.now += 99.9
    assert sessions.get(value) is not None
    clock.now += 0.2
    assert sessions.get(value) is None
    other = sessions.begin(b"a")
    assert len(sessions) == 1, "what has ended makes room"
    sessions.end(other)
    assert sessions.get(other) is None


def test_sessions_are_bounded_and_one_token_drives_out_only_its_own() -> None:
    """Twenty of a token, and no more than the limit in all."""
    clock = Clock()
    sessions = Sessions(100.0, limit=50, clock=clock)
    first = sessions.begin(b"first")
    greedy = [sessions.begin(b"greedy") for _ in range(MOST_OF_ONE + 15)]
    assert sessions.get(first) is not None
    assert sum(sessions.get(value) is not None for value in greedy) == MOST_OF_ONE
    assert sessions.get(greedy[-1]) is not None
    for number in range(100):
        sessions.begin(b"%d" % number)
    assert len(sessions) == 50


def test_a_forms_value_holds_for_one_visitor_one_action_and_a_while() -> None:
    """Also not for nobody, and not by another process's key."""
    clock = Clock()
    forms = FormTokens(clock)
    value = forms.issue("me", "/do")
    assert forms.holds(value, "me", "/do")
    assert not forms.holds(value, "you", "/do")
    assert not forms.holds(value, "me", "/undo")
    assert not FormTokens(clock).holds(value, "me", "/do")
    assert not forms.holds(forms.issue("", "/do"), "", "/do")
    for wrong in ("", ".", "1.", "²." + value.partition(".")[2], "9" * 5000 + ".0"):
        assert not forms.holds(wrong, "me", "/do")
    clock.now += FORM_HOLDS_S + 1
    assert not forms.holds(value, "me", "/do")


def test_failures_slow_down_their_source_alone_and_for_a_while() -> None:
    """Guesses only; an IPv6 subscriber is one source; the first of a kind is told once."""
    clock = Clock()
    throttle = Throttle(clock=clock)
    assert throttle.failed("192.0.2.1", "unknown")
    assert not throttle.failed("192.0.2.1", "unknown")
    assert throttle.failed("192.0.2.1", "expired")
    for _ in range(FAILURES):
        throttle.failed("192.0.2.1", "unknown")
    assert 0 < throttle.wait_s("192.0.2.1") <= WINDOW_S
    assert throttle.wait_s("192.0.2.2") == 0
    clock.now += WINDOW_S + 1
    assert throttle.wait_s("192.0.2.1") == 0
    assert not throttle.failed("192.0.2.1", "unknown"), "it was told before"
    assert throttle.wait_s("192.0.2.1") == 0
    for number in range(FAILURES):
        throttle.failed(f"2001:db8::{number}", "unknown")
    assert throttle.wait_s("2001:db8::ffff") > 0
    assert throttle.wait_s("2001:db8:0:1::1") == 0
    for _ in range(3 * FAILURES):
        throttle.failed("192.0.2.3", "role", guess=False)
    assert throttle.wait_s("192.0.2.3") == 0


def test_sources_are_bounded() -> None:
    """A stranger with many addresses takes no more memory than the limit; no name is an address."""
    throttle = Throttle(limit=100, clock=Clock())
    for number in range(1000):
        throttle.failed(f"10.0.{number // 250}.{number % 250}", "unknown")
    assert len(throttle) == 100
    throttle.failed("nonsense\n", "unknown")
    throttle.failed("more nonsense", "unknown")
    assert len(throttle) == 100
