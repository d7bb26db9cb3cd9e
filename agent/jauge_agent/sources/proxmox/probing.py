"""``jauge-agent probe proxmox://HOST``."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from jauge_models.configuration import convert

from jauge_agent.probe import Probed
from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.proxmox.settings import ProxmoxCluster, ProxmoxSettings
from jauge_agent.sources.proxmox.source import ClusterSource


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Ask once for everything. Raises ConfigurationError, SourceError."""
    given = dict(keys)
    if isinstance(others := given.get("other_hosts"), str):
        given["other_hosts"] = others.split(",")
    device = convert(given, ProxmoxCluster, file=f"proxmox://{keys['host']}")
    if find_spec("aiohttp") is None:
        raise FatalError("aiohttp is not installed; install jauge-agent[proxmox]")
    if device.token_file is None:
        raise RetryError("give the token in a file: token_file=FILE")
    cluster = ClusterSource(device, ProxmoxSettings())
    try:
        resources = await cluster.open()
        outcome = await cluster.read()
    finally:
        await cluster.close()
    kinds = [each.id.partition(":")[0] for each in resources]
    title = f"Proxmox VE: {kinds.count('host')} nodes, {kinds.count('guest')} guests that run"
    remarks = [f"{number} values missing: {why}" for why, number in outcome.failed.items()]
    return Probed(title, given, resources, outcome.samples, remarks)
