"""From the configuration to the store."""

import subprocess
import sys
from pathlib import Path

import pytest
from jauge_collector.config import CollectorConfig, InfluxConfig, StoreConfig
from jauge_collector.stores.influxdb import InfluxSink
from jauge_collector.stores.open import open_sink, open_store
from jauge_collector.stores.sqlite import SqliteStore
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_models.configuration import ConfigurationError


def config(tmp_path: Path, **sections: StoreConfig | InfluxConfig) -> CollectorConfig:
    """A configuration that stands in the test's folder."""
    return CollectorConfig(
        sites=[Path("site.toml")],
        state_dir=Path("state"),
        source=tmp_path / "collector.toml",
        **sections,  # type: ignore[arg-type]
    )


async def test_the_configured_store_is_made(tmp_path: Path) -> None:
    """`store.kind` chooses; the embedded one lies below the state folder."""
    async with open_store(config(tmp_path)) as store:
        assert isinstance(store, SqliteStore)
        assert (tmp_path / "state" / "readings.db").is_file()
    remote = open_store(config(tmp_path, store=StoreConfig(kind="victoriametrics", settle_s=42)))
    assert isinstance(remote, VictoriaMetricsStore)
    assert remote.settle_s == 42


async def test_the_second_sink_takes_its_token_from_a_file(tmp_path: Path) -> None:
    """There is none unless configured, and a token's file that is absent is named."""
    assert open_sink(config(tmp_path)) is None
    influxdb = InfluxConfig(url="http://127.0.0.1:9", org="o", bucket="b", token_file=Path("token"))
    with pytest.raises(ConfigurationError, match="token"):
        open_sink(config(tmp_path, influxdb=influxdb))
    (tmp_path / "token").write_text("example\n")
    sink = open_sink(config(tmp_path, influxdb=influxdb))
    assert isinstance(sink, InfluxSink)
    assert sink._lines._token == "example"


def test_the_embedded_store_needs_no_http_client() -> None:
    """Making a SQLite store imports neither influxdb-client nor aiohttp: commands start fast."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from jauge_collector.config import CollectorConfig\n"
        "from jauge_collector.stores.open import open_store\n"
        "open_store(CollectorConfig(sites=[]))\n"
        "sys.exit(bool({'influxdb_client', 'aiohttp'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
