"""Every profile is sound: names, units, kinds and sources, without a device at hand."""

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

import msgspec
import pytest
from jauge_agent.sources.snmp.profile import Point, Profile, Resource, candidates, profiles, starred
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import KINDS, is_resource, kind_of

ALL = [pytest.param(profile, id=profile.family) for profile in profiles()]
POINTS = [
    pytest.param(profile, resource, point, id=f"{profile.family}-{resource.id}-{point.quantity}")
    for profile in profiles()
    for resource in profile.resources
    for point in resource.points
]
FAMILIES = {
    "apc-probe",
    "apc-rpdu",
    "apc-rpdu2",
    "eaton-epdu",
    "eaton-ups",
    "entity-sensor",
    "geist",
    "huawei-ups",
    "raritan-px2",
    "rittal-cmc3",
    "servertech-sentry3",
    "servertech-sentry4",
    "ups-mib",
    "vertiv-crac",
    "vertiv-pdu",
}


def oids_in(node: object) -> Iterator[str]:
    """Every object identifier of a profile."""
    if isinstance(node, dict):
        for value in node.values():
            yield from oids_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from oids_in(value)
    elif isinstance(node, str) and node.startswith("1.3."):
        yield node


@pytest.mark.parametrize("profile", ALL)
def test_identifiers_are_whole(profile: Profile) -> None:
    """Numbers with dots between them, and at most one row."""
    for oid in oids_in(msgspec.to_builtins(profile)):
        parts = oid.split(".")
        assert parts.count("{row}") <= 1
        assert all(part.isdigit() for part in parts if part != "{row}")


def test_the_families_are_those_promised() -> None:
    """One file each, named after the family."""
    folder = files("jauge_agent") / "profiles" / "snmp"
    assert {file.name.removesuffix(".toml") for file in folder.iterdir()} == FAMILIES
    assert Counter(profile.family for profile in profiles()) == Counter(FAMILIES)


@pytest.mark.parametrize("profile", ALL)
def test_a_profile_says_what_it_is_and_where_that_is_written(profile: Profile) -> None:
    """Title, sources, and something a device is recognised by."""
    assert profile.title
    assert profile.source
    assert all(resource.source for resource in profile.resources)
    assert profile.recognised.present or profile.recognised.tables
    assert profile.floor_s >= 1


@pytest.mark.parametrize("profile", ALL)
def test_a_profile_names_each_thing_by_its_device(profile: Profile) -> None:
    """Known kinds; tables have rows in their names, and every name holds the device's identity."""
    for resource in profile.resources:
        filled = resource.id.format(serial="S1", key="K1", row="1.2", first="1", last="2", like="L")
        assert is_resource(filled)
        assert kind_of(resource.id) in KINDS
        assert "{serial}" in resource.id or "{key}" in resource.id
        if resource.rows is not None and resource.like is None:
            assert any(f"{{{part}}}" in resource.id for part in ("row", "first", "last", "key"))
        quantities = {point.quantity for point in resource.points}
        assert quantities <= CATALOGUE.keys()


@pytest.mark.parametrize(("profile", "resource", "point"), POINTS)
def test_a_point_can_be_read(profile: Profile, resource: Resource, point: Point) -> None:
    """Scalars are instances, columns are not; limits hold; sums add up what is read."""
    assert point.scale > 0
    entry = CATALOGUE[point.quantity]
    assert entry.low <= (entry.low if point.low is None else point.low)
    assert entry.high >= (entry.high if point.high is None else point.high)
    if point.oid is None:
        read = [
            each.oid
            for other in profile.resources
            for each in other.points
            if each.oid is not None and each.quantity == point.quantity
        ]
        for part in point.sum:
            assert any(oid == part or oid.startswith(f"{part}.") for oid in read)
    elif resource.rows is None:
        assert "{row}" not in point.oid
        assert point.oid.endswith(".0") or profile.family == "huawei-ups"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("scale = 0.1\nstates = { 3 = 0 }", "states are read from one object, and are not scaled"),
        ("states = { 5 = 2 }", "states: 5 is worth 2, on_battery is 0 to 1"),
        ("states = { 5 = true }", "expected"),
    ],
)
def test_states_that_can_never_be_are_refused(wrong: str, message: str) -> None:
    """With the state and what the quantity may be."""
    with pytest.raises(ConfigurationError) as error:
        parse(f'oid = "1.3.6.1.4.0"\nquantity = "on_battery"\n{wrong}', Point, file="x.toml")
    assert message in str(error.value)


def test_a_register_has_no_states() -> None:
    """Its value would jump."""
    with pytest.raises(ConfigurationError, match="states must be left out: energy is no gauge"):
        parse('oid = "1.3.6.1.4.0"\nquantity = "energy"\nstates = { 1 = 0 }', Point, file="x.toml")


@pytest.mark.parametrize("profile", ALL)
def test_no_power_is_worked_out_of_amperes(profile: Profile) -> None:
    """A watt is read as watts: nothing a profile can say multiplies two measurements."""
    objects = {
        (point.oid, resource.like)
        for resource in profile.resources
        for point in resource.points
        if point.quantity == "power" and point.oid
    }
    others = {
        (point.oid, resource.like)
        for resource in profile.resources
        for point in resource.points
        if point.quantity in ("current", "voltage", "apparent_power")
    }
    assert not objects & others


def test_computed_watts_of_the_first_generation_are_not_read() -> None:
    """APC's rPDUIdentDevicePowerWatts is amperes times a voltage that somebody typed in."""
    (profile,) = [profile for profile in profiles() if profile.family == "apc-rpdu"]
    quantities = {point.quantity for each in profile.resources for point in each.points}
    assert quantities == {"current"}


def test_the_most_particular_profile_comes_first() -> None:
    """By rank; one for another maker is no candidate."""
    families = [each.family for each in candidates("1.3.6.1.4.1.318.1.3.4.6", profiles())]
    assert families.index("apc-rpdu2") < families.index("apc-rpdu") < families.index("ups-mib")
    assert "eaton-ups" not in families
    similar = [each.family for each in candidates("1.3.6.1.4.1.3181", profiles())]
    assert "apc-rpdu" not in similar


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("Phase L1.Current.Value", "Phase L*.Current.Value", "1"),
        ("Temperature.Value", "*Temperature.Value", ""),
        ("10", "10", ""),
        ("110", "10", None),
        ("aba", "ab*ba", None),
    ],
)
def test_a_star_stands_for_what_is_between(text: str, pattern: str, found: str | None) -> None:
    """Beginning and end must not overlap."""
    assert starred(text, pattern) == found
