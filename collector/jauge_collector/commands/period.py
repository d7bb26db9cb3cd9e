"""Which site and which time a command is asked of: the options that several commands share."""

import argparse

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil, config
from jauge_collector.sites import Site, load_all


def add_period(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add ``--site``, ``--from`` and ``--to``, for `named_site` and `asked_span`.

    Where the period is not ``required``, who needs it asks for it by `asked_span`.
    """
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument(
        "--from",
        dest="begin",
        required=required,
        metavar="DATE",
        help="first day, or a time; without a time its midnight on the site's clock",
    )
    parser.add_argument(
        "--to",
        dest="end",
        required=required,
        metavar="DATE",
        help="day or time of the end, excluded",
    )


def named_site(settings: config.CollectorConfig, name: str) -> Site:
    """A site of the configuration by name. Raises ConfigurationError."""
    sites = load_all([settings.beside(path) for path in settings.sites])
    if name not in sites:
        raise ConfigurationError(
            str(settings.source), "sites", f"no site {name!r}", f"known are {', '.join(sites)}"
        )
    return sites[name]


def only_or_named_site(settings: config.CollectorConfig, name: str | None) -> Site:
    """A site by name; where none is named, the only one. Raises ConfigurationError."""
    if name is not None:
        return named_site(settings, name)
    sites = load_all([settings.beside(path) for path in settings.sites])
    if len(sites) != 1:
        fix = f"name one of {', '.join(sites)}" if sites else "name its file under sites"
        raise ConfigurationError("--site", "", f"there are {len(sites)} sites", fix)
    return next(iter(sites.values()))


def asked_span(args: argparse.Namespace, site: Site) -> tuple[int, int]:
    """What ``--from`` and ``--to`` mean on the site's clock. Raises ConfigurationError."""
    for option, given in (("--from", args.begin), ("--to", args.end)):
        if given is None:
            raise ConfigurationError(option, "", "missing", f"write {option} 2026-01-01")
    start_ms = _moment("--from", args.begin, site)
    end_ms = _moment("--to", args.end, site)
    if end_ms <= start_ms:
        raise ConfigurationError(
            "--to", "", f"{args.end} is not after --from {args.begin}", "--to is excluded"
        )
    return start_ms, end_ms


def _moment(option: str, text: str, site: Site) -> int:
    try:
        return civil.moment_ms(text, site.zone)
    except ValueError as error:
        raise ConfigurationError(option, "", str(error)) from None
