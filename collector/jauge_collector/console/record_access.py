"""What every page and form of the compliance record asks first: who sees which site and quarter."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from aiohttp import web

from jauge_collector import civil
from jauge_collector.compliance.life import standing
from jauge_collector.compliance.quarters import Quarter, quarter_of
from jauge_collector.console.compliance_scope import Seen, seen
from jauge_collector.console.compliance_words import Asked
from jauge_collector.console.guard import SCOPE, ForbiddenError
from jauge_collector.console.records import Found, Records, Unusable
from jauge_collector.console.rendering import Visit
from jauge_collector.console.scoped import ScopedFigures, Scoping, WithheldError
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

_Result = TypeVar("_Result")

_OLDEST_YEARS: Final = 11


class Recorded(NamedTuple):
    """A quarter's record as one visitor sees it."""

    asked: Asked
    found: Found
    seen: Seen


class RecordAccess:
    """The one way to the records: what a visitor may not see does not exist."""

    def __init__(self, state: ServiceState, scoping: Scoping, records: Records) -> None:
        self._sites = state.sites
        self._scoping = scoping
        self._records = records

    async def asked(
        self, request: web.Request, quarter: str | None = None, site: str | None = None
    ) -> Asked:
        """The site and quarter of an address, or those that are named.

        Raises HTTPNotFound, HTTPBadRequest, LedgerError and BusyError.
        """
        visit, figures = Visit.of(request), self.figures(request)
        try:
            known = figures.site(request.match_info["site"] if site is None else site)
        except KeyError:
            raise web.HTTPNotFound from None
        named = request.query.get("quarter", "") if quarter is None else quarter
        found = _quarter(named, known, visit.now_ms)
        name = known.name
        stands = await self.read(request, lambda ledger: standing(ledger, name, found.name))
        whole = figures.totals(name)
        return Asked(visit, known, found, stands, whole=whole, named=bool(named))

    async def record(self, request: web.Request, asked: Asked) -> Recorded | Unusable | None:
        """The record, as the visitor may see it; see `Records.get`."""
        # The whole site's: what of it may be seen is decided on the record.
        site = self._sites[asked.site.name]
        found = await self._records.get(site, asked.quarter, asked.standing)
        if not isinstance(found, Found):
            return found
        tenants = request[SCOPE].sites[asked.site.name].tenants
        return Recorded(asked, found, seen(found.record, tenants))

    def figures(self, request: web.Request) -> ScopedFigures:
        """The figures within the visitor's scope."""
        return self._scoping.of(request[SCOPE])

    async def read(self, request: web.Request, work: Callable[[Ledger], _Result]) -> _Result:
        """What is read from the ledger; who asks sees to what of it may be seen."""
        return await self.figures(request).read(work)

    async def of_the_site(self, request: web.Request) -> Asked:
        """As `asked`, for what tells of the whole site. Raises `WithheldError` too."""
        asked = await self.asked(request)
        require_whole(asked)
        return asked

    async def of_an_act(self, request: web.Request, quarter: str | None = None) -> Asked:
        """As `asked`, for what is done to a site: by who may do it to all of it.

        Raises ForbiddenError too.
        """
        asked = await self.asked(request, quarter)
        if not request[SCOPE].covers(asked.site.name):
            raise ForbiddenError("forbidden_scope", "this is done to the whole site")
        return asked


def require_whole(asked: Asked) -> None:
    """Raises `WithheldError` for a visitor who may not see all of the site."""
    if not asked.whole:
        raise WithheldError


def number_of(text: str, otherwise: int = 0) -> int:
    """A whole number out of an address or a form; ``otherwise`` for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else otherwise


def _quarter(text: str, site: Site, at_ms: int) -> Quarter:
    try:
        found = quarter_of(text, site.zone, at_ms)
    except ValueError:
        raise web.HTTPBadRequest(text="quarter") from None
    if civil.day(at_ms, site.zone).year - found.window.first.year > _OLDEST_YEARS:
        raise web.HTTPBadRequest(text="quarter")
    return found
