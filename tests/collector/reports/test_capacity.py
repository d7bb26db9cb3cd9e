"""GPU capacity in the report: measured use of a declared plant, told in both languages."""

import msgspec
import pytest
from jauge_collector.capacity.words import words
from jauge_collector.console.text import CODES
from jauge_collector.reports.composition import compose
from jauge_collector.reports.content import (
    Capacity,
    CapacityGap,
    CapacityLimit,
    CapacityPool,
    GpusIdle,
    GpusUsed,
    Report,
    data_hash,
    decode,
    encode,
)
from jauge_collector.reports.document import Bullets, Paragraph, Section, Table
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Counted, Measure
from jauge_models.intervals import GRADE_OF, Basis, Interval

from tests.collector.compliance.yard import DAY, END, HOUR, Yard, keep
from tests.collector.reports.desk import gathered, ledger_of
from tests.collector.reports.example import example

PLANT = """
[[kinds]]
name = "two"
gpu = "G"
gpus = 2
cores = 64
memory_gib = 512

[[rooms]]
name = "hall"
cooling_kw = 2

[[racks]]
name = "r1"
room = "hall"
power_kw = 1

[[nodes]]
name = "n1"
kind = "two"
rack = "r1"

[[nodes]]
name = "n2"
kind = "two"
"""


def _declared(yard: Yard, plant: str = PLANT) -> None:
    yard.edit("yard.toml", "[registers]", '[capacity]\nplant = "plant.toml"\n\n[registers]')
    (yard.folder / "plant.toml").write_text(plant, encoding="utf-8")


def _told(report: Report) -> Capacity:
    assert report.capacity is not None
    return report.capacity


def test_without_a_plant_nothing_is_told_and_old_hashes_stay(yard: Yard) -> None:
    """A report of before reads back, and its hash is the one that was printed."""
    report = gathered(yard.folder)
    assert report.capacity is None
    old = msgspec.json.decode(encode(report))
    del old["capacity"]
    again = decode(msgspec.json.encode(old))
    assert again == report
    assert data_hash(again) == data_hash(report)
    told = msgspec.structs.replace(report, capacity=Capacity())
    assert data_hash(told) != data_hash(report)
    assert "capacity" not in [section.id for section in compose(report, "fr").sections]


def test_use_of_the_quarter_and_what_is_not_known(yard: Yard) -> None:
    """Two GPUs of a server were measured for ten days, its power for most of the year."""
    _declared(yard)
    days = range(355, 365)
    for gpu, activity in ((0, 0.5), (1, 0.01)):
        points = [(day * DAY + at, activity) for day in days for at in range(0, DAY, 120_000)]
        yard.write(f"n1/gpu:{gpu}", points, "gpu_utilisation")
        yard.write(f"n1/gpu:{gpu}", [(at, 100.0) for at, _ in points], "power")
    with ledger_of(yard.folder) as ledger, ledger.writer():
        rows = [
            Interval(
                END - (at + 1) * HOUR,
                END - at * HOUR,
                # It grows by 2.4 W a day.
                max(0.0, 900.0 - at / 10) * 3600,
                HOUR,
                HOUR,
                Basis.COUNTER,
                GRADE_OF[Basis.COUNTER],
            )
            for at in reversed(range(300 * 24))
        ]
        keep(ledger, "n1", rows)
    found = _told(gathered(yard.folder))
    (gpus,) = found.gpus
    # Of the second server nothing is known, so nothing of the kind.
    assert (gpus.gpu, gpus.number, gpus.used, gpus.coverage) == ("G", 4, None, 0.0)
    assert found.idle is not None
    assert found.idle.hours == 2 * found.idle.idle_hours == pytest.approx(2 * 240, abs=2)
    assert found.idle.kwh == pytest.approx(0.1 * found.idle.idle_hours)
    rack, room = found.limits
    assert (rack.limit, rack.place, room.limit, room.place) == (
        *("rack_power", "r1"),
        *("room_cooling", "hall"),
    )
    assert rack.used == pytest.approx(0.9, abs=0.02)
    assert rack.probability == 1.0
    assert rack.days_50 is not None
    assert 10 < rack.days_50 < 80
    assert rack.horizon_days is not None
    assert 60 < rack.horizon_days < 140
    assert {gap.code: gap.names for gap in found.unknown} == {
        "gpus": ("n2",),
        "power": ("n2",),
        "most": ("two",),
        "breaker": ("r1",),
    }
    assert _told(gathered(yard.folder, now_ms=END + 50 * DAY)) == found


def test_servers_with_other_numbers_of_gpus_than_declared_are_named(yard: Yard) -> None:
    """Fewer, and more; not one of which a GPU was replaced by another."""
    _declared(yard, f'{PLANT}\n[[nodes]]\nname = "n3"\nkind = "two"\n')
    days = {
        "n1/gpu:0": (360, 361),
        **{f"n2/gpu:{gpu}": (360, 361) for gpu in range(3)},
        "n3/gpu:0": (359, 363),
        "n3/gpu:old": (359, 360),
        "n3/gpu:new": (361, 363),
    }
    for gpu, (first, last) in days.items():
        points = [(at, 0.5) for at in range(first * DAY, last * DAY, 120_000)]
        yard.write(gpu, points, "gpu_utilisation")
    gaps = {gap.code: gap.names for gap in _told(gathered(yard.folder)).unknown}
    assert gaps["gpus"] == ("n1", "n2")


def test_a_wrong_plant_stops_no_report(yard: Yard) -> None:
    """It is one line in the annex, without the folder that the site happens to lie in."""
    _declared(yard, PLANT.replace('kind = "two"\nrack', 'kind = "three"\nrack'))
    report = gathered(yard.folder)
    problem = _told(report).problem
    assert problem.startswith("plant.toml")
    assert "'three' is no kind" in problem
    assert "\n" not in problem
    for language in CODES:
        (block,) = _annex(report, language).blocks
        assert isinstance(block, Paragraph)
        assert problem.split(":", maxsplit=1)[0] in block.text


def test_a_quarter_that_runs_is_told_up_to_the_last_midnight(yard: Yard) -> None:
    """What is still to come is no unknown hour."""
    _declared(yard, PLANT.rpartition("[[nodes]]")[0])
    # Whole days of the last two hundred hours before the end of the second day.
    points = [(at, 0.5) for at in range(363 * DAY, 365 * DAY, 120_000)]
    for gpu in (0, 1):
        yard.write(f"n1/gpu:{gpu}", points, "gpu_utilisation")
    (gpus,) = _told(gathered(yard.folder, now_ms=END - DAY // 2)).gpus
    # Of 91 days of the quarter that were over by then, one was measured.
    assert gpus.used == pytest.approx(2.0)
    assert gpus.coverage == pytest.approx(1 / 91, rel=0.1)


@pytest.mark.parametrize("language", CODES)
def test_everything_that_may_be_told_has_words(language: str) -> None:
    """Limits, gaps, forecasts with and without skill; French numbers in French."""
    limit = CapacityLimit(
        limit=Limit.GPUS.value,
        place="G",
        used=0.875,
        probability=0.42,
        days_10=0.0,
        days_50=30.0,
        horizon_days=163.0,
        method="persistence",
        skill=0.25,
        counted=Counted.AT_WORK.value,
    )
    pool = CapacityPool(
        gpu="G",
        what=Limit.GPUS.value,
        last=2.0,
        in_a_day=(2.5, 1.5, 3.25),
        method="persistence",
        skill=0.25,
    )
    told = Capacity(
        gpus=(GpusUsed(gpu="G", number=4, used=2.5, coverage=0.5),),
        idle=GpusIdle(below=0.05, hours=100.0, idle_hours=40.0, unmeasured_hours=3.0, kwh=12.0),
        limits=(
            limit,
            msgspec.structs.replace(limit, skill=None),
            *(CapacityLimit(limit=one.value, place="x", used=0.5) for one in Limit),
        ),
        limits_left_out=2,
        pools=(
            pool,
            *(msgspec.structs.replace(pool, what=one.value, skill=None) for one in Measure),
            CapacityPool(gpu="G", what=Limit.GPU_MEMORY.value, have=7, needed=500),
        ),
        unknown=tuple(
            CapacityGap(code=code, names=("a",))
            for code in ("gpus", "power", "most", "rack", "breaker", "room")
        ),
    )
    report = msgspec.structs.replace(example(), capacity=told)
    annex = _annex(report, language)
    used, limits, pools = (block for block in annex.blocks if isinstance(block, Table))
    assert used.rows[0][3].text.startswith("62")
    nearest, naive, *others = limits.rows
    assert [cell.text for cell in nearest[3:6]] == [
        {"fr": "atteinte", "en": "now"}[language],
        "30",
        "–",
    ]
    assert "25" in nearest[6].text
    assert "25" not in naive[6].text
    assert len(others) == len(Limit)
    assert words(language).counted[Counted.AT_WORK.value] in nearest[0].sub
    of_gpus, _, of_power, of_memory = pools.rows
    point = {"fr": ",", "en": "."}[language]
    assert (of_gpus[2].text, of_gpus[2].sub) == (f"2{point}5", f"1{point}5 – 3{point}25")
    assert of_gpus[3].text == "–"
    within = {"fr": "42\u202f% sous 163\u00a0j", "en": "42% within 163\u00a0d"}
    assert nearest[2].text == within[language]
    assert of_power[1].text.endswith("W")
    assert "500" in of_memory[5].text
    (gaps,) = (block for block in annex.blocks if isinstance(block, Bullets))
    assert len(set(gaps.items)) == len(told.unknown)


def _annex(report: Report, language: str) -> Section:
    last = compose(report, language).sections[-1]
    assert last.id == "capacity"
    return last
