"""The console's web application: what guards every answer, and where its parts are mounted."""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from jauge_collector.access.audit import FILE, AuditLog
from jauge_collector.access.roles import Permission
from jauge_collector.config import is_loopback
from jauge_collector.console import (
    alerts,
    api,
    capacity_forms,
    compliance,
    forms,
    guard,
    health,
    maintenance,
    pages,
    runbooks,
)
from jauge_collector.console.alertmanager import Alertmanager, watching
from jauge_collector.console.changes import Changes
from jauge_collector.console.connections import STRANGE, Connections, timed
from jauge_collector.console.failures import Failures
from jauge_collector.console.figures import BusyError, Figures
from jauge_collector.console.gate import Gate
from jauge_collector.console.plans import Plans
from jauge_collector.console.published import Published
from jauge_collector.console.records import Records
from jauge_collector.console.scoped import Scoping, WithheldError
from jauge_collector.ledger.book import LedgerError
from jauge_collector.state import ServiceState
from jauge_collector.stores import StoreError

_log = logging.getLogger(__name__)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer: with it browsers send forms from the origin « null ».
    "Referrer-Policy": "same-origin",
    "Server": "jauge",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TLS_ONLY: Final = {"Strict-Transport-Security": "max-age=31536000"}
_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::\d{1,5})?")
_STATIC_KEPT: Final = "no-cache"
"""Kept by the browser, which asks each time whether it still holds: an upgrade shows at once."""

CONNECTIONS: Final[web.AppKey[Connections]] = web.AppKey("connections", Connections)


def build_app(state: ServiceState) -> web.Application:
    """The application of one running service; its clean-up releases what it opened.

    Raises ConfigurationError for tokens and secrets that cannot be used.
    """
    listen, _ = state.config.listen
    names = [listen, *state.config.console.host_names]
    gate = Gate(state.config, state.sites, state.telemetry)
    failures = Failures(state.telemetry.console_errors)
    app = web.Application(
        client_max_size=guard.LARGEST_BODY,
        middlewares=[
            timed,
            _headers(HEADERS | _TLS_ONLY if gate.encrypted else HEADERS),
            _errors(failures),
            _hosts(listen, names),
            guard.guard(gate, state.sites),
        ],
    )
    app[guard.GATE], app[guard.DECLARED] = gate, {}
    app[guard.UPLOADS], app[guard.LONG_FORMS] = {}, {}
    app[CONNECTIONS] = Connections(state.telemetry, failures, gate.is_proxy)
    figures, records = Figures(state), Records(state)
    plans = Plans(state)
    published = Published(state, figures, records, plans)
    alertmanager = Alertmanager(state.config)

    async def opened(_: web.Application) -> AsyncIterator[None]:
        warming = asyncio.create_task(figures.warm(), name="warm figures")
        yield
        warming.cancel()
        (fault,) = await asyncio.gather(warming, return_exceptions=True)
        if isinstance(fault, Exception):
            _log.error("figures could not be worked out ahead of their visitors", exc_info=fault)
        await published.close()
        await records.close()
        await plans.close()
        await figures.close()

    app.cleanup_ctx.append(opened)
    app.cleanup_ctx.append(lambda _: watching(alertmanager))
    health.add_routes(app, state, figures, published)
    changes = Changes(state, AuditLog(state.config.state(FILE)))
    scoping = Scoping(figures, state.sites, gate.tenancies)
    runbooks.add_routes(app)
    alerts.add_routes(app, scoping, alertmanager)
    forms.add_routes(app, scoping, changes)
    record = compliance.add_routes(app, state, scoping, changes, records)
    planner = capacity_forms.add_routes(app, state, scoping, changes, plans)
    api.add_routes(app, state, scoping, changes, planner=planner, record=record)
    maintenance.add_routes(app, state, scoping, changes, records)
    pages.add_routes(app, state, scoping, changes)
    guard.mount(app, "GET", "/static/{name}", _static(), Permission.OPEN)
    return app


def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    encrypted: ssl.SSLContext | None = None,
    stop_within_s: float = 3.0,
) -> AbstractAsyncContextManager[int]:
    """Serves the application; gives the port. Raises OSError where it cannot be had."""
    return app[CONNECTIONS].listening(
        app, host, port, encrypted=encrypted, stop_within_s=stop_within_s
    )


def _static() -> Handler:
    """The files of the package's folder as it is now, by name, and nothing else."""
    folder = Path(str(files("jauge_collector.console").joinpath("static")))
    known = {path.name: path for path in folder.iterdir() if path.is_file()}

    async def serve(request: web.Request) -> web.StreamResponse:
        path = known.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    return serve


def _headers(headers: Mapping[str, str]) -> Middleware:
    """What every answer carries; nothing is cached that does not say so itself."""

    @web.middleware
    async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        static = request.path.startswith("/static/") and answer.status < 400
        answer.headers.setdefault("Cache-Control", _STATIC_KEPT if static else "no-store")
        return answer

    return add


def _errors(failures: Failures) -> Middleware:
    """Every failure as one line: JSON below /api, a page elsewhere, and never a traceback."""

    @web.middleware
    async def catch(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                place = (
                    {"Location": error.headers["Location"]} if "Location" in error.headers else {}
                )
                return web.Response(status=error.status, headers=place)
            key = error.key if isinstance(error, guard.ForbiddenError) else ""
            answer = _failure(request, error.status, error.text or error.reason, key)
            for name in ("Allow", "Retry-After", "WWW-Authenticate"):
                if name in error.headers:
                    answer.headers[name] = error.headers[name]
            return answer
        except WithheldError as error:
            return _failure(request, 403, str(error), "withheld_text")
        except BusyError as error:
            answer = _failure(request, 503, str(error))
            answer.headers["Retry-After"] = "10"
            return answer
        except (LedgerError, StoreError) as error:
            part = "ledger" if isinstance(error, LedgerError) else "store"
            return _failure(request, 503, f"the {part} does not answer; see /readyz")
        except STRANGE:
            # The connection counts it once it finds that the body goes on like this.
            return _failure(request, 400, "the body is no HTTP")
        except ConnectionError:
            return web.Response(status=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001 (whatever it is, no traceback at a reader)
            failures.note(error, request.method, guard.place(request))
            return _failure(request, 500, "an error of the collector; its log tells more")

    return catch


def _failure(request: web.Request, status: int, detail: str, key: str = "") -> web.Response:
    if request.path.startswith(guard.API):
        return api.failure(status, detail)
    if request.path in guard.PROGRAMS:
        return web.Response(text=f"{' '.join(detail.split())}\n", status=status)
    return pages.error_page(request, status, detail, key)


def _hosts(listen: str, names: Iterable[str]) -> Middleware:
    """On loopback, only known names: a stranger's name that resolves to it is refused.

    Else any web page could have its visitor's browser read the console (DNS rebinding).
    """
    allowed = {"localhost", "127.0.0.1", "::1", *(name.lower() for name in names)}
    guarded = is_loopback(listen)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if guarded and _name(request.headers.get("Host", "")) not in allowed:
            text = "no name of this console; its owner may add it to console.host_names\n"
            return web.Response(status=421, text=text)
        return await handler(request)

    return check


def _name(host: str) -> str:
    """A Host header without its port; empty for what is none."""
    parts = _HOST.fullmatch(host)
    return (parts["address"] or parts["name"]).lower() if parts else ""
