"""What agents exist: who was heard, when, under which boot id, and what each one measures.

Kept in memory and rebuilt from what arrives: births and states are retained by the broker.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import Address, Birth, State

MAX_AGENTS: Final = 20_000
"""Beyond it the agent that was silent longest is forgotten."""

OVERLAP_MS: Final = 10_000
"""Two boot ids of one agent heard over a common span this long are two processes. What an ended
process still had in its socket may mix with its successor's first packs, but not for so long: a
plain restart is no clone."""
QUIET_MS: Final = 15 * 60_000
"""A quarantine ends when only one boot id was heard for this long. Longer than the longest
back-off of an agent that gets no answers (5 min), so that both twins are heard within it."""

MAX_RESOURCES: Final = 1_000_000
"""Of all birth documents together; beyond it a birth document is not kept."""

_REMEMBERED_BOOTS: Final = 4


@dataclass(slots=True, eq=False)
class Agent:
    """One agent as the collector knows it. Times in milliseconds since the Unix epoch."""

    address: Address
    first_seen_ms: int
    last_seen_ms: int
    """When anything of it was received, except what the broker had retained."""
    last_pack_ms: int | None = None
    """When its last usable pack was received."""
    newest_ms: int | None = None
    """The newest time stamp among its packs."""
    oldest_ms: int | None = None
    """Its ``bfrom``: all batches before this moment are settled."""
    boot: str = ""
    birth: Birth | None = None
    state: State | None = None
    skew_ms: int | None = None
    """Receipt minus ``sent_at`` of the last live state: clock difference plus time on the way."""
    quarantined_since_ms: int | None = None
    twins: tuple[str, str] | None = None
    """The boot ids that alternate, while quarantined."""
    _heard: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    """First and last pack of each boot id heard lately; of the present one, the first only."""
    _changed_ms: int = 0

    @property
    def online(self) -> bool | None:
        """What its last state said; None when it never said anything."""
        return None if self.state is None else self.state.online

    @property
    def quarantined(self) -> bool:
        """Whether nothing of it is stored or answered, because two of it speak."""
        return self.quarantined_since_ms is not None

    def heard(self, boot: str, now_ms: int) -> bool:
        """Note a usable pack; whether a quarantine began or ended by it."""
        before_ms, self.last_pack_ms = self.last_pack_ms, now_ms
        if boot == self.boot:
            if self.quarantined_since_ms is None or now_ms - self._changed_ms < QUIET_MS:
                return False
            self.release()
            return True
        return self._changed_over(boot, now_ms, before_ms)

    def release(self) -> None:
        """End a quarantine and forget what led to it."""
        self.quarantined_since_ms = None
        self.twins = None
        self._heard.clear()

    def _changed_over(self, boot: str, now_ms: int, before_ms: int | None) -> bool:
        other, self.boot, self._changed_ms = self.boot, boot, now_ms
        if before_ms is not None and other:
            self._heard[other] = (self._heard.get(other, (before_ms, 0))[0], before_ms)
        recent = {b: span for b, span in self._heard.items() if now_ms - span[1] < QUIET_MS}
        self._heard = dict(list(recent.items())[-_REMEMBERED_BOOTS:])
        first_ms = self._heard.setdefault(boot, (now_ms, now_ms))[0]
        if self.quarantined or other not in self._heard:
            return False
        other_first_ms, other_last_ms = self._heard[other]
        if other_last_ms - max(first_ms, other_first_ms) < OVERLAP_MS:
            return False
        self.quarantined_since_ms = now_ms
        self.twins = (other, boot)
        return True


class Inventory:
    """All agents heard of, bounded in number."""

    def __init__(self, limit: int = MAX_AGENTS) -> None:
        self.limit = limit
        self.forgotten = 0
        """Agents that had to be forgotten because there were more than ``limit``."""
        self._agents: OrderedDict[Address, Agent] = OrderedDict()
        self._resources = 0

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self._agents.values()))

    def get(self, address: Address) -> Agent | None:
        """The agent of that address, if it was heard of."""
        return self._agents.get(address)

    def of_site(self, site: str) -> list[Agent]:
        """The agents of one site, by name."""
        return sorted(
            (agent for address, agent in self._agents.items() if address.site == site),
            key=lambda agent: agent.address.agent,
        )

    def quarantined(self) -> list[Agent]:
        """The agents of which two speak."""
        return [agent for agent in self._agents.values() if agent.quarantined]

    def seen(self, address: Address, now_ms: int, *, retained: bool = False) -> Agent:
        """The agent that something valid was received from, made known if it is new.

        What the broker had retained is no sign of life.
        """
        agent = self._agents.get(address)
        if agent is None:
            if len(self._agents) >= self.limit:
                _, silent = self._agents.popitem(last=False)
                self._resources -= _resources(silent.birth)
                self.forgotten += 1
            agent = self._agents[address] = Agent(address, now_ms, 0)
        else:
            self._agents.move_to_end(address)
        if not retained:
            agent.last_seen_ms = now_ms
        return agent

    def born(self, address: Address, birth: Birth, now_ms: int, *, retained: bool = False) -> Agent:
        """Note a birth document, where there is room for it."""
        agent = self.seen(address, now_ms, retained=retained)
        grown = self._resources - _resources(agent.birth) + _resources(birth)
        if grown <= MAX_RESOURCES:
            agent.birth, self._resources = birth, grown
        return agent

    def stated(
        self, address: Address, state: State, now_ms: int, *, retained: bool = False
    ) -> Agent:
        """Note a state; a clock's skew shows only in a live one, not in a last will."""
        agent = self.seen(address, now_ms, retained=retained or not state.online)
        agent.state = state
        if state.online and not retained:
            agent.skew_ms = now_ms - round(state.sent_at * 1000)
        elif retained and not agent.last_seen_ms:
            agent.last_seen_ms = min(now_ms, round(state.sent_at * 1000))
        return agent


def _resources(birth: Birth | None) -> int:
    return len(birth.resources) if birth else 0
