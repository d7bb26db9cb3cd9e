"""The plant of a site's GPU capacity, as a person declares it in a TOML file.

Kinds of GPU servers, racks with their breakers, rooms with their cooling, and the nodes that stand
there. Units are those of name-plates: kW, A, GiB, cores. A limit that is left out does not limit,
and the answer says that it was not declared. The breakers of a rack that names none are the
circuits of the site file that supply ``rack NAME``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.configuration import ConfigurationError, parse

from jauge_collector.circuits import Circuit
from jauge_collector.config import read_text

MOST_PLANT_CHARACTERS: Final = 4_000_000

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\S(.{0,62}\S)?$",
        description="1 to 64 characters, none of them a space at an end",
    ),
]
Number = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class KindSection(_Section, frozen=True, kw_only=True):
    """Servers that are alike."""

    name: Name
    gpu: str = ""
    """Kind of GPU as the driver names it; empty where it has none."""
    gpus: Number = 0
    gpu_memory_gib: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 0.0
    """Of one GPU."""
    slices: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    """Into how many one GPU may be cut in hardware (MIG); 0 where it cannot."""
    cores: Positive
    memory_gib: Positive
    nameplate_kw: Positive | None = None
    """The most that the maker says a server draws."""
    cap_kw: Positive | None = None
    """A power cap that is enforced."""


class SupplySection(_Section, frozen=True, kw_only=True):
    """One breaker of a rack: a phase of a feed."""

    name: Name
    feed: Name
    """The path that fails as one, e.g. ``A``."""
    phase: str = ""
    amperes: Positive
    """What may flow for good, derating applied."""
    volts: Positive = 230.0
    """Between phase and neutral."""


class RackSection(_Section, frozen=True, kw_only=True):
    """A rack."""

    name: Name
    room: str = ""
    power_kw: Positive | None = None
    """What may be drawn in it altogether."""
    units: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """Rack units that are free."""
    supplies: list[SupplySection] = []
    """None: the circuits of the site file that supply this rack."""


class RoomSection(_Section, frozen=True, kw_only=True):
    """A room."""

    name: Name
    cooling_kw: Positive | None = None
    """Heat that is carried off without the cooling unit, or units, that may fail."""


class NodeSection(_Section, frozen=True, kw_only=True):
    """A server."""

    name: Name
    kind: str
    rack: str = ""
    supplies: list[str] = []
    """Breakers that it is plugged in; none: all of its rack."""
    host: str = ""
    """Its identity in the ledger, by which its energy is known; its name where empty."""
    agent: str = ""
    """The agent that reports its GPUs; that of its host where empty."""


class PlantFile(_Section, frozen=True, kw_only=True):
    """All of it."""

    kinds: list[KindSection]
    nodes: list[NodeSection]
    racks: list[RackSection] = []
    rooms: list[RoomSection] = []


@dataclass(frozen=True, slots=True)
class DeclaredPlant:
    """The plant, and by which names ledger and store know its nodes."""

    plant: Plant
    hosts: Mapping[str, str]
    """By node: host of the ledger."""
    agents: Mapping[str, str]
    """By node: the agent of its GPUs, where one was named."""
    file: Path


def load(path: Path, circuits: Iterable[Circuit] = (), now_ms: int | None = None) -> DeclaredPlant:
    """Read the plant file of a site; ``now_ms`` chooses among dated circuits.

    Raises ConfigurationError for a file that cannot be read, a key that is not known, a name that
    is used twice, and one that nothing has.
    """
    text = read_text(path)
    if len(text) > MOST_PLANT_CHARACTERS:
        raise ConfigurationError(
            str(path), "", f"is longer than {MOST_PLANT_CHARACTERS} characters", "name a plant file"
        )
    declared = parse(text, PlantFile, file=str(path))
    for key, problem, fix in _problems(declared):
        raise ConfigurationError(str(path), key, problem, fix)
    return _resolved(declared, path, _by_rack(circuits, now_ms))


def _resolved(
    declared: PlantFile, path: Path, circuits: Mapping[str, tuple[Supply, ...]]
) -> DeclaredPlant:
    racks = {
        rack.name: Rack(
            name=rack.name,
            room=rack.room,
            power_w=_watts(rack.power_kw),
            units=rack.units,
            supplies=tuple(
                Supply(
                    name=one.name,
                    feed=one.feed,
                    phase=one.phase,
                    amperes=one.amperes,
                    volts=one.volts,
                )
                for one in rack.supplies
            )
            or circuits.get(rack.name, ()),
        )
        for rack in declared.racks
    }
    plugged = {name: tuple(one.name for one in rack.supplies) for name, rack in racks.items()}
    for at, node in enumerate(declared.nodes):
        for supply in node.supplies:
            if supply not in plugged.get(node.rack, ()):
                raise ConfigurationError(
                    str(path),
                    f"nodes[{at}].supplies",
                    f"{supply!r} is no breaker of rack {node.rack!r}",
                    _has(plugged.get(node.rack, ())),
                )
    plant = Plant(
        kinds=tuple(_kind(kind) for kind in declared.kinds),
        nodes=tuple(
            Node(
                name=node.name,
                kind=node.kind,
                rack=node.rack,
                supplies=tuple(node.supplies) or plugged.get(node.rack, ()),
            )
            for node in declared.nodes
        ),
        racks=tuple(racks.values()),
        rooms=tuple(
            Room(name=room.name, cooling_w=_watts(room.cooling_kw)) for room in declared.rooms
        ),
    )
    return DeclaredPlant(
        plant,
        {node.name: node.host or node.name for node in declared.nodes},
        {node.name: node.agent for node in declared.nodes if node.agent},
        path,
    )


def _kind(kind: KindSection) -> NodeKind:
    return NodeKind(
        name=kind.name,
        gpu=kind.gpu,
        gpus=kind.gpus,
        gpu_memory_mib=round(kind.gpu_memory_gib * 1024),
        slices=kind.slices,
        cpu_milli=round(kind.cores * 1000),
        memory_mib=round(kind.memory_gib * 1024),
        nameplate_w=_watts(kind.nameplate_kw),
        cap_w=_watts(kind.cap_kw),
    )


def _watts(kilowatts: float | None) -> float | None:
    return None if kilowatts is None else kilowatts * 1000


def _by_rack(circuits: Iterable[Circuit], now_ms: int | None) -> dict[str, tuple[Supply, ...]]:
    """Circuits of the site file whose load is ``rack NAME``, as that rack's breakers."""
    found: defaultdict[str, list[Supply]] = defaultdict(list)
    for circuit in circuits:
        word, _, rack = circuit.load.partition(" ")
        if word == "rack" and rack and (now_ms is None or circuit.validity.holds(now_ms)):
            name = " ".join(filter(None, (rack, circuit.feed, circuit.phase)))
            found[rack.strip()].append(
                Supply(name=name, feed=circuit.feed, phase=circuit.phase, amperes=circuit.limit)
            )
    return {rack: tuple(some) for rack, some in found.items()}


_Problem = tuple[str, str, str]


def _problems(declared: PlantFile) -> Iterator[_Problem]:
    """What the structs alone cannot refuse, as key, problem and fix."""
    tables: tuple[tuple[str, Iterable[str]], ...] = (
        ("kinds", (kind.name for kind in declared.kinds)),
        ("rooms", (room.name for room in declared.rooms)),
        ("racks", (rack.name for rack in declared.racks)),
        ("nodes", (node.name for node in declared.nodes)),
    )
    known = {table: tuple(names) for table, names in tables}
    for table, names in known.items():
        yield from _twice(table, names)
    yield from _twice("nodes", (node.host or node.name for node in declared.nodes), "host")
    for at, kind in enumerate(declared.kinds):
        if bool(kind.gpu) != bool(kind.gpus):
            problem = "has no gpus" if kind.gpu else "has gpus of no kind"
            yield f"kinds[{at}]", problem, "give both gpu and gpus, or neither"
        if kind.cap_kw and kind.nameplate_kw and kind.cap_kw > kind.nameplate_kw:
            yield f"kinds[{at}].cap_kw", "is above nameplate_kw", "correct one of the two"
    for at, rack in enumerate(declared.racks):
        if rack.room and rack.room not in known["rooms"]:
            yield f"racks[{at}].room", f"{rack.room!r} is no room", _has(known["rooms"])
        yield from _twice(f"racks[{at}].supplies", (one.name for one in rack.supplies))
    for at, node in enumerate(declared.nodes):
        if node.kind not in known["kinds"]:
            yield f"nodes[{at}].kind", f"{node.kind!r} is no kind", _has(known["kinds"])
        if node.rack and node.rack not in known["racks"]:
            yield f"nodes[{at}].rack", f"{node.rack!r} is no rack", _has(known["racks"])


def _twice(table: str, names: Iterable[str], key: str = "name") -> Iterator[_Problem]:
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name in seen:
            yield f"{table}[{at}].{key}", f"{name!r} is used twice", "give each its own"
        seen.add(name)


def _has(names: Iterable[str]) -> str:
    return f"there is {', '.join(sorted(names)) or 'none'}"
