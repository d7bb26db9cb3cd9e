"""Why there is no connection: a bounded reason to count, and one line for a person."""

import socket
import ssl
import time
from enum import StrEnum
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.certificates import Certificate
from jauge_models.handshakes import broker_refused, we_are_refused
from paho.mqtt.reasoncodes import ReasonCode

from jauge_agent.config import BrokerConfig
from jauge_agent.connection import ClosedError, SubscriptionError
from jauge_agent.credentials import CredentialError, NoTlsError


class Failure(StrEnum):
    """Why a connection failed or was lost."""

    NETWORK = "network"
    """Nobody there, or gone."""
    NAME = "name"
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
    """The broker does not let us read our own ``ack`` topic."""
    NOT_PERMITTED = "not_permitted"
    """The broker hangs up because of what we publish."""
    TAKEN_OVER = "taken_over"
    """Accepted and lost within seconds, again and again: another client uses our name."""
    FILE = "file"
    """A file named in the configuration cannot be used."""
    BUG = "bug"


_BAD_CREDENTIALS: Final = frozenset({4, 5, 134, 135})
"""CONNACK codes of MQTT 3.1.1 and 5."""


def explain(
    error: Exception,
    broker: BrokerConfig,
    *,
    alert: ssl.SSLError | None = None,
    certificate: Certificate | None = None,
) -> tuple[Failure, str]:
    """Reason and line for what ended a connection; ``alert`` is what TLS said of it."""
    # aiomqtt hides what it translates, but does not lose it.
    is_mqtt = isinstance(error, aiomqtt.MqttError)
    below = error.__cause__ or error.__context__ if is_mqtt else error
    tls = alert or (below if isinstance(below, ssl.SSLError) else None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _of_broker(tls, broker)
    if tls is not None:
        return _of_tls(tls, broker, certificate)
    match error:
        case CredentialError():
            return Failure.FILE, str(error)
        case MqttConnectError() if _code(error) in _BAD_CREDENTIALS:
            return Failure.NOT_AUTHORISED, f"the broker refuses {_who(broker)}"
        case MqttConnectError():
            return Failure.REFUSED, f"the broker refuses the connection: {error}"
        case SubscriptionError():
            return Failure.NOT_SUBSCRIBED, f"{error}: check the broker's access list"
        case ClosedError():
            what = "whether this port speaks TLS" if not broker.tls else "the broker's log"
            return Failure.CLOSED, f"{error} at once, without a word: check {what}"
    match below:
        case NoTlsError():
            return Failure.NO_TLS, f"{below}: check that broker.port {broker.port} speaks TLS"
        case socket.gaierror():
            return Failure.NAME, f"{broker.host}: {below.strerror}: check broker.host"
    if is_mqtt:
        return Failure.NETWORK, str(error) or "connection lost"
    if isinstance(error, OSError):
        return Failure.FILE, str(error)
    return Failure.BUG, f"{type(error).__name__}: {error}"


def _of_broker(error: ssl.SSLCertVerificationError, broker: BrokerConfig) -> tuple[Failure, str]:
    judged = broker_refused(
        error.verify_code,
        error.verify_message,
        section="broker",
        host=broker.host,
        authorities=None if broker.ca_file is None else str(broker.ca_file),
    )
    return Failure(judged.reason), judged.line


def _of_tls(
    error: ssl.SSLError, broker: BrokerConfig, certificate: Certificate | None
) -> tuple[Failure, str]:
    judged = we_are_refused(
        error.reason or "",
        section="broker",
        port=broker.port,
        certificate=None if broker.cert_file is None else str(broker.cert_file),
        is_early=certificate is not None and time.time() < certificate.not_before_s,
    )
    return Failure(judged.reason), judged.line


def _code(error: MqttConnectError) -> int:
    return error.rc.value if isinstance(error.rc, ReasonCode) else error.rc or 0


def _who(broker: BrokerConfig) -> str:
    if broker.username:
        return f"user {broker.username}: check broker.username and password_file"
    if broker.cert_file:
        return f"the name in {broker.cert_file}: check the broker's users"
    return "a client without a name: give broker.cert_file, or username and password_file"
