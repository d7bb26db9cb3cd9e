"""What an SNMP device is and offers: the profile that fits it, bound to its rows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import MAX_NAME_LENGTH, identity, is_resource
from jauge_models.wire import MAX_TEXT_LENGTH

from jauge_agent.identities import is_placeholder
from jauge_agent.source import FatalError, Method, ResourceDescription
from jauge_agent.sources.snmp.judgement import (
    Measured,
    Total,
    asked,
    limits_of,
    measured_now,
    number_in,
    text_in,
)
from jauge_agent.sources.snmp.members import Key, Members
from jauge_agent.sources.snmp.profile import (
    SYS_NAME,
    SYS_OBJECT_ID,
    Condition,
    Point,
    Profile,
    Resource,
    bound,
    candidates,
    exact,
    starred,
)
from jauge_agent.sources.snmp.session import Objects, Value

MAX_POINTS: Final = 4000
"""Values taken from one device."""

_PHASE: Final = re.compile(r"L.*")
_PHASES: Final = re.compile(r"L[123](-(L[123]|N))?")


@dataclass(frozen=True, slots=True)
class Identified:
    """What a device says it is."""

    profile: Profile
    serial: str
    """Its serial number made fit for a name; empty when it tells none, or a maker's filler."""
    model: str
    name: str
    serial_oid: str = ""
    """The object that told the serial number."""

    def serial_in(self, found: Mapping[str, Value]) -> str:
        """The serial number that objects of a later reading tell, in the same place."""
        oids = [self.serial_oid] if self.serial_oid else self.profile.serial
        return _serial(oids, found)[0]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a survey found."""

    resources: Sequence[ResourceDescription]
    measured: Sequence[Measured]
    totals: Sequence[Total]
    lacking: Sequence[Total] = ()
    """Sums that cannot be had because a part is not measured."""
    cut: frozenset[str] = frozenset()
    """Tables that are longer than what is taken of them."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One thing that a profile names, found on the device."""

    what: Resource
    row: str | None
    like: str
    id: str


async def recognised(objects: Objects, known: Sequence[Profile]) -> Identified:
    """The profile that fits a device. Raises FatalError when none does, RetryError."""
    first = await objects.get([SYS_OBJECT_ID, SYS_NAME])
    object_id = text_in(first.get(SYS_OBJECT_ID, ""))
    for profile in candidates(object_id, known):
        present = profile.recognised.present
        wanted = [*present, *profile.serial, *profile.model]
        found = await objects.get(list(dict.fromkeys(wanted)))
        fits = all(text_in(found.get(oid, "")) for oid in present)
        if fits and all([await objects.column(oid) for oid in profile.recognised.tables]):
            serial, oid = _serial(profile.serial, found)
            model = _first_text(profile.model, found)
            return Identified(profile, serial, model, text_in(first.get(SYS_NAME, "")), oid)
    raise FatalError(f"no profile fits the device (sysObjectID {object_id[:128] or 'not told'})")


async def surveyed(
    objects: Objects,
    device: Identified,
    *,
    name: str,
    labels: Mapping[str, str],
    before: Offer | None = None,
    members: Members | None = None,
) -> Offer:
    """What a recognised device offers now. Raises RetryError.

    ``before`` is what the same device offered last: what it measured then and does not just now
    stays in the offer. ``members`` knows what its sums have had as parts, and learns it.
    """
    serial = device.serial or _fit(name)
    survey = _Survey(objects, serial, before or Offer((), (), ()), members or Members())
    for what in device.profile.resources:
        await survey.find(what)
    await survey.bind()
    told = {"family": device.profile.family, "model": device.model[:MAX_TEXT_LENGTH]}
    return survey.offer({**{key: text for key, text in told.items() if text}, **labels})


class _Survey:
    """Finds rows, names and values of one device, with few requests."""

    def __init__(self, objects: Objects, serial: str, before: Offer, members: Members) -> None:
        self._objects = objects
        self._serial = serial
        self._before = before
        self._members = members
        self._known = {_key(each) for each in before.measured}
        self._known_things = {each.resource for each in before.measured}
        self._cut: set[str] = set()
        self._rows: list[_Row] = []
        self._columns: dict[str, list[tuple[str, Value]]] = {}
        self._texts: dict[str, str] = {}
        self._candidates: list[Measured] = []
        """Where values may be; of several for one value the first that is measured counts."""
        self._idle: list[Measured] = []
        """The same where the device says that nothing is measured now."""
        self._measured: dict[Key, Measured] = {}
        self._sums: list[tuple[str, Point]] = []

    async def find(self, what: Resource) -> None:
        """Find the things of one kind."""
        rows: list[str | None] = [None]
        likes: dict[str | None, str] = {}
        if what.rows is not None:
            column = await self._column(what.rows)
            if what.like is not None:
                found = {row: starred(text_in(value), what.like) for row, value in column}
                likes = {row: like for row, like in found.items() if like is not None}
            rows = [row for row, _ in column if what.like is None or row in likes]
            if what.most is not None:
                count = number_in((await self._objects.get([what.most])).get(what.most, ""))
                rows = rows if count is None else rows[: max(0, int(count))]
        columns = [oid for oid in (what.key, what.name, *what.told.values()) if oid is not None]
        wanted = [bound(oid, row) for oid in columns for row in rows]
        wanted += [exact(condition.oid, row) for condition in what.where for row in rows]
        await self._learn(wanted)
        names: set[str] = set()
        for row in rows:
            like = likes.get(row, "")
            name = self._filled(what.id, row, self._key_of(what, row), like)
            if name in names:  # two probes that tell one number
                name = self._filled(what.id, row, self._key_of(what, row, alone=False), like)
            names.add(name)
            is_known = name in self._known_things
            if is_known or all(self._holds(condition, row) for condition in what.where):
                self._rows.append(_Row(what, row, like, name))

    async def bind(self) -> None:
        """Find the values of the things found."""
        extras = [
            exact(oid, one.row)
            for one in self._rows
            for point in one.what.points
            for oid in (
                point.digits,
                point.scaled_by,
                point.magnitude,
                *(condition.oid for condition in point.where),
            )
            if oid is not None
        ]
        await self._learn(extras)
        for one in self._rows:
            for point in one.what.points:
                self._bind(one, point)
        found = await self._objects.get(asked(self._candidates))
        for each in measured_now(self._candidates, found):
            self._measured.setdefault(_key(each), each)
        for each in (*self._candidates, *self._idle):
            if _key(each) in self._known:
                self._measured.setdefault(_key(each), each)

    def offer(self, labels: Mapping[str, str]) -> Offer:
        """What was found, as the birth document describes it."""
        measured = list(self._measured.values())
        totals, lacking = self._totals()
        quantities: dict[str, dict[str, Method]] = {}
        offered = [*map(_key, measured), *map(_key, totals)]
        for resource, quantity in offered:
            quantities.setdefault(resource, {})[quantity] = _method(quantity)
        resources: dict[str, ResourceDescription] = {}
        for one in self._rows:
            if one.id in quantities and one.id not in resources:
                resources[one.id] = ResourceDescription(
                    one.id,
                    quantities[one.id],
                    self._text(one.what.name, one.row)[:MAX_TEXT_LENGTH],
                    {
                        **labels,
                        **self._labels(one),
                    },
                )
        return Offer(list(resources.values()), measured, totals, lacking, frozenset(self._cut))

    def _bind(self, one: _Row, point: Point) -> None:
        if point.oid is None:
            self._sums.append((one.id, point))
            return
        factor = self._factor(point, one.row)
        if factor is None:
            return
        where = (*one.what.where, *point.where)
        low, high = limits_of(point.quantity, point.low, point.high)
        measured = Measured(
            one.id,
            point.quantity,
            bound(point.oid, one.row),
            point.scale * factor,
            point.offset,
            frozenset(point.none),
            low,
            high,
            tuple((exact(each.oid, one.row), frozenset(each.equals)) for each in where),
            tuple(point.states.items()),
            tuple((oid, self._texts.get(oid, "")) for oid in self._grounds(one, point)),
        )
        is_idle = not all(self._holds(condition, one.row) for condition in where)
        if not is_resource(one.id):
            return
        if len(self._candidates) + len(self._idle) >= MAX_POINTS:
            self._cut.add("values")
            return
        (self._idle if is_idle else self._candidates).append(measured)

    def _grounds(self, one: _Row, point: Point) -> list[str]:
        """Objects that must say what they say now for the value to be what it is now."""
        found = [
            exact(oid, one.row)
            for oid in (point.digits, point.scaled_by, point.magnitude)
            if oid is not None
        ]
        # Of several points for one object the conditions say in which unit it is.
        if sum(each.oid == point.oid for each in one.what.points) > 1:
            found += [exact(condition.oid, one.row) for condition in point.where]
        if one.what.rows is not None and one.what.like is not None:
            found.append(f"{one.what.rows}.{one.row}")
        if one.what.key is not None:
            found.append(bound(one.what.key, one.row))
        return list(dict.fromkeys(found))

    def _totals(self) -> tuple[list[Total], list[Total]]:
        """Sums that are had, or were before; and those that lack a part from the beginning.

        A part is whatever the profile names and the device has, also where it does not measure it
        now; and what was a part before, also where the device does not have it now.
        """
        had = set(map(_key, self._before.totals))
        totals: list[Total] = []
        lacking: list[Total] = []
        present: dict[Key, list[Key]] = {}
        for name, point in self._sums:
            total = (name, point.quantity)
            parts = {
                _key(each): self._measured.get(_key(each), each)
                for oid in point.sum
                for each in (*self._candidates, *self._idle)
                if each.quantity == point.quantity and f"{each.oid}.".startswith(f"{oid}.")
            }
            gone = self._members.of(total) - parts.keys()
            is_whole = not gone and all(
                self._measured.get(key) is part for key, part in parts.items()
            )
            made = Total(*total, [*parts.values(), *map(_absent, sorted(gone))])
            if any(key in self._measured for key in parts) or total in had:
                (totals if is_whole or gone or total in had else lacking).append(made)
                present[total] = [key for key in parts if key in self._measured]
        self._members.note(present)
        return totals, lacking

    def _factor(self, point: Point, row: str | None) -> float | None:
        """What its own scale makes of a raw value; None where an object that says it is missing."""
        factor = 1.0
        if point.digits is not None:
            digits = self._number(point.digits, row)
            if digits is None:
                return None
            factor *= 10.0 ** -max(0.0, min(digits, 12.0))
        if point.scaled_by is not None:
            by = self._number(point.scaled_by, row)
            if by is None:
                return None
            factor *= by if by > 0 else 1 / abs(by or 1.0)
        if point.magnitude is not None:
            magnitude = self._number(point.magnitude, row)
            if magnitude is None or not 1 <= magnitude <= 17:
                return None
            factor *= 1000.0 ** (magnitude - 9.0)
        return factor

    def _number(self, oid: str, row: str | None) -> float | None:
        return number_in(self._texts.get(exact(oid, row), ""))

    async def _column(self, oid: str) -> list[tuple[str, Value]]:
        if oid not in self._columns:
            self._columns[oid] = await self._objects.column(oid)
            if oid in self._objects.cut:
                self._cut.add(oid)
            self._texts |= {f"{oid}.{row}": text_in(value) for row, value in self._columns[oid]}
        return self._columns[oid]

    async def _learn(self, oids: Iterable[str]) -> None:
        unknown = [oid for oid in dict.fromkeys(oids) if oid not in self._texts]
        if unknown:
            found = await self._objects.get(unknown)
            self._texts |= {oid: text_in(value) for oid, value in found.items()}

    def _holds(self, condition: Condition, row: str | None) -> bool:
        return self._texts.get(exact(condition.oid, row)) in condition.equals

    def _text(self, oid: str | None, row: str | None) -> str:
        return "" if oid is None else self._texts.get(bound(oid, row), "")

    def _key_of(self, what: Resource, row: str | None, *, alone: bool = True) -> str:
        """Its own identity; ``{serial}.{row}`` where it has none that is its own ``alone``."""
        text = self._text(what.key, row)
        key = _fit(text)
        if "{serial}" in what.id:
            return key if key and alone else row or ""
        if not key or not alone or is_placeholder(text):
            return f"{self._serial}.{row}" if row else self._serial
        return key

    def _labels(self, one: _Row) -> dict[str, str]:
        texts = {name: self._text(oid, one.row) for name, oid in one.what.told.items()}
        found = {}
        for label, template in one.what.labels.items():
            if any(not text and f"{{{name}}}" in template for name, text in texts.items()):
                continue
            text = self._filled(template, one.row, "", one.like, texts)
            if label == "phase" and _PHASE.fullmatch(text) and not _PHASES.fullmatch(text):
                continue
            found[label] = text
        return found

    def _filled(
        self,
        template: str,
        row: str | None,
        key: str,
        like: str,
        texts: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        numbers = (row or "").split(".")
        return template.format(
            **texts,
            serial=self._serial,
            key=key,
            row=row or "",
            first=numbers[0],
            last=numbers[-1],
            like=_fit(like),
        )[:MAX_NAME_LENGTH]


def _key(point: Measured | Total) -> Key:
    return point.resource, point.quantity


def _absent(key: Key) -> Measured:
    """Stands in a sum for a part that the device does not have any more."""
    return Measured(*key, "", 1.0, 0.0, frozenset(), 0.0, 0.0)


def _method(quantity: str) -> Method:
    return Method.COUNTER if CATALOGUE[quantity].kind is Kind.COUNTER else Method.GAUGE


def _first_text(oids: Sequence[str], found: Mapping[str, Value]) -> str:
    return next((text for oid in oids if (text := text_in(found.get(oid, "")))), "")


def _serial(oids: Sequence[str], found: Mapping[str, Value]) -> tuple[str, str]:
    """The first serial number that is one, made fit for a name, and the object that tells it."""
    texts = [(text_in(found.get(oid, "")), oid) for oid in oids]
    return next(((_fit(text), oid) for text, oid in texts if not is_placeholder(text)), ("", ""))


def _fit(text: str) -> str:
    try:
        return identity(text)
    except ValueError:
        return ""
