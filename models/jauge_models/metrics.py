"""The catalogue of metrics: what agent and collector publish on ``/metrics``.

Beside the readings in the store (`quantities`) these are the only series that dashboards and
alert rules may query. Type, labels and help text of a metric stand here and nowhere else: whoever
publishes it takes them from here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from jauge_models.agent_metrics import AGENT_METRICS
from jauge_models.collector_metrics import COLLECTOR_METRICS, PROCESS_METRICS
from jauge_models.metric import METRIC_UNIT_WORDS, Metric, MetricType, MetricUnit, Publisher
from jauge_models.site_metrics import SITE_METRICS

__all__ = [
    "METRICS",
    "METRIC_UNIT_WORDS",
    "Metric",
    "MetricType",
    "MetricUnit",
    "Publisher",
    "render_table",
]

METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        metric.name: metric
        for metric in (*SITE_METRICS, *COLLECTOR_METRICS, *PROCESS_METRICS, *AGENT_METRICS)
    }
)
"""Every metric by its name, e.g. ``jauge_agent_ticks_total``."""


def render_table() -> str:
    """The catalogue as the Markdown page ``docs/metrics.md``."""
    lines = [
        "# Metrics",
        "",
        "Generated from the catalogue in `models/jauge_models/metrics.py`; do not edit.",
        "",
        "What collector and agent publish on `/metrics`, beside the readings in the store",
        "([quantities](quantities.md)). Dashboards and alert rules query these names and those",
        "of the quantities, and no others. No query divides one into a PUE, WUE, CUE, REF or ERF:",
        "the `jauge_kpi_` metrics are these, with what qualifies them.",
        "",
        "- The collector's `/metrics` needs a token that covers every site; the agent's answers",
        "  on loopback, where `metrics.port` is set.",
        "- What is not measured has no sample: never 0. A name that ends in `_info` is always 1",
        "  and carries what may change. A query joins it: `jauge_temperature_celsius * on (site,",
        "  agent, resource) group_left (room, rack) jauge_intake_info`.",
        "- Labels in *italics* are on some samples only; *…* stands for what births say of a",
        "  resource: room, rack and whatever else its agent is told.",
        "- A timestamp is in seconds since the Unix epoch, UTC. A histogram has `_bucket` (with",
        "  `le`), `_sum` and `_count`; counters and histograms of the collector also have a",
        "  `_created`, which no query needs.",
    ]
    for title, text, metrics in _CHAPTERS:
        lines += ["", f"## {title}", "", text, ""]
        lines += [
            "| metric | type | unit | labels | what it is |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{m.name}` | {m.type} | {m.unit} | {_labels(m)} | {m.help} |" for m in metrics
        ]
    return "\n".join(lines) + "\n"


_CHAPTERS: Final = (
    ("Sites", "Published by the collector.", SITE_METRICS),
    ("The collector and its agents", "Published by the collector.", COLLECTOR_METRICS),
    ("The collector's process", "Published by the collector, on Linux.", PROCESS_METRICS),
    (
        "An agent",
        "Published by each agent; which one is told by what its scraper adds.",
        AGENT_METRICS,
    ),
)


def _labels(metric: Metric) -> str:
    told = [f"`{label}`" for label in metric.labels]
    told += [f"*`{label}`*" for label in metric.optional]
    return ", ".join([*told, *(["*…*"] if metric.open_labels else [])]) or "–"
