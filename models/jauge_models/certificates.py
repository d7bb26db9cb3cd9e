"""What a certificate says of itself: whose it is, and from when to when.

The standard library tells this only of a peer's certificate, once a handshake has shown it to be
valid; agent and collector must know it of their own before that, and most of all when it is not
valid. So the few fields are found by a walk over the DER (X.690; RFC 5280, 4.1 and 4.1.2). Whether
a signature holds, and whether the key fits, is left to OpenSSL.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

WARN_BEFORE_S: Final = 14 * 86_400.0
"""A certificate that ends sooner is spoken of."""

_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----"
)

_LONG_FORM: Final = 0x80
"""The length is in as many octets as the other bits say."""
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_OBJECT_IDENTIFIER: Final = 0x06
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_COMMON_NAME: Final = bytes((0x55, 0x04, 0x03))
_TEXT: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
"""Encodings of the string types that a name may have, by their tags."""


class CertificateError(ValueError):
    """The text holds no certificate, or none that can be read; says why, for a person."""


class Certificate(NamedTuple):
    """The fields of one certificate. It holds from one Unix second to the other, both included."""

    name: str
    """Common name of the subject; empty where it has none."""
    not_before_s: float
    not_after_s: float

    def invalidity(self, now_s: float) -> str:
        """Why it does not hold at that time, for a person; empty when it does."""
        if now_s > self.not_after_s:
            return f"has expired on {day(self.not_after_s)}"
        if now_s < self.not_before_s:
            return f"is not valid before {day(self.not_before_s)}"
        return ""

    def ends_soon(self, now_s: float) -> bool:
        """Whether it is time to renew it, or past it."""
        return now_s > self.not_after_s - WARN_BEFORE_S


def day(moment_s: float) -> str:
    """Unix seconds as ISO 8601, UTC."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decode(text: bytes) -> Certificate:
    """The first certificate of a PEM text, which is its owner's own; raises CertificateError."""
    found = _PEM.search(text)
    if found is None:
        raise CertificateError("holds no certificate in PEM form")
    try:
        return _from_der(base64.b64decode(b"".join(found[1].split()), validate=True))
    except CertificateError:
        raise
    except ValueError as error:  # of base64, of texts and dates, of fields that are not there
        raise CertificateError("holds a certificate that cannot be read") from error


def _from_der(der: bytes) -> Certificate:
    certificate = _only(_SEQUENCE, *_elements(der))
    to_be_signed = _only(_SEQUENCE, *_elements(certificate))
    fields = [field for field in _elements(to_be_signed) if field[0] != _VERSION]
    _serial, _algorithm, _issuer, validity, subject, *_ = fields
    not_before, not_after, *_ = _elements(_only(_SEQUENCE, validity))
    names = list(_common_names(_only(_SEQUENCE, subject)))
    if len(names) > 1:
        raise CertificateError("holds a certificate with more than one common name")
    return Certificate(names[0] if names else "", _moment(*not_before), _moment(*not_after))


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents of the elements that stand one after another."""
    at = 0
    while at < len(der):
        tag, length = der[at : at + 2]
        at += 2
        if length & _LONG_FORM:
            octets = length ^ _LONG_FORM
            length = int.from_bytes(der[at : at + octets], "big")
            at += octets
        contents = der[at : at + length]
        if len(contents) < length:
            raise CertificateError("holds a certificate that is cut off")
        yield tag, contents
        at += length


def _only(tag: int, element: tuple[int, bytes] = (0, b""), *_: tuple[int, bytes]) -> bytes:
    """Contents of the first element, which must have that tag."""
    if element[0] != tag:
        raise CertificateError("holds a certificate with a field that is none")
    return element[1]


def _common_names(subject: bytes) -> Iterator[str]:
    for parts in _elements(subject):
        for part in _elements(_only(_SET, parts)):
            kind, (tag, value), *_ = _elements(_only(_SEQUENCE, part))
            if _only(_OBJECT_IDENTIFIER, kind) == _COMMON_NAME:
                if tag not in _TEXT:
                    raise CertificateError("holds a certificate with a name that is no text")
                yield value.decode(_TEXT[tag])


def _moment(tag: int, digits: bytes) -> float:
    """Unix seconds of a UTCTime or a GeneralizedTime as RFC 5280 has them."""
    text = digits.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise CertificateError("holds a certificate with a time that is none")
    if not re.fullmatch(r"\d{14}Z", text):
        raise CertificateError("holds a certificate with a time that is none")
    month, day_, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    return datetime(int(text[:4]), month, day_, hour, minute, second, tzinfo=UTC).timestamp()
