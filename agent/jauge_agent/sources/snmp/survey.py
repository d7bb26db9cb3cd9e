"""What an SNMP device is and offers: the profile that fits it, bound to its rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import MAX_NAME_LENGTH, identity, is_resource
from jauge_models.wire import MAX_TEXT_LENGTH

from jauge_agent.source import FatalError, Method, ResourceDescription
from jauge_agent.sources.snmp.judgement import (
    Measured,
    Total,
    limits_of,
    measured_now,
    number_in,
    text_in,
)
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


@dataclass(frozen=True, slots=True)
class Identified:
    """What a device says it is."""

    profile: Profile
    serial: str
    """Its serial number made fit for a name; empty when it tells none."""
    model: str
    name: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What a survey found."""

    resources: Sequence[ResourceDescription]
    measured: Sequence[Measured]
    totals: Sequence[Total]


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
            return Identified(
                profile,
                _fit(_first_text(profile.serial, found)),
                _first_text(profile.model, found),
                text_in(first.get(SYS_NAME, "")),
            )
    raise FatalError(f"no profile fits the device (sysObjectID {object_id[:128] or 'not told'})")


async def surveyed(
    objects: Objects, device: Identified, *, name: str, labels: Mapping[str, str]
) -> Offer:
    """What a recognised device offers now. Raises RetryError."""
    serial = device.serial or _fit(name)
    survey = _Survey(objects, serial)
    for what in device.profile.resources:
        await survey.find(what)
    await survey.bind()
    told = {"family": device.profile.family, "model": device.model[:MAX_TEXT_LENGTH]}
    return survey.offer({**{key: text for key, text in told.items() if text}, **labels})


class _Survey:
    """Finds rows, names and values of one device, with few requests."""

    def __init__(self, objects: Objects, serial: str) -> None:
        self._objects = objects
        self._serial = serial
        self._rows: list[_Row] = []
        self._columns: dict[str, list[tuple[str, Value]]] = {}
        self._texts: dict[str, str] = {}
        self._candidates: list[Measured] = []
        """Where values may be; of several for one value the first that is measured counts."""
        self._measured: dict[tuple[str, str], Measured] = {}
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
        columns = [oid for oid in (what.key, what.name) if oid is not None]
        asked = [bound(oid, row) for oid in columns for row in rows]
        asked += [exact(condition.oid, row) for condition in what.where for row in rows]
        await self._learn(asked)
        for row in rows:
            if all(self._holds(condition, row) for condition in what.where):
                key = self._text(what.key, row)
                like = likes.get(row, "")
                name = self._filled(what.id, row, key, like)
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
                if all(self._holds(condition, one.row) for condition in point.where):
                    self._bind(one, point)
        found = await self._objects.get([each.oid for each in self._candidates])
        for each in measured_now(self._candidates, found):
            self._measured.setdefault(_key(each), each)

    def offer(self, labels: Mapping[str, str]) -> Offer:
        """What was found, as the birth document describes it."""
        measured = list(self._measured.values())
        totals = [total for name, point in self._sums if (total := self._total(name, point))]
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
                        **{
                            label: self._filled(value, one.row, "", one.like)
                            for label, value in one.what.labels.items()
                        },
                    },
                )
        return Offer(list(resources.values()), measured, totals)

    def _bind(self, one: _Row, point: Point) -> None:
        if point.oid is None:
            self._sums.append((one.id, point))
            return
        scale = point.scale * self._factor(point, one.row)
        low, high = limits_of(point.quantity, point.low, point.high)
        measured = Measured(
            one.id,
            point.quantity,
            bound(point.oid, one.row),
            scale,
            point.offset,
            frozenset(point.none),
            low,
            high,
        )
        if is_resource(one.id) and len(self._candidates) < MAX_POINTS:
            self._candidates.append(measured)

    def _total(self, name: str, point: Point) -> Total | None:
        """The sum of what is read of one quantity from objects and columns, if nothing lacks."""
        parts: dict[tuple[str, str], Measured | None] = {}
        for oid in point.sum:
            column = [
                each
                for each in self._candidates
                if each.quantity == point.quantity
                and (each.oid == oid or each.oid.startswith(f"{oid}."))
            ]
            if not column:
                return None
            parts |= {_key(each): self._measured.get(_key(each)) for each in column}
        known = [part for part in parts.values() if part is not None]
        return Total(name, point.quantity, known) if len(known) == len(parts) else None

    def _factor(self, point: Point, row: str | None) -> float:
        factor = 1.0
        if point.digits is not None:
            digits = number_in(self._texts.get(exact(point.digits, row), "")) or 0.0
            factor *= 10.0 ** -max(0.0, min(digits, 12.0))
        if point.scaled_by is not None:
            by = number_in(self._texts.get(exact(point.scaled_by, row), "")) or 1.0
            factor *= by if by > 0 else 1 / abs(by)
        if point.magnitude is not None:
            magnitude = number_in(self._texts.get(exact(point.magnitude, row), "")) or 9.0
            factor *= 1000.0 ** (max(1.0, min(magnitude, 17.0)) - 9.0)
        return factor

    async def _column(self, oid: str) -> list[tuple[str, Value]]:
        if oid not in self._columns:
            self._columns[oid] = await self._objects.column(oid)
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

    def _filled(self, template: str, row: str | None, key: str, like: str) -> str:
        numbers = (row or "").split(".")
        return template.format(
            serial=self._serial,
            key=_fit(key) or row or "",
            row=row or "",
            first=numbers[0],
            last=numbers[-1],
            like=_fit(like),
        )[:MAX_NAME_LENGTH]


def _key(point: Measured | Total) -> tuple[str, str]:
    return point.resource, point.quantity


def _method(quantity: str) -> Method:
    return Method.COUNTER if CATALOGUE[quantity].kind is Kind.COUNTER else Method.GAUGE


def _first_text(oids: Sequence[str], found: Mapping[str, Value]) -> str:
    return next((text for oid in oids if (text := text_in(found.get(oid, "")))), "")


def _fit(text: str) -> str:
    try:
        return identity(text)
    except ValueError:
        return ""
