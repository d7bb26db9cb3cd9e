"""What is said where the past is too short to learn from."""

from typing import Final

SAMPLES: Final = "samples"
"""Too few known values."""
BUSY: Final = "busy"
"""Hardly a sample of high activity."""
IDLE: Final = "idle"
"""Hardly a sample of low activity."""
SPREAD: Final = "spread"
"""High or low activity in one stretch only, so that nothing could be held back to test."""
LATELY: Final = "lately"
"""Nothing is known of the end of it."""


class TooLittleHistory(ValueError):  # noqa: N818  # reads as what it says
    """Too little is known to learn from, and no answer is better than a guess.

    ``missing`` is one of SAMPLES, BUSY, IDLE, SPREAD, LATELY, for texts; ``have`` and
    ``needed`` are numbers of samples. The message says the same in English.
    """

    def __init__(self, missing: str, *, have: int, needed: int, what: str) -> None:
        super().__init__(f"{have} of the {needed} {what} that are needed")
        self.missing = missing
        self.have = have
        self.needed = needed
