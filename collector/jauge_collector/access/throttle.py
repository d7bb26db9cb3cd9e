"""Failed attempts by where they come from: how often, and whether that was said already."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MOST_SOURCES: Final = 10_000
FAILURES: Final = 10
"""So many failures of one source within `WINDOW_S`; then it waits."""
WINDOW_S: Final = 60.0


@dataclass(slots=True, eq=False)
class _Source:
    began_s: float
    failures: int = 0
    told: set[str] = field(default_factory=set)


class Throttle:
    """Bounded: the source that failed longest ago is forgotten first.

    An IPv6 source is its /64, which one subscriber has as a whole.
    """

    def __init__(
        self, *, limit: int = MOST_SOURCES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit: Final = limit
        self._clock = clock
        self.dropped = 0
        """Sources that were forgotten because there were more."""
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def wait_s(self, source: str) -> float:
        """For how long a source may not try; 0 where it may."""
        known = self._sources.get(network(source))
        if known is None or known.failures < FAILURES:
            return 0.0
        return max(0.0, known.began_s + WINDOW_S - self._clock())

    def failed(self, source: str, reason: str, *, guess: bool = True) -> bool:
        """Note a failure; whether it is the first for this reason from there.

        ``reason`` comes from an enumeration. Only guesses make the source wait.
        """
        now_s, key = self._clock(), network(source)
        known = self._sources.pop(key, None) or _Source(now_s)
        while len(self._sources) >= self.limit:
            self._sources.popitem(last=False)
            self.dropped += 1
        self._sources[key] = known
        if now_s - known.began_s >= WINDOW_S:
            known.began_s, known.failures = now_s, 0
        known.failures += guess
        first = reason not in known.told
        known.told.add(reason)
        return first


def network(source: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one; ``?`` for neither."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return "?"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return source
