"""Life of a quarter: open, closed by the officer, approved by another person, published.

Each step is a link of the chain and is never taken back: a quarter that is closed again gets the
next revision, and the report of the one before stays as it was stored. What is not approved is
« PROVISOIRE ».
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from jauge_models.compliance.persons import same_person
from jauge_models.compliance.windows import Window
from jauge_models.configuration import ConfigurationError
from sqlalchemy import Connection

from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.refusals import QuarterRefusedError
from jauge_collector.compliance.sources import REPORTS
from jauge_collector.compliance.standings import RESTATED, Standing, State, Step, stands
from jauge_collector.compliance.whole_file import write_whole
from jauge_collector.ledger import chain, closing
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import Link
from jauge_collector.ledger.closing import Digests
from jauge_collector.reports.content import Report, Signed, data_hash, decode, encode
from jauge_collector.sites import Site

__all__ = [
    "REPORTS",
    "RESTATED",
    "Standing",
    "State",
    "Step",
    "approve",
    "check_closing",
    "close",
    "file_of",
    "person_of",
    "publish",
    "refuse_broken",
    "standing",
    "standings",
    "standings_in",
    "stored",
]


def standing(ledger: Ledger, site_name: str, quarter: str) -> Standing:
    """How a quarter stands; open with no revision where nobody ever closed it."""
    with ledger.transaction(writes=False) as connection:
        return _standing(connection, site_name, quarter)


def standings(ledger: Ledger, site_name: str) -> tuple[Standing, ...]:
    """Every quarter that was ever closed, oldest first."""
    with ledger.transaction(writes=False) as connection:
        steps = chain.links(connection, site=site_name, kind=chain.QUARTER)
        names = sorted({link.subject for link in steps if _is_closing(link)})
        return tuple(_standing(connection, site_name, name) for name in names)


def close(
    ledger: Ledger,
    folder: Path,
    site: Site,
    report: Report,
    *,
    by: str,
    now_ms: int,
    note: str = "",
    rows: Digests | None = None,
    archived: Mapping[str, Any] | None = None,
) -> Standing:
    """Store a quarter's report as its next edition, and close the rows of the site's meters.

    What is stored names the head of the chain that its closing is linked to.
    ``rows`` are the digests of what the report was gathered from: where the ledger holds others by
    now, it is refused. ``archived`` is what the ``archive`` link will say, in the same commit.
    Raises ConfigurationError for a running quarter, and for one whose last edition was approved
    unless ``note`` says why, or says nothing else.
    """
    person = _checked(site, report, by)
    report = _read_back(report)
    record = report.record
    start_ms, end_ms = span_ms(Window(record.start, record.as_of), site.zone)
    meters = [meter.id for meter in site.topology.meters]
    said = data_hash(report)
    with ledger.transaction(writes=True) as connection:
        before = _standing(connection, site.name, record.quarter)
        why = _refuse_same(before, said, note)
        refuse_broken(connection, site.name, [record.quarter])
        stand = closing.digests(connection, site.name, meters, start_ms, end_ms)
        if rows is not None and rows != stand:
            raise QuarterRefusedError(
                "--quarter",
                f"rows of {record.quarter} changed while the report was gathered",
                "close it again",
                reason="rows_changed",
                quarter=record.quarter,
            )
        revision = before.revision + 1
        signed = Signed(by=person, at_ms=now_ms, note=why)
        kept = msgspec.structs.replace(
            report,
            state=State.CLOSED.value,
            revision=revision,
            closed=signed,
            approved=None,
            published=None,
            chain_head=chain.head(connection),
        )
        text = encode(kept)
        write_whole(file_of(folder, site.name, record.quarter, revision), text)
        closing.close_span(connection, site.name, record.quarter, meters, start_ms, end_ms, now_ms)
        content = {
            **_content(State.CLOSED, revision, signed),
            "data_hash": said,
            "snapshot": hashlib.sha256(text).hexdigest(),
            "start_ms": start_ms,
            "end_ms": end_ms,
            "rows": stand,
            "registers": dict(record.registers),
        }
        _link(connection, site.name, chain.QUARTER, record.quarter, content, now_ms)
        if archived is not None:
            told = {**archived, "revision": revision}
            _link(connection, site.name, chain.ARCHIVE, record.quarter, told, now_ms)
        return _standing(connection, site.name, record.quarter)


def check_closing(ledger: Ledger, site: Site, report: Report, *, by: str, note: str = "") -> None:
    """What `close` would refuse, before anything is written. Raises ConfigurationError."""
    _checked(site, report, by)
    said = data_hash(_read_back(report))
    _refuse_same(standing(ledger, site.name, report.record.quarter), said, note)


def approve(
    ledger: Ledger,
    site_name: str,
    quarter: str,
    *,
    by: str,
    now_ms: int,
    note: str = "",
    two_people: bool = True,
) -> Standing:
    """Approve the last edition. ``two_people`` is whether the policy asks for another person.

    Raises ConfigurationError unless it is closed and nothing was restated since; and where the
    same person closed it.
    """
    person = person_of(by)
    with ledger.transaction(writes=True) as connection:
        found = _standing(connection, site_name, quarter)
        closed = found.closed
        if found.state is not State.CLOSED or closed is None:
            fix = "close it first" if found.state is State.OPEN else "there is nothing to approve"
            raise ConfigurationError("--quarter", "", f"{quarter} is {found.state}", fix)
        _refuse_restated(found)
        if two_people and same_person(person, closed.by):
            raise ConfigurationError(
                "--signatory",
                "",
                f"{person!r} closed {quarter}",
                "another person must approve it (policy: two_people)",
            )
        signed = Signed(by=person, at_ms=now_ms, note=note.strip())
        _step(connection, found, State.APPROVED, signed)
        return _standing(connection, site_name, quarter)


def publish(
    ledger: Ledger, site_name: str, quarter: str, *, by: str, where: str, now_ms: int
) -> Standing:
    """Note that the approved edition was published, and where; each place is a step of its own.

    Raises ConfigurationError where it is not approved, or was restated since.
    """
    person = person_of(by)
    with ledger.transaction(writes=True) as connection:
        found = _standing(connection, site_name, quarter)
        if found.state not in {State.APPROVED, State.PUBLISHED}:
            raise ConfigurationError(
                "--quarter", "", f"{quarter} is {found.state}", "only an approved one is published"
            )
        _refuse_restated(found)
        signed = Signed(by=person, at_ms=now_ms, note=where)
        _step(connection, found, State.PUBLISHED, signed, where=where)
        return _standing(connection, site_name, quarter)


def file_of(folder: Path, site_name: str, quarter: str, revision: int) -> Path:
    """Where a revision's report is stored."""
    return folder / site_name / f"{quarter}-r{revision}.json"


def stored(folder: Path, standing: Standing, revision: int | None = None) -> Report:
    """The report of the last edition, or of another one, with its life as it stands now.

    Raises ConfigurationError where there is none, it cannot be read or is not what was closed.
    """
    number = standing.revision if revision is None else revision
    edition = standing.edition(number)
    if edition is None:
        raise ConfigurationError(
            "--quarter",
            "",
            f"{standing.quarter} has no revision {number}"
            if number
            else f"{standing.quarter} was never closed",
            "close it first",
        )
    path = file_of(folder, standing.site, standing.quarter, number)
    fix = "restore the file from a backup"
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or "error").lower()
        raise ConfigurationError(str(path), "", f"cannot be read: {problem}", fix) from None
    if hashlib.sha256(text).hexdigest() != edition.snapshot:
        raise ConfigurationError(str(path), "", "is not the report that was closed", fix)
    try:
        report = decode(text)
    except msgspec.MsgspecError:
        problem = "is a report of another version of the collector"
        raise ConfigurationError(str(path), "", problem, "read it with that version") from None
    acts = {step.act: step.signed for step in standing.history if step.revision == number}
    return msgspec.structs.replace(
        report,
        state=standing.reached(number).value,
        revision=number,
        closed=edition.signed,
        approved=acts.get(State.APPROVED.value),
        published=acts.get(State.PUBLISHED.value),
    )


# --- what the chain says


def _standing(connection: Connection, site: str, quarter: str) -> Standing:
    steps = chain.links(connection, site=site, kind=chain.QUARTER, subject=quarter)
    steps += chain.links(connection, site=site, kind=chain.RESTATEMENT, subject=quarter)
    return stands(site, quarter, sorted(steps, key=lambda link: link.id))


def standings_in(connection: Connection, site: str, quarters: Iterable[str]) -> list[Standing]:
    """How some quarters stand, in the caller's transaction."""
    return [_standing(connection, site, quarter) for quarter in quarters]


def _is_closing(link: Link) -> bool:
    return bool(link.content["act"] == State.CLOSED)


def _content(act: State, revision: int, signed: Signed) -> dict[str, Any]:
    return {"act": act.value, "revision": revision, "by": signed.by, "note": signed.note}


def _step(connection: Connection, found: Standing, act: State, signed: Signed, **more: str) -> None:
    content = {
        **_content(act, found.revision, signed),
        "data_hash": found.data_hash,
        "snapshot": found.snapshot,
        **more,
    }
    _link(connection, found.site, chain.QUARTER, found.quarter, content, signed.at_ms)


def _link(  # noqa: PLR0917 - the parts of a link, in their order
    connection: Connection, site: str, kind: str, subject: str, content: Mapping[str, Any], at: int
) -> None:
    chain.add_link(connection, site, kind, subject, content, at)


# --- what is refused


def _read_back(report: Report) -> Report:
    """As its JSON gives it back, where each float is one: the stored report has the same hash."""
    return decode(encode(report))


def _checked(site: Site, report: Report, by: str) -> str:
    """Who closes a report that may be closed."""
    record = report.record
    if record.site != site.name:
        problem = f"the report is of {record.site!r}"
        raise ConfigurationError("--site", "", problem, "gather it anew")
    if record.running:
        raise QuarterRefusedError(
            "--quarter",
            f"{record.quarter} has not ended",
            "close it from the first day of the next quarter on",
            reason="running",
            quarter=record.quarter,
        )
    return person_of(by)


def _refuse_same(before: Standing, said: str, note: str) -> str:
    """Why a quarter is closed, again where it was: the reasons of restatements will do."""
    if before.state is State.OPEN:
        return note.strip()
    why = note.strip() or " ; ".join(dict.fromkeys(step.signed.note for step in before.restated))
    if before.data_hash == said and not before.restated:
        raise QuarterRefusedError(
            "--quarter",
            f"{before.quarter} is {before.state} and its report would say the same",
            "there is nothing to close",
            reason="says_the_same",
            quarter=before.quarter,
        )
    if before.state is not State.CLOSED and not why:
        raise QuarterRefusedError(
            "--note",
            f"missing: {before.quarter} is {before.state}",
            "say why a new edition replaces it",
            reason="reason_missing",
            quarter=before.quarter,
        )
    return why


def refuse_broken(connection: Connection, site: str, quarters: Collection[str]) -> None:
    """Raises ConfigurationError where rows of quarters are not those that the chain vouches for."""
    for broken in closing.broken_in(connection, site, quarters):
        raise ConfigurationError(
            "--quarter", "", str(broken), "run jauge-collector verify; restore a backup"
        )


def _refuse_restated(found: Standing) -> None:
    if found.restated:
        raise ConfigurationError(
            "--quarter",
            "",
            f"rows of {found.quarter} were restated after it was closed",
            "close it again",
        )


def person_of(by: str) -> str:
    """A person's name as it is kept. Raises ConfigurationError where there is none."""
    person = " ".join(by.split())
    if not person:
        raise ConfigurationError("--signatory", "", "missing", "say who does it")
    return person
