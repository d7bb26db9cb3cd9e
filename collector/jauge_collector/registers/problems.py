"""Files of registers as they were read, and everything that is wrong with one, told at once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector.registers.regular_file import open_regular

MOST_BYTES: Final = 16 * 1024**2
MOST_PROBLEMS: Final = 20
"""That are told of one file; the rest is counted."""


class Problem(NamedTuple):
    """What is wrong at one place of a file, and what to do. ``line`` 0 is the file as a whole."""

    file: str
    line: int
    column: str
    problem: str
    fix: str

    @property
    def key(self) -> str:
        """Where in the file, in words."""
        at = [f"line {self.line}"] if self.line else []
        return ", ".join([*at, *([f"column {self.column}"] if self.column else [])])

    def __str__(self) -> str:
        return str(ConfigurationError(self.file, self.key, self.problem, self.fix))


class RegisterError(ConfigurationError):
    """A register that cannot be used. In one line the first problem; ``problems`` has them all.

    At most `MOST_PROBLEMS`; ``count`` is how many there are.
    """

    def __init__(self, problems: Sequence[Problem], count: int) -> None:
        first = problems[0]
        others = f" ({count - 1} more)" if count > 1 else ""
        super().__init__(first.file, first.key, f"{first.problem}{others}", first.fix)
        self.problems = tuple(problems)
        self.count = count


class Problems:
    """What is wrong with one file, gathered while it is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Problem] = []
        self._count = 0

    def add(self, line: int, column: str, problem: str, fix: str) -> None:
        """One more."""
        self._count += 1
        if len(self._found) < MOST_PROBLEMS:
            self._found.append(Problem(self.file, line, column, problem, fix))

    @property
    def found(self) -> list[Problem]:
        """The first `MOST_PROBLEMS` that were found, in the order of the file."""
        return sorted(self._found, key=lambda problem: problem.line)

    def check(self) -> None:
        """Raises RegisterError where anything is wrong."""
        if self._found:
            raise RegisterError(self.found, self._count)


class File(NamedTuple):
    """A file as it was read: its name for errors, and what stands in it."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Digest of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def read_file(path: Path) -> File:
    """A file of at most `MOST_BYTES`. Raises RegisterError."""
    problems = Problems(str(path))
    content = b""
    try:
        with open_regular(path) as source:
            content = source.read(MOST_BYTES + 1)
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or 'error').lower()}"
        problems.add(0, "", problem, "correct the path or its rights")
    except ValueError:
        problems.add(0, "", "is no path", "name a file")
    problems.check()
    return File(str(path), content)


def text_of(file: File) -> str:
    """A file's text. Raises RegisterError where it is too large or not UTF-8."""
    problems = Problems(file.name)
    text = ""
    if len(file.content) > MOST_BYTES:
        problems.add(0, "", f"is larger than {MOST_BYTES // 1024**2} MiB", "split it or shorten it")
    else:
        try:
            text = file.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = file.content[: error.start].count(b"\n") + 1
            problems.add(line, "", "is not UTF-8 text", "save it as 'CSV UTF-8'")
    problems.check()
    return text
