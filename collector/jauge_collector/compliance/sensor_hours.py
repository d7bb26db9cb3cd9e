"""Hours of sensors as the store has them, and those that it forgot as closings kept them.

Raw readings go after their time, or with a store that is lost: a quarter that is closed again must
not lose what was measured. An hour comes from one place, never from both.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from jauge_models.compliance.windows import Window
from jauge_models.resources import Series

from jauge_collector.compliance import evidence_file, kept_hours
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.intake import Hour, Hours
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources

_HOUR_MS: Final = 3_600_000


async def read(
    sources: Sources,
    sensors: Iterable[str],
    window: Window,
    gap_ms: int,
    *,
    quantity: str = air.QUANTITY,
) -> dict[str, Hours]:
    """Hourly means of sensors (``agent/resource``) over a window, read once for all who ask.

    An hour that the store has counts as the store has it. One that it lacks comes out of the first
    archive that holds it, in the order of `evidence_file.editions`; so does a sensor's oldest hour
    of the store where the archive measured more of it, for its beginning may be forgotten. What
    was archived with a longer gap than ``gap_ms`` is not used. Raises StoreError, LedgerError, and
    ConfigurationError where an archive is not what was kept.
    """
    span = span_ms(window, sources.site.zone)
    asked = {sensor: (_series(sources, sensor, quantity), span, gap_ms) for sensor in sensors}
    unknown = [sensor for sensor, key in asked.items() if key not in sources.hours]
    if unknown:
        site = sources.site.name
        fresh = await kept_hours.read(
            sources.store, sources.ledger, site, unknown, span, gap_ms, quantity=quantity
        )
        for sensor, own in _completed(sources, fresh, span, gap_ms, quantity).items():
            sources.hours[asked[sensor]] = own
    return {sensor: sources.hours[key] for sensor, key in asked.items()}


def _series(sources: Sources, sensor: str, quantity: str) -> Series:
    agent, _, resource = sensor.partition("/")
    return Series(sources.site.name, agent, resource, quantity)


def _completed(
    sources: Sources,
    stored: Mapping[str, Hours],
    span: tuple[int, int],
    gap_ms: int,
    quantity: str,
) -> dict[str, Hours]:
    start_ms, end_ms = span
    whole = (end_ms - start_ms) // _HOUR_MS
    lacking = {sensor for sensor, own in stored.items() if len(own) < whole or _is_cut(own)}
    if not lacking:
        return dict(stored)
    oldest = {sensor: min(stored[sensor], default=None) for sensor in lacking}
    archived: dict[str, dict[int, Hour]] = {sensor: {} for sensor in lacking}
    for edition in evidence_file.editions(sources, *span):
        if edition.gap_ms > gap_ms:
            continue
        for sensor, some in evidence_file.hours(sources, edition, quantity):
            if sensor not in lacking:
                continue
            own, taken, first = stored[sensor], archived[sensor], oldest[sensor]
            for at, hour in some:
                if at in taken or (at in own and at != first):
                    continue
                begin, end = at * _HOUR_MS, (at + 1) * _HOUR_MS
                # At the span's ends another quarter's hour may be more than is asked for.
                if (start_ms <= begin and end <= end_ms) or (
                    edition.to_ms == end_ms and edition.from_ms == start_ms
                ):
                    taken[at] = hour
    return {sensor: _joined(own, archived.get(sensor, {})) for sensor, own in stored.items()}


def _is_cut(own: Hours) -> bool:
    return bool(own) and own[min(own)].covered_ms < _HOUR_MS


def _joined(stored: Hours, archived: Mapping[int, Hour]) -> Hours:
    if not archived:
        return stored
    joined = {**archived, **stored}
    for at in stored.keys() & archived.keys():
        if archived[at].covered_ms > stored[at].covered_ms:
            joined[at] = archived[at]
    return {at: joined[at] for at in sorted(joined)}
