"""A real agent with the counting source alone.

``python -m tests.faults.agent FILE`` runs it until it is stopped.
"""

import asyncio
import sys
from pathlib import Path

from jauge_agent import agent, config, lanes, logs, publisher

from tests.faults.counting import CountingSettings


def main(path: Path) -> None:
    """Run the agent."""
    settings = config.read(path)
    table = {"counting": "tests.faults.counting:CountingSource"}
    sources = config.configured_sources(settings.sources, file=str(path), table=table)
    logs.configure(settings.log.level, settings.log.format)
    (counting,) = (source.settings for source in sources)
    assert isinstance(counting, CountingSettings)
    for module, name in ((lanes, "LONGEST_PROBE_S"), (publisher, "LONGEST_RECONNECT_S")):
        setattr(module, name, getattr(module, name) / counting.compression)
    asyncio.run(agent.run(settings, sources, file=str(path)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
