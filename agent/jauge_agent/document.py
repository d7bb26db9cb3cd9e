"""Prints what is generated: ``python -m jauge_agent.document [sources | source:NAME]``.

Without an argument the sample configuration.
"""

import inspect
import sys

from jauge_models.samples import sample as sample_of

from jauge_agent.config import AgentConfig
from jauge_agent.sources import BUILT_IN, load


def sample() -> str:
    """The text of ``agent.sample.toml``."""
    return sample_of(
        AgentConfig,
        title=(
            "Configuration of jauge-agent. A key behind a # shows its default, if it has one.",
            "Generated from the structs in jauge_agent; do not edit.",
        ),
        source_of=inspect.getsource,
        examples={
            "site": "paris-1",
            "sources.snmp.devices.host": "pdu-a1.example.org",
            "sources.redfish.devices.host": "bmc-a1.example.org",
            "sources.ipmi.devices.host": "bmc-a1.example.org",
            "sources.proxmox.devices.host": "pve-1.example.org",
            "sources.vsphere.devices.host": "vcenter.example.org",
            "sources.vsphere.devices.pools.name": "office",
            "sources.vsphere.devices.pools.match": "VDI-*",
            "sources.modbus.devices.host": "gateway-a1.example.org",
            "sources.modbus.devices.profile": "schneider-iem3000",
            "sources.mqtt.points.topic": "water/make-up/state",
            "sources.mqtt.points.path": "/total",
            "sources.mqtt.points.resource": "meter:W1",
            "sources.mqtt.points.quantity": "water",
            "sources.mqtt.points.unit": "l",
        },
        omit=("sources",),
        more=[(f"sources.{name}", load(name).Settings) for name in BUILT_IN],
    )


def main(argument: str) -> str:
    """The text that an argument of the command line asks for."""
    from jauge_agent import source_page  # noqa: PLC0415 - only where used

    kind, _, name = argument.partition(":")
    if kind == "source" and name in BUILT_IN:
        return source_page.page(name)
    if argument == "sources":
        return source_page.index()
    known = ", ".join(["sources", *(f"source:{each}" for each in BUILT_IN)])
    raise SystemExit(f"{argument}: not known; known are {known}")


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1]) if sys.argv[1:] else sample())
