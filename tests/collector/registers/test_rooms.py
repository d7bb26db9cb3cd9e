"""Rooms, rows and racks with their intake sensors."""

from datetime import date

import pytest
from jauge_collector.registers.envelopes import Envelope, EnvelopeClass
from jauge_collector.registers.rooms import Place, on, parse

from tests.collector.registers.sheets import file, places, problems

TEXT = """\
salle,rangée,baie,capteurs d'entrée,classe,depuis,jusqu'au
A,1,A1,pdu/sensor:1 pdu/sensor:2,A2,2026-01-01,2026-04-01
A,1,A1,pdu/sensor:2,A2,2026-04-01,
A,1,A2,pdu/sensor:1,A2,2026-04-01,
A,,,gw/sensor:ceiling,18..27,,
"""


def test_a_sensor_that_moves() -> None:
    """It is at one place until a day, at another from it on."""
    found = parse(file(TEXT))
    assert found[0] == Place(
        line=2,
        valid_from=date(2026, 1, 1),
        valid_to=date(2026, 4, 1),
        room="A",
        row="1",
        rack="A1",
        intake=("pdu/sensor:1", "pdu/sensor:2"),
        envelope=Envelope(EnvelopeClass.A2),
    )
    before = {place.rack: place.intake for place in on(found, date(2026, 3, 31))}
    after = {place.rack: place.intake for place in on(found, date(2026, 4, 1))}
    assert before == {"A1": ("pdu/sensor:1", "pdu/sensor:2"), "": ("gw/sensor:ceiling",)}
    assert after == {
        "A1": ("pdu/sensor:2",),
        "A2": ("pdu/sensor:1",),
        "": ("gw/sensor:ceiling",),
    }


def test_one_sensor_in_two_places_and_one_place_twice() -> None:
    """Both lines are named."""
    found = problems(parse, "room,rack,intake\nA,A1,g/sensor:1\nA,A2,g/sensor:1\nA,A1,\n")
    assert [(p.line, p.column, p.problem) for p in found] == [
        (3, "intake", "sensor 'g/sensor:1' stands in line 2 too"),
        (4, "rack", "this place stands in line 2 too"),
    ]


def test_humidity_sensors_stand_beside_those_of_intake() -> None:
    """One resource may tell both, at one place each."""
    row = "A,1,A1,g/sensor:1,g/sensor:1 g/sensor:2"
    (place,) = parse(file(f"salle,rangée,baie,capteurs d'entrée,capteurs d'humidité\n{row}\n"))
    assert place.humidity == ("g/sensor:1", "g/sensor:2")
    found = problems(parse, "room,rack,humidity\nA,A1,g/sensor:1\nA,A2,g/sensor:1\nA,A3,x\n")
    assert sorted((p.line, p.column) for p in found) == [(3, "humidity"), (4, "humidity")]


def test_racks_of_one_name_in_two_rooms_are_two() -> None:
    """A rack is told by its room too."""
    assert len(parse(file("room,rack\nA,1\nB,1\n"))) == 2


@pytest.mark.parametrize(
    ("row", "wrong"),
    [(",1,,,", "room"), ("A,1,sensor,,", "intake"), ("A,1,,cold,", "class"), ("A,1,,,x y", "site")],
)
def test_what_a_row_may_not_say(row: str, wrong: str) -> None:
    """Named with its line and column."""
    assert places(parse, f"room,rack,intake,class,site\n{row}\n") == [(2, wrong)]
