"""Rounding for tables whose lines and columns a reader adds up: what is shown adds up as shown."""

from collections.abc import Sequence
from math import floor, fsum


def adding_up(values: Sequence[float], decimals: int) -> list[float]:
    """Each value with so many decimals, so that they add up to their sum with as many.

    The largest remainders are rounded up (Hamilton's method): no value moves by a whole unit of
    the last decimal. Of equal remainders the first is taken, so that the result is the same at
    every call.
    """
    size = 10**decimals
    whole = [floor(value * size) for value in values]
    missing = round(fsum(values) * size) - sum(whole)
    ranked = sorted(range(len(values)), key=lambda at: whole[at] - values[at] * size)
    for at in ranked[:missing]:
        whole[at] += 1
    return [units / size for units in whole]
