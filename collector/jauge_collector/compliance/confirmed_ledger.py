"""The ledger as it counts where two people are needed: measured, or confirmed by the second."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from jauge_models.compliance.policy import Act, Policy
from jauge_models.intervals import Basis, Interval, Point
from sqlalchemy import Connection

from jauge_collector.compliance.measured_ledger import measured
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.computation import from_dial
from jauge_collector.ledger.entries import (
    Attested,
    Entry,
    Lost,
    amount_of,
    attested_amounts,
    entries_of,
)
from jauge_collector.ledger.rows import intervals_touching, subject_ids
from jauge_collector.registers.attestations import AMOUNT, CERTIFICATE, HOURS, SET_POINT
from jauge_collector.registers.confirmations import confirmed, unconfirmed
from jauge_collector.registers.meters import READING, topology_of
from jauge_collector.sites import Site

_STATED: Final = frozenset({SET_POINT, HOURS, CERTIFICATE})


class ConfirmedLedger(Ledger):
    """The same ledger as if what no second person has confirmed had never been entered.

    But a correction withdraws what it corrects at once. What is confirmed later does not count in
    one that is open already.
    """

    def __init__(self, path: Path, site: Site) -> None:
        """Open. Raises LedgerError."""
        super().__init__(path)
        self._site = site
        self._topology = topology_of(self, site)
        self._among = frozenset(confirmed(self, site.name))
        self._withdrawn_readings = self.withdrawn(site.name, READING)

    def entries(
        self, site: str, kind: str, subject: str | None = None, *, corrected: bool = False
    ) -> list[Entry]:
        """As `Ledger.entries`; set points, hours and certificates only where confirmed."""
        found = super().entries(site, kind, subject, corrected=corrected)
        if kind not in _STATED:
            return found
        return [entry for entry in found if entry.id in self._among]

    def withdrawn(self, site: str, kind: str) -> list[Entry]:
        """Confirmed entries whose correction, or a correction of that, waits to be confirmed."""
        every = {entry.id: entry for entry in super().entries(site, kind, corrected=True)}
        found: list[Entry] = []
        for held in super().entries(site, kind):
            entry: Entry | None = held
            while entry is not None and entry.id not in self._among:
                entry = None if entry.corrects is None else every.get(entry.corrects)
            if entry is not None and entry.id != held.id:
                found.append(entry)
        return found

    def lost(
        self,
        site: str,
        *,
        counts_from: Mapping[str, int] | None = None,
        within: tuple[int, int] | None = None,
    ) -> Mapping[str, Sequence[Lost]]:
        """By meter each amount that an attested amount or a dial reading gave, now withdrawn."""
        found: defaultdict[str, list[Lost]] = defaultdict(list)
        for meter, row in self._given(site):
            span = row.start_ms, row.end_ms
            if within is not None and (span[0] >= within[1] or span[1] <= within[0]):
                continue
            around = self.rows(site, [meter], *span, counts_from=counts_from, proofs=False)
            now = [other for other in around[meter] if other.amount is not None]
            # As `rows` has it, nothing that was signed for counts beside what was measured. But an
            # amount that was set aside for dial readings stands where these are gone.
            if not measured(now):
                found[meter].append(Lost(row, is_hole=not now))
        return found

    def _given(self, site: str) -> Iterator[tuple[str, Interval]]:
        """Meter and row of each amount that what was withdrawn gave, even where none counted."""
        for entry in self.withdrawn(site, AMOUNT):
            if (amount := amount_of(entry)) is not None:
                yield entry.subject, amount
        gone: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.withdrawn(site, READING):
            gone[entry.subject].append(entry)
        for meter, readings in gone.items():
            with self._reading() as connection:
                before = self._from_confirmed(connection, site, meter, readings)
            moments = {entry.start_ms for entry in readings}
            for row in before:
                if row.amount is not None and moments & {row.start_ms, row.end_ms}:
                    yield meter, row

    def _amounts(self, connection: Connection, site: str) -> dict[str, list[Attested]]:
        return attested_amounts(connection, site, self._among)

    def _standing(
        self,
        connection: Connection,
        site: str,
        meter: str,
        rows: list[Interval],
        *,
        span: tuple[int, int],
    ) -> list[Interval]:
        """Rows of dial readings from each confirmed one to the next; measured ones as they are.

        None runs across one that was withdrawn.
        """
        by_hand = [row for row in rows if row.basis is Basis.ATTESTED]
        if not by_hand:
            return rows
        key = subject_ids(connection, site, [meter])[meter]
        gone = [one.start_ms for one in self._withdrawn_readings if one.subject == meter]
        standing = [
            row
            for row in self._from_confirmed(connection, site, meter)
            if row.start_ms < span[1]
            and row.end_ms > span[0]
            and any(row.start_ms < old.end_ms and row.end_ms > old.start_ms for old in by_hand)
            # What no longer counts between two readings is no reason to count across it.
            and not any(row.start_ms < at < row.end_ms for at in gone)
            # As `rows.replace_rows` keeps them: where no other row is.
            and not measured(
                intervals_touching(connection, key, row.start_ms, row.end_ms, proofs=False)
            )
        ]
        return sorted([*measured(rows), *standing], key=lambda row: row.start_ms)

    def _from_confirmed(
        self, connection: Connection, site: str, meter: str, more: Iterable[Entry] = ()
    ) -> list[Interval]:
        """Rows of dial readings: the confirmed ones that hold, and ``more``."""
        try:
            declared = self._topology.meter(meter)
        except KeyError:  # no longer of the site: nobody can say how its dial was read
            return []
        held = entries_of(connection, site, READING, meter, corrected=False)
        read = [*(entry for entry in held if entry.id in self._among), *more]
        return from_dial(
            declared,
            (Point(entry.start_ms, float(entry.content["base"])) for entry in read),
        )


class Counted(NamedTuple):
    """The ledger that a record rests on, and how many signed values it leaves out."""

    ledger: Ledger
    unconfirmed: int


@contextmanager
def counted(sources: Sources, policy: Policy) -> Iterator[Counted]:
    """What counts by a policy; the ledger of the sources itself where that is all of it.

    Raises LedgerError.
    """
    waiting = 0
    if Act.ATTESTATION in policy.two_people:
        waiting = len(unconfirmed(sources.ledger, sources.site.name))
    if not waiting:
        yield Counted(sources.ledger, 0)
        return
    with ConfirmedLedger(sources.ledger_file, sources.site) as ledger:
        yield Counted(ledger, waiting)
