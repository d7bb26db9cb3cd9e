"""The summary for elected officials: one page, one figure, nothing that the report does not say."""

import pytest
from jauge_collector.console.text import CODES
from jauge_collector.reports import summary
from jauge_collector.reports.content import data_hash

from tests.collector.reports import pdf_reading as reading
from tests.collector.reports.example import MARKUP, empty, example

REPORTS = {
    "approved": example(),
    "provisional": example(approved=False, withheld=True, restated=True, simulated=True),
    "markup": example(text=MARKUP * 4),
    "empty": empty(),
    "large": example(servers=1000),
}


@pytest.mark.parametrize("language", CODES)
@pytest.mark.parametrize("name", REPORTS)
def test_is_one_accessible_page(name: str, language: str) -> None:
    """However long the names are."""
    report = REPORTS[name]
    data = summary.pdf(report, language)
    pdf = reading.opened(data)
    assert len(pdf.pages) == 1
    assert len(data) < 100_000
    assert pdf.check_pdf_syntax() == []
    assert reading.untagged(pdf.pages[0]) == []
    assert pdf.Root.MarkInfo.Marked
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    with pdf.open_metadata() as metadata:
        assert metadata["pdfuaid:part"] == "1"
        assert metadata["dc:title"] == summary.summarise(report, language).title
    figures = [tag for tag in reading.tags(pdf) if tag.S == "/Figure"]
    assert len(figures) == bool(report.record.headline.total)
    assert all(len(str(figure.Alt)) > 40 for figure in figures)
    said = reading.text(pdf.pages[0])
    for mark in summary.summarise(report, language).marks:
        assert said.count(mark) == 2, "in the head of the page and below the title"


def test_says_the_demonstrated_share_alone() -> None:
    """Eight of thirteen, cut and not rounded; the declared one stands beside it."""
    found = summary.summarise(example(), "en")
    assert found.figure == "61.5%"
    assert found.answer.endswith("temperature): 8 of 13.")
    assert "documents" in found.beside[0]
    assert found.beside[0].count("1") == 1
    assert found.foot[1].startswith(f"Data {data_hash(example())[:16]}…")


def test_a_total_that_is_not_known_is_not_shown_as_one() -> None:
    """The water of the example lacks coverage; its energy fell by 18.3 % since 2024."""
    energy, water, carbon = summary.summarise(REPORTS["provisional"], "en").use
    assert (energy.value, energy.sub) == ("1,209,100\u00a0kWh", "−18.3\u202f% from 2024")
    assert (water.value, water.sub) == ("not measured", "no comparison possible")
    assert carbon.value == "62.87\u00a0tCO2e"


def test_what_blocks_and_what_is_asked() -> None:
    """Water blocks all; to measure it would unlock eight, and must begin by a day."""
    found = summary.summarise(REPORTS["provisional"], "en")
    assert found.blocks == (
        "Water metered, or attested dry: WUE: joint coverage 80.2% is below 90.0%",
    )
    assert found.asks[0] == (
        "Meter the water, or have it attested that none enters "
        "(further servers demonstrated: 8), to begin by 8\u00a0Jan 2027 (wide reading)"
    )
    assert summary.summarise(example(), "en").blocks == (
        "Nothing blocks at the level of the site.",
    )


def test_nothing_is_announced_of_nothing() -> None:
    """No server, no figure: a dash and no zero."""
    found = summary.summarise(empty(), "fr")
    assert found.figure == "–"
    assert found.picture is None
    assert found.blocks == found.asks == ()
    assert {tile.value for tile in found.use} == {"non mesuré"}
