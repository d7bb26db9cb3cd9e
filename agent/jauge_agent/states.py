"""Words and codes in which devices tell a state, and the number that each is worth."""

from collections.abc import Mapping
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind

_COARSEST: Final = 0.01
"""What rounding to the catalogue's decimals may change: a third may be told as 0.3333."""


def check_states(quantity: str, states: Mapping[str, float]) -> None:
    """Raises ValueError for states of a quantity that has none, or worth what it cannot be."""
    entry = CATALOGUE.get(quantity)
    if entry is None or not states:
        return
    if entry.kind is not Kind.GAUGE:
        raise ValueError(f"states must be left out: {quantity} is no gauge")
    for told, value in states.items():
        if not entry.low <= value <= entry.high:
            raise ValueError(
                f"states: {told} is worth {value:g}, {quantity} is {entry.low:g} to {entry.high:g}"
            )
        rounded = round(value, entry.decimals)
        if abs(rounded - value) > _COARSEST * abs(value):
            raise ValueError(
                f"states: {told} is worth {value:g}, of which {quantity} would tell {rounded:g}"
            )
