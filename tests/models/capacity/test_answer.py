"""The planner's answer: one struct, written as JSON, the same for the same question."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from jauge_collector.capacity.plant_file import load
from jauge_models.capacity.answer import Answer, History, Running, answer
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.idle_gpus import GpuHistory
from jauge_models.capacity.inventory import Node, NodeKind, Plant
from jauge_models.capacity.outcome import Figure, Figures
from jauge_models.capacity.outlook import UseHistory
from jauge_models.capacity.power_curves import PowerCurve, learn
from jauge_models.capacity.scenario import (
    Addition,
    Cap,
    DeclaredPower,
    Desktops,
    Inference,
    Scenario,
    Training,
    WhatIf,
    decode,
)
from jauge_models.capacity.workloads import Obstacle, Workload
from jauge_models.configuration import ConfigurationError

from tests.models.capacity.rooms import ALL_DAY, EXAMPLES, MONDAY, PARIS, room, scenario

NOW_MS = 1_800_000_000_000
POWER = (
    DeclaredPower(kind="big", idle_w=800.0, full_w=3200.0, basis="of no measurement"),
    DeclaredPower(kind="small", idle_w=300.0, full_w=1100.0, basis="of no measurement"),
)
FIGURES = Figures(
    pue=Figure(value=1.5, low=1.4, high=1.6, source="an example"),
    wue=Figure(value=1.0, source="an example"),
    carbon=Figure(value=0.05, source="an example"),
    price=Figure(value=0.2, source="an example", status=None),
)
MORE = WhatIf(name="more", add=(Addition(kind="big", number=2),))
ONE_MORE = WhatIf(name="one-more", add=(Addition(kind="big", number=1),))
CAP = WhatIf(name="cap", cap=(Cap(kind="big", watts=2000.0),))


def asked(plant: Plant | None = None, history: History | None = None, **tables: Any) -> Answer:
    """The answer to a scenario of one day in the room of two big nodes."""
    one = scenario(**{"days": 1, "power": POWER, **tables})
    return answer(plant or room(), one, zone=PARIS, history=history, figures=FIGURES, now_ms=NOW_MS)


def example() -> tuple[Plant, Scenario]:
    """examples/capacity."""
    plant = load(EXAMPLES / "plant.toml").plant
    return plant, decode((EXAMPLES / "scenario.toml").read_text("utf-8"), file="scenario.toml")


def curve() -> PowerCurve:
    """A fortnight of a node that draws 1000 W at rest and 3000 W busy."""
    activity = [0.0 if hour % 24 < 12 else 1.0 for hour in range(336)]
    return learn(
        activity, [1000.0 + 2000.0 * part + hour % 7 for hour, part in enumerate(activity)]
    )


def test_the_example_is_answered_for_every_hour_of_its_year() -> None:
    """Training, inference and 600 pupils' desktops: all placed, with what-ifs beside them."""
    plant, one = example()
    found = answer(plant, one, zone=ZoneInfo(one.zone), figures=FIGURES, now_ms=NOW_MS)
    assert found.hours == 8760
    assert "every_hour" in found.simulated
    assert not any(code.startswith("part_of_year") for code in found.simulated)
    assert {service.id for service in found.base.services} == {item.id for item in one.asked}
    pupils = next(service for service in found.base.services if service.id == "pupils")
    assert pupils.unplaced == 0
    assert pupils.asked_most > 360
    weekly = next(service for service in found.base.services if service.id == "weekly")
    assert weekly.waited + weekly.on_time + weekly.given_up == weekly.runs
    assert [option.name for option in found.options] == [item.name for item in one.what_if]
    assert found.base.energy.euros is not None
    assert {draw.measured for draw in found.draws} == {False}
    assert {use.limit for use in found.base.limits} == set(Limit)


def test_an_answer_is_json_and_reads_back() -> None:
    """Every part of it, with each kind of history; and the same question has the same answer."""
    history = History(
        curves={"big": curve()},
        gpus=(GpuHistory(node="big-0", gpu=0, activity=(0.0, 1.0), watts=(60.0, None)),),
        running=(Running(workload=Workload(id="w", gpus=1), node="big-0", gpus=(0,)),),
        uses=(UseHistory(limit=Limit.GPUS, start_ms=0, values=(1.0,) * 1500, of=8.0),),
    )
    tables: dict[str, Any] = {
        "training": (Training(id="t", gpus=4, hours=4, first=MONDAY, runs=3, tolerance_hours=9),),
        "inference": (Inference(id="i", activity=0.3),),
        "what_if": (MORE, CAP),
    }
    found = asked(history=history, **tables)
    text = msgspec.json.encode(found)
    assert msgspec.json.decode(text, type=Answer) == found
    assert msgspec.json.encode(asked(history=history, **tables)) == text
    assert b"NaN" not in text


def test_all_that_fits_at_once_is_said_with_the_nearest_limit() -> None:
    """Seven of eight GPUs."""
    said = asked(inference=(Inference(id="i", replicas=7),)).sentence
    assert said.code == "fits"
    assert said.values["limit"] == "gpus"
    assert said.values["place"] == "G"
    assert said.values["share"] == pytest.approx(7 / 8)
    assert said.remedy == ""


def test_runs_that_wait_are_said_with_how_long() -> None:
    """Three whole nodes on two."""
    runs = Training(id="t", gpus=4, hours=4, first=MONDAY, runs=3, tolerance_hours=9)
    said = asked(training=(runs,)).sentence
    assert said.code == "fits_waiting"
    assert (said.values["waited"], said.values["longest_wait_h"]) == (1, 4)


def test_what_is_refused_is_said_with_its_obstacle_and_what_would_help() -> None:
    """Nine desktops of a GPU on eight: the cap does not help, one node does for less than two."""
    found = asked(
        desktops=(Desktops(id="d", users=9, hours=ALL_DAY),), what_if=(CAP, MORE, ONE_MORE)
    )
    said = found.sentence
    assert said.code == "refused"
    assert (said.values["workload"], said.values["unplaced"], said.values["asked"]) == (
        "d",
        24,
        216,
    )
    assert said.values["obstacle"] == Obstacle.GPUS.value
    assert said.remedy == "one-more"
    assert [(option.name, option.fits) for option in found.options] == [
        ("cap", False),
        ("more", True),
        ("one-more", True),
    ]
    assert "cap_keeps_hours" in found.simulated


def test_an_option_that_does_not_fit_into_the_racks_helps_nobody() -> None:
    """Its nodes fit in part, and with them the desktops, but it is not what was asked."""
    many = WhatIf(name="many", add=(Addition(kind="big", number=50),))
    found = asked(desktops=(Desktops(id="d", users=9, hours=ALL_DAY),), what_if=(many,))
    assert (found.options[0].fits, found.options[0].sited) == (True, False)
    assert found.sentence.remedy == ""


def test_nothing_asked_is_said_and_a_run_that_never_comes_is_named() -> None:
    """It starts after the horizon."""
    late = Training(id="late", hours=1, first=MONDAY + timedelta(days=30))
    found = asked(training=(late,))
    assert found.sentence.code == "nothing_asked"
    assert "no_run:late" in found.simulated
    assert "part_of_year:1" in found.simulated


def test_what_was_measured_goes_before_what_is_declared() -> None:
    """1000 W at rest though the scenario says 800; its source stands beside it."""
    found = asked(history=History(curves={"big": curve()}))
    draw = next(draw for draw in found.draws if draw.kind == "big")
    assert draw.measured
    assert draw.idle_w == pytest.approx(1003, abs=3)
    assert found.base.energy.it_kwh is not None
    assert found.base.energy.it_kwh.value == pytest.approx(2 * draw.idle_w * 8.766)
    assert found.base.energy.it_kwh.low is not None
    assert "measured" in draw.basis


def test_a_draw_that_nobody_knows_leaves_energy_unsaid() -> None:
    """None, and its kind among what is not known."""
    found = asked(power=())
    assert found.base.energy.it_kwh is None
    assert "draw:big" in found.base.unknown


def test_idle_gpus_and_what_runs_now_are_of_what_was_measured() -> None:
    """A GPU that was idle for half of its hours; a workload that a node could do without."""
    history = History(
        gpus=(GpuHistory(node="big-0", gpu=0, activity=(0.01, 1.0), watts=(60.0, 300.0)),),
        running=(
            Running(workload=Workload(id="a", gpus=3), node="big-0", gpus=(0, 1, 2)),
            Running(workload=Workload(id="b", gpus=1), node="big-1", gpus=(2,)),
        ),
    )
    found = asked(history=history)
    assert found.idle is not None
    assert found.idle.kwh_year == pytest.approx(0.060 * 8766 / 2)
    assert found.running is not None
    assert [one.node for one in found.running.emptied] == ["big-1"]
    assert asked().idle is None
    assert asked().running is None


def test_too_little_history_is_said_and_not_guessed() -> None:
    """A day of hours."""
    past = UseHistory(limit=Limit.GPUS, start_ms=0, values=(1.0,) * 24, of=8.0)
    ahead = asked(history=History(uses=(past,))).outlook[0]
    assert (ahead.hours, ahead.full) == (None, None)
    assert ahead.too_little is not None
    assert ahead.too_little.have < ahead.too_little.needed
    assert ahead.too_few_days is not None


def test_a_limit_that_use_grows_towards_is_full_one_day() -> None:
    """A GPU more every ten days: from 6 to 8 in about twenty."""
    values = tuple(hour / 240 + (1.0 if hour % 24 > 8 else 0.0) for hour in range(1200))
    past = UseHistory(limit=Limit.GPUS, place="G", start_ms=0, values=values, of=8.0)
    ahead = asked(history=History(uses=(past,))).outlook[0]
    assert ahead.full is not None
    assert ahead.full.of == 8.0
    assert ahead.hours is not None
    assert ahead.hours.start_ms == 1200 * 3_600_000
    unlimited = UseHistory(limit=Limit.GPUS, start_ms=0, values=values)
    assert asked(history=History(uses=(unlimited,))).outlook[0].full is None


def test_a_limit_is_full_when_the_highest_hour_of_a_day_reaches_it() -> None:
    """Eight of eight GPUs at noon, none at night: it is so now, whatever the mean."""
    values = tuple(8.0 if hour % 24 == 12 else 0.0 for hour in range(1500))
    past = UseHistory(limit=Limit.GPUS, start_ms=0, values=values, of=8.0)
    full = asked(history=History(uses=(past,))).outlook[0].full
    assert full is not None
    assert (full.days_10, full.probability) == (0, 1)


def test_names_that_the_plant_has_not_are_refused_with_the_file() -> None:
    """One line, as for any other mistake in it."""
    one = scenario(inference=(Inference(id="i", gpu_kinds=("none",)),))
    with pytest.raises(ConfigurationError, match=r"^s\.toml: inference\[0\]\.gpu_kinds: 'none'"):
        answer(room(), one, zone=PARIS, now_ms=NOW_MS, file="s.toml")


def test_the_horizon_is_that_of_the_zone() -> None:
    """The day on which clocks go back in Paris."""
    found = asked(first=date(2027, 10, 31))
    assert found.hours == 25
    assert found.start_ms == 1_824_933_600_000  # 2027-10-30 22:00 UTC


def test_more_gpu_hours_than_memory_holds_are_refused() -> None:
    """A thousand nodes more, for three years."""
    many = WhatIf(name="many", add=(Addition(kind="big", number=1000),))
    with pytest.raises(ConfigurationError, match=r"days: 1100 days of 4008 GPUs are too many; at"):
        asked(days=1100, what_if=(many,))


def test_the_sentence_names_what_stopped_its_own_workload() -> None:
    """Another workload's obstacle is not lent to it; what it counts has its unit."""
    many = Inference(id="many", replicas=40)
    wide = Inference(id="wide", gpus=64)
    found = asked(inference=(many, wide)).sentence
    assert (found.values["workload"], found.values["obstacle"]) == ("wide", "gpu_kind")
    assert found.values["unit"] == "hours"


def test_a_cap_below_rest_is_refused() -> None:
    """A node draws 800 W at rest, whatever cap it is given: no saving, no room on breakers."""
    low = WhatIf(name="low", cap=(Cap(kind="big", watts=100.0),))
    with pytest.raises(ConfigurationError, match=r"what_if\[0\]\.cap\[0\]\.watts.*800"):
        asked(what_if=(low,))


def test_a_cap_that_the_plant_enforces_bounds_what_is_drawn() -> None:
    """No node is planned with more than its cap, nor with less than its rest."""
    plant = room()
    for cap, full in ((2000.0, 2000.0), (100.0, 800.0)):
        kinds = tuple(
            msgspec.structs.replace(kind, cap_w=cap if kind.name == "big" else None)
            for kind in plant.kinds
        )
        found = asked(msgspec.structs.replace(plant, kinds=kinds))
        big = next(draw for draw in found.draws if draw.kind == "big")
        assert (big.idle_w, big.full_w, big.full_high_w) == (800.0, full, full)


def test_a_run_that_goes_on_after_the_horizon_is_said() -> None:
    """Of a day only the day is looked at; a run that ends in it is not mentioned."""
    long = Training(id="long", hours=30, first=MONDAY)
    short = Training(id="short", hours=24, first=MONDAY)
    told = asked(training=(long, short)).simulated
    assert "past_end:long" in told
    assert "past_end:short" not in told


def test_nodes_without_gpus_count_in_the_size_of_an_answer() -> None:
    """Their hours take memory as well: too many are refused rather than run out of it."""
    kind = NodeKind(name="plain", cpu_milli=1000, memory_mib=1024)
    nodes = tuple(Node(name=f"n{at}", kind="plain") for at in range(3000))
    with pytest.raises(ConfigurationError, match="too many"):
        asked(Plant(kinds=(kind,), nodes=nodes), days=1000, power=())


def test_watts_above_the_nameplate_are_refused() -> None:
    """Breakers are planned with the nameplate: more than it says never flows unseen."""
    plant = room()
    kinds = tuple(msgspec.structs.replace(kind, nameplate_w=3000.0) for kind in plant.kinds)
    with pytest.raises(ConfigurationError, match=r"power\[0\]\.full_w.*nameplate"):
        asked(msgspec.structs.replace(plant, kinds=kinds))
