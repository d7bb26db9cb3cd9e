"""Prints docs/commands.md, every command with its options: ``python -m jauge_demo.document``.

It stands here because only the demo may know all programs.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Final

from jauge_agent import cli as agent
from jauge_collector import cli as collector

from jauge_demo import cli as demo

_HEAD: Final = """# Commands

Generated from the programs' own `--help`; do not edit. Exit status: 0 when all went well, 1 for a
failure at run time, 2 for bad input or configuration, with one line on standard error. Every
command has `--help`; `jauge-agent`, `jauge-collector` and
`jauge-dashboards` have `--version`.
"""


def page() -> str:
    """The text of ``docs/commands.md``."""
    from jauge_dashboards import cli as dashboards  # noqa: PLC0415 - the demo itself needs none of it

    programs = (agent, collector, dashboards, demo)
    parsers = [program._parser() for program in programs]  # noqa: SLF001 - argparse shows it nowhere else
    return "\n".join([_HEAD, *(line for parser in parsers for line in _program(parser))])


def _program(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog}\n"
    yield f"{parser.description}\n"
    if not _commands(parser):
        yield from _options(parser)
    for command in _leaves(parser):
        yield f"### {command.prog}\n"
        yield f"{command.description}\n"
        yield from _options(command)
        if command.epilog:
            examples = command.epilog.removeprefix("example: ")
            yield "```sh"
            yield examples.replace(f"\n  {parser.prog}", f"\n{parser.prog}")
            yield "```\n"


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for command in _commands(parser):
        if _commands(command):
            yield from _leaves(command)
        else:
            yield command


def _commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse tells of its options in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse shows it nowhere else
            return list(action.choices.values())
    return []


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "| option | |"
    yield "| --- | --- |"
    for action in parser._actions:  # noqa: SLF001 - argparse shows it nowhere else
        if isinstance(action, argparse._HelpAction | argparse._VersionAction):  # noqa: SLF001 - argparse shows it nowhere else
            continue
        told = (action.help or "") % vars(action)
        needed = "; required" if action.required and action.option_strings else ""
        yield f"| `{_written(action)}` | {told}{needed} |"
    yield ""


def _written(action: argparse.Action) -> str:
    """An option with the word that stands for its value."""
    value = action.metavar
    if value is None and action.choices is not None:
        value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
    if not action.option_strings:
        return str(value or action.dest)
    name = action.option_strings[-1]
    return name if action.nargs == 0 else f"{name} {value or action.dest.upper()}"


if __name__ == "__main__":
    sys.stdout.write(page())
