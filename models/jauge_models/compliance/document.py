"""Prints docs/compliance.md: ``python -m jauge_models.compliance.document``."""

import re
from typing import Final

from jauge_models.compliance.criteria import (
    CORE,
    SERVER_CRITERIA,
    SITE_CRITERIA,
    Criterion,
    required_of_site,
)
from jauge_models.compliance.policy import ORIGINS, Policy
from jauge_models.compliance.psychrometrics import (
    CLASSES,
    DEW_POINT_SOURCE,
    RCI_SOURCE,
    RCI_STATUS,
    Humidity,
)
from jauge_models.compliance.status import Status
from jauge_models.rules import RuleStatus

_INTRODUCTION: Final = """\
# Compliance: which servers, by what, until when

Generated from `models/jauge_models/compliance/`; do not edit.

The European Code of Conduct for data centres knows no compliant server: it is a voluntary scheme
of practices for data centres. So « 100 % of servers comply » is defined here, criterion by
criterion, each tied to a text or marked as this project's own. All of it is pure: evidence goes
in as frozen structs (`evidence.py`), results come out, and the same evidence, day and policy give
the same results again.

```python
assessment = assess(sites, inventory, sightings, quarter, policy)  # results.py
per_tenant(assessment, policy)  # one share per tenant
trajectory(assessment, history, policy, today)  # trajectory.py
```

## Statuses

| status | passes | when |
| --- | --- | --- |
| met | yes | by measurement, or by a document where the criterion asks for one |
| met - attested | yes | only with values that somebody signed for |
| not met | no | something on file shows that the test fails |
| not measured | no | nothing on file, or not enough, tells whether it holds |
| not applicable | no | with a written justification, a date and a name |

An exemption counts only where nothing on file tells otherwise: it never hides a failure, and
never passes S3, S4, V1 and V5. Two annotations may stand beside a status and are never a pass:
*planned* with the day on which a remediation action takes effect, and *on track* where all is met
except that the twelve months are not over, with the day on which they are. An action that begins
a measurement takes effect twelve months after its day.

Each result has its reason as a key of `status.REASONS` with values; the texts are the console's.

**Attested.** Where evidence comes twice, the second also counts attested values; the measured one
is tried first, so signing for a gap never takes a measured pass away. Attested values serve where
the measured ones do not tell; they never mend a failure. Hours of intake air (S7 to S9, V4) are
attested as hours observed, allowable and recommended by one class, and held to the limits of
measured ones; on which side of a range they lay nobody says. A set point that somebody attests,
room by room, is no log: S7 is then met - attested at best.

**From memory.** A basis whose text was not at hand has the rule status `memory`. Its text and
number are not printed: a practice of the Code is « to be referenced » until the officer's
register holds it with edition and page, and a class of equipment is judged by only when its row
in the policy is confirmed by a source (H1). Practices without number and page count as nothing in
S2.

## Windows

Days are civil days of the site. Twelve months end with the quarter's last day. The share measured
is of the window, not of what was handed in: hours of a quarter never pass for those of a year. A
server commissioned less than twelve months ago is judged since then, one younger than the
policy's days is not judged.

S3, S4 and S6 ask for the rule of joint coverage, which looks at months and holes; S7 to S9, V4
and V5 ask for a share alone. So the last day to start measuring differs: for 31 December 2027 the
share alone is reached from 6 February 2027, but a January without values is a month below its
minimum and a hole too long, so that a meter without earlier register readings must start by 8
January. `LastDay` has both.
"""

_RESULTS: Final = """\
## Results

A server is *demonstrated* when all core criteria ({core}) are met by measurement (S1 and S2 by
document), *declared* when all are met and at least one measurable criterion only by attestation,
in *a column of its own* when one does not apply and nothing fails, *not compliant* when one is
not met, and *not demonstrated* otherwise. V2 asks for {required} of its site. V7 to V9 are
reported and decide nothing.

**Denominator.** Servers valid on the quarter's last day, and every machine seen in the quarter
that the inventory lacks: it fails V1. Machines are told apart by keys that no two share; rows and
sightings with a common key are one machine, and two rows for one machine fail V1. A machine seen
after its row ended is missing from the inventory. A chassis counts as its nodes; nodes that
nothing accounts for are counted as unlisted. Cloud services have a line of their own, declared at
best.

**Shares** are by servers, kWh and racks, one per body and one per tenant. A rack stands where the
worst of its machines does. Machines whose energy is unknown are counted beside the share by kWh,
which is then a highest one. The share on the server's own criteria and the site criteria that
block go with each.

A tenant's energy and water are its own IT energy × the operator's ratio, called *attributed*.

## Trajectory

Both readings of the date are worked out: 1 January 2027, for which the quarter that ends on 31
December 2026 is the snapshot, and 31 December 2027. The straight line from the first closed
quarter is drawn from {line_sites} sites on and is this project's rule; below, the officer's
milestones stand. A forecast is today's record with dated actions done, never a regression.
`unlocks` says what would change most: each criterion of a site or of its machines alone, and all
that block a site together.
"""


def render() -> str:
    """The page."""
    policy = Policy()
    return "\n".join(
        (
            _INTRODUCTION,
            "## Site criteria\n",
            *_criteria(SITE_CRITERIA, policy),
            "\n## Server criteria\n",
            *_criteria(SERVER_CRITERIA, policy),
            "",
            _RESULTS.format(
                core=", ".join(CORE),
                required=", ".join(required_of_site(policy)),
                line_sites=policy.line_sites,
            ),
            "## Thresholds\n",
            *_thresholds(policy),
            "\n## Classes of equipment\n",
            *_classes(),
            "",
        )
    )


def _criteria(rows: tuple[Criterion, ...], policy: Policy) -> list[str]:
    order = list(Status)
    lines = ["| id | criterion | test | basis | statuses |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        notes = (("to be referenced", bool(row.topic)), ("project's own", row.project))
        basis = row.basis + "".join(f" ({note})" for note, holds in notes if holds)
        statuses = ", ".join(
            str(status).replace("_", " ") for status in sorted(row.statuses, key=order.index)
        )
        lines.append(f"| {row.id} | {row.title} | {_test(row, policy)} | {basis} | {statuses} |")
    return lines


def _test(row: Criterion, policy: Policy) -> str:
    """The test with the policy's thresholds in place of their names."""
    return re.sub(r"\{(\w+)\}", lambda name: _value(name[1], getattr(policy, name[1])), row.test)


def _value(name: str, value: object) -> str:
    if isinstance(value, float) and 0 < value < 1 and name != "wue_objective":
        return f"{value * 100:g} %"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _thresholds(policy: Policy) -> list[str]:
    lines = ["| threshold | default | origin | status |", "| --- | --- | --- | --- |"]
    for name, origin in ORIGINS.items():
        value = getattr(policy, name)
        if isinstance(value, frozenset):
            text = ", ".join(sorted(str(each) for each in value))
        elif isinstance(value, tuple):
            text = ", ".join(str(getattr(each, "name", None) or each.day) for each in value)
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
        status = "project" if origin.project else str(origin.status)
        lines.append(f"| `{name}` | {text} | {origin.reference} | {status} |")
    return lines


def _classes() -> list[str]:
    lines = [
        (
            "| class | allowable °C | recommended °C | allowable humidity "
            "| recommended humidity | source | status |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in CLASSES:
        # Numbers of a row from memory are not shown as the text's own.
        known = row.status is RuleStatus.IN_FORCE
        cells = [
            _range(row.allowable),
            _range(row.recommended),
            _humidity(row.allowable_humidity),
            _humidity(row.recommended_humidity),
        ]
        shown = cells if known else ["to be confirmed"] * len(cells)
        lines.append(f"| {row.name} | {' | '.join(shown)} | {row.reference} | {row.status} |")
    lines += [
        "",
        f"Dew point: {DEW_POINT_SOURCE}.",
        "",
        f"Rack Cooling Index: {RCI_SOURCE}; status {RCI_STATUS}. Weighted by time.",
        "",
        "Hours are counted in five bands that never overlap (within, above, below, beyond, under);",
        "with the hours not measured they add up to the period. A value on a limit is inside.",
    ]
    return lines


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g}"


def _humidity(limits: Humidity | None) -> str:
    if limits is None:
        return "-"
    relative = (
        f"{limits.relative_low:g} to {limits.relative_high:g} %"
        if limits.relative_low
        else f"up to {limits.relative_high:g} %"
    )
    return f"dew point {limits.dew_point_low:g} to {limits.dew_point_high:g} °C, {relative}"


if __name__ == "__main__":
    print(render(), end="")
