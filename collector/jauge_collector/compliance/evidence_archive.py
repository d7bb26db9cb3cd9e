"""Keeps what a quarter was judged by and its store will forget, when the quarter is closed."""

import asyncio
from pathlib import Path
from typing import Any

from jauge_models.compliance.windows import twelve_months

from jauge_collector.capacity import closed_past
from jauge_collector.compliance import evidence_file, humidity, kept_once, sensor_hours
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.evidence_file import Facts, Sensor
from jauge_collector.compliance.idle import uses_of_servers
from jauge_collector.compliance.intake import Hours
from jauge_collector.compliance.logging_interval import intervals_of
from jauge_collector.compliance.quarters import Quarter, span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.compliance.whole_file import whole
from jauge_collector.registers.evidence import limits


async def keep(
    sources: Sources, folder: Path, quarter: Quarter, *, revision: int
) -> dict[str, Any]:
    """Write the evidence of an edition; returns what the chain will say of it.

    It is what a record of the quarter takes: where the store has forgotten some, an earlier
    edition's is kept on. Raises StoreError, LedgerError, OSError and ConfigurationError.
    """
    site, registers = sources.site, sources.registers
    policy = limits(registers)
    gap_ms = policy.hourly_s * 1000
    year = twelve_months(quarter.window.last)
    intakes = [sensor for place in registers.rooms for sensor in place.intake]
    moist = [sensor for place in registers.rooms for sensor in place.humidity]
    hours: dict[Sensor, Hours] = {}
    for quantity, sensors in ((air.QUANTITY, [*intakes, *moist]), (humidity.QUANTITY, moist)):
        found = await sensor_hours.read(sources, sensors, year, gap_ms, quantity=quantity)
        hours |= {(sensor, quantity): own for sensor, own in found.items()}
    hours |= await closed_past.to_keep(sources, span_ms(quarter.window, site.zone))
    facts = Facts(
        await intervals_of(sources, quarter.window),
        await uses_of_servers(sources, quarter.window, policy.idle_days),
    )
    start_ms, end_ms = span_ms(year, site.zone)
    span = {"from_ms": start_ms, "to_ms": end_ms, "gap_ms": gap_ms}
    file = evidence_file.file_of(folder, site.name, quarter.name, revision)

    def write() -> tuple[int, str]:
        with whole(file) as raw:
            head = {"site": site.name, "quarter": quarter.name, **span}
            count = evidence_file.write(raw, head, facts, hours)
        kept_once.share(file, evidence_file.files_of(folder, site.name, quarter.name)[::-1])
        return count, kept_once.digest(file)

    count, digest = await asyncio.to_thread(write)
    return {
        "sha256": digest,
        "bytes": file.stat().st_size,
        "sensors": len(hours),
        "hours": count,
        **span,
    }
