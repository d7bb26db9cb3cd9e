"""Attested values: a dated register reading, a bill, or an operator's monthly figure.

Beside them what is attested of rooms (`set_points`, `intake_hours`) and papers (`certificates`).
Each is corrected only by a new entry. Its document is kept under its SHA-256, so that it can be
shown to be the one that was entered.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from jauge_models.configuration import ConfigurationError
from jauge_models.quantities import CATALOGUE
from jauge_models.topology import MEASURES, Meter

from jauge_collector import civil
from jauge_collector.importer.units import conversion
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.ledger.retention import named_documents
from jauge_collector.registers.meters import MOST
from jauge_collector.registers.regular_file import open_regular
from jauge_collector.sites import Site

AMOUNT: Final = "amount"
SET_POINT: Final = "set_point"
"""What the intake air of a room is set to, from a day to a day."""
HOURS: Final = "intake_hours"
"""Hours of intake air within ranges, from a day to a day."""
CERTIFICATE: Final = "certificate"
"""A document that certifies something, from a day on."""
SIGNED: Final = (AMOUNT, "reading", SET_POINT, HOURS, CERTIFICATE)
"""Kinds of entries that stand on somebody's word."""
LARGEST_DOCUMENT: Final = 100 << 20
"""Bytes of one document."""
INVOICE: Final = "invoice"
"""In the content of an amount that is a supplier's invoice."""


def in_base(meter: Meter, value: float, unit: str) -> float:
    """A value in the base unit of what flows through the meter. Raises ConfigurationError."""
    quantity = CATALOGUE[MEASURES[meter.commodity].register]
    try:
        return value * conversion(quantity, unit).scale
    except ValueError as error:
        raise ConfigurationError(
            "--unit", "", f"{unit!r} does not fit {meter.commodity} of {meter.id}", str(error)
        ) from None


def enter_amount(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    base: float,
    *,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    entered: str,
    signatory: str,
    document: str | None = None,
    note: str = "",
    corrects: int | None = None,
    invoice: bool = False,
    cause: str = "",
) -> int:
    """Keep a bill or monthly figure over [start, end), in base units.

    ``entered`` is the value and unit as typed. ``invoice`` says that it is a supplier's, to be
    compared with what was measured (S15); ``cause`` is the written cause of a difference. Raises
    ConfigurationError where it overlaps another that still holds, or a cause is given for what is
    no invoice.
    """
    if cause and not invoice:
        raise ConfigurationError(
            "--cause", "", "is for an invoice", "add --invoice, or write it as --note"
        )
    refuse_unlived(start_ms, end_ms, now_ms)
    if not 0 <= base <= MOST:
        raise ConfigurationError(
            "--amount", "", f"{entered} is no amount", "give what flowed, 0 or more"
        )
    _refuse_overlap(ledger.entries(site.name, AMOUNT, meter.id), (start_ms, end_ms), corrects)
    return ledger.append(
        site.name,
        AMOUNT,
        meter.id,
        start_ms=start_ms,
        end_ms=end_ms,
        content={"base": base, "entered": entered, "note": note}
        | ({INVOICE: True, "cause": cause} if invoice else {}),
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
    )


def enter_days(
    ledger: Ledger,
    site: Site,
    kind: str,
    subject: str,
    content: Mapping[str, Any],
    *,
    alike: Callable[[Mapping[str, Any]], bool],
    start_ms: int,
    end_ms: int,
    now_ms: int,
    signatory: str,
    document: str | None,
    corrects: int | None,
) -> int:
    """Keep what is attested of whole civil days [start, end) that are over; the entry's number.

    ``alike`` tells of the content of another of its kind whether that speaks of the same. Raises
    ConfigurationError for other days, or where one that is alike still holds on any of them.
    """
    refuse_no_days(site, start_ms, end_ms, now_ms)
    others = (one for one in ledger.entries(site.name, kind) if alike(one.content))
    _refuse_overlap(others, (start_ms, end_ms), corrects)
    return ledger.append(
        site.name,
        kind,
        subject,
        start_ms=start_ms,
        end_ms=end_ms,
        content=content,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
        may_move=True,
    )


def refuse_no_days(site: Site, start_ms: int, end_ms: int, now_ms: int) -> None:
    """Raises ConfigurationError for a span that is not of whole civil days that are over."""
    refuse_unlived(start_ms, end_ms, now_ms)
    refuse_parts_of_days(site, "--from", start_ms)
    refuse_parts_of_days(site, "--to", end_ms)


def refuse_unlived(start_ms: int, end_ms: int, now_ms: int) -> None:
    """Raises ConfigurationError for a span that is empty or not over yet."""
    if end_ms <= start_ms:
        raise ConfigurationError("--to", "", "is not after --from", "--to is excluded")
    if end_ms > now_ms:
        raise ConfigurationError("--to", "", "lies in the future", "attest what has been measured")


def refuse_parts_of_days(site: Site, option: str, moment_ms: int) -> None:
    """Raises ConfigurationError for a moment at which no civil day of the site begins."""
    if civil.midnight_ms(civil.day(moment_ms, site.zone), site.zone) != moment_ms:
        raise ConfigurationError(
            option, "", "is no whole day", "give a date without a time, 2026-01-31"
        )


def _refuse_overlap(others: Iterable[Entry], span: tuple[int, int], corrects: int | None) -> None:
    """Raises ConfigurationError where another entry than the one it corrects tells of that time."""
    for other in others:
        if other.id != corrects and other.start_ms < span[1] and span[0] < (other.end_ms or 0):
            raise ConfigurationError(
                "--from",
                "",
                f"the span overlaps entry {other.id} of {other.subject}",
                f"correct that with --corrects {other.id}, or attest the rest",
            )


def is_invoice(entry: Entry) -> bool:
    """Whether an amount was entered as a supplier's invoice."""
    return bool(entry.content.get(INVOICE))


@contextmanager
def document_kept(ledger: Ledger, folder: Path, file: Path | None) -> Iterator[str | None]:
    """A document on disk under its SHA-256 while its entry is made; None where there is none.

    Where the entry is refused it goes again, unless it was there before or an entry names it.
    Raises ConfigurationError where it is no file, is larger than `LARGEST_DOCUMENT` or cannot be
    read or kept.
    """
    if file is None:
        yield None
        return
    name, is_new = _keep(folder, file)
    try:
        yield name
    except ConfigurationError:
        if is_new and name not in named_documents(ledger, ()):
            (folder / name).unlink(missing_ok=True)
        raise


def _keep(folder: Path, file: Path) -> tuple[str, bool]:
    """The SHA-256 of what was copied, and whether it was not there before."""
    try:
        with open_regular(file) as source:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
                part = Path(copy.name)
                try:
                    name = _copied(source, copy, file)
                    copy.flush()
                    os.fsync(copy.fileno())
                    is_new = not (folder / name).exists()
                    part.replace(folder / name)
                except BaseException:
                    part.unlink(missing_ok=True)
                    raise
    except OSError as error:
        raise _unkept(file, f"cannot be kept: {(error.strerror or 'error').lower()}") from None
    return name, is_new


def _copied(source: IO[bytes], copy: IO[bytes], file: Path) -> str:
    digest, left = hashlib.sha256(), LARGEST_DOCUMENT
    while block := source.read(1 << 20):
        left -= len(block)
        if left < 0:
            raise _unkept(file, f"is larger than {LARGEST_DOCUMENT >> 20} MiB")
        digest.update(block)
        copy.write(block)
    return digest.hexdigest()


def _unkept(file: Path, problem: str) -> ConfigurationError:
    return ConfigurationError("--document", str(file), problem, "name a file that can be kept")


def attested(ledger: Ledger, site: Site) -> list[Entry]:
    """Every attested value in the order entered, corrected ones included."""
    found = [entry for kind in SIGNED for entry in ledger.entries(site.name, kind, corrected=True)]
    return sorted(found, key=lambda entry: entry.id)
