"""Air at the intake: dew point, bands and the index, each against numbers worked by hand."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.compliance.psychrometrics import (
    CLASSES,
    HOUR_MS,
    Humidity,
    TimeInBands,
    attested_time,
    dew_point,
    humidity_time,
    rack_cooling,
    temperature_time,
    together,
    written_range,
)

A1, A2 = CLASSES[0], CLASSES[1]
SAMPLES = st.lists(
    st.tuples(st.integers(0, 3 * HOUR_MS), st.floats(-30, 70, allow_nan=False)), max_size=30
)


@pytest.mark.parametrize(
    ("temperature", "humidity", "expected"),
    [
        (20.0, 100.0, 20.0),
        (-5.0, 100.0, -5.0),
        # ln 0.5 + 17.62 × 20 / 263.12 = 0.646175; 243.12 × 0.646175 / 16.973825 = 9.2553.
        (20.0, 50.0, 9.2553),
        # ln 0.6 + 17.62 × 27 / 270.12 = 1.250402; 243.12 × 1.250402 / 16.369598 = 18.5709.
        (27.0, 60.0, 18.5709),
    ],
)
def test_dew_point(temperature: float, humidity: float, expected: float) -> None:
    """Saturated air dews at its own temperature; two values worked by hand."""
    assert dew_point(temperature, humidity) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("humidity", [0.0, -1.0, 100.1, math.nan])
def test_an_impossible_humidity_has_no_dew_point(humidity: float) -> None:
    """Dry air and more than saturated air are refused."""
    with pytest.raises(ValueError, match="not within"):
        dew_point(20, humidity)


@settings(max_examples=60, deadline=None)
@given(st.floats(-20, 50), st.floats(1, 100))
def test_the_dew_point_is_at_most_the_temperature(temperature: float, humidity: float) -> None:
    """And drier air dews later."""
    point = dew_point(temperature, humidity)
    assert point <= temperature + 1e-9
    assert dew_point(temperature, humidity / 2) < point


def test_bands_by_class_a2_at_the_limits() -> None:
    """10, 18, 27 and 35 °C are inside what they limit."""
    samples = [(HOUR_MS, value) for value in (9.9, 10, 17.9, 18, 22, 27, 27.1, 35, 35.1)]
    time = temperature_time(samples, A2, 10 * HOUR_MS)
    assert time.hours() == {
        "within": 3,
        "above": 2,
        "below": 2,
        "beyond": 1,
        "under": 1,
        "unmeasured": 1,
    }
    assert (time.allowable_ms, time.unmeasured_ms) == (7 * HOUR_MS, HOUR_MS)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.integers(0, 1000))
def test_bands_add_up_to_the_period(samples: list[tuple[int, float]], more: int) -> None:
    """In ms exactly, and measured time is what was handed in."""
    measured = sum(duration for duration, _ in samples)
    time = temperature_time(samples, A2, measured + more)
    assert time.measured_ms == measured
    assert time.measured_ms + time.unmeasured_ms == time.period_ms
    assert math.isclose(sum(time.hours().values()), time.period_ms / HOUR_MS)


def test_of_a_period_alone_nothing_is_measured() -> None:
    """No band holds time by default; 3.6 million ms are one hour."""
    assert TimeInBands(envelope="A2", period_ms=3_600_000).hours()["unmeasured"] == 1
    assert TimeInBands(envelope="A2", period_ms=HOUR_MS).measured_ms == 0


def test_a_humidity_on_a_limit_is_inside() -> None:
    """Saturated at a limit of the dew point, and on both limits of the relative humidity."""
    limits = Humidity(10, 20, 40, 100)
    envelope = msgspec.structs.replace(A1, allowable_humidity=limits, recommended_humidity=None)
    inside = [(1, 10.0, 100.0), (1, 20.0, 100.0), (1, 30.0, 40.0)]
    assert humidity_time(inside, envelope, 3).within_ms == 3


def test_more_time_than_the_period_has_is_refused() -> None:
    """An hour too much, and a negative duration."""
    with pytest.raises(ValueError, match="within a period"):
        temperature_time([(2 * HOUR_MS, 20.0)], A2, HOUR_MS)
    with pytest.raises(ValueError, match="within a period"):
        temperature_time([(-1, 20.0)], A2, HOUR_MS)


def test_humidity_bands_by_class_a1() -> None:
    """The dew point by the formula stands beside each sample."""
    samples = [
        (HOUR_MS, 25.0, 50.0),  # dew point 13.9: within
        (HOUR_MS, 25.0, 60.0),  # 16.7, above 15 and up to 17: above
        (HOUR_MS, 20.0, 65.0),  # 13.2, and above 60 %: above
        (HOUR_MS, 25.0, 65.0),  # 18.0, above 17: beyond
        (HOUR_MS, 15.0, 81.0),  # above 80 %: beyond
        (HOUR_MS, 18.0, 13.0),  # -11.0, below -9: below
        (HOUR_MS, 25.0, 7.9),  # below 8 %: under
        (HOUR_MS, 15.0, 13.0),  # -13.4, below -12: under
    ]
    time = humidity_time(samples, A1, 8 * HOUR_MS)
    assert time.hours() == {
        "within": 1,
        "above": 2,
        "below": 1,
        "beyond": 2,
        "under": 2,
        "unmeasured": 0,
    }


def test_without_recommended_limits_the_allowable_stand_for_both() -> None:
    """Nothing is above or below; without any limits there is nothing to judge."""
    outer = msgspec.structs.replace(A1, recommended_humidity=None)
    assert humidity_time([(HOUR_MS, 25.0, 60.0)], outer, HOUR_MS).within_ms == HOUR_MS
    bare = written_range("x", 10, 20, reference="sheet")
    with pytest.raises(ValueError, match="no limits of humidity"):
        humidity_time([], bare, HOUR_MS)


def test_times_of_several_sensors_add_up() -> None:
    """Two sensors over one hour are two sensor hours; of two envelopes there is no sum."""
    one = temperature_time([(HOUR_MS, 20.0)], A2, HOUR_MS)
    two = temperature_time([(HOUR_MS, 30.0)], A2, HOUR_MS)
    total = together([one, two])
    assert total is not None
    assert (total.period_ms, total.within_ms, total.above_ms) == (2 * HOUR_MS, HOUR_MS, HOUR_MS)
    assert together([]) is None
    with pytest.raises(ValueError, match="A1, A2"):
        together([one, temperature_time([], A1, HOUR_MS)])


def test_rack_cooling_by_class_a2() -> None:
    """Four intakes: 31, 27, 18 and 14 °C. (1 - 4/(8 × 4)) × 100 = 87.5 on either side."""
    index = rack_cooling([(1, 31.0), (1, 27.0), (1, 18.0), (1, 14.0)], A2)
    assert index is not None
    assert (index.high, index.low) == (87.5, 87.5)


def test_rack_cooling_is_weighted_by_time() -> None:
    """31 °C for a quarter of the time: (1 - 4 × 0.25 / 8) × 100 = 87.5."""
    index = rack_cooling([(HOUR_MS, 31.0), (3 * HOUR_MS, 20.0)], A2)
    assert index is not None
    assert (index.high, index.low) == (87.5, 100.0)


def test_rack_cooling_of_nothing_and_of_a_range_without_a_margin() -> None:
    """No time, no index; a recommended range as wide as the allowable has none either."""
    assert rack_cooling([], A2) is None
    water = written_range("w", 17, 45, reference="sheet", liquid=True)
    index = rack_cooling([(1, 50.0)], water)
    assert index is not None
    assert (index.high, index.low) == (None, None)


@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_the_index_is_100_where_no_intake_leaves_the_range(
    samples: list[tuple[int, float]],
) -> None:
    """And below it where one does, for some time."""
    index = rack_cooling(samples, A2)
    if index is not None and index.high is not None:
        hot = any(duration and temperature > 27 for duration, temperature in samples)
        assert (index.high < 100) == hot or index.high == pytest.approx(100)
        assert index.high <= 100


def test_an_empty_range_is_refused() -> None:
    """A range ends above where it begins."""
    with pytest.raises(ValueError, match="allowable range is empty"):
        written_range("x", 30, 30, reference="sheet", liquid=True)
    with pytest.raises(ValueError, match="recommended range is empty"):
        msgspec.structs.replace(A2, recommended=(20.0, 20.0))
    assert A2.allowable_humidity == Humidity(-12, 21, 8, 80)


def test_attested_time_says_no_side() -> None:
    """700 of 740 allowable hours recommended, 4 of 744 outside; they are in no band of a side."""
    hours = dict.fromkeys(("observed_ms", "allowable_ms", "recommended_ms"), 0)
    told = attested_time(
        "A2",
        744 * HOUR_MS,
        observed_ms=744 * HOUR_MS,
        allowable_ms=740 * HOUR_MS,
        recommended_ms=700 * HOUR_MS,
    )
    assert (told.within_ms, told.above_ms, told.below_ms) == (700 * HOUR_MS, 0, 0)
    assert (told.off_recommended_ms, told.off_allowable_ms) == (40 * HOUR_MS, 4 * HOUR_MS)
    assert (told.allowable_ms, told.measured_ms) == (740 * HOUR_MS, 744 * HOUR_MS)
    assert together([told, told]) == attested_time(
        "A2",
        2 * 744 * HOUR_MS,
        observed_ms=2 * 744 * HOUR_MS,
        allowable_ms=2 * 740 * HOUR_MS,
        recommended_ms=2 * 700 * HOUR_MS,
    )
    with pytest.raises(ValueError, match="no five bands"):
        told.hours()
    assert attested_time("A2", 1, **hours).hours()["unmeasured"] == 1 / HOUR_MS
    for wrong in (
        {"observed_ms": 2},
        {"observed_ms": 1, "allowable_ms": 2},
        {"observed_ms": 1, "recommended_ms": 1},
        {"observed_ms": 1, "allowable_ms": 1, "recommended_ms": -1},
    ):
        with pytest.raises(ValueError, match="ms observed within 1 ms"):
            attested_time("A2", 1, **(hours | wrong))
