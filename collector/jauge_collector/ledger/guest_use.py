"""What guests do with what they were given, and hosts' energies, as the ledger's tables tell them.

Guests are judged one by one, so that their weeks are never all held.
"""

from collections.abc import Collection, Mapping, Sequence
from math import fsum
from typing import Final

import msgspec
from jauge_models.consolidation import HostProfile, SleepingHost, could_sleep
from jauge_models.effectiveness import DAY_MS
from jauge_models.guest_use import (
    GuestProfile,
    IdleGuest,
    NightGuest,
    OversizedGuest,
    Reason,
    UsePolicy,
    findings,
)
from jauge_models.intervals import Basis, Grade
from sqlalchemy import Connection, func, select

from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.guest_profiles import guest_ids, profiles
from jauge_collector.ledger.shares import OWN, ShareTotal
from jauge_collector.sites import Site


class HostEnergy(msgspec.Struct, frozen=True, gc=False):
    """What a host drew over a span; basis and grade are the worst of its rows."""

    energy: float
    """J."""
    covered_ms: int
    basis: Basis
    grade: Grade


DEFAULT_POLICY: Final = UsePolicy()

_BASES: Final = tuple(Basis)


def host_energies(
    connection: Connection, hosts: Mapping[int, str], start_ms: int, end_ms: int
) -> dict[str, HostEnergy]:
    """By name: what each host drew in the rows that begin in [start, end); none, no entry."""
    t = schema.intervals.c
    summed = (
        select(t.basis, t.grade, func.sum(t.amount), func.sum(t.covered_ms))
        .where(t.start_ms >= start_ms, t.start_ms < end_ms, t.amount.is_not(None))
        .group_by(t.basis, t.grade)
    )
    found: dict[str, HostEnergy] = {}
    for key, name in hosts.items():
        some = connection.execute(summed.where(t.subject == key)).all()
        if some:
            found[name] = HostEnergy(
                sum(row[2] for row in some),
                sum(row[3] for row in some),
                max((Basis(row[0]) for row in some), key=_BASES.index),
                max((Grade(row[1]) for row in some), key=lambda grade: grade.rank),
            )
    return found


class Use(msgspec.Struct, frozen=True, gc=False):
    """What was found over [start, end) of a site, as its descriptions stood at the end.

    Guests are named by their resource, ``guest:<uuid>``; ``subjects`` are the names that agents
    gave each of them.
    """

    start_ms: int
    end_ms: int
    policy: UsePolicy
    idle: Sequence[IdleGuest]
    oversized: Sequence[OversizedGuest]
    night: Sequence[NightGuest]
    asleep: Sequence[SleepingHost]
    not_judged: Mapping[str, Reason]
    judged: int
    """How many guests were looked at."""
    seen: Collection[str]
    """Which they are."""
    subjects: Mapping[str, Sequence[str]]
    residents: Mapping[str, Sequence[str]]
    """By host: the guests that were on it last."""

    def only(self, guests: Collection[str], hosts: Collection[str]) -> "Use":
        """What was found of these alone; nothing that names another host."""
        return msgspec.structs.replace(
            self,
            idle=[one for one in self.idle if one.guest in guests],
            oversized=[one for one in self.oversized if one.guest in guests],
            night=[one for one in self.night if one.guest in guests],
            asleep=[
                one
                for one in self.asleep
                if one.host in hosts and all(to in hosts for _, to in one.moves)
            ],
            not_judged={guest: why for guest, why in self.not_judged.items() if guest in guests},
            judged=sum(guest in guests for guest in self.seen),
        )


def use_of(
    ledger: Ledger, site: Site, start_ms: int, end_ms: int, policy: UsePolicy = DEFAULT_POLICY
) -> Use:
    """Judge every guest of a site, and every host by its guests."""
    idle: list[IdleGuest] = []
    oversized: list[OversizedGuest] = []
    night: list[NightGuest] = []
    not_judged: dict[str, Reason] = {}
    judged: list[GuestProfile] = []
    with ledger.transaction(writes=False) as connection:
        guests = guest_ids(connection, site.name)
        for profile in profiles(connection, site.name, (start_ms, end_ms), site.zone, policy):
            found = findings([profile], policy)
            idle += found.idle
            oversized += found.oversized
            night += found.night
            not_judged |= found.not_judged
            judged.append(profile._replace(week={}))
    residents = _residents(ledger, site.name, end_ms)
    hosts = _host_profiles(ledger, site, start_ms, end_ms, residents)
    return Use(
        start_ms,
        end_ms,
        policy,
        sorted(idle, key=_by_saving),
        sorted(oversized, key=_by_saving),
        sorted(night, key=_by_saving),
        could_sleep(hosts, judged, policy),
        not_judged,
        len(judged),
        frozenset(profile.guest for profile in judged),
        {guest: list(keys) for guest, keys in guests.items()},
        residents,
    )


def _by_saving(found: IdleGuest | OversizedGuest | NightGuest) -> tuple[float, str]:
    return -fsum(found.saving[:3]), found.guest


def _residents(ledger: Ledger, site: str, end_ms: int) -> dict[str, list[str]]:
    """By host: the guests whose last share of the last day before a moment is of it."""
    last: dict[str, str] = {}
    for share in ledger.shares(site, end_ms - DAY_MS, end_ms):
        if share.guest != OWN:
            last[share.guest.partition("/")[2]] = share.host
    found: dict[str, list[str]] = {}
    for guest, host in sorted(last.items()):
        found.setdefault(host, []).append(guest)
    return found


def _host_profiles(
    ledger: Ledger, site: Site, start_ms: int, end_ms: int, residents: Mapping[str, Sequence[str]]
) -> list[HostProfile]:
    """Hosts with their idle energy, whoever was charged with it."""
    totals: dict[str, list[ShareTotal]] = {}
    for one in ledger.share_totals(site.name, start_ms, end_ms):
        totals.setdefault(one.host, []).append(one)
    said = ledger.descriptions(site.name, end_ms)
    declared = {host.id: host for host in site.hosts}
    found: list[HostProfile] = []
    for host, some in totals.items():
        agent, _, resource = host.partition("/")
        known = declared.get(host)
        feeds = [(f.agent, f.resource) for f in known.meter.feeds] if known else [(agent, resource)]
        labels = next((said[feed].labels for feed in feeds if feed in said), {})
        own = next((one for one in some if one.guest == OWN), None)
        found.append(
            HostProfile(
                host,
                (known.cluster if known else "") or labels.get("cluster", ""),
                (known.processors if known else None) or (own.processors if own else None),
                (known.memory if known else None) or (own.memory_size if own else None),
                tuple(residents.get(host, ())),
                fsum(one.idle for one in some),
                (end_ms - start_ms) / 1000,
                min(1.0, max(one.covered_ms for one in some) / (end_ms - start_ms)),
                max((one.certainty for one in some), key=lambda one: one.rank),
                labels.get("maintenance") == "yes",
            )
        )
    return found
