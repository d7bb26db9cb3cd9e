"""The connection map from files: our CSV, and what NetBox exports of its cables."""

import json
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli, sites
from jauge_collector.connection_file import as_csv, as_toml, connections_in, read_connections
from jauge_collector.importer.netbox import Taken, connections_of, read_names
from jauge_collector.site_file import ConnectionSection
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Connection, Validity

MAP = """\ufeffupstream;downstream;feed;valid_from;valid_to
# unit A
pdu:5A1234;outlet:5A1234.12;A;2026-01-01;
outlet:5A1234.12;srv-1/host;A;2026-01-01;2026-03-01

"""
NAMES = """device,name,outlets
srv-1,srv-1/host,
srv-2,srv-2/host,
PDU A1,pdu:5A1234,outlet:5A1234.{number}
PDU B1,pdu:B1,
ups 1,ups,
"""
HEAD = "ID,Label,Termination A,Device A,Termination B,Device B,Status,Type\n"
CABLES = """1,,PSU1,srv-1,Outlet 012,PDU A1,Connected,Power
2,,3,PDU B1,PSU2,srv-1,Connected,Power
3,,Out 1,ups 1,Input,PDU A1,Connected,Power
4,,eth0,srv-1,eth0,PDU A1,Connected,CAT6
5,,PSU1,srv-2,Outlet 13,PDU A1,Planned,Power
6,,PSU1,srv-3,Outlet 14,PDU A1,Connected,Power
7,,PSU1,srv-1,PSU1,srv-2,Connected,Power
8,,"A,B",srv-1,Outlet 15,PDU A1,Connected,Power
9,,,,Outlet 16,PDU A1,Connected,Power
"""
SITE = """
[site]
name = "lab"
connections_file = "map.csv"
[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["gw/ups:u1"]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]
[[connections]]
upstream = "ups"
downstream = "pdu:5A1234"
"""


def names(folder: Path, text: str = NAMES) -> Any:
    """The file of names."""
    (folder / "names.csv").write_text(text, encoding="utf-8")
    return read_names(folder / "names.csv")


def pairs(taken: Taken) -> set[tuple[str, str]]:
    """What feeds what."""
    return {(one.upstream, one.downstream) for one in taken.connections}


# --- our own CSV


def test_a_site_file_names_a_map(tmp_path: Path) -> None:
    """Its rows join those of the site file, dated on the site's clock."""
    (tmp_path / "map.csv").write_text(MAP, encoding="utf-8")
    (tmp_path / "lab.toml").write_text(SITE, encoding="utf-8")
    first, second, third = sites.load(tmp_path / "lab.toml").topology.connections
    assert first == Connection("ups", "pdu:5A1234")
    assert second.feed == "A"
    day, until = 1767222000000, 1772319600000
    assert second.validity == Validity(day, None)
    assert third == Connection("outlet:5A1234.12", "srv-1/host", "A", Validity(day, until))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("upstream\npdu:a\n", "column 'downstream' is missing"),
        ("upstream,downstream,rack\n", "unknown column 'rack'"),
        ("upstream,downstream,upstream\n", "column 'upstream' is missing"),
        ("upstream,downstream\npdu:a\n", "line 2: 1 values for 2 columns"),
        ("upstream,downstream\npdu:a,\n", "line 2: downstream is empty"),
        ("upstream,downstream\npdu:a,x/host\npdu:a,x/host\n", "line 3: is the same as line 2"),
        ('upstream,downstream\n"pdu:a,x/host\n', "line 2"),
        ("", "column 'upstream' is missing"),
    ],
)
def test_a_map_that_cannot_be_read_says_where(text: str, problem: str) -> None:
    """File, line and what is wrong."""
    with pytest.raises(ConfigurationError, match=rf"^map\.csv: {problem}"):
        list(connections_in(text, "map.csv"))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("nobody,srv-1/host", r"map\.csv:2\.upstream: 'nobody' is unknown"),
        ("pdu:a,pdu:a", r"map\.csv:2\.downstream: feeds itself"),
        ("pdu:a,srv-1/nonsense:1", r"map\.csv:2\.downstream: 'srv-1/nonsense:1' is unknown"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    """As in the site file itself, with the line of the map."""
    (tmp_path / "map.csv").write_text(f"upstream,downstream\n{row}\n", encoding="utf-8")
    (tmp_path / "lab.toml").write_text(SITE, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=problem):
        sites.load(tmp_path / "lab.toml")


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The site file alone is not enough."""
    (tmp_path / "lab.toml").write_text(SITE, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"map\.csv: cannot be read"):
        sites.load(tmp_path / "lab.toml")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """CSV and TOML hold the same, quotes and all."""
    rows = [one for _, one in connections_in(MAP, "map.csv")]
    (tmp_path / "again.csv").write_text(as_csv(rows), encoding="utf-8")
    assert [one for _, one in read_connections(tmp_path / "again.csv")] == rows
    odd = ConnectionSection(upstream="ups", downstream="pdu:x", feed='A "left" \\ or right')
    (tmp_path / "map.csv").write_text("upstream,downstream\n", encoding="utf-8")
    (tmp_path / "lab.toml").write_text(SITE + as_toml([*rows, odd]), encoding="utf-8")
    found = sites.load(tmp_path / "lab.toml").topology.connections
    assert [c.feed for c in found] == ["", "A", "A", odd.feed]


# --- NetBox


def test_a_table_of_cables(tmp_path: Path) -> None:
    """Power cables alone; which end gives follows from what the two things are."""
    text = HEAD + CABLES
    taken = connections_of(text, "cables.csv", names(tmp_path), "2026-03-01")
    assert pairs(taken) == {
        ("pdu:5A1234", "outlet:5A1234.12"),
        ("outlet:5A1234.12", "srv-1/host"),
        ("pdu:B1", "srv-1/host"),
        ("ups", "pdu:5A1234"),
    }
    assert {one.valid_from for one in taken.connections} == {"2026-03-01"}
    assert taken.left_out == {
        "no power cable": 1,
        "planned, or being taken out": 1,
        "no name for the device": 1,
        "it is not told which end gives": 1,
        "several terminations at one end": 1,
        "an end is open, or is no device's": 1,
    }
    assert taken.examples["no name for the device"] == "srv-3"


API = "https://netbox.example/api/dcim"


def end(
    kind: str, name: str, device: str | None, *, display: str | None = None
) -> list[dict[str, Any]]:
    """A termination with the keys of NetBox's GenericObjectSerializer and its nested ones."""
    thing: dict[str, Any] = {
        "id": 1,
        "url": f"{API}/{kind}s/1/",
        "display": name,
        "name": name,
        "description": "",
        "cable": {"id": 5, "url": f"{API}/cables/5/", "display": "#5", "label": ""},
        "_occupied": True,
    }
    if device is not None or display is not None:
        thing["device"] = {
            "id": 2,
            "url": f"{API}/devices/2/",
            "display": display or device,
            "name": device,
            "description": "",
        }
    return [{"id": 1, "object_type": f"dcim.{kind}", "object_id": 1, "object": thing}]


def cable(a: list[dict[str, Any]], b: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A cable with the keys of NetBox's CableSerializer."""
    return {
        "id": 5,
        "url": f"{API}/cables/5/",
        "display_url": "https://netbox.example/dcim/cables/5/",
        "display": "#5",
        "type": "power",
        "a_terminations": a,
        "b_terminations": b,
        "status": {"value": "connected", "label": "Connected"},
        "profile": None,
        "tenant": None,
        "label": "",
        "color": "",
        "length": None,
        "length_unit": None,
        "description": "",
        "comments": "",
        "tags": [],
        "custom_fields": {},
        "created": "2026-01-05T09:00:00Z",
        "last_updated": "2026-01-05T09:00:00Z",
    } | more


def page(cables: list[Any], count: int, following: str | None = None) -> dict[str, Any]:
    """A page of the REST API."""
    return {"count": count, "next": following, "previous": None, "results": cables}


def test_what_the_rest_api_lists(tmp_path: Path) -> None:
    """Outlets and feeds give, ports take, whatever the devices are; two units in a row, too."""
    psu, outlet = end("powerport", "PSU1", "srv-1"), end("poweroutlet", "12", "PDU A1")
    cables = [
        cable(psu, outlet),
        cable(outlet, end("powerport", "in", "PDU B1")),
        cable(end("powerfeed", "ups 1", None), end("powerport", "in", "PDU A1")),
        cable(end("interface", "eth0", "srv-1"), end("interface", "1", "PDU A1")),
        cable(psu, end("powerport", "PSU1", "srv-2")),
        cable(psu, []),
        cable([*psu, *psu], outlet),
        cable(psu, outlet, status={"value": "planned"}),
        "nonsense",
    ]
    pages = [page(cables[:4], len(cables), f"{API}/cables/?limit=4&offset=4")]
    pages.append(page(cables[4:], len(cables)))
    forms = (cables, page(cables, len(cables)), {"next": None, "results": cables}, pages)
    for text in map(json.dumps, forms):
        taken = connections_of(text, "cables.json", names(tmp_path), None)
        assert pairs(taken) == {
            ("pdu:5A1234", "outlet:5A1234.12"),
            ("outlet:5A1234.12", "srv-1/host"),
            ("outlet:5A1234.12", "pdu:B1"),
            ("ups", "pdu:5A1234"),
        }
        assert sum(taken.left_out.values()) == 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD.replace(",Device A", ""), "column 'device a' is missing"),
        ('{"results": 5}', "is no list of cables"),
        ("[", "not valid JSON"),
        ('{"next": "https://example.org/?offset=50", "results": []}', "holds 0 of 0 cables"),
        (json.dumps(page([1, 2], 1200, f"{API}/cables/?offset=2")), "holds 2 of 1200 cables"),
        (json.dumps([page([1, 2], 5, "x"), page([3, 4], 5)]), "holds 4 of 5 cables"),
        (json.dumps([page([1, 2], 2), {"results": None}]), "is no list of cables"),
    ],
)
def test_an_export_that_cannot_be_read(tmp_path: Path, text: str, problem: str) -> None:
    """Said in one line, with what to do."""
    with pytest.raises(ConfigurationError, match=problem):
        connections_of(text, "cables", names(tmp_path), None)


def test_a_device_without_a_name_is_called_as_netbox_shows_it(tmp_path: Path) -> None:
    """Its name is null there: never a device called None."""
    outlet = end("poweroutlet", "12", "PDU A1")
    shown = cable(end("powerport", "PSU1", None, display="srv-2"), outlet)
    unknown = cable(end("powerport", "PSU1", None, display="Type X (7)"), outlet)
    taken = connections_of(json.dumps([shown, unknown]), "cables.json", names(tmp_path), None)
    assert ("outlet:5A1234.12", "srv-2/host") in pairs(taken)
    assert taken.examples == {"no name for the device": "Type X (7)"}


@pytest.mark.parametrize(
    "text",
    [
        "device\nsrv-1\n",
        "device,name,rack\nsrv-1,srv-1/host,1\n",
        "device,name\nsrv-1,srv-1/host\nsrv-1,srv-1/host\n",
        "device,name\n,srv-1/host\n",
        "device,name\nsrv-1,srv 1\n",
        "device,name\nsrv-1,nonsense:1\n",
        "device,name,outlets\nsrv-1,pdu:1,outlet {port}\n",
    ],
)
def test_names_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    """Refused with their file."""
    with pytest.raises(ConfigurationError, match=r"names\.csv"):
        names(tmp_path, text)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From NetBox's export to a file that a site names, and nothing is overwritten."""
    names(tmp_path)
    (tmp_path / "cables.csv").write_text(
        HEAD + "1,,PSU1,srv-1,Outlet 12,PDU A1,connected,power\n2,,x,y,z,w,connected,cat6\n",
        encoding="utf-8",
    )
    (tmp_path / "lab.toml").write_text(SITE, encoding="utf-8")
    options = ["connections", str(tmp_path / "cables.csv"), "--netbox", str(tmp_path / "names.csv")]
    out = ["--to", "csv", "--out", str(tmp_path / "map.csv"), "--valid-from", "2026-03-01"]
    assert cli.main([*options, *out]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "2 connections",
        "1 cables left out: no power cable, e.g. line 3",
    ]
    assert len(sites.load(tmp_path / "lab.toml").topology.connections) == 3
    assert cli.main([*options, *out]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main([*options, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["connections"]) == 2
    assert cli.main(["connections", str(tmp_path / "map.csv")]) == 0
    assert 'downstream = "srv-1/host"\nvalid_from = "2026-03-01"' in capsys.readouterr().out
    assert cli.main([*options, "--valid-from", "soon"]) == 2
    assert cli.main(["connections", str(tmp_path / "map.csv"), "--valid-from", "2026-01-01"]) == 2
