"""Words and codes in which devices tell a state, and the number that each is worth."""

from collections.abc import Mapping

from jauge_models.quantities import CATALOGUE, Kind


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
