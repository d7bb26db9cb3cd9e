"""A certificate's name and dates, as openssl wrote them, and nothing of what is none."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.certificates import Certificate, CertificateError, decode

RSA: Final = ("-newkey", "rsa:2048", "-nodes")
EC: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

KEPT: Final = b"""\
-----BEGIN CERTIFICATE-----
MIIBWjCCAQGgAwIBAgIUE1oXtNWL/uLp7tz3uKXIDLMyHOAwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""
"""The beginning of one: all that stands here is sound, and its end is missing."""


@pytest.fixture(autouse=True)
def openssl() -> None:
    """Certificates are made by the openssl program."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")


def issued(folder: Path, subject: str, *more: str, key: tuple[str, ...] = EC) -> bytes:
    """A self-signed certificate."""
    path = folder / "c.pem"
    command = ["openssl", "req", "-x509", *key, "-utf8", "-subj", subject, *more]
    command += ["-keyout", str(folder / "c.key"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path.read_bytes()


def said_by_openssl(folder: Path) -> tuple[float, float]:
    """Beginning and end of the same certificate."""
    command = ["openssl", "x509", "-in", str(folder / "c.pem"), "-noout", "-dates"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    dates = [line.partition("=")[2] for line in done.stdout.splitlines()]
    first, last = (datetime.strptime(text, "%b %d %H:%M:%S %Y GMT") for text in dates)  # noqa: DTZ007
    return first.replace(tzinfo=UTC).timestamp(), last.replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("key", [EC, RSA], ids=["ec", "rsa"])
@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("/CN=lab\\/a1", "lab/a1"),
        ("/C=FR/O=Établissement public/OU=Énergie/CN=paris-1\\/srv-042.x", "paris-1/srv-042.x"),
        ("/CN=lab\\/a1/emailAddress=x@example.org", "lab/a1"),
        ("/O=nobody", ""),
        ("/CN=Zoé", "Zoé"),
    ],
)
@pytest.mark.parametrize(
    "period",
    [
        ("-days", "30"),
        ("-not_before", "19991231235959Z", "-not_after", "20491231235959Z"),
        ("-not_before", "20491231235959Z", "-not_after", "20991231235959Z"),
    ],
    ids=["now", "utc-time", "generalized-time"],
)
def test_name_and_dates_are_those_openssl_wrote(
    tmp_path: Path, subject: str, name: str, period: tuple[str, ...], key: tuple[str, ...]
) -> None:
    """Whatever key, name and encoding of times."""
    text = issued(tmp_path, subject, *period, key=key)
    assert decode(text) == Certificate(name, *said_by_openssl(tmp_path))


def test_the_first_of_a_chain_counts(tmp_path: Path) -> None:
    """A file holds the agent's own certificate first, maybe after remarks, then its issuers'."""
    own = issued(tmp_path, "/CN=lab\\/a1")
    issuer = issued(tmp_path, "/CN=authority")
    assert decode(b"Bag Attributes\n" + own + issuer).name == "lab/a1"
    assert decode(issuer + own).name == "authority"


def test_two_common_names_name_nobody(tmp_path: Path) -> None:
    """Which of them a broker takes is not ours to guess."""
    with pytest.raises(CertificateError, match="more than one common name"):
        decode(issued(tmp_path, "/CN=lab\\/a1/CN=lab\\/a2"))


@pytest.mark.parametrize(
    "text", [b"", b"hello", KEPT, KEPT.replace(b"MII", b"!!!"), KEPT.replace(b"MIIB", b"AAAA")]
)
def test_what_is_no_certificate_is_refused(text: bytes) -> None:
    """With an error for a person."""
    with pytest.raises(CertificateError, match=r"^holds "):
        decode(text)


@given(
    at=st.integers(0, 400),
    to=st.binary(max_size=3),
    cut=st.integers(0, 500),
)
def test_a_damaged_certificate_is_refused_or_read(
    damaged: bytes, at: int, to: bytes, cut: int
) -> None:
    """No damage leads to anything but the one error."""
    import base64

    der = damaged[:at] + to + damaged[at + len(to) : max(at, len(damaged) - cut)]
    text = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----" % base64.b64encode(der)
    try:
        decode(text)
    except CertificateError as error:
        assert str(error).startswith("holds ")  # noqa: PT017


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The DER of a sound certificate, to be damaged."""
    import base64

    text = issued(tmp_path_factory.mktemp("certificate"), "/CN=lab\\/a1")
    return base64.b64decode(b"".join(text.splitlines()[1:-1]))


def test_validity_is_told_for_a_moment() -> None:
    """Both ends included."""
    certificate = Certificate("lab/a1", 1000, 2000)
    assert [certificate.invalidity(at) for at in (1000, 1500, 2000)] == ["", "", ""]
    assert certificate.invalidity(999) == "is not valid before 1970-01-01T00:16:40Z"
    assert certificate.invalidity(2001) == "has expired on 1970-01-01T00:33:20Z"
