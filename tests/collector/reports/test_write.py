"""Files of a report: their names, their order, and the same bytes again."""

import resource
from pathlib import Path

import msgspec
import pytest
from jauge_collector.reports.content import Report, decode
from jauge_collector.reports.write import Format, stem, write

from tests.collector.compliance.yard import copied
from tests.collector.reports.desk import gathered


@pytest.fixture(scope="module")
def report(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The yard's."""
    return gathered(copied(built, tmp_path_factory.mktemp("write") / "yard"))


def test_names(report: Report) -> None:
    """Site and quarter; an edition after the first and a language other than French are told."""
    assert stem(report) == "jauge-yard-2025-Q4"
    second = msgspec.structs.replace(report, revision=2)
    assert stem(second) == "jauge-yard-2025-Q4-r2"
    assert stem(second, "en") == "jauge-yard-2025-Q4-r2-en"
    assert stem(msgspec.structs.replace(report, revision=1)) == "jauge-yard-2025-Q4"


def test_json_reads_back(report: Report, tmp_path: Path) -> None:
    """Everything that the report says, laid out for people."""
    (path,) = write(report, tmp_path, "fr", ["json"])
    assert path.name == "jauge-yard-2025-Q4.json"
    assert decode(path.read_bytes()) == report
    assert b'\n  "record": {\n' in path.read_bytes()


def test_tables_have_a_folder(report: Report, tmp_path: Path) -> None:
    """What a Data Package describes lies beside it."""
    written = write(report, tmp_path, "en", ["csv"])
    assert {path.parent.name for path in written} == {"jauge-yard-2025-Q4-en"}
    assert written[-1].name == "datapackage.json"
    assert {path.suffix for path in written[:-1]} == {".csv"}


def test_every_format_and_the_same_bytes_again(report: Report, tmp_path: Path) -> None:
    """Whatever the order asked for, each file once, and nothing left beside them."""
    first = write(report, tmp_path / "one", "fr", reversed(Format))
    again = write(report, tmp_path / "two", "fr", list(Format))
    names = [path.relative_to(tmp_path / "one") for path in first]
    assert names == [path.relative_to(tmp_path / "two") for path in again]
    assert {path.suffix for path in first} == {".pdf", ".html", ".csv", ".json"}
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    there = {path for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert there == set(first)


def test_a_full_disk_leaves_nothing_and_names_the_file(report: Report, tmp_path: Path) -> None:
    """What was there before stays as it was written."""
    size = max(path.stat().st_size for path in write(report, tmp_path / "try", "fr", ["csv"]))
    out = tmp_path / "out"
    out.mkdir()
    (out / "other.txt").touch()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        with pytest.raises(OSError, match=r"/jauge-yard-2025-Q4/[a-z]+\.(csv|json)"):
            write(report, out, "fr", ["csv"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in out.rglob("*")] == ["other.txt"]


def test_an_unknown_format_writes_nothing(report: Report, tmp_path: Path) -> None:
    """One wrong word, and no file."""
    with pytest.raises(ValueError, match="docx"):
        write(report, tmp_path / "out", "fr", ["json", "docx"])
    assert not (tmp_path / "out").exists()
