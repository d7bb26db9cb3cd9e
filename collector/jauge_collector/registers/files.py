"""Which registers a site has, and all of them read, checked against each other and digested.

A register that cannot be read is no reason to stop measuring: sites keep the names of their files,
and who needs what they say calls `load`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from jauge_collector.registers import decisions
from jauge_collector.registers import documents as documents_of
from jauge_collector.registers import facility as facility_of
from jauge_collector.registers import factors as factors_of
from jauge_collector.registers import policy as policy_of
from jauge_collector.registers import practices as practices_of
from jauge_collector.registers import refrigerants as refrigerants_of
from jauge_collector.registers import rooms as rooms_of
from jauge_collector.registers import servers as servers_of
from jauge_collector.registers.decisions import ActionRow, ExemptionRow
from jauge_collector.registers.documents import Document
from jauge_collector.registers.facility import FacilityRow
from jauge_collector.registers.factors import FactorRow
from jauge_collector.registers.notes import Note, notes
from jauge_collector.registers.policy import PolicyFile
from jauge_collector.registers.practices import Practice
from jauge_collector.registers.problems import (
    File,
    Problem,
    Problems,
    RegisterError,
    read_file,
    text_of,
)
from jauge_collector.registers.refrigerants import RefrigerantRow
from jauge_collector.registers.rooms import Place
from jauge_collector.registers.servers import Server

_T = TypeVar("_T")
_PROVING: Final = ("envelope_document", "ecodesign_document", "attestation")
"""Columns of the inventory that name a document."""


class RegistersSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files that the compliance officer keeps, relative to this one; see docs/registers.md."""

    servers: str | None = None
    """CSV of the servers: the inventory."""
    rooms: str | None = None
    """CSV of rooms, rows and racks with their intake sensors."""
    practices: str | None = None
    """CSV of the Code of Conduct's practices and what the site does of each."""
    documents: str | None = None
    """CSV of documents that prove something; their files lie beside it or below."""
    policy: str | None = None
    """TOML of thresholds and readings; the defaults where absent."""
    factors: str | None = None
    """CSV of emission factors and energy contents of fuels."""
    refrigerants: str | None = None
    """CSV of what the cooling systems hold."""
    exemptions: str | None = None
    """CSV of criteria that do not apply, each justified, dated and signed."""
    actions: str | None = None
    """CSV of dated remediation actions, from which the forecast is made."""
    facility: str | None = None
    """CSV of what the operator supplies for the annex of the European database and the page."""


NAMES: Final = tuple(RegistersSection.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Registers:
    """What the registers of one site say. One that is not named is None or empty."""

    site: str = ""
    servers: tuple[Server, ...] = ()
    rooms: tuple[Place, ...] = ()
    practices: tuple[Practice, ...] = ()
    documents: tuple[Document, ...] = ()
    withdrawn: tuple[Document, ...] = ()
    """Signed ones whose correction waits for its second person: neither they nor older ones of
    their kind prove anything."""
    policy: PolicyFile | None = None
    factors: tuple[FactorRow, ...] = ()
    refrigerants: tuple[RefrigerantRow, ...] = ()
    exemptions: tuple[ExemptionRow, ...] = ()
    actions: tuple[ActionRow, ...] = ()
    facility: tuple[FacilityRow, ...] = ()
    digests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """SHA-256 of each file as it was read, by the name of the register."""
    paths: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    """Where each was read, resolved: several sites may name one file."""
    notes: tuple[Note, ...] = ()
    """What is no error and should be looked at; at most `MOST_PROBLEMS` of each register."""


def stamp(section: RegistersSection, folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a register does: to know whether `load` must be called again.

    Documents are not looked at: what they are is fixed by their digests when read.
    """
    found: list[tuple[str, int, int]] = []
    for name, path in _paths(section, folder).items():
        try:
            status = path.stat()
        except (OSError, ValueError):
            found.append((name, -1, -1))
        else:
            found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def load(section: RegistersSection, folder: Path, site: str = "") -> Registers:
    """Read every register that a site names, relative to ``folder``.

    Raises RegisterError with what is wrong in all of them, or ConfigurationError for a policy.
    """
    reading = _Reading(_paths(section, folder))
    read = reading.read
    documents = read("documents", documents_of.parse)
    if documents:
        path = reading.paths["documents"]
        documents = reading.tried(
            lambda: documents_of.verified(documents, path.parent, str(path)), ()
        )
    servers = read("servers", servers_of.parse)
    rooms = read("rooms", rooms_of.parse)
    practices = read("practices", practices_of.parse)
    factors = read("factors", factors_of.parse)
    refrigerants = read("refrigerants", refrigerants_of.parse)
    exemptions = read("exemptions", decisions.exemptions)
    actions = read("actions", decisions.actions)
    facility = read("facility", facility_of.parse)
    policy = reading.tried(reading.policy, None)
    reading.refuse_unknown_documents(servers, practices, facility, documents)
    reading.check()
    found = Registers(
        site=site,
        servers=servers,
        rooms=rooms,
        practices=practices,
        documents=documents,
        policy=policy,
        factors=factors,
        refrigerants=refrigerants,
        exemptions=exemptions,
        actions=actions,
        facility=facility,
        digests=MappingProxyType(reading.digests),
        paths=MappingProxyType(reading.paths),
    )
    named = {name: getattr(section, name) for name in reading.paths}
    return replace(found, notes=tuple(notes(found, named)))


class _Reading:
    """Reads one register after the other, and keeps what is wrong with each."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths
        self.digests: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._count = 0

    def read(self, name: str, parse: Callable[[File], tuple[_T, ...]]) -> tuple[_T, ...]:
        """One CSV register; empty where it is not named or cannot be read."""
        path = self.paths.get(name)
        return () if path is None else self.tried(lambda: parse(self._file(name, path)), ())

    def policy(self) -> PolicyFile | None:
        """The policy. Raises ConfigurationError."""
        path = self.paths.get("policy")
        if path is None:
            return None
        file = self._file("policy", path)
        return policy_of.read(text_of(file), file.name)

    def tried(self, work: Callable[[], _T], otherwise: _T) -> _T:
        """What ``work`` gives, or ``otherwise``, its problems kept."""
        try:
            return work()
        except RegisterError as error:
            self._problems += error.problems
            self._count += error.count
            return otherwise

    def refuse_unknown_documents(
        self,
        servers: Iterable[Server],
        practices: Iterable[Practice],
        facility: Iterable[FacilityRow],
        documents: Iterable[Document],
    ) -> None:
        """Ids that the register of documents does not hold would prove nothing, silently."""
        if self._problems:  # of a register that was not read nothing is known
            return
        known = {document.id for document in documents}
        fix = "enter the document there, or correct its id"
        if "documents" not in self.paths:
            fix = "name a register of documents in the site file"
        for name, rows in (
            ("servers", [(s, c, getattr(s, c)) for s in servers for c in _PROVING]),
            ("practices", [(p, "documents", one) for p in practices for one in p.documents]),
            ("facility", [(f, "document", f.document) for f in facility]),
        ):
            problems = Problems(str(self.paths.get(name, "")))
            for row, column, document in rows:
                if document and document not in known:
                    problem = f"{document!r} is in no register of documents"
                    problems.add(row.line, column, problem, fix)
            self.tried(problems.check, None)

    def check(self) -> None:
        """Raises RegisterError where anything was wrong."""
        if self._problems:
            raise RegisterError(self._problems, self._count)

    def _file(self, name: str, path: Path) -> File:
        file = read_file(path)
        self.digests[name] = file.sha256
        return file


def _paths(section: RegistersSection, folder: Path) -> dict[str, Path]:
    named = {name: getattr(section, name) for name in NAMES}
    return {name: folder / path for name, path in named.items() if path is not None}
