"""What a person declares about one site, as it stands in a site file (TOML)."""

from typing import Annotated, Literal

import msgspec
from jauge_models.attribution import IdlePolicy
from jauge_models.boundaries import Place, Symbol
from jauge_models.intervals import Grade
from jauge_models.topology import Commodity, EventKind

from jauge_collector.config import NotNegative, Positive, Seconds, Share
from jauge_collector.registers.files import RegistersSection


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class Dated(_Section, frozen=True, kw_only=True):
    """Something that holds from a date to a date (excluded); open where absent."""

    valid_from: str | None = None
    """First day or moment at which it holds; open where absent."""
    valid_to: str | None = None
    """End, excluded; open where absent."""


class SiteSection(_Section, frozen=True, kw_only=True):
    """The site itself."""

    name: str
    """Name on the wire."""
    title: str = ""
    """Name for people."""
    time_zone: str = "Europe/Paris"
    """Zone of its months, quarters and years: ``Europe/Paris``, or fixed, ``UTC+01:00``."""
    simulated: bool = False
    """Whether its readings come from a model: every output then says so."""
    note: str = ""
    """Shown with every figure, e.g. where simulated values come from."""
    connections_file: str | None = None
    """CSV file with more ``[[connections]]``: upstream, downstream, feed, valid_from, valid_to."""
    agents: list[str] | None = None
    """The agents that may report, e.g. ``["gateway", "srv-*"]``; ``*`` is any text. Absent: any."""


class DialSection(_Section, frozen=True, kw_only=True):
    """What is known of a running total, in the meter's unit (kWh for electricity and heat)."""

    modulus: Positive | None = None
    """Value at which the total starts again at zero."""
    resolution: NotNegative = 0.0
    """Smallest step."""


class FactorSection(Dated, frozen=True, kw_only=True):
    """A dated multiplier of raw values: CT ratio, pulse weight."""

    value: Positive
    """What raw values are multiplied by."""
    reason: str = ""
    """Why."""


class MeterSection(Dated, frozen=True, kw_only=True):
    """A meter that counts for the site."""

    id: str
    """Identity, as it stands in equations; letters, digits, ``.``, ``_``, ``-``."""
    commodity: Commodity
    """``electricity``, ``water``, ``heat`` or ``fuel``."""
    feeds: list[str] = []
    """Where its readings come from, best first: ``agent/resource``. None: attested values only."""
    name: str = ""
    """Name for people; the id where empty."""
    location: str = ""
    """Where it hangs."""
    accuracy_class: str = ""
    """As printed on the meter, e.g. ``0.5S``, ``MID B``."""
    uncertainty: Share | None = None
    """Relative standard error of meter and transformer together, e.g. 0.005."""
    interval_s: int = 900
    """Length of its ledger rows in seconds: 300, 600, 900, 1800, 3600 or 86400."""
    period_s: Annotated[int, msgspec.Meta(ge=1, le=366 * 86400)] = 3600
    """For period totals: how long each period is, in seconds."""
    max_gap_s: Seconds = 180.0
    """How far apart power samples may lie and still be joined, in seconds."""
    rated_power_w: Positive | None = None
    """Most that can flow, for electricity and heat; lets wraps and false jumps be told."""
    rated_flow_m3_h: Positive | None = None
    """Most that can flow, for water and fuel."""
    dial: DialSection = DialSection()
    factors: list[FactorSection] = []
    grade: Grade | None = None
    """Lowers the grade that follows from how values are obtained."""
    counts: Literal["after_commissioning", "from_start"] = "after_commissioning"
    """A meter counts once two dial readings agree with the record, unless told otherwise."""
    reason: str = ""
    """Why it counts from the start."""


class TermSection(Dated, frozen=True, kw_only=True):
    """One meter in an equation."""

    meter: str
    """Its id."""
    sign: Literal[1, -1] = 1
    """Whether it adds to the total or is deducted."""
    factor: Positive = 1.0
    """The share of the meter that belongs to the total."""
    joules_per_m3: Annotated[float, msgspec.Meta(ge=1e6, le=1e11)] | None = None
    """Needed for a fuel meter: the fuel's energy content, e.g. 3.564e10 for diesel (9.9 kWh/L)."""
    reason: str = ""
    """Why the term is there, for a verifier."""
    evidence: str = ""
    """Where that can be seen: a drawing, a contract."""


class EquationSection(_Section, frozen=True, kw_only=True):
    """One total of the site."""

    symbol: Symbol
    """Which total."""
    terms: list[TermSection]
    place: Place | None = None
    """For E_IT: where it is metered. Decides the PUE category."""
    zone: str = ""
    """The part of the site that the total is of, for a partial PUE; empty for the whole site."""
    undeducted: list[str] = []
    """Loads the E_IT meters also see and no term deducts."""


class HostSection(Dated, frozen=True, kw_only=True):
    """A machine that several agents report, or whose idle power is known."""

    id: str
    """Identity, as the connection map, events and attributes name it; letters, digits, ``.-_``."""
    feeds: list[str]
    """Who reads it, best first: ``agent/host:ID``. The first with coverage gives each row."""
    name: str = ""
    """Name for people; the id where empty."""
    cluster: str = ""
    """Cluster that it belongs to; what its births say where empty."""
    idle_w: Positive | None = None
    """Power that was measured with no guest busy, in W. Absent: estimated."""
    cpu: str = ""
    """Processor model, for a host without a sensor whose power is estimated; as what follows."""
    processors: Positive | None = None
    """Logical processors."""
    memory_gb: Positive | None = None
    """Memory, in GB."""
    full_w: Positive | None = None
    """Power that was measured with all processors busy, in W."""
    max_gap_s: Seconds = 180.0
    """How far apart power samples, and readings of its guests (for these never less than 180), may
    lie and still be joined, in seconds."""


class AttributionSection(_Section, frozen=True, kw_only=True):
    """How the power of hosts is shared among their guests."""

    idle: IdlePolicy = IdlePolicy.ALLOCATION
    """Who answers for what a host draws because it is on: guests by the processors given them,
    guests each alike, or the host itself."""


class ConnectionSection(Dated, frozen=True, kw_only=True):
    """What feeds what."""

    upstream: str
    """What feeds: the id of a meter or host, ``kind:id``, or ``agent/resource``."""
    downstream: str
    """What is fed."""
    feed: str = ""
    """Name of the feed, e.g. ``A``."""


class CircuitSection(Dated, frozen=True, kw_only=True):
    """One phase of a circuit behind a breaker, and the most that may flow through it."""

    current: str
    """Where its current is read: ``agent/resource``, e.g. ``gateway/phase:pdu-a1.1``."""
    limit_a: Positive
    """Rating of its breaker, or what is allowed of it, in A."""
    phase: str = ""
    """Name of the phase, e.g. ``L1``."""
    feed: str = ""
    """Name of the feed, e.g. ``A``."""
    load: str = ""
    """What it supplies, e.g. ``rack R01``: where one feed fails, the other of a load carries both
    on each phase."""


class EventSection(_Section, frozen=True, kw_only=True):
    """A planned event."""

    kind: EventKind
    """What happens."""
    begin: str
    """First moment, on the site's clock."""
    end: str
    """End, excluded."""
    subject: str = ""
    """Id of the meter or resource concerned; the whole site where empty."""
    reason: str = ""
    """Why."""


class AttributeSection(Dated, frozen=True, kw_only=True):
    """A dated fact, e.g. the operator of the site or the tenant of a rack."""

    subject: str
    """What it is about: an id, or the site's name."""
    name: str
    """Which fact."""
    value: str
    """What holds."""


class EmissionSection(Dated, frozen=True, kw_only=True):
    """A dated emission factor of purchased electricity."""

    kg_co2e_per_kwh: Annotated[float, msgspec.Meta(ge=0, le=10)]
    """Emissions of a purchased kWh, in kgCO2e."""
    source: str
    """Who publishes it, and what it covers."""
    scope: Literal["direct", "life_cycle"]
    """Whether it covers the plants' own emissions or their whole life."""
    vintage: str = ""
    """The year that the figure is about."""


class CapacitySection(_Section, frozen=True, kw_only=True):
    """For `jauge-collector plan`: what GPU workloads can be placed on."""

    plant: str | None = None
    """TOML file of GPU servers, racks with their breakers and rooms, relative to this one."""
    price_eur_per_kwh: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    """What a kWh costs, in euros, everything included; absent: no euros are told."""
    price_source: str = ""
    """Where the price stands: a contract, an invoice, with its year."""


class SiteFile(_Section, frozen=True, kw_only=True):
    """Everything declared about one site."""

    site: SiteSection
    meters: list[MeterSection] = []
    hosts: list[HostSection] = []
    attribution: AttributionSection = AttributionSection()
    registers: RegistersSection = RegistersSection()
    capacity: CapacitySection = CapacitySection()
    equations: list[EquationSection] = []
    connections: list[ConnectionSection] = []
    circuits: list[CircuitSection] = []
    events: list[EventSection] = []
    attributes: list[AttributeSection] = []
    emission_factors: list[EmissionSection] = []
