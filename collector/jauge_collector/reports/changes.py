"""What came to a site's inventory in a quarter, and what left it."""

from collections.abc import Iterable

from jauge_models.compliance.denominator import Removal
from jauge_models.compliance.windows import Window

from jauge_collector.registers.servers import Server, ServerKind
from jauge_collector.reports.content import InventoryChange


def changes(
    servers: Iterable[Server], removals: Iterable[Removal], site: str, quarter: Window
) -> tuple[InventoryChange, ...]:
    """Changes by day, then by id; a server that only moves within the site is none."""
    here = [s for s in servers if s.site in {"", site} and s.kind is not ServerKind.CLOUD]
    ended = {(server.id, server.valid_to) for server in here}
    found = [
        InventoryChange(server=server.id, day=server.valid_from, came=True)
        for server in here
        if server.valid_from is not None
        and quarter.first <= server.valid_from <= quarter.last
        and (server.id, server.valid_from) not in ended
    ]
    found += [
        InventoryChange(server=gone.server, day=gone.day, came=False, reason=gone.reason)
        for gone in removals
    ]
    return tuple(sorted(found, key=lambda one: (one.day, one.server, one.came)))
