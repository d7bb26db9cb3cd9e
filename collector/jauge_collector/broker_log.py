"""What the broker says it refused: clients cannot see it, and Mosquitto tells them nothing.

Mosquitto publishes its log under ``$SYS/broker/log/#`` where its configuration has ``log_dest
topic`` (and the collector may read there). As seen with Mosquitto 2.0.21, by ``log_type``:

- ``notice``: a wrong user name or password ("not authorised"), malformed and oversized packets,
  what is no MQTT, too many connections, and failures of TLS, in one of two forms as chance has it:
  "Client connection from ADDRESS failed", with OpenSSL's words, or "Client <unknown> disconnected:
  Protocol error", without; the client has no name yet, and the address that connected last before
  stands for it.
- ``error``: never to be read. Over TLS a reader of it whose connection breaks kills the broker:
  it logs the failed write, sends that to the reader, fails, and so on until SIGSEGV.
- ``debug``: "Denied PUBLISH", what an ACL refuses. Mosquitto never puts this on the topic, whatever
  its ``log_type``, only in file, stderr or syslog; it is understood here for a broker that does.
  With ``max_queued_messages 0`` it ends the connection of whoever published it, and that is a
  notice ("Quota exceeded", for which 2.0.11 has no words but "Unknown error"); with any other
  number it says nothing here.

Lines quote what strangers send (client ids): they are compared at both ends only, cut, and escaped.
"""

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from jauge_collector.faults import Faults, Named, printable
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

TOPIC: Final = "$SYS/broker/log/N"
"""Notices; see above for what the others do."""
PREFIX: Final = "$SYS/broker/log/"

LINES_PER_S: Final = 500
"""Lines read in a second; the rest is counted as skipped."""
_LONGEST_LINE: Final = 1100
"""Bytes; Mosquitto cuts its lines at 1 000."""
_LONGEST_NAME: Final = 128


class Refusal(StrEnum):
    """Why a broker refused somebody; bounded, as it is a label."""

    ACL = "acl"
    NOT_AUTHORISED = "not_authorised"
    TLS = "tls"
    PROTOCOL = "protocol"
    CONNECTIONS = "connections"
    """More at once than the listener allows."""


_ENDINGS: Final = (
    (" disconnected, not authorised.", Refusal.NOT_AUTHORISED),
    (" disconnected due to protocol error.", Refusal.PROTOCOL),
    (" disconnected due to malformed packet.", Refusal.PROTOCOL),
    (" disconnected due to oversize packet.", Refusal.PROTOCOL),
)
"""Of lines that begin with "Client ", the client's id between."""
_DENIED: Final = ("Denied PUBLISH from ", "Denied SUBSCRIBE from ")
_BROKEN: Final = "Bad socket read/write on client "
_QUOTA: Final = (": Quota exceeded", ": Unknown error.")
_FROM: Final = "Client connection from "
_NEW: Final = "New connection from "
_HANDSHAKE: Final = "Client <unknown> disconnected: Protocol error."


class BrokerLog:
    """Counts refusals, names each client once for each reason, keeps the last line as example."""

    def __init__(
        self, telemetry: Telemetry, faults: Faults, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._telemetry = telemetry
        self._faults = faults
        self._clock = clock
        self._named = Named()
        self._last_address = ""
        self._second_s = 0.0
        self._lines = 0

    def read(self, topic: str, payload: bytes, now_ms: int) -> None:
        """One message below `PREFIX`."""
        now_s = self._clock()
        if now_s - self._second_s >= 1:
            self._second_s, self._lines = now_s, 0
        self._lines += 1
        if self._lines > LINES_PER_S:
            self._telemetry.broker_log_skipped.inc()
            return
        line = payload[:_LONGEST_LINE].decode(errors="replace")
        stamp, _, rest = line.partition(": ")
        text = rest if rest and stamp[:1].isdigit() else line
        if text.startswith(_NEW):
            self._last_address = _host(text.removeprefix(_NEW))
            return
        if (found := refusal_of(text)) is None:
            return
        reason, who = found
        who = who or self._last_address or "an unknown address"
        self._telemetry.broker_refusals.labels(reason).inc()
        self._faults.note(
            f"broker_{reason}", time_ms=now_ms, topic=topic, detail=who, payload=payload
        )
        if self._named.first((reason, who), now_ms):
            said = printable(text.encode(errors="backslashreplace"))
            name = printable(who.encode(errors="backslashreplace"))
            _log.warning("the broker refused %s (%s): %s", name, reason, said)


def refusal_of(text: str) -> tuple[Refusal, str] | None:
    """Reason and client of a line without its time; the client is empty where it has no name."""
    if text.startswith("Client "):
        if text == _HANDSHAKE:
            return Refusal.TLS, ""
        if text.startswith(_FROM):
            return _connection(text.removeprefix(_FROM))
        for ending, reason in _ENDINGS:
            if text.endswith(ending):
                return reason, _name(text[len("Client ") : -len(ending)])
        return None
    for beginning in _DENIED:
        if text.startswith(beginning):
            # What follows the id begins at the last bracket but those of the size.
            return Refusal.ACL, _name(text.removeprefix(beginning).partition(" (d")[0])
    if text.startswith(_BROKEN):
        for ending in _QUOTA:
            if text.endswith(ending):
                return Refusal.ACL, _name(text[len(_BROKEN) : -len(ending)])
    return None


def _connection(rest: str) -> tuple[Refusal, str] | None:
    """Of "ADDRESS failed: error…" or "ADDRESS denied: …": no client has a hand in these."""
    address, _, why = rest.partition(" ")
    if why.startswith("failed: error:"):
        return Refusal.TLS, address[:_LONGEST_NAME]
    if why.startswith("denied: max_connections"):
        return Refusal.CONNECTIONS, address[:_LONGEST_NAME]
    return None


def _name(client: str) -> str:
    return "" if client == "<unknown>" else client[:_LONGEST_NAME]


def _host(rest: str) -> str:
    """The address of "ADDRESS:PORT on port …"."""
    return rest.partition(" ")[0].rpartition(":")[0][:_LONGEST_NAME]
