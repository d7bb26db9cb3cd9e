"""A cluster that changes while it is read; by hand after the API's documents."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.runner import Runner
from jauge_agent.source import AbsentError, FatalError, Outcome, RetryError, Sample
from jauge_agent.sources.proxmox import source as module
from jauge_agent.sources.proxmox.source import ClusterSource, ProxmoxSource
from jauge_agent.testing import configured
from jauge_models.resources import number_of
from msgspec.structs import replace

from tests.agent.proxmox.conftest import Serving, Settings
from tests.parts import eventually, free_port

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra proxmox)")

from tests.agent.proxmox.cluster import ProxmoxServer, config, guest, node, recorded

ONE = "11111111-2222-4333-8444-555555555555"
TWO = "99999999-8888-4777-8666-555555555555"
Opening = Callable[..., Awaitable[ClusterSource]]


@pytest.fixture
async def opened(settings: Settings) -> AsyncIterator[Opening]:
    """Opens a cluster; closes it in the end."""
    async with AsyncExitStack() as stack:

        async def start(server: ProxmoxServer, **changes: Any) -> ClusterSource:
            made = settings(server, **changes)
            source = ClusterSource(made.devices[0], made)
            stack.push_async_callback(source.close)
            await source.open()
            return source

        yield start


def listing(*entries: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Answers of a cluster called east, with configurations by number as ``vm100=``."""
    answers: dict[str, Any] = {
        "/cluster/status": [
            {"type": "node", "name": "pve1", "local": 1},
            {"type": "cluster", "name": "east"},
        ],
        "/cluster/resources": list(entries),
    }
    for entry in entries:
        number = entry.get("vmid")
        if f"vm{number}" in others:
            path = f"/nodes/{entry['node']}/qemu/{number}/config"
            answers[path] = others[f"vm{number}"]
    return answers


def values(outcome: Outcome, resource: str) -> dict[str, float]:
    """What one resource gave, by quantity."""
    return {s.quantity: s.value for s in outcome.samples if s.resource == resource}


def named(outcome: Outcome) -> dict[str, str]:
    """Names by resource, as the outcome describes them anew."""
    assert outcome.resources is not None
    return {each.id: each.name for each in outcome.resources}


async def test_migration_and_renaming_leave_the_series(serve: Serving, opened: Opening) -> None:
    """The same resource on another node, under another name; where it runs is a reading."""
    here = listing(node("pve1"), node("pve2"), guest(100, "pve1"), vm100=config(f"uuid={ONE}"))
    server = await serve(here)
    source = await opened(server)
    first = values(await source.read(), f"guest:{ONE}")
    assert first["runs_on"] == number_of("host:pve1")
    moved = guest(100, "pve2", name="renamed", uptime=3, netin=10)
    server.answers |= listing(
        node("pve1", uptime=5030), node("pve2", uptime=5030), moved, vm100=config(f"uuid={ONE}")
    )
    outcome = await source.read()
    assert values(outcome, f"guest:{ONE}")["runs_on"] == number_of("host:pve2")
    assert values(outcome, f"guest:{ONE}")["network_received"] == 10, "it began anew"
    assert named(outcome)[f"guest:{ONE}"] == "renamed"
    assert outcome.resources is not None
    assert outcome.resources[-1].labels["host"] == "pve2"


async def test_a_number_that_went_to_another_guest_is_another_series(
    serve: Serving, opened: Opening
) -> None:
    """Between two readings one was removed and a new one made; numbers are given again."""
    server = await serve(listing(node("pve1"), guest(100, "pve1"), vm100=config(f"uuid={ONE}")))
    source = await opened(server)
    server.answers |= listing(
        node("pve1", uptime=5030), guest(100, "pve1", uptime=20), vm100=config(f"uuid={TWO}")
    )
    outcome = await source.read()
    assert values(outcome, f"guest:{ONE}") == {}
    assert values(outcome, f"guest:{TWO}")["processors"] == 2
    assert named(outcome).keys() == {"host:pve1", f"guest:{TWO}"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (config(f"manufacturer=QQ==,base64=1,uuid={ONE.upper()}", TWO), ONE),
        (config("family=x", TWO), TWO),
        (config(None, "0"), "east-100"),
        (config("uuid=00000000-0000-0000-0000-000000000000"), "east-100"),
        (config(), "east-100"),
    ],
)
async def test_who_a_machine_is(
    told: dict[str, Any], expected: str, serve: Serving, opened: Opening
) -> None:
    """SMBIOS' UUID, else its generation's, else its number in the cluster."""
    server = await serve(listing(node("pve1"), guest(100, "pve1"), vm100=told))
    outcome = await (await opened(server)).read()
    assert values(outcome, f"guest:{expected}")


async def test_containers_go_by_their_numbers(serve: Serving, opened: Opening) -> None:
    """They have no UUID; and nothing is asked for them."""
    container = guest(105, "pve1", type="lxc", cpu=0, tags="service-dns;other")
    server = await serve(listing(node("pve1"), container))
    source = await opened(server, service="service-", tenant="tenant-", name="west")
    outcome = await source.read()
    told = values(outcome, "guest:west-105")
    assert told["cpu_utilisation"] == 0
    assert told["disk_written"] == 800
    described = {each.id: each for each in await source.open()}
    labels = {"cluster": "west", "host": "pve1", "service": "dns"}
    assert described["guest:west-105"].labels == labels
    assert not any("lxc" in path or "status" in path[-14:] for _, path in server.asked[2:])


async def test_guests_of_one_uuid_are_told_apart(
    serve: Serving, opened: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    """By their numbers, and for good: a series must not go from one to the other; said once."""
    same = config(f"uuid={ONE}")
    both = listing(node("pve1"), guest(100, "pve1"), guest(101, "pve1"), vm100=same, vm101=same)
    server = await serve(both)
    source = await opened(server)
    outcome = await source.read()
    assert values(outcome, "guest:east-100")
    assert values(outcome, "guest:east-101")
    server.answers |= listing(node("pve1", uptime=5030), guest(100, "pve1"), vm100=same)
    outcome = await source.read()
    assert values(outcome, "guest:east-100")
    assert values(outcome, f"guest:{ONE}") == {}
    assert [record.getMessage() for record in caplog.records].count("guests share a UUID") == 1


async def test_a_guest_is_silent_until_it_is_known_who_it_is(
    serve: Serving, opened: Opening
) -> None:
    """Rather than under a name that it would lose; on its way to a node it has no configuration."""
    server = await serve(listing(node("pve1"), guest(100, "pve1")))
    source = await opened(server)
    outcome = await source.read()
    assert not any(sample.resource.startswith("guest:") for sample in outcome.samples)
    assert outcome.failed == {"unidentified": 1}
    server.answers["/nodes/pve1/qemu/100/config"] = config(f"uuid={ONE}")
    outcome = await source.read()
    assert values(outcome, f"guest:{ONE}")
    assert f"guest:{ONE}" in named(outcome)


async def test_a_forbidden_configuration_is_not_asked_for_at_each_reading(
    serve: Serving, opened: Opening
) -> None:
    """The right is missing, and will be for a while."""
    server = await serve(listing(node("pve1"), guest(100, "pve1"), vm100=403))
    source = await opened(server)
    for _ in range(3):
        assert (await source.read()).failed == {"unidentified": 1}
    asked = [path for _, path in server.asked if path.endswith("/config")]
    assert len(asked) == 1


async def test_nodes_off_line_and_in_maintenance(serve: Serving, opened: Opening) -> None:
    """One tells nothing and stays described; the other is read, and says so."""
    server = await serve(
        listing(
            node("pve1", hastate="maintenance"),
            {"type": "node", "node": "pve2", "status": "offline", "maxcpu": 16},
            {"type": "node", "node": "pve3", "status": "unknown"},
            guest(100, "pve2", status="unknown"),
        )
    )
    source = await opened(server)
    outcome = await source.read()
    assert {sample.resource for sample in outcome.samples} == {"host:pve1"}
    assert outcome.failed == {"offline": 2}
    described = {each.id: each for each in await source.open()}
    assert described.keys() == {"host:pve1", "host:pve2", "host:pve3"}
    assert described["host:pve1"].labels == {"cluster": "east", "maintenance": "yes"}
    assert described["host:pve2"].labels == {"cluster": "east"}
    server.answers |= listing(node("pve1", uptime=5030, hastate="online"))
    outcome = await source.read()
    assert named(outcome).keys() == {"host:pve1"}
    assert "maintenance" not in outcome.resources[0].labels  # type: ignore[index]


async def test_a_node_that_no_longer_renews_its_figures(
    serve: Serving, opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its uptime stands still: what it and its guests told once is not told again as new."""
    monkeypatch.setattr(module, "STALE_S", 0.05)
    server = await serve(listing(node("pve1"), guest(100, "pve1"), vm100=config(f"uuid={ONE}")))
    source = await opened(server)

    async def stale() -> bool:
        outcome = await source.read()
        return outcome.samples == [] and outcome.failed == {"stale": 1}

    await eventually(stale, within=10, what="the figures count as old")
    server.answers["/cluster/resources"] = [node("pve1", uptime=5010), guest(100, "pve1")]
    assert values(await source.read(), f"guest:{ONE}")


async def test_zeros_that_stand_for_missing_figures(serve: Serving, opened: Opening) -> None:
    """Proxmox VE writes 0 for what it does not have; a guest that runs has memory."""
    vm = config(f"uuid={ONE}")
    server = await serve(listing(node("pve1"), guest(100, "pve1"), vm100=vm))
    source = await opened(server)
    empty = guest(100, "pve1", uptime=0, mem=0, maxcpu=0, cpu=0, netin=0, diskread=0)
    server.answers["/cluster/resources"] = [node("pve1", uptime=5010, mem=0), empty]
    outcome = await source.read()
    assert values(outcome, f"guest:{ONE}").keys() == {
        *("memory_size", "disk_written", "network_sent", "runs_on")
    }
    assert "memory_used" not in values(outcome, "host:pve1")
    assert outcome.failed == {"none": 6}
    server.answers["/cluster/resources"] = [node("pve1", uptime=5020), guest(100, "pve1")]
    assert values(await source.read(), f"guest:{ONE}")["network_received"] == 60000


async def test_a_guest_busier_than_its_processors(serve: Serving, opened: Opening) -> None:
    """Its emulated devices take time as well; all of its own is the most that it can use."""
    entries = [guest(100, "pve1", cpu=1.3), guest(101, "pve1", cpu=50)]
    vms = {"vm100": config(f"uuid={ONE}"), "vm101": config(f"uuid={TWO}")}
    server = await serve(listing(node("pve1"), *entries, **vms))
    outcome = await (await opened(server)).read()
    assert values(outcome, f"guest:{ONE}")["cpu_utilisation"] == 1
    assert "cpu_utilisation" not in values(outcome, f"guest:{TWO}")
    assert outcome.failed == {"range": 1}


async def test_another_node_answers_when_one_does_not(serve: Serving, opened: Opening) -> None:
    """In turn, and without coming back before that one fails."""
    port = free_port()
    answers = listing(node("pve1"), node("pve2"))
    first = await serve(answers, port=port)
    source = await opened(first, other_hosts=["localhost"])
    await first.__aexit__(None, None, None)
    with pytest.raises(RetryError, match="localhost"):
        await source.read()
    again = await serve(answers, port=port)
    assert (await source.read()).samples
    assert again.asked == [("GET", "/api2/json/cluster/resources")]


async def test_a_hanging_node_does_not_take_the_others_along(
    serve: Serving, opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question that is handed on to it is given up soon, and asked again later."""
    from jauge_agent.sources.proxmox import session

    monkeypatch.setattr(session, "ASIDE_S", 0.2)
    server = await serve(listing(node("pve1"), node("pve2")))
    source = await opened(server)
    entries = [node("pve1", uptime=5010), node("pve2"), guest(100, "pve2")]
    server.answers["/cluster/resources"] = entries
    server.hangs.add("/nodes/pve2/qemu/100/config")
    async with asyncio.timeout(5):
        outcome = await source.read()
    assert values(outcome, "host:pve1")
    assert outcome.failed == {"node": 1, "unidentified": 1}
    assert (await source.read()).failed == {"unidentified": 1}, "not asked again so soon"


async def test_an_expired_token_is_said_once_and_a_new_one_is_taken(
    serve: Serving,
    settings: Settings,
    token_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a restart, and without a word of it in the logs."""
    monkeypatch.setattr(module, "FLOOR_S", 0)
    server = await serve(recorded())
    made = replace(settings(server), period_s=0.1)
    taken: list[Sample] = []
    runner = Runner(
        [configured("proxmox", ProxmoxSource(made), made)],
        deliver=lambda _, samples: taken.extend(samples),
        now_ms=lambda: int(asyncio.get_running_loop().time() * 1000),
        chance=random.Random(1),
    )
    running = asyncio.create_task(runner.run())
    try:
        await eventually(lambda: bool(taken), within=20, what="a first reading")
        server.token = "jauge@pve!readings=00000000-0000-4000-8000-0000000beef0"
        refused = runner.source_stats["proxmox"].failures
        await eventually(lambda: refused["retry"] >= 3, within=20, what="it is refused")
        _write(token_file, server.token)
        taken.clear()
        await eventually(lambda: bool(taken), within=20, what="a reading again")
    finally:
        running.cancel()
        await asyncio.wait((running,))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("jauge")]
    for event in ("source lost", "source recovered", "device lost", "device recovered"):
        assert said.count(event) == 1, event
    whole = repr([(record.getMessage(), vars(record)) for record in caplog.records])
    assert "the token is not accepted (HTTP 401)" in whole
    assert "beef0" not in whole
    assert "cafe" not in whole


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        (listing(), AbsentError, "shows no node"),
        ({"/cluster/status": 403, "/cluster/resources": []}, RetryError, "tells no name"),
        (listing() | {"/cluster/resources": 403}, RetryError, r"is refused \(HTTP 403\)"),
    ],
)
async def test_a_token_that_may_not_read(
    answers: dict[str, Any],
    error: type[Exception],
    said: str,
    serve: Serving,
    opened: Opening,
) -> None:
    """The right that is missing is named."""
    server = await serve(answers)
    with pytest.raises(error, match=said):
        await opened(server)


@pytest.mark.parametrize("text", ["", "a secret", "root@pam=x", "a@b!c=00\nInjected: 1"])
async def test_what_is_no_token_never_leaves(
    text: str, serve: Serving, opened: Opening, token_file: Path
) -> None:
    """It is not repeated either: it may be another secret."""
    _write(token_file, text)
    server = await serve(recorded())
    with pytest.raises(FatalError) as refused:
        await opened(server)
    assert str(refused.value).startswith("token_file")
    assert "secret" not in str(refused.value)
    assert server.asked == []


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
