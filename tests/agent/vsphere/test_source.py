"""The source as the agent runs it: settings, several vCenters, probing."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.cli import main
from jauge_agent.source import AbsentError, RetryError
from jauge_agent.sources.vsphere.settings import Pool, VCenter, VsphereSettings
from jauge_agent.sources.vsphere.source import VsphereSource

from tests.agent.vsphere.conftest import Ground, Start, values
from tests.parts import eventually
from tests.vcsim.simulator import USER

pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")

LOGIN: dict[str, Any] = {"username": "u", "password_file": "p"}


async def test_without_a_vcenter_it_is_absent() -> None:
    """Said in one line."""
    with pytest.raises(AbsentError, match=r"sources\.vsphere\.devices"):
        await VsphereSource(VsphereSettings()).open()


@pytest.mark.parametrize(
    ("devices", "problem"),
    [
        ([{"host": "vc"}], "needs username and password_file"),
        ([{"host": "vc", "username": "u"}], "needs username and password_file"),
        ([{"host": "vc", **LOGIN}, {"host": "vc", **LOGIN}], "'vc' is listed twice"),
    ],
)
def test_what_cannot_work_is_refused(devices: list[dict[str, Any]], problem: str) -> None:
    """With the vCenter's name."""
    with pytest.raises(ValueError, match=problem):
        VsphereSettings(devices=[VCenter(**device) for device in devices])


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"host": "a b"}, "host"),
        ({"host": "vc", "name": "a b"}, "is not a name"),
        ({"host": "vc", "tags": {"a b": "x"}}, "tags"),
    ],
)
def test_a_vcenter_that_cannot_be_is_refused(keys: dict[str, Any], problem: str) -> None:
    """By what is wrong with it."""
    with pytest.raises(ValueError, match=problem):
        VCenter(**keys)


def test_pools_have_names_and_patterns() -> None:
    """Names become part of a resource's."""
    for wrong in ({"name": "a b", "match": "x"}, {"name": "a", "match": ""}):
        with pytest.raises(ValueError, match=r"is not a name|match is empty"):
            Pool(**wrong)
    twice = [Pool(name="a", match="x"), Pool(name="a", match="y")]
    with pytest.raises(ValueError, match="'a' is listed twice"):
        VCenter(host="vc", pools=twice)


async def opened(source: VsphereSource) -> None:
    """Open it, however long that takes."""

    async def is_open() -> bool:
        try:
            await source.open()
        except RetryError:
            return False
        return True

    await eventually(is_open, within=20, what="opened")


def two(ground: Ground) -> VsphereSource:
    """One vCenter under two names."""
    (first,) = ground.settings(name="one").devices
    (second,) = ground.settings(name="two").devices
    return VsphereSource(VsphereSettings(devices=[first, second], deadline_s=20))


async def test_what_two_vcenters_have_in_common_is_told_once(start: Start, tmp_path: Path) -> None:
    """The first one listed counts, also for what is dated; each has a file of its own."""
    ground = await start("-hosts", "1", "-guests", "2", "-power")
    source = two(ground)
    source.remember(tmp_path / "vsphere")
    described = await source.open()
    assert len(described) == len({each.id for each in described}) == 3
    outcome = await source.read()
    given = values(outcome)
    assert len({name for _, name, what in given if what == "power"}) == 3
    assert outcome.failed["duplicate"] > len(given) / 2
    await source.close()
    assert ground.relay.methods.count("Login") == ground.relay.methods.count("Logout") == 2


async def test_a_certificate_that_is_not_checked_is_said(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """At each start."""
    ground = await start("-hosts", "1", "-guests", "0")
    source = VsphereSource(ground.settings(verify=False, ca_file=None))
    with caplog.at_level(logging.WARNING):
        await opened(source)
    assert [each.getMessage() for each in caplog.records] == ["certificate not checked"]
    await source.close()


async def test_clocks_that_part_are_said_once(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once when they agree again."""
    monkeypatch.setattr("jauge_agent.sources.vsphere.source.CLOCKS_PART_MS", 30_000)
    ground = await start("-hosts", "1", "-guests", "0")
    source = ground.source()
    await source.open()
    with caplog.at_level(logging.INFO):
        await source.read()
        ground.clock.add(120)
        await source.read()
        await source.read()
        ground.clock.add(-120)
        await source.read()
    assert [each.getMessage() for each in caplog.records] == ["clock differs", "clock agrees"]


async def test_a_probed_vcenter_gives_the_section_to_paste(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is, how many tell their power, values of hosts, and its keys; it logs out."""
    ground = await start("-hosts", "2", "-guests", "3", "-power")
    keys = [f"username={USER}", f"password_file={ground.password}"]
    keys += [f"ca_file={ground.authority.certificate}"]
    address = f"vsphere://127.0.0.1:{ground.relay.port}"
    assert await asyncio.to_thread(main, ["probe", address, *keys]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# VMware vCenter Server 6.5")
    assert "# 2 hosts, 2 tell their power\n# 3 guests, 3 tell their power" in out
    assert out.count("/power = ") == 2
    assert f'[[sources.vsphere.devices]]\nhost = "127.0.0.1"\nport = {ground.relay.port}' in out
    assert ground.relay.methods.count("Login") == ground.relay.methods.count("Logout") == 1
    keys[-1:] = []
    assert await asyncio.to_thread(main, ["probe", address, *keys]) == 1
    refused = capsys.readouterr().err
    assert refused.count(f"127.0.0.1:{ground.relay.port}") == 1
    assert "; ca_file must hold the certificate of its authority" in refused
    assert await asyncio.to_thread(main, ["probe", address]) == 1
    assert "give username=NAME password_file=FILE" in capsys.readouterr().err


async def test_sources_names_what_is_described_only_later(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a value came nobody knows whether a counter holds any: that is said."""
    ground = await start("-hosts", "1", "-guests", "1", "-power")
    file = tmp_path / "agent.toml"
    file.write_text(
        f"""
        site = "paris"
        [[sources.vsphere.devices]]
        host = "127.0.0.1"
        port = {ground.relay.port}
        username = "{USER}"
        password_file = "{ground.password}"
        ca_file = "{ground.authority.certificate}"
        """,
        encoding="utf-8",
    )
    assert await asyncio.to_thread(main, ["sources", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    (line,) = [each for each in out.splitlines() if each.startswith("vsphere ")]
    assert "2 resources: memory_size, processors, runs_on" in line
    assert line.endswith("; power and all other counters are described once measured")


async def test_a_vcenter_that_nobody_reaches_is_named_once(start: Start) -> None:
    """By name and in words, without the number of an error."""
    ground = await start("-hosts", "1", "-guests", "0")
    ground.relay.is_down = True
    source = VsphereSource(ground.settings())
    with pytest.raises(RetryError) as lost:
        await source.open()
    await source.close()
    said = str(lost.value)
    assert said.count("127.0.0.1") == 1
    assert "Errno" not in said


async def test_a_custom_attribute_that_is_not_there_is_said_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A name in ``tags`` may be wrong; complete looks find it missing again and stay silent."""
    ground = await start("-hosts", "1", "-guests", "1")
    source = ground.source(tags={"tenant": "Nothing"})
    with caplog.at_level(logging.INFO):
        await source.open()
        for _ in range(2):
            source._look_at = 0.0
            ground.clock.add(60)
            await source.read()
    (said,) = caplog.records
    assert said.getMessage() == "custom attribute missing"
    fields = said.__dict__["fields"]
    assert fields["detail"] == "tags: the vCenter has no custom attribute 'Nothing'"
