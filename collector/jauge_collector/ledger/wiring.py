"""What the wiring of a site says about its meters: declared blindness, and zeros not to believe."""

from typing import Final

from jauge_models.boundaries import Place, Symbol
from jauge_models.resources import kind_of
from jauge_models.topology import BLINDING, Commodity, Meter, Topology, Validity

from jauge_collector.sites import Site

EVER_MS: Final = 2**53
"""Later than any moment."""


def blinding(topology: Topology, meter: Meter) -> tuple[tuple[int, int], ...]:
    """Declared bypasses and generator tests of a meter, or of what feeds it."""
    events = [event for event in topology.events if event.kind in BLINDING]
    if not events:
        return ()
    names = {"", meter.id}
    for feed in meter.feeds:
        names |= {feed.resource, f"{feed.agent}/{feed.resource}"}
    names |= _closure({meter.id}, {(c.downstream, c.upstream) for c in topology.connections})
    return tuple(
        sorted(
            (event.validity.from_ms or 0, event.validity.to_ms or EVER_MS)
            for event in events
            if event.subject in names
        )
    )


def fed_by_ups(topology: Topology, site: Site) -> dict[str, frozenset[str]]:
    """UPS-output meters, each with the electricity meters declared below it."""
    outputs = {
        term.meter
        for equation in site.equations
        if equation.symbol is Symbol.E_IT and equation.place is Place.UPS_OUTPUT
        for term in equation.terms
    }
    outputs |= {c.downstream for c in topology.connections if kind_of(c.upstream) == "ups"}
    electric = {m.id for m in topology.meters if m.commodity is Commodity.ELECTRICITY}
    links = {(c.upstream, c.downstream) for c in topology.connections}
    found = {
        meter: frozenset(_closure({meter}, links) & electric - outputs)
        for meter in sorted(outputs & electric)
    }
    return {meter: below for meter, below in found.items() if below}


def _closure(start: set[str], links: set[tuple[str, str]]) -> set[str]:
    """Everything reached from some names, those left out."""
    reached = set(start)
    while more := {b for a, b in links if a in reached} - reached:
        reached |= more
    return reached - start


def alone(topology: Topology, upper: str, lower: str, time_ms: int) -> bool:
    """Whether at a moment all ways up from one meter lead through another."""
    at = Validity(time_ms, time_ms + 1)
    links = {(c.downstream, c.upstream) for c in topology.connections if c.validity.overlaps(at)}
    above = _closure({lower}, links)
    between = {name for name in above if upper in _closure({name}, links)}
    around = _closure({lower}, {link for link in links if upper not in link})
    return upper in above and around <= between
