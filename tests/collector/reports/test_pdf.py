"""The report as PDF: what PDF/UA-1 asks of a file, and that every text arrives as it was typed."""

import re
from itertools import pairwise

import msgspec
import pikepdf
import pytest
import typst
from jauge_collector.console.text import CODES
from jauge_collector.reports import page
from jauge_collector.reports.composition import compose
from jauge_collector.reports.content import Report, decode, encode

from tests.collector.reports import pdf_reading as reading
from tests.collector.reports.example import MARKUP, empty, example

LARGEST = 300_000
LONG = "un-nom-de-serveur-vraiment-beaucoup-trop-long-pour-une-colonne.exemple.invalid"
REPORTS = {
    "approved": example(),
    "provisional": example(approved=False, withheld=True, restated=True, simulated=True),
    "markup": example(text=MARKUP),
    "long": example(name=LONG),
    "empty": empty(),
    "large": example(servers=1000),
}


@pytest.fixture(scope="module", params=[*REPORTS])
def report(request: pytest.FixtureRequest) -> Report:
    """Each kind of report."""
    return REPORTS[request.param]


@pytest.fixture(scope="module", params=CODES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language."""
    return str(request.param)


@pytest.fixture(scope="module")
def data(report: Report, language: str) -> bytes:
    """The file."""
    return page.pdf(report, language)


@pytest.fixture(scope="module")
def pdf(data: bytes) -> pikepdf.Pdf:
    """The file, opened."""
    return reading.opened(data)


def test_is_a_sound_file_of_a_reasonable_size(data: bytes, pdf: pikepdf.Pdf) -> None:
    """Nothing is wrong with its syntax, and a mailbox takes it."""
    assert pdf.check_pdf_syntax() == []
    assert len(data) < LARGEST


def test_says_what_it_is(pdf: pikepdf.Pdf, report: Report, language: str) -> None:
    """Title, language and standards, as PDF/UA-1 7.1 and 7.2 ask."""
    assert pdf.Root.MarkInfo.Marked
    assert str(pdf.Root.Lang) == {"fr": "fr-FR", "en": "en-GB"}[language]
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    with pdf.open_metadata() as metadata:
        assert metadata["pdfuaid:part"] == "1"
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "A")
        assert metadata["dc:title"] == compose(report, language).title
    assert report.record.title in str(pdf.docinfo.Title)


def test_every_picture_has_a_text(pdf: pikepdf.Pdf, report: Report) -> None:
    """PDF/UA-1 7.3."""
    figures = [tag for tag in reading.tags(pdf) if tag.S == "/Figure"]
    assert bool(figures) == bool(report.record.headline.total)
    for figure in figures:
        assert len(str(figure.Alt)) > 40


def test_every_table_has_heads_that_say_what_they_are_of(pdf: pikepdf.Pdf) -> None:
    """PDF/UA-1 7.5: each cell leads to its head, and the caption is the table's."""
    tables = [tag for tag in reading.tags(pdf) if tag.S == "/Table"]
    assert len(tables) > 5
    for table in tables:
        below = [*reading._below(table)]
        heads = [tag for tag in below if tag.S == "/TH"]
        columns = len(heads)
        assert all(reading.attribute(head, "/Scope") == "/Column" for head in heads)
        assert [tag for tag in below if tag.S == "/Caption"]
        rows = [tag for tag in below if tag.S == "/TR"]
        assert {len(row.K) for row in rows} == {columns}
        assert all(reading.attribute(tag, "/Headers") for tag in below if tag.S == "/TD")


def test_headings_skip_no_level(pdf: pikepdf.Pdf) -> None:
    """PDF/UA-1 7.4.2."""
    names = [str(tag.S) for tag in reading.tags(pdf)]
    assert names[:2] == ["/Document", "/Title"]
    levels = [int(name[2:]) for name in names if re.fullmatch(r"/H\d", name)]
    assert levels[0] == 1
    assert levels.count(1) == 13
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_stands_outside_the_tags(pdf: pikepdf.Pdf) -> None:
    """PDF/UA-1 7.1: content is tagged or an artifact."""
    for sheet in pdf.pages:
        assert reading.untagged(sheet) == []


def test_what_is_outside_would_be_found() -> None:
    """The check above sees a file without tags for what it is."""
    bare = typst.compile(b"Text and #line(length: 2cm)", format="pdf", pdf_tags=False)
    pdf = reading.opened(bytes(bare))
    assert len(reading.untagged(pdf.pages[0])) > 1


def test_every_font_is_within(pdf: pikepdf.Pdf) -> None:
    """PDF/UA-1 7.21."""
    found = [*reading.fonts(pdf)]
    assert found
    for font in found:
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(font.keys())


def test_marks_stand_on_every_page(pdf: pikepdf.Pdf, report: Report, language: str) -> None:
    """As text of the page; approved reports have none."""
    marks = compose(report, language).marks
    word = {"fr": "PROVISOIRE", "en": "PROVISIONAL"}[language]
    assert (word in marks) == report.provisional
    for sheet in pdf.pages:
        said = reading.text(sheet)
        for mark in marks:
            assert mark in said
        assert (word in said) == report.provisional


def test_a_mark_is_read_aloud_too(language: str) -> None:
    """A page head is an artifact, so title and first page say it too."""
    pdf = reading.opened(page.pdf(REPORTS["provisional"], language))
    document = compose(REPORTS["provisional"], language)
    assert document.marks[0] in str(pdf.docinfo.Title)
    first = reading.text(pdf.pages[0])
    assert first.count(document.marks[0]) == 3, "head, line under the title, and the reason"


def test_markup_arrives_as_it_was_typed(language: str) -> None:
    """No free text is read as typst code."""
    pdf = reading.opened(page.pdf(REPORTS["markup"], language))
    said = "".join(reading.text(sheet) for sheet in pdf.pages)
    assert said.count(reading.bare(MARKUP)) > 25
    assert MARKUP in str(pdf.docinfo.Title)


def test_the_same_report_gives_the_same_bytes(language: str) -> None:
    """Also when it was kept as JSON; it is dated by its gathering."""
    report = REPORTS["provisional"]
    first = page.pdf(report, language)
    assert page.pdf(decode(encode(report)), language) == first
    later = msgspec.structs.replace(report, gathered_ms=report.gathered_ms + 86_400_000)
    assert page.pdf(later, language) != first


def test_all_of_its_text_is_there(pdf: pikepdf.Pdf, report: Report, language: str) -> None:
    """The reading of a page by its fonts' tables finds every section."""
    said = "".join(reading.text(sheet) for sheet in pdf.pages)
    for section in compose(report, language).sections:
        assert reading.bare(section.title) in said
    assert report.record.policy_version[:6] in said
