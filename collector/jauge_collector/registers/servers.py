"""The inventory: which servers there are, where they stand, who answers for them, since when.

CSV, one row a server and place: a machine that moves ends one row and begins another of the same
id. What an officer does not know stays empty and is no error: the criterion that asks for it is
then not met (V1), which is another thing than a file that cannot be read.
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Final

from jauge_models.resources import is_name

from jauge_collector.registers.envelopes import FORM, Envelope, envelope_of
from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.sheet import (
    DATES,
    FEED_FORM,
    Column,
    Dated,
    Row,
    as_csv,
    folded,
    is_feed,
    refuse_twins,
    rows_of,
)

MOST_NODES: Final = 1_000
"""In one chassis."""


class ServerKind(StrEnum):
    """What stands there. What is a guest (virtual machine) stands in no inventory of servers."""

    PHYSICAL = "physical"
    HYPERVISOR = "hypervisor"
    APPLIANCE = "appliance"
    """A closed machine of a maker; outside Regulation (EU) 2019/424."""
    SCHOOL = "school"
    """A server in a school, not in a data centre: the policy says how it counts."""
    CLOUD = "cloud"
    """A rented machine: counts on the provider's attestation, on a line of its own."""


class PowerManagement(StrEnum):
    """Whether the machine may slow down when it has little to do."""

    ON = "on"
    OFF = "off"
    JUSTIFIED = "justified"
    """Off, and ``power_management_reason`` says why."""


class Server(Dated, frozen=True, kw_only=True):
    """One row of the inventory; a text is empty where nobody knows."""

    id: str
    """Identity in reports; the serial number or an inventory number."""
    name: str = ""
    """Name for people; never part of a series."""
    site: str = ""
    """Name of a site, as its site file says it."""
    room: str = ""
    row: str = ""
    rack: str = ""
    position: str = ""
    """Unit of the rack, as it is written there."""
    serial: str = ""
    kind: ServerKind = ServerKind.PHYSICAL
    chassis: str = ""
    """What it is a node of."""
    nodes: int = 1
    """How many servers the row stands for: a chassis that is listed as one counts its nodes."""
    owner: str = ""
    """Who answers for it."""
    used_by: tuple[str, ...] = ()
    """Bodies that it serves; a shared host has several."""
    removal: str = ""
    """Why it is there no more; with ``valid_to``."""
    maker: str = ""
    model: str = ""
    bought: date | None = None
    envelope: Envelope | None = None
    envelope_document: str = ""
    """Id of the document that says so; a written range needs one."""
    power_management: PowerManagement | None = None
    power_management_reason: str = ""
    ecodesign_document: str = ""
    """Id of the information that Regulation (EU) 2019/424 asks of the maker."""
    attestation: str = ""
    """Id of the provider's attestation, for a rented machine."""
    feeds: tuple[str, ...] = ()
    """``agent/resource`` by which it is seen."""
    idle_note: str = ""
    """Why the owner keeps it though it is idle."""
    idle_note_day: date | None = None
    """When the owner said so."""

    @property
    def is_shared(self) -> bool:
        """Whether it serves several bodies."""
        return len(self.used_by) > 1

    @property
    def lacks(self) -> tuple[str, ...]:
        """Columns that criterion V1 asks for and that are empty."""
        place = () if self.kind is ServerKind.CLOUD else ("room", "rack", "serial")
        asked = ("site", *place, "owner", "used_by")
        return tuple(name for name in asked if not getattr(self, name))


COLUMNS: Final = (
    Column("id", ("identifiant", "numero_inventaire", "inventaire"), needed=True),
    Column("name", ("nom", "nom_usuel", "hostname")),
    Column("site"),
    Column("room", ("salle",)),
    Column("row", ("rangee", "travee")),
    Column("rack", ("baie", "armoire")),
    Column("position", ("u", "unite", "emplacement")),
    Column("serial", ("serial_number", "numero_de_serie", "n_de_serie", "no_serie", "serie")),
    Column("kind", ("type", "nature")),
    Column("chassis"),
    Column("nodes", ("noeuds", "nombre_de_noeuds")),
    Column("owner", ("proprietaire", "responsable")),
    Column("used_by", ("utilise_par", "utilisateur", "beneficiaire")),
    *DATES,
    Column("removal", ("reason_of_removal", "motif_retrait", "motif_de_retrait", "motif")),
    Column("maker", ("manufacturer", "constructeur", "fabricant", "marque")),
    Column("model", ("modele",)),
    Column("bought", ("purchased", "achat", "date_achat", "date_d_achat", "achete_le")),
    Column("envelope", ("envelope_class", "enveloppe", "classe", "classe_thermique")),
    Column("envelope_document", ("document_enveloppe",)),
    Column("power_management", ("gestion_energie", "gestion_de_l_energie")),
    Column("power_management_reason", ("justification_gestion_energie", "justification")),
    Column("ecodesign_document", ("ecodesign", "ecoconception", "document_ecoconception")),
    Column("attestation", ("provider_attestation", "attestation_fournisseur")),
    Column("feeds", ("sources", "mesures", "vu_par")),
    Column("idle_note", ("note_inactif", "note_du_proprietaire")),
    Column("idle_note_day", ("date_note_inactif", "date_de_la_note")),
)

_KINDS: Final = {
    "physique": ServerKind.PHYSICAL,
    "serveur": ServerKind.PHYSICAL,
    "server": ServerKind.PHYSICAL,
    "hyperviseur": ServerKind.HYPERVISOR,
    "host": ServerKind.HYPERVISOR,
    "hote": ServerKind.HYPERVISOR,
    "boitier": ServerKind.APPLIANCE,
    "appliance": ServerKind.APPLIANCE,
    "lycee": ServerKind.SCHOOL,
    "etablissement": ServerKind.SCHOOL,
    "nuage": ServerKind.CLOUD,
}
_POWER: Final = {
    "active": PowerManagement.ON,
    "activee": PowerManagement.ON,
    "oui": PowerManagement.ON,
    "yes": PowerManagement.ON,
    "inactive": PowerManagement.OFF,
    "desactivee": PowerManagement.OFF,
    "non": PowerManagement.OFF,
    "no": PowerManagement.OFF,
    "justifie": PowerManagement.JUSTIFIED,
    "justifiee": PowerManagement.JUSTIFIED,
}
_BODIES: Final = "|"


def parse(file: File) -> tuple[Server, ...]:
    """The inventory that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    found = tuple(_server(row) for row in rows_of(file, COLUMNS, problems))
    refuse_twins(((s.id, s) for s in found if s.id), lambda i: f"server {i!r}", "id", problems)
    refuse_twins(
        ((folded(s.serial), s) for s in found if s.serial),
        lambda serial: f"serial number {serial!r}",
        "serial",
        problems,
    )
    refuse_twins(
        ((feed, s) for s in found for feed in s.feeds),
        lambda feed: f"feed {feed!r}",
        "feeds",
        problems,
    )
    problems.check()
    return found


def on(servers: Iterable[Server], day: date) -> list[Server]:
    """Those that are there on a day."""
    return [server for server in servers if server.holds(day)]


def removed(servers: Iterable[Server], start: date, end: date) -> list[Server]:
    """Rows that ended in (start, end] and were not continued by another row of their id."""
    servers = list(servers)
    begun = {(server.id, server.valid_from) for server in servers}
    return [
        server
        for server in servers
        if server.valid_to is not None
        and start < server.valid_to <= end
        and (server.id, server.valid_to) not in begun
    ]


def written(servers: Iterable[Server]) -> str:
    """A file that `parse` reads."""
    names = [column.name for column in COLUMNS]
    return as_csv(names, ([_said(getattr(server, name)) for name in names] for server in servers))


def _said(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f" {_BODIES} ".join(value)
    return str(value)


def _server(row: Row) -> Server:
    start, end = row.span()
    removal = row.text("removal")
    if end is not None and not removal:
        row.wrong(
            "removal", "is empty beside valid_to", "say why it is there no more: moved, sold…"
        )
    if removal and row.text("valid_to") == "":
        row.wrong("valid_to", "is empty beside a reason of removal", "say from when it is gone")
    kind = row.choice("kind", ServerKind, _KINDS) or ServerKind.PHYSICAL
    nodes = row.whole("nodes", 1, MOST_NODES) or 1
    chassis = row.text("chassis")
    if chassis and nodes > 1:
        row.wrong("nodes", f"is {nodes} for a node of {chassis!r}", "list the chassis or its nodes")
    power = row.choice("power_management", PowerManagement, _POWER)
    reason = row.text("power_management_reason")
    if power is PowerManagement.JUSTIFIED and not reason:
        row.wrong("power_management_reason", "is empty", "say why power management is off")
    note = row.text("idle_note")
    if note and not row.text("idle_note_day"):
        row.wrong("idle_note_day", "is empty beside a note", "say when the owner wrote it")
    site = row.text("site")
    if site and not is_name(site):
        row.wrong("site", f"{site!r} is no name", "write the name that its site file says")
    return Server(
        line=row.line,
        valid_from=start,
        valid_to=end,
        id=row.text("id", needed=True),
        name=row.text("name"),
        site=site,
        room=row.text("room"),
        row=row.text("row"),
        rack=row.text("rack"),
        position=row.text("position"),
        serial=row.text("serial"),
        kind=kind,
        chassis=chassis,
        nodes=nodes,
        owner=row.text("owner"),
        used_by=_bodies(row),
        removal=removal,
        maker=row.text("maker"),
        model=row.text("model"),
        bought=row.day("bought"),
        envelope=_envelope(row),
        envelope_document=row.text("envelope_document"),
        power_management=power,
        power_management_reason=reason,
        ecodesign_document=row.text("ecodesign_document"),
        attestation=row.text("attestation"),
        feeds=row.names("feeds", is_feed, FEED_FORM),
        idle_note=note,
        idle_note_day=row.day("idle_note_day"),
    )


def _bodies(row: Row) -> tuple[str, ...]:
    parts = (part.strip() for part in row.text("used_by").split(_BODIES))
    return tuple(dict.fromkeys(filter(None, parts)))


def _envelope(row: Row) -> Envelope | None:
    text = row.text("envelope")
    if not text:
        return None
    found = envelope_of(text)
    if found is None:
        row.wrong("envelope", f"{text!r} is no envelope", FORM)
    elif found.name is None and not row.text("envelope_document"):
        fix = "name the maker's document that says this range"
        row.wrong("envelope_document", "is empty beside a written range", fix)
    return found
