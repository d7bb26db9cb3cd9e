"""The page of cross-checks: tickets with their suspects and numbers, and what is not checked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jauge_models.crosschecks import Kind, Outcome
from jauge_models.reconciliation import Reconciliation
from jauge_models.suspects import Suspect, SuspectKind

from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.text import Language
from jauge_collector.ledger.tickets import LONGEST_NOTE, CheckStanding, State, Ticket, Trust
from jauge_collector.sites import Site, is_feed

MOST_TICKETS: Final = 25
MOST_CHECKS: Final = 80
_MOST_SUSPECTS: Final = 6
_MOST_SUBJECTS: Final = 12
_STEP_SHOWN_J: Final = 3600.0
_MOST_NAMED: Final = 3
"""Names of one side in a heading."""
_CHIPS: Final = {State.OPEN: "warn", State.STILL_OPEN: "bad", State.RESOLVED: "good"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A ticket as the template shows it; ``form`` is where its acknowledgement is sent."""

    id: int
    name: str
    chip: str
    state: str
    facts: Sequence[Fact]
    suspects: Sequence[str]
    subjects: Sequence[Fact]
    form: str


async def context(
    visit: Visit, site: Site, figures: ScopedFigures, outcome: str, *, may: bool
) -> dict[str, Any]:
    """What the template needs; ``may``: whether the visitor may acknowledge. Raises LedgerError."""
    language = visit.language
    found = await figures.tickets(site.name)
    standing = found.standing
    shown = found.tickets[:MOST_TICKETS]
    checks = standing.checks if standing is not None else ()
    return {
        "site": site,
        "tickets": [_shown(visit, site, ticket, may=may) for ticket in shown],
        "more": len(found.tickets) - len(shown),
        "judged": ""
        if standing is None
        else language("judged_to", moment=language.moment(standing.judged_to_ms, site.zone)),
        "checks": _checks(visit, site, checks),
        "unmapped": []
        if standing is None
        else [_subject(visit, site, name) for name in standing.unmapped[:MOST_CHECKS]],
        "reconciliation": _reconciliation(
            language, site, await figures.reconciliations(site.name, "")
        ),
        "outcome": outcome,
        "longest_note": LONGEST_NOTE,
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _shown(visit: Visit, site: Site, ticket: Ticket, *, may: bool) -> Shown:
    language = visit.language
    evidence = ticket.evidence
    kind = language(f"ticket_kind_{ticket.kind}")
    waits = ticket.state is not State.RESOLVED and ticket.acknowledged_ms is None
    return Shown(
        id=ticket.id,
        name=f"{kind}{language('colon')}{_order(ticket)}",
        chip=_CHIPS[ticket.state],
        state=language(f"ticket_state_{ticket.state}"),
        facts=_facts(language, site, ticket),
        suspects=[_suspicion(language, one) for one in evidence.suspects[:_MOST_SUSPECTS]],
        subjects=[
            _subject(visit, site, trust.subject, _trust(language, trust))
            for trust in evidence.trust[:_MOST_SUBJECTS]
        ],
        form=f"/{site.name}/tickets/{ticket.id}/acknowledge" if may and waits else "",
    )


def _order(ticket: Ticket) -> str:
    lower, upper = _side(ticket.evidence.lower), _side(ticket.evidence.upper)
    if ticket.kind is Kind.ORDER:
        return f"{lower} > {upper}"
    if ticket.kind is Kind.PHASES:
        return f"{lower} ≠ {upper}"
    if ticket.kind is Kind.STUCK:
        return ", ".join(name for one in ticket.evidence.suspects for name in one.subjects)
    return lower


def _side(names: Sequence[str]) -> str:
    shown = " + ".join(names[:_MOST_NAMED])
    return f"{shown} + … ({len(names)})" if len(names) > _MOST_NAMED else shown


def _facts(language: Language, site: Site, ticket: Ticket) -> list[Fact]:
    evidence = ticket.evidence
    facts = [
        Fact(language("ticket_since"), language.moment(ticket.since_ms, site.zone)),
        Fact(language("ticket_last"), language.moment(ticket.last_ms, site.zone)),
        Fact(
            language("ticket_hours"),
            language(
                "ticket_hours_of",
                broken=language.number(evidence.broken),
                hours=language.number(evidence.hours),
            ),
        ),
    ]
    facts += [
        Fact(language(key), language("an_hour", energy=language.quantity(energy, "J")))
        for key, energy in (
            ("ticket_lower", evidence.lower_energy),
            ("ticket_upper", evidence.upper_energy),
            ("ticket_tolerance", evidence.tolerance),
        )
        if energy is not None
    ]
    if ticket.resolved_ms is not None:
        moment = language.moment(ticket.resolved_ms, site.zone)
        facts.append(Fact(language("ticket_state_resolved"), moment))
    if ticket.acknowledged_ms is not None:
        seen = language.moment(ticket.acknowledged_ms, site.zone)
        by = f"{ticket.acknowledged_by}, {seen}" if ticket.acknowledged_by else seen
        facts.append(Fact(language("acknowledged"), by))
    if ticket.note:
        facts.append(Fact(language("ticket_note"), ticket.note))
    return facts


def _suspicion(language: Language, one: Suspect) -> str:
    """A suspicion as a sentence with the numbers that speak for it."""
    energy = one.kind is SuspectKind.STUCK

    def show(value: float | None) -> str:
        if value is None:
            return "–"
        return language.quantity(value, "J") if energy else language.plain(value, 3)

    factor = ""
    if one.factor:
        small = 0 < one.factor < 1
        sign, size = ("÷", 1 / one.factor) if small else ("×", one.factor)
        factor = f"{sign}\u00a0{language.plain(size, 3)}"
    return language(
        f"suspect_{one.kind}",
        who=", ".join(one.subjects),
        factor=factor,
        found=show(one.found),
        low=show(one.low),
        high=show(one.high),
        hours=language.number(one.hours),
    )


def _trust(language: Language, trust: Trust) -> str:
    text = language(
        "trust_stated" if trust.stated else "trust_default",
        error=language.percent(trust.relative, 2),
        said=language("uncertainty").lower()
        if trust.said == "uncertainty"
        else trust.said
        if trust.stated
        else language(f"grade_{trust.said}"),
    )
    if trust.resolution >= _STEP_SHOWN_J:
        step = language.quantity(trust.resolution, "J")
        text = f"{text}, {language('trust_step', step=step)}"
    return text


def _subject(visit: Visit, site: Site, name: str, text: str = "") -> Fact:
    """A meter or resource with the way to it; what is neither has none."""
    href = ""
    if name in {meter.id for meter in site.topology.meters}:
        href = visit.link(f"/{site.name}/meter/{name}")
    elif is_feed(name):
        href = visit.link(f"/{site.name}/agent/{name.partition('/')[0]}")
    return Fact(name, text, href)


def _checks(visit: Visit, site: Site, checks: Sequence[CheckStanding]) -> Table:
    """Every check that is not judged now, or is broken, before those that hold."""
    language = visit.language
    rank = {Outcome.BROKEN: 0, Outcome.NOT_JUDGED: 1, Outcome.HOLDS: 2}
    ordered = sorted(checks, key=lambda check: (rank[check.outcome], check.upper))
    rows = [
        [
            Cell(
                f"{_side(check.lower)} {'=' if check.kind is Kind.PHASES else '≤'} "
                f"{_side(check.upper)}",
                language(f"ticket_kind_{check.kind}"),
            ),
            Cell(
                language(f"outcome_{check.outcome}"),
                _why(language, check),
            ),
            Cell(
                language(
                    "ticket_hours_of",
                    broken=language.number(check.broken),
                    hours=language.number(check.hours),
                )
            ),
        ]
        for check in ordered[:MOST_CHECKS]
    ]
    columns = [
        Column(language("check")),
        Column(language("newest_hour")),
        Column(language("ticket_hours"), number=True),
    ]
    more = max(0, len(ordered) - MOST_CHECKS)
    elsewhere = f"/api/v1/tickets?site={site.name}"
    return Table(language("checks"), columns, rows, more, elsewhere)


def _why(language: Language, check: CheckStanding) -> str:
    if check.gap is None:
        return ""
    text = language(f"gap_{check.gap}")
    return f"{text}{language('colon')}{check.about}" if check.about else text


def _reconciliation(language: Language, site: Site, found: Iterable[Reconciliation]) -> Table:
    rows = [
        [
            Cell(one.tenant or language("whole_site"), _month(language, site, one)),
            Cell(language("not_measured"), language.reason(one.reason or ""))
            if one.ratio is None
            else Cell(language.percent(one.ratio)),
            Cell(_energy(language, one.hosts_energy), language.percent(one.hosts_coverage)),
            Cell(_energy(language, one.it_energy), language.percent(one.it_coverage)),
            Cell(language.number(one.hosts)),
        ]
        for one in found
    ]
    columns = [
        Column(language("tenant")),
        Column(language("reconciliation_ratio"), number=True),
        Column(language("reconciliation_hosts"), number=True),
        Column(language("reconciliation_it"), number=True),
        Column(language("hosts_count"), number=True),
    ]
    return Table(language("reconciliation"), columns, rows)


def _month(language: Language, site: Site, one: Reconciliation) -> str:
    start, end = (language.moment(at, site.zone) for at in (one.start_ms, one.end_ms))
    return language("from_to", start=start, end=end)


def _energy(language: Language, energy: float | None) -> str:
    return "–" if energy is None else language.total(energy, "J")
