"""Purges asked for while another process computes rows: it does them, and leaves the outcome."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update

from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.retention import overwriting


class Request(NamedTuple):
    """A purge that was asked for."""

    key: int
    asked_ms: int
    content: Mapping[str, Any]


def ask(ledger: Ledger, content: Mapping[str, Any], now_ms: int) -> int:
    """Ask the process that computes rows for a purge; its number."""
    t = schema.purge_requests
    asked = insert(t).values(asked_ms=now_ms, content=json.dumps(content)).returning(t.c.id)
    with ledger.transaction(writes=True) as connection:
        return int(connection.execute(asked).scalar_one())


def asked(ledger: Ledger) -> list[Request]:
    """What was asked for and is not done, in that order."""
    t = schema.purge_requests.c
    waiting = select(t.id, t.asked_ms, t.content).where(t.outcome.is_(None)).order_by(t.id)
    with ledger.transaction(writes=False) as connection:
        return [
            Request(row.id, row.asked_ms, json.loads(row.content))
            for row in connection.execute(waiting)
        ]


def answer(ledger: Ledger, request: Request, outcome: Mapping[str, Any]) -> None:
    """Leave the outcome of a request, and forget what it asked."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        overwriting(connection)
        told = update(t).where(t.c.id == request.key)
        connection.execute(told.values(outcome=json.dumps(outcome), content=""))


def answered(ledger: Ledger, key: int) -> dict[str, Any] | None:
    """The outcome of a request, once, or None while there is none."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        outcome = connection.execute(select(t.c.outcome).where(t.c.id == key)).scalar()
        if outcome is None:
            return None
        connection.execute(delete(t).where(t.c.id == key))
    found: dict[str, Any] = json.loads(outcome)
    return found


def withdraw(ledger: Ledger, key: int) -> None:
    """Ask no longer."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        overwriting(connection)
        connection.execute(delete(t).where(t.c.id == key))


def drop_old(ledger: Ledger, before_ms: int) -> None:
    """Forget outcomes that nobody came for."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        connection.execute(delete(t).where(t.c.asked_ms < before_ms, t.c.outcome.is_not(None)))
