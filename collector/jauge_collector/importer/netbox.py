"""Power cables of NetBox as connections: what its cables export says, and nothing guessed.

Two forms are read. The table's CSV export needs the columns Termination A and B, Device A and B,
and Type (Configure Table shows the devices); it does not say which end gives, so that follows from
the kinds of the two things: meters and UPSes feed PDUs, PDUs feed outlets and machines. JSON is
what the REST API lists under ``/api/dcim/cables/``, a list of such pages, or of cables: there
outlets and feeds give and ports take. What a device is called in Jauge stands in a file of names.

The forms are those of NetBox 3.3 and newer (github.com/netbox-community/netbox): the JSON as
``dcim/api/serializers_/cables.py`` and ``netbox/api/serializers/generic.py`` make it, the columns
as ``dcim/tables/cables.py`` names them. A page holds 1000 cables at most unless MAX_PAGE_SIZE says
otherwise, ``?limit=0`` or not (``netbox/api/pagination.py``).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from jauge_models.configuration import ConfigurationError
from jauge_models.resources import identity, is_name, is_resource, kind_of

from jauge_collector.config import read_text
from jauge_collector.connection_file import table
from jauge_collector.site_file import ConnectionSection
from jauge_collector.sites import is_feed

NAME_COLUMNS: Final = ("device", "name", "outlets")
_CSV_COLUMNS: Final = ("termination a", "termination b", "device a", "device b", "type")
_GIVES: Final = frozenset({"dcim.poweroutlet", "dcim.powerfeed"})
_TAKES: Final = "dcim.powerport"
_RANKS: Final = {"meter": 0, "ups": 1, "pdu": 2, "outlet": 3}
_CONNECTED: Final = "connected"
_NUMBER: Final = re.compile(r"(\d+)\D*$")


class Named(NamedTuple):
    """What a NetBox device is in Jauge.

    ``outlets`` names the outlet of a port, ``{port}`` or its number ``{number}`` in it; empty
    where its outlets have no meter.
    """

    name: str
    outlets: str


class End(NamedTuple):
    """One end of a cable; ``gives`` None where the export does not say."""

    device: str
    port: str
    gives: bool | None


@dataclass(slots=True)
class Taken:
    """Connections, and why other cables are none, each reason with its first example."""

    connections: list[ConnectionSection] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def skip(self, reason: str, example: str) -> None:
        """A cable that says nothing of what feeds what."""
        self.left_out[reason] += 1
        self.examples.setdefault(reason, example)


def read_names(path: Path) -> dict[str, Named]:
    """A file of names: CSV with the columns device, name, outlets. Raises ConfigurationError."""
    rows = table(read_text(path), str(path))
    _, header = next(rows, (1, []))
    columns = [name.strip().lower() for name in header]
    if set(columns) - set(NAME_COLUMNS) or not {"device", "name"} <= set(columns):
        raise ConfigurationError(
            str(path),
            "",
            f"columns are {', '.join(columns) or 'none'}",
            "use device, name, outlets",
        )
    found: dict[str, Named] = {}
    for line, row in rows:
        values = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        device, name = values.get("device", ""), values.get("name", "")
        if not device or device in found:
            raise ConfigurationError(
                str(path),
                f"line {line}",
                f"device {device!r} is empty or there twice",
                "correct it",
            )
        named = Named(name, values.get("outlets", ""))
        for text in (name, *([_outlet(named, "1")] if named.outlets else [])):
            if not (is_feed(text) or is_name(text)) or (":" in text and not is_subject(text)):
                raise ConfigurationError(
                    str(path),
                    f"line {line}",
                    f"{text!r} is no name",
                    "write 'pdu:SERIAL', 'agent/host' or a meter's id",
                )
        found[device] = named
    return found


def is_subject(text: str) -> bool:
    """Whether a name with a colon is ``kind:id`` or ``agent/resource``."""
    return is_feed(text) or is_resource(text)


def connections_of(
    text: str, file: str, names: Mapping[str, Named], valid_from: str | None
) -> Taken:
    """Connections of an export. Raises ConfigurationError where it is none."""
    taken = Taken()
    found: dict[tuple[str, str], None] = {}
    for ends in _cables(text, file, taken):
        shown = " – ".join(f"{end.device}:{end.port}" for end in ends)
        unknown = [end.device for end in ends if end.device not in names]
        if unknown:
            taken.skip("no name for the device", unknown[0])
            continue
        pair = _directed(ends, names)
        if pair is None:
            taken.skip("it is not told which end gives", shown)
            continue
        giving, taking = pair
        unit, machine = names[giving.device], names[taking.device].name
        upper = unit.name
        if unit.outlets:
            upper = _outlet(unit, giving.port)
            found[unit.name, upper] = None
        if upper == machine:
            taken.skip("both ends are one thing", shown)
            continue
        found[upper, machine] = None
    taken.connections = [
        ConnectionSection(upstream=upper, downstream=lower, valid_from=valid_from)
        for upper, lower in found
    ]
    return taken


def _directed(ends: tuple[End, End], names: Mapping[str, Named]) -> tuple[End, End] | None:
    """The end that gives, and the one that takes; None where nothing says so."""
    a, b = ends
    if a.gives is not None and b.gives is not None:
        return None if a.gives == b.gives else (a, b) if a.gives else (b, a)
    ranks = [_rank(names[end.device].name) for end in ends]
    if ranks[0] == ranks[1]:
        return None
    return (a, b) if ranks[0] < ranks[1] else (b, a)


def _rank(name: str) -> int:
    """How far down the map a thing stands, by its kind; what has none is a meter."""
    resource = name.rpartition("/")[2]
    if ":" not in resource and not is_feed(name):
        return _RANKS["meter"]
    return _RANKS.get(kind_of(resource), len(_RANKS))


def _outlet(unit: Named, port: str) -> str:
    number = _NUMBER.search(port)
    return unit.outlets.replace("{port}", identity(port)).replace(
        "{number}", str(int(number[1])) if number else identity(port)
    )


def _cables(text: str, file: str, taken: Taken) -> Iterator[tuple[End, End]]:
    if text.lstrip("\ufeff \r\n\t").startswith(("{", "[")):
        return _from_json(text, file, taken)
    return _from_csv(text, file, taken)


def _from_csv(text: str, file: str, taken: Taken) -> Iterator[tuple[End, End]]:
    rows = table(text, file)
    _, header = next(rows, (1, []))
    columns = [name.strip().lower() for name in header]
    missing = [name for name in _CSV_COLUMNS if name not in columns]
    if missing:
        raise ConfigurationError(
            file,
            "",
            f"column {missing[0]!r} is missing",
            "show Termination, Device and Type with Configure Table, then export the view",
        )
    for line, row in rows:
        values = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        if values.get("type", "").lower() != "power":
            taken.skip("no power cable", f"line {line}")
            continue
        if values.get("status", _CONNECTED).lower() != _CONNECTED:
            taken.skip("planned, or being taken out", f"line {line}")
            continue
        ends = [
            (values.get(f"device {side}", ""), values.get(f"termination {side}", ""))
            for side in "ab"
        ]
        if any(not device or not port for device, port in ends):
            taken.skip("an end is open, or is no device's", f"line {line}")
        elif any("," in cell for end in ends for cell in end):
            taken.skip("several terminations at one end", f"line {line}")
        else:
            (a, b) = (End(device, port, None) for device, port in ends)
            yield a, b


def _from_json(text: str, file: str, taken: Taken) -> Iterator[tuple[End, End]]:
    for at, cable in enumerate(listed(text, file, "cables")):
        where = f"cable {cable.get('id', at) if isinstance(cable, dict) else at}"
        ends = [_ends(cable, side) for side in "ab"] if isinstance(cable, dict) else []
        if any(kind not in {*_GIVES, _TAKES} for some in ends for kind, _ in some):
            taken.skip("no power cable", where)
        elif _status(cable) != _CONNECTED:
            taken.skip("planned, or being taken out", where)
        elif [len(some) for some in ends] != [1, 1]:
            open_ended = any(not some for some in ends) or not ends
            reason = "an end is open, or is no device's"
            taken.skip(reason if open_ended else "several terminations at one end", where)
        else:
            yield ends[0][0][1], ends[1][0][1]


def listed(text: str, file: str, what: str) -> list[Any]:
    """Things of a page, of all pages, or of a bare list of the REST API, as JSON.

    ``what`` is their name there: ``cables``, ``devices``. Raises ConfigurationError.
    """
    none = ConfigurationError(file, "", f"is no list of {what}", f"export /api/dcim/{what}/")
    try:
        content = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(file, "", f"not valid JSON: {error}") from None
    pages = content if isinstance(content, list) else [content]
    if not all(isinstance(page, dict) and "results" in page for page in pages):
        if not isinstance(content, list):
            raise none
        return content
    found: list[Any] = []
    for page in pages:
        if not isinstance(page["results"], list):
            raise none
        found += page["results"]
    counts = [page.get("count") for page in pages]
    number = max((count for count in counts if isinstance(count, int)), default=0)
    if (len(pages) == 1 and pages[0].get("next")) or len(found) != (number or len(found)):
        raise ConfigurationError(
            file,
            "",
            f"holds {len(found)} of {number} {what}",
            "ask for ?limit=0, or for each page with &offset= and join them: jq -s . page*.json",
        )
    return found


def _status(cable: object) -> str:
    status = cable.get("status", _CONNECTED) if isinstance(cable, dict) else ""
    return str(status.get("value", "") if isinstance(status, dict) else status)


def _ends(cable: Mapping[str, Any], side: str) -> list[tuple[str, End]]:
    """Terminations of one side with their object types; a power feed stands for itself."""
    found: list[tuple[str, End]] = []
    given = cable.get(f"{side}_terminations")
    for one in given if isinstance(given, list) else []:
        kind = str(one.get("object_type", "")) if isinstance(one, dict) else ""
        thing = one.get("object") if isinstance(one, dict) else None
        if not isinstance(thing, dict):
            continue
        port = _called(thing)
        device = thing.get("device")
        name = _called(device) if isinstance(device, dict) else port
        found.append((kind, End(name, port, kind in _GIVES)))
    return found


def _called(thing: Mapping[str, Any]) -> str:
    """What NetBox shows for a thing: devices may have no name of their own."""
    return str(thing.get("name") or thing.get("display") or "")


def read_export(path: Path, names: Mapping[str, Named], valid_from: str | None = None) -> Taken:
    """Connections of an export file. Raises ConfigurationError."""
    return connections_of(read_text(path), str(path), names, valid_from)


def told(taken: Taken) -> Iterable[str]:
    """What was taken and what was left out, in lines."""
    yield f"{len(taken.connections)} connections"
    for reason, count in taken.left_out.most_common():
        yield f"{count} cables left out: {reason}, e.g. {taken.examples[reason]}"
