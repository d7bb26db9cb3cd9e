"""The two retained documents of an agent: what it is, and whether it is there."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import (
    MAX_BIRTH_RESOURCES,
    MAX_PAYLOAD_BYTES,
    Birth,
    ResourceDescription,
    SourceDescription,
    State,
    encode,
)

from jauge_agent import __version__
from jauge_agent.clock import synchronised
from jauge_agent.logs import say
from jauge_agent.spool import Spool

Describe = Callable[[], tuple[list[SourceDescription], list[ResourceDescription]]]


@dataclass(frozen=True, slots=True)
class Condition:
    """How clock and sources of the agent are; as `State` has it."""

    clock_steps: int = 0
    last_step_s: float | None = None
    delivered: dict[str, float] = field(default_factory=dict)


_LESS: Final = 0.9

_log = logging.getLogger(__name__)


class Announcements:
    """Makes them, for one run of the agent."""

    def __init__(
        self,
        *,
        boot: str,
        spool: Spool,
        now_ms: Callable[[], int],
        describe: Describe,
        condition: Callable[[], Condition] = Condition,
    ) -> None:
        self._boot = boot
        self._spool = spool
        self._now_ms = now_ms
        self._describe = describe
        self._condition = condition
        self._cut_said = False

    def state(self, *, online: bool) -> bytes:
        """The life sign, or with ``online`` false the will."""
        condition = self._condition()
        return encode(
            State(
                boot=self._boot,
                online=online,
                sent_at=self._now_ms() / 1000,
                synchronised=synchronised(),
                spooled=self._spool.spooled.batches,
                clock_steps=condition.clock_steps,
                last_step_s=condition.last_step_s,
                delivered=condition.delivered,
            )
        )

    def birth(self) -> bytes:
        """The birth document, cut to what the protocol allows."""
        sources, resources = self._describe()
        kept = resources[:MAX_BIRTH_RESOURCES]
        while True:
            document = encode(
                Birth(
                    boot=self._boot,
                    version=__version__,
                    sent_at=self._now_ms() / 1000,
                    sources=sources,
                    resources=kept,
                )
            )
            if len(document) <= MAX_PAYLOAD_BYTES or not kept:
                break
            kept = kept[: math.floor(len(kept) * _LESS)]
        if len(kept) < len(resources) and not self._cut_said:
            self._cut_said = True
            say(_log, logging.WARNING, "birth cut", described=len(kept), resources=len(resources))
        return document
