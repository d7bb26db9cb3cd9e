"""``make fuzz``: every target for minutes, each in a process of its own that is watched.

A crash is an error that the target does not promise; a hang is one input that takes longer than
`HANG_S`; growth is memory at the end beyond that after a tenth of the time.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS

HANG_S: Final = 30.0
GROWTH_MIB: Final = 32.0
_EXAMPLES_A_ROUND: Final = 500
_PAGE_MIB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20


class Told(NamedTuple):
    """How far a target is; ``failed`` ends it."""

    examples: int
    seconds: float
    memory_mib: float
    failed: str = ""
    done: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; the exit status is 1 where a target failed."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="per target (%(default)s)")
    parser.add_argument("--only", choices=TARGETS, action="append", help="targets; all by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="where to begin")
    chosen = parser.parse_args(arguments)
    waiting = list(chosen.only or TARGETS)
    running: dict[multiprocessing.connection.Connection, _Watched] = {}
    failed = 0
    while waiting or running:
        while waiting and len(running) < chosen.jobs:
            watched = _Watched(waiting.pop(0), chosen.minutes * 60, chosen.seed)
            running[watched.ear] = watched
        for ear in multiprocessing.connection.wait(list(running), timeout=1.0):
            assert isinstance(ear, multiprocessing.connection.Connection)
            running[ear].hear()
        for ear, watched in list(running.items()):
            if (verdict := watched.verdict()) is not None:
                del running[ear]
                failed += not verdict.startswith("fine")
                sys.stdout.write(f"{watched.name:14} {verdict}\n")
                sys.stdout.flush()
    return 1 if failed else 0


class _Watched:
    def __init__(self, name: str, seconds: float, first_seed: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.ear, mouth = context.Pipe(duplex=False)
        arguments = (name, seconds, first_seed, mouth)
        self._process = context.Process(target=_fuzz, args=arguments, daemon=True)
        self._process.start()
        mouth.close()
        self._heard = time.monotonic()
        self._settled: Told | None = None
        self._last = Told(0, 0.0, 0.0)
        self._seconds = seconds

    def hear(self) -> None:
        """Take what the process says."""
        try:
            told: Told = self.ear.recv()
        except EOFError:
            self._last = self._last._replace(failed="the process died", done=True)
            return
        self._heard, self._last = time.monotonic(), told
        if self._settled is None and told.seconds >= self._seconds / 10:
            self._settled = told

    def verdict(self) -> str | None:
        """How it ended; None while it goes on."""
        last = self._last
        if not last.done and time.monotonic() - self._heard < HANG_S + 60:
            return None
        if not last.done:
            self._process.kill()
            last = last._replace(failed=f"one input took more than {HANG_S:g} s")
        self._process.join(timeout=30)
        grown = last.memory_mib - (self._settled or last).memory_mib
        rate = last.examples / max(last.seconds, 1e-9)
        what = (
            f"{last.examples} inputs, {rate:.0f} a second, {last.memory_mib:.0f} MiB ({grown:+.1f})"
        )
        if last.failed:
            return f"FAILED after {what}\n{last.failed}"
        if grown > GROWTH_MIB:
            return f"GREW: {what}"
        return f"fine: {what}"


def _fuzz(
    name: str, seconds: float, first_seed: int, mouth: "multiprocessing.connection.Connection"
) -> None:
    target = TARGETS[name]
    began = said = time.monotonic()
    examples = number = 0

    def told(failed: str = "", *, done: bool = False) -> None:
        mouth.send(Told(examples, time.monotonic() - began, _memory_mib(), failed, done))

    told()
    try:
        with target.opened() as run:
            for number in range(2**32):
                if time.monotonic() - began >= seconds:
                    break

                @seed(first_seed + number)
                @settings(
                    max_examples=_EXAMPLES_A_ROUND,
                    deadline=None,
                    database=None,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=list(HealthCheck),
                )
                @given(target.inputs)
                def trying(made: object) -> None:
                    nonlocal examples, said
                    examples += 1
                    at = time.monotonic()
                    run(made)
                    now = time.monotonic()
                    assert now - at < HANG_S, f"took {now - at:.1f} s"
                    if now - said > 1:
                        said = now
                        told()

                trying()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
        notes = "\n".join(getattr(error, "__notes__", ()))
        told(f"{type(error).__name__}: {error}\n{notes}\n(seed {first_seed + number})", done=True)
        return
    told(done=True)


def _memory_mib() -> float:
    resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(resident) * _PAGE_MIB
