"""What 16-bit registers mean: numbers and texts, or no value at all."""

import math
import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Literal

Order = Literal["big", "little"]


class Form(StrEnum):
    """How a number stands in its registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD32 = "bcd32"
    """Eight decimal digits, one in each four bits."""
    MOD10K64 = "mod10k64"
    """Four registers of 0 to 9999 each: the digits of a decimal number, four by four."""
    BIT = "bit"
    """A coil or a discrete input, which is no register."""

    @property
    def words(self) -> int:
        """Registers it takes."""
        return 1 if self is Form.BIT else int(self.value[-2:]) // 16

    @property
    def bits(self) -> int:
        """Bits that may each mean something; none unless it is unsigned."""
        return 16 * self.words if self in (Form.UINT16, Form.UINT32, Form.UINT64) else 0


_CODE: Final = {
    Form.INT16: ">h",
    Form.UINT16: ">H",
    Form.INT32: ">i",
    Form.UINT32: ">I",
    Form.INT64: ">q",
    Form.UINT64: ">Q",
    Form.FLOAT32: ">f",
    Form.FLOAT64: ">d",
}
_LEAST: Final = 1e-9
"""No meter tells so little of anything: what is smaller, and not 0, are words in another order."""
_SIGNED: Final = frozenset({Form.INT16, Form.INT32, Form.INT64})


def number(
    words: Sequence[int],
    form: Form,
    *,
    word_order: Order = "big",
    byte_order: Order = "big",
    none: Sequence[int] = (),
) -> float | None:
    """The number in ``words``, exact where it is whole; None where the device has none.

    No value are: all bits set of an unsigned form; the largest and the smallest of a signed one;
    what is not finite, or a float next to nothing; a digit that is none; and the numbers in
    ``none``. ``word_order`` "big" has the high word first, ``byte_order`` "big" the high byte of
    each word, as Modbus wants it.
    """
    if form is Form.BIT:
        return None if words[0] in none else words[0]
    if word_order == "little":
        words = words[::-1]
    raw = b"".join(word.to_bytes(2, byte_order) for word in words)
    if form is Form.BCD32:
        found = _decimal(raw.hex())
    elif form is Form.MOD10K64:
        found = _of_ten_thousands(struct.unpack(">4H", raw))
    else:
        found = struct.unpack(_CODE[form], raw)[0]
        if not math.isfinite(found) or _is_filler(found, form):
            found = None
    return None if found is None or found in none else found


def bit(
    words: Sequence[int], place: int, *, word_order: Order = "big", byte_order: Order = "big"
) -> int:
    """One bit of the unsigned number in ``words``; 0 is the lowest. All bits set are no filler."""
    if word_order == "little":
        words = words[::-1]
    raw = b"".join(word.to_bytes(2, byte_order) for word in words)
    return int.from_bytes(raw, "big") >> place & 1


def text(words: Sequence[int], *, byte_order: Order = "big") -> str:
    """The ASCII text in ``words``, without what fills it up; empty where it is none.

    Registers that hold one character each, behind a zero byte, are read as well.
    """
    raw = b"".join(word.to_bytes(2, byte_order) for word in words)
    try:
        found = raw.replace(b"\0", b"").decode("ascii").strip()
    except UnicodeDecodeError:
        return ""
    return found if found.isprintable() else ""


def _is_filler(value: float, form: Form) -> bool:
    """Whether it is what makers put where there is no number."""
    if form in (Form.FLOAT32, Form.FLOAT64):
        return 0 < abs(value) < _LEAST
    bits = 16 * form.words
    if form in _SIGNED:
        return value in (_bits(bits - 1), -_bits(bits - 1) - 1)
    return value == _bits(bits)


def _bits(number_of: int) -> int:
    """The number with so many bits, all set."""
    return (1 << number_of) - 1


def _decimal(digits: str) -> int | None:
    return int(digits) if digits.isdecimal() else None


def _of_ten_thousands(words: Sequence[int]) -> int | None:
    if any(word > 9999 for word in words):
        return None
    return int("".join(f"{word:04d}" for word in words))
