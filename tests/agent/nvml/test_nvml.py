"""The nvml source through the real nvidia-ml-py, against a driver's library of our own."""

import asyncio
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_agent.source import AbsentError, Outcome, RetryError
from jauge_agent.sources.nvml.source import NvmlSettings, NvmlSource
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of
from jauge_models.wire import Method, ResourceDescription

from tests.agent.nvml.driver import ANSWERS, NOT_SUPPORTED, Driver, compiled, compiler
from tests.parts import eventually

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
pytestmark = pytest.mark.skipif(compiler() is None, reason="gcc is not installed")

UUID = "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f"
OTHER = "GPU-11111111-2222-3333-4444-555555555555"
HOPPER = 9
SOUND: dict[str, int | None] = {
    "power": 412_345,
    "energy": 9_876_543_210,
    "busy": 87,
    "total": 80 * 2**30,
    "free": 20 * 2**30,
    "temperature": 61,
    "clock": 1755,
    "reasons": 0,
    "architecture": HOPPER,
}
EXPECTED = {
    "energy": 9_876_543.21,
    "power": 412.345,
    "gpu_utilisation": 0.87,
    "memory_used": 60 * 2**30,
    "memory_utilisation": 0.75,
    "temperature": 61,
    "frequency": 1_755_000_000,
    "throttled": 0,
    "throttled_by_power": 0,
    "throttled_by_heat": 0,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Compiled once."""
    return Driver(compiled(tmp_path_factory.mktemp("nvml")))


@pytest.fixture
def driver(library: Driver) -> Iterator[Driver]:
    """With nothing left of an earlier test."""
    library.clear()
    yield library
    library.clear()


def by_resource(outcome: Outcome) -> dict[str, dict[str, float]]:
    """Values by resource and quantity."""
    found: dict[str, dict[str, float]] = {}
    for sample in outcome.samples:
        found.setdefault(sample.resource, {})[sample.quantity] = sample.value
    return found


async def read_once(source: NvmlSource) -> tuple[list[ResourceDescription], Outcome]:
    """Open, read, close."""
    described = list(await source.open())
    outcome = await source.read()
    await source.close()
    return described, outcome


async def test_a_gpu_gives_all_it_has(driver: Driver) -> None:
    """Energy by its counter in joules, power, clock, memory, temperature, utilisation."""
    driver.add(UUID, "NVIDIA H100 80GB HBM3", **SOUND)
    described, outcome = await read_once(NvmlSource(NvmlSettings()))
    assert by_resource(outcome) == {f"gpu:{UUID}": pytest.approx(EXPECTED)}
    assert not outcome.failed
    [gpu] = described
    assert gpu.quantities["energy"] is Method.COUNTER
    assert gpu.quantities["power"] is Method.GAUGE
    assert gpu.quantities.keys() == EXPECTED.keys()
    assert gpu.name == "NVIDIA H100 80GB HBM3"
    assert gpu.labels == {
        "model": "NVIDIA H100 80GB HBM3",
        "power": "average_1s",
        "utilisation": "busy_time",
    }


async def test_utilisation_is_by_multiprocessors_where_that_is_offered(driver: Driver) -> None:
    """And says so: the share of busy multiprocessors since the last reading."""
    gpu = driver.add(UUID, "NVIDIA H100 80GB HBM3", **SOUND)
    gpu.has_activity, gpu.activity = 1, 12.5
    source = NvmlSource(NvmlSettings())
    [described] = await source.open()
    first = by_resource(await source.read())[f"gpu:{UUID}"]
    gpu.activity = 43.75
    second = by_resource(await source.read())[f"gpu:{UUID}"]
    assert driver.get("samples") == 1
    await source.close()
    assert described.labels["utilisation"] == "sm_activity"
    assert (first["gpu_utilisation"], second["gpu_utilisation"]) == (0.125, 0.4375)
    assert driver.get("samples") == 0  # each sample was given back
    assert driver.get("shutdowns") == 1


@pytest.mark.parametrize("field", [name for name in ANSWERS if name not in ("mig", "architecture")])
async def test_what_a_board_lacks_is_absent_and_never_a_zero(driver: Driver, field: str) -> None:
    """One field after the other is not supported."""
    driver.add(UUID, "NVIDIA T4", **{**SOUND, field: None})
    described, outcome = await read_once(NvmlSource(NvmlSettings()))
    lacking = {
        "power": {"power"},
        "energy": {"energy"},
        "busy": {"gpu_utilisation"},
        "total": {"memory_used", "memory_utilisation"},
        "free": set(),
        "temperature": {"temperature"},
        "clock": {"frequency"},
        "reasons": {"throttled", "throttled_by_power", "throttled_by_heat"},
    }[field]
    found = by_resource(outcome)[f"gpu:{UUID}"]
    assert found.keys() == described[0].quantities.keys() == EXPECTED.keys() - lacking
    assert not outcome.failed


async def test_a_field_that_goes_away_is_counted(driver: Driver) -> None:
    """Supported when it was looked for, and not any more; and a value that is none."""
    gpu = driver.add(UUID, "NVIDIA T4", **SOUND)
    source = NvmlSource(NvmlSettings())
    await source.open()
    gpu.power.code = NOT_SUPPORTED
    gpu.energy.value = 2**64 - 1
    gpu.temperature.value = 2**32 - 100  # as a signed number: -100 degrees
    outcome = await source.read()
    await source.close()
    found = by_resource(outcome)[f"gpu:{UUID}"]
    assert found.keys() == EXPECTED.keys() - {"power", "energy", "temperature"}
    assert outcome.failed == {"unsupported": 1, "none": 1, "range": 1}


async def test_the_energy_is_what_the_counter_says_also_after_a_reset(driver: Driver) -> None:
    """The ledger tells a reset from a wrap; here nothing is made up."""
    gpu = driver.add(UUID, "NVIDIA T4", **SOUND)
    source = NvmlSource(NvmlSettings())
    await source.open()
    given_: list[float] = []
    for millijoules in (2**63 - 1000, 2**63, 1500, 0):
        gpu.energy.value = millijoules
        given_.append(by_resource(await source.read())[f"gpu:{UUID}"]["energy"])
    await source.close()
    assert given_ == [(2**63 - 1000) / 1000, 2**63 / 1000, 1.5, 0]


@pytest.mark.parametrize(
    ("bits", "throttled", "by_power", "by_heat"),
    [
        (0x000, 0, 0, 0),
        (0x001, 0, 0, 0),  # idle
        (0x002, 0, 0, 0),  # clocks set by the user
        (0x004, 1, 1, 0),  # software power cap
        (0x008, 1, 0, 0),  # hardware slowdown, for one or the other
        (0x020, 1, 0, 1),  # software thermal slowdown
        (0x040, 1, 0, 1),  # hardware thermal slowdown
        (0x080, 1, 1, 0),  # power brake
        (0x0A4, 1, 1, 1),
    ],
)
async def test_reasons_for_a_low_clock_are_told_apart(
    driver: Driver, bits: int, throttled: int, by_power: int, by_heat: int
) -> None:
    """Heat and power; being idle is no reason to worry."""
    driver.add(UUID, "NVIDIA T4", **{**SOUND, "reasons": bits})
    _, outcome = await read_once(NvmlSource(NvmlSettings()))
    found = by_resource(outcome)[f"gpu:{UUID}"]
    assert found["throttled"] == throttled
    assert found["throttled_by_power"] == by_power
    assert found["throttled_by_heat"] == by_heat


async def test_a_lost_gpu_is_counted_and_the_others_go_on(driver: Driver) -> None:
    """At the moment it is lost, while it is gone, and when it is back."""
    ill = driver.add(UUID, "NVIDIA A100-SXM4-80GB", **SOUND)
    driver.add(OTHER, "NVIDIA A100-SXM4-80GB", **SOUND)
    source = NvmlSource(NvmlSettings())
    await source.open()
    ill.lost = 1
    while_lost = await source.read()
    source._gpus._surveyed_at = float("-inf")  # as after five minutes
    surveyed = await source.read()
    later = await source.read()
    ill.lost = 0
    back = await source.read()
    await source.close()
    for outcome in (while_lost, surveyed, later):
        assert by_resource(outcome).keys() == {f"gpu:{OTHER}"}
        assert outcome.failed == {"lost": 1}
    assert surveyed.resources is not None
    assert [each.id for each in surveyed.resources] == [f"gpu:{OTHER}"]
    assert by_resource(back).keys() == {f"gpu:{UUID}", f"gpu:{OTHER}"}
    assert not back.failed
    assert back.resources is not None
    assert len(back.resources) == 2


async def test_when_all_are_lost_the_library_is_started_anew(driver: Driver) -> None:
    """As after the driver was reloaded; the source goes on by itself."""
    gpu = driver.add(UUID, "NVIDIA T4", **SOUND)
    source = NvmlSource(NvmlSettings())
    await source.open()
    gpu.lost = 1
    with pytest.raises(RetryError, match="no GPU gave a value: lost"):
        await source.read()
    with pytest.raises(RetryError, match="none of 1 GPUs can be looked at"):
        await source.read()
    driver.set("start", 9)
    with pytest.raises(RetryError, match="driver is installed but not loaded"):
        await source.read()
    driver.set("start", 0)
    gpu.lost = 0
    assert by_resource(await source.read())[f"gpu:{UUID}"] == pytest.approx(EXPECTED)
    await source.close()


async def test_instances_of_a_cut_gpu_are_resources_of_their_own(driver: Driver) -> None:
    """Memory and activity of each; the power stays that of the whole."""
    gpu = driver.add(UUID, "NVIDIA H100 80GB HBM3", **{**SOUND, "busy": None, "mig": 1})
    gpu.has_activity, gpu.activity = 1, 30.0
    about = {"total": 10 * 2**30, "free": 4 * 2**30, "slices": 1}
    driver.cut(gpu, 0, "MIG-aaaa", number=7, activity=50.0, **about)
    driver.cut(gpu, 3, "MIG-bbbb", number=9, activity=10.0, **about)
    described, outcome = await read_once(NvmlSource(NvmlSettings()))
    found = by_resource(outcome)
    assert found.keys() == {f"gpu:{UUID}", "gpu_instance:MIG-aaaa", "gpu_instance:MIG-bbbb"}
    assert found["gpu_instance:MIG-aaaa"] == {
        "memory_used": 6 * 2**30,
        "memory_utilisation": 0.6,
        "gpu_utilisation": 0.5,
    }
    assert found["gpu_instance:MIG-bbbb"]["gpu_utilisation"] == 0.1
    assert found[f"gpu:{UUID}"]["power"] == pytest.approx(412.345)
    labels = {each.id: each.labels for each in described}
    assert labels["gpu_instance:MIG-aaaa"] == {
        "gpu": UUID,
        "slices": "1",
        "utilisation": "sm_activity",
    }
    assert driver.get("samples") == 0


async def test_a_gpu_that_is_cut_while_the_agent_runs_is_announced(driver: Driver) -> None:
    """At the next survey; what the old reading began is not lost."""
    gpu = driver.add(UUID, "NVIDIA H100 80GB HBM3", **{**SOUND, "mig": 0})
    gpu.has_activity = 1
    source = NvmlSource(NvmlSettings())
    await source.open()
    await source.read()
    gpu.mig.value = 1
    driver.cut(gpu, 0, "MIG-aaaa", number=1, total=2**30, free=0, slices=2)
    assert (await source.read()).resources is None
    source._gpus._surveyed_at = float("-inf")
    outcome = await source.read()
    assert driver.get("samples") == 2
    await source.close()
    assert outcome.resources is not None
    assert {each.id for each in outcome.resources} == {f"gpu:{UUID}", "gpu_instance:MIG-aaaa"}
    assert not outcome.failed
    assert driver.get("samples") == 0


async def test_an_older_driver_answers_by_its_older_functions(driver: Driver) -> None:
    """Temperature, reasons and instances have had other names."""
    driver.set("old", 1)
    gpu = driver.add(UUID, "NVIDIA A30", **{**SOUND, "architecture": 7, "mig": 1})
    gpu.has_activity = 1
    driver.cut(gpu, 0, f"MIG-{UUID}/1/0", number=1, total=2**30, free=0)
    described, outcome = await read_once(NvmlSource(NvmlSettings()))
    found = by_resource(outcome)
    assert found[f"gpu:{UUID}"] == pytest.approx(EXPECTED)
    assert described[0].labels["utilisation"] == "busy_time"
    assert described[0].labels["power"] == "instant"
    assert found[f"gpu_instance:MIG-{UUID}-1-0"]["memory_used"] == 2**30


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (12, "no NVIDIA driver on this machine"),
        (9, "the NVIDIA driver is installed but not loaded"),
        (4, "this user may not open /dev/nvidiactl"),
    ],
)
async def test_why_there_is_nothing_is_said_in_plain_words(
    driver: Driver, code: int, message: str
) -> None:
    """In one line, once, as absence and not as a failure."""
    driver.set("start", code)
    with pytest.raises(AbsentError, match=message) as absent:
        await NvmlSource(NvmlSettings()).open()
    assert "\n" not in str(absent.value)


async def test_other_failures_at_start_are_tried_again(driver: Driver) -> None:
    """As after an upgrade of the driver without a restart of the machine."""
    driver.set("start", 18)
    with pytest.raises(RetryError, match="NVML does not start"):
        await NvmlSource(NvmlSettings()).open()
    driver.set("start", 0)
    with pytest.raises(AbsentError, match="is loaded and finds no GPU"):
        await NvmlSource(NvmlSettings()).open()


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("sys.modules['pynvml'] = None", "nvidia-ml-py is not installed: install jauge-agent"),
        ("pynvml.CDLL = lambda name: open('/nowhere')", "no NVIDIA driver on this machine"),
    ],
)
def test_a_machine_without_the_driver_or_the_library_says_which(without: str, message: str) -> None:
    """In a process of its own, where nothing of these tests is loaded."""
    program = f"""
import asyncio, sys, pynvml
from jauge_agent.sources.nvml.source import NvmlSource, NvmlSettings
{without}
asyncio.run(NvmlSource(NvmlSettings()).open())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert f"AbsentError: {message}" in done.stderr.splitlines()[-1]


async def test_a_driver_that_hangs_costs_this_source_only(driver: Driver) -> None:
    """The event loop goes on; the call is not waited for twice."""
    driver.add(UUID, "NVIDIA T4", **SOUND)
    source = NvmlSource(NvmlSettings())
    await source.open()
    driver.set("hang_ms", 400)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    counting = asyncio.create_task(count())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await source.read()
    with pytest.raises(RetryError, match="has not come back"):
        await source.read()
    counting.cancel()
    driver.set("hang_ms", 0)
    assert turns > 10

    async def answers() -> bool:
        try:
            return bool((await source.read()).samples)
        except RetryError:
            return False

    await eventually(answers, within=30, what="the driver answers again")
    await source.close()


def recorded(folder: Path) -> list[Path]:
    """The answers of real GPUs."""
    return sorted((folder / "nvidia_smi").glob("*.xml"))


def figure(text: str | None) -> float | None:
    """The number in ``10.03 W``; None for ``N/A`` and what else is no number."""
    head = (text or "").split()
    try:
        return float(head[0])
    except (ValueError, IndexError):
        return None


async def test_recorded_answers_of_real_gpus_come_out_as_they_are(
    driver: Driver, shared_data: Path
) -> None:
    """What nvidia-smi shows is what is read; what it calls N/A is absent."""
    files = recorded(shared_data)
    assert len(files) >= 7
    for file in files:
        driver.clear()
        tree = ET.parse(file).getroot().find("gpu")  # noqa: S314 - a file of the tests
        assert tree is not None

        def of(*paths: str, tree: ET.Element = tree) -> float | None:
            return next((v for p in paths if (v := figure(tree.findtext(p))) is not None), None)

        def scaled(value: float | None, by: float) -> int | None:
            return None if value is None else round(value * by)

        shown = {
            "power": of(
                "power_readings/power_draw",
                "gpu_power_readings/power_draw",
                "gpu_power_readings/instant_power_draw",
            ),
            "gpu_utilisation": of("utilization/gpu_util"),
            "total": of("fb_memory_usage/total"),
            "free": of("fb_memory_usage/free"),
            "temperature": of("temperature/gpu_temp"),
            "frequency": of("clocks/sm_clock"),
        }
        mebibyte = 2**20
        driver.add(
            tree.findtext("uuid") or UUID,
            tree.findtext("product_name") or "GPU",
            power=scaled(shown["power"], 1000),
            busy=scaled(shown["gpu_utilisation"], 1),
            total=scaled(shown["total"], mebibyte),
            free=scaled(shown["free"], mebibyte),
            temperature=scaled(shown["temperature"], 1),
            clock=scaled(shown["frequency"], 1),
        )
        described, outcome = await read_once(NvmlSource(NvmlSettings()))
        [found] = by_resource(outcome).values()
        expected: dict[str, float | None] = {
            "power": shown["power"],
            "gpu_utilisation": None
            if shown["gpu_utilisation"] is None
            else shown["gpu_utilisation"] / 100,
            "temperature": shown["temperature"],
            "frequency": None if shown["frequency"] is None else shown["frequency"] * 1e6,
        }
        if shown["total"] is not None and shown["free"] is not None:
            used = shown["total"] - shown["free"]
            expected |= {
                "memory_used": used * mebibyte,
                "memory_utilisation": used / shown["total"],
            }
        assert found == pytest.approx({k: v for k, v in expected.items() if v is not None}), file
        assert found.keys() == described[0].quantities.keys()


NUMBERS = st.sampled_from([0, 1, 100, 101, 2**31, 2**32 - 1, 2**63, 2**64 - 1]) | st.integers(
    0, 2**64 - 1
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_answers_give_readings_within_the_catalogue_or_none(
    driver: Driver, data: st.DataObject
) -> None:
    """Whatever a driver says, with whatever return code: no crash, no impossible reading."""
    driver.clear()
    gpu = driver.add(UUID, "NVIDIA", **{name: data.draw(NUMBERS) for name in ANSWERS})
    for name in ANSWERS:
        getattr(gpu, name).code = data.draw(st.sampled_from([0, 0, 0, 3, 4, 13, 15, 16, 999]))
    gpu.has_activity = data.draw(st.booleans())
    gpu.activity = data.draw(st.floats())
    driver.cut(gpu, 0, "MIG-x", total=data.draw(NUMBERS), free=data.draw(NUMBERS), number=1)

    async def once() -> Outcome | None:
        source = NvmlSource(NvmlSettings())
        try:
            await source.open()
            return await source.read()
        except (AbsentError, RetryError):
            return None
        finally:
            await source.close()

    outcome = asyncio.run(once())
    for sample in outcome.samples if outcome else ():
        unit = CATALOGUE[sample.quantity].unit
        assert flaw_of(sample.resource, sample.quantity, unit, sample.value) is None
    assert driver.get("samples") == 0
