"""From the configuration to the store and the second sink; heavy clients load only if used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jauge_collector.config import CollectorConfig

if TYPE_CHECKING:
    from jauge_collector.stores import Store
    from jauge_collector.stores.influxdb import InfluxSink


def open_store(config: CollectorConfig) -> Store:
    """The configured store, to be entered with ``async with``."""
    if config.store.kind == "victoriametrics":
        from jauge_collector.stores.victoriametrics import VictoriaMetricsStore  # noqa: PLC0415 - only the one that is used

        return VictoriaMetricsStore(config.store)
    from jauge_collector.stores.sqlite import SqliteStore  # noqa: PLC0415 - only the one that is used

    return SqliteStore(config.state(config.store.path), retention_days=config.store.retention_days)


def open_sink(config: CollectorConfig) -> InfluxSink | None:
    """The second sink where one is configured. Raises ConfigurationError for its token's file."""
    if config.influxdb is None:
        return None
    from jauge_collector.stores.influxdb import InfluxSink  # noqa: PLC0415 - only the one that is used

    path = config.influxdb.token_file
    token = config.read("influxdb.token_file", path).strip() if path else ""
    return InfluxSink(config.influxdb, token=token)
