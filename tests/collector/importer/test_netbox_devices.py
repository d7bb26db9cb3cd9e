"""NetBox's devices as servers of the inventory."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.importer.netbox_devices import (
    DeviceMapping,
    TakenDevices,
    added,
    read_mapping,
    servers_of,
    told,
)
from jauge_collector.registers.problems import File, RegisterError
from jauge_collector.registers.servers import Server, ServerKind, parse, written
from jauge_models.configuration import ConfigurationError

from tests.collector.registers.sheets import file, refusal

API = "https://netbox.example/api"
MAPPING = """
[roles]
Server = "physical"
ESXi = "hypervisor"
[sites]
dc1 = "lognes"
[fields]
owner_service = "owner"
purchase = "bought"
"""


def nested(what: str, name: str | None, **more: Any) -> dict[str, Any] | None:
    """A related object with NetBox's brief fields."""
    if name is None:
        return None
    slug = name.lower().replace(" ", "-")
    brief = {"id": 1, "url": f"{API}/{what}/1/", "display": name, "name": name, "slug": slug}
    return brief | {"description": ""} | more


def device(name: str | None, role: str = "Server", **more: Any) -> dict[str, Any]:
    """A device with the keys of NetBox's DeviceSerializer."""
    kind = {
        "id": 11,
        "url": f"{API}/dcim/device-types/11/",
        "display": "R-1",
        "manufacturer": nested("dcim/manufacturers", "Maker"),
        "model": "R-1",
        "slug": "r-1",
        "description": "",
    }
    return {
        "id": 88,
        "url": f"{API}/dcim/devices/88/",
        "display": name or "R-1 (88)",
        "name": name,
        "device_type": kind,
        "role": nested("dcim/device-roles", role),
        "tenant": nested("tenancy/tenants", "Région"),
        "platform": None,
        "serial": f"SN-{name}",
        "asset_tag": None,
        "site": nested("dcim/sites", "Data centre 1", slug="dc1"),
        "location": nested("dcim/locations", "Salle A"),
        "rack": nested("dcim/racks", "A1"),
        "position": 12.0,
        "face": {"value": "front", "label": "Front"},
        "parent_device": None,
        "status": {"value": "active", "label": "Active"},
        "airflow": None,
        "primary_ip": None,
        "cluster": None,
        "description": "",
        "comments": "",
        "tags": [],
        "custom_fields": {"owner_service": "DSI", "purchase": "2021-06-30", "other": 5},
        "created": "2026-01-05T09:00:00Z",
        "last_updated": "2026-01-05T09:00:00Z",
    } | more


def taken(content: object, mapping: str = MAPPING) -> TakenDevices:
    """What is taken of an export."""
    text = content if isinstance(content, str) else json.dumps(content)
    return servers_of(File("devices", text.encode()), read_mapping(mapping, "mapping.toml"))


def test_what_the_rest_api_lists() -> None:
    """Every field that the inventory asks for, and nothing that NetBox does not say."""
    page = {"count": 1, "next": None, "previous": None, "results": [device("srv-1")]}
    (found,) = taken(page).servers
    assert found == Server(
        line=2,
        id="srv-1",
        name="srv-1",
        site="lognes",
        room="Salle A",
        rack="A1",
        position="12",
        serial="SN-srv-1",
        kind=ServerKind.PHYSICAL,
        owner="DSI",
        used_by=("Région",),
        maker="Maker",
        model="R-1",
        bought=found.bought,
    )
    assert str(found.bought) == "2021-06-30"
    assert parse(file(written([found]))) == (found,)


def test_what_is_no_server_is_left_out_and_counted() -> None:
    """Other roles, what is planned or leaving; a device without a name goes by its display."""
    devices = [
        device("sw-1", role="Switch"),
        device("srv-2", status={"value": "planned", "label": "Planned"}),
        device("srv-3", status={"value": "decommissioning", "label": "x"}),
        device("srv-4", status={"value": "offline", "label": "Offline"}),
        device(None, role="ESXi", serial=""),
        device("srv-5", parent_device=nested("dcim/devices", "chassis-1"), serial="SN 5"),
        "nonsense",
    ]
    found = taken(devices)
    assert [(s.id, s.kind.value, s.chassis) for s in found.servers] == [
        ("srv-4", "physical", ""),
        ("R-1 (88)", "hypervisor", ""),
        ("srv-5", "physical", "chassis-1"),
    ]
    assert list(told(found)) == [
        "3 servers",
        "2 devices left out: it is not there yet or any more, e.g. srv-2",
        "1 devices left out: its role is no server's, e.g. sw-1, Switch",
    ]


def test_the_csv_export() -> None:
    """The table's own column names; columns that nobody asked for do not matter."""
    rows = [
        [
            "Name",
            "Status",
            "Tenant",
            "Site",
            "Location",
            "Rack",
            "Position",
            "Role",
            "Manufacturer",
        ],
        ["srv-1", "Active", "Région", "dc1", "Salle A", "A1", "12", "Server", "Maker"],
        ["sw-1", "Active", "Région", "dc1", "Salle A", "A1", "13", "Switch", "Maker"],
    ]
    more = [["Type", "Serial number", "IP Address", "owner_service"]]
    more += [["R-1", "SN-1", "192.0.2.1", "DSI"], ["S", "SN-2", "", ""]]
    text = io.StringIO()
    csv.writer(text).writerows(a + b for a, b in zip(rows, more, strict=True))
    found = taken(text.getvalue())
    (server,) = found.servers
    assert (server.id, server.site, server.room, server.rack, server.position) == (
        "srv-1",
        "lognes",
        "Salle A",
        "A1",
        "12",
    )
    assert (server.maker, server.model, server.serial, server.owner) == (
        "Maker",
        "R-1",
        "SN-1",
        "DSI",
    )
    assert sum(found.left_out.values()) == 1


def test_the_id_may_be_the_asset_tag() -> None:
    """Its name where it has none."""
    mapping = f'id = "asset_tag"\n{MAPPING}'
    devices = [device("srv-1", asset_tag="INV-7"), device("srv-2")]
    assert [server.id for server in taken(devices, mapping).servers] == ["INV-7", "srv-2"]


def test_a_device_that_the_inventory_cannot_hold_is_named() -> None:
    """By its own name: nobody sees the table in between."""
    with pytest.raises(RegisterError) as caught:
        taken([device("srv-1"), device("srv-2", serial="SN-srv-1")])
    assert "serial of srv-2" in str(caught.value)
    with pytest.raises(RegisterError, match="bought of srv-3"):
        taken([device("srv-3", custom_fields={"purchase": "last year"})])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"results": 5}, "is no list of devices"),
        ({"count": 9, "next": f"{API}/x", "results": [1, 2]}, "holds 2 of 9 devices"),
        ("Name,Status\nsrv-1,Active\n", "this column is missing"),
        ("[", "not valid JSON"),
    ],
)
def test_an_export_that_cannot_be_read(content: object, problem: str) -> None:
    """Said in one line."""
    with pytest.raises(ConfigurationError, match=problem):
        taken(content)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "roles: missing"),
        ('[roles]\nServer = "guest"', "is no choice"),
        ('[roles]\nServer = "physical"\n[fields]\nx = "owners"', "'owners' is no column"),
    ],
)
def test_a_mapping_that_cannot_be_used(text: str, problem: str) -> None:
    """Said in one line."""
    with pytest.raises(ConfigurationError, match=problem):
        read_mapping(text, "mapping.toml")


def test_only_new_servers_are_added() -> None:
    """By id and by serial number however it is written: what the officer entered stays."""
    known = parse(file("id;serial\nsrv-1;x\nINV-2;sn srv 2\n"))
    found = taken([device(f"srv-{n}") for n in (1, 2, 3)]).servers
    assert [server.id for server in added(found, known)] == ["srv-3"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["results", "name", "role", "status", "value", "site", "slug", "serial"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=60), JSON.map(lambda tree: json.dumps(tree).encode())))
def test_whatever_an_export_holds_is_read_or_refused(content: bytes) -> None:
    """One clear error, never a traceback."""
    mapping = DeviceMapping(roles={"Server": ServerKind.PHYSICAL, "": ServerKind.PHYSICAL})
    error = refusal(lambda: servers_of(File("devices", content), mapping))
    assert error is None or (str(error).startswith("devices") and "\n" not in str(error))
