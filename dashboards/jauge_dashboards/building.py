"""Everything that a build writes: dashboards and provisioning, beside the alert rules.

``python -m jauge_dashboards.building`` writes the committed files below ``generated/``.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jauge_dashboards import drawing, provisioning, queries, schema
from jauge_dashboards.board import CONSOLE
from jauge_dashboards.boards import BOARDS
from jauge_dashboards.words import LANGUAGES, words

GENERATED: Final = Path(__file__).parent / "generated"


def dashboards(language: str, *, console: str = CONSOLE) -> dict[str, schema.Json]:
    """Every dashboard in a language of `words.LANGUAGES`, by its file name."""
    return {
        f"{board.uid}.json": drawing.draw(board, words(language), console=console)
        for board in BOARDS
    }


def files(
    language: str,
    *,
    console: str = CONSOLE,
    store: str = provisioning.STORE,
    folder: str = provisioning.DASHBOARDS,
) -> Mapping[str, str]:
    """Text by path: ``dashboards/…`` and ``provisioning/…``."""
    drawn = dashboards(language, console=console)
    told = provisioning.provisioning_files(words(language), store=store, folder=folder)
    return {
        **{f"dashboards/{name}": schema.text(one) for name, one in drawn.items()},
        **{f"provisioning/{path}": text for path, text in told.items()},
    }


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files below a folder, and take away dashboards of ours that are no longer made.

    Raises OSError.
    """
    written = []
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    for old in folder.glob(f"dashboards/{drawing.TAG}-*.json"):
        if old not in written:
            old.unlink()
    return written


def problems(schemas: Path | None = None) -> list[str]:
    """What is wrong with any dashboard or query, each naming its dashboard and panel.

    With ``schemas``, a folder of Grafana's published JSON schemas, also what those refuse.
    """
    wrong: list[str] = []
    for board in BOARDS:
        for view in board.views:
            for query in view.queries:
                wrong += [
                    f"{board.uid}, panel {view.key}: {one}"
                    for one in queries.panel_problems(query.expr, board.multiple, board.single)
                ]
    for language in LANGUAGES:
        for name, one in dashboards(language).items():
            found = schema.problems(one)
            found += schema.schema_problems(one, schemas) if schemas else []
            wrong += [f"{language}/{name}: {problem}" for problem in found]
    return wrong


def stale(folder: Path = GENERATED) -> list[str]:
    """Committed files that are not as a build would write them, or that none writes."""
    found: list[str] = []
    for language in LANGUAGES:
        made = files(language)
        there = {
            str(path.relative_to(folder / language))
            for part in ("dashboards", "provisioning")
            for path in (folder / language / part).rglob("*")
            if path.is_file()
        }
        found += [f"{language}/{path}" for path in sorted(there - made.keys())]
        for path, text in made.items():
            file = folder / language / path
            if path not in there or file.read_text("utf-8") != text:
                found.append(f"{language}/{path}")
    return found


if __name__ == "__main__":
    for code in LANGUAGES:
        write(GENERATED / code, files(code))
    sys.exit(0)
