"""A golden site's folder: its files laid out, its readings and steps, and what is expected of it.

A folder that ``extends`` another has all of its files but those that it brings itself; of
``expected.toml`` it brings only what differs. ``README.md`` explains each file for a reader.
"""

import csv
import shutil
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from jauge_models.readings import Reading
from jauge_models.resources import Series

SITES: Final = Path(__file__).parent / "sites"
SITE: Final = "golden"
"""The name of every golden site."""
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
_JOULES_PER_KWH: Final = 3.6e6
_IN_KWH: Final = frozenset({"energy", "heat"})
DAY: Final = timedelta(days=1)


class _Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a file says."""


class Case(_Told, frozen=True, kw_only=True):
    """``case.toml``: what the folder shows, and the moment at which it is looked at."""

    shows: str
    extends: str = ""
    now: datetime = datetime(2027, 1, 5, tzinfo=UTC)
    kept_years: int = 10
    """How long the ledger keeps what it holds of meters."""


class _Step(_Told, frozen=True, kw_only=True, tag_field="do"):
    at: datetime
    """When it is done; all readings that have arrived by then are accounted for first."""


class Birth(_Step, frozen=True, kw_only=True, tag="birth"):
    """An agent describes a host."""

    agent: str
    resource: str
    labels: dict[str, str]


class _Signed(_Step, frozen=True, kw_only=True):
    """Somebody signs for something; a second person may confirm it."""

    by: str
    confirmed_by: str = ""
    name: str = ""
    """For a step that corrects it."""
    corrects: str = ""
    """Name of the step whose entry this one replaces."""


class Amount(_Signed, frozen=True, kw_only=True, tag="amount"):
    """An amount of civil days, in kWh or m3."""

    meter: str
    first: date
    last: date
    amount: float
    invoice: bool = False
    cause: str = ""


class DialReading(_Step, frozen=True, kw_only=True, tag="reading"):
    """Somebody reads a dial, in kWh or m3."""

    meter: str
    value: float
    by: str
    confirmed_by: str = ""


class SetPointSigned(_Signed, frozen=True, kw_only=True, tag="set_point"):
    """The set point of a room over civil days, in °C."""

    room: str
    celsius: float
    first: date
    last: date


class HoursSigned(_Signed, frozen=True, kw_only=True, tag="hours"):
    """Hours of intake air over civil days."""

    room: str
    row: str = ""
    rack: str = ""
    quantity: str = "temperature"
    envelope: str = ""
    observed: float
    allowable: float
    recommended: float
    first: date
    last: date


class CertificateSigned(_Signed, frozen=True, kw_only=True, tag="certificate"):
    """A certificate; ``last`` is its last valid day, if it ends."""

    kind: str
    first: date
    last: date | None = None
    statement: str = ""
    year: int | None = None


class Replaced(_Step, frozen=True, kw_only=True, tag="replacement"):
    """A meter is replaced: the old one's final index and the new one's first, in kWh or m3."""

    meter: str
    when: datetime
    final: float
    first: float
    by: str


class Multiplied(_Step, frozen=True, kw_only=True, tag="factor"):
    """A meter's readings count so many times, from a civil day on."""

    meter: str
    value: float
    since: date
    reason: str
    by: str


class Commissioned(_Step, frozen=True, kw_only=True, tag="commissioning"):
    """Two dial readings agree with the record, in kWh or m3: the meter counts from the first."""

    meter: str
    first: datetime
    first_value: float
    second: datetime
    second_value: float
    by: str


class Closed(_Step, frozen=True, kw_only=True, tag="close"):
    """The officer closes a quarter with its report."""

    quarter: str
    by: str
    note: str = ""


class Approved(_Step, frozen=True, kw_only=True, tag="approve"):
    """Another person approves it."""

    quarter: str
    by: str


class Published(_Step, frozen=True, kw_only=True, tag="publish"):
    """It is published."""

    quarter: str
    by: str
    where: str


class Restate(_Step, frozen=True, kw_only=True, tag="restate"):
    """Closed rows are changed, signed."""

    quarter: str
    by: str
    reason: str


Step = (
    Birth
    | Amount
    | DialReading
    | SetPointSigned
    | HoursSigned
    | CertificateSigned
    | Replaced
    | Multiplied
    | Commissioned
    | Closed
    | Approved
    | Published
    | Restate
)


class Steps(_Told, frozen=True, kw_only=True):
    """``steps.toml``, in the order in which they are done."""

    steps: list[Step] = []


class Expected(_Told, frozen=True, kw_only=True):
    """What is expected of one quarter; what is not named is not looked at."""

    site: dict[str, str] = {}
    """Criterion → « status reason », of every site criterion where any is named."""
    machines: dict[str, dict[str, str]] = {}
    """Machine → its result and criteria, of every machine where any is named."""
    annotations: dict[str, str] = {}
    """Subject and criterion → « kind day », every one there is where criteria are named."""
    report: dict[str, Any] = {}
    """Path into the report → value."""
    nothing: list[str] = []
    """Paths at which the report holds no value."""


class Line(NamedTuple):
    """A line of ``readings.csv``: values of one series, evenly spaced, that advance evenly."""

    series: Series
    start: datetime
    last: datetime
    every: timedelta
    value: float
    step: float
    arrives: datetime | None
    """When they arrive; None: each at its own moment."""

    def readings(self) -> Iterator[tuple[datetime, Reading]]:
        """Each with the moment of its arrival."""
        scale = _JOULES_PER_KWH if self.series.quantity in _IN_KWH else 1.0
        at, number = self.start, 0
        while at <= self.last:
            value = (self.value + self.step * number) * scale
            arrival = at if self.arrives is None else self.arrives
            yield arrival, Reading(self.series, milliseconds(at), value)
            at, number = at + self.every, number + 1


class Folder(NamedTuple):
    """A golden site, laid out."""

    path: Path
    case: Case
    lines: list[Line]
    steps: list[Step]
    expected: dict[str, Expected]


def milliseconds(moment: datetime) -> int:
    """Since the Unix epoch; a moment of a TOML file without an offset is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def names() -> list[str]:
    """Every golden site, by name."""
    return sorted(path.parent.name for path in SITES.glob("*/case.toml"))


def lay_out(name: str, path: Path) -> Folder:
    """Copy a golden site's files into an empty folder, and read those that are the test's own."""
    case = _case(name)
    for one in _line_of(name):
        shutil.copytree(SITES / one, path, dirs_exist_ok=True)
    steps = msgspec.toml.decode((path / "steps.toml").read_bytes(), type=Steps).steps
    return Folder(path, case, _lines(path / "readings.csv"), steps, expectations(name))


def expectations(name: str) -> dict[str, Expected]:
    """What is expected of a golden site, by quarter."""
    told: dict[str, Any] = {}
    for one in _line_of(name):
        text = (SITES / one / "expected.toml").read_text(encoding="utf-8")
        told = _overlaid(told, tomllib.loads(text))
    return msgspec.convert(told, dict[str, Expected])


def _case(name: str) -> Case:
    return msgspec.toml.decode((SITES / name / "case.toml").read_bytes(), type=Case)


def _line_of(name: str) -> list[str]:
    """The folders that a folder is made of, the one that all extend first."""
    found = [name]
    while extends := _case(found[0]).extends:
        found.insert(0, extends)
    return found


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables joined; an empty table above takes out what is below."""
    found = dict(below)
    for key, value in above.items():
        if value == {}:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _overlaid(found[key], value)
        else:
            found[key] = value
    return found


def _lines(file: Path) -> list[Line]:
    with file.open(encoding="utf-8", newline="") as text:
        rows = csv.DictReader((line for line in text if not line.startswith("#")), delimiter=";")
        return [_line(row) for row in rows]


def _line(row: dict[str, str]) -> Line:
    agent, resource, quantity = row["series"].split("/")
    start = datetime.fromisoformat(row["from"]).replace(tzinfo=UTC)
    last = datetime.fromisoformat(row["to"]).replace(tzinfo=UTC) if row["to"] else start
    every = row["every"]
    return Line(
        Series(SITE, agent, resource, quantity),
        start,
        last,
        timedelta(**{_UNITS[every[-1]]: int(every[:-1])}) if every else DAY,
        float(row["value"]),
        float(row["step"] or 0),
        datetime.fromisoformat(row["arrives"]).replace(tzinfo=UTC) if row["arrives"] else None,
    )
