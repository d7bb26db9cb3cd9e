"""``python -m tests.preview``: a picture of every dashboard, and how each panel came out."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests import parts
from tests.browser import chromium, in_few_colours
from tests.preview import boards, site
from tests.preview.pictures import THEMES, Picture, PreviewError, picture
from tests.preview.server import serving

PICTURES: Final = boards.ROOT / "docs/pictures"
SINCE_START: Final = frozenset({"jauge-fleet"})
"""Dashboards of what only the running parts publish: drawn over the time since they started."""
DAY: Final = frozenset({"jauge-gpus"})
"""Dashboards of more than the day that is there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw them; returns the exit status."""
    options = _parser().parse_args(arguments)
    if not (boards.BUILT / "index.html").exists():
        print("preview: dashboards/preview is not built; run: make preview", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="jauge-preview-") as folder:
            return asyncio.run(_run(options, Path(folder)))
    except (PreviewError, parts.PartMissingError, OSError) as error:
        print(f"preview: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 128 + signal.SIGINT


async def _run(options: argparse.Namespace, folder: Path) -> int:
    this = asyncio.current_task()
    assert this is not None
    # What it started ends with it, however it is ended.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    found = {
        key: board
        for key, board in boards.read(options.boards).items()
        if key[0] in options.languages
        and (not options.only or key[1].removeprefix("jauge-") in options.only)
    }
    if not found:
        raise PreviewError(f"--boards {options.boards}: no dashboard is there")
    if options.store:
        return await _show(options, found, options.store.rstrip("/"), None)
    began = time.monotonic()
    async with site.running(folder, tell=_tell) as store:
        _tell(f"waiting until the parts have run for {options.minutes:g} min")
        await asyncio.sleep(max(0.0, options.minutes * 60 - (time.monotonic() - began)))
        span = f"now-{max(1, round((time.monotonic() - began) / 60))}m"
        return await _show(options, found, store, span)


async def _show(
    options: argparse.Namespace,
    found: dict[tuple[str, str], boards.Board],
    store: str,
    span: str | None,
) -> int:
    async with serving(found, store, port=options.port) as base:
        if options.serve:
            print(f"the dashboards are at {base}/ (Ctrl-C stops it)", flush=True)
            await asyncio.Event().wait()
        return await _draw(options, found, base, span)


async def _draw(
    options: argparse.Namespace,
    found: dict[tuple[str, str], boards.Board],
    base: str,
    span: str | None,
) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    bad = 0
    async with chromium() as browser:
        for (language, uid), board in found.items():
            for theme in options.themes:
                drawn = await picture(
                    browser,
                    base,
                    uid,
                    language=language,
                    theme=theme,
                    now_ms=time.time_ns() // 1_000_000,
                    span=span if uid in SINCE_START else "now-24h" if uid in DAY else None,
                )
                name = f"{uid.removeprefix('jauge-')}-{language}-{theme}.png"
                (options.out / name).write_bytes(await asyncio.to_thread(in_few_colours, drawn.png))
                bad += _report(name, board, drawn)
    _tell(f"{bad} panels with an error, or empty without a word")
    return 1 if bad else 0


def _report(name: str, board: boards.Board, drawn: Picture) -> int:
    """Say how it came out; returns the panels that failed, or are empty and do not say why."""
    said = {
        panel["id"]: panel["fieldConfig"]["defaults"].get("noValue", "")
        for panel in boards.panels(board)
    }
    _tell(f"{name}: {len(drawn.panels)} panels of {len(said)}")
    bad = max(0, len(said) - len(drawn.panels))
    for panel in drawn.panels:
        if panel.state == "data":
            continue
        empty = panel.state == "empty"
        told = f"no data, it says: {said[panel.panel]}" if empty else panel.message
        bad += not (empty and said[panel.panel])
        _tell(f"  {panel.title} ({panel.type}): {told}")
    for line in drawn.said:
        _tell(f"  the page said: {line}")
    return bad


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.preview",
        description="Draws every dashboard with Grafana's own panel components, in Chromium, on "
        "live data of the demo site.",
        epilog="example: python -m tests.preview --only site power --out /tmp/pictures",
    )
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures")
    parser.add_argument(
        "--boards", type=Path, default=boards.GENERATED, help="folder of the generated files"
    )
    parser.add_argument(
        "--themes", nargs="+", choices=THEMES, default=THEMES, help="both if absent"
    )
    parser.add_argument(
        "--languages", nargs="+", choices=boards.LANGUAGES, default=boards.LANGUAGES
    )
    parser.add_argument(
        "--store", help="a Prometheus API to ask instead, e.g. http://127.0.0.1:8428"
    )
    parser.add_argument("--only", nargs="+", help="these dashboards, e.g. site power")
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="how long the parts run before the pictures"
    )
    parser.add_argument("--serve", action="store_true", help="no pictures: serve until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of the page; a free one")
    return parser
