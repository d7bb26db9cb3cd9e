"""The page *Fleet health*: how many series agents bring, against the budgets, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from jauge_models.budgets import Budgets, Family, family_of
from jauge_models.wire import Address

from jauge_collector.console.guard import SCOPE
from jauge_collector.console.overview import presence_cell
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.scoped import ScopedFigures, Scoping
from jauge_collector.console.text import Language
from jauge_collector.console.views import AgentView
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

LEFT_OUT: Final = "left_out"
"""Label of a resource in a birth: series that the agent left out of it, parts included."""

_LONGEST_ID: Final = 9
_LONGEST_NAME: Final = 24
"""Characters shown of both: an id of 36 in each column pushes the last ones off the screen."""

MOST_ROWS: Final = 100
"""Of agents, the worst first: what keeps the page below 150 kB."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of one agent: of all its resources, or of those that a visitor may see."""

    view: AgentView
    names: Mapping[str, str]
    """What its resources are called, as far as it says, by resource."""
    series: int | None
    """Since its day began, of all resources; None where some are not the visitor's."""
    used: Mapping[str, int]
    """Series by host, guest and GPU."""
    readings_left_out: Mapping[str, int]
    """By this collector, by resource."""
    series_left_out: Mapping[str, int | None]
    """By the agent itself, by resource; None where it is not said how many."""

    @property
    def over(self) -> int:
        """Resources of which something is left out."""
        return len({*self.readings_left_out, *self.series_left_out})

    def shown(self, resource: str) -> str:
        """A resource's name and the begin of its id; or its id, where it has no name."""
        kind, colon, ident = resource.partition(":")
        name = self.names.get(resource, "")
        if name in ("", resource, ident):
            return resource
        begin = ident if len(ident) <= _LONGEST_ID else f"{ident[: _LONGEST_ID - 1]}…"
        if len(name) > _LONGEST_NAME:
            name = f"{name[: _LONGEST_NAME - 1]}…"
        return f"{name} ({kind}{colon}{begin})"

    def of(self, family: Family) -> dict[str, int]:
        """Series by resource of one family."""
        return {one: number for one, number in self.used.items() if family_of(one) is family}

    def fullest(self, budgets: Budgets) -> float:
        """Largest part of its budget that a resource has used up."""
        shares = (
            number / budgets.of(family)
            for one, number in self.used.items()
            if (family := family_of(one)) is not None
        )
        return max(shares, default=0.0)


class Fleet:
    """Answers requests for the page."""

    def __init__(self, state: ServiceState, scoping: Scoping) -> None:
        self._state = state
        self._scoping = scoping

    async def page(self, request: web.Request) -> web.Response:
        """One site's agents."""
        visit, figures = Visit.of(request), self._scoping.of(request[SCOPE])
        try:
            site = figures.site(request.match_info["site"])
        except KeyError:
            raise web.HTTPNotFound from None
        standings = await self._standings(site, figures)
        return visit.html(
            "fleet.html.j2",
            **self._context(visit, site, standings),
            withheld=not figures.totals(site.name),
        )

    def _context(self, visit: Visit, site: Site, standings: Sequence[Standing]) -> dict[str, Any]:
        language, budgets = visit.language, self._state.config.budget.budgets
        worst = sorted(
            standings, key=lambda one: (-one.over, -one.fullest(budgets), one.view.agent)
        )
        facts = [
            Fact(name, language("fleet_budget", number=language.number(budgets.of(family))))
            for family, name in _names(language).items()
        ]
        limit = language.number(self._state.config.store.series_per_agent)
        return {
            "site": site,
            "facts": [
                *facts,
                Fact(language("fleet_agent"), language("fleet_budget", number=limit)),
                Fact(
                    language("fleet_over"),
                    language.number(sum(one.over for one in standings)),
                    chip="warn" if any(one.over for one in standings) else "good",
                ),
            ],
            "table": Table(
                language("agents"),
                [
                    Column(language("agent")),
                    Column(language("fleet_left_out")),
                    *(Column(name, number=True) for name in _names(language).values()),
                    Column(language("fleet_series"), number=True),
                    Column(language("presence")),
                ],
                [_row(visit, site, one, budgets) for one in worst[:MOST_ROWS]],
                more=max(0, len(worst) - MOST_ROWS),
            ),
            "moment": language.moment(visit.now_ms, site.zone, seconds=True),
        }

    async def _standings(self, site: Site, figures: ScopedFigures) -> list[Standing]:
        views = figures.agents(site.name)
        if figures.totals(site.name):
            return [self._whole(view) for view in views]
        return [await self._own(site, figures, view) for view in views]

    def _whole(self, view: AgentView) -> Standing:
        inventory, address = self._state.inventory, Address(view.site, view.agent)
        known, use = inventory.get(address), inventory.use(address)
        birth = known.birth if known is not None else None
        resources = birth.resources if birth is not None else []
        labels = {one.id: one.labels for one in resources}
        return Standing(
            view,
            {one.id: one.name for one in resources},
            use.series if use is not None else 0,
            use.used if use is not None else {},
            use.left_out if use is not None else {},
            _said(labels),
        )

    async def _own(self, site: Site, figures: ScopedFigures, view: AgentView) -> Standing:
        """Of what a visitor has of an agent, and had when it was last read."""
        found = await figures.agent(site.name, view.agent)
        own = [
            one
            for one in (found[1] if found is not None else ())
            if any(reading.value is not None for reading in one.readings)
        ]
        labels = {one.id: one.labels for one in own}
        use = self._state.inventory.use(Address(view.site, view.agent))
        used, left_out = (use.used, use.left_out) if use is not None else ({}, {})
        return Standing(
            view,
            {one.id: one.name for one in own},
            None,
            {one: number for one, number in used.items() if one in labels},
            {one: number for one, number in left_out.items() if one in labels},
            _said(labels),
        )


def _said(labels: Mapping[str, Mapping[str, str]]) -> dict[str, int | None]:
    """What an agent says that it left out; pseudonyms hide how much."""
    told = {one: of_it[LEFT_OUT] for one, of_it in labels.items() if LEFT_OUT in of_it}
    return {one: int(text) if text.isdecimal() else None for one, text in told.items()}


def _names(language: Language) -> dict[Family, str]:
    return {
        Family.HOST: language("fleet_host"),
        Family.GUEST: language("fleet_guest"),
        Family.GPU: language("fleet_gpu"),
    }


def _row(visit: Visit, site: Site, one: Standing, budgets: Budgets) -> list[Cell]:
    language = visit.language
    return [
        Cell(one.view.agent, href=visit.link(f"/{site.name}/agent/{one.view.agent}")),
        _left_out(language, one),
        *(_used(language, one, family, budgets.of(family)) for family in Family),
        Cell("–" if one.series is None else language.number(one.series)),
        presence_cell(language, one.view),
    ]


def _left_out(language: Language, one: Standing) -> Cell:
    """What is left out, by whom, and of which resource first."""
    if not one.over:
        return Cell(language("fleet_within"), chip="good")
    words: list[str] = []
    if one.series_left_out:
        said = [number for number in one.series_left_out.values() if number is not None]
        some = len(said) < len(one.series_left_out)
        number = language("unknown") if some else language.number(sum(said))
        words.append(language("fleet_by_agent", number=number))
    if one.readings_left_out:
        number = language.number(sum(one.readings_left_out.values()))
        words.append(language("fleet_by_collector", number=number))
    first = one.shown(min({*one.readings_left_out, *one.series_left_out}))
    named = language("fleet_of", number=language.number(one.over), first=first)
    return Cell(" · ".join(words), sub=named, chip="bad")


def _used(language: Language, one: Standing, family: Family, budget: int) -> Cell:
    """How full the fullest of a family is, its name, and how many there are."""
    used = one.of(family)
    if not used:
        return Cell("–")
    name = max(used, key=lambda each: used[each])
    text = language("of_all", number=language.number(used[name]), all=language.number(budget))
    more = "" if len(used) == 1 else f" (1/{language.number(len(used))})"
    return Cell(text, sub=f"{one.shown(name)}{more}")
