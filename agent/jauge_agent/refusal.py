"""Why there is no connection: a bounded reason to count, and one line for a person."""

import socket
import ssl
import time
from enum import StrEnum
from typing import Final

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from jauge_models.certificates import Certificate
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


_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", Failure.CERTIFICATE_MISSING),
    ("CERTIFICATE_EXPIRED", Failure.CERTIFICATE_EXPIRED),
    ("CERTIFICATE_REVOKED", Failure.CERTIFICATE_REVOKED),
    ("UNKNOWN_CA", Failure.CERTIFICATE_UNTRUSTED),
    ("BAD_CERTIFICATE", Failure.CERTIFICATE_REJECTED),
    ("UNSUPPORTED_CERTIFICATE", Failure.CERTIFICATE_REJECTED),
    ("CERTIFICATE_UNKNOWN", Failure.CERTIFICATE_REJECTED),
    ("ACCESS_DENIED", Failure.CERTIFICATE_REJECTED),
)
"""By a part of OpenSSL's name for the alert, which begins with the version that had it first."""

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")

_HOSTNAME_MISMATCH: Final = frozenset({62, 64})
_OUTSIDE_VALIDITY: Final = frozenset({9, 10})
"""X509_V_ERR_* of OpenSSL."""

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
    said = error.verify_message
    if error.verify_code in _OUTSIDE_VALIDITY:
        return Failure.BROKER_EXPIRED, f"the broker's certificate: {said}: renew it there"
    if error.verify_code in _HOSTNAME_MISMATCH:
        line = f"the broker's certificate is not for {broker.host}: {said}: check broker.host"
        return Failure.BROKER_NAME, line
    trusted = broker.ca_file or "the system's authorities"
    line = f"{trusted} do not vouch for the broker's certificate: {said}: check broker.ca_file"
    return Failure.BROKER_UNTRUSTED, line


def _of_tls(
    error: ssl.SSLError, broker: BrokerConfig, certificate: Certificate | None
) -> tuple[Failure, str]:
    reason = error.reason or ""
    if any(part in reason for part in _NOT_TLS):
        return Failure.NO_TLS, f"broker.port {broker.port} speaks no TLS: check broker.port"
    failure = next((failure for part, failure in _ALERTS if part in reason), Failure.TLS)
    if broker.cert_file is None and "HANDSHAKE_FAILURE" in reason:
        failure = Failure.CERTIFICATE_MISSING  # as TLS 1.2 says it
    if failure is Failure.CERTIFICATE_MISSING:
        return failure, "the broker asks for a certificate: give broker.cert_file and key_file"
    if failure is Failure.TLS:
        return failure, f"TLS failed: {reason.replace('_', ' ').lower() or error}"
    # Brokers call a certificate bad when only its time has not come.
    is_early = certificate is not None and time.time() < certificate.not_before_s
    if failure is Failure.CERTIFICATE_REJECTED and is_early:
        failure = Failure.CERTIFICATE_NOT_YET_VALID
    return failure, f"the broker refuses {broker.cert_file}: {_FAULT[failure]}"


_FAULT: Final = {
    Failure.CERTIFICATE_EXPIRED: "it has expired: renew it",
    Failure.CERTIFICATE_NOT_YET_VALID: "it is not yet valid: check the clocks, or renew it",
    Failure.CERTIFICATE_REVOKED: "it is revoked: have a new one issued",
    Failure.CERTIFICATE_UNTRUSTED: "the broker trusts another authority: have it issued by that",
    Failure.CERTIFICATE_REJECTED: "it is bad, and no more is said: see the broker's log",
}


def _code(error: MqttConnectError) -> int:
    return error.rc.value if isinstance(error.rc, ReasonCode) else error.rc or 0


def _who(broker: BrokerConfig) -> str:
    if broker.username:
        return f"user {broker.username}: check broker.username and password_file"
    if broker.cert_file:
        return f"the name in {broker.cert_file}: check the broker's users"
    return "a client without a name: give broker.cert_file, or username and password_file"
