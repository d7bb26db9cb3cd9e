"""Rules about the record: cross-checks, coverage, indicators, compliance."""

from jauge_dashboards.alerts.rule import Form, Rule, Severity, Topic
from jauge_dashboards.alerts.selectors import (
    each,
    newest,
    recent,
)
from jauge_dashboards.alerts.settings import Thresholds
from jauge_dashboards.queries import metric


def record(limits: Thresholds) -> tuple[Rule, ...]:
    """All of them."""
    tickets = metric("collector_tickets", state="~open|still_open")
    tickets = each(recent(tickets, limits), "site", "kind", "state")
    coverage = recent(metric("kpi_coverage_ratio", period="quarter"), limits)
    return (
        Rule(
            "JaugeCrossCheckBroken",
            Severity.TICKET,
            Topic.RECORD,
            f"sum by (site, kind) ({tickets}) > 0",
            Form.NUMBER,
            limits.crosscheck_for,
            limits.keep,
            "0",
            board="power",
        ),
        Rule(
            "JaugeCoverageInDanger",
            Severity.TICKET,
            Topic.RECORD,
            f"min by (site, kpi, label) ({coverage}) < {limits.coverage:g}",
            Form.PERCENT,
            limits.coverage_for,
            limits.keep,
            f"{limits.coverage * 100:g} %",
            scale=100,
            board="site",
        ),
        _drift("JaugePueDrift", "kpi_pue_ratio", limits.pue_rise, limits),
        _drift("JaugeWueDrift", "kpi_wue_cubic_metres_per_megawatt_hour", limits.wue_rise, limits),
        _behind(limits),
    )


def _drift(name: str, indicator: str, rise: float, limits: Thresholds) -> Rule:
    """Of twelve months, so that no season looks like a drift."""
    now, then = (
        each(
            recent(metric(indicator, period="twelve_months"), limits, offset),
            "site",
            "label",
            "category",
        )
        for offset in ("", limits.drift_over)
    )
    same = {"site": "{site}", "label": "{label}", "category": "{category}"}
    past = metric(indicator, period="twelve_months", **same)
    return Rule(
        name,
        Severity.REPORT,
        Topic.RECORD,
        f"{now} > {then} + {rise:g}",
        Form.RATIO,
        limits.drift_for,
        limits.keep,
        f"max({newest(past, limits.recent, limits.drift_over)}) + {rise:g}",
        limit_is_query=True,
        board="site",
        reads_indicator=True,
    )


def _behind(limits: Thresholds) -> Rule:
    share = recent(metric("compliance_share_ratio", result="demonstrated"), limits)
    required = recent(metric("compliance_required_ratio"), limits)
    required = each(required, "site", "reading")
    return Rule(
        "JaugeComplianceBehind",
        Severity.REPORT,
        Topic.RECORD,
        f"0 * {required} + on (site) group_left () {each(share, 'site')} < {required}",
        Form.PERCENT,
        limits.compliance_for,
        limits.keep,
        "max(" + metric("compliance_required_ratio", site="{site}", reading="{reading}") + ")",
        limit_is_query=True,
        scale=100,
        board="site",
    )
