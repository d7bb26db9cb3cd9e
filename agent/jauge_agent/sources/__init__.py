"""The sources that come with the agent, each in a module of its own, imported when it runs."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "host": "jauge_agent.sources.host:HostSource",
        "rapl": "jauge_agent.sources.rapl:RaplSource",
        "hwmon": "jauge_agent.sources.hwmon:HwmonSource",
        "power_supply": "jauge_agent.sources.power_supply:PowerSupplySource",
        "snmp": "jauge_agent.sources.snmp.source:SnmpSource",
        "redfish": "jauge_agent.sources.redfish.source:RedfishSource",
        "ipmi": "jauge_agent.sources.ipmi.source:IpmiSource",
        "modbus": "jauge_agent.sources.modbus.source:ModbusSource",
        "nvml": "jauge_agent.sources.nvml.source:NvmlSource",
        "libvirt": "jauge_agent.sources.libvirt.source:LibvirtSource",
        "proxmox": "jauge_agent.sources.proxmox.source:ProxmoxSource",
        "mqtt": "jauge_agent.sources.mqtt.source:MqttSource",
        "vsphere": "jauge_agent.sources.vsphere.source:VsphereSource",
    }
)
"""Name in the configuration: ``module:Class``. The class takes its ``Settings``."""

OF_DEVICES: Final = frozenset({"snmp", "redfish", "ipmi", "modbus", "mqtt", "proxmox", "vsphere"})
"""Sources that have nothing to read until the configuration lists devices: a running agent does not
even import them before."""


def load(name: str, table: Mapping[str, str] = BUILT_IN) -> Any:
    """The class of a source; raises KeyError for a name that is not in the table."""
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
