"""A record in which everything is met, for tests to take things away from."""

from datetime import date, timedelta
from typing import Any

import msgspec
from jauge_models.boundaries import Place
from jauge_models.compliance.criteria import TOPICS
from jauge_models.compliance.evidence import (
    Action,
    Attestation,
    AttestedSetPoint,
    DeclaredEnvelope,
    Document,
    Electricity,
    Exemption,
    Field,
    Intake,
    Invoice,
    LegalReporting,
    Metered,
    MeterRegister,
    Participation,
    PowerManagement,
    Practice,
    PracticeRegister,
    PracticeStatus,
    Refrigerant,
    ReportingKind,
    Review,
    ServerEvidence,
    SiteEvidence,
    Use,
)
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import TimeInBands, attested_time
from jauge_models.compliance.windows import Coverage, Fill, Window
from jauge_models.effectiveness import DAY_MS, Kpi, PeriodKind, Status
from jauge_models.intervals import Grade
from jauge_models.rules import RuleStatus
from jauge_models.topology import Commodity

POLICY = Policy()
AS_OF = date(2026, 12, 31)
QUARTER = Window(date(2026, 10, 1), AS_OF)
YEAR_FIRST = date(2026, 1, 1)

FULL = Coverage(Fill(0.99, 0.95, 2.0), YEAR_FIRST, Fill(0.99, 0.95, 2.0))
HALF = Coverage(Fill(0.5, 0.0, 184.0), date(2026, 7, 3), Fill(0.99, 0.95, 2.0))
"""Measured without a fault from 3 July on."""
HOLED = Coverage(Fill(0.5, 0.0, 100.0), YEAR_FIRST, Fill(0.5, 0.0, 100.0))


def document(name: str, day: date = date(2026, 6, 1)) -> Document:
    """A document on file."""
    return Document(name, day, "00")


def signed(name: str, *, confirmed_by: str = "second") -> Attestation:
    """A statement with two names."""
    return Attestation(document=document(name), signatory="first", confirmed_by=confirmed_by)


def exempt(criterion: str, **changes: Any) -> Exemption:
    """A complete exemption."""
    whole = Exemption(
        criterion=criterion, justification="why", day=date(2026, 5, 4), name="somebody"
    )
    return msgspec.structs.replace(whole, **changes)


def action(criterion: str, day: date = date(2027, 3, 1), **changes: Any) -> Action:
    """A dated action."""
    return msgspec.structs.replace(Action(criterion=criterion, day=day, owner="x"), **changes)


def bands(
    within: float,
    above: float = 0,
    below: float = 0,
    beyond: float = 0,
    under: float = 0,
    *,
    days: float = 365,
    envelope: str = "A2",
) -> TimeInBands:
    """Time in bands, each as a share of so many days."""
    period_ms = round(days * DAY_MS)
    parts = [round(share * period_ms) for share in (within, above, below, beyond, under)]
    return TimeInBands(
        envelope=envelope,
        period_ms=period_ms,
        within_ms=parts[0],
        above_ms=parts[1],
        below_ms=parts[2],
        beyond_ms=parts[3],
        under_ms=parts[4],
    )


def told(
    observed: float,
    allowable: float | None = None,
    recommended: float | None = None,
    *,
    days: float = 365,
) -> TimeInBands:
    """Attested time, each as a share of so many days; what is not given is as the one before."""
    period_ms = round(days * DAY_MS)
    allowable = observed if allowable is None else allowable
    inside = allowable if recommended is None else recommended
    return attested_time(
        "A2",
        period_ms,
        observed_ms=round(observed * period_ms),
        allowable_ms=round(allowable * period_ms),
        recommended_ms=round(inside * period_ms),
    )


def set_points(*shares: float) -> dict[str, Any]:
    """Rooms whose set point is attested for these shares of the twelve months."""
    rooms = (
        AttestedSetPoint(room=f"R{number}", share=share, evidence=(f"entry-{number}",))
        for number, share in enumerate(shares)
    )
    return {"attested_set_points": tuple(rooms)}


def intake(
    measured: TimeInBands | None, attested: TimeInBands | None = None, **changes: Any
) -> Intake:
    """A row's or a server's intake with one sensor."""
    whole = Intake(place="row 1", sensors=("t1",), measured=measured, with_attested=attested)
    return msgspec.structs.replace(whole, **changes)


def kpi(value: float | None, **changes: Any) -> Kpi:
    """An indicator of twelve months, measured."""
    whole = Kpi(
        value=value,
        reason=None if value is not None else "not measured",
        unit="1",
        label="PUE1",
        category="PUE1",
        period_kind=PeriodKind.ANNUAL,
        status=Status.MEASURED,
        coverage=0.99,
        attested_share=0.0,
        uncertainty=None,
        numerator=None,
        denominator=None,
        grade=Grade.HIGH,
        boundary="",
        formula="",
        rule_status=RuleStatus.IN_FORCE,
    )
    return msgspec.structs.replace(whole, **changes)


def practice(number: str, **changes: Any) -> Practice:
    """An implemented practice that the officer copied from the edition."""
    whole = Practice(
        number=number,
        entire=True,
        fields=frozenset({Field.ELECTRICITY}),
        status=PracticeStatus.IMPLEMENTED,
        page="7",
        status_of_text=RuleStatus.IN_FORCE,
    )
    return msgspec.structs.replace(whole, **changes)


def practices(*rows: Practice, **changes: Any) -> PracticeRegister:
    """A register of an edition."""
    whole = PracticeRegister(edition="E", rows=rows)
    return msgspec.structs.replace(whole, **changes)


def invoices(
    commodity: Commodity, measured: float | None = 100.0, **changes: Any
) -> tuple[Invoice, ...]:
    """Twelve monthly invoices of 100 beside what was measured."""
    firsts = [date(2026, month, 1) for month in range(1, 13)]
    lasts = [*(first - timedelta(days=1) for first in firsts[1:]), AS_OF]
    return tuple(
        msgspec.structs.replace(
            Invoice(
                id=f"{commodity} {number}",
                commodity=commodity,
                first=first,
                last=last,
                invoiced=100.0,
                measured=measured,
            ),
            **changes,
        )
        for number, (first, last) in enumerate(zip(firsts, lasts, strict=True), start=1)
    )


def metered(measured: Coverage = FULL, **changes: Any) -> Metered:
    """A total of one meter."""
    whole = Metered(meters=("m1",), measured=measured, with_attested=measured)
    return msgspec.structs.replace(whole, **changes)


def site(name: str = "north", **changes: Any) -> SiteEvidence:
    """A site that meets every criterion by measurement."""
    whole = SiteEvidence(
        site=name,
        participation=Participation.PARTICIPANT,
        certificate=document("certificate"),
        annual_returns=(document("return"),),
        verifications=(document("verification"),),
        practices=practices(practice("a"), *(practice(topic, topic=topic) for topic in TOPICS)),
        e_dc=metered(),
        e_it=metered(meters=("m2",)),
        e_it_place=Place.UPS_OUTPUT,
        joint=metered(),
        pue=(kpi(1.4),),
        wue=(kpi(0.3, label="WUE", category=None, unit="m3/MWh"),),
        water=metered(meters=("w1",)),
        rows=(intake(bands(0.95, 0.04)),),
        set_point="log",
        reviews=(Review(document("review")),),
        humidity=(intake(bands(0.95), sensors=("h1",)),),
        slowest_interval_s=900,
        refrigerants=(Refrigerant("R-X", 675.0),),
        reporting=LegalReporting(kind=ReportingKind.DONE, document=document("d"), year=2025),
        reports=(document("report", date(2026, 10, 20)),),
        meters=MeterRegister(since=date(2020, 1, 1), kept_years=10),
        invoices=(*invoices(Commodity.ELECTRICITY), *invoices(Commodity.WATER)),
    )
    return msgspec.structs.replace(whole, **changes)


def server(name: str = "s1", **changes: Any) -> ServerEvidence:
    """A server that meets every criterion by measurement."""
    whole = ServerEvidence(
        id=name,
        site="north",
        room="1",
        rack="r1",
        serial=f"serial {name}",
        owner="body",
        used_by="tenant",
        keys=frozenset({f"serial {name}"}),
        valid_from=date(2024, 1, 1),
        envelope=DeclaredEnvelope(name="A2", document=document("sheet")),
        intake=intake(bands(0.95, 0.04)),
        electricity=Electricity(measured=0.97, meters=("bmc",)),
        energy_kwh=100.0,
        bought=date(2024, 1, 1),
        ecodesign=document("ecodesign"),
        power_management=PowerManagement(on=True),
        use=Use(0.4, 90),
    )
    return msgspec.structs.replace(whole, **changes)
