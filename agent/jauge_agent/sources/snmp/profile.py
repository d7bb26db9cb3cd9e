"""Profiles: which values a family of SNMP devices offers, as data in ``profiles/snmp/*.toml``.

A profile names object identifiers, never guesses them: what no profile names is never read, and a
device that no profile fits gives no value at all.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import msgspec
from jauge_models.configuration import parse
from jauge_models.quantities import CATALOGUE, Kind

from jauge_agent.states import check_states

Oid = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^1\.3\.6\.1[.\d{row}]*$",
        description="an object identifier that begins with 1.3.6.1, without a leading dot",
    ),
]
"""An object identifier without a leading dot; ``{row}`` stands for the index of a table row."""

SYS_OBJECT_ID: Final = "1.3.6.1.2.1.1.2.0"
SYS_NAME: Final = "1.3.6.1.2.1.1.5.0"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every part of a profile has in common: unknown keys are refused."""


class Condition(_Part, frozen=True, kw_only=True):
    """Holds when an object has one of some values; asked at each survey and with each reading."""

    oid: Oid
    """The object; with ``{row}``, that of the row in question."""
    equals: list[str]
    """Its values, numbers and identifiers as text."""


class Point(_Part, frozen=True, kw_only=True):
    """One value of a resource."""

    oid: Oid | None = None
    """Its object; in a table, ``{row}`` follows unless it stands in it."""
    sum: list[Oid] = []
    """Instead of an object: other points' objects or columns, all of them, added up. Gauges
    only: a register whose members come and go would count what they have metered before."""
    quantity: str
    """Name in the catalogue of quantities."""
    scale: float = 1.0
    """What a raw value is multiplied by to be in the catalogue's unit."""
    offset: float = 0.0
    """What is added after that."""
    digits: Oid | None = None
    """Object that says how many decimal digits the raw value has; a column with ``{row}``."""
    scaled_by: Oid | None = None
    """Object whose value the raw one is multiplied by, or divided by when it is negative."""
    magnitude: Oid | None = None
    """Object with an RFC 3433 EntitySensorDataScale: 9 is units, 8 thousandths, 10 thousands."""
    none: list[float] = []
    """Raw values that mean: not measured."""
    low: float | None = None
    """Lowest value that can be true, in the catalogue's unit."""
    high: float | None = None
    """Highest value that can be true."""
    states: dict[str, float] = {}
    """Where the object names a state: what each raw value is worth in the catalogue's unit. One
    that is not among them is no value."""
    where: list[Condition] = []
    """All must hold, else the resource has no such value."""

    def __post_init__(self) -> None:
        """Refuse a point that is both read and added up, or neither, or a register of others.

        Refuse states that are scaled, or worth what the quantity cannot be.
        """
        scaled = (self.scale, self.offset, self.digits, self.scaled_by, self.magnitude)
        if self.states and (self.sum or scaled != (1.0, 0.0, None, None, None)):
            raise ValueError("states are read from one object, and are not scaled")
        check_states(self.quantity, self.states)
        if (self.oid is None) == (not self.sum):
            raise ValueError("give oid or sum")
        entry = CATALOGUE.get(self.quantity)
        if self.sum and entry is not None and entry.kind is Kind.COUNTER:
            raise ValueError(f"{self.quantity} is a register: its members stand for themselves")


class Resource(_Part, frozen=True, kw_only=True):
    """One thing that is measured, or one for each row of a table."""

    id: str
    """Its name: ``{serial}``, ``{key}``, ``{row}``, ``{first}``, ``{last}``, ``{like}`` are filled
    in."""
    source: str
    """Where the meaning of the objects is written down."""
    rows: Oid | None = None
    """Column whose rows there is one resource for; left out for a single thing."""
    like: str | None = None
    """Only rows whose value in that column is this text; a ``*`` in it stands for anything."""
    most: Oid | None = None
    """Object that says how many rows are real; the rest is padding."""
    name: Oid | None = None
    """Object with its name for people."""
    key: Oid | None = None
    """Object with an identity of its own, such as the serial number of a probe."""
    told: dict[str, Oid] = {}
    """Objects whose text labels can hold beside those parts, such as the number of a phase."""
    labels: dict[str, str] = {}
    """Labels of the birth document, filled in likewise; one that has nothing to say is left
    out, and so is a phase ``L`` that is none of the three."""
    where: list[Condition] = []
    """All must hold, else there is no such thing."""
    points: list[Point]
    """Its values."""


class Recognition(_Part, frozen=True, kw_only=True):
    """How a device of the family is told from others."""

    object_ids: list[str]
    """What sysObjectID is or begins with; empty where it says nothing."""
    present: list[Oid] = []
    """Objects that must answer with something, all of them."""
    tables: list[Oid] = []
    """Columns that must have a row, all of them."""


class Profile(_Part, frozen=True, kw_only=True):
    """A family of devices."""

    family: str
    """Name in the configuration."""
    title: str
    """Name for people."""
    source: str
    """The document that describes the family."""
    stability: Literal["stable", "beta"] = "beta"
    """Stable once a real device, or a walk of one, has been compared value by value."""
    rank: int = 0
    """Of several profiles that fit, the highest is taken."""
    floor_s: float = 1.0
    """Shortest period the family bears."""
    recognised: Recognition
    """How a device is recognised."""
    serial: list[Oid] = []
    """Objects with its serial number; the first that is not empty counts."""
    model: list[Oid] = []
    """Objects with its type; the first that is not empty counts."""
    resources: list[Resource]
    """What it offers."""


@cache
def profiles() -> Sequence[Profile]:
    """All profiles, highest rank first; raises ConfigurationError for one that is not sound."""
    folder = files("jauge_agent") / "profiles" / "snmp"
    found = [
        parse(file.read_text(encoding="utf-8"), Profile, file=file.name)
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    ]
    return sorted(found, key=lambda profile: -profile.rank)


def candidates(object_id: str, among: Iterable[Profile]) -> list[Profile]:
    """Profiles that a device of this sysObjectID may have, highest rank first."""
    return [
        profile
        for profile in among
        if not profile.recognised.object_ids
        or any(_begins(object_id, known) for known in profile.recognised.object_ids)
    ]


def bound(oid: str, row: str | None) -> str:
    """The object of one row: ``{row}`` filled in, or appended where it is missing."""
    if row is None:
        return oid
    return oid.replace("{row}", row) if "{row}" in oid else f"{oid}.{row}"


def exact(oid: str, row: str | None) -> str:
    """The object itself, or that of one row where ``{row}`` stands in it."""
    return oid.replace("{row}", row or "0")


def starred(text: str, pattern: str) -> str | None:
    """What the ``*`` of a pattern stands for in a text, None when the text is another one."""
    head, star, tail = pattern.partition("*")
    if not star:
        return "" if text == pattern else None
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return None
    return text[len(head) : len(text) - len(tail)]


def _begins(object_id: str, known: str) -> bool:
    return object_id == known or object_id.startswith(f"{known}.")
