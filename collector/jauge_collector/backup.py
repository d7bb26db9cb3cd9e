"""A backup in one file: ledger, documents, reports, archives, scenarios, the officer's files.

A tar of ``state/…`` and ``config/…`` with ``manifest.json`` as its last member, which holds the
SHA-256 of every other. Neither secrets nor raw readings are in it: the store has its own backups.
"""

import hashlib
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, NamedTuple

import msgspec
from jauge_models.configuration import ConfigurationError, parse

from jauge_collector import __version__
from jauge_collector.capacity import scenarios
from jauge_collector.compliance import archive, life
from jauge_collector.compliance.whole_file import whole
from jauge_collector.config import CollectorConfig, read_text
from jauge_collector.hidden_folder import hidden_folder
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.database import LedgerError
from jauge_collector.ledger.verification import verify
from jauge_collector.registers import documents, files
from jauge_collector.registers.problems import RegisterError, read_file
from jauge_collector.retention import DOCUMENTS
from jauge_collector.site_file import SiteFile

FORM: Final = 1
MANIFEST: Final = "manifest.json"
STATE: Final = PurePosixPath("state")
CONFIG: Final = PurePosixPath("config")

_MADE: Final = ".jauge-backup-"
_RESTORED: Final = ".jauge-restore-"
_OURS: Final = 0o600
"""A backup names people: nobody else reads it."""
_BLOCK: Final = 1 << 20
_PAGES_AT_ONCE: Final = 2048
_MOST_MANIFEST_BYTES: Final = 256 * _BLOCK

Progress = Callable[[str, int, int], None]


class Kept(msgspec.Struct, frozen=True):
    """One file of a backup."""

    sha256: str
    bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. ``head`` is the digest of the last link of the ledger's chain."""

    backup: int
    software: str
    made_ms: int
    ledger: str
    head: str
    files: dict[str, Kept]


class _Part(NamedTuple):
    name: PurePosixPath
    path: Path


# --- make one


def back_up(
    settings: CollectorConfig, out: Path, now_ms: int, *, progress: Progress
) -> tuple[Manifest, list[str]]:
    """Write a backup while the collector runs; returns its manifest and what is not in it.

    Raises ConfigurationError where ``out`` is there already or there is no ledger; LedgerError
    where the copy of the ledger does not hold; OSError.
    """
    file = settings.state(settings.ledger.path)
    if out.exists():
        raise _there_already(out)
    if not out.parent.is_dir():
        raise ConfigurationError("--out", str(out.parent), "is no folder", "make it first")
    if not file.is_file():
        raise ConfigurationError(str(file), "", "there is no ledger", "check ledger.path")
    kept: dict[str, Kept] = {}
    with hidden_folder(out.parent, _MADE) as folder:
        copy = folder / "ledger.db"
        _copy_ledger(file, copy, progress)
        head = _head(copy)
        ledger = _Part(STATE / _name_of_ledger(settings), copy)
        # What the ledger's copy names is there by now: files are written before their links.
        others, left_out = _others(settings)
        parts = [ledger, *others]
        made = folder / out.name
        with whole(made, _OURS) as raw, tarfile.open(fileobj=raw, mode="w") as tar:
            for done, part in enumerate(parts):
                progress("files", done, len(parts))
                _add(tar, part, kept)
            manifest = Manifest(
                backup=FORM,
                software=__version__,
                made_ms=now_ms,
                ledger=str(ledger.name),
                head=head,
                files=kept,
            )
            text = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
            _add_text(tar, MANIFEST, text)
        _put_in_place(made, out)
    return manifest, left_out


def _put_in_place(made: Path, out: Path) -> None:
    """Name a whole file as it shall be, on disk at return; one that came meanwhile stays."""
    try:
        out.hardlink_to(made)
    except FileExistsError:
        raise _there_already(out) from None
    except OSError:  # a file system without links
        made.replace(out)
    folder = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _there_already(out: Path) -> ConfigurationError:
    return ConfigurationError("--out", str(out), "is there already", "name another file")


def _copy_ledger(file: Path, copy: Path, progress: Progress) -> None:
    """The ledger as it was at one moment, whoever writes meanwhile."""

    def tell(_status: int, left: int, total: int) -> None:
        progress("ledger", total - left, total)

    try:
        source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)
        target = sqlite3.connect(copy)
        try:
            # An open read: without it, each commit of another process would start the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM facts").fetchone()
            source.backup(target, pages=_PAGES_AT_ONCE, progress=tell)
            target.execute("PRAGMA journal_mode = DELETE")
            found = target.execute("PRAGMA quick_check").fetchone()[0]
        finally:
            target.close()
            source.close()
    except sqlite3.Error as error:
        raise LedgerError(f"{file}: cannot be copied: {error}") from None
    if found != "ok":
        raise LedgerError(f"{file}: is damaged: {found}")


def _head(copy: Path) -> str:
    reader = sqlite3.connect(copy)
    try:
        row = reader.execute("SELECT digest FROM chain ORDER BY id DESC LIMIT 1").fetchone()
    finally:
        reader.close()
    return str(row[0]) if row else ""


def _name_of_ledger(settings: CollectorConfig) -> str:
    path = settings.ledger.path
    return "ledger.db" if path.is_absolute() or ".." in path.parts else path.as_posix()


def _others(settings: CollectorConfig) -> tuple[list[_Part], list[str]]:
    """Every file but the ledger, once each, and what could not be found."""
    parts: list[_Part] = []
    left_out: list[str] = []
    for folder in (DOCUMENTS, life.REPORTS, archive.ARCHIVE, scenarios.FOLDER):
        root = settings.state(folder)
        half_done = "." if folder == scenarios.FOLDER else (".", "tmp")
        parts += [
            _Part(STATE / folder.as_posix() / path.relative_to(root).as_posix(), path)
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.name.startswith(half_done)
        ]
    base = settings.source.parent
    named = [settings.source]
    for site in (settings.beside(path) for path in settings.sites):
        named.append(site)
        declared = parse(read_text(site), SiteFile, file=str(site))
        if declared.site.connections_file is not None:
            named.append(site.parent / declared.site.connections_file)
        if declared.capacity.plant is not None:
            named.append(site.parent / declared.capacity.plant)
        registers = declared.registers
        named += [
            site.parent / path
            for name in files.NAMES
            if (path := getattr(registers, name)) is not None
        ]
        if registers.documents is not None:
            register = site.parent / registers.documents
            try:
                rows = documents.parse(read_file(register))
                named += [register.parent / row.path for row in rows]
            except RegisterError as error:
                left_out.append(f"documents of {register.name}: {error}")
    seen: set[Path] = set()
    for number, path in enumerate(named):
        if path in seen:
            continue
        seen.add(path)
        if not path.is_file():
            left_out.append(f"{path}: is no file")
            continue
        inside = path.absolute().is_relative_to(base.absolute()) and ".." not in path.parts
        name = path.absolute().relative_to(base.absolute()).as_posix() if inside else path.name
        below = CONFIG if inside else CONFIG / "elsewhere" / str(number)
        parts.append(_Part(below / name, path))
    return parts, left_out


def _add(tar: tarfile.TarFile, part: _Part, kept: dict[str, Kept]) -> None:
    """A file as it is now; one that went meanwhile is past its time and in no backup."""
    try:
        source = part.path.open("rb")
    except FileNotFoundError:
        return
    with source:
        info = _info(str(part.name), os.fstat(source.fileno()).st_size)
        reader = _Digesting(source, info.size)
        tar.addfile(info, reader)
        kept[str(part.name)] = Kept(reader.digest, info.size)


def _add_text(tar: tarfile.TarFile, name: str, text: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(text)
        file.seek(0)
        tar.addfile(_info(name, len(text)), file)


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, _OURS
    return info


class _Digesting:
    """A file that is read once, with the SHA-256 of what was read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        self._hash.update(block)
        return block


# --- bring one back


def restore(file: Path, into: Path, now_ms: int, *, progress: Progress) -> Manifest:
    """Lay a backup's files out below a folder that is not there or empty, all checked.

    What readings came after the backup is computed anew, from the store, when the ledger is used.

    Raises ConfigurationError where the folder holds anything, or the backup is not whole, not what
    its manifest says, or its ledger's chain is broken; the folder is left as it was then.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ConfigurationError("--into", str(into), "is not empty", "name a new folder")
    if not into.absolute().parent.is_dir():
        raise ConfigurationError("--into", str(into.parent), "is no folder", "make it first")
    with hidden_folder(into.absolute().parent, _RESTORED) as folder:
        part = folder / into.absolute().name
        part.mkdir(mode=0o700)
        manifest = _lay_out(file, part, progress)
        _check_ledger(file, part / manifest.ledger, manifest, progress)
        # What came since had set marks that the backup has not.
        with Ledger(part / manifest.ledger) as ledger:
            ledger.mark_all_since(manifest.made_ms, now_ms)
        # Takes the place of an empty folder too, in one step.
        part.rename(into)
    return manifest


def _lay_out(file: Path, folder: Path, progress: Progress) -> Manifest:
    found: dict[str, Kept] = {}
    manifest: Manifest | None = None
    try:
        size = file.stat().st_size
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                progress("files", member.offset, size)
                if not member.isreg() or not _stays_below(member.name) or member.name in found:
                    raise _unfit(file, f"holds {member.name!r}, which no backup does")
                source = tar.extractfile(member)
                if source is None:
                    raise _unfit(file, f"{member.name} cannot be read")
                if member.name == MANIFEST:
                    text = source.read(_MOST_MANIFEST_BYTES)
                    manifest = msgspec.json.decode(text, type=Manifest)
                    continue
                found[member.name] = _write(source, folder / member.name)
    except OSError as error:
        raise _unfit(file, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (tarfile.TarError, EOFError, msgspec.MsgspecError) as error:
        raise _unfit(file, f"is no whole backup: {error}") from None
    if manifest is None:
        raise _unfit(file, "is no whole backup: its manifest is missing")
    if manifest.backup != FORM:
        raise ConfigurationError(
            str(file), "", f"is a backup of form {manifest.backup}", "use the version that made it"
        )
    for name in sorted(manifest.files.keys() | found.keys()):
        if manifest.files.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not what was kept"
            raise _unfit(file, f"{name} {what}")
    if manifest.ledger not in found:
        raise _unfit(file, "holds no ledger")
    return manifest


def _write(source: IO[bytes], path: Path) -> Kept:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as out:
        for block in _blocks(source):
            out.write(block)
            digest.update(block)
            size += len(block)
        out.flush()
        os.fsync(out.fileno())
    return Kept(digest.hexdigest(), size)


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block


def _check_ledger(file: Path, ledger_file: Path, manifest: Manifest, progress: Progress) -> None:
    try:
        with Ledger(ledger_file) as ledger:
            found = verify(ledger, progress=progress)
    except LedgerError as error:
        raise _unfit(file, f"its ledger cannot be opened: {error}") from None
    if found.problems:
        raise _unfit(file, f"its ledger does not hold: {found.problems[0]}")
    if manifest.head and found.head != manifest.head:
        raise _unfit(file, "its ledger is not the one that was kept")


def _unfit(file: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(str(file), "", problem, "take another backup")


def _stays_below(name: str) -> bool:
    path = PurePosixPath(name)
    known = name == MANIFEST or (len(path.parts) > 1 and path.parts[0] in {"state", "config"})
    return known and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def told(manifest: Manifest) -> dict[str, Any]:
    """As --json prints it."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(manifest))
    return made
