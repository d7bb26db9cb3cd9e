"""What the record of a site is gathered from."""

from dataclasses import dataclass
from pathlib import Path

from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.files import Registers
from jauge_collector.sites import Site
from jauge_collector.stores import Store


@dataclass(frozen=True, slots=True)
class Sources:
    """A site with its registers as read, its open ledger (and that file), and its open store."""

    site: Site
    registers: Registers
    ledger: Ledger
    ledger_file: Path
    store: Store
