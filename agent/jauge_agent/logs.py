"""Structured logs on standard error: one line per event, as logfmt or JSON.

Under systemd each line carries its priority (sd-daemon(3)) and leaves the time to the journal.
"""

import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

ROOT: Final = "jauge_agent"

_PRIORITY: Final = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_PLAIN: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-%,;()[]"
)


def configure(
    level: str, form: Literal["logfmt", "json"], stream: TextIO | None = None
) -> logging.Logger:
    """Send the agent's logs to ``stream`` (standard error); returns the agent's logger."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(form, journal=_is_journal(stream)))
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    return logger


def say(logger: logging.Logger, level: int, event: str, **fields: object) -> None:
    """Log an event with its fields."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"fields": fields})


class Trouble:
    """Says a loss once and its recovery once, however often it happens in between."""

    def __init__(
        self,
        logger: logging.Logger,
        what: str,
        *,
        level: int = logging.WARNING,
        words: tuple[str, str] = ("lost", "recovered"),
        **fields: object,
    ) -> None:
        self._logger = logger
        self._lost, self._recovered = (f"{what} {word}" for word in words)
        self._level = level
        self._fields = fields
        self._times = 0
        self._causes: set[str] = set()

    @property
    def lasting(self) -> bool:
        """Whether it is lost now."""
        return self._times > 0

    def lost(self, detail: str, *, cause: str = "", **fields: object) -> None:
        """It does not work; said only the first time, and for each further ``cause`` once."""
        self._times += 1
        if cause not in self._causes:
            self._causes.add(cause)
            say(
                self._logger,
                self._level,
                self._lost,
                **self._fields,
                **fields,
                detail=detail,
            )

    def recovered(self, **fields: object) -> None:
        """It works; said only after a loss, with the number of failures."""
        if self._times:
            say(
                self._logger,
                self._level,
                self._recovered,
                **self._fields,
                **fields,
                failures=self._times,
            )
            self._times = 0
            self._causes.clear()


class _Formatter(logging.Formatter):
    """One line per record; a traceback becomes one field."""

    def __init__(self, form: Literal["logfmt", "json"], *, journal: bool) -> None:
        super().__init__()
        self._form = form
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = {}
        if not self._journal:
            moment = datetime.fromtimestamp(record.created, UTC)
            fields["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields["level"] = record.levelname.lower()
        fields["event"] = record.getMessage()
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        line = _as_json(fields) if self._form == "json" else _as_logfmt(fields)
        return f"<{_priority(record.levelno)}>{line}" if self._journal else line


def _as_json(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields, enc_hook=str).decode()


def _as_logfmt(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_word(value)}" for key, value in fields.items())


def _word(value: object) -> str:
    text = str(value)
    if text and _PLAIN.issuperset(text):
        return text
    return msgspec.json.encode(text).decode()


def _priority(level: int) -> int:
    return next(priority for least, priority in _PRIORITY if level >= least)


def _is_journal(stream: TextIO) -> bool:
    """Whether a stream leads to the journal, which says so as ``device:inode``."""
    try:
        about = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
