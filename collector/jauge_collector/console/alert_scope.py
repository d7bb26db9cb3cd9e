"""Which alerts a visitor may see: by the labels that say of what they are.

An alert of a site is for who sees all of that site. One without a site is of broker, store or
collector: whoever sees a whole site may know it, unless a label names a thing (an instance, an
agent), which may be another site's. A visitor who is limited to tenants sees an alert that names
things of theirs and of nobody else's, since it began; a label that is not known to name no thing
may name another's.
"""

from collections.abc import Mapping
from typing import Final

from jauge_models.topology import Validity

from jauge_collector.access.scope import Scope
from jauge_collector.access.tenancy import Held, Tenancy, holds, within
from jauge_collector.console.alertmanager import Alert, Matcher, Silence

OF_NO_THING: Final = frozenset({"alertname", "alertgroup", "severity", "topic", "team", "use"})
"""Labels that name no thing."""
_THINGS: Final = ("meter", "host", "resource", "agent")
_OF_HOW: Final = frozenset(
    {"category", "class", "commodity", "job", "kind", "kpi", "label", "phase", "quantity"}
    | {"reading", "reason", "source", "state"}
)
"""Labels that say what about a thing, or how, and name none."""
_TELLING: Final = OF_NO_THING | _OF_HOW | {"site", *_THINGS}


class AlertScope:
    """What one visitor may see; ``now_ms`` is the moment of the visit."""

    def __init__(self, scope: Scope, tenancies: Mapping[str, Tenancy], now_ms: int) -> None:
        self._scope = scope
        self._tenancies = tenancies
        self._now = now_ms

    def sees(self, alert: Alert) -> bool:
        """Whether an alert exists for the visitor."""
        if self._scope.whole:
            return True
        site = alert.labels.get("site", "")
        if not site:
            return alert.labels.keys() <= OF_NO_THING and self.any_whole
        sight = self._scope.sites.get(site)
        if sight is None:
            return False
        return sight.tenants is None or self._is_theirs(alert, site, sight.tenants)

    def sees_silence(self, silence: Silence) -> bool:
        """Whether a silence is of sites that the visitor sees all of, and of no other.

        Then they may read who silenced what, and why; of any other the words may tell of anybody.
        """
        of = _of_sites(silence)
        return self._scope.whole or (
            bool(of) and all(not one.is_regex and self._scope.covers(one.value) for one in of)
        )

    @property
    def sees_all(self) -> bool:
        """Whether every alert exists for the visitor."""
        return self._scope.whole

    @property
    def any_whole(self) -> bool:
        """Whether the visitor sees all of one site or more."""
        return any(sight.tenants is None for sight in self._scope.sites.values())

    def _is_theirs(self, alert: Alert, site: str, tenants: frozenset[str]) -> bool:
        if site not in self._tenancies or not alert.labels.keys() <= _TELLING:
            return False
        named = {key: alert.labels[key] for key in _THINGS if alert.labels.get(key)}
        agent = named.get("agent", "")
        if "resource" in named:
            if not agent:
                return False
            named["resource"] = f"{named.pop('agent')}/{named['resource']}"
        return bool(named) and all(
            self._had(self._tenancies[site], key, name, tenants, alert.since_ms)
            for key, name in named.items()
        )

    def _had(
        self, tenancy: Tenancy, key: str, name: str, tenants: frozenset[str], since_ms: int
    ) -> bool:
        """Whether one of the tenants has had a thing since a moment, and has it now."""
        held: Held
        try:
            if key == "agent":
                held = tenancy.agent(name, tenants)
            else:
                held = tenancy.subject(name, tenants)
        except KeyError:
            return False
        until_ms = max(self._now, since_ms + 1)
        span: Validity | None = within(held, since_ms, until_ms)
        return holds(held, self._now) and span is not None


def _of_sites(silence: Silence) -> list[Matcher]:
    return [one for one in silence.matchers if one.name == "site" and one.is_equal]
