"""What an alert rule is: one entry of the list of `rules`."""

from enum import StrEnum
from typing import Final, NamedTuple


class Severity(StrEnum):
    """How a rule reaches people. Fixed for each rule: no file of a site changes it."""

    PAGE = "page"
    """Wakes somebody."""
    TICKET = "ticket"
    """Waits for office hours."""
    REPORT = "report"
    """Is read with the next report; never wakes anybody."""
    NONE = "none"
    """Reaches nobody: it holds other alerts back, or shows that the chain is alive."""


class Topic(StrEnum):
    """What an alert is about."""

    POWER = "power"
    COOLING = "cooling"
    WATER = "water"
    COMPUTE = "compute"
    DELIVERY = "delivery"
    RECORD = "record"


class Team(StrEnum):
    """Whose it is, for routes."""

    FACILITIES = "facilities"
    PLATFORM = "platform"
    COMPLIANCE = "compliance"


TEAMS: Final = {
    Topic.POWER: Team.FACILITIES,
    Topic.COOLING: Team.FACILITIES,
    Topic.WATER: Team.FACILITIES,
    Topic.COMPUTE: Team.PLATFORM,
    Topic.DELIVERY: Team.PLATFORM,
    Topic.RECORD: Team.COMPLIANCE,
}


class Form(StrEnum):
    """How a value is written in a text; with the sign of its unit."""

    NUMBER = "%.0f"
    CELSIUS = "%.1f °C"
    AMPERE = "%.1f A"
    LITRES_PER_HOUR = "%.0f L/h"
    PERCENT = "%.1f %%"
    RATIO = "%.2f"
    DAYS = "%.0f d"
    SECONDS = "%.1f s"
    DURATION = ""
    """Of seconds, for people: ``1h 5m 0s``."""


class Rule(NamedTuple):
    """One alert.

    ``expression`` gives a sample per alert; its labels say where. ``hold`` is Prometheus' ``for``,
    ``keep`` its ``keep_firing_for``. ``limit`` is a query of one sample, with ``{label}`` for a
    label of the alert, or a text. ``scale`` brings value and limit to the unit of ``form``.
    """

    name: str
    severity: Severity
    topic: Topic
    expression: str
    form: Form
    hold: str = "0s"
    keep: str = "0s"
    limit: str = ""
    limit_is_query: bool = False
    scale: float = 1
    tells_value: bool = True
    """Whether the value says something to people."""
    more: str = ""
    """A query of one sample of seconds, like ``limit``: told in place of the value, if known."""
    board: str = "fleet"
    """Key of the dashboard that shows it."""
    variables: tuple[str, ...] = ("site",)
    """Labels of the alert that are variables of that dashboard."""
    reads_indicator: bool = False
    """Whether it sets an indicator beside its own past, and so adds a tolerance to it."""

    @property
    def team(self) -> Team:
        """Whose it is."""
        return TEAMS[self.topic]


class Recording(NamedTuple):
    """A series that rules keep for themselves; its name has a colon, as no catalogue's has."""

    name: str
    expression: str


class Group(NamedTuple):
    """Rules that are evaluated one after another; ``interval`` empty: as often as the rest."""

    name: str
    rules: tuple[Rule, ...]
    recordings: tuple[Recording, ...] = ()
    interval: str = ""
