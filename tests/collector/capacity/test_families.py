"""What /metrics shows of a plant: shares, times and chances that are known; nothing else."""

import time
from pathlib import Path

import msgspec
import pytest
from jauge_collector.capacity.families import of_capacity
from jauge_collector.capacity.past import Past
from jauge_collector.capacity.planning import Known
from jauge_collector.site_families import Families
from jauge_models.capacity.answer import History
from jauge_models.capacity.fullness import Fullness, Limit
from jauge_models.capacity.outcome import Figures
from jauge_models.capacity.outlook import Outlook, UseHistory
from jauge_models.metrics import METRICS

from tests.collector.capacity.measured import PLANT, site_of
from tests.collector.console.serving import SITE, configuration, serving
from tests.collector.console.test_published import scraped
from tests.parts import eventually

Shown = dict[tuple[str, ...], float]


def _known(folder: Path, uses: tuple[UseHistory, ...] = (), *full: Fullness) -> Known:
    _, declared = site_of(folder)
    outlook = tuple(Outlook(limit=one.limit, place="r1", hours=None, full=one) for one in full)
    nothing = Figures(pue=None, wue=None, carbon=None, price=None)
    past = Past(History(), {}, 0, 0, 0, 0, {}, {})
    return Known(declared, past, nothing, uses, outlook, 5_000)


def _shown(families: Families, name: str, *labels: str) -> Shown:
    """A family's samples by some of their labels; no two of the same."""
    samples = families[name]
    found = {tuple(one.labels[label] for label in labels): one.value for one in samples}
    assert len(found) == len(samples)
    return found


def _use(limit: Limit, place: str, of: float | None, *values: float | None) -> UseHistory:
    return UseHistory(limit=limit, place=place, start_ms=0, values=values, of=of)


def test_every_family_is_in_the_catalogue_with_its_labels(tmp_path: Path) -> None:
    """All of those of capacity, and no label of another name."""
    families = of_capacity("ex", _known(tmp_path))
    assert set(families) == {name for name in METRICS if name.startswith("jauge_capacity_")}
    for name, samples in families.items():
        for sample in samples:
            assert set(sample.labels) == set(METRICS[name].labels), name


def test_gpus_are_those_of_the_plant_and_used_ones_the_last_known(tmp_path: Path) -> None:
    """A kind of which nothing is known of the last day has GPUs and no used ones."""
    uses = (
        _use(Limit.GPUS, "G", 4.0, 1.0, 2.5, None),
        _use(Limit.GPUS, "F", 4.0, 3.0, *[None] * 24),
    )
    families = of_capacity("ex", _known(tmp_path, uses))
    assert _shown(families, "jauge_capacity_gpus", "gpu") == {("G",): 4, ("F",): 4}
    assert _shown(families, "jauge_capacity_gpus_used", "gpu") == {("G",): 2.5}


def test_shares_are_of_what_is_declared_and_measured(tmp_path: Path) -> None:
    """The 95th percentile; too few hours, no limit, a node of unknown most: no sample."""
    uses = (
        _use(Limit.RACK_POWER, "r1", 4000.0, *[1000.0] * 90, *[2000.0] * 10),
        _use(Limit.RACK_POWER, "r2", None, *[1000.0] * 100),
        _use(Limit.ROOM_COOLING, "hall", 10_000.0, 500.0),
        _use(Limit.GPU_MEMORY, "G", 4096.0, *[1024.0] * 100),
        # What was measured of a breaker is for its days to full.
        _use(Limit.BREAKER, "r1 A", 2300.0, *[1000.0] * 100),
    )
    shown = _shown(
        of_capacity("ex", _known(tmp_path, uses)), "jauge_capacity_used_ratio", "limit", "place"
    )
    assert shown == {
        ("rack_power", "r1"): pytest.approx(0.5),
        ("gpu_memory", "G"): pytest.approx(0.25),
        # Two nodes of 2 kW with a feed lost; the other rack's node has no most that is known.
        ("breaker", "r1 A"): pytest.approx(4000 / 2300),
        ("breaker", "r1 B"): pytest.approx(4000 / 4600),
    }


def test_breakers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Or two samples of the same labels would spoil the whole scrape."""
    known = _known(tmp_path)
    _, declared = site_of(tmp_path, plant=PLANT.replace('gpu = "F"', 'nameplate_kw = 1\ngpu = "F"'))
    families = of_capacity("ex", known._replace(declared=declared))
    shown = _shown(families, "jauge_capacity_used_ratio", "limit", "place")
    assert shown["breaker", "r2 A"] == pytest.approx(1000 / 2300)
    assert len(shown) == 3


def test_what_is_not_within_the_horizon_has_no_sample(tmp_path: Path) -> None:
    """Nor has the skill of a forecast that is the time before once more."""
    full = Fullness(
        limit=Limit.RACK_POWER,
        of=4000.0,
        days_10=2.0,
        days_50=30.0,
        days_90=None,
        probability=0.6,
        horizon_days=163.0,
        method="persistence",
        skill=None,
    )
    other = msgspec.structs.replace(full, limit=Limit.GPUS, skill=0.25, days_10=0.0)
    families = of_capacity("ex", _known(tmp_path, (), full, other))
    day_s = 86_400
    assert _shown(families, "jauge_capacity_full_seconds", "limit", "chance") == {
        ("rack_power", "0.1"): 2 * day_s,
        ("rack_power", "0.5"): 30 * day_s,
        ("gpus", "0.1"): 0.0,
        ("gpus", "0.5"): 30 * day_s,
    }
    assert _shown(families, "jauge_capacity_full_probability_ratio", "limit") == {
        ("rack_power",): 0.6,
        ("gpus",): 0.6,
    }
    assert _shown(families, "jauge_capacity_full_horizon_seconds", "limit") == {
        ("rack_power",): 163 * day_s,
        ("gpus",): 163 * day_s,
    }
    assert _shown(families, "jauge_capacity_forecast_skill_ratio", "limit") == {("gpus",): 0.25}
    assert _shown(families, "jauge_capacity_timestamp_seconds", "site") == {("ex",): 5.0}


async def test_a_scrape_shows_the_plant_once_it_is_worked_out(tmp_path: Path) -> None:
    """Through the running console; of nothing measured only what is declared."""
    settings = configuration(tmp_path)
    (tmp_path / "plant.toml").write_text(PLANT, encoding="utf-8")
    (tmp_path / "site.toml").write_text(
        f'{SITE}\n[capacity]\nplant = "plant.toml"\n', encoding="utf-8"
    )
    async with serving(settings) as console:

        async def there() -> bool:
            return "jauge_capacity_gpus" in await scraped(console)

        await eventually(there, within=30, what="the capacity is on /metrics")
        shown = await scraped(console)
    assert {labels["gpu"]: value for labels, value in shown["jauge_capacity_gpus"]} == {
        "G": 4,
        "F": 4,
    }
    places = {labels["place"] for labels, _ in shown["jauge_capacity_used_ratio"]}
    assert places == {"r1 A", "r1 B"}
    ((_, made_s),) = shown["jauge_capacity_timestamp_seconds"]
    assert abs(made_s - time.time()) < 120
    for name in ("gpus_used", "full_seconds", "full_probability_ratio", "forecast_skill_ratio"):
        assert f"jauge_capacity_{name}" not in shown


async def test_a_plant_that_is_wrong_takes_nothing_else_away(tmp_path: Path) -> None:
    """What it would say is absent; the site is there."""
    settings = configuration(tmp_path)
    (tmp_path / "plant.toml").write_text("nonsense", encoding="utf-8")
    (tmp_path / "site.toml").write_text(
        f'{SITE}\n[capacity]\nplant = "plant.toml"\n', encoding="utf-8"
    )
    async with serving(settings) as console:
        shown = await scraped(console)
    assert "jauge_site_info" in shown
    assert not any(name.startswith("jauge_capacity_") for name in shown)
