"""Units that devices use, in those of the catalogue: a profile or a configuration names one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from jauge_models.quantities import Unit

UNITS: Final[Mapping[str, tuple[Unit, float]]] = MappingProxyType(
    {
        **{str(unit): (unit, 1.0) for unit in Unit},
        "1": (Unit.RATIO, 1.0),
        "%": (Unit.RATIO, 0.01),
        "kW": (Unit.WATT, 1e3),
        "MW": (Unit.WATT, 1e6),
        "mW": (Unit.WATT, 1e-3),
        "Wh": (Unit.JOULE, 3600.0),
        "kWh": (Unit.JOULE, 3.6e6),
        "MWh": (Unit.JOULE, 3.6e9),
        "kJ": (Unit.JOULE, 1e3),
        "MJ": (Unit.JOULE, 1e6),
        "GJ": (Unit.JOULE, 1e9),
        "kVA": (Unit.VOLT_AMPERE, 1e3),
        "kvar": (Unit.VAR, 1e3),
        "mV": (Unit.VOLT, 1e-3),
        "kV": (Unit.VOLT, 1e3),
        "mA": (Unit.AMPERE, 1e-3),
        "m3/h": (Unit.CUBIC_METRE_PER_SECOND, 1 / 3600),
        "l/h": (Unit.CUBIC_METRE_PER_SECOND, 1e-3 / 3600),
        "l": (Unit.CUBIC_METRE, 1e-3),
        "L": (Unit.CUBIC_METRE, 1e-3),
        "min": (Unit.SECOND, 60.0),
        "h": (Unit.SECOND, 3600.0),
    }
)
"""By its name: the catalogue's unit of its kind, and how much of that it is."""
