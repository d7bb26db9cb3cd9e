"""What each role may do. The one table: whatever is guarded asks it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ALL: Final = "*"
"""In lists of sites and of tenants: every one."""


class Permission(StrEnum):
    """What a route of the console, the JSON interface or /metrics asks of its visitor."""

    OPEN = "open"
    """Nothing: whether the process lives, the sign-in form, the stylesheet."""
    READ = "read"
    """Figures: sites, indicators, meters."""
    AGENTS = "agents"
    """Agents and their newest readings."""
    WATCH = "watch"
    """/metrics, /readyz and the faults: they tell of all sites at once."""
    RELEASE = "release"
    """End the quarantine of an agent."""
    ACKNOWLEDGE = "acknowledge"
    """Say that one has seen a ticket of the cross-checks."""
    PLAN = "plan"
    """Declare planned events, which hold alerts back and change what readings mean."""
    SCENARIOS = "scenarios"
    """Save and delete scenarios of GPU capacity, which change nothing that is measured."""
    ATTEST = "attest"
    """Enter manual and attested values."""
    CLOSE = "close"
    """Close a quarter: what stands then is reported."""
    APPROVE = "approve"
    """Confirm a value that somebody else entered, approve a quarter that somebody else closed."""
    MANAGE = "manage"
    """See who changed what."""


class Role(StrEnum):
    """What a person or a program is to the console."""

    READER = "reader"
    OPERATOR = "operator"
    OFFICER = "officer"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


_SEE: Final = frozenset({Permission.READ, Permission.AGENTS, Permission.WATCH})

MAY: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.READER: _SEE,
    Role.OPERATOR: _SEE
    | {Permission.RELEASE, Permission.ACKNOWLEDGE, Permission.PLAN, Permission.SCENARIOS},
    Role.OFFICER: _SEE
    | {Permission.PLAN, Permission.SCENARIOS, Permission.ATTEST, Permission.CLOSE},
    Role.APPROVER: _SEE | {Permission.APPROVE},
    Role.ADMINISTRATOR: _SEE | {Permission.RELEASE, Permission.ACKNOWLEDGE, Permission.MANAGE},
}
"""Nobody both enters and approves, and who hands out access does neither."""

WHOLE: Final = frozenset({Permission.WATCH})
"""Only for who may see every site whole: what they open cannot be parted by site or tenant."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One role over some sites and tenants; None stands for every one."""

    role: Role
    sites: frozenset[str] | None = None
    tenants: frozenset[str] | None = None
    share_site_indicators: bool = False
    """For a grant that is limited to tenants: the site's indicators, without their totals."""

    def may(self, permission: Permission) -> bool:
        """Whether the role may do it at all."""
        return permission is Permission.OPEN or permission in MAY[self.role]
