"""Fixtures of the agent's tests."""

import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from jauge_agent.logs import ROOT

from tests.agent.certificates import Authority
from tests.agent.ground import Ground, ground_in


@pytest.fixture(autouse=True)
def agent_logger_restored() -> Iterator[None]:
    """The agent's logger as it was, whatever a test configured."""
    logger = logging.getLogger(ROOT)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test alone."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    folder = tmp_path / "pki"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
async def ground(tmp_path: Path, authority: Authority) -> AsyncIterator[Ground]:
    """Mosquitto with an authority of its own; only the name in the certificate may publish."""
    made = ground_in(tmp_path / "pki", authority, authority.issue("server"))
    async with made.broker:
        yield made
