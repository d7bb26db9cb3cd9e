"""The catalogue of metrics: names, units and labels that dashboards and rules can rely on."""

import re
import subprocess
import sys
from pathlib import Path

from jauge_models.metrics import METRIC_UNIT_WORDS, METRICS, MetricType, MetricUnit, Publisher
from jauge_models.quantities import CATALOGUE, SERIES_PREFIX

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LABEL = re.compile(r"[a-z][a-z0-9_]*")


def test_no_metric_has_the_name_of_a_reading_or_of_another() -> None:
    """A query names one thing."""
    series = [name for metric in METRICS.values() for name in metric.series]
    assert len(set(series)) == len(series)
    assert not set(series) & {quantity.series_name for quantity in CATALOGUE.values()}


def test_a_name_says_who_publishes_it_and_in_which_unit() -> None:
    """As the practice of Prometheus has it: the unit in words at the end, totals after it."""
    for name, metric in METRICS.items():
        assert metric.name == name
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)
        assert name.startswith(("process_", f"{SERIES_PREFIX}_"))
        of_agent = metric.publisher is Publisher.AGENT
        assert name.startswith("jauge_agent_") is of_agent, name
        assert name.endswith("_total") is (metric.type is MetricType.COUNTER), name
        assert metric.family.endswith(METRIC_UNIT_WORDS[metric.unit]), name
        assert name.endswith("_timestamp_seconds") is (
            metric.unit is MetricUnit.TIMESTAMP and name != "process_start_time_seconds"
        ), name
        assert not name.endswith("_info") or metric.unit is MetricUnit.STATE, name


def test_labels_are_named_once_and_texts_are_sentences() -> None:
    """A metric about a site says which."""
    for name, metric in METRICS.items():
        labels = (*metric.labels, *metric.optional)
        assert len(set(labels)) == len(labels), name
        assert all(LABEL.fullmatch(label) for label in labels), name
        assert metric.help.endswith("."), name
        own = name.startswith(("jauge_agent_", "jauge_collector_", "process_"))
        assert own or metric.labels[0] == "site", name


def test_a_histogram_is_queried_by_its_parts() -> None:
    """And a counter by the name that it is published under."""
    delay, ticks = METRICS["jauge_collector_answer_delay_seconds"], "jauge_agent_ticks_total"
    assert delay.series == tuple(f"{delay.name}_{part}" for part in ("bucket", "sum", "count"))
    assert METRICS[ticks].series == (ticks,)
    assert METRICS[ticks].family == "jauge_agent_ticks"


def test_the_page_of_metrics_is_as_generated() -> None:
    """What the module prints is what stands in docs, and it has every metric."""
    printed = subprocess.run(
        [sys.executable, "-m", "jauge_models.document", "metrics"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert PAGE.read_text(encoding="utf-8") == printed
    assert all(f"| `{name}` |" in printed for name in METRICS)
