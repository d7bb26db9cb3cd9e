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
    """Of limits, obstacles and what a history lacks."""
    unknown: Mapping[str, str]
    simulated: Mapping[str, str]
    methods: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """A text with its holes filled in. Raises KeyError for one that nobody wrote."""
        return self.texts[key].format(**values)

    def lacking(self, code: str, **values: object) -> str:
        """What was not known, from ``code`` or ``code:name``."""
        key, _, name = code.partition(":")
        return self.unknown[key].format(name=name, **values)

    def how(self, code: str) -> str:
        """How it was worked out, from ``code`` or ``code:name``."""
        key, _, name = code.partition(":")
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
