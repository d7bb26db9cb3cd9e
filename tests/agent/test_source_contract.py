"""What every source must keep to: it runs over all built-in sources and their fixtures.

A source of this machine has its fixtures as files of a machine; one of other devices is tested
against real counterparts of these, in a folder of tests that bears its name.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jauge_agent.source import AbsentError, Source, SourceError, SourceSettings
from jauge_agent.sources import BUILT_IN, load
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.readings import flaw_of
from jauge_models.resources import is_name, is_resource
from jauge_models.wire import Method

FIXTURES: Final = Path(__file__).parent / "fixtures"
ROOTS: Final = {"sysfs_root": "sys", "procfs_root": "proc"}

LOCAL: Final = [
    name
    for name in BUILT_IN
    if ROOTS.keys() & {field.name for field in msgspec.structs.fields(load(name).Settings)}
]
CASES: Final = [
    pytest.param(name, folder, id=f"{name}-{folder.name}")
    for name in LOCAL
    for folder in sorted((FIXTURES / name).glob("*/"))
]


def built(name: str, machine: Path) -> Source:
    """A built-in source that takes the machine's folders for the real ones."""
    make: Any = load(name)
    fields = {field.name for field in msgspec.structs.fields(make.Settings)}
    roots = {key: str(machine / folder) for key, folder in ROOTS.items() if key in fields}
    source: Source = make(make.Settings(**roots))
    return source


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_source_has_fixtures_and_settings(name: str) -> None:
    """A built-in source has fixtures or counterparts, and settings that extend the common ones."""
    make = load(name)
    if name in LOCAL:
        assert list((FIXTURES / name).glob("*/expected.json"))
    else:
        assert list((Path(__file__).parent / name).glob("test_*.py"))
    assert issubclass(make.Settings, SourceSettings)
    assert make.Settings.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize(("name", "machine"), CASES)
async def test_a_source_gives_what_its_fixture_holds(name: str, machine: Path) -> None:
    """The values of the fixture, and no other value of the resources it names but load and age."""
    source = built(name, machine)
    await source.open()
    outcome = await source.read()
    await source.close()
    given = {f"{sample.resource}/{sample.quantity}": sample.value for sample in outcome.samples}
    of_this_very_machine = {"host/load_average", "host/uptime"}
    expected = json.loads((machine / "expected.json").read_text())
    assert {key: given[key] for key in given.keys() - of_this_very_machine} == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize(("name", "machine"), CASES)
async def test_samples_are_described_and_acceptable(name: str, machine: Path) -> None:
    """Each sample passes the check of the collector, is described, and comes once a tick."""
    source = built(name, machine)
    described = await source.open()
    assert len({resource.id for resource in described}) == len(described)
    methods = {
        (resource.id, quantity): method
        for resource in described
        for quantity, method in resource.quantities.items()
    }
    for (resource, quantity), method in methods.items():
        assert is_resource(resource)
        running_total = CATALOGUE[quantity].kind is Kind.COUNTER
        assert running_total == (method in (Method.COUNTER, Method.REGISTER))
    for _ in range(3):
        outcome = await source.read()
        keys = [(sample.resource, sample.quantity) for sample in outcome.samples]
        assert keys
        assert len(keys) == len(set(keys))
        assert set(keys) <= methods.keys()
        for sample in outcome.samples:
            unit = CATALOGUE[sample.quantity].unit
            assert flaw_of(sample.resource, sample.quantity, unit, sample.value) is None
        assert all(is_name(reason) and count > 0 for reason, count in outcome.failed.items())
    await source.close()


@pytest.mark.parametrize("name", BUILT_IN)
async def test_a_source_is_absent_where_the_machine_offers_nothing(
    name: str, tmp_path: Path
) -> None:
    """An empty machine is said in one line, and nothing is read from it."""
    with pytest.raises(AbsentError) as absent:
        await built(name, tmp_path).open()
    assert str(absent.value)
    assert "\n" not in str(absent.value)


@pytest.mark.parametrize(("name", "machine"), CASES)
async def test_what_vanishes_is_left_out_and_never_a_zero(
    name: str, machine: Path, tmp_path: Path
) -> None:
    """When the machine's files go away, a read gives fewer samples or a named failure."""
    copy = tmp_path / machine.name
    shutil.copytree(machine, copy, symlinks=True)
    source = built(name, copy)
    await source.open()
    before = {
        (sample.resource, sample.quantity): sample.value for sample in (await source.read()).samples
    }
    for file in copy.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.write_bytes(b"")
    try:
        outcome = await source.read()
    except SourceError:
        pass
    else:
        assert outcome.failed
        assert len(outcome.samples) < len(before)
        assert all(before[s.resource, s.quantity] != 0 for s in outcome.samples if s.value == 0)
    await source.close()


@pytest.mark.parametrize(("name", "machine"), CASES)
async def test_a_source_can_be_closed_at_any_time(name: str, machine: Path) -> None:
    """Closing raises nothing: never opened, opened but not read, and twice."""
    source = built(name, machine)
    await source.close()
    source = built(name, machine)
    await source.open()
    await source.close()
    await source.close()
