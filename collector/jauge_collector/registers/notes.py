"""What reads well in a register and will not prove what its owner may think it does.

A note is no error. It is kept as a key with values, and written in the reader's language.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from jauge_collector.registers import policy as policy_of
from jauge_collector.registers.problems import MOST_PROBLEMS

if TYPE_CHECKING:
    from jauge_collector.registers.files import Registers

NOTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "rack_in_no_row": ("rack", "room"),
        "subject_unknown": ("subject",),
        "edition_without_practice": ("edition",),
        "practice_from_memory": ("number",),
        "approvals_missing": ("given", "wanted", "hash"),
    }
)
"""Every kind of note, with the names of its values."""


class Note(msgspec.Struct, frozen=True):
    """One note. ``file`` is named as the site file does; ``line`` 0 is the file as a whole."""

    file: str
    line: int
    column: str
    key: str
    """Out of `NOTES`."""
    values: dict[str, str | int]


def notes(registers: "Registers", named: Mapping[str, str]) -> Iterator[Note]:
    """All notes, at most `MOST_PROBLEMS` of each register; ``named`` are their files' names."""
    for name, found in (
        ("servers", _racks(registers, named.get("servers", ""))),
        ("exemptions", _subjects(registers, "exemptions", named.get("exemptions", ""))),
        ("actions", _subjects(registers, "actions", named.get("actions", ""))),
        ("practices", _editions(registers, named.get("practices", ""))),
        ("practices", _memory(registers, named.get("practices", ""))),
        ("policy", _approvals(registers, named.get("policy", ""))),
    ):
        if name in named:
            yield from _first(found)


def _first(found: Iterable[Note]) -> list[Note]:
    """The first that were found, in the order of the file."""
    kept = [note for _, note in zip(range(MOST_PROBLEMS), found, strict=False)]
    return sorted(kept, key=lambda note: note.line)


def _racks(registers: "Registers", file: str) -> Iterator[Note]:
    """Servers in racks that no row of the rooms has: nothing measures their intake air (V4)."""
    if not registers.rooms:
        return
    known = {(room, rack) for room, _, rack in (place.key[1:] for place in registers.rooms)}
    for server in registers.servers:
        ours = server.site in {"", registers.site}
        if ours and server.rack and (server.room, server.rack) not in known:
            where = {"rack": server.rack, "room": server.room}
            yield Note(file, server.line, "rack", "rack_in_no_row", {**where})


def _subjects(registers: "Registers", register: str, file: str) -> Iterator[Note]:
    """Exemptions and actions of nobody here, which decide nothing."""
    subjects = {registers.site, *(server.id for server in registers.servers)}
    rows = registers.exemptions if register == "exemptions" else registers.actions
    for one in rows:
        if one.subject not in subjects:
            yield Note(file, one.line, "subject", "subject_unknown", {"subject": one.subject})


def _edition(registers: "Registers") -> str:
    return registers.policy.goal.edition if registers.policy else ""


def _editions(registers: "Registers", file: str) -> Iterator[Note]:
    """A register of practices of which none is of the edition that the policy names."""
    edition = _edition(registers)
    if registers.practices and not any(p.edition == edition for p in registers.practices):
        yield Note(file, 0, "edition", "edition_without_practice", {"edition": edition})


def _memory(registers: "Registers", file: str) -> Iterator[Note]:
    """Practices whose place in the text nobody has given: « pratique à référencer »."""
    edition = _edition(registers)
    for practice in registers.practices:
        if practice.edition == edition and practice.is_expected and practice.reference is None:
            number: dict[str, str | int] = {"number": practice.number}
            yield Note(file, practice.line, "certainty", "practice_from_memory", number)


def _approvals(registers: "Registers", file: str) -> Iterator[Note]:
    """A policy that two people have not approved as it now stands."""
    policy = registers.policy
    if policy is not None and not policy_of.is_approved(policy):
        told: dict[str, str | int] = {
            "given": len(policy_of.approvers(policy)),
            "wanted": policy_of.APPROVERS,
            "hash": policy_of.policy_hash(policy),
        }
        yield Note(file, 0, "approvals", "approvals_missing", told)
