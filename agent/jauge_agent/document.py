"""Prints the sample configuration: ``python -m jauge_agent.document``."""

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
        examples={"site": "paris-1"},
        omit=("sources",),
        more=[(f"sources.{name}", load(name).Settings) for name in BUILT_IN],
    )


if __name__ == "__main__":
    sys.stdout.write(sample())
