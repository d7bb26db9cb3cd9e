"""The chain that makes the ledger's record append-only: each link holds the digest of the last.

Who changes, removes or reorders a link breaks every later one; who rewrites them all comes to
another head than the one that somebody kept elsewhere. A link names what it vouches for and holds
its digest, never its content: what the law has erased may go, and the chain stands.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, select

from jauge_collector.ledger import schema

START: Final = "0" * 64
"""Stands for the digest before the first link."""

ENTRY: Final = "entry"
"""A row of `entries`; the subject is its number, ``sha256`` in the content `row_digest`."""
ERASED: Final = "erased"
"""Rows of `entries` that went (``entries``) or lost what they named (``rewritten``), and why."""
EXPIRED: Final = "expired"
"""Subject of an ``erased`` link: past the time that entries are kept."""
ON_DEMAND: Final = "on demand"
"""Subject of an ``erased`` link: a person's right, or what `erase` was asked for."""
QUARTER: Final = "quarter"
RESTATEMENT: Final = "restatement"
ARCHIVE: Final = "archive"
REGISTERS: Final = "registers"
PUBLICATION: Final = "publication"


class Link(NamedTuple):
    """One link as it is stored; ids rise by one from 1. ``at_ms`` is Unix time, UTC."""

    id: int
    site: str
    kind: str
    subject: str
    content: Mapping[str, Any]
    at_ms: int
    previous: str
    digest: str

    @property
    def expected(self) -> str:
        """What ``digest`` must be for a link that says this."""
        said = {
            "id": self.id,
            "site": self.site,
            "kind": self.kind,
            "subject": self.subject,
            "content": self.content,
            "at_ms": self.at_ms,
        }
        return hashlib.sha256(self.previous.encode() + canonical(said)).hexdigest()


def canonical(value: object) -> bytes:
    """JSON in one form only: sorted keys, no blanks, UTF-8; NaN and infinity raise ValueError."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def row_digest(row: Mapping[Any, Any]) -> str:
    """SHA-256 of a row of `entries`: all its columns, the random salt among them.

    The salt goes with the row, so that nobody finds an erased name again by guessing.
    """
    return hashlib.sha256(canonical(dict(row))).hexdigest()


def add_link(  # noqa: PLR0917 - the parts of a link, in their order
    connection: Connection,
    site: str,
    kind: str,
    subject: str,
    content: Mapping[str, Any],
    at_ms: int,
) -> Link:
    """Add a link at the end, in the caller's transaction, which must be a writing one."""
    t = schema.chain.c
    last = connection.execute(select(t.id, t.digest).order_by(t.id.desc()).limit(1)).first()
    number, previous = (1, START) if last is None else (last.id + 1, last.digest)
    text = canonical(content).decode()
    # The content as it will be read back: a tuple is a list, a number that is a key is a text.
    bare = Link(number, site, kind, subject, json.loads(text), at_ms, previous, "")
    link = bare._replace(digest=bare.expected)
    connection.execute(insert(schema.chain).values(**link._asdict() | {"content": text}))
    return link


def head(connection: Connection) -> str:
    """Digest of the last link, of whatever site; `START` where there is none yet."""
    t = schema.chain.c
    found = connection.execute(select(t.digest).order_by(t.id.desc()).limit(1)).scalar()
    return START if found is None else str(found)


def links(
    connection: Connection,
    site: str | None = None,
    kind: str | None = None,
    subject: str | None = None,
) -> list[Link]:
    """Links in their order, of one site, kind or subject where given."""
    return list(_walk(connection, site, kind, subject))


def walk(connection: Connection) -> Iterator[Link]:
    """Every link in its order, a few at a time in memory."""
    return _walk(connection, None, None, None)


def _walk(
    connection: Connection, site: str | None, kind: str | None, subject: str | None
) -> Iterator[Link]:
    t = schema.chain.c
    statement = select(schema.chain).order_by(t.id)
    for column, wanted in ((t.site, site), (t.kind, kind), (t.subject, subject)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    for some in connection.execute(statement).mappings().partitions(_AT_ONCE):
        for row in some:
            yield Link(**{**row, "content": _content(row["content"])})


def _content(text: Any) -> Mapping[str, Any]:
    """What a link says; nothing where somebody made it unreadable, which its digest tells."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_AT_ONCE: Final = 1000
