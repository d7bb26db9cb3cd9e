"""Pieces that the rules' expressions are made of; names come from the catalogues alone.

Whatever a rule asks of the present it asks of samples younger than `recent`: a reading that was
delayed lies in the past and neither fires nor resolves anything. Two collectors may publish the
same metric, and a label may just have moved: each piece gives one sample per thing.
"""

from collections.abc import Sequence
from typing import Final

from jauge_models.quantities import CATALOGUE

from jauge_dashboards.alerts.settings import SiteWater, Thresholds
from jauge_dashboards.queries import metric, reading

THING: Final = "site, agent, resource"
OUTDOOR: Final = "~sensor:outdoor.*"
"""What a sensor of outdoor air is called where no file of the site names it."""
WET_BULB: Final = "jauge:outdoor_wet_bulb_celsius"
FLOW_BY_WEATHER: Final = "jauge:water_flow_cubic_metres_per_second:by_weather"
LEAK: Final = "JaugeWaterLeak"

DRY: Final = 0.01
"""Evaporation below it is none: a closed valve that does not quite say 0."""

_PARTS_OF_MACHINES: Final = "!~core|package|uncore|dram|gpu|gpu_instance|storage|battery|psu"
_DEVICES: Final = "~cooling_unit|meter|pdu|pump|room|sensor|ups"


def recent(selector: str, limits: Thresholds, offset: str = "") -> str:
    """The newest sample of each series, if it is recent."""
    return newest(selector, limits.recent, offset)


def newest(selector: str, window: str, offset: str = "") -> str:
    """The newest sample of each series within a window."""
    return f"last_over_time({selector}[{window}]{f' offset {offset}' if offset else ''})"


def each(expression: str, *labels: str) -> str:
    """One sample for each set of these labels, the highest."""
    return f"max by ({', '.join(labels)}) ({expression})"


def one(info: str, labels: str) -> str:
    """One of the samples that tell of the same thing, with all its labels."""
    return f"topk by ({labels}) (1, {info})"


def things(quantity: str, limits: Thresholds, offset: str = "", **matchers: str) -> str:
    """The newest recent reading of each resource."""
    return each(recent(reading(quantity, **matchers), limits, offset), "site", "agent", "resource")


# --- intake air


def intake_air(limits: Thresholds, offset: str = "") -> str:
    """Temperature of each resource that may measure air."""
    return things("temperature", limits, offset, kind=_PARTS_OF_MACHINES)


def in_its_room(expression: str, limits: Thresholds) -> str:
    """Of intake sensors only, with their room and its class."""
    info = one(recent(metric("intake_info"), limits), THING)
    return f"({expression}) * on ({THING}) group_left (room, class) {info}"


def allowable_high(limits: Thresholds) -> str:
    """The highest allowable intake temperature of each class."""
    selector = metric("envelope_limit_celsius", bound="allowable_high")
    return each(recent(selector, limits), "site", "class")


# --- power


def circuits(limits: Thresholds, **matchers: str) -> str:
    """Limit of each phase of a circuit in amperes, with what it supplies."""
    return one(recent(metric("meter_limit_amperes", **matchers), limits), THING)


def as_ups(expression: str, resource: str, which: str = "max") -> str:
    """The highest for each UPS, or the lowest (``min``), under its name.

    The first group of ``resource`` is its number.
    """
    told = f'label_replace({expression}, "ups", "ups:$1", "resource", "{resource}")'
    of_each = f"{which} by (site, agent, ups) ({told})"
    return f'label_replace({of_each}, "resource", "$1", "ups", "(.+)")'


def on_battery(limits: Thresholds) -> str:
    """What each UPS says of itself, under its name: 1 while it feeds its load from its battery."""
    told = recent(reading("on_battery"), limits)
    ups = f'label_replace({told}, "resource", "ups:$1", "resource", "battery:(.+)")'
    return each(ups, "site", "agent", "resource")


def time_left(limits: Thresholds) -> str:
    """Seconds that the battery of the UPS an alert names would last, as its device estimates."""
    told = recent(reading("runtime", site="{site}", agent="{agent}"), limits)
    ups = f'label_replace({told}, "resource", "ups:$1", "resource", "battery:(.+)")'
    # A matcher would not know the battery by the name of its UPS.
    named = 'label_replace(vector(1), "resource", "{resource}", "", "")'
    return f"min({ups} and on (resource) {named})"


# --- water


def water_flow(limits: Thresholds, offset: str = "", **matchers: str) -> str:
    """Flow through each water meter by its register, in m3/s, where it was read of late."""
    register = reading("water", kind="meter", **matchers)
    back = f" offset {offset}" if offset else ""
    rate = f"rate({register}[{limits.leak_rate}]{back})"
    present = f"count_over_time({register}[{limits.recent}]{back})"
    return f"({each(rate, 'site', 'agent', 'resource')} and on ({THING}) {present})"


def outdoor(quantity: str, limits: Thresholds, sites: Sequence[SiteWater]) -> str:
    """Mean of the outdoor readings of each site."""
    named = [site for site in sites if site.outdoor is not None]
    found = [
        recent(reading(quantity, site=site.name, **_address(site.outdoor or "")), limits)
        for site in named
    ]
    others = f"!~{'|'.join(site.name.replace('.', '[.]') for site in named)}" if named else ""
    rest = {"resource": OUTDOOR, **({"site": others} if others else {})}
    found.append(recent(reading(quantity, **rest), limits))
    return f"avg by (site) ({' or '.join(found)})"


def meters(addresses: Sequence[str], site: str, limits: Thresholds) -> str:
    """Flow through these meters of a site."""
    return " or ".join(water_flow(limits, site=site, **_address(one)) for one in addresses)


def evaporating(site: str, limits: Thresholds) -> str:
    """The most that any cooler of a site evaporates, as they say themselves.

    Nothing where none says so, nor where one is silent that has said so within `mode_memory`.
    """
    told = reading("evaporative_cooling", site=site)
    now, lately = recent(told, limits), newest(told, limits.mode_memory)
    return (
        f"(max by (site) ({now}) and on (site) "
        f"count by (site) ({now}) == on (site) count by (site) ({lately}))"
    )


def wet_bulb(limits: Thresholds, sites: Sequence[SiteWater]) -> str:
    """Outdoor wet-bulb temperature of each site; the dry-bulb where humidity is not measured.

    By the fit of Stull (2011), written from memory: it only sorts hours into bins.
    """
    dry, damp = outdoor("temperature", limits, sites), outdoor("humidity", limits, sites)
    fit = (
        f"{dry} * on (site) atan(0.151977 * sqrt({damp} + 8.313659))"
        f" + on (site) atan({dry} + on (site) {damp})"
        f" - on (site) atan({damp} - 1.676331)"
        f" + on (site) 0.00391838 * {damp} * on (site) sqrt({damp})"
        f" * on (site) atan(0.023101 * {damp}) - 4.686035"
    )
    return f"({fit}) or on (site) {dry}"


def by_weather(limits: Thresholds, offset: str = "") -> str:
    """Flow through each water meter, with the bin of weather and load that it fell into."""
    weather = newest(WET_BULB, limits.leak_rate, offset)
    power = each(
        recent(metric("total_power_watts", symbol="E_IT", zone=""), limits, offset), "site"
    )
    bins = (
        f'count_values by (site) ("wet_bulb", floor({weather} / {limits.wet_bulb_bin:g}))'
        f" * on (site) group_left (it_load) "
        f'count_values by (site) ("it_load", floor({power} / {limits.load_bin_w:.0f}))'
    )
    flow = water_flow(limits, offset)
    return f"{flow} * on (site) group_left (wet_bulb, it_load) ({bins})"


def _address(address: str) -> dict[str, str]:
    agent, _, resource = address.partition("/")
    return {"agent": agent, "resource": resource}


# --- silence


def devices(limits: Thresholds) -> str:
    """Each device that a birth describes, with its name and room."""
    info = recent(metric("resource_info", kind=_DEVICES), limits)
    return each(info, "site", "agent", "resource", "name", "room")


def any_reading(window: str) -> str:
    """A sample for each reading of a device within a window, whatever it measures."""
    names = "|".join(quantity.series_name for quantity in CATALOGUE.values())
    return f'last_over_time({{__name__=~"{names}",kind=~"{_DEVICES.removeprefix("~")}"}}[{window}])'
