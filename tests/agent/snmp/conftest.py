"""Fixtures: recorded devices served by snmpsim, once for all tests of this folder."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.snmp.agents import OUTPUT_SOURCE, WALKS, Snmpsim, fed_from, walk
from tests.parts import PartMissingError


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The UDP port on which every walk answers under its name as community."""
    pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
    records = {name: walk(name) for name in (*WALKS, "geist-temperature-sensor")}
    records |= {
        f"{name}-fed-from-{source}": fed_from(name, source)
        for name in OUTPUT_SOURCE
        for source in (1, 4, 5)
    }
    directory: Path = tmp_path_factory.mktemp("snmpsim")
    try:
        part = Snmpsim(directory, records)
    except PartMissingError as missing:
        pytest.skip(str(missing))
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with asyncio.Runner() as runner:
        runner.run(part.start())
        try:
            yield part.port
        finally:
            runner.run(part.stop())
