"""The page of all commands."""

from pathlib import Path

from jauge_demo.document import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_commands_is_generated() -> None:
    """What is committed is what the programs say of themselves."""
    assert (ROOT / "docs/commands.md").read_text(encoding="utf-8") == page()


def test_every_command_stands_there_with_an_example() -> None:
    """Nested commands too, and the options that they need are marked."""
    text = page()
    for command in ("jauge-agent once", "jauge-collector import", "jauge-collector meter replace"):
        assert f"### {command}\n" in text
        assert f"\n{command} " in text
    assert "| `--final VALUE` | old, last; required |" in text
