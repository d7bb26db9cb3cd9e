"""``python -m benchmarks.power_models --data FOLDER``: how far the power model is off.

Every figure is of servers that the fit has not seen. ``--write`` puts the coefficients, with the
errors found, into ``models/jauge_models/published_power.py``.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import jauge_models
from jauge_models.power_coefficients import LOADS, Coefficients, Knots

from benchmarks.power_fit import Instance, Server, fitted, instances, rounded, servers
from benchmarks.power_held_back import (
    PARTS,
    Group,
    Miss,
    Model,
    anyone,
    declared,
    declared_alone,
    family,
    processor,
    rule_and_table,
    undeclared,
    unseen,
    with_errors,
)

_TABLE: Final = "specpower_11_load_points.csv"
_CLOUD: Final = "teads-aws-instances.csv"


def main() -> int:
    """Print the tables of docs/measurement.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power_models", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=f"holds {_TABLE} and {_CLOUD}")
    parser.add_argument("--write", action="store_true", help="write the coefficients")
    arguments = parser.parse_args()
    known = servers(arguments.data / _TABLE)
    cloud = instances(arguments.data / _CLOUD)
    found = rounded(with_errors(known, cloud))
    for table in (
        _shape_table(known),
        _load_table(known),
        _later_table(known),
        _size_table(known, found),
        _cloud_table(cloud, found),
    ):
        sys.stdout.write("\n".join((*table, "", "")))
        sys.stdout.flush()
    if arguments.write:
        _write(found, len(known))
    return 0


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row("---", *["---:"] * (len(names) - 1))


def _shape_table(known: Sequence[Server]) -> Iterator[str]:
    """Idle and full watts known: the model beside the straight line."""
    yield f"{len(known)} servers, idle and full watts known; mean absolute error, 10 to 90 % load:"
    yield ""
    yield from _head(
        "not seen by the fit",
        "straight line",
        "model",
        "better by",
        "line, of full power",
        "model, of full power",
        "line, median",
        "model, median",
    )
    for name, group, model, parts in (
        ("a half drawn by lot", anyone, declared, 2),
        ("a tenth drawn by lot", anyone, declared, PARTS),
        ("its model of processor", processor, declared, PARTS),
        ("its whole family of processors", family, declared, PARTS),
        ("its model of processor, which is not told either", processor, declared_alone, PARTS),
    ):
        (misses,) = unseen(known, group, [model], parts)
        line = [_inner(m.line_off) for m in misses]
        ours = [_inner(m.off) for m in misses]
        full = [m.server.full for m in misses]
        yield _row(
            name,
            f"{_mean(line):.2f} W",
            f"{_mean(ours):.2f} W",
            f"{1 - _mean(ours) / _mean(line):.0%}",
            f"{_mean(line, full):.1%}",
            f"{_mean(ours, full):.1%}",
            f"{_median(line):.2f} W",
            f"{_median(ours):.2f} W",
        )


def _load_table(known: Sequence[Server]) -> Iterator[str]:
    """The same at each load, for processors that the fit has not seen."""
    (misses,) = unseen(known, processor, [declared])
    yield "The same at each load, the model of processor not seen:"
    yield ""
    yield from _head(
        "load", "straight line", "model", "better by", "model, of full power", "model, median"
    )
    full = [m.server.full for m in misses]
    for k, load in enumerate(LOADS[1:-1], start=1):
        line, ours = [[m.line_off[k]] for m in misses], [[m.off[k]] for m in misses]
        yield _row(
            f"{load:.0%}",
            f"{_mean(line):.2f} W",
            f"{_mean(ours):.2f} W",
            f"{1 - _mean(ours) / _mean(line):.0%}",
            f"{_mean(ours, full):.1%}",
            f"{_median(ours):.2f} W",
        )


def _later_table(known: Sequence[Server]) -> Iterator[str]:
    """What a fit says of servers that came out after all of its own."""
    yield "The same for servers that came out later than all those of the fit:"
    yield ""
    yield from _head("published from", "servers", "straight line", "model", "better by")
    for year in (2015, 2017, 2019, 2021):
        fit = fitted([server for server in known if server.year < year])
        misses = [Miss(s, declared(s, fit), fit) for s in known if s.year >= year]
        line = _mean([_inner(m.line_off) for m in misses])
        ours = _mean([_inner(m.off) for m in misses])
        yield _row(
            str(year),
            str(len(misses)),
            f"{line:.2f} W",
            f"{ours:.2f} W",
            f"{1 - ours / line:.0%}",
        )


def _size_table(known: Sequence[Server], found: Coefficients) -> Iterator[str]:
    """Idle and full watts unknown, and how often the error stated holds."""
    yield "Eleven loads, and how often the standard error stated was kept:"
    yield ""
    yield from _head(
        "known of the server", "mean", "median", "median, of its power", "within", "within twice"
    )
    cases: tuple[tuple[str, Group, Model], ...] = (
        ("idle and full power, processor", processor, declared),
        ("processor, how many, memory", processor, undeclared("fpm")),
        ("processor, how many", processor, undeclared("fp")),
        ("processor", processor, undeclared("f")),
        ("how many processors, memory", family, undeclared("pm")),
        ("how many processors", family, undeclared("p")),
        ("nothing", family, undeclared("")),
    )
    for name, group, model in cases:
        (misses,) = unseen(known, group, [model])
        off = [m.off for m in misses]
        share = [abs(o) / w for m in misses for o, w in zip(m.off, m.server.watts, strict=True)]
        near = [
            abs(o) / e
            for m in misses
            for o, e in zip(m.off, model(m.server, _stating(m.without, found)).errors, strict=True)
        ]
        yield _row(
            name,
            f"{_mean(off):.1f} W",
            f"{_median(off):.1f} W",
            f"{statistics.median(share):.0%}",
            f"{statistics.fmean(n <= 1 for n in near):.0%}",
            f"{statistics.fmean(n <= 2 for n in near):.0%}",
        )
    yield ""
    yield (
        f"Results of one model and configuration lie {found.declared.idle:.1%} (idle) and "
        f"{found.declared.full:.1%} (full) apart."
    )


def _stating(fit: Coefficients, found: Coefficients) -> Coefficients:
    """A fit with the errors that were found."""
    return replace(fit, shape_errors=found.shape_errors, size_errors=found.size_errors)


def _cloud_table(cloud: Sequence[Instance], found: Coefficients) -> Iterator[str]:
    """What the rule for instances gives away against Teads' own watts of each."""
    pairs = list(rule_and_table(cloud, found, knowing=True))
    known, unknown = found.instances.errors
    yield (
        f"{len(cloud)} instances, the rule against Teads' own figure of each: median "
        f"{statistics.median(abs(a - b) / b for a, b in pairs):.1%}, mean "
        f"{statistics.fmean(abs(a - b) / b for a, b in pairs):.1%} off."
    )
    yield (
        f"Relative standard error: {known:.0%} (against the model of servers, whole platforms), "
        f"{unknown:.0%} where the processor is not known."
    )


def _inner(values: Knots) -> Knots:
    """Without idle and full, which both are told."""
    return values[1:-1]


def _mean(rows: Sequence[Sequence[float]], per: Sequence[float] | None = None) -> float:
    scales = per or [1.0] * len(rows)
    return statistics.fmean(
        abs(value) / scale for row, scale in zip(rows, scales, strict=True) for value in row
    )


def _median(rows: Sequence[Sequence[float]]) -> float:
    return statistics.median(abs(value) for row in rows for value in row)


def _write(found: Coefficients, count: int) -> None:
    file = Path(jauge_models.__file__).with_name("published_power.py")
    file.write_text(
        f'''"""Coefficients of the power models; written by ``python -m benchmarks.power_models``.

Fitted to published results of SPECpower_ssj2008 (spec.org; used by its fair use rule): the watts
of {count} servers at eleven loads, and to the watts of cloud instances by Teads. No result stands
here, only what was fitted to all; docs/measurement.md says how.
"""

from typing import Final

from jauge_models.power_coefficients import (
    Coefficients,
    Errors,
    Family,
    Instances,
    Shape,
    Size,
)

PUBLISHED: Final = {found!r}
''',
        encoding="utf-8",
    )
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(file)], check=True)


if __name__ == "__main__":
    sys.exit(main())
