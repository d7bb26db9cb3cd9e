"""The collector's configuration file, ``collector.toml``."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final

import msgspec
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.effectiveness import DAY_MS, CoveragePolicy

DEFAULT_PATH: Final = Path("/etc/jauge/collector.toml")

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
"""More than nothing, and few enough that products of several stay finite."""
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""Nothing or more."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""Between 0 and 1."""
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31 * 86400)]
"""At most a month."""
Days = Annotated[float, msgspec.Meta(gt=0, le=366_000)]
"""At most a thousand years."""

_LONGEST_HOST: Final = 253
"""Characters of a host name (RFC 1035 2.3.4)."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class MqttConfig(_Section, frozen=True, kw_only=True):
    """The broker that agents publish to."""

    host: str = "127.0.0.1"
    """Host name or address."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    """TCP port; 1883 is usual without TLS."""
    username: str | None = None
    """User name, where the broker asks for one."""
    password_file: Path | None = None
    """File that holds the password, nothing else."""
    tls: bool = True
    """Whether to speak TLS and check the broker's certificate; false on one machine only."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust; the system's where absent."""
    cert_file: Path | None = None
    """Client certificate."""
    key_file: Path | None = None
    """Key of the client certificate."""
    client_id: str = ""
    """Client identifier; the broker gives one where empty."""


class StoreConfig(_Section, frozen=True, kw_only=True):
    """Where raw readings are kept."""

    kind: str = "sqlite"
    """``sqlite`` (embedded, one machine) or ``victoriametrics``."""
    path: Path = Path("readings.db")
    """SQLite: the file, relative to ``state_dir``."""
    url: str = "http://127.0.0.1:8428"
    """VictoriaMetrics: its base URL."""
    write_url: str | None = None
    """VictoriaMetrics cluster: where InfluxDB's ``/api/v2/write`` is added; ``url`` if absent."""
    read_url: str | None = None
    """VictoriaMetrics cluster: where ``/api/v1/export`` is added; ``url`` if absent."""
    metrics_urls: list[str] = []
    """VictoriaMetrics cluster: base URL of every storage node, for its flags; ``url`` if absent."""
    settle_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 30.0
    """VictoriaMetrics: seconds after which accepted readings are durable and readable."""
    series_per_agent: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 5000
    """Series that one agent may bring in a day; what exceeds is left out and counted."""
    retention_days: Days = 800.0
    """SQLite: how long readings are kept."""
    minimum_retention_days: Days = 400.0
    """VictoriaMetrics: the shortest ``-retentionPeriod`` that is accepted."""


class InfluxConfig(_Section, frozen=True, kw_only=True):
    """A second, write-only sink: InfluxDB 2. Neither the ledger nor Grafana reads from it."""

    url: str
    """Base URL."""
    org: str
    """Organisation."""
    bucket: str
    """Bucket."""
    token_file: Path | None = None
    """File that holds the token, nothing else."""


class LedgerConfig(_Section, frozen=True, kw_only=True):
    """The accounting record."""

    path: Path = Path("ledger.db")
    """SQLite file, relative to ``state_dir``."""
    pass_every_s: Seconds = 15.0
    """Seconds between two passes over what changed."""


class ConsoleConfig(_Section, frozen=True, kw_only=True):
    """The web console, the JSON interface, /metrics and the health pages."""

    listen: str = "127.0.0.1:8090"
    """Address and port. Loopback by default."""
    language: str = "fr"
    """Language where the browser asks for none: ``fr`` or ``en``."""
    host_names: list[str] = []
    """On loopback: names besides ``localhost`` that it answers to, e.g. a proxy's public one."""


class PolicyConfig(_Section, frozen=True, kw_only=True):
    """How much must be measured before a figure is shown: the project's policy, not a text."""

    minimum_coverage: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.90
    """Joint coverage below which an indicator is « not measured »."""
    month_minimum: Share = 0.75
    """Joint coverage every month of an annual figure needs."""
    longest_gap_days: Annotated[float, msgspec.Meta(ge=0, le=366)] = 10.0
    """The longest hole an annual figure may have."""

    def coverage(self) -> CoveragePolicy:
        """The policy as the models know it."""
        return CoveragePolicy(
            minimum=self.minimum_coverage,
            month_minimum=self.month_minimum,
            longest_gap_ms=round(self.longest_gap_days * DAY_MS),
        )


class CollectorFile(_Section, frozen=True, kw_only=True):
    """What stands in ``collector.toml``."""

    sites: list[Path]
    """Site files, relative to this file."""
    state_dir: Path = Path("/var/lib/jauge")
    """Where databases and documents are kept; relative to this file."""
    mqtt: MqttConfig = MqttConfig()
    store: StoreConfig = StoreConfig()
    influxdb: InfluxConfig | None = None
    ledger: LedgerConfig = LedgerConfig()
    console: ConsoleConfig = ConsoleConfig()
    policy: PolicyConfig = PolicyConfig()


class CollectorConfig(CollectorFile, frozen=True, kw_only=True):
    """Everything the collector is told."""

    source: Path = Path()
    """Filled in by `load`: the file itself."""

    @property
    def listen(self) -> tuple[str, int]:
        """Address and port of the console. Raises ConfigurationError."""
        host, _, port = self.console.listen.rpartition(":")
        host = host.strip("[]")
        if not _is_host(host) or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(
                str(self.source),
                "console.listen",
                f"{self.console.listen!r} is no address with a port",
                "write '127.0.0.1:8090'",
            )
        return host, int(port)

    def beside(self, path: Path) -> Path:
        """A path of this configuration, made absolute from where the file stands."""
        return self.source.parent / path

    def state(self, path: Path) -> Path:
        """A path below ``state_dir``."""
        return self.beside(self.state_dir) / path


def load(path: Path) -> CollectorConfig:
    """Read a configuration file. Raises ConfigurationError."""
    config = parse(read_text(path), CollectorFile, file=str(path))
    if not _is_host(config.mqtt.host):
        raise ConfigurationError(
            str(path),
            "mqtt.host",
            f"{config.mqtt.host!r} is no host",
            "write a name such as 'broker.example.org', or an address",
        )
    if config.store.kind not in {"sqlite", "victoriametrics"}:
        raise ConfigurationError(
            str(path),
            "store.kind",
            f"{config.store.kind!r} is no store",
            "use 'sqlite' or 'victoriametrics'",
        )
    if config.console.language not in {"fr", "en"}:
        raise ConfigurationError(
            str(path), "console.language", f"{config.console.language!r}", "use 'fr' or 'en'"
        )
    if not config.sites:
        raise ConfigurationError(str(path), "sites", "names no site file", "add one")
    declared = {name: getattr(config, name) for name in CollectorFile.__struct_fields__}
    return CollectorConfig(**declared, source=path.absolute())


def _is_host(text: str) -> bool:
    """Whether a text can be looked up: an address, or a name of labels of 1 to 63 characters."""
    try:
        if ":" in text:
            ipaddress.IPv6Address(text)
            return True
        name = text.removesuffix(".").encode("idna").decode()
    except ValueError:
        return False
    return 0 < len(name) <= _LONGEST_HOST and all(c.isalnum() or c in "-._" for c in name)


def read_text(path: Path) -> str:
    """A configuration file's text. Raises ConfigurationError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        problem = (error.strerror or "error").lower()
        raise ConfigurationError(str(path), "", f"cannot be read: {problem}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(str(path), "", "is not UTF-8 text") from None
