"""What the record of a site is gathered from."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from jauge_models.effectiveness import CoveragePolicy

from jauge_collector import civil
from jauge_collector.compliance.intake import Known
from jauge_collector.compliance.measured_ledger import MeasuredLedger
from jauge_collector.config import CollectorConfig, RetentionConfig
from jauge_collector.kpis import Rows, SiteKpis, SiteSums, boundary_rows, site_kpis
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.files import Registers
from jauge_collector.sites import Site
from jauge_collector.stores import Store

ARCHIVE: Final = Path("archive")
"""Folder of what closings keep of readings, below ``state_dir``."""
REPORTS: Final = Path("reports")
"""Folder of stored reports, below ``state_dir``."""


class BoundarySums(NamedTuple):
    """Rows of a site's equations over a span, the totals that they give, and the indicators."""

    rows: Rows
    sums: SiteSums
    kpis: SiteKpis


@dataclass(frozen=True, slots=True)
class Sources:
    """A site with its registers as read, its open ledger (and that file), and its open store."""

    site: Site
    registers: Registers
    ledger: Ledger
    ledger_file: Path
    store: Store
    reports: Path | None = None
    """Folder of the stored reports; None: ``reports`` beside the ledger."""
    archive: Path | None = None
    """Folder of what closings kept of readings; None: ``archive`` beside the ledger."""
    kept_years: int = RetentionConfig().ledger_years
    """How long the ledger keeps what it holds of meters: ``retention.ledger_years``."""
    hours: Known = field(default_factory=dict, compare=False, repr=False)
    """Hours of sensors that were read already: a report needs the record's again."""
    vouched: set[Hashable] = field(default_factory=set, compare=False, repr=False)
    """Archives that were held against their digest already."""
    boundaries: dict[tuple[Ledger, int, int], BoundarySums] = field(
        default_factory=dict, compare=False, repr=False
    )
    """The same of a site's totals, by the ledger that counts and the span."""
    unsigned: dict[tuple[int, int], SiteKpis] = field(
        default_factory=dict, compare=False, repr=False
    )
    """The same of the indicators without signed amounts, by the span."""

    def boundary(self, start_ms: int, end_ms: int, policy: CoveragePolicy) -> BoundarySums:
        """The site's totals over [start, end), worked out once. Raises LedgerError."""
        asked = (self.ledger, start_ms, end_ms)
        if asked not in self.boundaries:
            rows = boundary_rows(self.ledger, self.site, start_ms, end_ms, policy)
            period = civil.period(start_ms, end_ms, self.site.zone)
            sums = SiteSums(self.ledger, self.site, period, policy, rows=rows)
            self.boundaries[asked] = BoundarySums(rows, sums, sums.figures())
        return self.boundaries[asked]

    def without_attested(self, start_ms: int, end_ms: int, policy: CoveragePolicy) -> SiteKpis:
        """The indicators over [start, end) without signed amounts, worked out once.

        Raises LedgerError.
        """
        asked = start_ms, end_ms
        if asked not in self.unsigned:
            with MeasuredLedger(self.ledger_file) as ledger:
                self.unsigned[asked] = site_kpis(ledger, self.site, start_ms, end_ms, policy)
        return self.unsigned[asked]

    @property
    def reports_folder(self) -> Path:
        """Where the reports of closed quarters are kept."""
        return self.reports or self.ledger_file.parent / REPORTS

    @property
    def archive_folder(self) -> Path:
        """Where closings keep what the store will forget."""
        return self.archive or self.ledger_file.parent / ARCHIVE


def configured(
    settings: CollectorConfig, site: Site, registers: Registers, ledger: Ledger, store: Store
) -> Sources:
    """The sources of a site as a collector's own settings have them."""
    return Sources(
        site,
        registers,
        ledger,
        settings.state(settings.ledger.path),
        store,
        reports=settings.state(REPORTS),
        archive=settings.state(ARCHIVE),
        kept_years=settings.retention.ledger_years,
    )
