"""The catalogue of quantities: what can be measured, in which unit, within which range.

Everything that names a quantity is derived from here: validation of what arrives, the series
names in the store, ``docs/quantities.md`` and the names that dashboards and rules may query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Unit(StrEnum):
    """Units on the wire and in the store: primary SenML units (RFC 8428, RFC 8798)."""

    WATT = "W"
    JOULE = "J"
    VOLT_AMPERE = "VA"
    VAR = "var"
    VOLT = "V"
    AMPERE = "A"
    HERTZ = "Hz"
    CELSIUS = "Cel"
    RELATIVE_HUMIDITY = "%RH"
    CUBIC_METRE = "m3"
    CUBIC_METRE_PER_SECOND = "m3/s"
    RATIO = "/"
    BYTE = "B"
    SECOND = "s"
    COUNT = "count"


UNIT_WORDS: Final[Mapping[Unit, str]] = MappingProxyType(
    {
        Unit.WATT: "watts",
        Unit.JOULE: "joules",
        Unit.VOLT_AMPERE: "volt_amperes",
        Unit.VAR: "vars",
        Unit.VOLT: "volts",
        Unit.AMPERE: "amperes",
        Unit.HERTZ: "hertz",
        Unit.CELSIUS: "celsius",
        Unit.RELATIVE_HUMIDITY: "percent",
        Unit.CUBIC_METRE: "cubic_metres",
        Unit.CUBIC_METRE_PER_SECOND: "cubic_metres_per_second",
        Unit.RATIO: "ratio",
        Unit.BYTE: "bytes",
        Unit.SECOND: "seconds",
        Unit.COUNT: "count",
    }
)
"""The word Prometheus' naming practice puts at the end of a series name for each unit."""


class Kind(StrEnum):
    """How values of a quantity behave over time."""

    GAUGE = "gauge"
    """A value that holds at its time stamp."""
    COUNTER = "counter"
    """A running total that only grows, but for wraps, resets and replacements."""
    AMOUNT = "amount"
    """The total over one period that *ends* at the time stamp; the period is the meter's."""


class Stability(StrEnum):
    """What a user may rely on: a beta name may still change, a stable one may not."""

    BETA = "beta"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One entry of the catalogue.

    ``low`` and ``high`` bound, both included, what is accepted; they are plausibility limits of
    one resource, wide enough for a whole site. What flows has one direction: what flows back is
    another resource, deducted by the equations, so that no sentinel passes as an amount.
    ``decimals`` is the rounding that the agent applies before it sends: longer floats come back
    from the store changed in the last digit.
    """

    name: str
    kind: Kind
    unit: Unit
    low: float
    high: float
    decimals: int
    description: str
    stability: Stability = Stability.STABLE

    @property
    def field(self) -> str:
        """Series name without the prefix, e.g. ``power_watts``, ``energy_joules_total``."""
        word = UNIT_WORDS[self.unit]
        stem = self.name if self.name.endswith(word) else f"{self.name}_{word}"
        return f"{stem}_total" if self.kind is Kind.COUNTER else stem

    @property
    def series_name(self) -> str:
        """Name of the series in the store, e.g. ``jauge_power_watts``."""
        return f"{SERIES_PREFIX}_{self.field}"


SERIES_PREFIX: Final = "jauge"

_MAX_POWER: Final = 1e9
_MAX_TOTAL: Final = 1e18

_ENTRIES: Final = (
    Quantity(
        "power",
        Kind.GAUGE,
        Unit.WATT,
        0,
        _MAX_POWER,
        3,
        "Active power drawn; what flows back is a resource of its own.",
    ),
    Quantity(
        "energy",
        Kind.COUNTER,
        Unit.JOULE,
        0,
        _MAX_TOTAL,
        3,
        "Active energy, running total of a register or device counter.",
    ),
    Quantity(
        "energy_amount",
        Kind.AMOUNT,
        Unit.JOULE,
        0,
        _MAX_TOTAL,
        3,
        "Active energy of the period that ends at the time stamp.",
    ),
    Quantity("apparent_power", Kind.GAUGE, Unit.VOLT_AMPERE, 0, _MAX_POWER, 3, "Apparent power."),
    Quantity(
        "reactive_power",
        Kind.GAUGE,
        Unit.VAR,
        -_MAX_POWER,
        _MAX_POWER,
        3,
        "Reactive power; positive when inductive.",
    ),
    Quantity("power_factor", Kind.GAUGE, Unit.RATIO, -1, 1, 4, "Active over apparent power."),
    Quantity("voltage", Kind.GAUGE, Unit.VOLT, -1e6, 1e6, 3, "Voltage."),
    Quantity("current", Kind.GAUGE, Unit.AMPERE, -1e6, 1e6, 3, "Current."),
    Quantity(
        "frequency",
        Kind.GAUGE,
        Unit.HERTZ,
        0,
        1e12,
        3,
        "Frequency: of the mains, or of a clock where the resource is a processor.",
    ),
    Quantity(
        "water",
        Kind.COUNTER,
        Unit.CUBIC_METRE,
        0,
        1e12,
        6,
        "Water volume, running total of a register.",
    ),
    Quantity(
        "water_amount",
        Kind.AMOUNT,
        Unit.CUBIC_METRE,
        0,
        1e9,
        9,
        "Water volume of the period that ends at the time stamp.",
    ),
    Quantity(
        "heat",
        Kind.COUNTER,
        Unit.JOULE,
        0,
        _MAX_TOTAL,
        3,
        "Thermal energy, running total of a heat meter.",
    ),
    Quantity(
        "heat_amount",
        Kind.AMOUNT,
        Unit.JOULE,
        0,
        _MAX_TOTAL,
        3,
        "Thermal energy of the period that ends at the time stamp.",
    ),
    Quantity(
        "fuel",
        Kind.COUNTER,
        Unit.CUBIC_METRE,
        0,
        1e12,
        6,
        "Fuel volume, running total of a register.",
    ),
    Quantity(
        "fuel_amount",
        Kind.AMOUNT,
        Unit.CUBIC_METRE,
        0,
        1e9,
        9,
        "Fuel volume of the period that ends at the time stamp.",
    ),
    Quantity(
        "temperature",
        Kind.GAUGE,
        Unit.CELSIUS,
        -60,
        200,
        2,
        "Temperature; where it was taken is the resource.",
    ),
    Quantity("humidity", Kind.GAUGE, Unit.RELATIVE_HUMIDITY, 0, 100, 2, "Relative humidity."),
    Quantity(
        "fan_speed", Kind.GAUGE, Unit.HERTZ, 0, 1000, 3, "Fan rotation, revolutions per second."
    ),
    Quantity("charge", Kind.GAUGE, Unit.RATIO, 0, 1, 4, "State of charge of a battery or UPS."),
    Quantity(
        "runtime",
        Kind.GAUGE,
        Unit.SECOND,
        0,
        1e7,
        0,
        "Time that a battery would last, as its device estimates it.",
        Stability.BETA,
    ),
    Quantity(
        "on_battery",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        0,
        "1 while a UPS feeds its load from its battery, as it says itself.",
        Stability.BETA,
    ),
    Quantity(
        "load",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        2,
        4,
        "Output over rated output; more than 1 is overload.",
        Stability.BETA,
    ),
    Quantity(
        "thermal_power",
        Kind.GAUGE,
        Unit.WATT,
        0,
        _MAX_POWER,
        3,
        "Heat carried away, as a heat meter or cooling unit measures it.",
        Stability.BETA,
    ),
    Quantity(
        "flow",
        Kind.GAUGE,
        Unit.CUBIC_METRE_PER_SECOND,
        0,
        1e4,
        6,
        "Volume of a liquid or of air that flows.",
        Stability.BETA,
    ),
    Quantity(
        "evaporative_cooling",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        4,
        "Part of a cooler's evaporation that is on: 0 while it runs dry, 1 while all of it is wet.",
        Stability.BETA,
    ),
    Quantity(
        "cpu_utilisation",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        4,
        "Share of processor time not idle since the previous tick.",
    ),
    Quantity(
        "gpu_utilisation",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        4,
        "Share of a GPU at work; its label `utilisation` tells by which measure.",
        Stability.BETA,
    ),
    Quantity(
        "throttled",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        0,
        "1 while a processor's clock is held down by heat, power or its partners.",
        Stability.BETA,
    ),
    Quantity(
        "throttled_by_power",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        0,
        "1 while a processor's clock is held down by its power limit.",
        Stability.BETA,
    ),
    Quantity(
        "throttled_by_heat",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        0,
        "1 while a processor's clock is held down by its temperature.",
        Stability.BETA,
    ),
    Quantity(
        "cpu_time",
        Kind.COUNTER,
        Unit.SECOND,
        0,
        _MAX_TOTAL,
        3,
        "Processor time not idle, summed over logical processors.",
    ),
    Quantity(
        "load_average", Kind.GAUGE, Unit.COUNT, 0, 1e6, 2, "Runnable processes, one-minute average."
    ),
    Quantity(
        "memory_used",
        Kind.GAUGE,
        Unit.BYTE,
        0,
        1e16,
        0,
        "Memory that is not available for new work.",
    ),
    Quantity(
        "memory_utilisation", Kind.GAUGE, Unit.RATIO, 0, 1, 4, "Memory used over memory installed."
    ),
    Quantity("disk_read", Kind.COUNTER, Unit.BYTE, 0, _MAX_TOTAL, 0, "Bytes read from disks."),
    Quantity("disk_written", Kind.COUNTER, Unit.BYTE, 0, _MAX_TOTAL, 0, "Bytes written to disks."),
    Quantity(
        "network_received",
        Kind.COUNTER,
        Unit.BYTE,
        0,
        _MAX_TOTAL,
        0,
        "Bytes received, loopback left out.",
    ),
    Quantity(
        "network_sent", Kind.COUNTER, Unit.BYTE, 0, _MAX_TOTAL, 0, "Bytes sent, loopback left out."
    ),
    Quantity(
        "processors",
        Kind.GAUGE,
        Unit.COUNT,
        0,
        1e6,
        2,
        "Logical processors that a machine has, or that a guest was given.",
        Stability.BETA,
    ),
    Quantity(
        "memory_size",
        Kind.GAUGE,
        Unit.BYTE,
        0,
        1e16,
        0,
        "Memory that a machine has, or that a guest was given.",
        Stability.BETA,
    ),
    Quantity(
        "runs_on",
        Kind.GAUGE,
        Unit.COUNT,
        0,
        2**48 - 1,
        0,
        "What a guest runs on, or which guest holds a GPU: 48 bits of the SHA-256 of its name.",
        Stability.BETA,
    ),
    Quantity(
        "share",
        Kind.GAUGE,
        Unit.RATIO,
        0,
        1,
        4,
        "Part of a GPU that an instance of it, or the guest that holds one, was given.",
        Stability.BETA,
    ),
    Quantity("uptime", Kind.GAUGE, Unit.SECOND, 0, 1e12, 0, "Time since the system started."),
)

CATALOGUE: Final[Mapping[str, Quantity]] = MappingProxyType({q.name: q for q in _ENTRIES})
"""Every quantity by its wire name."""


def render_table() -> str:
    """The catalogue as the Markdown page ``docs/quantities.md``."""
    rows = [
        "# Quantities",
        "",
        "Generated from the catalogue in `models/jauge_models/quantities.py`; do not edit.",
        "",
        "A resource reports a quantity as `<resource>/<quantity>` on the wire. The store names it",
        "as the column *series* says, with the labels `site`, `agent`, `kind` and `resource`.",
        "",
        "| quantity | kind | unit | accepted | decimals | series | stability | what it is |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| `{q.name}` | {q.kind} | {q.unit} | {q.low:g} to {q.high:g} | {q.decimals} "
        f"| `{q.series_name}` | {q.stability} | {q.description} |"
        for q in CATALOGUE.values()
    ]
    return "\n".join(rows) + "\n"
