"""Every source has its page, and the page is what the code says."""

from pathlib import Path

import pytest
from jauge_agent.document import main
from jauge_agent.source_page import FOLDER
from jauge_agent.sources import BUILT_IN

PAGES = Path(__file__).resolve().parents[2] / "docs" / "sources"


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_source_has_its_page_as_generated(name: str) -> None:
    """With its keys, what it leaves out and when it is absent; nothing is left to be filled in."""
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page == main(f"source:{name}"), "run: make generate"
    for heading in ("## Settings", "## What is left out", "## Absent"):
        assert f"\n{heading}\n" in page
    assert "\n{" not in page
    assert "| `enabled` | `true` | Whether the source runs" in page


def test_the_index_lists_the_sources_and_no_page_is_left_over() -> None:
    """A source that went takes its page along."""
    assert (PAGES / "README.md").read_text(encoding="utf-8") == main("sources")
    assert {path.stem for path in PAGES.glob("*.md")} == {*BUILT_IN, "README"}
    assert {path.stem for path in FOLDER.glob("*.md")} == set(BUILT_IN)


def test_an_unknown_page_is_one_line() -> None:
    """Which names what is known."""
    with pytest.raises(
        SystemExit, match=r"source:snmpp: not known; known are sources, source:host"
    ):
        main("source:snmpp")
