"""The command line ``jauge-agent``.

Exit status: 0 when all went well, 1 for a failure at run time, 2 for bad input or configuration.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn, TextIO

import msgspec
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import encode_dated, seal

from jauge_agent import __version__, config, logs

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2

_OURS_ALONE: Final = 0o077
"""What others may not do with the files we make: the spool."""

_BOLD_OF: Final = {"present": "32", "absent": "33", "disabled": "33", "failing": "31"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    if sys.stdout is None:  # whoever started us has closed it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
    except ConfigurationError as error:
        print(f"jauge-agent: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # of which whoever read knows
            print(f"jauge-agent: {error}", file=sys.stderr)
        _give_up_output()
        return FAILED
    return status


def _give_up_output() -> None:
    """Point stdout away where it takes nothing more, or its last flush complains again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sources(options: argparse.Namespace) -> int:
    from jauge_agent.survey import survey  # noqa: PLC0415 - only this command

    sections = config.read(options.config).sources if options.config else {}
    sources = config.configured_sources(sections, file=str(options.config))
    logs.configure("warning", "logfmt")
    findings = asyncio.run(survey(sources, read=False))
    if options.json:
        print(msgspec.json.encode({"sources": findings}).decode())
        return OK
    rows = [("SOURCE", "STANDING", "EVERY", "WHAT")]
    for finding in findings:
        quantities = sorted({name for each in finding.resources for name in each.quantities})
        number = len(finding.resources)
        what = f"{number} resource{'' if number == 1 else 's'}: {', '.join(quantities)}"
        if finding.detail:
            what = f"{what}; {finding.detail}"
        rows.append(
            (
                finding.source,
                finding.standing,
                f"{finding.period_s:g} s",
                what if finding.standing == "present" else finding.detail,
            )
        )
    _print_table(rows)
    return OK


def _once(options: argparse.Namespace) -> int:
    from jauge_agent.agent import new_boot  # noqa: PLC0415 - only this command
    from jauge_agent.clock import now_ms  # noqa: PLC0415 - only this command
    from jauge_agent.survey import survey  # noqa: PLC0415 - only this command

    agent, sources = _configuration(options)
    logs.configure(agent.log.level, agent.log.format)
    findings = asyncio.run(survey(sources, read=True))
    for finding in findings:
        if finding.standing == "failing":
            print(f"jauge-agent: {finding.source}: {finding.detail}", file=sys.stderr)
        if finding.left_out:
            print(
                f"jauge-agent: {finding.source}: {finding.left_out} values left out",
                file=sys.stderr,
            )
    moment = now_ms()
    samples = {
        name: (finding.times_ms.get(name, moment), sample)
        for finding in reversed(findings)
        for sample in reversed(finding.samples)
        for name in (f"{sample.resource}/{sample.quantity}",)
    }
    if not samples:
        print("jauge-agent: no source gave a reading", file=sys.stderr)
        return FAILED
    pack = seal(
        encode_dated(
            [((time_ms - moment) / 1000, one) for time_ms, one in reversed(samples.values())]
        ),
        address=agent.address,
        boot=new_boot(),
        seq=1,
        oldest_ms=moment,
        time_ms=moment,
    )
    print((pack if options.json else msgspec.json.format(pack, indent=1)).decode())
    return FAILED if any(finding.standing == "failing" for finding in findings) else OK


def _probe(options: argparse.Namespace) -> int:
    from jauge_agent.probe import pasted, probe  # noqa: PLC0415 - only this command
    from jauge_agent.source import SourceError  # noqa: PLC0415 - only this command

    logs.configure("warning", "logfmt")
    try:
        source, found = probe(options.address, options.key)
    except SourceError as error:
        print(f"jauge-agent: {options.address}: {error}", file=sys.stderr)
        return FAILED
    if options.json:
        print(msgspec.json.encode({"source": source, **asdict(found)}).decode())
    else:
        print(pasted(source, found))
    return OK


def _run(options: argparse.Namespace) -> int:
    from jauge_agent import agent as running  # noqa: PLC0415 - MQTT and SQLite
    from jauge_agent.spool_file import SpoolError  # noqa: PLC0415 - SQLite

    agent, sources = _configuration(options, idle=False)
    config.check_spool(agent, file=str(options.config))
    logs.configure(agent.log.level, "json" if options.json else agent.log.format)
    before = os.umask(_OURS_ALONE)
    try:
        asyncio.run(running.run(agent, sources, file=str(options.config)))
    except SpoolError as error:
        print(f"jauge-agent: {error}", file=sys.stderr)
        return FAILED
    finally:
        os.umask(before)
    return OK


def _check(options: argparse.Namespace) -> int:
    from jauge_agent.exposure import exposures  # noqa: PLC0415 - only this command and run

    agent, sources = _configuration(options)
    config.check_spool(agent, file=str(options.config))
    config.check_validity(agent, file=str(options.config))
    config.check_files(agent, file=str(options.config))
    warnings = [
        f"{options.config}: {each.key}: {each.where}: {each.detail}" for each in exposures(agent)
    ]
    for warning in warnings:
        print(f"jauge-agent: warning: {warning}", file=sys.stderr)
    enabled = [source.name for source in sources if source.settings.enabled]
    if options.json:
        address = agent.address
        about = {
            "ok": True,
            "site": address.site,
            "agent": address.agent,
            "sources": enabled,
            "warnings": warnings,
        }
        print(msgspec.json.encode(about).decode())
    else:
        print(f"{options.config}: fine ({agent.address.base_name[:-1]}; {', '.join(enabled)})")
    return OK


def _configuration(
    options: argparse.Namespace, *, idle: bool = True
) -> tuple[config.AgentConfig, list[config.ConfiguredSource]]:
    path: Path = options.config
    agent = config.read(path)
    return agent, config.configured_sources(agent.sources, file=str(path), idle=idle)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; for those of the commands too."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jauge-agent",
        description="Reads this machine's sensors and publishes them, losing nothing.",
        epilog="example: jauge-agent once --config agent.toml",
    )
    parser.add_argument("--version", action="version", version=f"jauge-agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, needs_config, summary, more in (
        ("sources", _sources, False, "what this host offers, and why the rest is absent", "--json"),
        ("once", _once, True, "one reading of every source, as SenML on stdout", ""),
        ("run", _run, True, "measure and publish until stopped", ""),
        ("check", _check, True, "exit 0 or the first error with its path", ""),
    ):
        one = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}.",
            epilog=f"example: jauge-agent {name} {more or '--config agent.toml'}",
        )
        one.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            default=config.DEFAULT_PATH if needs_config else None,
            help=f"configuration file ({config.DEFAULT_PATH if needs_config else 'defaults'})",
        )
        one.add_argument("--json", action="store_true", help=_JSON_HELP.get(name, "JSON on stdout"))
        one.set_defaults(command=command)
    _add_probe(commands)
    return parser


def _add_probe(commands: "argparse._SubParsersAction[_Parser]") -> None:
    summary = "recognise a device, read-only, and print the configuration to paste"
    one = commands.add_parser(
        "probe",
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog="example: jauge-agent probe snmp://pdu-a1 community_file=/etc/jauge-agent/community",
    )
    one.add_argument(
        "address",
        metavar="ADDRESS",
        help="snmp, redfish or ipmi://HOST[:PORT], modbus://HOST[:PORT]/UNIT",
    )
    one.add_argument(
        "key", metavar="KEY=VALUE", nargs="*", help="further keys of the device, as in the file"
    )
    one.add_argument("--json", action="store_true", help="JSON on stdout")
    one.set_defaults(command=_probe)


_JSON_HELP: Final = {
    "run": "logs as JSON, whatever the configuration says",
    "once": "the pack on one line",
}


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    coloured = _wants_colour(sys.stdout)
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        if coloured and (colour := _BOLD_OF.get(row[1])):
            cells[1] = f"\033[{colour}m{cells[1]}\033[0m"
        print("  ".join([*cells, row[-1]]))


def _wants_colour(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal, unless NO_COLOR says otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


if __name__ == "__main__":
    sys.exit(main())
