"""What people entered, as the ledger's database holds it."""

import json
import secrets
from collections import defaultdict
from collections.abc import Collection, Container, Mapping
from typing import Any, Final, NamedTuple

from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import GRADE_OF, Basis, Interval
from sqlalchemy import Connection, insert, select, update

from jauge_collector.ledger import chain, schema

CONFIRMATION: Final = "confirmation"
"""Kind of the entries by which a second person confirms one; the subject is its number."""

_LAST_ID: Final = 2**63 - 1
_SALT_BYTES: Final = 16


class Entry(NamedTuple):
    """Something a person entered; ``content`` holds what its kind needs, in base units."""

    id: int
    kind: str
    subject: str
    start_ms: int
    end_ms: int | None
    content: Mapping[str, Any]
    signatory: str
    document: str | None
    corrects: int | None
    entered_ms: int


class Draft(NamedTuple):
    """An entry that has no number yet; ``content`` is its JSON."""

    kind: str
    subject: str
    start_ms: int
    end_ms: int | None
    content: str
    signatory: str
    document: str | None
    corrects: int | None
    entered_ms: int


def new_salt() -> str:
    """Random, so that the digest of a row cannot be guessed once the row is gone."""
    return secrets.token_hex(_SALT_BYTES)


def add_entry(connection: Connection, site: str, draft: Draft) -> int:
    """Keep an entry, linked into the chain; its number."""
    added = insert(schema.entries).values(site=site, salt=new_salt(), **draft._asdict())
    row = connection.execute(added.returning(*schema.entries.c)).mappings().one()
    content = {"sha256": chain.row_digest(row)}
    chain.add_link(connection, site, chain.ENTRY, str(row["id"]), content, draft.entered_ms)
    return int(row["id"])


def adopt(connection: Connection) -> None:
    """Link into the chain the entries of a ledger that had none, in their order.

    The chain vouches for them from now on only, and says so: ``adopted``.
    """
    t = schema.entries.c
    for key in connection.execute(select(t.id).order_by(t.id)).scalars().all():
        mine = t.id == key
        salted = update(schema.entries).where(mine).values(salt=new_salt())
        connection.execute(salted)
        row = connection.execute(select(schema.entries).where(mine)).mappings().one()
        content = {"sha256": chain.row_digest(row), "adopted": True}
        chain.add_link(connection, row["site"], chain.ENTRY, str(key), content, row["entered_ms"])


def note_erased(
    connection: Connection, site: str, keys: Collection[int], why: str, now_ms: int
) -> None:
    """Link that entries have gone or lost what they named, in the transaction that did it.

    Those that are still there stand rewritten: their new digest holds from now on.
    """
    t = schema.entries.c
    rewritten = {}
    for key in sorted(keys):
        row = connection.execute(select(schema.entries).where(t.id == key)).mappings().first()
        if row is not None:
            rewritten[str(key)] = chain.row_digest(row)
    gone = [key for key in sorted(keys) if str(key) not in rewritten]
    content = {"entries": gone, "rewritten": rewritten}
    chain.add_link(connection, site, chain.ERASED, why, content, now_ms)


def corrected_span(
    connection: Connection, site: str, draft: Draft, corrects: int, *, may_move: bool
) -> tuple[int, int | None]:
    """Start and end of the entry that a draft corrects. See `Ledger.append` for what it raises."""
    t = schema.entries.c
    kind, subject = draft.kind, draft.subject
    old = None
    if 0 < corrects <= _LAST_ID:
        old = connection.execute(
            select(t.subject, t.start_ms, t.end_ms).where(
                t.id == corrects, t.site == site, t.kind == kind
            )
        ).one_or_none()
    if old is None:
        raise ConfigurationError("--corrects", "", f"site {site} has no {kind} numbered {corrects}")
    if old.subject != subject and not may_move:
        raise ConfigurationError(
            "--corrects",
            "",
            f"{kind} {corrects} is one of {old.subject!r}, not of {subject!r}",
            f"correct it with an entry of {old.subject!r}",
        )
    later = connection.execute(select(t.id).where(t.corrects == corrects)).scalar()
    if later is not None:
        raise ConfigurationError(
            "--corrects",
            "",
            f"{corrects} is already corrected by {later}",
            "correct that",
        )
    return old.start_ms, old.end_ms


def widened(
    span: tuple[str, int, int | None], start_ms: int, end_ms: int | None
) -> tuple[str, int, int | None]:
    """A meter's span with another one, both as `Ledger.append` takes them."""
    meter, start, end = span
    until = None if end is None or end_ms is None else max(end, end_ms)
    return meter, min(start, start_ms), until


def entries_of(
    connection: Connection, site: str, kind: str, subject: str | None, *, corrected: bool
) -> list[Entry]:
    """Entries of one kind by time; those that were corrected only when asked for."""
    t = schema.entries.c
    statement = (
        select(
            t.id,
            t.kind,
            t.subject,
            t.start_ms,
            t.end_ms,
            t.content,
            t.signatory,
            t.document,
            t.corrects,
            t.entered_ms,
        )
        .where(t.site == site, t.kind == kind)
        .order_by(t.start_ms, t.id)
    )
    if subject is not None:
        statement = statement.where(t.subject == subject)
    if not corrected:
        later = schema.entries.alias()
        statement = statement.where(~select(later.c.id).where(later.c.corrects == t.id).exists())
    return [
        Entry(**{**row, "content": json.loads(row["content"])})
        for row in connection.execute(statement).mappings()
    ]


class Attested(NamedTuple):
    """A bill or monthly figure that holds, and what it says."""

    entry: Entry
    interval: Interval


class Lost(NamedTuple):
    """An amount that counted until it was withdrawn; a hole where nothing counts in its place."""

    row: Interval
    is_hole: bool


def attested_amounts(
    connection: Connection, site: str, among: Container[int] | None = None
) -> dict[str, list[Attested]]:
    """Bills and monthly figures by meter, in time order; of two that overlap the first stands.

    ``among`` are the numbers of the entries that count; all do without it.
    """
    found: dict[str, list[Attested]] = defaultdict(list)
    for entry in entries_of(connection, site, "amount", None, corrected=False):
        if among is not None and entry.id not in among:
            continue
        known = found[entry.subject]
        interval = amount_of(entry)
        if interval is None or (known and known[-1].interval.end_ms > entry.start_ms):
            continue
        known.append(Attested(entry, interval))
    return found


def amount_of(entry: Entry) -> Interval | None:
    """The row that an attested amount is; None without an end."""
    if entry.end_ms is None:
        return None
    length = entry.end_ms - entry.start_ms
    return Interval(
        entry.start_ms,
        entry.end_ms,
        float(entry.content["base"]),
        length,
        length,
        Basis.ATTESTED,
        GRADE_OF[Basis.ATTESTED],
    )
