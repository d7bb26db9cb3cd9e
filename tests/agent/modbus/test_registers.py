"""Numbers in registers: forms, orders, and what is no number."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.sources.modbus.registers import Form, number, text

WORDS = st.integers(0, 0xFFFF)


@pytest.mark.parametrize(
    ("form", "words", "value"),
    [
        (Form.UINT16, [0x1234], 0x1234),
        (Form.INT16, [0xFFFE], -2),
        (Form.UINT32, [0x0001, 0x0002], 0x10002),
        (Form.INT32, [0xFFFF, 0xFFFE], -2),
        (Form.UINT64, [0, 0x20, 0, 1], 0x20_0000_0001),
        (Form.INT64, [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFD], -3),
        (Form.FLOAT32, [0x4366, 0x4CCD], 230.3000030517578),
        (Form.FLOAT64, [0x406C, 0xC999, 0x9999, 0x999A], 230.3),
        (Form.BCD32, [0x0123, 0x4567], 1234567),
        (Form.MOD10K64, [0, 12, 3456, 7890], 12_3456_7890),
    ],
)
def test_each_form_is_read_as_the_maker_means_it(
    form: Form, words: list[int], value: float
) -> None:
    """Worked out by hand; the same with the words, and the bytes of each, the other way round."""
    assert form.words == len(words)
    assert number(words, form) == value
    assert number(words[::-1], form, word_order="little") == value
    swapped = [(word & 0xFF) << 8 | word >> 8 for word in words]
    assert number(swapped, form, byte_order="little") == value


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Form.UINT16, [0xFFFF]),
        (Form.INT16, [0x7FFF]),
        (Form.INT16, [0x8000]),
        (Form.UINT32, [0xFFFF, 0xFFFF]),
        (Form.INT32, [0x7FFF, 0xFFFF]),
        (Form.INT32, [0x8000, 0]),
        (Form.UINT64, [0xFFFF] * 4),
        (Form.INT64, [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]),
        (Form.INT64, [0x8000, 0, 0, 0]),
        (Form.FLOAT32, [0x7FC0, 0]),
        (Form.FLOAT32, [0xFFFF, 0xFFFF]),
        (Form.FLOAT32, [0x7F80, 0]),
        (Form.FLOAT32, [0, 0x42C8]),
        (Form.FLOAT32, [0x199A, 0x4366]),
        (Form.FLOAT64, [0, 0, 0, 0x4059]),
        (Form.FLOAT64, [0x7FF8, 0, 0, 0]),
        (Form.BCD32, [0x00A0, 0]),
        (Form.BCD32, [0xFFFF, 0xFFFF]),
        (Form.MOD10K64, [0, 0, 10_000, 0]),
    ],
)
def test_what_stands_for_nothing_is_no_value(form: Form, words: list[int]) -> None:
    """What makers put where they have no value, and what no number can be."""
    assert number(words, form) is None


def test_a_profile_may_name_further_numbers_that_are_none() -> None:
    """The same number is a value where nothing says otherwise."""
    assert number([0x8000], Form.UINT16) == 0x8000
    assert number([0x8000], Form.UINT16, none=[0x8000]) is None


@settings(deadline=None)
@given(st.sampled_from(Form), st.data())
def test_any_words_give_a_finite_number_or_none(form: Form, data: st.DataObject) -> None:
    """Whatever a device answers."""
    words = data.draw(st.lists(WORDS, min_size=form.words, max_size=form.words))
    for word_order in ("big", "little"):
        for byte_order in ("big", "little"):
            found = number(words, form, word_order=word_order, byte_order=byte_order)
            assert found is None or math.isfinite(found)


@settings(deadline=None)
@given(st.integers(-(2**63) + 1, 2**63 - 2))
def test_whole_numbers_stay_exact(value: int) -> None:
    """A register of a decade of watt-hours loses nothing."""
    raw = struct.pack(">q", value)
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, 8, 2)]
    assert number(words, Form.INT64) == value


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([0x6945, 0x4D33, 0x3135, 0x3500, 0], "iEM3155"),
        ([0x53, 0x4F, 0x43, 0x4F], "SOCO"),
        ([0x2020, 0x4142, 0x2020], "AB"),
        ([0xFFFF, 0xFFFF], ""),
        ([0x0101], ""),
        ([0, 0], ""),
    ],
)
def test_text_is_read_without_its_padding(words: list[int], found: str) -> None:
    """Two characters a register, or one; what is no text is empty."""
    assert text(words) == found


@settings(deadline=None)
@given(st.lists(WORDS, max_size=20))
def test_any_words_give_a_printable_text(words: list[int]) -> None:
    """Whatever a device answers."""
    assert text(words).isprintable()
