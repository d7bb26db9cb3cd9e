"""Hosts, guests and roll-ups as pages, files and the JSON interface show them: the same structs.

Power in W, energies in J, every ``…_ms`` since the Unix epoch, UTC. A day is the last 24 whole
hours, a month the last 30 times 24. None is not measured, or not shown to this visitor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from jauge_models.attribution import Certainty, Doubt, IdlePolicy
from jauge_models.intervals import Basis, Grade

from jauge_collector.attribution import NoPower
from jauge_collector.ledger.descriptions import Description
from jauge_collector.ledger.shares import Share

Span = tuple[int, int]


class PartNow(msgspec.Struct, frozen=True):
    """Watts of one guest, or of a host itself: idle, dynamic and GPU parts add up to ``power``."""

    idle: float
    dynamic: float
    gpu: float
    power: float
    certainty: Certainty


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """One host of guests."""

    site: str
    host: str
    """Its id in the site file, or ``<agent>/<resource>``."""
    name: str
    cluster: str
    power: float | None
    """That of ``own`` and of all its guests together."""
    certainty: Certainty | None
    """Whether that is measured, or estimated by a model."""
    own: PartNow | None
    """What no guest is charged with."""
    time_ms: int | None
    reason: NoPower | None
    """Why there is no power, of a host that an agent describes."""
    guests: int | None
    """How many run on it; None where that is not known now."""
    energy_day: float | None
    coverage_day: float
    energy_month: float | None
    coverage_month: float
    basis: Basis | None
    """How the month's energy was obtained; the least good."""
    grade: Grade | None
    reconciliation_day: float | None
    """What the hypervisor's own counters of its guests were multiplied by to add up to their
    dynamic energy; None where there are none."""
    doubts_day: Mapping[Doubt, int]
    """In how many hours which counters disagreed."""


class GuestView(msgspec.Struct, frozen=True, kw_only=True):
    """One guest, wherever it runs."""

    site: str
    guest: str
    """Its instance UUID, or what stands for it."""
    name: str
    cluster: str
    tenant: str
    service: str
    pool: str
    host: str
    """Where it runs now; empty where it does not, or where the host is not shown."""
    now: PartNow | None
    busy: float | None
    """Processors busy now."""
    processors: float | None
    """Given to it."""
    energy_day: float | None
    energy_month: float | None
    certainty: Certainty | None
    """Of the month's energy: that of its least certain hour."""


class Grouping(StrEnum):
    """What guests are rolled up by."""

    CLUSTER = "cluster"
    TENANT = "tenant"
    SERVICE = "service"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Energy of one cluster, tenant or service; ``name`` empty for what names none."""

    name: str
    guests: int
    energy: float
    estimated: float
    """How much of it is estimated at least in part; the rest is measured, or derived from that."""


class RollUp(msgspec.Struct, frozen=True, kw_only=True):
    """A month's shares by one grouping, the largest first; groups and ``own`` add up to ``energy``.

    ``own`` is what hosts keep as their own, where the groups leave it out.
    """

    by: Grouping
    start_ms: int
    end_ms: int
    groups: list[Group]
    own: float | None
    energy: float


@dataclass(frozen=True, slots=True)
class HostHistory:
    """One host: what its guests draw now, and how each hour of the last day was shared."""

    host: HostView
    policy: IdlePolicy
    guests: Sequence[GuestView]
    hours: Sequence[Share]
    span: Span
    answers: bool


@dataclass(frozen=True, slots=True)
class GuestHistory:
    """One guest: every share of the last month that may be seen, and what it was called."""

    guest: GuestView
    shares: Sequence[Share]
    span: Span
    descriptions: Sequence[Description]
    shown_hosts: Mapping[str, str]
    """Names of the hosts that may be seen, by host."""
    answers: bool
