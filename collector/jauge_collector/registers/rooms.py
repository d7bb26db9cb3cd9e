"""Rooms, rows and racks, with the sensors of the air that machines take in.

CSV, one row a rack, a row of racks or a room, from a day to a day: a sensor that is moved ends one
row and begins another. Only sensors of intake air belong here: what measures supply or return air
says nothing of what a server breathes (criteria S7 to S9 and V4).
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from jauge_models.resources import is_name

from jauge_collector.registers.envelopes import Envelope, envelope_of
from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.sheet import (
    DATES,
    FEED_FORM,
    Column,
    Dated,
    Row,
    is_feed,
    refuse_twins,
    rows_of,
)


class Place(Dated, frozen=True, kw_only=True):
    """A rack; a row where ``rack`` is empty; a room where both are."""

    site: str = ""
    """Name of the site; empty where the register is of one site only."""
    room: str
    row: str = ""
    rack: str = ""
    intake: tuple[str, ...] = ()
    """``agent/resource`` of its intake sensors."""
    humidity: tuple[str, ...] = ()
    """``agent/resource`` of sensors of relative humidity there; of a room they tell of each row
    that has none."""
    envelope: Envelope | None = None
    """Within which its air is kept; of a room or row it holds for what stands in it."""
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is, whenever."""
        return (self.site, self.room, self.row, self.rack)


COLUMNS: Final = (
    Column("site"),
    Column("room", ("salle",), needed=True),
    Column("row", ("rangee", "travee")),
    Column("rack", ("baie", "armoire")),
    Column("intake", ("intake_sensors", "sensors", "capteurs", "capteurs_d_entree", "aspiration")),
    Column("humidity", ("humidity_sensors", "capteurs_d_humidite", "humidite", "hygrometrie")),
    Column("class", ("envelope", "classe", "classe_thermique", "enveloppe")),
    *DATES,
    Column("note", ("remarque",)),
)


def parse(file: File) -> tuple[Place, ...]:
    """The places that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    found = tuple(_place(row) for row in rows_of(file, COLUMNS, problems))
    refuse_twins(
        ((place.key, place) for place in found),
        lambda _: "this place",
        "rack",
        problems,
    )
    refuse_twins(
        ((sensor, place) for place in found for sensor in place.intake),
        lambda sensor: f"sensor {sensor!r}",
        "intake",
        problems,
    )
    refuse_twins(
        ((sensor, place) for place in found for sensor in place.humidity),
        lambda sensor: f"sensor {sensor!r}",
        "humidity",
        problems,
    )
    problems.check()
    return found


def on(places: Iterable[Place], day: date) -> list[Place]:
    """Those that hold on a day."""
    return [place for place in places if place.holds(day)]


def _place(row: Row) -> Place:
    start, end = row.span()
    site = row.text("site")
    if site and not is_name(site):
        row.wrong("site", f"{site!r} is no name", "write the name that its site file says")
    text = row.text("class")
    envelope = envelope_of(text) if text else None
    if text and envelope is None:
        row.wrong("class", f"{text!r} is no class", "write A1, A2, A3, A4 or H1, or '10..35'")
    return Place(
        line=row.line,
        valid_from=start,
        valid_to=end,
        site=site,
        room=row.text("room", needed=True),
        row=row.text("row"),
        rack=row.text("rack"),
        intake=row.names("intake", is_feed, FEED_FORM),
        humidity=row.names("humidity", is_feed, FEED_FORM),
        envelope=envelope,
        note=row.text("note"),
    )
