"""Reads what the broker sends in large pieces, several times faster than packet by packet.

paho makes three system calls and a dozen objects of each packet. Whoever floods the broker fills
the one queue between broker and collector, in which everybody's packs wait: it must be emptied
faster than a broker can fill it. PUBLISH is read here; every other packet is left to paho.
"""

from collections.abc import Callable
from typing import Final

from jauge_models.wire import MAX_PAYLOAD_BYTES
from paho.mqtt import client as paho

LARGEST_PACKET: Final = 2 * MAX_PAYLOAD_BYTES
"""Bytes; a larger one is passed over, whatever the broker lets through."""

_PIECE: Final = 64 * 1024
_PUBLISH: Final = 0x30
_MOST_LENGTH_BYTES: Final = 4


class ProtocolError(Exception):
    """What the broker sent is no MQTT."""


class Receiver:
    """Takes the place of ``client.loop_read``; the client must not read by itself any more.

    ``deliver`` is given topic, payload and whether the message was retained.
    """

    def __init__(self, client: paho.Client, deliver: Callable[[str, bytes, bool], None]) -> None:
        self.passed_over = 0
        """Packets that were too large or whose topic is no text."""
        self._client = client
        self._deliver = deliver
        # paho has no public way; tests/collector/test_receiver.py notices if this one goes.
        self._receive: Callable[[int], bytes] = client._sock_recv  # noqa: SLF001 - paho offers no other way
        client._sock_recv = self._for_paho  # type: ignore[method-assign]  # noqa: SLF001 - paho offers no other way
        self._begun = b""
        """The beginning of a packet whose rest is still to come."""
        self._skip = 0
        """Bytes to come that belong to a packet that is passed over."""
        self._rest = b""
        """What paho has still to read."""
        self._broken: OSError | None = None
        self._ended = False

    def read(self) -> None:
        """Take what lies in the socket. Raises ProtocolError."""
        while True:
            try:
                piece = self._receive(_PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                self._broken = error
                self._client.loop_read()  # paho meets the error, and tells of it
                return
            if not piece:
                self._ended = True
                self._client.loop_read()
                return
            self._split(piece)
            # What TLS has decrypted already makes no socket readable.
            pending = getattr(self._client.socket(), "pending", None)
            if pending is None or not pending():
                return

    def _split(self, piece: bytes) -> None:
        if self._skip:
            passed = min(self._skip, len(piece))
            self._skip -= passed
            piece = piece[passed:]
        data = self._begun + piece if self._begun else piece
        at, end = 0, len(data)
        while end - at >= 2:
            start = at + 2
            length = data[at + 1]
            if length & 128:
                length, start = _length(data, at + 1)
                if not start:
                    break
            stop = start + length
            if length > LARGEST_PACKET:
                self.passed_over += 1
                self._skip = max(0, stop - end)
                at = min(stop, end)
                continue
            if stop > end:
                break
            kind = data[at]
            if kind & 0xF4 == _PUBLISH:  # QoS 2, which nobody asked for, is paho's
                self._publish(kind, data, start, stop)
            else:
                self._rest = data[at:stop]
                self._client.loop_read()
            at = stop
        self._begun = data[at:]

    def _publish(self, kind: int, data: bytes, start: int, stop: int) -> None:
        first = start + 2
        last = first + (data[start] << 8 | data[start + 1]) if first <= stop else stop + 1
        payload = last + 2 if kind & 2 else last
        if payload > stop:
            raise ProtocolError("a PUBLISH that is shorter than its topic")
        try:
            topic = data[first:last].decode()
        except UnicodeDecodeError:  # no broker should let it through
            self.passed_over += 1
        else:
            self._deliver(topic, data[payload:stop], bool(kind & 1))
        if kind & 2:
            self._client._send_puback(data[last] << 8 | data[last + 1])  # noqa: SLF001 - paho offers no other way

    def _for_paho(self, bufsize: int) -> bytes:
        if self._rest:
            given, self._rest = self._rest[:bufsize], self._rest[bufsize:]
            return given
        if self._broken is not None:
            raise self._broken
        if self._ended:
            return b""
        raise BlockingIOError


def publish_packet(topic: str, payload: bytes) -> bytes:
    """A PUBLISH of QoS 0, not retained (MQTT 3.1.1, 3.3)."""
    name = topic.encode()
    length = 2 + len(name) + len(payload)
    head = bytearray((_PUBLISH,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return b"".join((head, len(name).to_bytes(2, "big"), name, payload))


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A packet's remaining length (MQTT 3.1.1, 2.2.3) and where it ends; 0 where it is cut off."""
    length = 0
    for n in range(_MOST_LENGTH_BYTES):
        if at + n >= len(data):
            return 0, 0
        length |= (data[at + n] & 127) << 7 * n
        if data[at + n] < 128:
            return length, at + n + 1
    raise ProtocolError("a packet whose length is none")
