"""Quarters by the console: closed in the background, approved by another person, taken away.

What is taken away is written once for each edition, state, language and version of the software,
and kept on disk below ``state_dir``.
"""

import asyncio
import hashlib
import io
import logging
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jauge_models.compliance.persons import same_person
from jauge_models.configuration import ConfigurationError

from jauge_collector import __version__
from jauge_collector.access.roles import Permission
from jauge_collector.compliance import closing, life
from jauge_collector.compliance.life import Standing, State
from jauge_collector.compliance.quarters import Quarter, quarter_of
from jauge_collector.compliance.refusals import QuarterRefusedError
from jauge_collector.compliance.sources import Sources
from jauge_collector.console.attesting import may_act
from jauge_collector.console.changes import Changes, ConflictError
from jauge_collector.console.closing_job import Job, failure_of
from jauge_collector.console.compliance_words import (
    Asked,
    frame,
    quarter_name,
    signed,
    state_cell,
)
from jauge_collector.console.figures import now_ms
from jauge_collector.console.gate import Visitor
from jauge_collector.console.records import Records
from jauge_collector.console.rendering import Cell, Fact
from jauge_collector.console.text import CODES, Language
from jauge_collector.ledger.book import Ledger
from jauge_collector.reports.content import Report, encode
from jauge_collector.reports.gather import gather
from jauge_collector.sites import Site

_log = logging.getLogger(__name__)

WRITTEN: Final = Path("console-reports")
"""Below ``state_dir``: reports as they were taken away; all can be written again."""
MOST_WRITTEN: Final = 64
QUARTERS_A_PAGE: Final = 8
LONGEST_NOTE: Final = 500
_GATHERED: Final = 0.6
"""Part of closing that gathering the report is; the rest archives readings."""
_OPEN_SHOWN: Final = 4
"""Quarters that ended and that nobody closed."""
FORMS: Final[Mapping[str, str]] = {
    "pdf": "application/pdf",
    "summary": "application/pdf",
    "html": "text/html",
    "csv": "application/zip",
    "json": "application/json",
}
"""What a report can be taken away as; a zip of tables for ``csv``."""
IN_ONE_LANGUAGE: Final = frozenset({"json"})


@dataclass(frozen=True, slots=True)
class Card:
    """One quarter as the template shows it."""

    id: str
    name: str
    record: str
    """Where its record is shown."""
    state: Cell
    facts: Sequence[Fact]
    job: str
    problem: str
    detail: str
    """In English, whatever the page's language."""
    downloads: Sequence[tuple[str, str]]
    close: bool
    again: bool
    """Whether closing it makes another edition."""
    reason: bool
    """Whether that must say why."""
    approve: bool
    waits: str
    """What is to come next, for who may not do it."""


def page(
    asked: Asked,
    standings: Sequence[Standing],
    jobs: Mapping[str, Job],
    *,
    number: int,
    outcome: str,
) -> dict[str, Any]:
    """What the template needs: every quarter that was closed, and the last ones that were not."""
    language, site = asked.visit.language, asked.site
    known = {standing.quarter: standing for standing in standings}
    names = sorted({*known, *_recent(asked)}, reverse=True)
    last = max(1, -(-len(names) // QUARTERS_A_PAGE))
    number = min(max(1, number), last)
    first = (number - 1) * QUARTERS_A_PAGE

    def to(other: int) -> str:
        return asked.link("reports", number=str(other)) if 1 <= other <= last else ""

    root = f"/{site.name}/compliance/reports"
    return {
        **frame(asked, "reports"),
        "outcome": outcome,
        "cards": [
            _card(asked, known.get(name, Standing(site=site.name, quarter=name)), jobs.get(name))
            for name in names[first : first + QUARTERS_A_PAGE]
        ],
        "close": f"{root}/close",
        "approve": f"{root}/approve",
        "longest_note": LONGEST_NOTE,
        "number": language.number(number),
        "last": last,
        "last_text": language.number(last),
        "previous": to(number - 1),
        "following": to(number + 1),
    }


def _recent(asked: Asked) -> list[str]:
    """The running quarter and the last ones before it, as far as they have begun."""
    running = quarter_of("", asked.site.zone, asked.visit.now_ms)
    year, quarter = int(running.name[:4]), int(running.name[-1])
    found = []
    for back in range(_OPEN_SHOWN + 1):
        index = year * 4 + quarter - 1 - back
        found.append(f"{index // 4}-Q{index % 4 + 1}")
    return found


def _card(asked: Asked, standing: Standing, job: Job | None) -> Card:
    language, site, visitor = asked.visit.language, asked.site, asked.visit.visitor
    ended = not quarter_of(standing.quarter, site.zone, asked.visit.now_ms).running
    running = job is not None and job.running
    failed = job.failed if job is not None and not running else None
    may_close = may_act(asked, Permission.CLOSE) and ended and not running
    same = (
        visitor is not None
        and standing.closed is not None
        and same_person(visitor.name, standing.closed.by)
    )
    approvable = standing.state is State.CLOSED and not standing.restated and not running
    may_approve = may_act(asked, Permission.APPROVE)
    return Card(
        id=standing.quarter,
        name=quarter_name(language, standing.quarter),
        record=asked.visit.link(f"/{site.name}/compliance", quarter=standing.quarter),
        state=state_cell(language, site, standing),
        facts=_facts(language, site, standing),
        job=language("closing_runs", done=language.percent(job.done, 0), name=job.by)
        if job is not None and running
        else "",
        problem=""
        if failed is None
        else language(failed.key, quarter=quarter_name(language, failed.quarter)),
        detail="" if failed is None else failed.detail,
        downloads=_downloads(asked, standing) if standing.revision else (),
        close=may_close,
        again=standing.state is not State.OPEN,
        reason=standing.state in (State.APPROVED, State.PUBLISHED),
        approve=approvable and may_approve and not same,
        waits=_waits(language, standing, ended=ended, same=same and may_approve),
    )


def _waits(language: Language, standing: Standing, *, ended: bool, same: bool) -> str:
    if standing.restated:
        return language("waits_restated")
    if standing.state is State.OPEN:
        return language("waits_closing" if ended else "waits_end")
    if standing.state is State.CLOSED:
        return language("waits_another" if same else "waits_approval")
    return ""


def _facts(language: Language, site: Site, standing: Standing) -> list[Fact]:
    facts = []
    for name, one in (
        ("closed_by", standing.closed),
        ("approved_by", standing.approved),
        ("published_by", standing.published),
    ):
        if one is not None:
            text = signed(language, site, one)
            facts.append(Fact(language(name), f"{text} – {one.note}" if one.note else text))
    if standing.revision:
        facts.append(Fact(language("edition_number"), str(standing.revision)))
        facts.append(Fact(language("data_digest"), standing.data_hash[:12]))
    return facts


def _downloads(asked: Asked, standing: Standing) -> list[tuple[str, str]]:
    language = asked.visit.language
    path = f"/{asked.site.name}/compliance/report"
    found = []
    for form in FORMS:
        for code in CODES[:1] if form in IN_ONE_LANGUAGE else CODES:
            name = language(f"report_{form}")
            if form not in IN_ONE_LANGUAGE:
                name = f"{name}, {language(f'in_{code}')}"
            address = f"{path}?quarter={standing.quarter}&form={form}&in={code}"
            found.append((name, address))
    return found


class Reporting:
    """Closes, approves and hands out quarters of every site."""

    def __init__(self, changes: Changes, records: Records) -> None:
        self._changes = changes
        self._records = records
        self._jobs: dict[str, dict[str, Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._written = records.state_dir / WRITTEN
        self._writing: dict[str, asyncio.Lock] = {}

    def jobs(self, site: str) -> Mapping[str, Job]:
        """What is being closed there, by quarter."""
        return self._jobs.get(site, {})

    async def close(
        self, who: Visitor, site: Site, quarter: Quarter, standing: Standing, note: str
    ) -> None:
        """Begin to close a quarter; `jobs` tells how far that is.

        Raises `ConflictError` for one that is running, is being closed, or was approved and the
        note does not say why; `UnrecordedError`.
        """
        known = self._jobs.get(site.name, {}).get(quarter.name)
        if quarter.running or (known is not None and known.running):
            raise ConflictError("close_stale")
        if standing.state in (State.APPROVED, State.PUBLISHED) and not note:
            raise ConflictError("close_reason")
        await self._changes.note(who, "quarter.close", site.name, quarter.name, note)
        job = Job(who.name, now_ms())
        self._jobs.setdefault(site.name, {})[quarter.name] = job
        task = asyncio.create_task(self._run(job, who.name, site, quarter, note))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, by: str, site: Site, quarter: Quarter, note: str) -> None:
        try:
            await self._records.run(lambda: self._close(job, by, site, quarter, note))
        except Exception as error:  # noqa: BLE001 - a task of its own: the officer and the log are told
            job.failed = failure_of(error, quarter.name)
            if not job.failed.detail and not isinstance(error, QuarterRefusedError):
                _log.exception("quarter %s of %s could not be closed", quarter.name, site.name)
        else:
            self._jobs[site.name].pop(quarter.name, None)
        finally:
            job.running = False
            self._records.changed(site.name)

    def _close(self, job: Job, by: str, site: Site, quarter: Quarter, note: str) -> None:
        """On the worker's thread."""

        def gathering(_phase: str, done: int, total: int) -> None:
            job.done = _GATHERED * done / total if total else 0.0

        def archiving(_phase: str, done: int, total: int) -> None:
            job.done = _GATHERED + (1 - _GATHERED) * done / total if total else _GATHERED

        async def work(sources: Sources) -> None:
            rows = closing.digests(sources.ledger, site, quarter)
            report = await gather(sources, quarter, now_ms(), progress=gathering)
            await closing.close_quarter(
                sources,
                self._records.state_dir,
                quarter,
                report,
                by=by,
                now_ms=now_ms(),
                note=note,
                rows=rows,
                progress=archiving,
            )

        self._records.gathered(site, work)

    async def approve(self, who: Visitor, site: Site, quarter: str, note: str) -> str:
        """Approve what somebody else closed; the outcome as a key of the console's texts.

        The console always asks for two people. Raises `UnrecordedError`, LedgerError.
        """
        await self._changes.note(who, "quarter.approve", site.name, quarter, note)

        def enter() -> None:
            with Ledger(self._records.ledger_file) as ledger:
                standing = life.standing(ledger, site.name, quarter)
                if standing.revision:  # what is approved must still be what was closed
                    life.stored(self._records.folder, standing)
                life.approve(ledger, site.name, quarter, by=who.name, now_ms=now_ms(), note=note)

        try:
            await asyncio.to_thread(enter)
        except ConfigurationError as error:
            return "approve_own" if error.file == "--signatory" else "approve_stale"
        self._records.changed(site.name)
        return "approve_done"

    # --- what is taken away

    async def download(self, standing: Standing, form: str, code: str) -> web.StreamResponse:
        """A report as a file. Raises HTTPNotFound where its edition cannot be read."""
        try:
            path = await self._file(standing, form, code)
        except ConfigurationError as error:
            _log.error("%s", error)
            raise web.HTTPNotFound from None
        headers = {
            "Content-Disposition": f'attachment; filename="{path.name}"',
            "Content-Type": FORMS[form],
            "Cache-Control": "no-store",
        }
        return web.FileResponse(path, headers=headers)

    async def _file(self, standing: Standing, form: str, code: str) -> Path:
        report = await self._records.run(lambda: life.stored(self._records.folder, standing))
        text = f"{__version__} {form} {code} ".encode() + encode(report)
        folder = self._written / hashlib.sha256(text).hexdigest()[:32]
        lock = self._writing.setdefault(folder.name, asyncio.Lock())
        async with lock:
            try:
                return await self._records.run(lambda: _kept(folder, report, form, code))
            finally:
                self._writing.pop(folder.name, None)


def _kept(folder: Path, report: Report, form: str, code: str) -> Path:
    """The one file of a folder, written where it is not there yet."""
    known = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if known:
        folder.touch()
        return known[0]
    from jauge_collector.reports.write import write  # noqa: PLC0415 - loads what sets the pages

    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    made = write(report, fresh, code, (form,))
    if form == "csv":
        name, text = f"{made[0].parent.name}.zip", _zipped(made, fresh)
    else:
        (one,) = made
        name, text = one.name, one.read_bytes()
    for path in fresh.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (fresh / name).write_bytes(text)
    fresh.replace(folder)
    _prune(folder.parent)
    return folder / name


def _zipped(files: Sequence[Path], root: Path) -> bytes:
    """The same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(str(path.relative_to(root)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def _prune(folder: Path) -> None:
    """Leave those that were asked for last."""
    known = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in known[MOST_WRITTEN:]:
        shutil.rmtree(path, ignore_errors=True)
