"""What several files of the way from a sensor to a telephone start."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from tests import parts
from tests.end_to_end.alerting import Ground, alerting


def _missing(reason: str) -> NoReturn:
    """Skip, but fail where CI promised to install it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def _running(folder: Path, *, watched: bool) -> AsyncIterator[Ground]:
    try:
        made = alerting(folder, watched=watched)
        ground = await made.__aenter__()
    except parts.PartMissingError as missing:
        _missing(str(missing))
    try:
        yield ground
    finally:
        await made.__aexit__(None, None, None)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """All parts, running; nothing is wrong yet."""
    async with _running(tmp_path, watched=False) as found:
        yield found


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Ground]:
    """The same with a second store and vmalert that watch the first."""
    async with _running(tmp_path, watched=True) as found:
        yield found
