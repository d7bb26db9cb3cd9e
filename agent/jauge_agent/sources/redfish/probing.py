"""``jauge-agent probe redfish://HOST``."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

from jauge_models.configuration import convert

from jauge_agent.probe import Probed
from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.redfish.source import BmcSource, RedfishDevice, RedfishSettings
from jauge_agent.sources.redfish.values import IN_WORDS
from jauge_agent.trust import Trust

_RULES: Final = {
    "environment": "the chassis' EnvironmentMetrics",
    "sensor": "the sensor that is the chassis' total",
    "control": "the member of PowerControl that is the server's",
    "vendor": "what its maker's extension calls the total",
    "supplies": "the sum of what goes into its power supplies",
}


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Log in, look around, read once, log out. Raises ConfigurationError, SourceError."""
    given = dict(keys)
    if "verify" in given:
        given["verify"] = {"true": True, "false": False}.get(given["verify"], given["verify"])
    device = convert(given, RedfishDevice, file=f"redfish://{keys['host']}")
    if find_spec("aiohttp") is None:
        raise FatalError("aiohttp is not installed; install jauge-agent[redfish]")
    bmc = BmcSource(device, RedfishSettings(), Trust())
    try:
        resources = await bmc.open()
        outcome = await bmc.read()
    except RetryError as error:
        if device.username is None:
            hint = "; give username=NAME password_file=FILE"
            raise RetryError(f"{error}{hint}") from None
        raise
    finally:
        await bmc.close()
    plan = bmc.plan
    assert plan is not None  # noqa: S101 - it was looked around
    remarks = [
        f"the power of {resource} is {_RULES[rule]}" for resource, rule in plan.rules.items()
    ]
    hosts = [each.id for each in resources if each.id.startswith("host:")]
    remarks += [f"{host} tells no power" for host in hosts if host not in plan.rules]
    remarks += [
        f"{number} left out: {IN_WORDS.get(why, why)}" for why, number in outcome.failed.items()
    ]
    remarks += [f"too many {what}: {number} left out" for what, number in plan.cut.items()]
    if device.verify is False:
        remarks.append("WARNING: its certificate was not checked, anybody may have answered")
    title = " ".join(filter(None, (plan.manufacturer, plan.model))) or "a Redfish service"
    return Probed(title, given, resources, outcome.samples, remarks)
