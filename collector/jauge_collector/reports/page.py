"""The quarterly report as PDF and as one HTML file: the same blocks, set by two templates.

The PDF is tagged PDF/UA-1 and PDF/A-2a at once, set by typst with the fonts it carries. The data
goes in as JSON and is never made into typst code, so that no text of a register can be markup. The
same report gives the same bytes.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec
import typst
from markupsafe import Markup

from jauge_collector.reports.composition import compose, created_ms
from jauge_collector.reports.content import Report
from jauge_collector.reports.object_streams import packed
from jauge_collector.templates import environment

STANDARDS: Final = ("a-2a", "ua-1")
"""What typst 0.15 sets together: PDF/UA-1 goes with PDF/A-1 to A-3, never with PDF/A-4."""


def pdf(report: Report, language: str) -> bytes:
    """The report as PDF. ``language`` is one of ``console.text.CODES``."""
    return typeset("report.typ", compose(report, language), created_ms(report))


def html(report: Report, language: str) -> str:
    """The report as one self-contained HTML file without script.

    Its list of servers links to the tables that `write` puts beside it.
    """
    document = compose(report, language)
    return (
        environment("jauge_collector.reports")
        .get_template("report.html.j2")
        .render(d=document, svg=Markup)
    )


def typeset(template: str, data: object, time_ms: int) -> bytes:
    """A template of this package set with data as tagged PDF, dated with a moment."""
    made = typst.compile(
        files("jauge_collector.reports").joinpath("templates", template).read_bytes(),
        format="pdf",
        sys_inputs={"data": msgspec.json.encode(data, order="deterministic").decode()},
        font_paths=_fonts(),
        pdf_standards=[*STANDARDS],
        timestamp=time_ms // 1000,
    )
    return packed(bytes(made))


def pictures(template: str, data: object, *, ppi: float = 80) -> list[bytes]:
    """The pages of the same as PNG, to be looked at."""
    made: Any = typst.compile(
        files("jauge_collector.reports").joinpath("templates", template).read_bytes(),
        format="png",
        ppi=ppi,
        sys_inputs={"data": msgspec.json.encode(data, order="deterministic").decode()},
        font_paths=_fonts(),
    )
    return [made] if isinstance(made, bytes) else list(made)


@cache
def _fonts() -> typst.Fonts:
    """The fonts that the wheel carries, so that a page is the same on every machine."""
    return typst.Fonts(include_system_fonts=False)
