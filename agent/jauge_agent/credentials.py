"""What an agent shows the broker, out of its files: certificate, key, trusted authorities."""

import ssl
from pathlib import Path
from typing import Final, NoReturn

from jauge_models.certificates import Certificate, CertificateError, decode

_PLAIN_KEY: Final = "give a key without a passphrase, in a file that only the agent reads"


class CredentialError(ValueError):
    """A file that cannot be used: its key in the configuration, what is wrong, what to do."""

    def __init__(self, key: str, problem: str, fix: str) -> None:
        super().__init__(f"broker.{key}: {problem}; {fix}")
        self.key = key
        self.problem = problem
        self.fix = fix


class EncryptedKeyError(Exception):
    """OpenSSL asks for a passphrase: nobody is there to type it."""


class NoTlsError(OSError):
    """The connection ended in the middle of the handshake: whoever is there speaks no TLS."""


class TlsSocket(ssl.SSLSocket):
    """Keeps the alert by which the broker ended the connection, and closes when no handshake came.

    A broker judges a client's certificate after the client has taken the connection for
    established (TLS 1.3), and MQTT's own errors do not tell what it said.
    """

    alert: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:
        """As usual; raises NoTlsError when the other end hangs up."""
        try:
            super().do_handshake(block)
        except BaseException as error:
            self.close()  # paho leaves it to the garbage collector
            if isinstance(error, ConnectionError | ssl.SSLEOFError):
                raise NoTlsError("the connection was closed during the TLS handshake") from error
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As usual."""
        try:
            return ssl.SSLSocket.recv(self, buflen, flags)
        except ssl.SSLError as error:
            self._note(error)
            raise

    def send(self, data: "ssl.ReadableBuffer", flags: int = 0) -> int:  # type: ignore[name-defined]  # only stubs have it
        """As usual; a connection that is closed already is read once more for its reason."""
        try:
            return ssl.SSLSocket.send(self, data, flags)
        except OSError as error:
            if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
                try:
                    ssl.SSLSocket.recv(self, 1)
                except ssl.SSLError as said:
                    self._note(said)
                except OSError:
                    pass  # nothing more to be learnt
            raise

    def _note(self, error: ssl.SSLError) -> None:
        if error.reason and self.alert is None:
            self.alert = error


def read_certificate(path: Path) -> Certificate:
    """The agent's own certificate; raises CredentialError, OSError."""
    try:
        return decode(path.read_bytes())
    except CertificateError as error:
        raise CredentialError(
            "cert_file", f"{path} {error}", "give the certificate (PEM)"
        ) from None


def tls_context(
    authorities: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Trust in those authorities, or the system's, and proof of who this is.

    TLS 1.2 or newer. Raises CredentialError, OSError.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError:
        problem = f"{authorities} holds no certificate in PEM form"
        raise CredentialError("ca_file", problem, "give the authority's certificate") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    if certificate and key:
        _load_pair(context, certificate, key)
    return context


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except EncryptedKeyError:
        raise CredentialError("key_file", f"{key} is encrypted", _PLAIN_KEY) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"{key} is not the key of {certificate}"
            raise CredentialError("key_file", problem, "give both of one issue") from None
        problem = f"{key} or {certificate} cannot be used: {error.reason or 'not in PEM form'}"
        raise CredentialError("key_file", problem, "give certificate and private key") from None


def _no_passphrase() -> NoReturn:
    # Without this OpenSSL would ask on the terminal, and wait.
    raise EncryptedKeyError
