"""The form of a planned event: what it says, or what is wrong with it, field by field."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from jauge_models.effectiveness import DAY_MS
from jauge_models.topology import EventKind

from jauge_collector import civil
from jauge_collector.console.attestation_form import Form, Problem
from jauge_collector.console.text import Language
from jauge_collector.registers.events import declared_names
from jauge_collector.sites import Site

LONGEST_REASON: Final = 300
LONGEST_DAYS: Final = 31
"""Of one event, and as far back as one may begin: what lies beyond is for the command line."""
FURTHEST_DAYS: Final = 366
"""Ahead of now."""
FIELDS: Final = ("kind", "subject", "begin", "end", "reason")


class Draft(NamedTuple):
    """A planned event; ``subject`` empty: the whole site."""

    kind: EventKind
    subject: str
    start_ms: int
    end_ms: int
    reason: str


def empty(site: Site, now_ms: int) -> Form:
    """A new form: two hours from now, on the site's clock."""
    begin, end = (
        civil.local(at_ms, site.zone).strftime("%Y-%m-%dT%H:%M")
        for at_ms in (now_ms, now_ms + 2 * 3_600_000)
    )
    return Form({"kind": EventKind.MAINTENANCE.value, "begin": begin, "end": end})


def read_form(
    fields: Mapping[str, str], site: Site, language: Language, now_ms: int
) -> Draft | Form:
    """What a form says, or the form again with what is wrong with it.

    ``site`` is the whole one, as the site file declares it.
    """
    reading = _Reading(fields, site, language)
    draft = reading.draft(now_ms)
    return Form(fields, tuple(reading.problems)) if draft is None else draft


class _Reading:
    """One form, field by field."""

    def __init__(self, fields: Mapping[str, str], site: Site, language: Language) -> None:
        self._fields = fields
        self._site = site
        self._language = language
        self.problems: list[Problem] = []

    def draft(self, now_ms: int) -> Draft | None:
        """What it says; None where anything is wrong."""
        kind = self._fields.get("kind", "")
        if kind not in {known.value for known in EventKind}:
            self._wrong("kind", "event_kind_unknown")
        subject = self._fields.get("subject", "").strip()
        if subject and subject not in declared_names(self._site):
            self._wrong("subject", "event_subject_unknown")
        span = self._span(now_ms)
        reason = "".join(c if c.isprintable() else " " for c in self._fields.get("reason", ""))
        reason = " ".join(reason.split())[:LONGEST_REASON]
        if not reason:
            self._wrong("reason", "event_reason_missing")
        if span is None or self.problems:
            return None
        return Draft(EventKind(kind), subject, *span, reason)

    def _span(self, now_ms: int) -> tuple[int, int] | None:
        start_ms, end_ms = self._moment("begin"), self._moment("end")
        if start_ms is None or end_ms is None:
            return None
        if end_ms <= start_ms:
            self._wrong("end", "event_end_before_begin")
        elif end_ms - start_ms > LONGEST_DAYS * DAY_MS:
            self._wrong("end", "event_too_long", days=LONGEST_DAYS)
        if start_ms < now_ms - LONGEST_DAYS * DAY_MS:
            self._wrong("begin", "event_too_old", days=LONGEST_DAYS)
        elif start_ms > now_ms + FURTHEST_DAYS * DAY_MS:
            self._wrong("begin", "event_too_far")
        return start_ms, end_ms

    def _moment(self, name: str) -> int | None:
        try:
            return civil.moment_ms(self._fields.get(name, ""), self._site.zone)
        except (ValueError, OverflowError):
            self._wrong(name, "moment_unusable")
            return None

    def _wrong(self, name: str, key: str, **values: object) -> None:
        self.problems.append(Problem(name, self._language(key, **values)))
