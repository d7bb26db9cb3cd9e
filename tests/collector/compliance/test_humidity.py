"""S9 through the gatherer: humidity of the rows of racks, as dew point and relative humidity."""

from datetime import UTC, date

import pytest
from jauge_collector.compliance import humidity as moisture
from jauge_collector.compliance.humidity import Readings, Row
from jauge_collector.compliance.intake import Hour, Stay
from jauge_collector.registers.files import Registers
from jauge_collector.registers.rooms import Place
from jauge_models.compliance.evidence import Intake
from jauge_models.compliance.psychrometrics import CLASSES, dew_point, written_range
from jauge_models.compliance.windows import Window

from tests.collector.compliance.yard import HOUR, SENSOR, START, Yard

A2 = next(row for row in CLASSES if row.name == "A2")
DAY = Window(date(2025, 1, 1), date(2025, 1, 1))
H = "gw/sensor:h"


def _with_sensor(yard: Yard, sensor: str = H) -> None:
    yard.edit(
        "rooms.csv",
        f"room;row;rack;intake\nR;1;A1;{SENSOR}\n",
        f"room;row;rack;intake;humidity\nR;1;A1;{SENSOR};{sensor}\n",
    )


def _year(value: float, first: int = 0) -> list[tuple[int, float]]:
    return [(at * HOUR, value) for at in range(first * 24, 365 * 24 + 1)]


def test_a_year_within_the_dew_points_is_met(yard: Yard) -> None:
    """45 % at 22 °C is a dew point of 9.5 °C; the temperature is that of the row's intake."""
    _with_sensor(yard)
    yard.write(H, _year(45.0), "humidity")
    assert 9 < dew_point(22, 45) < 10
    found = yard.criterion("S9")
    assert (found["status"], found["reason"]["key"]) == ("met", "hours.within")
    assert found["reason"]["values"]["measured"] == pytest.approx(1)
    assert found["evidence"] == [H]


def test_damp_air_is_not_met(yard: Yard) -> None:
    """85 % at 22 °C lies beyond both limits of A2, whatever the temperature criterion says."""
    _with_sensor(yard)
    yard.write(H, _year(85.0), "humidity")
    assert yard.status("S9") == ("not_met", "hours.beyond")
    assert yard.status("S7") == ("met", "hours.within")


def test_the_temperature_of_the_same_sensor_goes_first(yard: Yard) -> None:
    """70 % at 30 °C is a dew point of 23.9 °C, too much for A2; at the intake's 22 °C it is not."""
    _with_sensor(yard)
    yard.write(H, _year(70.0), "humidity")
    assert yard.status("S9") == ("met", "hours.within")
    yard.write(H, _year(30.0))
    assert yard.status("S9") == ("not_met", "hours.beyond")


def test_without_a_sensor_nothing_is_measured(yard: Yard) -> None:
    """Nor with one that says nothing, or only for a part of the year."""
    assert yard.status("S9") == ("not_measured", "hours.none")
    _with_sensor(yard)
    assert yard.status("S9") == ("not_measured", "hours.none")
    yard.write(H, _year(45.0, 100), "humidity")
    found = yard.criterion("S9")
    assert (found["status"], found["reason"]["key"]) == ("not_measured", "hours.unmeasured")
    assert found["annotations"] == [{"kind": "on_track", "day": "2026-04-10"}]


def _row(*sensors: str, intake: tuple[str, ...] = ()) -> Row:
    return Row((Stay(None, None, sensors),), (Stay(None, None, intake),))


def _hours(mean: float, covered: int = HOUR) -> dict[int, Hour]:
    return {START // HOUR: Hour(covered, mean)}


def _judged(row: Row, readings: Readings) -> Intake:
    return moisture.humidity("R", row, readings, A2, window=DAY, zone=UTC)


def test_the_worst_of_several_sensors_counts() -> None:
    """One is within, one only allowable, one beyond: the hour is beyond, and once."""
    humidity = {"a": _hours(45), "b": _hours(65), "c": _hours(95)}
    temperature = {sensor: _hours(22) for sensor in humidity}
    found = _judged(_row("a", "b"), Readings(humidity, temperature)).measured
    assert found is not None
    assert (found.above_ms, found.measured_ms) == (HOUR, HOUR)
    found = _judged(_row("a", "b", "c"), Readings(humidity, temperature)).measured
    assert found is not None
    assert (found.beyond_ms, found.measured_ms) == (HOUR, HOUR)


def test_an_hour_is_what_both_measured() -> None:
    """The shorter time of both; the mean of the row's intakes stands for a missing temperature."""
    row = _row("a", intake=("x", "y"))
    humidity = {"a": _hours(50, HOUR // 2)}
    found = _judged(row, Readings(humidity, {"x": _hours(20), "y": _hours(24)})).measured
    assert found is not None
    assert (found.within_ms, found.measured_ms) == (HOUR // 2, HOUR // 2)
    assert _judged(row, Readings(humidity, {})).measured is None


def test_a_dead_sensor_is_no_dry_air() -> None:
    """0 % cannot be: no hour, and no error."""
    found = _judged(_row("a"), Readings({"a": _hours(0)}, {"a": _hours(22)}))
    assert (found.sensors, found.measured) == (("a",), None)


def test_an_envelope_without_limits_of_humidity_judges_none() -> None:
    """A maker's written range of temperatures says nothing of humidity."""
    own = written_range("own", 10, 30, reference="example")
    readings = Readings({"a": _hours(45)}, {"a": _hours(22)})
    assert moisture.humidity("R", _row("a"), readings, own, window=DAY, zone=UTC).measured is None


def test_a_rooms_sensor_tells_of_rows_that_have_none() -> None:
    """Its own goes first; a sensor of another row never counts."""
    places = (
        Place(line=2, room="R", row="1", rack="A1", intake=("g/sensor:1",)),
        Place(line=3, room="R", row="2", rack="A2", humidity=("g/sensor:2",)),
        Place(line=4, room="R", humidity=("g/sensor:room",)),
        Place(line=5, room="Q", row="1", rack="A1"),
    )
    rows = moisture.rows_of(Registers(rooms=places), "yard", date(2025, 12, 31))
    told = {name: [s for stay in row.humidity for s in stay.sensors] for name, row in rows.items()}
    assert told == {"R / 1": ["g/sensor:room"], "R / 2": ["g/sensor:2"], "Q / 1": []}
    assert rows["R / 1"].intake[0].sensors == ("g/sensor:1",)
