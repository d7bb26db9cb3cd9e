"""Looking at the sources once, outside a running agent: what is there, and one reading of all."""

import asyncio
from collections.abc import Sequence

import msgspec
from jauge_models.wire import Sample

from jauge_agent.config import ConfiguredSource
from jauge_agent.soundness import flaw_in
from jauge_agent.source import AbsentError, ResourceDescription, Source


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source offers on this host."""

    source: str
    standing: str
    """``present``, ``absent``, ``disabled`` or ``failing``."""
    period_s: float
    detail: str = ""
    """Why it is not present, or what it describes only later."""
    resources: list[ResourceDescription] = []
    samples: list[Sample] = []
    """One reading, where one was asked for."""
    times_ms: dict[str, int] = {}
    """By ``<resource>/<quantity>``: when, of what the device dated itself; its newest values."""
    left_out: int = 0
    """Values of that reading that broke the catalogue's rules or could not be had."""


async def survey(sources: Sequence[ConfiguredSource], *, read: bool) -> list[Finding]:
    """Open every enabled source, read it once if asked, and close it; never raises for a source."""
    return list(await asyncio.gather(*(_look(source, read=read) for source in sources)))


async def _look(configured: ConfiguredSource, *, read: bool) -> Finding:
    def found(standing: str, detail: str = "") -> Finding:
        return Finding(configured.name, standing, configured.settings.period_s, detail)

    if not configured.settings.enabled:
        return found("disabled", f"sources.{configured.name}.enabled is false")
    source: Source | None = None
    try:
        source = configured.build()
        async with asyncio.timeout(configured.settings.deadline_s):
            resources = list(await source.open())
        finding = found("present", getattr(source, "later", ""))
        finding = msgspec.structs.replace(finding, resources=resources)
        if read:
            async with asyncio.timeout(configured.settings.deadline_s):
                outcome = await source.read()
            newest = {
                (sample.resource, sample.quantity): (time_ms, sample)
                for time_ms in sorted(outcome.dated)
                for sample in outcome.dated[time_ms]
            }
            read_ones = [*outcome.samples, *(sample for _, sample in newest.values())]
            sound = [sample for sample in read_ones if flaw_in(sample) is None]
            finding = msgspec.structs.replace(
                finding,
                samples=sound,
                times_ms={"/".join(series): time_ms for series, (time_ms, _) in newest.items()},
                left_out=len(read_ones) - len(sound) + sum(outcome.failed.values()),
            )
        return finding
    except AbsentError as absent:
        return found("absent", str(absent))
    except TimeoutError:
        return found("failing", f"no answer within {configured.settings.deadline_s:g} s")
    except Exception as error:  # noqa: BLE001 - the other sources are shown all the same
        return found("failing", str(error) or type(error).__name__)
    finally:
        if source is not None:
            await _closed(source)


async def _closed(source: Source) -> None:
    try:
        async with asyncio.timeout(5):
            await source.close()
    except Exception:  # noqa: BLE001 - closing must not raise; nothing more can be done here
        return
