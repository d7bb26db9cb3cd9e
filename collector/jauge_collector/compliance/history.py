"""The way to the goal so far: the closed quarters before one, out of their stored reports."""

from datetime import date

import msgspec
from jauge_models.compliance.trajectory import point_of, trajectory

from jauge_collector.compliance import life
from jauge_collector.compliance.record import Record
from jauge_collector.compliance.sources import Sources
from jauge_collector.registers.evidence import limits
from jauge_collector.registers.policy import milestones


def with_history(found: Record, sources: Sources, today: date) -> Record:
    """The record with the closed quarters before it; as it is where there are none.

    Raises ConfigurationError where a stored report is not what was closed, and LedgerError.
    """
    history = [
        point_of(life.stored(sources.reports_folder, standing).record.assessment)
        for standing in life.standings(sources.ledger, sources.site.name)
        if standing.quarter < found.quarter
    ]
    if not history:
        return found
    way = trajectory(
        found.assessment,
        history,
        limits(sources.registers),
        today,
        milestones=milestones(sources.registers.policy),
    )
    return msgspec.structs.replace(found, trajectory=way)
