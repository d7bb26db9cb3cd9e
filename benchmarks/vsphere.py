"""One vCenter of 300 hosts and 5 000 guests, VMware's own simulator, read by a gateway."""

import asyncio
import json
import os
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.rows import Better, Row, Table, say
from tests.agent.certificates import Authority
from tests.vcsim.simulator import PASSWORD, USER, Vcsim, administered, dropped

HOSTS, GUESTS, CLUSTERS = 300, 5000, 5
POLL_LIMIT_S: Final = 10.0
"""Seconds for one poll (docs/benchmarks.md, issue 5)."""
HOUR_LIMIT: Final = 30
"""Polls: the past is made good twice as fast as time passes."""
PERIOD_S: Final = 60.0
_POLLS: Final = 5
_OUTAGE_S: Final = 3600.0
_DEADLINE_S: Final = 900.0


class Poll(NamedTuple):
    """One poll, as the child tells it."""

    seconds: float
    cpu_s: float
    samples: int
    hosts: int
    guests: int
    behind: int
    """Hosts and guests of which something is still missing."""
    peak_mib: float


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """Polls a minute of the vCenter's clock apart, then an hour's outage caught up."""
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        folder = Path(name)
        authority = Authority(folder)
        pair = authority.issue("vcenter")
        (folder / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
        flags = ["-power", "-clusters", str(CLUSTERS), "-hosts", str(HOSTS // CLUSTERS)]
        flags += ["-guests", str(GUESTS // CLUSTERS)]
        keys = [pair.certificate, pair.key]
        async with Vcsim(folder / "vcsim", *flags, pair=keys) as vcsim:
            context = ssl.create_default_context(cafile=str(authority.certificate))
            administrator = await asyncio.to_thread(administered, vcsim, context)
            try:
                opened_s, polls, caught_up = await _child(folder, vcsim.port, authority)
                manager = administrator.content.sessionManager
                sessions = await asyncio.to_thread(lambda: len(manager.sessionList) - 1)
            finally:
                dropped(administrator)
    slowest = max(poll.seconds for poll in polls)
    behind_s, load = max(poll.seconds for poll in caught_up), os.getloadavg()[0]
    most = max(poll.samples for poll in caught_up[1:])
    last = polls[-1]
    peak = max(poll.peak_mib for poll in caught_up)
    rows = [
        Row(
            *("one poll, the slowest", slowest, "s", "limit", POLL_LIMIT_S, Better.LOWER),
            is_limit=True,
        ),
        Row(
            *("one poll after an hour's outage, the slowest", behind_s, "s", "limit"),
            *(POLL_LIMIT_S, Better.LOWER, True),
        ),
        Row(
            *("polls until the hour is made good", len(caught_up), "", "limit", HOUR_LIMIT),
            *(Better.LOWER, True),
        ),
        Row(
            *("hosts and guests with power", last.hosts + last.guests, "", "limit"),
            *(HOSTS + GUESTS, Better.HIGHER, True),
        ),
        Row("sessions on the vCenter", sessions, "", "limit", 1, Better.LOWER, is_limit=True),
        Row(
            *("RSS at its highest, after an hour's outage", peak, "MiB", "before it"),
            *(last.peak_mib, Better.LOWER),
        ),
    ]
    cpu = sum(poll.cpu_s for poll in polls) / len(polls)
    notes = [
        f"{HOSTS} hosts, {GUESTS} guests in {CLUSTERS} clusters; {last.samples} samples a minute",
        f"opened in {opened_s:.1f} s; a poll takes {cpu:.2f} s of a processor on average",
        f"after an hour's outage at most {most} samples a poll, what is new among them",
        "the simulator runs on the same machine; the vCenter's clock is moved, nothing else",
        f"load average {load:.1f} on {os.cpu_count()} processors",
    ]
    return Table("vsphere", "One vCenter, 300 hosts and 5 000 guests", rows, notes)


async def _child(
    folder: Path, port: int, authority: Authority
) -> tuple[float, list[Poll], list[Poll]]:
    """What a process of its own finds; it says each poll in a line."""
    argv = [str(port), str(folder / "password"), str(authority.certificate)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.vsphere", *argv, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the reader ended with {process.returncode}")
    opened, *lines = [json.loads(line) for line in told.splitlines()]
    polls = [Poll(*line) for line in lines]
    return opened, polls[:_POLLS], polls[_POLLS:]


async def _read(port: int, password: str, authority: str) -> None:
    """The child: reads the vCenter and says what each poll took."""
    from jauge_agent.sources.vsphere.session import Session  # noqa: PLC0415 - the child's alone
    from jauge_agent.sources.vsphere.settings import VCenter, VsphereSettings  # noqa: PLC0415 - see above
    from jauge_agent.sources.vsphere.source import VCenterSource  # noqa: PLC0415 - see above
    from jauge_agent.trust import Trust  # noqa: PLC0415 - the child's alone

    ahead_ms = 0
    real = Session.now_ms
    setattr(Session, "now_ms", lambda session: real(session) + ahead_ms)  # noqa: B010 - typed
    device = VCenter(
        host="127.0.0.1", port=port, username=USER, password_file=password, ca_file=authority
    )
    source = VCenterSource(device, VsphereSettings(devices=[device]), Trust())
    begun = time.perf_counter()
    await source.open()
    _tell(time.perf_counter() - begun)
    for number in range(1000):
        poll = await _poll(source)
        _tell(poll)
        if number > _POLLS and not poll.behind:
            break
        ahead_ms += round(1000 * (_OUTAGE_S if number == _POLLS - 1 else PERIOD_S))
    # Left open: the parent counts the sessions.


async def _poll(source: Any) -> Poll:
    begun, spent = time.perf_counter(), time.process_time()
    outcome = await source.read()
    took, cpu = time.perf_counter() - begun, time.process_time() - spent
    powered = {
        each.resource
        for samples in outcome.dated.values()
        for each in samples
        if each.quantity == "power"
    }
    hosts = sum(each.startswith("host:") for each in powered)
    samples = sum(map(len, outcome.dated.values())) + len(outcome.samples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Poll(took, cpu, samples, hosts, len(powered) - hosts, source.behind, peak)


def _tell(what: float | Sequence[float]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    if isinstance(what, Poll):
        say(f"vsphere: {what.samples} samples in {what.seconds:.1f} s, {what.behind} behind")


if __name__ == "__main__":
    asyncio.run(_read(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
