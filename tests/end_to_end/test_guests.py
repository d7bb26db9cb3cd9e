"""Watts and energy of a cluster's guests, from the vCenter to the page and the ledger.

VMware's simulator draws new noise at each query, so every figure is checked against what the
simulator has answered and what the store took, never against what it would say now.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from itertools import pairwise
from math import fsum
from pathlib import Path

import pytest
from jauge_collector.ledger.shares import OWN, Share

from tests import parts
from tests.end_to_end.cluster import DOWN_MS, GUESTS, HOSTS, STEP_MS, WITHIN_S, Ground, Row, started
from tests.end_to_end.host_page import Seen


@pytest.fixture
async def ground(mosquitto: parts.Mosquitto, tmp_path: Path) -> AsyncIterator[Ground]:
    """A small cluster and all that reads it."""
    async with started(mosquitto, tmp_path) as made:
        yield made


def assert_adds_up(seen: Seen) -> None:
    """To every decimal shown: along each line, down each column, and to the measured watts."""
    *lines, sums = seen.columns
    for idle, dynamic, gpu, whole in seen.columns:
        assert idle + dynamic + gpu == whole
        assert min(idle, dynamic, gpu) >= 0
    assert [sum(column) for column in zip(*lines, strict=True)] == sums
    assert seen.own + sum(seen.guests.values()) == sums[3] == seen.measured > 0
    assert sums[3].as_tuple().exponent == seen.measured.as_tuple().exponent == -1


def assert_of_the_store(ground: Ground, pages: Mapping[str, Seen]) -> None:
    """Measured watts are the readings of that moment, and each guest is where it ran then."""
    power = ground.readings("power", "host")
    for host, seen in pages.items():
        assert seen.measured == Decimal(str(power[host][seen.at_ms]))
    shown = Counter(guest for seen in pages.values() for guest in seen.guests)
    assert len(shown) == GUESTS
    assert set(shown.values()) == {1}, "nobody is twice"
    assert {g: h for h, seen in pages.items() for g in seen.guests} == {
        guest.partition(":")[2]: host for guest, host in ground.running().items()
    }


async def assert_ledger_adds_up(ground: Ground) -> list[Share]:
    """Each host's row is what its readings say, and the sum of its shares; the shares."""
    hosts = {f"vc/{host}" for host in ground.readings("power", "host")}
    rows: dict[tuple[str, int], Row] = {}
    shares: list[Share] = []

    def complete() -> bool:
        nonlocal rows, shares
        rows, shares = ground.shares()
        sums: dict[tuple[str, int], list[float]] = defaultdict(list)
        for share in shares:
            sums[share.host, share.start_ms].append(share.energy)
        return {host for host, _ in rows} == hosts and {
            key: pytest.approx(fsum(some), rel=1e-9) for key, some in sums.items()
        } == {key: row.amount for key, row in rows.items()}

    await parts.eventually(complete, within=WITHIN_S, what="shares that add up to every row")
    for start_ms in {start_ms for _, start_ms in rows} & ground.placed():
        running = {share.guest for share in shares if share.start_ms == start_ms}
        assert len(running - {OWN}) == GUESTS
    assert min(min(share.idle, share.dynamic, share.gpu) for share in shares) >= 0
    assert_of_the_readings(ground, rows)
    return shares


def assert_of_the_readings(ground: Ground, rows: Mapping[tuple[str, int], Row]) -> None:
    """A row's mean watts lie within what was read, and it covers no more than that."""
    power, energy = (ground.readings(name, "host") for name in ("power", "energy_amount"))
    for (host, _), row in rows.items():
        resource = host.partition("/")[2]
        watts = [*power[resource].values()]
        watts += [joules / (STEP_MS / 1000) for joules in energy.get(resource, {}).values()]
        mean = row.amount / (row.covered_ms / 1000)
        assert min(watts) * (1 - 1e-9) <= mean <= max(watts) * (1 + 1e-9)
    for resource, values in power.items():
        covered = sum(row.covered_ms for (host, _), row in rows.items() if host == f"vc/{resource}")
        assert covered <= max(values) - min(values) + STEP_MS


async def test_watts_of_guests_add_up_to_their_hosts_while_one_moves_and_the_agent_is_killed(
    ground: Ground,
) -> None:
    """On each host's page and in the ledger; nothing is doubled, changed or missing after it."""
    await parts.eventually(ground.ready, within=WITHIN_S, what="the collector is ready")
    await parts.eventually(
        lambda: len(ground.times()) > DOWN_MS // STEP_MS,
        within=WITHIN_S,
        what="what is new, and the past",
    )
    hosts = sorted(ground.readings("power", "host"))
    assert len(hosts) == HOSTS
    before = await ground.pages(hosts)
    for seen in before.values():
        assert_adds_up(seen)
    assert_of_the_store(ground, before)
    listed = await ground.listed()
    assert listed == {f"vc/{host}" for host in hosts}, "what the gateway runs on is none of them"
    await assert_ledger_adds_up(ground)

    kept = {kind: ground.readings("power", kind) for kind in ("host", "guest")}
    newest = max(ground.times())
    moved, origin, target = await asyncio.to_thread(ground.move)
    assert moved.partition(":")[2] in before[origin].guests
    await ground.agent.kill()
    await ground.agent.start()
    await parts.eventually(
        lambda: max(ground.times()) > newest and ground.running()[moved] == target,
        within=WITHIN_S,
        what="a reading after the move",
    )
    after = await ground.pages(hosts)
    for seen in after.values():
        assert_adds_up(seen)
    assert_of_the_store(ground, after)
    assert moved.partition(":")[2] in after[target].guests

    shares = await assert_ledger_adds_up(ground)
    covered: dict[tuple[str, int], int] = defaultdict(int)
    for share in shares:
        if share.guest:
            covered[share.guest, share.start_ms] += share.covered_ms
    own = {(s.host, s.start_ms): s.covered_ms for s in shares if s.guest == OWN}
    for (_, start_ms), spent in covered.items():
        assert spent <= max(ms for (_, start), ms in own.items() if start == start_ms)

    given, names = ground.answered(), await asyncio.to_thread(ground.keys)
    for kind, earlier in kept.items():
        now = ground.readings("power", kind)
        assert now.keys() == earlier.keys()
        for resource, values in now.items():
            # An agent that was killed asks for some minutes again, and the simulator draws anew.
            assert all(values[at] >= value for at, value in earlier[resource].items())
            times = sorted(values)
            assert {b - a for a, b in pairwise(times)} == {STEP_MS}, "none is missing"
            for time_ms, value in values.items():
                assert value in given[names[resource]][time_ms], "the vCenter gave it"
