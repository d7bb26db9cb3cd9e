"""The officer's acts on a quarter's rows: closing them with their readings, and restating them."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from jauge_models.compliance.windows import twelve_months
from jauge_models.configuration import ConfigurationError
from sqlalchemy import Connection, select

from jauge_collector import civil
from jauge_collector.compliance import archive, evidence_archive, life
from jauge_collector.compliance.life import Standing, State
from jauge_collector.compliance.quarters import Quarter, span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger import chain, closing, schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.closing import Broken, Change, Digests, Proposed, broken_rows
from jauge_collector.reports.content import Report
from jauge_collector.sites import Site

__all__ = ["Broken", "Restatement", "broken_rows", "close_quarter", "proposals", "restate"]

Progress = Callable[[str, int, int], None]


def digests(ledger: Ledger, site: Site, quarter: Quarter) -> Digests:
    """Of the rows of the site's meters in a quarter, to be taken before its report is gathered."""
    start_ms, end_ms = span_ms(quarter.window, site.zone)
    return closing.digests_now(ledger, site.name, _meters(site), start_ms, end_ms)


async def close_quarter(
    sources: Sources,
    state: Path,
    quarter: Quarter,
    report: Report,
    *,
    by: str,
    now_ms: int,
    note: str = "",
    rows: Digests | None = None,
    progress: Progress | None = None,
) -> Standing:
    """Archive a quarter's readings and evidence, then close it with its report; see `life.close`.

    ``state`` is the collector's ``state_dir``; ``rows`` are `digests` from before the report was
    gathered. Raises ConfigurationError, StoreError, LedgerError and OSError; what was cut short
    leaves a file that nothing names, and the next closing writes it again.
    """
    site = sources.site
    life.check_closing(sources.ledger, site, report, by=by, note=note)
    folder = state / archive.ARCHIVE
    with _alone(folder, site.name):
        # Asked for once nobody else closes: two would write one edition's archive.
        revision = life.standing(sources.ledger, site.name, quarter.name).revision + 1
        archived = await archive.archive(
            sources, folder, quarter, revision=revision, progress=progress
        )
        hours = await evidence_archive.keep(sources, folder, quarter, revision=revision)
        return life.close(
            sources.ledger,
            state / life.REPORTS,
            site,
            report,
            by=by,
            now_ms=now_ms,
            note=note,
            rows=rows,
            archived={**archived, "hours": hours, "revision": revision},
        )


@contextmanager
def _alone(folder: Path, site_name: str) -> Iterator[None]:
    """One closing of a site at a time, of all processes. Raises ConfigurationError, OSError."""
    file = folder / site_name / ".lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                "--quarter",
                "",
                f"somebody else is closing a quarter of {site_name}",
                "look at it once that has ended",
            ) from None
        for part in file.parent.glob(".*"):  # of a closing that was cut short
            if part != file:
                part.unlink(missing_ok=True)
        yield


# --- restatements


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """An edition of a report whose rows a restatement changes."""

    quarter: str
    revision: int
    state: State


class Restatement(NamedTuple):
    """What a restatement changes, or would, meter by meter, and which editions it touches."""

    changes: Sequence[Change]
    touched: Sequence[Touched]
    proposals: Sequence[Proposed]
    """What it carries out, row by row."""

    @property
    def rows(self) -> int:
        """How many rows it changes."""
        return sum(change.rows for change in self.changes)


def proposals(ledger: Ledger, site: Site, quarter: Quarter) -> list[Proposed]:
    """What passes would make of the closed rows of a quarter, by meter."""
    start_ms, end_ms = span_ms(quarter.window, site.zone)
    return closing.proposed(ledger, site.name, _meters(site), start_ms, end_ms)


def preview(ledger: Ledger, site: Site, quarter: Quarter) -> Restatement:
    """What `restate` would do."""
    start_ms, end_ms = span_ms(quarter.window, site.zone)
    with ledger.transaction(writes=False) as connection:
        found = closing.proposed_in(connection, site.name, _meters(site), start_ms, end_ms)
        names = [span.quarter for span in _spans(connection, site, found)]
        touched = life.standings_in(connection, site.name, names)
    return Restatement(closing.changes(found), _states(touched), found)


def restate(
    ledger: Ledger, site: Site, quarter: Quarter, *, by: str, reason: str, now_ms: int
) -> Restatement:
    """Carry out what is proposed for a quarter, signed; the earlier rows are kept as revisions.

    The chain says what changed, why, and which editions it touches, by their own rows or by those
    of their twelve months; these must be closed again before they are approved or published. Raises
    ConfigurationError where nothing is proposed, nobody signs or says why, or rows are not those
    that were closed: signing would vouch for them.
    """
    person = life.person_of(by)
    why = reason.strip()
    if not why:
        raise ConfigurationError("--reason", "", "missing", "say why closed figures change")
    start_ms, end_ms = span_ms(quarter.window, site.zone)
    with ledger.transaction(writes=True) as connection:
        # Not before: a pass or another officer may have changed what is proposed since.
        found = closing.proposed_in(connection, site.name, _meters(site), start_ms, end_ms)
        if not found:
            raise ConfigurationError(
                "--quarter",
                "",
                f"nothing is proposed for {quarter.name}",
                "there is nothing to restate",
            )
        spans = _spans(connection, site, found)
        names = [span.quarter for span in spans]
        life.refuse_broken(connection, site.name, names)
        changes = closing.restate(connection, site.name, _meters(site), start_ms, end_ms, now_ms)
        touched = life.standings_in(connection, site.name, names)
        for span in spans or [_Span(quarter.name, start_ms, end_ms, own=True)]:
            content: dict[str, Any] = {
                "by": person,
                "note": why,
                "asked_for": quarter.name,
                "rows_changed": sum(change.rows for change in changes),
                "meters": {
                    change.meter: {
                        "rows": change.rows,
                        "before": change.before,
                        "after": change.after,
                    }
                    for change in changes
                },
                "touches": [
                    {"quarter": one.quarter, "revision": one.revision, "state": one.state.value}
                    for one in touched
                    if one.state is not State.OPEN
                ],
            }
            if span.own:
                begin, end = span.start_ms, span.end_ms
                content |= {
                    "start_ms": begin,
                    "end_ms": end,
                    "rows": closing.digests(connection, site.name, _meters(site), begin, end),
                }
            chain.add_link(connection, site.name, chain.RESTATEMENT, span.quarter, content, now_ms)
    return Restatement(changes, _states(touched), found)


def _meters(site: Site) -> list[str]:
    return [meter.id for meter in site.topology.meters]


class _Span(NamedTuple):
    """A quarter whose figures change: by its ``own`` rows, or by those of its twelve months."""

    quarter: str
    start_ms: int
    end_ms: int
    own: bool


def _spans(connection: Connection, site: Site, found: Sequence[Proposed]) -> list[_Span]:
    """Quarters that were closed and whose figures the proposals change, oldest first."""
    t = schema.closings.c
    known = connection.execute(
        select(t.quarter, t.start_ms, t.end_ms).where(t.site == site.name).order_by(t.start_ms)
    )
    spans: list[_Span] = []
    for row in known:
        last = civil.day(row.end_ms - 1, site.zone)
        year_ms, _ = span_ms(twelve_months(last), site.zone)
        if _reach_into(found, year_ms, row.end_ms):
            own = _reach_into(found, row.start_ms, row.end_ms)
            spans.append(_Span(row.quarter, row.start_ms, row.end_ms, own))
    return spans


def _reach_into(found: Sequence[Proposed], start_ms: int, end_ms: int) -> bool:
    return any(one.start_ms < end_ms and start_ms < one.end_ms for _, some in found for one in some)


def _states(found: Sequence[Standing]) -> Sequence[Touched]:
    return [
        Touched(quarter=one.quarter, revision=one.revision, state=one.state)
        for one in found
        if one.state is not State.OPEN
    ]
