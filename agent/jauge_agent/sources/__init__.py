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
    }
)
"""Name in the configuration: ``module:Class``. The class takes its ``Settings``."""


def load(name: str, table: Mapping[str, str] = BUILT_IN) -> Any:
    """The class of a source; raises KeyError for a name that is not in the table."""
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
