"""Whatever a BMC answers: no error but the named ones, and no reading outside of the catalogue."""

import asyncio
import copy
from pathlib import Path
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_agent.sources.redfish.inventory import take_inventory
from jauge_agent.sources.redfish.session import is_path, is_session, session_path
from jauge_agent.sources.redfish.values import Document, take
from jauge_agent.sources.redfish.walking import MOST_DOCUMENTS, Walk
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.readings import flaw_of
from jauge_models.resources import is_resource
from jauge_models.wire import Method

from tests.agent.redfish import machines
from tests.agent.redfish.machines import CHASSIS, SYSTEM, control, to

_FOLDER: Final = Path(__file__).resolve().parents[4] / "shared" / "data" / "redfish"


def _rich() -> machines.Documents:
    """A server with something in each kind of document."""
    made = machines.server(
        PowerControl=[control(300, SYSTEM, CHASSIS), control(40, CHASSIS)],
        PowerSupplies=[{"MemberId": "1", "PowerInputWatts": 310, "PowerOutputWatts": 280}],
    )
    metrics, thermal, sensors = (f"{CHASSIS}/{x}" for x in ("EnvironmentMetrics", "Thermal", "S"))
    subsystem, supply = f"{CHASSIS}/PowerSubsystem", f"{CHASSIS}/PowerSubsystem/1"
    made[CHASSIS] |= {
        "EnvironmentMetrics": to(metrics),
        "Thermal": to(thermal),
        "Sensors": to(sensors),
        "PowerSubsystem": to(subsystem),
    }
    made[metrics] = {
        "PowerWatts": {"Reading": 320},
        "EnergykWh": {"Reading": 12.5},
        "FanSpeedsPercent": [{"DeviceName": "Fan 1", "SpeedRPM": 6000}],
    }
    made[thermal] = {
        "Temperatures": [{"Name": "Inlet", "PhysicalContext": "Intake", "ReadingCelsius": 24}],
        "Fans": [{"Name": "Fan 1", "Reading": 6000, "ReadingUnits": "RPM"}],
    }
    made[sensors] = machines.listed(f"{sensors}/power")
    made[f"{sensors}/power"] = {
        "ReadingType": "Power",
        "PhysicalContext": "Chassis",
        "Reading": 321,
    }
    made[subsystem] = {"PowerSupplies": to(f"{subsystem}/Supplies")}
    made[f"{subsystem}/Supplies"] = machines.listed(supply)
    made[supply] = {"Id": "1", "Metrics": to(f"{supply}/Metrics")}
    made[f"{supply}/Metrics"] = {"InputPowerWatts": {"Reading": 311}, "EnergykWh": {"Reading": 9}}
    return made


def _recorded() -> machines.Documents:
    folder = _FOLDER / "dmtf_public-rackmount1"
    found: machines.Documents = {}
    for file in folder.glob("**/index.json"):
        path = file.parent.relative_to(folder).as_posix()
        if path == "." or path.startswith(("Chassis", "Systems")):
            name = "/redfish/v1" if path == "." else f"/redfish/v1/{path}"
            found[name] = msgspec.json.decode(file.read_bytes())
    return found


SEEDS: Final = [_rich(), *([_recorded()] if _FOLDER.is_dir() else [])]

WORDS: Final = st.sampled_from(
    ["On", "Off", "Absent", "Enabled", "RPM", "W", "Intake", "Chassis", "Power", "", "1", "  "]
)
LEAVES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 65535, 10**30, 1e300, -0.0, "344", "NaN", "N/A", "9" * 400]),
    WORDS,
    st.text(max_size=20),
    st.sampled_from([to(CHASSIS), to(SYSTEM), to("/redfish/v1"), to("//x"), {"@odata.id": 7}]),
)
JSON: Final = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["@odata.id", "Members", "Reading", "Status", "State", "Name", "Links"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def _changed(draw: st.DrawFn, node: Any, depth: int = 0) -> Any:
    """A document with some of its parts replaced, left out or repeated."""
    if depth and draw(st.integers(0, 15)) == 0:
        return draw(JSON)
    if isinstance(node, dict):
        return {
            key: _changed(draw, value, depth + 1)
            for key, value in node.items()
            if draw(st.integers(0, 25)) != 0
        }
    if isinstance(node, list):
        items = [_changed(draw, each, depth + 1) for each in node]
        return items * 2 if items and draw(st.integers(0, 20)) == 0 else items
    return node


@st.composite
def services(draw: st.DrawFn) -> machines.Documents:
    """All documents of a BMC, some changed."""
    documents: machines.Documents = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    paths = sorted(documents)
    for path in draw(st.lists(st.sampled_from(paths), max_size=6, unique=True)):
        documents[path] = _changed(draw, documents[path])
    return documents


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=services(), second=services(), expands=st.booleans())
def test_any_documents_give_sound_readings_or_none(
    first: machines.Documents, second: machines.Documents, expands: bool
) -> None:
    """Looked around with some documents and polled with others."""
    asked: list[str] = []

    async def fetch(path: str) -> Document | None:
        asked.append(path)
        found = first.get(path.partition("?")[0].rstrip("/"))
        return found if isinstance(found, dict) else None

    if expands and isinstance(first.get("/redfish/v1"), dict):
        features = {"ExpandQuery": {"Levels": True}}
        first["/redfish/v1"] = first["/redfish/v1"] | {"ProtocolFeaturesSupported": features}
    plan = asyncio.run(take_inventory(Walk(fetch), "bmc-1"))
    assert len(asked) <= MOST_DOCUMENTS
    methods = {
        (each.id, quantity): method
        for each in plan.resources
        for quantity, method in each.quantities.items()
    }
    series = [(pick.resource, pick.quantity) for pick in plan.picks]
    assert len(series) == len(set(series))
    assert set(series) == set(methods)
    for (resource, quantity), method in methods.items():
        assert is_resource(resource)
        assert (CATALOGUE[quantity].kind is Kind.COUNTER) == (method is Method.COUNTER)
    for documents in (first, second):
        found: dict[str, object] = dict(documents)
        whole = {path: each for path, each in found.items() if isinstance(each, dict)}
        for pick, value in take(plan.picks, whole).values:
            unit = CATALOGUE[pick.quantity].unit
            assert flaw_of(pick.resource, pick.quantity, unit, value) is None


@given(text=st.text(max_size=60) | st.from_regex(r"/redfish/v1[/.#?%\\\w]*", fullmatch=True))
def test_no_path_leaves_the_service(text: str) -> None:
    """What passes for a path is one of the service; what passes for a session is one session."""
    if is_path(text):
        assert text == "/redfish/v1" or text.startswith("/redfish/v1/")
        assert not set(text) & set("#\\\r\n \t")
        assert ".." not in text.partition("?")[0].split("/")
    if path := session_path(text):
        assert is_session(path)
        assert path.rpartition("/")[0].endswith("/Sessions")
