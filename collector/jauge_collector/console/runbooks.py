"""The runbooks as pages: what an alert means, what to check first, how to silence, when to call.

Nobody has to sign in for them: their text is that of the project, and whoever was woken reads it
at once. They name no site.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from aiohttp import web

from jauge_collector.access.roles import Permission
from jauge_collector.console.guard import mount
from jauge_collector.console.rendering import Visit
from jauge_collector.console.text import CODES, typeset

LANGUAGES: Final = CODES
PATH: Final = "/runbooks"
_PACKAGE: Final = "jauge_models.runbooks"
_MARKED: Final = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*]+)\*")
_ITEM: Final = re.compile(r"(?P<mark>-|\d+\.) (?P<text>.+)")


class Piece(NamedTuple):
    """A stretch of text; ``tag`` is ``code``, ``em``, ``strong`` or empty."""

    tag: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, ``p``, or a list, ``ul`` or ``ol``, of items."""

    tag: str
    items: Sequence[Sequence[Piece]]


@dataclass(slots=True)
class Chapter:
    """A heading with what stands below it; the first has none."""

    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Runbook:
    """One page."""

    name: str
    chapters: Sequence[Chapter]


@cache
def names(language: str) -> frozenset[str]:
    """Alerts that have a page in a language of `LANGUAGES`."""
    folder = files(_PACKAGE) / language
    return frozenset(
        file.name.removesuffix(".md") for file in folder.iterdir() if file.name.endswith(".md")
    )


@cache
def runbook(language: str, name: str) -> Runbook:
    """A page. Raises KeyError where there is none of that language and name."""
    if language not in LANGUAGES or name not in names(language):
        raise KeyError(name)
    text = (files(_PACKAGE) / language / f"{name}.md").read_text(encoding="utf-8")
    return parse(text, french=language == "fr")


def path(language: str, name: str) -> str:
    """Where a page is."""
    return f"{PATH}/{language}/{name}"


def parse(text: str, *, french: bool = False) -> Runbook:
    """What a page says, out of the few forms that the pages use.

    A title, chapters of the second level, paragraphs of one or more lines, flat lists; and in
    their text code, emphasis, and strong emphasis.
    """
    name, chapters = "", [Chapter("")]
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in part.splitlines()]
        if lines[0].startswith("# "):
            name = lines[0].removeprefix("# ")
        elif lines[0].startswith("## "):
            title = lines[0].removeprefix("## ")
            chapters.append(Chapter(typeset(title) if french else title))
        else:
            chapters[-1].blocks.extend(_blocks(lines, french=french))
    return Runbook(name, [one for one in chapters if one.title or one.blocks])


def _blocks(lines: Sequence[str], *, french: bool) -> Iterator[Block]:
    items = [_ITEM.fullmatch(line) for line in lines]
    if all(items):
        tag = "ul" if lines[0].startswith("-") else "ol"
        yield Block(tag, [_pieces(one["text"], french=french) for one in items if one])
    else:
        yield Block("p", [_pieces(" ".join(lines), french=french)])


def _pieces(text: str, *, french: bool) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for match in _MARKED.finditer(text):
        found.append(Piece("", text[at : match.start()]))
        tag = str(match.lastgroup)
        found.append(Piece(tag, match[tag]))
        at = match.end()
    found.append(Piece("", text[at:]))
    return [
        Piece(tag, typeset(words) if french and tag != "code" else words)
        for tag, words in found
        if words
    ]


def add_routes(app: web.Application) -> None:
    """Mount the list and the pages."""

    async def listed(request: web.Request) -> web.Response:
        visit = Visit.of(request)
        code = visit.language.code
        pages = [(name, visit.link(path(code, name))) for name in sorted(names(code))]
        return visit.html("runbooks.html.j2", pages=pages)

    async def page(request: web.Request) -> web.Response:
        visit = Visit.of(request)
        code, name = request.match_info["language"], request.match_info["name"]
        name = name.removesuffix(".md")
        try:
            found = runbook(code, name)
        except KeyError:
            raise web.HTTPNotFound from None
        if visit.asked and visit.language.code != code:
            # « English » of the page leads to the page in English, not to English around it.
            raise web.HTTPFound(visit.link(path(visit.language.code, name)))
        others = [
            (one, visit.language(f"runbook_in_{one}"), path(one, name))
            for one in LANGUAGES
            if one == visit.language.code != code
        ]
        return visit.html("runbook.html.j2", page=found, code=code, others=others)

    mount(app, "GET", PATH, listed, Permission.OPEN)
    mount(app, "GET", PATH + "/{language}/{name}", page, Permission.OPEN)
