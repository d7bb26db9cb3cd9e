"""What the rows lean on, alone: cables that are cut, disks that fill, clocks that step."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from jauge_agent.agent import machine_id
from jauge_agent.spool import Spool

from tests.faults.clocks import WallClock
from tests.faults.disks import SmallDisk, mounted
from tests.faults.identities import machine
from tests.faults.matrix import NotHereError
from tests.faults.spools import (
    copied,
    forget_all,
    held,
    moved_aside,
    overwrite_pages,
    replace,
    truncate,
)
from tests.faults.stage import left_in, now_ms
from tests.faults.wire import Wire
from tests.parts import eventually

PORT = 4000
ECHO = f"""
import asyncio
async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
async def main():
    await (await asyncio.start_server(echo, "0.0.0.0", {PORT})).serve_forever()
asyncio.run(main())
"""
CALL = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as line:
    line.sendall(b"x")
    assert line.recv(1) == b"x"
print(time.monotonic() - began)
"""
"""Prints how long a connection and an echo take."""
TELL_TIME = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


@contextmanager
def _here() -> Iterator[None]:
    """Skip where this machine does not let us."""
    try:
        yield
    except NotHereError as reason:
        pytest.skip(str(reason))


# --- the wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Two machines and the cable between them."""
    with _here(), Wire(["one", "other"]) as made:
        yield made
        assert made.failure is None


@asynccontextmanager
async def _echoing(wire: Wire, name: str) -> AsyncIterator[None]:
    """Something that answers on a machine."""
    server = await asyncio.create_subprocess_exec(
        *wire.machines[name].prefix, sys.executable, "-c", ECHO
    )
    address = wire.machines[name].address

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection(address, PORT)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(answers, within=20, what="the echo answers")
        yield
    finally:
        server.kill()
        await server.wait()


async def _call_s(wire: Wire, caller: str, called: str, *, within: float = 20.0) -> float | None:
    """Seconds that a connection and an echo take; None when they take too long."""
    process = await asyncio.create_subprocess_exec(
        *wire.machines[caller].prefix,
        *(sys.executable, "-c", CALL, wire.machines[called].address, str(PORT), str(within)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return float(out) if process.returncode == 0 else None


async def test_machines_reach_each_other_and_we_reach_them(wire: Wire) -> None:
    """Each by its address; nothing else listens there."""
    async with _echoing(wire, "other"):
        assert await _call_s(wire, "one", "other") is not None
        with pytest.raises(OSError, match=r"refused|failed"):
            await asyncio.open_connection(wire.machines["one"].address, PORT)


@pytest.mark.parametrize("way", [("one", "other"), ("other", "one"), ()])
async def test_a_cut_lets_nothing_through_until_it_heals(wire: Wire, way: tuple[str, ...]) -> None:
    """Both ways or one way, which is enough for TCP; only what is cut counts as lost."""
    async with _echoing(wire, "other"):
        if way:
            wire.cut_one_way(*way)
        else:
            wire.cut("one", "other")
        assert await _call_s(wire, "one", "other", within=2) is None
        assert wire.lost("one", "other") > 0
        if way:
            assert wire.way(*reversed(way)).lost == 0
        wire.heal("one", "other")
        assert await _call_s(wire, "one", "other") is not None


async def test_delay_is_each_way_and_loss_is_a_share(wire: Wire) -> None:
    """A connection and an echo are two round trips of twice the delay."""
    async with _echoing(wire, "other"):
        wire.degrade("one", "other", delay_s=0.3, loss=0.0)
        took_s = await _call_s(wire, "one", "other")
        assert took_s is not None
        assert took_s >= 1.2
        assert wire.lost("one", "other") == 0
        wire.degrade("one", "other", delay_s=0.0, loss=0.5)
        calls = [await _call_s(wire, "one", "other", within=60) for _ in range(3)]
        assert None not in calls
        there = wire.way("one", "other")
        assert 0 < there.lost < there.passed + there.lost


async def test_two_wires_are_two_networks(wire: Wire) -> None:
    """Rows run beside each other: addresses differ, and nothing leaks over."""
    with Wire(["one"]) as second:
        assert second.machines["one"].address != wire.machines["one"].address
        async with _echoing(wire, "other"):
            called = wire.machines["other"].address
            lonely = [*second.machines["one"].prefix, sys.executable, "-c", CALL]
            process = await asyncio.create_subprocess_exec(
                *lonely, called, str(PORT), "5", stderr=asyncio.subprocess.DEVNULL
            )
            assert await process.wait() != 0


def test_nothing_is_left_of_a_wire_whose_process_was_killed() -> None:
    """Interfaces and namespaces go with it, as if it had ended in order."""
    code = (
        "import sys; from tests.faults.wire import Wire\n"
        "with Wire(['one']) as wire:\n"
        "    print(wire.machines['one'].address, flush=True); sys.stdin.read()"
    )
    with _here(), Wire([]):
        before = _addresses()
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        net = process.stdout.readline().rpartition(".")[0]
        assert net in _addresses()
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 20
        while _addresses() != before:
            assert time.monotonic() < deadline, _addresses()


def _addresses() -> str:
    shown = ["ip", "-oneline", "address", "show"]
    lines = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.splitlines()
    return "\n".join(line.split(" scope ")[0] for line in lines if "198.18." in line)


# --- disks


def test_a_small_disk_fills_and_is_freed(tmp_path: Path) -> None:
    """Others cannot write to a full one, and can again."""
    with _here(), SmallDisk(tmp_path / "disk", 1_000_000) as disk:
        disk.fill(leave_bytes=200_000)
        assert 100_000 < disk.free_bytes <= 200_000
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "file").write_bytes(b"x")
        disk.free()
        (disk.path / "file").write_bytes(b"x")
        assert (os.getpid(), disk.path) in mounted()
    assert disk.path not in [path for _, path in mounted()]


def test_a_disk_is_unmounted_whatever_happens(tmp_path: Path) -> None:
    """With a file still open on it, and by the next one when its process was killed."""
    with _here(), SmallDisk(tmp_path / "a disk", 100_000) as disk:
        file = (disk.path / "file").open("wb")
    file.close()
    assert disk.path not in [path for _, path in mounted()]
    code = (
        "import sys; from pathlib import Path; from tests.faults.disks import SmallDisk\n"
        "with SmallDisk(Path(sys.argv[1]), 100_000):\n"
        "    print(flush=True); sys.stdin.read()"
    )
    left = tmp_path / "left"
    process = subprocess.Popen(
        [sys.executable, "-c", code, left], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert (process.pid, left) in mounted()
    with SmallDisk(tmp_path / "next", 100_000):
        assert left not in [path for _, path in mounted()]


# --- clocks


def test_a_wall_clock_steps_for_its_own_programs_alone(tmp_path: Path) -> None:
    """Forward and back at once while they run; their monotonic clock is this machine's."""
    with _here():
        clock = WallClock(tmp_path / "offset", offset_s=-86_400)
    with subprocess.Popen(
        [sys.executable, "-c", TELL_TIME],
        env=os.environ | clock.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step_s, offset_s in ((0, -86_400), (90_000, 3600), (-7200, -3600)):
            clock.step(step_s)
            before_s = time.monotonic()
            process.stdin.write("\n")
            process.stdin.flush()
            wall_s, monotonic_s = map(float, process.stdout.readline().split())
            assert abs(wall_s - time.time() - offset_s) < 5
            assert before_s - 0.1 <= monotonic_s <= time.monotonic() + 0.1
            assert abs(clock.now_ms() / 1000 - wall_s) < 5
        process.stdin.close()


# --- machines and spools


def test_another_machine_id_is_seen_by_one_program_alone(tmp_path: Path) -> None:
    """The same at each start, and not ours."""
    code = "from pathlib import Path; from jauge_agent.agent import machine_id\n"
    code += "print(machine_id(Path()))"
    with _here():
        seen = {
            subprocess.run(
                [*machine(tmp_path / "id"), sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for _ in range(2)
        }
    assert seen == {(tmp_path / "id").read_text().strip()}
    assert machine_id(tmp_path) not in seen


def _spool(folder: Path) -> Spool:
    return Spool(folder, machine="m", max_bytes=10**9, max_age_ms=10**12, now_ms=now_ms())


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool in which sixty batches lie, closed."""
    folder = tmp_path / "spool"
    folder.mkdir()
    opened = _spool(folder)
    left_in(opened, [now_ms() - 1000 * number for number in range(60)], 20)
    opened.close()
    return folder


@pytest.mark.parametrize(
    "damage", [truncate, lambda spool: overwrite_pages(spool, random.Random(1))]
)
def test_damage_is_damage(spool: Path, damage: Callable[[Path], None]) -> None:
    """The file still looks a spool's, and none can be made of it."""
    damage(spool)
    assert (spool / "spool.sqlite").read_bytes().startswith(b"SQLite format 3\0")
    _spool(spool).close()
    assert len(moved_aside(spool)) == 1


def test_a_copy_is_sound_and_says_what_lies_in_it(spool: Path, tmp_path: Path) -> None:
    """Also one of a spool that is open; emptied, it is a sound spool too; either can replace it."""
    opened = _spool(spool)
    left_in(opened, [now_ms()], 20)
    assert len(copied(spool, tmp_path / "copy")) == 61
    opened.close()
    forget_all(tmp_path / "copy")
    assert copied(tmp_path / "copy", tmp_path / "empty") == frozenset()
    replace(spool, tmp_path / "copy")
    replaced = _spool(spool)
    assert replaced.spooled.batches == 0
    assert dict(replaced.account) == {}
    replaced.close()
    assert moved_aside(spool) == []


def test_a_process_stands_still_while_it_is_held() -> None:
    """And goes on afterwards."""
    with subprocess.Popen(["sleep", "60"]) as process:
        state = Path(f"/proc/{process.pid}/stat")
        with held(process.pid):
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert state.read_text().split()[2] == "T"
        os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        assert state.read_text().split()[2] != "T"
        process.send_signal(signal.SIGKILL)
