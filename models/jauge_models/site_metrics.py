"""What the collector publishes on its ``/metrics`` about the sites: now, and their record.

A value that is not measured has no sample. Identifiers only: names that change stand in
``…_info`` metrics, which are always 1 and joined by a query.
"""

from typing import Final

from jauge_models.metric import Metric, MetricType, MetricUnit

_COUNT: Final = MetricUnit.COUNT
_STATE: Final = MetricUnit.STATE
_WATT: Final = MetricUnit.WATT
_RATIO: Final = MetricUnit.RATIO


def _gauge(
    name: str,
    unit: MetricUnit,
    text: str,
    *labels: str,
    optional: tuple[str, ...] = (),
    open_labels: bool = False,
) -> Metric:
    return Metric(
        f"jauge_{name}",
        MetricType.GAUGE,
        unit,
        ("site", *labels),
        text,
        optional=optional,
        open_labels=open_labels,
    )


_OF_LIMIT: Final = ("limit", "place")
_OF_KPI: Final = ("label", "category", "period", "status")


def _kpi(name: str, unit: MetricUnit, text: str) -> Metric:
    return _gauge(f"kpi_{name}", unit, text, *_OF_KPI)


SITE_METRICS: Final = (
    _gauge(
        "resource_info",
        _STATE,
        "Changing labels of a resource; always 1.",
        "agent",
        "kind",
        "resource",
        "name",
        open_labels=True,
    ),
    _gauge(
        "site_info",
        _STATE,
        "A site: its title, its time zone, whether its readings come from a model; always 1.",
        "title",
        "time_zone",
        "simulated",
    ),
    # --- indicators: only the collector computes them
    _kpi("pue_ratio", _RATIO, "Power usage effectiveness."),
    _gauge(
        "kpi_ppue_ratio", _RATIO, "Partial power usage effectiveness of a zone.", *_OF_KPI, "zone"
    ),
    _kpi(
        "wue_cubic_metres_per_megawatt_hour",
        MetricUnit.CUBIC_METRE_PER_MEGAWATT_HOUR,
        "Water usage effectiveness; the same number in litres per kilowatt hour.",
    ),
    _kpi(
        "cue_kilograms_per_kilowatt_hour",
        MetricUnit.KILOGRAM_PER_KILOWATT_HOUR,
        "Carbon usage effectiveness, CO2 equivalent.",
    ),
    _kpi("ref_ratio", _RATIO, "Renewable energy factor."),
    _kpi("erf_ratio", _RATIO, "Energy reuse factor."),
    _gauge(
        "kpi_coverage_ratio",
        _RATIO,
        "Share of the period in which both sides of an indicator are measured.",
        *_OF_KPI,
        "kpi",
        optional=("zone",),
    ),
    # --- power now
    _gauge(
        "total_power_watts",
        _WATT,
        "Power now of a total of the site, by its equation; none while a meter of it is silent.",
        "symbol",
        optional=("zone", "place"),
    ),
    _gauge(
        "meter_power_watts",
        _WATT,
        "Power now of a meter of electricity or heat, factors applied.",
        "meter",
        "commodity",
    ),
    _gauge(
        "meter_info",
        _STATE,
        "Names of a declared meter; always 1.",
        "meter",
        "commodity",
        "name",
        "location",
    ),
    _gauge(
        "connection_info",
        _STATE,
        "What feeds what, as declared for today; always 1.",
        "upstream",
        "downstream",
        "feed",
    ),
    _gauge(
        "host_power_watts",
        _WATT,
        "Power now of a host by the first of its ranked sources that tells of late.",
        "host",
        "certainty",
    ),
    _gauge(
        "host_info",
        _STATE,
        "Names of a host; always 1.",
        "host",
        "name",
        "cluster",
        "room",
        "rack",
    ),
    _gauge(
        "host_feed_info",
        _STATE,
        "Which resources of agents tell of a host, the best with rank 1; always 1.",
        "host",
        "agent",
        "resource",
        "rank",
    ),
    _gauge(
        "host_own_power_watts",
        _WATT,
        "Part of a host's power that is nobody's but its own; with the guests' it is the host's.",
        "host",
        "certainty",
    ),
    _gauge(
        "guest_attributed_power_watts",
        _WATT,
        "Part of a host's power that is a guest's.",
        "host",
        "guest",
        "agent",
        "resource",
        "certainty",
    ),
    _gauge(
        "gpu_allocated_ratio",
        _RATIO,
        "Part of a GPU that guests of its host were given; 0 where it is the host's alone.",
        "host",
        "agent",
        "resource",
    ),
    # --- what stands for what, and within which limits
    _gauge(
        "envelope_limit_celsius",
        MetricUnit.CELSIUS,
        "A limit of an envelope of intake air, by the policy.",
        "class",
        "bound",
    ),
    _gauge(
        "intake_info",
        _STATE,
        "A sensor of intake air, where it is and which class its air is kept in; always 1.",
        "agent",
        "resource",
        "room",
        "row",
        "rack",
        "class",
    ),
    _gauge(
        "meter_limit_amperes",
        MetricUnit.AMPERE,
        "Most that may flow through a phase of a circuit, by the site file.",
        "agent",
        "resource",
        "phase",
        "feed",
        "load",
    ),
    _gauge(
        "meter_limit_watts",
        _WATT,
        "Most that can flow through a meter, by the site file.",
        "meter",
    ),
    _gauge(
        "event_active",
        _STATE,
        "1 while a declared event runs; its scope is empty for the whole site.",
        "kind",
        "scope",
    ),
    # --- GPU capacity
    _gauge("capacity_gpus", _COUNT, "GPUs of a kind that a site's plant has.", "gpu"),
    _gauge(
        "capacity_gpus_used",
        _COUNT,
        "GPUs of a kind that somebody had in the last known hour of the last 24; where nothing "
        "tells of holders, those at work.",
        "gpu",
    ),
    _gauge(
        "capacity_used_ratio",
        _RATIO,
        "Used part of a limit: GPUs, their memory, and the power of racks and rooms, by the 95th "
        "percentile of the hours measured; a breaker by the most that its nodes draw once a feed "
        "is lost.",
        *_OF_LIMIT,
    ),
    _gauge(
        "capacity_full_probability_ratio",
        _RATIO,
        "Chance that a limit is reached within its horizon, if use goes on as it was measured; a "
        "breaker by hourly means with the worst feed lost.",
        *_OF_LIMIT,
    ),
    _gauge(
        "capacity_full_seconds",
        MetricUnit.SECOND,
        "Time by which a limit is reached with a chance of 0.1, 0.5 and 0.9; no sample where that "
        "is not within the horizon.",
        *_OF_LIMIT,
        "chance",
    ),
    _gauge(
        "capacity_full_horizon_seconds",
        MetricUnit.SECOND,
        "How far ahead the history of a limit lets one tell whether it is reached; a year at most.",
        *_OF_LIMIT,
    ),
    _gauge(
        "capacity_forecast_skill_ratio",
        _RATIO,
        "By how much the forecast errs less than the same time before; no sample where no model "
        "was better, so that it is that one.",
        *_OF_LIMIT,
    ),
    _gauge(
        "capacity_timestamp_seconds",
        MetricUnit.TIMESTAMP,
        "When the capacity was worked out that the figures are of.",
    ),
    # --- the record
    _gauge("compliance_servers", _COUNT, "Servers by where they stand in the record.", "result"),
    _gauge(
        "compliance_share_ratio",
        _RATIO,
        "Share of the servers of the record by where they stand.",
        "result",
    ),
    _gauge(
        "compliance_required_ratio",
        _RATIO,
        "Share that the straight line to the goal, where there is one, asks for on its day.",
        "reading",
    ),
    _gauge(
        "compliance_blocking_criteria",
        _COUNT,
        "Servers that a criterion of their site keeps from complying.",
        "criterion",
    ),
    _gauge(
        "compliance_record_timestamp_seconds",
        MetricUnit.TIMESTAMP,
        "When the record was judged that the figures are of.",
        "quarter",
    ),
    _gauge(
        "ledger_restatements_proposed",
        _COUNT,
        "Rows of closed quarters that late readings or corrections would change: a person decides.",
    ),
)
