"""Numbers in what devices answer, of which only those that a float can hold count."""

import math


def finite(value: object) -> float | None:
    """A number as a float; None for true and false, for no number, and for one that is too large.

    Texts are none: which texts are numbers, each source knows by its own device.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
