"""docs/donnees-personnelles.md is true: its durations, its commands."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

from jauge_agent.config import AgentConfig
from jauge_collector import config
from jauge_collector.config import CollectorFile
from jauge_collector.ledger.book import Ledger
from jauge_collector.stores.open import open_store
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Method

from tests.test_examples import ROOT, Terminal, blocks, terminal

DOCUMENT = ROOT / "docs" / "donnees-personnelles.md"
__all__ = ["terminal"]
NOW_MS = time.time_ns() // 1_000_000
SITE = """
[site]
name = "paris"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["poste-17/meter:it"]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""


def durations() -> dict[str, float]:
    """The number beside each key of the table."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Durées")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `([\w.]+)` \| (\d+) (?:jours|mois|ans)", text, re.MULTILINE)
    return {key: float(number) for key, number in rows}


def test_durations_are_the_defaults_of_the_code() -> None:
    """Every duration of the page is what the programs do unless told otherwise, and none lacks."""
    known: dict[str, Any] = {
        f"retention.{name}": getattr(config.RetentionConfig(), name)
        for name in config.RetentionConfig.__struct_fields__
    }
    for key in ("store.retention_days", "store.minimum_retention_days"):
        known[key] = getattr(config.StoreConfig(), key.partition(".")[2])
    known["spool.max_age_days"] = AgentConfig(site="s").spool.max_age_days
    assert durations() == known


def test_units_fit_the_keys() -> None:
    """Days, months and years are those that the key's name says."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for key, unit in re.findall(r"\| `([\w.]+)` \| \d+ (jours|mois|ans)", text):
        assert key.rpartition("_")[2] == {"jours": "days", "mois": "months", "ans": "years"}[unit]


def test_what_is_shown_is_configuration_and_is_the_default() -> None:
    """The block of collector.toml says nothing else than what holds without it."""
    (block,) = [b for b in blocks(DOCUMENT) if b.name == "collector.toml"]
    assert "[retention]" in block.text
    defaults = CollectorFile(sites=[Path("paris.toml")], state_dir=Path("state"))
    assert f'state_encryption = "{defaults.state_encryption}"' in block.text


def test_its_commands_do_what_it_says(terminal: Terminal) -> None:
    """The guest and the agent are gone afterwards; what feeds the meter is still there."""
    (terminal.folder / "paris.toml").write_text(SITE, encoding="utf-8")
    (block,) = [b for b in blocks(DOCUMENT) if b.name == "collector.toml"]
    (terminal.folder / "collector.toml").write_text(block.text, encoding="utf-8")
    settings = config.load(terminal.folder / "collector.toml")
    kept = [
        Series("paris", "poste-17", "meter:it", "energy"),
        Series("paris", "h", "guest:4c4c4544-0052", "power"),
    ]
    gone = [
        Series("paris", "h", "guest:4c4c4544-0051", "power"),
        Series("paris", "poste-17", "host", "power"),
    ]

    async def prepare() -> None:
        async with open_store(settings) as store:
            await store.write([Reading(series, NOW_MS, 1.0) for series in (*kept, *gone)])

    async def left() -> set[Series]:
        async with open_store(settings) as store:
            return set(await store.series("paris"))

    asyncio.run(prepare())
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        ledger.set_methods("paris", "h", {(gone[0].resource, "power"): Method.ESTIMATE})
    done = terminal.follow(DOCUMENT)
    assert [words[:2] for words in done] == [("jauge-collector", "purge")] * 5
    assert asyncio.run(left()) == set(kept)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        assert ledger.methods("paris") == {}
        assert len(ledger.entries("paris", "purge")) == 2


def test_what_the_site_must_fill_in_is_marked() -> None:
    """Controller, officer, legal basis and hosting are not invented."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in ("Responsable du traitement", "DPO", "Base juridique"):
        assert re.search(rf"^\| {row} \| ⟨[^|]+⟩ \|$", text, re.MULTILINE), row
    assert "lieu d'hébergement" in re.findall(r"⟨([^⟩]+)⟩", text)[-2]
