"""The two MQTT 3.1.1 packets of every tick, PUBLISH out and PUBACK in, and the answers coming in.

paho makes five system calls, a lock and a dozen objects of each, which is a fifth of what the
agent costs at one tick a second. These packets are written and read here; all others are paho's.
"""

import ssl
import time
from collections.abc import Callable
from typing import Final

from aiomqtt.exceptions import MqttCodeError, MqttError
from jauge_models.wire import MAX_PAYLOAD_BYTES
from paho.mqtt import client as paho

_PIECE: Final = 16 * 1024
_PUBLISH_QOS_0: Final = 0x30
_PUBLISH_QOS_1: Final = 0x32
_PUBACK: Final = 0x40
_RETAIN: Final = 1
_MOST_LENGTH_BYTES: Final = 4
_LARGEST_PACKET: Final = 2 * MAX_PAYLOAD_BYTES


class ProtocolError(MqttError):
    """What the broker sent is no MQTT, or larger than anything meant for an agent."""


class Packets:
    """Takes the place of ``client.loop_read`` and ``client.publish``; the client speaks 3.1.1.

    ``on_payload`` gets each message of QoS 0, ``on_acknowledged`` the number that `publish` gave.
    """

    def __init__(
        self,
        client: paho.Client,
        on_payload: Callable[[bytes], None],
        on_acknowledged: Callable[[int, int], None],
    ) -> None:
        self._client = client
        self._on_payload = on_payload
        self._on_acknowledged = on_acknowledged
        self._receive: Callable[[int], bytes] = client._sock_recv  # noqa: SLF001 - paho offers no other way
        client._sock_recv = self._for_paho  # type: ignore[method-assign]  # noqa: SLF001 - paho offers no other way
        self._begun = b""
        """The beginning of a packet whose rest is still to come."""
        self._rest = b""
        """What paho has still to read."""
        self._broken: OSError | None = None
        self._ended = False

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Write a message at QoS 1; returns its number.

        What the socket does not take at once is left for ``client.loop_write``, an error of the
        socket too. Raises MqttCodeError when the connection is gone.
        """
        client = self._client
        if client.socket() is None:
            raise MqttCodeError(paho.MQTT_ERR_NO_CONN, "could not publish")
        number = client._mid_generate()  # noqa: SLF001 - paho offers no other way
        name = topic.encode()
        kind = _PUBLISH_QOS_1 | (_RETAIN if retain else 0)
        length = 2 + len(name) + 2 + len(payload)
        packet = b"".join(
            (
                bytes((kind,)),
                _length_bytes(length),
                len(name).to_bytes(2, "big"),
                name,
                number.to_bytes(2, "big"),
                payload,
            )
        )
        rest = packet[self._written(packet) :]
        if rest:
            client._packet_queue(kind, rest, number, 1)  # noqa: SLF001 - paho offers no other way
        return number

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
            self._split(self._begun + piece if self._begun else piece)
            # TLS gives one record at a time, whatever lies behind it in the socket.
            if len(piece) < _PIECE and not isinstance(self._client.socket(), ssl.SSLSocket):
                return

    def _written(self, packet: bytes) -> int:
        """Write what the socket takes at once, unless another packet waits; how many bytes."""
        client = self._client
        if client.want_write():
            return 0
        try:
            written = client._sock_send(packet)  # noqa: SLF001 - paho offers no other way
        except OSError:  # no room, or an error that paho shall meet
            return 0
        client._last_msg_out = time.monotonic()  # noqa: SLF001 - paho offers no other way
        return written

    def _split(self, data: bytes) -> None:
        at, end = 0, len(data)
        while end - at >= 2:
            start = at + 2
            length = data[at + 1]
            if length & 128:
                length, start = _length(data, at + 1)
                if not start:
                    break
            stop = start + length
            if length > _LARGEST_PACKET:
                raise ProtocolError(f"a packet of {length} bytes")
            if stop > end:
                break
            kind = data[at]
            payload = start + 2 + (data[start] << 8 | data[start + 1]) if length >= 2 else stop + 1
            if kind & ~_RETAIN == _PUBLISH_QOS_0 and payload <= stop:
                self._on_payload(data[payload:stop])
            elif kind == _PUBACK and length == 2:
                self._on_acknowledged(data[start] << 8 | data[start + 1], 0)
            else:
                self._rest = data[at:stop]
                self._client.loop_read()
            at = stop
        self._begun = data[at:]

    def _for_paho(self, bufsize: int) -> bytes:
        if self._rest:
            given, self._rest = self._rest[:bufsize], self._rest[bufsize:]
            return given
        if self._broken is not None:
            raise self._broken
        if self._ended:
            return b""
        raise BlockingIOError


def _length_bytes(length: int) -> bytes:
    """A remaining length as MQTT 3.1.1, 2.2.3 writes it."""
    written = bytearray()
    while length > 127:
        written.append(length & 127 | 128)
        length >>= 7
    written.append(length)
    return bytes(written)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A packet's remaining length and where it ends; (0, 0) where it is cut off."""
    length = 0
    for n in range(_MOST_LENGTH_BYTES):
        if at + n >= len(data):
            return 0, 0
        length |= (data[at + n] & 127) << 7 * n
        if data[at + n] < 128:
            return length, at + n + 1
    raise ProtocolError("a packet whose length is none")
