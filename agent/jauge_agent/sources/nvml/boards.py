"""GPUs and instances of GPUs, with what each of them offers."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jauge_models.resources import MAX_NAME_LENGTH, identity

from jauge_agent.source import Method, ResourceDescription
from jauge_agent.sources.nvml.values import (
    GONE,
    Activity,
    Value,
    busy_time,
    energy,
    frequency,
    memory,
    power,
    power_measure,
    temperature,
    throttling,
)


@dataclass(slots=True)
class Unit:
    """A GPU or an instance of one, with what it offers."""

    resource: str
    name: str
    values: list[Value]
    labels: dict[str, str]
    activity: Activity | None = None

    def described(self) -> ResourceDescription:
        """As birth documents have it."""
        quantities = {value.quantity: value.method for value in self.values}
        return ResourceDescription(self.resource, quantities, self.name, self.labels)


def gpu(nvml: Any, handle: Any) -> Unit:
    """A GPU with what it offers. Raises NVMLError when it does not answer at all."""
    uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    values = _offered(
        nvml,
        [
            Value("energy", Method.COUNTER, lambda: energy(nvml, handle)),
            Value("power", Method.GAUGE, lambda: power(nvml, handle)),
            Value("temperature", Method.GAUGE, lambda: float(temperature(nvml, handle))),
            Value("frequency", Method.GAUGE, lambda: frequency(nvml, handle)),
            Value("memory_used", Method.GAUGE, lambda: memory(nvml, handle)[0]),
            Value("memory_utilisation", Method.GAUGE, lambda: memory(nvml, handle)[1]),
            *throttling(nvml, handle),
        ],
    )
    labels = {"model": name}
    if any(value.quantity == "power" for value in values):
        labels["power"] = power_measure(nvml, handle, name)
    activity = _activity_of_gpu(nvml, handle)  # after what may fail: its sample is to be given back
    coarse = Value("gpu_utilisation", Method.GAUGE, lambda: busy_time(nvml, handle))
    if activity is not None:
        labels["utilisation"] = "sm_activity"
        values.append(Value("gpu_utilisation", Method.GAUGE, activity.read))
    elif _offered(nvml, [coarse]):
        labels["utilisation"] = "busy_time"
        values.append(coarse)
    return Unit(f"gpu:{identity(uuid)}", name, values, labels, activity)


def instances(nvml: Any, whole: Any, parent: Unit) -> Iterator[Unit]:
    """The instances of a GPU that MIG has cut."""
    try:
        if not nvml.nvmlDeviceGetMigMode(whole)[0]:
            return
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(whole)
    except nvml.NVMLError:
        return  # this board cannot be cut
    for index in range(most):
        try:
            handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(whole, index)
            yield _instance(nvml, whole, handle, parent)
        except nvml.NVMLError:
            continue  # no instance of that number


def _instance(nvml: Any, whole: Any, handle: Any, parent: Unit) -> Unit:
    uuid = identity(nvml.nvmlDeviceGetUUID(handle))[: MAX_NAME_LENGTH - len("gpu_instance:")]
    labels = {"gpu": parent.resource.partition(":")[2]}
    with contextlib.suppress(nvml.NVMLError):  # an old driver: the rest is told all the same
        labels["slices"] = str(nvml.nvmlDeviceGetAttributes(handle).gpuInstanceSliceCount)
    values = _offered(
        nvml,
        [
            Value("memory_used", Method.GAUGE, lambda: memory(nvml, handle)[0]),
            Value("memory_utilisation", Method.GAUGE, lambda: memory(nvml, handle)[1]),
        ],
    )
    activity = None
    if parent.activity is not None:
        number = nvml.nvmlDeviceGetGpuInstanceId(handle)
        activity = _working(
            Activity(nvml, lambda sample: nvml.nvmlGpmMigSampleGet(whole, number, sample))
        )
    if activity is not None:
        labels["utilisation"] = "sm_activity"
        values.append(Value("gpu_utilisation", Method.GAUGE, activity.read))
    return Unit(f"gpu_instance:{uuid}", f"{parent.name} MIG", values, labels, activity)


def _offered(nvml: Any, values: Sequence[Value]) -> list[Value]:
    """Those that this GPU has: tried once, because boards do not tell beforehand."""
    offered: list[Value] = []
    for value in values:
        try:
            value.read()
        except nvml.NVMLError as error:
            if type(error).__name__ in GONE:
                raise
        else:
            offered.append(value)
    return offered


def _activity_of_gpu(nvml: Any, handle: Any) -> Activity | None:
    try:
        if not nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice:
            return None
    except nvml.NVMLError:
        return None  # a board before Hopper, or a driver before it
    return _working(Activity(nvml, lambda sample: nvml.nvmlGpmSampleGet(handle, sample)))


def _working(activity: Activity) -> Activity | None:
    """The same after its first sample; None where none can be had."""
    try:
        activity.read()
    except activity.nvml.NVMLError:
        return None
    return activity
