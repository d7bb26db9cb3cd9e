"""Golden sites: readings, registers and entries in, and what an officer worked out by hand out."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jauge_collector.compliance.record import Record
from jauge_collector.reports.content import Report
from jauge_models.compliance.criteria import CRITERIA, SERVER_CRITERIA, SITE_CRITERIA
from jauge_models.compliance.results import Assessment
from jauge_models.compliance.status import REASONS, CriterionResult, Status

from tests.golden.folder import SITE, Expected, expectations, lay_out, names
from tests.golden.timeline import Timeline

NEVER: Final = {
    ("V3", Status.NOT_MET): "a written range without its document is refused as it is read",
    ("V8", Status.MET): "only the inventory tells of power management, and that is attested",
}
"""What the definition can answer and no collector can ever be told; the pure tests have them."""


@pytest.mark.parametrize("name", names())
async def test_a_golden_site(name: str, tmp_path: Path) -> None:
    """Everything that ``expected.toml`` says is what record and report say."""
    golden = lay_out(name, tmp_path)
    async with Timeline(golden) as timeline:
        await timeline.play()
        for quarter, expected in golden.expected.items():
            record, report = await timeline.judged(quarter)
            assert _plain(record.assessment) == _plain(report.record.assessment)
            found = _found(record.assessment, expected)
            assert found == _wanted(expected), quarter
            _check_report(record, report, expected)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_each_criterion_has_each_status(criterion: str) -> None:
    """Each status that a criterion can have is expected of some golden site, or cannot be."""
    shown = {status for known, status in _shown() if known == criterion}
    never = {status for known, status in NEVER if known == criterion}
    assert shown == CRITERIA[criterion].statuses - never
    assert never <= CRITERIA[criterion].statuses


def _shown() -> set[tuple[str, Status]]:
    """Every status of a criterion that a golden site is expected to have."""
    found: set[tuple[str, Status]] = set()
    for name in names():
        for expected in expectations(name).values():
            for criteria in (expected.site, *expected.machines.values()):
                for criterion, answer in criteria.items():
                    if criterion in CRITERIA:
                        found.add((criterion, Status(answer.split()[0])))
    return found


def _plain(assessment: Assessment) -> Any:
    return json.loads(msgspec.json.encode(assessment, order="deterministic"))


def _wanted(expected: Expected) -> dict[str, Any]:
    """What is expected of criteria, each by its subject; no row of a criterion may be left out."""
    if expected.site:
        assert set(expected.site) == {row.id for row in SITE_CRITERIA}
    for criteria in expected.machines.values():
        assert set(criteria) == {"result", *(row.id for row in SERVER_CRITERIA)}
    answers = [*expected.site.values()]
    answers += [a for m in expected.machines.values() for c, a in m.items() if c != "result"]
    assert {answer.split()[1] for answer in answers} <= set(REASONS)
    return {
        "site": expected.site,
        "machines": expected.machines,
        "annotations": expected.annotations,
    }


def _found(assessment: Assessment, expected: Expected) -> dict[str, Any]:
    """What the assessment says of what is expected."""
    site = assessment.sites[SITE] if expected.site else ()
    servers = assessment.servers if expected.machines else ()
    noted: dict[str, str] = {}
    for subject, criteria in ((SITE, site), *((s.machine.id, s.criteria) for s in servers)):
        for each in criteria:
            told = [f"{note.kind} {note.day}" for note in each.annotations]
            if told:
                noted[f"{subject} {each.criterion}"] = ", ".join(told)
    return {
        "site": _answers(site),
        "machines": {
            each.machine.id: {"result": str(each.result), **_answers(each.criteria)}
            for each in servers
        },
        "annotations": noted,
    }


def _answers(criteria: tuple[CriterionResult, ...]) -> dict[str, str]:
    return {each.criterion: f"{each.status} {each.reason.key}" for each in criteria}


def _check_report(record: Record, report: Report, expected: Expected) -> None:
    """Figures at their paths."""
    assert report.record.headline == record.headline
    whole = json.loads(msgspec.json.encode(report))
    for path, value in expected.report.items():
        found = _at(whole, path)
        if isinstance(value, float):
            assert isinstance(found, float | int), path
            assert found == pytest.approx(value, rel=1e-9), path
        else:
            assert found == value, path
    for path in expected.nothing:
        assert _at(whole, path) is None, path


def _at(whole: Any, path: str) -> Any:
    """What stands at a path: fields by name, items by ``field=value`` or number, ``#`` counts."""
    found = whole
    for part in path.split("/"):
        if part == "#":
            found = len(found)
        elif isinstance(found, list):
            name, _, value = part.partition("=")
            found = (
                next(each for each in found if str(each[name]) == value)
                if value
                else found[int(part)]
            )
        else:
            found = found[part]
    return found
