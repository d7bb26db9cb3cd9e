"""An indicator of an invented site. EXAMPLE."""

from jauge_models.effectiveness import Kpi, PeriodKind, Status, Total
from jauge_models.intervals import Grade
from jauge_models.rules import RuleStatus


def kpi(
    label: str, value: float | None, kind: PeriodKind, status: Status, reason: str | None = None
) -> Kpi:
    """One figure; without a value or a reason it lacks coverage."""
    water = "WUE" in label
    if value is None and reason is None:
        reason = "not measured: joint coverage 80.2 % is below 90.0 %"
    return Kpi(
        value=value,
        reason=reason,
        unit="m3/MWh" if water else "kgCO2e/kWh" if "CUE" in label else "1",
        label=label,
        category="PUE1" if "PUE" in label else None,
        period_kind=kind,
        status=None if value is None else status,
        coverage=0.802 if value is None else 0.9934,
        attested_share=0.04 if water and value is not None else 0.0,
        uncertainty=None if water else 0.016,
        numerator=Total("E_DC", 1_000.0, "kWh", "E_DC = jeu-de-barres"),
        denominator=Total("E_IT", 700.0, "kWh", "E_IT = onduleur-1"),
        grade=Grade.HIGH,
        boundary="E_DC = jeu-de-barres; E_IT = onduleur-1",
        formula="PUE = E_DC / E_IT",
        rule_status=RuleStatus.IN_FORCE,
    )
