"""The second person: who confirmed what somebody else signed for.

A confirmation is an entry of its own, linked into the chain like any other. It is of one entry: a
correction needs its own.
"""

from jauge_models.compliance.persons import same_person
from jauge_models.configuration import ConfigurationError

from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import CONFIRMATION, Entry
from jauge_collector.registers.attestations import SIGNED, attested
from jauge_collector.sites import Site

__all__ = ["CONFIRMATION", "SIGNED", "confirm", "confirmed", "unconfirmed"]


def confirm(
    ledger: Ledger,
    site: Site,
    entry_id: int,
    *,
    signatory: str,
    now_ms: int,
    note: str = "",
) -> int:
    """Enter that a second person vouches for an attested value; the confirmation's number.

    Raises ConfigurationError where there is no such entry, it was corrected or is confirmed
    already, names nobody who answers for it, or names the same person.
    """
    if not signatory.strip():
        raise ConfigurationError("--signatory", "", "missing", "say who confirms the entry")
    of_site = attested(ledger, site)
    entry = next((each for each in of_site if each.id == entry_id), None)
    if entry is None:
        raise _refused(
            f"site {site.name} has no attested value numbered {entry_id}",
            "see attest --list",
        )
    later = next((each.id for each in of_site if each.corrects == entry_id), None)
    if later is not None:
        raise _refused(f"{entry_id} is corrected by {later}", f"confirm {later}")
    if not entry.signatory.strip():
        raise _refused(
            f"{entry_id} names nobody who answers for it",
            f"enter it again with --signatory and --corrects {entry_id}, and confirm that",
        )
    if same_person(entry.signatory, signatory):
        raise ConfigurationError(
            "--signatory",
            "",
            f"{signatory.strip()!r} signed for {entry_id}",
            "another person has to confirm it",
        )
    known = confirmed(ledger, site.name).get(entry_id)
    if known is not None:
        raise _refused(f"{entry_id} is confirmed already, by {known}", "nothing is left to do")
    return ledger.append(
        site.name,
        CONFIRMATION,
        str(entry_id),
        start_ms=entry.start_ms,
        end_ms=entry.end_ms,
        content={"of": entry.kind, "note": note},
        now_ms=now_ms,
        signatory=signatory.strip(),
    )


def confirmed(ledger: Ledger, site_name: str) -> dict[int, str]:
    """Number of each confirmed entry, and the second person: who confirmed it first."""
    found: dict[int, str] = {}
    for entry in sorted(ledger.entries(site_name, CONFIRMATION), key=lambda each: each.id):
        if entry.subject.isdecimal():  # `verify` tells of one that somebody made otherwise
            found.setdefault(int(entry.subject), entry.signatory)
    return found


def unconfirmed(ledger: Ledger, site_name: str) -> list[Entry]:
    """Attested values that hold and that nobody has confirmed, in the order entered."""
    known = confirmed(ledger, site_name)
    found = [
        entry
        for kind in SIGNED
        for entry in ledger.entries(site_name, kind)
        if entry.id not in known
    ]
    return sorted(found, key=lambda entry: entry.id)


def _refused(problem: str, fix: str) -> ConfigurationError:
    return ConfigurationError("--confirm", "", problem, fix)
