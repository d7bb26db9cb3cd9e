"""Guests that really run, under a libvirtd that really manages them."""

import asyncio
import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from jauge_agent.runner import Runner
from jauge_agent.source import Outcome, RetryError, Sample
from jauge_agent.sources.libvirt.source import LibvirtSettings, LibvirtSource
from jauge_agent.sources.libvirt.virsh import Virsh
from jauge_agent.testing import configured
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of
from jauge_models.wire import Method

from tests.agent.libvirt.hypervisor import Hypervisor
from tests.parts import eventually

REPOSITORY: Final = Path(__file__).resolve().parents[3]
_TUN: Final = Path("/dev/net/tun")
OPEN_TO_OTHERS: Final = _TUN.exists() and bool(_TUN.stat().st_mode & stat.S_IWOTH)


def settings(hypervisor: Hypervisor, **changes: Any) -> LibvirtSettings:
    """Settings for the hypervisor of the tests."""
    return LibvirtSettings(**{"uri": hypervisor.uri, **changes})


@pytest.fixture
async def source(hypervisor: Hypervisor) -> AsyncIterator[LibvirtSource]:
    """A source that has not been opened."""
    made = LibvirtSource(settings(hypervisor, tenant="project"))
    yield made
    await made.close()


@pytest.fixture(scope="module")
def guest(hypervisor: Hypervisor) -> Iterator[str]:
    """The UUID of a guest that runs for all tests, called archive-1."""
    uuid = "6f0d1c2e-1a2b-4c3d-8e9f-000000000001"
    hypervisor.define("archive-1", uuid)
    hypervisor.do("start", "archive-1")
    yield uuid
    hypervisor.do("destroy", "archive-1")
    hypervisor.do("undefine", "archive-1")


def values(outcome: Outcome, uuid: str) -> dict[str, float]:
    """What one guest gave, by quantity; every value passes the catalogue."""
    for resource, quantity, value in outcome.samples:
        assert flaw_of(resource, quantity, CATALOGUE[quantity].unit, value) is None
    return {s.quantity: s.value for s in outcome.samples if s.resource == f"guest:{uuid}"}


async def test_a_guest_tells_what_it_uses_and_was_given(source: LibvirtSource, guest: str) -> None:
    """Its processor time grows; its size is that of its definition; it has a name and labels."""
    described = {each.id: each for each in await source.open()}
    first = values(await source.read(), guest)
    assert first["processors"] == 2
    assert first["memory_size"] == 48 * 2**20
    assert 2**20 < first["memory_used"] < 2**31
    assert first["disk_written"] == 0
    grown: list[float] = []

    async def busy() -> bool:
        told = values(await source.read(), guest)
        grown.append(told["cpu_time"])
        return told["cpu_time"] >= first["cpu_time"] + 0.2 and told["disk_read"] >= 512

    await eventually(busy, within=30, what="the guest's processor is busy and it has booted")
    assert grown == sorted(grown)
    one = described[f"guest:{guest}"]
    assert one.name == "archive-1"
    assert one.labels == {
        "host": socket.gethostname(),
        "memory": "resident",
        "tenant": "archive",
    }
    assert one.quantities["cpu_time"] is Method.COUNTER
    assert one.quantities["memory_used"] is Method.GAUGE
    # Its network has no counters, which are no zeros.
    assert not one.quantities.keys() & {"network_received", "network_sent"}


async def test_the_machine_tells_what_it_has_to_give(source: LibvirtSource, guest: str) -> None:
    """Processors and memory of the host, beside the guests, and under the name of the host."""
    del guest
    described = await source.open()
    outcome = await source.read()
    host = {s.quantity: s.value for s in outcome.samples if s.resource == "host"}
    assert host["processors"] == os.cpu_count()
    assert host["memory_size"] == psutil.virtual_memory().total
    assert described[0].id == "host"
    assert described[0].quantities.keys() == host.keys()


async def test_a_renamed_guest_keeps_its_series(
    hypervisor: Hypervisor, source: LibvirtSource, guest: str
) -> None:
    """A name is part of the description, never of the series."""
    uuid = "6f0d1c2e-1a2b-4c3d-8e9f-000000000002"
    hypervisor.define("before", uuid)
    hypervisor.do("start", "before")
    first = {each.id: each.name for each in await source.open()}
    assert first[f"guest:{uuid}"] == "before"
    hypervisor.do("destroy", "before")
    hypervisor.do("domrename", "before", "after its audit")
    hypervisor.do("start", "after its audit")
    renamed = await source.read()
    assert renamed.resources is not None
    assert {each.id: each.name for each in renamed.resources} == {
        "host": "",
        f"guest:{guest}": "archive-1",
        f"guest:{uuid}": "after its audit",
    }
    assert values(renamed, uuid)["processors"] == 2
    hypervisor.do("suspend", "after its audit")
    assert values(await source.read(), uuid) == {}
    hypervisor.do("resume", "after its audit")
    assert values(await source.read(), uuid)
    hypervisor.do("destroy", "after its audit")
    gone = await source.read()
    assert values(gone, uuid) == {}
    assert gone.resources is not None
    assert [each.id for each in gone.resources] == ["host", f"guest:{guest}"]
    hypervisor.do("undefine", "after its audit")


async def test_a_restarted_libvirtd_is_said_once(
    hypervisor: Hypervisor, guest: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is away there is nothing; then the same guest again, whose counter has gone on."""
    source = LibvirtSource(settings(hypervisor, period_s=0.1))
    taken: list[Sample] = []
    runner = Runner(
        [configured("libvirt", source, settings(hypervisor, period_s=0.1))],
        deliver=lambda _, samples: taken.extend(samples),
        now_ms=lambda: int(asyncio.get_running_loop().time() * 1000),
        chance=random.Random(1),
    )
    stats = runner.source_stats["libvirt"]
    running = asyncio.create_task(runner.run())
    try:
        await eventually(lambda: bool(taken), within=20, what="a first reading")
        await asyncio.to_thread(hypervisor.stop)
        await eventually(lambda: stats.failures["retry"] >= 2, within=20, what="two failures")
        before = [s.value for s in taken if s.quantity == "cpu_time"][-1]
        taken.clear()
        await asyncio.to_thread(hypervisor.start)
        await eventually(lambda: bool(taken), within=20, what="a reading again")
    finally:
        running.cancel()
        await asyncio.wait((running,))
    again = {s.quantity: s.value for s in taken if s.resource == f"guest:{guest}"}
    assert again["cpu_time"] >= before
    said = [record.getMessage() for record in caplog.records if record.name.startswith("jauge")]
    assert said.count("source lost") == 1
    assert said.count("source recovered") == 1
    assert stats.failures.keys() == {"retry"}


def _shim(folder: Path, body: str) -> Path:
    """A program in the place of virsh."""
    program = folder / "virsh"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


async def test_nothing_but_reading_leaves(
    hypervisor: Hypervisor, guest: str, tmp_path: Path
) -> None:
    """Every run is read-only, by which libvirtd refuses to change anything, and only asks."""
    real, log = shutil.which("virsh"), tmp_path / "log"
    program = _shim(tmp_path, f'printf "%s\\n" "$@" >> {log}; exec {real} "$@"')
    way = Virsh(program, hypervisor.uri, 20)
    source = LibvirtSource(settings(hypervisor), way=way)
    await source.open()
    await source.read()
    lines = log.read_text().splitlines()
    runs = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    assert len(runs) == 3, "one for the guests, one for the new ones' definitions, one more"
    for run in runs:
        assert run[:3] == ["--readonly", "--connect", hypervisor.uri]
        words = {command.split()[0] for command in run[3].split(";")}
        assert words <= {"list", "domstats", "dumpxml"}
    refused = _run(str(program), *runs[0][:3], f"destroy {guest}")
    assert "read only access prevents" in refused.stderr


async def test_a_program_that_hangs_or_floods_is_ended(tmp_path: Path) -> None:
    """Within the deadline, and with one line for a person; it is not left behind."""
    pid = tmp_path / "pid"
    way = Virsh(_shim(tmp_path, f"echo $$ > {pid}; exec sleep 600"), "qemu:///system", 0.3)
    async with asyncio.timeout(10):
        with pytest.raises(RetryError, match=r"no answer within 0\.3 s"):
            await way.guests()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    way = Virsh(_shim(tmp_path, "head -c 17000000 /dev/zero"), "qemu:///system", 20)
    with pytest.raises(RetryError, match="more than 16 MiB"):
        await way.guests()
    way = Virsh(_shim(tmp_path, "echo error: it is broken >&2; exit 1"), "qemu:///system", 20)
    with pytest.raises(RetryError, match=r"^it is broken$"):
        await way.guests()
    with pytest.raises(RetryError, match="cannot be started"):
        await Virsh(tmp_path / "none", "qemu:///system", 20).guests()


async def test_a_network_is_seen_from_the_guest(
    hypervisor: Hypervisor, source: LibvirtSource
) -> None:
    """What this machine sends into a guest's device is what the guest has received."""
    if not OPEN_TO_OTHERS:
        pytest.skip("/dev/net/tun is root's alone here, and the hypervisor is not root")
    tap, uuid = f"jauge{os.getpid()}", "6f0d1c2e-1a2b-4c3d-8e9f-000000000003"
    made = _run("ip", "tuntap", "add", "dev", tap, "mode", "tap", "user", "nobody")
    if made.returncode != 0:
        pytest.skip(f"no network device can be made here: {made.stderr.strip()}")
    try:
        assert _run("ip", "link", "set", tap, "up").returncode == 0
        hypervisor.define("networked", uuid, tap=tap)
        hypervisor.do("start", "networked")
        await source.open()
        counters = Path("/sys/class/net") / tap / "statistics"

        async def counted() -> bool:
            told = values(await source.read(), uuid)
            sent, received = told.get("network_sent", 0), told.get("network_received", 0)
            crossed = [(counters / name).read_text() for name in ("rx_bytes", "tx_bytes")]
            return sent > 0 and received > 0 and [sent, received] == list(map(float, crossed))

        await eventually(counted, within=20, what="the guest has looked for a system")
    finally:
        hypervisor.do("destroy", "networked")
        hypervisor.do("undefine", "networked")
        _run("ip", "link", "del", tap)


async def test_the_module_tells_the_same_as_the_program(hypervisor: Hypervisor, guest: str) -> None:
    """Both ways, one right after the other: the same guest with the same values, but for time."""
    python = _python_with_libvirt((sys.executable, "/usr/bin/python3"))
    if python is None:
        pytest.skip("no Python here has libvirt's module (Debian package python3-libvirt)")
    script = (
        "import json, sys\n"
        "from jauge_agent.sources.libvirt.library import Library\n"
        "way = Library(sys.argv[1])\n"
        "told = way.guests()\n"
        "xml = way.definitions([told[0].uuid, '6f0d1c2e-1a2b-4c3d-8e9f-00000000dead'])\n"
        "way.close()\n"
        "try:\n"
        "    Library(sys.argv[1] + '.none').guests()\n"
        "except ConnectionError as error:\n"
        "    print(json.dumps([told, xml, str(error)]))\n"
    )
    done = _run(python, "-c", script, hypervisor.uri)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "libvirt's own words do not go to the agent's stderr"
    (told,), xml, refusal = json.loads(done.stdout)
    assert told[:2] == [guest, "archive-1"]
    assert "No such file" in refusal
    program = shutil.which("virsh")
    assert program is not None
    way = Virsh(Path(program), hypervisor.uri, 20)
    (record,) = await way.guests()
    steady = ("state.state", "vcpu.current", "balloon.current", "block.count", "block.0.name")
    for key in (*steady, "net.count", "block.0.wr.bytes"):
        assert record.stats[key] == told[2][key]
    assert record.stats["cpu.time"] >= told[2]["cpu.time"] > 0
    assert (await way.definitions([guest])).keys() == xml.keys() == {guest}


def _python_with_libvirt(candidates: Sequence[str]) -> str | None:
    for python in candidates:
        if Path(python).exists() and _run(python, "-c", "import libvirt").returncode == 0:
            return python
    return None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "agent")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
