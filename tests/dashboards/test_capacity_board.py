"""Days until the nearest limit, as Grafana asks a real store for them."""

import time
from collections.abc import Sequence

import pytest
from jauge_dashboards import building
from jauge_dashboards.schema import panels

from tests.dashboards import grafana
from tests.dashboards.stage import PromQL
from tests.parts import VictoriaMetrics

pytestmark = pytest.mark.end_to_end

_CHANCE = 'jauge_capacity_full_probability_ratio{site="demo",limit="gpus",place="G"} 0.2'
_WORKED = 'jauge_capacity_timestamp_seconds{site="demo"} 1'


def _full(place: str, chance: str, seconds: float) -> str:
    labels = f'site="demo",limit="rack_power",place="{place}",chance="{chance}"'
    return f"jauge_capacity_full_seconds{{{labels}}} {seconds}"


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        ((), None),
        ((_WORKED,), -1.0),
        ((_WORKED, _CHANCE), 3650.0),
        ((_WORKED, _CHANCE, _full("r1", "0.1", 86_400)), 3650.0),
        ((_WORKED, _CHANCE, _full("r1", "0.5", 864_000), _full("r2", "0.5", 432_000)), 5.0),
        ((_WORKED, _CHANCE, _full("r1", "0.5", 0)), 0.0),
    ],
)
async def test_the_nearest_limit_or_why_there_is_none(
    victoria_metrics: VictoriaMetrics, lines: Sequence[str], days: float | None
) -> None:
    """Without a plant nothing; too early, not in sight, and the least of several."""
    at_s = time.time() - 1
    body = "".join(f"{line} {round(at_s * 1000)}\n" for line in lines).encode()
    status, _ = await victoria_metrics.request("POST", "/api/v1/import/prometheus", body)
    assert status < 300
    await victoria_metrics.force_flush()
    dashboard = building.dashboards("en")["jauge-gpus.json"]
    (panel,) = [one for one in panels(dashboard) if one["title"] == "Days to full"]
    (target,) = panel["targets"]
    expression = grafana.interpolated(target["expr"], dashboard, {"site": ("demo",)})
    found = await PromQL(victoria_metrics.port).now(expression, at_s)
    assert [float(value) for _, ((_, value),) in found] == ([] if days is None else [days])
