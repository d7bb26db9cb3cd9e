"""A network of our own: a namespace for each machine, and between them a wire that obeys.

The wire is a switch in this process: each namespace has a TAP interface whose frames come here,
and go on late, or not at all, by direction. Both ends speak TCP with their kernels as over any
cable, with every retransmission and time-out of it. This process has an interface of its own on
the wire, which is never cut, to look after the machines. No kernel module is needed beyond TUN
(many kernels lack netem), and nothing outlives this process: namespaces are held by open files
and interfaces by the switch, so that a crash leaves none.
"""

import errno
import fcntl
import heapq
import itertools
import os
import random
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.faults.matrix import NotHereError

_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP_NO_PI: Final = 0x0002 | 0x1000
_FRAME: Final = 2048
_BROADCAST: Final = 0xFF
_OURS: Final = 254
"""The number of this process' own interface."""
_NETS: Final = 256
"""Networks of 198.18.0.0/16, which RFC 2544 sets aside for tests: one for each wire."""
_BEGIN_WITHIN_S: Final = 20.0


def require_root(*programs: str) -> None:
    """Raise NotHereError where we are not root or a program is missing."""
    if os.geteuid() != 0:
        raise NotHereError("needs root")
    for program in programs:
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
            raise NotHereError(f"{program} is not installed")


@dataclass(slots=True)
class Way:
    """What happens to frames in one direction between two machines."""

    cut: bool = False
    delay_s: float = 0.0
    loss: float = 0.0
    """Share of frames lost, of one."""
    passed: int = 0
    lost: int = 0
    """Frames counted since the beginning."""


class Machine:
    """A network namespace with one address on the wire and a loopback of its own."""

    def __init__(self, name: str, net: int, number: int) -> None:
        """Make the namespace and its interface; NotHereError where that is not allowed."""
        self.name = name
        self.number = number
        self.address = _address(net, number)
        self._net = net
        self.tap = -1
        self._held = -1
        # The shell only keeps the namespace until our own open file does.
        with subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; read _"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as shell:
            assert shell.stdin is not None
            assert shell.stdout is not None
            assert shell.stderr is not None
            if shell.stdout.readline() == b"":
                raise NotHereError(shell.stderr.read().decode(errors="replace").strip())
            self._held = os.open(f"/proc/{shell.pid}/ns/net", os.O_RDONLY)
            try:
                self._plug(shell.pid)
            except BaseException:
                self.close()
                raise
            finally:
                shell.stdin.close()

    @property
    def prefix(self) -> list[str]:
        """What to put before a command so that it runs on this machine, under the same pid."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self._held}", "--"]

    def close(self) -> None:
        """Let go of it: the kernel removes it when its last process has ended."""
        for descriptor in (self.tap, self._held):
            if descriptor >= 0:
                os.close(descriptor)
        self.tap = self._held = -1

    def _plug(self, pid: int) -> None:
        self.tap, name = _new_tap(f"jauge{self._net}-{self.number}")
        _run("ip", "link", "set", "dev", name, "netns", str(pid))
        _run(*self.prefix, "ip", "link", "set", "dev", "lo", "up")
        _set_up(self.prefix, name, self.number, self.address)


class Wire:
    """The switch between some machines. Used as a context manager; one thread moves frames."""

    def __init__(self, names: Sequence[str], *, seed: int = 1) -> None:
        """Nothing is made before it is entered. ``seed`` decides which frames are lost."""
        self._names = tuple(names)
        self._chance = random.Random(seed)
        self._machines: dict[str, Machine] = {}
        self._taps: dict[int, int] = {}
        self._ways: dict[tuple[int, int], Way] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._move, name="wire", daemon=True)
        self._stack = ExitStack()
        self.failure: BaseException | None = None
        """What ended the switch before its time."""

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines by name."""
        return self._machines

    def way(self, sender: str, receiver: str) -> Way:
        """The direction from one machine to another; may be changed at any time."""
        return self._ways[self._machines[sender].number, self._machines[receiver].number]

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two machines."""
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def cut_one_way(self, sender: str, receiver: str) -> None:
        """Let nothing through from one machine to another; the way back stays."""
        self.way(sender, receiver).cut = True

    def degrade(self, one: str, other: str, *, delay_s: float, loss: float) -> None:
        """Let everything through between two machines later, and a share of it not at all."""
        for way in (self.way(one, other), self.way(other, one)):
            way.delay_s, way.loss = delay_s, loss

    def heal(self, one: str, other: str) -> None:
        """A good cable again."""
        for way in (self.way(one, other), self.way(other, one)):
            way.cut, way.delay_s, way.loss = False, 0.0, 0.0

    def lost(self, one: str, other: str) -> int:
        """Frames lost between two machines so far, both ways."""
        return self.way(one, other).lost + self.way(other, one).lost

    def __enter__(self) -> Self:
        require_root("ip", "unshare", "nsenter")
        with ExitStack() as stack:
            net, tap, name = _claimed()
            stack.callback(os.close, tap)
            self._taps[_OURS] = tap
            _set_up((), name, _OURS, _address(net, _OURS))
            for number, name in enumerate(self._names, 1):
                machine = self._machines[name] = Machine(name, net, number)
                stack.callback(machine.close)
                self._taps[number] = machine.tap
            self._ways = {pair: Way() for pair in itertools.permutations(self._taps, 2)}
            self._thread.start()
            stack.callback(self._thread.join, _BEGIN_WITHIN_S)
            stack.callback(self._closing.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _move(self) -> None:
        try:
            self._switch()
        except Exception as error:  # noqa: BLE001 - a row that leans on a dead wire must know
            self.failure = error

    def _switch(self) -> None:
        taps = self._taps
        waiting: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        with selectors.DefaultSelector() as selector:
            for number, tap in taps.items():
                selector.register(tap, selectors.EVENT_READ, number)
            while not self._closing.is_set():
                pause_s = waiting[0][0] - time.monotonic() if waiting else 0.1
                for key, _ in selector.select(min(max(pause_s, 0.0), 0.1)):
                    for frame in _frames(taps[key.data]):
                        for receiver, due_s in self._receivers(key.data, frame):
                            heapq.heappush(waiting, (due_s, next(order), receiver, frame))
                now_s = time.monotonic()
                while waiting and waiting[0][0] <= now_s:
                    _, _, receiver, frame = heapq.heappop(waiting)
                    # A full queue of the interface loses the frame, as a switch's port does.
                    with suppress(BlockingIOError):
                        os.write(taps[receiver], frame)

    def _receivers(self, sender: int, frame: bytes) -> list[tuple[int, float]]:
        """To whom a frame goes, and when."""
        now_s = time.monotonic()
        to = frame[5]
        found = []
        for (one, other), way in self._ways.items():
            if one != sender or (to not in {other, _BROADCAST}):
                continue
            if way.cut or self._chance.random() < way.loss:
                way.lost += 1
            else:
                way.passed += 1
                found.append((other, now_s + way.delay_s))
        return found


def _frames(tap: int) -> list[bytes]:
    """All frames that wait in an interface."""
    found: list[bytes] = []
    with suppress(BlockingIOError):
        while True:
            found.append(os.read(tap, _FRAME))
    return found


def _claimed() -> tuple[int, int, str]:
    """A network that no other wire of this machine has, with our interface on it."""
    for net in range(_NETS):
        try:
            return (net, *_new_tap(f"jauge{net}"))
        except BlockingIOError:
            continue
    raise NotHereError("too many wires on this machine")


def _new_tap(name: str) -> tuple[int, str]:
    """A new interface, as long as its descriptor is open; BlockingIOError when it exists."""
    tap = -1
    try:
        tap = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP_NO_PI))
    except OSError as error:
        if tap >= 0:
            os.close(tap)
        if error.errno == errno.EBUSY:
            raise BlockingIOError from None
        raise NotHereError(f"{_TUN}: {error.strerror}") from None
    return tap, name


def _set_up(prefix: Sequence[str], name: str, number: int, address: str) -> None:
    for line in (
        f"link set dev {name} address 02:00:00:00:00:{number:02x}",
        f"address add {address}/24 dev {name}",
        f"link set dev {name} up",
    ):
        _run(*prefix, "ip", *line.split())


def _address(net: int, number: int) -> str:
    return f"198.18.{net}.{number}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHereError(f"{' '.join(command)}: {done.stderr.strip()}")
