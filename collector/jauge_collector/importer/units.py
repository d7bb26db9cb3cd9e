"""Units of files: how each converts into the catalogue's base unit."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from jauge_models.quantities import Kind, Quantity, Unit


class Conversion(NamedTuple):
    """``base = value × scale + offset``."""

    scale: float
    offset: float = 0.0


_POWER: Final = {"W": 1.0, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "GW": 1e9}

_SCALES: Final[Mapping[Unit, Mapping[str, float]]] = {
    Unit.WATT: _POWER,
    Unit.JOULE: {
        "J": 1.0,
        "kJ": 1e3,
        "MJ": 1e6,
        "GJ": 1e9,
        "Wh": 3.6e3,
        "kWh": 3.6e6,
        "MWh": 3.6e9,
        "GWh": 3.6e12,
    },
    Unit.VOLT_AMPERE: {"VA": 1.0, "kVA": 1e3, "MVA": 1e6},
    Unit.VAR: {"var": 1.0, "kvar": 1e3, "Mvar": 1e6},
    Unit.VOLT: {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    Unit.AMPERE: {"A": 1.0, "mA": 1e-3, "kA": 1e3},
    Unit.HERTZ: {
        "Hz": 1.0,
        "kHz": 1e3,
        "MHz": 1e6,
        "GHz": 1e9,
        "rpm": 1 / 60,
        "1/min": 1 / 60,
    },
    Unit.CELSIUS: {"Cel": 1.0, "degC": 1.0, "°C": 1.0},
    Unit.RELATIVE_HUMIDITY: {"%RH": 1.0, "%": 1.0, "/": 100.0},
    Unit.CUBIC_METRE: {"m3": 1.0, "m³": 1.0, "hL": 0.1, "L": 1e-3, "l": 1e-3, "mL": 1e-6},
    Unit.RATIO: {"/": 1.0, "1": 1.0, "%": 0.01},
    Unit.BYTE: {
        "B": 1.0,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
    },
    Unit.SECOND: {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
    Unit.COUNT: {"count": 1.0, "1": 1.0},
}

_SHIFTED: Final[Mapping[Unit, Mapping[str, Conversion]]] = {
    Unit.CELSIUS: {
        "degF": Conversion(5 / 9, -160 / 9),
        "°F": Conversion(5 / 9, -160 / 9),
        "K": Conversion(1.0, -273.15),
    },
}

_RATES: Final[Mapping[Unit, Mapping[str, float]]] = {
    Unit.JOULE: _POWER,
    Unit.CUBIC_METRE: {
        "m3/s": 1.0,
        "m3/h": 1 / 3600,
        "L/s": 1e-3,
        "L/min": 1e-3 / 60,
        "L/h": 1e-3 / 3600,
    },
}
"""Rates per second whose mean over a period, times the period, is that period's amount."""


def conversion(quantity: Quantity, unit: str, *, mean_over_s: float | None = None) -> Conversion:
    """How values in ``unit`` become the quantity's base unit.

    With ``mean_over_s`` the values are mean rates (W, m3/h) over that many seconds and become
    amounts. Raises ValueError, naming what would fit.
    """
    if mean_over_s is None:
        known = {name: Conversion(scale) for name, scale in _SCALES[quantity.unit].items()}
        known |= _SHIFTED.get(quantity.unit, {})
        if unit in known:
            return known[unit]
        rate = quantity.kind is Kind.AMOUNT and unit in _RATES.get(quantity.unit, {})
        hint = ", or say mean = true if it is the period's mean" if rate else ""
        raise ValueError(f"{unit!r} does not fit {quantity.name}; use {', '.join(known)}{hint}")
    rates = _RATES.get(quantity.unit, {}) if quantity.kind is Kind.AMOUNT else {}
    if not rates:
        raise ValueError(f"a mean does not become {quantity.name}; name an amount, or drop 'mean'")
    if unit not in rates:
        raise ValueError(f"{unit!r} is no mean for {quantity.name}; use {', '.join(rates)}")
    return Conversion(rates[unit] * mean_over_s)
