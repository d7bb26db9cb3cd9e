"""Families of /metrics about sites, out of what is known of them; see `jauge_models.metrics`.

What is not known has no sample. Labels are bounded: by the site file, by the registers, and by
the resources that the inventory keeps.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import RECOMMENDED_AIR
from jauge_models.compliance.status import Result
from jauge_models.rules import RuleStatus
from jauge_models.topology import MEASURES, Feed, Topology

from jauge_collector.attribution import HostNow
from jauge_collector.compliance.record import Record
from jauge_collector.power_now import TotalNow
from jauge_collector.registers.envelopes import Medium
from jauge_collector.registers.rooms import Place, on
from jauge_collector.sites import Site
from jauge_collector.telemetry import Sample

Families = Mapping[str, Sequence[Sample]]
"""Samples by the name of their family."""


def of_site(site: Site, topology: Topology, now_ms: int) -> Families:
    """What the site file declares, and the events that run."""
    name = {"site": site.name}
    rated = [m for m in topology.meters if MEASURES[m.commodity].unit == "J" and m.dial.rating]
    told = {
        "title": site.title,
        "time_zone": site.zone_name,
        "simulated": str(site.simulated).lower(),
    }
    return {
        "jauge_site_info": [Sample(name | told, 1)],
        "jauge_meter_info": [
            Sample(
                name
                | {
                    "meter": meter.id,
                    "commodity": meter.commodity.value,
                    "name": meter.name,
                    "location": meter.location,
                },
                1,
            )
            for meter in topology.meters
            if meter.validity.holds(now_ms)
        ],
        "jauge_meter_limit_watts": [
            Sample(name | {"meter": meter.id}, meter.dial.rating)
            for meter in rated
            if meter.dial.rating is not None
        ],
        "jauge_connection_info": [
            Sample(name | dict(zip(("upstream", "downstream", "feed"), ends, strict=True)), 1)
            for ends in dict.fromkeys(
                (c.upstream, c.downstream, c.feed)
                for c in topology.connections
                if c.validity.holds(now_ms)
            )
        ],
        "jauge_meter_limit_amperes": [
            Sample(
                name
                | {
                    "agent": circuit.source.agent,
                    "resource": circuit.source.resource,
                    "phase": circuit.phase,
                    "feed": circuit.feed,
                    "load": circuit.load,
                },
                circuit.limit,
            )
            for circuit in site.circuits
            if circuit.validity.holds(now_ms)
        ],
        "jauge_event_active": [
            Sample(name | {"kind": kind.value, "scope": subject}, 1)
            for kind, subject in dict.fromkeys(
                (event.kind, event.subject)
                for event in topology.events
                if event.validity.holds(now_ms)
            )
        ],
    }


def of_power(
    site: Site,
    topology: Topology,
    powers: Mapping[str, float],
    totals: Iterable[TotalNow],
) -> Families:
    """W of meters and totals."""
    name = {"site": site.name}
    return {
        "jauge_meter_power_watts": [
            Sample(name | {"meter": meter.id, "commodity": meter.commodity.value}, powers[meter.id])
            for meter in topology.meters
            if meter.id in powers
        ],
        "jauge_total_power_watts": [
            Sample(
                name
                | {"symbol": total.symbol}
                | {key: text for key in ("zone", "place") if (text := getattr(total, key))},
                total.power,
            )
            for total in totals
        ],
    }


def of_hosts(site: Site, hosts: Sequence[HostNow]) -> Families:
    """Hosts with their feeds and powers; the own part and those of the guests add up to each."""
    name = {"site": site.name}
    declared: dict[str, Sequence[Feed]] = {m.id: m.feeds for m in site.topology.meters}
    declared |= {host.id: host.meter.feeds for host in site.hosts}
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for host in hosts:
        this = name | {"host": host.host}
        places = {key: host.labels.get(key, "") for key in ("cluster", "room", "rack")}
        found["jauge_host_info"].append(Sample(this | {"name": host.name} | places, 1))
        agent, _, resource = host.host.partition("/")
        for rank, feed in enumerate(declared.get(host.host, (Feed(agent, resource),)), 1):
            source = {"agent": feed.agent, "resource": feed.resource, "rank": str(rank)}
            found["jauge_host_feed_info"].append(Sample(this | source, 1))
        if host.power is None or host.certainty is None or host.own is None:
            continue
        how = {"certainty": host.certainty.value}
        found["jauge_host_power_watts"].append(Sample(this | how, host.power))
        how = {"certainty": host.own.certainty.value}
        found["jauge_host_own_power_watts"].append(Sample(this | how, host.own.power))
        for gpu in host.gpus:
            held = {"agent": gpu.agent, "resource": gpu.resource}
            found["jauge_gpu_allocated_ratio"].append(Sample(this | held, gpu.given))
        for guest in host.guests:
            agent, _, resource = guest.guest.partition("/")
            found["jauge_guest_attributed_power_watts"].append(
                Sample(
                    this
                    | {
                        "guest": guest.guest,
                        "agent": agent,
                        "resource": resource,
                        "certainty": guest.certainty.value,
                    },
                    guest.power,
                )
            )
    return {family: found[family] for family in _OF_HOSTS}


_OF_HOSTS: Final = (
    "jauge_host_info",
    "jauge_host_feed_info",
    "jauge_host_power_watts",
    "jauge_host_own_power_watts",
    "jauge_guest_attributed_power_watts",
    "jauge_gpu_allocated_ratio",
)


def of_rooms(site: Site, rooms: Iterable[Place], policy: Policy, day: date) -> Families:
    """Sensors of intake air where they are, and the limits of each class.

    Of classes only those whose text was at hand or was confirmed by a source.
    """
    name = {"site": site.name}
    places = [place for place in on(rooms, day) if place.site in {"", site.name}]
    named = {place.key[1:]: place.envelope for place in places if place.envelope is not None}
    limits: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
        envelope.name: (envelope.allowable, envelope.recommended)
        for envelope in policy.envelopes
        if envelope.status is RuleStatus.IN_FORCE
    }
    sensors: list[Sample] = []
    for place in places:
        levels = ((place.room, place.row, place.rack), (place.room, place.row, ""))
        around = (*levels, (place.room, "", ""))
        kept = next((named[level] for level in around if level in named), None)
        if kept is not None and kept.low is not None and kept.high is not None:
            written = (kept.low, kept.high)
            limits[str(kept)] = (written, RECOMMENDED_AIR if kept.medium is Medium.AIR else written)
        for sensor in place.intake:
            agent, _, resource = sensor.partition("/")
            labels = {
                "agent": agent,
                "resource": resource,
                "room": place.room,
                "row": place.row,
                "rack": place.rack,
                "class": policy.site_envelope if kept is None else str(kept),
            }
            sensors.append(Sample(name | labels, 1))
    return {
        "jauge_intake_info": sensors,
        "jauge_envelope_limit_celsius": [
            Sample(name | {"class": one, "bound": f"{range_}_{end}"}, value)
            for one, both in limits.items()
            for range_, ends in zip(("allowable", "recommended"), both, strict=True)
            for end, value in zip(("low", "high"), ends, strict=True)
        ],
    }


def of_record(record: Record, worked_ms: int) -> Families:
    """Where the servers of a site's record stand; nothing of a site that has none."""
    name = {"site": record.site}
    shares = record.shares
    if not shares.servers.total:
        return {}
    blocking: dict[str, int] = {}
    for one in shares.blocking:
        blocking[one.criterion] = blocking.get(one.criterion, 0) + one.machines
    return {
        "jauge_compliance_servers": [
            Sample(name | {"result": result.value}, shares.servers.amounts.get(result, 0.0))
            for result in Result
        ],
        "jauge_compliance_share_ratio": [
            Sample(name | {"result": result.value}, share)
            for result in Result
            if (share := shares.servers.share(result)) is not None
        ],
        "jauge_compliance_required_ratio": [
            Sample(name | {"reading": goal.deadline.reading.value}, required.share)
            for goal in record.trajectory.goals
            for required in goal.line
            if required.day == record.as_of
        ],
        "jauge_compliance_blocking_criteria": [
            Sample(name | {"criterion": criterion}, machines)
            for criterion, machines in blocking.items()
        ],
        "jauge_compliance_record_timestamp_seconds": [
            Sample(name | {"quarter": record.quarter}, worked_ms / 1000)
        ],
    }


def joined(parts: Iterable[Families]) -> dict[str, Sequence[Sample]]:
    """Families of several sites as one."""
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for part in parts:
        for family, samples in part.items():
            found[family].extend(samples)
    return dict(found)
