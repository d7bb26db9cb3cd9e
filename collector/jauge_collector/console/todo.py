"""« À traiter avant clôture »: what is left to do for a quarter, by the servers that it unlocks."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from jauge_models.compliance.evidence import Action
from jauge_models.compliance.trajectory import LastStart, Unlock

from jauge_collector.compliance.life import State
from jauge_collector.console.attested_text import value_text
from jauge_collector.console.compliance_scope import Seen
from jauge_collector.console.compliance_words import (
    Asked,
    criterion_name,
    frame,
    is_of_site,
    joined,
    last_day,
    reason,
)
from jauge_collector.console.records import Found
from jauge_collector.console.rendering import Cell, Column, Table
from jauge_collector.ledger.closing import Change
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.notes import Note

MOST_ROWS: Final = 100
_MOST_NAMED: Final = 3


class Waiting(NamedTuple):
    """What the ledger holds that somebody has to decide on."""

    unconfirmed: Sequence[Entry]
    proposed: Sequence[Change]
    """What a restatement would change, by meter."""


class Task(NamedTuple):
    """One row; ``servers`` is None where none is unlocked by it alone."""

    what: Cell
    owner: str
    day: date | None
    day_note: str
    servers: int | None
    servers_note: str = ""


def todo(asked: Asked, found: Found, seen: Seen, waiting: Waiting) -> dict[str, Any]:
    """What the template needs."""
    language = asked.visit.language
    tasks = sorted(
        [*_criteria(asked, found, seen), *_of_ledger(asked, waiting), *_of_registers(asked, found)],
        key=lambda task: (
            -1 if task.servers is None else task.servers,
            -(task.day or date.max).toordinal(),
        ),
        reverse=True,
    )
    rows = [
        [
            task.what,
            Cell(task.owner or language("nobody_named")),
            Cell(language.day(task.day) if task.day else "–", task.day_note),
            Cell("–" if task.servers is None else language.number(task.servers), task.servers_note),
        ]
        for task in tasks[:MOST_ROWS]
    ]
    columns = [
        Column(language("todo_what")),
        Column(language("todo_owner")),
        Column(language("todo_day")),
        Column(language("todo_servers"), number=True),
    ]
    return {
        **frame(asked, "todo", found),
        "table": Table(language("record_todo"), columns, rows, max(0, len(tasks) - MOST_ROWS)),
        "notes": [
            (file, [asked.words.note(note, file=False) for note in notes])
            for file, notes in _by_file(found.record.notes[:MOST_ROWS]).items()
        ],
        "closed": language("todo_closed") if asked.standing.state is not State.OPEN else "",
    }


def _criteria(asked: Asked, found: Found, seen: Seen) -> Iterator[Task]:
    """What the trajectory says would unlock most, with owner and last day."""
    record = found.record
    done: set[str] = set()
    for unlock in record.trajectory.unlocks:
        if unlock.site != record.site:
            continue
        done.update(unlock.criteria)
        yield _unlock(asked, found, seen, unlock)
    starts: dict[str, LastStart] = {}
    for start in record.trajectory.last_starts:
        if start.criterion not in done:
            starts.setdefault(start.criterion, start)
    for start in starts.values():
        what = Cell(criterion_name(asked, start.criterion))
        day, note = _day(asked, found, seen, (start.criterion,))
        yield Task(what, "", day, note, start.machines or None)


def _unlock(asked: Asked, found: Found, seen: Seen, unlock: Unlock) -> Task:
    language = asked.visit.language
    owners = dict.fromkeys(action.owner for action in _actions(found, seen, unlock.criteria))
    day, note = _day(asked, found, seen, unlock.criteria)
    if len(unlock.criteria) > 1:
        what = Cell(language("todo_together"), ", ".join(unlock.criteria))
    else:
        (criterion,) = unlock.criteria
        of_site = {each.criterion: each for each in seen.site}
        name = criterion_name(asked, criterion)
        if is_of_site(criterion) and criterion in of_site:
            what = Cell(name, reason(asked, of_site[criterion]), asked.link("criteria"))
        else:
            blocked = language("todo_blocked", count=language.number(unlock.blocked))
            what = Cell(name, blocked, asked.link("servers", criterion=criterion))
    declared = unlock.declared_if_attested
    text = language("todo_declared", count=language.number(declared)) if declared else ""
    return Task(what, ", ".join(list(owners)[:_MOST_NAMED]), day, note, unlock.demonstrated, text)


def _actions(found: Found, seen: Seen, criteria: Iterable[str]) -> list[Action]:
    """Remediation actions on these criteria, the site's and its servers', by day."""
    wanted = set(criteria)
    every = [*found.record.actions]
    for each in seen.servers:
        if each.machine.server is not None:
            every += each.machine.server.actions
    return sorted((one for one in every if one.criterion in wanted), key=lambda one: one.day)


def _day(
    asked: Asked, found: Found, seen: Seen, criteria: Sequence[str]
) -> tuple[date | None, str]:
    """By when, and what that day is: of the first action, else the last day to start measuring."""
    language = asked.visit.language
    actions = _actions(found, seen, criteria)
    starts = [one for one in found.record.trajectory.last_starts if one.criterion in criteria]
    said = []
    for start in sorted(starts, key=lambda one: one.day):
        key = "todo_start_past" if start.past else "todo_start"
        said.append(
            language(key, day=language.day(start.day), goal=language(f"goal_{start.reading}"))
        )
    if actions:
        return actions[-1].day, joined([language("todo_planned"), *said])
    if starts:
        due = [one.day for one in starts if not one.past]
        return min(due, default=min(one.day for one in starts)), joined(said)
    return None, ""


def _of_ledger(asked: Asked, waiting: Waiting) -> Iterator[Task]:
    language, site = asked.visit.language, asked.site
    by = last_day(asked.quarter)
    for entry in waiting.unconfirmed:
        what = language("todo_confirm", number=entry.id, meter=entry.subject)
        owner = language("todo_not_by", name=entry.signatory or language("nobody_named"))
        cell = Cell(what, value_text(language, entry), asked.link("attestations"))
        yield Task(cell, owner, by, "", None)
    for change in waiting.proposed:
        what = language("todo_restate", meter=change.meter)
        rows = language("todo_rows", rows=language.number(change.rows))
        command = f"jauge-collector quarter restate --site {site.name} --quarter"
        note = f"{command} {asked.quarter.name}"
        yield Task(Cell(what, joined([rows, note])), "", by, "", None)


def _of_registers(asked: Asked, found: Found) -> Iterator[Task]:
    language = asked.visit.language
    by = last_day(asked.quarter)
    if not found.record.policy_approved:
        yield Task(Cell(language("todo_policy")), language("two_people"), by, "", None)
    for file, notes in _by_file(found.record.notes).items():
        more = language("and_others", count=language.number(len(notes) - 1))
        first = asked.words.note(notes[0], file=False)
        note = joined([first, more if len(notes) > 1 else ""])
        yield Task(Cell(language("todo_register", file=file), note, "#notes"), "", by, "", None)


def _by_file(notes: Iterable[Note]) -> dict[str, list[Note]]:
    """Notes by the name of their register, without its folder."""
    found: dict[str, list[Note]] = {}
    for note in notes:
        found.setdefault(PurePath(note.file).name, []).append(note)
    return found
