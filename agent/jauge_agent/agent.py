"""The agent: sources, spool and publisher put together, and ended in order."""

import asyncio
import contextlib
import errno
import logging
import random
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from jauge_models.configuration import ConfigurationError
from jauge_models.wire import ResourceDescription, Sample, SourceDescription, encode_samples

from jauge_agent.announcements import Announcements, Condition, Describe
from jauge_agent.clock import now_ms
from jauge_agent.config import AgentConfig, ConfiguredSource, PrivacyConfig, secret
from jauge_agent.exposure import exposures
from jauge_agent.logs import say
from jauge_agent.pseudonyms import Pseudonyms
from jauge_agent.publisher import Publisher
from jauge_agent.runner import Runner
from jauge_agent.spool import Spool
from jauge_agent.systemd import Notifier
from jauge_agent.whole_files import write_whole

LARGEST_BATCH: Final = 1000
"""Samples per batch: with the longest names this stays under wire.MAX_PAYLOAD_BYTES."""

_MACHINE_ID_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_NO_MACHINE_ID: Final = "uninitialized"
"""What machine-id(5) holds on an image that was not started yet."""
_DAY_MS: Final = 86_400_000

_log = logging.getLogger(__name__)


def machine_id(spool: Path) -> str:
    """What tells this machine from a copy of its disk (machine-id(5)).

    Where the system has none, a random one that is kept in the spool's directory.
    """
    kept = spool / "machine-id"
    for path in (*_MACHINE_ID_FILES, kept):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = path.read_text(encoding="ascii").strip()
            if text and text != _NO_MACHINE_ID:
                return text
    drawn = secrets.token_hex(16)
    # Where it cannot be written the spool cannot be either, and says so.
    with contextlib.suppress(OSError):
        write_whole(kept, f"{drawn}\n".encode())
    return drawn


def new_boot() -> str:
    """The random name of this process' run."""
    return secrets.token_hex(8)


async def run(config: AgentConfig, sources: Sequence[ConfiguredSource], *, file: str) -> None:
    """Measure and publish until SIGINT or SIGTERM, then end in order; SIGHUP looks at certificates.

    ``file`` is only named in errors. Raises SpoolError when the spool cannot be used,
    ConfigurationError when nothing can listen at the address for metrics.
    """
    directory = Path(config.spool.directory)
    spool = Spool(
        directory,
        machine=machine_id(directory),
        max_bytes=config.spool.max_mb * 1_000_000,
        max_age_ms=round(config.spool.max_age_days * _DAY_MS),
        now_ms=now_ms(),
        sync_s=config.spool.sync_s,
    )
    asyncio.get_running_loop().set_exception_handler(_say_loop_trouble)
    try:
        await _run(config, sources, spool, file)
    finally:
        spool.close()


async def _run(
    config: AgentConfig, sources: Sequence[ConfiguredSource], spool: Spool, file: str
) -> None:
    chance = random.Random()  # noqa: S311 - jitter
    address = config.address

    def deliver(time_ms: int, samples: Sequence[Sample]) -> None:
        for start in range(0, len(samples), LARGEST_BATCH):
            part = samples[start : start + LARGEST_BATCH]
            batch = spool.add(time_ms, encode_samples(part), len(part), now_ms())
            if batch is not None:
                publisher.offer(batch)

    def on_step(step_ms: int) -> None:
        if step_ms < 0:
            spool.clock_went_back(now_ms())
            publisher.forget()

    def on_change() -> None:
        publisher.announce()

    runner = Runner(
        sources,
        deliver=deliver,
        now_ms=now_ms,
        on_step=on_step,
        on_change=on_change,
        chance=chance,
        memory=Path(config.spool.directory) / "sources",
        budgets=config.budget.budgets,
    )
    boot = new_boot()
    publisher = Publisher(
        config.broker,
        address=address,
        boot=boot,
        spool=spool,
        resend_after_s=config.delivery.resend_after_s,
        now_ms=now_ms,
        open_tick_ms=runner.open_tick_ms,
        announcements=Announcements(
            boot=boot,
            spool=spool,
            now_ms=now_ms,
            describe=_describe(config.privacy, runner),
            condition=lambda: _condition(runner),
        ),
        chance=chance,
    )
    notifier = Notifier()
    with (
        _metrics(config, runner, spool, publisher, file),
        _signals(publisher.look_at_files) as stop,
    ):
        say(_log, logging.INFO, "started", site=address.site, agent=address.agent, boot=boot)
        for each in exposures(config):
            detail = f"{each.key}: {each.detail}"
            say(_log, logging.WARNING, each.event, where=each.where, detail=detail)
        notifier.notify("READY=1")
        await _until(stop, runner, publisher, notifier)
        say(_log, logging.INFO, "stopped", waiting_batches=spool.spooled.batches)


def _describe(privacy: PrivacyConfig, runner: Runner) -> Describe:
    """What the birth document may tell."""
    if not privacy.pseudonymise or privacy.key_file is None:
        return runner.describe
    pseudonyms = Pseudonyms(privacy.pseudonymise, secret(privacy.key_file))

    def describe() -> tuple[list[SourceDescription], list[ResourceDescription]]:
        sources, resources = runner.describe()
        return sources, pseudonyms.hide(resources)

    return describe


def _condition(runner: Runner) -> Condition:
    """What the state tells of clock and sources."""
    stats = runner.stats
    return Condition(
        clock_steps=stats.steps,
        last_step_s=stats.last_step_ms / 1000 if stats.steps else None,
        delivered={
            name: source.last_success_ms / 1000
            for name, source in runner.source_stats.items()
            if source.last_success_ms is not None
        },
    )


def _say_loop_trouble(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Log what no task catches; aiomqtt leaves a closed socket behind at each lost connection."""
    error = context.get("exception")
    harmless = isinstance(error, OSError) and error.errno == errno.EBADF
    level = logging.DEBUG if harmless else logging.ERROR
    say(_log, level, "event loop", message=context.get("message"), detail=repr(error))


async def _until(
    stop: asyncio.Event, runner: Runner, publisher: Publisher, notifier: Notifier
) -> None:
    """Run all parts until asked to stop; sources end first, so that the last batch is spooled."""
    async with asyncio.TaskGroup() as outer:
        publishing = outer.create_task(publisher.run(), name="publisher")
        running = outer.create_task(runner.run(), name="runner")
        watching = outer.create_task(_keep_watchdog(notifier), name="watchdog")
        await stop.wait()
        notifier.notify("STOPPING=1")
        running.cancel()
        await asyncio.wait([running])
        publishing.cancel()
        watching.cancel()


async def _keep_watchdog(notifier: Notifier) -> None:
    """Tell the service manager that the event loop turns."""
    if (period := notifier.watchdog_s) is None:
        return
    while True:
        notifier.notify("WATCHDOG=1")
        await asyncio.sleep(period)


@contextlib.contextmanager
def _signals(on_hangup: Callable[[], None]) -> Iterator[asyncio.Event]:
    """The event that SIGINT and SIGTERM set; SIGHUP calls ``on_hangup``."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop.set)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield stop
    finally:
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(which)


@contextlib.contextmanager
def _metrics(
    config: AgentConfig, runner: Runner, spool: Spool, publisher: Publisher, file: str
) -> Iterator[None]:
    if config.metrics.port is None:
        yield
        return
    from jauge_agent.telemetry import AgentCollector, serving  # noqa: PLC0415 - 3 MB

    collector = AgentCollector(runner, spool, publisher)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(serving(config.metrics.address, config.metrics.port, collector))
        except OSError as error:
            where = f"{config.metrics.address}:{config.metrics.port}"
            problem = f"cannot listen on {where}: {error.strerror}"
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise ConfigurationError(
                    file, "metrics.port", problem, "choose a free port above 1023"
                ) from None
            raise ConfigurationError(
                file, "metrics.address", problem, "choose an address of this machine"
            ) from None
        yield
