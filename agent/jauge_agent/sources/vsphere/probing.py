"""``jauge-agent probe vsphere://HOST``."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

from jauge_models.configuration import convert
from jauge_models.wire import Sample

from jauge_agent.probe import Probed
from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.vsphere.settings import VCenter, VsphereSettings
from jauge_agent.sources.vsphere.source import VCenterSource
from jauge_agent.trust import Trust

_SHOWN: Final = 20
"""Hosts whose values are shown."""


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Log in, look around, read once, log out. Raises ConfigurationError, SourceError."""
    given = dict(keys)
    if "verify" in given:
        given["verify"] = {"true": True, "false": False}.get(given["verify"], given["verify"])
    device = convert(given, VCenter, file=f"vsphere://{keys['host']}")
    if find_spec("pyVmomi") is None:
        raise FatalError("pyvmomi is not installed; install jauge-agent[vsphere]")
    if device.username is None or device.password_file is None:
        raise RetryError("give username=NAME password_file=FILE")
    vcenter = VCenterSource(device, VsphereSettings(devices=[device]), Trust())
    try:
        resources = await vcenter.open()
        outcome = await vcenter.read()
        title = vcenter.title
    finally:
        await vcenter.close()
    resources = outcome.resources or resources
    newest: dict[tuple[str, str], float] = {}
    for time_ms in sorted(outcome.dated):
        newest |= {(each.resource, each.quantity): each.value for each in outcome.dated[time_ms]}
    hosts = [each.id for each in resources if each.id.startswith("host:")]
    guests = [each.id for each in resources if each.id.startswith("guest:")]
    with_power = {resource for resource, quantity in newest if quantity == "power"}
    remarks = [
        f"{len(hosts)} hosts, {len(with_power.intersection(hosts))} tell their power",
        f"{len(guests)} guests, {len(with_power.intersection(guests))} tell their power",
    ]
    remarks += [f"{number} left out: {why}" for why, number in outcome.failed.items()]
    if len(hosts) > _SHOWN:
        remarks.append(f"below are the values of the first {_SHOWN} hosts")
    if device.verify is False:
        remarks.append("WARNING: its certificate was not checked, anybody may have answered")
    shown = set(hosts[:_SHOWN])
    samples = [
        Sample(resource, quantity, value)
        for (resource, quantity), value in newest.items()
        if resource in shown
    ]
    return Probed(title or "a vCenter", given, resources, samples, remarks)
