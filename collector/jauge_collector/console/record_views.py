"""The compliance record as the JSON interface answers it."""

from collections.abc import Mapping

import msgspec
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Result, Status, Value

from jauge_collector.compliance.life import Standing, State
from jauge_collector.console.compliance_scope import Count, Seen
from jauge_collector.console.records import Found
from jauge_collector.reports.content import Signed


class CriterionView(msgspec.Struct, frozen=True):
    """One criterion; ``reason`` is a key, its values beside it; ``notes`` by kind, with the day."""

    criterion: str
    status: Status
    reason: str
    values: Mapping[str, Value]
    evidence: tuple[str, ...]
    notes: Mapping[str, str]


class ServerView(msgspec.Struct, frozen=True):
    """One machine of the quarter; ``listed``: whether the inventory has it. Energy in kWh."""

    id: str
    rack: str
    owner: str
    used_by: str
    listed: bool
    result: Result
    own_result: Result
    energy_kwh: float | None
    criteria: list[CriterionView]


class ResultView(msgspec.Struct, frozen=True):
    """How many machines have a result, and shares, 0 to 1; null of nothing, or not known."""

    result: Result
    servers: int
    servers_share: float | None
    kwh: float | None
    kwh_share: float | None
    racks: int | None
    racks_share: float | None


class ServerList(msgspec.Struct, frozen=True):
    """The register of servers of a site and quarter.

    ``provisional`` until two people approved the policy and the quarter. The headline is what is
    demonstrated; what is declared stands beside it and is never added. ``own`` counts those
    demonstrated on server criteria alone.
    """

    site: str
    quarter: str
    as_of: str
    worked_ms: int
    state: State
    provisional: bool
    simulated: bool
    policy_version: str
    total: int
    results: list[ResultView]
    own: int
    site_criteria: list[CriterionView]
    servers: list[ServerView]


class QuarterView(msgspec.Struct, frozen=True):
    """How far a quarter has come; the digests are SHA-256."""

    site: str
    quarter: str
    state: State
    provisional: bool
    revision: int
    data_hash: str
    snapshot: str
    closed: Signed | None
    approved: Signed | None
    published: Signed | None


class ReportList(msgspec.Struct, frozen=True):
    """Every quarter that was ever closed, by site, oldest first."""

    reports: list[QuarterView]


def server_list(found: Found, seen: Seen, standing: Standing) -> ServerList:
    """What the interface answers of a record."""
    record = found.record
    approved = standing.state in (State.APPROVED, State.PUBLISHED)
    return ServerList(
        site=record.site,
        quarter=record.quarter,
        as_of=record.as_of.isoformat(),
        worked_ms=found.worked_ms,
        state=standing.state,
        provisional=not (approved and found.frozen),
        simulated=record.simulated,
        policy_version=record.policy_version,
        total=seen.total,
        results=[_result(each) for each in seen.counts],
        own=seen.own,
        site_criteria=[_criterion(each, told=seen.whole) for each in seen.site],
        servers=[_server(each) for each in seen.servers],
    )


def quarter_view(standing: Standing) -> QuarterView:
    """What the interface answers of a quarter."""
    approved = standing.state in (State.APPROVED, State.PUBLISHED)
    return QuarterView(
        site=standing.site,
        quarter=standing.quarter,
        state=standing.state,
        provisional=not approved or bool(standing.restated),
        revision=standing.revision,
        data_hash=standing.data_hash,
        snapshot=standing.snapshot,
        closed=standing.closed,
        approved=standing.approved,
        published=standing.published,
    )


def _result(each: Count) -> ResultView:
    return ResultView(*each)


def _criterion(each: CriterionResult, *, told: bool = True) -> CriterionView:
    return CriterionView(
        each.criterion,
        each.status,
        each.reason.key if told else "",
        each.reason.values if told else {},
        each.evidence,
        {note.kind.value: note.day.isoformat() for note in each.annotations},
    )


def _server(each: Outcome) -> ServerView:
    machine = each.machine
    return ServerView(
        machine.id,
        machine.rack,
        machine.owner,
        machine.used_by,
        machine.server is not None,
        each.result,
        each.own,
        machine.energy_kwh,
        [_criterion(one) for one in each.criteria],
    )
