"""The fullest week as SVG: GPUs asked for, placed, and how many there are.

Readable in grey: asked for is a line, placed an area, what there is a dashed line. The picture
has a title and a text for who does not see it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta, tzinfo
from html import escape
from typing import Final

from jauge_models.capacity.answer import Answer

from jauge_collector import civil
from jauge_collector.capacity.words import Words

_Scale = Callable[[float], float]

WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BASE = 48, 708, 34, 204
_LABEL_STEPS: Final = 12
"""Hours of a week that a day's name takes."""
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#1b1f24}.g{stroke:#c9ced4}"
    ".p{fill:#6fa8d0;stroke:none}.a{fill:none;stroke:#0b3c5d;stroke-width:1.8}"
    ".t{stroke:#b3400f;stroke-width:1.5;stroke-dasharray:6 4}"
)


def text(found: Answer, w: Words, zone: tzinfo) -> str:
    """What the picture shows, in a sentence."""
    week = found.base.peak
    return w(
        "picture_text",
        start=w.plain.moment(week.start_ms, zone),
        asked=w.plain.plain(max(week.asked, default=0.0), 3),
        placed=w.plain.plain(max(week.placed, default=0.0), 3),
        gpus=w.plain.number(found.base.gpus),
    )


def svg(found: Answer, w: Words, zone: tzinfo) -> str:
    """The picture, to stand in a page or in a file of its own."""
    week = found.base.peak
    top = max(found.base.gpus, *week.asked, 1.0) * 1.08
    steps = max(len(week.asked), 1)

    def across(at: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * at / steps

    def up(value: float) -> float:
        return _BASE - (_BASE - _TOP) * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' role="img" aria-labelledby="capacity-t capacity-d">',
        f'<title id="capacity-t">{escape(w("picture"))}</title>',
        f'<desc id="capacity-d">{escape(text(found, w, zone))}</desc>',
        f"<style>{_STYLE}</style>",
    ]
    for part in (0.0, 0.5, 1.0):
        value = found.base.gpus * part
        parts.append(
            f'<line class="g" x1="{_LEFT}" x2="{_RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"'
            f'/><text x="{_LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">'
            f"{escape(w.plain.plain(value, 3))}</text>"
        )
    first = civil.day(week.start_ms, zone)
    for number in range(steps // 24 + 2):
        day = first + timedelta(days=number)
        at = (civil.midnight_ms(day, zone) - week.start_ms) / (week.step_s * 1000)
        if 0 <= at < steps:
            name = escape(w.plain.day(day).rpartition(" ")[0])
            x = f"{across(at):.1f}"
            parts.append(f'<line class="g" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_BASE}"/>')
            if at <= steps - _LABEL_STEPS:
                parts.append(f'<text x="{x}" y="{_BASE + 16}">{name}</text>')
    placed = _steps(week.placed, across, up)
    floor = up(0)
    parts.append(f'<path class="p" d="M{_LEFT} {floor:.1f}{placed}L{_RIGHT} {floor:.1f}Z"/>')
    parts.append(f'<path class="a" d="M{_steps(week.asked, across, up)[1:]}"/>')
    there = up(found.base.gpus)
    parts.append(f'<line class="t" x1="{_LEFT}" x2="{_RIGHT}" y1="{there:.1f}" y2="{there:.1f}"/>')
    parts.append(_legend(w))
    parts.append("</svg>")
    return "".join(parts)


def _steps(values: Sequence[float], across: _Scale, up: _Scale) -> str:
    """A stair through the values, as path commands that begin with L."""
    return "".join(
        f"L{across(at):.1f} {up(value):.1f}L{across(at + 1):.1f} {up(value):.1f}"
        for at, value in enumerate(values)
    )


def _legend(w: Words) -> str:
    marks = (
        ('<rect class="p" x="{x}" y="10" width="18" height="10"/>', "gpus_placed"),
        ('<line class="a" x1="{x}" x2="{end}" y1="15" y2="15"/>', "gpus_asked"),
        ('<line class="t" x1="{x}" x2="{end}" y1="15" y2="15"/>', "gpus_there"),
    )
    return "".join(
        mark.format(x=_LEFT + 150 * at, end=_LEFT + 150 * at + 18)
        + f'<text x="{_LEFT + 150 * at + 24}" y="19">{escape(w(key))}</text>'
        for at, (mark, key) in enumerate(marks)
    )
