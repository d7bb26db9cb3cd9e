"""A number, and the time it was measured, out of a message; nothing here trusts its input."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from jauge_models.quantities import CATALOGUE

from jauge_agent.finite import finite
from jauge_agent.sources.mqtt.config import MqttPoint
from jauge_agent.units import UNITS

LARGEST_PAYLOAD: Final = 64 * 1024
"""Bytes of a message; a larger one is not looked at."""
MOST_RECORDS: Final = 2000

_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,3})?", re.ASCII)
_ABSOLUTE_S: Final = 2**28
_NEWEST_S: Final = 2**33
_DEEPEST: Final = 16


class NoNumberError(Exception):
    """The message holds no such value; ``reason`` is of a bounded set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Found(NamedTuple):
    """A value in the unit of the catalogue; ``time_s``: Unix seconds, None where not told.

    None for ``value``: what stands in the place of a state is none that has a meaning.
    """

    value: float | None
    time_s: float | None


def found_in(payload: bytes, point: MqttPoint) -> Found:
    """What a message says of a point.

    Raises NoNumberError: size, form, path, value, unit, time.
    """
    if len(payload) > LARGEST_PAYLOAD:
        raise NoNumberError("size")
    if point.payload == "senml":
        return _of_senml(_document(payload), point)
    if point.payload == "json":
        document = _document(payload)
        time_s = None if point.time is None else _time(_at(document, point.time), point.time_form)
        return Found(_told(_at(document, point.path), point), time_s)
    try:
        # In whatever letters, a word in the place of a state says that the one before has ended.
        text = payload.decode("utf-8", errors="replace" if point.states else "strict")
    except UnicodeDecodeError:
        raise NoNumberError("form") from None
    return Found(_told(text.strip(), point), None)


def _document(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise NoNumberError("form") from None


def _at(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to; raises NoNumberError when it leads nowhere."""
    here = document
    for token in pointer.split("/")[1 : _DEEPEST + 1]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isascii() and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        else:
            raise NoNumberError("path")
    return here


def _of_senml(document: Any, point: MqttPoint) -> Found:
    """The record of that name, or of its last occurrence: a pack may hold a history."""
    if not isinstance(document, list) or len(document) > MOST_RECORDS:
        raise NoNumberError("form")
    base_name, base_unit, base_value, base_time = "", "", 0.0, 0.0
    found: Found | None = None
    for record in document:
        if not isinstance(record, Mapping) or any(str(key).endswith("_") for key in record):
            raise NoNumberError("form")  # an extension that must be understood
        base_name = _text(record, "bn", base_name)
        base_unit = _text(record, "bu", base_unit)
        base_value = _plain(record, "bv", base_value)
        base_time = _plain(record, "bt", base_time)
        if base_name + _text(record, "n", "") != point.record or "v" not in record:
            continue
        value = _number(record["v"]) + base_value
        time_s = base_time + _plain(record, "t", 0.0)
        unit = _text(record, "u", base_unit) or point.unit
        told = time_s if _ABSOLUTE_S <= time_s <= _NEWEST_S else None
        if told is None and time_s != 0:
            raise NoNumberError("time")  # relative to a moment that only the sender knows
        if found is None or (told or 0) >= (found.time_s or 0):
            found = Found(_scaled(value, point, unit), told)
    if found is None:
        raise NoNumberError("path")
    return found


def _told(raw: Any, point: MqttPoint) -> float | None:
    return _worth(raw, point.states) if point.states else _scaled(raw, point, point.unit)


def _scaled(raw: Any, point: MqttPoint, unit: str) -> float:
    known = UNITS.get(unit)
    if known is None or known[0] is not CATALOGUE[point.quantity].unit:
        raise NoNumberError("unit")
    value = _number(raw) * point.scale * known[1]
    if not math.isfinite(value):
        raise NoNumberError("value")
    return value


def _worth(raw: Any, states: Mapping[str, float]) -> float | None:
    """Of a state: a text, true or false as JSON writes them, or a number, 1.0 being 1."""
    told = raw.strip() if isinstance(raw, str) else raw
    if isinstance(told, bool):
        told = str(told).lower()
    elif isinstance(told, str) and told not in states and _NUMBER.fullmatch(told):
        told = f"{float(told):.15g}"
    elif (value := finite(told)) is not None:
        told = f"{value:.15g}"
    return states.get(told) if isinstance(told, str) else None


def _number(raw: Any) -> float:
    """A JSON number, or a text that is one; true and false are none."""
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        raw = float(raw)
    value = finite(raw)
    if value is None:
        raise NoNumberError("value")
    return value


def _time(raw: Any, form: str) -> float:
    """Unix seconds; raises NoNumberError for no time, and for one without its zone."""
    if form != "iso8601":
        time_s = _number(raw) / (1000 if form == "unix_ms" else 1)
    else:
        try:
            moment = datetime.fromisoformat(raw)
            if moment.tzinfo is None:
                raise NoNumberError("time")
            time_s = moment.timestamp()
        except (TypeError, ValueError, OverflowError):
            raise NoNumberError("time") from None
    if not _ABSOLUTE_S <= time_s <= _NEWEST_S:
        raise NoNumberError("time")
    return time_s


def _text(record: Mapping[Any, Any], key: str, default: str) -> str:
    value = record.get(key, default)
    if not isinstance(value, str):
        raise NoNumberError("form")
    return value


def _plain(record: Mapping[Any, Any], key: str, default: float) -> float:
    return _number(record[key]) if key in record else default


__all__: Sequence[str] = ("LARGEST_PAYLOAD", "Found", "NoNumberError", "found_in")
