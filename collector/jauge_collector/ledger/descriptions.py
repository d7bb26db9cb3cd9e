"""What births say of hosts, guests and GPUs: names and labels, each from when on.

A resource's description stands from the moment its birth came until another one differs; before
its first it is taken to have been that one.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from jauge_models.resources import kind_of
from jauge_models.wire import ResourceDescription
from sqlalchemy import Connection, delete, insert, select

from jauge_collector.ledger import schema
from jauge_collector.ledger.database import Database

DESCRIBED: Final = frozenset({"host", "guest", "gpu", "gpu_instance"})
"""Kinds of resource whose names and labels are kept."""

MAX_DESCRIPTIONS_OF_AGENT: Final = 40_000
"""Four for each resource of the largest birth; then the oldest that no longer hold go."""

_UNDATED: Final = "host"
"""A guest's label that changes with every move; where it ran is known from its readings."""


class Description(msgspec.Struct, frozen=True, gc=False):
    """What a birth said of a resource, from ``from_ms`` on."""

    name: str
    labels: Mapping[str, str]
    from_ms: int


Described = Mapping[tuple[str, str], Description]
"""By agent and resource."""


class DescriptionBook(Database):
    """The ledger's descriptions."""

    def set_descriptions(
        self, site: str, agent: str, resources: Mapping[str, tuple[str, str]], now_ms: int
    ) -> int:
        """Keep what a birth says of resources, as `described` gives it, where it is news.

        Returns how many were. Bounded by `MAX_DESCRIPTIONS_OF_AGENT`.
        """
        if not resources:
            return 0
        with self._writing() as connection:
            return set_descriptions(connection, site, agent, resources, now_ms)

    def newest_descriptions(self, site: str) -> dict[tuple[str, str], tuple[str, str]]:
        """By (agent, resource): the newest name and labels (JSON)."""
        t = schema.descriptions.c
        rows = (
            select(t.agent, t.resource, t.name, t.labels)
            .where(t.site == site)
            .order_by(t.agent, t.resource, t.from_ms)
        )
        with self._reading() as connection:
            return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(rows)}

    def descriptions(self, site: str, at_ms: int) -> dict[tuple[str, str], Description]:
        """By (agent, resource): what held at a moment, or the first one where none did yet."""
        found: dict[tuple[str, str], Description] = {}
        t = schema.descriptions.c
        rows = (
            select(t.agent, t.resource, t.from_ms, t.name, t.labels)
            .where(t.site == site)
            .order_by(t.agent, t.resource, t.from_ms)
        )
        with self._reading() as connection:
            for agent, resource, from_ms, name, labels in connection.execute(rows):
                if from_ms <= at_ms or (agent, resource) not in found:
                    found[agent, resource] = Description(name, _labels(labels), from_ms)
        return found

    def newest_labels(self, site: str, kind: str) -> dict[tuple[str, str], Mapping[str, str]]:
        """The newest labels of every resource of a kind, by (agent, resource)."""
        t = schema.descriptions.c
        rows = (
            select(t.agent, t.resource, t.labels)
            .where(t.site == site, (t.resource == kind) | t.resource.startswith(f"{kind}:"))
            .order_by(t.agent, t.resource, t.from_ms)
        )
        with self._reading() as connection:
            newest = {(row.agent, row.resource): row.labels for row in connection.execute(rows)}
        return {key: _labels(text) for key, text in newest.items()}

    def histories(self, site: str) -> dict[tuple[str, str], list[Description]]:
        """By (agent, resource): every description that is kept, oldest first."""
        found: dict[tuple[str, str], list[Description]] = {}
        t = schema.descriptions.c
        rows = (
            select(t.agent, t.resource, t.from_ms, t.name, t.labels)
            .where(t.site == site)
            .order_by(t.agent, t.resource, t.from_ms)
        )
        with self._reading() as connection:
            for agent, resource, from_ms, name, labels in connection.execute(rows):
                described = Description(name, _labels(labels), from_ms)
                found.setdefault((agent, resource), []).append(described)
        return found


def described(resources: Mapping[str, ResourceDescription]) -> dict[str, tuple[str, str]]:
    """Name and labels (JSON) of those resources of a birth whose descriptions are kept, by id."""
    found: dict[str, tuple[str, str]] = {}
    for key, resource in resources.items():
        kind = kind_of(key)
        if kind not in DESCRIBED:
            continue
        labels = {
            name: text
            for name, text in sorted(resource.labels.items())
            if not (kind == "guest" and name == _UNDATED)
        }
        found[key] = (resource.name, json.dumps(labels, ensure_ascii=False))
    return found


def set_descriptions(
    connection: Connection,
    site: str,
    agent: str,
    resources: Mapping[str, tuple[str, str]],
    now_ms: int,
) -> int:
    """Keep what a birth says, where it differs from what held; how many did."""
    t = schema.descriptions.c
    of_agent = (t.site == site) & (t.agent == agent)
    rows = select(t.resource, t.name, t.labels, t.from_ms).where(of_agent).order_by(t.from_ms)
    known = {row[0]: row[1:] for row in connection.execute(rows)}
    added: list[dict[str, Any]] = []
    for resource, (name, labels) in resources.items():
        held = known.get(resource)
        if held is not None and tuple(held[:2]) == (name, labels):
            continue
        added.append(
            {
                "site": site,
                "agent": agent,
                "resource": resource,
                # A clock set back must not make the newest one an older one.
                "from_ms": now_ms if held is None else max(now_ms, held[2] + 1),
                "name": name,
                "labels": labels,
            }
        )
    if added:
        connection.execute(insert(schema.descriptions), added)
        _bound(connection, site, agent, resources)
    return len(added)


def _bound(connection: Connection, site: str, agent: str, resources: Mapping[str, object]) -> None:
    """Over the limit, what no longer holds goes, oldest first; then resources no birth names."""
    table = schema.descriptions
    t = table.c
    of_agent = (t.site == site) & (t.agent == agent)
    rows = connection.execute(
        select(t.resource, t.from_ms).where(of_agent).order_by(t.from_ms.desc())
    ).all()
    if len(rows) <= MAX_DESCRIPTIONS_OF_AGENT:
        return
    seen: set[str] = set()
    ranked: list[tuple[int, int, str]] = []
    for resource, from_ms in rows:
        worth = 0 if resource in seen else 1 + (resource in resources)
        seen.add(resource)
        ranked.append((worth, from_ms, resource))
    # Room for a while, so that not every birth has to look through all.
    excess = len(rows) - MAX_DESCRIPTIONS_OF_AGENT * 9 // 10
    for _, from_ms, resource in sorted(ranked)[:excess]:
        connection.execute(
            delete(table).where(of_agent, t.resource == resource, t.from_ms == from_ms)
        )


def _labels(text: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(text))
