"""The register of servers: filtered, sorted and paged, as a file, and one page for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from jauge_models.compliance.criteria import SERVER_CRITERIA
from jauge_models.compliance.results import Outcome
from jauge_models.compliance.status import CriterionResult, Result

from jauge_collector.compliance.report import first_blocking
from jauge_collector.console.compliance_scope import Seen
from jauge_collector.console.compliance_views import criteria_table
from jauge_collector.console.compliance_words import (
    Asked,
    criterion_name,
    frame,
    kwh,
    reason,
    result_cell,
)
from jauge_collector.console.hosting_words import Pages
from jauge_collector.console.records import Found
from jauge_collector.console.rendering import Cell, Column, Fact, Table
from jauge_collector.csv_text import Cell as Value
from jauge_collector.csv_text import written

ON_A_PAGE: Final = 100
LONGEST_QUERY: Final = 100
_MOST_CHOICES: Final = 200
_SORTS: Final[Mapping[str, Callable[[Outcome], tuple[object, ...]]]] = {
    "server": lambda each: (each.machine.id,),
    "result": lambda each: (-each.result.rank, each.machine.id),
    "rack": lambda each: (each.machine.rack, each.machine.id),
    "body": lambda each: (each.machine.owner, each.machine.used_by, each.machine.id),
    "energy": lambda each: (-(each.machine.energy_kwh or 0.0), each.machine.id),
}
SORTS: Final = tuple(_SORTS)
"""What the list may be sorted by; the first where none is asked for."""


class UnknownServerError(Exception):
    """A machine that the record has not, or that the visitor may not see."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the register is asked for; empty for all of it."""

    text: str = ""
    result: str = ""
    criterion: str = ""
    """One that a server does not pass."""
    rack: str = ""
    body: str = ""
    """Of who owns or uses it."""
    sort: str = SORTS[0]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Filter":
        """A request's; what is none of the choices is as if it had not been asked."""

        def text(name: str) -> str:
            return " ".join(query.get(name, "")[:LONGEST_QUERY].split())

        result, criterion, sort = text("result"), text("criterion"), text("sort")
        return cls(
            text=text("q"),
            result=result if result in Result.__members__.values() else "",
            criterion=criterion if criterion in _CRITERIA else "",
            rack=text("rack"),
            body=text("body"),
            sort=sort if sort in SORTS else SORTS[0],
        )

    @property
    def query(self) -> dict[str, str]:
        """As it stands in an address."""
        parts = {
            "q": self.text,
            "result": self.result,
            "criterion": self.criterion,
            "rack": self.rack,
            "body": self.body,
            "sort": self.sort if self.sort != SORTS[0] else "",
        }
        return {name: text for name, text in parts.items() if text}

    def chosen(self, servers: Sequence[Outcome]) -> list[Outcome]:
        """The servers that it lets through, sorted."""
        return sorted((each for each in servers if self._passes(each)), key=_SORTS[self.sort])

    def _passes(self, each: Outcome) -> bool:
        machine = each.machine
        if self.result and each.result != self.result:
            return False
        if self.rack and machine.rack != self.rack:
            return False
        if self.body and self.body not in (machine.owner, machine.used_by):
            return False
        if self.criterion and not any(
            one.criterion == self.criterion and not one.status.passes for one in each.criteria
        ):
            return False
        return not self.text or any(
            self.text.casefold() in text.casefold() for text in _texts(each)
        )


_CRITERIA: Final = tuple(row.id for row in SERVER_CRITERIA)


def _texts(each: Outcome) -> Sequence[str]:
    machine = each.machine
    return (machine.id, machine.rack, machine.owner, machine.used_by, *machine.seen_by)


def servers(asked: Asked, found: Found, seen: Seen, wanted: Filter, page: int) -> dict[str, Any]:
    """What the template of the register needs."""
    language = asked.visit.language
    shown = wanted.chosen(seen.servers)
    last = max(1, -(-len(shown) // ON_A_PAGE))
    page = min(max(1, page), last)

    def to(other: int) -> str:
        if not 1 <= other <= last:
            return ""
        return asked.link("servers", **wanted.query, page=str(other))

    first = (page - 1) * ON_A_PAGE
    machines = [each.machine for each in seen.servers]
    bodies = {name for machine in machines for name in (machine.owner, machine.used_by)}
    return {
        **frame(asked, "servers", found),
        "withheld": "" if seen.whole else language("record_own_servers"),
        "wanted": wanted,
        "query_length": LONGEST_QUERY,
        "action": f"/{asked.site.name}/compliance/servers",
        "hidden": _hidden(asked),
        "results": [(result.value, asked.words.name(result)) for result in Result],
        "criteria": [(each, criterion_name(asked, each)) for each in _CRITERIA],
        "racks": sorted({machine.rack for machine in machines if machine.rack})[:_MOST_CHOICES],
        "bodies": sorted(name for name in bodies if name)[:_MOST_CHOICES],
        "sorts": [(name, language(f"sort_{name}")) for name in SORTS],
        "found": language(
            "servers_found",
            count=language.number(len(shown)),
            total=language.number(len(seen.servers)),
        ),
        "csv": asked.link("servers.csv", **wanted.query),
        "all": asked.link("servers"),
        "pages": Pages(page, last, to(page - 1), to(page + 1)),
        "table": _table(asked, found, shown[first : first + ON_A_PAGE]),
    }


def _hidden(asked: Asked) -> list[tuple[str, str]]:
    """What a form by GET must carry along, for it drops the query of its address."""
    kept = [("lang", asked.visit.request.query["lang"])] if asked.visit.asked else []
    return [*kept, ("quarter", asked.quarter.name)] if asked.named else kept


def _table(asked: Asked, found: Found, shown: Sequence[Outcome]) -> Table:
    language = asked.visit.language
    rows = []
    for each in shown:
        machine = each.machine
        why = first_blocking(each, found.record)
        rows.append(
            [
                Cell(machine.id, _listed(asked, each), asked.link("server", id=machine.id)),
                Cell(machine.rack or "–"),
                _body(asked, each),
                result_cell(asked, each.result),
                _why(asked, why),
                Cell(kwh(language, machine.energy_kwh)),
            ]
        )
    columns = [
        Column(language("server")),
        Column(language("rack")),
        Column(language("body")),
        Column(language("result")),
        Column(language("why_not")),
        Column(language("kwh_quarter"), number=True),
    ]
    return Table(language("record_servers"), columns, rows)


def _listed(asked: Asked, each: Outcome) -> str:
    return "" if each.machine.server is not None else asked.visit.language("not_in_inventory")


def _body(asked: Asked, each: Outcome) -> Cell:
    owner, user = each.machine.owner, each.machine.used_by
    if user and user != owner:
        return Cell(owner or "–", asked.visit.language("used_by", name=user))
    return Cell(owner or user or "–")


def _why(asked: Asked, why: CriterionResult | None) -> Cell:
    if why is None:
        return Cell("–")
    if why.criterion.startswith("S") and not asked.whole:
        return Cell(criterion_name(asked, why.criterion))
    return Cell(criterion_name(asked, why.criterion), reason(asked, why))


def server(asked: Asked, found: Found, seen: Seen, name: str) -> dict[str, Any]:
    """What the template of one server needs. Raises `UnknownServerError`."""
    language = asked.visit.language
    each = next((one for one in seen.servers if one.machine.id == name), None)
    if each is None:
        raise UnknownServerError
    machine, listed = each.machine, each.machine.server
    facts = [
        Fact(language("rack"), machine.rack or "–"),
        Fact(language("owner"), machine.owner or "–"),
        Fact(language("user"), machine.used_by or "–"),
        Fact(language("kwh_quarter"), kwh(language, machine.energy_kwh)),
    ]
    if machine.seen_by:
        facts.append(Fact(language("seen_by"), ", ".join(machine.seen_by[:6])))
    if machine.twice:
        facts.append(Fact(language("twice"), ", ".join(machine.twice[:6])))
    if listed is not None and listed.valid_from is not None:
        facts.append(Fact(language("valid_from"), language.day(listed.valid_from)))
    return {
        **frame(asked, "servers", found),
        "server": machine.id,
        "registers": asked.link("servers"),
        "result": result_cell(asked, each.result),
        "own": result_cell(asked, each.own),
        "unlisted": _listed(asked, each),
        "why": _why(asked, first_blocking(each, found.record)),
        "facts": facts,
        "table": criteria_table(asked, each.criteria, "server_criteria", whole=True),
    }


def csv(asked: Asked, found: Found, seen: Seen, wanted: Filter) -> web.Response:
    """The register as a file, as it is filtered."""
    columns = [
        *("server", "rack", "owner", "used_by", "listed", "result", "own_result", "energy_kwh"),
        *_CRITERIA,
        *("blocking", "reason"),
    ]
    rows: list[list[Value]] = []
    for each in wanted.chosen(seen.servers):
        machine = each.machine
        statuses = {one.criterion: one.status.value for one in each.criteria}
        why = first_blocking(each, found.record)
        told = why is not None and (asked.whole or not why.criterion.startswith("S"))
        energy = machine.energy_kwh
        rows.append(
            [
                machine.id,
                machine.rack,
                machine.owner,
                machine.used_by,
                "yes" if machine.server is not None else "no",
                each.result.value,
                each.own.value,
                None if energy is None else round(energy, 3),
                *(statuses.get(criterion) for criterion in _CRITERIA),
                None if why is None else why.criterion,
                reason(asked, why) if why is not None and told else None,
            ]
        )
    name = f"jauge-{asked.site.name}-servers-{asked.quarter.name}.csv"
    return web.Response(
        text=written(columns, rows),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
