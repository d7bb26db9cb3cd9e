"""Requests to every route of a real console: it answers whatever is asked, without a trace."""

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from hypothesis import strategies as st
from jauge_collector.console import app as console
from yarl import URL

from tests.collector.console.doors import ADMINISTRATOR, guarded
from tests.collector.console.serving import configuration, introduce, opened
from tests.fuzz.mutations import mutated

_SECONDS: Final = 20.0
_PLACES: Final = (
    "s",
    "plant",
    "incomer",
    "ups",
    "nobody",
    "%2e%2e",
    "a" * 300,
    "é",
    "%00",
    "'\"<x>",
)
_QUERIES: Final = (
    b"site=s&from=2026-01-01&to=2026-04-01",
    b"day=2026-11-01&lang=fr",
    b"lang=en&site=s&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00%2B01:00",
    b"next=/s/meters/ups&token=jauge_AAAA",
)
_HEADERS: Final = (
    "Host",
    "Accept",
    "Accept-Language",
    "Cookie",
    "Authorization",
    "Origin",
    "Sec-Fetch-Site",
    "X-Forwarded-User",
    "X-Forwarded-Groups",
    "Content-Type",
    "Range",
)
_VALUES: Final = (
    b"fr-FR,fr;q=0.9,en;q=0.8",
    b"application/json",
    b"Bearer jauge_AAAA",
    b"127.0.0.1:80",
    b"session=abc; other=1",
    b"http://127.0.0.1",
    b"bytes=0-5",
    b"text/html;q=2",
)


class Asked(NamedTuple):
    """One request. ``route``: a number that picks one of those that exist."""

    method: str
    route: int
    places: tuple[str, ...]
    query: bytes
    headers: tuple[tuple[str, bytes], ...]
    body: bytes


def pages(*, locked: bool) -> tuple[st.SearchStrategy[Any], Any]:
    """How requests are made up, and what takes them; ``locked``: for holders of tokens only."""
    values = (*_VALUES, f"Bearer {ADMINISTRATOR.token}".encode()) if locked else _VALUES
    bodies = [b"", b"token=jauge_AAAA&next=/", b'{"site":"s","agent":"plant"}', b"agent=plant"]
    if locked:
        bodies.append(f"token={ADMINISTRATOR.token}&next=/s".encode())
    inputs = st.builds(
        Asked,
        st.sampled_from(("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")),
        st.integers(0, 1000),
        st.tuples(*(st.sampled_from(_PLACES) | st.text(min_size=1, max_size=20) for _ in range(4))),
        mutated(_QUERIES),
        st.lists(st.tuples(st.sampled_from(_HEADERS), mutated(values, most=2)), max_size=3).map(
            tuple
        ),
        mutated(bodies),
    )
    return inputs, partial(_opened, locked)


@contextlib.contextmanager
def _opened(locked: bool) -> Iterator[Callable[[Asked], None]]:
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="jauge-fuzz-") as folder:
        console = _Console(Path(folder), locked=locked)
        try:
            loop.run_until_complete(console.open())
            yield lambda asked: loop.run_until_complete(console.ask(asked))
        finally:
            loop.run_until_complete(console.close())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


class _Console:
    """A console with a plant behind it, on loopback."""

    def __init__(self, folder: Path, *, locked: bool) -> None:
        self._folder = folder
        self._locked = locked
        self._stack = contextlib.AsyncExitStack()
        self._traces = _Traces()

    async def open(self) -> None:
        logging.getLogger().addHandler(self._traces)
        settings = configuration(self._folder)
        if self._locked:
            settings = guarded(self._folder, ADMINISTRATOR)
        state = await self._stack.enter_async_context(opened(settings, days=3))
        introduce(state)
        app = console.build_app(state)
        self._routes = sorted(
            {r.resource.canonical for r in app.router.routes() if r.resource is not None}
        )
        port = await self._stack.enter_async_context(console.listening(app, "127.0.0.1", 0))
        self._base = f"http://127.0.0.1:{port}"
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )

    async def close(self) -> None:
        logging.getLogger().removeHandler(self._traces)
        await self._stack.aclose()

    async def ask(self, asked: Asked) -> None:
        """One request; what is no HTTP may be cut off, but the console must go on."""
        try:
            await self._ask(asked)
        except aiohttp.ClientResponseError:
            async with self._session.get(f"{self._base}/healthz") as answer:
                assert answer.status == 200
        said, self._traces.said = self._traces.said, []
        assert not said, f"a stranger wrote a trace into the log: {said[0]}"

    async def _ask(self, asked: Asked) -> None:
        """One request; AssertionError where the answer is none to give to a stranger."""
        path = self._routes[asked.route % len(self._routes)]
        for place in asked.places:
            begin, brace, rest = path.partition("{")
            if brace:
                path = begin + place + rest.partition("}")[2]
        query = asked.query.decode("latin-1")
        url = URL(self._base).with_path(f"/{path.lstrip('/')}").with_query(query)
        headers = [
            (name, "".join(c for c in value.decode("latin-1") if c >= " " and c != "\x7f"))
            for name, value in asked.headers
        ]
        async with (
            asyncio.timeout(_SECONDS),
            self._session.request(
                asked.method, url, headers=headers, data=asked.body or None, allow_redirects=False
            ) as answer,
        ):
            text = await answer.text(errors="replace")
        assert answer.status < 500, f"{asked.method} {url} gave {answer.status}: {text[:300]}"
        assert "Traceback" not in text
        known = any(ADMINISTRATOR.token in value for _, value in headers)
        if self._locked and not known:
            assert "Example" not in text, f"{asked.method} {url} told a stranger a title"
        if 300 <= answer.status < 400:
            assert answer.headers["Location"].startswith("/"), answer.headers["Location"]
            assert not answer.headers["Location"].startswith("//")
        assert answer.headers.get("X-Content-Type-Options") == "nosniff" or answer.status == 400


class _Traces(logging.Handler):
    """Errors of the console, and tracebacks: none of them may come from what a stranger sends."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.name.startswith(console.__package__):
            self.said.append(f"{record.getMessage()}: {record.exc_info}")
