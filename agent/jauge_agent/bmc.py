"""What all sources that ask BMCs keep to."""

from typing import Final

FLOOR_S: Final = 60.0
"""Shortest period for one BMC: a small processor that has a server to look after."""
