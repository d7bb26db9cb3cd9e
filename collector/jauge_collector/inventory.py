"""What agents exist: who was heard, when, under which boot id, and what each one measures.

Kept in memory and rebuilt from what arrives: births and states are retained by the broker.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import Address, Birth, State

from jauge_collector.checks import Use
from jauge_collector.faults import printable

_log = logging.getLogger(__name__)

MAX_AGENTS: Final = 20_000
"""Unless configured; beyond it the agent that was silent longest makes room for a new one."""

SILENT_MS: Final = 3_600_000
"""An agent heard within this long makes no room: names that somebody invents drive nobody out."""

OVERLAP_MS: Final = 10_000
"""Two boot ids of one agent heard over a common span this long are two processes. What an ended
process still had in its socket may mix with its successor's first packs, but not for so long: a
plain restart is no clone."""
QUIET_MS: Final = 15 * 60_000
"""A quarantine ends when only one boot id was heard for this long. Longer than the longest
back-off of an agent that gets no answers (5 min), so that both twins are heard within it."""

MAX_RESOURCES: Final = 1_000_000
"""Of all birth documents together, unless configured; beyond it one is not kept."""

MAX_DOCUMENT_BYTES: Final = 256 * 1024**2
"""Of all birth and state documents together, as received; beyond it one is not kept."""

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
    birth_bytes: int = 0
    state_bytes: int = 0
    """Size of the documents that are kept, as received."""

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

    def __init__(self, limit: int = MAX_AGENTS, *, resources: int | None = None) -> None:
        self.limit = limit
        self.resources_limit = MAX_RESOURCES if resources is None else resources
        self.bytes_limit = MAX_DOCUMENT_BYTES
        self.forgotten = 0
        """Agents that had to be forgotten because there were more than ``limit``."""
        self.not_kept = 0
        """Births and states that there was no room for."""
        self.crowded = 0
        """Of them, births with more resources than there was room for."""
        self.released = 0
        """Quarantines that a person has ended."""
        self.resources = 0
        """Resources of all births that are kept."""
        self.bytes = 0
        """Size of all documents that are kept, as received."""
        self._agents: OrderedDict[Address, Agent] = OrderedDict()
        self._use: Callable[[Address], Use | None] = lambda _: None

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self._agents.values()))

    def get(self, address: Address) -> Agent | None:
        """The agent of that address, if it was heard of."""
        return self._agents.get(address)

    def watch_use(self, use: Callable[[Address], Use | None]) -> None:
        """Who knows what an agent has brought."""
        self._use = use

    def use(self, address: Address) -> Use | None:
        """What an agent has brought since its day began; None before its first pack."""
        return self._use(address)

    def of_site(self, site: str) -> list[Agent]:
        """The agents of one site, by name."""
        return sorted(
            (agent for address, agent in self._agents.items() if address.site == site),
            key=lambda agent: agent.address.agent,
        )

    def quarantined(self) -> list[Agent]:
        """The agents of which two speak."""
        return [agent for agent in self._agents.values() if agent.quarantined_since_ms is not None]

    def release(self, address: Address, *, by: str) -> bool:
        """End an agent's quarantine because a person says so; False where it is in none.

        It comes back once two are heard at the same time again.
        """
        agent = self._agents.get(address)
        if agent is None or agent.twins is None:
            return False
        twins = agent.twins
        agent.release()
        self.released += 1
        _log.warning(
            "agent %s is released from quarantine by %s; boot ids %s and %s alternated",
            "/".join(address),
            printable(by.encode(errors="backslashreplace")),
            *twins,
        )
        return True

    def has_room(self, address: Address, now_ms: int) -> bool:
        """Whether an agent is known, or may become so."""
        if address in self._agents or len(self._agents) < self.limit:
            return True
        silent = next(iter(self._agents.values()))
        return abs(now_ms - silent.last_seen_ms) >= SILENT_MS

    def seen(self, address: Address, now_ms: int, *, retained: bool = False) -> Agent:
        """The agent that something valid was received from, made known if it is new.

        What the broker had retained is no sign of life. Ask `has_room` before: where there is
        none, the agent silent longest makes room all the same.
        """
        agent = self._agents.get(address)
        if agent is None:
            if len(self._agents) >= self.limit:
                _, silent = self._agents.popitem(last=False)
                self.resources -= _resources(silent.birth)
                self.bytes -= silent.birth_bytes + silent.state_bytes
                self.forgotten += 1
            agent = self._agents[address] = Agent(address, now_ms, 0)
        else:
            self._agents.move_to_end(address)
        if not retained:
            agent.last_seen_ms = now_ms
        return agent

    def born(
        self, address: Address, birth: Birth, now_ms: int, *, retained: bool = False, size: int = 0
    ) -> Agent:
        """Note a birth document of so many bytes, where there is room for it."""
        agent = self.seen(address, now_ms, retained=retained)
        resources = self.resources - _resources(agent.birth) + _resources(birth)
        total = self.bytes - agent.birth_bytes + size
        if resources <= self.resources_limit and total <= self.bytes_limit:
            agent.birth, agent.birth_bytes = birth, size
            self.resources, self.bytes = resources, total
        else:
            self.not_kept += 1
            self.crowded += resources > self.resources_limit
        return agent

    def stated(
        self, address: Address, state: State, now_ms: int, *, retained: bool = False, size: int = 0
    ) -> Agent:
        """Note a state of so many bytes; a clock's skew shows only in a live one, no last will."""
        agent = self.seen(address, now_ms, retained=retained or not state.online)
        total = self.bytes - agent.state_bytes + size
        if total > self.bytes_limit:
            self.not_kept += 1
            return agent
        agent.state, agent.state_bytes, self.bytes = state, size, total
        if state.online and not retained:
            agent.skew_ms = now_ms - round(state.sent_at * 1000)
        elif retained and not agent.last_seen_ms:
            agent.last_seen_ms = min(now_ms, round(state.sent_at * 1000))
        return agent


def _resources(birth: Birth | None) -> int:
    return len(birth.resources) if birth else 0
