"""What every request passes before its handler: who asks, whether they may, and forms' proofs.

Each route declares its permission where it is mounted; one that declares none is never answered.
"""

import asyncio
import logging
from collections.abc import Mapping
from html import escape
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from jauge_collector.access.roles import WHOLE, Permission
from jauge_collector.access.scope import Scope
from jauge_collector.console.gate import Gate, Refusal, Refused, Visitor
from jauge_collector.console.uploads import RECEIVED, Place, receive
from jauge_collector.sites import Site

_log = logging.getLogger(__name__)

API: Final = "/api/"
PROGRAMS: Final = ("/healthz", "/metrics", "/readyz")
"""What programs ask for: an error is a line of text."""
LOGIN: Final = "/login"
LARGEST_BODY: Final = 8 * 1024
_BODY_WITHIN_S: Final = 10.0
_FILE_WITHIN_S: Final = 100.0
"""Less than a connection has for its answer, so that who is slow is told."""
_MOST_FIELDS: Final = 20
_LONGEST_RETURN: Final = 1_000
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a field
NONCE: Final = "jauge_login"
"""Cookie that binds a sign-in form to the browser that asked for it."""

_ONWARD: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Jauge</title>'
    '<meta http-equiv="refresh" content="0;url={to}"><p><a href="{to}">Jauge</a></p></html>'
)
"""Has the browser go on by itself, now from a page of ours and so with its strict cookie: who is
signed in gets from the form to what they asked for."""


class FormSize(NamedTuple):
    """How much a form may send: bytes of its body, and fields."""

    largest: int = LARGEST_BODY
    fields: int = _MOST_FIELDS


DECLARED: Final[web.AppKey[dict[tuple[str, str], Permission]]] = web.AppKey("declared")
LONG_FORMS: Final[web.AppKey[dict[str, FormSize]]] = web.AppKey("long_forms")
"""Routes whose form has more fields than others."""
UPLOADS: Final[web.AppKey[dict[str, Place]]] = web.AppKey("uploads")
"""Routes whose form brings a file, and where that is kept while the request lasts."""
GATE: Final[web.AppKey[Gate]] = web.AppKey("gate", Gate)
VISITOR: Final[web.RequestKey[Visitor]] = web.RequestKey("visitor", Visitor)
SCOPE: Final[web.RequestKey[Scope]] = web.RequestKey("scope", Scope)
FORM: Final[web.RequestKey[Mapping[str, str]]] = web.RequestKey("form")


class ForbiddenError(web.HTTPForbidden):
    """Let in, and yet not this; ``key`` is the console's text that says why."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text=text)
        self.key: Final = key


def mount(
    app: web.Application, method: str, path: str, handler: Handler, permission: Permission
) -> None:
    """Add a route with what it asks of its visitor."""
    if method == "GET":
        app.router.add_get(path, handler)
    else:
        app.router.add_route(method, path, handler)
    app[DECLARED][method, path] = permission


def declared(app: web.Application, route: web.AbstractRoute) -> Permission | None:
    """What a route asks; None where nobody said."""
    path = route.resource.canonical if route.resource is not None else ""
    return app[DECLARED].get(("GET" if route.method == "HEAD" else route.method, path))


def place(request: web.Request) -> str:
    """A request's route, a name of ours whatever its path; empty where there is none."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def guard(gate: Gate, sites: Mapping[str, Site]) -> Middleware:
    """The middleware."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        api, changes = request.path.startswith(API), request.method not in ("GET", "HEAD")
        who = gate.identify(request, browser=not (api and changes))
        if isinstance(who, Visitor):
            request[VISITOR] = who
        if request.match_info.http_exception is not None:
            return await handler(request)
        permission = declared(request.app, request.match_info.route)
        if permission is None:
            _log.error("%s declares no permission", place(request))
            raise web.HTTPForbidden(text="this address is not open")
        if permission is Permission.OPEN:
            if changes and isinstance(who, Refusal) and request.path != LOGIN:
                return _unknown(gate, request, who, api=api)
        elif isinstance(who, Refusal):
            return _unknown(gate, request, who, api=api)
        else:
            _admit(gate, request, who, permission, sites)
        if not changes:
            return await handler(request)
        if not api and place(request) in request.app[UPLOADS]:
            return await _with_file(gate, request, handler)
        await (_from_program if api else _from_form)(gate, request)
        return await handler(request)

    return check


def safe_return(path: str) -> str:
    """A path of this console to go back to; the start where it is none."""
    if (
        len(path) > _LONGEST_RETURN
        or not path.startswith("/")
        or path.startswith("//")
        or "\\" in path
        or not (path.isascii() and path.isprintable())
        or path.partition("?")[0] in (LOGIN, "/logout")
    ):
        return "/"
    return path


def same_origin(gate: Gate, request: web.Request) -> bool:
    """Whether a browser says that a page of ours sent the request; False where it says nothing."""
    sites = request.headers.getall("Sec-Fetch-Site", [])
    origins = request.headers.getall("Origin", [])
    if any(site != "same-origin" for site in sites):
        return False
    return bool(sites or origins) and all(_ours(gate, request, origin) for origin in origins)


def client_hints(request: web.Request) -> bool:
    """Whether a request bears what only browsers send."""
    return any(name in request.headers for name in ("Sec-Fetch-Site", "Origin", "Cookie"))


def _ours(gate: Gate, request: web.Request, origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        name = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.scheme != "https" and (gate.encrypted or parts.scheme != "http"):
        return False
    return parts.netloc.lower() == request.headers.get("Host", "").lower() or name in gate.names


def _admit(
    gate: Gate,
    request: web.Request,
    who: Visitor,
    permission: Permission,
    sites: Mapping[str, Site],
) -> None:
    scope = who.scope(permission, sites)
    if scope is None:
        gate.refuse(request, Refused.ROLE)
        raise ForbiddenError("forbidden_role", f"{who.name!r} has no role that may do this")
    if permission in WHOLE and not scope.whole:
        gate.refuse(request, Refused.SCOPE)
        raise ForbiddenError(
            "forbidden_scope", "this tells of every site, and you may not see all of each"
        )
    request[SCOPE] = scope


def _unknown(
    gate: Gate, request: web.Request, refusal: Refusal, *, api: bool
) -> web.StreamResponse:
    """For who was not let in: the sign-in form, or 401 for programs."""
    gate.refuse(request, refusal.reason, refusal.name)
    if refusal.wait_s:
        raise web.HTTPTooManyRequests(
            text=f"too many failed attempts; try again in {refusal.wait_s} s",
            headers={"Retry-After": str(refusal.wait_s)},
        )
    if gate.mode == "token" and not (api or request.path in PROGRAMS or _of_a_page(request)):
        back = request.rel_url.raw_path_qs if request.method in ("GET", "HEAD") else "/"
        where = safe_return(back)
        query = f"?next={quote(where, safe='/')}" if where != "/" else ""
        if _from_elsewhere(request):
            text = _ONWARD.format(to=escape(f"{LOGIN}{query}"))
            return web.Response(text=text, content_type="text/html")
        raise web.HTTPSeeOther(f"{LOGIN}{query}")
    raise web.HTTPUnauthorized(
        text="a token is needed, or it is not valid",
        headers={"WWW-Authenticate": 'Bearer realm="jauge"'},
    )


def _of_a_page(request: web.Request) -> bool:
    """An icon or the like, which a browser fetches by itself.

    Beside the form of a page it would make another, whose cookie takes the place of the first's.
    """
    return request.headers.get("Sec-Fetch-Dest", "document") != "document"


def _from_elsewhere(request: web.Request) -> bool:
    """A link of another place, an alert's say: a strict cookie is not sent along with it."""
    return request.method == "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site"


async def _from_program(gate: Gate, request: web.Request) -> None:
    """A change by a program: a body that no form can send, and no page of another place."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    by_browser = request[VISITOR].how != "bearer" and client_hints(request)
    if by_browser and not same_origin(gate, request):
        gate.refuse(request, Refused.ORIGIN)
        raise ForbiddenError("forbidden_origin", "the request comes from another place")
    await _body(request)


async def _from_form(gate: Gate, request: web.Request) -> None:
    """A change by a form: sent by a page of ours, with the value that the page put into it."""
    _refuse_other_places(gate, request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="send a form")
    try:
        size = request.app[LONG_FORMS].get(place(request), FormSize())
        body = (await _body(request, size.largest)).decode()
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=size.fields))
    except ValueError:
        raise web.HTTPBadRequest(text="the form cannot be read") from None
    _refuse_strange(gate, request, fields)
    request[FORM] = fields


async def _with_file(gate: Gate, request: web.Request, handler: Handler) -> web.StreamResponse:
    """A form with a file: its proof is checked before the file is kept, for this request only."""
    _refuse_other_places(gate, request)
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType(text="send a form")
    where = request.app[UPLOADS][place(request)]
    try:
        async with asyncio.timeout(_FILE_WITHIN_S):
            received = await receive(
                request, where, lambda fields: _refuse_strange(gate, request, fields)
            )
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the request did not end") from None
    request[FORM], request[RECEIVED] = received.fields, received
    try:
        return await handler(request)
    finally:
        if received.upload is not None:
            received.upload.path.unlink(missing_ok=True)


def _refuse_other_places(gate: Gate, request: web.Request) -> None:
    if not same_origin(gate, request):
        gate.refuse(request, Refused.ORIGIN)
        raise ForbiddenError("forbidden_origin", "the form comes from another place")


def _refuse_strange(gate: Gate, request: web.Request, fields: Mapping[str, str]) -> None:
    """Raises ForbiddenError for a form without the value that our page put into it."""
    binding = ""
    if request.path == LOGIN:
        binding = request.cookies.get(NONCE, "")
    elif VISITOR in request:
        binding = request[VISITOR].binding
    if not gate.form_holds(fields.get(FORM_TOKEN, ""), binding, request.path):
        gate.refuse(request, Refused.FORM)
        raise ForbiddenError(
            "forbidden_form", "the form is too old, or of another session; open it again"
        )


async def _body(request: web.Request, largest: int = LARGEST_BODY) -> bytes:
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            if largest <= LARGEST_BODY:
                return await request.read()
            return await _long(request, largest)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the request did not end") from None


async def _long(request: web.Request, largest: int) -> bytes:
    """A body longer than the application takes elsewhere."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > largest:
            raise web.HTTPRequestEntityTooLarge(max_size=largest, actual_size=len(body))
    return bytes(body)
