"""Rows of the matrix: every module here is loaded by `tests.faults.matrix.faults`."""

from typing import Final

FIRST: Final = ("kills", "outages", "deliveries", "accounting", "crowds")
"""Modules whose rows open the table; the others follow by name."""
