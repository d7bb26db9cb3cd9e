"""The site's own file for alerts: thresholds, sites, people to reach. Severities are not in it.

Every default is this project's choice, to be set by those who know the plant.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from jauge_models.configuration import ConfigurationError, parse

from jauge_dashboards.alerts.rule import Severity, Team
from jauge_dashboards.board import CONSOLE

Duration = Annotated[
    str,
    msgspec.Meta(pattern=r"\A[1-9][0-9]*(ms|s|m|h|d)\Z", description="a duration, e.g. 90s or 15m"),
]
Name = Annotated[
    str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z", description="a plain name")
]
Resource = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:-]*/[a-z_]+(:[A-Za-z0-9._:-]+)?\Z",
        description="'agent/resource', e.g. plant/sensor:outdoor",
    ),
]
Address = Annotated[
    str, msgspec.Meta(pattern=r"\A[^@\s]+@[^@\s]+\Z", description="an e-mail address")
]
HostPort = Annotated[str, msgspec.Meta(pattern=r"\A[^\s:]+:[0-9]+\Z", description="'host:port'")]
Url = Annotated[
    str, msgspec.Meta(pattern=r"\Ahttps?://[^\s\"\\{}]+[^\s\"\\{}/]\Z", description="a URL")
]
Clock = Annotated[
    str,
    msgspec.Meta(pattern=r"\A([01][0-9]|2[0-4]):[0-5][0-9]\Z", description="a time, e.g. 08:00"),
]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class Thresholds(_Section, frozen=True, kw_only=True):
    """Limits of the rules."""

    recent: Duration = "5m"
    """Only samples younger than this are looked at: late ones neither fire nor resolve."""
    keep: Duration = "10m"
    """For so long an alert still fires when its readings end, so that silence resolves nothing."""
    grace: Duration = "15m"
    """For so long after broker, store and collector are back nobody is called silent."""

    hot_sensors: Count = 2
    """So many intake sensors of a room must agree."""
    hot_for: Duration = "2m"
    rise_celsius: Positive = 5
    """A rise of intake temperature that is fast, within `rise_within`."""
    rise_within: Duration = "10m"

    mains_volts: Positive = 80
    """An input phase below it has no mains."""
    charge_fall: Share = 0.02
    """A battery's charge that falls by so much within `recent` is being used."""
    battery_for: Duration = "60s"

    phase_share: Share = 0.9
    """Of a breaker's rating: near its limit."""
    phase_for: Duration = "5m"
    feeds_share: Share = 1
    """Of one feed's rating: most that both feeds of a load may carry together on a phase."""
    feeds_for: Duration = "15m"

    leak_factor: Annotated[float, msgspec.Meta(ge=1)] = 1.2
    """A flow above so many times what the same weather and load ever showed."""
    leak_floor_l_h: Positive = 10
    """A flow below it, in litres per hour, is none."""
    leak_for: Duration = "2h"
    leak_memory: Duration = "365d"
    leak_learnt: Count = 60
    """Samples, one each `leak_every`, that a bin needs before it judges."""
    leak_every: Duration = "5m"
    leak_rate: Duration = "30m"
    """Over which a register's flow is taken: longer than the time between two of its steps."""
    mode_memory: Duration = "1d"
    """A cooler that told its mode within it and is silent now leaves its site's mode unknown."""
    wet_bulb_bin: Positive = 2
    """Width of a bin of outdoor wet-bulb temperature, in degrees."""
    load_bin_w: Positive = 50_000
    """Width of a bin of IT power, in watts."""

    down_for: Duration = "15m"
    """Broker, store or collector."""
    store_lag_s: Positive = 60
    """What is due has waited so long for the store: it does not take readings."""
    agent_silent: Duration = "10m"
    source_silent: Duration = "15m"
    sensor_silent: Duration = "20m"
    """Each longer than the one before, so that the cause is there before its consequences."""
    silent_for: Duration = "1m"

    crosscheck_for: Duration = "1h"
    certificate_days: Positive = 21
    spool_waiting: Duration = "1h"
    """The oldest reading that an agent still keeps for want of an answer."""
    coverage: Share = 0.92
    """Of the running quarter; below 0.9 a figure is « not measured »."""
    coverage_for: Duration = "1h"
    skew_s: Positive = 10
    """Packs more than 60 s ahead of the collector's clock stay unanswered."""
    skew_for: Duration = "15m"
    throttled_share: Share = 0.5
    """Of the time within `throttled_within` that heat holds a GPU down."""
    throttled_within: Duration = "30m"

    pue_rise: Positive = 0.03
    """Of the twelve months' figure against `drift_over` ago."""
    wue_rise: Positive = 0.05
    """In m3/MWh; the same."""
    drift_over: Duration = "30d"
    drift_for: Duration = "6h"
    compliance_for: Duration = "6h"


class SiteWater(_Section, frozen=True, kw_only=True):
    """A site's water: what tells a leak where cooling evaporates water."""

    name: Name
    outdoor: Resource | None = None
    """Outdoor air: temperature, and humidity where it has it."""
    makeup: tuple[Resource, ...] = ()
    """Meters of the water that only cooling uses: what they take while it runs dry is leaking."""
    dry_below_celsius: float | None = None
    """Outdoors below it cooling runs dry, while no cooler tells its mode."""


class Smtp(_Section, frozen=True, kw_only=True):
    """The mail server."""

    server: HostPort
    sender: Address
    user: str = ""
    password_file: str | None = None
    """File with the password, nothing else."""
    tls: bool = True


class Receiver(_Section, frozen=True, kw_only=True):
    """Somebody to tell, by one or several ways. Addresses that are secret stand in files."""

    name: Name
    mails: tuple[Address, ...] = ()
    webhook_url_file: str | None = None
    sms_url_file: str | None = None
    """A gateway for text messages: gets the same JSON as a webhook, at once and without the
    resolved."""
    token_file: str | None = None
    """Bearer token for webhook and gateway."""


class During(_Section, frozen=True, kw_only=True):
    """Hours of a week."""

    days: tuple[str, ...] = ("monday:friday",)
    begin: Clock = "08:00"
    end: Clock = "18:00"


class Route(_Section, frozen=True, kw_only=True):
    """Who is told of which severity, and when."""

    severity: Literal["page", "ticket", "report"]
    receiver: Name
    team: Team | None = None
    """Only what is this team's."""
    site: Name | None = None
    """Only what is of this site."""
    when: Literal["always", "office_hours", "outside_office_hours"] = "always"


class Routing(_Section, frozen=True, kw_only=True):
    """How alerts reach people."""

    grafana_url: Url = "http://127.0.0.1:3000"
    console_url: Url = CONSOLE
    """The collector's console as people reach it: its alert page, and its runbooks."""
    runbook_url: Url | None = None
    """Where the runbooks are served as `build` writes them; at the console where absent."""
    time_zone: str = "Europe/Paris"
    office_hours: During = During()
    page_wait: Duration = "30s"
    """Alerts of one group that begin within it are told of at once."""
    ticket_wait: Duration = "2m"
    group_interval: Duration = "5m"
    page_repeat: Duration = "4h"
    ticket_repeat: Duration = "7d"
    watchdog_url_file: str | None = None
    """Of a receiver outside the site that cries when the sign of life ends."""

    def runbook(self, alert: str, language: str) -> str:
        """Address of an alert's runbook."""
        if self.runbook_url is None:
            return f"{self.console_url}/runbooks/{language}/{alert}"
        return f"{self.runbook_url}/{language}/{alert}.md"


class Settings(_Section, frozen=True, kw_only=True):
    """The whole file."""

    thresholds: Thresholds = Thresholds()
    sites: tuple[SiteWater, ...] = ()
    routing: Routing = Routing()
    smtp: Smtp | None = None
    receivers: tuple[Receiver, ...] = (
        Receiver(name="on-call", webhook_url_file="/etc/jauge/alerting/on-call.url"),
        Receiver(name="office", webhook_url_file="/etc/jauge/alerting/office.url"),
        Receiver(name="readers", webhook_url_file="/etc/jauge/alerting/readers.url"),
    )
    routes: tuple[Route, ...] = (
        Route(severity="page", receiver="on-call"),
        Route(severity="ticket", receiver="office", when="office_hours"),
        Route(severity="report", receiver="readers", when="office_hours"),
    )


_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """A duration of the file in seconds."""
    number = duration.rstrip("dhms")
    return int(number) * _SECONDS[duration.removeprefix(number)]


def at_console(settings: Settings, console: str) -> Settings:
    """The same with the console at another address. Raises ConfigurationError for what is none."""
    try:
        return msgspec.convert(
            msgspec.to_builtins(settings) | {"routing": _moved(settings.routing, console)},
            Settings,
        )
    except msgspec.ValidationError:
        problem, fix = f"{console!r} is no URL", "write 'https://console.example.org'"
        raise ConfigurationError("--console", "", problem, fix) from None


def _moved(routing: Routing, console: str) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(routing)
    return told | {"console_url": console.rstrip("/")}


def load(path: Path) -> Settings:
    """Read the file. Raises ConfigurationError with the key, the problem and the fix."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(
            str(path), "", f"cannot be read ({reason})", "name a TOML file"
        ) from None
    settings = parse(text, Settings, file=str(path))
    check(settings, str(path))
    return settings


def check(settings: Settings, file: str) -> None:
    """What no type says. Raises ConfigurationError."""
    limits = settings.thresholds
    silences = (limits.agent_silent, limits.source_silent, limits.sensor_silent)
    if not seconds(silences[0]) < seconds(silences[1]) < seconds(silences[2]):
        raise ConfigurationError(
            file,
            "thresholds.source_silent",
            "the silence of agent, source and sensor must grow in this order",
            "a dead agent would else open a ticket for each of its sensors",
        )
    if settings.smtp is None and (by := [r.name for r in settings.receivers if r.mails]):
        raise ConfigurationError(
            file, "smtp", f"missing, though {by[0]} is reached by mail", "add the section"
        )
    names = [receiver.name for receiver in settings.receivers]
    if len(set(names)) < len(names) or {"nobody", "watchdog"} & set(names):
        raise ConfigurationError(
            file, "receivers", "a name stands twice, or is nobody or watchdog", "rename one"
        )
    if len({site.name for site in settings.sites}) < len(settings.sites):
        raise ConfigurationError(file, "sites", "a site stands twice", "merge them")
    for at, site in enumerate(settings.sites):
        if site.dry_below_celsius is not None and not (site.makeup and site.outdoor):
            raise ConfigurationError(
                file,
                f"sites[{at}].dry_below_celsius",
                "says nothing without makeup and outdoor",
                "name the meters of make-up water and the outdoor sensor",
            )
    _check_routes(settings, names, file)


def _check_routes(settings: Settings, names: list[str], file: str) -> None:
    uses: dict[str, set[str]] = {}
    for at, route in enumerate(settings.routes):
        if route.receiver not in names:
            raise ConfigurationError(
                file,
                f"routes[{at}].receiver",
                f"{route.receiver!r} is no receiver",
                f"known are {', '.join(names)}",
            )
        uses.setdefault(route.receiver, set()).add(route.severity)
    for severity in (Severity.PAGE, Severity.TICKET, Severity.REPORT):
        for team in Team:
            if not _is_told(settings.routes, severity, team):
                always = " at every hour" if severity is Severity.PAGE else ""
                raise ConfigurationError(
                    file,
                    "routes",
                    f"nobody is told of a {severity} of {team} of every site{always}",
                    "add a route",
                )
    pagers = {one for one, severities in uses.items() if Severity.PAGE in severities}
    pagers |= {receiver.name for receiver in settings.receivers if receiver.sms_url_file}
    for at, route in enumerate(settings.routes):
        if Severity(route.severity) is Severity.REPORT and route.receiver in pagers:
            raise ConfigurationError(
                file,
                f"routes[{at}].receiver",
                f"{route.receiver!r} is a pager, and a report wakes nobody",
                "give reports a receiver of their own",
            )


def _is_told(routes: tuple[Route, ...], severity: Severity, team: Team) -> bool:
    """Whether somebody is told of it; of a page at every hour."""
    found = {
        route.when
        for route in routes
        if route.severity == severity.value and not route.site and route.team in {None, team}
    }
    if severity is not Severity.PAGE:
        return bool(found)
    return "always" in found or found >= {"office_hours", "outside_office_hours"}
