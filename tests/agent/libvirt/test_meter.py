"""What libvirt's statistics mean, where a guest that runs here cannot show it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.sources.libvirt.meter import BY_GUEST, RESIDENT, STALE_S, Meter, is_running
from jauge_agent.sources.libvirt.records import documents, of_module, of_program
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of

NOW = 1_700_000_000.0
ONE = "6f0d1c2e-1a2b-4c3d-8e9f-000000000001"
TWO = "6f0d1c2e-1a2b-4c3d-8e9f-000000000002"


def balloon(**changes: Any) -> dict[str, Any]:
    """Statistics of a guest of 1 GiB whose balloon driver tells its memory."""
    told: dict[str, Any] = {
        "current": 1048576,
        "rss": 900000,
        "available": 1000000,
        "usable": 600000,
    }
    told |= {"last_update": int(NOW)} | changes
    return {
        f"balloon.{key.replace('_', '-')}": each for key, each in told.items() if each is not None
    }


def disks(*names: str, without: str = "") -> dict[str, Any]:
    """Statistics of disks that have each read 1000 bytes and written 10."""
    stats: dict[str, Any] = {"block.count": len(names)}
    for index, name in enumerate(names):
        stats[f"block.{index}.name"] = name
        if name != without:
            stats |= {f"block.{index}.rd.bytes": 1000, f"block.{index}.wr.bytes": 10}
    return stats


def test_memory_is_the_guests_own_word_where_there_is_one() -> None:
    """What is not available for new work, as the catalogue has it; else the process' memory."""
    meter = Meter()
    values, _ = meter.read(balloon(usable=None), NOW)
    assert values["memory_used"] == 900000 * 1024
    assert meter.memory == RESIDENT
    values, failed = meter.read(balloon(), NOW)
    assert values["memory_used"] == 400000 * 1024
    assert values["memory_size"] == 2**30
    assert meter.memory == BY_GUEST
    assert "stale" not in failed


def test_memory_never_falls_back_to_another_measure() -> None:
    """One that the driver no longer renews is missing, and the process' is not put in its place."""
    meter = Meter()
    meter.read(balloon(), NOW)
    for told in (balloon(), balloon(usable=None)):
        values, failed = meter.read(told, NOW + STALE_S + 1)
        assert "memory_used" not in values
        assert failed["stale"] == 1
        assert meter.memory == BY_GUEST
    fresh = balloon(last_update=int(NOW + STALE_S))
    assert meter.read(fresh, NOW + STALE_S + 1)[0]["memory_used"] == 400000 * 1024


def test_a_driver_that_never_told_is_no_guests_word() -> None:
    """``last-update`` is 0 until QEMU was asked to poll the guest."""
    values, _ = Meter().read(balloon(last_update=0), NOW)
    assert values["memory_used"] == 900000 * 1024


def test_disks_are_summed() -> None:
    """Over all that have counters; an empty drive has none, and that is no failure."""
    values, failed = Meter().read(disks("vda", "vdb", "sda", without="sda"), NOW)
    assert (values["disk_read"], values["disk_written"]) == (2000, 20)
    assert "partial" not in failed


def test_a_sum_waits_for_a_device_that_has_lost_its_counters() -> None:
    """Or the total would fall and rise, and the rise would count as traffic."""
    meter = Meter()
    meter.read(disks("vda", "vdb"), NOW)
    values, failed = meter.read(disks("vda", "vdb", without="vdb"), NOW)
    assert not values.keys() & {"disk_read", "disk_written"}
    assert failed["partial"] == 2
    assert meter.read(disks("vda", "vdb"), NOW)[0]["disk_read"] == 2000
    # One that was taken out is gone for good.
    assert meter.read(disks("vda"), NOW)[0]["disk_read"] == 1000
    assert meter.read(disks("vda", "vdb", without="vdb"), NOW)[0]["disk_read"] == 1000


def test_a_guest_without_devices_has_no_traffic_rather_than_zero() -> None:
    """Nothing to sum is nothing to tell."""
    values, failed = Meter().read({"net.count": 0, "block.count": 0, "cpu.time": 5 * 10**9}, NOW)
    assert values == {"cpu_time": 5}
    assert failed == {"none": 1}, "its processors"


def test_only_what_executes_is_running() -> None:
    """By virDomainState 1, 2 and 4; paused (3) is also the other end of a migration."""
    states = [state for state in range(8) if is_running({"state.state": state})]
    assert states == [1, 2, 4]
    assert not is_running({})


def printed(first: str, second: str) -> str:
    """What virsh prints, with the list before and the one after."""
    return f"{first}\n\nDomain: 'a'\n  cpu.time=7\n  block.0.path=/x=y\n\n{second}\n\n"


def test_a_name_counts_only_with_one_uuid() -> None:
    """A name that went from one guest to another while virsh ran belongs to neither."""
    (record,) = of_program(printed(f"{ONE} a\n{TWO} b", f"{ONE} a"))
    assert record == (ONE, "a", {"cpu.time": 7, "block.0.path": "/x=y"})
    assert of_program(printed(f"{ONE} a", f"{TWO} a")) == []
    assert of_program(printed("", f"{ONE} a")) == []
    assert of_program(printed(f"{ONE} a", "")) == []


def test_definitions_are_told_apart() -> None:
    """Several documents in a row, each under its own UUID; one cut short is none."""
    texts = [f"<domain type='kvm'>\n  <uuid>{uuid}</uuid>\n</domain>" for uuid in (ONE, TWO)]
    found = documents("\n\n".join(texts) + "\n\n<domain>\n  <uuid>")
    assert found == {ONE: texts[0], TWO: texts[1]}


KEYS = st.sampled_from(
    [
        *("state.state", "cpu.time", "vcpu.current", "balloon.current", "balloon.rss"),
        *("balloon.available", "balloon.usable", "balloon.last-update", "block.count"),
        *("block.0.name", "block.0.rd.bytes", "block.0.wr.bytes", "block.1.name"),
        *("block.1.rd.bytes", "net.count", "net.0.name", "net.0.rx.bytes", "net.0.tx.bytes"),
    ]
)
STATS = st.dictionaries(
    KEYS, st.integers() | st.text(max_size=4) | st.sampled_from([0, 1, 2, 2**64 - 1, 10**30])
)


@given(readings=st.lists(STATS, max_size=4))
def test_any_statistics_give_sound_values_or_none(readings: list[dict[str, Any]]) -> None:
    """Never outside of the catalogue, whatever libvirt says, in any order."""
    meter = Meter()
    for stats in readings:
        values, failed = meter.read(stats, NOW)
        for quantity, value in values.items():
            unit = CATALOGUE[quantity].unit
            assert flaw_of("guest:x", quantity, unit, value) is None
        assert all(number > 0 for number in failed.values())


@given(
    text=st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                *("", f"{ONE} a", f"{TWO} b", "Domain: 'a'", "Domain: ''", "  cpu.time=1"),
                *("  x", "  =", "  k=9", "  k=" + "9" * 5000, "  k=²", "  k=--1"),
                *("<domain>", f"<uuid>{ONE}</uuid>", "</domain>"),
            ]
        )
    ).map("\n".join)
)
def test_any_text_is_read(text: str) -> None:
    """What virsh prints never breaks the source."""
    for uuid, _, stats in of_program(text):
        assert uuid in {ONE, TWO}
        assert all(isinstance(value, int | str) for value in stats.values())
    assert documents(text).keys() <= {ONE}


def test_the_modules_values_are_taken_by_type() -> None:
    """Numbers and texts; a bool is neither, and a UUID must be one."""
    assert of_module("nonsense", "a", {}) is None
    record = of_module(ONE.upper(), "a", {"cpu.time": 3, "vcpu.0.halted": True, "x": 1.5})
    assert record == (ONE, "a", {"cpu.time": 3})
