"""Cross-checks: each rule and each suspicion on numbers worked by hand, and what always holds."""

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.crosschecks import (
    HOUR_MS,
    Began,
    Check,
    Episode,
    Gap,
    HourAmount,
    Kind,
    Outcome,
    Policy,
    Subject,
    Verdict,
    class_limit,
    episodes,
    hours_of,
    judge,
)
from jauge_models.energy_order import checks, plan, suspended, unmapped
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point
from jauge_models.plausibility import (
    jump_suspects,
    jumps,
    phase_suspects,
    phases,
    resolution_seen,
    stuck,
    stuck_suspect,
)
from jauge_models.suspects import CT_FACTORS, PHASES, UNIT_FACTORS, Suspect, SuspectKind, suspects
from jauge_models.topology import Connection, Event, EventKind, Validity

KWH = 3.6e6
POLICY = Policy()
LIFE = POLICY.life(Kind.ORDER)
HOURS = 24
ONE = Check(("srv/host",), ("outlet:a",))


def hour(kwh: float, grade: Grade = Grade.MEDIUM) -> HourAmount:
    """A measured hour."""
    return HourAmount(kwh * KWH, grade)


def series(kwh: Sequence[float], grade: Grade = Grade.MEDIUM) -> dict[int, HourAmount]:
    """Hours from 0 on."""
    return {at * HOUR_MS: hour(value, grade) for at, value in enumerate(kwh)}


def known(*names: str, uncertainty: float | None = None) -> dict[str, Subject]:
    """Subjects without more said of them."""
    return {name: Subject(name, uncertainty) for name in names}


def row(
    start: int,
    kwh: float | None,
    *,
    length: int = HOUR_MS,
    covered: float = 1.0,
    basis: Basis = Basis.POWER,
    flags: frozenset[Flag] = frozenset(),
) -> Interval:
    """A row of the ledger."""
    share = round(length * covered)
    amount = None if kwh is None else kwh * KWH
    return Interval(start, start + length, amount, share, share, basis, Grade.MEDIUM, flags=flags)


def load(hours: int = HOURS, seed: int = 1) -> list[float]:
    """A load that moves, in kWh an hour."""
    chance = random.Random(seed)
    return [0.3 + 0.2 * chance.random() for _ in range(hours)]


def accused(
    check: Check, kwh: Mapping[str, Sequence[float]], uncertainty: float = 0.01
) -> tuple[Suspect, ...]:
    """Judge every hour, expect a ticket, and name the suspects."""
    data = {name: series(values) for name, values in kwh.items()}
    subjects = known(*kwh, uncertainty=uncertainty)
    verdicts = [
        judge(check, at * HOUR_MS, data, subjects, POLICY)
        for at in range(len(next(iter(kwh.values()))))
    ]
    (episode,) = episodes(verdicts, LIFE, from_ms=0)
    return suspects(check, episode.window, data)


# --- hours


def test_quarters_make_an_hour_only_when_all_are_there() -> None:
    """Four quarters of 0.25 kWh are 1 kWh; three, or one read in part, are no hour."""
    quarter = HOUR_MS // 4
    rows = [row(at * quarter, 0.25, length=quarter) for at in range(4)]
    assert hours_of(rows)[0] == HourAmount(KWH, Grade.MEDIUM)
    assert hours_of(rows[:3])[0] == HourAmount(None, Grade.MEDIUM, Gap.PARTIAL)
    part = [*rows[:3], row(3 * quarter, 0.2, length=quarter, covered=0.9)]
    assert hours_of(part)[0].gap is Gap.PARTIAL
    assert hours_of([]) == {}


@pytest.mark.parametrize(
    ("one", "gap"),
    [
        (row(0, 1.0, flags=frozenset({Flag.CLOCK})), Gap.CLOCK),
        (row(0, None, covered=0, flags=frozenset({Flag.EVENT})), Gap.EVENT),
        (row(0, None, covered=0, flags=frozenset({Flag.SUSPENDED})), Gap.SUSPENDED),
        (row(0, None, covered=0, flags=frozenset({Flag.JUMP})), Gap.SUSPENDED),
        (row(0, None, covered=0), Gap.PARTIAL),
        (row(0, 1.0, basis=Basis.ESTIMATE), Gap.ESTIMATED),
        (row(0, 1.0, basis=Basis.ATTESTED), Gap.ESTIMATED),
        (row(0, 24.0, length=24 * HOUR_MS), Gap.COARSE),
    ],
)
def test_what_cannot_be_compared_is_no_zero(one: Interval, gap: Gap) -> None:
    """Every row that does not tell of its own hour gives none, with the reason."""
    assert hours_of([one])[0] == HourAmount(None, Grade.MEDIUM, gap)


def test_an_hour_bridged_by_its_register_is_no_hour() -> None:
    """Covered but not read at its bounds: the total is right, the hour is not."""
    bridged = Interval(0, HOUR_MS, KWH, HOUR_MS, 0, Basis.REGISTER, Grade.HIGH)
    assert hours_of([bridged])[0].gap is Gap.PARTIAL


# --- accuracy and tolerance


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0.5S", 0.005),
        ("class 1", 0.01),
        ("0,2 S", 0.002),
        ("MID B", 0.02),
        ("C", 0.01),
        ("classe A", 0.035),
        ("", None),
        ("unknown", None),
        ("50", None),
    ],
)
def test_accuracy_classes(text: str, limit: float | None) -> None:
    """IEC 62053 classes are per cent; MID A, B, C are 3.5, 2 and 1 %."""
    assert class_limit(text) == limit


def test_the_tolerance_is_that_of_both_sides() -> None:
    """Host 1.00 kWh ± 5 % (default), outlet 0.90 kWh ± 1 %: 2·√(0.05² + 0.009²) = 0.10160 kWh.

    1.00 − 0.90 = 0.10 holds, 1.01 − 0.90 = 0.11 > 2·√(0.0505² + 0.009²) = 0.10259 does not.
    """
    subjects = known("srv/host") | {"outlet:a": Subject("outlet:a", 0.01)}
    data = {"srv/host": series([1.0, 1.01]), "outlet:a": series([0.9, 0.9])}
    first, second = (judge(ONE, at, data, subjects, POLICY) for at in (0, HOUR_MS))
    assert first.outcome is Outcome.HOLDS
    assert first.tolerance == pytest.approx(0.10160 * KWH, rel=1e-4)
    assert second.outcome is Outcome.BROKEN
    assert second.tolerance == pytest.approx(0.10259 * KWH, rel=1e-4)


def test_what_is_said_of_accuracy_is_said() -> None:
    """Uncertainty before class before default; a class of 1 % is 1/√3 % of standard error."""
    assert Subject("m", 0.004, "1").accuracy(Grade.HIGH) == (0.004, True, "uncertainty")
    assert Subject("m", None, "1").accuracy(Grade.HIGH)[:2] == (0.01 / math.sqrt(3), True)
    assert Subject("m").accuracy(Grade.MEDIUM) == (0.05, False, "medium")


def test_a_coarse_register_widens_the_tolerance() -> None:
    """Steps of 0.1 kWh: 2·0.1/√6 = 0.0816 kWh, whatever flowed."""
    subjects = {
        "srv/host": Subject("srv/host", 0.0),
        "outlet:a": Subject("outlet:a", 0.0, "", 0.1 * KWH),
    }
    data = {"srv/host": series([0.05]), "outlet:a": series([0.0])}
    verdict = judge(ONE, 0, data, subjects, POLICY)
    assert verdict.outcome is Outcome.HOLDS
    assert verdict.tolerance == pytest.approx(0.08165 * KWH, rel=1e-3)


def register(values: Sequence[float]) -> list[Interval]:
    """Hourly rows of a register in J."""
    return [
        Interval(
            at * HOUR_MS, (at + 1) * HOUR_MS, b - a, HOUR_MS, HOUR_MS, Basis.COUNTER,
            Grade.MEDIUM, Point(at * HOUR_MS, a), Point((at + 1) * HOUR_MS, b),
        )
        for at, (a, b) in enumerate(itertools.pairwise(values))
    ]  # fmt: skip


def test_the_step_of_a_register_shows_in_its_readings() -> None:
    """0.1 kWh steps show after several different advances; a steady load tells nothing."""
    step = 0.1 * KWH
    assert resolution_seen(register([0, 2 * step, 5 * step, 6 * step])) == step
    assert resolution_seen(register([0, 0, step, step])) == step
    assert resolution_seen(register([0, 10 * KWH, 20 * KWH, 30 * KWH])) == 0
    assert resolution_seen([row(0, 1.0)]) == 0


def test_the_step_shows_in_a_steady_load_and_through_a_few_odd_readings() -> None:
    """One or two steps an hour tell the step; a change of load does not; nor do a reset's rows."""
    step = 0.1 * KWH
    steady = [math.floor(at * 1.2) * step for at in range(72)]
    assert resolution_seen(register(steady)) == step
    assert resolution_seen(register([0, 1.9 * KWH, 2.9 * KWH, 4.8 * KWH])) == 0
    odd = [*steady, *(steady[-1] + 1234.567 + at * step for at in (1, 3, 4))]
    assert resolution_seen(register(odd)) == step
    assert resolution_seen(register([*steady, 17.3, 17.3 + step])) == step


STEP = 0.1 * KWH


def stepped(kwh: Sequence[float]) -> list[Interval]:
    """Rows of a register of 0.1 kWh steps through which so much flows each hour."""
    totals = itertools.accumulate(kwh, initial=0.0)
    return register([math.floor(total * KWH / STEP + 1e-9) * STEP for total in totals])


def both(
    check: Check, rows: Mapping[str, Sequence[Interval]]
) -> tuple[list[Episode], list[Episode]]:
    """Tickets of the order, and of anybody's standing still, with what the registers show."""
    hours = {name: hours_of(some) for name, some in rows.items()}
    subjects = {
        name: Subject(name, resolution=resolution_seen(some)) for name, some in rows.items()
    }
    count = len(next(iter(rows.values())))
    verdicts = [judge(check, at * HOUR_MS, hours, subjects, POLICY) for at in range(count)]
    still = [
        episode
        for name in check.subjects
        for episode in episodes(
            stuck(name, check, verdicts, hours=hours, subjects=subjects, policy=POLICY),
            POLICY.life(Kind.STUCK),
            from_ms=0,
        )
    ]
    return episodes(verdicts, LIFE, from_ms=0), still


@pytest.mark.parametrize("watts", [60, 80, 105, 110, 120, 125, 150, 190, 210, 250, 310, 410])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_steady_load_behind_a_coarse_register_is_no_ticket(watts: int, noise: float) -> None:
    """An outlet of 0.1 kWh steps tells 0, 1 or 2 of them by turns: honest, and nobody stands."""
    chance = random.Random(watts)
    kwh = [watts / 1000 * (1 + chance.uniform(-noise, noise)) for _ in range(72)]
    host = [row(at * HOUR_MS, value) for at, value in enumerate(kwh)]
    assert both(ONE, {"srv/host": host, "outlet:a": stepped(kwh)}) == ([], [])


@pytest.mark.parametrize("count", [2, 8, 40])
def test_many_coarse_registers_move_together_by_chance_only(count: int) -> None:
    """Steady outlets of 0.1 kWh steps below a unit that tells one value: it is not stuck."""
    chance = random.Random(count)
    loads = {f"outlet:{at}": 0.05 + 0.3 * chance.random() for at in range(count)}
    rows = {name: stepped([kwh] * 168) for name, kwh in loads.items()}
    rows["pdu:a"] = [row(at * HOUR_MS, 1.02 * sum(loads.values())) for at in range(168)]
    assert both(Check(tuple(loads), ("pdu:a",)), rows) == ([], [])


def test_a_coarse_register_that_stands_still_is_still_found() -> None:
    """It moved for a day, then tells 0.5 kWh each hour while its host goes from 0.2 to 1 kWh."""
    host = [0.2 + 0.8 * (at % 2) for at in range(60)]
    outlet = [h * 1.05 for h in host[:24]] + [0.5] * 36
    hosts = [row(at * HOUR_MS, value) for at, value in enumerate(host)]
    _, still = both(ONE, {"srv/host": hosts, "outlet:a": stepped(outlet)})
    assert len(still) == 1


def test_less_than_a_few_of_its_steps_may_leave_a_register_as_it_is() -> None:
    """Steps of 0.1 kWh, else exact: 0.25 kWh more at its neighbour is no proof, 0.35 kWh is."""
    subjects = {
        "srv/host": Subject("srv/host", 0.0),
        "outlet:a": Subject("outlet:a", 0.0, "", STEP),
    }
    for more, told in ((0.25, set[Outcome]()), (0.35, {Outcome.BROKEN})):
        host = series([1.0 + more * (at % 2) for at in range(HOURS)])
        data = {"srv/host": host, "outlet:a": series([1.3] * HOURS)}
        verdicts = [judge(ONE, at * HOUR_MS, data, subjects, POLICY) for at in range(HOURS)]
        still = stuck("outlet:a", ONE, verdicts, hours=data, subjects=subjects, policy=POLICY)
        assert {v.outcome for v in still} == told


# --- things of one make


def alike(bias: float, count: int = 20) -> tuple[Check, dict[str, Subject], dict[str, Any]]:
    """Units of one model that read so much above what a meter of class 1 gives them."""
    chance = random.Random(4)
    names = tuple(f"pdu:{at:02}" for at in range(count))
    kwh = {name: [2 + chance.random() for _ in range(48)] for name in names}
    data = {name: series([k * (1 + bias) for k in some]) for name, some in kwh.items()}
    data["ups"] = series([sum(some) / 0.99 for some in zip(*kwh.values(), strict=True)], Grade.HIGH)
    return Check(names, ("ups",)), known(*names) | {"ups": Subject("ups", None, "1")}, data


def judged(check: Check, subjects: Mapping[str, Subject], data: Mapping[str, Any]) -> list[Episode]:
    """Tickets of 48 hours."""
    hours = [judge(check, at * HOUR_MS, data, subjects, POLICY) for at in range(48)]
    return episodes(hours, LIFE, from_ms=0)


@pytest.mark.parametrize("count", [2, 20, 60])
def test_what_is_unstated_is_off_alike(count: int) -> None:
    """Units of one model 5 % high are within their default: 2·√(0.05² + 0.0058²) = 0.1 allowed."""
    assert judged(*alike(0.05, count)) == []
    (_,) = judged(*alike(0.14, count))


def test_stated_errors_are_each_their_own() -> None:
    """Two of 5 % stated and 1 kWh each: √2·0.05 kWh below; unstated: 2·0.05 kWh."""
    check = Check(("a", "b"), ("u",))
    data = {"a": series([1.0]), "b": series([1.0]), "u": series([2.0])}
    exact = {"u": Subject("u", 0.0)}
    stated = judge(check, 0, data, known("a", "b", uncertainty=0.05) | exact, POLICY)
    unstated = judge(check, 0, data, known("a", "b") | exact, POLICY)
    assert stated.tolerance == pytest.approx(2 * math.sqrt(2) * 0.05 * KWH)
    assert unstated.tolerance == pytest.approx(2 * 0.10 * KWH)


def test_where_many_fit_nobody_is_named_alone() -> None:
    """Eight units 14 % high: any one left out would do, so it is all of them or the meter."""
    check, subjects, data = alike(0.14, 8)
    (episode,) = judged(check, subjects, data)
    found = suspects(check, episode.window, data)
    assert (found[0].kind, found[0].subjects) == (SuspectKind.COMMON_BIAS, check.subjects)
    assert found[0].factor == pytest.approx(1.14 * 0.99 / 0.97, rel=1e-3)
    assert not [one for one in found if len(one.subjects) == 1 and one.subjects[0] in check.lower]


# --- the map


def test_checks_follow_the_map() -> None:
    """Package ≤ host ≤ Σ outlets; Σ outlets ≤ PDU; Σ PDUs ≤ UPS + bypass."""
    links = {
        ("srv/host", "srv/package:0"),
        ("srv/host", "srv/package:1"),
        ("outlet:a1", "srv/host"),
        ("outlet:b1", "srv/host"),
        ("pdu:a", "outlet:a1"),
        ("pdu:a", "outlet:a2"),
        ("pdu:b", "outlet:b1"),
        ("ups", "pdu:a"),
        ("ups", "pdu:b"),
        ("bypass", "pdu:a"),
    }
    measured = {name for link in links for name in link}
    assert checks(links, measured) == [
        Check(("pdu:a", "pdu:b"), ("bypass", "ups")),
        Check(("srv/host",), ("outlet:a1", "outlet:b1")),
        Check(("outlet:a1", "outlet:a2"), ("pdu:a",)),
        Check(("outlet:b1",), ("pdu:b",)),
        Check(("srv/package:0", "srv/package:1"), ("srv/host",)),
    ]


def test_what_nobody_measures_is_looked_through() -> None:
    """A strip without meters: its hosts stand against the unit; a feed without any: dark."""
    links = {("pdu:a", "outlet:a1"), ("outlet:a1", "srv/host"), ("pdu:a", "outlet:a2")}
    assert checks(links, {"pdu:a", "srv/host", "outlet:a2"}) == [
        Check(("outlet:a2", "srv/host"), ("pdu:a",))
    ]
    links |= {("pdu:b", "srv/host")}
    (check,) = checks(links, {"pdu:a", "srv/host", "outlet:a2"})
    assert check.dark == ("pdu:b",)
    data = {name: series([1.0]) for name in check.subjects}
    verdict = judge(check, 0, data, known(*data), POLICY)
    assert (verdict.outcome, verdict.gap, verdict.about) == (
        Outcome.NOT_JUDGED,
        Gap.UNMEASURED,
        "pdu:b",
    )


def test_without_a_map_there_is_no_check_and_everybody_is_unmapped() -> None:
    """Nothing is guessed from names."""
    assert plan([], {"pdu:a", "srv/host"}, 0, HOUR_MS) == []
    assert unmapped([], {"pdu:a", "srv/host"}, 0) == ["pdu:a", "srv/host"]
    link = Connection("pdu:a", "srv/host", validity=Validity(None, HOUR_MS))
    assert unmapped([link], {"pdu:a", "srv/host"}, 0) == []
    assert unmapped([link], {"pdu:a", "srv/host"}, HOUR_MS) == ["pdu:a", "srv/host"]


def test_a_circle_on_the_map_ends() -> None:
    """Somebody entered both ends twice."""
    links = {("x", "y"), ("y", "x"), ("y", "srv/host")}
    assert checks(links, {"srv/host"}) == []


def test_the_map_is_dated() -> None:
    """A host moves from a1 to a2 at 2 h 30: that hour is nobody's, and the key is the feed's."""
    moved = 2 * HOUR_MS + HOUR_MS // 2
    connections = [
        Connection("outlet:a1", "srv/host", validity=Validity(None, moved)),
        Connection("outlet:a2", "srv/host", validity=Validity(moved, None)),
    ]
    first, second = plan(connections, {"outlet:a1", "outlet:a2", "srv/host"}, 0, 5 * HOUR_MS)
    assert (first.key, second.key) == ("outlet:a1", "outlet:a2")
    assert [first.at(at * HOUR_MS) is not None for at in range(5)] == [True, True] + 3 * [False]
    assert [second.at(at * HOUR_MS) is not None for at in range(5)] == 3 * [False] + [True, True]
    assert (first.end_ms, second.end_ms) == (moved, 5 * HOUR_MS)


@pytest.mark.parametrize("kind", list(EventKind))
def test_events_of_the_subjects_suspend(kind: EventKind) -> None:
    """In every hour that they touch, of the subject or of the whole site, and in no other."""
    span = Validity(HOUR_MS + 1, 2 * HOUR_MS + 1)
    mine, site, other = (Event(kind, span, subject) for subject in ("ups", "", "ups-b"))
    names = {"ups", "pdu:a"}
    for event in (mine, site):
        touched = [suspended([event], names, at * HOUR_MS) is not None for at in range(4)]
        assert touched == [False, True, True, False]
    assert suspended([other], names, HOUR_MS) is None


@pytest.mark.parametrize(
    ("missing", "gap"),
    [({}, Gap.NO_ROWS), ({0: HourAmount(None, Grade.HIGH, Gap.CLOCK)}, Gap.CLOCK)],
)
def test_a_side_that_lacks_a_part_is_not_judged(
    missing: Mapping[int, HourAmount], gap: Gap
) -> None:
    """Not even where what is there exceeds: missing is never zero, and never anything else."""
    check = Check(("a", "b"), ("u",))
    full = {"a": series([9.0]), "b": series([1.0]), "u": series([1.0])}
    for name in full:
        verdict = judge(check, 0, full | {name: dict(missing)}, known(*full), POLICY)
        assert (verdict.outcome, verdict.gap, verdict.about) == (Outcome.NOT_JUDGED, gap, name)
        assert verdict.lower is None


# --- the life of a ticket


def walked(text: str, *, from_hour: int = 0, began: Began | None = None) -> list[Episode]:
    """Hours as a text: x broken, . holds, ? not judged."""
    outcome = {"x": Outcome.BROKEN, ".": Outcome.HOLDS, "?": Outcome.NOT_JUDGED}
    verdicts = [Verdict(at * HOUR_MS, outcome[one]) for at, one in enumerate(text)]
    random.Random(3).shuffle(verdicts)
    return episodes(verdicts, LIFE, from_ms=from_hour * HOUR_MS, began=began)


def test_one_hours_noise_is_no_ticket() -> None:
    """17 of 24 broken hours open none, the 18th does; hours that are not judged count nowhere."""
    assert walked("x" * 17 + "." * 30) == []
    (one,) = walked("." * 6 + "x" * 17 + "?" * 9 + "x")
    assert (one.opened_ms, one.since_ms) == (32 * HOUR_MS, 6 * HOUR_MS)
    assert one.resolved_ms is None
    assert len(one.window) == 24


def test_a_ticket_is_resolved_when_as_many_hours_hold() -> None:
    """18 holding hours of the last 24; not by hours that say nothing."""
    (one,) = walked("x" * 24 + "?" * 40 + "." * 17)
    assert one.resolved_ms is None
    (one,) = walked("x" * 24 + "." * 18)
    assert (one.last_ms, one.resolved_ms) == (23 * HOUR_MS, 41 * HOUR_MS)
    first, second = walked("x" * 24 + "." * 18 + "x" * 18)
    assert second.opened_ms == 59 * HOUR_MS
    assert first.resolved_ms is not None


def test_hours_older_than_a_week_are_forgotten() -> None:
    """Seventeen broken hours, a week of silence, one more: no ticket."""
    assert walked("x" * 17 + "?" * 168 + "x") == []


@given(st.text("x.?", min_size=200, max_size=420), st.integers(170, 199))
@settings(max_examples=60, deadline=None)
def test_a_walk_continued_is_the_whole_walk(text: str, cut: int) -> None:
    """From a moment on, with what was open then, tickets are those of one walk over all."""
    whole = walked(text)
    before = walked(text[:cut])
    began = None
    if before and before[-1].resolved_ms is None:
        one = before[-1]
        began = Began(one.opened_ms, one.since_ms, one.last_ms)
    later = walked(text, from_hour=cut, began=began)
    shape = [(e.opened_ms, e.since_ms, e.last_ms, e.resolved_ms) for e in whole]
    kept = [s for s in shape if s[3] is None or s[3] >= cut * HOUR_MS]
    assert [(e.opened_ms, e.since_ms, e.last_ms, e.resolved_ms) for e in later] == kept


# --- suspects


def kinds(found: Sequence[Suspect]) -> list[SuspectKind]:
    """What is suspected, in order."""
    return [one.kind for one in found]


def test_a_ct_ratio_set_ten_times_too_low() -> None:
    """The outlet reads a tenth of 1.05 times the host: corrected, 0.952 below per 1 above."""
    host = load()
    found = accused(ONE, {"srv/host": host, "outlet:a": [1.05 * h / 10 for h in host]})
    ct = [one for one in found if one.kind is SuspectKind.CT_RATIO]
    assert ("outlet:a",) in [one.subjects for one in ct]
    meter = next(one for one in ct if one.subjects == ("outlet:a",))
    assert meter.factor == pytest.approx(0.1)
    assert meter.found == pytest.approx(1 / 1.05, rel=1e-6)
    assert meter.hours == 24


def test_kilowatts_taken_for_watts() -> None:
    """The outlet tells a thousandth: a unit, not a transformer."""
    host = load()
    found = accused(ONE, {"srv/host": host, "outlet:a": [1.02 * h / 1000 for h in host]})
    assert SuspectKind.DEAD_SENSOR not in kinds(found)  # it moves with its load
    assert (SuspectKind.UNIT, ("outlet:a",)) in [(one.kind, one.subjects) for one in found]
    assert next(o for o in found if o.kind is SuspectKind.UNIT).factor in (1000.0, 0.001)


def test_a_meter_on_one_phase_of_three() -> None:
    """Three times the unit's reading, less 4 %, is what its hosts draw."""
    host = load()
    found = accused(ONE, {"srv/host": host, "outlet:a": [h / 0.96 / 3 for h in host]})
    assert (SuspectKind.ONE_PHASE, ("outlet:a",)) in [(o.kind, o.subjects) for o in found]


def test_a_feed_that_reads_nothing() -> None:
    """Two feeds share the load; B's sensor is dead: named, with the share it reads."""
    host = load()
    check = Check(("srv/host",), ("outlet:a", "outlet:b"))
    found = accused(
        check,
        {"srv/host": host, "outlet:a": [0.52 * h for h in host], "outlet:b": [0.0] * HOURS},
    )
    assert found[0].kind is SuspectKind.DEAD_SENSOR
    assert found[0].subjects == ("outlet:b",)
    assert found[0].found == 0


def test_an_outlet_that_is_not_on_the_map() -> None:
    """One of two equal feeds is mapped: as if 1 of 2, and as well a factor of 2 or a double."""
    host = load()
    found = accused(ONE, {"srv/host": host, "outlet:a": [0.51 * h for h in host]})
    assert {SuspectKind.MISSING_SHARE, SuspectKind.DOUBLE_COUNT, SuspectKind.CT_RATIO} <= set(
        kinds(found)
    )
    share = next(one for one in found if one.kind is SuspectKind.MISSING_SHARE)
    assert share.factor == 0.5
    assert share.found == pytest.approx(0.5 / 0.51)


def test_two_of_three_feeds() -> None:
    """Three equal feeds, two mapped: 2/3; a host told 1.5 times would do as well."""
    host = load()
    check = Check(("srv/host",), ("outlet:a", "outlet:b"))
    third = [h / 3 for h in host]
    found = accused(check, {"srv/host": host, "outlet:a": third, "outlet:b": third})
    assert (found[0].kind, found[0].subjects) == (SuspectKind.TIED, check.subjects)
    share = next(one for one in found if one.kind is SuspectKind.MISSING_SHARE)
    assert share.factor == pytest.approx(2 / 3)


def test_one_thing_under_two_names() -> None:
    """Two hosts with the same energy every hour are one, counted twice."""
    one, other = load(seed=1), load(seed=2)
    check = Check(("bmc/host:x", "srv/host", "srv2/host"), ("pdu:a",))
    found = accused(
        check,
        {
            "bmc/host:x": one,
            "srv/host": one,
            "srv2/host": [o / 2 for o in other],
            "pdu:a": [a + o / 2 for a, o in zip(one, other, strict=True)],
        },
    )
    twins = [o for o in found if o.kind is SuspectKind.DOUBLE_COUNT]
    assert twins[0].subjects == ("bmc/host:x", "srv/host")
    assert twins[0].found == pytest.approx(1.0)


def test_a_host_on_the_wrong_unit() -> None:
    """It moves as it likes beside the unit it is mapped to: without it the order holds."""
    check = Check(("a/host", "b/host"), ("pdu:a",))
    a = load(seed=5)
    stray = [0.2 + 0.9 * (at % 3) for at in range(HOURS)]
    found = accused(check, {"a/host": a, "b/host": stray, "pdu:a": [1.03 * h for h in a]})
    assert (found[0].kind, found[0].subjects) == (SuspectKind.WRONG_CONNECTION, ("b/host",))
    assert found[0].found == pytest.approx(1 / 1.03)


@pytest.mark.parametrize("factor", [3.0, 6.0, 15.0, 60.0, 1000.0])
def test_of_two_either_may_be_wrong(factor: float) -> None:
    """A host read too high and an outlet read too low are the same numbers: both, together."""
    host = load()
    for kwh in (
        {"srv/host": [factor * h for h in host], "outlet:a": [1.04 * h for h in host]},
        {"srv/host": host, "outlet:a": [1.04 * h / factor for h in host]},
    ):
        found = accused(ONE, kwh)
        assert (found[0].kind, found[0].subjects) == (SuspectKind.TIED, ONE.subjects)
        assert found[0].factor is None
        assert {("srv/host",), ("outlet:a",)} <= {one.subjects for one in found[1:]}


def test_a_host_a_thousand_times_too_high_leaves_its_outlets_alive() -> None:
    """Four hosts on two outlets, one told in mW: the outlets are small beside it, and not dead."""
    names = tuple(f"h{at}/host" for at in range(4))
    check = Check(names, ("outlet:a", "outlet:b"))
    kwh = {name: load(48, at + 1) for at, name in enumerate(names)}
    half = [1.03 * sum(some) / 2 for some in zip(*kwh.values(), strict=True)]
    kwh["h2/host"] = [1000 * h for h in kwh["h2/host"]]
    found = accused(check, kwh | {"outlet:a": half, "outlet:b": half})
    assert (found[0].kind, found[0].subjects) == (SuspectKind.UNIT, ("h2/host",))
    assert SuspectKind.DEAD_SENSOR not in kinds(found)


def test_what_no_pattern_explains_says_so() -> None:
    """Never an empty list: at least the ratio as it stands."""
    chance = random.Random(7)
    host = [1.0 + chance.random() for _ in range(HOURS)]
    found = accused(
        ONE, {"srv/host": host, "outlet:a": [h * chance.random() ** 2 / 3 + 0.05 for h in host]}
    )
    assert found[-1].kind is SuspectKind.UNEXPLAINED
    assert found[-1].low is not None


# --- always


def tree(consumers: Sequence[Sequence[float]], loss: float) -> tuple[Check, dict[str, list[float]]]:
    """Hosts below one unit that gives what they take and what is lost."""
    names = [f"h{at:02}/host" for at in range(len(consumers))]
    kwh = {name: list(values) for name, values in zip(names, consumers, strict=True)}
    kwh["pdu:a"] = [math.fsum(some) / (1 - loss) for some in zip(*consumers, strict=True)]
    return Check(tuple(names), ("pdu:a",)), kwh


def tickets(
    check: Check,
    kwh: Mapping[str, Sequence[float]],
    order: Callable[[list[Verdict]], None] = lambda _: None,
    uncertainty: float | None = None,
) -> list[Episode]:
    """What all hours give."""
    data = {name: series(values) for name, values in kwh.items()}
    subjects = known(*kwh, uncertainty=uncertainty)
    count = len(next(iter(kwh.values())))
    verdicts = [judge(check, at * HOUR_MS, data, subjects, POLICY) for at in range(count)]
    order(verdicts)
    return episodes(verdicts, LIFE, from_ms=0)


consumer = st.lists(st.floats(0.0, 5.0), min_size=30, max_size=30)


@given(st.lists(consumer, min_size=1, max_size=5), consumer, st.floats(0.0, 0.15))
@settings(max_examples=60, deadline=None)
def test_a_consistent_consumer_never_opens_a_ticket(
    consumers: list[list[float]], another: list[float], loss: float
) -> None:
    """Whatever draws below and is fed from above leaves the order as it is."""
    for some in (consumers, [*consumers, another]):
        check, kwh = tree(some, loss)
        assert tickets(check, kwh) == []


@given(consumer, st.randoms(use_true_random=False), st.floats(0.1, 1.5))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(
    host: list[float], chance: random.Random, share: float
) -> None:
    """Rows shuffled give the same hours; verdicts shuffled give the same tickets."""
    rows = [row(at * HOUR_MS, kwh) for at, kwh in enumerate(host)]
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert hours_of(shuffled) == hours_of(rows)
    kwh = {"srv/host": host, "outlet:a": [share * h for h in host]}
    assert tickets(ONE, kwh, chance.shuffle) == tickets(ONE, kwh)


@given(
    st.sampled_from((*CT_FACTORS, *UNIT_FACTORS)),
    st.floats(0.0, 0.12),
    st.integers(1, 10_000),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_scaling_by_a_ct_factor_is_found_as_such(
    factor: float, loss: float, seed: int, below: bool
) -> None:
    """Of two hosts on a unit one is told times the factor, or the unit divided by it.

    Whoever is wrong is among the first that are named.
    """
    check, kwh = tree([load(48, seed), load(48, seed + 1)], loss)
    wrong = "h00/host" if below else "pdu:a"
    kwh[wrong] = [h * factor if below else h / factor for h in kwh[wrong]]
    (episode,) = tickets(check, kwh, uncertainty=0.005)
    found = suspects(check, episode.window, {n: series(v) for n, v in kwh.items()})
    assert wrong in found[0].subjects
    kind = SuspectKind.UNIT if factor in UNIT_FACTORS else SuspectKind.CT_RATIO
    if factor == PHASES and not below:
        kind = SuspectKind.ONE_PHASE
    mine = [one for one in found if one.subjects == (wrong,) and one.kind is kind]
    expected = factor if below else 1 / factor
    assert [one for one in mine if one.factor == pytest.approx(expected)], found


# --- one meter by itself


def stuck_verdicts(kwh: Mapping[str, Sequence[float]], name: str, check: Check) -> list[Verdict]:
    """What is said of one subject's standing still."""
    data = {one: series(values) for one, values in kwh.items()}
    subjects = known(*kwh)
    count = len(next(iter(kwh.values())))
    verdicts = [judge(check, at * HOUR_MS, data, subjects, POLICY) for at in range(count)]
    return stuck(name, check, verdicts, hours=data, subjects=subjects, policy=POLICY)


def test_a_value_that_stands_still_while_its_neighbours_move() -> None:
    """The unit tells 2.000 kWh for 12 hours while its hosts go from 1.0 to 1.9: stuck, once seen.

    2·√((0.05·1.9)² + (0.05·2)²) = 0.276 kWh is allowed, 0.9 was seen.
    """
    check = Check(("srv/host",), ("pdu:a",))
    host = [1.0 if at % 2 else 1.9 for at in range(14)]
    moving = [1.1 * h for h in host]
    still = stuck_verdicts({"srv/host": host, "pdu:a": [2.0] * 14}, "pdu:a", check)
    assert [v.outcome for v in still] == 3 * [Outcome.BROKEN]
    assert still[0].tolerance == pytest.approx(0.2759 * KWH, rel=1e-3)
    told = stuck_suspect("pdu:a", still, series([2.0] * 14), POLICY)
    assert (told.found, told.low, told.high) == pytest.approx((2 * KWH, KWH, 1.9 * KWH))
    (one,) = episodes(still, POLICY.life(Kind.STUCK), from_ms=0)
    assert one.opened_ms == 11 * HOUR_MS
    fine = stuck_verdicts({"srv/host": host, "pdu:a": moving}, "pdu:a", check)
    assert {v.outcome for v in fine} == {Outcome.HOLDS}


def test_a_steady_load_is_not_stuck() -> None:
    """A host that draws the same each hour, and so does its outlet: nothing is said."""
    kwh = {"srv/host": [0.1] * 30, "outlet:a": [0.105] * 30}
    assert stuck_verdicts(kwh, "outlet:a", ONE) == []
    assert stuck_verdicts(kwh, "srv/host", ONE) == []
    # Host 0.1 to 0.11 kWh: 2·√((0.05·0.11)² + (0.05·0.105)²) = 0.0152 is allowed, 0.01 was seen.
    kwh = {"srv/host": [0.1 + 0.01 * (at % 2) for at in range(30)], "outlet:a": [0.105] * 30}
    assert stuck_verdicts(kwh, "outlet:a", ONE) == []


def test_only_the_one_thing_below_is_told_from_above() -> None:
    """Of several below, what moves above may be any of them."""
    check = Check(("a/host", "b/host"), ("pdu:a",))
    moving = [1.0 + at % 2 for at in range(20)]
    kwh = {"a/host": [0.5] * 20, "b/host": moving, "pdu:a": [m + 0.6 for m in moving]}
    assert stuck_verdicts(kwh, "a/host", check) == []
    alone = {"srv/host": [0.5] * 20, "outlet:a": [m + 0.6 for m in moving]}
    assert stuck_verdicts(alone, "srv/host", ONE)[0].outcome is Outcome.BROKEN


def test_more_than_the_rating_allows() -> None:
    """Rated 1 kW: 1.2 kWh an hour is possible, 1.3 is not; without a rating nothing is said."""
    rows = [row(0, 1.2), row(HOUR_MS, 1.3), row(2 * HOUR_MS, None, covered=0)]
    told = jumps(rows, 1000.0)
    assert [v.outcome for v in told] == [Outcome.HOLDS, Outcome.BROKEN, Outcome.NOT_JUDGED]
    assert {v.outcome for v in jumps(rows[:2], None)} == {Outcome.HOLDS}
    (one,) = episodes(told, POLICY.life(Kind.JUMP), from_ms=0)
    (suspect,) = jump_suspects("m", one.window)
    assert suspect.kind is SuspectKind.OVER_RATING
    assert suspect.found == pytest.approx(1.3 / 1.2)


def test_a_jump_that_the_ledger_refused() -> None:
    """One is enough; it stays open while the meter is suspended, and ends when it is well again."""
    rows = [
        row(0, 1.0),
        row(HOUR_MS, None, covered=0, flags=frozenset({Flag.JUMP})),
        *(
            row(at * HOUR_MS, None, covered=0, flags=frozenset({Flag.SUSPENDED}))
            for at in range(2, 60)
        ),
    ]
    (one,) = episodes(jumps(rows, None), POLICY.life(Kind.JUMP), from_ms=0)
    assert (one.opened_ms, one.resolved_ms) == (HOUR_MS, None)
    assert [s.kind for s in jump_suspects("m", one.window)] == [SuspectKind.JUMP]
    rows += [row(at * HOUR_MS, 1.0) for at in range(60, 78)]
    (one,) = episodes(jumps(rows, None), POLICY.life(Kind.JUMP), from_ms=0)
    assert one.resolved_ms == 77 * HOUR_MS


def phased(
    each: Sequence[Sequence[float | None]], whole: Sequence[float]
) -> tuple[list[Outcome], tuple[Suspect, ...]]:
    """Verdicts of a meter with phases, and whom they point at; None is an hour without rows."""
    names = tuple(f"gw/meter:m.L{at + 1}" for at in range(len(each)))
    data = {
        name: {
            hour: amount
            for (hour, amount), told in zip(
                series([a or 0.0 for a in some]).items(), some, strict=True
            )
            if told is not None
        }
        for name, some in zip(names, each, strict=True)
    }
    data["m"] = series(whole)
    subjects = known(*data, uncertainty=0.005)
    verdicts = [
        phases("m", names, at * HOUR_MS, hours=data, subjects=subjects, policy=POLICY)
        for at in range(len(whole))
    ]
    outcomes = [v.outcome for v in verdicts]
    if Outcome.BROKEN not in outcomes:
        return outcomes, ()
    return outcomes, phase_suspects("m", names, verdicts, data)


def test_phases_that_add_up() -> None:
    """1 + 2 + 3 = 6, within the meters' half per cent."""
    outcomes, found = phased([[1.0], [2.0], [3.0]], [6.01])
    assert (outcomes, found) == ([Outcome.HOLDS], ())


def test_a_reversed_transformer() -> None:
    """Signed: the phase is negative. Unsigned: 1 + 2 + 3 against 6 − 2·2 = 2: it is L2."""
    _, signed = phased([[1.0], [-2.0], [3.0]], [2.0])
    assert [(s.kind, s.subjects) for s in signed] == [(SuspectKind.REVERSED_CT, ("gw/meter:m.L2",))]
    _, unsigned = phased([[1.0], [2.0], [3.0]], [2.0])
    assert [(s.kind, s.subjects) for s in unsigned] == [
        (SuspectKind.REVERSED_CT, ("gw/meter:m.L2",))
    ]


def test_a_reversed_transformer_whose_phase_gives_no_value() -> None:
    """What flows back is no reading: no rows, or a register that stands still. It is L2 again."""
    for l2 in (None, 0.0):
        outcomes, found = phased([[1.0, 2.0], [l2, l2], [3.0, 4.0]], [2.0, 4.0])
        assert outcomes == [Outcome.BROKEN] * 2
        assert [(s.kind, s.subjects, s.factor) for s in found] == [
            (SuspectKind.REVERSED_CT, ("gw/meter:m.L2",), -1.0)
        ]
    # The share of the meter that it takes away: 2 − 4 of 2, and 4 − 6 of 4.
    _, found = phased([[1.0, 2.0], [None, None], [3.0, 4.0]], [2.0, 4.0])
    assert (found[0].low, found[0].high) == pytest.approx((-1.0, -0.5))


def test_a_phase_that_is_merely_missing_is_no_suspect() -> None:
    """The others are no more than their meter; nor does an hour with a wrong clock tell."""
    assert phased([[1.0], [None], [3.0]], [6.0]) == ([Outcome.NOT_JUDGED], ())
    assert phased([[1.0], [None], [3.0]], [4.01]) == ([Outcome.NOT_JUDGED], ())
    assert phased([[None], [None], [None]], [6.0]) == ([Outcome.NOT_JUDGED], ())
    assert phased([[1.0], [0.0], [3.0]], [4.01]) == ([Outcome.HOLDS], ())
    data = {
        "m": series([2.0]),
        "l1": series([3.0]),
        "l2": {0: HourAmount(None, Grade.HIGH, Gap.CLOCK)},
    }
    verdict = phases(
        "m", ("l1", "l2"), 0, hours=data, subjects=known("m", "l1", "l2"), policy=POLICY
    )
    assert (verdict.outcome, verdict.gap, verdict.about) == (Outcome.NOT_JUDGED, Gap.CLOCK, "l2")


def test_swapped_phases_that_give_no_value() -> None:
    """Both are negative and so missing; of the third, 2 kWh, the meter has nothing left."""
    _, found = phased([[None], [2.0], [None]], [0.01])
    assert [(s.kind, s.subjects) for s in found] == [
        (SuspectKind.SWAPPED_PHASES, ("gw/meter:m.L1", "gw/meter:m.L3"))
    ]
    assert found[0].found == pytest.approx(0.4975)


def test_two_phases_without_a_value_are_both_named() -> None:
    """Which of them takes more away nobody can say: 4 − 3 = 1, and it is no swap."""
    _, found = phased([[None], [None], [4.0]], [1.0])
    assert [(s.kind, s.subjects) for s in found] == [
        (SuspectKind.REVERSED_CT, ("gw/meter:m.L1",)),
        (SuspectKind.REVERSED_CT, ("gw/meter:m.L2",)),
    ]


def test_swapped_phases() -> None:
    """Two transformers swapped turn each by 120°: −½, −½ and 1 of 2 kWh, together nothing."""
    _, found = phased([[-1.0], [-1.0], [2.0]], [0.0])
    assert [(s.kind, s.subjects) for s in found] == [
        (SuspectKind.SWAPPED_PHASES, ("gw/meter:m.L1", "gw/meter:m.L2"))
    ]
    assert found[0].found == pytest.approx(0.5)


def test_phases_that_add_up_to_something_else() -> None:
    """No phase explains it: the ratio is told."""
    _, found = phased([[1.0], [2.0], [3.0]], [4.5])
    assert [s.kind for s in found] == [SuspectKind.UNEXPLAINED]
    assert found[0].found == pytest.approx(6 / 4.5)


def test_phases_of_which_one_is_missing_are_not_judged() -> None:
    """Two of three say nothing about the sum."""
    data = {"m": series([3.0]), "l1": series([1.0])}
    verdict = phases(
        "m", ("l1", "l2"), 0, hours=data, subjects=known("m", "l1", "l2"), policy=POLICY
    )
    assert (verdict.outcome, verdict.gap, verdict.about) == (
        Outcome.NOT_JUDGED,
        Gap.NO_ROWS,
        "l2",
    )
