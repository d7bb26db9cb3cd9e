"""What was said of a resource at a time, out of all that births said of it."""

from collections.abc import Mapping, Sequence

from jauge_collector.ledger.descriptions import Description

Histories = Mapping[tuple[str, str], Sequence[Description]]
"""By agent and resource: what births said of it, in the order of time."""


def described(histories: Histories, subject: str, at_ms: int) -> Description | None:
    """What was said of ``<agent>/<resource>`` last before a moment, else the first thing said."""
    agent, _, resource = subject.partition("/")
    history = histories.get((agent, resource), ())
    held = [one for one in history if one.from_ms < at_ms]
    return held[-1] if held else next(iter(history), None)


def labels_at(histories: Histories, subject: str, at_ms: int) -> Mapping[str, str]:
    """The labels of that."""
    found = described(histories, subject, at_ms)
    return {} if found is None else found.labels
