"""What of births reaches the ledger: what it asks for, once, and again when it has forgotten."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from jauge_collector.births import Births
from jauge_collector.inventory import Inventory
from jauge_collector.ledger import retention
from jauge_collector.ledger.book import Ledger
from jauge_collector.telemetry import Telemetry
from jauge_models.wire import Address, Birth, Method, ResourceDescription

GATEWAY = Address("lab", "vc")


class Scene:
    """A ledger, and births on their way to it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.inventory = Inventory()
        self.births = self.another()

    def another(self) -> Births:
        """As after a restart."""
        return Births(self.ledger, Telemetry(self.inventory), lambda: None)

    def hear(
        self, at_ms: int, *resources: ResourceDescription, births: Births | None = None
    ) -> int:
        """A birth; how many wait for the ledger then."""
        birth = Birth("b1", "1", at_ms / 1000, resources=list(resources))
        heard = self.births if births is None else births
        heard.heard(self.inventory.born(GATEWAY, birth, at_ms), at_ms)
        return len(heard)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty one."""
    made = Scene(tmp_path)
    yield made
    made.ledger.close()


def guest(name: str, more: Mapping[str, Method] = {}, **labels: str) -> ResourceDescription:
    """A virtual machine as a gateway describes it."""
    quantities = dict.fromkeys(
        ("power", "cpu_utilisation", "runs_on", "processors", "memory_used", "disk_read"),
        Method.GAUGE,
    )
    return ResourceDescription("guest:x", quantities | dict(more), name=name, labels=labels)


async def test_what_the_ledger_asks_for_is_kept(scene: Scene) -> None:
    """How energy is obtained, whether guests are told of, names and labels; no more."""
    sensor = ResourceDescription("sensor:t", {"temperature": Method.GAUGE}, name="inlet")
    assert scene.hear(1000, guest("web", tenant="alpha"), sensor) == 1
    await scene.births.write()
    assert scene.ledger.methods("lab") == {
        ("vc", "guest:x", quantity): Method.GAUGE
        for quantity in ("power", "cpu_utilisation", "runs_on")
    }
    (found,) = scene.ledger.descriptions("lab", 2000).values()
    assert (found.name, found.labels, found.from_ms) == ("web", {"tenant": "alpha"}, 1000)


async def test_only_news_is_told(scene: Scene) -> None:
    """Not the same once more, nor after a restart; a new name, label or method is."""
    scene.hear(1000, guest("web"))
    await scene.births.write()
    assert scene.hear(2000, guest("web")) == 0
    again = scene.another()
    again.learn(["lab"])
    assert scene.hear(3000, guest("web"), births=again) == 0
    for at_ms, changed in (
        (4000, guest("web-2")),
        (5000, guest("web-2", tenant="alpha")),
        (6000, guest("web-2", {"energy": Method.COUNTER}, tenant="alpha")),
    ):
        assert scene.hear(at_ms, changed, births=again) == 1
        await again.write()
        assert len(again) == 0
    assert [one.from_ms for one in scene.ledger.histories("lab")["vc", "guest:x"]] == [
        1000, 4000, 5000
    ]  # fmt: skip


async def test_who_was_forgotten_is_news(scene: Scene) -> None:
    """After an erasure the same birth is told again."""
    scene.hear(1000, guest("web"))
    await scene.births.write()
    retention.erase(scene.ledger, "lab", [("vc", "guest:x")], dry_run=False)
    assert scene.ledger.histories("lab") == {}
    await scene.births.heed_forgetting()
    assert scene.hear(2000, guest("web")) == 1
    await scene.births.write()
    assert scene.ledger.histories("lab").keys() == {("vc", "guest:x")}
