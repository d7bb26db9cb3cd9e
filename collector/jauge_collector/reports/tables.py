"""The report as tables for a spreadsheet or a program: CSV files with a Data Package.

CSV by RFC 4180 (`csv_text`); ``datapackage.json`` describes each column by a Table Schema
(Frictionless Data Package 1). Columns and codes are the same in every language; titles,
descriptions and reasons are in the reader's. A value that is not known is an empty cell.
"""

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec
from jauge_models.compliance.criteria import SERVER_CRITERIA
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Result, Status
from jauge_models.compliance.trajectory import Point

from jauge_collector.compliance.words import Words, words
from jauge_collector.csv_text import Cell, moment, written
from jauge_collector.reports.content import Report, data_hash
from jauge_collector.reports.figures import figures

DESCRIPTOR: Final = "datapackage.json"
LICENCE: Final = {
    "name": "etalab-2.0",
    "title": "Licence Ouverte 2.0",
    "path": "https://www.etalab.gouv.fr/licence-ouverte-open-licence",
}


class Type(StrEnum):
    """Types of a Table Schema."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


class Column(NamedTuple):
    """A column; its title and description stand in the locale under its name."""

    name: str
    type: Type = Type.STRING
    required: bool = False
    choices: tuple[str, ...] = ()


Rows = Iterator[tuple[Cell, ...]]


class TableKind(NamedTuple):
    """A table of the report. ``public``: names no server, rack, meter, person or body."""

    name: str
    columns: tuple[Column, ...]
    rows: Callable[[Report, Words], Rows]
    key: tuple[str, ...] = ()
    public: bool = False


def tables(report: Report, language: str) -> Mapping[str, bytes]:
    """Every file of the package by its name: the tables, then what describes them."""
    spoken = words(language)
    found = {
        f"{kind.name}.csv": written(
            [column.name for column in kind.columns], kind.rows(report, spoken)
        ).encode()
        for kind in TABLES
    }
    descriptor = _descriptor(report, language, found)
    text = msgspec.json.format(msgspec.json.encode(descriptor), indent=2)
    return {**found, DESCRIPTOR: text + b"\n"}


def _descriptor(report: Report, language: str, found: Mapping[str, bytes]) -> dict[str, Any]:
    texts = _texts(language)
    record = report.record
    at = datetime.fromtimestamp(report.gathered_ms // 1000, UTC)
    title = texts["package"]["title"].format(site=record.title, quarter=record.quarter)
    notes = [texts["package"]["description"]]
    notes += [texts["package"]["provisional"]] if report.provisional else []
    notes += [texts["package"]["simulated"]] if record.simulated else []
    return {
        "profile": "tabular-data-package",
        "name": f"jauge-{record.site}-{record.quarter}".lower(),
        "title": title,
        "description": " ".join(notes),
        "version": str(max(1, report.revision)),
        "created": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "language": language,
        "provisional": report.provisional,
        "simulated": record.simulated,
        "data_hash": data_hash(report),
        "resources": [_resource(kind, found[f"{kind.name}.csv"], report, texts) for kind in TABLES],
    }


def _resource(
    kind: TableKind, content: bytes, report: Report, texts: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "fields": [_field(column, texts) for column in kind.columns],
        "missingValues": [""],
    }
    if kind.key:
        schema["primaryKey"] = list(kind.key)
    resource: dict[str, Any] = {
        "profile": "tabular-data-resource",
        "name": kind.name,
        "path": f"{kind.name}.csv",
        "title": texts["tables"][kind.name],
        "description": texts["descriptions"][kind.name],
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "header": True},
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "schema": schema,
    }
    if kind.public and not report.provisional:
        resource["licenses"] = [LICENCE]
    return resource


def _field(column: Column, texts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    if column.required:
        constraints["required"] = True
    if column.choices:
        constraints["enum"] = list(column.choices)
    return {
        "name": column.name,
        "type": column.type.value,
        "title": texts["columns"][column.name],
        "description": texts["meanings"][column.name],
        **({"constraints": constraints} if constraints else {}),
    }


@cache
def _texts(language: str) -> Mapping[str, Mapping[str, str]]:
    folder = files("jauge_collector.reports").joinpath("locale", "tables")
    found: dict[str, dict[str, str]] = tomllib.loads(
        folder.joinpath(f"{language}.toml").read_text("utf-8")
    )
    return found


# --- rows


_RESULTS: Final = tuple(result.value for result in Result)
_STATUSES: Final = tuple(status.value for status in Status)
_OF_SERVERS: Final = tuple(criterion.id for criterion in SERVER_CRITERIA)


def _servers(report: Report, _: Words) -> Rows:
    for outcome in report.record.assessment.servers:
        machine = outcome.machine
        statuses = {each.criterion: each.status.value for each in outcome.criteria}
        yield (
            machine.id,
            machine.site,
            "" if machine.server is None else machine.server.room,
            machine.rack,
            machine.owner,
            machine.used_by,
            _said(machine.server is not None),
            ", ".join(machine.seen_by),
            outcome.result.value,
            outcome.own.value,
            machine.energy_kwh,
            *(statuses.get(criterion) for criterion in _OF_SERVERS),
            _said(outcome.simulated),
        )


def _criteria(report: Report, spoken: Words) -> Rows:
    assessment = report.record.assessment
    for site, criteria in sorted(assessment.sites.items()):
        yield from (_criterion("site", site, each, spoken) for each in criteria)
    for outcome in assessment.servers:
        yield from _of_server(outcome, spoken)


def _of_server(outcome: Outcome, spoken: Words) -> Rows:
    for each in outcome.criteria:
        yield _criterion("server", outcome.machine.id, each, spoken)


def _criterion(scope: str, subject: str, each: CriterionResult, spoken: Words) -> tuple[Cell, ...]:
    return (
        scope,
        subject,
        each.criterion,
        spoken.criteria[each.criterion],
        each.status.value,
        each.reason.key,
        spoken.reason(each.reason),
        "; ".join(f"{note.kind.value} {note.day.isoformat()}" for note in each.annotations),
        ", ".join(each.evidence),
        each.basis,
        each.rule_status.value,
        ", ".join(each.numbers),
        _said(each.project),
    )


def _figures(report: Report, spoken: Words) -> Rows:
    changed = {one.figure for one in report.restated}
    spans = {"quarter": report.quarter, "year": report.year}
    for each in figures(report):
        span = spans[each.period]
        yield (
            each.key,
            each.label,
            each.value,
            each.unit,
            span.first.isoformat(),
            span.last.isoformat(),
            each.coverage,
            each.grade,
            each.category,
            each.status,
            each.attested_share,
            each.estimated_share,
            each.uncertainty,
            spoken.plain.reason(each.reason) if each.reason else "",
            each.boundary,
            each.formula,
            each.rule_status,
            _said(each.key in changed),
        )


def _meters(report: Report, _: Words) -> Rows:
    for meter in report.meters:
        yield (
            meter.id,
            meter.name,
            meter.commodity,
            meter.location,
            meter.accuracy,
            ", ".join(meter.feeds),
            ", ".join(meter.terms),
            meter.coverage,
            meter.method,
            meter.grade.value,
        )


def _gaps(report: Report, _: Words) -> Rows:
    for gap in report.gaps:
        yield (
            gap.meter,
            moment(gap.start_ms),
            moment(gap.end_ms),
            (gap.end_ms - gap.start_ms) / 3_600_000,
            _said(gap.bridged),
            ", ".join(gap.flags),
        )


def _trajectory(report: Report, _: Words) -> Rows:
    way = report.record.trajectory
    for point in way.history:
        yield _point("history", point)
    for name, several in (("forecast", way.forecast), ("on_track", way.on_track)):
        for step in several:
            yield _point(name, step.point)
    for goal in way.goals:
        reading = goal.deadline.reading.value
        yield _due("deadline", goal.deadline.day, reading, None)
        if goal.snapshot is not None:
            yield _point("snapshot", goal.snapshot, reading)
        for required in goal.line:
            yield _due("required", required.day, reading, required.share)
        for milestone in goal.milestones:
            yield _due("milestone", milestone.day, reading, milestone.share)


def _point(kind: str, point: Point, reading: str = "") -> tuple[Cell, ...]:
    day = point.day.isoformat()
    return kind, day, reading, point.demonstrated, point.declared, point.total, point.share


def _due(kind: str, day: date, reading: str, share: float | None) -> tuple[Cell, ...]:
    return kind, day.isoformat(), reading, None, None, None, share


def _said(value: bool) -> str:
    return "true" if value else "false"


_GRADES: Final = ("high", "medium", "low")

TABLES: Final = (
    TableKind(
        "servers",
        (
            Column("server", required=True),
            Column("site"),
            Column("room"),
            Column("rack"),
            Column("owner"),
            Column("used_by"),
            Column("listed", Type.BOOLEAN, required=True),
            Column("seen_by"),
            Column("result", required=True, choices=_RESULTS),
            Column("own_result", required=True, choices=_RESULTS),
            Column("energy_kwh", Type.NUMBER),
            *(Column(criterion, choices=_STATUSES) for criterion in _OF_SERVERS),
            Column("simulated", Type.BOOLEAN, required=True),
        ),
        _servers,
        key=("server",),
    ),
    TableKind(
        "criteria",
        (
            Column("scope", required=True, choices=("site", "server")),
            Column("subject", required=True),
            Column("criterion", required=True),
            Column("criterion_title", required=True),
            Column("criterion_status", required=True, choices=_STATUSES),
            Column("reason_key", required=True),
            Column("reason", required=True),
            Column("annotations"),
            Column("evidence"),
            Column("basis"),
            Column("rule_status", required=True),
            Column("practice_numbers"),
            Column("project_rule", Type.BOOLEAN, required=True),
        ),
        _criteria,
        key=("scope", "subject", "criterion"),
    ),
    TableKind(
        "figures",
        (
            Column("figure", required=True),
            Column("label", required=True),
            Column("value", Type.NUMBER),
            Column("unit", required=True),
            Column("first_day", Type.DATE, required=True),
            Column("last_day", Type.DATE, required=True),
            Column("coverage", Type.NUMBER),
            Column("grade", choices=_GRADES),
            Column("category"),
            Column("figure_status"),
            Column("attested_share", Type.NUMBER),
            Column("estimated_share", Type.NUMBER),
            Column("uncertainty", Type.NUMBER),
            Column("withheld_reason"),
            Column("boundary"),
            Column("formula"),
            Column("rule_status"),
            Column("restated", Type.BOOLEAN, required=True),
        ),
        _figures,
        key=("figure",),
    ),
    TableKind(
        "meters",
        (
            Column("meter", required=True),
            Column("meter_name", required=True),
            Column("commodity", required=True),
            Column("location"),
            Column("accuracy_class"),
            Column("feeds"),
            Column("terms"),
            Column("coverage", Type.NUMBER, required=True),
            Column("method"),
            Column("grade", choices=_GRADES),
        ),
        _meters,
        key=("meter",),
    ),
    TableKind(
        "gaps",
        (
            Column("meter", required=True),
            Column("start", Type.DATETIME, required=True),
            Column("end", Type.DATETIME, required=True),
            Column("hours", Type.NUMBER, required=True),
            Column("bridged", Type.BOOLEAN, required=True),
            Column("flags"),
        ),
        _gaps,
    ),
    TableKind(
        "trajectory",
        (
            Column("kind", required=True),
            Column("day", Type.DATE, required=True),
            Column("reading", choices=("strict", "wide")),
            Column("demonstrated", Type.INTEGER),
            Column("declared", Type.INTEGER),
            Column("total", Type.INTEGER),
            Column("share", Type.NUMBER),
        ),
        _trajectory,
        public=True,
    ),
)
