"""What one handle of NVML tells, in units of the catalogue; None where it does not know."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from jauge_agent.source import Method

LARGEST_GPU_W: Final = 20_000.0
"""No GPU draws more; 2^32 mW is what some say when they do not know."""

GONE: Final = frozenset({"NVMLError_GpuIsLost", "NVMLError_NotFound"})
"""Errors after which nothing else of a GPU can be had."""

_UNKNOWN: Final = frozenset({2**32 - 1, 2**64 - 1})
_AMPERE: Final = 7
_INSTANT: Final = ("A100", "A30")
"""Boards whose chip, GA100, gives the power of the moment unlike its generation."""
_POWER: Final = 0x04 | 0x80
_HEAT: Final = 0x20 | 0x40
_THROTTLED: Final = _POWER | _HEAT | 0x08 | 0x10
"""Reasons by bit: software power cap, power brake, software and hardware thermal slowdown,
hardware slowdown for either, and waiting for the slowest of a group."""
_SM_UTILISATION: Final = 2


@dataclass(slots=True)
class Value:
    """One value of one GPU: ``read`` gives it in the catalogue's unit, None where unknown."""

    quantity: str
    method: Method
    read: Callable[[], float | None]


@dataclass(slots=True)
class Activity:
    """Share of busy multiprocessors between one sample and the next."""

    nvml: Any
    take: Callable[[Any], Any]
    """Fills a sample; of a whole GPU, or of one instance."""
    before: Any = None

    def read(self) -> float | None:
        """Since the last reading; None at the first."""
        nvml = self.nvml
        now = nvml.nvmlGpmSampleAlloc()
        try:
            self.take(now)
        except nvml.NVMLError:
            nvml.nvmlGpmSampleFree(now)
            raise
        before, self.before = self.before, now
        if before is None:
            return None
        wanted = nvml.c_nvmlGpmMetricsGet_t()
        wanted.version = nvml.NVML_GPM_METRICS_GET_VERSION
        wanted.numMetrics = 1
        wanted.sample1, wanted.sample2 = before, now
        wanted.metrics[0].metricId = _SM_UTILISATION
        try:
            nvml.nvmlGpmMetricsGet(wanted)
        finally:
            nvml.nvmlGpmSampleFree(before)
        metric = wanted.metrics[0]
        if metric.nvmlReturn != nvml.NVML_SUCCESS:
            return None
        # Two samples of different lengths may say a little more than everything.
        return min(float(metric.value) / 100, 1.0) if 0 <= metric.value <= 101 else None

    def close(self) -> None:
        """Give the sample back."""
        if self.before is not None:
            self.nvml.nvmlGpmSampleFree(self.before)
            self.before = None


def energy(nvml: Any, handle: Any) -> float | None:
    """Joules since the driver was loaded: what falls back to zero is a reset, told to nobody."""
    millijoules = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    return None if millijoules in _UNKNOWN else millijoules / 1000


def power(nvml: Any, handle: Any) -> float | None:
    """Watts, by the measure that `power_measure` names."""
    milliwatts = nvml.nvmlDeviceGetPowerUsage(handle)
    watts = milliwatts / 1000
    return None if milliwatts in _UNKNOWN or watts > LARGEST_GPU_W else watts


def power_measure(nvml: Any, handle: Any, name: str) -> str:
    """What the power is by NVIDIA's documentation: the mean of a second, or of no time at all."""
    try:
        generation = nvml.nvmlDeviceGetArchitecture(handle)
    except nvml.NVMLError:
        return "unknown"
    if generation < _AMPERE or any(board in name.split() for board in _INSTANT):
        return "instant"
    return "average_1s"


def temperature(nvml: Any, handle: Any) -> int:
    """Degrees Celsius of the chip."""
    try:
        found = nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)
    except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_ArgumentVersionMismatch):
        found = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    return int(found)


def frequency(nvml: Any, handle: Any) -> float:
    """Hertz of the multiprocessors' clock."""
    megahertz = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
    return float(megahertz * 1_000_000)


def memory(nvml: Any, handle: Any) -> tuple[float, float | None]:
    """Bytes in use, and their share of all."""
    info = nvml.nvmlDeviceGetMemoryInfo(handle)
    # Without what the driver keeps for itself, "used" and "free" make no whole.
    used = info.total - info.free
    return float(used), used / info.total if info.total else None


def busy_time(nvml: Any, handle: Any) -> float:
    """Share of the last moments in which anything ran, on however few multiprocessors."""
    return float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)


def throttling(nvml: Any, handle: Any) -> list[Value]:
    """Whether the clock is held down, and by what."""

    def by(bits: int) -> Callable[[], float]:
        return lambda: float(bool(_reasons(nvml, handle) & bits))

    return [
        Value("throttled", Method.GAUGE, by(_THROTTLED)),
        Value("throttled_by_power", Method.GAUGE, by(_POWER)),
        Value("throttled_by_heat", Method.GAUGE, by(_HEAT)),
    ]


def _reasons(nvml: Any, handle: Any) -> int:
    try:
        return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except nvml.NVMLError_FunctionNotFound:
        return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
