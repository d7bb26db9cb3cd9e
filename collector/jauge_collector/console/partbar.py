"""One bar of a host's watts: its own part, then each guest's, in parts of three looks, as SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final

from markupsafe import Markup, escape

from jauge_collector.console.charts import Style
from jauge_collector.console.text import Language

HEIGHT: Final = 64
_TOP: Final = 6
_BASE: Final = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """What one of them draws, W by look; ``name`` is told under a pointer."""

    name: str
    parts: tuple[tuple[Style, float], ...]

    @property
    def whole(self) -> float:
        """W: the sum."""
        return fsum(value for _, value in self.parts)


@dataclass(frozen=True, slots=True)
class Bar:
    """Pieces from left to right, with what says the same in words."""

    id: str
    title: str
    description: str
    pieces: Sequence[Piece]


def draw(bar: Bar, language: Language) -> Markup:
    """The bar as one ``<svg>``; empty where nothing is drawn."""
    whole = fsum(piece.whole for piece in bar.pieces)
    if whole <= 0:
        return Markup("")
    text = [
        f'<svg class="chart" role="img" width="100%" height="{HEIGHT}"',
        f' aria-labelledby="{bar.id}-t {bar.id}-d" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{bar.id}-t">{escape(bar.title)}</title>',
        f'<desc id="{bar.id}-d">{escape(bar.description)}</desc>',
        *_pieces(bar, whole, language),
        f'<text x="0" y="{_BASE + 18}">0</text>',
        f'<text x="100%" y="{_BASE + 18}" text-anchor="end">',
        f"{escape(language.quantity(whole, 'W'))}</text></svg>",
    ]
    return Markup("".join(text))  # noqa: S704 - every text in it went through escape()


def _pieces(bar: Bar, whole: float, language: Language) -> Iterable[str]:
    """A line parts each from the next: it is told from its neighbour by more than a colour."""
    at = 0.0
    height = _BASE - _TOP
    for number, piece in enumerate(bar.pieces):
        told = f"{piece.name}{language('colon')}{language.quantity(piece.whole, 'W')}"
        yield f"<g><title>{escape(told)}</title>"
        begin = at
        for style, value in piece.parts:
            if value > 0:
                yield (
                    f'<rect class="bar {style}" x="{at:.2f}%" y="{_TOP}" '
                    f'width="{100 * value / whole:.2f}%" height="{height}"/>'
                )
                at += 100 * value / whole
        if number:
            yield (
                f'<line class="cut" x1="{begin:.2f}%" x2="{begin:.2f}%" '
                f'y1="{_TOP - 2}" y2="{_BASE + 2}"/>'
            )
        yield "</g>"
