"""What guests do with what they were given, as the page, the file and the JSON interface show it.

Savings are kWh in a year at the rate of the period; ``…_ms`` since the Unix epoch, UTC.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from jauge_models.attribution import Certainty
from jauge_models.guest_use import Saving, UsePolicy

from jauge_collector.console.hosting import KIND, Hosting
from jauge_collector.console.hosting_views import GuestView
from jauge_collector.ledger.guest_use import Use


class SavingView(msgspec.Struct, frozen=True):
    """kWh a year: ``dynamic`` whatever happens, ``gpu`` at most, ``idle`` only if a host sleeps."""

    dynamic: float
    gpu: float
    idle: float
    certainty: Certainty


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A guest about which something was found."""

    guest: str
    name: str
    tenant: str
    service: str
    saving: SavingView


class IdleView(Found, frozen=True, kw_only=True):
    """No hour saw it at work."""

    days: int
    busiest: float
    """Its busiest hour, 0 to 1 of what it was given."""


class OversizedView(Found, frozen=True, kw_only=True):
    """It was given far more than it used; what would do, None where it fits."""

    processors: float | None
    recommended_processors: int | None
    memory_size: float | None
    """B."""
    recommended_memory: float | None
    """B."""


class WindowView(msgspec.Struct, frozen=True):
    """``hours`` of the week on end from hour ``start`` on; 0 is Monday 00:00, site's clock."""

    start: int
    hours: int


class NightView(Found, frozen=True, kw_only=True):
    """It works, but never in these windows of the week."""

    windows: list[WindowView]


class MoveView(msgspec.Struct, frozen=True):
    """A guest, and a host that has room for it."""

    guest: str
    host: str


class SleeperView(msgspec.Struct, frozen=True, kw_only=True):
    """A host whose guests fit on what the others of its cluster have free."""

    host: str
    name: str
    cluster: str
    moves: list[MoveView]
    saving: SavingView


class UseView(msgspec.Struct, frozen=True, kw_only=True):
    """What was found over [start, end), the greatest saving first, and by which thresholds."""

    site: str
    start_ms: int
    end_ms: int
    policy: UsePolicy
    judged: int
    """Guests that were looked at."""
    not_judged: dict[str, int]
    """How many of them could not be called idle or at rest, by reason."""
    idle: list[IdleView]
    oversized: list[OversizedView]
    night: list[NightView]
    asleep: list[SleeperView]


async def use_view(site: str, hosting: Hosting) -> UseView:
    """The findings with the names that things have now. Raises LedgerError, BusyError."""
    found = await hosting.use()
    known = {f"{KIND}{guest.guest}": guest for guest in await hosting.guests()}
    hosts = {host.host: host.name for host in await hosting.hosts()}
    return UseView(
        site=site,
        start_ms=found.start_ms,
        end_ms=found.end_ms,
        policy=found.policy,
        judged=found.judged,
        not_judged=_counted(found),
        idle=[
            IdleView(**_named(one.guest, one.saving, known), days=one.days, busiest=one.busiest)
            for one in found.idle
        ],
        oversized=[
            OversizedView(
                **_named(one.guest, one.saving, known),
                processors=one.processors,
                recommended_processors=one.recommended_processors,
                memory_size=one.memory_size,
                recommended_memory=one.recommended_memory,
            )
            for one in found.oversized
        ],
        night=[
            NightView(
                **_named(one.guest, one.saving, known),
                windows=[WindowView(*window) for window in one.windows],
            )
            for one in found.night
        ],
        asleep=[
            SleeperView(
                host=one.host,
                name=hosts.get(one.host, one.host),
                cluster=one.cluster,
                moves=[MoveView(guest.removeprefix(KIND), to) for guest, to in one.moves],
                saving=SavingView(*one.saving),
            )
            for one in found.asleep
        ],
    )


def _counted(found: Use) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in found.not_judged.values():
        counts[reason.value] = counts.get(reason.value, 0) + 1
    return counts


def _named(guest: str, saving: Saving, known: Mapping[str, GuestView]) -> dict[str, Any]:
    view = known.get(guest)
    key = guest.removeprefix(KIND)
    return {
        "guest": key,
        "name": view.name if view else key,
        "tenant": view.tenant if view else "",
        "service": view.service if view else "",
        "saving": SavingView(*saving),
    }
