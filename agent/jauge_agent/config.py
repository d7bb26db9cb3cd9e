"""The agent's configuration file: what a user may write, as structs.

The docstring of a field is its documentation: the sample file is generated from here
(``python -m jauge_agent.document``).
"""

import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from jauge_models.budgets import LARGEST, Budgets
from jauge_models.configuration import ConfigurationError, convert, parse
from jauge_models.resources import KINDS, identity, is_name
from jauge_models.wire import Address
from msgspec.structs import replace

from jauge_agent.source import Source, SourceSettings
from jauge_agent.sources import BUILT_IN, OF_DEVICES, load

DEFAULT_PATH: Final = Path("/etc/jauge-agent/agent.toml")

LEAST_KEY_BYTES: Final = 16
"""A shorter key of pseudonyms can be found by trying."""

_PLAIN_NAME: Final = re.compile(r"[a-z0-9._@-]+")
"""What people call files and folders; a password is seldom like that."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every section has in common: unknown keys are refused."""


class BrokerConfig(_Section, frozen=True):
    """The MQTT broker."""

    host: str = "127.0.0.1"
    """Name or address of the broker."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    """TCP port; 1883 is usual without TLS."""
    tls: bool = True
    """Whether to speak TLS and check the broker's certificate; false on one machine only."""
    ca_file: str | None = None
    """Certificates of the authorities to trust (PEM); the system's when left out."""
    cert_file: str | None = None
    """This agent's certificate (PEM), issued for the name `<site>/<agent>`."""
    key_file: str | None = None
    """Private key of that certificate (PEM, without a passphrase)."""
    username: str | None = None
    """User name, when the broker asks for one."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 60
    """Seconds of silence after which the broker is asked whether it is still there."""


class SpoolConfig(_Section, frozen=True):
    """The file that holds readings until the collector has stored them."""

    directory: str = "/var/lib/jauge-agent"
    """Folder of the spool; it must exist and be writable."""
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 256
    """Size in megabytes above which the oldest readings are dropped, and counted."""
    max_age_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] = 30.0
    """Age in days above which readings are dropped, and counted."""
    sync_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0
    """Seconds within which readings are safe from a power cut of this machine; 0: each at once."""


class DeliveryConfig(_Section, frozen=True):
    """How batches are sent again."""

    resend_after_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    """Seconds without an answer after which a batch goes again: the collector's settle + 30."""


class PrivacyConfig(_Section, frozen=True):
    """What leaves this host only under a pseudonym."""

    pseudonymise: list[str] = []
    """Kinds of resources, such as guest, whose names and labels are told as keyed hashes."""
    key_file: str | None = None
    """File that holds the key of the hashes, the same on all agents; 16 bytes of text or more."""


Series = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


class BudgetConfig(_Section, frozen=True):
    """Series that are taken; what exceeds is left out, counted, and said once. Never watts."""

    host: Series = Budgets().host
    """Series of one host; of this machine with all its parts: cores, sensors, power supplies."""
    guest: Series = Budgets().guest
    """Series of one guest (virtual machine)."""
    gpu: Series = Budgets().gpu
    """Series of one GPU, and of each instance of one."""

    @property
    def budgets(self) -> Budgets:
        """The same as the models know them."""
        return Budgets(self.host, self.guest, self.gpu)


class MetricsConfig(_Section, frozen=True):
    """The agent's own measurements for Prometheus."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    """Port of http://127.0.0.1:PORT/metrics; off when left out."""
    address: str = "127.0.0.1"
    """Address to listen on."""


class LogConfig(_Section, frozen=True):
    """What is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is said."""
    format: Literal["logfmt", "json"] = "logfmt"
    """Form of each line."""


class AgentConfig(_Section, frozen=True):
    """The whole file."""

    site: str | None = None
    """Name of the site this machine belongs to; the certificate's when left out."""
    agent: str | None = None
    """Name of this agent on its site; the certificate's, or else the host name, when left out."""
    broker: BrokerConfig = BrokerConfig()
    spool: SpoolConfig = SpoolConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    budget: BudgetConfig = BudgetConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    sources: dict[str, dict[str, Any]] = {}
    """Settings of sources, one section each; those not named run with their defaults."""

    @property
    def address(self) -> Address:
        """Who this agent is on the wire. Raises ValueError where no name can be had."""
        if self.site is None:
            raise ValueError("no site is named")
        return Address(self.site, self.agent or identity(socket.gethostname()))


class ConfiguredSource(msgspec.Struct, frozen=True):
    """A source with its settings, ready to be made."""

    name: str
    settings: SourceSettings
    make: Callable[[Any], Source]

    def build(self) -> Source:
        """A new instance."""
        return self.make(self.settings)


def read(path: Path) -> AgentConfig:
    """Read and check a configuration file; raises ConfigurationError.

    What it names is the agent's identity; its certificate must be for that, and names what it
    leaves out. Whether the certificate is valid today is not asked: see `check_validity`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigurationError(str(path), "", problem, "name it with --config FILE") from None
    except UnicodeDecodeError:
        raise ConfigurationError(str(path), "", "is not UTF-8 text", "save it as UTF-8") from None
    config = parse(text, AgentConfig, file=str(path))
    _check_broker(config.broker, str(path))
    config = _identified(config, str(path))
    _check_credentials(config.broker, str(path))
    _check_names(config, str(path))
    _check_privacy(config.privacy, str(path))
    return config


def configured_sources(
    sections: Mapping[str, Mapping[str, Any]],
    *,
    file: str,
    table: Mapping[str, str] = BUILT_IN,
    idle: bool = True,
) -> list[ConfiguredSource]:
    """Every built-in source with its settings, disabled ones too; raises ConfigurationError.

    ``idle``: also those that have nothing to read until they have a section.
    """
    for name in sections:
        if name not in table:
            known = ", ".join(table)
            raise ConfigurationError(
                file, f"sources.{name}", "unknown source", f"known sources are {known}"
            )
    names = [name for name in table if idle or name in sections or name not in OF_DEVICES]
    return [_configured(name, sections.get(name, {}), file, table) for name in names]


def check_spool(config: AgentConfig, *, file: str) -> None:
    """Whether the spool can be kept where it shall; raises ConfigurationError."""
    directory = Path(config.spool.directory)
    if not directory.is_dir():
        raise ConfigurationError(
            file, "spool.directory", f"{directory} is no directory", "create it or name another"
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigurationError(
            file, "spool.directory", f"{directory} is not writable", "give this user write access"
        )


def check_validity(config: AgentConfig, *, file: str) -> None:
    """Whether the agent's certificate is valid now; raises ConfigurationError."""
    if config.broker.cert_file is None:
        return
    from jauge_agent.credentials import read_certificate  # noqa: PLC0415 - loads ssl

    path = resolved(config.broker.cert_file)
    if problem := read_certificate(path).invalidity(time.time()):
        raise ConfigurationError(file, "broker.cert_file", f"{path} {problem}", "have it renewed")


def check_files(config: AgentConfig, *, file: str) -> None:
    """Whether each file that a source names can be used; raises ConfigurationError.

    Not asked at start: one device without its password must not keep the others from being read.
    """
    from jauge_agent.secret_files import (  # noqa: PLC0415 - which needs this module
        SecretError,
        is_secret,
        read_secret,
    )

    enabled = {
        name: section for name, section in config.sources.items() if section.get("enabled", True)
    }
    for key, name in files_of_sources(enabled):
        if not is_secret(key):
            _check_readable(name, key, file)
            continue
        try:
            read_secret(name)
        except SecretError as error:
            raise ConfigurationError(file, key, str(error), "check path and rights") from None


def files_of_sources(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Key and name of each file that sources read: those that end with ``_file``."""
    for source, section in sections.items():
        places = [(f"sources.{source}", section)]
        places += [
            (f"sources.{source}.{key}", table)
            for key, table in section.items()
            if isinstance(table, Mapping)
        ]
        places += [
            (f"sources.{source}.devices[{number}]", device)
            for number, device in enumerate(section.get("devices", ()))
        ]
        for place, keys in places:
            for key, name in keys.items():
                if key.endswith("_file") and isinstance(name, str):
                    yield f"{place}.{key}", name


def secret(name: str) -> str:
    """What a secret file holds, without the line's end; relative names are systemd credentials.

    Raises OSError, UnicodeDecodeError.
    """
    return resolved(name).read_text(encoding="utf-8").rstrip("\r\n")


def resolved(name: str) -> Path:
    """Where a file named in the configuration is: relative ones among systemd's credentials."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / name


def shown(name: str) -> str:
    """What errors call a file: what may be a secret, written in the place of its file, is not told.

    A file that is not there is still named where its folder is, or where it reads like a path.
    """
    path = resolved(name)
    if not Path(name).is_absolute():
        return name if os.path.lexists(path) else "this systemd credential"
    # Secrets may begin with a slash: the root is no folder that speaks for a file.
    # Path.is_dir raises for a name that no file can have, as a secret may be; os.path does not.
    has_folder = path.parent != Path("/") and os.path.isdir(path.parent)  # noqa: PTH112 - Path.is_dir raises
    is_named = os.path.lexists(path) or has_folder or _is_plain_path(name)
    return name if is_named else "this file"


def _is_plain_path(name: str) -> bool:
    """Whether it is the absolute path of a file in a folder, in plain names throughout."""
    root, *parts = name.split("/")
    return root == "" and len(parts) >= 2 and all(map(_PLAIN_NAME.fullmatch, parts))


def _configured(
    name: str, section: Mapping[str, Any], file: str, table: Mapping[str, str]
) -> ConfiguredSource:
    make = load(name, table)
    settings_type: type[SourceSettings] = make.Settings
    if not section:
        return ConfiguredSource(name, settings_type(), make)
    # Nested as in the file, so that an error names the path that the user sees.
    inner = msgspec.defstruct("Sources", [(name, settings_type)], frozen=True)
    outer = msgspec.defstruct("File", [("sources", inner)], frozen=True)
    tree = convert({"sources": {name: section}}, outer, file=file)
    settings = getattr(tree.sources, name)  # type: ignore[attr-defined]  # made just above
    return ConfiguredSource(name, settings, make)


def _check_names(config: AgentConfig, file: str) -> None:
    for key, name in (("site", config.site), ("agent", config.agent)):
        if name is not None and not is_name(name):
            raise ConfigurationError(
                file,
                key,
                f"{name!r} is not a name",
                "use letters, digits and . _ : - (a letter or digit first, 128 at most)",
            )
    try:
        _ = config.address
    except ValueError:
        raise ConfigurationError(
            file, "agent", "the host name cannot be used", "name the agent here"
        ) from None


def _check_broker(broker: BrokerConfig, file: str) -> None:
    def wrong(key: str, problem: str, fix: str) -> ConfigurationError:
        return ConfigurationError(file, f"broker.{key}", problem, fix)

    for key in ("ca_file", "cert_file", "key_file"):
        if getattr(broker, key) and not broker.tls:
            raise wrong(key, "is given but TLS is off", "set broker.tls = true")
    if bool(broker.cert_file) != bool(broker.key_file):
        key = "key_file" if broker.cert_file else "cert_file"
        raise wrong(key, "missing", "certificate and key are given together")
    if broker.password_file and not broker.username:
        raise wrong("username", "missing", "a password needs a user name")
    for key in ("ca_file", "cert_file", "key_file", "password_file"):
        if (name := getattr(broker, key)) is not None:
            _check_readable(name, f"broker.{key}", file)


def _check_readable(name: str, key: str, file: str) -> None:
    try:
        resolved(name).open("rb").close()
    except OSError as error:
        problem = f"{shown(name)} cannot be read: {error.strerror}"
        raise ConfigurationError(file, key, problem, "check path and rights") from None


def _check_credentials(broker: BrokerConfig, file: str) -> None:
    """Whether the files hold what they shall, and the key is the certificate's."""
    if not (broker.ca_file or broker.cert_file):
        return
    from jauge_agent.credentials import CredentialError, tls_context  # noqa: PLC0415 - loads ssl

    try:
        tls_context(
            resolved(broker.ca_file) if broker.ca_file else None,
            resolved(broker.cert_file) if broker.cert_file else None,
            resolved(broker.key_file) if broker.key_file else None,
        )
    except CredentialError as error:
        raise ConfigurationError(file, f"broker.{error.key}", error.problem, error.fix) from None


def _identified(config: AgentConfig, file: str) -> AgentConfig:
    """With site and agent as the certificate names them, which must not contradict the file."""
    if config.broker.cert_file is None:
        if config.site is None:
            raise ConfigurationError(file, "site", "missing", "add this key")
        return config
    from jauge_agent.credentials import (  # noqa: PLC0415 - loads ssl
        CredentialError,
        read_certificate,
    )

    path = resolved(config.broker.cert_file)
    try:
        name = read_certificate(path).name
    except CredentialError as error:
        raise ConfigurationError(file, f"broker.{error.key}", error.problem, error.fix) from None
    site, _, agent = name.partition("/")
    is_agent = is_name(site) and is_name(agent)
    wanted = f"{config.site or '<site>'}/{config.agent or '<agent>'}"
    if not is_agent:
        problem = f"{path} is for {name!r}, which names no agent"
        fix = f"have one issued for {wanted}"
        raise ConfigurationError(file, "broker.cert_file", problem, fix)
    if (config.site or site, config.agent or agent) != (site, agent):
        problem = f"{path} is for {name}, this agent is {wanted}"
        fix = f"have one issued for {wanted}, or correct site and agent"
        raise ConfigurationError(file, "broker.cert_file", problem, fix)
    return replace(config, site=site, agent=agent)


def _check_privacy(privacy: PrivacyConfig, file: str) -> None:
    def wrong(key: str, problem: str, fix: str) -> ConfigurationError:
        return ConfigurationError(file, f"privacy.{key}", problem, fix)

    for kind in privacy.pseudonymise:
        if kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            raise wrong("pseudonymise", f"{kind!r} is no kind of resource", f"kinds are {known}")
    if privacy.key_file is None:
        if privacy.pseudonymise:
            raise wrong("key_file", "missing", "pseudonyms need a key")
        return
    _check_readable(privacy.key_file, "privacy.key_file", file)
    try:
        key = secret(privacy.key_file)
    except UnicodeDecodeError:
        key = ""
    if len(key.encode()) < LEAST_KEY_BYTES:
        fix = f"write {LEAST_KEY_BYTES} or more, as `openssl rand -hex 32` does"
        raise wrong("key_file", "holds too few bytes of text for a key", fix)
