"""Texts of the dashboards in French and English, from ``locale/``."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

LANGUAGES: Final = ("fr", "en")
NARROW_NO_BREAK_SPACE: Final = "\u202f"
_BEFORE_SIGN: Final = re.compile(r" (?=[:;?!»%])")
_AFTER_QUOTE: Final = re.compile(r"« ")


class MissingTextError(LookupError):
    """A text that nobody has written; says which language and key."""


class Text(NamedTuple):
    """What stands above a panel, and behind its small i."""

    title: str
    description: str


class Words:
    """One language's texts; each asking for what is not there raises MissingTextError."""

    def __init__(self, code: str, tables: Mapping[str, Any]) -> None:
        self.code = code
        self._tables = tables

    def board(self, board: str) -> Text:
        """Title and description of a dashboard."""
        return Text(self._at("boards", board, "title"), self._at("boards", board, "description"))

    def row(self, board: str, row: str) -> str:
        """The question that a row answers."""
        return self._at("boards", board, "rows", row)

    def view(self, board: str, view: str) -> Text:
        """Title and description of a panel."""
        keys = ("boards", board, "views", view)
        return Text(self._at(*keys, "title"), self._at(*keys, "description"))

    def table(self, *keys: str) -> Mapping[str, str]:
        """A whole table of texts."""
        found: Any = self._tables
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise MissingTextError(f"locale/{self.code}.toml has no table {'.'.join(keys)}")
        return found

    def __call__(self, table: str, key: str) -> str:
        """A text of one of the tables that all dashboards share."""
        return self._at(table, key)

    def _at(self, *keys: str) -> str:
        found: Any = self._tables
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise MissingTextError(f"locale/{self.code}.toml has no {'.'.join(keys)}")
            found = found[key]
        if not isinstance(found, str):
            raise MissingTextError(f"locale/{self.code}.toml: {'.'.join(keys)} is no text")
        return found


@cache
def words(code: str) -> Words:
    """The texts of a language of `LANGUAGES`."""
    place = files("jauge_dashboards").joinpath("locale", f"{code}.toml")
    tables = tomllib.loads(place.read_text("utf-8"))
    return Words(code, _typeset(tables) if code == "fr" else tables)


def _typeset(value: Any) -> Any:
    """French spacing: no line breaks before a colon or a question mark."""
    if isinstance(value, dict):
        return {key: _typeset(one) for key, one in value.items()}
    if isinstance(value, str):
        spaced = _BEFORE_SIGN.sub(NARROW_NO_BREAK_SPACE, value)
        return _AFTER_QUOTE.sub(f"«{NARROW_NO_BREAK_SPACE}", spaced)
    return value
