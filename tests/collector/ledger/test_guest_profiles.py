"""What the database sums up of a guest's hours is what the model makes of the hours themselves."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.guest_profiles import (
    guest_ids,
    host_ids,
    hours_of_guest,
    profiles,
)
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.ledger.shares import OWN, HostHour, Share
from jauge_models.attribution import Certainty
from jauge_models.guest_use import GuestProfile, UsePolicy, profiled
from jauge_models.intervals import Basis, Grade, Interval
from jauge_models.topology import Commodity

HOUR_MS = 3_600_000
PARIS = ZoneInfo("Europe/Paris")
START_MS = 1_792_620_000_000
"""2026-10-21T22:00:00Z: midnight in Paris, four days before its clock changes."""
HOURS = 35 * 24 + 1
SPAN = (START_MS, START_MS + HOURS * HOUR_MS)
POLICY = UsePolicy()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with three hosts and guests that come, go, move and are not known at times."""
    with Ledger(tmp_path / "ledger.sqlite") as book:
        random = Random(5)
        hosts = {f"vc/host:{n}": [f"vc/guest:{n}{letter}" for letter in "abc"] for n in range(3)}
        hosts["kvm/host"] = ["kvm/guest:0a"]
        for host, guests in hosts.items():
            hours = [hour(random, host, at, guests) for at in range(*SPAN, HOUR_MS)]
            rows = [
                Row(
                    Interval(
                        one.start_ms,
                        one.start_ms + HOUR_MS,
                        sum(share.energy for share in one.shares),
                        HOUR_MS,
                        HOUR_MS,
                        Basis.COUNTER,
                        Grade.MEDIUM,
                    ),
                    "f",
                    final=True,
                )
                for one in hours
            ]
            book.save("s", [Stretch(host, Commodity.ELECTRICITY, *SPAN, rows)], 0)
            book.save_shares("s", hours)
        yield book


def hour(random: Random, host: str, at_ms: int, guests: list[str]) -> HostHour:
    """An hour of a host; a guest is missing now and then, and a figure not known."""
    shares = [share(random, host, OWN, at_ms)]
    # One moves from the first host to the second after half of the time.
    moved = at_ms >= START_MS + HOURS // 2 * HOUR_MS
    present = [g for g in guests if not (g == "vc/guest:0b" and moved)]
    if host == "vc/host:1" and moved:
        present.append("vc/guest:0b")
    shares += [share(random, host, guest, at_ms) for guest in present if random.random() > 0.1]
    return HostHour(host, at_ms, shares)


def share(random: Random, host: str, guest: str, at_ms: int) -> Share:
    """One share; multiples of a power of two, so that sums are exact in any order."""

    def exact(most: int) -> float:
        return random.randrange(most) / 64

    def perhaps(value: float, often: float) -> float | None:
        return value if random.random() < often else None

    return Share(
        host=host,
        guest=guest,
        start_ms=at_ms,
        end_ms=at_ms + HOUR_MS,
        idle=exact(9000),
        dynamic=exact(9000),
        gpu=exact(900) if guest.endswith("c") and random.random() < 0.1 else 0.0,
        covered_ms=random.choice((0, HOUR_MS // 2, HOUR_MS, HOUR_MS)),
        certainty=random.choice((Certainty.MEASURED, Certainty.DERIVED)),
        busy=perhaps(exact(128), 0.95),
        busy_peak=perhaps(exact(200), 0.9),
        processors=perhaps(random.choice((0.0, 2.0, 4.0)), 0.95),
        memory_used_peak=perhaps(exact(9000), 0.8),
        memory_size=perhaps(random.choice((512.0, 1024.0)), 0.7),
        final=True,
    )


def told(profile: GuestProfile) -> object:
    """A profile without the digits that the order of a sum decides."""
    busy = None if profile.busy is None else round(profile.busy, 9)
    return profile._replace(busy=busy)


def test_each_profile_is_that_of_the_guests_hours(ledger: Ledger) -> None:
    """Of a guest with one host, of one that moved, of one that two agents report; none twice.

    The hosts are those that have shares, by name; of another site none.
    """
    period_s = (SPAN[1] - SPAN[0]) / 1000
    with ledger.transaction(writes=False) as connection:
        guests = guest_ids(connection, "s")
        found = {one.guest: one for one in profiles(connection, "s", SPAN, PARIS, POLICY)}
        assert list(guests["guest:0a"]) == ["kvm/guest:0a", "vc/guest:0a"]
        assert set(found) == set(guests)
        assert len(found) == 9
        for guest, keys in guests.items():
            hours = hours_of_guest(connection, list(keys.values()), SPAN, PARIS)
            assert told(found[guest]) == told(profiled(guest, hours, period_s, POLICY)), guest
        assert list(host_ids(connection, "s").values()) == [
            "kvm/host",
            "vc/host:0",
            "vc/host:1",
            "vc/host:2",
        ]
        assert host_ids(connection, "t") == {}
    assert len(found["guest:1a"].week) == 168
    assert 0 < found["guest:1a"].days < 35
    assert found["guest:0c"].holds_gpu
    assert not found["guest:1a"].holds_gpu
