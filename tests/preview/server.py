"""Serves the built page, the dashboards and the store's query API, all on 127.0.0.1."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from tests.preview.boards import BUILT, Board

_READS: Final = frozenset({"query", "query_range", "series", "labels"})


@asynccontextmanager
async def serving(
    boards: Mapping[tuple[str, str], Board], store: str, *, built: Path = BUILT, port: int = 0
) -> AsyncIterator[str]:
    """Base address of a server of the page; ``store`` is the Prometheus API's, e.g. http://…:8428.

    Only what reads is handed on to the store. Raises OSError when the port is taken.
    """
    async with aiohttp.ClientSession() as session:
        app = web.Application()

        async def page(_: web.Request) -> web.FileResponse:
            return web.FileResponse(built / "index.html")

        async def listed(_: web.Request) -> web.Response:
            return web.json_response(
                [
                    {"lang": language, "uid": uid, "title": one["title"]}
                    for (language, uid), one in boards.items()
                ]
            )

        async def board(request: web.Request) -> web.Response:
            found = boards.get((request.match_info["lang"], request.match_info["uid"]))
            return web.json_response(found, status=200 if found else 404)

        async def asked(request: web.Request) -> web.Response:
            path = request.match_info["path"]
            if path not in _READS and not (path.startswith("label/") and path.endswith("/values")):
                raise web.HTTPForbidden(text="only what reads is handed on")
            address = f"{store}/api/v1/{path}"
            async with session.get(address, params=request.query) as answer:
                body = await answer.read()
                return web.Response(
                    body=body, status=answer.status, content_type="application/json"
                )

        app.router.add_get("/", page)
        app.router.add_get("/boards.json", listed)
        app.router.add_get("/boards/{lang}/{uid}.json", board)
        app.router.add_get("/api/v1/{path:.+}", asked)
        app.router.add_static("/assets", built / "assets")
        app.router.add_static("/public", built / "public")
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            (address,) = runner.addresses
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            await runner.cleanup()
