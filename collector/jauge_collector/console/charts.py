"""Charts as inline SVG: lines with area, and bars. What is not measured is drawn as not measured.

A chart has no pixel size of its own: horizontal places are percentages and the curves stand in a
nested, stretched viewport, so that text keeps its size from a phone to a wide screen and on paper.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, fsum, log10
from typing import Final, Literal

from markupsafe import Markup, escape

from jauge_collector.console.text import Language, multiple

HEIGHT: Final = 200
_TOP: Final = 18
_BASE: Final = 176
_SPAN: Final = _BASE - _TOP


@dataclass(frozen=True, slots=True)
class Slot:
    """One piece of time. ``value`` is None where it is not measured: a gap, never a zero.

    ``assumed``: the total is measured, how it spreads over time is not.
    """

    start_ms: int
    end_ms: int
    value: float | None
    assumed: bool = False


Style = Literal["total", "it", "water", "own", "idle", "dynamic", "gpu"]
"""Looks of the style sheet; the last four are parts of one whole, in the order they are stacked."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One row of slots in time order. ``style`` names its look in the style sheet."""

    name: str
    style: Style
    slots: Sequence[Slot]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis; minor labels are left out on narrow screens."""

    time_ms: int
    label: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table that says the same as the chart: span, name and a cell per column."""

    start_ms: int
    end_ms: int
    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything about one chart. ``unit`` is the base unit of its values.

    Curves of a ``stack`` are parts of one whole: none is negative, and none is missing alone.
    """

    id: str
    title: str
    description: str
    kind: Literal["line", "bar", "stack"]
    unit: str
    start_ms: int
    end_ms: int
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    headline: str = ""
    gap_text: str = ""
    """What a gap means, where it is not simply « not measured »."""

    @property
    def measured(self) -> bool:
        """Whether there is anything to draw."""
        return any(slot.value is not None for curve in self.curves for slot in curve.slots)

    @property
    def has_gaps(self) -> bool:
        """Whether some time is not measured."""
        return any(slot.value is None for curve in self.curves for slot in curve.slots)

    @property
    def has_assumed(self) -> bool:
        """Whether some time is measured in total only."""
        return any(slot.assumed for curve in self.curves for slot in curve.slots)


def draw(chart: Chart, language: Language) -> Markup:
    """The chart as one ``<svg>`` with its title and description."""
    values = [slot.value for c in chart.curves for slot in c.slots if slot.value is not None]
    if chart.kind == "stack":
        values = _wholes(chart.curves)
    scale = _Scale(chart, min([0.0, *values]), max(values, default=0.0))
    pieces = [
        f'<svg class="chart" role="img" width="100%" height="{HEIGHT}"',
        f' aria-labelledby="{chart.id}-t {chart.id}-d" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{chart.id}-t">{escape(chart.title)}</title>',
        f'<desc id="{chart.id}-d">{escape(chart.description)}</desc>',
        f'<defs><pattern id="{chart.id}-h" width="6" height="6" patternUnits="userSpaceOnUse"',
        ' patternTransform="rotate(45)"><path class="ground" d="M0 0H6V6H0Z"/>',
        '<path class="hatch" d="M3 0V6"/></pattern></defs>',
    ]
    pieces += _gaps(chart, scale)
    pieces += _grid(scale)
    pieces.append(
        f'<svg class="plot" x="0" y="{_TOP}" width="100%" height="{_SPAN}" '
        'viewBox="0 0 1000 1000" preserveAspectRatio="none">'
    )
    if chart.kind == "stack":
        pieces += _stacked(chart.curves, scale)
    else:
        for curve in chart.curves:
            pieces += _bars(curve, scale) if chart.kind == "bar" else _line(curve, scale)
    pieces.append("</svg>")
    pieces += _axis(scale, language)
    pieces += _time_axis(chart, scale)
    pieces += _hints(chart, scale, language)
    pieces.append("</svg>")
    return Markup("".join(pieces))  # noqa: S704 - every text in it went through escape()


class _Scale:
    """Places on the chart, and the multiple of the unit that its labels use."""

    def __init__(self, chart: Chart, lowest: float, highest: float) -> None:
        self.start_ms, self.end_ms = chart.start_ms, chart.end_ms
        self.factor, self.unit = multiple(max(abs(highest), abs(lowest)), chart.unit)
        self.marks = nice_marks(lowest * self.factor, highest * self.factor)
        self._low = self.marks[0] / self.factor
        self._high = self.marks[-1] / self.factor

    def percent(self, time_ms: int) -> str:
        share = (time_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return f"{100 * min(1.0, max(0.0, share)):.2f}%"

    def x(self, time_ms: float) -> float:
        return 1000 * (time_ms - self.start_ms) / (self.end_ms - self.start_ms)

    def y(self, value: float) -> float:
        return 1000 * (1 - (value - self._low) / (self._high - self._low))

    def pixels(self, value: float) -> float:
        return _TOP + _SPAN * self.y(value / self.factor) / 1000


def nice_marks(lowest: float, highest: float, about: int = 3) -> list[float]:
    """Round axis marks from at or below ``lowest`` (at most 0) to at or above ``highest``."""
    low, high = min(lowest, 0.0), max(highest, 0.0)
    if high <= low:
        high = low + 1.0
    rough = (high - low) / about
    size = 10.0 ** floor(log10(rough))
    step = next(size * s for s in (1, 2, 2.5, 5, 10) if size * s >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def _decimals(step: float) -> int:
    for places in range(6):
        if abs(round(step, places) - step) < step * 1e-6:
            return places
    return 6


def _gaps(chart: Chart, scale: _Scale) -> Iterable[str]:
    """Hatched bands wherever any curve is not measured, neighbours as one band."""
    missing = sorted(
        {
            (slot.start_ms, slot.end_ms)
            for curve in chart.curves
            for slot in curve.slots
            if slot.value is None
        }
    )
    bands: list[tuple[int, int]] = []
    for start, end in missing:
        if bands and start <= bands[-1][1]:
            bands[-1] = (bands[-1][0], max(end, bands[-1][1]))
        else:
            bands.append((start, end))
    width = scale.end_ms - scale.start_ms
    for start, end in bands:
        yield (
            f'<rect class="gap" x="{scale.percent(start)}" y="{_TOP}" '
            f'width="{100 * (end - start) / width:.2f}%" height="{_SPAN}" '
            f'fill="url(#{chart.id}-h)"/>'
        )


def _grid(scale: _Scale) -> Iterable[str]:
    for mark in scale.marks:
        kind = "zero" if mark == 0 else "grid"
        y = scale.pixels(mark)
        yield f'<line class="{kind}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'


def _axis(scale: _Scale, language: Language) -> Iterable[str]:
    """Labels above their grid lines, so that the plot needs no margin."""
    step = scale.marks[1] - scale.marks[0]
    places = _decimals(step)
    last = scale.marks[-1]
    for mark in scale.marks:
        if mark == 0:
            continue
        text = language.number(mark, places)
        if mark == last:
            text = f"{text}\u00a0{scale.unit}"
        yield f'<text class="y" x="0" y="{scale.pixels(mark) - 4:.1f}">{escape(text)}</text>'


def _time_axis(chart: Chart, scale: _Scale) -> Iterable[str]:
    for tick in chart.ticks:
        share = (tick.time_ms - chart.start_ms) / (chart.end_ms - chart.start_ms)
        anchor = "start" if share < 0.02 else "end" if share > 0.98 else "middle"
        minor = " minor" if tick.minor else ""
        at = scale.percent(tick.time_ms)
        yield f'<line class="tick" x1="{at}" x2="{at}" y1="{_BASE}" y2="{_BASE + 4}"/>'
        yield (
            f'<text class="x{minor}" x="{at}" y="{_BASE + 18}" text-anchor="{anchor}">'
            f"{escape(tick.label)}</text>"
        )


def _hints(chart: Chart, scale: _Scale, language: Language) -> Iterable[str]:
    """Invisible columns that name their figures under a pointer: the table's lines again."""
    colon = language("colon")
    for row in chart.rows:
        a, b = max(row.start_ms, chart.start_ms), min(row.end_ms, chart.end_ms)
        cells = " · ".join(
            f"{column} {cell}" for column, cell in zip(chart.columns, row.cells, strict=True)
        )
        share = 100 * (b - a) / (chart.end_ms - chart.start_ms)
        yield (
            f'<rect class="hint" x="{scale.percent(a)}" y="{_TOP}" width="{share:.2f}%" '
            f'height="{_SPAN}"><title>{escape(row.name + colon + cells)}</title></rect>'
        )


def _line(curve: Curve, scale: _Scale) -> Iterable[str]:
    """A run of measured slots is one path; a gap ends it."""
    for (missing, assumed), run in groupby(
        curve.slots, key=lambda slot: (slot.value is None, slot.assumed)
    ):
        if missing:
            continue
        slots = list(run)
        points = [(scale.x(slots[0].start_ms), scale.y(slots[0].value or 0.0))]
        points += [(scale.x((s.start_ms + s.end_ms) / 2), scale.y(s.value or 0.0)) for s in slots]
        points.append((scale.x(slots[-1].end_ms), scale.y(slots[-1].value or 0.0)))
        path = "L".join(f"{x:.1f} {y:.0f}" for x, y in points)
        base = scale.y(0.0)
        if not assumed:
            yield (
                f'<path class="fill {curve.style}" '
                f'd="M{points[0][0]:.1f} {base:.0f}L{path}V{base:.0f}Z"/>'
            )
        kind = "assumed" if assumed else "stroke"
        yield f'<path class="{kind} {curve.style}" d="M{path}"/>'


def _bars(curve: Curve, scale: _Scale) -> Iterable[str]:
    """A measured zero is a stroke on the base line; what is not measured has no bar at all."""
    solid: list[str] = []
    assumed: list[str] = []
    base = scale.y(0.0)
    for slot in curve.slots:
        if slot.value is None:
            continue
        left, right = scale.x(slot.start_ms), scale.x(slot.end_ms)
        margin = (right - left) * 0.12
        top = min(scale.y(slot.value), base - 6) if slot.value >= 0 else scale.y(slot.value)
        (assumed if slot.assumed else solid).append(
            f"M{left + margin:.1f} {base:.0f}V{top:.0f}H{right - margin:.1f}V{base:.0f}Z"
        )
    if solid:
        yield f'<path class="bar {curve.style}" d="{"".join(solid)}"/>'
    if assumed:
        yield f'<path class="bar assumed {curve.style}" d="{"".join(assumed)}"/>'


def _wholes(curves: Sequence[Curve]) -> list[float]:
    """What each slot's parts add up to, where they are measured."""
    return [
        fsum(slot.value or 0.0 for slot in slots)
        for slots in zip(*(curve.slots for curve in curves), strict=True)
        if all(slot.value is not None for slot in slots)
    ]


def _stacked(curves: Sequence[Curve], scale: _Scale) -> Iterable[str]:
    """Bars of parts, each on those before it; a part of nothing draws nothing."""
    pieces: dict[Style, list[str]] = {curve.style: [] for curve in curves}
    for slots in zip(*(curve.slots for curve in curves), strict=True):
        under = 0.0
        for curve, slot in zip(curves, slots, strict=True):
            if not slot.value:
                continue
            left, right = scale.x(slot.start_ms), scale.x(slot.end_ms)
            margin = (right - left) * 0.12
            low, high = scale.y(under), scale.y(under + slot.value)
            pieces[curve.style].append(
                f"M{left + margin:.1f} {low:.0f}V{high:.0f}H{right - margin:.1f}V{low:.0f}Z"
            )
            under += slot.value
    for style, drawn in pieces.items():
        if drawn:
            yield f'<path class="bar {style}" d="{"".join(drawn)}"/>'
