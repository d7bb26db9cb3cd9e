"""Where air is taken in: a room, a row of racks or a rack, as the registers of a site know them.

What somebody attests of a place that nobody knows would count for nothing, silently: a name is
looked up before it is kept.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, Self

from jauge_models.compliance.policy import Policy
from jauge_models.configuration import ConfigurationError

from jauge_collector.registers import policy as policy_file
from jauge_collector.registers import rooms, servers
from jauge_collector.registers.problems import read_file, text_of
from jauge_collector.sites import Site

_ROOM, _ROW, _RACK = "--room", "--row", "--rack"


class AirPlace(NamedTuple):
    """A rack; a row where ``rack`` is empty; a room where both are."""

    room: str
    row: str = ""
    rack: str = ""

    @property
    def name(self) -> str:
        """For people: its parts from the widest to the narrowest."""
        return " / ".join(part for part in self if part)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """The place that an entry's content names."""
        return cls(*(str(content.get(part, "")) for part in cls._fields))


class AirPlaces(NamedTuple):
    """The places of a site, and the policy that says by which class its rooms are judged."""

    places: frozenset[AirPlace]
    policy: Policy
    register: tuple[rooms.Place, ...] = ()
    """Rows of the register of rooms, with their sensors."""

    @property
    def rooms(self) -> list[str]:
        """The rooms, by name."""
        return sorted({place.room for place in self.places})

    def sensors(self, place: AirPlace, quantity: str) -> list[str]:
        """Sensors of a quantity (``agent/resource``) that ever told of a place or of a part of it.

        Those of a room's humidity tell of its rows too.
        """
        found: dict[str, None] = {}
        for one in self.register:
            here = AirPlace(one.room, one.row, one.rack)
            inside = all(mine in {"", its} for mine, its in zip(place, here, strict=True))
            of_room = quantity == "humidity" and here == AirPlace(place.room)
            if inside or of_room:
                found |= dict.fromkeys(one.humidity if quantity == "humidity" else one.intake)
        return list(found)

    def known(self, room: str, row: str = "", rack: str = "") -> AirPlace:
        """A place as the registers write it; the row of a rack may be left out where it is clear.

        Raises ConfigurationError for one that they do not have.
        """
        place = AirPlace(*(part.strip() for part in (room, row, rack)))
        if not place.room:
            raise ConfigurationError(_ROOM, "", "missing", "say of which room it is")
        if place in self.places:
            return place
        if place.rack and not place.row:
            there = [one for one in self.places if (one.room, one.rack) == (place.room, place.rack)]
            if len(there) == 1:
                return there[0]
        raise self._unknown(place)

    def _unknown(self, place: AirPlace) -> ConfigurationError:
        rooms_ = self.rooms
        if not rooms_:
            return ConfigurationError(
                _ROOM,
                "",
                "the site's registers name no room",
                "enter rooms or servers in the registers that the site file names",
            )
        if place.room not in rooms_:
            return _no_such(_ROOM, place.room, "room", rooms_)
        rows = sorted({one.row for one in self.places if one.room == place.room and one.row})
        if place.row and place.row not in rows:
            return _no_such(_ROW, place.row, f"row of {place.room}", rows)
        around = [one for one in self.places if one.room == place.room and one.rack]
        racks = sorted({one.rack for one in around if place.row in {"", one.row}})
        if place.rack in racks:
            return ConfigurationError(
                _RACK, "", f"{place.rack!r} stands in several rows", "give its row with --row"
            )
        return _no_such(_RACK, place.rack, f"rack of {place.name.rpartition(' / ')[0]}", racks)


def _no_such(option: str, name: str, what: str, known: list[str]) -> ConfigurationError:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        fix = f"did you mean {near[0]!r}?"
    elif known:
        fix = f"the registers have {', '.join(known[:5])}{', …' if len(known) > 5 else ''}"
    else:
        fix = "the registers have none"
    return ConfigurationError(option, "", f"{name!r} is no {what}", fix)


def air_places(site: Site) -> AirPlaces:
    """The places of a site, whenever they were its. Reads its files; raises ConfigurationError."""
    folder, named = site.file.parent, site.registers
    found: set[AirPlace] = set()
    register: tuple[rooms.Place, ...] = ()
    if named.rooms is not None:
        every = rooms.parse(read_file(folder / named.rooms))
        register = tuple(one for one in every if one.site in {"", site.name})
    rows: list[rooms.Place | servers.Server] = [*register]
    if named.servers is not None:
        rows += servers.parse(read_file(folder / named.servers))
    for one in rows:
        if one.room and one.site in {"", site.name}:
            whole = AirPlace(one.room, one.row, one.rack)
            found |= {AirPlace(one.room), whole._replace(rack=""), whole}
    policy = Policy()
    if named.policy is not None:
        file = read_file(folder / named.policy)
        policy = policy_file.limits(policy_file.read(text_of(file), file.name))
    return AirPlaces(frozenset(found), policy, register)
