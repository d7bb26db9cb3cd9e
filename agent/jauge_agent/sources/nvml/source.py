"""The nvml source: every GPU of this machine.

What a GPU does not offer is not described and not read: most boards lack something. Every call
runs on one thread, because the driver may take seconds when a GPU is ill.
"""

import asyncio
import contextlib
import ctypes
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final

from jauge_models.quantities import CATALOGUE

from jauge_agent.source import (
    AbsentError,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
    SourceSettings,
)
from jauge_agent.sources.nvml.boards import Unit, gpu, instances
from jauge_agent.sources.nvml.values import GONE
from jauge_agent.threaded import OwnThread

SURVEY_S: Final = 300.0
"""Seconds after which GPUs and instances are looked for anew: MIG is cut while machines run."""

_ABSENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NVMLError_LibraryNotFound": "no NVIDIA driver on this machine: it has no"
        " libnvidia-ml.so.1",
        "NVMLError_DriverNotLoaded": "the NVIDIA driver is installed but not loaded: no GPU is"
        " there, or its kernel module failed",
        "NVMLError_NoPermission": "this user may not open /dev/nvidiactl: give it the device's"
        " group",
    }
)


class NvmlSettings(SourceSettings, frozen=True):
    """Settings of the nvml source."""


class NvmlSource:
    """Every GPU of this machine. One that is lost is counted; the others go on."""

    Settings = NvmlSettings

    def __init__(self, settings: NvmlSettings) -> None:  # noqa: ARG002 - as all sources
        self._thread = OwnThread("nvml")
        self._gpus = _Gpus()

    async def open(self) -> Sequence[ResourceDescription]:
        """Find the GPUs; absent without the library, the driver or a GPU."""
        return await self._thread.call(self._gpus.open)

    async def read(self) -> Outcome:
        """Read every GPU. Raises RetryError when none answers."""
        now = asyncio.get_running_loop().time()
        return await self._thread.call(lambda: self._gpus.read(now))

    async def close(self) -> None:
        """Give the library back; not waited for when a call hangs in the driver."""
        with contextlib.suppress(RetryError):
            await self._thread.call(self._gpus.close)
        self._thread.close()


@dataclass(slots=True)
class _Gpus:
    """All of them; every call on the one thread."""

    _nvml: Any = None
    _units: list[Unit] = field(default_factory=list)
    _missing: int = 0
    """GPUs that were counted at the last survey, and could not be looked at."""
    _surveyed_at: float | None = None

    def open(self) -> Sequence[ResourceDescription]:
        """Start the library and survey. Raises AbsentError, RetryError."""
        if find_spec("pynvml") is None:
            raise AbsentError(
                "nvidia-ml-py is not installed: install jauge-agent with its extra nvml"
            )
        try:
            ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            raise AbsentError(_ABSENT["NVMLError_LibraryNotFound"]) from None
        import pynvml  # noqa: PLC0415 - an extra, and 2 MB that only a machine with GPUs needs

        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._nvml = None
            reason = _ABSENT.get(type(error).__name__)
            if reason is not None:
                raise AbsentError(reason) from None
            raise RetryError(f"NVML does not start: {error}") from None
        self._survey()
        if self._units:
            return self._described()
        missing = self._missing
        self.close()
        if missing:
            raise RetryError(f"none of {missing} GPUs can be looked at")
        raise AbsentError("the NVIDIA driver is loaded and finds no GPU")

    def read(self, now: float) -> Outcome:
        """Values of every GPU. ``now``: seconds of a monotonic clock."""
        changed = self._restart() if self._nvml is None else self._survey_when_due(now)
        samples: list[Sample] = []
        failed: Counter[str] = Counter({"lost": self._missing} if self._missing else {})
        for unit in self._units:
            samples += self._read(unit, failed)
        if not samples:
            self.close()  # the driver may have been reloaded: begin anew at the next reading
            raise RetryError(f"no GPU gave a value: {', '.join(sorted(failed)) or 'none is there'}")
        return Outcome(samples, failed, self._described() if changed else None)

    def close(self) -> None:
        """Give samples and library back."""
        self._forget()
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            # It had not started, or has gone with the driver.
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlShutdown()

    def _read(self, unit: Unit, failed: Counter[str]) -> Iterator[Sample]:
        for value in unit.values:
            try:
                found = value.read()
            except self._nvml.NVMLError as error:
                reason = type(error).__name__
                if reason in GONE:
                    failed["lost"] += 1  # and nothing else of it can be had
                    return
                failed["unsupported" if reason == "NVMLError_NotSupported" else "refused"] += 1
                continue
            if found is None:
                failed["none"] += 1
                continue
            entry = CATALOGUE[value.quantity]
            if not entry.low <= found <= entry.high:
                failed["range"] += 1
                continue
            yield Sample(unit.resource, value.quantity, found)

    def _restart(self) -> bool:
        try:
            self.open()
        except AbsentError as absent:
            raise RetryError(str(absent)) from None
        return True

    def _survey_when_due(self, now: float) -> bool:
        """Whether another survey was made, and found something else."""
        if self._surveyed_at is None:
            self._surveyed_at = now
        # A lost GPU that came back, or was replaced, is looked for at each reading.
        if now < self._surveyed_at + SURVEY_S and not self._missing:
            return False
        self._surveyed_at = now
        before = self._described()
        self._survey()
        return self._described() != before

    def _survey(self) -> None:
        nvml, known = self._nvml, {unit.resource: unit for unit in self._units}
        found: list[Unit] = []
        self._missing = 0
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self.close()
            raise RetryError(f"NVML: {error}") from None
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                board = gpu(nvml, handle)
                found += [board, *instances(nvml, handle, board)]
            except nvml.NVMLError:
                self._missing += 1
        for unit in found:
            before = known.get(unit.resource)
            if before is not None and before.activity and unit.activity:
                # Its last sample is where the next reading begins.
                unit.activity.close()
                unit.activity.before, before.activity.before = before.activity.before, None
        self._forget()
        self._units = found

    def _forget(self) -> None:
        for unit in self._units:
            if unit.activity is not None:
                unit.activity.close()
        self._units = []

    def _described(self) -> list[ResourceDescription]:
        return [unit.described() for unit in self._units]
