"""The planner's answer in words: texts, names of limits and obstacles, in French and English."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jauge_collector.console.text import Language, typeset
from jauge_collector.console.text import language as console_language


@dataclass(frozen=True, slots=True)
class Words:
    """One language's texts. ``plain`` writes numbers and dates."""

    plain: Language
    texts: Mapping[str, str]
    names: Mapping[str, str]
    """Of limits, measures, obstacles and what a history lacks."""
    keeps: Mapping[str, str]
    """What kept a node out of a rack, by its obstacle, as a sentence's end."""
    counted: Mapping[str, str]
    """What was counted as used."""
    unknown: Mapping[str, str]
    simulated: Mapping[str, str]
    methods: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """A text with its holes filled in. Raises KeyError for one that nobody wrote."""
        return self.texts[key].format(**values)

    def several(self, key: str, number: float, **values: object) -> str:
        """A text about a ``number`` of things, in its form for so many."""
        form = f"{key}_one" if self._is_singular(number) else key
        return self(form, number=self.plain.number(number), **values)

    def _is_singular(self, number: float) -> bool:
        """Whether a language says it as of one: in French of none too."""
        return round(number) in ((0, 1) if self.plain.code == "fr" else (1,))

    def lacking(self, code: str, **values: object) -> str:
        """What was not known, from ``code`` or ``code:name``."""
        key, _, name = code.partition(":")
        return self.unknown[key].format(name=name, **values)

    def how(self, code: str) -> str:
        """How it was worked out, from ``code`` or ``code:name``."""
        key, _, name = code.partition(":")
        single = f"{key}_one"
        if single in self.simulated and self._is_singular(float(name)):
            key = single
        return self.simulated[key].format(name=name)


@cache
def words(code: str) -> Words:
    """The texts of a language out of ``console.text.CODES``."""
    text = files("jauge_collector.capacity").joinpath("locale", f"{code}.toml").read_text("utf-8")
    tables = {
        name: {key: typeset(each) if code == "fr" else each for key, each in table.items()}
        for name, table in tomllib.loads(text).items()
    }
    return Words(console_language(code), **tables)
