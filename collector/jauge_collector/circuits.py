"""Circuits that a site file declares: where a phase's current is read, and its limit in amperes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jauge_models.configuration import ConfigurationError
from jauge_models.resources import is_name, is_resource
from jauge_models.topology import ALWAYS, Feed, Validity

from jauge_collector.site_file import SiteFile


@dataclass(frozen=True, slots=True)
class Circuit:
    """One phase behind a breaker. ``limit`` in A; the rest are names for people and for sums."""

    source: Feed
    limit: float
    phase: str = ""
    feed: str = ""
    load: str = ""
    validity: Validity = ALWAYS


def resolve_circuits(
    declared: SiteFile, validities: Mapping[str, Validity], path: Path
) -> tuple[Circuit, ...]:
    """The circuits of a site file, ``validities`` by their keys. Raises ConfigurationError."""
    found: list[Circuit] = []
    for index, section in enumerate(declared.circuits):
        key = f"circuits[{index}]"
        agent, _, resource = section.current.partition("/")
        if not is_name(agent) or not is_resource(resource):
            raise ConfigurationError(
                str(path),
                f"{key}.current",
                f"{section.current!r} names nothing that is read",
                "write 'agent/phase:ID'",
            )
        source, validity = Feed(agent, resource), validities[key]
        if any(one.source == source and one.validity.overlaps(validity) for one in found):
            raise ConfigurationError(
                str(path),
                f"{key}.current",
                f"{section.current!r} has two limits at one time",
                "drop one, or part them with valid_from and valid_to",
            )
        found.append(
            Circuit(source, section.limit_a, section.phase, section.feed, section.load, validity)
        )
    return tuple(found)
