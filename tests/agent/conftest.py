"""Fixtures of the agent's tests."""

import logging
from collections.abc import Iterator

import pytest
from jauge_agent.logs import ROOT


@pytest.fixture(autouse=True)
def agent_logger_restored() -> Iterator[None]:
    """The agent's logger as it was, whatever a test configured."""
    logger = logging.getLogger(ROOT)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate
