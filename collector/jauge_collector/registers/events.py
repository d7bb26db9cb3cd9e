"""Declared events: bypass, generator test, load bank, maintenance."""

from typing import Final

from jauge_models.configuration import ConfigurationError
from jauge_models.topology import BLINDING, Event, EventKind, Validity

from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.sites import Site

EVENT: Final = "event"


def event_of(entry: Entry) -> Event:
    """An entry of the register as the topology knows it."""
    return Event(
        EventKind(entry.content["event"]),
        Validity(entry.start_ms, entry.end_ms),
        entry.subject,
        str(entry.content.get("reason", "")),
    )


def holding(ledger: Ledger, site: str) -> list[Entry]:
    """The entries that hold, by time; one that was corrected to no time at all is withdrawn."""
    return [
        entry
        for entry in ledger.entries(site, EVENT)
        if entry.end_ms is None or entry.end_ms > entry.start_ms
    ]


def enter_event(
    ledger: Ledger,
    site: Site,
    event: Event,
    *,
    now_ms: int,
    signatory: str = "",
    corrects: int | None = None,
) -> int:
    """Keep an event with both its ends; an empty subject is the whole site.

    Else it is a meter, a declared host, or a resource.

    It may lie in the future. One that corrects another may end where it begins: what it corrects
    is withdrawn. Raises ConfigurationError.
    """
    start_ms, end_ms = event.validity.from_ms, event.validity.to_ms
    withdraws = corrects is not None and start_ms == end_ms
    if start_ms is None or end_ms is None or (end_ms <= start_ms and not withdraws):
        raise ConfigurationError("--to", "", "is not after --from", "give both ends of the event")
    known = declared_names(site)
    if event.subject and event.subject not in known:
        raise ConfigurationError(
            "--subject",
            "",
            f"site {site.name} knows no {event.subject!r}",
            f"known are {', '.join(sorted(known))}; leave it out for the whole site",
        )
    blinds = event.kind in BLINDING or corrects is not None
    return ledger.append(
        site.name,
        EVENT,
        event.subject,
        start_ms=start_ms,
        end_ms=end_ms,
        content={"event": event.kind.value, "reason": event.reason},
        now_ms=now_ms,
        signatory=signatory,
        corrects=corrects,
        restates=[(name, start_ms, end_ms) for name in restated(site) if blinds],
        may_move=True,
    )


def restated(site: Site) -> list[str]:
    """Meters and declared hosts, whose rows an event may change."""
    return [*(meter.id for meter in site.topology.meters), *(host.id for host in site.hosts)]


def declared_names(site: Site) -> set[str]:
    """Meters, declared hosts, and resources that feed one or are connected.

    What feeds a host is named with its agent: ``host`` alone may be any machine.
    """
    names = set(restated(site))
    names |= {feed.resource for meter in site.topology.meters for feed in meter.feeds}
    for host in site.hosts:
        names |= {f"{feed.agent}/{feed.resource}" for feed in host.meter.feeds}
    for connection in site.topology.connections:
        names |= {connection.upstream, connection.downstream}
    return names
