"""Names and labels of births, dated: news alone makes one, their number is bounded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jauge_collector.ledger import descriptions
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_models.wire import ResourceDescription


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with Ledger(tmp_path / "ledger.db") as made:
        yield made


def told(ledger: Ledger, at_ms: int, *resources: ResourceDescription) -> int:
    """A birth of these resources; how many were news."""
    return ledger.set_descriptions("lab", "vc", described({r.id: r for r in resources}), at_ms)


def test_a_description_holds_until_another_one(ledger: Ledger) -> None:
    """Renamed and handed over; before the first one it is taken to have been so."""
    guest = ResourceDescription("guest:x", name="web", labels={"tenant": "alpha", "host": "h1"})
    assert told(ledger, 1000, guest, ResourceDescription("sensor:t", name="t")) == 1
    assert told(ledger, 2000, guest) == 0
    moved = ResourceDescription("guest:x", name="web", labels={"host": "h2", "tenant": "alpha"})
    assert told(ledger, 3000, moved) == 0
    handed = ResourceDescription("guest:x", name="web-2", labels={"tenant": "bravo"})
    assert told(ledger, 4000, handed) == 1
    key = ("vc", "guest:x")
    for at_ms, name, tenant in (
        (0, "web", "alpha"),
        (3999, "web", "alpha"),
        (4000, "web-2", "bravo"),
    ):
        found = ledger.descriptions("lab", at_ms)[key]
        assert (found.name, found.labels) == (name, {"tenant": tenant})
    assert [one.from_ms for one in ledger.histories("lab")[key]] == [1000, 4000]
    assert ledger.histories("other") == {}


def test_a_clock_set_back_does_not_bury_the_newest(ledger: Ledger) -> None:
    """What came last holds, whatever the clock said."""
    told(ledger, 5000, ResourceDescription("guest:x", name="old"))
    told(ledger, 1000, ResourceDescription("guest:x", name="new"))
    assert ledger.descriptions("lab", 10_000)["vc", "guest:x"].name == "new"
    assert ledger.newest_descriptions("lab") == {("vc", "guest:x"): ("new", "{}")}


def test_their_number_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds no longer goes first, oldest first; then what no birth names any more."""
    monkeypatch.setattr(descriptions, "MAX_DESCRIPTIONS_OF_AGENT", 10)
    told(ledger, 0, ResourceDescription("guest:gone", name="gone"))
    for at in range(1, 10):
        told(ledger, at, ResourceDescription("guest:x", name=f"n{at}"))
    assert sum(map(len, ledger.histories("lab").values())) == 10
    told(ledger, 10, ResourceDescription("guest:x", name="n10"))
    kept = ledger.histories("lab")
    assert [one.name for one in kept["vc", "guest:x"]] == [f"n{at}" for at in range(3, 11)]
    assert len(kept["vc", "guest:gone"]) == 1
    everybody = [ResourceDescription(f"guest:{n}", name="n") for n in range(12)]
    told(ledger, 20, *everybody)
    kept = ledger.histories("lab")
    assert sum(map(len, kept.values())) <= 10
    assert ("vc", "guest:gone") not in kept
