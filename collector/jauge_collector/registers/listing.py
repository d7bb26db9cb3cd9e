"""The inventory as the evaluation of the compliance record takes it, of all sites together.

Rows of one server that follow each other without a day between are one life: it moved, and what
counts from its commissioning goes on counting. A chassis that is listed as one is a chassis, a
rented machine stands apart.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Final, NamedTuple, TypeVar

import msgspec
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import (
    Chassis,
    DeclaredEnvelope,
    Note,
    PowerManagement,
    ServerEvidence,
)
from jauge_models.compliance.policy import Placement
from jauge_models.compliance.psychrometrics import RECOMMENDED_AIR, Envelope
from jauge_models.compliance.results import Cloud
from jauge_models.rules import RuleStatus

from jauge_collector.registers import servers as rows_of_servers
from jauge_collector.registers.documents import Document
from jauge_collector.registers.envelopes import Envelope as Declared
from jauge_collector.registers.envelopes import Medium
from jauge_collector.registers.evidence import (
    actions_in,
    attestation_of,
    document_of,
    exemptions_on,
)
from jauge_collector.registers.files import Registers
from jauge_collector.registers.problems import Problems
from jauge_collector.registers.servers import Server, ServerKind
from jauge_collector.registers.sheet import folded

_A = TypeVar("_A")

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

BODIES: Final = " | "
"""Between the bodies that one machine serves."""


class Listing(NamedTuple):
    """What the registers list."""

    inventory: Inventory
    clouds: tuple[Cloud, ...]
    """Rented machines of the day, with what their providers attest: a line of their own."""


def listing(registers: Iterable[Registers], day: date) -> Listing:
    """The servers of all sites, each file once, as they stood on a day.

    A row without a site is of the site whose file names the register. Raises RegisterError where
    several sites name one register and a row does not say whose it is.
    """
    registers = list(registers)
    sharing: defaultdict[object, list[Registers]] = defaultdict(list)
    for one in registers:
        if one.servers:
            sharing[one.paths.get("servers", id(one))].append(one)
    found = [_listed(named, day) for named in sharing.values()]
    return Listing(
        Inventory(
            tuple(server for one in found for server in one.inventory.servers),
            tuple(chassis for one in found for chassis in one.inventory.chassis),
        ),
        tuple(rented for one in found for rented in one.clouds),
    )


def keys_of(server: Server, feeds: Iterable[str] | None = None) -> frozenset[str]:
    """What a listed machine is recognised by: serial number, id, feeds, and UUIDs in feeds."""
    found = {_key("serial", server.serial), _key("id", server.id)}
    for feed in server.feeds if feeds is None else feeds:
        found |= {f"feed:{feed.lower()}", *_uuids(feed)}
    return frozenset(found - {""})


def keys_seen(
    feed: str,
    listed: AbstractSet[str],
    *,
    serial: str = "",
    uuid: str = "",
    asset_tag: str = "",
) -> frozenset[str]:
    """What a machine that an agent reports is recognised by.

    ``feed`` is its ``agent/resource``, ``listed`` every key of the inventory; ``serial``,
    ``uuid`` and ``asset_tag`` are what the birth says of the hardware. The identity of a ``host``
    is taken for a serial number or id, and an asset tag for an id, only where the inventory lists
    it as one: it may be a mere node name, and two nodes of one name are two machines.
    """
    found = {f"feed:{feed.lower()}", _key("serial", serial), *_uuids(feed)}
    if _UUID.fullmatch(uuid):
        found.add(f"uuid:{uuid.lower()}")
    identity = _identity(feed)
    found |= {_key("serial", identity), _key("id", identity), _key("id", asset_tag)} & listed
    return frozenset(found - {""})


def _key(kind: str, text: str) -> str:
    plain = folded(text)
    return f"{kind}:{plain}" if plain else ""


def _identity(feed: str) -> str:
    kind, _, identity = feed.partition("/")[2].partition(":")
    return identity if kind == "host" else ""


def _uuids(feed: str) -> set[str]:
    identity = _identity(feed)
    return {f"uuid:{identity.lower()}"} if _UUID.fullmatch(identity) else set()


def _listed(named: Sequence[Registers], day: date) -> Listing:
    first = named[0]
    sites = {one.site for one in named}
    problems = Problems(str(first.paths.get("servers", "")))
    if len(sites) > 1:
        for server in first.servers:
            if not server.site:
                problem = f"is empty, but {len(sites)} sites name this register"
                problems.add(server.line, "site", problem, "say at which site it stands")
    problems.check()
    lives: defaultdict[str, list[Server]] = defaultdict(list)
    for server in first.servers:
        lives[server.id].append(server)
    documents = {one.id: one for each in named for one in each.documents}
    held = {feed for server in first.servers if server.holds(day) for feed in server.feeds}
    exempt = [exemptions_on(each, day) for each in named]
    planned = [actions_in(each) for each in named]
    servers: list[ServerEvidence] = []
    chassis: list[Chassis] = []
    clouds: list[Cloud] = []
    for rows in lives.values():
        for life in _unbroken(rows):
            row, start, end = _as_of(life, day), life[0].valid_from, life[-1].valid_to
            site = row.site or first.site
            if row.kind is ServerKind.CLOUD:
                if row.holds(day):
                    clouds.append(_cloud(row, documents))
            elif row.nodes > 1:
                chassis.append(_chassis(row, site, start, end))
            else:
                # A machine that is gone may have left its feed, an outlet say, to another one.
                feeds = [f for f in row.feeds if row.holds(day) or f not in held]
                servers.append(
                    msgspec.structs.replace(
                        _server(row, feeds, documents),
                        site=site,
                        valid_from=start,
                        valid_to=end,
                        removal_reason=life[-1].removal if end is not None else "",
                        exemptions=_once(each.get(row.id, ()) for each in exempt),
                        actions=_once(each.get(row.id, ()) for each in planned),
                    )
                )
    return Listing(Inventory(tuple(servers), tuple(chassis)), tuple(clouds))


def _once(several: Iterable[tuple[_A, ...]]) -> tuple[_A, ...]:
    """What several sites' registers say, each thing once."""
    found: list[_A] = []
    for each in several:
        found += [one for one in each if one not in found]
    return tuple(found)


def _unbroken(rows: Iterable[Server]) -> list[list[Server]]:
    """Rows of one thing in order, parted where a day lies between two."""
    lives: list[list[Server]] = []
    for row in sorted(rows, key=lambda one: one.valid_from or date.min):
        if lives and lives[-1][-1].valid_to == row.valid_from:
            lives[-1].append(row)
        else:
            lives.append([row])
    return lives


def _as_of(life: Sequence[Server], day: date) -> Server:
    """The row that holds on a day, else the last one before it, else the first."""
    begun = [row for row in life if (row.valid_from or date.min) <= day]
    return begun[-1] if begun else life[0]


def _server(row: Server, feeds: Iterable[str], documents: Mapping[str, Document]) -> ServerEvidence:
    placement = Placement.SHARED_HOST if row.is_shared else Placement.OWN
    if row.kind is ServerKind.SCHOOL:
        placement = Placement.SCHOOL
    return ServerEvidence(
        id=row.id,
        room=row.room,
        rack=row.rack,
        serial=row.serial,
        owner=row.owner,
        used_by=BODIES.join(row.used_by),
        keys=keys_of(row, feeds),
        chassis=row.chassis,
        placement=placement,
        envelope=_envelope(row, documents),
        bought=row.bought,
        ecodesign=document_of(documents.get(row.ecodesign_document)),
        power_management=_power_management(row),
        owners_note=_note(row),
    )


def _cloud(row: Server, documents: Mapping[str, Document]) -> Cloud:
    return Cloud(
        service=row.name or row.id,
        owner=row.owner,
        used_by=BODIES.join(row.used_by),
        attestation=attestation_of(documents.get(row.attestation)),
    )


def _chassis(row: Server, site: str, start: date | None, end: date | None) -> Chassis:
    return Chassis(
        id=row.id,
        nodes=row.nodes,
        keys=keys_of(row),
        site=site,
        rack=row.rack,
        owner=row.owner,
        used_by=BODIES.join(row.used_by),
        valid_from=start,
        valid_to=end,
    )


def _envelope(row: Server, documents: Mapping[str, Document]) -> DeclaredEnvelope | None:
    if row.envelope is None:
        return None
    document = documents.get(row.envelope_document)
    if row.envelope.name is not None:
        return DeclaredEnvelope(name=row.envelope.name.value, document=document_of(document))
    own = _own_range(row.envelope, document)
    return DeclaredEnvelope(name=str(row.envelope), own=own, document=document_of(document))


def _own_range(declared: Declared, document: Document | None) -> Envelope | None:
    """A maker's written range. Air is still recommended at 18 to 27 °C, as far as it allows."""
    low, high = declared.low, declared.high
    if low is None or high is None:
        return None
    cool, warm = max(low, RECOMMENDED_AIR[0]), min(high, RECOMMENDED_AIR[1])
    liquid = declared.medium is Medium.WATER
    return Envelope(
        name=str(declared),
        allowable=(low, high),
        recommended=(low, high) if liquid or cool >= warm else (cool, warm),
        reference=document.title if document else "",
        status=RuleStatus.MEMORY if document is None else RuleStatus.IN_FORCE,
        liquid=liquid,
    )


def _power_management(row: Server) -> PowerManagement | None:
    if row.power_management is None:
        return None
    return PowerManagement(
        on=row.power_management is rows_of_servers.PowerManagement.ON,
        attested=True,
        justification=row.power_management_reason,
    )


def _note(row: Server) -> Note | None:
    if not row.idle_note or row.idle_note_day is None:
        return None
    return Note(row.idle_note, row.owner, row.idle_note_day)
