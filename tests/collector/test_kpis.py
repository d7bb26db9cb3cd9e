"""KPIs of a site from a real ledger, by hand-calculated cases."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_collector.kpis import Slot, Step, energy_profile, site_kpis, unit_of
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.sites import Site
from jauge_models.boundaries import Symbol
from jauge_models.effectiveness import CoveragePolicy, Status
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point
from jauge_models.topology import Commodity

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
KWH = 3.6e6

SITE = """
[site]
name = "s"
time_zone = "UTC"

[[meters]]
id = "dc"
commodity = "electricity"
feeds = ["a/meter:dc"]
interval_s = 3600
uncertainty = 0.005
counts = "from_start"
reason = "test"

[[meters]]
id = "it"
commodity = "electricity"
feeds = ["a/meter:it"]
interval_s = 3600
uncertainty = 0.01
counts = "from_start"
reason = "test"

[[meters]]
id = "cooling"
commodity = "electricity"
feeds = ["a/meter:cooling"]
interval_s = 3600
counts = "from_start"
reason = "test"

[[meters]]
id = "tank"
commodity = "water"
feeds = ["a/meter:tank"]
interval_s = 3600
counts = "from_start"
reason = "test"

[[equations]]
symbol = "E_DC"
terms = [{ meter = "dc" }]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "it" }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "tank" }]

[[equations]]
symbol = "E_SUB"
zone = "hall"
terms = [{ meter = "cooling" }]

[[equations]]
symbol = "E_IT"
zone = "hall"
place = "pdu_output"
terms = [{ meter = "it" }]
"""

FACTORS = """
[[emission_factors]]
kg_co2e_per_kwh = 0.02
source = "test"
scope = "direct"
valid_to = "2026-01-01T00:30"

[[emission_factors]]
kg_co2e_per_kwh = 0.06
source = "test"
scope = "{scope}"
valid_from = "2026-01-01T00:30"
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def _site(folder: Path, text: str = SITE) -> Site:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return sites.load(path)


def _hours(amounts: Sequence[float | None], scale: float = KWH) -> list[Interval]:
    return [
        Interval(
            BEGIN_MS + n * HOUR_MS,
            BEGIN_MS + (n + 1) * HOUR_MS,
            None if amount is None else amount * scale,
            0 if amount is None else HOUR_MS,
            0 if amount is None else HOUR_MS,
            Basis.REGISTER,
            Grade.HIGH,
        )
        for n, amount in enumerate(amounts)
    ]


def _keep(
    ledger: Ledger, meter: str, rows: Sequence[Interval], commodity: Commodity | None = None
) -> None:
    stretch = Stretch(
        meter,
        commodity or Commodity.ELECTRICITY,
        rows[0].start_ms,
        rows[-1].end_ms,
        [Row(row, f"a/meter:{meter}/energy", final=True) for row in rows],
    )
    ledger.save("s", [stretch], BEGIN_MS)


def test_ratio_of_sums(tmp_path: Path, ledger: Ledger) -> None:
    """PUE is Σ E_DC / Σ E_IT, not the mean of 2 and 1.2; WUE is in m3 per MWh of IT energy."""
    _keep(ledger, "dc", _hours([2, 12]))
    _keep(ledger, "it", _hours([1, 10]))
    _keep(ledger, "tank", _hours([0.001, 0.021], scale=1), Commodity.WATER)
    found = site_kpis(ledger, _site(tmp_path), BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, CoveragePolicy())
    assert found.pue.value == pytest.approx(14 / 11)
    assert (found.pue.label, found.pue.category, found.pue.status) == (
        "iPUE2",
        "PUE2",
        Status.MEASURED,
    )
    assert found.wue.value == pytest.approx(0.022 / 0.011)
    assert found.pue.uncertainty == pytest.approx(2 * (0.005**2 + 0.01**2) ** 0.5)
    assert found.wue.uncertainty is None
    assert (found.start, found.end) == ("2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+00:00")


def test_joint_coverage(tmp_path: Path, ledger: Ledger) -> None:
    """Only hours with both sides count, on both sides; below the policy the value is withheld."""
    _keep(ledger, "dc", _hours([2, None, 3, 9]))
    _keep(ledger, "it", _hours([1, 5, 2, None]))
    span = (BEGIN_MS, BEGIN_MS + 4 * HOUR_MS)
    site = _site(tmp_path)
    found = site_kpis(ledger, site, *span, CoveragePolicy(minimum=0.5))
    assert found.pue.value == pytest.approx(5 / 3)
    assert found.pue.coverage == 0.5
    assert found.pue.numerator is not None
    assert found.pue.numerator.value == pytest.approx(5)
    strict = site_kpis(ledger, site, *span, CoveragePolicy())
    assert strict.pue.value is None
    assert strict.pue.reason == "not measured: joint coverage 50.0 % is below 90.0 %"


def test_partial_pue_of_a_zone(tmp_path: Path, ledger: Ledger) -> None:
    """PPUE of a hall is (its support + its IT) / its IT; its numerator shows the support alone."""
    _keep(ledger, "cooling", _hours([2]))
    _keep(ledger, "it", _hours([10]))
    found = site_kpis(ledger, _site(tmp_path), BEGIN_MS, BEGIN_MS + HOUR_MS, CoveragePolicy())
    (hall,) = found.ppue
    assert (hall.zone, hall.kpi.label) == ("hall", "interim pPUE2")
    assert hall.kpi.value == pytest.approx(1.2)
    assert hall.kpi.numerator is not None
    assert hall.kpi.numerator.symbol == "E_SUB"
    assert hall.kpi.numerator.value == pytest.approx(2)


def test_meter_that_is_not_commissioned(tmp_path: Path, ledger: Ledger) -> None:
    """Rows of a meter whose dial nobody compared do not count, and the meter is named."""
    _keep(ledger, "dc", _hours([2]))
    _keep(ledger, "it", _hours([1]))
    text = SITE.replace(
        'feeds = ["a/meter:it"]\ninterval_s = 3600\nuncertainty = 0.01\ncounts = "from_start"',
        'feeds = ["a/meter:it"]\ninterval_s = 3600\nuncertainty = 0.01',
    )
    found = site_kpis(ledger, _site(tmp_path, text), BEGIN_MS, BEGIN_MS + HOUR_MS, CoveragePolicy())
    assert found.pue.value is None
    assert found.pue.coverage == 0.0
    assert found.pue.reason is not None
    assert "meter 'it' is not commissioned" in found.pue.reason
    assert "'dc'" not in found.pue.reason


def test_meter_that_counts_only_lately(tmp_path: Path, ledger: Ledger) -> None:
    """A meter counts from its commissioning on; the reason says since when."""
    _keep(ledger, "dc", _hours([2] * 48))
    _keep(ledger, "it", _hours([1] * 48))
    ledger.append(
        "s", "commissioning", "it", start_ms=BEGIN_MS + DAY_MS, content={}, now_ms=BEGIN_MS
    )
    text = SITE.replace('uncertainty = 0.01\ncounts = "from_start"', "uncertainty = 0.01")
    site = _site(tmp_path, text)
    found = site_kpis(ledger, site, BEGIN_MS, BEGIN_MS + 2 * DAY_MS, CoveragePolicy())
    assert found.pue.coverage == 0.5
    assert found.pue.reason is not None
    assert "meter 'it' counts only since 2026-01-02" in found.pue.reason
    later = site_kpis(ledger, site, BEGIN_MS + DAY_MS, BEGIN_MS + 2 * DAY_MS, CoveragePolicy())
    assert later.pue.value == pytest.approx(2)


def test_cue_weighs_each_piece(tmp_path: Path, ledger: Ledger) -> None:
    """CUE is Σ energy × factor / E_IT; a factor that changes within a row cuts it there."""
    _keep(ledger, "dc", _hours([4]))
    _keep(ledger, "it", _hours([2]))
    site = _site(tmp_path, SITE + FACTORS.format(scope="direct"))
    found = site_kpis(ledger, site, BEGIN_MS, BEGIN_MS + HOUR_MS, CoveragePolicy())
    assert found.cue.value == pytest.approx((2 * 0.02 + 2 * 0.06) / 2)
    assert found.cue.numerator is not None
    assert found.cue.numerator.value == pytest.approx(0.16)
    assert found.cue.numerator.unit == "kgCO2e"
    assert found.pue.value == pytest.approx(2)


def test_cue_never_mixes_scopes(tmp_path: Path, ledger: Ledger) -> None:
    """Direct and life-cycle factors give no common figure; none declared gives none either."""
    _keep(ledger, "dc", _hours([4]))
    _keep(ledger, "it", _hours([2]))
    span = (BEGIN_MS, BEGIN_MS + HOUR_MS)
    mixed = _site(tmp_path, SITE + FACTORS.format(scope="life_cycle"))
    found = site_kpis(ledger, mixed, *span, CoveragePolicy())
    assert found.cue.value is None
    assert found.cue.reason is not None
    assert "different scope" in found.cue.reason
    none = site_kpis(ledger, _site(tmp_path), *span, CoveragePolicy())
    assert none.cue.reason == "no emission factor is declared for the period"


def test_undeclared_sides(tmp_path: Path, ledger: Ledger) -> None:
    """An indicator without an equation is withheld and says which one is missing."""
    found = site_kpis(ledger, _site(tmp_path), BEGIN_MS, BEGIN_MS + HOUR_MS, CoveragePolicy())
    assert found.ref.reason == "no equation for E_RES-TOT is declared"
    assert found.erf.reason == "no equation for E_REUSE is declared"


@pytest.mark.parametrize(
    ("basis", "flags"), [(Basis.REGISTER, {Flag.BRIDGED}), (Basis.ATTESTED, set[Flag]())]
)
def test_bridge_over_the_bound_adds_to_the_uncertainty(
    tmp_path: Path, ledger: Ledger, basis: Basis, flags: set[Flag]
) -> None:
    """A register bridged across the period's start is split, and less sure than one read there.

    So is a dial that a person read before it and after.
    """
    _keep(ledger, "it", _hours([1] * 10))
    rows = _hours([2] * 10)
    _keep(ledger, "dc", rows)
    span = (BEGIN_MS, BEGIN_MS + 10 * HOUR_MS)
    site = _site(tmp_path)
    sure = site_kpis(ledger, site, *span, CoveragePolicy())
    first = Interval(
        rows[0].start_ms,
        rows[0].end_ms,
        2 * KWH,
        HOUR_MS,
        0,
        basis,
        Grade.HIGH,
        opening=Point(BEGIN_MS - HOUR_MS, 0.0),
        closing=Point(BEGIN_MS + HOUR_MS, 4 * KWH),
        flags=frozenset(flags),
    )
    _keep(ledger, "dc", [first, *rows[1:]])
    unsure = site_kpis(ledger, site, *span, CoveragePolicy())
    assert unsure.pue.value == sure.pue.value == pytest.approx(2)
    assert sure.pue.uncertainty is not None
    assert unsure.pue.uncertainty is not None
    split = 2 * KWH / 3**0.5 / (20 * KWH)
    assert unsure.pue.uncertainty == pytest.approx(
        2 * ((sure.pue.uncertainty / 2) ** 2 + split**2) ** 0.5
    )


def test_empty_period(tmp_path: Path, ledger: Ledger) -> None:
    """A period that ends where it begins is an error, not a ratio."""
    with pytest.raises(ValueError, match="ends before it begins"):
        site_kpis(ledger, _site(tmp_path), BEGIN_MS, BEGIN_MS, CoveragePolicy())


def test_profile_of_a_meter(tmp_path: Path, ledger: Ledger) -> None:
    """A chart shows holes as holes and nothing that was bridged; a rate is over covered time."""
    rows = _hours([1, None, 3, 4])
    bridged = Interval(
        rows[3].start_ms, rows[3].end_ms, KWH, HOUR_MS, 0, Basis.REGISTER, Grade.HIGH,
        flags=frozenset({Flag.BRIDGED}),
    )  # fmt: skip
    _keep(ledger, "it", [*rows[:3], bridged])
    site = _site(tmp_path)
    slots = energy_profile(ledger, site, "it", BEGIN_MS, BEGIN_MS + 4 * HOUR_MS, step=Step.HOUR)
    assert [slot.amount for slot in slots] == [KWH, None, 3 * KWH, None]
    assert [slot.coverage for slot in slots] == [1.0, 0.0, 1.0, 0.0]
    (day,) = energy_profile(ledger, site, "it", BEGIN_MS, BEGIN_MS + DAY_MS, step=Step.DAY)
    assert day == Slot(BEGIN_MS, BEGIN_MS + DAY_MS, 4 * KWH, 2 * HOUR_MS)
    assert day.rate == pytest.approx(2000)
    assert unit_of(site, "it") == "J"
    assert unit_of(site, "tank") == "m3"


def test_profile_of_an_equation(tmp_path: Path, ledger: Ledger) -> None:
    """An equation's slot is measured only where every meter in it is."""
    _keep(ledger, "dc", _hours([2, None, 4]))
    site = _site(tmp_path)
    equation = site.equation(Symbol.E_DC)
    assert equation is not None
    slots = energy_profile(ledger, site, equation, BEGIN_MS, BEGIN_MS + 3 * HOUR_MS, step=Step.HOUR)
    assert [slot.amount for slot in slots] == [2 * KWH, None, 4 * KWH]


def test_profile_slots_are_civil(tmp_path: Path, ledger: Ledger) -> None:
    """Days and months begin at the site's midnight: 23 and 25 hours when the clock changes."""
    site = _site(tmp_path, SITE.replace('time_zone = "UTC"', 'time_zone = "Europe/Paris"'))
    march = 1_774_738_800_000  # 2026-03-29T00:00 in Paris
    days = energy_profile(ledger, site, "it", march, march + 47 * HOUR_MS, step=Step.DAY)
    assert [slot.end_ms - slot.start_ms for slot in days] == [23 * HOUR_MS, DAY_MS]
    months = energy_profile(ledger, site, "it", BEGIN_MS - HOUR_MS, march, step=Step.MONTH)
    assert [(slot.end_ms - slot.start_ms) // DAY_MS for slot in months] == [31, 28, 28]
    quarters = energy_profile(
        ledger, site, "it", march + 60_000, march + HOUR_MS, step=Step.QUARTER_HOUR
    )
    assert [slot.end_ms - slot.start_ms for slot in quarters] == [
        840_000,
        900_000,
        900_000,
        900_000,
    ]


def test_profile_splits_long_rows(tmp_path: Path, ledger: Ledger) -> None:
    """A row longer than the slot is spread linearly over the slots it covers."""
    _keep(ledger, "it", _hours([4]))
    slots = energy_profile(
        ledger, _site(tmp_path), "it", BEGIN_MS, BEGIN_MS + HOUR_MS, step=Step.QUARTER_HOUR
    )
    assert [slot.amount for slot in slots] == [KWH] * 4


def test_profile_of_an_unknown_meter(tmp_path: Path, ledger: Ledger) -> None:
    """A meter that the site does not have is a KeyError."""
    with pytest.raises(KeyError):
        energy_profile(ledger, _site(tmp_path), "x", BEGIN_MS, BEGIN_MS + 1, step=Step.DAY)


def test_each_further_place_of_the_it_meter_gives_a_pue_of_its_own(
    ledger: Ledger, tmp_path: Path
) -> None:
    """PUE2 from the PDUs leads; the UPS output, declared second, gives PUE1 beside it, unmixed."""
    second = """
[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["a/meter:ups"]
interval_s = 3600
counts = "from_start"
reason = "test"

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]
"""
    site = _site(tmp_path, SITE + second)
    _keep(ledger, "dc", _hours([30, 30]))
    _keep(ledger, "it", _hours([20, 20]))
    _keep(ledger, "ups", _hours([24, None]))
    found = site_kpis(ledger, site, BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, CoveragePolicy(minimum=0.5))
    assert (found.pue.category, found.pue.value, found.pue.coverage) == ("PUE2", 1.5, 1.0)
    (beside,) = found.pue_elsewhere
    assert (beside.category, beside.value, beside.coverage) == ("PUE1", 1.25, 0.5)
