"""The one list of alert rules. Severities are fixed here; limits come from `settings`."""

from collections.abc import Mapping

from jauge_dashboards.alerts import delivery, plant, record
from jauge_dashboards.alerts.rule import Group, Rule
from jauge_dashboards.alerts.settings import Settings


def groups(settings: Settings) -> tuple[Group, ...]:
    """Every rule, in groups that are evaluated together."""
    limits = settings.thresholds
    holding = (delivery.watchdog(), delivery.event(limits), delivery.interrupted(limits))
    causes = (*delivery.down(limits), delivery.instance_down(limits))
    at_once = (*causes, *delivery.silent(limits), *delivery.late(limits))
    power = (plant.battery(limits), plant.phase(limits), plant.feeds(limits))
    return (
        Group("jauge-alive", holding),
        Group("jauge-plant", (plant.room_hot(limits), *power, plant.throttled(limits))),
        Group("jauge-water", (plant.leak(settings),), plant.memory(settings), limits.leak_every),
        Group("jauge-delivery", at_once),
        Group("jauge-record", record.record(limits)),
    )


def watching(settings: Settings) -> tuple[Group, ...]:
    """What a second evaluator may load, which scrapes collector and store and holds no reading.

    It sees the store's death, which one that reads that store cannot. Groups and rules have the
    names of `groups`, so that what both tell is one alert. The watchdog is not among them: it
    speaks for the evaluator that has all rules.
    """
    limits = settings.thresholds
    return (
        Group("jauge-alive", (delivery.interrupted(limits),)),
        Group("jauge-delivery", delivery.down(limits)),
    )


def rules(settings: Settings | None = None) -> Mapping[str, Rule]:
    """Every rule by its name."""
    found = (rule for group in groups(settings or Settings()) for rule in group.rules)
    return {rule.name: rule for rule in found}
