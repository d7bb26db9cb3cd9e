"""Registers out of a text, as a test writes them."""

from collections.abc import Callable
from typing import Any

import pytest
from jauge_collector.registers.problems import File, Problem, RegisterError
from jauge_models.configuration import ConfigurationError

Parse = Callable[[File], Any]


def file(text: str, name: str = "register.csv") -> File:
    """A file that holds a text."""
    return File(name, text.encode())


def problems(parse: Parse, text: str) -> list[Problem]:
    """What is wrong with it."""
    with pytest.raises(RegisterError) as caught:
        parse(file(text))
    assert "\n" not in str(caught.value)
    return list(caught.value.problems)


def places(parse: Parse, text: str) -> list[tuple[int, str]]:
    """Line and column of everything wrong with it."""
    return [(one.line, one.column) for one in problems(parse, text)]


def refusal(work: Callable[[], object]) -> ConfigurationError | None:
    """The one line in which something was refused; None where it was read."""
    try:
        work()
    except ConfigurationError as error:
        return error
    return None
