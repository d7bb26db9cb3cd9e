"""The declared plant: what it holds, and what is refused."""

from pathlib import Path

import pytest
from jauge_collector.capacity import plant_file
from jauge_collector.circuits import Circuit
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Feed, Validity

PLANT = """
[[kinds]]
name = "eight"
gpu = "NVIDIA H100"
gpus = 8
gpu_memory_gib = 80
slices = 7
cores = 112
memory_gib = 2048.5
nameplate_kw = 10.2

[[rooms]]
name = "Salle 1"
cooling_kw = 120

[[racks]]
name = "R01"
room = "Salle 1"
power_kw = 24
supplies = [
    { name = "R01 A", feed = "A", amperes = 63 },
    { name = "R01 B", feed = "B", amperes = 63, volts = 231.5 },
]

[[racks]]
name = "R02"

[[nodes]]
name = "gpu-1"
kind = "eight"
rack = "R01"
host = "gateway/host:1"
agent = "gpu-1"

[[nodes]]
name = "gpu-2"
kind = "eight"
rack = "R01"
supplies = ["R01 B"]

[[nodes]]
name = "gpu-3"
kind = "eight"
rack = "R02"
"""


def _circuit(phase: str, load: str, validity: Validity) -> Circuit:
    return Circuit(Feed("pdu", f"phase:{phase}"), 32.0, phase, "A", load, validity)


def _file(folder: Path, text: str) -> Path:
    path = folder / "plant.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_units_of_name_plates_become_those_of_the_model(tmp_path: Path) -> None:
    """kW, GiB and cores of the file are W, MiB and thousandths of the model."""
    declared = plant_file.load(_file(tmp_path, PLANT))
    (kind,) = declared.plant.kinds
    assert (kind.gpu_memory_mib, kind.cpu_milli, kind.memory_mib) == (81_920, 112_000, 2_097_664)
    assert (kind.nameplate_w, kind.cap_w, kind.most_w) == (10_200.0, None, 10_200.0)
    first, second = declared.plant.racks
    assert (first.power_w, second.power_w) == (24_000.0, None)
    assert [supply.watts for supply in first.supplies] == [63 * 230.0, 63 * 231.5]
    assert declared.plant.rooms[0].cooling_w == 120_000.0


def test_a_node_is_plugged_in_every_breaker_of_its_rack_unless_it_says_which(
    tmp_path: Path,
) -> None:
    """No breaker named means all of the rack's."""
    nodes = plant_file.load(_file(tmp_path, PLANT)).plant.nodes
    assert [node.supplies for node in nodes] == [("R01 A", "R01 B"), ("R01 B",), ()]


def test_ledger_and_store_may_know_a_node_by_other_names(tmp_path: Path) -> None:
    """The names of host and agent stand beside the plant, which knows its own only."""
    declared = plant_file.load(_file(tmp_path, PLANT))
    assert declared.hosts == {"gpu-1": "gateway/host:1", "gpu-2": "gpu-2", "gpu-3": "gpu-3"}
    assert declared.agents == {"gpu-1": "gpu-1"}


def test_circuits_of_the_site_file_are_breakers_of_a_rack_that_names_none(tmp_path: Path) -> None:
    """Of dated circuits those that hold now; a rack's own breakers come first."""
    circuits = (
        _circuit("L1", "rack R02", Validity(None, 1000)),
        _circuit("L2", "rack R02", Validity(1000, None)),
        _circuit("L3", "rack R01", Validity()),
        _circuit("L1", "ups U1", Validity()),
    )
    declared = plant_file.load(_file(tmp_path, PLANT), circuits, now_ms=1000)
    own, taken = declared.plant.racks
    assert [supply.name for supply in own.supplies] == ["R01 A", "R01 B"]
    assert [(one.name, one.feed, one.phase, one.amperes) for one in taken.supplies] == [
        ("R02 A L2", "A", "L2", 32.0)
    ]
    assert declared.plant.nodes[2].supplies == ("R02 A L2",)


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ('kind = "eight"\nrack = "R02"', 'kind = "nine"', "nodes[2].kind", "'nine' is no kind"),
        ('rack = "R02"', 'rack = "R03"', "nodes[2].rack", "'R03' is no rack"),
        ('name = "gpu-3"', 'name = "gpu-2"', "nodes[2].name", "used twice"),
        ('name = "gpu-3"', 'name = "gateway/host:1"', "nodes[2].host", "used twice"),
        ('supplies = ["R01 B"]', 'supplies = ["R02 B"]', "nodes[1].supplies", "no breaker"),
        ('room = "Salle 1"', 'room = "Salle 2"', "racks[0].room", "'Salle 2' is no room"),
        ("gpus = 8", "gpus = 0", "kinds[0]", "has no gpus"),
        ("slices = 7", "cap_kw = 11.0", "kinds[0].cap_kw", "above nameplate_kw"),
        ("slices = 7", "slice = 7", "kinds[0]", "slice"),
        ("cores = 112", "cores = -1", "kinds[0].cores", ">"),
        ('feed = "B"', 'feed = ""', "racks[0].supplies[1].feed", "characters"),
        ('name = "R01 B"', 'name = "R01 A"', "racks[0].supplies[1].name", "used twice"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    """One line with file, key and problem."""
    assert old in PLANT
    path = _file(tmp_path, PLANT.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as refused:
        plant_file.load(path)
    assert str(path) in str(refused.value)
    assert key in str(refused.value)
    assert problem in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path) -> None:
    """Neither gives a traceback."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        plant_file.load(tmp_path / "none.toml")
    (tmp_path / "plant.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        plant_file.load(tmp_path / "plant.toml")
