"""Documents of a BMC by their links: each asked for once, within limits."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from jauge_agent.sources.redfish.values import (
    Document,
    Member,
    Missing,
    Place,
    Step,
    objects,
    text,
    value_at,
)

ROOT: Final = "/redfish/v1/"
MOST_DOCUMENTS: Final = 200
"""Documents asked for by one walk; a walk that wants more is cut short and says so."""
MOST_MEMBERS: Final = 64
"""Members of one collection that are looked at."""
_MOST_PAGES: Final = 8
_EXPAND: Final = "?$expand=.($levels=1)"

Fetch = Callable[[str], Awaitable[Document | None]]
"""Gives the document at a path; None when the BMC does not have it or cannot give it whole."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was found: in which document it stands, and where in it."""

    path: str
    """Its own path."""
    document: str
    """The path to ask for."""
    steps: tuple[Step, ...]
    node: Document


class Walk:
    """One look around a BMC."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._seen: dict[str, Document | None] = {}
        self._can_expand = False
        self.cut: Counter[str] = Counter()
        """What was left out, by limit."""

    async def root(self) -> Document:
        """The service's root; empty when it has none."""
        root = await self.get(ROOT) or {}
        features = root.get("ProtocolFeaturesSupported")
        query = features.get("ExpandQuery") if isinstance(features, dict) else None
        self._can_expand = isinstance(query, dict) and query.get("Levels") is True
        return root

    async def get(self, path: str) -> Document | None:
        """A document, or None; a path is asked for once, however many links lead there."""
        key = same(path)
        if key not in self._seen:
            if len(self._seen) >= MOST_DOCUMENTS:
                self.cut["documents"] += 1
                return None
            self._seen[key] = None  # a link that leads back here finds nothing
            self._seen[key] = await self._fetch(path)
        return self._seen[key]

    def value(self, place: Place) -> float | Missing:
        """The number at a place of a document that was asked for."""
        document = self._seen.get(same(place.document))
        return value_at(place, {} if document is None else {place.document: document})

    async def follow(self, node: object, key: str) -> Found | None:
        """The document that an object links to under a name."""
        path = link(node, key)
        if not path:
            return None
        document = await self.get(path)
        return None if document is None else Found(path, path, (), document)

    async def members(
        self, node: object, key: str, *, wanted: Callable[[str], bool] | None = None
    ) -> list[Found]:
        """The members of the collection that an object links to under a name.

        Taken in one answer where the BMC can expand it; else one by one, only those whose paths
        are ``wanted``.
        """
        path = link(node, key)
        if not path:
            return []
        if self._can_expand and (expanded := await self._expanded(path)):
            return expanded
        found: list[Found] = []
        for each in await self._paths(path):
            if wanted is not None and not wanted(each):
                continue
            if len(found) >= MOST_MEMBERS:
                self.cut["members"] += 1
                break
            if (document := await self.get(each)) is not None:
                found.append(Found(each, each, (), document))
        return found

    async def _expanded(self, path: str) -> list[Found]:
        """The members inside their collection; none where the BMC gave links all the same."""
        whole = path + _EXPAND
        collection = await self.get(whole)
        if collection is None or text(collection, "Members@odata.nextLink"):
            return []
        members = objects(collection, "Members")
        if not all(link(each) and len(each) > 1 for each in members):
            return []
        self.cut["members"] += max(0, len(members) - MOST_MEMBERS)
        return [
            Found(link(each), whole, ("Members", Member("@odata.id", each["@odata.id"])), each)
            for each in members[:MOST_MEMBERS]
        ]

    async def _paths(self, path: str) -> list[str]:
        paths: list[str] = []
        page: str = path
        for _ in range(_MOST_PAGES):
            collection = await self.get(page)
            if collection is None:
                break
            paths += [link(each) for each in objects(collection, "Members") if link(each)]
            page = text(collection, "Members@odata.nextLink")
            if not page:
                break
        else:
            self.cut["pages"] += 1
        return list(dict.fromkeys(paths))


def link(node: object, key: str | None = None) -> str:
    """The path that an object, or the one under its key, links to; empty where there is none."""
    target: Any = node
    if key is not None:
        target = node.get(key) if isinstance(node, dict) else None
    return text(target, "@odata.id").partition("#")[0]


def links(node: object, key: str) -> list[str]:
    """The paths in a list of links, as `same` gives them."""
    return [same(link(each)) for each in objects(node, key) if link(each)]


def same(path: str) -> str:
    """A path in the one form in which two of the same document are equal."""
    return path.rstrip("/").casefold()
