"""The record in words: every status, criterion and reason in French and English."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from jauge_models.compliance.status import Reason, Value

from jauge_collector.console.text import Language, tables
from jauge_collector.console.text import language as console_language
from jauge_collector.registers.notes import Note

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Words:
    """One language's texts. ``plain`` writes numbers, dates and the console's own texts."""

    plain: Language
    texts: Mapping[str, str]
    names: Mapping[str, str]
    """Of codes: statuses, results, kinds of document, fields."""
    criteria: Mapping[str, str]
    reasons: Mapping[str, str]
    notes: Mapping[str, str]
    """On registers: what should be looked at, and what to do."""

    def __call__(self, key: str, **values: Value | date | None) -> str:
        """A text with its holes filled in. Raises KeyError for one that nobody wrote."""
        return self._filled(self.texts[key], values)

    def name(self, code: str) -> str:
        """What a code is called; itself where it has no name."""
        return self.names.get(code, code)

    def reason(self, reason: Reason) -> str:
        """Why a criterion is what it is, as a sentence without its stop."""
        return self._filled(self.reasons[reason.key], reason.values)

    def note(self, note: Note, *, file: bool = True) -> str:
        """What of a register should be looked at, and where, as a sentence without its stop."""
        where = [
            *([note.file] if file else []),
            *([self("note_line", line=note.line)] if note.line else []),
            *([self("note_column", column=note.column)] if note.column else []),
        ]
        told = self._filled(self.notes[note.key], note.values)
        return self("note", where=", ".join(where), told=told)

    def share(self, share: float | None) -> str:
        """A share in percent; a dash of nothing."""
        return "–" if share is None else self.plain.percent(share)

    def _filled(self, text: str, values: Mapping[str, Value | date | None]) -> str:
        return text.format(**{name: _Hole(value, self) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class _Hole:
    """A value in a text, as the form behind its name says.

    ``%``: a share; ``n``: a code by its name; ``r``: an indicator's reason; ``l``: its label;
    ``d``: a year, whose digits are not grouped.
    """

    value: Value | date | None
    words: Words

    def __format__(self, form: str) -> str:
        value, plain = self.value, self.words.plain
        if form == "%" and isinstance(value, int | float):
            return plain.percent(value)
        if form == "d":
            return str(value)
        if form == "r":
            return plain.reason(str(value))
        if form == "l":
            return plain.label(str(value))
        if isinstance(value, str) and _DAY.fullmatch(value):
            return plain.day(date.fromisoformat(value))
        if isinstance(value, date):
            return plain.day(value)
        if isinstance(value, tuple):
            return ", ".join(self.words.name(each) if form == "n" else each for each in value)
        if isinstance(value, bool):
            return self.words.name("yes" if value else "no")
        if isinstance(value, int | float):
            return plain.plain(value, 4)
        return self.words.name(str(value)) if form == "n" else str(value)


@cache
def words(code: str) -> Words:
    """The texts of a language out of ``console.text.CODES``."""
    return Words(console_language(code), **tables("jauge_collector.compliance", code))
