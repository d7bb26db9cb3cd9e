"""The command line ``jauge-demo``: everything on this machine, until Ctrl-C."""

import argparse
import asyncio
import contextlib
import fcntl
import http.client
import json
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from jauge_demo.processes import Child, ChildEndedError, start

FIRST_PORT: Final = 8090
_ANSWERS_WITHIN_S: Final = 30.0
REPORTS: Final = "reports"
"""Below the demonstration's folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit status."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder.absolute()
    try:
        with _alone(folder):
            return asyncio.run(_run(folder, options.port))
    except (OSError, ChildEndedError) as error:
        print(f"jauge-demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _run(folder: Path, port: int | None) -> int:
    # Heavy, and here so that an early Ctrl-C meets no half-made import.
    from jauge_collector.importer.progress import Bar  # noqa: PLC0415 - --help is instant

    from jauge_demo import scenario  # noqa: PLC0415 - --help is instant
    from jauge_demo.broker import broker  # noqa: PLC0415 - --help is instant

    begun = time.monotonic()
    console_port = _free_port(FIRST_PORT) if port is None else _wanted_port(port)
    mqtt_port = _free_port(0)
    plan = scenario.prepare(
        folder, mqtt_port=mqtt_port, console_port=console_port, now_ms=scenario.now_ms()
    )
    bar = Bar(sys.stderr)
    await scenario.load_history(plan, now_ms=scenario.now_ms(), progress=bar)
    bar.clear()
    with _stop_signals() as stop:
        async with broker(mqtt_port):
            children: list[Child] = []
            collector = ("collector", "jauge_collector.cli", ("run", "--config", plan.collector))
            agents = (
                ("gateway", "jauge_demo.gateway", (plan.gateway, "plant")),
                ("cluster", "jauge_demo.gateway", (plan.cluster, "cluster")),
                ("agent", "jauge_agent.cli", ("run", "--config", plan.agent)),
            )

            async def begin(name: str, module: str, words: tuple[object, ...]) -> None:
                children.append(await start(name, module, [str(w) for w in words], folder))

            async def come_up() -> None:
                await begin(*collector)
                # Agents say how their clocks stand when they connect: somebody must listen.
                await _ready(console_port)
                for one in agents:
                    await begin(*one)
                took = time.monotonic() - begun
                print(
                    f"Jauge is at http://127.0.0.1:{console_port}/  "
                    f"(up in {took:.0f} s; Ctrl-C stops it)",
                    flush=True,
                )
                await _write_report(plan.collector, folder / REPORTS)

            try:
                await _until_stopped(children, come_up(), stop)
            finally:
                for child in reversed(children):
                    await child.stop()
    print("stopped; what was measured stays in", folder, file=sys.stderr)
    return 0


async def _write_report(config: Path, out: Path) -> None:
    """Write the running quarter's report, as its officer would, and say where it lies.

    That it fails is told and stops nothing.
    """
    words = ("report", "--site", "demo", "--out", str(out), "--config", str(config), "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jauge_collector.cli",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        written, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        print(f"jauge-demo: no quarterly report: {last[0]}", file=sys.stderr)
        return
    files = [Path(file["path"]) for file in json.loads(written)["files"]]
    whole = next(f for f in files if f.suffix == ".pdf" and "summary" not in f.name)
    print(f"Its quarterly report is {whole}", flush=True)


async def _until_stopped(
    children: Sequence[Child], come_up: Coroutine[Any, Any, None], stop: asyncio.Event
) -> None:
    """Bring everything up and wait for the end of a child, which is an error, or of all."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    rising: asyncio.Future[Any] = asyncio.ensure_future(come_up)
    watched: dict[str, asyncio.Future[Any]] = {}
    try:
        while not stopping.done():
            for child in children:
                if child.name not in watched:
                    watched[child.name] = asyncio.ensure_future(child.watch())
            pending = [stopping, *watched.values(), *([] if rising.done() else [rising])]
            await asyncio.wait(pending, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            for one in (rising, *watched.values()):
                if one.done():
                    one.result()
    finally:
        tasks = (*watched.values(), stopping, rising)
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ready(port: int) -> None:
    """Wait until the collector is ready. Raises ChildEndedError when it never is."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    while not await asyncio.to_thread(_answers, port):
        if time.monotonic() > deadline:
            raise ChildEndedError(f"the console does not answer on 127.0.0.1:{port}")
        await asyncio.sleep(0.1)


def _answers(port: int) -> bool:
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        asking.request("GET", "/readyz")
        return asking.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        asking.close()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two demonstrations do not share it. Raises OSError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--folder {folder}: {error.strerror}; choose one you may write") from None
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{folder}: a demonstration already runs here") from None
        yield


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop.set)
    try:
        yield stop
    finally:
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(which)


def _free_port(first: int) -> int:
    """A free port on loopback: ``first`` if it is free, else any."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", first))
        except OSError:
            return _free_port(0)
        number: int = probe.getsockname()[1]
        return number


def _wanted_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(f"--port {port}: {error.strerror}; choose another") from None
    return port


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; choose one from 1 to 65535")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jauge-demo",
        description="A broker, a simulated site with a year of history, a real agent on this "
        "machine, the collector and its console, all on loopback.",
        epilog="example: jauge-demo --folder /tmp/jauge-demo --port 8090",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".demo"),
        help="where everything is kept (.demo)",
    )
    parser.add_argument(
        "--port", type=_port, help=f"port of the console ({FIRST_PORT}, or a free one)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
