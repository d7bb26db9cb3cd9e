"""Boundary equations: each case worked by hand, the numbers in the test's docstring."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.boundaries import Equation, Flow, Place, Symbol, Term, evaluate
from jauge_models.counters import Dial
from jauge_models.intervals import (
    Basis,
    Grade,
    Interval,
    Point,
    Replacement,
    from_register,
)
from jauge_models.rules import Indicator
from jauge_models.topology import Commodity, Factor, Meter, Validity, cuts, factor_at
from msgspec import structs

from tests.models.site import HOUR, KWH, hours, indicator, litres

E_IT = Equation(Symbol.E_IT, (Term("ups"),), place=Place.UPS_OUTPUT)
E_DC = Equation(Symbol.E_DC, (Term("incomer"),))


def kwh(flow: Flow) -> float | None:
    """Amount of a piece in kWh."""
    return None if flow.amount is None else flow.amount / KWH


def test_a_pump_fed_by_the_ups_is_deducted() -> None:
    """UPS 100 kWh, a cooling pump behind it 10 kWh, incomer 135 kWh: 135 / (100 − 10) = 1.5."""
    deducted = Equation(Symbol.E_IT, (Term("ups"), Term("pump", sign=-1)), place=Place.UPS_OUTPUT)
    rows = {"incomer": hours(135), "ups": hours(100), "pump": hours(10)}
    found = indicator(Indicator.PUE, E_DC, deducted, rows)
    assert found.value == pytest.approx(1.5)
    assert found.category == "PUE1"
    assert found.boundary == "E_DC = incomer; E_IT = ups − pump"


def test_a_pump_that_is_not_deducted_leaves_no_category() -> None:
    """The same site without the pump's meter: 135 / 100 = 1.35 is a ratio, in no ISO category."""
    known = Equation(
        Symbol.E_IT, (Term("ups"),), place=Place.UPS_OUTPUT, undeducted=("cooling pump",)
    )
    found = indicator(Indicator.PUE, E_DC, known, {"incomer": hours(135), "ups": hours(100)})
    assert found.value == pytest.approx(1.35)
    assert found.category is None
    assert found.label == "ratio, not a PUE"


def test_offices_behind_the_incomer_are_taken_off() -> None:
    """Incomer 150 kWh, offices 15 kWh, UPS 90 kWh: (150 − 15) / 90 = 1.5."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("office", sign=-1)))
    rows = {"incomer": hours(150), "office": hours(15), "ups": hours(90)}
    assert indicator(Indicator.PUE, total, E_IT, rows).value == pytest.approx(1.5)


def test_purchased_chilled_water_counts_by_its_factor() -> None:
    """100 kWh electric + 0.4 × 40 kWh of cold (an example factor), UPS 80: 116 / 80 = 1.45."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("chilled_water", factor=0.4)))
    rows = {"incomer": hours(100), "chilled_water": hours(40), "ups": hours(80)}
    found = indicator(Indicator.PUE, total, E_IT, rows)
    assert found.value == pytest.approx(1.45)
    assert found.numerator is not None
    assert found.numerator.value == pytest.approx(116)
    assert found.numerator.equation == "E_DC = incomer + 0.4 × chilled_water"


def test_generation_on_site_is_inside_the_total() -> None:
    """Incomer 100 kWh + solar 20 kWh used on site, UPS 80: 120 / 80 = 1.5, not 100 / 80."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("solar")))
    rows = {"incomer": hours(100), "solar": hours(20), "ups": hours(80)}
    assert indicator(Indicator.PUE, total, E_IT, rows).value == pytest.approx(1.5)


def test_a_generator_counts_once_and_only_while_it_feeds_the_site() -> None:
    """Incomer 100, 100, 0, 100 kWh; the generator feeds the site in hour 2 with 110 kWh.

    In hour 3 it runs 30 kWh into a load bank, which is not the data centre's: its term ends at
    3 h. (100 + 100 + 110 + 100) / (4 × 80) = 410 / 320 = 1.28125. In hours 0 and 1 its meter
    says nothing at all, and that makes no hole.
    """
    running = Term("generator", validity=Validity(2 * HOUR, 3 * HOUR), reason="mains failure")
    total = Equation(Symbol.E_DC, (Term("incomer"), running))
    rows = {
        "incomer": hours(100, 100, 0, 100),
        "generator": hours(None, None, 110, 30),
        "ups": hours(80, 80, 80, 80),
    }
    found = indicator(Indicator.PUE, total, E_IT, rows)
    assert found.value == pytest.approx(1.28125)
    assert found.coverage == 1


def test_a_shared_building_counts_by_its_share() -> None:
    """Own feed 90 kWh + 0.3 × 50 kWh of the building's plant, UPS 75: 105 / 75 = 1.4."""
    total = Equation(
        Symbol.E_DC, (Term("own"), Term("plant", factor=0.3, reason="lease, 30 % of the cooling"))
    )
    rows = {"own": hours(90), "plant": hours(50), "ups": hours(75)}
    assert indicator(Indicator.PUE, total, E_IT, rows).value == pytest.approx(1.4)


def test_a_share_that_changes_counts_from_its_day() -> None:
    """30 % until 1 h, 50 % after: 90 + 15 and 90 + 25, over 2 × 80: 220 / 160 = 1.375."""
    total = Equation(
        Symbol.E_DC,
        (
            Term("own"),
            Term("plant", factor=0.3, validity=Validity(None, HOUR)),
            Term("plant", factor=0.5, validity=Validity(HOUR, None)),
        ),
    )
    rows = {"own": hours(90, 90), "plant": hours(50, 50), "ups": hours(80, 80)}
    assert indicator(Indicator.PUE, total, E_IT, rows).value == pytest.approx(1.375)


def test_returned_water_is_taken_off() -> None:
    """2.0 m3 in, 0.4 m3 returned, 1 000 kWh of IT: 1.6 m3/MWh."""
    water = Equation(Symbol.W_IN, (Term("mains"), Term("returned", sign=-1)))
    rows = {"mains": litres(2.0), "returned": litres(0.4), "ups": hours(1000)}
    found = indicator(Indicator.WUE, water, E_IT, rows)
    assert found.value == pytest.approx(1.6)
    assert found.unit == "m3/MWh"
    assert found.numerator is not None
    assert found.numerator.value == pytest.approx(1.6)
    assert found.numerator.unit == "m3"


def test_categories_are_equations_of_their_own_and_never_spliced() -> None:
    """UPS 100, –, 100 kWh; PDU 96, 96, 96; incomer 150 each hour.

    PUE1 is 300 / 200 = 1.5 with 2/3 covered: the PDU does not fill the UPS meter's hole.
    PUE2 is 450 / 288 = 1.5625, all covered.
    """
    pdu = Equation(Symbol.E_IT, (Term("pdu"),), place=Place.PDU_OUTPUT)
    rows = {"incomer": hours(150, 150, 150), "ups": hours(100, None, 100), "pdu": hours(96, 96, 96)}
    first = indicator(Indicator.PUE, E_DC, E_IT, rows)
    second = indicator(Indicator.PUE, E_DC, pdu, rows)
    assert (first.category, second.category) == ("PUE1", "PUE2")
    assert first.value == pytest.approx(1.5)
    assert first.coverage == pytest.approx(2 / 3)
    assert second.value == pytest.approx(1.5625)
    assert second.coverage == 1


def test_a_meter_replaced_in_the_period_changes_nothing() -> None:
    """The UPS meter goes 980 → 1 000 kWh, is replaced at 2 h by one at 5, which reads 65 at 4 h.

    20 + 60 = 80 kWh in four hours, incomer 120: 1.5. The rows are computed hour by hour.
    """
    points = [Point(0, 980 * KWH), Point(4 * HOUR, 65 * KWH)]
    change = Replacement(2 * HOUR, final=1000 * KWH, first=5 * KWH)
    rows = {
        "incomer": hours(30, 30, 30, 30),
        "ups": [
            from_register(
                points,
                at * HOUR,
                (at + 1) * HOUR,
                dial=Dial(),
                max_gap_ms=HOUR,
                replacements=(change,),
            )
            for at in range(4)
        ],
    }
    assert indicator(Indicator.PUE, E_DC, E_IT, rows).value == pytest.approx(1.5)


def test_a_corrected_factor_restates_the_ratio() -> None:
    """Raw 3 kWh an hour × CT ratio 40 = 120; since 1 h it is 60: (120 + 180) / 160 = 1.875.

    Before the correction: 240 / 160 = 1.5. The raw values have not changed.
    """
    raw = 3.0

    def total(meter: Meter) -> float | None:
        pieces = cuts((factor.validity for factor in meter.factors), 0, 2 * HOUR)
        found = [raw * factor_at(meter, at) for at, end in pieces for _ in range(at, end, HOUR)]
        rows = {"incomer": hours(*found), "ups": hours(80, 80)}
        return indicator(Indicator.PUE, E_DC, E_IT, rows).value

    factors = (Factor(40.0), Factor(60.0, Validity(HOUR, None)))
    before = Meter("incomer", Commodity.ELECTRICITY, factors=factors[:1])
    after = Meter("incomer", Commodity.ELECTRICITY, factors=factors)
    assert total(before) == pytest.approx(1.5)
    assert total(after) == pytest.approx(1.875)


def test_meters_of_different_lengths_meet() -> None:
    """An hour of 60 kWh and quarters of 10, 10, –, 10: three quarters of 15 over 10 each."""
    quarters = hours(10, 10, None, 10, length_ms=HOUR // 4)
    found = indicator(Indicator.PUE, E_DC, E_IT, {"incomer": hours(60), "ups": quarters})
    assert found.value == pytest.approx(1.5)
    assert found.coverage == pytest.approx(0.75)


@pytest.mark.parametrize(("covered", "counts"), [(1.0, True), (0.999, True), (0.998, False)])
def test_a_row_counts_when_nearly_all_of_it_is_measured(covered: float, counts: bool) -> None:
    """99 % of an interval is enough, 98 % would bias the sum."""
    row = Interval(0, HOUR, KWH, int(HOUR * covered), 0, Basis.POWER, Grade.MEDIUM)
    (flow,) = evaluate(E_DC, {"incomer": [row]}, 0, HOUR)
    assert (flow.amount is not None) == counts


def test_one_missing_term_leaves_the_total_unmeasured() -> None:
    """100 − (unknown) is unknown, also when the term would be taken off."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("office", sign=-1)))
    flows = evaluate(total, {"incomer": hours(100), "office": hours(None)}, 0, HOUR)
    assert [flow.amount for flow in flows] == [None]
    assert [flow.amount for flow in evaluate(total, {"incomer": hours(100)}, 0, HOUR)] == [None]


def test_where_no_term_holds_the_total_is_unmeasured() -> None:
    """Before the first term and after the last: no amount, and not zero."""
    total = Equation(Symbol.E_DC, (Term("incomer", validity=Validity(HOUR, 2 * HOUR)),))
    flows = evaluate(total, {"incomer": hours(5, 6, 7)}, 0, 3 * HOUR)
    assert [kwh(flow) for flow in flows] == [None, 6, None]


def test_a_total_is_as_good_as_its_weakest_term() -> None:
    """A register and an integrated power make a medium grade."""
    total = Equation(Symbol.E_DC, (Term("incomer"), Term("solar")))
    rows = {"incomer": hours(100), "solar": hours(20, basis=Basis.POWER)}
    (flow,) = evaluate(total, rows, 0, HOUR)
    assert flow.grade is Grade.MEDIUM


amounts = st.lists(st.none() | st.integers(0, 1000), min_size=12, max_size=12)


@given(amounts, amounts, st.sets(st.integers(0, 12 * HOUR), max_size=6))
def test_cutting_a_total_changes_neither_its_sum_nor_its_coverage(
    one: list[int | None], other: list[int | None], edges: set[int]
) -> None:
    """Pieces follow each other over the period; what is measured adds up, cut anywhere."""
    total = Equation(Symbol.E_DC, (Term("a"), Term("b", sign=-1, factor=0.5)))
    rows = {"a": hours(*one), "b": hours(*other)}
    expected = [
        x - 0.5 * y for x, y in zip(one, other, strict=True) if x is not None and y is not None
    ]
    flows = evaluate(total, rows, 0, 12 * HOUR, cuts=edges)
    assert flows[0].start_ms == 0
    assert flows[-1].end_ms == 12 * HOUR
    assert all(a.end_ms == b.start_ms for a, b in pairwise(flows))
    measured = [flow for flow in flows if flow.amount is not None]
    assert sum(kwh(flow) or 0.0 for flow in measured) == pytest.approx(sum(expected), abs=1e-9)
    assert sum(flow.end_ms - flow.start_ms for flow in measured) == len(expected) * HOUR


@given(
    amounts, amounts, st.integers(-HOUR, HOUR), st.integers(1, HOUR), st.sets(st.integers(0, 11))
)
def test_each_piece_is_what_its_rows_say_of_it(
    one: list[int | None], other: list[int | None], shift: int, length: int, absent: set[int]
) -> None:
    """Meters of any two grids, rows missing: a piece is the sum of its rows' parts, or unmeasured.

    Every bound of a row inside the period is a bound of a piece.
    """
    total = Equation(Symbol.E_DC, (Term("a"), Term("b", sign=-1, factor=0.5)))
    shifted = [
        structs.replace(row, start_ms=row.start_ms + shift, end_ms=row.end_ms + shift)
        for at, row in enumerate(hours(*other, length_ms=length))
        if at not in absent
    ]
    rows = {"a": hours(*one), "b": shifted}
    errors = {"a": 0.01, "b": 0.02}
    flows = evaluate(total, rows, 0, 12 * HOUR, uncertainties=errors)
    bounds = {bound for some in rows.values() for r in some for bound in (r.start_ms, r.end_ms)}
    inside = {bound for bound in bounds if 0 <= bound <= 12 * HOUR}
    assert [flow.start_ms for flow in flows] == sorted({0, *inside} - {12 * HOUR})
    for flow in flows:
        found = [
            weight * row.amount * (flow.end_ms - flow.start_ms) / row.length_ms
            for meter, weight in (("a", 1.0), ("b", -0.5))
            for row in rows[meter]
            if row.start_ms <= flow.start_ms < row.end_ms and row.amount is not None
        ]
        if len(found) < 2:
            assert flow.amount is None
        else:
            assert flow.amount == pytest.approx(sum(found))
            assert flow.errors[:2] == pytest.approx((found[0] * 0.01, found[1] * 0.02))
            assert flow.sources[:2] == ("a", "b")
