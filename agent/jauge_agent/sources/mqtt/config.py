"""What an administrator says of topics, and of the broker that carries them."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import is_resource

from jauge_agent.config import BrokerConfig, resolved, shown
from jauge_agent.source import SourceSettings
from jauge_agent.states import check_states
from jauge_agent.units import UNITS

MOST_POINTS: Final = 1000

_PLACEHOLDER: Final = re.compile(r"\{(\d+)\}")


class MqttPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One value, or with a wildcard one value of each of many devices."""

    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    """Topic, where `+` stands for one level and a last `#` for all that follow."""
    payload: Literal["plain", "json", "senml"] = "json"
    """Form of a message: a number and nothing else, a JSON document, or a SenML pack."""
    path: str = ""
    """JSON: where the number stands, as a JSON pointer such as /ENERGY/Total or /values/0."""
    record: str = ""
    """SenML: name of the record, base name included."""
    resource: str
    """The resource that is measured, such as meter:W1; {1} is what the first `+` stands for."""
    quantity: str
    """Name in the catalogue of quantities."""
    unit: str = ""
    """Unit of the number, such as kWh or l; for SenML only where the record names none."""
    states: dict[str, float] = {}
    """The message names a state in place of a number: what each word, number, true or false is
    worth in the catalogue's unit. One that is not among them is no value."""
    scale: float = 1.0
    """What the number is multiplied by to be in that unit."""
    time: str | None = None
    """JSON: where the time of the measurement stands, as a JSON pointer; left out, it is the time
    of arrival, and what the broker had kept is not used."""
    time_form: Literal["unix", "unix_ms", "iso8601"] = "iso8601"
    """How that time is written."""
    max_age_s: Annotated[float, msgspec.Meta(ge=1, le=604_800)] = 300.0
    """Age in seconds from which a value is none any more; a reading has the time of its tick,
    and so tells a value that was measured earlier too late by this at the most."""
    name: str = ""
    """What people call the resource."""
    labels: dict[str, str] = {}
    """Labels of the resource."""

    def __post_init__(self) -> None:
        """Raises ValueError for what can never work."""
        entry = CATALOGUE.get(self.quantity)
        if entry is None:
            raise ValueError(f"{self.quantity!r} is no quantity; see docs/quantities.md")
        if entry.kind is Kind.AMOUNT:
            raise ValueError(f"{self.quantity} is of a period: take the running total instead")
        if self.states:
            if self.payload == "senml" or self.unit or self.scale != 1.0:
                raise ValueError("states are of plain and JSON messages, without unit and scale")
            check_states(self.quantity, self.states)
        elif self.unit or self.payload != "senml":
            known = UNITS.get(self.unit)
            if known is None or known[0] is not entry.unit:
                fit = ", ".join(name for name, (unit, _) in UNITS.items() if unit is entry.unit)
                raise ValueError(f"unit {self.unit!r} is none of {self.quantity}; known are {fit}")
        self._check_topic()
        for key, pointer in (("path", self.path), ("time", self.time or "")):
            if pointer and not pointer.startswith("/"):
                raise ValueError(f"{key} {pointer!r} is no JSON pointer: it begins with /")
        if self.payload == "senml" and not self.record:
            raise ValueError("record is missing: the name of the record in the pack")
        if self.time is not None and self.payload != "json":
            raise ValueError(f"time must be left out: a {self.payload} message has no such field")

    @property
    def is_pattern(self) -> bool:
        """Whether its resource depends on the topic of a message."""
        return _PLACEHOLDER.search(self.resource) is not None

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the topics that are meant, with a group for each ``+``."""
        levels = [
            "([^/]+)" if level == "+" else re.escape(level) for level in self.topic.split("/")
        ]
        if levels[-1] == re.escape("#"):
            return re.compile("/".join(levels[:-1]) + "(?:(?:^|/).*)?", re.DOTALL)
        return re.compile("/".join(levels), re.DOTALL)

    def resource_of(self, wildcards: tuple[str, ...]) -> str:
        """The resource, where the topic's wildcards stand for these."""
        return _PLACEHOLDER.sub(lambda found: wildcards[int(found[1]) - 1], self.resource)

    def _check_topic(self) -> None:
        levels = self.topic.split("/")
        for place, level in enumerate(levels):
            if "\0" in level or (level != "+" and "+" in level):
                raise ValueError(f"topic {self.topic!r}: + stands for a whole level")
            if "#" in level and (level != "#" or place != len(levels) - 1):
                raise ValueError(f"topic {self.topic!r}: # stands last, for whole levels")
        wildcards = levels.count("+")
        if any(not 1 <= int(place) <= wildcards for place in _PLACEHOLDER.findall(self.resource)):
            raise ValueError(f"resource {self.resource!r}: the topic has {wildcards} wildcards (+)")
        if not is_resource(_PLACEHOLDER.sub("x", self.resource)):
            raise ValueError(f"resource {self.resource!r} is none, such as meter:W1")
        if not self.is_pattern and (wildcards or levels[-1] == "#"):
            raise ValueError(f"resource {self.resource!r}: the topic may be of many; use {{1}}")


class MqttSettings(SourceSettings, frozen=True):
    """Settings of the mqtt source."""

    period_s: Annotated[float, msgspec.Meta(ge=0.1, le=86400)] = 60.0
    """Seconds between reads; ticks fall on wall-clock multiples."""
    broker: BrokerConfig = BrokerConfig()
    points: list[MqttPoint] = []  # noqa: RUF012 - msgspec copies it
    """The values to take."""

    def __post_init__(self) -> None:
        """Raises ValueError for too many values, one given twice, and unusable files."""
        if len(self.points) > MOST_POINTS:
            raise ValueError(
                f"{len(self.points)} points; {MOST_POINTS} are the most: use wildcards"
            )
        seen: set[tuple[str, str]] = set()
        for point in self.points:
            key = (point.resource, point.quantity)
            if key in seen and not point.is_pattern:
                raise ValueError(f"{point.resource}/{point.quantity} is given by two points")
            seen.add(key)
        if self.points:
            _check_files(self.broker)


def _check_files(broker: BrokerConfig) -> None:
    if bool(broker.cert_file) != bool(broker.key_file):
        raise ValueError("cert_file and key_file of the broker are given together")
    if broker.password_file and not broker.username:
        raise ValueError("username of the broker is missing: a password needs one")
    for key in ("password_file", "ca_file", "cert_file", "key_file"):
        name: str | None = getattr(broker, key)
        if name is None:
            continue
        try:
            resolved(name).open("rb").close()
        except OSError as error:
            problem = f"{shown(name)} cannot be read: {error.strerror}"
            raise ValueError(f"{key} of the broker: {problem}") from None
    if broker.ca_file or broker.cert_file:
        from jauge_agent.credentials import tls_context  # noqa: PLC0415 - loads ssl

        tls_context(*map(_path, (broker.ca_file, broker.cert_file, broker.key_file)))


def _path(name: str | None) -> Path | None:
    return resolved(name) if name else None
