"""The wire format, version 1: what travels on the topics ``jauge/v1/<site>/<agent>/…``.

``readings`` carries SenML JSON (RFC 8428), one pack per batch; ``birth``, ``state`` and ``ack``
carry small JSON documents of their own. docs/wire-protocol.md describes them for other
implementers. Nothing here trusts its input: every decoder is bounded and raises WireError.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar

import msgspec

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import MAX_NAME_LENGTH, is_name, is_resource

TOPIC_ROOT: Final = "jauge/v1"

MAX_PAYLOAD_BYTES: Final = 256 * 1024
MAX_RECORDS: Final = 2000
MAX_BIRTH_RESOURCES: Final = 10_000
"""Resources of one birth document, and sources."""
MAX_BIRTH_BYTES: Final = 4 * 1024 * 1024
"""Of a birth document once unpacked."""
MAX_TEXT_LENGTH: Final = 256
"""Characters of a name for people, a version, a reason or a label's value; the rest is cut."""
MAX_LABELS: Final = 32
"""Labels of one resource; the rest is cut."""
MAX_LABEL_LENGTH: Final = 64
"""Characters of a label's name; a longer one is cut."""
STATE_EVERY_S: Final = 60.0
"""Seconds between two states of an agent."""
_MAX_HEAD_BYTES: Final = 4096

_OLDEST_ABSOLUTE_TIME_S: Final = 2**28
"""SenML times below this are relative to the moment of receipt (RFC 8428 4.5.3): never ours."""
_NEWEST_TIME_S: Final = 2**33
_Document = TypeVar("_Document", bound=msgspec.Struct)

_MAX_SEQ: Final = 2**53 - 1
"""The largest whole number that every JSON reader takes exactly."""
_LONGEST_PERIOD_S: Final = 366 * 86_400
_MAX_DETAIL: Final = 200
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Channel(StrEnum):
    """Last level of an agent's topics."""

    BIRTH = "birth"
    STATE = "state"
    READINGS = "readings"
    ACK = "ack"


class Reason(StrEnum):
    """Why a whole message is not stored. A bounded set, because it becomes a label."""

    UNDECODABLE = "undecodable"
    """Cannot be read: no answer, the agent's spool ends it by age."""
    VERSION = "version"
    """Another version, or an extension that must be understood (RFC 8428 4.4): no answer."""
    FUTURE = "future"
    """Stamped ahead of the collector's clock: no answer, it comes again."""
    ADDRESS = "address"
    """Topic and payload name different senders: refused. An unknown site gets no answer."""
    UNKNOWN_AGENT = "unknown_agent"
    """The site is known and lists its agents, but not this one: no answer."""
    LIMITS = "limits"
    """Larger than the protocol allows: refused."""
    TOO_OLD = "too_old"
    """Older than what the store keeps or the ledger still changes: refused."""


class WireError(ValueError):
    """A message that cannot be used, with its bounded reason and a detail of bounded length."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:_MAX_DETAIL]
        super().__init__(f"{reason}: {self.detail}")


class Address(NamedTuple):
    """Who speaks: taken from the topic, and checked against the payload."""

    site: str
    agent: str

    def topic(self, channel: Channel) -> str:
        """The agent's topic for one channel."""
        return f"{TOPIC_ROOT}/{self.site}/{self.agent}/{channel}"

    @property
    def base_name(self) -> str:
        """The SenML base name of the agent's packs."""
        return f"{self.site}/{self.agent}/"


def parse_topic(topic: str) -> tuple[Address, Channel]:
    """Sender and channel of a topic; raises WireError(ADDRESS) for any other topic."""
    head, _, rest = topic.partition(f"{TOPIC_ROOT}/")
    parts = rest.split("/")
    if head or len(parts) != 3 or not (is_name(parts[0]) and is_name(parts[1])):
        raise WireError(Reason.ADDRESS, "not a jauge topic")
    try:
        channel = Channel(parts[2])
    except ValueError:
        raise WireError(Reason.ADDRESS, "unknown channel") from None
    return Address(parts[0], parts[1]), channel


class Record(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One SenML record of a pack, without the base fields; read as such it has no other label."""

    n: str = ""
    u: str = ""
    v: float | None = None
    t: float = 0.0


class FirstRecord(Record, gc=False, forbid_unknown_fields=False):
    """The first record of a pack: the only one with base fields. Other labels are ignored."""

    bn: str = ""
    bt: float = 0.0
    bu: str = ""
    bboot: str = ""
    bseq: int = 0
    bfrom: float = 0.0
    bver: int | None = None
    bv: float | None = None
    bs: float | None = None


class _PlainFirstRecord(FirstRecord, gc=False, forbid_unknown_fields=True):
    """The same without any label that is none of its fields."""


class Sample(NamedTuple):
    """What an agent reports: a value of one quantity of one of its resources."""

    resource: str
    quantity: str
    value: float


class Pack(NamedTuple):
    """A decoded batch. Names in ``records`` are relative to ``address.base_name``."""

    address: Address
    boot: str
    seq: int
    oldest_ms: int
    """Time of the agent's oldest batch that has no answer yet: all before it is settled."""
    time_ms: int
    records: Sequence[Record]


def encode_samples(samples: Iterable[Sample]) -> bytes:
    """The records of one tick as a JSON array, values rounded to the catalogue's decimals.

    This is what the spool keeps; `seal` makes it a pack. Values are finite, as `readings.flaw_of`
    has it. Raises ValueError when empty.
    """
    columns = tuple(zip(*samples, strict=True))
    if not columns:
        raise ValueError("a batch needs at least one sample")
    resources, quantities, values = columns
    return (_form(resources, quantities) % values).encode()


def encode_dated(samples: Sequence[tuple[float, Sample]]) -> bytes:
    """The same of samples with their times, in seconds relative to the pack's; never spooled."""
    records = msgspec.json.decode(
        encode_samples(sample for _, sample in samples), type=list[Record]
    )
    for record, (time_s, _) in zip(records, samples, strict=True):
        record.t = time_s
    return _ENCODER.encode(records)


def seal(
    body: bytes, *, address: Address, boot: str, seq: int, oldest_ms: int, time_ms: int
) -> bytes:
    """The SenML pack of a spooled body: its base fields go into its first record."""
    head = _ENCODER.encode(
        {
            "bn": address.base_name,
            "bt": time_ms / 1000,
            "bboot": boot,
            "bseq": seq,
            "bfrom": oldest_ms / 1000,
        }
    )
    return b"[" + head[:-1] + b"," + body[2:]


def decode_pack(payload: bytes, address: Address) -> Pack:
    """Read a pack that came on the readings topic of ``address``.

    Records are not judged here, only that the pack as a whole is one of ours. Raises WireError.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(Reason.LIMITS, f"payload of {len(payload)} bytes")
    records: Sequence[Record]
    plain = _plain_records(payload)
    if plain is None:
        try:
            every = _FULL_PACK_DECODER.decode(payload)
        except _UNREADABLE as error:
            raise WireError(Reason.UNDECODABLE, str(error)) from None
        if not every:
            raise WireError(Reason.UNDECODABLE, "empty pack")
        first, records = every[0], every
        _refuse_unknown_extensions(payload)
    else:
        first, records = plain
    _check_head(first, address)
    if len(records) > MAX_RECORDS:
        raise WireError(Reason.LIMITS, f"{len(records)} records")
    if plain is None or any(map(_own_time, records)):
        for record in records:
            if isinstance(record, FirstRecord) and record is not first:
                _check_later(record)
            if not _is_absolute(first.bt + record.t):
                raise WireError(Reason.UNDECODABLE, "time is not an absolute time")
    if first.bu:
        for record in records:
            record.u = record.u or first.bu
    return Pack(
        address=address,
        boot=first.bboot,
        seq=first.bseq,
        oldest_ms=round(first.bfrom * 1000),
        time_ms=round(first.bt * 1000),
        records=records,
    )


def claimed_head(payload: bytes) -> tuple[str, int] | None:
    """``boot`` and ``seq`` of a pack that is refused as a whole, to answer it by; None if absent.

    Reads no more than the first record, so that a payload of any size may be given.
    """
    start, end = payload.find(b"{", 0, 64), payload.find(b"}", 0, _MAX_HEAD_BYTES)
    try:
        first = _RECORD_DECODER.decode(payload[start : end + 1])
    except _UNREADABLE:
        return None
    return (first.bboot, first.bseq) if _names_a_batch(first) else None


class Method(StrEnum):
    """How a quantity of a resource is obtained; decides how far the ledger trusts it."""

    REGISTER = "register"
    """A meter's cumulative register: bridges any gap exactly in total."""
    COUNTER = "counter"
    """A device's energy counter, which may wrap unseen in a long gap."""
    GAUGE = "gauge"
    ESTIMATE = "estimate"


class ResourceDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """One resource of a birth document."""

    id: str
    quantities: dict[str, Method] = {}
    name: str = ""
    labels: dict[str, str] = {}


class SourceDescription(msgspec.Struct, frozen=True):
    """One source of a birth document; ``absent`` says why a configured one is not there."""

    name: str
    period_s: float
    absent: str | None = None


class Cut(StrEnum):
    """What is left out of a birth document that is used otherwise; bounded, as it is a label."""

    NAME = "name"
    """A resource whose id is none, or stands there twice; a source without a usable name."""
    QUANTITY = "quantity"
    """A quantity that the catalogue does not know."""
    PERIOD = "period"
    """A source whose period is no duration."""
    TEXT = "text"
    """A text or a set of labels beyond its limit, of which the beginning is kept."""


class Birth(msgspec.Struct, frozen=True):
    """Retained description of an agent, sent at every connection and when it changes."""

    boot: str
    version: str
    sent_at: float
    sources: list[SourceDescription] = []
    resources: list[ResourceDescription] = []


class State(msgspec.Struct, frozen=True):
    """Retained life sign, every `STATE_EVERY_S` and as the last will. ``sent_at``: Unix seconds.

    What an older agent does not say is None or empty.
    """

    boot: str
    online: bool
    sent_at: float
    synchronised: bool | None = None
    spooled: int = 0
    clock_steps: int | None = None
    """How often the wall clock was set by more than slewing since the process began."""
    last_step_s: float | None = None
    """Size of the last of them, in seconds, positive when it was set forward."""
    delivered: dict[str, float] = {}
    """By source of the birth document: when it last delivered a reading, in Unix seconds."""


class Answer(msgspec.Struct, frozen=True):
    """The collector's end-to-end acknowledgement, in ranges of batch numbers, both ends in."""

    boot: str
    stored: list[tuple[int, int]] = []
    refused: list[tuple[int, str]] = []


def encode(document: Birth | State | Answer) -> bytes:
    """JSON of one of the small documents; a birth too large for a payload comes in gzip."""
    encoded = _ENCODER.encode(document)
    if isinstance(document, Birth) and MAX_PAYLOAD_BYTES < len(encoded) <= MAX_BIRTH_BYTES:
        packer = zlib.compressobj(wbits=_GZIP_WBITS)
        return packer.compress(encoded) + packer.flush()
    return encoded


def decode_birth(payload: bytes, cuts: Counter[str] | None = None) -> Birth:
    """Read a birth document; raises WireError.

    Entries that cannot be used are left out and texts cut to their limits, counted in ``cuts`` by
    `Cut`.
    """
    birth = _decode(payload, _BIRTH_DECODER, unpack=payload.startswith(_GZIP_MAGIC))
    _check_sender(birth.boot, birth.sent_at)
    for many, what in ((birth.resources, "resources"), (birth.sources, "sources")):
        if len(many) > MAX_BIRTH_RESOURCES:
            raise WireError(Reason.LIMITS, f"{len(many)} {what}")
    cuts = Counter() if cuts is None else cuts
    resources: dict[str, ResourceDescription] = {}
    for resource in birth.resources:
        if is_resource(resource.id) and resource.id not in resources:
            resources[resource.id] = _bounded_resource(resource, cuts)
        else:
            cuts[Cut.NAME] += 1
    return Birth(
        boot=birth.boot,
        version=_bounded(birth.version, cuts),
        sent_at=birth.sent_at,
        sources=[
            SourceDescription(
                source.name,
                source.period_s,
                None if source.absent is None else _bounded(source.absent, cuts),
            )
            for source in birth.sources
            if _is_source(source, cuts)
        ],
        resources=list(resources.values()),
    )


def decode_state(payload: bytes) -> State:
    """Read a state document; raises WireError."""
    state = _decode(payload, _STATE_DECODER)
    _check_sender(state.boot, state.sent_at)
    if not 0 <= state.spooled <= _MAX_SEQ:
        raise WireError(Reason.UNDECODABLE, "spooled is not a number of batches")
    if state.clock_steps is not None and not 0 <= state.clock_steps <= _MAX_SEQ:
        raise WireError(Reason.UNDECODABLE, "clock_steps is not a number of steps")
    if state.last_step_s is not None and not abs(state.last_step_s) <= _NEWEST_TIME_S:
        raise WireError(Reason.UNDECODABLE, "last_step_s is not a duration")
    if len(state.delivered) > MAX_BIRTH_RESOURCES:
        raise WireError(Reason.LIMITS, f"{len(state.delivered)} sources")
    for source, time_s in state.delivered.items():
        if not (0 < len(source) <= MAX_NAME_LENGTH and 0 <= time_s <= _NEWEST_TIME_S):
            raise WireError(Reason.UNDECODABLE, "delivered is not sources with their times")
    return state


def decode_answer(payload: bytes) -> Answer:
    """Read an answer; raises WireError."""
    return _decode(payload, _ANSWER_DECODER)


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ascending ranges with both ends in: 1, 2, 3, 7 is (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


@lru_cache(maxsize=8)
def _form(resources: tuple[str, ...], quantities: tuple[str, ...]) -> str:
    """A batch with places for its values, which are all that a tick changes."""
    return f"[{','.join(map(_record_form, resources, quantities))}]"


@lru_cache(maxsize=4096)
def _record_form(resource: str, quantity: str) -> str:
    """A record with a place for its value, rounded."""
    entry = CATALOGUE[quantity]
    named = _ENCODER.encode(Record(f"{resource}/{quantity}", str(entry.unit))).decode()
    return f'{named[:-1].replace("%", "%%")},"v":%.{entry.decimals}f}}'


def _check_sender(boot: str, sent_at: float) -> None:
    if not is_name(boot):
        raise WireError(Reason.UNDECODABLE, "boot is not a name")
    if not 0 <= sent_at <= _NEWEST_TIME_S:
        raise WireError(Reason.UNDECODABLE, "sent_at is not a time")


def _bounded_resource(resource: ResourceDescription, cuts: Counter[str]) -> ResourceDescription:
    known = {name: how for name, how in resource.quantities.items() if name in CATALOGUE}
    if missed := len(resource.quantities) - len(known):
        cuts[Cut.QUANTITY] += missed
    return ResourceDescription(
        resource.id, known, _bounded(resource.name, cuts), _bounded_labels(resource.labels, cuts)
    )


def _bounded_labels(labels: Mapping[str, str], cuts: Counter[str]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        cuts[Cut.TEXT] += 1
    return {
        _bounded(key, cuts, MAX_LABEL_LENGTH): _bounded(value, cuts)
        for key, value in list(labels.items())[:MAX_LABELS]
    }


def _bounded(text: str, cuts: Counter[str], longest: int = MAX_TEXT_LENGTH) -> str:
    if len(text) > longest:
        cuts[Cut.TEXT] += 1
    return text[:longest]


def _is_source(source: SourceDescription, cuts: Counter[str]) -> bool:
    flaw = None
    if not 0 < len(source.name) <= MAX_NAME_LENGTH:
        flaw = Cut.NAME
    elif not 0 < source.period_s <= _LONGEST_PERIOD_S:
        flaw = Cut.PERIOD
    if flaw is not None:
        cuts[flaw] += 1
    return flaw is None


def _check_head(first: FirstRecord, address: Address) -> None:
    if first.bver is not None:
        raise WireError(Reason.VERSION, f"SenML version {first.bver}")
    if first.bn != address.base_name:
        raise WireError(Reason.ADDRESS, "base name and topic differ")
    if not _names_a_batch(first):
        raise WireError(Reason.UNDECODABLE, "bboot or bseq missing")
    if not _is_absolute(first.bt):
        raise WireError(Reason.UNDECODABLE, "bt is not an absolute time")
    if not 0 <= first.bfrom <= _NEWEST_TIME_S:
        raise WireError(Reason.UNDECODABLE, "bfrom is not a time")
    _refuse_base_values(first)


def _names_a_batch(first: FirstRecord) -> bool:
    return is_name(first.bboot) and 1 <= first.bseq <= _MAX_SEQ


def _is_absolute(time_s: float) -> bool:
    return _OLDEST_ABSOLUTE_TIME_S <= time_s <= _NEWEST_TIME_S


def _check_later(record: FirstRecord) -> None:
    """A record after the first, read as if it had base fields: it must have none."""
    if record.bver is not None:
        raise WireError(Reason.VERSION, f"SenML version {record.bver}")
    if record.bn or record.bt or record.bu or record.bboot or record.bseq or record.bfrom:
        raise WireError(Reason.UNDECODABLE, "base fields after the first record")
    _refuse_base_values(record)


def _refuse_base_values(record: FirstRecord) -> None:
    if record.bv is not None or record.bs is not None:
        raise WireError(Reason.UNDECODABLE, "base values are not supported")


def _plain_records(payload: bytes) -> tuple[FirstRecord, Sequence[Record]] | None:
    """The records of a pack that has no label but ours, and base fields in the first alone.

    None for any other, and for what cannot be read. Nearly every pack is so, and reading it takes
    a third of the time.
    """
    end = payload.find(b"}", 0, _MAX_HEAD_BYTES) + 1
    if not payload.startswith(b"[{") or not end:
        return None
    try:
        first = _PLAIN_FIRST_DECODER.decode(payload[1:end])
        if payload[end:] == b"]":
            return first, [first]
        if payload[end : end + 1] != b",":
            return None
        later = _RECORDS_DECODER.decode(b"[" + payload[end + 1 :])
    except _UNREADABLE:
        return None  # also a brace inside a text: the first record ends elsewhere
    # A comma must not be the last thing before the end.
    return (first, [first, *later]) if later else None


def _refuse_unknown_extensions(payload: bytes) -> None:
    # The underscore at the end of a label may be escaped.
    if b'_"' not in payload and b"\\" not in payload:
        return
    # Labels that no field takes were skipped unread so far: their values may still be malformed.
    try:
        raw: Sequence[dict[str, object]] = msgspec.json.decode(payload)
    except _UNREADABLE as error:
        raise WireError(Reason.UNDECODABLE, str(error)) from None
    for label in {label for record in raw for label in record}:
        if label.endswith("_"):
            raise WireError(Reason.VERSION, "an extension that must be understood")


def _decode(
    payload: bytes, decoder: "msgspec.json.Decoder[_Document]", *, unpack: bool = False
) -> _Document:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WireError(Reason.LIMITS, f"payload of {len(payload)} bytes")
    if unpack:
        payload = _unpacked(payload)
    try:
        return decoder.decode(payload)
    except _UNREADABLE as error:
        raise WireError(Reason.UNDECODABLE, str(error)) from None


def _unpacked(payload: bytes) -> bytes:
    """One gzip member, never more than a birth may have."""
    unpacker = zlib.decompressobj(_GZIP_WBITS)
    try:
        document = unpacker.decompress(payload, MAX_BIRTH_BYTES + 1)
    except zlib.error as error:
        raise WireError(Reason.UNDECODABLE, str(error)) from None
    if len(document) > MAX_BIRTH_BYTES:
        raise WireError(Reason.LIMITS, f"unpacks to more than {MAX_BIRTH_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise WireError(Reason.UNDECODABLE, "not one whole gzip member")
    return document


_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_ENCODER: Final = msgspec.json.Encoder()
_RECORDS_DECODER: Final = msgspec.json.Decoder(list[Record])
_PLAIN_FIRST_DECODER: Final = msgspec.json.Decoder(_PlainFirstRecord)
_own_time: Final = attrgetter("t")
_FULL_PACK_DECODER: Final = msgspec.json.Decoder(list[FirstRecord])
_RECORD_DECODER: Final = msgspec.json.Decoder(FirstRecord)
_BIRTH_DECODER: Final = msgspec.json.Decoder(Birth)
_STATE_DECODER: Final = msgspec.json.Decoder(State)
_ANSWER_DECODER: Final = msgspec.json.Decoder(Answer)
