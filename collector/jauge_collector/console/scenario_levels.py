"""What the form of a scenario asks, level by level, as the model's structs say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import msgspec
from jauge_models.capacity.scenario import (
    WEEK,
    Addition,
    Cap,
    DeclaredPower,
    Desktops,
    Holiday,
    Hours,
    Inference,
    Scenario,
    Training,
    WhatIf,
)
from msgspec import inspect

Kind = Literal["text", "name", "whole", "decimal", "date", "names", "choice", "days"]

_NEEDS: Final = (
    *("gpu_kinds", "gpus", "gpu_share", "slices", "gpu_memory_gib"),
    *("cpus", "memory_gib", "activity", "growth"),
)


@dataclass(frozen=True, slots=True)
class Level:
    """One table of a scenario: its fields, the tables in it, and how many rows a form takes."""

    struct: type[msgspec.Struct]
    fields: tuple[str, ...]
    most: int = 1
    parts: Mapping[str, "Level"] = field(default_factory=dict)


SCENARIO: Final = Level(
    Scenario,
    ("name", "zone", "first", "days", "idle_below"),
    parts={
        "holidays": Level(Holiday, ("name", "first", "last"), 16),
        "training": Level(
            Training,
            (
                *("id", "runs", "hours", "nodes", "first", "hour", "repeat_days", "last"),
                *("tolerance_hours", *_NEEDS),
            ),
            6,
        ),
        "inference": Level(Inference, ("id", "replicas", "spread", "first", "last", *_NEEDS), 6),
        "desktops": Level(
            Desktops,
            ("id", "users", "first", "last", "weekdays", *_NEEDS),
            3,
            {"hours": Level(Hours, ("begin", "end", "share"), 8)},
        ),
        "power": Level(DeclaredPower, ("kind", "idle_w", "full_w", "basis"), 8),
        "what_if": Level(
            WhatIf,
            ("name", "retire"),
            6,
            {
                "cap": Level(Cap, ("kind", "watts"), 2),
                "add": Level(Addition, ("kind", "number", "racks", "units"), 3),
            },
        ),
    },
)
"""A scenario with more rows than these is written as TOML."""


class Asks(NamedTuple):
    """What one field takes. ``above``: ``low`` itself is not taken."""

    kind: Kind
    required: bool
    default: str
    low: float | None = None
    high: float | None = None
    above: bool = False
    choices: tuple[str, ...] = ()


@cache
def asks(struct: type[msgspec.Struct]) -> Mapping[str, Asks]:
    """Of each field of a table that is no table itself, what it takes."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows the type
    found: dict[str, Asks] = {}
    for each in info.fields:
        kind, low, high, above, choices = _kind(each.type)
        if kind is not None:
            default = "" if each.required else said(each.default)
            found[each.name] = Asks(kind, each.required, default, low, high, above, choices)
    return found


_Found = tuple[Kind | None, float | None, float | None, bool, tuple[str, ...]]


def _kind(kind: inspect.Type) -> _Found:
    match kind:
        case inspect.Metadata(type=described):
            return _kind(described)
        case inspect.UnionType(types=types):
            return _kind(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.IntType():
            return "whole", kind.ge, kind.le, False, ()
        case inspect.FloatType():
            above = kind.gt is not None
            return "decimal", kind.gt if above else kind.ge, kind.le, above, ()
        case inspect.StrType():
            return ("name" if kind.pattern else "text"), None, None, False, ()
        case inspect.DateType():
            return "date", None, None, False, ()
        case inspect.EnumType(cls=cls):
            return "choice", None, None, False, tuple(member.value for member in cls)
        case inspect.VarTupleType(item_type=inspect.EnumType()):
            return "days", None, None, False, tuple(WEEK)
        case inspect.VarTupleType(item_type=inspect.StrType()):
            return "names", None, None, False, ()
    return None, None, None, False, ()


def said(value: Any) -> str:
    """A value as a field of the form holds it; a reader's comma is put in later."""
    if value is None or value is msgspec.NODEFAULT:
        return ""
    if isinstance(value, tuple):
        return (" " if value and value[0] in WEEK else ", ").join(map(str, value))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value.isoformat() if isinstance(value, date) else str(value)
