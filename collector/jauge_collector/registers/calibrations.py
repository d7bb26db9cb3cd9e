"""Calibrations of meters: when, by which certificate, and until when each holds.

They belong to a meter's history of ten years (S14) and change no row.
"""

from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Meter

from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.meters import CALIBRATION
from jauge_collector.sites import Site


def enter_calibration(
    ledger: Ledger,
    site: Site,
    meter: Meter,
    *,
    at_ms: int,
    valid_until_ms: int | None,
    certificate: str,
    now_ms: int,
    signatory: str = "",
    document: str | None = None,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep that a meter was calibrated, by which certificate, and until when that holds.

    No row depends on it. Raises ConfigurationError.
    """
    if at_ms > now_ms:
        raise ConfigurationError("--at", "", "lies in the future", "enter what has been done")
    if valid_until_ms is not None and valid_until_ms <= at_ms:
        raise ConfigurationError(
            "--valid-until", "", "is not after --at", "give the first day without"
        )
    if not certificate.strip():
        raise ConfigurationError("--certificate", "", "is empty", "give the certificate's number")
    return ledger.append(
        site.name,
        CALIBRATION,
        meter.id,
        start_ms=at_ms,
        end_ms=valid_until_ms,
        content={"certificate": certificate.strip(), "note": note},
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
    )
