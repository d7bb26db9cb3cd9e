"""Figures of a schedule: parts that add up, limits at their peak, and what is not known unsaid."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from jauge_models.capacity.demand import demand
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.limit_use import LimitUse
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.node_load import REST
from jauge_models.capacity.outcome import Figure, Figures, Outcome, outcome
from jauge_models.capacity.scenario import Desktops, Hours, Inference, Scenario, Training
from jauge_models.capacity.schedule import schedule

from tests.models.capacity.rooms import ALL_DAY, DRAWS, MONDAY, PARIS, room, scenario
from tests.models.capacity.test_schedule import plants, scenarios

FIGURES = Figures(
    pue=Figure(value=1.5, low=1.4, high=1.6, source="an example"),
    wue=Figure(value=2.0, source="an example"),
    carbon=Figure(value=0.05, source="an example"),
    price=Figure(value=0.2, source="an example"),
)
MEASURED = NodeDraw((0.0, 1.0), (800.0, 3200.0), (10.0, 40.0), (900.0, 3500.0), True, "a test")
DAY = Desktops(id="d", users=8, hours=(Hours(begin=0, end=12, share=1.0),), gpu_memory_gib=40.0)


def found(
    one: Scenario,
    plant: Plant,
    draws: Mapping[str, NodeDraw] = DRAWS,
    figures: Figures = FIGURES,
) -> Outcome:
    """The outcome of a scenario."""
    return outcome(plant, schedule(plant, demand(one, plant, draws, PARIS), draws), draws, figures)


def use(one: Outcome, limit: Limit) -> LimitUse:
    """The use of a limit."""
    return next(use for use in one.limits if use.limit is limit)


def test_energy_is_that_of_rest_and_of_work() -> None:
    """Two nodes full for half of the time: 2 x (800 + 2400 / 2) W, carried on to a year."""
    one = found(scenario(days=1, desktops=(DAY,)), room())
    assert one.energy.it_kwh is not None
    assert one.energy.it_kwh.value == pytest.approx(4.0 * 8766)
    assert one.parts == pytest.approx({REST: 1.6 * 8766, "d": 2.4 * 8766})
    assert one.idle_kwh == pytest.approx(1.6 / 2 * 8766)


def test_the_rest_follows_by_the_sites_figures() -> None:
    """PUE 1.5, 2 l/kWh, 50 g/kWh and 20 cents."""
    energy = found(scenario(days=1, desktops=(DAY,)), room()).energy
    values = {
        name: getattr(energy, name).value for name in ("site_kwh", "co2e_kg", "water_m3", "euros")
    }
    site = 4.0 * 8766 * 1.5
    assert values == pytest.approx(
        {"site_kwh": site, "co2e_kg": site * 0.05, "water_m3": 4.0 * 8766 * 0.002,
         "euros": site * 0.2}
    )  # fmt: skip


def test_declared_watts_have_no_interval_and_measured_ones_have() -> None:
    """Errors of 10 W at rest and 40 W busy, half of the time each; those of the PUE on top."""
    used = found(scenario(days=1, desktops=(DAY,)), room()).energy.it_kwh
    assert used is not None
    assert (used.low, used.high) == (None, None)
    energy = found(scenario(days=1, desktops=(DAY,)), room(), {"big": MEASURED}).energy
    assert energy.it_kwh is not None
    assert energy.site_kwh is not None
    half = 1.2815515655 * 2 * (10 + 40) / 2 * 8.766
    assert energy.it_kwh.high == pytest.approx(energy.it_kwh.value + half)
    assert energy.it_kwh.low == pytest.approx(energy.it_kwh.value - half)
    assert energy.site_kwh.low == pytest.approx((energy.it_kwh.value - half) * 1.4)
    assert energy.site_kwh.high == pytest.approx((energy.it_kwh.value + half) * 1.6)


def test_what_is_not_known_is_none_and_said() -> None:
    """No draw of a kind in use, no figure of the site, no limit that somebody declared."""
    plant = room(small=1, rack_w=None, cooling_w=None)
    one = found(scenario(days=1, desktops=(DAY,)), plant, {"big": MEASURED}, Figures())
    assert one.energy.it_kwh is None
    assert one.parts == {}
    assert one.idle_kwh is None
    assert one.peak.mean_w is None
    assert {
        "draw:small",
        "pue",
        "wue",
        "carbon",
        "price",
        "rack_power:r1",
        "room_cooling:room",
    } <= {*one.unknown}
    assert {use.limit for use in one.limits} == {Limit.GPUS, Limit.GPU_MEMORY, Limit.BREAKER}


def test_limits_are_met_at_their_peak() -> None:
    """Racks and cooling by the 95th percentile, breakers by the most with a feed lost."""
    plant = room(rack_w=8000.0, cooling_w=10000.0)
    one = found(scenario(days=1, desktops=(DAY,)), plant, {"big": MEASURED})
    assert use(one, Limit.GPUS).share == 1.0
    assert use(one, Limit.GPU_MEMORY).used == 8 * 40 * 1024
    assert use(one, Limit.RACK_POWER).used == pytest.approx(7000)
    assert use(one, Limit.ROOM_COOLING).share == pytest.approx(0.7)
    breaker = use(one, Limit.BREAKER)
    assert (breaker.used, breaker.of) == (8000.0, 60 * 230.0)
    assert breaker.lost_feed in {"A", "B"}
    assert [use.share for use in one.limits] == sorted(
        (use.share for use in one.limits), reverse=True
    )


def test_a_cap_bounds_what_is_drawn() -> None:
    """At 2000 W a full node draws no more, and none at rest less."""
    capped = {"big": DRAWS["big"].capped(2000.0)}
    one = found(scenario(days=1, desktops=(DAY,)), room(), capped)
    assert one.energy.it_kwh is not None
    assert one.energy.it_kwh.value == pytest.approx((2 * 2.0 + 2 * 0.8) / 2 * 8766)
    assert use(one, Limit.RACK_POWER).used == pytest.approx(4000)


def test_the_picture_is_the_week_around_the_peak() -> None:
    """168 hours within the horizon, and the highest of each week of it."""
    rush = Training(id="t", gpus=4, hours=5, first=MONDAY.replace(day=20), hour=3)
    one = found(scenario(days=30, training=(rush,), inference=(Inference(id="i"),)), room())
    at = (one.peak_ms - one.peak.start_ms) // 3_600_000
    assert len(one.peak.asked) == 168
    assert one.peak.asked[at] == one.peak.placed[at] == 5.0 == max(one.weeks.asked)
    assert one.weeks.asked == (1.0, 1.0, 5.0, 1.0, 1.0)
    assert one.peak.mean_w is not None
    assert one.weeks.mean_w is not None
    assert max(one.weeks.mean_w) == one.peak.mean_w[at] == 1600 + 5 * 600


def test_a_horizon_shorter_than_a_week_is_shown_whole() -> None:
    """One day, on which what is asked for is not placed."""
    one = found(scenario(days=1, desktops=(Desktops(id="d", users=9, hours=ALL_DAY),)), room())
    assert one.peak.asked == (9.0,) * 24
    assert one.peak.placed == (8.0,) * 24
    assert not one.fits


@settings(max_examples=50, deadline=None)
@given(scenarios(), plants)
def test_the_energy_of_the_parts_is_that_of_the_whole(one: Scenario, plant: Plant) -> None:
    """Of workloads and of rest; by hour never below rest, nor the percentile below the mean."""
    draws: dict[str, Any] = {"big": MEASURED, "small": DRAWS["small"]}
    got = found(one, plant, draws)
    assert got.energy.it_kwh is not None
    assert sum(got.parts.values()) == pytest.approx(got.energy.it_kwh.value)
    assert all(part >= -1e-9 for part in got.parts.values())
    assert got.idle_kwh is not None
    assert got.idle_kwh <= got.parts[REST] + 1e-6
    assert got.peak.mean_w is not None
    assert got.peak.high_w is not None
    assert all(
        mean <= high + 1e-6 for mean, high in zip(got.peak.mean_w, got.peak.high_w, strict=True)
    )
    assert all(placed <= got.gpus + 1e-9 for placed in got.peak.placed)
