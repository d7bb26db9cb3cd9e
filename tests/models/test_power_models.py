"""Watts from how busy a server is: against published results, and what always holds."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.power_coefficients import LOADS
from jauge_models.power_models import GB, described, idle_part, model_of
from jauge_models.processor_families import AMD, INTEL, family_of, vendor_of
from jauge_models.published_power import PUBLISHED

from benchmarks.power_fit import fitted, servers

GOLD = "Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz"

# Published results of SPECpower_ssj2008 (spec.org): average watts at active idle and at 10 % to
# 100 % target load. They are among those of the fit; what holds for others is in the next test.
PUBLISHED_RESULTS = [
    (
        "Intel Xeon E5-2699 v4",  # Fujitsu PRIMERGY RX2560 M2
        (41.7, 82.0, 96.9, 113.0, 127.0, 139.0, 152.0, 167.0, 192.0, 218.0, 243.0),
    ),
    (
        "Intel Xeon Gold 6252",  # Fujitsu PRIMERGY TX2550 M5
        (54.8, 110.0, 128.0, 145.0, 160.0, 177.0, 195.0, 219.0, 251.0, 301.0, 342.0),
    ),
    (
        "AMD EPYC 7763",  # Lenovo ThinkSystem SR645
        (104.0, 172.0, 194.0, 216.0, 238.0, 258.0, 283.0, 305.0, 332.0, 385.0, 459.0),
    ),
    (
        "Intel Xeon Platinum 8380",  # HPE ProLiant DL360 Gen10 Plus
        (110.0, 181.0, 211.0, 240.0, 268.0, 303.0, 344.0, 397.0, 455.0, 578.0, 623.0),
    ),
]


def off(cpu: str, watts: tuple[float, ...]) -> float:
    """Mean absolute error between idle and full, which are told, W."""
    model = model_of(cpu=cpu, idle=watts[0], full=watts[-1])
    inner = list(zip(LOADS, watts, strict=True))[1:-1]
    return sum(abs(model.power(load).power - watt) for load, watt in inner) / len(inner)


def off_line(watts: tuple[float, ...]) -> float:
    """The same of the straight line from idle to full."""
    inner = list(zip(LOADS, watts, strict=True))[1:-1]
    span = watts[-1] - watts[0]
    return sum(abs(watts[0] + span * load - watt) for load, watt in inner) / len(inner)


@pytest.mark.parametrize(("cpu", "watts"), PUBLISHED_RESULTS)
def test_the_model_is_nearer_than_the_straight_line(cpu: str, watts: tuple[float, ...]) -> None:
    """And it meets the idle and full power that it is told."""
    assert off(cpu, watts) < off_line(watts)
    model = model_of(cpu=cpu, idle=watts[0], full=watts[-1])
    assert (model.idle, model.full) == (watts[0], watts[-1])
    assert model.power(0.0).power == watts[0]
    assert model.power(1.0).power == pytest.approx(watts[-1])


def test_it_beats_the_line_by_a_quarter_on_servers_it_has_not_seen(shared_data: Path) -> None:
    """Fitted to every second server, judged by the others, and the other way round."""
    known = servers(shared_data / "server_power" / "specpower_11_load_points.csv")
    for part in (0, 1):
        fit = fitted(known[part::2])
        ours = line = 0.0
        for server in known[1 - part :: 2]:
            model = model_of(cpu=server.cpu, idle=server.idle, full=server.full, coefficients=fit)
            ours += sum(abs(a - b) for a, b in zip(model.watts, server.watts, strict=True))
            line += off_line(server.watts) * 9
        assert ours < 0.75 * line


LABELS = {"cpu": GOLD, "processors": "96", "memory_gb": "384.5"}
WATTS = st.floats(20, 4000)


@given(
    cpu=st.sampled_from(
        ["", GOLD, "AMD EPYC 7763 64-Core Processor", "AMD EPYC 9654", "Graviton2"]
    ),
    processors=st.none() | st.integers(1, 1024),
    memory=st.none() | st.floats(1, 8192),
    idle=st.none() | WATTS,
    above=st.none() | st.floats(1.01, 20),
    virtual=st.booleans(),
)
def test_more_load_never_takes_less(  # noqa: PLR0917  # as many as the model knows
    cpu: str,
    processors: int | None,
    memory: float | None,
    idle: float | None,
    above: float | None,
    virtual: bool,  # drawn
) -> None:
    """Whatever is known: watts above zero that rise with load, and an error of their own."""
    model = model_of(
        cpu=cpu,
        processors=1 if virtual and processors is None else processors,
        memory=None if memory is None else memory * GB,
        idle=idle,
        full=None if above is None else (idle or 50.0) * above,
        virtual=virtual,
    )
    assert len(model.watts) == len(model.errors) == len(LOADS)
    assert 0 < model.idle < model.full < math.inf
    assert all(a <= b for a, b in pairwise(model.watts))
    assert all(0 < error < math.inf for error in model.errors)
    if idle is not None:
        assert model.idle == idle


def test_between_two_loads_it_runs_straight() -> None:
    """At 25 % half way between 20 % and 30 %; outside of 0 to 1 the bound counts."""
    model = model_of(cpu=GOLD, idle=100, full=500)
    assert model.power(0.25).power == pytest.approx((model.watts[2] + model.watts[3]) / 2)
    assert model.power(0.25).error == pytest.approx((model.errors[2] + model.errors[3]) / 2)
    assert model.power(-0.1) == model.power(0.0)
    assert model.power(1.7) == model.power(1.0)
    with pytest.raises(ValueError, match="not a number"):
        model.power(math.nan)


def test_the_less_is_known_the_larger_the_error() -> None:
    """Declared watts before a known processor before its family's vendor before nothing."""
    declared = model_of(cpu=GOLD, idle=100, full=500).power(0.5)
    vendor = model_of(cpu="Intel Xeon Whatever", idle=100, full=500).power(0.5)
    nothing = model_of(idle=100, full=500).power(0.5)
    assert declared.error < vendor.error < nothing.error
    shares = [
        estimate.error / estimate.power
        for estimate in (
            declared,
            model_of(cpu=GOLD, processors=96, memory=384 * GB).power(0.5),
            model_of(cpu=GOLD, processors=96).power(0.5),
            model_of(cpu=GOLD).power(0.5),
            model_of().power(0.5),
        )
    ]
    assert shares == sorted(shares)


def test_one_of_idle_and_full_is_enough() -> None:
    """The other follows from what servers alike have between the two."""
    alike = model_of(cpu=GOLD, processors=96, memory=384 * GB)
    by_full = model_of(cpu=GOLD, processors=96, memory=384 * GB, full=800)
    by_idle = model_of(cpu=GOLD, processors=96, memory=384 * GB, idle=160)
    assert by_full.full == 800
    assert by_full.idle == pytest.approx(800 * alike.idle / alike.full)
    assert by_idle.idle == 160
    assert by_idle.full == pytest.approx(160 * alike.full / alike.idle)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"idle": 300.0, "full": 200.0}, "idle = 300 W is not below full = 200 W"),
        ({"idle": 0.0}, "idle = 0: must be more than zero"),
        ({"full": math.nan}, "full = nan"),
        ({"processors": -2.0}, "processors = -2"),
        ({"memory": math.inf}, "memory = inf"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    """With what it was."""
    with pytest.raises(ValueError, match=message):
        model_of(**wrong)


def test_a_processor_later_than_all_results_counts_as_of_the_last_year() -> None:
    """A known series that went on; a year that is told has its say, within those of the results."""
    later, oldest, last = (
        model_of(cpu="AMD EPYC 9654 96-Core Processor", processors=64, memory=256 * GB, year=year)
        for year in (None, PUBLISHED.years[0], PUBLISHED.years[2])
    )
    assert later.watts == last.watts
    assert later.full < oldest.full
    assert model_of(processors=64, memory=256 * GB, year=2040).full == last.full


def test_an_instance_is_a_part_of_its_platform() -> None:
    """Twice the processors and the memory take twice the power; memory takes its own."""
    small = model_of(cpu="Intel Xeon Platinum 8259CL", processors=2, memory=8 * GB, virtual=True)
    large = model_of(cpu="Intel Xeon Platinum 8259CL", processors=4, memory=16 * GB, virtual=True)
    assert large.watts == pytest.approx([2 * watt for watt in small.watts])
    roomy = model_of(cpu="Intel Xeon Platinum 8259CL", processors=2, memory=16 * GB, virtual=True)
    extra = [a - b for a, b in zip(roomy.watts, small.watts, strict=True)]
    assert extra == pytest.approx([8 * per_gb for per_gb in PUBLISHED.instances.memory])
    with pytest.raises(ValueError, match="number of processors"):
        model_of(virtual=True)


def test_an_instance_of_an_unknown_processor_has_the_larger_error() -> None:
    """It is taken for one of any platform, and says so."""
    known = model_of(cpu="Intel Xeon Platinum 8259CL", processors=2, virtual=True)
    unknown = model_of(cpu="Ampere Altra", processors=2, virtual=True)
    assert unknown.errors[5] / unknown.watts[5] > known.errors[5] / known.watts[5]
    assert "any platform" in unknown.basis
    assert "Xeon Scalable 2" in known.basis


def test_labels_of_a_birth_choose_the_model() -> None:
    """As the host source writes them; what is no number counts as not known."""
    assert described(LABELS) == model_of(cpu=GOLD, processors=96, memory=384.5 * GB)
    assert described(LABELS, idle=90, full=430) == model_of(cpu=GOLD, idle=90, full=430)
    assert described({"processors": "many", "memory_gb": "-1"}) == model_of()
    assert described({}) == model_of()
    rented = described({**LABELS, "virtual": "Amazon EC2"})
    assert rented == model_of(cpu=GOLD, processors=96, memory=384.5 * GB, virtual=True)
    assert described({"virtual": "yes"}) == model_of(processors=1, virtual=True)


def test_the_idle_part_falls_with_load() -> None:
    """All of it at rest; what a server draws at rest never exceeds what it draws busy."""
    parts = [idle_part(step / 50) for step in range(51)]
    assert parts[0] == 1.0
    assert all(a > b for a, b in pairwise(parts))
    assert 0.1 < parts[-1] < 0.4


@pytest.mark.parametrize(
    ("cpu", "family", "vendor"),
    [
        (GOLD, "Xeon Scalable 2", INTEL),
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "Xeon Scalable 3", INTEL),
        ("Intel(R) Xeon(R) Platinum 8380HL CPU @ 2.90GHz", "Xeon Scalable 3 H", INTEL),
        ("Intel(R) Xeon(R) Silver 4410Y", "Xeon Scalable 4", INTEL),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "Xeon E5 v4", INTEL),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "Xeon E5 v1", INTEL),
        ("Intel Xeon E3-1265LV2", "Xeon E3 v2", INTEL),
        ("Intel(R) Xeon(R) E-2388G CPU @ 3.20GHz", "Xeon E-2300", INTEL),
        ("Intel(R) Xeon(R) CPU           X5670  @ 2.93GHz", "Xeon 5600", INTEL),
        ("Intel Xeon 3075", "Xeon 3000", INTEL),
        ("AMD EPYC 7742 64-Core Processor", "EPYC 7002", AMD),
        ("AMD EPYC 7R32", "EPYC 7002", AMD),
        ("AMD EPYC 9654 96-Core Processor", "EPYC 9004", AMD),
        ("AMD Opteron(tm) Processor 6276", "Opteron 6200", AMD),
        ("Quad-Core AMD Opteron(tm) Processor 2356", "Opteron x300", AMD),
        ("Intel(R) Core(TM) i3-540", "", INTEL),
        ("AMD EPYC", "", AMD),
        ("", "", ""),
    ],
)
def test_a_processor_is_known_by_its_name(cpu: str, family: str, vendor: str) -> None:
    """As Linux and the results write it."""
    assert (family_of(cpu), vendor_of(cpu)) == (family, vendor)
