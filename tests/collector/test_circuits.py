"""Circuits of a site file: one limit for a phase at any time, and errors that say where."""

from pathlib import Path

import pytest
from jauge_collector import sites
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Feed

from tests.collector.running import SITE


def load(folder: Path, circuits: str) -> sites.Site:
    """A site with these circuits."""
    path = folder / "site.toml"
    path.write_text(f"{SITE}{circuits}", encoding="utf-8")
    return sites.load(path)


def test_a_limit_may_change_on_a_day(tmp_path: Path) -> None:
    """The breaker was replaced: each rating holds in its time."""
    site = load(
        tmp_path,
        """
[[circuits]]
current = "gw/phase:pdu-a.1"
limit_a = 16
phase = "L1"
feed = "A"
load = "rack R1"
valid_to = "2026-03-01"
[[circuits]]
current = "gw/phase:pdu-a.1"
limit_a = 32
phase = "L1"
valid_from = "2026-03-01"
""",
    )
    first, second = site.circuits
    assert first.source == second.source == Feed("gw", "phase:pdu-a.1")
    assert (first.limit, first.phase, first.feed, first.load) == (16, "L1", "A", "rack R1")
    assert second.limit == 32
    assert first.validity.to_ms == second.validity.from_ms


@pytest.mark.parametrize(
    ("circuits", "key", "problem"),
    [
        ('[[circuits]]\ncurrent = "pdu"\nlimit_a = 16\n', "circuits[0].current", "names nothing"),
        (
            '[[circuits]]\ncurrent = "gw/phase:1"\nlimit_a = 16\n' * 2,
            "circuits[1].current",
            "two limits at one time",
        ),
        ('[[circuits]]\ncurrent = "gw/phase:1"\nlimit_a = 0\n', "circuits[0].limit_a", ""),
        (
            '[[circuits]]\ncurrent = "gw/phase:1"\nlimit_a = 1\nvalid_from = "x"\n',
            "circuits[0].valid_from",
            "",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, circuits: str, key: str, problem: str
) -> None:
    """With the key and one line."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, circuits)
    told = str(caught.value)
    assert key in told
    assert problem in told
    assert "\n" not in told
