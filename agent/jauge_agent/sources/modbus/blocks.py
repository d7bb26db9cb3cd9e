"""Which registers are read together: fewer requests, and none that a device would refuse."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

RegisterFunction = Literal[3, 4]
"""Read holding registers, read input registers."""
Function = Literal[1, 2, 3, 4]
"""The same, and read coils, read discrete inputs: all that a device is ever asked."""
BIT_FUNCTIONS: Final = frozenset({1, 2})
"""Those that answer with single bits; a range of theirs counts bits for words."""


class Range(NamedTuple):
    """Registers that belong together: a value in two requests might be torn."""

    function: Function
    address: int
    words: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.words


@dataclass(frozen=True, slots=True)
class Block:
    """One request, and the ranges that it answers."""

    function: Function
    address: int
    count: int
    ranges: tuple[Range, ...]

    def split(self) -> tuple["Block", ...]:
        """Two smaller ones, for a device that lacks a register of this; none if it is one range."""
        if len(self.ranges) < 2:
            return ()
        middle = len(self.ranges) // 2
        return _block(self.ranges[:middle]), _block(self.ranges[middle:])


def blocks(ranges: Iterable[Range], *, most: int, gap: int) -> list[Block]:
    """Blocks of at most ``most`` registers that together hold every range, by address.

    ``gap``: registers nobody asks for that are read along rather than asking twice. A range longer
    than ``most`` is a block of its own.
    """
    made: list[Block] = []
    current: list[Range] = []
    for one in sorted(set(ranges)):
        if current and not _fits(current, one, most, gap):
            made.append(_block(current))
            current = []
        current.append(one)
    if current:
        made.append(_block(current))
    return made


def _fits(current: Sequence[Range], one: Range, most: int, gap: int) -> bool:
    end = max(each.end for each in current)
    return (
        one.function == current[0].function
        and one.address <= end + gap
        and max(end, one.end) - current[0].address <= most
    )


def _block(ranges: Sequence[Range]) -> Block:
    first = ranges[0]
    end = max(one.end for one in ranges)
    return Block(first.function, first.address, end - first.address, tuple(ranges))
