"""The ledger as it is measured: what people signed for, bills and dial readings, left out."""

from collections.abc import Iterable, Mapping

from jauge_models.intervals import Basis, Interval

from jauge_collector.ledger.book import Ledger


def measured(rows: Iterable[Interval]) -> list[Interval]:
    """Those of some rows that stand on nobody's word."""
    return [row for row in rows if row.basis is not Basis.ATTESTED]


class MeasuredLedger(Ledger):
    """The same ledger as if nobody had ever signed for an amount or read a dial."""

    def rows(
        self,
        site: str,
        meters: Iterable[str],
        start_ms: int,
        end_ms: int,
        *,
        counts_from: Mapping[str, int] | None = None,
        proofs: bool = True,
    ) -> dict[str, list[Interval]]:
        """As `Ledger.rows`, measured rows alone."""
        found = super().rows(site, meters, start_ms, end_ms, counts_from=counts_from, proofs=proofs)
        return {meter: measured(rows) for meter, rows in found.items()}
