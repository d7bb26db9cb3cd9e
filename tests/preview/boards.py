"""Generated dashboards as files: where they lie, and which there are."""

import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
GENERATED: Final = ROOT / "dashboards/jauge_dashboards/generated"
BUILT: Final = ROOT / "dashboards/preview/dist"
"""What ``make preview`` builds of dashboards/preview."""
LANGUAGES: Final = ("fr", "en")

Board = dict[str, Any]


def read(generated: Path = GENERATED) -> dict[tuple[str, str], Board]:
    """Every dashboard by language and uid, in the order of their files."""
    return {
        (language, board["uid"]): board
        for language in LANGUAGES
        for path in sorted((generated / language / "dashboards").glob("*.json"))
        for board in (json.loads(path.read_text(encoding="utf-8")),)
    }


def panels(board: Board) -> list[dict[str, Any]]:
    """Its panels without the headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]
