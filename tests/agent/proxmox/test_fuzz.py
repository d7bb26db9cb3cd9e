"""Whatever a cluster answers: no error, and no reading outside of the catalogue."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_agent.source import RetryError
from jauge_agent.sources.proxmox.session import Answer
from jauge_agent.sources.proxmox.settings import ProxmoxCluster, ProxmoxSettings
from jauge_agent.sources.proxmox.source import ClusterSource
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.readings import flaw_of
from jauge_models.resources import is_resource
from jauge_models.wire import Method

RECORDED: Final = json.loads(
    (Path(__file__).with_name("recorded") / "cluster_resources.json").read_bytes()
)["data"]

LEAVES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            *(0, -1, 1, 0.5, 2, 10**30, 1e300, -0.0, "106", "NaN", "9" * 400, "node1", "node2"),
            *("running", "online", "maintenance", "node", "qemu", "lxc", "../x", "a;b", 100, 101),
        ]
    ),
)
JSON: Final = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
ENTRIES: Final = st.dictionaries(
    st.sampled_from(sorted({key for entry in RECORDED for key in entry} | {"hastate", "tags"})),
    LEAVES,
)


@st.composite
def lists(draw: st.DrawFn) -> Any:
    """The list of all, with some parts replaced, left out or added."""
    if draw(st.integers(0, 20)) == 0:
        return draw(JSON)
    entries = copy.deepcopy(RECORDED)
    for entry in entries:
        for key in list(entry):
            match draw(st.integers(0, 20)):
                case 0:
                    entry[key] = draw(JSON)
                case 1:
                    del entry[key]
    return entries + draw(st.lists(ENTRIES | JSON, max_size=4))


class _Answering:
    """Stands for the way out: what was drawn instead of what a cluster says."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.asked: list[str] = []

    async def get(self, path: str) -> Answer:
        """The drawn list; anything else for a name."""
        self.asked.append(path)
        data = self.draw(lists() if path == "/cluster/resources" else JSON)
        return Answer(200, data) if data is not None else Answer(500, None)

    async def get_aside(self, path: str) -> Answer:
        """Anything, a refusal, or no answer."""
        from jauge_agent.sources.proxmox.session import is_path

        assert is_path(path)
        data = self.draw(
            JSON | st.dictionaries(st.sampled_from(["smbios1", "vmgenid", "cpuinfo"]), JSON)
        )
        if data == 0:
            raise RetryError("no answer")
        return Answer(200, data) if data is not None else Answer(403, None)

    async def close(self) -> None:
        """Nothing to give back."""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_answers_give_sound_readings_or_none(data: st.DataObject) -> None:
    """Read three times, each time with other answers."""
    device = ProxmoxCluster(host="a", name="east", token_file="t")
    source = ClusterSource(device, ProxmoxSettings(devices=[device], tenant="a", service="b"))
    source._api = _Answering(data.draw)  # type: ignore[assignment]
    source._name = "east"

    async def reading() -> None:
        described: dict[tuple[str, str], Method] = {}
        for _ in range(3):
            try:
                outcome = await source.read()
            except RetryError:
                continue
            if outcome.resources is not None:
                names = [each.id for each in outcome.resources]
                assert len(names) == len(set(names))
                described = {
                    (each.id, quantity): method
                    for each in outcome.resources
                    for quantity, method in each.quantities.items()
                }
            series = [(sample.resource, sample.quantity) for sample in outcome.samples]
            assert len(series) == len(set(series))
            assert set(series) <= described.keys()
            for resource, quantity, value in outcome.samples:
                assert is_resource(resource)
                assert flaw_of(resource, quantity, CATALOGUE[quantity].unit, value) is None
                counts = CATALOGUE[quantity].kind is Kind.COUNTER
                assert counts == (described[resource, quantity] is Method.COUNTER)
            assert all(number > 0 for number in outcome.failed.values())

    asyncio.run(reading())
