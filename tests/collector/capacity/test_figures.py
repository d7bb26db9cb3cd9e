"""PUE, WUE, emission factor and price for the planner: what the site has, with its source."""

from pathlib import Path

import pytest
from jauge_collector.capacity.figures import figures
from jauge_models.effectiveness import CoveragePolicy, Status

from tests.collector.console.serving import SITE, configuration, now_ms, opened

LENIENT = CoveragePolicy(minimum=0.05, month_minimum=0.0, longest_gap_ms=400 * 24 * 3_600_000)
"""Lets some weeks stand for a year."""
CAPACITY = """
[capacity]
plant = "plant.toml"
price_eur_per_kwh = 0.25
price_source = "example contract"

[[emission_factors]]
kg_co2e_per_kwh = 0.05
source = "example factor"
scope = "life_cycle"
"""


async def test_what_was_measured_goes_with_its_period(tmp_path: Path) -> None:
    """Of a hundred measured days, where the policy lets them stand for a year; else nothing."""
    settings = configuration(tmp_path)
    (tmp_path / "site.toml").write_text(SITE + CAPACITY, encoding="utf-8")
    async with opened(settings, days=100) as state:
        site = state.sites["s"]
        kept = figures(state.ledger, site, CoveragePolicy(), now_ms())
        told = figures(state.ledger, site, LENIENT, now_ms())
    assert (kept.pue, kept.wue) == (None, None)
    assert kept.price is not None
    assert (kept.price.value, kept.price.source) == (0.25, "example contract")
    assert kept.carbon is not None
    assert (kept.carbon.value, kept.carbon.source) == (0.05, "example factor")
    assert (kept.price.status, kept.carbon.status) == (None, None)
    assert told.pue is not None
    assert told.wue is not None
    assert told.pue.value == pytest.approx(1.2)
    assert told.wue.value == pytest.approx(0.5)
    assert told.pue.status is Status.MEASURED
    assert "PUE" in told.pue.source
    # Nobody declared how exact the meters are: no interval is made up.
    assert (told.pue.low, told.pue.high) == (None, None)


async def test_a_simulated_site_measures_nothing(tmp_path: Path) -> None:
    """Its PUE and WUE are a model's, and say so; they were declared by nobody."""
    settings = configuration(tmp_path)
    simulated = SITE.replace('name = "s"\n', 'name = "s"\nsimulated = true\n', 1)
    assert simulated != SITE
    (tmp_path / "site.toml").write_text(simulated, encoding="utf-8")
    async with opened(settings, days=40) as state:
        told = figures(state.ledger, state.sites["s"], LENIENT, now_ms())
    assert told.pue is not None
    assert told.wue is not None
    assert (told.pue.status, told.wue.status) == (Status.SIMULATED, Status.SIMULATED)


async def test_what_nobody_declared_is_none(tmp_path: Path) -> None:
    """Neither a price nor a factor of somewhere else."""
    async with opened(configuration(tmp_path)) as state:
        found = figures(state.ledger, state.sites["s"], CoveragePolicy(), now_ms())
    assert (found.pue, found.wue, found.carbon, found.price) == (None, None, None, None)


async def test_classes_of_meters_give_an_interval(tmp_path: Path) -> None:
    """Of 80 %, narrower than the expanded uncertainty."""
    settings = configuration(tmp_path)
    exact = SITE
    for meter in ("incomer", "ups"):
        line = f'feeds = ["plant/meter:{meter}"]'
        exact = exact.replace(line, f"{line}\nuncertainty = 0.01")
    (tmp_path / "site.toml").write_text(exact, encoding="utf-8")
    async with opened(settings, days=40) as state:
        told = figures(state.ledger, state.sites["s"], LENIENT, now_ms())
    assert told.pue is not None
    assert told.pue.low is not None
    assert told.pue.high is not None
    half = (told.pue.high - told.pue.low) / 2
    assert told.pue.low < told.pue.value < told.pue.high
    # Both meters by 1 % (k = 1): the ratio by 1.41 %, of which 80 % lie within 1.28.
    assert half / told.pue.value == pytest.approx(0.01 * 2**0.5 * 1.2816, rel=0.01)
