"""Practices of the European Code of Conduct for data centres, with what the site does of each.

CSV, one row a practice of an edition, dated where its status changes. What ships with Jauge is a
sample from memory: a number is shown as the Code's only where the officer's register holds it with
edition and page, read in the text itself (STANDARDS 1.2 and 8.1, criterion S2).
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Final

from jauge_models.compliance.criteria import TOPICS
from jauge_models.resources import is_name

from jauge_collector.registers import provenance
from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.provenance import Provenance
from jauge_collector.registers.sheet import DATES, Column, Dated, Row, refuse_twins, rows_of


class Category(StrEnum):
    """Of what the Code expects a practice."""

    ENTIRE = "entire_data_centre"
    NEW_SOFTWARE = "new_software"
    NEW_IT = "new_it_equipment"
    NEW_BUILD = "new_build_or_retrofit"
    OPTIONAL = "optional"


class Domain(StrEnum):
    """What a practice is about; the goal's text names the first three."""

    ELECTRICITY = "electricity"
    WATER = "water"
    TEMPERATURE = "temperature"
    OTHER = "other"


class PracticeStatus(StrEnum):
    """What the site does of it."""

    IMPLEMENTED = "implemented"
    ENDORSED = "endorsed"
    """Out of the site's control; the party in control has it."""
    NOT_APPLICABLE = "not_applicable"
    """With a written justification."""
    PLANNED = "planned"
    """With a date; counts as not met."""


class Practice(Dated, frozen=True, kw_only=True):
    """One practice of one edition."""

    edition: str
    number: str
    title: str
    category: Category
    domains: tuple[Domain, ...]
    topic: str = ""
    """What it is about, where a criterion rests on such a practice: one of ``criteria.TOPICS``."""
    value: int | None = None
    """Benefit that the Code expects of it, 1 to 5."""
    page: str = ""
    """Page of the edition on which it stands."""
    certainty: Provenance = Provenance.MEMORY
    status: PracticeStatus | None = None
    """None: nobody has looked at it yet."""
    justification: str = ""
    planned: date | None = None
    """Day by which it will be implemented."""
    documents: tuple[str, ...] = ()
    """Ids of the evidence, in the register of documents."""
    control: str = ""
    """Who is in control of it: the operator, a provider, a body."""

    @property
    def reference(self) -> str | None:
        """Its number as the Code's; None where only « pratique à référencer » may be shown."""
        known = self.certainty is Provenance.TEXT and self.edition and self.page
        return self.number if known else None

    @property
    def is_expected(self) -> bool:
        """Whether S2 asks for it: of the entire data centre, in one of the goal's three domains."""
        return self.category is Category.ENTIRE and set(self.domains) != {Domain.OTHER}


COLUMNS: Final = (
    Column("edition", needed=True),
    Column("number", ("numero", "n"), needed=True),
    Column("title", ("titre", "intitule"), needed=True),
    Column("category", ("categorie",), needed=True),
    Column("domain", ("domains", "domaine", "domaines"), needed=True),
    Column("topic", ("theme",)),
    Column("value", ("valeur",)),
    Column("page"),
    Column("certainty", provenance.HEADERS),
    Column("status", ("statut", "etat")),
    Column("justification", ("motif",)),
    Column("planned", ("planned_for", "prevu", "prevue", "prevu_le", "date_prevue")),
    Column("documents", ("evidence", "preuve", "preuves", "document")),
    Column("control", ("in_control", "controle", "maitrise", "responsable")),
    *DATES,
)

_CATEGORIES: Final = {
    "entire": Category.ENTIRE,
    "entire_dc": Category.ENTIRE,
    "centre_entier": Category.ENTIRE,
    "ensemble_du_centre": Category.ENTIRE,
    "nouveau_logiciel": Category.NEW_SOFTWARE,
    "new_it": Category.NEW_IT,
    "nouvel_equipement": Category.NEW_IT,
    "new_build": Category.NEW_BUILD,
    "construction_ou_renovation": Category.NEW_BUILD,
    "optionnelle": Category.OPTIONAL,
    "facultative": Category.OPTIONAL,
}
_DOMAINS: Final = {
    "electricite": Domain.ELECTRICITY,
    "energie": Domain.ELECTRICITY,
    "energy": Domain.ELECTRICITY,
    "eau": Domain.WATER,
    "autre": Domain.OTHER,
}
_STATUSES: Final = {
    "i": PracticeStatus.IMPLEMENTED,
    "e": PracticeStatus.ENDORSED,
    "n_a": PracticeStatus.NOT_APPLICABLE,
    "na": PracticeStatus.NOT_APPLICABLE,
    "realisee": PracticeStatus.IMPLEMENTED,
    "mise_en_oeuvre": PracticeStatus.IMPLEMENTED,
    "appliquee": PracticeStatus.IMPLEMENTED,
    "soutenue": PracticeStatus.ENDORSED,
    "sans_objet": PracticeStatus.NOT_APPLICABLE,
    "non_applicable": PracticeStatus.NOT_APPLICABLE,
    "prevue": PracticeStatus.PLANNED,
    "planifiee": PracticeStatus.PLANNED,
}


def parse(file: File) -> tuple[Practice, ...]:
    """The practices that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    found = tuple(_practice(row) for row in rows_of(file, COLUMNS, problems))
    refuse_twins(
        (((p.edition, p.number), p) for p in found if p.edition and p.number),
        lambda key: f"practice {key[1]} of {key[0]}" if isinstance(key, tuple) else "this practice",
        "number",
        problems,
    )
    problems.check()
    return found


def on(practices: Iterable[Practice], edition: str, day: date) -> list[Practice]:
    """Those of an edition, as they stood on a day."""
    return [one for one in practices if one.edition == edition and one.holds(day)]


def _practice(row: Row) -> Practice:
    start, end = row.span()
    status = row.choice("status", PracticeStatus, _STATUSES)
    justification, planned = row.text("justification"), row.day("planned")
    control = row.text("control")
    if status is PracticeStatus.NOT_APPLICABLE and not justification:
        row.wrong("justification", "is empty for 'not_applicable'", "say in writing why")
    if status is PracticeStatus.PLANNED and not row.text("planned"):
        row.wrong("planned", "is empty for 'planned'", "give the day")
    if status is PracticeStatus.ENDORSED and not control:
        row.wrong("control", "is empty for 'endorsed'", "say who is in control of it")
    certainty = row.choice("certainty", Provenance, provenance.WORDS) or Provenance.MEMORY
    page = row.text("page")
    if certainty is Provenance.TEXT and not page:
        row.wrong("page", "is empty beside certainty 'text'", "give the page, or write 'memory'")
    return Practice(
        line=row.line,
        valid_from=start,
        valid_to=end,
        edition=row.text("edition", needed=True),
        number=row.text("number", needed=True),
        title=row.text("title", needed=True),
        category=row.choice("category", Category, _CATEGORIES, needed=True) or Category.OPTIONAL,
        domains=row.choices("domain", Domain, _DOMAINS, needed=True) or (Domain.OTHER,),
        topic=_topic(row),
        value=row.whole("value", 1, 5),
        page=page,
        certainty=certainty,
        status=status,
        justification=justification,
        planned=planned,
        documents=row.names("documents", is_name, "write ids of the register of documents"),
        control=control,
    )


def _topic(row: Row) -> str:
    text = row.text("topic")
    if text and text not in TOPICS:
        row.wrong("topic", f"{text!r} is none", f"leave it empty, or one of {', '.join(TOPICS)}")
    return text
