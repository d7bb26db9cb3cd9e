"""What a metric is: one entry of the catalogue of `metrics`."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from jauge_models.quantities import Stability


class MetricType(StrEnum):
    """As Prometheus knows them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Publisher(StrEnum):
    """Whose ``/metrics`` it is on."""

    COLLECTOR = "collector"
    AGENT = "agent"


class MetricUnit(StrEnum):
    """Units of metrics; `METRIC_UNIT_WORDS` is how names end."""

    COUNT = "count"
    STATE = "state"
    """1 where something holds; else 0, or no sample."""
    SECOND = "s"
    TIMESTAMP = "timestamp"
    """Seconds since the Unix epoch, UTC."""
    BYTE = "B"
    WATT = "W"
    AMPERE = "A"
    CELSIUS = "Cel"
    CUBIC_METRE_PER_SECOND = "m3/s"
    RATIO = "/"
    CUBIC_METRE_PER_MEGAWATT_HOUR = "m3/MWh"
    """The same number in litres per kilowatt hour."""
    KILOGRAM_PER_KILOWATT_HOUR = "kgCO2e/kWh"


METRIC_UNIT_WORDS: Final[Mapping[MetricUnit, str]] = MappingProxyType(
    {
        MetricUnit.COUNT: "",
        MetricUnit.STATE: "",
        MetricUnit.SECOND: "seconds",
        MetricUnit.TIMESTAMP: "seconds",
        MetricUnit.BYTE: "bytes",
        MetricUnit.WATT: "watts",
        MetricUnit.AMPERE: "amperes",
        MetricUnit.CELSIUS: "celsius",
        MetricUnit.CUBIC_METRE_PER_SECOND: "cubic_metres_per_second",
        MetricUnit.RATIO: "ratio",
        MetricUnit.CUBIC_METRE_PER_MEGAWATT_HOUR: "cubic_metres_per_megawatt_hour",
        MetricUnit.KILOGRAM_PER_KILOWATT_HOUR: "kilograms_per_kilowatt_hour",
    }
)


class Metric(NamedTuple):
    """One entry of the catalogue.

    ``labels`` are on each sample, ``optional`` on some; a label that a sample lacks is empty in
    a query. With ``open_labels`` what births say of a resource (room, rack, …) stands beside them.
    """

    name: str
    """As it is published: a counter with ``_total``, a histogram without ``_bucket``."""
    type: MetricType
    unit: MetricUnit
    labels: tuple[str, ...]
    help: str
    publisher: Publisher = Publisher.COLLECTOR
    optional: tuple[str, ...] = ()
    open_labels: bool = False
    stability: Stability = Stability.BETA

    @property
    def series(self) -> tuple[str, ...]:
        """Names that a query may use."""
        if self.type is MetricType.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)

    @property
    def family(self) -> str:
        """The name without ``_total``, as clients of Prometheus name a counter."""
        return self.name.removesuffix("_total")
