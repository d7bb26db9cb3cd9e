"""The agent stays light: what its installation brings, and what importing it loads."""

import re
import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

OURS = {"jauge-agent", "jauge-models"}


def canonical(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def brought_in_by(name: str) -> set[str]:
    """Names of all distributions that installing ``name`` brings here, itself included."""
    seen: set[str] = set()
    ahead = [canonical(name)]
    while ahead:
        distribution = ahead.pop()
        if distribution in seen:
            continue
        seen.add(distribution)
        for text in metadata.requires(distribution) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                ahead.append(canonical(requirement.name))
    return seen


def test_the_agent_brings_five_third_party_distributions() -> None:
    """Installing the agent brings models and the five distributions it was chosen with."""
    assert brought_in_by("jauge-agent") - OURS == {
        "aiomqtt",
        "msgspec",
        "paho-mqtt",
        "prometheus-client",
        "psutil",
    }


def test_importing_the_agent_loads_no_heavy_module() -> None:
    """The command line of the agent loads neither data frames nor web or database libraries."""
    program = "import sys, jauge_agent.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    heavy = {"aiohttp", "influxdb_client", "jinja2", "numpy", "pandas", "sqlalchemy"}
    assert "jauge_agent.cli" in loaded
    assert heavy.isdisjoint(loaded)
