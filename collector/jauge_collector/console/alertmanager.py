"""What Alertmanager holds: its alerts and silences, asked of its API v2 and of nothing else.

Everything is asked within a deadline and up to a size. What it last said stays known, with since
when it has not answered: a dead Alertmanager is never taken for one that holds no alert.
"""

import asyncio
import base64
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import aiohttp
import msgspec
from jauge_models.configuration import ConfigurationError

from jauge_collector.config import CollectorConfig

_log = logging.getLogger(__name__)

WITHIN_S: Final = 5.0
"""For both questions together."""
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one answer: about ten thousand alerts."""
FRESH_S: Final = 5.0
"""An answer so young is shown again."""
EVERY_S: Final = 30.0
"""How often it is asked where nobody looks, so that since when it is silent is known."""
_CHUNK: Final = 65_536
_LATEST_MS: Final = 32_503_593_600_000


Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset: without one it is no moment, and may be none that can be counted."""


def _shown_ms(moment: datetime) -> int:
    """A moment in ms; what lies before 1970 or after 2999 (a silence for ever) at those ends."""
    return min(max(round(moment.timestamp() * 1000), 0), _LATEST_MS)


class Trouble(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    """Nobody there, or the connection ended."""
    LATE = "late"
    REFUSED = "refused"
    """Credentials, 401 or 403."""
    STATUS = "status"
    """Any other answer than 200."""
    TLS = "tls"
    LARGE = "large"
    UNREADABLE = "unreadable"
    """Not what API v2 gives."""


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """How an alert stands: ``active``, ``suppressed`` or ``unprocessed``."""

    state: str
    silenced_by: list[str] = []
    """Identifiers of silences."""
    inhibited_by: list[str] = []
    """Fingerprints of alerts."""


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert that fires. Labels and annotations are of whoever made the rule."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: Moment
    fingerprint: str
    status: Status

    @property
    def since_ms(self) -> int:
        """When it began, ms since the Unix epoch."""
        return _shown_ms(self.starts_at)


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    """One condition of a silence."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True

    def __str__(self) -> str:
        sign = ("=~" if self.is_equal else "!~") if self.is_regex else "="
        return f'{self.name}{sign if self.is_equal or self.is_regex else "!="}"{self.value}"'


class _SilenceState(msgspec.Struct, frozen=True):
    state: str


class Silence(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody silenced, by `amtool` or Alertmanager's own page."""

    id: str
    matchers: list[Matcher]
    starts_at: Moment
    ends_at: Moment
    created_by: str
    comment: str
    status: _SilenceState

    @property
    def until_ms(self) -> int:
        """When it ends, ms since the Unix epoch."""
        return _shown_ms(self.ends_at)

    @property
    def since_ms(self) -> int:
        """When it begins, ms since the Unix epoch."""
        return _shown_ms(self.starts_at)


class Answer(NamedTuple):
    """What it held at a moment; ``silences`` are those that run or are still to come."""

    at_ms: int
    alerts: tuple[Alert, ...]
    silences: tuple[Silence, ...]


class Standing(NamedTuple):
    """What is known: the last answer, if any, and what has been wrong since when."""

    answer: Answer | None
    trouble: Trouble | None = None
    since_ms: int | None = None
    """Of the trouble: when it was first met."""


class _FailedError(Exception):
    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble: Final = trouble


_ALERTS: Final = msgspec.json.Decoder(tuple[Alert, ...])
_SILENCES: Final = msgspec.json.Decoder(tuple[Silence, ...])


class Alertmanager:
    """The Alertmanager of the configuration. `close` it. Raises ConfigurationError.

    Its secrets are read once, when it is made.
    """

    def __init__(self, config: CollectorConfig, *, within_s: float = WITHIN_S) -> None:
        self._url = (config.alerts.url or "").rstrip("/")
        self._headers = _credentials(config)
        self._tls = _trust(config)
        self._within_s = within_s
        self._session: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()
        self._standing = Standing(None)
        self._asked_s = float("-inf")

    @property
    def is_named(self) -> bool:
        """Whether the configuration names one."""
        return bool(self._url)

    async def standing(self) -> Standing:
        """How it stands now, or did a few seconds ago; many visitors make one question."""
        async with self._turn:
            if self.is_named and time.monotonic() - self._asked_s >= FRESH_S:
                await self._renew()
                self._asked_s = time.monotonic()
            return self._standing

    async def watch(self) -> None:
        """Ask it now and then, until cancelled."""
        while self.is_named:
            await self.standing()
            await asyncio.sleep(EVERY_S)

    async def close(self) -> None:
        """Release its connections."""
        if self._session is not None:
            await self._session.close()

    async def _renew(self) -> None:
        known = self._standing
        try:
            self._standing = Standing(await self._answer())
        except _FailedError as failed:
            if known.trouble is None:
                _log.warning("alerts are not known: %s: %s", self._url, failed)
            since_ms = _now_ms() if known.since_ms is None else known.since_ms
            self._standing = Standing(known.answer, failed.trouble, since_ms)
        else:
            if known.trouble is not None:
                _log.warning("Alertmanager at %s answers again", self._url)

    async def _answer(self) -> Answer:
        try:
            async with asyncio.timeout(self._within_s):
                alerts = await self._body("/api/v2/alerts")
                silences = await self._body("/api/v2/silences")
            found = await asyncio.to_thread(_ALERTS.decode, alerts)
            held = await asyncio.to_thread(_SILENCES.decode, silences)
        except TimeoutError:
            raise _FailedError(Trouble.LATE, f"no answer within {self._within_s:g} s") from None
        except (ssl.SSLError, aiohttp.ClientSSLError) as error:
            raise _FailedError(Trouble.TLS, str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _FailedError(Trouble.UNREACHABLE, str(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _FailedError(Trouble.UNREADABLE, str(error)) from None
        now_ms = _now_ms()
        kept = tuple(one for one in held if one.until_ms > now_ms)
        return Answer(now_ms, found, kept)

    async def _body(self, path: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # As it comes: a small answer must not unfold to a large one.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", **self._headers},
            )
        async with self._session.get(
            self._url + path, allow_redirects=False, ssl=self._tls
        ) as answer:
            if answer.status in (401, 403):
                raise _FailedError(Trouble.REFUSED, f"HTTP {answer.status}")
            if answer.status != 200:
                raise _FailedError(Trouble.STATUS, f"HTTP {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > LARGEST:
                    raise _FailedError(Trouble.LARGE, f"more than {LARGEST} bytes")
            return bytes(body)


@contextlib.asynccontextmanager
async def watching(alertmanager: Alertmanager) -> AsyncIterator[None]:
    """Ask it now and then while the context lasts, and close it at its end."""
    task = asyncio.create_task(alertmanager.watch(), name="alertmanager")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await alertmanager.close()


def _credentials(config: CollectorConfig) -> dict[str, str]:
    alerts = config.alerts
    if alerts.token_file is not None:
        return {"Authorization": f"Bearer {_secret(config, 'token_file')}"}
    if alerts.password_file is None:
        return {}
    pair = f"{alerts.username}:{_secret(config, 'password_file')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _secret(config: CollectorConfig, key: str) -> str:
    """One line of a file; an empty one is refused, and one that no header can hold."""
    path = getattr(config.alerts, key)
    text = config.read(f"alerts.{key}", path).rstrip("\r\n")
    if not text or not text.isprintable() or (key == "token_file" and not text.isascii()):
        problem = f"{config.beside(path)} holds no secret of one line"
        raise ConfigurationError(
            str(config.source), f"alerts.{key}", problem, "write the secret alone into it"
        )
    return text


def _trust(config: CollectorConfig) -> ssl.SSLContext | bool:
    if config.alerts.ca_file is None:
        return True
    authorities = config.read("alerts.ca_file", config.alerts.ca_file)
    try:
        return ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError):
        problem = f"{config.beside(config.alerts.ca_file)} holds no certificate in PEM form"
        raise ConfigurationError(
            str(config.source), "alerts.ca_file", problem, "give the authority's certificate"
        ) from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
