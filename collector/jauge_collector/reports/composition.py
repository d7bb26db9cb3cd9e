"""A report in one language, as blocks in the order of STANDARDS 8.3: both formats show this."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec

from jauge_collector.reports.content import Report
from jauge_collector.reports.document import Document, Paragraph, Section, Table
from jauge_collector.reports.prose import Prose, prose, utc_parts
from jauge_collector.reports.sections.capacity import capacity
from jauge_collector.reports.sections.criteria import (
    criteria,
    definitions,
    nonconformities,
    servers,
)
from jauge_collector.reports.sections.opening import opening, quarter, result, scope
from jauge_collector.reports.sections.operation import figures
from jauge_collector.reports.sections.provenance import calendar, history, signatures, versions
from jauge_collector.reports.sections.temperature import temperature
from jauge_collector.reports.sections.way import way

REGIONS: Final = {"fr": "FR", "en": "GB"}


def compose(report: Report, language: str) -> Document:
    """The whole report. ``language`` is one of ``console.text.CODES``."""
    p = prose(language)
    marked = marks(report, p)
    name = quarter(report.record.quarter, p)
    title = p("title", quarter=name, site=report.record.title)
    sections = (
        scope(report, p),
        result(report, p),
        way(report, p),
        figures(report, p),
        temperature(report, p),
        criteria(report, p),
        nonconformities(report, p),
        history(report, p),
        versions(report, p),
        calendar(report, p),
        signatures(report, p),
        servers(report, p),
        definitions(p),
        *capacity(report, p),
    )
    return Document(
        language=language,
        region=REGIONS[language],
        title=p("title_marked", marks=" – ".join(marked), title=title) if marked else title,
        heading=p("heading"),
        subheading=p(
            "subheading", title=report.record.title, site=report.record.site, quarter=name
        ),
        running=p("running_head", title=report.record.title, quarter=name),
        marks=marked,
        created=utc_parts(created_ms(report)),
        opening=opening(report, p),
        sections=tuple(_filled(section, p) for section in sections),
        words={key: p(key) for key in ("page", "page_of", "contents", "skip", "all_rows")}
        | {"description": p("description")},
    )


def _filled(section: Section, p: Prose) -> Section:
    """A table without a row says nothing to whoever hears it: a sentence stands for it."""
    return msgspec.structs.replace(
        section,
        blocks=tuple(
            Paragraph(text=p("nothing_in", caption=block.caption))
            if isinstance(block, Table) and not block.rows
            else block
            for block in section.blocks
        ),
        parts=tuple(_filled(part, p) for part in section.parts),
    )


def marks(report: Report, p: Prose) -> tuple[str, ...]:
    """What must stand on every page."""
    found = []
    if report.provisional:
        found.append(p("mark_provisional"))
    if report.record.simulated:
        found.append(p("mark_simulated"))
    return tuple(found)


def created_ms(report: Report) -> int:
    """The moment that a file is dated by: of its report, never of its writing."""
    if report.gathered_ms:
        return report.gathered_ms
    end = datetime.combine(report.record.as_of + timedelta(days=1), time(), UTC)
    return round(end.timestamp() * 1000)
