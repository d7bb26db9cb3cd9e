"""The public pages' texts in French and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jauge_collector.console.text import Language, tables
from jauge_collector.console.text import language as console_language
from jauge_collector.reports.eed_files import EedWords, eed_words


@dataclass(frozen=True, slots=True)
class PublicWords:
    """One language's texts. ``plain`` writes numbers and dates, ``eed`` names the legal fields."""

    plain: Language
    eed: EedWords
    texts: Mapping[str, str]
    tables: Mapping[str, str]
    columns: Mapping[str, str]
    periods: Mapping[str, str]
    indicators: Mapping[str, str]
    results: Mapping[str, str]
    statuses: Mapping[str, str]
    states: Mapping[str, str]
    pages: Mapping[str, str]
    """File names of the pages."""
    ecodesign: Mapping[str, str]
    """What the pages do and leave out, in the order shown."""

    def __call__(self, key: str, **values: object) -> str:
        """A text with its holes filled in. Raises KeyError for one that nobody wrote."""
        text = self.texts[key]
        return text.format(**values) if values else text


@cache
def words(code: str) -> PublicWords:
    """The texts of a language out of ``console.text.CODES``."""
    found = tables("jauge_collector.publication", code)
    return PublicWords(plain=console_language(code), eed=eed_words(code), **found)
