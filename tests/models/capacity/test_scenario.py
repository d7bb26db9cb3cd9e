"""Scenario files: what they say comes back as it was, and what cannot be is refused by its path."""

import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.capacity.plant_file import load
from jauge_models.capacity.scenario import (
    WEEK,
    Addition,
    Cap,
    DeclaredPower,
    Desktops,
    Holiday,
    Hours,
    Inference,
    Scenario,
    Training,
    WhatIf,
    check_against,
    decode,
    encode,
    gpu_thousandths,
    mebibytes,
    thousandths,
)
from jauge_models.capacity.workloads import Spread
from jauge_models.configuration import ConfigurationError

from tests.models.capacity.rooms import EXAMPLES, room

HEAD = 'name = "n"\nfirst = 2027-01-04\n'
TRAINING = '[[training]]\nid = "t"\nhours = 4\nfirst = 2027-01-04\n'
DESKTOPS = '[[desktops]]\nid = "d"\nusers = 10\nhours = [{ begin = 8, end = 10, share = 1 }]\n'


def refusal(text: str) -> str:
    """What is said of a file that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        decode(HEAD + text, file="s.toml")
    return str(caught.value)


def test_the_example_decodes_and_names_only_what_its_plant_has() -> None:
    """examples/capacity is a plant and a scenario that belong together."""
    plant = load(EXAMPLES / "plant.toml").plant
    example = decode((EXAMPLES / "scenario.toml").read_text("utf-8"), file="scenario.toml")
    check_against(example, plant, file="scenario.toml")
    assert example.desktops[0].users == 600
    assert example.training
    assert example.inference[0].spread is Spread.NODE


_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_words = st.text(st.characters(codec="utf-8"), max_size=30)
_said = _words.filter(lambda text: bool(text.strip()))
_dates = st.dates(date(2026, 1, 1), date(2030, 12, 31))
_amounts = st.floats(0, 1e6)
_parts = st.floats(0, 1)


@st.composite
def _spans(draw: st.DrawFn) -> tuple[date, date]:
    one, other = draw(_dates), draw(_dates)
    return min(one, other), max(one, other)


@st.composite
def _gpus(draw: st.DrawFn) -> dict[str, Any]:
    """What every workload says, but its id."""
    needs: dict[str, Any] = {
        "gpu_kinds": tuple(draw(st.lists(_words, max_size=2))),
        "gpu_memory_gib": draw(_amounts),
        "cpus": draw(_amounts),
        "activity": draw(_parts),
        "growth": draw(st.floats(-1, 1)),
    }
    form = draw(st.sampled_from(("whole", "share", "slices")))
    if form == "whole":
        needs["gpus"] = draw(st.integers(0, 64))
    elif form == "share":
        needs["gpu_share"] = draw(st.floats(0.001, 1))
    else:
        needs["slices"] = draw(st.integers(1, 16))
    return needs


@st.composite
def _scenarios(draw: st.DrawFn) -> Scenario:
    ids = iter(draw(st.lists(_names, min_size=6, max_size=6, unique=True)))
    kinds = draw(st.lists(_words, min_size=2, max_size=2, unique=True))
    trainings, services, desktops = [], [], []
    for _ in range(draw(st.integers(0, 2))):
        first, last = draw(_spans())
        trainings.append(
            Training(
                id=next(ids),
                hours=draw(st.integers(1, 1000)),
                first=first,
                last=draw(st.sampled_from((None, last))),
                hour=draw(st.integers(0, 23)),
                repeat_days=draw(st.integers(0, 400)),
                tolerance_hours=draw(st.integers(0, 1440)),
                **draw(_gpus()),
            )
        )
        services.append(
            Inference(
                id=next(ids),
                replicas=draw(st.integers(1, 10_000)),
                spread=draw(st.sampled_from(Spread)),
                first=draw(st.sampled_from((None, first))),
                last=draw(st.sampled_from((None, last))),
                **draw(_gpus()),
            )
        )
        noon = draw(st.integers(1, 23))
        desktops.append(
            Desktops(
                id=next(ids),
                users=draw(st.integers(1, 1000)),
                hours=(
                    Hours(begin=0, end=noon, share=draw(_parts)),
                    Hours(begin=noon, end=24, share=draw(_parts)),
                ),
                weekdays=tuple(draw(st.lists(st.sampled_from(WEEK), unique=True))),
                **draw(_gpus()),
            )
        )
    power = [
        DeclaredPower(kind=kind, idle_w=idle, full_w=idle + 10, basis=draw(_said))
        for kind, idle in zip(kinds, draw(st.lists(st.floats(1, 1e5), max_size=2)), strict=False)
    ]
    change = WhatIf(
        name=draw(_names),
        retire=(kinds[0],),
        cap=(Cap(kind=kinds[1], watts=draw(st.floats(1, 1e6))),),
        add=(Addition(kind=kinds[1], number=draw(st.integers(1, 1000)), racks=(kinds[0],)),),
    )
    first, last = draw(_spans())
    return Scenario(
        name=draw(_said),
        zone=draw(_words),
        first=draw(_dates),
        days=draw(st.integers(1, 1100)),
        idle_below=draw(_parts),
        holidays=(Holiday(name=draw(_words), first=first, last=last),),
        training=tuple(trainings),
        inference=tuple(services),
        desktops=tuple(desktops),
        power=tuple(power),
        what_if=draw(st.sampled_from(((), (change,)))),
    )


@settings(deadline=None)
@given(_scenarios())
def test_what_is_encoded_decodes_to_the_same_scenario(scenario: Scenario) -> None:
    """Whatever a form lets one say, with any letters in its texts."""
    text = encode(scenario)
    assert decode(text, file="s.toml") == scenario
    assert encode(decode(text, file="s.toml")) == text


def test_a_horizon_is_of_this_time() -> None:
    """Days that no calendar can count to are a mistake of typing."""
    for year in ("0027", "9999"):
        with pytest.raises(ConfigurationError, match=r"first: is in \d+; from 2000 to 2199"):
            decode(HEAD.replace("2027", year), file="s.toml")


def test_defaults_are_left_out_of_what_is_written() -> None:
    """A planner reads back what was said, not all that could have been."""
    text = encode(decode(HEAD + TRAINING, file="s.toml"))
    assert tomllib.loads(text) == {
        "name": "n",
        "first": date(2027, 1, 4),
        "training": [{"id": "t", "hours": 4, "first": date(2027, 1, 4)}],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRAINING.replace("2027", "9999") + "last = 9998-01-01\n", "training[0].last: is before"),
        ("day = 3\n", "s.toml: day: unknown key; did you mean 'days'?"),
        (TRAINING + "gpu = 8\n", "training[0].gpu: unknown key; did you mean 'gpus'?"),
        (
            DESKTOPS.replace("share", "shar"),
            "desktops[0].hours[0].shar: unknown key; did you mean 'share'?",
        ),
        (TRAINING.replace("hours = 4\n", ""), "training[0].hours: missing"),
        (TRAINING + TRAINING, "training[1].id: 't' is used twice"),
        (TRAINING + DESKTOPS.replace('"d"', '"t"'), "training[0].id: 't' is used twice"),
        (TRAINING + "gpu_share = 0.5\nslices = 2\n", "training[0].slices: stands beside gpu_share"),
        (TRAINING + "gpu_share = 0.5\ngpus = 2\n", "training[0].gpus: a part of a GPU"),
        (TRAINING + "gpu_share = 0.0001\n", "training[0].gpu_share: is below a thousandth"),
        (TRAINING + "last = 2027-01-01\n", "training[0].last: is before first"),
        (TRAINING + "hour = 24\n", "training[0].hour: expected `int` <= 23"),
        (TRAINING + "activity = 1.5\n", "training[0].activity: expected `float` <= 1.0"),
        (TRAINING + "tolerance_hours = -1\n", "training[0].tolerance_hours: expected `int` >= 0"),
        (
            TRAINING + "runs = 1000\nrepeat_days = 1\n",
            "training[0].runs: come to 366000 over the horizon; at most 100000",
        ),
        (
            DESKTOPS.replace("users = 10", "users = 60000") + "growth = 1\n",
            "desktops[0].users: come to 119943 over the horizon",
        ),
        (
            DESKTOPS.replace("users = 10", "users = 60000")
            + TRAINING.replace('"t"', '"u"')
            + "runs = 60000\n",
            "training[0].runs: with those above come to 120000 over the horizon; at most 100000",
        ),
        (
            "".join(f'[[what_if]]\nname = "w{at}"\nretire = ["k"]\n' for at in range(25)),
            "what_if[24]: 25 other plants are too many; at most 24",
        ),
        (DESKTOPS.replace("end = 10", "end = 8"), "desktops[0].hours[0].end: is not after begin"),
        (
            DESKTOPS.replace("1 }]", "1 }, { begin = 9, end = 11, share = 1 }]"),
            "desktops[0].hours[1]: overlaps hours above",
        ),
        (DESKTOPS + 'weekdays = ["mondays"]\n', "did you mean 'monday'?"),
        ("[[holidays]]\nfirst = 2027-02-02\nlast = 2027-02-01\n", "holidays[0].last: is before"),
        ('[[what_if]]\nname = "w"\n', "what_if[0]: changes nothing"),
        (
            '[[power]]\nkind = "k"\nidle_w = 5\nfull_w = 4\nbasis = "b"\n',
            "power[0].idle_w: is above full_w",
        ),
        (
            '[[power]]\nkind = "k"\nidle_w = 5\nfull_w = nan\nbasis = "b"\n',
            "power[0].full_w: nan is no number",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(text: str, said: str) -> None:
    """One line with the key, what is wrong and, where there is one, the fix."""
    assert said in refusal(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRAINING + 'gpu_kinds = ["H"]\n', "training[0].gpu_kinds: 'H' is not in the plant"),
        (
            '[[what_if]]\nname = "w"\nretire = ["huge"]\n',
            "what_if[0].retire: 'huge' is not in the plant; the plant has big, small",
        ),
        (
            '[[what_if]]\nname = "w"\nadd = [{ kind = "big", number = 1, racks = ["r9"] }]\n',
            "what_if[0].add[0].racks: 'r9' is not in the plant; the plant has r1, r2",
        ),
    ],
)
def test_what_the_plant_has_not_is_refused(text: str, said: str) -> None:
    """The names that there are stand in the error."""
    found = decode(HEAD + text, file="s.toml")
    with pytest.raises(ConfigurationError) as caught:
        check_against(found, room(), file="s.toml")
    assert said in str(caught.value)


def test_parts_become_whole_thousandths_and_mebibytes_upwards() -> None:
    """Never less than was asked for, nor more for the binary form of a decimal."""
    assert thousandths(0.7) == 700
    assert thousandths(0.0625) == 63
    assert thousandths(1.1) == 1100
    assert mebibytes(1.5) == 1536
    assert mebibytes(0.1) == 103


@settings(deadline=None)
@given(st.floats(0.001, 1))
def test_no_more_parts_of_a_gpu_fit_than_there_are(share: float) -> None:
    """Whole thousandths neither make room on a GPU nor, of a simple fraction, take it away."""
    assert 1000 // gpu_thousandths(share) <= 1 / share + 1e-5


@pytest.mark.parametrize("parts", range(1, 33))
def test_as_many_as_its_fraction_says_fit_on_a_gpu(parts: int) -> None:
    """A sixteenth fits sixteen times."""
    assert 1000 // gpu_thousandths(1 / parts) == parts
