"""What was decided in writing: that a criterion does not apply, and what will be done by when.

Two CSV files, one row a decision: exemptions (« sans objet », each with its justification, day and
signatory) and dated remediation actions, from which the forecast is made. Neither ever passes for
a measurement.
"""

from datetime import date
from typing import Final

from jauge_models.compliance.criteria import CRITERIA
from jauge_models.compliance.evidence import Effect

from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.sheet import DATES, Column, Dated, Row, refuse_twins, rows_of


class ExemptionRow(Dated, frozen=True, kw_only=True):
    """One criterion that does not apply to one site or server."""

    subject: str
    """Name of the site, or id of the server."""
    criterion: str
    justification: str
    day: date
    """On which it was signed."""
    signatory: str
    """Role or login of who signed."""
    confirmed_by: str = ""
    """Role or login of the second person."""


class ActionRow(Dated, frozen=True, kw_only=True):
    """One remediation action."""

    subject: str
    criterion: str
    day: date
    """By which it will be done."""
    owner: str
    """Role or service that does it."""
    effect: Effect = Effect.AT_ONCE
    what: str = ""


_SUBJECT: Final = Column("subject", ("objet", "sujet", "site", "serveur", "server"), needed=True)
_CRITERION: Final = Column("criterion", ("critere",), needed=True)
_DAY: Final = ("date", "le", "jour", "signe_le", "echeance")
EXEMPTION_COLUMNS: Final = (
    _SUBJECT,
    _CRITERION,
    Column("justification", ("motif",), needed=True),
    Column("day", _DAY, needed=True),
    Column("signatory", ("name", "signataire", "role"), needed=True),
    Column("confirmed_by", ("confirme_par",)),
    *DATES,
)
ACTION_COLUMNS: Final = (
    _SUBJECT,
    _CRITERION,
    Column("day", _DAY, needed=True),
    Column("owner", ("responsable", "porteur"), needed=True),
    Column("effect", ("effet",)),
    Column("what", ("action", "quoi")),
)
_EFFECTS: Final = {
    "immediat": Effect.AT_ONCE,
    "apres_douze_mois": Effect.AFTER_TWELVE_MONTHS,
    "mesure": Effect.AFTER_TWELVE_MONTHS,
}


def exemptions(file: File) -> tuple[ExemptionRow, ...]:
    """The exemptions that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    rows = rows_of(file, EXEMPTION_COLUMNS, problems)
    found = tuple(one for one in map(_exemption, rows) if one is not None)
    refuse_twins(
        (((one.subject, one.criterion), one) for one in found),
        lambda key: f"{key[1]} of {key[0]!r}" if isinstance(key, tuple) else "this criterion",
        "criterion",
        problems,
    )
    problems.check()
    return found


def actions(file: File) -> tuple[ActionRow, ...]:
    """The remediation actions that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    rows = rows_of(file, ACTION_COLUMNS, problems)
    found = tuple(one for one in map(_action, rows) if one is not None)
    problems.check()
    return found


def _criterion(row: Row) -> str:
    text = row.text("criterion", needed=True)
    if text and text not in CRITERIA:
        row.wrong("criterion", f"{text!r} is none", f"one of {', '.join(CRITERIA)}")
    return text


def _exemption(row: Row) -> ExemptionRow | None:
    start, end = row.span()
    criterion, day = _criterion(row), row.day("day", needed=True)
    if criterion in CRITERIA and not CRITERIA[criterion].exemptable:
        row.wrong("criterion", f"{criterion} may never be « sans objet »", "take the row out")
    subject, signatory = row.text("subject", needed=True), row.text("signatory", needed=True)
    justification = row.text("justification", needed=True)
    if day is None:
        return None
    return ExemptionRow(
        line=row.line,
        valid_from=start,
        valid_to=end,
        subject=subject,
        criterion=criterion,
        justification=justification,
        day=day,
        signatory=signatory,
        confirmed_by=row.text("confirmed_by"),
    )


def _action(row: Row) -> ActionRow | None:
    criterion, day = _criterion(row), row.day("day", needed=True)
    subject, owner = row.text("subject", needed=True), row.text("owner", needed=True)
    effect = row.choice("effect", Effect, _EFFECTS) or Effect.AT_ONCE
    if day is None:
        return None
    return ActionRow(
        line=row.line,
        subject=subject,
        criterion=criterion,
        day=day,
        owner=owner,
        effect=effect,
        what=row.text("what"),
    )
