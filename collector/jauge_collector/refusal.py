"""Why there is no connection to the broker: a bounded reason to count, one line for a person."""

import socket
import ssl
import time
from enum import StrEnum
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.certificates import Certificate
from jauge_models.configuration import ConfigurationError
from jauge_models.handshakes import broker_refused, we_are_refused
from paho.mqtt.reasoncodes import ReasonCode

from jauge_collector.config import MqttConfig
from jauge_collector.credentials import NoTlsError


class Failure(StrEnum):
    """Why a connection failed or was lost."""

    NETWORK = "network"
    """Nobody there, or gone."""
    HOST = "host"
    """The broker's host name leads nowhere."""
    NO_TLS = "no_tls"
    """We speak TLS, and the broker's port does not."""
    CLOSED = "closed"
    """Closed at once without a word, as by a port that wants TLS."""
    BROKER_EXPIRED = "broker_expired"
    """The broker's certificate has expired, or is not yet valid."""
    BROKER_NAME = "broker_name"
    """The broker's certificate is for another host."""
    BROKER_UNTRUSTED = "broker_untrusted"
    """No authority that we trust vouches for the broker's certificate."""
    CERTIFICATE_MISSING = "certificate_missing"
    """The broker asks for a certificate, and we have none."""
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    """The broker trusts another authority than the one that issued ours."""
    CERTIFICATE_REJECTED = "certificate_rejected"
    """The broker does not say what it has against our certificate."""
    TLS = "tls"
    """Any other failure of TLS: no common version or cipher, as a rule."""
    NOT_AUTHORISED = "not_authorised"
    """User name, password, or the name in our certificate."""
    REFUSED = "refused"
    """Any other refusal of MQTT: identifier, version, broker not available."""
    NOT_SUBSCRIBED = "not_subscribed"
    """The broker does not let us read what agents publish."""
    DROPPED = "dropped"
    """Taken and ended within seconds, again and again: not permitted, or taken over."""
    DEAF = "deaf"
    """The connection holds, and nothing comes through it."""
    FILE = "file"
    """A file named in the configuration cannot be used."""


class ClosedError(aiomqtt.MqttError):
    """The broker ended a connection instead of accepting it."""


class BrokenError(aiomqtt.MqttError):
    """What came through the connection is of no use."""


class SubscriptionError(aiomqtt.MqttError):
    """The broker does not allow the subscription."""


class DeafError(aiomqtt.MqttError):
    """The connection holds, and nothing comes through it."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"deaf: not even {topic} comes back, which we publish ourselves")


SOON_S: Final = 5.0
"""A connection that the broker took and that ends within this was ended on purpose, as a rule."""
_TOO_OFTEN: Final = 2

_BAD_CREDENTIALS: Final = frozenset({4, 5, 134, 135})
"""CONNACK codes of MQTT 3.1.1 and 5."""


class Drops:
    """Whether connections that the broker took end soon, one after another."""

    def __init__(self) -> None:
        self._made_s: float | None = None
        self._in_a_row = 0

    @property
    def recurring(self) -> bool:
        """Whether it is no accident any more."""
        return self._in_a_row >= _TOO_OFTEN

    def made(self, now_s: float) -> None:
        """The broker took a connection, at a moment of a monotonic clock."""
        self._made_s = now_s

    def ended(self, now_s: float) -> None:
        """A connection, or the attempt at one, came to its end."""
        made_s, self._made_s = self._made_s, None
        if made_s is None:
            self._in_a_row = 0
        elif now_s - made_s < SOON_S or self.recurring:
            self._in_a_row += 1
        else:
            self._in_a_row = 0

    def is_over(self, now_s: float, holds_s: float) -> bool:
        """Whether a connection has held for so long that this can be forgotten, which it then is.

        Of two clients under one name each holds it until the other has waited for its next turn.
        """
        held = self._made_s is not None and now_s - self._made_s >= holds_s
        if not (held and self.recurring):
            return False
        self._in_a_row = 0
        return True


def explain(
    error: Exception,
    mqtt: MqttConfig,
    *,
    alert: ssl.SSLError | None = None,
    certificate: Certificate | None = None,
    drops: Drops | None = None,
) -> tuple[Failure, str]:
    """Reason and line for what ended a connection; ``alert`` is what TLS said of it."""
    # aiomqtt hides what it translates, but does not lose it.
    is_mqtt = isinstance(error, aiomqtt.MqttError)
    below = error.__cause__ or error.__context__ if is_mqtt else error
    tls = alert or (below if isinstance(below, ssl.SSLError) else None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _of_broker(tls, mqtt)
    if tls is not None:
        return _of_tls(tls, mqtt, certificate)
    match error:
        case DeafError():
            return Failure.DEAF, str(error)
        case ConfigurationError():
            return Failure.FILE, str(error)
        case MqttConnectError() if _code(error) in _BAD_CREDENTIALS:
            return Failure.NOT_AUTHORISED, f"the broker refuses {_who(mqtt)}"
        case MqttConnectError():
            return Failure.REFUSED, f"the broker refuses the connection: {error}"
        case SubscriptionError():
            return Failure.NOT_SUBSCRIBED, f"{error}: check its access list (access.acl)"
        case ClosedError():
            what = "whether this port speaks TLS" if not mqtt.tls else "the broker's log"
            return Failure.CLOSED, f"{error} at once, without a word: check {what}"
    if isinstance(below, BrokenError):
        return Failure.NETWORK, str(below)
    return _of_network(error if below is None else below, error, mqtt, drops)


def _of_network(
    below: BaseException, error: Exception, mqtt: MqttConfig, drops: Drops | None
) -> tuple[Failure, str]:
    match below:
        case NoTlsError():
            return Failure.NO_TLS, f"{below}: check that mqtt.port {mqtt.port} speaks TLS"
        case socket.gaierror():
            return Failure.HOST, f"{mqtt.host}: {below.strerror}: check mqtt.host"
    if not isinstance(error, aiomqtt.MqttError):
        return Failure.HOST, f"{error}: check mqtt.host"
    if drops is not None and drops.recurring:
        return Failure.DROPPED, _dropped(mqtt)
    return Failure.NETWORK, str(error) or "connection lost"


def _dropped(mqtt: MqttConfig) -> str:
    one = f"certificate ({mqtt.cert_file})" if mqtt.cert_file else "client"
    if mqtt.username:
        one = f"user ({mqtt.username})"
    return (
        f"the broker ends each connection soon after it took it: its access.acl does not let this "
        f"{one} subscribe, or another client uses it; a second collector needs one of its own"
    )


def _of_broker(error: ssl.SSLCertVerificationError, mqtt: MqttConfig) -> tuple[Failure, str]:
    judged = broker_refused(
        error.verify_code,
        error.verify_message,
        section="mqtt",
        host=mqtt.host,
        authorities=None if mqtt.ca_file is None else str(mqtt.ca_file),
    )
    return Failure(judged.reason), judged.line


def _of_tls(
    error: ssl.SSLError, mqtt: MqttConfig, certificate: Certificate | None
) -> tuple[Failure, str]:
    judged = we_are_refused(
        error.reason or "",
        section="mqtt",
        port=mqtt.port,
        certificate=None if mqtt.cert_file is None else str(mqtt.cert_file),
        is_early=certificate is not None and time.time() < certificate.not_before_s,
    )
    return Failure(judged.reason), judged.line


def _code(error: MqttConnectError) -> int:
    return error.rc.value if isinstance(error.rc, ReasonCode) else error.rc or 0


def _who(mqtt: MqttConfig) -> str:
    if mqtt.username:
        return f"user {mqtt.username}: check mqtt.username and password_file"
    if mqtt.cert_file:
        return f"the name in {mqtt.cert_file}: check the broker's users"
    return "a client without a name: give mqtt.cert_file, or username and password_file"
