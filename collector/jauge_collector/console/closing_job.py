"""A quarter that is being closed in the background, and why it could not be."""

from dataclasses import dataclass
from typing import NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector.compliance.refusals import QuarterRefusedError
from jauge_collector.ledger.book import LedgerError
from jauge_collector.registers.problems import RegisterError
from jauge_collector.stores import StoreError


class Failure(NamedTuple):
    """Why a quarter could not be closed, as a key of the console's texts.

    ``detail`` is a line of the collector's own, in English; empty where the text says all.
    """

    key: str
    quarter: str
    detail: str = ""


@dataclass(slots=True)
class Job:
    """A quarter that is being closed, or the last attempt at it that failed."""

    by: str
    started_ms: int
    done: float = 0.0
    failed: Failure | None = None
    running: bool = True


def failure_of(error: Exception, quarter: str) -> Failure:
    """What the officer is told of an error; of one that nobody foresaw, to read the log."""
    if isinstance(error, QuarterRefusedError):
        return Failure(f"close_{error.reason}", error.quarter)
    line = " ".join(str(error).split())
    if isinstance(error, RegisterError):
        return Failure("close_registers", quarter, line)
    if isinstance(error, ConfigurationError | LedgerError | StoreError | OSError):
        return Failure("close_hindered", quarter, line)
    return Failure("close_error", quarter)
