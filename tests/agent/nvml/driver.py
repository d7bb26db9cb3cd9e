"""The driver's library that the tests compile, and what it answers."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).with_name("driver.c")
SONAME: Final = "libnvidia-ml.so.1"
NOT_SUPPORTED: Final = 3
GPUS: Final = 8


class Answer(ctypes.Structure):
    """A value, and the return code that comes with it."""

    _fields_ = (("value", ctypes.c_ulonglong), ("code", ctypes.c_int), ("unused", ctypes.c_int))


class Instance(ctypes.Structure):
    """One instance of a GPU."""

    _fields_ = (
        ("uuid", ctypes.c_char * 96),
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("activity", ctypes.c_double),
        ("number", ctypes.c_uint),
        ("slices", ctypes.c_uint),
        ("present", ctypes.c_int),
        ("unused", ctypes.c_int),
    )


ANSWERS: Final = (
    "power",
    "energy",
    "busy",
    "total",
    "free",
    "temperature",
    "clock",
    "reasons",
    "mig",
    "architecture",
)


class Gpu(ctypes.Structure):
    """One GPU; as ``struct gpu`` in the C source."""

    _fields_ = (
        ("uuid", ctypes.c_char * 96),
        ("name", ctypes.c_char * 96),
        *((name, Answer) for name in ANSWERS),
        ("activity", ctypes.c_double),
        ("has_activity", ctypes.c_int),
        ("lost", ctypes.c_int),
        ("instances", Instance * 7),
    )


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return shutil.which("gcc") or shutil.which("cc")


def compiled(folder: Path) -> Path:
    """The shared library, compiled into ``folder`` under the driver's own name."""
    library = folder / SONAME
    command = [
        str(compiler()),
        *("-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{SONAME}"),
        *("-o", str(library), str(SOURCE)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return library


class Driver:
    """The library at work in this process. nvidia-ml-py finds it by its name, as it is loaded."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        self._gpus = (Gpu * GPUS).in_dll(self._library, "fakes")

    def clear(self) -> None:
        """No GPU, and nothing wrong."""
        ctypes.memset(ctypes.byref(self._gpus), 0, ctypes.sizeof(self._gpus))
        for name in ("count", "start", "old", "hang_ms", "samples", "shutdowns"):
            self.set(name, 0)

    def set(self, name: str, value: int) -> None:
        """Set one of the library's variables."""
        ctypes.c_int.in_dll(self._library, f"fake_{name}").value = value

    def get(self, name: str) -> int:
        """One of the library's variables."""
        return ctypes.c_int.in_dll(self._library, f"fake_{name}").value

    def add(self, uuid: str, name: str, **answers: int | None) -> Any:
        """Another GPU; what is not given, or None, is not supported."""
        place = self.get("count")
        gpu = self._gpus[place]
        ctypes.memset(ctypes.byref(gpu), 0, ctypes.sizeof(gpu))
        gpu.uuid, gpu.name = uuid.encode(), name.encode()
        for each in ANSWERS:
            value = answers.pop(each, None)
            answer = getattr(gpu, each)
            answer.value = value or 0
            answer.code = NOT_SUPPORTED if value is None else 0
        assert not answers
        self.set("count", place + 1)
        return gpu

    def cut(self, gpu: Any, at: int, uuid: str, **about: float) -> Any:
        """Make one instance of a GPU."""
        instance = gpu.instances[at]
        instance.uuid, instance.present = uuid.encode(), 1
        for key, value in about.items():
            setattr(instance, key, value if key == "activity" else int(value))
        return instance
