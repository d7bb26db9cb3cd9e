"""A site with two clusters of hosts whose guests are shared out: five weeks of shares, and now.

The shares are made by the model that the collector uses, so that they add up; who works when is
made up, and no figure of it was measured.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from jauge_collector import civil
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.ledger.shares import OWN, HostHour, Share
from jauge_collector.state import ServiceState
from jauge_models.attribution import GpuEnergy, GuestActivity, HostEnergy, IdlePolicy, share
from jauge_models.intervals import Basis, Grade, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series, number_of
from jauge_models.topology import Commodity
from jauge_models.wire import Address, Birth, Method, ResourceDescription, SourceDescription, State

from tests.collector.console.doors import Holder, guarded
from tests.collector.console.plants import EVIL
from tests.collector.console.serving import HOUR_MS, Served, now_ms, opened, serve

DAYS: Final = 37
PARIS: Final = civil.zone("Europe/Paris")
GATEWAY: Final = Address("s", "vc")
GIB: Final = 2.0**30

SITE: Final = f"""
[site]
name = "s"
title = "{EVIL} cluster"
time_zone = "Europe/Paris"
simulated = true

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["plant/meter:ups"]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{{ meter = "ups" }}]

[[hosts]]
id = "alpha-1"
name = "Alpha one"
feeds = ["vc/host:a1"]
cluster = "north"
idle_w = 120

[[attributes]]
subject = "vc/guest:bravo-file"
name = "tenant"
value = "bravo"

[[attributes]]
subject = "guest:handed"
name = "tenant"
value = "bravo"
valid_to = "{{handed}}"

[[attributes]]
subject = "guest:handed"
name = "tenant"
value = "alpha"
valid_from = "{{handed}}"

[[attributes]]
subject = "vc/host:alone"
name = "tenant"
value = "alpha"
""".replace("{{handed}}", "{handed}")
HANDED_H: Final = 12
"""Hours ago at which the guest `handed` went from bravo to alpha."""

ALPHA: Final = Holder("alpha-reader", "reader", tenants=("alpha",))
BRAVO: Final = Holder("bravo-reader", "reader", tenants=("bravo",))
WHOLE: Final = Holder("whole", "administrator")


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest; ``works`` gives the busy processors of a local hour."""

    host: str
    name: str
    processors: float
    day: float
    night: float
    labels: Mapping[str, str] = field(default_factory=dict)
    memory: float = 8 * GIB
    used: float = 6 * GIB
    gpu: float = 0.0

    def busy(self, at_ms: int) -> float:
        """Busy processors in the hour that begins then: by day on weekdays, else less."""
        local: datetime = civil.local(at_ms, PARIS)
        return self.day if 7 <= local.hour < 20 and local.weekday() < 5 else self.night


# Of `bravo-file` the site file says that it is bravo's: what its agent says does not count.
GUESTS: Final = {
    "web": Guest("a1", "web-1", 4, 1.8, 0.02, {"tenant": "alpha", "service": "portal"}),
    "idle": Guest("a1", "forgotten", 2, 0.02, 0.01, {"tenant": "alpha", "service": EVIL}),
    "big": Guest("a1", "db-1", 16, 1.1, 0.9, {"service": "portal"}, memory=64 * GIB, used=9 * GIB),
    "evil": Guest("a1", f"=cmd|{EVIL}", 2, 0.7, 0.4, {"service": "=HYPERLINK(1)"}),
    "bravo-file": Guest(
        "a2", "bravo-files", 4, 1.3, 1.1, {"tenant": "alpha", "service": "bravo-service"}
    ),
    "bravo-label": Guest("a2", "bravo-mail", 2, 0.9, 0.8, {"tenant": "bravo"}),
    "handed": Guest("a2", "handed-over", 2, 0.9, 0.9, {"service": "handed-service"}),
    "train": Guest("a3", "training", 8, 6.1, 6.1, {"service": "research"}, gpu=210.0),
    "own": Guest("alone", "alpha-own", 2, 0.5, 0.4, {"tenant": "alpha", "service": "portal"}),
}
HOSTS: Final = {
    "a1": ("alpha-1", "Alpha one", "north", 120.0, 32.0),
    "a2": ("vc/host:a2", "north-two", "north", 110.0, 32.0),
    "a3": ("vc/host:a3", "south-one", "south", 140.0, 64.0),
    "alone": ("vc/host:alone", "alpha-alone", "north", 90.0, 16.0),
}
"""By id: the subject of its rows, name, cluster, idle W, processors."""
MOVED: Final = "evil"
"""Ran on a2 until ten days ago."""
WATTS_A_PROCESSOR: Final = 11.7


def last_hour_ms() -> int:
    """The end of the last whole hour."""
    now = now_ms()
    return now - now % HOUR_MS


def residents(host: str, at_ms: int) -> list[str]:
    """Who is on a host in the hour that begins then."""
    moved_ms = last_hour_ms() - 10 * 24 * HOUR_MS
    return [
        name
        for name, guest in GUESTS.items()
        if ("a2" if name == MOVED and at_ms < moved_ms else guest.host) == host
    ]


def shared_hour(host: str, at_ms: int) -> HostHour:
    """One hour of a host, shared out by allocation."""
    subject, _, _, idle, processors = HOSTS[host]
    guests = residents(host, at_ms)
    busy = {name: GUESTS[name].busy(at_ms) for name in guests}
    gpu = sum(GUESTS[name].gpu for name in guests)
    power = idle + WATTS_A_PROCESSOR * (sum(busy.values()) + 0.4) + gpu
    found = share(
        HostEnergy(power * 3600, idle * 3600, idle_is_measured=True, busy=sum(busy.values()) + 0.4),
        [GuestActivity(name, busy[name], GUESTS[name].processors) for name in guests],
        [GpuEnergy("gpu:0", GUESTS[n].gpu * 3600, ((n, 1.0),)) for n in guests if GUESTS[n].gpu],
        IdlePolicy.ALLOCATION,
    )
    end_ms = at_ms + HOUR_MS

    def one(name: str) -> Share:
        part = found.own if name == OWN else found.guests[name]
        guest = GUESTS.get(name)
        return Share(
            host=subject,
            guest=OWN if name == OWN else f"vc/guest:{name}",
            start_ms=at_ms,
            end_ms=end_ms,
            idle=part.idle,
            dynamic=part.dynamic,
            gpu=part.gpu,
            covered_ms=HOUR_MS,
            certainty=part.certainty,
            busy=busy[name] if guest else sum(busy.values()) + 0.4,
            busy_peak=busy[name] * 1.2 if guest else None,
            processors=guest.processors if guest else processors,
            memory_used_peak=guest.used if guest else None,
            memory_size=guest.memory if guest else 256 * GIB,
            final=True,
        )

    return HostHour(subject, at_ms, [one(name) for name in (OWN, *guests)])


def row_of(hour: HostHour) -> Row:
    """The host's row whose shares these are."""
    energy = sum(one.energy for one in hour.shares)
    basis = Basis.COUNTER if hour.host != "vc/host:a3" else Basis.ESTIMATE
    grade = Grade.MEDIUM if basis is Basis.COUNTER else Grade.LOW
    span = (hour.start_ms, hour.start_ms + HOUR_MS)
    return Row(
        Interval(*span, energy, HOUR_MS, HOUR_MS, basis, grade), "vc/host/energy", final=True
    )


def fill(state: ServiceState, *, days: int = DAYS) -> None:
    """Rows and shares of every host and hour, and what births said from before them."""
    end = last_hour_ms()
    starts = range(end - days * 24 * HOUR_MS, end, HOUR_MS)
    for host, (subject, *_) in HOSTS.items():
        hours = [shared_hour(host, at) for at in starts]
        rows = [row_of(hour) for hour in hours]
        span = (starts[0], end)
        stretch = Stretch(subject, Commodity.ELECTRICITY, *span, rows)
        state.ledger.save("s", [stretch], end)
        state.ledger.save_shares("s", hours)
    described(state, starts[0] - HOUR_MS, {MOVED: "before-the-move"})
    described(state, end - 10 * 24 * HOUR_MS, {})


def described(state: ServiceState, at_ms: int, names: Mapping[str, str]) -> None:
    """A birth that came at a moment; ``names`` are those that differ."""
    said = {
        f"guest:{name}": (names.get(name, guest.name), _labels(guest))
        for name, guest in GUESTS.items()
    }
    said |= {
        f"host:{host}": (name, f'{{"cluster": "{cluster}"}}')
        for host, (_, name, cluster, *_) in HOSTS.items()
    }
    state.ledger.set_descriptions("s", "vc", said, at_ms)


def _labels(guest: Guest) -> str:
    return json.dumps(dict(guest.labels))


async def introduce(state: ServiceState) -> None:
    """What a vCenter's gateway says and reads now: a minute of readings of everything."""
    now = now_ms()
    resources = [
        ResourceDescription(
            f"host:{host}",
            {"power": Method.GAUGE, "cpu_utilisation": Method.GAUGE, "processors": Method.GAUGE},
            name,
            {"cluster": cluster},
        )
        for host, (_, name, cluster, *_) in HOSTS.items()
    ]
    quantities = ("cpu_utilisation", "processors", "memory_size", "memory_used", "runs_on")
    resources += [
        ResourceDescription(
            f"guest:{name}",
            dict.fromkeys(quantities, Method.GAUGE),
            guest.name,
            {**guest.labels, "host": HOSTS[guest.host][1]},
        )
        for name, guest in GUESTS.items()
    ]
    sources = [SourceDescription("vsphere", 20.0)]
    state.inventory.born(GATEWAY, Birth("b1", "0.1", now / 1000, sources, resources), now)
    state.inventory.stated(GATEWAY, State("b1", online=True, sent_at=now / 1000), now)
    agent = state.inventory.seen(GATEWAY, now)
    agent.heard("b1", now)
    agent.newest_ms = now
    readings: list[Reading] = []
    for at in range(now - 180_000, now + 1, 20_000):
        for host, (_, _, _, idle, processors) in HOSTS.items():
            busy = sum(GUESTS[n].busy(at) for n in residents(host, at)) + 0.4
            power = round(idle + WATTS_A_PROCESSOR * busy, 2)
            for quantity, value in (
                ("power", power),
                ("cpu_utilisation", round(busy / processors, 4)),
                ("processors", processors),
            ):
                # One host says nothing now, of another only how busy it is.
                if host != "a3" and (host, quantity) != ("alone", "power"):
                    readings.append(Reading(Series(*GATEWAY, f"host:{host}", quantity), at, value))
        for name, guest in GUESTS.items():
            for quantity, value in (
                ("cpu_utilisation", round(guest.busy(at) / guest.processors, 4)),
                ("processors", guest.processors),
                ("memory_size", guest.memory),
                ("memory_used", guest.used),
                ("runs_on", float(number_of(f"host:{guest.host}"))),
            ):
                readings.append(Reading(Series(*GATEWAY, f"guest:{name}", quantity), at, value))
    await state.store.write(readings)


def site_file() -> str:
    """The site, with the moment of the handover."""
    handed = civil.local(last_hour_ms() - HANDED_H * HOUR_MS, PARIS)
    return SITE.replace("{handed}", handed.isoformat(timespec="minutes"))


_FILLED: Final[dict[tuple[int, int], bytes]] = {}
"""Ledgers that were filled in this run, by days and last hour: filling takes a second."""


@asynccontextmanager
async def housing(folder: Path, *, days: int = DAYS, live: bool = True) -> AsyncIterator[Served]:
    """The console of the site, for holders of tokens."""
    settings = guarded(folder, ALPHA, BRAVO, WHOLE, site=site_file())
    ledger = settings.state(settings.ledger.path)
    key = (days, last_hour_ms())
    if key in _FILLED:
        ledger.parent.mkdir(parents=True)
        ledger.write_bytes(_FILLED[key])
    async with opened(settings) as state:
        if key not in _FILLED:
            fill(state, days=days)
            with sqlite3.connect(ledger) as connection:
                _FILLED[key] = connection.serialize()
            connection.close()
        if live:
            await introduce(state)
        async with serve(state) as console:
            yield console
