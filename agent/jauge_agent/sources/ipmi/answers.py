"""What FreeIPMI prints, read strictly: a line that is not as expected gives nothing.

``ipmi-dcmi --get-system-power-statistics`` and ``ipmi-sensors --comma-separated-output``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import identity

_LARGEST_SERVER_W: Final = 60_000
"""No single BMC stands for more; 65 535 is what some say when they do not know."""

_CURRENT: Final = re.compile(r"Current Power\s*: (-?\d{1,10}) [Ww]atts", re.ASCII)
_STATE: Final = re.compile(r"Power Measurement\s*: (Active|Not Available)", re.ASCII)

_COLUMNS: Final = ["ID", "Name", "Type", "Reading", "Units", "Event"]
_ID: Final = re.compile(r"\d{1,5}", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{1,6})?", re.ASCII)

_SUPPLY: Final = re.compile(
    r"^(?:ps|psu|power[ _]supply)[ _-]?(?P<number>\d{1,2})\b.*?(?P<side>in|out)(?:put)?\b"
    r"|^(?:ps|psu)(?P<number2>\d{1,2})_p(?P<side2>in|out)$",
    re.IGNORECASE,
)
"""Intel: "PS1 Input Power"; Supermicro: "PS1 Power In"; OpenBMC: "PSU1_PIN"."""

_WHOLE: Final = re.compile(
    r"^(pwr consumption|power meter|(total|system|sys|board)[ _]?(power|pwr)|sys_power|"
    r"node[ _]?(power|pwr))$",
    re.IGNORECASE,
)
"""Dell: "Pwr Consumption"; HPE: "Power Meter"; others "Total_Power", "System Power", "Sys Pwr"."""

_AIR: Final = (
    (re.compile(r"inlet|intake|front[ _]?panel", re.IGNORECASE), "intake"),
    (re.compile(r"exhaust|outlet", re.IGNORECASE), "exhaust"),
    (re.compile(r"ambient", re.IGNORECASE), "ambient"),
)
_PART: Final = re.compile(
    r"cpu|gpu|dimm|psu|\bps\d|vrm?\b|nvme|hdd|ssd|raid|hba|ocp|nic", re.IGNORECASE
)
"""Air inside of a part says nothing about the room ("PSU1 Inlet Temp" does not)."""


class Missing(StrEnum):
    """Why there is no value; a bounded set, because it becomes a label."""

    INACTIVE = "inactive"
    """Power statistics are switched off in the BMC."""
    ZERO = "zero"
    """No power, or a negative one: FreeIPMI prints both for a measurement that is not available."""
    RANGE = "range"
    NULL = "null"
    """The BMC has no reading of this sensor now."""
    TEXT = "text"
    """Not as FreeIPMI prints it."""


IN_WORDS: Final = {
    Missing.INACTIVE: "power statistics are not active in the BMC",
    Missing.ZERO: "the BMC says that there is no power",
    Missing.RANGE: "the BMC's power is none that a server can have",
    Missing.TEXT: "the answer is not as FreeIPMI prints it",
}
"""Why the power statistics have no value."""


def power(text: str) -> float | Missing:
    """The server's power in W out of the power statistics."""
    current: list[int] = []
    states: list[str] = []
    for line in text.splitlines():
        if match := _CURRENT.fullmatch(line.strip()):
            current.append(int(match[1]))
        elif match := _STATE.fullmatch(line.strip()):
            states.append(match[1])
    if states == ["Not Available"]:
        return Missing.INACTIVE
    if states != ["Active"] or len(current) != 1:
        return Missing.TEXT
    return _checked(current[0])


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor worth reading, and the series that it gives."""

    id: str
    name: str
    tail: str
    """What follows the server's identity in the resource; empty for the server itself."""
    kind: str
    quantity: str
    factor: float = 1.0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list of sensors."""

    id: str
    name: str
    reading: str
    units: str


def lines(text: str) -> tuple[list[Line], int]:
    """The sensors that a BMC lists, and how many lines are none."""
    rows = [row for row in text.splitlines() if row.strip()]
    if not rows or rows[0].split(",") != _COLUMNS:
        return [], len(rows)
    found: dict[str, Line] = {}
    wrong = 0
    for row in rows[1:]:
        cells = row.split(",")
        if len(cells) < len(_COLUMNS) or not _ID.fullmatch(cells[0]) or cells[0] in found:
            wrong += 1
            continue
        # The event comes last and may hold commas between its quotes; a name may not.
        if len(cells) > len(_COLUMNS) and not cells[5].startswith("'"):
            wrong += 1
            continue
        found[cells[0]] = Line(cells[0], cells[1].strip(), cells[3].strip(), cells[4].strip())
    return list(found.values()), wrong


def value(line: Line, sensor: Sensor) -> float | Missing:
    """What a sensor says, in the catalogue's unit."""
    if line.reading in {"N/A", ""}:
        return Missing.NULL
    if not _NUMBER.fullmatch(line.reading) or line.name != sensor.name:
        return Missing.TEXT
    number = float(line.reading) * sensor.factor
    if sensor.quantity == "power":
        # A redundant supply may well give nothing; a whole server may not draw nothing.
        is_supply = sensor.kind in {"psu", "psu_output"}
        return number if number == 0 and is_supply else _checked(number)
    limits = CATALOGUE[sensor.quantity]
    return number if limits.low <= number <= limits.high else Missing.RANGE


def worth_reading(listed: Iterable[Line], *, has_power: bool) -> list[Sensor]:
    """The sensors to read: power, air and fans, each series once.

    ``has_power``: the server's power is known by DCMI; else the one sensor that is called as the
    whole's, where there is just one.
    """
    listed = list(listed)
    wholes = [each for each in listed if each.units == "W" and _WHOLE.match(each.name)]
    whole = wholes[0].id if len(wholes) == 1 and not has_power else None
    found: dict[tuple[str, str, str], Sensor] = {}
    for line in listed:
        sensor = _whole(line) if line.id == whole else _sensor(line)
        if sensor is None:
            continue
        key = (sensor.kind, sensor.tail, sensor.quantity)
        if key not in found:
            found[key] = sensor
        elif sensor.quantity != "temperature":
            tail = f"{sensor.tail}.{line.id}"
            found[sensor.kind, tail, sensor.quantity] = Sensor(
                line.id, line.name, tail, sensor.kind, sensor.quantity, sensor.factor, sensor.labels
            )
    return list(found.values())


def said(text: str) -> str:
    """The first line of an error, without the program's name, short."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    program, colon, message = first.partition(": ")
    is_program = bool(colon) and " " not in program
    return " ".join((message if is_program else first).split())[:160]


_REFUSALS: Final = (
    *("password invalid", "username invalid", "k_g invalid", "password verification timeout"),
    *("privilege level insufficient", "privilege level cannot be obtained"),
)


def is_refusal(text: str) -> bool:
    """Whether a BMC has not let this user in.

    A program says it of a login; of a single command it says "ipmi_cmd_…: privilege level
    insufficient".
    """
    for line in text.splitlines():
        program, _, message = line.strip().partition(": ")
        if program.rpartition("/")[2].startswith("ipmi-") and message.startswith(_REFUSALS):
            return True
    return False


def _checked(watts: float) -> float | Missing:
    if watts <= 0:
        return Missing.ZERO
    return watts if watts <= _LARGEST_SERVER_W else Missing.RANGE


def _whole(line: Line) -> Sensor:
    return Sensor(line.id, line.name, "", "host", "power")


def _sensor(line: Line) -> Sensor | None:
    slug = _slug(line)
    if line.units == "W":
        if match := _SUPPLY.search(line.name):
            number, side = match["number"] or match["number2"], match["side"] or match["side2"]
            word = "input" if side.lower() == "in" else "output"
            kind = "psu" if word == "input" else "psu_output"
            return Sensor(line.id, line.name, number, kind, "power", labels={"side": word})
        return Sensor(line.id, line.name, f"power.{slug}", "sensor", "power")
    if line.units == "C" and not _PART.search(line.name):
        for pattern, where in _AIR:
            if pattern.search(line.name):
                labels = {"air": where}
                return Sensor(line.id, line.name, where, "sensor", "temperature", labels=labels)
    if line.units == "RPM":
        return Sensor(line.id, line.name, f"fan.{slug}", "sensor", "fan_speed", 1 / 60)
    return None


def _slug(line: Line) -> str:
    try:
        return identity(line.name.replace(" ", "-"))[:40]
    except ValueError:
        return line.id
