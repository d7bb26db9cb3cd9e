"""The forms of the compliance record: attest, confirm, close and approve."""

from collections.abc import Mapping

from aiohttp import web

from jauge_collector.console import reporting
from jauge_collector.console.attestation_form import Draft, Form, Problem, read_form
from jauge_collector.console.attesting import Attesting
from jauge_collector.console.changes import ConflictError, UnrecordedError
from jauge_collector.console.compliance_pages import CompliancePages, places_of
from jauge_collector.console.compliance_words import Asked
from jauge_collector.console.figures import now_ms
from jauge_collector.console.guard import FORM, VISITOR
from jauge_collector.console.record_access import RecordAccess, number_of
from jauge_collector.console.reporting import Reporting
from jauge_collector.console.statement_form import STATED, Statement, read_statement
from jauge_collector.console.uploads import RECEIVED, Received


class ComplianceForms:
    """What an officer and an approver do, each act to the whole of a site."""

    def __init__(
        self,
        access: RecordAccess,
        pages: CompliancePages,
        attesting: Attesting,
        reports: Reporting,
    ) -> None:
        self._access = access
        self._pages = pages
        self._attesting = attesting
        self._reporting = reports

    async def attest(self, request: web.Request) -> web.Response:
        """What somebody answers for: of a meter, a room or a paper."""
        asked = await self._access.of_an_act(request)
        fields, received = request[FORM], request[RECEIVED]
        draft = await _draft(asked, fields, received)
        if not isinstance(draft, Form):
            try:
                kept = await self._attesting.attest(
                    request[VISITOR], asked.site, draft, received, fields
                )
            except UnrecordedError as error:
                raise web.HTTPServiceUnavailable(text=str(error)) from None
            if not isinstance(kept, Form):
                aside = await self._attesting.is_set_aside(asked.site, draft)
                raise _back(asked, "attestations", "attest_aside" if aside else "attest_done")
            draft = kept
        asked.visit.shown_at = f"/{asked.site.name}/compliance/attestations"
        return await self._pages.attestations_of(asked, request, sent=draft)

    async def confirm(self, request: web.Request) -> web.Response:
        """A second person vouches for what another entered."""
        asked = await self._access.of_an_act(request)
        number = number_of(request[FORM].get("entry", ""))
        try:
            outcome = await self._attesting.confirm(request[VISITOR], asked.site, number)
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        raise _back(asked, "attestations", outcome)

    async def close(self, request: web.Request) -> web.Response:
        """Begin to close a quarter."""
        asked = await self._access.of_an_act(request, request[FORM].get("quarter", ""))
        outcome = "close_begun"
        try:
            await self._reporting.close(
                request[VISITOR], asked.site, asked.quarter, asked.standing, _note(request)
            )
        except ConflictError as error:
            outcome = str(error)
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        raise _back(asked, "reports", outcome)

    async def approve(self, request: web.Request) -> web.Response:
        """Approve a quarter that another closed."""
        asked = await self._access.of_an_act(request, request[FORM].get("quarter", ""))
        try:
            outcome = await self._reporting.approve(
                request[VISITOR], asked.site, asked.quarter.name, _note(request)
            )
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        raise _back(asked, "reports", outcome)


async def _draft(
    asked: Asked, fields: Mapping[str, str], received: Received
) -> Draft | Statement | Form:
    """What a form of either sort says."""
    language = asked.visit.language
    if fields.get("kind", "") not in STATED:
        return read_form(fields, received, asked.site, language, now_ms())
    places = await places_of(asked.site)
    if places is None:
        return Form(fields, (Problem("", language("registers_unreadable")),))
    return read_statement(fields, received, asked.site, places, language=language, at_ms=now_ms())


def _back(asked: Asked, page: str, outcome: str) -> web.HTTPSeeOther:
    path = f"/{asked.site.name}/compliance/{page}"
    return web.HTTPSeeOther(asked.visit.link(path, outcome=outcome))


def _note(request: web.Request) -> str:
    text = request[FORM].get("note", "")
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[: reporting.LONGEST_NOTE]
