"""Why a step of a quarter's life is refused: one line at the command line, a key for the pages."""

from typing import Final

from jauge_models.configuration import ConfigurationError

REFUSALS: Final = ("running", "rows_changed", "says_the_same", "reason_missing")
"""What the ledger may refuse to close a quarter for."""


class QuarterRefusedError(ConfigurationError):
    """A refusal that the console says in the reader's language; ``reason`` is of `REFUSALS`."""

    def __init__(self, option: str, problem: str, fix: str, *, reason: str, quarter: str) -> None:
        super().__init__(option, "", problem, fix)
        self.reason = reason
        self.quarter = quarter
