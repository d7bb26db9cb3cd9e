"""The console's own TLS, where no proxy stands in front."""

import ssl

from jauge_collector.config import CollectorConfig
from jauge_collector.credentials import load_pair


def context(config: CollectorConfig) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate; None where none is configured.

    Raises ConfigurationError.
    """
    console = config.console
    if console.cert_file is None or console.key_file is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(made, config, "console", console.cert_file, console.key_file)
    return made
