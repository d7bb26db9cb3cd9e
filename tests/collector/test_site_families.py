"""What a record becomes on /metrics."""

from datetime import date

import msgspec
from jauge_collector.compliance.record import Record
from jauge_collector.site_families import of_record
from jauge_models.compliance.trajectory import Required

from tests.collector.reports.example_record import record

MADE_MS = 1_790_000_000_000


def example(servers: int = 3) -> Record:
    """A record of some servers."""
    return record(servers, simulated=False, withheld=False, text="t", name="n")


def test_the_line_is_shown_of_the_records_day_where_there_is_one() -> None:
    """Of each reading of the goal by its name; without a line nothing is asked for."""
    found = example()
    assert found.trajectory.goals
    assert not of_record(found, MADE_MS)["jauge_compliance_required_ratio"]
    line = (Required(date(2020, 1, 1), 0.1), Required(found.as_of, 0.625))
    goals = tuple(msgspec.structs.replace(goal, line=line) for goal in found.trajectory.goals)
    trajectory = msgspec.structs.replace(found.trajectory, goals=goals)
    lined = msgspec.structs.replace(found, trajectory=trajectory)
    shown = of_record(lined, MADE_MS)["jauge_compliance_required_ratio"]
    assert [one.value for one in shown] == [0.625] * len(goals)
    readings = [goal.deadline.reading.value for goal in goals]
    assert [one.labels["reading"] for one in shown] == readings


def test_servers_are_counted_by_where_they_stand() -> None:
    """Each once; the shares are of their number, and the criteria that block say how many."""
    found = example()
    families = of_record(found, MADE_MS)
    counts = {one.labels["result"]: one.value for one in families["jauge_compliance_servers"]}
    assert sum(counts.values()) == len(found.assessment.servers) > 0
    shares = {one.labels["result"]: one.value for one in families["jauge_compliance_share_ratio"]}
    whole = sum(counts.values())
    assert shares == {result: number / whole for result, number in counts.items()}
    blocking = families["jauge_compliance_blocking_criteria"]
    assert {one.labels["criterion"]: one.value for one in blocking} == {
        one.criterion: one.machines for one in found.shares.blocking
    }
    (made,) = families["jauge_compliance_record_timestamp_seconds"]
    assert (made.labels["quarter"], made.value) == (found.quarter, MADE_MS / 1000)


def test_a_record_of_no_server_shows_nothing() -> None:
    """No zero that would look like a share."""
    found = example()
    nobody = msgspec.structs.replace(found.shares.servers, amounts={}, unknown=0)
    shares = msgspec.structs.replace(found.shares, servers=nobody)
    assert of_record(msgspec.structs.replace(found, shares=shares), MADE_MS) == {}
