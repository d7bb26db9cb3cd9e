"""Every file of a publication, worked out in memory and then written: the same bytes each time."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector.compliance.whole_file import write_whole
from jauge_collector.publication import pages
from jauge_collector.publication.catalogue import catalogue
from jauge_collector.publication.content import Public
from jauge_collector.publication.open_data import datapackage, tables
from jauge_collector.publication.words import words

MODE: Final = 0o644
"""A web server reads them."""
_FOLDER_MODE: Final = 0o755


def rendered(public: Public, language: str) -> Mapping[str, bytes]:
    """The files by their path below the folder, in a language out of ``console.text.CODES``."""
    told = words(language)
    found = tables(public)
    files = {table.path: table.content for table in found}
    package = datapackage(public, found, told)
    files["datapackage.json"] = package
    files["catalogue.jsonld"] = catalogue(public, found, package, told)
    files[told.pages[pages.INDEX]] = pages.index(public, found, told)
    files[told.pages[pages.ACCESSIBILITY]] = pages.accessibility(public, told)
    weights = {path: len(content) for path, content in files.items()}
    files[told.pages[pages.ECODESIGN]] = pages.ecodesign(public, weights, told)
    return MappingProxyType(dict(sorted(files.items())))


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, as the chain keeps it."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def write(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Put the files in place, each whole or not at all; what else lies there stays.

    Raises ConfigurationError where the folder cannot be written.
    """
    written: list[Path] = []
    for path, content in files.items():
        place = folder / path
        try:
            _make(place.parent)
            write_whole(place, content)
            place.chmod(MODE)
        except OSError as error:
            problem = f"cannot be written: {(error.strerror or 'error').lower()}"
            fix = "name a folder that may be written"
            raise ConfigurationError("--out", str(place), problem, fix) from None
        written.append(place)
    return written


def _make(folder: Path) -> None:
    """A folder that a web server may read; one that is there already stays as it is."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir()
    folder.chmod(_FOLDER_MODE)
