"""The site's dated facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.topology import (
    ALWAYS,
    Attribute,
    Commodity,
    Connection,
    Factor,
    Meter,
    Topology,
    Validity,
    cuts,
    factor_at,
)

bounds = st.none() | st.integers(0, 20)
validities = st.builds(Validity, bounds, bounds).filter(
    lambda v: v.from_ms is None or v.to_ms is None or v.from_ms < v.to_ms
)


@given(validities, st.integers(-5, 25))
def test_a_validity_is_half_open(validity: Validity, moment: int) -> None:
    """Its first moment is inside, its last bound outside, an open side has none."""
    after = validity.from_ms is None or moment >= validity.from_ms
    before = validity.to_ms is None or moment < validity.to_ms
    assert validity.holds(moment) == (after and before)


@given(validities, validities)
def test_two_validities_overlap_when_some_moment_is_in_both(one: Validity, other: Validity) -> None:
    """Overlap is mutual and means a common moment; what is shared is those moments."""
    shared = any(one.holds(moment) and other.holds(moment) for moment in range(-2, 23))
    assert one.overlaps(other) == other.overlaps(one) == shared
    both = one.shared(other)
    assert both == other.shared(one)
    assert (both is not None) == shared
    for time_ms in range(-2, 23):
        held = both is not None and both.holds(time_ms)
        assert held == (one.holds(time_ms) and other.holds(time_ms))


@given(st.lists(validities, max_size=5), st.integers(0, 10), st.integers(1, 10))
def test_in_each_piece_nothing_changes(given_: list[Validity], start: int, length: int) -> None:
    """Pieces follow each other over the whole span, and every validity holds all through or not."""
    pieces = cuts(given_, start, start + length)
    assert pieces[0][0] == start
    assert pieces[-1][1] == start + length
    assert [end for _, end in pieces[:-1]] == [begin for begin, _ in pieces[1:]]
    for begin, end in pieces:
        for validity in given_:
            assert len({validity.holds(moment) for moment in range(begin, end)}) == 1


def test_a_meter_named_twice_is_refused() -> None:
    """Two meters of one id would count twice."""
    meter = Meter("m1", Commodity.ELECTRICITY)
    with pytest.raises(ValueError, match="'m1' is named twice"):
        Topology(meters=(meter, meter))


def test_a_meter_is_found_by_its_id() -> None:
    """An unknown id is a KeyError."""
    meter = Meter("m1", Commodity.WATER)
    topology = Topology(meters=(meter,))
    assert topology.meter("m1") is meter
    with pytest.raises(KeyError):
        topology.meter("m2")


def test_connections_are_those_of_the_moment() -> None:
    """A host moved at 100 from outlet a to outlet b; its second feed c stays."""
    topology = Topology(
        connections=(
            Connection("outlet:a", "host", "A", Validity(None, 100)),
            Connection("outlet:b", "host", "A", Validity(100, None)),
            Connection("outlet:c", "host", "B"),
        )
    )
    assert topology.upstream("host", 99) == ["outlet:a", "outlet:c"]
    assert topology.upstream("host", 100) == ["outlet:b", "outlet:c"]
    assert topology.downstream("outlet:a", 100) == []
    assert topology.downstream("outlet:c", 0) == ["host"]


def test_the_fact_declared_last_wins() -> None:
    """A correction is added, the earlier word stays in the history."""
    topology = Topology(
        attributes=(
            Attribute("rack-1", "tenant", "alpha-example"),
            Attribute("rack-1", "tenant", "beta-example", Validity(100, None)),
            Attribute("rack-1", "operator", "gamma-example"),
        )
    )
    assert topology.attribute("rack-1", "tenant", 99) == "alpha-example"
    assert topology.attribute("rack-1", "tenant", 100) == "beta-example"
    assert topology.attribute("rack-2", "tenant", 100) is None


def test_a_corrected_factor_restates_what_it_is_valid_for() -> None:
    """A CT ratio of 40, found to have been 60 since 1 000: raw 5 is 200 before and 300 after."""
    declared = Meter("m1", Commodity.ELECTRICITY, factors=(Factor(40.0),))
    corrected = Meter(
        "m1",
        Commodity.ELECTRICITY,
        factors=(Factor(40.0), Factor(60.0, Validity(1000, None), "ratio read off the plate")),
    )
    raw = 5.0
    assert [raw * factor_at(declared, at) for at in (999, 1000)] == [200, 200]
    assert [raw * factor_at(corrected, at) for at in (999, 1000)] == [200, 300]
    pieces = cuts((factor.validity for factor in corrected.factors), 0, 4000)
    assert pieces == [(0, 1000), (1000, 4000)]


def test_without_a_factor_values_stand_as_they_are() -> None:
    """No declared factor is a factor of one, also outside of the declared times."""
    assert factor_at(Meter("m1", Commodity.WATER), 0) == 1
    later = Meter("m1", Commodity.WATER, factors=(Factor(10.0, Validity(100, 200)),))
    assert [factor_at(later, at) for at in (99, 100, 200)] == [1, 10, 1]
    assert ALWAYS.holds(0)
