"""Answers as they are written, and what is not there in them."""

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")

from jauge_agent.sources.vsphere.answers import Told, settle, told
from jauge_agent.sources.vsphere.counters import KNOWN, Known, numbered
from jauge_agent.sources.vsphere.places import (
    KEPT_MS,
    SLICE_MS,
    Place,
    Window,
    behind,
    caught_up,
    live,
)
from jauge_agent.sources.vsphere.polling import joined, together
from jauge_agent.sources.vsphere.query import Answered, Metrics, Question, answered, asked
from jauge_agent.sources.vsphere.sdk import vim
from jauge_agent.sources.vsphere.subjects import Subject
from jauge_agent.sources.vsphere.totals import Totals

from tests.agent.vsphere.relay import RECORD

POWER, CPU = KNOWN["power.power.average"], KNOWN["cpu.usage.average"]


def reader(text: bytes, size: int = 1 << 16) -> Callable[[int], bytes]:
    """Gives a text bit by bit."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return lambda _: parts.pop(0) if parts else b""


def answer(*series: tuple[int, Sequence[int]], times: Sequence[int] = (60, 40, 20)) -> Answered:
    """What one host answers, the newest first."""
    return Answered("host-1", list(times), [(number, "", list(each)) for number, each in series])


def test_a_recorded_answer_is_read_whatever_it_is_cut_into() -> None:
    """Three entities, 180 times, three counters each; the newest first."""
    whole = answered(reader(RECORD.read_bytes()))
    assert [len(each.times) for each in whole] == [180] * 3
    assert all(each.times == sorted(each.times, reverse=True) for each in whole)
    assert [[number for number, *_ in each.series] for each in whole] == [[157, 2, 98]] * 3
    assert whole[0].times[0] == 1_795_654_800_000
    assert all(len(samples) == 180 for each in whole for *_, samples in each.series)
    assert answered(reader(RECORD.read_bytes(), 7)) == whole


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>busy</body>",
        b"<a xmlns='x'><value><value>1.5</value></value></a>",
        b"<a xmlns='x'><timestamp>yesterday</timestamp></a>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a xmlns='x'>&b;</a>",
        b"<a xmlns='x'><entity>" + b"x" * 5000 + b"</entity></a>",
        b"<a xmlns='x'><value><id><counterId>one</counterId></id></value></a>",
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    """By one error, which becomes a failure of the vCenter."""
    from xml.parsers.expat import ExpatError

    with pytest.raises(ExpatError):
        answered(reader(text))


def test_an_answer_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    from xml.parsers.expat import ExpatError

    monkeypatch.setattr("jauge_agent.sources.vsphere.query.LONGEST_ANSWER", 100_000)
    parts = [b"<a xmlns='x'>"]
    with pytest.raises(ExpatError, match="too long"):
        answered(lambda _: parts.pop() if parts else b"<b/>" * 1000)


def test_names_in_a_question_cannot_break_out_of_it() -> None:
    """An instance is what a vCenter has called it."""
    metrics = Metrics.of([(1, '</instance><x a="')])
    body = asked("PerfMgr", [Question("vm-1", False, 0, 20_000, 1, metrics)]).decode()
    assert "<x" not in body
    assert "&lt;/instance&gt;" in body
    assert "<startTime>1970-01-01T00:00:00.000Z</startTime>" in body


def test_samples_belong_to_their_times_and_minus_one_is_no_value() -> None:
    """Also where they are zero."""
    failed: Counter[str] = Counter()
    found = told([answer((1, [7, 0, -1]), (2, [5000, 99999, 12000]))], {1: POWER, 2: CPU}, failed)
    assert found["host-1"].values[1, ""] == {60: 7, 40: 0}
    assert found["host-1"].values[2, ""] == {60: 0.5, 20: 1.0}
    assert failed == {"range": 1}


def test_an_empty_list_is_no_value_and_never_zero() -> None:
    """Nor is one to be asked for again."""
    one = told([answer((1, []))], {1: POWER}, Counter())["host-1"]
    assert one == Told((60, 40, 20))


def test_more_values_than_times_are_none() -> None:
    """Nobody knows whose they are."""
    failed: Counter[str] = Counter()
    one = told([answer((1, [1, 2, 3, 4]))], {1: POWER}, failed)["host-1"]
    assert not one.values
    assert not one.uneven
    assert failed == {"uneven": 1}


def singles(*values: int | None) -> dict[int, Told]:
    """Answers for 60, 40 and 20, one time each."""
    counters = {1: POWER}
    return {
        time: told(
            [answer((1, [] if value is None else [value]), times=[time])], counters, Counter()
        )["host-1"]
        for time, value in zip((60, 40, 20), values, strict=True)
    }


def test_fewer_values_than_times_are_placed_by_asking_again() -> None:
    """What has no value alone was a zero."""
    one = told([answer((1, [7, 9]))], {1: POWER}, Counter())["host-1"]
    assert one.uneven == {(1, ""): 2}
    assert settle(one, singles(7, None, 9)) == 0
    assert one.values[1, ""] == {60: 7, 40: 0, 20: 9}


@pytest.mark.parametrize(
    "found", [singles(7, None, None), singles(7, 8, 9), {}, singles(-1, 7, None)]
)
def test_what_does_not_fit_the_first_answer_has_no_values(found: dict[int, Told]) -> None:
    """Rather none than one at a wrong time, or a zero that was none."""
    one = told([answer((1, [7, 9]))], {1: POWER}, Counter())["host-1"]
    assert settle(one, found) == 1
    assert not one.values


def test_totals_count_each_sample_once_and_begin_anew_after_a_gap() -> None:
    """In bytes, 20 s of each rate."""
    totals = Totals()
    assert totals.add("host:a", "disk_read", {40_000: 10.0, 20_000: 5.0}) == (40_000, 300)
    assert totals.add("host:a", "disk_read", {40_000: 10.0, 60_000: 1.0}) == (60_000, 320)
    assert totals.add("host:a", "disk_read", {100_000: 2.0}) == (100_000, 40)
    totals.keep({"host:b"})
    assert totals.add("host:a", "disk_read", {120_000: 2.0}) == (120_000, 40)


def test_values_of_a_pool_are_sums_and_means_by_processors() -> None:
    """None where one of them has none: a part of a sum is no sum."""
    assert joined([(2.0, 1), (3.0, 4)], is_mean=False) == 5
    assert joined([(0.2, 1), (0.8, 3)], is_mean=True) == pytest.approx(0.65)
    assert joined([(2.0, 1), (None, 4)], is_mean=False) is None
    assert joined([], is_mean=False) is None
    assert joined([(0.5, 0), (0.5, 0)], is_mean=True) is None


def test_a_pool_goes_as_far_as_all_its_guests_have_told() -> None:
    """One that has started later is not there before, and one that is late is waited for."""
    refs = [vim.VirtualMachine(f"vm-{number}") for number in (1, 2, 3)]
    subject = Subject("guest:pool-a.b", tuple((ref, 1.0) for ref in refs), False, ())
    answers = {
        "vm-1": Told((60, 40, 20), {(1, ""): {60: 1, 40: 1, 20: 1}}),
        "vm-2": Told((40, 20), {(1, ""): {40: 2}}),
        "vm-3": Told((60, 40), {(1, ""): {60: 4, 40: 4}}),
    }
    assert together(subject, {}, Window(0, 60), {1: POWER}) is None
    found = together(subject, answers, Window(0, 60), {1: POWER})
    assert found is not None
    assert found[0] == 40
    assert found[1] == {(1, ""): {40: 7}}


def test_places_ask_for_what_is_new_and_keep_what_was_missed() -> None:
    """Never for more than the vCenter has."""
    now = 10 * KEPT_MS
    fresh, window = live(None, now, 180_000)
    assert (fresh, window) == (Place(now - 180_000), Window(now - 180_000, now))
    place, window = live(Place(now - 1_000_000), now, 180_000)
    assert window == Window(now - 180_000, now)
    assert place == Place(now - 180_000, (now - 1_000_000, now - 180_000))
    piece = behind(place, now)
    assert piece == Window(now - 1_000_000, now - 1_000_000 + SLICE_MS)
    for _ in range(3):
        assert place.gap is not None
        piece = behind(place, now)
        assert piece is not None
        place = caught_up(place, piece)
    assert place == Place(now - 180_000)
    old, _ = live(Place(0), now, 180_000)
    assert old.gap == (now - KEPT_MS, now - 180_000)
    assert behind(Place(now, (0, now - 2 * KEPT_MS)), now) is None


def test_counters_are_known_by_name_and_only_in_the_unit_that_is_expected() -> None:
    """Each vCenter numbers its own."""

    def counter(key: int, group: str, name: str, rollup: str, unit: str) -> SimpleNamespace:
        parts = (SimpleNamespace(key=each) for each in (group, name, unit))
        return SimpleNamespace(
            key=key,
            rollupType=rollup,
            **dict(zip(("groupInfo", "nameInfo", "unitInfo"), parts, strict=True)),
        )

    offered = [
        counter(7, "power", "power", "average", "watt"),
        counter(8, "power", "power", "maximum", "watt"),
        counter(9, "power", "energy", "summation", "kiloJoule"),
        counter(2, "cpu", "usage", "average", "percent"),
    ]
    assert numbered(offered) == {7: POWER, 2: CPU}


def test_every_known_counter_is_a_quantity_of_the_catalogue() -> None:
    """And no other is told."""
    from jauge_models.quantities import CATALOGUE

    for known in KNOWN.values():
        assert isinstance(known, Known)
        assert known.quantity in CATALOGUE
