"""Looking at the sources once, outside a running agent: what is there, and one reading of all."""

import asyncio
from collections.abc import Sequence

import msgspec
from jauge_models.wire import Sample

from jauge_agent.config import ConfiguredSource
from jauge_agent.source import AbsentError, ResourceDescription, Source
from jauge_agent.worker import flaw_in


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source offers on this host."""

    source: str
    standing: str
    """``present``, ``absent``, ``disabled`` or ``failing``."""
    period_s: float
    detail: str = ""
    """Why it is not present."""
    resources: list[ResourceDescription] = []
    samples: list[Sample] = []
    """One reading, where one was asked for."""
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
        finding = msgspec.structs.replace(found("present"), resources=resources)
        if read:
            async with asyncio.timeout(configured.settings.deadline_s):
                outcome = await source.read()
            sound = [sample for sample in outcome.samples if flaw_in(sample) is None]
            finding = msgspec.structs.replace(
                finding,
                samples=sound,
                left_out=len(outcome.samples) - len(sound) + sum(outcome.failed.values()),
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
