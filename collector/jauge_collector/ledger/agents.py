"""What agents say of themselves, as the ledger's database holds it.

Each function joins its caller's transaction; ``statement`` is an insert into the function's table.
"""

from collections.abc import Mapping
from typing import Any, Final

from jauge_models.wire import Method
from sqlalchemy import Connection, delete, func, select

from jauge_collector.ledger import schema

MAX_METHODS_OF_AGENT: Final = 65_536
"""Twice what the largest birth, 10 000 resources, has of quantities that the ledger asks for."""


def set_oldest(
    connection: Connection, statement: Any, oldest_ms: Mapping[tuple[str, str], int]
) -> None:
    """Keep ``bfrom`` by (site, agent)."""
    if not oldest_ms:
        return
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(schema.agents.primary_key),
            set_={"oldest_ms": statement.excluded.oldest_ms},
        ),
        [
            {"site": site, "agent": agent, "oldest_ms": oldest}
            for (site, agent), oldest in oldest_ms.items()
        ],
    )


def oldest_of(connection: Connection, site: str) -> dict[str, int]:
    """``bfrom`` of every agent of a site that ever sent one."""
    t = schema.agents.c
    found = connection.execute(select(t.agent, t.oldest_ms).where(t.site == site))
    return {row.agent: row.oldest_ms for row in found}


def set_methods(
    connection: Connection,
    statement: Any,
    site: str,
    agent: str,
    methods: Mapping[tuple[str, str], Method],
) -> None:
    """See `Ledger.set_methods`."""
    table = schema.methods
    of_agent = (table.c.site == site) & (table.c.agent == agent)
    keep = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={"method": statement.excluded.method},
    )
    rows = [
        {
            "site": site,
            "agent": agent,
            "resource": resource,
            "quantity": quantity,
            "method": method.value,
        }
        for (resource, quantity), method in methods.items()
    ]
    connection.execute(keep, rows)
    counted = select(func.count()).select_from(table).where(of_agent)
    if connection.execute(counted).scalar_one() > MAX_METHODS_OF_AGENT:
        connection.execute(delete(table).where(of_agent))
        connection.execute(keep, rows)


def methods_of(connection: Connection, site: str) -> dict[tuple[str, str, str], Method]:
    """The kept methods of a site by (agent, resource, quantity)."""
    t = schema.methods.c
    return {
        (agent, resource, quantity): Method(method)
        for agent, resource, quantity, method in connection.execute(
            select(t.agent, t.resource, t.quantity, t.method).where(t.site == site)
        )
    }
