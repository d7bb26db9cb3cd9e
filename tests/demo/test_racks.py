"""The smaller instruments of the simulated hall agree with its plant."""

import math
import tomllib
from importlib.resources import files

from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.config import AgentConfig
from jauge_demo.plant import Registers, live
from jauge_demo.racks import BY_PHASE, FEEDS, RACKS, instruments, names
from jauge_demo.simulation import UPS_RATED_W, plant_at
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import is_resource

END_MS = 1_764_547_200_000
moments = st.integers(END_MS - 366 * 86_400_000, END_MS + 366 * 86_400_000)


@given(moments)
def test_the_racks_draw_what_the_ups_give(time_ms: int) -> None:
    """Feed by feed; three phases of a PDU carry its power."""
    plant = plant_at(time_ms)
    values = instruments(plant, time_ms)
    for feed, power in zip(FEEDS, (plant.it_a, plant.it_b), strict=True):
        drawn = [values[f"pdu:{rack}-{feed}".lower(), "power"] for rack in RACKS]
        assert math.isclose(sum(drawn), power)
        assert math.isclose(values[f"ups:{feed}", "load"] * UPS_RATED_W, power)
    for rack in BY_PHASE:
        amperes = [values[f"phase:{rack}-a.l{n}".lower(), "current"] for n in (1, 2, 3)]
        assert math.isclose(
            sum(amperes) * 230 * 0.97, values[f"pdu:{rack}-a".lower(), "power"], rel_tol=1e-9
        )


@given(moments)
def test_water_is_drawn_while_the_coolers_say_that_they_evaporate(time_ms: int) -> None:
    """And none while they are dry: the example has no leak."""
    plant = plant_at(time_ms)
    values = instruments(plant, time_ms)
    told = {value for (_, quantity), value in values.items() if quantity == "evaporative_cooling"}
    assert told == {float(values["sensor:make-up-flow", "flow"] > 0)}


@given(moments)
def test_all_of_it_may_be_sent(time_ms: int) -> None:
    """Resources, quantities and ranges of the catalogue, and each has a name."""
    told = names()
    for (resource, quantity), value in instruments(plant_at(time_ms), time_ms).items():
        assert is_resource(resource)
        assert CATALOGUE[quantity].low <= value <= CATALOGUE[quantity].high
        assert resource in told or resource.startswith("sensor:")


def test_one_feed_alone_would_carry_each_rack() -> None:
    """The example passes its own breakers all year; one rack comes near, the other does not."""
    told = files("jauge_demo").joinpath("site.toml").read_text("utf-8")
    circuits = tomllib.loads(told)["circuits"]
    limits = {(one["load"], one["phase"]): one["limit_a"] for one in circuits}
    assert {load for load, _ in limits} == set(BY_PHASE)
    nearest = dict.fromkeys(BY_PHASE, 0.0)
    for time_ms in range(END_MS - 366 * 86_400_000, END_MS, 3 * 3_600_000):
        values = instruments(plant_at(time_ms), time_ms)
        for (load, phase), limit in limits.items():
            phases = (f"phase:{load}-{feed}.{phase}".lower() for feed in FEEDS)
            share = sum(values[name, "current"] for name in phases) / limit
            nearest[load] = max(nearest[load], share)
    assert 0.9 < nearest["A1"] < 1
    assert nearest["B1"] < 0.9


def test_one_gateway_may_bring_all_of_it() -> None:
    """No more series than the budget of what is neither guest nor GPU."""
    seen = live(Registers(END_MS), END_MS).values
    assert len(seen) <= AgentConfig(site="demo").budget.host
