"""Readings as packs bring them: names that agents share, and values; no object for each reading."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final, overload

from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address

_new_series: Final[Callable[[type[Series], tuple[str, str, str, str]], Series]] = tuple.__new__
_new_reading: Final[Callable[[type[Reading], tuple[Series, int, float]], Reading]] = tuple.__new__


class Names:
    """Resource and quantity of each reading of a pack. The same object for packs that are alike."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs: Final = tuple(pairs)


class PackReadings(Sequence[Reading]):
    """All readings of one pack: of one agent, at one moment.

    A sequence of readings to whoever asks for one. Its maker changes nothing later. Raises
    ValueError where there is not one value for each name.
    """

    __slots__ = ("address", "names", "time_ms", "values")

    def __init__(self, address: Address, names: Names, time_ms: int, values: list[float]) -> None:
        if len(values) != len(names.pairs):
            raise ValueError(f"{len(values)} values for {len(names.pairs)} names")
        self.address = address
        self.names = names
        self.time_ms = time_ms
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> Reading: ...

    @overload
    def __getitem__(self, at: slice) -> list[Reading]: ...

    def __getitem__(self, at: int | slice) -> Reading | list[Reading]:
        if isinstance(at, slice):
            return list(self)[at]
        return Reading(Series(*self.address, *self.names.pairs[at]), self.time_ms, self.values[at])

    def __iter__(self) -> Iterator[Reading]:
        # Without a call of Python's for each: SQLite is given every one.
        keys = [(*self.address, resource, quantity) for resource, quantity in self.names.pairs]
        series = map(_new_series, repeat(Series), keys)
        rows = zip(series, repeat(self.time_ms), self.values, strict=False)
        return map(_new_reading, repeat(Reading), rows)


class Together(Sequence[Reading]):
    """The readings of several packs, one after the other."""

    __slots__ = ("_length", "parts")

    def __init__(self, parts: Iterable[Sequence[Reading]]) -> None:
        self.parts: Final = tuple(parts)
        self._length = sum(map(len, self.parts))

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Reading: ...

    @overload
    def __getitem__(self, at: slice) -> list[Reading]: ...

    def __getitem__(self, at: int | slice) -> Reading | list[Reading]:
        return list(self)[at]

    def __iter__(self) -> Iterator[Reading]:
        return chain.from_iterable(self.parts)


def parts_of(readings: Sequence[Reading], most: int) -> Iterator[Sequence[Reading]]:
    """Some readings in pieces: packs as they came, others no more than ``most`` at once."""
    if isinstance(readings, Together):
        for part in readings.parts:
            yield from parts_of(part, most)
    elif isinstance(readings, PackReadings):
        yield readings
    else:
        for start in range(0, len(readings), most):
            yield readings[start : start + most]
