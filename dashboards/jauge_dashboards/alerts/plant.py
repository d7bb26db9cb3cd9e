"""Rules about the plant and its machines: air, power, water, GPUs."""

from jauge_dashboards.alerts.rule import Form, Recording, Rule, Severity, Topic
from jauge_dashboards.alerts.selectors import (
    DRY,
    FLOW_BY_WEATHER,
    LEAK,
    THING,
    WET_BULB,
    allowable_high,
    as_ups,
    by_weather,
    circuits,
    each,
    evaporating,
    in_its_room,
    intake_air,
    meters,
    on_battery,
    outdoor,
    recent,
    things,
    time_left,
    wet_bulb,
)
from jauge_dashboards.alerts.settings import Settings, SiteWater, Thresholds, seconds
from jauge_dashboards.queries import metric, reading


def room_hot(limits: Thresholds) -> Rule:
    """Once a room: several intake sensors above their class, or rising fast."""
    air = in_its_room(intake_air(limits), limits)
    over = f"{air} > on (site, class) group_left () {allowable_high(limits)}"
    rise = (
        f"{intake_air(limits)} - {intake_air(limits, limits.rise_within)} > {limits.rise_celsius:g}"
    )
    enough = " or ".join(
        f"count by (site, room) ({which}) >= {limits.hot_sensors}"
        for which in (over, in_its_room(rise, limits))
    )
    return Rule(
        "JaugeRoomHot",
        Severity.PAGE,
        Topic.COOLING,
        f"{each(air, 'site', 'room')} and on (site, room) ({enough})",
        Form.CELSIUS,
        limits.hot_for,
        limits.keep,
        "min("
        + metric("envelope_limit_celsius", site="{site}", bound="allowable_high")
        + " and on (site, class) "
        + metric("intake_info", site="{site}", room="{room}")
        + ")",
        limit_is_query=True,
        board="rooms",
        variables=("site", "room"),
    )


def battery(limits: Thresholds) -> Rule:
    """As a UPS says itself.

    Of one that says nothing: without mains at its input, or with a charge that falls, while it
    gives power.
    """
    told = on_battery(limits)
    volts = recent(reading("voltage", kind="phase", resource="~phase:.+[.]in[.][^.]+"), limits)
    no_mains = as_ups(volts, "phase:(.+)[.]in[.][^.]+")
    charge, before = (
        as_ups(recent(reading("charge"), limits, offset), "(?:battery|ups):(.+)", "min")
        for offset in ("", limits.recent)
    )
    used = f"{before} - {charge} >= {limits.charge_fall:g}"
    seen = (
        f"{things('power', limits, kind='ups')} > 0 and on ({THING}) "
        f"({no_mains} < {limits.mains_volts:g} or {used})"
    )
    return Rule(
        "JaugeUpsOnBattery",
        Severity.PAGE,
        Topic.POWER,
        f"{told} > 0 or (({seen}) unless on ({THING}) {told})",
        Form.NUMBER,
        limits.battery_for,
        limits.recent,
        limits.battery_for,
        more=time_left(limits),
        board="power",
    )


def phase(limits: Thresholds) -> Rule:
    """Current of one phase against its breaker."""
    return Rule(
        "JaugePhaseNearLimit",
        Severity.PAGE,
        Topic.POWER,
        f"{things('current', limits)} > on ({THING}) group_left (phase, feed, load) "
        f"({limits.phase_share:g} * {circuits(limits)})",
        Form.AMPERE,
        limits.phase_for,
        limits.keep,
        "max("
        + metric("meter_limit_amperes", site="{site}", agent="{agent}", resource="{resource}")
        + ")",
        limit_is_query=True,
        board="power",
    )


def feeds(limits: Thresholds) -> Rule:
    """What one feed would have to carry alone."""
    circuit = circuits(limits, load="!")
    current = (
        f"{things('current', limits)} * on ({THING}) group_left (phase, load) ({circuit} > bool 0)"
    )
    by = "by (site, load, phase)"
    return Rule(
        "JaugeFeedsExceedOne",
        Severity.TICKET,
        Topic.POWER,
        f"sum {by} ({current}) > on (site, load, phase) "
        f"{limits.feeds_share:g} * min {by} ({circuit}) "
        f"and on (site, load, phase) count {by} ({circuit}) > 1",
        Form.AMPERE,
        limits.feeds_for,
        limits.keep,
        "min(" + metric("meter_limit_amperes", site="{site}", load="{load}", phase="{phase}") + ")",
        limit_is_query=True,
        board="power",
    )


def leak(settings: Settings) -> Rule:
    """More than the same weather and load ever took, or any while cooling runs dry."""
    limits = settings.thresholds
    memory = f"{FLOW_BY_WEATHER}[{limits.leak_memory}]"
    floor = f"{limits.leak_floor_l_h / 3.6e6:.3g}"
    most = (
        f"({limits.leak_factor:g} * max_over_time({memory})"
        f" and count_over_time({memory}) >= {limits.leak_learnt})"
    )
    same = f"{THING}, wet_bulb, it_load"
    unusual = each(f"{by_weather(limits)} > on ({same}) {most}", "site", "agent", "resource")
    ways = [f"{unusual} > {floor}"]
    for site in settings.sites:
        if site.makeup:
            flow = meters(site.makeup, site.name, limits)
            ways.append(f"({flow}) > {floor} and on (site) ({_dry(site, settings)})")
    return Rule(
        LEAK,
        Severity.PAGE,
        Topic.WATER,
        each(" or ".join(f"({way})" for way in ways), "site", "agent", "resource"),
        Form.LITRES_PER_HOUR,
        limits.leak_for,
        limits.leak_rate,
        scale=3.6e6,
        board="cooling",
    )


def _dry(site: SiteWater, settings: Settings) -> str:
    """While cooling runs dry: as the coolers say, else as the outdoor air lets expect."""
    mode = evaporating(site.name, settings.thresholds)
    told = f"{mode} < {DRY:g}"
    if site.dry_below_celsius is None:
        return told
    air = outdoor("temperature", settings.thresholds, settings.sites)
    return f"{told} or ({air} < {site.dry_below_celsius:g} unless on (site) {mode})"


def memory(settings: Settings) -> tuple[Recording, ...]:
    """What each meter showed in each bin, but for hours that a leak was found in.

    A flow is kept only once it can no longer become a leak: after the hold of that rule.
    """
    limits = settings.thresholds
    after = f"{round(seconds(limits.leak_for) + 2 * seconds(limits.leak_every) + 60)}s"
    fired = f'max_over_time(ALERTS{{alertname="{LEAK}",alertstate="firing"}}[{after}])'
    return (
        Recording(WET_BULB, wet_bulb(limits, settings.sites)),
        Recording(FLOW_BY_WEATHER, f"{by_weather(limits, after)} unless on ({THING}) {fired}"),
    )


def throttled(limits: Thresholds) -> Rule:
    """GPUs of a host that heat has held down for most of a while."""
    held = f"avg_over_time({reading('throttled_by_heat', kind='gpu')}[{limits.throttled_within}])"
    each_gpu = each(held, "site", "agent", "resource")
    return Rule(
        "JaugeGpuThrottled",
        Severity.TICKET,
        Topic.COMPUTE,
        f"count by (site, agent) ({each_gpu} > {limits.throttled_share:g}"
        f" and on ({THING}) {things('throttled_by_heat', limits, kind='gpu')})",
        Form.NUMBER,
        limits.hot_for,
        limits.keep,
        f"{limits.throttled_share:.0%} / {limits.throttled_within}",
        board="gpus",
    )
