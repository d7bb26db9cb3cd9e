"""What a visitor may change: each change is written down before it is made."""

import asyncio
import logging
import time
from typing import Final

from jauge_models.wire import Address

from jauge_collector.access.audit import AuditLog, Change
from jauge_collector.access.scope import Scope
from jauge_collector.console.figures import now_ms
from jauge_collector.console.gate import Visitor
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.ledger.tickets import LONGEST_NOTE, TicketBook
from jauge_collector.state import ServiceState

_log = logging.getLogger(__name__)

MOST_SHOWN: Final = 200
_AGAIN_S: Final = 60.0
_MOST_REMEMBERED: Final = 2_000


class ConflictError(Exception):
    """What was to be changed is not so any more."""


class UnrecordedError(Exception):
    """The change could not be written down, so it was not made."""

    def __init__(self) -> None:
        super().__init__("the change could not be recorded and was not made; see the log")


class Changes:
    """Every change by the console."""

    def __init__(self, state: ServiceState, audit: AuditLog) -> None:
        self._state = state
        self._audit = audit
        self._signed: dict[tuple[str, str, str], float] = {}

    async def release(self, who: Visitor, figures: ScopedFigures, site: str, name: str) -> None:
        """End an agent's quarantine.

        Raises KeyError for an agent that does not exist for the visitor, `ConflictError` where it
        is in no quarantine, `UnrecordedError`.
        """
        if name not in {view.agent for view in figures.agents(site)}:
            raise KeyError(name)
        agent = self._state.inventory.get(Address(site, name))
        if agent is None:
            raise KeyError(name)
        if not agent.quarantined:
            raise ConflictError(f"{site}/{name} is in no quarantine")
        await self._record(who, "agent.release", site, name, detail=", ".join(agent.twins or ()))
        if not self._state.inventory.release(agent.address, by=who.name):
            raise ConflictError(f"{site}/{name} is in no quarantine any more")

    async def acknowledge(
        self, who: Visitor, figures: ScopedFigures, site: str, ticket: int, note: str
    ) -> None:
        """Note that somebody has seen a ticket.

        Raises KeyError for one that does not exist for the visitor, `ConflictError` where it is
        resolved or was seen before, `UnrecordedError`, LedgerError.
        """
        found = await figures.tickets(site)
        known = next((one for one in found.tickets if one.id == ticket), None)
        if known is None:
            raise KeyError(ticket)
        stale = f"ticket {ticket} is resolved, or was acknowledged before"
        if known.resolved_ms is not None or known.acknowledged_ms is not None:
            raise ConflictError(stale)
        note = "".join(c if c.isprintable() else " " for c in note).strip()[:LONGEST_NOTE]
        await self._record(who, "ticket.acknowledge", site, str(ticket), detail=note)
        book = TicketBook(self._state.ledger)
        if not await asyncio.to_thread(
            book.acknowledge, site, ticket, by=who.name, note=note, now_ms=now_ms()
        ):
            raise ConflictError(stale)

    async def note(
        self, who: Visitor, what: str, site: str, subject: str, detail: str = ""
    ) -> None:
        """Write down what somebody is about to do to a site. Raises `UnrecordedError`."""
        await self._record(who, what, site, subject, detail)

    async def signed(self, who: Visitor, what: str) -> None:
        """Note that somebody came or went; where that cannot be written, the log holds it.

        Once a minute at most for each and from each address: else whoever signs in over and over
        would drive what others changed out of the record.
        """
        key, now_s = (who.name, what, who.source), time.monotonic()
        if now_s - self._signed.get(key, -_AGAIN_S) < _AGAIN_S:
            return
        self._signed[key] = now_s
        if len(self._signed) > _MOST_REMEMBERED:
            del self._signed[next(iter(self._signed))]
        try:
            await self._record(who, what)
        except UnrecordedError:
            _log.warning("unrecorded: %s %s from %s", who.name, what, who.source)

    async def newest(self, scope: Scope) -> list[Change]:
        """The newest changes that concern a scope, newest first."""
        try:
            found = await asyncio.to_thread(self._audit.newest, MOST_SHOWN)
        except OSError as error:
            _log.error("the record of changes cannot be read: %s", error)
            return []
        return [change for change in found if scope.whole or scope.covers(change.site)]

    async def _record(
        self, who: Visitor, what: str, site: str = "", subject: str = "", detail: str = ""
    ) -> None:
        change = Change(
            time_ms=now_ms(),
            who=who.name,
            how=who.how,
            source=who.source,
            what=what,
            site=site,
            subject=subject,
            detail=detail,
        )
        try:
            await asyncio.to_thread(self._audit.add, change)
        except OSError as error:
            _log.error("the record of changes cannot be written: %s", error)
            raise UnrecordedError from None
