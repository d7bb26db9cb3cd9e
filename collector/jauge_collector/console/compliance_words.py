"""Words, marks and links that the pages of the compliance record share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from jauge_models.compliance.criteria import CRITERIA
from jauge_models.compliance.status import CriterionResult, Result, Status

from jauge_collector import civil
from jauge_collector.compliance.life import Standing, State
from jauge_collector.compliance.quarters import Quarter, quarter_of
from jauge_collector.compliance.words import Words, words
from jauge_collector.console.compliance_scope import Seen
from jauge_collector.console.records import Found
from jauge_collector.console.rendering import Cell, Visit
from jauge_collector.console.text import Language
from jauge_collector.reports.content import Signed
from jauge_collector.reports.prose import prose
from jauge_collector.sites import Site

PAGES: Final = ("", "todo", "servers", "criteria", "meters", "attestations", "reports")
"""Of one site, in the order of their links; the first is the overview."""
OF_ANY_QUARTER: Final = frozenset({"attestations", "reports"})
"""Pages that are the same whatever the quarter."""
OF_THE_SITE: Final = frozenset({"todo", "attestations", "reports"})
"""Pages that tell of the whole site, and are only for who may see all of it."""
QUARTERS_BACK: Final = 5
"""So many before the running one are linked from page to page; older ones from the reports."""
_RESULT_CHIPS: Final = {Result.DEMONSTRATED: "good", Result.NOT_COMPLIANT: "bad"}
_STATUS_CHIPS: Final = {Status.MET: "good", Status.NOT_MET: "bad"}
_STATE_CHIPS: Final = {State.APPROVED: "good", State.PUBLISHED: "good"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked for: a visitor, a site, and a quarter as it stands."""

    visit: Visit
    site: Site
    quarter: Quarter
    standing: Standing
    whole: bool
    """Whether the visitor may see all of the site."""
    named: bool
    """Whether the quarter was named; else it is the running one."""

    @property
    def words(self) -> Words:
        """The record's words in the reader's language."""
        return words(self.visit.language.code)

    def link(self, page: str, /, **query: str) -> str:
        """An address of the record's pages, of the same quarter."""
        path = f"/{self.site.name}/compliance" + (f"/{page}" if page else "")
        if self.named:
            query = {"quarter": self.quarter.name, **query}
        return self.visit.link(path, **query)


def frame(asked: Asked, page: str, found: Found | None = None) -> dict[str, Any]:
    """What every template of the record needs; ``page`` is one of `PAGES`."""
    language, site = asked.visit.language, asked.site
    shown = [p for p in PAGES if asked.whole or p not in OF_THE_SITE]
    renewing = found is not None and found.renewing
    at_ms = asked.visit.now_ms if found is None else found.worked_ms
    return {
        "site": site,
        "quarter": "" if page in OF_ANY_QUARTER else quarter_name(language, asked.quarter.name),
        "page": page,
        "pages_of_record": [
            (language(f"record_{p or 'overview'}"), asked.link(p), p == page) for p in shown
        ],
        "quarters": {} if page in OF_ANY_QUARTER else _neighbours(asked, page),
        "provisional": [] if found is None else provisional(asked, found),
        "renewing": language("record_renewing") if renewing else "",
        "moment": language.moment(at_ms, site.zone, seconds=True),
    }


def quarter_name(language: Language, name: str) -> str:
    """``2026-Q4`` as people say it: « T4 2026 », "Q4 2026"."""
    year, _, number = name.partition("-Q")
    return language("quarter_name", number=number, year=year)


def _neighbours(asked: Asked, page: str) -> dict[str, tuple[str, str]]:
    """The quarter before and the one after it, each with its name and link."""
    first = asked.quarter.window.first
    found: dict[str, tuple[str, str]] = {}
    for which, months in (("before", -3), ("after", 3)):
        day = civil.first_of_month(first, months)
        name = f"{day.year}-Q{day.month // 3 + 1}"
        if is_near(name, asked):
            path = f"/{asked.site.name}/compliance" + (f"/{page}" if page else "")
            text = quarter_name(asked.visit.language, name)
            found[which] = text, asked.visit.link(path, quarter=name)
    return found


def is_near(name: str, asked: Asked) -> bool:
    """Whether there is such a quarter yet, and not too long ago to be next to another."""
    try:
        found = quarter_of(name, asked.site.zone, asked.visit.now_ms)
    except ValueError:
        return False
    running = quarter_of("", asked.site.zone, asked.visit.now_ms).window.first
    return found.window.first >= civil.first_of_month(running, -3 * QUARTERS_BACK)


def provisional(asked: Asked, found: Found) -> list[str]:
    """Why what a page shows is « PROVISOIRE »; empty once a second person approved it."""
    language = asked.visit.language
    if asked.standing.state in (State.APPROVED, State.PUBLISHED) and found.frozen:
        return []
    record = found.record
    why = [
        language(key)
        for key, holds in (
            ("provisional_running", record.running),
            ("provisional_policy", not record.policy_approved),
            ("provisional_restated", bool(asked.standing.restated)),
            ("provisional_open", not record.running and asked.standing.state is State.OPEN),
            ("provisional_closed", asked.standing.state is State.CLOSED),
        )
        if holds
    ]
    return why or [language("provisional_open")]


def state_cell(language: Language, site: Site, standing: Standing) -> Cell:
    """How far a quarter has come, and by whom."""
    last = standing.published or standing.approved or standing.closed
    text = language(f"quarter_{standing.state}")
    return Cell(text, signed(language, site, last), chip=_STATE_CHIPS.get(standing.state, "warn"))


def signed(language: Language, site: Site, one: Signed | None) -> str:
    """Who and when; empty for nobody."""
    if one is None:
        return ""
    when = language.moment(one.at_ms, site.zone)
    return language("signed_by", name=one.by, moment=when)


def result_cell(asked: Asked, result: Result, sub: str = "") -> Cell:
    """A server's result with its mark."""
    return Cell(asked.words.name(result), sub, chip=_RESULT_CHIPS.get(result, "warn"))


def status_cell(asked: Asked, each: CriterionResult) -> Cell:
    """A criterion's status with its mark, and what stands beside it."""
    notes = [asked.words(note.kind, day=note.day) for note in each.annotations]
    chip = _STATUS_CHIPS.get(each.status, "warn")
    return Cell(asked.words.name(each.status), ", ".join(notes), chip=chip)


def criterion_name(asked: Asked, criterion: str) -> str:
    """``S3 Énergie totale mesurée``."""
    return f"{criterion} {asked.words.criteria[criterion]}"


def reason(asked: Asked, each: CriterionResult) -> str:
    """Why it is what it is, as a sentence without its stop."""
    text = asked.words.reason(each.reason)
    return text[:1].upper() + text[1:]


def basis(asked: Asked, each: CriterionResult) -> Cell:
    """The text it rests on, with the numbers of practices that the register holds."""
    told = prose(asked.visit.language.code)
    text = told.basis(each.basis, project=each.project, status=each.rule_status)
    if each.numbers:
        return Cell(text, asked.visit.language("practice_numbers", numbers=", ".join(each.numbers)))
    return Cell(text)


def is_of_site(criterion: str) -> bool:
    """Whether a criterion is the site's; its servers' else."""
    return criterion in CRITERIA and criterion.startswith("S")


def share(asked: Asked, value: float | None) -> str:
    """A share in percent; a dash of nothing."""
    return asked.words.share(value)


def kwh(language: Language, value: float | None) -> str:
    """An energy in kWh; a dash where nobody knows it."""
    return "–" if value is None else language.number(value)


def first_line(seen: Seen, language: Language) -> str:
    """« 412 serveurs sur 1 000 »."""
    count = seen.of(Result.DEMONSTRATED).servers
    return language("servers_of", count=language.number(count), total=language.number(seen.total))


def last_day(quarter: Quarter) -> date:
    """The day before the next quarter."""
    return civil.first_of_month(quarter.window.first, 3) - timedelta(days=1)


def joined(parts: Sequence[str]) -> str:
    """Several remarks in one line."""
    return " · ".join(part for part in parts if part)
