"""What the broker sends, read in pieces of any size, and what paho still has to do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector.receiver import LARGEST_PACKET, ProtocolError, Receiver, publish_packet
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

Message = tuple[str, bytes, bool]


class Line:
    """A receiver at one end of a socket; paho's own reading is noted."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        ours.setblocking(False)
        theirs.settimeout(5)
        self.broker = theirs
        self.got: list[Message] = []
        self.pongs = 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self.client._sock = ours
        self.client.on_log = self._on_log
        self.receiver = Receiver(self.client, lambda *message: self.got.append(message))

    def feed(self, data: bytes, piece: int) -> None:
        """Send in pieces of that size, and read each."""
        for at in range(0, len(data), piece):
            self.broker.sendall(data[at : at + piece])
            self.receiver.read()

    def _on_log(self, _client: object, _data: object, _level: int, text: str) -> None:
        self.pongs += text.startswith("Received PINGRESP")


@contextmanager
def line() -> Iterator[Line]:
    """A line that is open meanwhile."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Line(ours, theirs)


def packet(kind: int, content: bytes) -> bytes:
    """An MQTT packet."""
    left, length = len(content), b""
    while True:
        left, low = divmod(left, 128)
        length += bytes([low | 128 if left else low])
        if not left:
            return bytes([kind]) + length + content


def publish(topic: bytes, payload: bytes, *, mid: int = 0, retained: bool = False) -> bytes:
    """A PUBLISH, QoS 1 where it has a number."""
    content = len(topic).to_bytes(2, "big") + topic
    if mid:
        content += mid.to_bytes(2, "big")
    return packet(0x30 | (2 if mid else 0) | retained, content + payload)


PONG = b"\xd0\x00"
MESSAGES = st.lists(
    st.tuples(st.text(max_size=40), st.binary(max_size=300), st.booleans(), st.integers(0, 65535)),
    max_size=20,
)


@given(messages=MESSAGES, piece=st.integers(1, 400))
def test_pieces_of_any_size_give_the_same_messages(
    messages: list[tuple[str, bytes, bool, int]], piece: int
) -> None:
    """Each once, in order and whole; each of QoS 1 is acknowledged; the rest reaches paho."""
    stream = b"".join(
        publish(topic.encode(), payload, mid=mid, retained=retained) + PONG
        for topic, payload, retained, mid in messages
    )
    with line() as one:
        one.feed(stream, piece)
        assert one.got == [(topic, payload, flag) for topic, payload, flag, _ in messages]
        assert one.pongs == len(messages)
        numbers = [mid for *_, mid in messages if mid]
        acks = b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in numbers)
        assert (one.broker.recv(len(acks) + 1) if acks else b"") == acks


@pytest.mark.parametrize("size", [0, 1, 100, 125, 126, 16_000, 16_400, 300_000])
def test_a_packet_that_is_written_can_be_read(size: int) -> None:
    """Whatever its length takes, and with a topic that is no ASCII."""
    payload = b"x" * size
    assert publish_packet("é", payload) == publish("é".encode(), payload)


@pytest.mark.parametrize("piece", [1000, 60_000])
def test_what_is_too_large_is_passed_over_and_never_held(piece: int) -> None:
    """The next packet is read right, and no more of it is kept than a piece."""
    with line() as one:
        one.feed(publish(b"t", b"before"), piece)
        one.feed(publish(b"large", b"x" * (LARGEST_PACKET * 3)) + publish(b"t", b"after"), piece)
        assert one.got == [("t", b"before", False), ("t", b"after", False)]
        assert one.receiver.passed_over == 1


def test_a_topic_that_is_no_text_is_passed_over() -> None:
    """And its acknowledgement is sent, or the broker would wait for it."""
    with line() as one:
        one.feed(publish(b"\xff\xfe", b"x", mid=7) + publish(b"t", b"y"), 1000)
        assert one.got == [("t", b"y", False)]
        assert one.broker.recv(10) == b"\x40\x02\x00\x07"


@pytest.mark.parametrize(
    "nonsense",
    [b"\x30\xff\xff\xff\xff\x01", b"\x30\x01x", b"\x30\x03\x00\x09a", b"\x32\x03\x00\x01a"],
)
def test_what_is_no_mqtt_ends_the_connection(nonsense: bytes) -> None:
    """A length that is none, a topic longer than its packet, a number that is missing."""
    with line() as one, pytest.raises(ProtocolError):
        one.feed(nonsense, 100)


def test_the_end_of_a_connection_is_told_to_paho() -> None:
    """Its own callback says that the connection is lost."""
    with line() as one:
        ended: list[object] = []
        one.client.on_disconnect = lambda *arguments: ended.append(arguments[3])
        one.broker.close()
        one.receiver.read()
        assert len(ended) == 1
        assert one.client.loop_read() == MQTTErrorCode.MQTT_ERR_NO_CONN
