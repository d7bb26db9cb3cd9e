"""Refused logins in a row stop, and one that is admitted begins anew."""

import pytest
from jauge_agent.logins import MOST_REFUSALS, REFUSED_PAUSE_S, Logins
from jauge_agent.source import FatalError, RetryError


def test_after_some_in_a_row_there_is_a_pause() -> None:
    """The last is fatal; then none is tried for an hour, and one more refusal is fatal again."""
    now = 1000.0
    one = Logins("bmc-1", lambda: now)
    for _ in range(MOST_REFUSALS - 1):
        assert isinstance(one.refused("no"), RetryError)
    one.check()
    one.admitted()
    for _ in range(MOST_REFUSALS - 1):
        assert isinstance(one.refused("no"), RetryError)
        one.check()
    assert isinstance(one.refused("no"), FatalError)
    with pytest.raises(FatalError, match="bmc-1: 3 logins were refused: it waits"):
        one.check()
    now += REFUSED_PAUSE_S
    one.check()
    assert isinstance(one.refused("no"), FatalError)
