"""Scenarios that planners saved: one TOML file each, below ``state_dir``, by site and name."""

import hashlib
import re
import threading
from pathlib import Path
from typing import Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector.compliance.whole_file import write_whole

FOLDER: Final = Path("scenarios")
"""Below ``state_dir``."""
LARGEST: Final = 64 * 1024
"""Bytes of one scenario."""
MOST: Final = 200
"""Scenarios of one site."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUFFIX: Final = ".toml"


class TakenError(Exception):
    """Another scenario stands under the name, or somebody changed it since it was opened."""


class Saved(NamedTuple):
    """One scenario in the list."""

    name: str
    changed_ms: int


class Stored(NamedTuple):
    """The text of a scenario, and the digest by which it is known to be the same later."""

    text: str
    digest: str


class Scenarios:
    """The scenarios of every site, below a folder. Its calls block; one process writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def listed(self, site: str) -> list[Saved]:
        """Those of a site, the one that changed last first. Raises OSError."""
        folder = self._folder / site
        found = [
            Saved(path.stem, path.stat().st_mtime_ns // 1_000_000)
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.suffix == _SUFFIX and usable(path.stem) and path.is_file()
        ]
        return sorted(found, key=lambda one: (-one.changed_ms, one.name))

    def read(self, site: str, name: str) -> Stored:
        """One of them.

        Raises KeyError where there is none, ConfigurationError for a file that is too large or no
        text, OSError.
        """
        path = self._path(site, name)
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (FileNotFoundError, IsADirectoryError):
            raise KeyError(name) from None
        _must_not_be_large(name, content)
        try:
            return Stored(content.decode(), _digest(content))
        except UnicodeDecodeError:
            raise ConfigurationError(name, "", "is not UTF-8", "save it as UTF-8") from None

    def save(self, site: str, name: str, text: str, *, over: str = "") -> None:
        """Put a scenario in place, whole or not at all.

        ``over``: digest of what it replaces; empty: nothing. Raises `TakenError` where something
        else stands there, ConfigurationError for a name that cannot be, a text that is too large
        and one too many, OSError.
        """
        if not usable(name):
            raise ConfigurationError(
                name or "scenario", "", "is no name", "up to 64 letters, digits, dots and dashes"
            )
        content = text.encode()
        _must_not_be_large(name, content)
        path = self._path(site, name)
        with self._lock:
            held = _digest(path.read_bytes()) if path.exists() else ""
            if held and held not in (over, _digest(content)):
                raise TakenError(name)
            if not held and len(self.listed(site)) >= MOST:
                raise ConfigurationError(
                    name, "", f"would be one of more than {MOST}", "delete one that is not needed"
                )
            write_whole(path, content)

    def delete(self, site: str, name: str, digest: str) -> None:
        """Remove what was seen under a name.

        Raises KeyError where there is none, `TakenError` where it is another by now, OSError.
        """
        path = self._path(site, name)
        with self._lock:
            if not path.is_file():
                raise KeyError(name)
            if _digest(path.read_bytes()) != digest:
                raise TakenError(name)
            path.unlink()

    def _path(self, site: str, name: str) -> Path:
        if not usable(name):
            raise KeyError(name)
        return self._folder / site / f"{name}{_SUFFIX}"


def usable(name: str) -> bool:
    """Whether a scenario may be saved under it: nothing that leads to another folder."""
    return _NAME.fullmatch(name) is not None


def name_of(title: str) -> str:
    """A name made of a title or of a file's name; empty where nothing of it can stand in one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", title.removesuffix(_SUFFIX)).strip("-._")
    return plain[:64].rstrip("-._")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _must_not_be_large(name: str, content: bytes) -> None:
    if len(content) > LARGEST:
        raise ConfigurationError(
            name, "", f"is longer than {LARGEST // 1024} KiB", "ask for less in one scenario"
        )
