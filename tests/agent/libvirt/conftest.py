"""A hypervisor for all tests of the source."""

import os
from collections.abc import Iterator

import pytest

from tests.agent.libvirt.hypervisor import Hypervisor, missing


@pytest.fixture(scope="session")
def hypervisor() -> Iterator[Hypervisor]:
    """A running libvirtd of these tests alone, started once; skips where there is none."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    made = Hypervisor()
    try:
        made.start()
        yield made
    finally:
        made.close()
