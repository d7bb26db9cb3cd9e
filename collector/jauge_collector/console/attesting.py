"""Attested values by the console: what was entered, the forms, and what becomes of them.

Who is signed in answers for what they enter. A second person, under another name, confirms it;
a slip is corrected by a new entry.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jauge_models.compliance.persons import same_person
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Meter

from jauge_collector import civil
from jauge_collector.access.roles import Permission
from jauge_collector.compliance.attested_air import measuring
from jauge_collector.console import statement_form
from jauge_collector.console.attestation_form import LONGEST_NOTE, Draft, Form, Problem
from jauge_collector.console.attested_text import value_text, when_text
from jauge_collector.console.changes import Changes
from jauge_collector.console.compliance_words import Asked, frame
from jauge_collector.console.figures import now_ms
from jauge_collector.console.gate import Visitor
from jauge_collector.console.records import Records
from jauge_collector.console.statement_form import STATED, Statement
from jauge_collector.console.uploads import LARGEST_FILE, Received
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers import attestations, confirmations, meters
from jauge_collector.registers.air_places import AirPlaces, air_places
from jauge_collector.registers.attestations import AMOUNT, CERTIFICATE, HOURS, SET_POINT
from jauge_collector.registers.certificates import enter_certificate
from jauge_collector.registers.intake_hours import enter_hours
from jauge_collector.registers.meters import READING
from jauge_collector.registers.set_points import enter_set_point
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState
from jauge_collector.stores import StoreError

UPLOADS: Final = Path("uploads")
"""Below ``state_dir``: files of forms that are being read."""
DOCUMENTS: Final = Path("documents")
UNITS: Final = ("kWh", "MWh", "GWh", "MJ", "GJ", "m3", "L")
MOST_ROWS: Final = 100
FIELDS: Final = (
    *("meter", "value", "unit", "first", "last", "at"),
    *("corrects", "note", "document"),
    *("room", "row", "rack", "celsius", "quantity", "envelope"),
    *("observed", "allowable", "recommended"),
    *("certifies", "dated", "valid_last", "year", "statement"),
)
_COLUMNS: Final = (
    "entry_number",
    "attested_of",
    "entered_value",
    "attested_for",
    "signatory",
    "second_person",
    "document",
    "entry_note",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One attested value as the template shows it."""

    number: int
    meter: str
    value: str
    when: str
    signatory: str
    confirmed: str
    document: str
    note: str
    corrected_by: int | None
    confirm: bool
    """Whether the visitor may confirm it."""
    own: bool
    """Whether nobody but another person may."""
    correct: str
    """Address of the form that corrects it; empty for who may not."""


def page(
    asked: Asked,
    entries: Sequence[Entry],
    known: Mapping[int, str],
    *,
    forms: Mapping[str, Form],
    places: AirPlaces | None,
    outcome: str,
) -> dict[str, Any]:
    """What the template needs; ``known`` are the confirmed entries with their second person.

    ``forms`` are those that are not new, by kind; ``places`` is None where the registers cannot
    be read.
    """
    visit, site = asked.visit, asked.site
    language = visit.language
    may = {p: may_act(asked, p) for p in (Permission.ATTEST, Permission.APPROVE)}
    corrected = {entry.corrects: entry.id for entry in entries if entry.corrects is not None}
    newest = sorted(entries, key=lambda entry: -entry.id)
    root = f"/{site.name}/compliance/attestations"
    return {
        **frame(asked, "attestations"),
        "lines": [_line(asked, entry, known, corrected, may) for entry in newest[:MOST_ROWS]],
        "more": max(0, len(newest) - MOST_ROWS),
        "outcome": outcome,
        "forms": [
            (
                kind,
                language(f"attest_{kind}"),
                language(f"attest_text_{kind}"),
                forms.get(kind, Form()),
                statement_form.inputs(kind, places, language)
                if places is not None and kind in STATED
                else (),
            )
            for kind in (AMOUNT, READING, *(STATED if places is not None else ()))
        ],
        "unreadable": "" if places is not None else language("registers_unreadable"),
        "labels": {name: language(f"field_{name}") for name in FIELDS},
        "columns": [language(key) for key in _COLUMNS],
        "may_attest": may[Permission.ATTEST],
        "attest": f"{root}/attest",
        "confirm": f"{root}/confirm",
        "meters": [(meter.id, _meter(meter)) for meter in site.topology.meters],
        "units": UNITS,
        "me_named": language(
            "attest_as", name=visit.visitor.name if visit.visitor is not None else "–"
        ),
        "longest_note": LONGEST_NOTE,
        "document_hint": language("document_hint", size=language.number(LARGEST_FILE / 1024**2)),
        "today": civil.day(visit.now_ms, site.zone).isoformat(),
    }


def may_act(asked: Asked, permission: Permission) -> bool:
    """Whether the visitor may do something to the whole of this site."""
    visitor = asked.visit.visitor
    scope = visitor.scope(permission, [asked.site.name]) if visitor is not None else None
    return scope is not None and scope.covers(asked.site.name)


def _meter(meter: Meter) -> str:
    return f"{meter.name} ({meter.id})" if meter.name and meter.name != meter.id else meter.id


def _line(
    asked: Asked,
    entry: Entry,
    known: Mapping[int, str],
    corrected: Mapping[int, int],
    may: Mapping[Permission, bool],
) -> Line:
    visit, site = asked.visit, asked.site
    visitor = visit.visitor
    holds = entry.id not in corrected
    open_ = holds and entry.id not in known
    own = visitor is not None and same_person(entry.signatory, visitor.name)
    return Line(
        number=entry.id,
        meter=entry.subject,
        value=value_text(visit.language, entry),
        when=when_text(visit.language, site, entry),
        signatory=entry.signatory,
        confirmed=known.get(entry.id, ""),
        document=(entry.document or "")[:12],
        note=str(entry.content.get("note", "")),
        corrected_by=corrected.get(entry.id),
        confirm=open_ and may[Permission.APPROVE] and not own and bool(entry.signatory.strip()),
        own=open_ and may[Permission.APPROVE] and own,
        correct=f"{asked.link('attestations', correct=str(entry.id))}#{entry.kind}-h"
        if holds and may[Permission.ATTEST]
        else "",
    )


def correcting(site: Site, entry: Entry) -> Form:
    """The form that corrects an entry, with what stands in that."""
    if entry.kind in STATED:
        stands = {"corrects": str(entry.id), **statement_form.stated(site, entry)}
        return Form({**_days(site, entry), **stands})
    value, _, unit = str(entry.content.get("entered", "")).partition(" ")
    values = {"corrects": str(entry.id), "meter": entry.subject, "value": value, "unit": unit}
    if entry.end_ms is None:
        at = civil.local(entry.start_ms, site.zone)
        values["at"] = at.strftime("%Y-%m-%dT%H:%M")
    return Form(values | _days(site, entry))


def _days(site: Site, entry: Entry) -> dict[str, str]:
    """The first and the last day of an entry that has them."""
    if entry.end_ms is None:
        return {}
    return {
        "first": civil.day(entry.start_ms, site.zone).isoformat(),
        "last": civil.day(entry.end_ms - 1, site.zone).isoformat(),
    }


class Attesting:
    """What people enter and confirm by the console."""

    def __init__(self, state: ServiceState, changes: Changes, records: Records) -> None:
        self._changes = changes
        self._records = records
        self._store = state.store
        self._documents = state.config.state(DOCUMENTS)

    async def attest(
        self,
        who: Visitor,
        site: Site,
        draft: Draft | Statement,
        received: Received,
        fields: Mapping[str, str],
    ) -> int | Form:
        """Keep a value; its number, or the form with what the ledger refused.

        Raises `UnrecordedError`, LedgerError.
        """
        if isinstance(draft, Statement):
            subject, entered = draft.subject, draft.entered
        else:
            subject, entered = draft.meter.id, f"{draft.value:.15g} {draft.unit}"
        await self._changes.note(who, "value.attest", site.name, subject, entered)
        try:
            number = await asyncio.to_thread(self._enter, who, site, draft, received, entered)
        except ConfigurationError as error:
            return Form(fields, (_refused(error),))
        self._records.changed(site.name)
        return number

    def _enter(
        self, who: Visitor, site: Site, draft: Draft | Statement, received: Received, entered: str
    ) -> int:
        upload = received.upload
        path = None if upload is None else upload.path
        name = f" ({upload.name})" if upload is not None and upload.name else ""
        what: dict[str, Any] = {
            "signatory": who.name,
            "note": f"{draft.note}{name}".strip(),
            "corrects": draft.corrects,
            "now_ms": now_ms(),
        }
        with (
            Ledger(self._records.ledger_file) as ledger,
            attestations.document_kept(ledger, self._documents, path) as document,
        ):
            what["document"] = document
            if isinstance(draft, Statement):
                return _state(ledger, site, draft, what)
            what["entered"] = entered
            if draft.end_ms is None:
                return meters.enter_reading(
                    ledger, site, draft.meter, draft.base, at_ms=draft.start_ms, **what
                )
            return attestations.enter_amount(
                ledger,
                site,
                draft.meter,
                draft.base,
                start_ms=draft.start_ms,
                end_ms=draft.end_ms,
                **_as_invoice(ledger, site, draft.corrects),
                **what,
            )

    async def is_set_aside(self, site: Site, draft: Draft | Statement) -> bool:
        """Whether hours do not count in some place, for a sensor measured there in their days.

        Where the store does not answer nobody can say.
        """
        if not isinstance(draft, Statement) or draft.kind != HOURS or draft.end_ms is None:
            return False
        span = draft.start_ms, draft.end_ms
        try:
            places = await asyncio.to_thread(air_places, site)
            sensors = places.sensors(draft.place, draft.quantity)
            found = await measuring(self._store, site.name, sensors, draft.quantity, span)
        except (ConfigurationError, StoreError):
            return False
        return bool(found)

    async def confirm(self, who: Visitor, site: Site, number: int) -> str:
        """Confirm what somebody else entered; the outcome as a key of the console's texts.

        Raises `UnrecordedError`, LedgerError.
        """
        await self._changes.note(who, "value.confirm", site.name, str(number))

        def enter() -> None:
            with Ledger(self._records.ledger_file) as ledger:
                confirmations.confirm(ledger, site, number, signatory=who.name, now_ms=now_ms())

        try:
            await asyncio.to_thread(enter)
        except ConfigurationError as error:
            return "confirm_own" if error.file == "--signatory" else "confirm_stale"
        self._records.changed(site.name)
        return "confirm_done"


def _state(ledger: Ledger, site: Site, said: Statement, what: Mapping[str, Any]) -> int:
    """Keep a set point, hours or a certificate. Raises ConfigurationError."""
    more = {**what, "start_ms": said.start_ms, "end_ms": said.end_ms}
    if said.kind == CERTIFICATE:
        return enter_certificate(
            ledger,
            site,
            kind=said.certifies,
            statement=said.statement,
            year=said.year,
            **more,
        )
    places = air_places(site)
    if said.kind == SET_POINT:
        return enter_set_point(
            ledger, site, places, room=said.place.room, celsius=said.celsius, **more
        )
    return enter_hours(
        ledger,
        site,
        places,
        place=said.place,
        quantity=said.quantity,
        envelope=said.envelope,
        hours=said.hours,
        **more,
    )


def _as_invoice(ledger: Ledger, site: Site, corrects: int | None) -> dict[str, Any]:
    """What corrects a supplier's invoice is one too: the form does not ask for it."""
    known = ledger.entries(site.name, attestations.AMOUNT)
    old = next((each for each in known if each.id == corrects), None)
    if old is None or not attestations.is_invoice(old):
        return {}
    return {"invoice": True, "cause": str(old.content.get("cause", ""))}


_FIELDS: Final = {
    "--from": "first",
    "--to": "last",
    "--at": "at",
    "--amount": "value",
    "--reading": "value",
    "--unit": "unit",
    "--corrects": "corrects",
    "--document": "document",
    "--room": "room",
    "--row": "row",
    "--rack": "rack",
    "--set-point": "celsius",
    "--quantity": "quantity",
    "--class": "envelope",
    "--observed": "observed",
    "--allowable": "allowable",
    "--recommended": "recommended",
    "--certificate": "certifies",
    "--statement": "statement",
    "--year": "year",
}


def _refused(error: ConfigurationError) -> Problem:
    """What the ledger says, in its own English; options mean nothing in a form."""
    text = str(error)
    for option in _FIELDS:
        text = text.removeprefix(f"{option}: ").replace(option, "")
    return Problem(_FIELDS.get(error.file, ""), " ".join(text.split()), "en")
