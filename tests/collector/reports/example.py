"""A whole report made by hand. EXAMPLE: every figure, name and document in it is invented."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import msgspec
from jauge_collector.compliance.attested_set_points import RoomSetPoint
from jauge_collector.kpis import SiteKpis, ZoneKpi
from jauge_collector.reports.content import (
    Amount,
    AttestedHours,
    Deadline,
    FactorUsed,
    Figures,
    Gap,
    InventoryChange,
    MeterEvent,
    MeterState,
    Report,
    Restated,
    Room,
    RuleUsed,
    Signed,
    Slot,
    Sobriety,
    SobrietyRow,
    Temperature,
    decode,
    encode,
)
from jauge_models.effectiveness import PeriodKind, Status
from jauge_models.intervals import Grade
from jauge_models.rules import RULES

from tests.collector.reports.example_kpi import kpi
from tests.collector.reports.example_record import FIRST, LAST, YEAR_FIRST, record, time_in_bands

CLOSED_MS: Final = 1_791_280_800_000
"""2026-10-06T10:00Z."""
MARKUP: Final = '# * _ < & " @ $ [x] \\ ` ~ {{ y }} </b>'
"""What would be markup in typst, HTML or a template."""


def example(
    *,
    servers: int = 12,
    approved: bool = True,
    simulated: bool = False,
    withheld: bool = False,
    restated: bool = False,
    text: str = "",
    name: str = "srv",
) -> Report:
    """A report of an invented site, as read from its JSON.

    ``text`` is put into every free text, ``name`` into the names of servers.
    """
    judged = record(servers, simulated=simulated, withheld=withheld, text=text, name=name)
    status = Status.SIMULATED if simulated else Status.MIXED
    signed = Signed(by=f"responsable énergie (exemple){text}", at_ms=CLOSED_MS)
    made = Report(
        record=judged,
        quarter=_figures(FIRST, LAST, PeriodKind.INTERIM, status, withheld=withheld),
        year=_figures(YEAR_FIRST, LAST, PeriodKind.ANNUAL, status, withheld=withheld),
        months=tuple(_months(status, withheld=withheld)),
        temperature=Temperature(
            envelope="A2",
            set_point="CONSIGNE-1",
            rooms=tuple(_room(at, text) for at in range(3)),
            attested_set_points=(
                RoomSetPoint(
                    room=f"salle (exemple){text}", share=0.95, celsius=24.0, entries=(51,)
                ),
                RoomSetPoint(room="salle vide (exemple)", share=0.0, celsius=None),
            ),
            attested_hours=tuple(_attested(at, text) for at in range(2)),
        ),
        meters=(
            _meter("jeu-de-barres", "electricity", ("+ E_DC",), text),
            _meter("onduleur-1", "electricity", ("+ E_IT",), text),
            _meter("eau-arrivee", "water", ("+ W_IN",), text),
        ),
        events=(
            MeterEvent(
                entry=41,
                meter="onduleur-1",
                kind="replacement",
                start_ms=CLOSED_MS - 40 * 86_400_000,
                end_ms=None,
                text=f"99871.2 → 0 kWh: exemple {text}",
                signatory=f"exploitant (exemple){text}",
                confirmed_by="responsable énergie (exemple)",
                document="PV-REMPLACEMENT-1",
            ),
            MeterEvent(
                entry=42,
                meter="eau-arrivee",
                kind="amount",
                start_ms=CLOSED_MS - 90 * 86_400_000,
                end_ms=CLOSED_MS - 60 * 86_400_000,
                text="112 m3",
                signatory="exploitant (exemple)",
                confirmed_by="",
                document=None,
            ),
        ),
        gaps=(
            Gap(
                meter="onduleur-1",
                start_ms=CLOSED_MS - 41 * 86_400_000,
                end_ms=CLOSED_MS - 40 * 86_400_000,
                bridged=True,
                flags=("bridged", "replaced"),
            ),
            Gap(
                meter="eau-arrivee",
                start_ms=CLOSED_MS - 80 * 86_400_000,
                end_ms=CLOSED_MS - 76 * 86_400_000,
                bridged=False,
            ),
        ),
        gaps_left_out=3,
        restated=_restated(text) if restated else (),
        inventory=(
            InventoryChange(server=f"{name}-001", day=date(2026, 8, 3), came=True),
            InventoryChange(
                server="ancien-9", day=date(2026, 9, 1), came=False, reason=f"réforme {text}"
            ),
        ),
        rules=tuple(
            RuleUsed(id=r.id, formula=r.formula, reference=r.reference, status=r.status)
            for r in RULES
        ),
        factors=(
            FactorUsed(
                subject="electricity-fr",
                value=0.052,
                unit="kgCO2e/kWh",
                scope="life_cycle",
                source=f"ADEME, Base Empreinte, mix moyen, France continentale {text}",
                vintage="2022",
            ),
        ),
        calendar=(
            Deadline(key="legal_report", day=date(2027, 5, 15), basis="Code de l'énergie, L.236-1"),
            Deadline(key="tertiary_report", day=date(2027, 9, 30), basis="décret n° 2019-771"),
            Deadline(
                key="audit",
                day=date(2028, 3, 1),
                basis="Delegated Regulation (EU) 2021/2139, Annex I, 8.1",
            ),
        ),
        sobriety=Sobriety(
            base_first=date(2024, 1, 1),
            base_last=date(2024, 12, 31),
            rows=(
                SobrietyRow(
                    symbol="E_DC", unit="kWh", base=1_480_000, now=1_209_100, change=-0.18304
                ),
                SobrietyRow(
                    symbol="W_IN",
                    unit="m3",
                    base=None,
                    now=None if withheld else 612.0,
                    change=None,
                    reason="no equation for W_IN is declared",
                ),
                SobrietyRow(symbol="CO2e", unit="tCO2e", base=76.96, now=62.87, change=-0.1831),
            ),
        ),
        state="approved" if approved else "closed",
        revision=2 if restated else 1,
        closed=signed,
        approved=Signed(
            by=f"directrice du numérique (exemple){text}", at_ms=CLOSED_MS + 86_400_000, note=text
        )
        if approved
        else None,
        software="jauge-collector 0.0 (exemple)",
        gathered_ms=CLOSED_MS,
        chain_head="c" * 64,
    )
    return decode(encode(made))


def empty() -> Report:
    """A site of which nothing is known: no server, no meter, no register."""
    full = example(servers=0, approved=False, withheld=True)
    bare = msgspec.structs.replace(
        full.record,
        edition="",
        goal_validated_role="",
        goal_validated_on=None,
        registers={},
        policy_hash=None,
        policy_approved=False,
        notes=(),
        actions=(),
    )
    return msgspec.structs.replace(
        full,
        record=bare,
        months=(),
        meters=(),
        events=(),
        gaps=(),
        gaps_left_out=0,
        inventory=(),
        factors=(),
        calendar=(),
        sobriety=None,
        closed=None,
        gathered_ms=0,
        temperature=Temperature(envelope="A2", set_point="", rooms=()),
        quarter=msgspec.structs.replace(full.quarter, amounts=()),
        year=msgspec.structs.replace(full.year, amounts=()),
        software="",
        chain_head="",
        revision=0,
        state="open",
    )


def _attested(at: int, text: str) -> AttestedHours:
    return AttestedHours(
        entry=52 + at,
        place=f"salle (exemple) / {at}{text}",
        quantity=("temperature", "humidity")[at],
        envelope="A2",
        first=FIRST,
        last=LAST,
        observed_h=2208.0,
        allowable_h=2200.5,
        recommended_h=2100.0,
        counts=not at,
        signatory=f"exploitant (exemple){text}",
        confirmed_by="" if at else "responsable énergie (exemple)",
        document=None,
    )


def _room(at: int, text: str) -> Room:
    return Room(
        place=f"allée {3 - at} {text}",
        sensors=(f"gw/sensor:entree-{at}", f"gw/sensor:entree-{at}-haut"),
        quarter=time_in_bands(2208, 2 - at) if at < 2 else None,
        year=time_in_bands(8760, 2 - at),
        rci_high=99.2 if at < 2 else None,
        rci_low=100.0 if at < 2 else None,
        highest_c=28.4 if at < 2 else None,
    )


def _meter(name: str, commodity: str, terms: tuple[str, ...], text: str) -> MeterState:
    return MeterState(
        id=name,
        name=f"compteur {name} (exemple){text}",
        commodity=commodity,
        location=f"local technique {text}",
        accuracy="" if commodity == "water" else "0.5S",
        feeds=(f"gw/meter:{name}",),
        terms=terms,
        coverage=0.993,
        method="register",
        grade=Grade.HIGH,
    )


def _figures(
    first: date, last: date, kind: PeriodKind, status: Status, *, withheld: bool
) -> Figures:
    interim = kind is PeriodKind.INTERIM
    value = None if withheld else 1.384 + 0.03 * interim
    kpis = SiteKpis(
        site="exemple",
        title="Salle d’exemple",
        simulated=status is Status.SIMULATED,
        note="",
        time_zone="Europe/Paris",
        start=first.isoformat(),
        end=(last + timedelta(days=1)).isoformat(),
        pue=kpi("iPUE1" if interim else "PUE1", value, kind, status),
        wue=kpi("interim WUE" if interim else "WUE", None if withheld else 0.7, kind, status),
        cue=kpi("interim CUE" if interim else "CUE", 0.072, kind, status),
        ref=kpi("REF", None, kind, status, "no equation for E_RES-TOT is declared"),
        erf=kpi("ERF", None, kind, status, "no equation for E_REUSE is declared"),
        ppue=[ZoneKpi("salle 1", kpi("ipPUE1" if interim else "pPUE1", 1.21, kind, status))],
    )
    scale = 0.25 if interim else 1.0
    why = "not measured: coverage of the total 80.2 % is below 99.9 %"
    return Figures(
        first=first,
        last=last,
        kpis=kpis,
        without_attested=msgspec.structs.replace(kpis, wue=kpi("WUE", None, kind, status)),
        amounts=(
            _amount("E_DC", 1_209_100 * scale, "kWh", 0.016),
            _amount("E_IT", 873_600 * scale, "kWh", None),
            _amount(
                "W_IN", None if withheld else 612 * scale, "m3", None, why if withheld else None
            ),
        ),
    )


def _amount(
    symbol: str,
    value: float | None,
    unit: str,
    uncertainty: float | None,
    reason: str | None = None,
) -> Amount:
    return Amount(
        symbol=symbol,
        value=value,
        unit=unit,
        reason=reason,
        coverage=0.802 if value is None else 1.0,
        attested_share=0.0 if value is None or unit != "m3" else 0.18,
        uncertainty=uncertainty,
        grade=Grade.HIGH,
        equation=f"{symbol} = exemple",
        meters=("exemple",),
    )


def _months(status: Status, *, withheld: bool) -> Iterable[Slot]:
    for at in range(12):
        year, month = divmod(2025 * 12 + 9 + at, 12)
        first = date(year, month + 1, 1)
        last = date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)
        hole = withheld and at in (9, 10)
        ratio = 1.30 + 0.015 * at
        yield Slot(
            first=first,
            last=last,
            e_dc_w=None if hole else 100_000 * ratio,
            e_it_w=100_000.0 - 500 * at,
            water_m3=None if hole else 10.0 + 9 * at,
            pue=kpi("iPUE1", None if hole else ratio, PeriodKind.INTERIM, status),
            wue=kpi("interim WUE", None if hole else 0.1 + 0.05 * at, PeriodKind.INTERIM, status),
        )


def _restated(text: str) -> tuple[Restated, ...]:
    return tuple(
        Restated(
            quarter="2026-Q3",
            figure=figure,
            before=before,
            after=after,
            unit=unit,
            why=f"facteur du transformateur corrigé (exemple) {text}",
            signatory="responsable énergie (exemple)",
            day=date(2026, 10, 5),
            published=True,
        )
        for figure, before, after, unit in (
            ("year.pue", 1.402, 1.384, "1"),
            ("quarter.E_DC", 310_000.0, 302_275.0, "kWh"),
            ("year.W_IN", None, 612.0, "m3"),
        )
    )
