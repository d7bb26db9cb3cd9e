"""What a configuration leaves open or will not keep: allowed, and said at start and by check."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jauge_collector.access import tokens
from jauge_collector.config import CollectorConfig, is_loopback

_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
LEDGER_YEARS: Final = 10
"""For how long a figure has to be kept: delegated regulation (EU) 2024/1364, annex II."""


def warnings(config: CollectorConfig, now_s: float) -> Iterator[str]:
    """Everything that a careful administrator would put right, each with its key.

    ``now_s`` is Unix seconds. Raises ConfigurationError for a tokens file that cannot be used.
    """
    mqtt = config.mqtt
    if not mqtt.tls and not is_loopback(mqtt.host):
        what = "readings and the password" if mqtt.password_file else "readings"
        yield (
            f"mqtt.tls: is off to {mqtt.host}: {what} cross the network in clear text, and anybody "
            "may answer for the broker"
        )
    for key, path in _secrets(config):
        yield from _readable(key, config.beside(path))
    ledger = config.state(config.ledger.path)
    if _mode(ledger.parent) & stat.S_IXOTH:
        yield from _readable("state_dir", ledger)
    if config.retention.ledger_years < LEDGER_YEARS:
        yield (
            f"retention.ledger_years: {config.retention.ledger_years} is less than the "
            f"{LEDGER_YEARS} for which a site's figures may have to be proved"
        )
    if config.console.access.mode != "open":
        yield from tokens.warnings(config, now_s)


def _secrets(config: CollectorConfig) -> Iterator[tuple[str, Path]]:
    access = config.console.access
    named = {
        "mqtt.key_file": config.mqtt.key_file,
        "mqtt.password_file": config.mqtt.password_file,
        "console.key_file": config.console.key_file,
        "console.access.proxy_secret_file": access.proxy_secret_file,
        "influxdb.token_file": config.influxdb.token_file if config.influxdb else None,
    }
    for key, path in named.items():
        if path is not None:
            yield key, path


def _readable(key: str, path: Path) -> Iterator[str]:
    # What cannot be seen is not laid open; that it cannot be read is another's error.
    if (mode := _mode(path)) & _OTHERS:
        yield f"{key}: {path}: mode {mode:04o} lets others in; chmod 0600"


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
