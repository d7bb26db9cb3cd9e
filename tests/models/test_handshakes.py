"""Why a handshake failed: OpenSSL's words and codes into a reason that both sides count."""

import pytest
from jauge_agent.refusal import Failure as OfAgent
from jauge_collector.refusal import Failure as OfCollector
from jauge_models.handshakes import Judged, broker_refused, we_are_refused


def refused(reason: str, *, certificate: str | None = "c.pem", is_early: bool = False) -> Judged:
    """The broker's alert, as an agent is told of it."""
    return we_are_refused(
        reason, section="broker", port=8883, certificate=certificate, is_early=is_early
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_missing"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate_expired"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate_revoked"),
        ("TLSV1_ALERT_UNKNOWN_CA", "certificate_untrusted"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "certificate_rejected"),
        ("WRONG_VERSION_NUMBER", "no_tls"),
        ("NO_SHARED_CIPHER", "tls"),
        ("", "tls"),
    ],
)
def test_what_the_broker_says_of_us(said: str, reason: str) -> None:
    """One reason each, known to both programs, and a line that says something."""
    judged = refused(said)
    assert judged.reason == reason
    assert str(OfAgent(judged.reason)) == str(OfCollector(judged.reason))
    assert len(judged.line) > 20


def test_what_an_alert_does_not_tell_is_added() -> None:
    """A bad certificate whose time has not come; a failed handshake without any certificate."""
    early = refused("SSLV3_ALERT_BAD_CERTIFICATE", is_early=True)
    assert early.reason == "certificate_not_yet_valid"
    missing = refused("SSLV3_ALERT_HANDSHAKE_FAILURE", certificate=None)
    assert missing.reason == "certificate_missing"
    assert "broker.cert_file" in missing.line
    assert refused("SSLV3_ALERT_HANDSHAKE_FAILURE").reason == "tls"


@pytest.mark.parametrize(
    ("code", "reason", "named"),
    [
        (10, "broker_expired", "renew it there"),
        (62, "broker_name", "mqtt.host"),
        (20, "broker_untrusted", "mqtt.ca_file"),
    ],
)
def test_what_we_say_of_the_broker(code: int, reason: str, named: str) -> None:
    """X509_V_ERR_CERT_HAS_EXPIRED, HOSTNAME_MISMATCH, UNABLE_TO_GET_ISSUER_CERT_LOCALLY."""
    judged = broker_refused(code, "said", section="mqtt", host="b.example.org", authorities=None)
    assert judged.reason == reason
    assert named in judged.line
    assert str(OfAgent(judged.reason)) == str(OfCollector(judged.reason))
