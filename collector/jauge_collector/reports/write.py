"""Writes a report as files: PDF, HTML, tables, JSON, and the page for elected officials.

Files are there whole or not at all. The same report gives the same names and the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from jauge_collector.compliance.whole_file import write_whole
from jauge_collector.reports.content import Report, encode

FIRST_LANGUAGE: Final = "fr"


class Format(StrEnum):
    """What a report can be written as."""

    PDF = "pdf"
    HTML = "html"
    CSV = "csv"
    """A folder of tables with its Data Package."""
    JSON = "json"
    SUMMARY = "summary"
    """One page, PDF."""


ALL: Final = tuple(Format)


def write(
    report: Report, folder: Path, language: str, formats: Iterable[Format | str]
) -> list[Path]:
    """Write a report into a folder, in the order of `Format`; returns the files written.

    Raises OSError, with the file's name, where one cannot be written, and then takes back those
    that were not there before; ValueError for an unknown format.
    """
    wanted = {Format(each) for each in formats}
    written: list[Path] = []
    new: list[Path] = []
    for each in Format:
        if each in wanted:
            for name, content in _FILES[each](report, language):
                path = folder / name
                if not path.exists():
                    new.append(path)
                try:
                    write_whole(path, content)
                except OSError as error:
                    _take_back(new, folder)
                    raise OSError(error.errno, error.strerror, str(path)) from error
                written.append(path)
    return written


def _take_back(files: Iterable[Path], folder: Path) -> None:
    """Remove files, and their folders below one, where nothing else is in these."""
    with suppress(OSError):  # what is told is why the report could not be written
        for path in files:
            path.unlink(missing_ok=True)
            if path.parent != folder and path.parent.exists() and not any(path.parent.iterdir()):
                path.parent.rmdir()


def stem(report: Report, language: str = FIRST_LANGUAGE) -> str:
    """What the names of a report's files begin with: ``jauge-paris-2026-Q3-r2``.

    The first edition is not numbered; a language other than French is named last.
    """
    edition = f"-r{report.revision}" if report.revision > 1 else ""
    tongue = "" if language == FIRST_LANGUAGE else f"-{language}"
    return f"jauge-{report.record.site}-{report.record.quarter}{edition}{tongue}"


Files = Iterator[tuple[str, bytes]]


def _pdf(report: Report, language: str) -> Files:
    from jauge_collector.reports import page  # noqa: PLC0415 - the typesetter is heavy

    yield f"{stem(report, language)}.pdf", page.pdf(report, language)


def _html(report: Report, language: str) -> Files:
    from jauge_collector.reports import page  # noqa: PLC0415 - the typesetter is heavy

    yield f"{stem(report, language)}.html", page.html(report, language).encode()


def _csv(report: Report, language: str) -> Files:
    from jauge_collector.reports.tables import tables  # noqa: PLC0415 - for who wants tables

    for name, content in tables(report, language).items():
        yield f"{stem(report, language)}/{name}", content


def _json(report: Report, _: str) -> Files:
    text = msgspec.json.format(encode(report), indent=2)
    yield f"{stem(report)}.json", text + b"\n"


def _summary(report: Report, language: str) -> Files:
    from jauge_collector.reports import summary  # noqa: PLC0415 - the typesetter is heavy

    yield f"{stem(report, language)}-{Format.SUMMARY}.pdf", summary.pdf(report, language)


_FILES: Final[Mapping[Format, Callable[[Report, str], Files]]] = {
    Format.PDF: _pdf,
    Format.HTML: _html,
    Format.CSV: _csv,
    Format.JSON: _json,
    Format.SUMMARY: _summary,
}
