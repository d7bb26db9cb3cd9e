"""A host that nothing measures: watts from how busy it was, until something does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from jauge_collector.ledger.computation import Declared, Provided, channels, compute
from jauge_models.intervals import Basis, Grade, Point
from jauge_models.power_models import model_of
from jauge_models.topology import Commodity, Factor, Feed, Meter
from jauge_models.wire import Method

from tests.collector.ledger.bench import HOUR, MINUTE, START, Bench

MODEL = model_of(cpu="Intel Xeon Gold 6252", idle=100, full=500)
BUSY = 0.3
SITE = """
[[meters]]
id = "srv"
commodity = "electricity"
feeds = ["agent/host"]
interval_s = 3600
"""


def host(*feeds: Feed) -> Meter:
    """An hourly host with a model; of one agent unless told otherwise."""
    return Meter(
        "srv",
        Commodity.ELECTRICITY,
        feeds or (Feed("agent", "host"),),
        interval_ms=HOUR,
        estimator=MODEL,
    )


def samples(value: float | Callable[[int], float], start: int = 0, end: int = HOUR) -> list[Point]:
    """One value a minute, bounds included."""
    return [
        Point(at, value(at) if callable(value) else value) for at in range(start, end + 1, MINUTE)
    ]


def rows(
    meter: Meter,
    methods: Mapping[tuple[str, str, str], Method] = MappingProxyType({}),
    **readings: Sequence[Point],
) -> list[Provided]:
    """The first hour, from readings named by quantity or, of one agent alone, agent__quantity."""
    found = {}
    for channel in channels("lab", meter, methods):
        series = channel.series
        for name in (series.quantity, f"{series.agent}__{series.quantity}"):
            if name in readings:
                found[channel] = readings[name]
    return compute(Declared(meter), found, [0])


def test_a_host_without_power_is_estimated_from_its_utilisation() -> None:
    """An hour at 30 % is an hour of the model's watts at 30 %: graded low, named by its series."""
    (row,) = rows(host(), cpu_utilisation=samples(BUSY))
    assert row.interval.amount == pytest.approx(MODEL.power(BUSY).power * 3600)
    assert (row.interval.basis, row.interval.grade) == (Basis.ESTIMATE, Grade.LOW)
    assert row.interval.coverage == 1.0
    assert row.channel.feed == "agent/host/cpu_utilisation"


def test_watts_are_added_up_not_utilisations() -> None:
    """Half an hour idle and half an hour at full load are not an hour at half load."""
    (row,) = rows(host(), cpu_utilisation=samples(lambda at: 0.0 if at < HOUR // 2 else 1.0))
    assert row.interval.amount == pytest.approx((100 + 500) / 2 * 3600, rel=0.02)
    assert row.interval.amount != pytest.approx(MODEL.power(0.5).power * 3600, rel=0.05)


def test_time_without_utilisation_is_not_covered() -> None:
    """Neither a hole nor a host that is down draws idle power by supposition."""
    held = [point for point in samples(BUSY) if not 10 * MINUTE < point.time_ms < 40 * MINUTE]
    (row,) = rows(host(), cpu_utilisation=held)
    assert row.interval.covered_ms == 30 * MINUTE
    assert row.interval.amount == pytest.approx(MODEL.power(BUSY).power * 1800)
    assert rows(host(), cpu_utilisation=[]) == []


@pytest.mark.parametrize("quantity", ["power", "energy"])
def test_a_measurement_replaces_the_estimate(quantity: str) -> None:
    """Of the same hour only what was measured counts, whatever the model says."""
    measured = {
        "power": samples(250.0),
        "energy": samples(lambda at: 1e9 + 250.0 * at / 1000),
    }[quantity]
    (row,) = rows(host(), {}, cpu_utilisation=samples(BUSY), **{quantity: measured})
    assert row.interval.amount == pytest.approx(250 * 3600)
    assert row.interval.basis is not Basis.ESTIMATE
    assert row.interval.grade is Grade.MEDIUM


def test_a_measurement_of_a_lower_ranked_feed_replaces_it_too() -> None:
    """The host's own agent knows how busy it is, its BMC what it draws: the BMC's watts count."""
    meter = host(Feed("agent", "host"), Feed("bmc", "host:1"))
    (row,) = rows(meter, agent__cpu_utilisation=samples(BUSY), bmc__power=samples(250.0))
    assert row.channel.feed == "bmc/host:1/power"
    assert row.interval.amount == pytest.approx(250 * 3600)


@pytest.mark.parametrize(("minutes", "feed"), [(60, "bmc"), (30, "bmc"), (29, "agent")])
def test_an_estimate_of_a_better_feed_gives_way_too(minutes: int, feed: str) -> None:
    """What a device calls an estimate itself ranks with ours: what another one measures counts."""
    (row,) = rows(
        replace(host(Feed("agent", "host"), Feed("bmc", "host:1")), estimator=None),
        {("agent", "host", "power"): Method.ESTIMATE},
        agent__power=samples(400.0),
        bmc__power=samples(250.0, HOUR - minutes * MINUTE),
    )
    assert row.channel.series.agent == feed


@pytest.mark.parametrize(
    ("minutes", "basis"), [(60, Basis.POWER), (30, Basis.POWER), (29, Basis.ESTIMATE)]
)
def test_an_hour_is_either_measured_or_estimated(minutes: int, basis: Basis) -> None:
    """Measured from half of what the estimate covers on: each second counts once, in one way."""
    (row,) = rows(
        host(),
        cpu_utilisation=samples(BUSY),
        power=samples(250.0, HOUR - minutes * MINUTE),
    )
    watts = 250.0 if basis is Basis.POWER else MODEL.power(BUSY).power
    assert row.interval.basis is basis
    assert row.interval.covered_ms == (minutes if basis is Basis.POWER else 60) * MINUTE
    assert row.interval.amount == pytest.approx(watts * row.interval.covered_ms / 1000)


def test_a_little_estimated_does_not_push_out_what_was_measured() -> None:
    """An hour of which 40 minutes were measured stays so beside 50 minutes of utilisation."""
    (row,) = rows(
        host(),
        cpu_utilisation=samples(BUSY, 0, 50 * MINUTE),
        power=samples(250.0, 0, 40 * MINUTE),
    )
    assert (row.interval.basis, row.interval.covered_ms) == (Basis.POWER, 40 * MINUTE)


def test_factor_and_grade_of_a_meter_do_not_change_an_estimate() -> None:
    """A transformer's ratio is of what a meter shows; an estimate is never graded better."""
    meter = replace(host(), factors=(Factor(40.0),), grade=Grade.MEDIUM)
    (row,) = rows(meter, cpu_utilisation=samples(BUSY))
    assert row.interval.amount == pytest.approx(MODEL.power(BUSY).power * 3600)
    assert row.interval.grade is Grade.LOW


def test_without_a_model_utilisation_is_no_power() -> None:
    """No channel of it, nor for what is no host or carries no electricity."""

    def quantities(meter: Meter) -> Iterator[str]:
        return (channel.series.quantity for channel in channels("lab", meter, {}))

    assert "cpu_utilisation" not in quantities(replace(host(), estimator=None))
    assert "cpu_utilisation" not in quantities(host(Feed("pdu", "outlet:1")))
    assert "cpu_utilisation" not in quantities(replace(host(), commodity=Commodity.HEAT))
    assert list(quantities(host()))[-1] == "cpu_utilisation"


async def test_a_late_measurement_restates_the_hour(tmp_path: Path) -> None:
    """A final estimate becomes a revision when the measured power of its hour arrives at last."""
    async with Bench(tmp_path, SITE) as bench:
        (meter,) = bench.site.topology.meters
        topology = replace(bench.site.topology, meters=(replace(meter, estimator=MODEL),))
        bench.site = replace(bench.site, topology=topology)

        async def receive(quantity: str, value: float) -> None:
            points = [(at, value) for at in range(0, 2 * HOUR + 1, MINUTE)]
            await bench.receive(points, agent="agent", resource="host", quantity=quantity)

        await receive("cpu_utilisation", BUSY)
        await bench.account()
        estimated = bench.row(HOUR, "srv")
        assert (estimated.basis, estimated.grade) == (Basis.ESTIMATE, Grade.LOW)
        assert estimated.amount == pytest.approx(MODEL.power(BUSY).power * 3600)
        await receive("power", 250.0)
        result = await bench.account()
        measured = bench.row(HOUR, "srv")
        assert (measured.basis, measured.grade) == (Basis.POWER, Grade.MEDIUM)
        assert measured.amount == pytest.approx(250 * 3600)
        assert result.written >= 2
        kept = bench.ledger.history("lab", "srv", START + HOUR)
        assert [row.interval.basis for row in kept][-2:] == [Basis.ESTIMATE, Basis.POWER]


def test_an_energy_amount_of_a_host_is_of_a_sample_of_twenty_seconds() -> None:
    """Whatever the row's length: 180 amounts of 8 kJ are an hour at 400 W, whole."""
    amounts = [Point(at, 8000.0) for at in range(20_000, HOUR + 1, 20_000)]
    ((interval, channel),) = rows(host(), energy_amount=amounts)
    assert interval.amount == pytest.approx(400 * 3600)
    assert interval.coverage == 1
    assert (channel.basis, interval.grade) == (Basis.AMOUNT, Grade.MEDIUM)
