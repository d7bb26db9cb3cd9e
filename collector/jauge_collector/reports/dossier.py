"""The dossier of a quarter for its verifier: one ZIP with every figure's way back.

Written as a stream, so that memory does not bound it; the same ledger, registers and documents give
the same bytes. Each file's SHA-256 stands in the manifest, the last file. It names people and
machines: it is for the verifier alone.
"""

import hashlib
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import IO, Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.compliance.attested_set_points import year_mean
from jauge_collector.compliance.life import Standing, file_of
from jauge_collector.console.text import typeset
from jauge_collector.csv_text import lines
from jauge_collector.registers.documents import digest_of
from jauge_collector.registers.evidence import limits
from jauge_collector.reports import dossier_tables as tables
from jauge_collector.reports import page, workbook
from jauge_collector.reports.dossier_intervals import intervals
from jauge_collector.reports.dossier_subject import Subject, Table
from jauge_collector.reports.dossier_tables import Piece
from jauge_collector.reports.eed import annex, last_full_year
from jauge_collector.reports.eed_figures import year_figures
from jauge_collector.reports.eed_files import as_csv

Progress = Callable[[str, int, int], None]
"""Is told which file is being written, how many are done, and how many there are."""
Write = Callable[["Sink"], None]

_BLOCK: Final = 1 << 20
PRESENT: Final = "present"
MISSING: Final = "missing"
CHANGED: Final = "changed"


class Sink:
    """A file of the dossier while it is written; knows its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes) -> None:
        """Add to it."""
        self._file.write(content)
        self._digest.update(content)
        self.size += len(content)

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Dossier:
    """A closed quarter with all its proofs. ``language`` is one of ``console.text.CODES``."""

    of: Subject
    standing: Standing
    reports: Path
    """Folder of the stored reports."""
    documents: Path
    """Folder of the documents that came with entries, each under its SHA-256."""
    language: str
    texts: Mapping[str, Mapping[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", texts(self.language))

    def write(self, target: IO[bytes], progress: Progress) -> int:
        """Write the ZIP; returns how many files it has.

        Raises ConfigurationError where a document is no longer what it was, and LedgerError.
        """
        members = sorted(self._members())
        manifest: list[tuple[str, int, str]] = []
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for done, (name, content) in enumerate(members):
                progress(name, done, len(members) + 1)
                with archive.open(_info(name), "w") as file:
                    sink = Sink(file)
                    content(sink)
                manifest.append((name, sink.size, sink.sha256))
            with archive.open(_info(self.texts["files"]["manifest"]), "w") as file:
                self._table(Table(("file", "bytes", "sha256"), manifest), Sink(file))
        progress("", 1, 1)
        return len(members) + 1

    # --- what is in it

    def _members(self) -> Iterator[tuple[str, Write]]:
        of, names = self.of, self.texts["files"]
        yield names["readme"], self._readme
        stored = file_of(
            self.reports, self.standing.site, self.standing.quarter, self.standing.revision
        )
        yield names["report"], partial(_copy, stored, self.standing.snapshot)
        yield names["pdf"], lambda sink: sink.write(page.pdf(of.report, self.language))
        yield names["annex"], self._annex
        yield names["workbook"], self._workbook
        for name, table in (
            ("equations", tables.equations),
            ("meters", tables.meters),
            ("factors", tables.ratios),
            ("calibrations", tables.calibrations),
            ("entries", tables.entries),
            ("clocks", tables.clocks),
            ("gaps", tables.gaps),
            ("restatements", tables.restatements),
            ("invoices", tables.billed),
            ("chain", tables.links),
        ):
            yield names[name], partial(self._of_subject, table)
        yield names["quarter_intervals"], partial(self._intervals, of.quarter)
        yield names["year_intervals"], partial(self._intervals, of.boundary.span)
        pieces = self.pieces
        yield (
            names["documents"],
            lambda sink: self._table(
                tables.documents((piece for piece, _ in pieces), self.texts["states"]), sink
            ),
        )
        for piece, path in pieces:
            if piece.state == PRESENT:
                yield piece.file, partial(_copy, path, piece.sha256)
        for name, path in of.registers.paths.items():
            digest = of.registers.digests.get(name, "")
            file = f"{names['registers_folder']}/{name}{path.suffix}"
            yield file, partial(_copy, path, digest)

    @cached_property
    def pieces(self) -> list[tuple[Piece, Path]]:
        """Documents of the register and of entries, each with where it lies now."""
        of, names = self.of, self.texts["files"]
        found: list[tuple[Piece, Path]] = []
        for document in of.registers.documents:
            path = of.registers.paths["documents"].parent / document.path
            file = f"{names['document_folder']}/{document.id}{path.suffix}"
            found.append((Piece(document, document.sha256, file, PRESENT), path))
        kept = (entry.document for entry in tables.entered(of))
        for sha256 in sorted({each for each in kept if each}):
            path = self.documents / sha256
            state = _state(path, sha256)
            file = f"{names['entered_folder']}/{sha256}" if state == PRESENT else ""
            found.append((Piece(None, sha256, file, state), path))
        return found

    # --- how each is written

    def _of_subject(self, table: Callable[[Subject], Table], sink: Sink) -> None:
        self._table(table(self.of), sink)

    def _table(self, table: Table, sink: Sink) -> None:
        heads = [self.texts["columns"][column] for column in table.columns]
        for line in lines(heads, table.rows):
            sink.write(line.encode())

    def _intervals(self, span: tuple[int, int], sink: Sink) -> None:
        self._table(intervals(self.of, span), sink)

    def _annex(self, sink: Sink) -> None:
        of = self.of
        year = last_full_year(of.report.record.as_of)
        policy = limits(of.registers)
        found = year_figures(of.counting, of.site, year, policy.coverage)
        made = annex(
            site=of.site.name,
            title=of.site.title,
            year=year,
            registers=of.registers,
            figures=found.figures,
            fresh=found.fresh,
            set_point=year_mean(of.counting, of.registers, of.site, year, policy.intake_measured),
            simulated=of.site.simulated,
        )
        sink.write(as_csv(made, self.language).encode())

    def _workbook(self, sink: Sink) -> None:
        with tempfile.TemporaryFile() as file:
            workbook.write(
                file,
                self.of.report,
                self.of.boundary,
                quarter=self.of.quarter,
                texts=self.texts["sheets"],
            )
            file.seek(0)
            while block := file.read(_BLOCK):
                sink.write(block)

    def _readme(self, sink: Sink) -> None:
        sink.write("\n".join([*self._told(), ""]).encode())

    def _told(self) -> Iterator[str]:
        of, told = self.of, self.texts["readme"]
        record = of.report.record
        yield told["title"].format(
            title=record.title, quarter=record.quarter, revision=self.standing.revision
        )
        yield told["state"].format(
            state=self.texts["life"][self.standing.state.value], digest=self.standing.data_hash
        )
        if of.report.provisional:
            yield told["provisional"]
        if record.simulated:
            yield told["simulated"]
        if self.standing.restated:
            yield told["restated"].format(
                days=", ".join(
                    civil.day(step.signed.at_ms, of.site.zone).isoformat()
                    for step in self.standing.restated
                )
            )
        changed = sorted(
            name
            for name in record.registers.keys() | of.registers.digests.keys()
            if record.registers.get(name) != of.registers.digests.get(name)
        )
        if changed:
            yield told["changed"].format(names=", ".join(changed))
        yield from _head(of, told)
        yield told["privacy"]
        yield ""
        yield told["contents"]
        for key, text in self.texts["about"].items():
            yield f"- {self.texts['files'][key]} : {text}"
        yield told["walk"]
        yield ""
        yield told["recompute"]


def _head(of: Subject, told: Mapping[str, str]) -> Iterator[str]:
    links = of.ledger.links(of.site.name)
    if links:
        yield told["head"].format(id=links[-1].id, digest=links[-1].digest)


def _state(path: Path, sha256: str) -> str:
    try:
        return PRESENT if digest_of(path) == sha256 else CHANGED
    except (OSError, ValueError):
        return MISSING


def _copy(path: Path, sha256: str, sink: Sink) -> None:
    """A file as it is, which must still be what its digest says."""
    try:
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                sink.write(block)
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or 'error').lower()}"
        raise ConfigurationError(str(path), "", problem, "restore the file") from None
    if sha256 and sink.sha256 != sha256:
        raise ConfigurationError(
            str(path), "", "is no longer what it was", "restore it, or run the command again"
        )


def _info(name: str) -> zipfile.ZipInfo:
    """An entry without a time of its own."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100640 << 16
    return info


@cache
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """The dossier's texts in a language."""
    place = files("jauge_collector.reports").joinpath("locale", "dossier", f"{language}.toml")
    found = tomllib.loads(place.read_text("utf-8"))
    if language != "fr":
        return found
    plain = {"files", "columns", "sheets"}
    return {
        name: table if name in plain else {key: typeset(text) for key, text in table.items()}
        for name, table in found.items()
    }
