"""Lets a golden site live: its readings arrive, people do their steps, its quarters are gathered.

Nothing stands in for a part: readings go through the embedded store and the ledger's pass, and
what people do through the functions that the command line calls.
"""

from collections import deque
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from jauge_collector import civil, sites
from jauge_collector.compliance import closing, life
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.record import Record, record
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.registers import attestations, files, meters
from jauge_collector.registers.air_places import AirPlace, air_places
from jauge_collector.registers.attestations import document_kept
from jauge_collector.registers.certificates import enter_certificate
from jauge_collector.registers.confirmations import confirm
from jauge_collector.registers.intake_hours import Counted, enter_hours
from jauge_collector.registers.set_points import enter_set_point
from jauge_collector.reports.content import Report
from jauge_collector.reports.gather import gather
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Point, Replacement
from jauge_models.readings import Reading
from jauge_models.topology import Factor, Validity
from jauge_models.wire import ResourceDescription

from tests.golden import folder as of
from tests.golden.folder import Folder, Step, milliseconds

_RETENTION_DAYS: Final = 20_000


class Timeline:
    """A golden site in its folder, from its first reading to the moment of its case."""

    def __init__(self, golden: Folder) -> None:
        self._golden = golden
        self._path: Path = golden.path
        self._site = sites.load(self._path / "site.toml")
        self._store = SqliteStore(self._path / "readings.db", retention_days=_RETENTION_DAYS)
        self._ledger = Ledger(self._path / "ledger.db")
        arrivals = (each for line in golden.lines for each in line.readings())
        self._waiting = deque(sorted(arrivals, key=lambda each: each[0]))
        self._stack = AsyncExitStack()
        self._named: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._store)
        self._stack.enter_context(self._ledger)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def play(self) -> None:
        """Everything up to the moment of the case."""
        for step in self._golden.steps:
            await self._advance(step.at)
            await self._do(step, milliseconds(step.at))
        await self._advance(self._golden.case.now)

    async def judged(self, quarter: str) -> tuple[Record, Report]:
        """The record of a quarter and its report, out of the same sources."""
        now_ms = milliseconds(self._golden.case.now)
        asked = quarter_of(quarter, self._site.zone, now_ms)
        today = asked.window.last + timedelta(days=1)
        sources = self._sources()
        return await record(sources, asked, today), await gather(sources, asked, now_ms)

    def _sources(self) -> Sources:
        registers = files.load(self._site.registers, self._path, self._site.name)
        return Sources(
            self._site,
            registers,
            self._ledger,
            self._path / "ledger.db",
            self._store,
            kept_years=self._golden.case.kept_years,
        )

    async def _advance(self, to: datetime) -> None:
        """What has arrived by a moment is stored, marked and accounted for."""
        now_ms = milliseconds(to)
        arrived: list[Reading] = []
        while self._waiting and milliseconds(self._waiting[0][0]) <= now_ms:
            arrived.append(self._waiting.popleft()[1])
        await self._store.write(arrived)
        for agent in {reading.series.agent for reading in arrived}:
            times = [each.time_ms for each in arrived if each.series.agent == agent]
            self._ledger.mark(self._site.name, agent, times, now_ms)
        with self._ledger.writer():
            await run_pass(self._store, self._ledger, self._site, now_ms)

    async def _do(self, step: Step, now_ms: int) -> None:
        match step:
            case of.Birth():
                births = {step.resource: ResourceDescription(step.resource, labels=step.labels)}
                self._ledger.set_descriptions(
                    self._site.name, step.agent, described(births), now_ms
                )
            case of.Closed():
                asked = quarter_of(step.quarter, self._site.zone, now_ms)
                report = await gather(self._sources(), asked, now_ms)
                await closing.close_quarter(
                    self._sources(),
                    self._path,
                    asked,
                    report,
                    by=step.by,
                    now_ms=now_ms,
                    note=step.note,
                )
            case of.Approved():
                life.approve(self._ledger, self._site.name, step.quarter, by=step.by, now_ms=now_ms)
            case of.Published():
                life.publish(
                    self._ledger,
                    self._site.name,
                    step.quarter,
                    by=step.by,
                    where=step.where,
                    now_ms=now_ms,
                )
            case of.Restate():
                asked = quarter_of(step.quarter, self._site.zone, now_ms)
                closing.restate(
                    self._ledger, self._site, asked, by=step.by, reason=step.reason, now_ms=now_ms
                )
            case of.SetPointSigned() | of.HoursSigned() | of.CertificateSigned():
                number = self._sign(step, now_ms)
                self._named[step.name] = number
                self._confirm(number, step.confirmed_by, now_ms)
            case _:
                self._enter(step, now_ms)

    def _sign(
        self, step: of.SetPointSigned | of.HoursSigned | of.CertificateSigned, now_ms: int
    ) -> int:
        """An entry about a room or a paper."""
        end = None if step.last is None else civil.midnight_ms(step.last + of.DAY, self._site.zone)
        what: dict[str, Any] = {
            "start_ms": civil.midnight_ms(step.first, self._site.zone),
            "end_ms": end,
            "now_ms": now_ms,
            "signatory": step.by,
            "corrects": self._named[step.corrects] if step.corrects else None,
        }
        places = air_places(self._site)
        match step:
            case of.SetPointSigned():
                return enter_set_point(
                    self._ledger,
                    self._site,
                    places,
                    room=step.room,
                    celsius=step.celsius,
                    **what,
                )
            case of.HoursSigned():
                return enter_hours(
                    self._ledger,
                    self._site,
                    places,
                    place=AirPlace(step.room, step.row, step.rack),
                    quantity=step.quantity,
                    envelope=step.envelope,
                    hours=Counted(step.observed, step.allowable, step.recommended),
                    **what,
                )
            case of.CertificateSigned():
                file = self._path / "document.txt"
                with document_kept(self._ledger, self._path / "documents", file) as document:
                    return enter_certificate(
                        self._ledger,
                        self._site,
                        kind=step.kind,
                        statement=step.statement,
                        year=step.year,
                        document=document,
                        **what,
                    )

    def _enter(
        self,
        step: of.Amount | of.DialReading | of.Replaced | of.Multiplied | of.Commissioned,
        now_ms: int,
    ) -> None:
        """An entry about a meter, confirmed where the step names a second person."""
        meter = meters.meter_of(self._site, step.meter)
        match step:
            case of.Amount():
                number = attestations.enter_amount(
                    self._ledger,
                    self._site,
                    meter,
                    meters.to_base(meter, step.amount),
                    start_ms=civil.midnight_ms(step.first, self._site.zone),
                    end_ms=civil.midnight_ms(step.last + of.DAY, self._site.zone),
                    now_ms=now_ms,
                    entered=f"{step.amount:g}",
                    signatory=step.by,
                    invoice=step.invoice,
                    cause=step.cause,
                    corrects=self._named[step.corrects] if step.corrects else None,
                )
                self._named[step.name] = number
                self._confirm(number, step.confirmed_by, now_ms)
            case of.DialReading():
                number = meters.enter_reading(
                    self._ledger,
                    self._site,
                    meter,
                    meters.to_base(meter, step.value),
                    at_ms=now_ms,
                    now_ms=now_ms,
                    signatory=step.by,
                )
                self._confirm(number, step.confirmed_by, now_ms)
            case of.Replaced():
                change = Replacement(
                    milliseconds(step.when),
                    meters.to_base(meter, step.final),
                    meters.to_base(meter, step.first),
                )
                meters.enter_replacement(
                    self._ledger, self._site, meter, change, now_ms=now_ms, signatory=step.by
                )
            case of.Multiplied():
                since = civil.midnight_ms(step.since, self._site.zone)
                factor = Factor(step.value, Validity(since, None), step.reason)
                meters.enter_factor(
                    self._ledger, self._site, meter, factor, now_ms=now_ms, signatory=step.by
                )
            case of.Commissioned():
                found = meters.compare(
                    self._ledger,
                    self._site,
                    meter,
                    Point(milliseconds(step.first), meters.to_base(meter, step.first_value)),
                    Point(milliseconds(step.second), meters.to_base(meter, step.second_value)),
                    tolerance=0.01,
                    multiplier=1.0,
                )
                meters.enter_commissioning(
                    self._ledger, self._site, meter, found, now_ms=now_ms, signatory=step.by
                )

    def _confirm(self, number: int, person: str, now_ms: int) -> None:
        if person:
            confirm(self._ledger, self._site, number, signatory=person, now_ms=now_ms)
