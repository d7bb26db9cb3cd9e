"""What the running service shows to its console: handed to ``console.app.build_app``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jauge_collector.config import CollectorConfig
from jauge_collector.faults import Faults
from jauge_collector.inventory import Inventory
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores import Store
from jauge_collector.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the service as /readyz shows it."""

    name: str
    """``mqtt``, ``store``, ``ledger``, ``retention``, ``lag``, ``silence`` or ``progress``."""
    ready: bool
    detail: str
    """One line for a person; empty where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Everything the console reads. Only the service changes what is behind it."""

    config: CollectorConfig
    sites: Mapping[str, Site]
    store: Store
    ledger: Ledger
    """A connection for the event loop's thread alone; passes and marks have their own."""
    inventory: Inventory
    faults: Faults
    """What was not stored, by reason, with the last example of each."""
    telemetry: Telemetry
    """``telemetry.exposition`` is what /metrics shows."""
    readiness: Callable[[], Sequence[Part]]
    """How each part stands now; /readyz is 503 unless all are ready."""
