"""Charts of the report as SVG: fixed size in points, readable in grey and by the colour-blind.

A picture is never the only place of a figure: each comes with a text, and its values stand in a
table. What is not measured is hatched, never a zero. Colours differ in lightness, and every
series also in form.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 482
"""Points: the width of the text on A4."""
SIZE: Final = 9
DARK: Final = "#0b3c5d"
LIGHT: Final = "#e8a33d"
WATER: Final = "#2f7ea8"
_TEXT: Final = "#1b1f24"
_QUIET: Final = "#4d555e"
_GRID: Final = "#c9ced4"
_LEFT: Final = 40
_RIGHT: Final = WIDTH - 8
_TOP: Final = 26
_BASE: Final = 150
_HEIGHT: Final = 172


Number = Callable[[float, int], str]
"""How a language writes a number with so many decimals."""


_PATTERNS: Final = (
    '<defs><pattern id="lines" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="#b3400f"/>'
    '<path d="M0 5L5 0" stroke="#fff" stroke-width="1.2"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="#fff"/>'
    f'<circle cx="2.5" cy="2.5" r="0.9" fill="{_TEXT}"/></pattern></defs>'
)


class Bars(NamedTuple):
    """A series of bars; None is not measured."""

    name: str
    colour: str
    values: tuple[float | None, ...]


class Mark(NamedTuple):
    """A point of the trajectory: a share, 0 to 1, on a day."""

    day: date
    share: float


class Part(NamedTuple):
    """A part of a whole, with the text that names it."""

    name: str
    amount: float
    style: str
    """Key of `PARTS`."""


PARTS: Final = {
    "demonstrated": ("#0b3c5d", ""),
    "declared": ("#6fa8d0", ""),
    "with_not_applicable": ("#ffffff", "dots"),
    "not_demonstrated": ("#d5d8dc", ""),
    "not_compliant": ("#b3400f", "lines"),
}
"""Fill and pattern of each result."""


def monthly(
    labels: Sequence[str], series: Sequence[Bars], *, unit: str, gap: str, number: Number
) -> str:
    """Bars side by side, a group a month."""
    values = [value for each in series for value in each.values if value is not None]
    marks = _scale(0.0, max(values, default=1.0))
    span = (_RIGHT - _LEFT) / max(1, len(labels))
    pieces = [*_axis(marks, unit, number), *_months(labels, span)]
    thickness = span * 0.76 / max(1, len(series))
    hatched = False
    for at in range(len(labels)):
        left = _LEFT + at * span
        if any(each.values[at] is None for each in series):
            hatched = True
            pieces.append(_gap(left, span))
        for place, each in enumerate(series):
            value = each.values[at]
            if value is None:
                continue
            top = _y(value, marks)
            x = left + span * 0.12 + place * thickness
            pieces.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{thickness:.1f}" '
                f'height="{max(0.6, _BASE - top):.1f}" fill="{each.colour}" stroke="{_TEXT}" '
                'stroke-width="0.5"/>'
            )
    keys = [
        (each.name, f'fill="{each.colour}" stroke="{_TEXT}" stroke-width="0.5"') for each in series
    ]
    pieces += _legend(keys, gap if hatched else "")
    return _svg(pieces, _HEIGHT)


def dots(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    floor_at: float,
    objective: float,
    objective_name: str,
    gap: str,
    number: Number,
) -> str:
    """A dot a month with its value, and a dashed line for an objective."""
    known = [value for value in values if value is not None]
    marks = _scale(floor_at, max([objective * 1.05, *known]))
    span = (_RIGHT - _LEFT) / max(1, len(labels))
    pieces = [*_axis(marks, "", number), *_months(labels, span)]
    before: tuple[float, float] | None = None
    for at, value in enumerate(values):
        x = _LEFT + (at + 0.5) * span
        if value is None:
            pieces.append(_gap(_LEFT + at * span, span))
            before = None
            continue
        here = (x, _y(value, marks))
        if before is not None:
            pieces.append(
                f'<path d="M{before[0]:.1f} {before[1]:.1f}L{here[0]:.1f} {here[1]:.1f}" '
                f'stroke="{DARK}" stroke-width="1.2"/>'
            )
        before = here
    y = _y(objective, marks)
    dashed = f'stroke="{_QUIET}" stroke-width="1" stroke-dasharray="5 3"'
    pieces.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" {dashed}/>')
    for at, value in enumerate(values):
        if value is not None:
            x, y = _LEFT + (at + 0.5) * span, _y(value, marks)
            pieces.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.8" fill="{DARK}"/>')
            pieces.append(_text(x, y - 6, number(value, 2), anchor="middle"))
    pieces.append(f'<path d="M{_LEFT} 9h16" {dashed}/>')
    pieces.append(_text(_LEFT + 20, 12, objective_name))
    if any(value is None for value in values):
        pieces += _legend([], gap, _LEFT + 40 + len(objective_name) * SIZE * 0.55)
    return _svg(pieces, _HEIGHT)


class Way(NamedTuple):
    """The trajectory: what was, what is planned, what is aimed at, and until when."""

    actual: Sequence[Mark]
    planned: Sequence[Mark]
    milestones: Sequence[Mark]
    line: Sequence[Mark]
    deadlines: Sequence[tuple[date, str]]
    names: tuple[str, str, str, str]
    """Of the four series above."""


def trajectory(way: Way, *, percent: Callable[[float], str], day: Callable[[date], str]) -> str:
    """Shares over time with both dates of the goal."""
    days = [
        mark.day for each in (way.actual, way.planned, way.milestones, way.line) for mark in each
    ]
    days += [when for when, _ in way.deadlines]
    first, last = min(days), max(days)
    length = max(1, (last - first).days)
    left, right = _LEFT + 8, _RIGHT - 12

    def x(when: date) -> float:
        return left + (right - left) * (when - first).days / length

    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    pieces: list[str] = []
    for share in marks:
        y = _y(share, marks)
        pieces.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="{_GRID}" stroke-width="0.6"/>')
        pieces.append(_text(_LEFT - 4, y + 3, percent(share), anchor="end", colour=_QUIET))
    for when, name in way.deadlines:
        at = x(when)
        share = (at - left) / (right - left)
        anchor = "start" if share < 0.2 else "end" if share > 0.8 else "middle"
        pieces.append(
            f'<path d="M{at:.1f} {_TOP - 2}V{_BASE + 18}" stroke="{_TEXT}" stroke-width="1" '
            'stroke-dasharray="2 2"/>'
        )
        pieces.append(_text(at, _BASE + 28, name, anchor=anchor))
    pieces += _path(
        way.line, x, marks, f'stroke="{_QUIET}" stroke-width="1" stroke-dasharray="6 3"'
    )
    pieces += _path(
        [*way.actual[-1:], *way.planned],
        x,
        marks,
        f'stroke="{WATER}" stroke-width="1.2" stroke-dasharray="3 2"',
    )
    pieces += _path(way.actual, x, marks, f'stroke="{DARK}" stroke-width="1.8"')
    for mark in way.milestones:
        pieces.append(_triangle(x(mark.day), _y(mark.share, marks)))
    for mark in way.planned:
        pieces.append(_diamond(x(mark.day), _y(mark.share, marks)))
    for mark in way.actual:
        pieces.append(_dot(x(mark.day), _y(mark.share, marks)))
    pieces.append(_text(left, _BASE + 14, day(first), colour=_QUIET))
    pieces += _way_legend(way)
    return _svg(pieces, _HEIGHT + 12)


def results(parts: Sequence[Part]) -> str:
    """A whole as one bar of parts, each named below with its amount."""
    total = sum(part.amount for part in parts)
    pieces = [_PATTERNS]
    x = 1.0
    for part in parts:
        if part.amount <= 0 or total <= 0:
            continue
        width = (WIDTH - 2) * part.amount / total
        pieces.append(
            f'<rect x="{x:.1f}" y="2" width="{width:.1f}" height="20" {_fill(part.style)}/>'
        )
        x += width
    column, y = 0, 36
    for part in parts:
        left = 1 + column * (WIDTH / 3)
        pieces.append(
            f'<rect x="{left:.1f}" y="{y - 8}" width="9" height="9" {_fill(part.style)}/>'
        )
        pieces.append(_text(left + 13, y, part.name))
        column += 1
        if column == 3:
            column, y = 0, y + 15
    return _svg(pieces, y + 4 if column else y - 11)


def _svg(pieces: Iterable[str], height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
        f'width="{WIDTH}" height="{height:g}" font-family="Libertinus Serif, serif" '
        f'font-size="{SIZE}" fill="none">{"".join(pieces)}</svg>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _TEXT) -> str:
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{place}>{escape(text)}</text>'


def _scale(low: float, high: float) -> tuple[float, ...]:
    """Four or five round marks from ``low`` on, the last at or above ``high``."""
    span = max(high - low, 1e-9)
    power = 10.0 ** floor(log10(span / 4))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each * 4 >= span * 0.999)
    return tuple(low + step * at for at in range(ceil(span / step - 1e-6) + 1))


def _y(value: float, marks: Sequence[float]) -> float:
    share = (value - marks[0]) / (marks[-1] - marks[0])
    return _BASE - min(max(share, 0.0), 1.0) * (_BASE - _TOP)


def _decimals(step: float) -> int:
    return next((n for n in range(4) if abs(round(step, n) - step) < step * 1e-6), 4)


def _axis(marks: Sequence[float], unit: str, number: Number) -> Iterable[str]:
    decimals = _decimals(marks[1] - marks[0])
    for mark in marks:
        y = _y(mark, marks)
        colour = _TEXT if mark == marks[0] else _GRID
        yield f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="{colour}" stroke-width="0.6"/>'
        yield _text(_LEFT - 4, y + 3, number(mark, decimals), anchor="end", colour=_QUIET)
    if unit:
        yield _text(_LEFT - 4, _TOP - 12, unit, anchor="end", colour=_QUIET)


def _months(labels: Sequence[str], span: float) -> Iterable[str]:
    for at, label in enumerate(labels):
        yield _text(_LEFT + (at + 0.5) * span, _BASE + 13, label, anchor="middle", colour=_QUIET)


def _gap(left: float, span: float) -> str:
    """A hatched column: drawn line by line, for every reader of SVG knows lines."""
    lines = []
    y = _TOP + 0.0
    while y < _BASE:
        rise = min(span * 0.8, _BASE - y)
        lines.append(f"M{left + span * 0.1:.1f} {y + rise:.1f}l{rise:.1f} {-rise:.1f}")
        y += 9
    return (
        f'<rect x="{left + span * 0.1:.1f}" y="{_TOP}" width="{span * 0.8:.1f}" '
        f'height="{_BASE - _TOP}" fill="#f1f2f4"/>'
        f'<path d="{"".join(lines)}" stroke="#9aa1a9" stroke-width="0.6"/>'
    )


def _legend(keys: Sequence[tuple[str, str]], gap: str, x: float = _LEFT + 10.0) -> Iterable[str]:
    for name, look in keys:
        yield f'<rect x="{x:.1f}" y="4" width="9" height="9" {look}/>'
        yield _text(x + 13, 12, name)
        x += 30 + len(name) * SIZE * 0.55
    if gap:
        yield (
            f'<rect x="{x:.1f}" y="4" width="9" height="9" fill="#f1f2f4" stroke="#9aa1a9"/>'
            f'<path d="M{x:.1f} 13l9 -9" stroke="#9aa1a9"/>'
        )
        yield _text(x + 13, 12, gap)


def _fill(style: str) -> str:
    colour, pattern = PARTS[style]
    fill = f"url(#{pattern})" if pattern else colour
    return f'fill="{fill}" stroke="{_TEXT}" stroke-width="0.6"'


def _path(
    line: Sequence[Mark], x: Callable[[date], float], marks: Sequence[float], look: str
) -> list[str]:
    if len(line) < 2:
        return []
    points = "L".join(f"{x(mark.day):.1f} {_y(mark.share, marks):.1f}" for mark in line)
    return [f'<path d="M{points}" {look}/>']


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{DARK}"/>'


def _diamond(x: float, y: float) -> str:
    return (
        f'<path d="M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4Z" fill="#fff" stroke="{WATER}" '
        'stroke-width="1.2"/>'
    )


def _triangle(x: float, y: float) -> str:
    return f'<path d="M{x:.1f} {y - 4:.1f}l4 7h-8Z" fill="{LIGHT}" stroke="{_TEXT}"/>'


def _way_legend(way: Way) -> Iterable[str]:
    x = float(_LEFT)
    drawn = (
        (way.actual, way.names[0], _dot),
        (way.planned, way.names[1], _diamond),
        (way.milestones, way.names[2], _triangle),
        (way.line, way.names[3], None),
    )
    for marks, name, form in drawn:
        if not marks:
            continue
        if form is None:
            yield (
                f'<path d="M{x - 4:.1f} 9h14" stroke="{_QUIET}" stroke-dasharray="6 3" '
                'stroke-width="1"/>'
            )
        else:
            yield form(x + 4, 9)
        yield _text(x + 13, 12, name)
        x += 26 + len(name) * SIZE * 0.55
