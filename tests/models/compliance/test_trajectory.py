"""The way to the goal: lines, forecasts, last days and unlocks, each worked by hand."""

from datetime import date, timedelta

import msgspec
import pytest
from jauge_models.boundaries import Symbol
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import (
    Effect,
    Electricity,
    Metered,
    Participation,
    ServerEvidence,
    SiteEvidence,
)
from jauge_models.compliance.policy import Reading
from jauge_models.compliance.results import Assessment, assess
from jauge_models.compliance.trajectory import (
    Milestone,
    Point,
    Required,
    forecast,
    last_starts,
    point_of,
    required_line,
    trajectory,
    unlocks,
)
from jauge_models.compliance.windows import NOTHING

from tests.models.compliance.record import (
    AS_OF,
    HALF,
    POLICY,
    QUARTER,
    action,
    bands,
    intake,
    metered,
    server,
    signed,
    site,
)

STRICT, WIDE = POLICY.deadlines
TODAY = date(2027, 1, 20)


def record(*servers: ServerEvidence, sites: tuple[SiteEvidence, ...] = (site(),)) -> Assessment:
    """The record of 2026-Q4."""
    return assess(sites, Inventory(servers), (), QUARTER, POLICY)


def test_the_line_runs_from_the_first_closed_quarter_to_one() -> None:
    """From 0.2 on 31 December 2026 to 1 on 31 December 2027: 0.2 + 0.8 × 73/365 on 14 March."""
    history = [Point(AS_OF, 2, 0, 10), Point(date(2027, 3, 31), 9, 0, 10)]
    days = [date(2026, 9, 30), AS_OF, date(2027, 3, 14), WIDE.day, date(2028, 3, 31)]
    line = required_line(history, WIDE, 5, POLICY, days)
    assert [point.day for point in line] == days[1:]
    assert [point.share for point in line] == pytest.approx([0.2, 0.36, 1.0, 1.0])


@pytest.mark.parametrize(
    ("history", "sites"),
    [
        ([Point(AS_OF, 2, 0, 10)], 4),
        ([], 5),
        ([Point(AS_OF, 0, 0, 0)], 5),
        ([Point(WIDE.day, 2, 0, 10)], 5),
    ],
)
def test_no_line_below_five_sites_or_without_a_beginning(history: list[Point], sites: int) -> None:
    """Four sites; no closed quarter; none with machines; one that is not before the goal."""
    assert required_line(history, WIDE, sites, POLICY, [WIDE.day]) == ()


def test_a_forecast_is_today_with_dated_actions_done() -> None:
    """Two of three lack electricity; one has a plan for March, the site's practices for May."""
    found = record(
        server("a"),
        server("b", electricity=None, actions=(action("V5", date(2027, 3, 1)),)),
        server("c", electricity=None),
        sites=(site(practices=None, actions=(action("S2", date(2027, 5, 1)),)),),
    )
    steps = [
        (each.point.day, each.point.demonstrated, each.criteria) for each in forecast(found, POLICY)
    ]
    assert steps == [
        (AS_OF, 0, ()),
        (date(2027, 3, 1), 0, ("b V5",)),
        (date(2027, 5, 1), 2, ("north S2",)),
    ]


def test_a_measurement_that_begins_counts_twelve_months_later() -> None:
    """A meter from 1 March 2027 on shows on 29 February 2028; what is overdue counts today."""
    begins = action("V5", date(2027, 3, 1), effect=Effect.AFTER_TWELVE_MONTHS)
    found = record(
        server("a", electricity=None, actions=(begins,)),
        server("b", electricity=None, actions=(action("V5", date(2026, 1, 1)),)),
    )
    steps = [(each.point.day, each.point.demonstrated) for each in forecast(found, POLICY)]
    assert steps == [(AS_OF, 1), (date(2028, 2, 29), 2)]


def test_windows_that_close_are_a_forecast_of_their_own() -> None:
    """A meter from 3 July 2026 on: 2 July 2027, and not in the forecast of actions."""
    found = record(server("a"), sites=(site(e_dc=metered(HALF)),))
    assert [each.point.demonstrated for each in forecast(found, POLICY)] == [0]
    steps = forecast(found, POLICY, with_on_track=True)
    assert [(each.point.day, each.point.demonstrated) for each in steps] == [
        (AS_OF, 0),
        (date(2027, 7, 2), 1),
    ]


def test_declared_machines_are_forecast_apart() -> None:
    """One that is declared stays so."""
    found = record(server("a", electricity=Electricity(attested=1.0)), server("b"))
    (step,) = forecast(found, POLICY)
    assert (step.point.demonstrated, step.point.declared, step.point.total) == (1, 1, 2)


def test_last_days_per_missing_measurement_and_reading() -> None:
    """No water meter and no sensors: a register rule for S6, the share alone for S7 and S8."""
    found = record(server(), sites=(site(wue=(), water=Metered(), rows=(), practices=None),))
    rows = {
        (each.criterion, each.reading): (each.symbol, each.day, each.past)
        for each in last_starts(found, POLICY, TODAY)
    }
    assert rows == {
        ("S6", Reading.STRICT): (Symbol.W_IN, date(2026, 1, 8), True),
        ("S6", Reading.WIDE): (Symbol.W_IN, date(2027, 1, 8), True),
        ("S7", Reading.STRICT): (None, date(2026, 2, 6), True),
        ("S7", Reading.WIDE): (None, date(2027, 2, 6), False),
        ("S8", Reading.STRICT): (None, date(2026, 2, 6), True),
        ("S8", Reading.WIDE): (None, date(2027, 2, 6), False),
    }
    on_the_day = last_starts(found, POLICY, date(2027, 2, 6))
    assert [each.past for each in on_the_day if each.reading is Reading.WIDE] == [
        True,
        False,
        False,
    ]


def test_last_days_count_the_machines_that_lack_a_measurement() -> None:
    """Two servers without electricity and one without sensors; meters that there are are named."""
    bad = metered(NOTHING, meters=("m5",))
    found = record(
        server("a", electricity=None),
        server("b", electricity=None, intake=None),
        server("c"),
        sites=(site(e_dc=bad),),
    )
    rows = [
        (each.criterion, each.evidence, each.machines, each.day)
        for each in last_starts(found, POLICY, TODAY)
        if each.reading is Reading.WIDE
    ]
    assert rows == [
        ("S3", ("m5",), 0, date(2027, 1, 8)),
        ("V4", (), 1, date(2027, 2, 6)),
        ("V5", (), 2, date(2027, 2, 6)),
    ]


def test_a_measurement_on_track_needs_no_last_day() -> None:
    """Its window closes by itself."""
    start = date(2026, 7, 1)
    rows = (intake(bands(1.0, days=184), first_day=start),)
    assert last_starts(record(server(), sites=(site(rows=rows),)), POLICY, TODAY) == ()


def test_what_would_unlock_most_comes_first() -> None:
    """Three servers behind practices alone; one of them also lacks electricity."""
    found = record(
        server("a", energy_kwh=10.0),
        server("b", energy_kwh=None),
        server("c", electricity=None),
        sites=(site(practices=None),),
    )
    rows = unlocks(found, POLICY)
    assert [(each.criteria, each.demonstrated, each.blocked, each.kwh) for each in rows] == [
        (("S2",), 2, 3, 10.0),
        (("V5",), 0, 1, 0.0),
    ]


def test_a_measurement_in_place_of_an_attestation_unlocks_too() -> None:
    """Attested dry, two servers are declared: a water meter would demonstrate both."""
    dry = site(wue=(), dry=signed("dry"))
    (row,) = unlocks(record(server("a"), server("b"), sites=(dry,)), POLICY)
    assert (row.criteria, row.demonstrated, row.blocked) == (("S6",), 2, 2)
    assert row.declared_if_attested == 0


def test_what_is_demonstrated_already_is_not_gained() -> None:
    """One of two lacks electricity: one would be gained, declared at least if attested."""
    (row,) = unlocks(record(server("a"), server("b", electricity=None)), POLICY)
    assert (row.criteria, row.demonstrated, row.declared_if_attested) == (("V5",), 1, 1)


def test_all_that_blocks_a_site_together() -> None:
    """Practices and a total meter: each alone frees nobody, both free two."""
    host = site(practices=None, e_dc=metered(HALF), joint=metered(HALF, meters=("m9",)))
    other = site("south", participation=Participation.NONE)
    found = record(server("a"), server("b"), server("c", site="south"), sites=(host, other))
    rows = [
        (each.site, each.criteria, each.demonstrated, each.declared_if_attested)
        for each in unlocks(found, POLICY)
    ]
    assert rows == [
        ("north", ("S2", "S3", "S4"), 2, 2),
        ("south", ("S1a",), 1, 0),
        ("north", ("S2",), 0, 0),
        ("north", ("S3",), 0, 0),
        ("north", ("S4",), 0, 0),
    ]


def test_invoices_make_a_meter_declared_and_history_demonstrated() -> None:
    """A total meter alone: attested it declares both servers, measured it demonstrates them."""
    host = site(e_dc=metered(HALF))
    (row,) = unlocks(record(server("a"), server("b"), sites=(host,)), POLICY)
    assert (row.criteria, row.evidence) == (("S3",), ("m1",))
    assert (row.demonstrated, row.declared_if_attested, row.blocked) == (2, 2, 2)


def test_the_trajectory_puts_it_together() -> None:
    """Both readings; the snapshot of the strict one; milestones where there is no line."""
    found = record(server("a"), server("b", electricity=None))
    history = [Point(AS_OF, 1, 0, 2), Point(date(2026, 9, 30), 0, 1, 2)]
    stones = [Milestone(WIDE.day, 0.8), Milestone(date(2026, 12, 1), 0.5)]
    way = trajectory(found, history, POLICY, TODAY, milestones=stones)
    assert [point.day for point in way.history] == [date(2026, 9, 30), AS_OF]
    strict, wide = way.goals
    assert (strict.deadline, strict.snapshot) == (STRICT, Point(AS_OF, 1, 0, 2))
    assert (wide.deadline, wide.snapshot) == (WIDE, None)
    assert (strict.line, wide.line) == ((), ())
    assert [stone.share for stone in strict.milestones] == [0.5]
    assert [stone.share for stone in wide.milestones] == [0.5, 0.8]
    assert way.forecast == forecast(found, POLICY)
    assert way.unlocks == unlocks(found, POLICY)


def test_with_five_sites_the_line_is_drawn_for_both_readings() -> None:
    """From 30 September 2026 on."""
    names = [f"site {n}" for n in range(5)]
    servers = [server(name, site=name) for name in names]
    found = record(*servers, sites=tuple(site(name) for name in names))
    history = [Point(date(2026, 9, 30), 0, 0, 5)]
    four = record(*servers[:4], server("nowhere", site=""))
    assert [goal.line for goal in trajectory(four, history, POLICY, TODAY).goals] == [(), ()]
    way = trajectory(found, history, POLICY, TODAY)
    assert [goal.line[-1] for goal in way.goals] == [
        Required(STRICT.day, 1.0),
        Required(WIDE.day, 1.0),
    ]
    assert [goal.line[0].share for goal in way.goals] == [0.0, 0.0]


def test_a_record_is_a_point_of_the_history() -> None:
    """Two demonstrated, one declared, of four."""
    found = record(
        server("a"),
        server("b"),
        server("c", electricity=Electricity(attested=1.0)),
        server("d", electricity=None),
    )
    assert point_of(found) == Point(AS_OF, 2, 1, 4)
    assert point_of(found).share == 0.5
    assert Point(AS_OF, 0, 0, 0).share is None


def test_deadlines_are_of_the_policy() -> None:
    """Another goal gives other last days."""
    later = [
        msgspec.structs.replace(
            deadline, last_measured=deadline.last_measured + timedelta(days=365)
        )
        for deadline in POLICY.deadlines[:1]
    ]
    policy = msgspec.structs.replace(POLICY, deadlines=tuple(later))
    found = record(server(), sites=(site(wue=()),))
    assert [each.day for each in last_starts(found, policy, TODAY)] == [date(2027, 1, 8)]
