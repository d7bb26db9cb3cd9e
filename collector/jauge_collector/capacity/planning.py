"""A scenario answered for one site, from its plant file, ledger and store."""

import asyncio
from datetime import tzinfo
from typing import NamedTuple

import msgspec
from jauge_models.capacity.answer import Answer, answer
from jauge_models.capacity.outcome import Figures
from jauge_models.capacity.outlook import (
    Outlook,
    PoolOutlook,
    UseHistory,
    outlook,
    pool_outlook,
)
from jauge_models.capacity.scenario import Scenario, check_against
from jauge_models.configuration import ConfigurationError
from jauge_models.effectiveness import CoveragePolicy

from jauge_collector import civil
from jauge_collector.capacity import past
from jauge_collector.capacity.figures import figures
from jauge_collector.capacity.outlooks import pools, uses
from jauge_collector.capacity.past import Past, Progress
from jauge_collector.capacity.plant_file import DeclaredPlant, load
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores import Store


class Known(NamedTuple):
    """All that an answer is made from, but for the scenario: it may be asked several."""

    declared: DeclaredPlant
    past: Past
    figures: Figures
    uses: tuple[UseHistory, ...]
    outlook: tuple[Outlook, ...]
    """What each use comes to if it goes on as it did: it takes long, and no scenario changes it."""
    at_ms: int
    pools: tuple[PoolOutlook, ...] = ()
    """The same of activity and power of each kind of GPU."""


async def gather(
    site: Site,
    ledger: Ledger,
    store: Store,
    now_ms: int,
    *,
    policy: CoveragePolicy,
    progress: Progress | None = None,
) -> Known:
    """What a site declares and measured; ``policy`` withholds indicators.

    Raises ConfigurationError, LedgerError and StoreError.
    """
    declared = plant_of(site, now_ms)
    measured = await past.read(site, declared, ledger, store, now_ms, progress=progress)
    told = await asyncio.to_thread(figures, ledger, site, policy, now_ms)
    some = tuple(uses(declared.plant, measured))
    ahead = await asyncio.to_thread(lambda: tuple(map(outlook, some)))
    of_pools = await asyncio.to_thread(
        lambda: tuple(map(pool_outlook, pools(declared.plant, measured)))
    )
    return Known(declared, measured, told, some, ahead, now_ms, of_pools)


def plan(known: Known, scenario: Scenario, *, file: str) -> Answer:
    """The answer to a scenario; ``file`` is its name in errors. Takes seconds.

    Raises ConfigurationError.
    """
    found = answer(
        known.declared.plant,
        scenario,
        zone=checked(scenario, known.declared, file=file),
        history=known.past.history,
        figures=known.figures,
        now_ms=known.at_ms,
        file=file,
    )
    weeks = known.past.use_hours // (7 * 24)
    return msgspec.structs.replace(
        found,
        outlook=known.outlook,
        pools=known.pools,
        unlearnt=known.past.unlearnt,
        gpu_weeks=weeks if weeks < past.YEAR_WEEKS else None,
    )


def checked(scenario: Scenario, declared: DeclaredPlant, *, file: str) -> tzinfo:
    """The scenario's civil time. Raises ConfigurationError where it cannot be answered."""
    check_against(scenario, declared.plant, file=file)
    try:
        return civil.zone(scenario.zone)
    except ValueError as error:
        raise ConfigurationError(file, "zone", str(error), "write Europe/Paris") from None


def plant_of(site: Site, now_ms: int) -> DeclaredPlant:
    """The plant that a site declares. Raises ConfigurationError, also where it declares none."""
    if site.capacity.plant is None:
        raise ConfigurationError(
            str(site.file),
            "capacity.plant",
            "is not set",
            "name a file of GPU servers, racks and rooms; docs/capacity.md has an example",
        )
    if site.capacity.price_eur_per_kwh is not None and not site.capacity.price_source.strip():
        raise ConfigurationError(
            str(site.file), "capacity.price_source", "is empty", "say where the price stands"
        )
    return load(site.file.parent / site.capacity.plant, site.circuits, now_ms)
