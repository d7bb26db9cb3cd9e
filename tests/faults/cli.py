"""The command line ``python -m tests.faults``: a line for each fault, a table, a JSON file."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.matrix import Fault, Result, faults, run
from tests.faults.program import ROOT

_COLUMNS: Final = (
    "taken",
    "stored",
    "refused",
    "dropped",
    "spooled",
    "twice",
    "lost",
    "catch_up_s",
)
_BEGIN: Final = "<!-- faults: written by make faults -->"
_END: Final = "<!-- /faults -->"
_GREEN, _RED, _YELLOW, _PLAIN = "\033[32m", "\033[31m", "\033[33m", "\033[0m"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows asked for; 1 when one breaks what is expected of it, 2 when none is named so."""
    options = _parser().parse_args(arguments)
    rows = faults(short=options.short, only=options.only or ())
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    if not rows:
        print(f"no fault is named like {' or '.join(options.only)}", file=sys.stderr)
        return 2
    try:
        results = asyncio.run(_run(rows, options.jobs))
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(results)}")
    _write(options.json, results)
    if options.document:
        _document(options.document, results)
    broken = sum(bool(result.breaches) for result in results)
    skipped = sum(bool(result.skipped) for result in results)
    print(f"\n{len(results)} faults, {broken} broken, {skipped} not run; {options.json}")
    return 1 if broken else 0


async def _run(rows: Sequence[Fault], jobs: int) -> list[Result]:
    began = time.monotonic()
    ended = 0

    def told(result: Result) -> None:
        nonlocal ended
        ended += 1
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        print(f"{minutes:3}:{seconds:02} {ended:3}/{len(rows)} {progress(result)}", flush=True)

    return await run(rows, jobs=jobs, told=told)


def progress(result: Result) -> str:
    """One line on a row that has ended."""
    name = f"{result.fault.name} ({result.seconds:.0f} s)"
    if result.skipped:
        return f"{_coloured('not run', _YELLOW)} {name}: {result.skipped}"
    if result.breaches:
        first = "; ".join(result.breaches).splitlines()[0]
        return f"{_coloured('BROKEN', _RED)}  {name}: {first}"
    account = result.account
    assert account is not None
    taken = f"{account.taken} taken, {account.lost} lost, {account.twice} twice{_notes(result)}"
    return f"{_coloured('held', _GREEN)}    {name}: {taken}"


def table(results: Sequence[Result]) -> str:
    """All rows as Markdown; durations in seconds."""
    heads = [column.replace("_s", ", s").replace("_", " ") for column in _COLUMNS]
    lines = [["fault", *heads, "verdict"]]
    for result in results:
        row = result.as_json()
        verdict = "not run" if result.skipped else "BROKEN" if result.breaches else "held"
        cells = ["–" if row.get(column) is None else str(row[column]) for column in _COLUMNS]
        lines.append([result.fault.name, *cells, verdict + _notes(result)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def shown(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if at in (0, len(widths) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    rule = [
        "-" * width if at in (0, len(widths) - 1) else f"{'-' * (width - 1)}:"
        for at, width in enumerate(widths)
    ]
    return "\n".join([shown(lines[0]), shown(rule), *map(shown, lines[1:])])


def _notes(result: Result) -> str:
    notes = result.account.notes if result.account else {}
    return "".join(f", {key.replace('_', ' ')} {note}" for key, note in notes.items())


def _write(file: Path, results: Sequence[Result]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [result.as_json() for result in results]
    file.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _document(file: Path, results: Sequence[Result]) -> None:
    before, begin, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{file}: has no {_BEGIN} and {_END}")
    text = f"{before}{begin}\n\n{table(results)}\n\n{end}{after}"
    file.write_text(text, encoding="utf-8")


def _coloured(text: str, colour: str) -> str:
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    return text if plain else f"{colour}{text}{_PLAIN}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Real processes, killed, cut off and misled; every reading accounted for.",
        epilog="example: make faults ARGS='--only kill --jobs 2'",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="PATTERN",
        help="faults with this in their name, * and ? allowed (may be repeated)",
    )
    parser.add_argument("--jobs", type=_jobs, default=4, metavar="N", help="at a time (4)")
    parser.add_argument("--short", action="store_true", help="the hardest alone, as in make test")
    parser.add_argument("--list", action="store_true", help="name the faults and run none")
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / "build" / "faults.json",
        metavar="FILE",
        help="where the rows go (build/faults.json)",
    )
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="put the table into a document, in the place that it has for it",
    )
    return parser


def _jobs(text: str) -> int:
    jobs = int(text)
    if not 1 <= jobs <= 64:
        raise argparse.ArgumentTypeError("between 1 and 64")
    return jobs
