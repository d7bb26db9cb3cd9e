"""Air at the intake: dew point, classes of equipment, time outside their ranges, RCI.

Temperatures are in °C, relative humidity in % from 0 to 100, durations in ms. Time outside is
counted in five bands that never overlap: with what was not measured they add up to the period.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from jauge_models.rules import RuleStatus

HOUR_MS: Final = 60 * 60 * 1000

DEW_POINT_SOURCE: Final = (
    "Magnus formula over water, coefficients 17.62 and 243.12 °C "
    "(WMO-No. 8, Guide to Instruments and Methods of Observation; found second-hand)"
)
RCI_SOURCE: Final = (
    "M. K. Herrlin, Rack Cooling Effectiveness in Data Centers and Telecom Central Offices: "
    "The Rack Cooling Index, ASHRAE Transactions 111 (2), 2005, DE-05-11-2"
)
RCI_STATUS: Final = RuleStatus.MEMORY
"""The paper's abstract was read; its formula is from memory."""


def dew_point(temperature: float, humidity: float) -> float:
    """The dew point by `DEW_POINT_SOURCE`. Raises ValueError unless 0 < humidity <= 100."""
    if not 0 < humidity <= 100:
        raise ValueError(f"relative humidity {humidity:g} % is not within 0 to 100 %")
    gamma = math.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * gamma / (17.62 - gamma)


class Humidity(msgspec.Struct, frozen=True):
    """Limits of humidity: between two dew points, and between two relative humidities."""

    dew_point_low: float
    dew_point_high: float
    relative_low: float
    relative_high: float


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What equipment is built for: a declared class, a written range, or a facility-water range.

    ``reference`` and ``status`` say where the numbers come from. While the status is not in force
    nothing is judged by them: the officer confirms the row by its source in the policy, or enters
    the manufacturer's written range. Humidity is None where the text at hand gives none.
    """

    name: str
    allowable: tuple[float, float]
    recommended: tuple[float, float]
    allowable_humidity: Humidity | None = None
    recommended_humidity: Humidity | None = None
    reference: str
    status: RuleStatus
    liquid: bool = False
    """Whether the temperatures are those of the facility water."""

    def __post_init__(self) -> None:
        if not self.allowable[0] < self.allowable[1]:
            raise ValueError(f"envelope {self.name}: the allowable range is empty")
        if not self.recommended[0] < self.recommended[1]:
            raise ValueError(f"envelope {self.name}: the recommended range is empty")


_TABLE_6: Final = "Commission Regulation (EU) 2019/424, Annex II, Table 6"
_RECOMMENDED: Final = Humidity(-9, 15, 0, 60)
RECOMMENDED_AIR: Final = (18.0, 27.0)
"""Recommended intake of classes A1 to A4, in °C."""


def _legal(name: str, low: float, high: float, dew_point_high: float, relative: float) -> Envelope:
    return Envelope(
        name=name,
        allowable=(low, high),
        recommended=RECOMMENDED_AIR,
        allowable_humidity=Humidity(-12, dew_point_high, 8, relative),
        recommended_humidity=_RECOMMENDED,
        reference=_TABLE_6,
        status=RuleStatus.IN_FORCE,
    )


CLASSES: Final = (
    _legal("A1", 15, 32, 17, 80),
    _legal("A2", 10, 35, 21, 80),
    _legal("A3", 5, 40, 24, 85),
    _legal("A4", 5, 45, 24, 90),
    Envelope(
        name="H1",
        allowable=(5, 25),
        recommended=(18, 22),
        allowable_humidity=Humidity(-12, 17, 8, 80),
        reference="ASHRAE TC 9.9, Thermal Guidelines, 5th edition (2021)",
        status=RuleStatus.MEMORY,
    ),
)
"""The declared classes. The limit of 60 % is the legal one; later ASHRAE editions differ."""


def written_range(
    name: str, low: float, high: float, *, reference: str, liquid: bool = False
) -> Envelope:
    """The manufacturer's written range of equipment without a class, or of its facility water.

    Air is recommended as for every class; facility water has no range within the range.
    """
    return Envelope(
        name=name,
        allowable=(low, high),
        recommended=(low, high) if liquid else RECOMMENDED_AIR,
        reference=reference,
        status=RuleStatus.IN_FORCE,
        liquid=liquid,
    )


class TimeInBands(msgspec.Struct, frozen=True, kw_only=True):
    """How long something was within, just outside and far outside ranges, over a period.

    ``above`` and ``below`` lie outside the recommended and inside the allowable range; ``beyond``
    and ``under`` outside both. A value on a limit is inside. ``envelope`` names the ranges used.
    What somebody attests says how long, not on which side: it stands in the two ``off`` bands.
    """

    envelope: str
    period_ms: int
    within_ms: int = 0
    above_ms: int = 0
    below_ms: int = 0
    beyond_ms: int = 0
    under_ms: int = 0
    off_recommended_ms: int = 0
    """Attested: outside the recommended and inside the allowable range, on a side not told."""
    off_allowable_ms: int = 0
    """Attested: outside both ranges, on a side not told."""

    @property
    def measured_ms(self) -> int:
        """Time measured, or observed by who attests it: all bands."""
        return self.allowable_ms + self.beyond_ms + self.under_ms + self.off_allowable_ms

    @property
    def unmeasured_ms(self) -> int:
        """The rest of the period."""
        return self.period_ms - self.measured_ms

    @property
    def allowable_ms(self) -> int:
        """Time within the allowable range."""
        return self.within_ms + self.above_ms + self.below_ms + self.off_recommended_ms

    def hours(self) -> dict[str, float]:
        """The five bands and what was not measured, in hours: their sum is the period's.

        Of measured time alone. Raises ValueError where attested time is part of it.
        """
        if self.off_recommended_ms or self.off_allowable_ms:
            raise ValueError("attested time has no five bands")
        return {
            "within": self.within_ms / HOUR_MS,
            "above": self.above_ms / HOUR_MS,
            "below": self.below_ms / HOUR_MS,
            "beyond": self.beyond_ms / HOUR_MS,
            "under": self.under_ms / HOUR_MS,
            "unmeasured": self.unmeasured_ms / HOUR_MS,
        }


def together(times: Iterable[TimeInBands]) -> TimeInBands | None:
    """Several sensors' times as one, in sensor time; None without any.

    Raises ValueError where they were judged by different envelopes.
    """
    parts = list(times)
    if not parts:
        return None
    names = {part.envelope for part in parts}
    if len(names) > 1:
        raise ValueError(f"times by different envelopes: {', '.join(sorted(names))}")
    return TimeInBands(
        envelope=parts[0].envelope,
        period_ms=sum(part.period_ms for part in parts),
        within_ms=sum(part.within_ms for part in parts),
        above_ms=sum(part.above_ms for part in parts),
        below_ms=sum(part.below_ms for part in parts),
        beyond_ms=sum(part.beyond_ms for part in parts),
        under_ms=sum(part.under_ms for part in parts),
        off_recommended_ms=sum(part.off_recommended_ms for part in parts),
        off_allowable_ms=sum(part.off_allowable_ms for part in parts),
    )


def attested_time(
    envelope: str, period_ms: int, *, observed_ms: int, allowable_ms: int, recommended_ms: int
) -> TimeInBands:
    """Time in ranges as somebody attests it. Raises ValueError for times that cannot be.

    They can where recommended ≤ allowable ≤ observed ≤ period.
    """
    if not 0 <= recommended_ms <= allowable_ms <= observed_ms <= period_ms:
        raise ValueError(
            f"{recommended_ms} ms recommended, {allowable_ms} ms allowable, {observed_ms} ms "
            f"observed within {period_ms} ms"
        )
    return TimeInBands(
        envelope=envelope,
        period_ms=period_ms,
        within_ms=recommended_ms,
        off_recommended_ms=allowable_ms - recommended_ms,
        off_allowable_ms=observed_ms - allowable_ms,
    )


def temperature_time(
    samples: Iterable[tuple[float, float]], envelope: Envelope, period_ms: int
) -> TimeInBands:
    """Time in bands from (duration in whole ms, mean temperature).

    Raises ValueError where the durations are longer than the period.
    """
    low, high = envelope.allowable
    cool, warm = envelope.recommended
    # Nearly every hour is such, of some hundred places and sensors and a year.
    inner_low, inner_high = max(low, cool), min(high, warm)
    within: float = 0
    above: float = 0
    below: float = 0
    beyond: float = 0
    under: float = 0
    for duration_ms, temperature in samples:
        if inner_low <= temperature <= inner_high:
            within += duration_ms
        elif temperature > high:
            beyond += duration_ms
        elif temperature < low:
            under += duration_ms
        elif temperature > warm:
            above += duration_ms
        elif temperature < cool:
            below += duration_ms
        else:
            within += duration_ms
    bands = _Bands(envelope.name, period_ms)
    bands.add("within", round(within))
    bands.add("above", round(above))
    bands.add("below", round(below))
    bands.add("beyond", round(beyond))
    bands.add("under", round(under))
    return bands.time()


def humidity_time(
    samples: Iterable[tuple[int, float, float]], envelope: Envelope, period_ms: int
) -> TimeInBands:
    """Time in bands from (duration in ms, temperature, relative humidity) of one place.

    Too humid is above, too dry below. Without recommended limits the allowable ones stand for
    both. Raises ValueError where the envelope has no humidity limits, where a humidity is
    impossible, or where the durations are longer than the period.
    """
    outer = envelope.allowable_humidity
    if outer is None:
        raise ValueError(f"envelope {envelope.name} has no limits of humidity")
    inner = envelope.recommended_humidity or outer
    bands = _Bands(envelope.name, period_ms)
    for duration_ms, temperature, relative in samples:
        point = dew_point(temperature, relative)
        if _is_humid(point, relative, outer):
            bands.add("beyond", duration_ms)
        elif _is_dry(point, relative, outer):
            bands.add("under", duration_ms)
        elif _is_humid(point, relative, inner):
            bands.add("above", duration_ms)
        elif _is_dry(point, relative, inner):
            bands.add("below", duration_ms)
        else:
            bands.add("within", duration_ms)
    return bands.time()


def _is_humid(point: float, relative: float, limits: Humidity) -> bool:
    return point > limits.dew_point_high or relative > limits.relative_high


def _is_dry(point: float, relative: float, limits: Humidity) -> bool:
    return point < limits.dew_point_low or relative < limits.relative_low


class _Bands:
    """Sums durations by band."""

    def __init__(self, envelope: str, period_ms: int) -> None:
        self._envelope, self._period_ms = envelope, period_ms
        self._sums = dict.fromkeys(("within", "above", "below", "beyond", "under"), 0)

    def add(self, band: str, duration_ms: int) -> None:
        self._sums[band] += duration_ms

    def time(self) -> TimeInBands:
        measured = sum(self._sums.values())
        if measured > self._period_ms or min(self._sums.values()) < 0:
            raise ValueError(f"{measured} ms measured within a period of {self._period_ms} ms")
        return TimeInBands(
            envelope=self._envelope,
            period_ms=self._period_ms,
            within_ms=self._sums["within"],
            above_ms=self._sums["above"],
            below_ms=self._sums["below"],
            beyond_ms=self._sums["beyond"],
            under_ms=self._sums["under"],
        )


class RackCooling(msgspec.Struct, frozen=True):
    """Rack Cooling Index in %, 100 where no intake leaves the recommended range; may be negative.

    None on a side on which the recommended range reaches the allowable one.
    """

    high: float | None
    low: float | None


def rack_cooling(samples: Iterable[tuple[int, float]], envelope: Envelope) -> RackCooling | None:
    """The index (`RCI_SOURCE`) from (duration in ms, temperature) of all intakes; None of nothing.

    Weighted by time, so that n intakes read once for the same time give the paper's index.
    """
    low, high = envelope.allowable
    cool, warm = envelope.recommended
    total_ms = 0
    over: list[float] = []
    short: list[float] = []
    for duration_ms, temperature in samples:
        total_ms += duration_ms
        over.append(max(0.0, temperature - warm) * duration_ms)
        short.append(max(0.0, cool - temperature) * duration_ms)
    if not total_ms:
        return None
    return RackCooling(
        _index(math.fsum(over), high - warm, total_ms),
        _index(math.fsum(short), cool - low, total_ms),
    )


def _index(excess: float, span: float, total_ms: int) -> float | None:
    return (1 - excess / (span * total_ms)) * 100 if span > 0 else None
