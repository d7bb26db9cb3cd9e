"""What may be stored: packs and records, judged one by one."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector.agent_list import AgentList
from jauge_collector.checks import (
    FUTURE_MS,
    OVER_BUDGET,
    REFUSED,
    SERIES,
    SERIES_IN_ALL,
    TOO_OLD,
    Batch,
    Checks,
    PackError,
)
from jauge_collector.faults import EXAMPLE_BYTES, Faults, printable
from jauge_models.budgets import Budgets
from jauge_models.effectiveness import DAY_MS
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Flaw, Reading
from jauge_models.resources import Series
from jauge_models.wire import MAX_PAYLOAD_BYTES, Address, Channel, Reason, Sample

from tests.collector.packs import ADDRESS, NOW_MS, SAMPLES, TOPIC, pack

OLDEST_MS = NOW_MS - DAY_MS
REASONS = {str(flaw) for flaw in Flaw} | {TOO_OLD, SERIES, *OVER_BUDGET.values()}


def refused(
    payload: bytes, topic: str = TOPIC, *, now_ms: int = NOW_MS, oldest_ms: int = OLDEST_MS
) -> PackError:
    """The error of a pack that must not pass."""
    with pytest.raises(PackError) as caught:
        Checks(["s"]).batch(topic, payload, now_ms, oldest_ms)
    return caught.value


def judged(topic: str, payload: bytes) -> Batch | PackError:
    """What comes of a message."""
    try:
        return Checks(["s"]).batch(topic, payload, NOW_MS, OLDEST_MS)
    except PackError as error:
        return error


def changed(change: Callable[[list[dict[str, Any]]], None], **given: Any) -> bytes:
    """A good pack with something done to its records."""
    records = json.loads(pack(**given))
    change(records)
    return json.dumps(records).encode()


def test_a_good_pack_passes_whole_and_again() -> None:
    """Every reading of a good pack is accepted, the first time and when its series are known."""
    checks = Checks(["s"])
    for seq in (1, 2):
        batch = checks.batch(TOPIC, pack(seq=seq, oldest_ms=NOW_MS - 5000), NOW_MS, OLDEST_MS)
        assert list(batch.readings) == [
            Reading(Series("s", "a", s.resource, s.quantity), NOW_MS, s.value) for s in SAMPLES
        ]
        assert (batch.address, batch.boot, batch.seq) == (ADDRESS, "b1", seq)
        assert (batch.time_ms, batch.oldest_ms) == (NOW_MS, NOW_MS - 5000)
        assert batch.times_ms == {NOW_MS}
        assert not batch.left_out


@pytest.mark.parametrize(
    ("record", "flaw"),
    [
        ({"n": "toaster/power", "u": "W", "v": 1}, "name"),
        ({"n": "power", "u": "W", "v": 1}, "name"),
        ({"n": "gpu:/power", "u": "W", "v": 1}, "name"),
        ({"n": "host/pow er", "u": "W", "v": 1}, "quantity"),
        ({"n": "host/luck", "u": "W", "v": 1}, "quantity"),
        ({"n": "host/power", "u": "kW", "v": 1}, "unit"),
        ({"n": "host/power", "v": 1}, "unit"),
        ({"n": "host/power", "u": "W", "v": 1e12}, "range"),
        ({"n": "host/humidity", "u": "%RH", "v": -0.1}, "range"),
        ({"n": "host/power", "u": "W", "vs": "much"}, "value"),
        ({"n": "host/power", "u": "W", "vb": True}, "value"),
        ({"n": "host/power", "u": "W", "v": None}, "value"),
        ({"n": "host/power", "u": "W", "v": 1, "t": -90_000}, TOO_OLD),
    ],
)
def test_a_bad_record_is_left_out_of_the_rest(record: dict[str, Any], flaw: str) -> None:
    """A flawed record is left out with its reason, whether or not its series was seen before."""
    checks = Checks(["s"])
    payload = changed(lambda records: records.insert(1, record))
    for _ in range(2):
        batch = checks.batch(TOPIC, payload, NOW_MS, OLDEST_MS)
        assert [reading.value for reading in batch.readings] == [61.5, 1234.5, 48.25]
        assert [reason for reason, _ in batch.left_out] == [flaw]


def test_a_known_series_is_still_held_to_its_unit_and_range() -> None:
    """What was learnt from a good record does not let a bad one of the same name pass."""
    checks = Checks(["s"])
    checks.batch(TOPIC, pack(), NOW_MS, OLDEST_MS)

    def spoil(records: list[dict[str, Any]]) -> None:
        records[0]["u"] = "J"
        records[1]["v"] = -1
        records[2]["v"] = None

    batch = checks.batch(TOPIC, changed(spoil), NOW_MS, OLDEST_MS)
    assert not batch.readings
    assert [reason for reason, _ in batch.left_out] == ["unit", "range", "value"]


def test_records_may_have_their_own_times() -> None:
    """A record's ``t`` counts from the base time; all times of a pack are told for the ledger."""

    def shift(records: list[dict[str, Any]]) -> None:
        records[0]["t"] = -1.5
        records[2]["t"] = 2

    batch = Checks(["s"]).batch(TOPIC, changed(shift), NOW_MS, OLDEST_MS)
    assert [r.time_ms for r in batch.readings] == [NOW_MS - 1500, NOW_MS, NOW_MS + 2000]
    assert batch.times_ms == {NOW_MS - 1500, NOW_MS, NOW_MS + 2000}


def test_a_pack_from_the_future_gets_no_answer() -> None:
    """More than 60 s ahead, in the base time or in one record, and nothing is taken of it."""
    batch = Checks(["s"]).batch(TOPIC, pack(time_ms=NOW_MS + FUTURE_MS), NOW_MS, OLDEST_MS)
    assert len(batch.readings) == len(SAMPLES)
    late = changed(lambda records: records[2].update(t=FUTURE_MS / 1000 + 0.001))
    for payload in (pack(time_ms=NOW_MS + FUTURE_MS + 1), late):
        error = refused(payload)
        assert error.reason is Reason.FUTURE
        assert error.refusal is None


def test_a_pack_older_than_the_store_keeps_is_refused() -> None:
    """What the store would drop is refused before it is written, so that the agent counts it."""
    checks = Checks(["s"])
    assert checks.batch(TOPIC, pack(time_ms=OLDEST_MS), NOW_MS, OLDEST_MS).readings
    error = refused(pack(time_ms=OLDEST_MS - 1, seq=7))
    assert error.reason is Reason.TOO_OLD
    assert error.refusal == (ADDRESS, "b1", 7)


def test_the_time_of_a_pack_counts_even_where_no_record_is_good() -> None:
    """Of bad records alone, or good ones with a ``t`` into the present, ``bt`` is still judged."""

    def spoil(records: list[dict[str, Any]]) -> None:
        for record in records:
            record["n"] = "host/luck"

    ahead = NOW_MS + FUTURE_MS + 1

    def take_back(records: list[dict[str, Any]]) -> None:
        for record in records:
            record["t"] = -(FUTURE_MS + 1) / 1000

    for payload in (changed(spoil, time_ms=ahead), changed(take_back, time_ms=ahead)):
        error = refused(payload)
        assert (error.reason, error.refusal) == (Reason.FUTURE, None)
    error = refused(changed(spoil, time_ms=OLDEST_MS - 1, seq=4))
    assert (error.reason, error.refusal) == (Reason.TOO_OLD, (ADDRESS, "b1", 4))


def test_only_what_is_stored_is_told_for_the_ledger() -> None:
    """A time at which nothing is stored is no reason to compute an interval again."""

    def part(records: list[dict[str, Any]]) -> None:
        records[0]["n"] = "host/luck"
        for record in records[1:]:
            record["t"] = -1

    assert Checks(["s"]).batch(TOPIC, changed(part), NOW_MS, OLDEST_MS).times_ms == {NOW_MS - 1000}
    bad = pack().replace(b'"u":"W"', b'"u":"kW"').replace(b'"u":"J"', b'"u":"kWh"')
    batch = Checks(["s"]).batch(TOPIC, bad.replace(b"Cel", b"K"), NOW_MS, OLDEST_MS)
    assert (batch.readings, batch.times_ms, len(batch.left_out)) == ([], set(), 3)


def test_nothing_is_settled_that_has_not_been_yet() -> None:
    """An agent's bfrom counts up to its own pack and the collector's clock, and no further."""

    def settled(time_ms: int, oldest_ms: int) -> int:
        payload = pack(time_ms=time_ms, oldest_ms=oldest_ms)
        return Checks(["s"]).batch(TOPIC, payload, NOW_MS, OLDEST_MS).oldest_ms

    assert settled(NOW_MS, NOW_MS - 5000) == NOW_MS - 5000
    assert settled(NOW_MS - 9000, NOW_MS - 5000) == NOW_MS - 9000
    assert settled(NOW_MS, 8_000_000_000_000) == NOW_MS
    assert settled(NOW_MS + 30_000, NOW_MS + 20_000) == NOW_MS


def named(first: int, count: int, **given: Any) -> bytes:
    """A pack of so many sensors, numbered from the first on."""
    return pack((Sample(f"sensor:{n}", "power", 1.0) for n in range(first, first + count)), **given)


def test_an_agent_brings_so_many_series_in_a_day_and_no_more() -> None:
    """What is new beyond the number is left out; what is known goes on; a day later there is room.

    Another agent has a number of its own.
    """
    checks = Checks(["s"], series_per_agent=5)

    def stored(payload: bytes, now_ms: int = NOW_MS, topic: str = TOPIC) -> tuple[int, list[str]]:
        batch = checks.batch(topic, payload, now_ms, OLDEST_MS)
        return len(batch.readings), [reason for reason, _ in batch.left_out]

    assert stored(named(0, 4)) == (4, [])
    for _ in range(2):
        assert stored(named(3, 4)) == (2, [SERIES, SERIES])
        assert stored(named(0, 5)) == (5, [])
    assert stored(named(7, 1)) == (0, [SERIES])
    assert stored(named(7, 1).replace(b'"W"', b'"kW"')) == (0, ["unit"])
    other = Address("s", "b")
    assert stored(named(7, 3, address=other), topic=other.topic(Channel.READINGS)) == (3, [])
    assert stored(named(7, 1), NOW_MS + DAY_MS - 1) == (0, [SERIES])
    assert stored(named(6, 5), NOW_MS + DAY_MS) == (5, [])
    assert stored(named(0, 5), NOW_MS + DAY_MS) == (0, [SERIES] * 5)


def test_all_agents_together_bring_so_many_series_and_no_more() -> None:
    """Beyond it nobody's new series are taken, until an agent's day is over or it is forgotten."""
    checks = Checks(["s"], series_per_agent=5, series_in_all=7, most_agents=3)

    def stored(agent: str, first: int, now_ms: int = NOW_MS) -> tuple[int, set[str]]:
        address = Address("s", agent)
        payload = named(first, 4, address=address)
        batch = checks.batch(address.topic(Channel.READINGS), payload, now_ms, OLDEST_MS)
        return len(batch.readings), {reason for reason, _ in batch.left_out}

    assert stored("a", 0) == (4, set())
    assert stored("b", 0) == (3, {SERIES_IN_ALL})
    assert checks.series == 7
    assert stored("a", 4) == (0, {SERIES_IN_ALL})
    assert stored("a", 4, NOW_MS + DAY_MS) == (4, set())
    assert stored("b", 0, NOW_MS + DAY_MS) == (3, {SERIES_IN_ALL})
    assert checks.series == 7
    assert stored("c", 0) == (0, {SERIES_IN_ALL})
    assert stored("d", 0) == (4, set())
    assert checks.series == 7


def test_a_guest_brings_as_many_series_as_its_budget() -> None:
    """Whoever sends them: what is new beyond it is left out by its own reason, and counted.

    What is known goes on; watts have their room; another guest, and what has no budget, too.
    """
    checks = Checks(["s"], budgets=Budgets(host=1, guest=2, gpu=1))

    def stored(*names: str, now_ms: int = NOW_MS) -> tuple[list[str], list[str]]:
        parted = (name.partition("/") for name in names)
        samples = (Sample(resource, quantity, 1.0) for resource, _, quantity in parted)
        batch = checks.batch(TOPIC, pack(samples), now_ms, OLDEST_MS)
        kept = [f"{one.series.resource}/{one.series.quantity}" for one in batch.readings]
        return kept, [reason for reason, _ in batch.left_out]

    guest = [f"guest:a/{q}" for q in ("uptime", "disk_read", "runs_on", "power", "energy")]
    for _ in range(2):
        assert stored(*guest) == ([*guest[:2], *guest[3:]], ["budget_guest"])
    assert stored("guest:a/power", "guest:b/uptime") == (["guest:a/power", "guest:b/uptime"], [])
    assert stored("gpu:0/uptime", "gpu_instance:0.1/uptime", "gpu:0/frequency") == (
        ["gpu:0/uptime", "gpu_instance:0.1/uptime"],
        ["budget_gpu"],
    )
    assert stored("host/uptime", "host/load_average", "host:x/uptime", "sensor:1/humidity") == (
        ["host/uptime", "host:x/uptime", "sensor:1/humidity"],
        ["budget_host"],
    )
    use = checks.use(ADDRESS)
    assert use is not None
    assert (use.since_ms, use.series, use.used["guest:a"]) == (NOW_MS, 10, 4)
    assert use.left_out == {"guest:a": 2, "gpu:0": 1, "host": 1}
    assert checks.over_budget() == [ADDRESS]
    assert stored("guest:a/runs_on", now_ms=NOW_MS + DAY_MS) == (["guest:a/runs_on"], [])
    assert checks.over_budget() == []
    assert checks.use(Address("s", "unheard")) is None


def test_forms_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever packs come, what makes checks fast stays small, and they stay right."""
    monkeypatch.setattr("jauge_collector.checks.MAX_FORM_RECORDS", 50)
    checks = Checks(["s"])
    for agent in ("a", "b", "c"):
        address = Address("s", agent)
        topic = address.topic(Channel.READINGS)
        for count in (*range(1, 20), *range(20, 1, -1)):
            for first in (0, 7):
                payload = named(first, count, address=address)
                assert len(checks.batch(topic, payload, NOW_MS, OLDEST_MS).readings) == count
                held = [sender.form_records for sender in checks._senders.values()]
                assert sum(held) == checks._form_records <= 50
                assert sum(len(key) for key in checks._forms) == checks._shared_records <= 50


def test_an_agent_that_is_not_listed_is_dropped_without_an_answer() -> None:
    """Of a site that lists its agents; another site's list does not concern it."""
    checks = Checks(["s", "t"], agents={"s": AgentList(["gw", "srv-*"]), "t": None})

    def reason(site: str, agent: str) -> tuple[object, object] | None:
        address = Address(site, agent)
        try:
            checks.batch(address.topic(Channel.READINGS), pack(address=address), NOW_MS, OLDEST_MS)
        except PackError as error:
            return error.reason, error.refusal
        return None

    assert reason("s", "gw") is None
    assert reason("s", "srv-7") is None
    assert reason("t", "anybody") is None
    assert reason("s", "evil") == (Reason.UNKNOWN_AGENT, None)
    assert [checks.knows(f"jauge/v1/{who}/birth") for who in ("s/gw", "s/evil", "x/gw")] == [
        True,
        False,
        False,
    ]
    assert not checks.knows("anything else")


@given(
    patterns=st.lists(st.text("ab*", min_size=1, max_size=6), max_size=4),
    name=st.text("ab", min_size=1, max_size=8),
)
def test_a_list_of_agents_matches_as_a_shell_does(patterns: list[str], name: str) -> None:
    """``*`` is any text, also none."""
    assert (name in AgentList(patterns)) == any(fnmatchcase(name, p) for p in patterns)


def test_agents_that_are_remembered_are_bounded() -> None:
    """Beyond the number the one known longest is learnt anew, and the others keep their count."""
    checks = Checks(["s"], series_per_agent=1, most_agents=2)

    def stored(agent: str, sensor: int) -> int:
        address = Address("s", agent)
        payload = named(sensor, 1, address=address)
        return len(
            checks.batch(address.topic(Channel.READINGS), payload, NOW_MS, OLDEST_MS).readings
        )

    assert [stored("a", 1), stored("b", 1), stored("c", 1)] == [1, 1, 1]
    assert [stored("b", 2), stored("c", 2)] == [0, 0]
    assert stored("a", 2) == 1


def test_a_pack_of_another_sender_is_refused_to_the_one_who_sent_it() -> None:
    """Topic and base name differ: the answer goes to the topic's agent, about its own batch."""
    error = refused(pack(address=Address("s", "other"), boot="b9", seq=3))
    assert error.reason is Reason.ADDRESS
    assert error.refusal == (ADDRESS, "b9", 3)


@pytest.mark.parametrize(
    "topic",
    [
        "jauge/v1/elsewhere/a/readings",
        "jauge/v1/s/a b/readings",
        "jauge/v1/s//readings",
        "jauge/v1/s/a/birth",
        "jauge/v1/s/a/readings/more",
        "",
    ],
)
def test_a_topic_that_is_not_ours_gets_no_answer(topic: str) -> None:
    """An unknown site may be another collector's; a name that is none cannot be answered."""
    error = refused(pack(), topic)
    assert error.reason is Reason.ADDRESS
    assert error.refusal is None


def test_a_pack_beyond_the_limits_is_refused() -> None:
    """Too many bytes or records: refused by the head of its first record, the rest unread."""
    big = pack(seq=5)[:-1] + b" " * MAX_PAYLOAD_BYTES + b"]"
    many = pack((Sample(f"gpu:{i}", "power", 1.0) for i in range(2001)), seq=6)
    for payload, seq in ((big, 5), (many, 6)):
        error = refused(payload)
        assert error.reason is Reason.LIMITS
        assert error.refusal == (ADDRESS, "b1", seq)
    assert refused(b"x" * (MAX_PAYLOAD_BYTES + 1)).refusal is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b"null", Reason.UNDECODABLE),
        (b"[]", Reason.UNDECODABLE),
        (b"{}", Reason.UNDECODABLE),
        (b"[" * 100_000, Reason.UNDECODABLE),
        (b'[{"n":"host/power","v":1}]', Reason.ADDRESS),
        (pack()[:-2], Reason.UNDECODABLE),
        (pack().replace(b"61.5", b"NaN"), Reason.UNDECODABLE),
        (pack().replace(b"61.5", b"1e999"), Reason.UNDECODABLE),
        (pack().replace(b'"bt":', b'"bver":11,"bt":'), Reason.VERSION),
        (pack().replace(b'"u":"W"', b'"u":"W","must_":1'), Reason.VERSION),
        (pack().replace(b"host", b"\xff\xfe"), Reason.UNDECODABLE),
    ],
)
def test_what_cannot_be_read_is_named_by_a_bounded_reason(payload: bytes, reason: Reason) -> None:
    """Anything that is no pack of ours ends in its reason and never in another exception."""
    assert refused(payload).reason is reason


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
record_like = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from(["host/power", "gpu:0/energy", "x", "host/", "/"]) | json_values,
        "u": st.sampled_from(["W", "J", "", "kW"]) | json_values,
        "v": st.floats(allow_nan=False, allow_infinity=False) | json_values,
        "t": st.floats(-1e12, 1e12) | json_values,
        "bn": st.sampled_from(["s/a/", "s/b/"]) | json_values,
        "bt": st.floats(1.7e9, 1.8e9) | json_values,
        "bboot": st.sampled_from(["b1"]) | json_values,
        "bseq": st.integers(1, 9) | json_values,
        "bfrom": st.floats(0, 2e9) | json_values,
        "bu": st.sampled_from(["W"]) | json_values,
        "bver": json_values,
        "x_": json_values,
        "more": json_values,
    },
)


@given(
    payload=st.binary(max_size=200)
    | st.builds(lambda v: json.dumps(v).encode(), st.lists(record_like, max_size=4) | json_values)
)
def test_whatever_arrives_ends_in_a_batch_or_a_bounded_reason(payload: bytes) -> None:
    """No payload raises anything but PackError, and nothing outside the catalogue passes."""
    batch = judged(TOPIC, payload)
    if isinstance(batch, PackError):
        assert batch.reason in Reason
        assert batch.refusal is None or batch.reason in REFUSED
        return
    assert {reason for reason, _ in batch.left_out} <= REASONS
    for series, time_ms, value in batch.readings:
        entry = CATALOGUE[series.quantity]
        assert entry.low <= value <= entry.high
        assert OLDEST_MS <= time_ms <= NOW_MS + FUTURE_MS
        assert series[:2] == ADDRESS


@given(topic=st.text(max_size=60) | st.from_regex(r"jauge/v1/s?/.{0,5}/(readings|birth|ack)"))
def test_whatever_topic_ends_in_a_bounded_reason(topic: str) -> None:
    """A topic is ours and of a known site, or an error with a reason."""
    batch = judged(topic, pack())
    if isinstance(batch, PackError):
        assert batch.reason is Reason.ADDRESS
    else:
        assert batch.address.topic(Channel.READINGS) == topic == TOPIC


@given(raw=st.binary(max_size=1000))
def test_examples_are_short_and_safe_to_print(raw: bytes) -> None:
    """Whatever a stranger sent, its example is printable ASCII of bounded length."""
    faults = Faults()
    faults.note("future", time_ms=1, topic="t\n\x1b[2J\ud800", detail="é" * 500, payload=raw)
    example = faults.by_reason["future"].example
    for text in (example.topic, example.detail, example.payload, printable(raw)):
        assert text.isascii()
        assert text == "" or text.isprintable()
        assert len(text) <= 4 * EXAMPLE_BYTES + 3


def test_faults_count_and_keep_the_last_example() -> None:
    """Each reason has its own count, and the example is that of the last occurrence."""
    faults = Faults()
    for time_ms in (1, 2, 3):
        faults.note("range", time_ms=time_ms, topic=TOPIC, payload=b"%d" % time_ms)
    faults.note("unit", time_ms=4, topic=TOPIC)
    assert {reason: fault.count for reason, fault in faults.by_reason.items()} == {
        "range": 3,
        "unit": 1,
    }
    assert faults.by_reason["range"].example.payload == "3"
