"""What agents and meters show: who is heard, which reading is the newest, how much is covered."""

from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_collector.console.views import (
    SILENT_MS,
    Presence,
    agent_view,
    coverage,
    highlights,
    last_reading,
    presence,
    resource_views,
)
from jauge_collector.inventory import Agent
from jauge_models.intervals import Basis, Grade, Interval, Point
from jauge_models.resources import Series
from jauge_models.wire import Address, Birth, Method, ResourceDescription, SourceDescription, State

from tests.collector.console.serving import HOUR_MS, SITE

NOW_MS = 1_790_000_000_000
PLANT = Address("s", "plant")


def heard(ago_ms: int | None, *, online: bool | None = True, period_s: float = 60.0) -> Agent:
    """An agent whose last pack came so long ago."""
    agent = Agent(PLANT, NOW_MS - 10 * HOUR_MS, NOW_MS)
    agent.last_pack_ms = None if ago_ms is None else NOW_MS - ago_ms
    agent.birth = Birth("b", "1", 0.0, [SourceDescription("x", period_s)])
    if online is not None:
        agent.state = State("b", online=online, sent_at=NOW_MS / 1000)
    return agent


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        (heard(0), Presence.ONLINE),
        (heard(SILENT_MS), Presence.ONLINE),
        (heard(SILENT_MS + 1), Presence.SILENT),
        (heard(SILENT_MS + 1, period_s=600.0), Presence.ONLINE),
        (heard(1_800_001, period_s=600.0), Presence.SILENT),
        (heard(None), Presence.SILENT),
        (heard(0, online=None), Presence.ONLINE),
        (heard(0, online=False), Presence.OFFLINE),
    ],
)
def test_an_agent_is_silent_after_three_of_its_periods(agent: Agent, shown: Presence) -> None:
    """What it says of itself is believed only while its readings come."""
    assert presence(agent, NOW_MS) is shown


def test_a_quarantine_shows_before_anything_else() -> None:
    """Of two processes under one name nothing is stored: that is what a reader must know."""
    agent = heard(0)
    agent.quarantined_since_ms, agent.twins = NOW_MS, ("b", "c")
    view = agent_view(agent, NOW_MS)
    assert view.presence is Presence.QUARANTINED
    assert view.twins == ["b", "c"]


def test_an_agent_never_heard_of_anything_shows_none_and_no_zero() -> None:
    """Unknown is None: no clock skew of 0, no spool of 0, no last pack in 1970."""
    view = agent_view(Agent(PLANT, NOW_MS, 0), NOW_MS)
    told = (view.last_seen_ms, view.last_pack_ms, view.skew_ms, view.synchronised, view.spooled)
    assert told == (None,) * 5
    assert view.boot is None


def test_a_resource_shows_declared_and_found_readings_and_none_of_another_agent() -> None:
    """A declared quantity without reading has none; a found one that was not declared shows."""
    agent = heard(0)
    resources = [ResourceDescription("gpu:0", {"power": Method.GAUGE}, name="GPU 0")]
    agent.birth = Birth("b", "1", 0.0, [], resources)
    latest = {
        Series("s", "plant", "host", "power"): Point(NOW_MS, 61.5),
        Series("s", "other", "gpu:0", "power"): Point(NOW_MS, 9.0),
    }
    host, gpu = resource_views(agent, latest)
    assert (host.id, host.readings[0].value, host.readings[0].method) == ("host", 61.5, None)
    assert (gpu.name, gpu.readings[0].value, gpu.readings[0].method) == ("GPU 0", None, "gauge")


def test_the_host_leads_the_highlights() -> None:
    """Power of the host before that of a part of it, and three readings at most."""
    latest = {
        Series("s", "plant", "package:0", "power"): Point(NOW_MS, 20.0),
        Series("s", "plant", "host", "power"): Point(NOW_MS, 61.5),
        Series("s", "plant", "host", "cpu_utilisation"): Point(NOW_MS, 0.5),
        Series("s", "plant", "host", "memory_utilisation"): Point(NOW_MS, 0.5),
        Series("s", "plant", "host", "temperature"): Point(NOW_MS, 40.0),
    }
    shown = highlights("plant", latest)
    assert [view.quantity for view in shown] == ["power", "cpu_utilisation", "memory_utilisation"]
    assert shown[0].value == 61.5


def test_a_meters_newest_reading_is_its_power_if_it_has_one(tmp_path: Path) -> None:
    """Power says what is drawn now; the register stands in; none of another's readings do."""
    path = tmp_path / "site.toml"
    path.write_text(SITE, encoding="utf-8")
    site = sites.load(path)
    ups = site.topology.meter("ups")
    register = {Series("s", "plant", "meter:ups", "energy"): Point(NOW_MS, 7.0)}
    power = {Series("s", "plant", "meter:ups", "power"): Point(NOW_MS - 1, 900.0)}
    found = last_reading(site, ups, register)
    assert found is not None
    assert (found.value, found.unit) == (7.0, "J")
    found = last_reading(site, ups, register | power)
    assert found is not None
    assert (found.value, found.unit, found.time_ms) == (900.0, "W", NOW_MS - 1)
    assert last_reading(site, site.topology.meter("incomer"), register | power) is None


def test_coverage_counts_the_part_inside() -> None:
    """Rows that reach out of the span count with what is inside; unmeasured rows do not count."""

    def row(start_h: float, amount: float | None, covered: float = 1.0) -> Interval:
        start = round(start_h * HOUR_MS)
        length = round(covered * HOUR_MS) if amount is not None else 0
        return Interval(start, start + HOUR_MS, amount, length, length, Basis.REGISTER, Grade.HIGH)

    rows = [row(-0.5, 1.0), row(0.5, None), row(1.5, 1.0, covered=0.5)]
    assert coverage(rows, 0, 2 * HOUR_MS) == pytest.approx((0.5 + 0.25) / 2)
    assert coverage([], 0, HOUR_MS) == 0.0
    assert coverage(rows, 0, 0) == 0.0
