"""What a closed quarter was judged by and readings alone tell, kept for when the store forgot it.

One file for each edition, ``<site>/<quarter>-r<revision>.hours.ndjson.gz``: gzip of JSON lines. The
first names site, quarter, the twelve months and the longest gap; the second has the nominal
intervals of series (S10) and the use of servers' processors (V9); then each sensor follows as a
line with its name and quantity and lines of ``[hour since the epoch, measured ms, mean]`` in time
order, and so do GPUs (`capacity.closed_past`); the last line says how many hours there were. The
chain's ``archive`` link holds its SHA-256. Equal evidence gives equal bytes.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from gzip import GzipFile
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from jauge_models.compliance.evidence import Use
from jauge_models.configuration import ConfigurationError
from jauge_models.resources import Series

from jauge_collector.compliance.intake import Hour, Hours
from jauge_collector.compliance.kept_once import digest
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger import chain

SUFFIX: Final = ".hours.ndjson.gz"
FORM: Final = 1

_HOURS_A_LINE: Final = 1000

Sensor = tuple[str, str]
"""``agent/resource`` and the quantity."""


class Facts(NamedTuple):
    """Of a quarter: nominal intervals in s by series, processor use by the server's id."""

    intervals: Mapping[Series, int]
    uses: Mapping[str, Use]


class Edition(NamedTuple):
    """A file of evidence as the chain names it: over [from_ms, to_ms), with its longest gap."""

    path: Path
    sha256: str
    from_ms: int
    to_ms: int
    gap_ms: int


def file_of(folder: Path, site_name: str, quarter: str, revision: int) -> Path:
    """Where the evidence of a revision is."""
    return folder / site_name / f"{quarter}-r{revision}{SUFFIX}"


def files_of(folder: Path, site_name: str, quarter: str) -> list[Path]:
    """The evidence of a quarter's editions, the first one first."""
    found = (folder / site_name).glob(f"{quarter}-r*{SUFFIX}")
    return sorted(found, key=lambda file: (len(file.name), file.name))


# --- written


def write(
    raw: IO[bytes], head: Mapping[str, Any], facts: Facts, hours: Mapping[Sensor, Hours]
) -> int:
    """Write a file; returns how many hours it has. Raises OSError."""
    count = 0
    with GzipFile("", "wb", 6, raw, mtime=0) as out:
        json_line(out, {"evidence": FORM, **head})
        json_line(
            out,
            {
                "intervals": [
                    [*one[1:], seconds] for one, seconds in sorted(facts.intervals.items())
                ],
                "uses": [[name, use.cpu, use.days] for name, use in sorted(facts.uses.items())],
            },
        )
        for sensor, own in sorted(hours.items()):
            json_line(out, {"sensor": sensor})
            kept = [(at, own[at].covered_ms, own[at].mean) for at in sorted(own)]
            for first in range(0, len(kept), _HOURS_A_LINE):
                json_line(out, kept[first : first + _HOURS_A_LINE])
            count += len(kept)
        json_line(out, {"hours": count})
    return count


def json_line(out: GzipFile, said: object) -> None:
    """Write one line of JSON. Raises OSError, and ValueError for what is no finite number."""
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    out.write(text.encode() + b"\n")


# --- read back


def editions(sources: Sources, start_ms: int, end_ms: int) -> list[Edition]:
    """What is kept of a span, in the order in which it counts.

    First the editions of the quarter whose twelve months end with it, then those of others; of
    these and those the newest first. Each content once. Raises LedgerError.
    """
    kept: dict[str, dict[str, Edition]] = {}
    site = sources.site.name
    for link in sources.ledger.links(site, chain.ARCHIVE):
        revision, told = link.content.get("revision"), link.content.get("hours")
        if not isinstance(revision, int):  # they went by their time
            kept.pop(link.subject, None)
        elif isinstance(told, Mapping):
            path = file_of(sources.archive_folder, site, link.subject, revision)
            names = ("from_ms", "to_ms", "gap_ms")
            edition = Edition(path, str(told["sha256"]), *(int(told[name]) for name in names))
            of_quarter = kept.setdefault(link.subject, {})
            of_quarter.pop(edition.sha256, None)
            of_quarter[edition.sha256] = edition
            kept[link.subject] = kept.pop(link.subject)  # the last to be closed comes last
    found = [edition for some in kept.values() for edition in some.values()][::-1]
    found = [one for one in found if one.from_ms < end_ms and start_ms < one.to_ms]
    return sorted(found, key=lambda one: one.to_ms != end_ms)


def facts(sources: Sources, start_ms: int, end_ms: int) -> Iterator[Facts]:
    """What closings of the quarter [start, end) kept of it, the newest first.

    Raises LedgerError, and ConfigurationError where a file is not what was archived.
    """
    for edition in editions(sources, start_ms, end_ms):
        if edition.to_ms != end_ms:
            return
        lines = _read(sources, edition)
        next(lines)
        told = json.loads(next(lines))
        yield Facts(
            {
                Series(sources.site.name, *names): int(seconds)
                for *names, seconds in told["intervals"]
            },
            {name: Use(cpu, days) for name, cpu, days in told["uses"]},
        )


def hours(
    sources: Sources, edition: Edition, quantity: str
) -> Iterator[tuple[str, list[tuple[int, Hour]]]]:
    """Hours of each sensor of a quantity, some at a time.

    Raises ConfigurationError where the file is not what was archived.
    """
    sensor: str | None = None
    for line in _read(sources, edition):
        if line.startswith("["):
            if sensor is not None:
                yield sensor, [(at, Hour(covered, mean)) for at, covered, mean in json.loads(line)]
            continue
        name, of = json.loads(line).get("sensor", ("", ""))
        sensor = name if name and of == quantity else None


def _read(sources: Sources, edition: Edition) -> Iterator[str]:
    """The lines of a file that is what the chain says. Raises ConfigurationError."""
    file = edition.path
    try:
        if edition not in sources.vouched:
            if digest(file) != edition.sha256:
                raise _unusable(file, "is not what was archived")
            sources.vouched.add(edition)
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from lines
    except OSError as error:
        raise _unusable(file, f"cannot be read: {(error.strerror or 'error').lower()}") from None


def _unusable(file: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(str(file), "", problem, "restore it from a backup")
