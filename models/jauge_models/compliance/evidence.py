"""What a collector hands in: documents, practices, meters, hours and invoices of sites and servers.

Everything is as known on the day of the evaluation. What is not known is None or empty, never a
zero. Attested values stand beside measured ones: where a field comes twice, the second also counts
what somebody signed for. Only entries that a second person confirmed, where the policy asks for
one, may be counted in it.
"""

from datetime import date
from enum import StrEnum

import msgspec

from jauge_models.boundaries import Place
from jauge_models.compliance.policy import Placement
from jauge_models.compliance.psychrometrics import Envelope, TimeInBands
from jauge_models.compliance.windows import NOTHING, Coverage
from jauge_models.effectiveness import Kpi
from jauge_models.rules import RuleStatus
from jauge_models.topology import Commodity


class Document(msgspec.Struct, frozen=True):
    """A document on file: its evidence id, its date, and the hash of the file."""

    id: str
    day: date
    sha256: str = ""


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement; ``confirmed_by`` is the second person."""

    document: Document
    signatory: str
    confirmed_by: str = ""


class Exemption(msgspec.Struct, frozen=True, kw_only=True):
    """A written justification that a criterion does not apply. Every field is needed."""

    criterion: str
    justification: str
    day: date
    name: str
    confirmed_by: str = ""


class Effect(StrEnum):
    """When an action shows in a criterion."""

    AT_ONCE = "at_once"
    """On its day: a document, a purchase, a removal."""
    AFTER_TWELVE_MONTHS = "after_twelve_months"
    """A measurement begins on its day and has to run for twelve months."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A dated remediation action on one criterion of a site or a server."""

    criterion: str
    day: date
    owner: str
    effect: Effect = Effect.AT_ONCE


class Participation(StrEnum):
    """What a site is in the Code of Conduct."""

    PARTICIPANT = "participant"
    ENDORSER = "endorser"
    NONE = "none"


class PracticeStatus(StrEnum):
    """What a site says of a practice."""

    IMPLEMENTED = "implemented"
    ENDORSED = "endorsed"
    """Done by the party in control of it."""
    NOT_APPLICABLE = "not_applicable"
    PLANNED = "planned"


class Field(StrEnum):
    """The fields of the goal."""

    ELECTRICITY = "electricity"
    WATER = "water"
    TEMPERATURE = "temperature"


class Practice(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the practice register.

    ``entire`` says whether the edition expects it of the entire data centre. ``topic`` ties it to
    the criteria that rest on such a practice. ``status_of_text`` is in force only where the officer
    copied number and page from the edition; else the row is from memory and counts as nothing.
    """

    number: str
    entire: bool
    fields: frozenset[Field]
    status: PracticeStatus | None = None
    in_control: str = ""
    """Who endorses it: the party in control."""
    justification: str = ""
    planned: date | None = None
    evidence: tuple[str, ...] = ()
    topic: str = ""
    page: str = ""
    status_of_text: RuleStatus = RuleStatus.MEMORY


class PracticeRegister(msgspec.Struct, frozen=True, kw_only=True):
    """The practices of one edition; ``next_published`` is when the following one came out."""

    edition: str
    rows: tuple[Practice, ...]
    next_published: date | None = None


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """How well a total is measured in the twelve months, with and without attested values."""

    meters: tuple[str, ...] = ()
    measured: Coverage = NOTHING
    with_attested: Coverage = NOTHING


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """Intake of a row, a rack or a server: its sensors and the time in bands, by one envelope.

    Without sensors of ours, what an operator attests of a row is its only hours. ``first_day`` is
    the first measured one.
    """

    place: str
    sensors: tuple[str, ...] = ()
    measured: TimeInBands | None = None
    with_attested: TimeInBands | None = None
    first_day: date | None = None
    first_with_attested: date | None = None
    """The first day measured or attested; None where nothing was attested."""
    attested_by: tuple[str, ...] = ()
    """Evidence ids of the attestations that ``with_attested`` counts."""


class AttestedSetPoint(msgspec.Struct, frozen=True, kw_only=True):
    """For which share (0 to 1) of the twelve months somebody attests the set point of a room."""

    room: str
    share: float = 0.0
    evidence: tuple[str, ...] = ()


class Review(msgspec.Struct, frozen=True):
    """A dated review of the set points; ``why_not`` says why the recommended range is not kept."""

    document: Document
    why_not: str = ""


class Refrigerant(msgspec.Struct, frozen=True):
    """A refrigerant of the cooling system; its GWP by the officer's source, None when unknown."""

    name: str
    gwp: float | None


class ReportingKind(StrEnum):
    """How the operator stands towards the yearly legal report."""

    DONE = "done"
    BELOW_THRESHOLD = "below_threshold"
    OPERATORS = "operators"
    """We are a tenant: it is the operator's duty, and the document proves it."""


class LegalReporting(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of the legal report; ``year`` is the calendar year reported, for `DONE`."""

    kind: ReportingKind
    document: Document
    year: int | None = None


class MeterRegister(msgspec.Struct, frozen=True, kw_only=True):
    """The register of meters: how long it is kept, and which meters lack a history in it."""

    since: date
    kept_years: int
    without_history: tuple[str, ...] = ()


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A supplier's invoice beside what was measured from ``first`` to ``last``, one unit."""

    id: str
    commodity: Commodity
    first: date
    last: date
    invoiced: float
    measured: float | None
    cause: str = ""
    """A written cause of the difference."""


class SiteEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is on file about a site; of documents that age, the last up to the day counts.

    ``pue`` and ``wue`` hold the indicator of the twelve months as it is published and, where
    attested values took part, the one without them. ``rows`` covers the twelve months.
    """

    site: str
    operator: str = ""
    simulated: bool = False
    participation: Participation | None = None
    certificate: Document | None = None
    annual_returns: tuple[Document, ...] = ()
    verifications: tuple[Document, ...] = ()
    practices: PracticeRegister | None = None
    e_dc: Metered = Metered()
    e_it: Metered = Metered()
    e_it_place: Place | None = None
    joint: Metered = Metered()
    """E_DC and E_IT together."""
    pue: tuple[Kpi, ...] = ()
    wue: tuple[Kpi, ...] = ()
    water: Metered = Metered()
    dry: Attestation | None = None
    """A statement that no water enters the boundary."""
    rows: tuple[Intake, ...] = ()
    set_point: str = ""
    """Evidence id of the log of the set point T_IN."""
    attested_set_points: tuple[AttestedSetPoint, ...] = ()
    """Where there is no log: of each room with a row, or nothing where nobody attests any."""
    reviews: tuple[Review, ...] = ()
    humidity: tuple[Intake, ...] = ()
    slowest_interval_s: int | None = None
    """The longest logging interval of the meters of S3 to S7."""
    refrigerants: tuple[Refrigerant, ...] = ()
    taxonomy_claim: bool = True
    no_claim: Exemption | None = None
    reporting: LegalReporting | None = None
    reports: tuple[Document, ...] = ()
    """The quarterly reports issued."""
    meters: MeterRegister | None = None
    invoices: tuple[Invoice, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    actions: tuple[Action, ...] = ()


class DeclaredEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is built for: a class of the policy, or a range of the manufacturer's own.

    ``document`` is the manufacturer's; a range counts only with it.
    """

    name: str
    own: Envelope | None = None
    document: Document | None = None


class Electricity(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the server's window by how its electricity is known; they add up to 1 at most.

    ``measured`` is by its own counter, a metered outlet, or its part of a metered chassis.
    """

    measured: float = 0.0
    attested: float = 0.0
    estimated: float = 0.0
    meters: tuple[str, ...] = ()
    first_day: date | None = None
    since_first: float = 0.0
    """Share measured or attested from that day on."""


class PowerManagement(msgspec.Struct, frozen=True, kw_only=True):
    """State of power management as read (or attested) from firmware and system."""

    on: bool
    attested: bool = False
    justification: str = ""
    evidence: str = ""


class Use(msgspec.Struct, frozen=True):
    """Mean processor use (0 to 1) over so many whole days up to the evaluation."""

    cpu: float
    days: int


class Note(msgspec.Struct, frozen=True):
    """An owner's note."""

    text: str
    name: str
    day: date


class ServerEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One server of the inventory, or one node of a chassis, with all that is on file about it.

    It counts from ``valid_from`` on, until the day before ``valid_to``. ``keys`` are what it can
    be recognised by (serial, UUID, asset number), none shared with another machine. ``intake``
    covers `windows.since` the commissioning; ``energy_kwh`` is that of the quarter.
    """

    id: str
    site: str = ""
    room: str = ""
    rack: str = ""
    serial: str = ""
    owner: str = ""
    used_by: str = ""
    keys: frozenset[str] = frozenset()
    chassis: str = ""
    placement: Placement = Placement.OWN
    valid_from: date | None = None
    valid_to: date | None = None
    removal_reason: str = ""
    envelope: DeclaredEnvelope | None = None
    intake: Intake | None = None
    electricity: Electricity | None = None
    energy_kwh: float | None = None
    bought: date | None = None
    ecodesign: Document | None = None
    power_management: PowerManagement | None = None
    use: Use | None = None
    owners_note: Note | None = None
    exemptions: tuple[Exemption, ...] = ()
    actions: tuple[Action, ...] = ()

    def is_valid(self, day: date) -> bool:
        """Whether it is in the inventory on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


class Chassis(msgspec.Struct, frozen=True, kw_only=True):
    """A multi-node chassis: no server itself, but as many as it has nodes."""

    id: str
    nodes: int
    keys: frozenset[str] = frozenset()
    site: str = ""
    rack: str = ""
    owner: str = ""
    used_by: str = ""
    valid_from: date | None = None
    valid_to: date | None = None


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A physical server or hypervisor seen in the quarter; several of one machine share a key.

    ``source`` is what saw it: an agent, a BMC, vCenter, a PDU, NetBox. ``owner`` and ``used_by``
    are filled where the source is known to be somebody's.
    """

    id: str
    source: str
    keys: frozenset[str]
    last_seen: date
    site: str = ""
    rack: str = ""
    owner: str = ""
    used_by: str = ""
    energy_kwh: float | None = None
