"""From what a page shows to HTML: the request's language, links that keep it, tables, templates."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from jauge_collector import __version__
from jauge_collector.access.roles import WHOLE, Permission
from jauge_collector.console import charts, partbar
from jauge_collector.console.gate import Visitor
from jauge_collector.console.guard import GATE, VISITOR
from jauge_collector.console.text import CODES, Language, choose, language
from jauge_collector.templates import environment

DEFAULT: Final[web.AppKey[str]] = web.AppKey("language", str)
"""Language where the browser asks for none."""


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a column; numbers stand to the right."""

    name: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. ``chip`` (good, warn, bad) marks a state; ``sub`` is a second, quiet line.

    ``sub_lang`` is set where that line is in a language that is not the page's.
    """

    text: str
    sub: str = ""
    href: str = ""
    chip: str = ""
    sub_lang: str = ""


class Fact(NamedTuple):
    """A named fact; ``lang`` where its text is not in the page's language."""

    name: str
    text: str
    href: str = ""
    lang: str = ""
    chip: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """One fact of the strip at the top; ``chip`` marks a state, ``href`` leads to more."""

    name: str
    text: str
    sub: str = ""
    chip: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption for screen readers; a heading says the same.

    ``more`` rows stand only in the JSON interface, at ``elsewhere``.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]] = field(default_factory=list)
    more: int = 0
    elsewhere: str = ""


class Visit:
    """One request: who asks in which language, and when."""

    @classmethod
    def of(cls, request: web.Request) -> "Visit":
        """The visit of a request to this application."""
        return cls(request, request.app[DEFAULT])

    def __init__(self, request: web.Request, default: str) -> None:
        self.request = request
        self.now_ms: Final = time.time_ns() // 1_000_000
        self.shown_at = ""
        """The page that an answer to a form is, where the form was sent elsewhere."""
        wanted = request.query.get("lang")
        self._asked = wanted if wanted in CODES else None
        self.language: Final[Language] = language(
            choose(wanted, request.headers.get("Accept-Language", ""), default)
        )

    def link(self, path: str, **query: str) -> str:
        """An address of the console; a language that was asked for stays."""
        if self._asked:
            query["lang"] = self._asked
        return f"{path}?{urlencode(query)}" if query else path

    @property
    def asked(self) -> bool:
        """Whether a language was asked for by the address."""
        return self._asked is not None

    @property
    def here(self) -> str:
        """The page itself."""
        return self._with_query(dict(self.request.query))

    @property
    def other_code(self) -> str:
        """The other language."""
        return next(code for code in CODES if code != self.language.code)

    @property
    def other(self) -> str:
        """The page in the other language."""
        return self._with_query({**self.request.query, "lang": self.other_code})

    @property
    def visitor(self) -> Visitor | None:
        """Who asks; None before they signed in."""
        return self.request.get(VISITOR)

    def may(self, permission: str) -> bool:
        """Whether the visitor may do something somewhere; what is of all sites, everywhere."""
        visitor, asked = self.visitor, Permission(permission)
        gate = self.request.app[GATE]
        scope = visitor.scope(asked, gate.tenancies) if visitor is not None else None
        return scope is not None and (scope.whole or asked not in WHOLE)

    def form_token(self, action: str) -> str:
        """What a form with this action carries; empty for who can send none."""
        visitor = self.visitor
        binding = visitor.binding if visitor is not None else ""
        return self.request.app[GATE].form_token(binding, action) if binding else ""

    def html(self, template: str, status: int = 200, **context: Any) -> web.Response:
        """A page out of its template."""
        text = (
            environment("jauge_collector.console")
            .get_template(template)
            .render(
                L=self.language,
                link=self.link,
                here=self.here,
                other=self.other,
                other_code=self.other_code,
                version=__version__,
                me=self.visitor,
                may=self.may,
                form_token=self.form_token,
                draw=lambda chart: charts.draw(chart, self.language),
                draw_bar=lambda bar: partbar.draw(bar, self.language),
                **context,
            )
        )
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Language": self.language.code, "Vary": "Accept-Language"},
        )

    def _with_query(self, query: Mapping[str, str]) -> str:
        # Of two slashes a browser makes another place's address.
        path = self.shown_at or "/" + self.request.rel_url.raw_path.lstrip("/\\")
        return f"{path}?{urlencode(query)}" if query else path
