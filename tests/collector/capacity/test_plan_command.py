"""``jauge-collector plan``: the example answered, in words, as JSON, as tables, as a picture."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jauge_collector.cli import main
from jauge_models.capacity.scenario import decode

from tests.collector.capacity.example import EXAMPLES, SITE, written

SCENARIO = str(EXAMPLES / "scenario.toml")


def test_the_example_is_answered_in_a_sentence_and_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence stands first; what was not known is said; euros follow from the price."""
    config = written(tmp_path)
    assert main(["plan", "--scenario", SCENARIO, "--config", str(config)]) == 0
    text = capsys.readouterr().out
    first = text.splitlines()[3]
    assert first.startswith("Everything fits")
    assert "The limit that is nearest: " in first
    assert "600 pupils" in text.splitlines()[0]
    assert "the site's PUE" in text
    assert "a price of electricity" not in text
    for row in ("Workloads", "pupils", "Limits, the nearest first", "What if", "Energy, a year"):
        assert row in text


def test_json_says_the_same_with_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object; parts of the energy add up to it; nothing unknown is a zero."""
    config = written(tmp_path)
    assert main(["plan", "--scenario", SCENARIO, "--json", "--config", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentence"]["code"] in {"fits", "fits_waiting"}
    base = found["base"]
    assert sum(base["parts"].values()) == pytest.approx(base["energy"]["it_kwh"]["value"])
    assert base["energy"]["site_kwh"] is None
    assert found["figures"]["price"]["source"] == "example value"
    # Nothing was measured of any kind.
    assert set(found["unlearnt"].values()) == {"samples"}
    asked = decode(Path(SCENARIO).read_text("utf-8"), file=SCENARIO)
    assert [option["name"] for option in found["options"]] == [one.name for one in asked.what_if]
    assert {service["id"] for service in base["services"]} == {one.id for one in asked.asked}


def test_tables_and_picture_are_new_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV that parses, SVG that is well-formed and says what it shows; neither over another."""
    config = written(tmp_path)
    picture, tables = tmp_path / "week.svg", tmp_path / "week.csv"
    command = ["plan", "--scenario", SCENARIO, "--lang", "fr", "--config", str(config)]
    command += ["--picture", str(picture), "--csv", str(tables)]
    assert main(command) == 0
    svg = ET.fromstring(picture.read_text("utf-8"))  # noqa: S314 - our own file
    told = {child.tag.rpartition("}")[2]: child.text for child in svg}
    assert told["title"] == "GPU demandés et placés dans la semaine la plus pleine"
    assert "au plus" in str(told["desc"])
    rows = list(csv.reader(tables.read_text("utf-8").splitlines()))
    assert ["Charges", ""] in rows
    assert any(row[:1] == ["pupils"] for row in rows)
    capsys.readouterr()
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[[inference]]", "[[inference]]\nreplica = 3", "replica"),
        ('gpu_kinds = ["H100"]', 'gpu_kinds = ["H200"]', "'H200' is not in the plant"),
        ('zone = "Europe/Paris"', 'zone = "Europe/Lognes"', "zone"),
        ("first = 2026-09-01\ndays", "first = 2026-09-41\ndays", "scenario.toml"),
    ],
)
def test_a_wrong_scenario_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    """With the file and the key, and nothing else."""
    text = Path(SCENARIO).read_text("utf-8")
    assert old in text
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(text.replace(old, new, 1), encoding="utf-8")
    config = written(tmp_path)
    assert main(["plan", "--scenario", str(scenario), "--config", str(config)]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert len(said.err.splitlines()) == 1
    assert str(scenario) in said.err
    assert told in said.err


def test_a_site_without_a_plant_says_how_to_declare_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So does a price of which nobody says where it stands."""
    config = written(tmp_path, SITE.replace('plant = "plant.toml"', ""))
    assert main(["plan", "--scenario", SCENARIO, "--config", str(config)]) == 2
    assert "capacity.plant" in capsys.readouterr().err
    config = written(tmp_path, SITE.replace('price_source = "example value"', ""))
    assert main(["plan", "--scenario", SCENARIO, "--config", str(config)]) == 2
    assert "capacity.price_source" in capsys.readouterr().err


def test_an_option_says_what_was_not_known_of_its_plant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind and a rack of which nothing is declared are named, though the plant has neither."""
    config = written(tmp_path)
    with (tmp_path / "plant.toml").open("a", encoding="utf-8") as plant:
        plant.write('\n[[kinds]]\nname = "odd"\ncores = 4\nmemory_gib = 8\n')
        plant.write('[[racks]]\nname = "bare"\n')
    asked = tmp_path / "asked.toml"
    asked.write_text(
        'name = "n"\nfirst = 2026-09-01\ndays = 2\n[[inference]]\nid = "i"\nreplicas = 90\n'
        '[[what_if]]\nname = "more"\nadd = [{ kind = "odd", number = 1, racks = ["bare"] }]\n',
        encoding="utf-8",
    )
    assert main(["plan", "--scenario", str(asked), "--config", str(config)]) == 0
    text = capsys.readouterr().out
    for what in (
        "what a node of kind odd draws",
        "the breakers of rack bare",
        "nameplate or cap of kind odd",
        "the free units of racks",
    ):
        assert f"with “more”: {what}" in text
    assert " of 4,320\u00a0h find no place (GPUs)" in text


def test_one_file_for_two_things_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by another way to the same file, and before anything is worked out."""
    config = written(tmp_path)
    (tmp_path / "there").mkdir()
    ways = ("week.out", "there/../week.out")
    command = ["plan", "--scenario", SCENARIO, "--config", str(config)]
    for option, way in zip(("--csv", "--picture"), ways, strict=True):
        command += [option, str(tmp_path / way)]
    assert main(command) == 2
    said = capsys.readouterr()
    assert not said.out
    assert len(said.err.splitlines()) == 1
    assert "--csv" in said.err
    assert not (tmp_path / "week.out").exists()
