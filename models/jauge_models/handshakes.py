"""Why a TLS handshake with the broker failed: a bounded reason, and one line for a person.

Works on OpenSSL's own words and codes, so that agent and collector judge alike. ``section`` is
the part of the configuration in which the keys that a line names stand.
"""

from typing import Final, NamedTuple

BROKER_EXPIRED: Final = "broker_expired"
BROKER_NAME: Final = "broker_name"
BROKER_UNTRUSTED: Final = "broker_untrusted"
NO_TLS: Final = "no_tls"
TLS: Final = "tls"
_MISSING: Final = "certificate_missing"
_REJECTED: Final = "certificate_rejected"
_EARLY: Final = "certificate_not_yet_valid"

_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", _MISSING),
    ("CERTIFICATE_EXPIRED", "certificate_expired"),
    ("CERTIFICATE_REVOKED", "certificate_revoked"),
    ("UNKNOWN_CA", "certificate_untrusted"),
    ("BAD_CERTIFICATE", _REJECTED),
    ("UNSUPPORTED_CERTIFICATE", _REJECTED),
    ("CERTIFICATE_UNKNOWN", _REJECTED),
    ("ACCESS_DENIED", _REJECTED),
)
"""By a part of OpenSSL's name for the alert, which begins with the version that had it first."""

_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")

_HOSTNAME_MISMATCH: Final = frozenset({62, 64})
_OUTSIDE_VALIDITY: Final = frozenset({9, 10})
"""X509_V_ERR_* of OpenSSL."""

_FAULT: Final = {
    "certificate_expired": "it has expired: renew it",
    _EARLY: "it is not yet valid: check the clocks, or renew it",
    "certificate_revoked": "it is revoked: have a new one issued",
    "certificate_untrusted": "the broker trusts another authority: have it issued by that",
    _REJECTED: "it is bad, and no more is said: see the broker's log",
}


class Judged(NamedTuple):
    """``reason`` is one of those above, or of the ``certificate_…`` family."""

    reason: str
    line: str


def broker_refused(
    code: int, said: str, *, section: str, host: str, authorities: str | None
) -> Judged:
    """We do not accept the broker's certificate: OpenSSL's verification code and message."""
    if code in _OUTSIDE_VALIDITY:
        return Judged(BROKER_EXPIRED, f"the broker's certificate: {said}: renew it there")
    if code in _HOSTNAME_MISMATCH:
        line = f"the broker's certificate is not for {host}: {said}: check {section}.host"
        return Judged(BROKER_NAME, line)
    trusted = authorities or "the system's authorities"
    line = f"{trusted} do not vouch for the broker's certificate: {said}: check {section}.ca_file"
    return Judged(BROKER_UNTRUSTED, line)


def we_are_refused(
    reason: str, *, section: str, port: int, certificate: str | None, is_early: bool
) -> Judged:
    """The broker does not accept us: OpenSSL's name of the alert or error, empty where it has none.

    ``certificate`` is the file of the one that we show; ``is_early``: its time has not come.
    """
    if any(part in reason for part in _NOT_TLS):
        return Judged(NO_TLS, f"{section}.port {port} speaks no TLS: check {section}.port")
    found = next((name for part, name in _ALERTS if part in reason), TLS)
    if certificate is None and "HANDSHAKE_FAILURE" in reason:
        found = _MISSING  # as TLS 1.2 says it
    if found == _MISSING:
        asks = f"the broker asks for a certificate: give {section}.cert_file and key_file"
        return Judged(found, asks)
    if found == TLS:
        return Judged(TLS, f"TLS failed: {reason.replace('_', ' ').lower() or 'no reason told'}")
    # Brokers call a certificate bad when only its time has not come.
    if found == _REJECTED and is_early:
        found = _EARLY
    return Judged(found, f"the broker refuses {certificate}: {_FAULT[found]}")
