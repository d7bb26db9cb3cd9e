"""Families of gauges as lines of /metrics, in Prometheus' text format and OpenMetrics' alike.

The client library writes any metric, a label at a time; a large site has tens of thousands of
samples that are all of one simple kind, and these lines are the same in both formats.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.utils import floatToGoString

END: Final = b"# EOF\n"
"""Last line of OpenMetrics."""
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def family(name: str, text: str, lines: Iterable[str]) -> str:
    """A family of gauges with its head; ``text`` is a line of plain words, without quotes."""
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n{''.join(lines)}"


def line(name: str, labels: Mapping[str, str], value: float) -> str:
    """One sample. Label names are ours, values may be anybody's."""
    if not labels:
        return f"{name} {_number(value)}\n"
    told = ",".join([f'{key}="{escaped(labels[key])}"' for key in sorted(labels)])
    return f"{name}{{{told}}} {_number(value)}\n"


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # the client has no types


def escaped(value: str) -> str:
    """A label's value as it stands between quotation marks."""
    if '"' in value or "\\" in value or "\n" in value:
        return value.translate(_ESCAPES)
    return value


def joined(body: bytes, families: Iterable[str]) -> bytes:
    """What the client library wrote with more families; OpenMetrics' end stays the end."""
    more = "".join(families).encode()
    if body.endswith(END):
        return b"".join((body[: -len(END)], more, END))
    return body + more
