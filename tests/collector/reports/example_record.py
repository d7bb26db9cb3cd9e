"""The judged record of an invented site, made by hand. EXAMPLE: nothing in it is true."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from jauge_collector.compliance import record as records
from jauge_collector.compliance.record import Record
from jauge_collector.registers.notes import Note
from jauge_models.boundaries import Place
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import (
    Action,
    DeclaredEnvelope,
    Document,
    Effect,
    Electricity,
    Field,
    Intake,
    Metered,
    Participation,
    Practice,
    PracticeRegister,
    PracticeStatus,
    Review,
    ServerEvidence,
    Sighting,
    SiteEvidence,
)
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import HOUR_MS, TimeInBands
from jauge_models.compliance.results import Cloud, assess, per_body, per_tenant, shares
from jauge_models.compliance.trajectory import Milestone, Point, trajectory
from jauge_models.compliance.windows import Coverage, Fill, Window
from jauge_models.effectiveness import PeriodKind, Status
from jauge_models.rules import RuleStatus

from tests.collector.reports.example_kpi import kpi

FIRST: Final = date(2026, 7, 1)
LAST: Final = date(2026, 9, 30)
YEAR_FIRST: Final = date(2025, 10, 1)
_FULL: Final = Metered(
    meters=("jeu-de-barres",),
    measured=Coverage(Fill(1.0, 1.0, 0.0), YEAR_FIRST, Fill(1.0, 1.0, 0.0)),
    with_attested=Coverage(Fill(1.0, 1.0, 0.0), YEAR_FIRST, Fill(1.0, 1.0, 0.0)),
)


def record(servers: int, *, simulated: bool, withheld: bool, text: str, name: str) -> Record:
    """So many listed servers and one more that was only seen, judged by the default policy."""
    policy = Policy(version="2026-1")
    wue = kpi("WUE", None if withheld else 0.7, PeriodKind.ANNUAL, Status.MEASURED)
    pue = kpi("PUE1", None if withheld else 1.384, PeriodKind.ANNUAL, Status.MEASURED)
    site = SiteEvidence(
        site="exemple",
        simulated=simulated,
        participation=Participation.PARTICIPANT,
        certificate=Document("CERT-1", date(2024, 2, 1)),
        annual_returns=(Document("RETOUR-1", date(2026, 2, 1)),),
        practices=PracticeRegister(
            edition="2026",
            rows=(
                Practice(
                    number="9.1.1",
                    entire=True,
                    fields=frozenset({Field.ELECTRICITY}),
                    status=PracticeStatus.IMPLEMENTED,
                    topic="automated_readings",
                    page="61",
                    status_of_text=RuleStatus.IN_FORCE,
                ),
            ),
        ),
        e_dc=_FULL,
        e_it=_FULL,
        e_it_place=Place.UPS_OUTPUT,
        joint=_FULL,
        pue=(pue,),
        wue=(wue,),
        water=Metered() if withheld else _FULL,
        rows=tuple(
            Intake(place=f"allée {at}", sensors=("gw/sensor:1",), measured=time_in_bands(8760, at))
            for at in range(3)
        ),
        set_point="CONSIGNE-1",
        reviews=(Review(Document("REVUE-1", date(2026, 3, 1)), f"exemple {text}"),),
        slowest_interval_s=900,
        actions=(
            Action(
                criterion="S6",
                day=date(2026, 12, 1),
                owner=f"exploitant (exemple){text}",
                effect=Effect.AFTER_TWELVE_MONTHS,
            ),
            Action(criterion="S11", day=date(2027, 3, 1), owner="service bâtiment (exemple)"),
        ),
    )
    inventory = Inventory(tuple(_servers(servers, text, name)))
    seen = (
        [
            Sighting(
                id=f"vue-inconnue-1{text}",
                source="vcenter",
                keys=frozenset({"SN-X"}),
                last_seen=LAST,
                site="exemple",
                rack="A3",
            )
        ]
        if servers
        else []
    )
    found = assess(
        [site],
        inventory,
        seen,
        Window(FIRST, LAST),
        policy,
        clouds=[Cloud(service=f"hébergement loué (exemple){text}", used_by="lycées (exemple)")],
    )
    all_of = shares(found.servers, found, policy)
    history = [
        Point(date(2026, 3, 31), servers // 5, servers // 4, servers),
        Point(date(2026, 6, 30), servers // 3, servers // 4, servers),
    ]
    milestones = [
        Milestone(date(2026, 12, 31), 0.75, f"baies A mesurées {text}"),
        Milestone(date(2027, 9, 30), 1.0, "toutes les baies"),
    ]
    return Record(
        site="exemple",
        title=f"Salle d’exemple {text}".strip(),
        simulated=simulated,
        note=f"Exemple inventé. {text}".strip(),
        quarter="2026-Q3",
        start=FIRST,
        as_of=LAST,
        running=False,
        policy_version=f"2026-1{text}",
        policy_hash="a" * 64,
        policy_approved=True,
        goal_reading=f"Code de conduite européen (JRC){text}",
        goal_others=("règlement délégué (UE) 2024/1364", "EN 50600 / CLC/TS 50600-5-1"),
        goal_validated_role=f"direction du numérique (exemple){text}",
        goal_validated_on=date(2026, 9, 1),
        edition="2026",
        headline=records._headline(all_of, found),
        pue=(pue,),
        wue=(wue,),
        shares=all_of,
        bodies=per_body(found, policy),
        tenants=per_tenant(found, policy),
        assessment=found,
        trajectory=trajectory(
            found, history if servers else (), policy, date(2026, 10, 6), milestones=milestones
        ),
        unconfirmed=1,
        registers={"servers": "b" * 64, "policy": "a" * 64},
        notes=(
            Note("servers.csv", 4, "rack", "rack_in_no_row", {"rack": f"B9{text}", "room": "R"}),
        ),
        actions=site.actions,
    )


def _servers(count: int, text: str, name: str) -> Iterable[ServerEvidence]:
    for at in range(count):
        kind = at % 6
        yield ServerEvidence(
            id=f"{name}-{at:03d}{text if at == 0 else ''}",
            site="exemple",
            room="salle 1",
            rack=f"A{at // 20 + 1}",
            serial=f"SN{at}",
            owner=f"Organisme {at % 3 + 1} (exemple){text}",
            used_by=f"Service {at % 4 + 1} (exemple){text}",
            keys=frozenset({f"SN{at}"}),
            envelope=None if kind == 4 else DeclaredEnvelope(name="A2"),
            intake=Intake(
                place="allée 1", sensors=("gw/sensor:1",), measured=time_in_bands(8760, 0)
            ),
            electricity=Electricity(
                measured=0.5 if kind == 5 else 0.98,
                attested=0.45 if kind == 5 and at % 12 == 5 else 0.0,
            ),
            energy_kwh=None if kind == 3 else 610.0 + at,
            actions=(
                Action(criterion="V3", day=date(2026, 12, 15), owner=f"achats (exemple){text}"),
            )
            if kind == 4
            else (),
        )


def time_in_bands(hours: int, worse: int) -> TimeInBands:
    """Hours of an intake that is colder the higher ``worse`` is; three in a hundred unmeasured."""
    return TimeInBands(
        envelope="A2",
        period_ms=hours * HOUR_MS,
        within_ms=round((0.95 - worse / 50) * hours) * HOUR_MS,
        above_ms=round(0.02 * hours) * HOUR_MS + 1_234_567,
        below_ms=round(worse / 50 * hours) * HOUR_MS,
        beyond_ms=2_345_678,
    )
