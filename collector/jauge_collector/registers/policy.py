"""The compliance policy: thresholds, limits and readings of dates, as data with a version and hash.

TOML. What a file leaves out has the default of STANDARDS 8, and the hash covers defaults too: it is
of the values that hold, in one canonical form, without the approvals. Two different people approve
a policy by naming that hash, so that a later change is not approved by it. Each default is a figure
of a text or « exigence du projet » [P], as its line says.
"""

import hashlib
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from jauge_models.compliance.persons import person_key
from jauge_models.compliance.policy import Act, Deadline, Placement, Policy, Reading
from jauge_models.compliance.psychrometrics import CLASSES, Envelope, Humidity
from jauge_models.compliance.trajectory import Milestone
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.rules import RuleStatus

from jauge_collector.civil import YEARS

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Months = Annotated[int, msgspec.Meta(ge=1, le=240)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3660)]
Celsius = Annotated[float, msgspec.Meta(ge=-60, le=100)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Text = Annotated[str, msgspec.Meta(max_length=500)]

MOST_POLICY_BYTES: Final = 256 * 1024
APPROVERS: Final = 2


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class MilestoneSection(_Section, frozen=True, kw_only=True):
    """A dated milestone on the way to the goal, as people agreed on it."""

    day: date
    """By when; not after the wide reading."""
    share: Share
    """Of the servers that are demonstrated by then, 0 to 1."""
    note: Text = ""
    """What it stands for; never a person's name."""


class GoalSection(_Section, frozen=True, kw_only=True):
    """How the goal's text is read; the first page of every report prints it."""

    reading: Text = "Code de conduite européen (JRC)"
    """What « référentiel européen des centres de données » is taken for."""
    edition: Text = ""
    """Edition of the Code, as the register of practices writes it."""
    next_edition_published: date | None = None
    """Day on which the edition after it was published; absent while there is none."""
    others: Annotated[tuple[Text, ...], msgspec.Meta(max_length=20)] = (
        "règlement délégué (UE) 2024/1364",
        "EN 50600 / CLC/TS 50600-5-1",
    )
    """Other readings that the report names."""
    validated_role: Text = ""
    """Role of who validated the reading; never a person's name."""
    validated_on: date | None = None
    """Day on which it was validated."""
    strict: date = date(2027, 1, 1)
    """« Lecture stricte » of « d'ici 2027 »: the day before is the last one measured for it."""
    wide: date = date(2027, 12, 31)
    """« Lecture large »; its last day measured too."""
    line_sites: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 5
    """From so many sites a required line is drawn; below, dated milestones [P]."""
    sobriety_base_year: Annotated[int, msgspec.Meta(ge=1990, le=2999)] | None = None
    """Calendar year that « Sobriété » sets the twelve months beside; absent: no such section."""
    milestones: list[MilestoneSection] = []
    """Dated milestones, which stand where no line is required."""


class SiteSection(_Section, frozen=True, kw_only=True):
    """Limits of the criteria of sites."""

    participation: Literal["S1a", "S1b"] = "S1a"
    """Which of S1a and S1b a server's site must meet (V2)."""
    return_months: Months = 15
    """S1a: age of the last annual return [P]."""
    verification_months: Months = 36
    """S1b: age of the verification report; Taxonomy 8.1, « at least every three years »."""
    edition_months: Months = 6
    """How long an edition may be used after the next is published; Taxonomy 8.1."""
    exemption_limit: Share = 0.10
    """S2: highest share of practices that do not apply [P]."""
    pue_objective: Annotated[float, msgspec.Meta(ge=1, le=10)] = 1.5
    """S5: shown as « objectif RGESN », decides nothing (RGESN 2024, 8.3)."""
    wue_objective: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.4
    """S6: m3/MWh; the same (RGESN 2024, 8.4)."""
    review_months: Months = 12
    """S8: age of the set-point review [P]."""
    hourly_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 3600
    """S10: longest interval between readings."""
    daily_s: Annotated[int, msgspec.Meta(ge=1, le=7 * 86400)] = 86400
    """S10: longest interval that is still accepted, and said."""
    gwp_limit: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 675.0
    """S11: Taxonomy 8.1, third point."""
    report_days: Days = 100
    """S13: age of the written report [P]."""
    register_years: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """S14: Delegated Regulation (EU) 2024/1364, Annex II."""
    energy_tolerance: Share = 0.02
    """S15: how far energy and invoices may differ [P]."""
    water_tolerance: Share = 0.05
    """S15: the same of water [P]."""


class CoverageSection(_Section, frozen=True, kw_only=True):
    """How much must be measured before a figure is shown; all [P]."""

    coverage_minimum: Share = 0.90
    """Joint coverage below which a figure is « non mesuré »."""
    coverage_month: Share = 0.75
    """That every month of an annual figure needs."""
    coverage_gap_days: Annotated[float, msgspec.Meta(ge=0, le=366)] = 10.0
    """Longest gap, unless a register bridges it."""
    electricity_coverage: Share = 0.90
    """V5: of a server's own electricity."""


class TemperatureSection(_Section, frozen=True, kw_only=True):
    """S7 to S9 and V4."""

    site_envelope: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "A2"
    """The class by which rooms are judged [P]."""
    intake_measured: Share = 0.90
    """Of the hours that must be measured [P]."""
    intake_allowable: Share = 0.99
    """Of the measured hours that must lie within the allowable range [P]."""
    intake_recommended: Share = 0.90
    """Of the measured hours that must lie within the recommended range, or a review says why not
    [P]."""
    humidity_allowable: Share = 0.99
    """Of the measured hours whose humidity must lie within the class [P]."""
    commissioned_days: Days = 30
    """V4: a younger server is not demonstrated [P]."""


class ServerSection(_Section, frozen=True, kw_only=True):
    """Limits of the criteria of servers that are reported and decide nothing."""

    ecodesign_since: date = date(2020, 3, 1)
    """V7: Regulation (EU) 2019/424, information duty."""
    idle_cpu: Share = 0.05
    """V9: mean use of the processors [P]."""
    idle_days: Days = 30
    """V9: over so many days [P]."""


class CountingSection(_Section, frozen=True, kw_only=True):
    """What counts, and what only once a second person has confirmed it; all [P]."""

    counted: tuple[Placement, ...] = tuple(Placement)
    """What is in the denominator; the rest is listed beside it. Rented machines never are: they
    stand on the provider's attestation, on a line of their own."""
    two_people: tuple[Act, ...] = (Act.ATTESTATION, Act.POLICY_CHANGE, Act.QUARTER_APPROVAL)
    """What a second person must confirm."""


class EnvelopeSection(_Section, frozen=True, kw_only=True):
    """A class of equipment, from its text: replaces the one of that name, or adds one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """As the inventory writes it, e.g. ``H1``."""
    allowable: tuple[Celsius, Celsius]
    """°C."""
    recommended: tuple[Celsius, Celsius]
    """°C."""
    dew_point: tuple[Celsius, Celsius] | None = None
    """Allowable dew point, °C."""
    humidity: tuple[Percent, Percent] | None = None
    """Allowable relative humidity, %; with dew_point."""
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """Where this is written: text, edition, table and page."""
    liquid: bool = False
    """Whether the temperatures are those of the facility water."""


class ApprovalSection(_Section, frozen=True, kw_only=True):
    """One person's approval."""

    person: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """Who: the login of the console, as the audit record has it."""
    on: date
    """Day."""
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="64 hex digits")]
    """Of the policy that was approved, as ``policy_hash`` gives it."""
    reason: Text = ""
    """Why it was changed."""


class PolicyFile(_Section, frozen=True, kw_only=True):
    """What stands in a policy file."""

    version: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """Its name in reports, e.g. ``2026-1``."""
    valid_from: date | None = None
    """First day on which it holds; earlier quarters are restated where it changes them."""
    note: Text = ""
    """What this version changes, and why."""
    goal: GoalSection = GoalSection()
    site: SiteSection = SiteSection()
    coverage: CoverageSection = CoverageSection()
    temperature: TemperatureSection = TemperatureSection()
    server: ServerSection = ServerSection()
    counting: CountingSection = CountingSection()
    envelopes: list[EnvelopeSection] = []
    pending_texts: bool = False
    """Whether the report has the annex « textes en attente »."""
    approvals: list[ApprovalSection] = []


def read(text: str, file: str) -> PolicyFile:
    """A policy, checked. Raises ConfigurationError."""
    if len(text) > MOST_POLICY_BYTES:
        raise ConfigurationError(file, "", f"is larger than {MOST_POLICY_BYTES // 1024} KiB")
    found = parse(text, PolicyFile, file=file)
    for name in ("strict", "wide"):
        if getattr(found.goal, name).year not in YEARS:
            key, years = f"goal.{name}", f"of the years {YEARS[0]} to {YEARS[-1]}"
            raise ConfigurationError(file, key, "lies too far away", f"write a day {years}")
    if found.goal.wide < found.goal.strict:
        raise ConfigurationError(file, "goal.wide", "lies before goal.strict", "swap them")
    _check_milestones(found.goal, file)
    if found.site.daily_s < found.site.hourly_s:
        raise ConfigurationError(file, "site.daily_s", "is below site.hourly_s", "swap them")
    if len({one.name for one in found.envelopes}) < len(found.envelopes):
        raise ConfigurationError(file, "envelopes", "one name stands there twice", "drop one")
    for at, one in enumerate(found.envelopes):
        if (one.dew_point is None) != (one.humidity is None):
            key = f"envelopes[{at}].humidity"
            raise ConfigurationError(file, key, "dew_point and humidity go together", "give both")
    try:
        limits(found)
    except ValueError as error:
        raise ConfigurationError(file, "", str(error)) from None
    return found


def _check_milestones(goal: GoalSection, file: str) -> None:
    known: set[date] = set()
    for at, one in enumerate(goal.milestones):
        key = f"goal.milestones[{at}].day"
        if one.day > goal.wide:
            raise ConfigurationError(file, key, "lies after goal.wide", "date it before the goal")
        if one.day in known:
            raise ConfigurationError(file, key, "stands there twice", "drop one")
        known.add(one.day)


def milestones(policy: PolicyFile | None) -> tuple[Milestone, ...]:
    """The dated milestones, by day; none without a policy."""
    told = [] if policy is None else policy.goal.milestones
    found = (Milestone(one.day, one.share, one.note) for one in told)
    return tuple(sorted(found, key=lambda one: one.day))


def limits(policy: PolicyFile) -> Policy:
    """The same as the evaluation takes it. Raises ValueError where it refuses it."""
    told: dict[str, Any] = {"version": policy.version, "valid_from": policy.valid_from}
    sections = (policy.site, policy.coverage, policy.temperature, policy.server)
    for section in sections:
        told |= msgspec.structs.asdict(section)
    own = {one.name: _envelope(one) for one in policy.envelopes}
    kept = tuple(row for row in CLASSES if row.name not in own)
    goal = policy.goal
    return Policy(
        **told,
        envelopes=(*kept, *own.values()),
        counted=frozenset(policy.counting.counted),
        two_people=frozenset(policy.counting.two_people),
        deadlines=(
            Deadline(Reading.STRICT, goal.strict, goal.strict - timedelta(days=1)),
            Deadline(Reading.WIDE, goal.wide, goal.wide),
        ),
        line_sites=goal.line_sites,
    )


def _envelope(section: EnvelopeSection) -> Envelope:
    humidity = None
    if section.dew_point is not None and section.humidity is not None:
        humidity = Humidity(*section.dew_point, *section.humidity)
    return Envelope(
        name=section.name,
        allowable=section.allowable,
        recommended=section.recommended,
        allowable_humidity=humidity,
        reference=section.reference,
        status=RuleStatus.IN_FORCE,
        liquid=section.liquid,
    )


_LATER: Final[dict[str, object]] = {"sobriety_base_year": None, "milestones": []}
"""Keys of the goal that came later, with what they hold where a file says nothing."""


def policy_hash(policy: PolicyFile) -> str:
    """SHA-256 of the canonical form: every value that holds, keys in order, no approvals.

    A base year or milestones that are not given are no part of it: policies approved before there
    were any keep their hash.
    """
    content = msgspec.structs.asdict(policy)
    del content["approvals"]
    goal = msgspec.structs.asdict(policy.goal)
    absent = [name for name, empty in _LATER.items() if goal[name] == empty]
    if absent:
        for name in absent:
            del goal[name]
        content["goal"] = msgspec.Raw(msgspec.json.encode(goal))  # in the order of the struct
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def approvers(policy: PolicyFile) -> tuple[str, ...]:
    """Who approved what the file now says, each once, in the order written."""
    now = policy_hash(policy)
    valid = (person_key(one.person) for one in policy.approvals if one.hash == now)
    return tuple(dict.fromkeys(filter(None, valid)))


def is_approved(policy: PolicyFile) -> bool:
    """Whether two different people approved it; else what it decides is « PROVISOIRE »."""
    return len(approvers(policy)) >= APPROVERS
