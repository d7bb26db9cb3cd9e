"""What the catalogue allows is taken, at the first read as at any later one of the same series."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.soundness import NOTHING, Soundness, flaw_in
from jauge_models.wire import Sample

VALUES = st.sampled_from(
    [1.0, 40.0, -40.0, 1e300, -1e300, float("nan"), float("inf"), 3, True, None, "3", 10**400]
)
SERIES = st.sampled_from(
    [
        ("host", "power"),
        ("host", "cpu_utilisation"),
        ("sensor:a", "temperature"),
        ("no such", "power"),
        ("host", "no_such"),
        (3, "power"),
    ]
)
READS = st.lists(
    st.lists(st.builds(lambda s, v: Sample(s[0], s[1], v), SERIES, VALUES), max_size=4)
)


@given(READS)
def test_each_read_is_judged_as_if_it_were_the_first(reads: list[list[Sample]]) -> None:
    """Remembering series changes nothing: what has a flaw is left out and counted each time."""
    left_out: Counter[str] = Counter()
    soundness = Soundness("any", left_out)
    flaws: Counter[str] = Counter()
    for samples in [read for read in reads for _ in range(2)]:
        flaws.update(flaw for sample in samples if (flaw := flaw_in(sample)) is not None)
        found = soundness.sound(samples)
        assert list(found.samples) == [one for one in samples if flaw_in(one) is None]
        assert found.series == {one[:2] for one in found.samples}
        assert left_out == flaws


def test_a_value_that_leaves_its_range_is_left_out() -> None:
    """Of the same series as before, all of them sound then."""
    left_out: Counter[str] = Counter()
    soundness = Soundness("any", left_out)
    samples = [Sample("host", "cpu_utilisation", 0.5), Sample("host", "power", 100.0)]
    assert soundness.sound(samples).samples == samples
    worse = [Sample("host", "cpu_utilisation", 1e9), samples[1]]
    assert soundness.sound(worse).samples == samples[1:]
    assert left_out == {"range": 1}
    assert soundness.sound(samples).samples == samples


def test_nothing_is_sound() -> None:
    """A read without samples."""
    assert Soundness("any", Counter()).sound([]) == NOTHING


@pytest.mark.parametrize("rubbish", [[None], [("host", "power")], [3]])
def test_what_is_no_sample_raises(rubbish: list[Sample]) -> None:
    """The source has a bug: the worker says so."""
    with pytest.raises((TypeError, ValueError)):
        Soundness("any", Counter()).sound(rubbish)
