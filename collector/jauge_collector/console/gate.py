"""Who asks: from a request's address, headers and cookies to a visitor, or to why there is none."""

import functools
import logging
import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from aiohttp import web

from jauge_collector.access.proxy import Header, Proxies
from jauge_collector.access.roles import Grant, Permission
from jauge_collector.access.scope import Scope, scope_of
from jauge_collector.access.sessions import FormTokens, Sessions
from jauge_collector.access.tenancy import Tenancy
from jauge_collector.access.throttle import Throttle
from jauge_collector.access.tokens import TOKEN, Token, Tokens, digest_of
from jauge_collector.config import CollectorConfig
from jauge_collector.console.figures import now_ms
from jauge_collector.sites import Site
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

LOCAL: Final = "local"
"""What everybody on this machine is called where the console is open."""


class Refused(StrEnum):
    """Why somebody was not let in, as /metrics counts it."""

    NO_CREDENTIALS = "no_credentials"
    SESSION = "session"
    """A cookie of a session that has ended, or whose token was withdrawn."""
    MALFORMED = "malformed"
    """Something that is no token of ours."""
    UNKNOWN = "unknown_token"
    EXPIRED = "expired_token"
    THROTTLED = "throttled"
    PROXY = "untrusted_proxy"
    """Headers of a proxy from somebody who is none of ours."""
    NOBODY = "no_user"
    """Our proxy named nobody, or two."""
    ROLE = "role"
    """Let in, but their role may not do this."""
    SCOPE = "scope"
    """Let in, but this tells of more sites or tenants than they may see."""
    ORIGIN = "origin"
    """A form from another place."""
    FORM = "form"
    """A form without the value that our page put into it."""


_GUESSES: Final = frozenset({Refused.MALFORMED, Refused.UNKNOWN, Refused.EXPIRED, Refused.PROXY})
"""What may be an attempt to get in: limited by source."""
_UNSAID: Final = frozenset({Refused.NO_CREDENTIALS, Refused.SESSION})
"""What everybody does once a day: counted and not logged."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in."""

    name: str
    grants: tuple[Grant, ...]
    how: Literal["open", "bearer", "session", "proxy"]
    source: str
    binding: str = ""
    """What their forms are bound to; empty where they can send none."""

    def scope(self, permission: Permission, sites: Collection[str]) -> Scope | None:
        """Where they may do something; None: nowhere."""
        return scope_of(self.grants, permission, sites)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no visitor; ``wait_s`` where they may try again."""

    reason: Refused
    wait_s: int = 0
    name: str = ""
    """Whose token it was, where that is known."""


class Gate:
    """All that decides who somebody is. Raises ConfigurationError for files it cannot use."""

    def __init__(
        self, config: CollectorConfig, sites: Mapping[str, Site], telemetry: Telemetry
    ) -> None:
        self._access = access = config.console.access
        self.mode: Final = access.mode
        self.encrypted: Final = access.tls_in_front or config.console.cert_file is not None
        self.names: Final = frozenset(name.lower() for name in config.console.host_names)
        """Names it goes by besides the one it was asked under."""
        self.tenancies: Final = {name: Tenancy(site) for name, site in sites.items()}
        known = {name: tenancy.tenants for name, tenancy in self.tenancies.items()}
        self._tokens: Tokens | None = None
        if access.mode != "open" and access.tokens_file is not None:
            config.read("console.access.tokens_file", access.tokens_file)
            self._tokens = Tokens(config.beside(access.tokens_file), known)
        self._proxies = Proxies(config, known)
        self._throttle = Throttle()
        self._sessions = Sessions(access.session_hours * 3600)
        self._forms = FormTokens()
        self._telemetry = telemetry
        for reason in Refused:
            telemetry.access_refused.labels(reason)
        for name, buffer in (("sessions", self._sessions), ("refused_sources", self._throttle)):
            telemetry.watch_queue(
                name,
                size=buffer.__len__,
                limit=buffer.limit,
                dropped=functools.partial(getattr, buffer, "dropped"),
            )

    # --- who

    def identify(self, request: web.Request, *, browser: bool) -> Visitor | Refusal:
        """Who asks. ``browser``: whether a session's cookie counts, or a bearer token alone."""
        source = self.source(request)
        if self.mode == "open":
            return Visitor(LOCAL, (Grant(self._access.role),), "open", source, "open")
        bearer = _bearer(request)
        if bearer is not None and (self.mode == "token" or bearer.startswith("jauge_")):
            return self._by_token(bearer, source)
        if self.mode == "proxy":
            return self._by_proxy(request, source)
        if not browser:
            return Refusal(Refused.NO_CREDENTIALS)
        return self._by_cookie(request, source)

    def refuse(self, request: web.Request, reason: Refused, name: str = "") -> None:
        """Count a refusal; say in the log what is the first of its kind from there."""
        self._telemetry.access_refused.labels(reason).inc()
        if reason in _UNSAID or reason is Refused.THROTTLED:
            return
        source = self.source(request)
        # Names are those of tokens of ours, and so bounded as reasons are.
        what = f"{reason} of {name!r}" if name else reason
        if self._throttle.failed(source, what, guess=reason in _GUESSES):
            _log.warning("console: refused %s: %s (more from there is only counted)", source, what)

    def is_proxy(self, peer: str) -> bool:
        """Whether an address is one of the trusted proxies'."""
        return self._proxies.near(peer)

    def source(self, request: web.Request) -> str:
        """The address that a request came from, as far as it can be believed."""
        return self._proxies.source(_peer(request), _headers(request))

    # --- sessions

    def sign_in(self, request: web.Request, token: str) -> tuple[Visitor, str] | Refusal:
        """A session for who holds the token, and its cookie's value."""
        visitor = self._by_token(token, self.source(request), "session")
        if isinstance(visitor, Refusal):
            return visitor
        return visitor, self._sessions.begin(digest_of(token))

    def sign_out(self, request: web.Request) -> None:
        """End the session of a request."""
        self._sessions.end(request.cookies.get(self.cookie, ""))

    @property
    def cookie(self) -> str:
        """Name of the session's cookie."""
        return "__Host-jauge" if self.encrypted else "jauge"

    @property
    def session_s(self) -> int:
        """How long a session lasts."""
        return round(self._sessions.lifetime_s)

    # --- forms

    def form_token(self, binding: str, action: str) -> str:
        """What a form of ours carries."""
        return self._forms.issue(binding, action)

    def form_holds(self, value: str, binding: str, action: str) -> bool:
        """Whether a form was ours, for this visitor and action."""
        return self._forms.holds(value, binding, action)

    # ---

    def _by_token(
        self, token: str, source: str, how: Literal["bearer", "session"] = "bearer"
    ) -> Visitor | Refusal:
        found = self._tokens.bearer(token) if self._tokens is not None else None
        if found is not None and now_ms() < found.expires_ms:
            return _of(found, how, source)
        if (wait_s := self._throttle.wait_s(source)) > 0:
            return Refusal(Refused.THROTTLED, math.ceil(wait_s))
        if found is not None:
            return Refusal(Refused.EXPIRED, name=found.name)
        return Refusal(Refused.UNKNOWN if TOKEN.fullmatch(token) else Refused.MALFORMED)

    def _by_cookie(self, request: web.Request, source: str) -> Visitor | Refusal:
        value = request.cookies.get(self.cookie)
        if value is None:
            return Refusal(Refused.NO_CREDENTIALS)
        session = self._sessions.get(value)
        found = self._tokens.by_digest(session.digest) if session and self._tokens else None
        if session is None or found is None or now_ms() >= found.expires_ms:
            self._sessions.end(value)
            return Refusal(Refused.SESSION)
        return _of(found, "session", source, session.binding)

    def _by_proxy(self, request: web.Request, source: str) -> Visitor | Refusal:
        headers = _headers(request)
        if not self._proxies.trusts(_peer(request), headers):
            named = bool(headers(self._access.user_header))
            return Refusal(Refused.PROXY if named else Refused.NO_CREDENTIALS)
        person = self._proxies.person(headers)
        if person is None:
            return Refusal(Refused.NOBODY)
        return Visitor(person.name, person.grants, "proxy", source, f"proxy {person.name}")


def _of(token: Token, how: Literal["bearer", "session"], source: str, binding: str = "") -> Visitor:
    return Visitor(token.name, (token.grant,), how, source, binding)


def _bearer(request: web.Request) -> str | None:
    """The credentials of an Authorization header; of a scheme that is not ours, an empty text."""
    given = request.headers.getall("Authorization", [])
    if not given:
        return None
    scheme, _, value = given[0].partition(" ")
    return value.strip() if scheme.lower() == "bearer" and len(given) == 1 else ""


def _peer(request: web.Request) -> str:
    return request.remote or "?"


def _headers(request: web.Request) -> Header:
    return lambda name: request.headers.getall(name, [])


def nonce() -> str:
    """A value that binds a sign-in form to the browser that asked for it."""
    return secrets.token_urlsafe(16)
