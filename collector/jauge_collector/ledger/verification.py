"""Whether the ledger is what was entered: its chain link by link, and each entry against its link.

All is read in one transaction, so that a collector may write meanwhile.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from jauge_collector.ledger import chain, schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import Link
from jauge_collector.ledger.erased_events import ERASED

Progress = Callable[[str, int, int], None]

_ROWS_AT_ONCE = 1000


class Anchor(NamedTuple):
    """The link whose digest somebody kept elsewhere; 0 before the first one, None where none is."""

    link: int | None
    at_ms: int | None


class Verified(NamedTuple):
    """What was found; nothing is broken where there are no ``problems``.

    ``erased`` entries are gone, or lost what they named, as links say; the chain vouches for
    ``adopted`` ones since the ledger has a chain only. ``head`` is the digest of the last link.
    """

    links: int
    head: str
    entries: int
    erased: int
    adopted: int
    anchor: Anchor | None
    problems: tuple[str, ...]


def verify(
    ledger: Ledger, *, anchor: str | None = None, progress: Progress | None = None
) -> Verified:
    """Walk the whole chain, of all sites: it is one. Raises LedgerError."""
    walk = _Walk(anchor)
    with ledger.transaction(writes=False) as connection:
        total = connection.execute(select(func.count()).select_from(schema.chain)).scalar_one()
        for link in chain.walk(connection):
            walk.take(link)
            if progress is not None and not walk.links % _ROWS_AT_ONCE:
                progress("chain", walk.links, total)
        entries = walk.entries(connection)
    if anchor is not None and walk.anchor is None:
        walk.problems.append(
            f"{anchor} is the digest of no link: the history was rewritten since it was kept, or it"
            " is another ledger's"
        )
    return Verified(
        links=walk.links,
        head=walk.head,
        entries=entries,
        erased=len(walk.gone) + len(walk.rewritten),
        adopted=walk.adopted,
        anchor=None if anchor is None else walk.anchor or Anchor(None, None),
        problems=tuple(walk.problems),
    )


class _Vouched(NamedTuple):
    link: int
    digest: object


class _Walk:
    """What the links said so far."""

    def __init__(self, anchor: str | None) -> None:
        self._wanted = anchor
        self._last = 0
        self._vouched: dict[int, _Vouched] = {}
        self.links = 0
        self.head = chain.START
        self.gone: dict[int, int] = {}
        self.rewritten: dict[int, int] = {}
        self.adopted = 0
        self.anchor = Anchor(0, None) if anchor == chain.START else None
        self.problems: list[str] = []

    def take(self, link: Link) -> None:
        """The next link. One break is one line: later links are judged by what stands."""
        self.links += 1
        missing = link.id - self._last - 1
        if missing:
            which = f"link {link.id - 1} is" if missing == 1 else f"links {self._last + 1} to "
            which += "" if missing == 1 else f"{link.id - 1} are"
            self.problems.append(f"{which} missing")
        elif link.previous != self.head:
            self.problems.append(
                f"{_named(link)} does not follow link {self._last}: one of them was changed, moved "
                "or put in"
            )
        if not _holds(link):
            self.problems.append(f"{_named(link)} does not say what it said when it was made")
        self._last, self.head = link.id, link.digest
        if link.digest == self._wanted:
            self.anchor = Anchor(link.id, link.at_ms)
        if link.kind == chain.ENTRY:
            self._entry(link)
        elif link.kind == chain.ERASED:
            self._erased(link)

    def _entry(self, link: Link) -> None:
        key = _number(link.subject)
        if key is None:
            self.problems.append(f"{_named(link)} names no entry")
        elif key in self._vouched:
            self.problems.append(
                f"{_named(link)} vouches for entry {key}, which link {self._vouched[key].link} did"
            )
        else:
            self._vouched[key] = _Vouched(link.id, link.content.get("sha256"))
            self.adopted += bool(link.content.get("adopted"))

    def _erased(self, link: Link) -> None:
        gone, rewritten = link.content.get("entries"), link.content.get("rewritten")
        for key in gone if isinstance(gone, list) else ():
            self.gone[key] = link.id
            self.rewritten.pop(key, None)
        for name, digest in rewritten.items() if isinstance(rewritten, dict) else ():
            key = _number(name)
            if key is not None:
                self.rewritten[key] = link.id
                self._vouched[key] = _Vouched(link.id, digest)

    def entries(self, connection: Connection) -> int:
        """Hold each entry against its link; how many there are."""
        found = 0
        for some in (
            connection.execute(select(schema.entries).order_by(schema.entries.c.id))
            .mappings()
            .partitions(_ROWS_AT_ONCE)
        ):
            for row in some:
                found += 1
                self._check(row)
        for key, vouched in sorted(self._vouched.items()):
            if key not in self.gone:
                self.problems.append(
                    f"entry {key} of link {vouched.link} is gone, and no link says why"
                )
        return found

    def _check(self, row: Mapping[Any, Any]) -> None:
        key = row["id"]
        vouched = self._vouched.pop(key, None)
        name = f"entry {key} ({row['kind']} of {row['subject'] or 'the site'})"
        if vouched is None:
            self.problems.append(f"{name} is in no link: it was put in past the program")
        elif key in self.gone:
            self.problems.append(
                f"{name} is there, though link {self.gone[key]} says it was erased"
            )
        elif _digest(row) != vouched.digest:
            self.problems.append(f"{name} is not what was entered: see link {vouched.link}")
        elif key in self.rewritten and (row["kind"], row["subject"]) != ("event", ERASED):
            self.problems.append(
                f"{name} was rewritten, which no erasure does: see link {vouched.link}"
            )


def _holds(link: Link) -> bool:
    try:
        return link.digest == link.expected
    except (TypeError, ValueError, AttributeError):  # SQLite takes any type in any column
        return False


def _digest(row: Mapping[Any, Any]) -> str | None:
    try:
        return chain.row_digest(row)
    except (TypeError, ValueError):
        return None


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None


def _named(link: Link) -> str:
    return f"link {link.id} ({link.kind} {link.subject})"
