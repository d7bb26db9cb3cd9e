"""Fixtures of the modbus tests."""

import pytest


@pytest.fixture(autouse=True)
def library() -> None:
    """What both ends of these tests speak with."""
    pytest.importorskip("pymodbus", reason="pymodbus is not installed (jauge-agent[modbus])")
