"""``jauge-agent probe ipmi://HOST``."""

from collections.abc import Mapping
from typing import Any

from jauge_models.configuration import convert

from jauge_agent.probe import Probed
from jauge_agent.sources.ipmi.settings import IpmiDevice, IpmiSettings
from jauge_agent.sources.ipmi.source import BmcSource, Cache


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Read once, with a temporary folder. Raises ConfigurationError, SourceError."""
    given = dict(keys)
    if isinstance(flags := given.get("workarounds"), str):
        given["workarounds"] = flags.split(",")
    device = convert(given, IpmiDevice, file=f"ipmi://{keys['host']}")
    cache = Cache(None)
    cache.open()
    try:
        bmc = BmcSource(device, IpmiSettings(), cache)
        resources = await bmc.open()
        outcome = await bmc.read()
    finally:
        cache.close()
    remarks = [f"{number} values missing: {why}" for why, number in outcome.failed.items()]
    return Probed("a BMC with IPMI", given, resources, outcome.samples, remarks)
