"""What one visitor may see: which sites, and of each one all of it or some tenants' things."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jauge_collector.access.roles import Grant, Permission


@dataclass(frozen=True, slots=True)
class Sight:
    """What may be seen of one site; ``tenants`` None: all of it."""

    tenants: frozenset[str] | None = None
    share_site_indicators: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Sites by name. A site that is not in it does not exist for the visitor."""

    sites: Mapping[str, Sight]
    whole: bool
    """Whether it is every site, and all of each."""

    def covers(self, site: str) -> bool:
        """Whether all of a site may be seen."""
        return site in self.sites and self.sites[site].tenants is None


def scope_of(
    grants: Iterable[Grant], permission: Permission, sites: Collection[str]
) -> Scope | None:
    """The union of what the grants give for a permission; None where none gives it."""
    able = [grant for grant in grants if grant.may(permission)]
    if not able:
        return None
    found: dict[str, Sight] = {}
    for site in sites:
        over = [grant for grant in able if grant.sites is None or site in grant.sites]
        if any(grant.tenants is None for grant in over):
            found[site] = Sight()
        elif over:
            tenants = frozenset(name for grant in over for name in grant.tenants or ())
            found[site] = Sight(tenants, any(grant.share_site_indicators for grant in over))
    return Scope(found, all(site in found and found[site].tenants is None for site in sites))
