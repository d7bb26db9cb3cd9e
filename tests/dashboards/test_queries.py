"""Queries come out of the catalogues, and none computes an indicator."""

import pytest
from jauge_dashboards import queries
from jauge_dashboards.queries import UnknownSeriesError, metric, names, problems, reading
from jauge_models.metrics import METRICS
from jauge_models.quantities import CATALOGUE


def test_a_reading_is_named_as_the_catalogue_names_its_series() -> None:
    """Name from the catalogue, matchers in the operators asked for."""
    found = reading("power", site="$site", kind="~ups|pdu", agent="!", resource="!~x.*")
    known = CATALOGUE["power"].series_name
    assert found == f'{known}{{site="$site",kind=~"ups|pdu",agent!="",resource!~"x.*"}}'


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda: reading("powr"), "'powr' is not in the catalogue"),
        (lambda: reading("power", room="x"), "no label 'room'"),
        (lambda: metric("kpi_pue"), "'jauge_kpi_pue' is not in the catalogue"),
        (lambda: metric("host_power_watts", rack="x"), "no label 'rack'"),
    ],
)
def test_what_no_catalogue_has_cannot_be_asked(ask: object, problem: str) -> None:
    """An unknown quantity, metric or label ends the build."""
    assert callable(ask)
    with pytest.raises(UnknownSeriesError, match=problem):
        ask()


def test_every_series_of_both_catalogues_may_be_read() -> None:
    """No name is forgotten, whatever it is of."""
    for name in queries.KNOWN:
        wrong = problems(f"rate({name}[5m])")
        assert not wrong, (name, wrong)
    assert {q.series_name for q in CATALOGUE.values()} < queries.KNOWN
    assert {name for one in METRICS.values() for name in one.series} < queries.KNOWN


def test_names_are_found_where_series_stand_and_nowhere_else() -> None:
    """Not labels, texts, functions, grouping or words."""
    expression = (
        'sum by (site, jauge_label) (rate(jauge_energy_joules_total{kind="jauge_x"}[5m])) '
        "* on (site) group_left (name) topk by (site) (1, jauge_resource_info) "
        'or label_replace(up, "jauge_y", "$1", "z", "(.+)") unless jauge_b_c offset 5m'
    )
    assert names(expression) == (
        "jauge_energy_joules_total",
        "jauge_resource_info",
        "up",
        "jauge_b_c",
    )


@pytest.mark.parametrize(
    "expression",
    [
        'jauge_total_power_watts{symbol="E_DC"} / jauge_total_power_watts{symbol="E_IT"}',
        (
            'jauge_total_power_watts{symbol="E_DC"} / ignoring (symbol) '
            'group_left () jauge_total_power_watts{symbol="E_IT"}'
        ),
        (
            "sum(increase(jauge_water_cubic_metres_total[1d])) "
            "/ sum(increase(jauge_energy_joules_total[1d]))"
        ),
        (
            'rate(jauge_energy_joules_total{resource="meter:a"}[1h]) '
            '/ on (site) rate(jauge_energy_joules_total{resource="meter:b"}[1h])'
        ),
        "1 / jauge_meter_power_watts * 2",
        "jauge_meter_power_watts / (jauge_host_power_watts + 0)",
        "jauge_meter_power_watts / -jauge_host_power_watts",
        "jauge_meter_power_watts / max without (agent) (jauge_power_watts)",
        "jauge_total_power_watts * jauge_total_power_watts ^ -1",
        "exp(ln(jauge_total_power_watts) - ln(jauge_power_watts))",
        "avg(jauge_kpi_pue_ratio)",
        "avg_over_time(jauge_kpi_wue_cubic_metres_per_megawatt_hour[1d])",
        "jauge_kpi_pue_ratio * jauge_total_power_watts",
    ],
)
def test_no_query_computes_an_indicator(expression: str) -> None:
    """However the division is written."""
    assert any("indicator" in one or "division" in one for one in problems(expression))


@pytest.mark.parametrize(
    "expression",
    [
        "jauge_meter_power_watts / on (site, meter) jauge_meter_limit_watts",
        "jauge_memory_used_bytes / jauge_memory_size_bytes",
        "jauge_guest_attributed_power_watts / 1000",
        "(jauge_power_watts - jauge_host_power_watts) / 3600 * 2",
        "ln(jauge_humidity_percent / 100) / (17.62 - ln(jauge_humidity_percent / 100))",
        'jauge_kpi_pue_ratio{period="quarter"}',
    ],
)
def test_other_divisions_may_stand(expression: str) -> None:
    """By limits, sizes and numbers."""
    assert problems(expression) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("jauge_power_wats", "unknown series jauge_power_wats"),
        ("sum(jauge_power_watts) by (site) + node_load1", "unknown series node_load1"),
        ("median(jauge_power_watts)", "function median"),
        ("rollup_rate(jauge_power_watts[5m])", "function rollup_rate"),
        ("jauge_energy_joules_total", "counter jauge_energy_joules_total"),
        ("jauge_power_watts # comment", "is no PromQL"),
    ],
)
def test_what_one_store_alone_would_take_is_refused(expression: str, problem: str) -> None:
    """Unknown names, functions of MetricsQL, raw counters, what is no PromQL."""
    assert any(problem in one for one in problems(expression))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("rate(jauge_energy_joules_total[5m])", "rate runs over 5m"),
        ("increase(jauge_energy_joules_total[1h])", "increase runs over 1h"),
        ('jauge_power_watts{site=~"$site"}', "$site has one value"),
        ('jauge_host_power_watts{host="$host"}', "$host may have several values"),
        ('jauge_power_watts{agent="$agent"}', "$agent is no variable"),
        ("jauge_kpi_pue_ratio - 1", "computes with an indicator"),
    ],
)
def test_a_panels_query_uses_variables_and_intervals_as_grafana_means_them(
    expression: str, problem: str
) -> None:
    """Escaped values need the operator that fits; rates Grafana's own interval."""
    found = queries.panel_problems(expression, frozenset({"host"}), frozenset({"site"}))
    assert any(problem in one for one in found)


def test_zero_is_shown_only_while_a_collector_says_so() -> None:
    """The zero is made of the collector's own sample, so that its silence stays silence."""
    assert queries.none_is_zero("count(x)") == "count(x) or sum(0 * jauge_collector_agents)"
