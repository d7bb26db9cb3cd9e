"""The forms: signing in and out, releasing an agent, and acknowledging a ticket."""

import re
from typing import Final

from aiohttp import web

from jauge_collector.access.roles import Permission
from jauge_collector.console.changes import Changes, ConflictError, UnrecordedError
from jauge_collector.console.gate import Gate, Refusal, Refused, nonce
from jauge_collector.console.guard import (
    FORM,
    GATE,
    LOGIN,
    NONCE,
    SCOPE,
    VISITOR,
    mount,
    safe_return,
)
from jauge_collector.console.rendering import Visit
from jauge_collector.console.scoped import Scoping

_NONCE_S: Final = 12 * 3600
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22}")


def add_routes(app: web.Application, scoping: Scoping, changes: Changes) -> None:
    """Mount the forms."""
    forms = _Forms(scoping, changes, app[GATE])
    mount(app, "GET", LOGIN, forms.login, Permission.OPEN)
    mount(app, "POST", LOGIN, forms.sign_in, Permission.OPEN)
    mount(app, "POST", "/logout", forms.sign_out, Permission.OPEN)
    mount(app, "POST", "/{site}/agent/{agent}/release", forms.release, Permission.RELEASE)
    mount(
        app,
        "POST",
        "/{site}/tickets/{ticket}/acknowledge",
        forms.acknowledge,
        Permission.ACKNOWLEDGE,
    )


class _Forms:
    def __init__(self, scoping: Scoping, changes: Changes, gate: Gate) -> None:
        self._scoping = scoping
        self._changes = changes
        self._gate = gate

    async def login(self, request: web.Request) -> web.Response:
        """The form to sign in with; who is signed in already goes on."""
        if self._gate.mode != "token":
            raise web.HTTPNotFound
        back = safe_return(request.query.get("next", "/"))
        if VISITOR in request:
            raise web.HTTPSeeOther(back)
        return self._login_page(request, back)

    async def sign_in(self, request: web.Request) -> web.Response:
        """A token for a session."""
        if self._gate.mode != "token":
            raise web.HTTPNotFound
        fields = request[FORM]
        back = safe_return(fields.get("next", "/"))
        found = self._gate.sign_in(request, fields.get("token", "").strip())
        if isinstance(found, Refusal):
            self._gate.refuse(request, found.reason, found.name)
            return self._login_page(request, back, found)
        visitor, value = found
        await self._changes.signed(visitor, "sign_in")
        answer = web.Response(status=303, headers={"Location": back})
        self._set(answer, self._gate.cookie, value, self._gate.session_s)
        answer.del_cookie(NONCE, path=LOGIN)
        return answer

    async def sign_out(self, request: web.Request) -> web.Response:
        """The end of a session."""
        await self._changes.signed(request[VISITOR], "sign_out")
        self._gate.sign_out(request)
        answer = web.Response(status=303, headers={"Location": Visit.of(request).link(LOGIN)})
        self._set(answer, self._gate.cookie, "", 0)
        return answer

    async def release(self, request: web.Request) -> web.Response:
        """Release an agent, and show it again with what came of it."""
        site, agent = request.match_info["site"], request.match_info["agent"]
        figures = self._scoping.of(request[SCOPE])
        try:
            await self._changes.release(request[VISITOR], figures, site, agent)
        except KeyError:
            raise web.HTTPNotFound from None
        except ConflictError:
            outcome = "stale"
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        else:
            outcome = "released"
        where = Visit.of(request).link(f"/{site}/agent/{agent}", outcome=outcome)
        raise web.HTTPSeeOther(where)

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Note that somebody has seen a ticket, and show the tickets again."""
        site, number = request.match_info["site"], request.match_info["ticket"]
        figures = self._scoping.of(request[SCOPE])
        note = request[FORM].get("note", "")
        try:
            ticket = int(number) if _NUMBER.fullmatch(number) else 0
            await self._changes.acknowledge(request[VISITOR], figures, site, ticket, note)
        except KeyError:
            raise web.HTTPNotFound from None
        except ConflictError:
            outcome = "stale"
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        else:
            outcome = "acknowledged"
        raise web.HTTPSeeOther(Visit.of(request).link(f"/{site}/tickets", outcome=outcome))

    def _login_page(
        self, request: web.Request, back: str, refusal: Refusal | None = None
    ) -> web.Response:
        visit = Visit.of(request)
        known = request.cookies.get(NONCE, "")
        value = known if _NONCE.fullmatch(known) else nonce()
        problem, status = "", 200
        if refusal is not None and refusal.reason is Refused.THROTTLED:
            wait = visit.language.age(refusal.wait_s * 1000)
            problem, status = visit.language("login_throttled", wait=wait), 429
        elif refusal is not None:
            problem, status = visit.language("login_failed"), 401
        answer = visit.html(
            "login.html.j2",
            status,
            back=back,
            problem=problem,
            proof=self._gate.form_token(value, LOGIN),
        )
        if refusal is not None:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="jauge"'
            if refusal.wait_s:
                answer.headers["Retry-After"] = str(refusal.wait_s)
        self._set(answer, NONCE, value, _NONCE_S, path=LOGIN)
        return answer

    def _set(
        self, answer: web.Response, name: str, value: str, life_s: int, path: str = "/"
    ) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=life_s,
            path=path,
            secure=self._gate.encrypted,
            httponly=True,
            samesite="Strict",
        )
