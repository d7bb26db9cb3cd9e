"""What this agent shows the broker, taken up anew when its files change; see `Keyring`."""

import logging
import ssl
import time
from typing import Final, NamedTuple

from jauge_models.certificates import Certificate, day
from jauge_models.wire import Address

from jauge_agent.config import BrokerConfig, resolved, secret
from jauge_agent.credentials import CredentialError, read_certificate, tls_context
from jauge_agent.logs import Trouble, say

_FILES: Final = ("ca_file", "cert_file", "key_file", "password_file")

_log = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What one connection uses."""

    context: ssl.SSLContext | None
    password: str | None
    certificate: Certificate | None

    def __repr__(self) -> str:
        """Without the password."""
        return f"Shown(certificate={self.certificate!r})"


class Keyring:
    """Certificate, key, authorities and password of one agent.

    Files are read for each connection, so that renewed ones are taken up. Ones that are being
    written, belong to another agent or are gone do not replace those that were good before.
    """

    def __init__(self, broker: BrokerConfig, address: Address) -> None:
        self.certificate: Certificate | None = None
        """Of the files read last."""
        self._broker = broker
        self._name = address.base_name[:-1]
        self._good: Shown | None = None
        self._seen: tuple[object, ...] = ()
        self._trouble = Trouble(_log, "credentials", words=("unusable", "usable"))
        self._said: tuple[str, Certificate] | None = None

    def show(self) -> Shown:
        """What to show now; raises CredentialError or OSError when the files were never good."""
        seen = self._files()
        try:
            self._good = self._read()
        except (CredentialError, OSError) as error:
            if self._good is None:
                raise
            self._trouble.lost(f"{error}; what was read before is used")
        else:
            self._seen = seen
            self._trouble.recovered()
        self.certificate = self._good.certificate
        self.say_validity()
        return self._good

    def last(self) -> Shown | None:
        """What the connection there is uses."""
        return self._good

    def is_renewed(self) -> bool:
        """Whether the files are others than those in use, and good."""
        if self._files() == self._seen:
            self._trouble.recovered()
            return False
        try:
            self._read()
        except (CredentialError, OSError) as error:
            self._trouble.lost(f"{error}; the connection is kept")
            return False
        return True

    def say_validity(self) -> None:
        """Say once of each certificate that it is not valid, or soon will not be."""
        if (certificate := self.certificate) is None:
            return
        level, event = _standing(certificate, time.time())
        if event and self._said != (event, certificate):
            self._said = event, certificate
            say(
                _log,
                level,
                event,
                file=self._broker.cert_file,
                not_before=day(certificate.not_before_s),
                not_after=day(certificate.not_after_s),
            )

    def _read(self) -> Shown:
        broker = self._broker
        certificate = context = None
        if broker.cert_file:
            certificate = read_certificate(resolved(broker.cert_file))
            if certificate.name != self._name:
                problem = f"{broker.cert_file} is for {certificate.name!r}, not for {self._name}"
                raise CredentialError("cert_file", problem, "give this agent's own certificate")
            self._check_time(certificate)
        if broker.tls:
            context = tls_context(
                resolved(broker.ca_file) if broker.ca_file else None,
                resolved(broker.cert_file) if broker.cert_file else None,
                resolved(broker.key_file) if broker.key_file else None,
            )
        return Shown(context, self._password(), certificate)

    def _check_time(self, certificate: Certificate) -> None:
        """A certificate whose time has not come does not replace one that is valid."""
        now = time.time()
        before = self._good.certificate if self._good else None
        problem = certificate.invalidity(now)
        if problem and before and not before.invalidity(now):
            problem = f"{self._broker.cert_file} {problem}"
            raise CredentialError("cert_file", problem, "have it renewed, or wait for its time")

    def _password(self) -> str | None:
        if (name := self._broker.password_file) is None:
            return None
        try:
            return secret(name)
        except UnicodeDecodeError:
            raise CredentialError("password_file", "is not UTF-8 text", "write it anew") from None

    def _files(self) -> tuple[object, ...]:
        """What changes when one of the files does."""
        return tuple(
            _mark(name) for key in _FILES if (name := getattr(self._broker, key)) is not None
        )


def _standing(certificate: Certificate, now_s: float) -> tuple[int, str]:
    if now_s > certificate.not_after_s:
        return logging.ERROR, "certificate expired"
    if now_s < certificate.not_before_s:
        return logging.ERROR, "certificate not yet valid"
    if certificate.ends_soon(now_s):
        return logging.WARNING, "certificate expires soon"
    return logging.NOTSET, ""


def _mark(name: str) -> object:
    try:
        about = resolved(name).stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
