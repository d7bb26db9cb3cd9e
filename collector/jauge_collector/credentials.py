"""What the collector shows of itself, out of its files: certificates, keys, the broker's password.

Every error names the key of the file that is at fault, the file, and what to do.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from jauge_models.certificates import Certificate, CertificateError, decode
from jauge_models.configuration import ConfigurationError

from jauge_collector.config import CollectorConfig

_PLAIN_KEY: Final = "give a key without a passphrase, in a file that only the collector reads"


class _EncryptedKeyError(Exception):
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


def own_certificates(config: CollectorConfig) -> Mapping[str, Path]:
    """Files of the collector's own certificates by what they are for: ``mqtt``, ``console``."""
    files = {"mqtt": config.mqtt.cert_file, "console": config.console.cert_file}
    return {use: config.beside(path) for use, path in files.items() if path is not None}


def certificate(config: CollectorConfig, use: str) -> Certificate | None:
    """The collector's own certificate for a use, valid or not. Raises ConfigurationError."""
    path = own_certificates(config).get(use)
    return None if path is None else _certificate(config, f"{use}.cert_file", path)


def password(config: CollectorConfig) -> str | None:
    """The broker's password out of its file. Raises ConfigurationError."""
    if config.mqtt.password_file is None:
        return None
    path = config.beside(config.mqtt.password_file)
    try:
        return _content(config, "mqtt.password_file", path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _wrong(config, "mqtt.password_file", path, "is not UTF-8 text", "") from None


def broker_context(config: CollectorConfig) -> ssl.SSLContext | None:
    """Trust and identity as the configuration says; None without TLS. Raises ConfigurationError."""
    mqtt = config.mqtt
    if not mqtt.tls:
        for key in ("ca_file", "cert_file", "key_file"):
            if getattr(mqtt, key) is not None:
                raise ConfigurationError(
                    str(config.source), f"mqtt.{key}", "is set without TLS", "set mqtt.tls = true"
                )
        return None
    authorities = None if mqtt.ca_file is None else config.beside(mqtt.ca_file)
    if authorities is not None:
        _content(config, "mqtt.ca_file", authorities)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError:
        problem, fix = "holds no certificate in PEM form", "give the authority's certificate"
        raise _wrong(config, "mqtt.ca_file", authorities, problem, fix) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    if mqtt.cert_file is not None:
        load_pair(context, config, "mqtt", mqtt.cert_file, mqtt.key_file)
    elif mqtt.key_file is not None:
        fix = "name the certificate of key_file"
        raise ConfigurationError(str(config.source), "mqtt.cert_file", "missing", fix)
    return context


def load_pair(
    context: ssl.SSLContext, config: CollectorConfig, section: str, cert: Path, key: Path | None
) -> None:
    """Have a context show a certificate; without ``key`` both are in one file.

    Raises ConfigurationError, and the context is then of no more use.
    """
    cert_path, key_name = config.beside(cert), f"{section}.key_file"
    key_path = cert_path if key is None else config.beside(key)
    _certificate(config, f"{section}.cert_file", cert_path)
    held = _content(config, key_name, key_path)
    if b"PRIVATE KEY-----" not in held:
        problem, fix = "holds no private key in PEM form", f"give the key of {cert_path}"
        raise _wrong(config, key_name, key_path, problem, fix)
    try:
        context.load_cert_chain(cert_path, key_path, password=_no_passphrase)
    except _EncryptedKeyError:
        raise _wrong(config, key_name, key_path, "is encrypted", _PLAIN_KEY) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem, fix = f"is not the key of {cert_path}", "give both of one issue"
        else:
            what = (error.reason or "its content is damaged").replace("_", " ").lower()
            problem, fix = f"cannot be used with {cert_path}: {what}", "have both issued anew"
        raise _wrong(config, key_name, key_path, problem, fix) from None


def _certificate(config: CollectorConfig, key: str, path: Path) -> Certificate:
    try:
        return decode(_content(config, key, path))
    except CertificateError as error:
        raise _wrong(config, key, path, str(error), "give the certificate (PEM)") from None


def _content(config: CollectorConfig, key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or 'error').lower()}"
        raise _wrong(config, key, path, problem, "correct the path or its rights") from None


def _wrong(
    config: CollectorConfig, key: str, path: Path | None, problem: str, fix: str
) -> ConfigurationError:
    return ConfigurationError(str(config.source), key, f"{path} {problem}", fix)


def _no_passphrase() -> NoReturn:
    # Without this OpenSSL would ask on the terminal, and wait.
    raise _EncryptedKeyError
