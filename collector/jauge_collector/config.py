"""The collector's configuration file, ``collector.toml``."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from jauge_models.budgets import LARGEST, Budgets
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.crosschecks import Policy as CheckPolicy
from jauge_models.effectiveness import DAY_MS, CoveragePolicy

from jauge_collector.access.roles import Role

DEFAULT_PATH: Final = Path("/etc/jauge/collector.toml")

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
"""More than nothing, and few enough that products of several stay finite."""
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""Nothing or more."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""Between 0 and 1."""
Series = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
"""A number of series."""
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
    broker_log: bool = True
    """Whether to count and name what the broker says it refused: Mosquitto's ``log_dest topic``."""


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
    series_per_agent: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100_000
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


class RetentionConfig(_Section, frozen=True, kw_only=True):
    """How long is kept what is no raw reading; for those see ``store.retention_days``.

    What is older goes by itself while the collector runs, or by ``jauge-collector purge``.
    """

    ledger_years: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """Years of the ledger's rows, attested amounts, and events and tickets that have ended."""
    guest_hours_months: Annotated[int, msgspec.Meta(ge=1, le=1200)] = 13
    """Months after which a guest's (virtual machine's) hourly rows become one a month."""
    host_hours_months: Annotated[int, msgspec.Meta(ge=1, le=1200)] = 36
    """Months after which a host's hourly rows become one a day; not before its guests' do."""
    documents_years: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """Years of documents of attested values; one that an entry still names stays longer."""
    audit_years: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """Years of the record of what was purged and erased."""
    console_audit_months: Annotated[int, msgspec.Meta(ge=1, le=1200)] = 12
    """Months of the record of who changed what by the console, with names and addresses."""
    fault_examples_days: Annotated[float, msgspec.Meta(gt=0, le=3660)] = 30.0
    """Days of the last example of each kind of message that was refused; in memory only."""


class GroupConfig(_Section, frozen=True, kw_only=True):
    """What members of one group of the identity provider may do; several groups add up."""

    group: str
    """Name of the group, as the proxy forwards it."""
    role: Role
    """``reader``, ``operator``, ``officer``, ``approver`` or ``administrator``."""
    sites: list[str]
    """Names of sites; ``["*"]`` for every one."""
    tenants: list[str]
    """Names of tenants, as in ``tenant`` attributes of site files; ``["*"]`` for no limit."""
    share_site_indicators: bool = False
    """For a group limited to tenants: whether it also reads PUE and its like of the whole site,
    without the totals they are made of."""


class AccessConfig(_Section, frozen=True, kw_only=True):
    """Who may see and do what in the console, its JSON interface, /metrics and /readyz."""

    mode: Literal["open", "token", "proxy"] = "open"
    """``open``: whoever reaches it, on loopback only. ``token``: tokens of ``tokens_file``.
    ``proxy``: whom a reverse proxy in front has signed in, by headers."""
    role: Role = Role.READER
    """``open``: what everybody on this machine is."""
    tokens_file: Path | None = None
    """Tokens, made by ``jauge-collector token``; with ``proxy`` too, for programs."""
    session_hours: Annotated[float, msgspec.Meta(gt=0, le=168)] = 8.0
    """After how long a browser must sign in again."""
    tls_in_front: bool = False
    """Whether a proxy in front speaks TLS with browsers: cookies and HSTS then ask for it."""
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies: their X-Forwarded-For is believed, and in mode ``proxy``
    whom they name."""
    proxy_secret_file: Path | None = None
    """``proxy``: file with a secret of 32 characters or more that the proxy sends with each
    request; together with ``trusted_proxies`` both are asked for."""
    secret_header: str = "X-Jauge-Proxy-Secret"  # noqa: S105 - the name of a header
    """Header that holds that secret."""
    user_header: str = "X-Forwarded-User"
    """Header that names the person."""
    groups_header: str = "X-Forwarded-Groups"
    """Header that lists their groups, parted by commas."""
    groups: list[GroupConfig] = []


class ConsoleConfig(_Section, frozen=True, kw_only=True):
    """The web console, the JSON interface, /metrics and the health pages."""

    listen: str = "127.0.0.1:8090"
    """Address and port. Loopback by default."""
    language: str = "fr"
    """Language where the browser asks for none: ``fr`` or ``en``."""
    host_names: list[str] = []
    """Names besides its address that it goes by, e.g. a proxy's public one: on loopback it answers
    to no others, and forms come from no others."""
    cert_file: Path | None = None
    """Certificate, with its chain: the console then speaks TLS itself."""
    key_file: Path | None = None
    """Key of the certificate."""
    access: AccessConfig = AccessConfig()


class AlertsConfig(_Section, frozen=True, kw_only=True):
    """Alertmanager, whose alerts the console shows; it is only ever asked."""

    url: str | None = None
    """Base URL, such as ``http://127.0.0.1:9093``; https unless it is on this machine."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust; the system's where absent."""
    username: str | None = None
    """User name, where it asks for one."""
    password_file: Path | None = None
    """File that holds the password, nothing else."""
    token_file: Path | None = None
    """File that holds a bearer token, nothing else; instead of name and password."""


class LimitsConfig(_Section, frozen=True, kw_only=True):
    """How much may come, from all and from one sender; what exceeds is dropped and counted.

    A sender is one agent of a configured site. All others count as one sender together. What a
    real agent has dropped it sends again, at most five batches a second.
    """

    agents: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20_000
    """Agents that are known at a time; one that was silent for an hour makes room for a new one."""
    resources: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] = 1_000_000
    """Resources described by all births together."""
    series: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] = 2_000_000
    """Series that all agents together may bring in a day; ``store.series_per_agent`` for one."""
    waiting: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 20_000
    """Messages that wait to be stored."""
    waiting_bytes: Annotated[int, msgspec.Meta(ge=4 * 1024**2, le=64 * 1024**3)] = 64 * 1024**2
    """Bytes of the messages that wait to be stored."""
    sender_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    """Part of both that one sender may take up."""
    messages_per_s: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 100.0
    """Messages a second of one sender."""
    readings_per_s: Annotated[float, msgspec.Meta(ge=1, le=1e9)] = 20_000.0
    """Readings a second of one sender; the largest agent brings fewer, also when it catches up."""
    malformed_per_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1.0
    """Messages a second that cannot be used; beyond it none of their sender are looked at."""
    burst_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    """Seconds' worth of these rates that a sender may bring at once."""


class BudgetConfig(_Section, frozen=True, kw_only=True):
    """Series that an agent may bring in a day of one resource; no less than the agents' own.

    What is new beyond it is left out and counted; watts and joules up to that number again.
    """

    host: Series = Budgets().host
    """Series of one host."""
    guest: Series = Budgets().guest
    """Series of one guest (virtual machine)."""
    gpu: Series = Budgets().gpu
    """Series of one GPU, and of each instance of one."""

    @property
    def budgets(self) -> Budgets:
        """The same as the models know them."""
        return Budgets(self.host, self.guest, self.gpu)


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


class CrossChecksConfig(_Section, frozen=True, kw_only=True):
    """How meters are held against each other along the connection map: the project's policy."""

    enabled: bool = True
    """Whether tickets are worked out at all."""
    every_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 3600.0
    """Seconds between two rounds."""
    coverage_factor: Annotated[float, msgspec.Meta(gt=0, le=10)] = 2.0
    """What the combined standard error of both sides is multiplied by: the tolerance."""
    broken_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 18
    """So many broken hours open a ticket; as many that hold resolve it."""
    of_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 24
    """Of the last so many comparable hours, none older than a week."""
    stuck_hours: Annotated[int, msgspec.Meta(ge=3, le=168)] = 12
    """For so long a value stands still while its neighbours move before it counts as stuck."""

    def checks(self) -> CheckPolicy:
        """The policy as the models know it."""
        return CheckPolicy(
            coverage_factor=self.coverage_factor,
            broken_hours=self.broken_hours,
            of_hours=self.of_hours,
            stuck_hours=self.stuck_hours,
        )


class CollectorFile(_Section, frozen=True, kw_only=True):
    """What stands in ``collector.toml``."""

    sites: list[Path]
    """Site files, relative to this file."""
    state_dir: Path = Path("/var/lib/jauge")
    """Where databases and documents are kept; relative to this file."""
    state_encryption: Literal["expected", "required", "elsewhere"] = "expected"
    """Whether ``state_dir`` must lie on an encrypted device: ``expected`` warns where it does not
    or cannot be told, ``required`` refuses to start, ``elsewhere`` says that it is done below what
    this machine can see (by the hypervisor, the array)."""
    mqtt: MqttConfig = MqttConfig()
    store: StoreConfig = StoreConfig()
    influxdb: InfluxConfig | None = None
    ledger: LedgerConfig = LedgerConfig()
    retention: RetentionConfig = RetentionConfig()
    limits: LimitsConfig = LimitsConfig()
    budget: BudgetConfig = BudgetConfig()
    console: ConsoleConfig = ConsoleConfig()
    alerts: AlertsConfig = AlertsConfig()
    policy: PolicyConfig = PolicyConfig()
    crosschecks: CrossChecksConfig = CrossChecksConfig()


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
        """A path of this configuration, made absolute from where the file stands.

        A name that systemd was told to hand over (``LoadCredential=``) is that credential.
        """
        if (given := os.environ.get("CREDENTIALS_DIRECTORY")) and len(path.parts) == 1:
            credential = Path(given) / path
            if credential.is_file():
                return credential
        return self.source.parent / path

    def read(self, key: str, path: Path) -> str:
        """Text of a file that this configuration names. Raises ConfigurationError with its key."""
        named = self.beside(path)
        try:
            return named.read_text(encoding="utf-8")
        except OSError as error:
            problem = f"{named} cannot be read: {(error.strerror or 'error').lower()}"
        except UnicodeDecodeError:
            problem = f"{named} is not UTF-8 text"
        raise ConfigurationError(str(self.source), key, problem, "correct the path or its rights")

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
    _check_urls(str(path), config)
    _check_alerts(str(path), config.alerts)
    _check_access(str(path), config.console, _bound(config.console))
    if not config.sites:
        raise ConfigurationError(str(path), "sites", "names no site file", "add one")
    if config.crosschecks.broken_hours > config.crosschecks.of_hours:
        raise ConfigurationError(
            str(path), "crosschecks.broken_hours", "is more than of_hours", "lower it"
        )
    declared = {name: getattr(config, name) for name in CollectorFile.__struct_fields__}
    return CollectorConfig(**declared, source=path.absolute())


def _check_urls(file: str, config: CollectorFile) -> None:
    """Whether what shall be a URL is one. Raises ConfigurationError."""
    store = config.store
    urls = {"store.url": store.url, "store.write_url": store.write_url}
    urls |= {"store.read_url": store.read_url}
    urls |= {f"store.metrics_urls[{at}]": url for at, url in enumerate(store.metrics_urls)}
    if config.influxdb is not None:
        urls["influxdb.url"] = config.influxdb.url
    for key, url in urls.items():
        if url is not None and not _is_url(url):
            fix = "write 'http://127.0.0.1:8428', or https"
            raise ConfigurationError(file, key, f"{url!r} is no URL of HTTP", fix)


def _check_alerts(file: str, alerts: AlertsConfig) -> None:
    """What would show alerts to whoever listens, or never. Raises ConfigurationError."""
    secrets = {"password_file": alerts.password_file, "token_file": alerts.token_file}
    known = {"ca_file": alerts.ca_file, "username": alerts.username} | secrets
    if alerts.url is None:
        for key, value in known.items():
            if value is not None:
                raise ConfigurationError(
                    file, f"alerts.{key}", "is set without a URL", "set alerts.url"
                )
        return
    fix = "write 'http://127.0.0.1:9093', or https with the name of another machine"
    parts = urlsplit(alerts.url) if _is_url(alerts.url) else None
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        problem = f"{alerts.url!r} is no base URL of HTTP without a secret in it"
        raise ConfigurationError(file, "alerts.url", problem, fix)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        problem = f"{alerts.url} would cross the network in clear"
        raise ConfigurationError(file, "alerts.url", problem, fix)
    if all(secrets.values()):
        raise ConfigurationError(
            file, "alerts.token_file", "stands beside password_file", "keep one of both"
        )
    if (alerts.username is None) != (alerts.password_file is None):
        raise ConfigurationError(
            file, "alerts.password_file", "one of it and username is missing", "name both"
        )


def _is_url(text: str) -> bool:
    """Whether a text says by HTTP or HTTPS, at which host, and at which port if any."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and _is_host(host) and port != 0


def _bound(console: ConsoleConfig) -> str:
    return console.listen.rpartition(":")[0].strip("[]")


def _check_access(file: str, console: ConsoleConfig, host: str) -> None:
    """What would leave the console open, or nobody in. Raises ConfigurationError."""
    access = console.access
    encrypted = console.cert_file is not None or access.tls_in_front
    if (console.cert_file is None) != (console.key_file is None):
        raise ConfigurationError(
            file, "console.key_file", "one of cert_file and key_file is missing", "name both"
        )
    # An address that is none is named where it is asked for, see `CollectorConfig.listen`.
    exposed = _is_host(host) and not is_loopback(host)
    if access.mode == "open" and exposed:
        raise ConfigurationError(
            file,
            "console.access.mode",
            f"{console.listen} is not loopback: whoever reaches it would read everything",
            "set mode = 'token' and tokens_file, or listen on 127.0.0.1",
        )
    if access.mode == "open" and access.tokens_file is not None:
        raise ConfigurationError(
            file,
            "console.access.mode",
            "is 'open', so nobody is asked for a token of tokens_file",
            "set mode = 'token', or take tokens_file out",
        )
    if access.mode == "token" and access.tokens_file is None:
        raise ConfigurationError(
            file,
            "console.access.tokens_file",
            "missing",
            "name the file that holds what jauge-collector token prints",
        )
    if access.mode == "proxy":
        if not access.trusted_proxies and access.proxy_secret_file is None:
            raise ConfigurationError(
                file,
                "console.access.trusted_proxies",
                "anybody could send the proxy's headers",
                "name the proxy's address, or proxy_secret_file, or both",
            )
        if not access.groups:
            raise ConfigurationError(
                file, "console.access.groups", "nobody would be let in", "give a group a role"
            )
    if exposed and not encrypted:
        raise ConfigurationError(
            file,
            "console.cert_file",
            f"secrets would cross the network to {console.listen} in clear",
            "name cert_file and key_file, or set console.access.tls_in_front = true where a proxy "
            "speaks TLS",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
