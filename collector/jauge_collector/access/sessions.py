"""Who is signed in with a browser, and the proof that a form was sent from one of our pages.

Both live in this process only: a restart signs everybody out.
"""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

MOST_SESSIONS: Final = 1_000
MOST_OF_ONE: Final = 20
"""Sessions of one token; a further one ends the oldest of them."""
FORM_HOLDS_S: Final = 12 * 3600
"""How long a page may lie open before its form must be fetched again."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that signed in, with the hash of the token that it did so with."""

    digest: bytes
    binding: str
    """What its forms are bound to."""
    ends_s: float


class Sessions:
    """Bounded in number and in life; only hashes of the cookies' values are kept."""

    def __init__(
        self,
        lifetime_s: float,
        *,
        limit: int = MOST_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lifetime_s: Final = lifetime_s
        self.limit: Final = limit
        self._clock = clock
        self.dropped = 0
        """Sessions that ended because others needed their place."""
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, digest: bytes) -> str:
        """A new session; the value of its cookie."""
        self._end_old()
        same = [key for key, session in self._open.items() if session.digest == digest]
        for key in same[: max(0, len(same) + 1 - MOST_OF_ONE)]:
            del self._open[key]
            self.dropped += 1
        while len(self._open) >= self.limit:
            self._open.popitem(last=False)
            self.dropped += 1
        value = secrets.token_urlsafe(32)
        key = _key(value)
        self._open[key] = Session(digest, key.hex(), self._clock() + self.lifetime_s)
        return value

    def get(self, value: str) -> Session | None:
        """The session of a cookie, while it lasts."""
        session = self._open.get(_key(value))
        if session is None or session.ends_s <= self._clock():
            return None
        return session

    def end(self, value: str) -> None:
        """Sign out."""
        self._open.pop(_key(value), None)

    def _end_old(self) -> None:
        now_s = self._clock()
        while self._open and next(iter(self._open.values())).ends_s <= now_s:
            self._open.popitem(last=False)


class FormTokens:
    """Values that only a page of ours can have put into a form, for one visitor and one action.

    Nothing is kept: each is its end and a code over end, visitor and action, by a key of this
    process.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._secret = secrets.token_bytes(32)
        self._clock = clock

    def issue(self, binding: str, action: str) -> str:
        """The value of a form."""
        ends = f"{int(self._clock()) + FORM_HOLDS_S}"
        return f"{ends}.{self._code(ends, binding, action)}"

    def holds(self, value: str, binding: str, action: str) -> bool:
        """Whether the value was issued for this visitor and action, not too long ago."""
        ends, _, code = value.partition(".")
        if not (ends.isascii() and ends.isdecimal() and len(ends) <= 12 and binding):
            return False
        right = hmac.compare_digest(code.encode(), self._code(ends, binding, action).encode())
        return right and int(ends) > self._clock()

    def _code(self, *parts: str) -> str:
        return hmac.new(self._secret, "\0".join(parts).encode(), sha256).hexdigest()


def _key(value: str) -> bytes:
    return sha256(value.encode(errors="replace")).digest()
