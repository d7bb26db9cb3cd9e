"""Reading tables that people keep: encodings, separators, headers, cells, and what is wrong."""

import codecs
import time
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jauge_collector.registers import (
    decisions,
    documents,
    factors,
    policy,
    practices,
    refrigerants,
    rooms,
    servers,
)
from jauge_collector.registers.problems import (
    MOST_BYTES,
    MOST_PROBLEMS,
    File,
    Problems,
    RegisterError,
    read_file,
    text_of,
)
from jauge_collector.registers.sheet import (
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_ROWS,
    Column,
    Row,
    as_csv,
    folded,
    rows_of,
)

from tests.collector.registers.sheets import Parse, file, places, problems, refusal

COLUMNS = (Column("id", ("numéro",), needed=True), Column("when"), Column("amount"))
PARSERS: dict[str, Parse] = {
    "servers": servers.parse,
    "rooms": rooms.parse,
    "practices": practices.parse,
    "documents": documents.parse,
    "factors": factors.parse,
    "refrigerants": refrigerants.parse,
    "exemptions": decisions.exemptions,
    "actions": decisions.actions,
}


def read(source: File) -> list[tuple[int, str, date | None, float | None]]:
    """Rows of a little table."""
    found = Problems(source.name)
    rows = [_of(row) for row in rows_of(source, COLUMNS, found)]
    found.check()
    return rows


def _of(row: Row) -> tuple[int, str, date | None, float | None]:
    return row.line, row.text("id"), row.day("when"), row.number("amount", 0, 1e9)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_forms_that_spreadsheets_write(mark: bytes, separator: str, end: str) -> None:
    """With a mark or without, whatever the separator and line end: the same rows and lines."""
    lines = ["# a comment", "Numéro;When;#my own", "", "é1;31/01/2026;x", "é2;2026-02-01;y", ""]
    text = end.join(lines).replace(";", separator)
    assert read(File("a.csv", mark + text.encode())) == [
        (4, "é1", date(2026, 1, 31), None),
        (5, "é2", date(2026, 2, 1), None),
    ]


def test_what_excel_puts_first_and_last() -> None:
    """Its ``sep=`` line names the separator; columns without a name and padding are no cells."""
    assert read(file("sep=;\r\nid;amount;;\r\na,b;1 234,5;;\r\n")) == [(3, "a,b", None, 1234.5)]


def test_a_cell_over_two_lines_counts_from_its_first() -> None:
    """The line that is named is where the row begins."""
    assert [row[0] for row in read(file('id;when\n"a\nb";\nc;\n'))] == [2, 4]


def test_decimal_comma_and_point() -> None:
    """Both are read; what could be thousands is not guessed."""
    assert [row[3] for row in read(file("id;amount\na;0,052\nb;0.052\nc;\n"))] == [
        0.052,
        0.052,
        None,
    ]
    assert places(read, "id;amount\na;1.234,5\nb;nan\nc;-1\nd;1e99\n") == [
        (2, "amount"),
        (3, "amount"),
        (4, "amount"),
        (5, "amount"),
    ]


@pytest.mark.parametrize("said", ["2026-02-30", "31/02/2026", "1/1/26", "0001-01-01", "hier"])
def test_what_is_no_date(said: str) -> None:
    """It is named with line, column and how to write it."""
    (found,) = problems(read, f"id;when\na;{said}\n")
    assert str(found) == (
        f"register.csv: line 2, column when: {said!r} is no date; write 2026-01-31 or 31/01/2026"
    )


def test_unknown_and_repeated_columns_are_refused() -> None:
    """With the nearest name; a missing one that is needed too."""
    found = problems(read, "wen;amount;Amount\n1;2;3\n")
    assert [(one.column, one.problem) for one in found] == [
        ("1", "unknown column 'wen'"),
        ("3", "a second column 'amount'"),
        ("id", "this column is missing"),
    ]
    assert "did you mean 'when'?" in found[0].fix


def test_all_that_is_wrong_is_told_at_once_up_to_a_number() -> None:
    """Twenty by line, and how many there are; in one line the first."""
    rows = "".join(f"{n};hier\n" for n in range(50))
    with pytest.raises(RegisterError) as caught:
        read(file(f"id;when\n{rows}"))
    assert [one.line for one in caught.value.problems] == list(range(2, 2 + MOST_PROBLEMS))
    assert caught.value.count == 50
    assert "(49 more)" in str(caught.value)
    assert caught.value.key == "line 2, column when"


def test_sizes_are_bounded(tmp_path: Path) -> None:
    """Bytes, rows and characters of a cell."""
    large = tmp_path / "large.csv"
    with large.open("wb") as sparse:
        sparse.truncate(MOST_BYTES + 5)
    assert len(read_file(large).content) == MOST_BYTES + 1
    with pytest.raises(RegisterError, match="larger than 16 MiB"):
        text_of(read_file(large))
    (found,) = problems(read, ";" * MOST_COLUMNS + "x\n")
    assert found.problem == f"{MOST_COLUMNS + 1} columns"
    (found,) = problems(read, "id\n" + "a\n" * (MOST_ROWS + 1))
    assert (found.line, found.problem) == (MOST_ROWS + 2, f"more than {MOST_ROWS} rows")
    assert len(read(file("id\n" + "a\n" * MOST_ROWS))) == MOST_ROWS
    assert places(read, f"id\n{'x' * (MOST_CHARACTERS + 1)}\n") == [(2, "id")]
    assert read(file(f"id\n{'x' * MOST_CHARACTERS}\n"))


def test_a_file_that_is_all_wrong_is_refused_in_a_moment() -> None:
    """Also one whose first line goes on for ever."""
    columns = [column.name for column in servers.COLUMNS]
    text = as_csv(columns, [["x" * 60] * len(columns)] * 500)
    begun = time.process_time()
    with pytest.raises(RegisterError) as caught:
        servers.parse(file(text))
    assert caught.value.count > 500
    assert read(file("id" + ";" * 1_000_000)) == []
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("id\né\n".encode("cp1252"), 2, "is not UTF-8 text"),
        (b'id;when\na;2026-01-01\n"b";"open\n', 3, "unexpected end of data"),
        (b"id;when\na\n", 2, "1 values for 2 columns"),
        (b"id;when\na;;x\n", 2, "3 values for 2 columns"),
        (b"id\na\x00b\n", 2, "holds a control character"),
        (b"", 1, "this column is missing"),
    ],
)
def test_what_cannot_be_read(content: bytes, line: int, problem: str) -> None:
    """One problem, at the line where it lies."""
    with pytest.raises(RegisterError) as caught:
        read(File("a.csv", content))
    (found,) = caught.value.problems
    assert (found.line, found.problem) == (line, problem)


@pytest.mark.parametrize("name", ["", "absent.csv", "a\0b"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    """A folder, nothing, and what cannot be a path: said in one line."""
    with pytest.raises(RegisterError) as caught:
        read_file(tmp_path / name)
    assert len(caught.value.problems) == 1


@given(st.text(max_size=20))
def test_what_is_written_is_read_again_and_is_no_formula(text: str) -> None:
    """A spreadsheet finds no formula in what we write; we read what was there."""
    cell = " ".join(text.split())
    if not cell or not cell.isprintable() or cell.startswith(("#", "'")):
        return
    said = as_csv(["id"], [[cell]])
    assert said.splitlines()[1].lstrip('"')[:1] not in set("=+-@")
    assert [row[1] for row in read(file(said))] == [cell]


def test_folding() -> None:
    """Accents, ligatures, capitals, apostrophes and signs do not matter."""
    assert (
        folded(" Nœuds (d’un châssis) ") == folded("noeuds d'un chassis") == "noeuds_d_un_chassis"
    )


WORDS = st.sampled_from(
    [
        *("id", "numéro", "site", "depuis", "édition", "titre", "type", "valeur", "salle"),
        *(";", ",", "\t", "\n", "\r", " ", '"', "#", "=", "'", "|", "\0", "é"),
        *("2026-01-01", "A2", "10..35", "a/host:b"),
    ]
)
ANY = st.one_of(
    st.binary(max_size=200),
    st.lists(WORDS, max_size=60).map(lambda parts: "".join(parts).encode()),
)


@settings(max_examples=150, deadline=None)
@given(content=ANY)
@example(content=b"sep=\n")
@example(content=b'sep=;\n"')
@example(content="\ufeff\ufeffid\n".encode())
def test_whatever_stands_in_a_file_is_read_or_refused(content: bytes) -> None:
    """Any bytes as any register: rows, or one clear error that names the file, no traceback."""
    for name, parse in PARSERS.items():
        error = refusal(partial(parse, File(name, content)))
        if error is not None:
            assert isinstance(error, RegisterError)
            assert str(error).startswith(f"{name}: ")
            assert "\n" not in str(error)
            assert 1 <= len(error.problems) <= min(error.count, MOST_PROBLEMS)
    error = refusal(lambda: policy.read(text_of(File("policy", content)), "policy"))
    assert error is None or (str(error).startswith("policy: ") and "\n" not in str(error))


HEADERS = {
    "servers": servers.COLUMNS,
    "rooms": rooms.COLUMNS,
    "practices": practices.COLUMNS,
    "documents": documents.COLUMNS,
    "factors": factors.COLUMNS,
    "exemptions": decisions.EXEMPTION_COLUMNS,
}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(HEADERS)))
def test_whatever_stands_in_the_cells_is_read_or_refused(data: st.DataObject, name: str) -> None:
    """The right header over any cells: it is the cells' own checks that meet them."""
    columns = [column.name for column in HEADERS[name]]
    cell = st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            ["A2", "10..35", "water 1..2", "a/host:b", "2026-01-31", "1", "0,5", "x|y"]
        ),
    )
    row = st.lists(cell, min_size=len(columns), max_size=len(columns))
    text = as_csv(columns, data.draw(st.lists(row, max_size=3)))
    error = refusal(lambda: PARSERS[name](file(text, name)))
    assert error is None or str(error).startswith(f"{name}: ")
