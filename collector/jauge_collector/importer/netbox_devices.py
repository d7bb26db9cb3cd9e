"""Devices of NetBox as servers of the inventory: what it says of them, and nothing guessed.

Two forms are read: what the REST API lists under ``/api/dcim/devices/`` (JSON), and the table's CSV
export with at least Name, Status and Role. A mapping in TOML says which role is a server of which
kind; devices of other roles are left out and counted, as are those that are not there yet or any
more. Custom fields go into the columns that the mapping names.

The forms are those of NetBox 4 (github.com/netbox-community/netbox): the JSON as
``dcim/api/serializers_/devices.py``, ``devicetypes.py`` and ``netbox/api/fields.py`` make it,
statuses as ``dcim/choices.py`` has them, columns as ``dcim/tables/devices.py`` and, where that is
silent, the fields of ``dcim/models/devices.py`` call them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec
from jauge_models.configuration import ConfigurationError, parse

from jauge_collector.importer.netbox import listed
from jauge_collector.registers import servers
from jauge_collector.registers.problems import File, Problem, Problems, RegisterError
from jauge_collector.registers.servers import COLUMNS, Server, ServerKind
from jauge_collector.registers.sheet import Column, as_csv, folded, rows_of

THERE: Final = frozenset({"active", "offline", "failed", "staged"})
"""Statuses of a device that stands in its rack; planned, in stock or leaving it is not there."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

_NAMES: Final = tuple(column.name for column in COLUMNS)
_TABLE: Final = (
    Column("name", needed=True),
    Column("status", needed=True),
    Column("role", ("device_role",), needed=True),
    Column("tenant"),
    Column("site"),
    Column("location"),
    Column("rack"),
    Column("position", ("position_u",)),
    Column("maker", ("manufacturer",)),
    Column("model", ("type", "device_type")),
    Column("serial", ("serial_number",)),
    Column("asset_tag"),
    Column("chassis", ("parent_device",)),
)


class DeviceMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How NetBox's devices become servers."""

    roles: dict[Name, ServerKind]
    """Roles, by name, that are servers, and of which kind."""
    id: Literal["name", "asset_tag", "serial"] = "name"
    """What of a device is its id; its name where that is empty."""
    sites: dict[Name, Name] = {}
    """Sites, by slug or name, with their names in Jauge; the slug or name itself where absent."""
    fields: dict[Name, Name] = {}
    """Custom fields, by name, with the column of the inventory that they fill."""


@dataclass(slots=True)
class TakenDevices:
    """Servers, and why other devices are none, each reason with its first example."""

    servers: tuple[Server, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def skip(self, reason: str, example: str) -> None:
        """A device that is no server, or not there."""
        self.left_out[reason] += 1
        self.examples.setdefault(reason, example)


def read_mapping(text: str, file: str) -> DeviceMapping:
    """A mapping. Raises ConfigurationError."""
    found = parse(text, DeviceMapping, file=file)
    for custom, column in found.fields.items():
        if column not in _NAMES:
            raise ConfigurationError(
                file, f"fields.{custom}", f"{column!r} is no column", f"one of {', '.join(_NAMES)}"
            )
    return found


def servers_of(file: File, mapping: DeviceMapping) -> TakenDevices:
    """Servers of an export. Raises ConfigurationError where it is none."""
    taken = TakenDevices()
    shown: list[str] = []
    rows: list[list[str]] = []
    for device, custom in _devices(file):
        name = device.get("name", "")
        kind = mapping.roles.get(device.get("role", ""))
        if kind is None:
            taken.skip("its role is no server's", f"{name}, {device.get('role') or 'no role'}")
        elif folded(device.get("status", "")) not in THERE:
            taken.skip("it is not there yet or any more", name)
        else:
            cells = {column: device.get(column, "") for column in _NAMES}
            cells["id"] = device.get(mapping.id, "") or name
            cells["kind"] = kind.value
            cells["site"] = _site(device, mapping)
            cells["room"], cells["used_by"] = device.get("location", ""), device.get("tenant", "")
            cells |= {
                column: custom[key] for key, column in mapping.fields.items() if custom.get(key)
            }
            shown.append(name)
            rows.append([cells[column] for column in _NAMES])
    try:
        taken.servers = servers.parse(File(file.name, as_csv(_NAMES, rows).encode()))
    except RegisterError as error:
        problems = [_of_device(problem, shown) for problem in error.problems]
        raise RegisterError(problems, error.count) from None
    return taken


def added(found: Iterable[Server], known: Iterable[Server]) -> list[Server]:
    """Those that an inventory does not hold, by id or serial number, at any time."""
    known = list(known)
    ids = {server.id for server in known}
    serials = {folded(server.serial) for server in known} - {""}
    return [one for one in found if one.id not in ids and folded(one.serial) not in serials]


def told(taken: TakenDevices) -> Iterable[str]:
    """What was taken and what was left out, in lines."""
    yield f"{len(taken.servers)} servers"
    for reason, count in taken.left_out.most_common():
        yield f"{count} devices left out: {reason}, e.g. {taken.examples[reason]}"


def _of_device(problem: Problem, shown: list[str]) -> Problem:
    """The same with the device's name instead of a line of a table that nobody sees."""
    at = problem.line - 2
    where = f"{problem.column} of {shown[at]}" if 0 <= at < len(shown) else problem.column
    return problem._replace(line=0, column=where)


def _site(device: Mapping[str, str], mapping: DeviceMapping) -> str:
    names = [device.get(key, "") for key in ("site_slug", "site")]
    mapped = (mapping.sites[name] for name in names if name in mapping.sites)
    return next(mapped, next(filter(None, names), ""))


def _devices(file: File) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Each device as the columns of the CSV export, and its custom fields."""
    if file.content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        try:
            text = file.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigurationError(file.name, "", "is not UTF-8 text", "export it anew") from None
        for device in listed(text, file.name, "devices"):
            if isinstance(device, dict):
                yield _of_json(device)
        return
    problems = Problems(file.name)
    rows = rows_of(file, _TABLE, problems, others=True)
    problems.check()
    for row in rows:
        yield {column.name: row.text(column.name) for column in _TABLE}, dict(row.others)


def _of_json(device: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    kind = _inner(device, "device_type")
    found = {
        "name": _text(device.get("name")) or _text(device.get("display")),
        "status": _text(_inner(device, "status").get("value")) or _text(device.get("status")),
        "role": _called(device, "role") or _called(device, "device_role"),
        "tenant": _called(device, "tenant"),
        "site": _called(device, "site"),
        "site_slug": _text(_inner(device, "site").get("slug")),
        "location": _called(device, "location"),
        "rack": _called(device, "rack"),
        "position": _text(device.get("position")),
        "maker": _called(kind, "manufacturer"),
        "model": _text(kind.get("model")),
        "serial": _text(device.get("serial")),
        "asset_tag": _text(device.get("asset_tag")),
        "chassis": _called(device, "parent_device"),
    }
    fields = _inner(device, "custom_fields")
    return found, {name: _text(value) for name, value in fields.items()}


def _inner(thing: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = thing.get(key)
    return inner if isinstance(inner, dict) else {}


def _called(thing: Mapping[str, Any], key: str) -> str:
    inner = _inner(thing, key)
    return _text(inner.get("name")) or _text(inner.get("display"))


def _text(value: object) -> str:
    """A value of JSON as a cell says it; empty for what is none: a list, an object, null."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
