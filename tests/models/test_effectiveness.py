"""Indicators: each case worked by hand, the numbers in the test's docstring."""

from datetime import UTC, datetime
from math import sqrt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.boundaries import Equation, Place, Symbol, Term
from jauge_models.effectiveness import CoveragePolicy, Kpi, Period, PeriodKind, Status
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point
from jauge_models.rules import RULES, Indicator, RuleStatus, rule_in_force

from tests.models.site import ANY_COVERAGE, DAY, HOUR, KWH, hours, indicator, interim, litres

E_DC = Equation(Symbol.E_DC, (Term("incomer"),))
E_IT = Equation(Symbol.E_IT, (Term("ups"),), place=Place.UPS_OUTPUT)

YEAR = 365 * DAY
_MONTHS = tuple(
    (datetime(2023, month, 1, tzinfo=UTC) - datetime(2023, 1, 1, tzinfo=UTC)).days * DAY
    for month in range(1, 13)
)
ANNUAL = Period(0, YEAR, PeriodKind.ANNUAL, tuple(zip(_MONTHS, (*_MONTHS[1:], YEAR), strict=True)))
"""A year of 365 days from moment 0, with months as long as those of 2023."""


def metered_at(place: Place | None, *, undeducted: tuple[str, ...] = ()) -> Equation:
    """E_IT at one place."""
    return Equation(Symbol.E_IT, (Term("ups"),), place=place, undeducted=undeducted)


def bill(first_day: int, last_day: int, kwh: float) -> Interval:
    """One attested row over many days."""
    start, end = first_day * DAY, last_day * DAY
    length = end - start
    return Interval(start, end, kwh * KWH, length, length, Basis.ATTESTED, Grade.MEDIUM)


def year_without(days: set[int]) -> Kpi:
    """PUE of a year of 150 kWh over 100 kWh a day, the IT meter silent on some days."""
    rows = {
        "incomer": hours(*[150] * 365, length_ms=DAY),
        "ups": hours(*[None if day in days else 100 for day in range(365)], length_ms=DAY),
    }
    return indicator(Indicator.PUE, E_DC, E_IT, rows, period=ANNUAL, policy=CoveragePolicy())


def test_only_time_measured_on_both_sides_counts() -> None:
    """Ten hours of 150 kWh; IT 100 kWh in nine of them: 1 350 / 900 = 1.5, not 1 500 / 900.

    Joint coverage 0.9. The sums shown are those of the nine hours.
    """
    rows = {"incomer": hours(*[150] * 10), "ups": hours(*[100] * 9, None)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    assert found.value == pytest.approx(1.5)
    assert found.coverage == pytest.approx(0.9)
    assert found.numerator is not None
    assert found.denominator is not None
    assert found.numerator.value == pytest.approx(1350)
    assert found.denominator.value == pytest.approx(900)


def test_holes_on_different_sides_both_count_against_coverage() -> None:
    """Hour 0 lacks the incomer, hour 1 the IT meter: two of four hours, (160 + 170) / 200."""
    rows = {"incomer": hours(None, 150, 160, 170), "ups": hours(100, None, 100, 100)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    assert found.value == pytest.approx(1.65)
    assert found.coverage == pytest.approx(0.5)


def test_the_mean_of_ratios_appears_nowhere() -> None:
    """100 / 50 and 300 / 250: the ratio of sums is 400 / 300; the mean of ratios would be 1.6."""
    found = indicator(
        Indicator.PUE, E_DC, E_IT, {"incomer": hours(100, 300), "ups": hours(50, 250)}
    )
    assert found.value == pytest.approx(4 / 3)
    assert b"1.6" not in msgspec.json.encode(found)


measured = st.lists(
    st.tuples(st.none() | st.integers(1, 10**6), st.none() | st.integers(1, 10**6)),
    min_size=1,
    max_size=30,
)


@given(measured)
def test_a_ratio_is_that_of_the_sums_over_joint_hours(
    pairs: list[tuple[int | None, int | None]],
) -> None:
    """Whatever the holes: sums of the hours both know, coverage their share, none means none."""
    rows = {"incomer": hours(*[a for a, _ in pairs]), "ups": hours(*[b for _, b in pairs])}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    assert found.coverage == pytest.approx(len(both) / len(pairs))
    assert 0 <= found.coverage <= 1
    whole, it = sum(a for a, _ in both), sum(b for _, b in both)
    if both and whole < it:
        assert found.value is None
        assert found.reason == "E_DC is less than E_IT, which it contains"
    elif both:
        assert found.value == pytest.approx(whole / it)
    else:
        assert found.value is None
        assert found.numerator is not None
        assert found.numerator.value is None
    assert (found.value is None) == (found.reason is not None)


def test_a_year_needs_ninety_per_cent() -> None:
    """36 silent days spread over the year leave 329 / 365 = 90.1 %: shown; 37 leave 89.9 %."""
    spread = [day * 10 for day in range(37)]
    shown, withheld = year_without(set(spread[:36])), year_without(set(spread))
    assert shown.value == pytest.approx(1.5)
    assert (shown.label, shown.period_kind) == ("PUE1", PeriodKind.ANNUAL)
    assert withheld.value is None
    assert withheld.reason == "not measured: joint coverage 89.8 % is below 90.0 %"


def test_a_year_needs_three_quarters_of_each_month() -> None:
    """In January 7 silent days of 31 leave 77.4 %: shown; 8 leave 74.1 %: withheld."""
    days = [1, 4, 7, 10, 13, 16, 19, 22]
    assert year_without(set(days[:7])).value == pytest.approx(1.5)
    withheld = year_without(set(days))
    assert withheld.value is None
    assert withheld.reason == (
        "not measured: month 1 of the period is covered 74.1 %, below 75.0 %"
    )


def test_a_year_has_no_gap_longer_than_ten_days() -> None:
    """Ten silent days across the turn of a month are shown; eleven are a gap."""
    assert year_without(set(range(26, 36))).value == pytest.approx(1.5)
    withheld = year_without(set(range(26, 37)))
    assert withheld.value is None
    assert withheld.reason == "not measured: a gap of 11.0 days is longer than 10 days"


def test_rows_longer_than_a_month_cover_each_month_they_span() -> None:
    """Bills of 100 days and then of 265 days, and bills of 30 days, are a year without a hole."""
    long = [
        bill(0, 100, 100),
        bill(100, 365, 265),
    ]
    rows = {"incomer": long, "ups": hours(*[30] * 13, length_ms=30 * DAY)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows, period=ANNUAL, policy=CoveragePolicy())
    assert found.value == pytest.approx(1.0)
    assert found.coverage == 1


def test_an_interim_period_has_no_rule_on_months_and_gaps() -> None:
    """Half a year with eleven silent days in a row: 170 / 181 = 93.9 %, shown as interim."""
    rows = {
        "incomer": hours(*[150] * 181, length_ms=DAY),
        "ups": hours(*[None if 20 <= day < 31 else 100 for day in range(181)], length_ms=DAY),
    }
    found = indicator(Indicator.PUE, E_DC, E_IT, rows, policy=CoveragePolicy())
    assert found.value == pytest.approx(1.5)
    assert found.label == "iPUE1"


@pytest.mark.parametrize(
    ("equation", "label", "category"),
    [
        (metered_at(Place.UPS_OUTPUT), "iPUE1", "PUE1"),
        (metered_at(Place.PDU_OUTPUT), "iPUE2", "PUE2"),
        (metered_at(Place.IT_INPUT), "iPUE3", "PUE3"),
        (metered_at(Place.UPS_INPUT), "ratio at UPS input, not a PUE", None),
        (metered_at(Place.AGENTS), "estimated ratio, not a PUE", None),
        (metered_at(None), "ratio, not a PUE", None),
        (metered_at(Place.UPS_OUTPUT, undeducted=("pump",)), "ratio, not a PUE", None),
        (
            metered_at(Place.UPS_INPUT, undeducted=("pump",)),
            "ratio at UPS input, not a PUE",
            None,
        ),
    ],
)
def test_the_place_of_the_it_meter_decides_label_and_category(
    equation: Equation, label: str, category: str | None
) -> None:
    """Only UPS output, PDU output and IT input, with nothing left to deduct, have a category."""
    found = indicator(Indicator.PUE, E_DC, equation, {"incomer": hours(150), "ups": hours(100)})
    assert (found.label, found.category) == (label, category)


@pytest.mark.parametrize(
    ("which", "place", "label"),
    [
        (Indicator.WUE, Place.UPS_OUTPUT, "interim WUE"),
        (Indicator.WUE, Place.UPS_INPUT, "ratio at UPS input, not a WUE"),
        (Indicator.CUE, Place.UPS_INPUT, "ratio at UPS input, not a CUE"),
        (Indicator.PPUE, Place.PDU_OUTPUT, "interim pPUE2"),
        (Indicator.PPUE, Place.AGENTS, "estimated ratio, not a pPUE"),
    ],
)
def test_other_ratios_over_it_energy_follow_its_place_too(
    which: Indicator, place: Place, label: str
) -> None:
    """WUE, CUE and pPUE are not such over another place's energy."""
    rule = rule_in_force(which)
    top = Equation(rule.numerator, (Term("top"),))
    found = indicator(
        which, top, metered_at(place), {"top": hours(10), "ups": hours(100)}, factor=lambda _: 0.1
    )
    assert found.label == label


def test_a_period_of_more_than_a_year_says_so() -> None:
    """Two years are neither a year's figure nor an interim one."""
    period = Period(0, HOUR, PeriodKind.LONGER)
    rows = {"incomer": hours(150), "ups": hours(100)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows, period=period)
    assert found.label == "PUE1 over more than 12 months"


def test_independent_meters_add_their_uncertainties_in_quadrature() -> None:
    """u(E_DC) = 1 %, u(E_IT) = 2 %: 2 × √(0.01² + 0.02²) = 4.47 %, however long the period."""
    for count in (1, 24):
        rows = {"incomer": hours(*[150] * count), "ups": hours(*[100] * count)}
        found = indicator(
            Indicator.PUE, E_DC, E_IT, rows, uncertainties={"incomer": 0.01, "ups": 0.02}
        )
        assert found.uncertainty == pytest.approx(2 * sqrt(0.01**2 + 0.02**2))


def test_a_meter_on_both_sides_counts_less() -> None:
    """E_DC = UPS 80 + cooling 20, E_IT = UPS 80, each 1 %.

    The UPS meter shifts the ratio by 0.8 / 100 − 0.8 / 80 = −0.2 %, the cooling meter by 0.2 %:
    2 × √(0.002² + 0.002²) = 0.57 %, where independent meters would give 2.83 %.
    """
    total = Equation(Symbol.E_DC, (Term("ups"), Term("cooling")))
    rows = {"ups": hours(80), "cooling": hours(20)}
    known = {"ups": 0.01, "cooling": 0.01}
    found = indicator(Indicator.PUE, total, E_IT, rows, uncertainties=known)
    assert found.uncertainty == pytest.approx(2 * sqrt(2 * 0.002**2))
    assert found.uncertainty is not None
    assert found.uncertainty < 2 * sqrt(2 * 0.01**2)


def test_a_deducted_meter_moves_the_total_the_other_way() -> None:
    """E_DC = 150 − 50 with 1 % each: √(1.5² + 0.5²) / 100 = 1.58 %; E_IT exact: 3.16 %."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("office", sign=-1)))
    rows = {"incomer": hours(150), "office": hours(50), "ups": hours(80)}
    known = {"incomer": 0.01, "office": 0.01, "ups": 0.0}
    found = indicator(Indicator.PUE, total, E_IT, rows, uncertainties=known)
    assert found.uncertainty == pytest.approx(2 * sqrt(1.5**2 + 0.5**2) / 100)


def test_without_a_meters_class_the_uncertainty_is_not_known() -> None:
    """One meter of unknown class is enough; it is None then and not zero."""
    rows = {"incomer": hours(150), "ups": hours(100)}
    for known in ({}, {"incomer": 0.01}, {"incomer": 0.01, "ups": None}):
        found = indicator(Indicator.PUE, E_DC, E_IT, rows, uncertainties=known)
        assert found.value == pytest.approx(1.5)
        assert found.uncertainty is None


def test_a_bridge_over_the_bounds_of_the_period_adds_to_the_uncertainty() -> None:
    """100 kWh in ten hours, out of readings 5 h before and 5 h after; meters otherwise exact.

    At each bound the rate is anything from none to twice its mean over 5 h: 50 kWh / √3 each.
    2 × √(2 × (50 / √3 / 100)²) = 81.6 %.
    """
    bridged = Interval(
        0,
        10 * HOUR,
        100 * KWH,
        10 * HOUR,
        0,
        Basis.REGISTER,
        Grade.HIGH,
        Point(-5 * HOUR, 0.0),
        Point(15 * HOUR, 200 * KWH),
        frozenset({Flag.BRIDGED}),
    )
    rows = {"incomer": [bridged], "ups": hours(*[8] * 10)}
    exact = {"incomer": 0.0, "ups": 0.0}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows, uncertainties=exact)
    assert found.value == pytest.approx(1.25)
    assert found.uncertainty == pytest.approx(2 * sqrt(2 * (0.5 / sqrt(3)) ** 2))


def test_cue_takes_the_factor_of_each_moment() -> None:
    """100 kWh at 0.05 kg/kWh, then 100 kWh at 0.10: 15 kg over 160 kWh of IT = 0.09375.

    With the mean factor over the energy of unequal hours it would differ: 300 kWh at 0.05 and
    100 at 0.10 are 25 kg, not 400 × 0.075 = 30.
    """

    def factor(time_ms: int) -> float:
        return 0.05 if time_ms < HOUR else 0.10

    even = {"incomer": hours(100, 100), "ups": hours(80, 80)}
    found = indicator(Indicator.CUE, E_DC, E_IT, even, factor=factor)
    assert found.value == pytest.approx(0.09375)
    assert found.unit == "kgCO2e/kWh"
    uneven = {"incomer": hours(300, 100), "ups": hours(200, 200)}
    assert indicator(Indicator.CUE, E_DC, E_IT, uneven, factor=factor).value == pytest.approx(
        25 / 400
    )


def test_cue_of_a_long_row_is_cut_where_the_factor_changes() -> None:
    """Two hours of 200 kWh in one row: 100 × 0.05 + 100 × 0.10 = 15 kg over 160 kWh."""
    rows = {"incomer": hours(200, length_ms=2 * HOUR), "ups": hours(160, length_ms=2 * HOUR)}
    found = indicator(
        Indicator.CUE,
        E_DC,
        E_IT,
        rows,
        factor=lambda time_ms: 0.05 if time_ms < HOUR else 0.10,
        cuts=[HOUR],
    )
    assert found.value == pytest.approx(0.09375)


def test_where_no_factor_is_known_cue_is_not_measured() -> None:
    """The second hour has no factor: 5 kg / 80 kWh over half of the period."""
    rows = {"incomer": hours(100, 100), "ups": hours(80, 80)}
    found = indicator(
        Indicator.CUE, E_DC, E_IT, rows, factor=lambda time_ms: 0.05 if time_ms < HOUR else None
    )
    assert found.value == pytest.approx(0.0625)
    assert found.coverage == pytest.approx(0.5)
    assert indicator(Indicator.CUE, E_DC, E_IT, rows).value is None


@pytest.mark.parametrize(("renewable", "ref"), [(30, 0.3), (100, 1.0), (150, 1.0)])
def test_ref_is_at_most_one(renewable: int, ref: float) -> None:
    """150 kWh of renewable energy for 100 kWh drawn is a factor of 1, as 100 kWh are."""
    top = Equation(Symbol.E_RES_TOT, (Term("green"),))
    found = indicator(Indicator.REF, top, E_DC, {"green": hours(renewable), "incomer": hours(100)})
    assert found.value == pytest.approx(ref)
    assert found.category is None


def test_erf_is_reused_over_total_energy() -> None:
    """30 of 100 kWh reused outside: 0.3."""
    top = Equation(Symbol.E_REUSE, (Term("heat"),))
    found = indicator(Indicator.ERF, top, E_DC, {"heat": hours(30), "incomer": hours(100)})
    assert found.value == pytest.approx(0.3)


def test_ppue_is_that_of_one_zone() -> None:
    """Supporting 20 kWh and IT 80 kWh of one zone: (20 + 80) / 80 = 1.25, E_SUB shown as 20.

    With 1 % on both meters E_SUB alone moves it: 0.2 / 100 and 0.8 / 100 − 0.8 / 80.
    """
    top = Equation(Symbol.E_SUB, (Term("cooling"),), zone="hall-a")
    known = {"cooling": 0.01, "ups": 0.01}
    rows = {"cooling": hours(20), "ups": hours(80)}
    found = indicator(Indicator.PPUE, top, E_IT, rows, uncertainties=known)
    assert found.value == pytest.approx(1.25)
    assert found.label == "interim pPUE1"
    assert found.uncertainty == pytest.approx(2 * sqrt(2 * 0.002**2))
    assert found.numerator is not None
    assert (found.numerator.symbol, found.numerator.equation) == ("E_SUB", "E_SUB = cooling")
    assert found.numerator.value == pytest.approx(20)


@pytest.mark.parametrize(("top", "bottom", "missing"), [(None, E_IT, "E_DC"), (E_DC, None, "E_IT")])
def test_a_side_that_is_not_declared_gives_no_figure(
    top: Equation | None, bottom: Equation | None, missing: str
) -> None:
    """The answer names the equation that is missing."""
    rows = {"incomer": hours(150), "ups": hours(100)}
    found = indicator(Indicator.PUE, top, bottom, rows)
    assert found.value is None
    assert found.reason == f"no equation for {missing} is declared"


@pytest.mark.parametrize("it", [0, -5])
def test_no_it_energy_gives_no_ratio(it: int) -> None:
    """Nothing is divided by zero, or by less."""
    found = indicator(Indicator.PUE, E_DC, E_IT, {"incomer": hours(150), "ups": hours(it)})
    assert found.value is None
    assert found.reason == "E_IT is zero or negative"


def test_zero_water_is_a_figure() -> None:
    """A site that took no water, measured, has a WUE of 0; one without reading has none."""
    water = Equation(Symbol.W_IN, (Term("mains"),))
    dry = indicator(Indicator.WUE, water, E_IT, {"mains": litres(0.0), "ups": hours(100)})
    silent = indicator(Indicator.WUE, water, E_IT, {"mains": litres(None), "ups": hours(100)})
    assert dry.value == 0
    assert silent.value is None
    assert silent.numerator is not None
    assert silent.numerator.value is None


@pytest.mark.parametrize(
    ("bases", "simulated", "status", "share"),
    [
        ((Basis.REGISTER, Basis.REGISTER), False, Status.MEASURED, 0.0),
        ((Basis.REGISTER, Basis.ATTESTED), False, Status.MIXED, 0.5),
        ((Basis.ATTESTED, Basis.ATTESTED), False, Status.MIXED, 1.0),
        ((Basis.ESTIMATE, Basis.REGISTER), False, Status.ESTIMATED, 0.0),
        ((Basis.REGISTER, Basis.ATTESTED), True, Status.SIMULATED, 0.5),
    ],
)
def test_a_figure_says_where_its_values_came_from(
    bases: tuple[Basis, Basis], simulated: bool, status: Status, share: float
) -> None:
    """Measured, attested, mixed, estimated; and simulated above all of these."""
    first, second = hours(150, 150, basis=bases[0])[0], hours(150, 150, basis=bases[1])[1]
    rows = {"incomer": [first, second], "ups": hours(100, 100)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows, simulated=simulated)
    assert found.status is status
    assert found.attested_share == pytest.approx(share)


def test_only_two_signed_sides_make_an_attested_figure() -> None:
    """A bill over a measured E_IT is mixed; a bill over an attested E_IT is attested."""
    rows = {
        "incomer": hours(150, basis=Basis.ATTESTED),
        "ups": hours(100, basis=Basis.ATTESTED),
    }
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    assert (found.status, found.attested_share) == (Status.ATTESTED, 1.0)


def test_an_estimate_is_in_no_category_and_says_so() -> None:
    """Estimated IT energy at the UPS output is no PUE1, whatever the place of its meter."""
    rows = {"incomer": hours(150), "ups": hours(100, basis=Basis.ESTIMATE)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    assert found.value == pytest.approx(1.5)
    assert (found.label, found.category) == ("estimated ratio, not a PUE", None)
    assert found.status is Status.ESTIMATED


def test_under_a_wrong_clock_the_grade_falls_and_nothing_is_estimated() -> None:
    """An hour whose readings were stamped wrongly: measured all the same, and low."""
    first, second = hours(150, 150)
    shifted = msgspec.structs.replace(second, grade=Grade.LOW, flags=frozenset({Flag.CLOCK}))
    rows = {"incomer": [first, shifted], "ups": hours(100, 100)}
    found = indicator(Indicator.PUE, E_DC, E_IT, rows)
    assert (found.label, found.status, found.grade) == ("iPUE1", Status.MEASURED, Grade.LOW)
    estimated = msgspec.structs.replace(second, grade=Grade.LOW, basis=Basis.ESTIMATE)
    rows["incomer"] = [msgspec.structs.replace(first, flags=frozenset({Flag.CLOCK})), estimated]
    assert indicator(Indicator.PUE, E_DC, E_IT, rows).status is Status.ESTIMATED


def test_what_was_never_measured_has_no_status() -> None:
    """Neither « measured » nor « estimated » stands beside an absent figure."""
    found = indicator(Indicator.PUE, E_DC, E_IT, {"incomer": hours(None), "ups": hours(None)})
    assert (found.value, found.status) == (None, None)


@pytest.mark.parametrize(
    ("incomer", "ups", "reason"),
    [
        (-100, 160, "E_DC is negative"),
        (90, 160, "E_DC is less than E_IT, which it contains"),
        (100, 0, "E_IT is zero or negative"),
    ],
)
def test_what_no_site_can_have_is_withheld(incomer: float, ups: float, reason: str) -> None:
    """A PUE below 1 or of negative energy is a mistake in a meter or an equation, no figure."""
    found = indicator(Indicator.PUE, E_DC, E_IT, {"incomer": hours(incomer), "ups": hours(ups)})
    assert (found.value, found.reason) == (None, reason)


def test_a_bill_beside_a_hole_of_the_other_side_is_less_certain() -> None:
    """A day's bill of 36 kWh, the UPS lost for 6 of 24 hours: a quarter of the bill is cut off.

    The rate may lie between 0 and twice its mean over that quarter: 9 / √3 kWh of the 27 that
    count, doubled for k = 2: 38.5 %. Without the hole the bill is whole and nothing is added.
    """
    day = [bill(0, 1, 36.0)]
    exact = {"incomer": 0.0, "ups": 0.0}
    full, lost = hours(*[1] * 24), hours(*[1] * 9, *[None] * 6, *[1] * 9)
    whole, holed = (
        indicator(Indicator.PUE, E_DC, E_IT, {"incomer": day, "ups": ups}, uncertainties=exact)
        for ups in (full, lost)
    )
    assert (whole.value, holed.value) == pytest.approx((1.5, 1.5))
    assert whole.uncertainty is not None
    assert holed.uncertainty is not None
    added = holed.uncertainty**2 - whole.uncertainty**2
    assert added == pytest.approx((2 * 9 / 3**0.5 / 27) ** 2, rel=1e-6)


def test_every_indicator_has_one_rule_in_force() -> None:
    """The freshwater formula is adopted but not in force, so WUE is over the total input."""
    assert {rule_in_force(which).indicator for which in Indicator} == set(Indicator)
    assert rule_in_force(Indicator.WUE).numerator is Symbol.W_IN
    (fresh,) = (rule for rule in RULES if rule.numerator is Symbol.W_IN_FRE)
    assert fresh.status is RuleStatus.ADOPTED_PENDING


def test_coverage_below_the_policy_is_shown_with_its_reason() -> None:
    """Half of the period under a policy of 90 %: no value, but coverage and sums are said."""
    rows = {"incomer": hours(150, 150), "ups": hours(100, None)}
    found = indicator(
        Indicator.PUE, E_DC, E_IT, rows, period=interim(2 * HOUR), policy=CoveragePolicy()
    )
    assert found.value is None
    assert found.reason == "not measured: joint coverage 50.0 % is below 90.0 %"
    assert found.coverage == pytest.approx(0.5)
    assert indicator(Indicator.PUE, E_DC, E_IT, rows, policy=ANY_COVERAGE).value == 1.5
