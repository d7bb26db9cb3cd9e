"""When each meter was fed last: the newest reading of any of its feeds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from jauge_models.intervals import Point
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import MEASURES
from jauge_models.wire import Address

from jauge_collector.sites import Site

Meter = tuple[str, str]
"""Site and meter."""


class Fed:
    """Meters of some sites; those of which nothing is known yet are left out."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.newest_ms: Final[dict[Meter, int]] = {}
        self._meters: dict[Address, dict[tuple[str, str], list[Meter]]] = {}
        for site in sites:
            for meter in site.topology.meters:
                measures = MEASURES[meter.commodity]
                quantities = {measures.power, measures.register, measures.amount} - {None}
                for feed in meter.feeds:
                    of_agent = self._meters.setdefault(Address(site.name, feed.agent), {})
                    for quantity in quantities:
                        fed = of_agent.setdefault((feed.resource, str(quantity)), [])
                        fed.append((site.name, meter.id))

    @property
    def series(self) -> list[Series]:
        """Everything that feeds a meter."""
        return [
            Series(*address, resource, quantity)
            for address, fed in self._meters.items()
            for resource, quantity in fed
        ]

    def note(self, address: Address, readings: Sequence[Reading]) -> None:
        """Readings of an agent were stored."""
        fed = self._meters.get(address)
        if fed is None:
            return
        for series, time_ms, _ in readings:
            for meter in fed.get((series.resource, series.quantity), ()):
                if time_ms > self.newest_ms.get(meter, 0):
                    self.newest_ms[meter] = time_ms

    def learn(self, stored: Mapping[Series, Point]) -> None:
        """What the store held before: the last reading of each of the `series`."""
        for series, point in stored.items():
            self.note(Address(series.site, series.agent), [Reading(series, *point)])
