"""The console's own TLS, where no proxy stands in front."""

import ssl

from jauge_models.configuration import ConfigurationError

from jauge_collector.config import CollectorConfig


def context(config: CollectorConfig) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate; None where none is configured.

    Raises ConfigurationError.
    """
    console = config.console
    if console.cert_file is None or console.key_file is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    for name, path in (("cert_file", console.cert_file), ("key_file", console.key_file)):
        try:
            config.beside(path).read_bytes()
        except OSError as error:
            problem = f"{path} cannot be read: {(error.strerror or 'error').lower()}"
            raise ConfigurationError(
                str(config.source), f"console.{name}", problem, "correct the path or its rights"
            ) from None
    try:
        made.load_cert_chain(
            config.beside(console.cert_file), config.beside(console.key_file), password=_no_password
        )
    except (ssl.SSLError, ValueError):
        raise ConfigurationError(
            str(config.source),
            "console.cert_file",
            f"{console.cert_file} and {console.key_file} are no certificate with its key",
            "give PEM files, the key without a password",
        ) from None
    return made


def _no_password() -> str:
    """Asked for an encrypted key's password: nobody is there to type it."""
    raise ValueError("the key has a password")
