"""The wire format: what goes in comes out, and nothing that comes in does harm."""

import contextlib
import gzip
import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models import wire
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Flaw, flaw_of
from jauge_models.wire import (
    MAX_BIRTH_BYTES,
    MAX_PAYLOAD_BYTES,
    Birth,
    Method,
    Reason,
    ResourceDescription,
    Sample,
    WireError,
    decode_birth,
    encode,
)

ADDRESS = wire.Address("lognes-example", "srv-1")
TIME_MS = 1_767_225_600_000

DECODERS: dict[str, Callable[[bytes], object]] = {
    "readings": lambda payload: wire.decode_pack(payload, ADDRESS),
    "birth": wire.decode_birth,
    "state": wire.decode_state,
    "ack": wire.decode_answer,
}

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,30}", fullmatch=True)
times = st.integers(min_value=2**28 * 1000, max_value=2**33 * 1000)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """A sample as an agent may report it."""
    entry = draw(st.sampled_from(list(CATALOGUE.values())))
    identity = draw(names).rstrip(":")
    value = draw(st.floats(min_value=entry.low, max_value=entry.high))
    return Sample(f"sensor:{identity}", entry.name, value)


def pack(**changes: Any) -> bytes:
    """A valid pack of one record, with changes; a change to None takes a field away."""
    record: dict[str, Any] = {
        "bn": ADDRESS.base_name,
        "bt": TIME_MS / 1000,
        "bboot": "9f2c61d0",
        "bseq": 42,
        "bfrom": TIME_MS / 1000,
        "n": "host/power",
        "u": "W",
        "v": 212.5,
    } | changes
    return json.dumps([{key: value for key, value in record.items() if value is not None}]).encode()


def refusal(payload: bytes) -> Reason:
    """Why a pack is refused as a whole."""
    with pytest.raises(WireError) as refused:
        wire.decode_pack(payload, ADDRESS)
    return refused.value.reason


@given(st.lists(samples(), min_size=1, max_size=60), names, st.integers(1, 2**53 - 1), times, times)
def test_a_sealed_batch_decodes_to_what_was_sampled(
    batch: list[Sample], boot: str, seq: int, time_ms: int, oldest_ms: int
) -> None:
    """Encode, seal, decode: address, boot, number, times and every value, rounded, come back."""
    body = wire.encode_samples(batch)
    sealed = wire.seal(
        body, address=ADDRESS, boot=boot, seq=seq, oldest_ms=oldest_ms, time_ms=time_ms
    )
    found = wire.decode_pack(sealed, ADDRESS)
    assert found[:5] == (ADDRESS, boot, seq, oldest_ms, time_ms)
    assert [(record.n, record.v) for record in found.records] == [
        (f"{s.resource}/{s.quantity}", round(s.value, CATALOGUE[s.quantity].decimals))
        for s in batch
    ]
    for record, sample in zip(found.records, batch, strict=True):
        assert record.v is not None
        assert flaw_of(sample.resource, sample.quantity, record.u, record.v) is None
    assert wire.claimed_head(sealed) == (boot, seq)


@given(st.lists(samples(), min_size=1, max_size=5), st.integers(1, 99), st.integers(1, 99))
def test_a_batch_can_be_sealed_again_under_another_boot(
    batch: list[Sample], first: int, second: int
) -> None:
    """What lies in the spool does not carry the process that wrote it."""
    body = wire.encode_samples(batch)
    for boot, seq in (("aaaa", first), ("bbbb", second)):
        found = wire.decode_pack(
            wire.seal(
                body, address=ADDRESS, boot=boot, seq=seq, oldest_ms=TIME_MS, time_ms=TIME_MS
            ),
            ADDRESS,
        )
        assert (found.boot, found.seq) == (boot, seq)


def test_a_zero_is_sent_as_a_zero() -> None:
    """The value 0 is not taken for an absent one."""
    assert json.loads(wire.encode_samples([Sample("host", "power", 0.0)]))[0]["v"] == 0


def test_whole_numbers_and_truths_are_sent_as_numbers() -> None:
    """Whatever number a source holds, the record has one that every reader takes."""
    samples = [Sample("host", "memory_used", value) for value in (5_123_456_789, True, 2**60)]
    found = json.loads(wire.encode_samples(samples))
    assert [record["v"] for record in found] == [5_123_456_789, 1, 2**60]
    assert not any(record["v"] is True for record in found)


def test_an_empty_batch_is_no_batch() -> None:
    """A batch needs a sample."""
    with pytest.raises(ValueError, match="at least one"):
        wire.encode_samples([])


@pytest.mark.parametrize("channel", DECODERS)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_a_message_or_a_wire_error(channel: str, payload: bytes) -> None:
    """No other exception than WireError leaves a decoder."""
    with contextlib.suppress(WireError):
        DECODERS[channel](payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
LABELS = sorted(
    {field.name for field in msgspec.structs.fields(wire.FirstRecord)} | {"x", "x_", "_"}
)


@given(st.lists(st.dictionaries(st.sampled_from(LABELS), json_values, max_size=8), max_size=4))
def test_any_json_of_our_labels_gives_a_pack_or_a_wire_error(
    records: list[dict[str, Any]],
) -> None:
    """Right labels with wrong values, NaN and infinity among them, never raise anything else."""
    try:
        found = wire.decode_pack(json.dumps(records).encode(), ADDRESS)
    except WireError:
        return
    assert found.address == ADDRESS


@given(
    st.lists(
        st.tuples(st.integers(min_value=0), st.binary(min_size=0, max_size=3), st.integers(0, 3)),
        min_size=1,
        max_size=4,
    )
)
def test_a_mutated_pack_gives_a_pack_or_a_wire_error(
    edits: list[tuple[int, bytes, int]],
) -> None:
    """A valid pack with bytes cut out and put in decodes or is refused; nothing else happens."""
    payload = pack()
    for position, inserted, removed in edits:
        at = position % (len(payload) + 1)
        payload = payload[:at] + inserted + payload[at + removed :]
    wire.claimed_head(payload)
    try:
        found = wire.decode_pack(payload, ADDRESS)
    except WireError:
        return
    assert found.address == ADDRESS
    assert 1 <= found.seq < 2**53


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(pack(x_="?").replace(b"?", b"\xff"), id="not UTF-8 in a refused value"),
        pytest.param(pack(x_=1).replace(b'"x_": 1', b'"x_": 1e999'), id="number out of range"),
        pytest.param(
            pack(x_=1).replace(b'"x_": 1', b'"x_": ' + b"[" * 50_000 + b"]" * 50_000), id="depth"
        ),
        pytest.param(pack(v=1).replace(b'"v": 1', b'"v": ' + b"9" * 5000), id="long number"),
        pytest.param(pack(v=float("nan")), id="not a number"),
        pytest.param(pack(v="12"), id="text for a number"),
        pytest.param(b"[]", id="empty pack"),
        pytest.param(b"{}", id="no array"),
        pytest.param(b"[null]", id="no record"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_cannot_be_read_is_undecodable(payload: bytes) -> None:
    """Malformed JSON, malformed text and values of another type are one reason."""
    assert refusal(payload) is Reason.UNDECODABLE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bn": "lognes-example/srv-2/"}, Reason.ADDRESS),
        ({"bn": None}, Reason.ADDRESS),
        ({"bver": 11}, Reason.VERSION),
        ({"bver": 10}, Reason.VERSION),
        ({"x_": 1}, Reason.VERSION),
        ({"bboot": None}, Reason.UNDECODABLE),
        ({"bboot": "a b"}, Reason.UNDECODABLE),
        ({"bseq": 0}, Reason.UNDECODABLE),
        ({"bseq": -1}, Reason.UNDECODABLE),
        ({"bseq": 2**53}, Reason.UNDECODABLE),
        ({"bseq": 10**30}, Reason.UNDECODABLE),
        ({"bfrom": -1}, Reason.UNDECODABLE),
        ({"bfrom": 1e300}, Reason.UNDECODABLE),
        ({"bt": None}, Reason.UNDECODABLE),
        ({"bt": 10}, Reason.UNDECODABLE),
        ({"bt": 2.0**60, "t": -(2.0**60) + 2**29}, Reason.UNDECODABLE),
        ({"t": -1.7e9}, Reason.UNDECODABLE),
        ({"t": 1e300}, Reason.UNDECODABLE),
        ({"bv": 1.0}, Reason.UNDECODABLE),
        ({"bs": 1.0}, Reason.UNDECODABLE),
    ],
)
def test_a_pack_is_refused_as_a_whole_by_its_head(changes: dict[str, Any], reason: Reason) -> None:
    """Each fault of the head has its one reason."""
    assert refusal(pack(**changes)) is reason


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"bver": 11}, Reason.VERSION),
        ({"bn": "lognes-example/srv-2/"}, Reason.UNDECODABLE),
        ({"bt": 1.0}, Reason.UNDECODABLE),
        ({"bu": "W"}, Reason.UNDECODABLE),
        ({"bboot": "other"}, Reason.UNDECODABLE),
        ({"bseq": 43}, Reason.UNDECODABLE),
        ({"bfrom": 1.0}, Reason.UNDECODABLE),
    ],
)
def test_base_fields_stand_in_the_first_record_only(field: dict[str, Any], reason: Reason) -> None:
    """A later record cannot change who speaks, when, or in which version."""
    records = [*json.loads(pack()), {"n": "host/uptime", "u": "s", "v": 1, **field}]
    assert refusal(json.dumps(records).encode()) is reason


@pytest.mark.parametrize("label", [b"x_", b"x\\u005f", b"x\\u005F"])
@pytest.mark.parametrize("space", [b"", b" ", b"\t\n"])
def test_an_extension_that_must_be_understood_is_refused(label: bytes, space: bytes) -> None:
    """A label that ends in an underscore is seen however it is written (RFC 8428 4.4)."""
    payload = pack().replace(b'"n":', b'"' + label + b'"' + space + b': 1, "n":')
    assert refusal(payload) is Reason.VERSION


@pytest.mark.parametrize("more", [{"x": 1}, {"x": "y_"}, {"x": '_":'}, {"x": {"y_": 1}}, {"_x": 1}])
def test_other_unknown_labels_are_ignored(more: dict[str, Any]) -> None:
    """What a later version may add freely does not disturb this one."""
    found = wire.decode_pack(pack(**more), ADDRESS)
    assert found.records[0].v == 212.5


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "n": st.sampled_from(["host/power", "bus", "}", ""]),
                "u": st.sampled_from(["W", "b"]),
                "v": st.floats(-1e6, 1e6) | st.none(),
                "t": st.floats(-10, 10) | st.sampled_from([1e300, -1.7e9]),
                "vs": st.sampled_from(["text", 5]),
                "bn": st.sampled_from(["", "x"]),
                "bver": st.sampled_from([None, 11]),
                "bs": st.sampled_from([None, 1.0]),
            },
        ),
        max_size=4,
    ),
    st.sampled_from(["host/power", "}", "{"]),
)
def test_a_pack_reads_the_same_the_short_way(records: list[dict[str, Any]], name: str) -> None:
    """An escape in the payload makes it take the long way: what comes out is the same."""

    def read(more: str) -> object:
        text = json.dumps([*json.loads(pack(n=name)), *records], separators=(",", ":"))
        payload = text.replace('"v":212.5', f'"v":212.5{more}').encode()
        try:
            found = wire.decode_pack(payload, ADDRESS)
        except WireError as error:
            return error.reason
        return found[:5], [(r.n, r.u, r.v, r.t) for r in found.records]

    assert read("") == read(r',"x":"\u0041"')


def test_a_base_unit_counts_for_records_without_one() -> None:
    """The unit of a record is its own, or else the base unit."""
    records = [*json.loads(pack(bu="W", u=None)), {"n": "host/uptime", "u": "s", "v": 1}]
    found = wire.decode_pack(json.dumps(records).encode(), ADDRESS)
    assert [record.u for record in found.records] == ["W", "s"]


def test_packs_larger_than_the_limits_are_refused() -> None:
    """2 000 records and 256 KiB pass; one more does not."""
    head, record = json.loads(pack())[0], {"n": "host/power", "u": "W", "v": 1}
    fits = json.dumps([head] + [record] * (wire.MAX_RECORDS - 1)).encode()
    assert len(wire.decode_pack(fits, ADDRESS).records) == wire.MAX_RECORDS
    assert refusal(json.dumps([head] + [record] * wire.MAX_RECORDS).encode()) is Reason.LIMITS
    padded = pack() + b" " * (wire.MAX_PAYLOAD_BYTES - len(pack()))
    assert wire.decode_pack(padded, ADDRESS).seq == 42
    assert refusal(padded + b" ") is Reason.LIMITS


@pytest.mark.parametrize("decode", [wire.decode_birth, wire.decode_state, wire.decode_answer])
def test_small_documents_larger_than_the_limit_are_refused(
    decode: Callable[[bytes], object],
) -> None:
    """Every channel is bounded."""
    with pytest.raises(WireError) as refused:
        decode(b" " * (wire.MAX_PAYLOAD_BYTES + 1))
    assert refused.value.reason is Reason.LIMITS


def test_a_birth_with_too_many_resources_is_refused() -> None:
    """The collector's table of resources cannot be grown without end by one message."""
    resources = [{"id": f"sensor:{number}"} for number in range(wire.MAX_BIRTH_RESOURCES + 1)]
    document = {"boot": "a", "version": "1", "sent_at": 1.0, "resources": resources}
    with pytest.raises(WireError) as refused:
        wire.decode_birth(json.dumps(document).encode())
    assert refused.value.reason is Reason.LIMITS


@pytest.mark.parametrize("decode", [wire.decode_birth, wire.decode_state])
@pytest.mark.parametrize(
    "changes",
    [
        {"sent_at": 1e306},
        {"sent_at": -1.0},
        {"sent_at": 2.0**33 + 1},
        {"boot": ""},
        {"boot": "<script>"},
        {"boot": "x" * 129},
    ],
)
def test_a_document_of_nobody_or_of_no_time_is_undecodable(
    decode: Callable[[bytes], object], changes: dict[str, Any]
) -> None:
    """A moment that no clock shows, or a boot id that is none, cannot go on to cause harm."""
    document = {"boot": "a", "version": "1", "online": True, "sent_at": 1.0}
    assert decode(json.dumps(document).encode())
    with pytest.raises(WireError) as refused:
        decode(json.dumps(document | changes).encode())
    assert refused.value.reason is Reason.UNDECODABLE


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock_steps": -1},
        {"clock_steps": 2**53},
        {"last_step_s": 2**34},
        {"last_step_s": -(2**34)},
        {"delivered": {"": 1.0}},
        {"delivered": {"x" * 200: 1.0}},
        {"delivered": {"host": -1.0}},
        {"delivered": {"host": 2**34}},
    ],
)
def test_what_a_state_says_of_clock_and_sources_is_bounded(wrong: dict[str, object]) -> None:
    """An agent that says nothing of it is understood; one that says nonsense is not."""
    document = {"boot": "a", "online": True, "sent_at": 1.0}
    state = wire.decode_state(json.dumps(document).encode())
    assert (state.clock_steps, state.last_step_s, state.delivered) == (None, None, {})
    with pytest.raises(WireError) as refused:
        wire.decode_state(json.dumps(document | wrong).encode())
    assert refused.value.reason is Reason.UNDECODABLE


def test_a_state_has_no_more_sources_than_a_birth() -> None:
    """Beyond it is beyond the protocol's limits."""
    delivered = {f"s{n}": 1.0 for n in range(wire.MAX_BIRTH_RESOURCES + 1)}
    document = {"boot": "a", "online": True, "sent_at": 1.0, "delivered": delivered}
    with pytest.raises(WireError) as refused:
        wire.decode_state(json.dumps(document).encode())
    assert refused.value.reason is Reason.LIMITS


@pytest.mark.parametrize("spooled", [-1, 2**53, 10**30])
def test_a_state_counts_whole_batches(spooled: int) -> None:
    """Fewer than none, or more than can be numbered, is no count of batches."""
    document = {"boot": "a", "online": True, "sent_at": 1.0, "spooled": spooled}
    with pytest.raises(WireError) as refused:
        wire.decode_state(json.dumps(document).encode())
    assert refused.value.reason is Reason.UNDECODABLE


def test_what_a_birth_may_not_say_is_left_out_of_it_and_counted() -> None:
    """Ids that are none or stand twice, unknown quantities, sources without name or period."""
    document = {
        "boot": "a",
        "version": "1",
        "sent_at": 1.0,
        "sources": [
            {"name": "good", "period_s": 30.0},
            {"name": "", "period_s": 30.0},
            {"name": "x" * 129, "period_s": 30.0},
            {"name": "never", "period_s": 1e300},
            {"name": "still", "period_s": 0.0},
        ],
        "resources": [
            {"id": "host", "quantities": {"power": "gauge", "luck": "gauge", "x" * 999: "gauge"}},
            {"id": "host", "quantities": {"energy": "counter"}},
            {"id": "host:a b"},
            {"id": 'host:"}'},
            {"id": "toaster:1"},
            {"id": "host:" + "x" * 200},
        ],
    }
    cuts: Counter[str] = Counter()
    birth = wire.decode_birth(json.dumps(document).encode(), cuts)
    assert birth.resources == [wire.ResourceDescription("host", {"power": wire.Method.GAUGE})]
    assert birth.sources == [wire.SourceDescription("good", 30.0)]
    assert cuts == {"name": 7, "quantity": 2, "period": 2}


def test_texts_of_a_birth_are_cut_to_their_limits() -> None:
    """Version, reasons, display names and labels keep their beginning and are counted."""
    long = "é" * 1000
    birth = wire.Birth(
        boot="a",
        version=long,
        sent_at=1.0,
        sources=[wire.SourceDescription("rapl", 30.0, long)],
        resources=[
            wire.ResourceDescription("host", {}, long, {long: long}),
            wire.ResourceDescription("gpu:0", {}, "", {f"label{i}": "x" for i in range(50)}),
        ],
    )
    cuts: Counter[str] = Counter()
    found = wire.decode_birth(wire.encode(birth), cuts)
    text, label = "é" * 256, "é" * 64
    assert (found.version, found.sources[0].absent) == (text, text)
    assert (found.resources[0].name, found.resources[0].labels) == (text, {label: text})
    assert list(found.resources[1].labels) == [f"label{i}" for i in range(32)]
    assert cuts == {"text": 6}
    again: Counter[str] = Counter()
    assert wire.decode_birth(wire.encode(found), again) == found
    assert not again


def test_a_birth_with_too_many_sources_is_refused() -> None:
    """Sources are bounded as resources are."""
    sources = [{"name": "x", "period_s": 1.0}] * (wire.MAX_BIRTH_RESOURCES + 1)
    document = {"boot": "a", "version": "1", "sent_at": 1.0, "sources": sources}
    with pytest.raises(WireError) as refused:
        wire.decode_birth(json.dumps(document).encode())
    assert refused.value.reason is Reason.LIMITS


def test_what_a_refusal_says_is_bounded() -> None:
    """A sender cannot fill the log with what it sends."""
    document = {
        "boot": "a",
        "version": "1",
        "sent_at": 1.0,
        "resources": [{"id": "host", "quantities": {"power": "Z" * 100_000}}],
    }
    with pytest.raises(WireError) as refused:
        wire.decode_birth(json.dumps(document).encode())
    assert len(str(refused.value)) < 300


@given(
    st.builds(
        wire.Answer,
        boot=names,
        stored=st.lists(st.tuples(st.integers(1, 2**53), st.integers(1, 2**53)), max_size=4),
        refused=st.lists(st.tuples(st.integers(1, 2**53), st.sampled_from(Reason)), max_size=4),
    )
)
def test_an_answer_comes_back_as_it_was(answer: wire.Answer) -> None:
    """Round trip of the acknowledgement."""
    assert wire.decode_answer(wire.encode(answer)) == answer


@given(
    st.builds(
        wire.State,
        boot=names,
        online=st.booleans(),
        sent_at=st.floats(0, 2**33),
        synchronised=st.none() | st.booleans(),
        spooled=st.integers(0, 2**53 - 1),
        clock_steps=st.none() | st.integers(0, 2**53 - 1),
        last_step_s=st.none() | st.floats(-(2**33), 2**33),
        delivered=st.dictionaries(names, st.floats(0, 2**33), max_size=3),
    )
)
def test_a_state_comes_back_as_it_was(state: wire.State) -> None:
    """Round trip of the life sign."""
    assert wire.decode_state(wire.encode(state)) == state


def test_a_birth_comes_back_as_it_was() -> None:
    """Round trip of the description, display names in French among them."""
    birth = wire.Birth(
        boot="a",
        version="0.1.0",
        sent_at=1.5,
        sources=[wire.SourceDescription("rapl", 30.0, "absent: no /sys/class/powercap")],
        resources=[
            wire.ResourceDescription(
                "sensor:x", {"temperature": wire.Method.GAUGE}, "Allée « froide »", {"rack": "R1"}
            )
        ],
    )
    assert wire.decode_birth(wire.encode(birth)) == birth


@given(st.sets(st.integers(1, 60)), st.randoms(use_true_random=False))
def test_ranges_hold_exactly_the_numbers_given(numbers: set[int], chance: Any) -> None:
    """Any order, repeated: the ranges name each number once, ascending, none touching another."""
    shuffled = [*numbers, *numbers]
    chance.shuffle(shuffled)
    found = wire.ranges(shuffled)
    assert [n for low, high in found for n in range(low, high + 1)] == sorted(numbers)
    assert all(b[0] > a[1] + 1 for a, b in pairwise(found))


@given(names, names, st.sampled_from(wire.Channel))
def test_topics_are_read_as_they_are_written(site: str, agent: str, channel: wire.Channel) -> None:
    """A topic names sender and channel."""
    address = wire.Address(site, agent)
    assert wire.parse_topic(address.topic(channel)) == (address, channel)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "jauge/v1",
        "jauge/v1/",
        "jauge/v1/a/readings",
        "jauge/v1/a/b/other",
        "jauge/v1/a/b/readings/",
        "jauge/v1//b/readings",
        "jauge/v1/a/+/readings",
        "jauge/v2/a/b/readings",
        "x/jauge/v1/a/b/readings",
        "jauge/v1/jauge/v1/a/b/readings",
        f"jauge/v1/{'a' * 129}/b/readings",
        "jauge/v1/é/b/readings",
    ],
)
def test_other_topics_are_refused_by_address(topic: str) -> None:
    """Neither short, long, foreign nor ill-named topics pass."""
    with pytest.raises(WireError) as refused:
        wire.parse_topic(topic)
    assert refused.value.reason is Reason.ADDRESS


@given(st.binary(max_size=5000))
def test_the_head_of_any_payload_can_be_looked_at(payload: bytes) -> None:
    """Looking for the head of a refused pack never raises."""
    wire.claimed_head(payload)


def test_the_head_is_known_of_what_is_too_large_and_not_of_nonsense() -> None:
    """An oversized pack can be answered by its number; deep nesting and wild numbers cannot."""
    assert wire.claimed_head(pack() + b" " * 10**6) == ("9f2c61d0", 42)
    assert wire.claimed_head(pack(bseq=10**30)) is None
    assert wire.claimed_head(b'[{"x":' + b"[" * 4000 + b"}") is None


@pytest.mark.parametrize(
    ("resource", "quantity", "unit", "value", "flaw"),
    [
        ("host", "power", "W", 212.5, None),
        ("host", "power", "kW", 0.2, Flaw.UNIT),
        ("host", "might", "W", 1, Flaw.QUANTITY),
        ("toaster", "power", "W", 1, Flaw.NAME),
        ("gpu:", "power", "W", 1, Flaw.NAME),
        ("gpu:0", "temperature", "Cel", 201, Flaw.RANGE),
        ("gpu:0", "temperature", "Cel", 200, None),
        ("gpu:0", "power", "W", float("nan"), Flaw.VALUE),
        ("gpu:0", "power", "W", float("inf"), Flaw.VALUE),
    ],
)
def test_a_record_has_one_flaw_or_none(
    resource: str, quantity: str, unit: str, value: float, flaw: Flaw | None
) -> None:
    """Both bounds of the range are inside it."""
    assert flaw_of(resource, quantity, unit, value) is flaw


def _large_birth(resources: int) -> Birth:
    guests = [
        ResourceDescription(f"guest:{index:032x}", {"cpu_utilisation": Method.GAUGE})
        for index in range(resources)
    ]
    return Birth("b", "1", 1.0, resources=guests)


def test_a_birth_too_large_for_a_payload_travels_in_gzip() -> None:
    """A vCenter's guests fit."""
    birth = _large_birth(5300)
    payload = encode(birth)
    assert payload.startswith(b"\x1f\x8b")
    assert len(payload) < MAX_PAYLOAD_BYTES
    assert decode_birth(payload) == birth


@pytest.mark.parametrize("broken", [slice(0, -9), slice(0, 2), slice(0, 1000)])
def test_a_birth_cut_off_in_gzip_is_no_birth(broken: slice) -> None:
    """However early."""
    with pytest.raises(WireError) as refused:
        decode_birth(encode(_large_birth(5300))[broken])
    assert refused.value.reason is Reason.UNDECODABLE


def test_a_birth_that_unpacks_without_end_is_refused() -> None:
    """No more is unpacked than a birth may have, and nothing follows it."""
    with pytest.raises(WireError) as refused:
        decode_birth(gzip.compress(b" " * (MAX_BIRTH_BYTES + 1)))
    assert refused.value.reason is Reason.LIMITS
    with pytest.raises(WireError):
        decode_birth(gzip.compress(b"{}") + b"more")
