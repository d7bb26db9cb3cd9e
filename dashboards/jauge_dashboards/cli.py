"""The command line ``jauge-dashboards``: build, check, push."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from jauge_models.configuration import ConfigurationError

from jauge_dashboards import __version__, building, provisioning
from jauge_dashboards.alerts import build as alerts
from jauge_dashboards.alerts import checks
from jauge_dashboards.alerts.settings import Settings, at_console, load
from jauge_dashboards.board import CONSOLE
from jauge_dashboards.push import Grafana, PushError
from jauge_dashboards.words import LANGUAGES, words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all went well, 1 when it failed, 2 for what was asked wrongly."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigurationError as error:
        return _complain(str(error), 2)
    except (OSError, PushError) as error:
        return _complain(str(error), 1)


def _build(options: argparse.Namespace) -> int:
    settings = load(options.thresholds) if options.thresholds else Settings()
    if options.console is not None:
        settings = at_console(settings, options.console)
    console = settings.routing.console_url
    out: Path = options.out
    for language in [options.lang] if options.lang else LANGUAGES:
        texts = {
            **building.files(language, console=console, store=options.store, folder=options.folder),
            **{
                f"alerts/{path}": text
                for path, text in alerts.alert_files(settings, language).items()
            },
        }
        place = out if options.lang else out / language
        print(f"{place}: {len(building.write(place, texts))} files")
    return 0


def _check(options: argparse.Namespace) -> int:
    schemas: Path | None = options.schemas
    if schemas is not None and not (schemas / "dashboard.jsonschema.json").is_file():
        raise ConfigurationError(
            "--schemas", "", f"{schemas} holds no dashboard.jsonschema.json", "name Grafana's"
        )
    wrong = [*building.problems(schemas), *checks.problems(Settings())]
    old = [f"generated/{path}" for path in building.stale()] + list(checks.stale())
    wrong += [f"{path} is not as generated; run: make generate" for path in old]
    for one in wrong:
        print(f"jauge-dashboards: {one}", file=sys.stderr)
    if not wrong:
        print("dashboards, queries, rules and runbooks: fine")
    return 1 if wrong else 0


def _push(options: argparse.Namespace) -> int:
    language = options.lang
    drawn = building.dashboards(language, console=options.console or CONSOLE)
    with Grafana(options.url, options.token_file) as grafana:
        for done in grafana.push(words(language)("folder", "title"), drawn):
            print(f"{done.outcome}: {done.title}")
    return 0


def _complain(text: str, status: int) -> int:
    print(f"jauge-dashboards: {' '.join(text.split())}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="jauge-dashboards",
        description="Grafana dashboards, alert rules, runbooks and provisioning, out of the "
        "catalogue of what Jauge measures and publishes.",
        epilog="example: jauge-dashboards build --out /srv/jauge --lang fr",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser(
        "build",
        help="write every file into a folder",
        description="Write dashboards, provisioning, alert rules, Alertmanager's configuration "
        "and runbooks.",
        epilog="example: jauge-dashboards build --out /srv/jauge --lang fr --thresholds site.toml",
    )
    build.add_argument("--out", type=Path, required=True, help="folder; made if it is not there")
    build.add_argument(
        "--lang", choices=LANGUAGES, help="one language; without it both, each in its folder"
    )
    build.add_argument("--thresholds", type=Path, help="TOML file of the site's alert thresholds")
    _console(build)
    build.add_argument(
        "--store", default=provisioning.STORE, help="the store's address for Grafana (%(default)s)"
    )
    build.add_argument(
        "--folder",
        default=provisioning.DASHBOARDS,
        help="where Grafana's host keeps the dashboards (%(default)s)",
    )
    build.set_defaults(run=_build)

    check = commands.add_parser(
        "check",
        help="whether everything may be used",
        description="Check names, units, queries, layout, rules and runbooks, and that the "
        "committed files are as generated. Status 1 names what is wrong.",
        epilog="example: jauge-dashboards check --schemas grafana_jsonschema/jsonschema",
    )
    check.add_argument("--schemas", type=Path, help="folder of Grafana's JSON schemas")
    check.set_defaults(run=_check)

    push = commands.add_parser(
        "push",
        help="put the dashboards into a running Grafana",
        description="Make or change the folder and its dashboards; what is as it should be is "
        "left alone.",
        epilog="example: jauge-dashboards push --url https://grafana.example.org "
        "--token-file /etc/jauge/grafana.token --lang fr",
    )
    push.add_argument("--url", required=True, help="Grafana's address")
    push.add_argument(
        "--token-file", type=Path, required=True, help="file with a service account's token"
    )
    push.add_argument("--lang", choices=LANGUAGES, default="fr", help="language (%(default)s)")
    _console(push)
    push.set_defaults(run=_push)
    return parser


def _console(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--console",
        help="the console's address for people's browsers, where links and runbooks lead "
        f"({CONSOLE}; for build, where --thresholds has no routing.console_url)",
    )


if __name__ == "__main__":
    sys.exit(main())
