"""Which hosts could sleep: their guests fit on what the others of their cluster have free.

First-fit decreasing, emptiest host first: a hint that shows one way that works, not the best one.
It goes by the highest use ever seen of each guest, as if all had it at once, and by all memory
that they were given. What it cannot know (affinity rules, licences, local disks, storage and
networks that only one host sees) is for a person to judge.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from jauge_models.attribution import Certainty
from jauge_models.guest_use import (
    GuestProfile,
    Saving,
    UsePolicy,
    certainty_of,
    kwh_a_year,
)


class HostProfile(NamedTuple):
    """A host over the same period as its guests.

    ``cluster``: guests move within one only; "" is none. ``processors``, ``memory_size`` (B): what
    it has. ``guests``: all that run on it now. ``idle``: J that it drew for being on, whoever was
    charged with it. ``coverage``: measured part of the period. ``maintenance``: it neither gives
    nor takes.
    """

    host: str
    cluster: str
    processors: float | None
    memory_size: float | None
    guests: tuple[str, ...]
    idle: float
    period_s: float
    coverage: float
    certainty: Certainty
    maintenance: bool = False


class SleepingHost(NamedTuple):
    """A host that could sleep, where its guests would go, and what it would no longer draw.

    ``saving.idle`` is all of it, and what the host draws asleep comes off that. The dynamic energy
    moves along with the guests.
    """

    host: str
    cluster: str
    moves: tuple[tuple[str, str], ...]
    saving: Saving


class _Need(NamedTuple):
    processors: float
    memory: float
    given: float

    def fits(self, room: "_Room") -> bool:
        return (
            self.processors <= room.processors
            and self.memory <= room.memory
            and self.given <= room.host.processors
        )


class _Capacity(NamedTuple):
    """A host whose size and guests are known."""

    profile: HostProfile
    processors: float
    memory: float
    needs: Mapping[str, _Need]
    movable: bool

    @property
    def load(self) -> float:
        return max(
            sum(need.processors for need in self.needs.values()) / self.processors,
            sum(need.memory for need in self.needs.values()) / self.memory,
        )


class _Room(NamedTuple):
    host: _Capacity
    processors: float
    memory: float

    def taking(self, need: _Need) -> "_Room":
        return _Room(self.host, self.processors - need.processors, self.memory - need.memory)


def could_sleep(
    hosts: Iterable[HostProfile],
    guests: Iterable[GuestProfile],
    policy: UsePolicy,
    off: Collection[str] = (),
) -> list[SleepingHost]:
    """Hosts that could sleep at the same time, the greatest saving first.

    ``off``: guests to leave out, to ask what would follow once these were switched off. A host
    whose size, or one of whose guests' use, is not known neither sleeps nor takes guests; one with
    a guest that holds a GPU does not sleep. The order of hosts and guests changes nothing.
    """
    known = {guest.guest: guest for guest in guests}
    clusters: dict[str, list[_Capacity]] = {}
    for host in hosts:
        capacity = _capacity(host, known, policy, frozenset(off))
        if capacity is not None and host.cluster:
            clusters.setdefault(host.cluster, []).append(capacity)
    found = [one for members in clusters.values() for one in _emptied(members, policy)]
    return sorted(found, key=lambda one: (-one.saving.idle, one.host))


def _capacity(
    host: HostProfile,
    known: Mapping[str, GuestProfile],
    policy: UsePolicy,
    off: Collection[str],
) -> _Capacity | None:
    if host.maintenance or not host.processors or not host.memory_size:
        return None
    needs: dict[str, _Need] = {}
    movable = True
    for name in host.guests:
        if name in off:
            continue
        guest = known.get(name)
        if (
            guest is None
            or guest.days < policy.days
            or guest.busy_peak is None
            or guest.memory_size is None
            or guest.processors is None
        ):
            return None
        movable = movable and not guest.holds_gpu
        needs[name] = _Need(guest.busy_peak, guest.memory_size, guest.processors)
    return _Capacity(host, host.processors, host.memory_size, needs, movable)


def _emptied(members: Sequence[_Capacity], policy: UsePolicy) -> list[SleepingHost]:
    """The hosts of one cluster that can be emptied one after the other."""
    part = 1 - policy.head_room
    rooms: dict[str, _Room] = {}
    for member in members:
        room = _Room(member, member.processors * part, member.memory * part)
        for need in member.needs.values():
            room = room.taking(need)
        rooms[member.profile.host] = room
    asleep: list[SleepingHost] = []
    receivers: set[str] = set()
    for member in sorted(members, key=lambda member: (member.load, member.profile.host)):
        name = member.profile.host
        awake = {host: room for host, room in rooms.items() if host != name}
        if not member.movable or name in receivers or not _can_spare(awake, members, policy):
            continue
        placed = _placed(member, awake)
        if placed is None:
            continue
        moves, rooms = placed
        receivers.update(target for _, target in moves)
        profile = member.profile
        asleep.append(
            SleepingHost(
                name,
                profile.cluster,
                moves,
                Saving(
                    0.0,
                    0.0,
                    kwh_a_year(profile.idle, profile.period_s),
                    certainty_of(profile.certainty, profile.coverage, policy),
                ),
            )
        )
    return asleep


def _placed(
    member: _Capacity, awake: Mapping[str, _Room]
) -> tuple[tuple[tuple[str, str], ...], dict[str, _Room]] | None:
    """Each guest on the first host that has room, the largest guest first, fullest host first."""
    rooms = dict(awake)
    moves: list[tuple[str, str]] = []
    order = sorted(
        member.needs.items(),
        key=lambda item: (
            -max(item[1].processors / member.processors, item[1].memory / member.memory),
            item[0],
        ),
    )
    targets = sorted(rooms, key=lambda host: (-rooms[host].host.load, host))
    for guest, need in order:
        target = next((host for host in targets if need.fits(rooms[host])), None)
        if target is None:
            return None
        rooms[target] = rooms[target].taking(need)
        moves.append((guest, target))
    return tuple(moves), rooms


def _can_spare(awake: Mapping[str, _Room], members: Sequence[_Capacity], policy: UsePolicy) -> bool:
    """Whether those that stay on carry all guests of the cluster when the largest of them fail."""
    needs = [need for member in members for need in member.needs.values()]
    for of_host, needed in (
        ([room.host.processors for room in awake.values()], sum(n.processors for n in needs)),
        ([room.host.memory for room in awake.values()], sum(n.memory for n in needs)),
    ):
        left = sorted(of_host)[: max(len(of_host) - policy.spare_hosts, 0)]
        if not left or needed > sum(left):
            return False
    return True
