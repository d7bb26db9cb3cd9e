"""Fixtures of the security tests: one authority for all, a broker for each."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests import parts
from tests.security.ground import Authority, Identity, ShippedBroker

COLLECTOR, ALICE, BOB = "collector", "par/alice", "par/bob"


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that no test changes."""
    if shutil.which("openssl") is None:
        _missing("openssl is not installed (Debian package openssl)")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def identities(authority: Authority) -> dict[str, Identity]:
    """Certificates of the collector and of two agents."""
    return {
        COLLECTOR: authority.collector(),
        ALICE: authority.agent(ALICE),
        BOB: authority.agent(BOB),
    }


@pytest.fixture
def real_mosquitto(tmp_path: Path) -> None:
    """Skip where Mosquitto is not installed."""
    try:
        parts.Mosquitto(tmp_path / "probe")
    except parts.PartMissingError as missing:
        _missing(str(missing))


@pytest.fixture
async def broker(
    tmp_path: Path, authority: Authority, real_mosquitto: None
) -> AsyncIterator[ShippedBroker]:
    """The shipped broker of this test alone."""
    async with ShippedBroker(tmp_path / "broker", authority) as running:
        yield running
