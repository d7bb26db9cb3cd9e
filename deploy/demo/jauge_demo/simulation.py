"""A simulated data centre: physically sensible, deterministic, and nobody's real site.

One hall with two UPS, chillers with free cooling and adiabatic heat rejection, an office behind
the same incomer. Every figure is a choice made for the demonstration, in the range that textbooks
give; docs/demo.md explains the model. All functions are pure: the same moment gives the same
plant, so that history and live values join without a seam.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

STEP_MS: Final = 15 * 60 * 1000
"""Registers advance at a constant rate within one step, so that they never run backwards."""

IT_DESIGN_W: Final = 260_000.0
UPS_RATED_W: Final = 200_000.0
"""Rated output of each of the two UPS."""
LATENT_HEAT_J_PER_KG: Final = 2.45e6
BLEED_SHARE: Final = 0.35
"""Water bled off to limit salts, over water evaporated."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Outdoor air: dry bulb and wet bulb in Cel."""

    dry_bulb: float
    wet_bulb: float


@dataclass(frozen=True, slots=True)
class Plant:
    """The site at one moment: powers in W, water in m3/s, temperatures in Cel, humidity in %RH."""

    weather: Weather
    it_a: float
    it_b: float
    ups_loss: float
    chiller: float
    fans_and_pumps: float
    lighting: float
    offices: float
    water: float
    supply_air: float
    inlets: tuple[float, float, float]
    humidity: float

    @property
    def it(self) -> float:
        """Power at the output of both UPS."""
        return self.it_a + self.it_b

    @property
    def cooling(self) -> float:
        """Power of chillers, fans and pumps."""
        return self.chiller + self.fans_and_pumps

    @property
    def incomer(self) -> float:
        """Power at the building's incomer, offices included."""
        return self.it + self.ups_loss + self.cooling + self.lighting + self.offices


@lru_cache(maxsize=4096)
def _noise_at(seed: int, index: int) -> float:
    """A fixed pseudo-random number in [-1, 1] for each (seed, index)."""
    x = (index * 0x9E3779B97F4A7C15 + seed * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return ((x ^ (x >> 31)) / 2**63) - 1.0


def drift(seed: int, time_ms: int, scale_ms: int) -> float:
    """Smooth noise in [-1, 1] that wanders over ``scale_ms``."""
    index, rest = divmod(time_ms, scale_ms)
    share = rest / scale_ms
    ease = share * share * (3 - 2 * share)
    return _noise_at(seed, index) * (1 - ease) + _noise_at(seed, index + 1) * ease


HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


def weather_at(time_ms: int) -> Weather:
    """An oceanic climate: mean 12 Cel, warmest in late July, some degrees between night and day."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    day = moment.timetuple().tm_yday
    hour = moment.hour + moment.minute / 60
    season = math.cos(2 * math.pi * (day - 205) / 365.25)
    daily = math.cos(2 * math.pi * (hour - 14) / 24)
    dry = (
        12.0
        + 8.0 * season
        + (3.0 + 1.5 * season) * daily
        + 4.0 * drift(1, time_ms, 5 * DAY_MS)
        + 1.5 * drift(2, time_ms, 6 * HOUR_MS)
    )
    humidity = min(
        98.0, max(25.0, 76 - 9 * season - 12 * daily + 12 * drift(3, time_ms, 2 * DAY_MS))
    )
    return Weather(dry, _wet_bulb(dry, humidity))


def _wet_bulb(dry: float, humidity: float) -> float:
    """Stull's fit (2011) of the wet-bulb temperature at sea level, from Cel and %RH."""
    return (
        dry * math.atan(0.151977 * math.sqrt(humidity + 8.313659))
        + math.atan(dry + humidity)
        - math.atan(humidity - 1.676331)
        + 0.00391838 * math.pow(humidity, 1.5) * math.atan(0.023101 * humidity)
        - 4.686035
    )


def it_load_at(time_ms: int) -> float:
    """IT power in W: a steady base, office hours on weekdays, nightly batches, slow growth."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    hour = moment.hour + moment.minute / 60
    weekday = moment.weekday() < 5
    office = max(0.0, math.sin(math.pi * (hour - 6) / 13)) if 6 <= hour <= 19 else 0.0
    nightly = math.exp(-(((hour - 2.5) / 1.2) ** 2))
    share = (
        0.47
        + (0.13 if weekday else 0.03) * office
        + 0.05 * nightly
        + 0.02 * drift(4, time_ms, 3 * DAY_MS)
        + 0.01 * drift(5, time_ms, HOUR_MS)
        + 0.006 * drift(6, time_ms, 60_000)
    )
    return IT_DESIGN_W * share


def _ups_loss(load_w: float) -> float:
    """Losses of one double-conversion UPS: fixed, proportional and quadratic in its load."""
    share = load_w / UPS_RATED_W
    return UPS_RATED_W * (0.014 + 0.018 * share + 0.016 * share * share)


def plant_at(time_ms: int) -> Plant:
    """The whole site at one moment."""
    weather = weather_at(time_ms)
    it = it_load_at(time_ms)
    split = 0.52 + 0.01 * drift(7, time_ms, DAY_MS)
    it_a, it_b = it * split, it * (1 - split)
    ups_loss = _ups_loss(it_a) + _ups_loss(it_b)
    lighting = 2_200.0
    heat = it + ups_loss + lighting

    load = heat / (IT_DESIGN_W * 1.1)
    fans_and_pumps = 9_000.0 + 22_000.0 * load**2.2
    heat += 0.6 * fans_and_pumps

    mechanical = _mechanical_share(weather)
    lift = max(0.0, weather.wet_bulb + 6 - 14)
    chiller = heat * mechanical / max(3.5, 8.5 - 0.16 * lift)
    evaporating = max(0.0, min(1.0, (weather.dry_bulb - 14.0) / 8.0))
    rejected = heat + chiller
    evaporated_kg = rejected * evaporating * 0.85 / LATENT_HEAT_J_PER_KG
    water = evaporated_kg * (1 + BLEED_SHARE) / 1000

    supply = 20.5 + 1.8 * mechanical + 0.25 * drift(8, time_ms, HOUR_MS)
    inlets = (
        supply + 0.8 + 0.3 * drift(9, time_ms, HOUR_MS),
        supply + 1.6 + 0.4 * drift(10, time_ms, HOUR_MS),
        supply + 3.1 + 2.2 * load + 0.5 * drift(11, time_ms, HOUR_MS),
    )
    return Plant(
        weather=weather,
        it_a=it_a,
        it_b=it_b,
        ups_loss=ups_loss,
        chiller=chiller,
        fans_and_pumps=fans_and_pumps,
        lighting=lighting,
        offices=_offices(time_ms, weather),
        water=water,
        supply_air=supply,
        inlets=inlets,
        humidity=min(70.0, max(28.0, 46 + 8 * drift(12, time_ms, DAY_MS))),
    )


def _mechanical_share(weather: Weather) -> float:
    """Share of the heat that the chillers take: none below 12 Cel wet bulb, all above 20."""
    return max(0.0, min(1.0, (weather.wet_bulb - 12.0) / 8.0))


def _offices(time_ms: int, weather: Weather) -> float:
    """The offices behind the incomer: they are not the data centre's, and are deducted."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    working = moment.weekday() < 5 and 7 <= moment.hour < 18
    heating = max(0.0, 16.0 - weather.dry_bulb) * 220.0
    return 1_500.0 + (4_500.0 + heating if working else 0.3 * heating)
