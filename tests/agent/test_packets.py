"""The packets of every tick, written and read without paho; the rest is still paho's."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from aiomqtt.exceptions import MqttCodeError
from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.packets import Packets, ProtocolError
from paho.mqtt.enums import CallbackAPIVersion

from tests.agent.certificates import Authority


class Line:
    """An agent's end of a socket; paho's own reading is noted."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        ours.setblocking(False)
        theirs.settimeout(5)
        self.broker = theirs
        self.got: list[bytes] = []
        self.acknowledged: list[int] = []
        self.pongs = 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self.client._sock = ours
        self.client.on_socket_register_write = lambda *_: None
        self.client.on_log = self._on_log
        self.packets = Packets(
            self.client, self.got.append, lambda number, _: self.acknowledged.append(number)
        )

    def feed(self, data: bytes, piece: int) -> None:
        """Send in pieces of that size, and read each."""
        for at in range(0, len(data), piece):
            self.broker.sendall(data[at : at + piece])
            self.packets.read()

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


def text(value: str) -> bytes:
    """A string of MQTT."""
    return len(value.encode()).to_bytes(2, "big") + value.encode()


PONG = b"\xd0\x00"
PARTS = st.lists(
    st.tuples(st.text(max_size=40), st.binary(max_size=300), st.integers(1, 65535)), max_size=20
)


@given(parts=PARTS, piece=st.integers(1, 400))
def test_pieces_of_any_size_give_the_same_packets(
    parts: list[tuple[str, bytes, int]], piece: int
) -> None:
    """Answers and acknowledgements each once, in order and whole; the rest reaches paho."""
    stream = b"".join(
        packet(0x30, text(topic) + payload) + packet(0x40, number.to_bytes(2, "big")) + PONG
        for topic, payload, number in parts
    )
    with line() as one:
        one.feed(stream, piece)
        assert one.got == [payload for _, payload, _ in parts]
        assert one.acknowledged == [number for *_, number in parts]
        assert one.pongs == len(parts)


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 70_000])
@pytest.mark.parametrize("retain", [False, True])
def test_a_message_is_written_as_mqtt_has_it(size: int, retain: bool) -> None:
    """Kind, length, topic, number and payload (MQTT 3.1.1, 3.3); numbers differ."""
    with line() as one:
        payload = bytes(size)
        numbers = []
        for _ in range(2):
            number = one.packets.publish("jauge/v1/s/a/readings", payload, retain=retain)
            numbers.append(number)
            wanted = packet(
                0x32 | retain,
                text("jauge/v1/s/a/readings") + number.to_bytes(2, "big") + payload,
            )
            one.client.loop_write()
            received = b""
            while len(received) < len(wanted):
                received += one.broker.recv(len(wanted) - len(received))
                one.client.loop_write()
            assert received == wanted
        assert len(set(numbers)) == 2


def test_no_message_overtakes_one_that_waits() -> None:
    """What the socket did not take goes first, then the next one, each whole."""
    with line() as one:
        payloads = [bytes([n]) * 3_000_000 for n in range(3)] + [b"small"]
        numbers = [one.packets.publish("t", payload, retain=False) for payload in payloads]
        wanted = b"".join(
            packet(0x32, text("t") + number.to_bytes(2, "big") + payload)
            for number, payload in zip(numbers, payloads, strict=True)
        )
        received = bytearray()
        while len(received) < len(wanted):
            received += one.broker.recv(1_000_000)
            one.client.loop_write()
        assert received == wanted


def test_an_error_of_the_socket_is_left_to_paho() -> None:
    """Its own callback says that the connection is lost, when it writes."""
    with line() as one:
        ended: list[object] = []
        one.client.on_disconnect = lambda *arguments: ended.append(arguments[3])
        one.broker.close()
        one.packets.publish("t", b"", retain=False)
        assert one.client.want_write()
        one.client.loop_write()
        assert len(ended) == 1


def test_without_a_connection_nothing_is_queued() -> None:
    """Whoever sends is told."""
    with line() as one:
        one.client._sock = None
        with pytest.raises(MqttCodeError):
            one.packets.publish("t", b"", retain=False)


@pytest.mark.parametrize("nonsense", [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f"])
def test_what_is_no_mqtt_or_too_large_ends_the_connection(nonsense: bytes) -> None:
    """A length that is none, and one of 256 MiB, of which nothing is awaited."""
    with line() as one, pytest.raises(ProtocolError):
        one.feed(nonsense, 100)


def test_one_look_takes_all_records_of_tls(tmp_path: Path) -> None:
    """Else an agent that looks once a tick, and is sent two packets, falls ever further behind."""
    authority = Authority(tmp_path)
    server = authority.issue("server")
    ours, theirs = socket.socketpair()
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    proving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    proving.load_cert_chain(server.certificate, server.key)
    with ours, theirs, ThreadPoolExecutor() as threads:
        wrapped = threads.submit(proving.wrap_socket, theirs, server_side=True)
        with (
            trusting.wrap_socket(ours, server_hostname="localhost") as end,
            wrapped.result() as broker,
        ):
            one = Line(end, broker)
            for number in range(1, 11):
                broker.sendall(packet(0x40, number.to_bytes(2, "big")))
            one.packets.read()
        assert one.acknowledged == list(range(1, 11))


def test_the_end_of_a_connection_is_told_to_paho() -> None:
    """Its own callback says that the connection is lost."""
    with line() as one:
        ended: list[object] = []
        one.client.on_disconnect = lambda *arguments: ended.append(arguments[3])
        one.broker.close()
        one.packets.read()
        assert len(ended) == 1
