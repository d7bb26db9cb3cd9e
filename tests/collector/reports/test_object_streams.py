"""Packing a PDF changes how it is written and nothing of what it is."""

import pikepdf
import pytest
import typst
from jauge_collector.reports.object_streams import packed

from tests.collector.reports.pdf_reading import opened, tags, text


@pytest.fixture(scope="module")
def plain() -> bytes:
    """Many tables, as typst writes them."""
    source = (
        b'#set document(title: "t")\n#for i in range(40) [= H\n #table(columns: 3, [a], [b], [c])]'
    )
    return bytes(typst.compile(source, format="pdf", pdf_standards=["ua-1"], timestamp=0))


def test_the_document_is_the_same(plain: bytes) -> None:
    """Structure, text, catalogue and identity."""
    before, after = opened(plain), opened(packed(plain))
    assert after.check_pdf_syntax() == []
    assert [str(tag.S) for tag in tags(after)] == [str(tag.S) for tag in tags(before)]
    assert [text(page) for page in after.pages] == [text(page) for page in before.pages]
    assert after.Root.keys() == before.Root.keys()
    assert after.trailer.ID == before.trailer.ID
    assert after.docinfo == before.docinfo


def test_it_is_much_smaller(plain: bytes) -> None:
    """That is what it is for."""
    assert len(packed(plain)) < len(plain) / 2


def test_what_it_does_not_know_it_refuses() -> None:
    """A file without a plain cross-reference table, such as one already packed."""
    source = b'#set document(title: "t")\nx'
    once = packed(bytes(typst.compile(source, format="pdf", timestamp=0)))
    assert isinstance(opened(once), pikepdf.Pdf)
    with pytest.raises(ValueError, match="no plain cross-reference table"):
        packed(once)
