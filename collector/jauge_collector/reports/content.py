"""What a quarterly report says, as data without a language: every reader shows this and no more.

A report is gathered once (`gather`) and kept as JSON when its quarter is closed; what is written
later, in either language, comes out of that. Days are civil days of the site, both ends inside;
``…_ms`` are milliseconds since the Unix epoch, UTC.
"""

import hashlib
from datetime import date
from typing import Final

import msgspec
from jauge_models.compliance.psychrometrics import TimeInBands
from jauge_models.effectiveness import Kpi
from jauge_models.intervals import Grade
from jauge_models.rules import RuleStatus

from jauge_collector.compliance.attested_set_points import RoomSetPoint
from jauge_collector.compliance.record import Record
from jauge_collector.kpis import SiteKpis

FORM: Final = 1
"""Rises with every change that a reader of the JSON must know of."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a report is made of."""


class Amount(_Part, frozen=True, kw_only=True):
    """A total over a period: a register's or bills', or nothing. ``value`` is in ``unit``.

    ``value`` is None exactly when ``reason`` is given: a sum of the covered time alone is never a
    total. ``coverage`` is of the period; the shares are of ``value``.
    """

    symbol: str
    """E_DC, E_IT, W_IN, …; of further ones with the place or zone: ``E_IT@it_input``, ``E_SUB/a``.
    """
    value: float | None
    unit: str
    """kWh or m3."""
    reason: str | None = None
    coverage: float
    attested_share: float = 0.0
    estimated_share: float = 0.0
    uncertainty: float | None = None
    grade: Grade
    equation: str
    meters: tuple[str, ...]
    bases: tuple[str, ...] = ()
    """How its meters' rows were obtained: ``register``, ``attested``, …"""


class Figures(_Part, frozen=True, kw_only=True):
    """The indicators and totals of one period."""

    first: date
    last: date
    kpis: SiteKpis
    without_attested: SiteKpis | None = None
    """The same without signed amounts, where these took part."""
    amounts: tuple[Amount, ...]


class Slot(_Part, frozen=True, kw_only=True):
    """One month of the charts: mean power in W, water in m3; None where it was not measured."""

    first: date
    last: date
    e_dc_w: float | None
    e_it_w: float | None
    water_m3: float | None
    pue: Kpi
    wue: Kpi


class Room(_Part, frozen=True, kw_only=True):
    """The intake of one row of racks over the quarter and over twelve months."""

    place: str
    sensors: tuple[str, ...]
    quarter: TimeInBands | None
    year: TimeInBands | None
    rci_high: float | None
    rci_low: float | None
    """Rack cooling indices of the quarter, in percent (Herrlin 2005)."""
    highest_c: float | None
    """Highest hourly mean of the quarter, °C."""


class AttestedHours(_Part, frozen=True, kw_only=True):
    """Hours of intake air as somebody attests them; ``counts`` where a criterion rests on them."""

    entry: int
    place: str
    quantity: str
    envelope: str
    first: date
    last: date
    observed_h: float
    allowable_h: float
    recommended_h: float
    counts: bool
    signatory: str
    confirmed_by: str
    document: str | None


class Temperature(_Part, frozen=True, kw_only=True):
    """Room temperature of the quarter."""

    envelope: str
    set_point: str
    """Evidence id of what logs it; empty where there is none."""
    rooms: tuple[Room, ...]
    """The worst first. Measured alone."""
    attested_set_points: tuple[RoomSetPoint, ...] = ()
    """Of the twelve months, room by room; nothing where none is attested."""
    attested_hours: tuple[AttestedHours, ...] = ()
    """Within the twelve months, in time order."""


class Gap(_Part, frozen=True, kw_only=True):
    """Time in which a meter of the boundary was not read; ``bridged`` where its register tells."""

    meter: str
    start_ms: int
    end_ms: int
    bridged: bool
    flags: tuple[str, ...] = ()


class MeterState(_Part, frozen=True, kw_only=True):
    """A meter of the boundary: what it is, and what happened to it within the period."""

    id: str
    name: str
    commodity: str
    location: str
    accuracy: str
    """Class as declared; empty where nobody said."""
    feeds: tuple[str, ...]
    terms: tuple[str, ...]
    """« + E_DC », « − E_IT × 0.97 »: where it counts."""
    coverage: float
    method: str
    """Basis of most of its rows."""
    grade: Grade


class MeterEvent(_Part, frozen=True, kw_only=True):
    """Something entered about a meter: commissioned, read, replaced, a factor, an amount."""

    entry: int
    meter: str
    kind: str
    start_ms: int
    end_ms: int | None
    text: str
    signatory: str
    confirmed_by: str
    document: str | None


class Restated(_Part, frozen=True, kw_only=True):
    """A figure of an earlier edition of this or another quarter's report that is other now."""

    quarter: str
    figure: str
    """Key of the figure, e.g. ``quarter.pue`` or ``year.E_DC``."""
    before: float | None
    after: float | None
    unit: str
    why: str
    signatory: str
    day: date
    published: bool
    """Whether the earlier figure had been published."""


class InventoryChange(_Part, frozen=True, kw_only=True):
    """A server that came or went within the quarter."""

    server: str
    day: date
    came: bool
    reason: str = ""


class RuleUsed(_Part, frozen=True, kw_only=True):
    """A formula, with the text and the status of the rule."""

    id: str
    formula: str
    reference: str
    status: RuleStatus


class FactorUsed(_Part, frozen=True, kw_only=True):
    """An emission or fuel factor with its source."""

    subject: str
    value: float
    unit: str
    scope: str
    source: str
    vintage: str


class Deadline(_Part, frozen=True, kw_only=True):
    """A date of the calendar: ``key`` names its text in the locale, ``basis`` the law."""

    key: str
    day: date
    basis: str


class SobrietyRow(_Part, frozen=True, kw_only=True):
    """Twelve months beside those of the base year; ``change`` is relative."""

    symbol: str
    unit: str
    base: float | None
    now: float | None
    change: float | None
    reason: str | None = None


class Sobriety(_Part, frozen=True, kw_only=True):
    """« Sobriété »: kWh, m³ and tCO2e against a named base year."""

    base_first: date
    base_last: date
    rows: tuple[SobrietyRow, ...]


class GpusUsed(_Part, frozen=True, kw_only=True):
    """GPUs of one kind over the quarter; hours in which any of them is unknown do not count."""

    gpu: str
    number: int
    used: float | None
    """Mean of those that somebody had, or that were at work where nothing tells of holders."""
    coverage: float
    """Known hours over those of the quarter."""


class GpusIdle(_Part, frozen=True, kw_only=True):
    """What GPUs did in hours of the quarter in which their activity was below ``below``."""

    below: float
    hours: float
    """GPU-hours whose activity is known."""
    idle_hours: float
    unmeasured_hours: float
    """Of the idle ones, those whose power is not known."""
    kwh: float | None
    """Drawn in the others."""


class CapacityLimit(_Part, frozen=True, kw_only=True):
    """A limit of the plant, by what was measured up to the end of the quarter.

    ``used``: 95th percentile over the limit, of a breaker the most of its nodes with a feed lost.
    ``probability`` that it is reached within ``horizon_days``, and days by which one chance in
    ten, five, nine; None where that is not so or nothing can be told.
    """

    limit: str
    place: str
    used: float | None = None
    probability: float | None = None
    days_10: float | None = None
    days_50: float | None = None
    days_90: float | None = None
    horizon_days: float | None = None
    method: str = ""
    """Of the forecast; empty where there is none."""
    skill: float | None = None
    """None: the forecast is the time before once more."""
    counted: str = ""
    """What the forecast counts as used; empty where there is none."""


class CapacityPool(_Part, frozen=True, kw_only=True):
    """What is ahead for a kind of GPU: a limit or a measure, hours of the next four weeks.

    The hours that lie so far ahead are a middle with the bounds of 80 %; None where the history
    does not reach to them. ``have`` of the ``needed`` hours where it is too short for any.
    """

    gpu: str
    what: str
    last: float | None = None
    in_a_day: tuple[float, float, float] | None = None
    in_a_week: tuple[float, float, float] | None = None
    in_four_weeks: tuple[float, float, float] | None = None
    method: str = ""
    skill: float | None = None
    have: int = 0
    needed: int = 0


class CapacityGap(_Part, frozen=True, kw_only=True):
    """What is not known, and of which nodes, kinds, racks or rooms."""

    code: str
    names: tuple[str, ...]


class Capacity(_Part, frozen=True, kw_only=True):
    """GPU capacity of a site that declares a plant: measured use alone, no scenario."""

    problem: str = ""
    """Why the plant could not be read; then there is nothing else."""
    gpus: tuple[GpusUsed, ...] = ()
    idle: GpusIdle | None = None
    """None where no GPU's activity was measured."""
    limits: tuple[CapacityLimit, ...] = ()
    """At most the nearest 15; ``limits_left_out`` counts the others."""
    limits_left_out: int = 0
    pools: tuple[CapacityPool, ...] = ()
    """Use, memory, activity and power of each kind of GPU, as they go on."""
    unknown: tuple[CapacityGap, ...] = ()


class Signed(_Part, frozen=True, kw_only=True):
    """Who did something to the quarter, and when."""

    by: str
    at_ms: int
    note: str = ""


class Report(_Part, frozen=True, kw_only=True):
    """A quarter of one site, complete. ``data_hash`` covers all but the fields of its life."""

    form: int = FORM
    record: Record
    quarter: Figures
    """The quarter alone: its ratios are interim (iPUE)."""
    year: Figures
    """The twelve months up to its last day."""
    months: tuple[Slot, ...]
    """Those twelve months, oldest first."""
    temperature: Temperature
    meters: tuple[MeterState, ...]
    events: tuple[MeterEvent, ...]
    gaps: tuple[Gap, ...]
    """At most the longest 50; ``gaps_left_out`` counts the others."""
    gaps_left_out: int
    restated: tuple[Restated, ...]
    inventory: tuple[InventoryChange, ...]
    rules: tuple[RuleUsed, ...]
    factors: tuple[FactorUsed, ...]
    calendar: tuple[Deadline, ...]
    sobriety: Sobriety | None
    capacity: Capacity | None = None
    """None where the site declares no plant, as in reports of before there was any."""
    # --- its life: outside the hash
    state: str = "open"
    revision: int = 0
    closed: Signed | None = None
    approved: Signed | None = None
    published: Signed | None = None
    software: str = ""
    gathered_ms: int = 0
    chain_head: str = ""
    """Digest of the chain's last link before this was closed, or when it was gathered; 64 zeros
    where the chain had none."""

    @property
    def provisional(self) -> bool:
        """« PROVISOIRE »: whatever no second person has approved."""
        return self.approved is None or self.record.running


_LIFE: Final = (
    "state",
    "revision",
    "closed",
    "approved",
    "published",
    "software",
    "gathered_ms",
    "chain_head",
)


def encode(report: Report) -> bytes:
    """The report as canonical JSON: equal reports give equal bytes."""
    return msgspec.json.encode(report, order="deterministic")


def decode(text: bytes) -> Report:
    """A report out of its JSON. Raises msgspec.ValidationError and msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Report)


def data_hash(report: Report) -> str:
    """SHA-256 of what the report says: the same for the same ledger, registers and store.

    Who closed it, when, and by which version of the software is no part of it.
    """
    bare: dict[str, object] = {
        name: value for name, value in msgspec.structs.asdict(report).items() if name not in _LIFE
    }
    if report.capacity is None:
        del bare["capacity"]  # reports of before it was told keep their hash
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()
