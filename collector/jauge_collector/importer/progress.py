"""A progress bar on a terminal's standard error; silent anywhere else."""

import os
import time
from collections.abc import Mapping
from typing import Final, TextIO

_WIDTH: Final = 24
_EVERY_S: Final = 0.1


class Bar:
    """Draws ``phase ██████░░░░ 60 %`` in place, at most ten times a second.

    It uses no colour, so ``NO_COLOR`` changes nothing; a terminal that calls itself ``dumb``
    gets no bar.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        self._on = stream.isatty() and environment.get("TERM") != "dumb"
        self._drawn_at = 0.0
        self._phase = ""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase is."""
        if not self._on:
            return
        now = time.monotonic()
        if phase == self._phase and done < total and now - self._drawn_at < _EVERY_S:
            return
        self._phase, self._drawn_at = phase, now
        share = min(done / total, 1.0) if total else 1.0
        full = round(share * _WIDTH)
        bar = "█" * full + "░" * (_WIDTH - full)
        self._stream.write(f"\r\x1b[K{phase} {bar} {share * 100:3.0f} %")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._on and self._phase:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._phase = ""
