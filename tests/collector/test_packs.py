"""Readings in columns are the readings that they stand for, also as lines."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector.packs import Names, PackReadings, Together, parts_of
from jauge_collector.stores import LeftOut
from jauge_collector.stores.lines import LineWriter
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address

PAIRS = [("host", "power"), ("gpu:0", "temperature"), ("pdu:a.1", "energy")]
VALUES = st.floats(allow_nan=False, allow_infinity=False)


def pack(agent: str, values: list[float], *, pairs: list[tuple[str, str]] = PAIRS) -> PackReadings:
    """Of the first of some names."""
    return PackReadings(Address("s", agent), Names(pairs[: len(values)]), 1_700_000_000_123, values)


def one_by_one(readings: PackReadings) -> list[Reading]:
    """The same readings as objects."""
    return [
        Reading(Series(*readings.address, *names), readings.time_ms, value)
        for names, value in zip(readings.names.pairs, readings.values, strict=True)
    ]


def read(line: str) -> tuple[str, float, str]:
    """What stands before the value, the value, and the time."""
    before, _, after = line.rpartition("=")
    value, _, time_ms = after.partition(" ")
    return before, float(value), time_ms


def test_packs_are_sequences_of_their_readings() -> None:
    """By length, place, slice and in order; several together too."""
    packs = [pack("a", [1.0, 2.5, 3.0]), pack("b", [4.0])]
    for given_, wanted in (
        (packs[0], one_by_one(packs[0])),
        (Together(packs), [*one_by_one(packs[0]), *one_by_one(packs[1])]),
        (Together([]), []),
    ):
        assert list(given_) == wanted
        assert len(given_) == len(wanted)
        assert [given_[at] for at in range(-len(wanted), len(wanted))] == wanted * 2
        assert given_[1:3] == wanted[1:3]
        assert given_[::-1] == wanted[::-1]
    with pytest.raises(ValueError, match="1 values for 2 names"):
        PackReadings(Address("s", "a"), Names(PAIRS[:2]), 0, [1.0])


def test_pieces_are_packs_or_bounded() -> None:
    """What is no pack comes in pieces; nothing is lost or moved."""
    loose = one_by_one(pack("c", [1.0, 2.0, 3.0]))
    packs = [pack("a", [1.0, 2.5, 3.0]), pack("b", [4.0])]
    pieces = list(parts_of(Together([packs[0], loose, packs[1]]), 2))
    assert [len(piece) for piece in pieces] == [3, 2, 1, 1]
    assert [one for piece in pieces for one in piece] == list(Together([packs[0], loose, packs[1]]))


@given(values=st.lists(VALUES, min_size=1, max_size=3))
def test_lines_are_the_same_in_columns(values: list[float]) -> None:
    """Whatever the values: also where their sum is too large for a number."""
    readings = pack("a", values)
    columns, lines = LineWriter("").lines(readings), LineWriter("").lines(one_by_one(readings))
    assert list(map(read, columns)) == list(map(read, lines))
    assert [read(line)[1] for line in columns] == values


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_no_line(bad: float) -> None:
    """The others of its pack have."""
    writer = LineWriter("")
    lines = writer.lines(pack("a", [1.0, bad, 3.0]))
    assert [read(line)[:2] for line in lines] == [
        ("jauge,site=s,agent=a,kind=host,resource=host power_watts", 1.0),
        ("jauge,site=s,agent=a,kind=pdu,resource=pdu:a.1 energy_joules_total", 3.0),
    ]
    assert writer.left_out == {LeftOut.VALUE: 1}


@pytest.mark.parametrize(
    ("agent", "pairs", "left"),
    [
        ("a b", PAIRS, 0),
        ("a", [("host", "power"), ("gpu:0 x", "temperature"), ("host", "luck")], 1),
    ],
)
def test_a_name_that_cannot_stand_in_a_line_is_left_out(
    agent: str, pairs: list[tuple[str, str]], left: int
) -> None:
    """It is never written, and counted; the rest of the pack is."""
    writer = LineWriter("")
    lines = writer.lines(pack(agent, [1.0, 2.0, 3.0], pairs=pairs))
    assert (
        lines
        == ["jauge,site=s,agent=a,kind=host,resource=host power_watts=1.0 1700000000123"][:left]
    )
    assert writer.left_out == {LeftOut.NAME: 3 - left}


def test_like_packs_of_many_kinds_keep_nothing_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lines have in common is forgotten beyond a bound, and found again."""
    monkeypatch.setattr("jauge_collector.stores.lines._MOST_PREFIXES", 6)
    writer = LineWriter("")
    packs = [pack("a", [1.0, 2.0, 3.0]) for _ in range(20)]
    assert {tuple(writer.lines(one)) for one in packs} == {tuple(writer.lines(packs[0]))}
    assert len(writer._tails) <= 2
