"""Whether the files that entries and links name are what was kept: documents, reports, archives."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select

from jauge_collector.compliance import archive, evidence_file, life
from jauge_collector.ledger import chain, schema
from jauge_collector.ledger.book import Ledger

Progress = Callable[[str, int, int], None]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Named(NamedTuple):
    """A file, what it must be (SHA-256), and who names it."""

    path: Path
    digest: object
    by: str


class Checked(NamedTuple):
    """How many files were read, and what is wrong with some."""

    files: int
    problems: tuple[str, ...]


def documents(ledger: Ledger, folder: Path, site: str | None) -> list[Named]:
    """The document of each entry that has one, once each."""
    t = schema.entries.c
    statement = select(t.id, t.document).where(t.document.is_not(None)).order_by(t.id)
    if site is not None:
        statement = statement.where(t.site == site)
    found: dict[str, Named] = {}
    with ledger.transaction(writes=False) as connection:
        for key, document in connection.execute(statement):
            # A name that is no digest was put in by hand, and may lead anywhere.
            name = str(document) if _SHA256.fullmatch(str(document)) else ""
            named = Named(folder / name, name, f"document {str(document)[:12]} of entry {key}")
            found.setdefault(str(document), named)
    return list(found.values())


def reports(ledger: Ledger, folder: Path, site: str | None) -> list[Named]:
    """The stored report of each edition of each quarter."""
    return [
        Named(
            life.file_of(folder, link.site, link.subject, revision),
            link.content.get("snapshot"),
            f"report {link.subject} of {link.site}, revision {revision}",
        )
        for link, revision in _editions(ledger, chain.QUARTER, site)
        if link.content.get("act") == life.State.CLOSED and revision is not None
    ]


def archives(ledger: Ledger, folder: Path, site: str | None) -> list[Named]:
    """Readings and hours of each edition, but of quarters whose went by their time, as noted."""
    kept: dict[tuple[str, str], list[Named]] = defaultdict(list)
    for link, revision in _editions(ledger, chain.ARCHIVE, site):
        if revision is None:
            kept.pop((link.site, link.subject), None)
            continue
        kept[link.site, link.subject].append(
            Named(
                archive.file_of(folder, link.site, link.subject, revision),
                link.content.get("sha256"),
                f"archive {link.subject} of {link.site}, revision {revision}",
            )
        )
        if isinstance(told := link.content.get("hours"), Mapping):
            kept[link.site, link.subject].append(
                Named(
                    evidence_file.file_of(folder, link.site, link.subject, revision),
                    told.get("sha256"),
                    f"archived hours {link.subject} of {link.site}, revision {revision}",
                )
            )
    return [named for some in kept.values() for named in some]


def _editions(
    ledger: Ledger, kind: str, site: str | None
) -> Iterator[tuple[chain.Link, int | None]]:
    """Links of a kind with the revision that each speaks of; None where it speaks of none."""
    with ledger.transaction(writes=False) as connection:
        found = chain.links(connection, site=site, kind=kind)
    for link in found:
        revision = link.content.get("revision")
        yield link, revision if isinstance(revision, int) else None


def check(named: list[Named], *, what: str, progress: Progress | None = None) -> Checked:
    """Read each file and hold it against its digest; ``what`` names them on the way."""
    return Checked(len(named), tuple(_problems(named, what, progress)))


def _problems(named: list[Named], what: str, progress: Progress | None) -> Iterator[str]:
    for done, each in enumerate(named):
        if progress is not None:
            progress(what, done, len(named))
        try:
            with each.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            yield f"{each.by} is missing: {each.path}"
        except OSError as error:
            yield f"{each.by} cannot be read: {(error.strerror or 'error').lower()}: {each.path}"
        else:
            if digest != each.digest:
                yield f"{each.by} is not what was kept: {each.path}"
