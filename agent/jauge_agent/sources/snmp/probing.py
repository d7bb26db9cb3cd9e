"""What ``jauge-agent probe snmp://HOST`` finds."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import msgspec
from jauge_models.configuration import convert

from jauge_agent.probe import Probed
from jauge_agent.source import FatalError
from jauge_agent.sources.snmp.device import secrets_of
from jauge_agent.sources.snmp.judgement import asked, judged
from jauge_agent.sources.snmp.profile import profiles
from jauge_agent.sources.snmp.session import Session
from jauge_agent.sources.snmp.settings import BATCH, WAIT_S, SnmpDeviceSettings
from jauge_agent.sources.snmp.survey import recognised, surveyed


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Recognise a device and read it once. Raises ConfigurationError, SourceError."""
    settings = convert(keys, SnmpDeviceSettings, file=f"snmp://{keys['host']}")
    if find_spec("gufo") is None:
        raise FatalError("gufo-snmp is not installed; install jauge-agent[snmp]")
    session = Session(settings, secrets_of(settings), timeout_s=WAIT_S, batch=BATCH)
    try:
        known = [each for each in profiles() if settings.profile in (None, each.family)]
        found = await recognised(session, known)
        offer = await surveyed(session, found, name=settings.label, labels=settings.labels)
        objects = await session.get(asked(offer.measured))
    finally:
        session.close()
    verdict = judged(offer.measured, offer.totals, objects)
    serial = f", serial number {found.serial}" if found.serial else ", tells no serial number"
    pasted = msgspec.to_builtins(settings)
    default = msgspec.to_builtins(SnmpDeviceSettings(host="localhost", community_file=""))
    kept = {key: value for key, value in pasted.items() if value != default[key] or key == "host"}
    kept["profile"] = found.profile.family
    if not found.serial and settings.name is None:
        kept["name"] = found.name or settings.label
    return Probed(
        f"{found.profile.title}: {found.model or 'tells no model'}{serial}",
        {key: value for key, value in kept.items() if value not in (None, "", {})},
        offer.resources,
        verdict.samples,
        [f"left out as impossible: {doubt}" for doubt in verdict.doubts],
    )
