"""How tables are written: delimiters, headers, marks, footers, numbers, units, sentinels."""

import gzip
from pathlib import Path

import pytest
from jauge_collector.importer.table import rows
from jauge_models.configuration import ConfigurationError

from tests.collector.importer.tables import ENERGY, HOURS, mapped, points, read, table

JAN_1 = 1_767_225_600
"""2026-01-01T00:00:00Z in seconds."""

KWH = 3.6e6


def test_plain_table(tmp_path: Path) -> None:
    """A label at the end of its hour is the reading's time stamp; kWh become J."""
    found = read(tmp_path, HOURS + ENERGY, "time,kwh\n2026-01-01T01:00,1.5\n2026-01-01T02:00,2\n")
    assert points(found) == [(JAN_1 + 3600, 1.5 * KWH), (JAN_1 + 7200, 2 * KWH)]


def test_a_cell_may_name_a_state(tmp_path: Path) -> None:
    """Each text by what it is worth; one that is not named is a bad row, an empty cell is none."""
    mapping = HOURS + (
        '[[columns]]\ncolumn = "mode"\nresource = "cooling_unit:1"\nunit = "%"\n'
        'quantity = "evaporative_cooling"\nstates = { dry = 0, wet = 100, "50 %" = 50 }\n'
    )
    hours = [
        f"2026-01-01T0{hour}:00,{mode}\n" for hour, mode in enumerate(("dry", "wet", "50 %"), 1)
    ]
    found = read(tmp_path, mapping, "time,mode\n" + "".join(hours) + "2026-01-01T04:00,\n")
    assert points(found) == [(JAN_1 + 3600, 0), (JAN_1 + 7200, 1), (JAN_1 + 10_800, 0.5)]
    (bad,) = read(tmp_path, mapping, "time,mode\n2026-01-01T01:00,frost\n")
    assert bad.problem == (
        "column 'mode': 'frost' is no state of this column; known are dry, wet, 50 %"
    )


def test_sentinels_of_numbers_are_no_states(tmp_path: Path) -> None:
    """What a state is worth is none of the file; one among the codes is not measured."""
    mapping = HOURS + (
        '[values]\nnot_measured = [0, -1, ">90"]\n'
        '[[columns]]\ncolumn = "mode"\nresource = "cooling_unit:1"\nunit = "%"\n'
        'quantity = "evaporative_cooling"\nstates = { dry = 0, 1 = 100 }\n'
    )
    hours = [
        f"2026-01-01T0{hour}:00,{mode}\n" for hour, mode in enumerate(("dry", "1", "-1", "0"), 1)
    ]
    found = read(tmp_path, mapping, "time,mode\n" + "".join(hours))
    assert points(found) == [(JAN_1 + 3600, 0), (JAN_1 + 7200, 1)]
    assert [row.problem for row in found] == [None] * 4
    (bad,) = read(tmp_path, mapping, "time,mode\n2026-01-01T01:00,2\n")
    assert bad.problem == "column 'mode': '2' is no state of this column; known are dry, 1"


def test_labels_at_the_start(tmp_path: Path) -> None:
    """A label at the start of its hour gives an amount stamped an hour later."""
    mapping = HOURS.replace('"end"', '"start"') + ENERGY
    found = read(tmp_path, mapping, "time,kwh\n2026-01-01 00:00,1\n")
    assert points(found) == [(JAN_1 + 3600, KWH)]


def test_instant_column_stays_at_its_label(tmp_path: Path) -> None:
    """Among starts of periods, a column declared instant is not moved, a mean is."""
    mapping = HOURS.replace('"end"', '"start"') + (
        '[[columns]]\ncolumn = "t"\nresource = "sensor:in"\nquantity = "temperature"\n'
        'unit = "degC"\ninstant = true\n'
        '[[columns]]\ncolumn = "w"\nresource = "sensor:in"\nquantity = "power"\nunit = "kW"\n'
    )
    found = read(tmp_path, mapping, "time,t,w\n2026-01-01 00:00,20.5,2\n")
    assert points(found) == [(JAN_1, 20.5), (JAN_1 + 3600, 2000.0)]


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [
        (";", "2026-01-01T01:00;1,5"),
        ("\\t", "2026-01-01T01:00\t1,5"),
        ("\\\\t", "2026-01-01T01:00\t1,5"),
    ],
)
def test_delimiter_and_decimal_comma(tmp_path: Path, delimiter: str, line: str) -> None:
    """Semicolons and tabs part columns where the decimal sign is a comma."""
    mapping = HOURS + f'[file]\ndelimiter = "{delimiter}"\n[values]\ndecimal = ","\n' + ENERGY
    head = "time" + ("\t" if "t" in delimiter else delimiter) + "kwh"
    assert points(read(tmp_path, mapping, f"{head}\n{line}\n")) == [(JAN_1 + 3600, 1.5 * KWH)]


@pytest.mark.parametrize(
    ("sign", "cell", "value"),
    [
        (".", "1.234.567,5", 1_234_567.5),
        (" ", "1 234,5", 1234.5),
        (" ", "1\u202f234,5", 1234.5),
        ("'", "1'234", 1234.0),
        (".", "12", 12.0),
        (".", "-1.000", -1000.0),
    ],
)
def test_thousands(tmp_path: Path, sign: str, cell: str, value: float) -> None:
    """Groups of three digits are read with the sign that was declared."""
    column = ENERGY.replace("energy_amount", "reactive_power").replace("kWh", "var")
    mapping = (
        HOURS + f'[file]\ndelimiter = ";"\n[values]\ndecimal = ","\nthousands = "{sign}"\n' + column
    )
    found = read(tmp_path, mapping, f"time;kwh\n2026-01-01T01:00;{cell}\n")
    assert points(found) == [(JAN_1 + 3600, value)]


@pytest.mark.parametrize("cell", ["1,5", "12.34.5", "1_000", "nan", "inf", "0x10", "1 kWh", "--1"])
def test_no_number(tmp_path: Path, cell: str) -> None:
    """What is not written as declared makes its row bad; it is never guessed at."""
    mapping = HOURS + '[file]\ndelimiter = ";"\n' + ENERGY
    (row,) = read(tmp_path, mapping, f"time;kwh\n2026-01-01T01:00;{cell}\n")
    assert row.readings == ()
    assert row.problem is not None
    assert "kwh" in row.problem


def test_byte_order_mark_comments_footer_and_newest_first(tmp_path: Path) -> None:
    """A mark, comments, a preamble, blank lines and a row-count footer are no data."""
    mapping = (
        HOURS
        + "[file]\ncomment = '#'\nskip_first = 1\nskip = ['^\\(\\d+ rows affected\\)$', '^Done:']\n"
        + ENERGY
    )
    content = (
        "Export of 2026\n# a comment\ntime,kwh\n2026-01-01T02:00,2\n\n2026-01-01T01:00,1\n\n"
        "(2 rows affected)\nDone: now\n"
    )
    found = read(tmp_path, mapping, b"\xef\xbb\xbf" + content.encode())
    assert points(found) == [(JAN_1 + 7200, 2 * KWH), (JAN_1 + 3600, KWH)]
    assert [row.line for row in found] == [4, 6]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """A file in another encoding is read when that is declared, its column names too."""
    mapping = HOURS + f'[file]\nencoding = "{encoding}"\n' + ENERGY.replace('"kwh"', '"énergie"')
    found = read(tmp_path, mapping, "time,énergie\r\n2026-01-01T01:00,1\r\n".encode(encoding))
    assert points(found) == [(JAN_1 + 3600, KWH)]


def test_wrong_encoding_is_named(tmp_path: Path) -> None:
    """Bytes that do not fit the encoding end the import with the file and the key to set."""
    with pytest.raises(ConfigurationError, match=r"table\.csv: is not utf-8 text.*file\.encoding"):
        read(tmp_path, HOURS + ENERGY, "time,énergie\n".encode("latin-1"))


def test_columns_by_number_without_header(tmp_path: Path) -> None:
    """Numbers from 1 name the columns of a file that has no header."""
    mapping = (
        HOURS.replace('["time"]', "[2]") + "[file]\nheader = false\n" + ENERGY.replace('"kwh"', "4")
    )
    found = read(tmp_path, mapping, "Time,2026-01-01T01:00,Energy,3\n")
    assert points(found) == [(JAN_1 + 3600, 3 * KWH)]


def test_gzip(tmp_path: Path) -> None:
    """A gzipped table is recognised by its content."""
    packed = gzip.compress(b"time,kwh\n2026-01-01T01:00,1\n")
    assert points(read(tmp_path, HOURS + ENERGY, packed)) == [(JAN_1 + 3600, KWH)]


def test_broken_gzip_is_named(tmp_path: Path) -> None:
    """Half a gzip file is an error of one line, not a shorter table."""
    packed = gzip.compress(b"time,kwh\n" + b"2026-01-01T01:00,1\n" * 9)[:-9]
    with pytest.raises(ConfigurationError, match=r"table\.csv: is a broken gzip file"):
        read(tmp_path, HOURS + ENERGY, packed)


def test_quoted_cells(tmp_path: Path) -> None:
    """A delimiter inside quotes parts nothing; an open quote spoils its own line only."""
    mapping = HOURS + "[values]\ndecimal = '.'\nthousands = ','\n" + ENERGY
    content = 'time,kwh\n2026-01-01T01:00,"1,000"\n"2026-01-01T02:00,1\n2026-01-01T03:00,3\n'
    first, second, third = read(tmp_path, mapping, content)
    assert points([first, third]) == [(JAN_1 + 3600, 1000 * KWH), (JAN_1 + 10800, 3 * KWH)]
    assert second.problem is not None
    assert "is no row of a table" in second.problem


@pytest.mark.parametrize(
    "line", ["2026-01-01T01:00", "2026-01-01T01:00,1,2,9", "yesterday,1", "2026-02-30T01:00,1,2"]
)
def test_bad_rows(tmp_path: Path, line: str) -> None:
    """Too few or too many columns, or no date, make a row bad and leave the others."""
    bad, good = read(tmp_path, HOURS + ENERGY, f"time,kwh,x\n{line}\n2026-01-01T02:00,2,\n")
    assert (bad.line, bad.readings, good.problem) == (2, (), None)
    assert bad.problem


@pytest.mark.parametrize(
    ("declared", "cells", "kept"),
    [
        ("-1", ["-1", "-1.000000", "1"], [1.0]),
        ('"-1"', ["-1", "-1.0", "1"], [1.0]),
        ('"NA", "NULL"', ["NA", "NULL", "", "2"], [2.0]),
        ('"< 0"', ["-0.001", "-2", "0"], [0.0]),
        ('"<= 0"', ["0", "1"], [1.0]),
        ('"> 1e3"', ["1001", "1000"], [1000.0]),
        ('">= 1e3"', ["1000", "999"], [999.0]),
        ('"-2..-1"', ["-2", "-1.5", "-1", "0"], [0.0]),
        ('"1..2"', ["1", "1.5", "2", "0.9", "2.1"], [0.9, 2.1]),
    ],
)
def test_sentinels(tmp_path: Path, declared: str, cells: list[str], kept: list[float]) -> None:
    """A sentinel, by text, number or range, means not measured and never becomes a reading."""
    mapping = HOURS + ENERGY + f"not_measured = [{declared}]\n"
    lines = "".join(f"2026-01-01T{n + 1:02}:00,{cell}\n" for n, cell in enumerate(cells))
    found = read(tmp_path, mapping, f"time,kwh\n{lines}")
    assert [value for _, value in points(found)] == [value * KWH for value in kept]
    assert sum(row.not_measured for row in found) == len(cells) - len(kept)


def test_sentinels_of_all_columns(tmp_path: Path) -> None:
    """A sentinel under [values] holds for every column, a column's own for that column alone."""
    other = ENERGY.replace("kwh", "x").replace("meter:main", "meter:x")
    mapping = HOURS + "[values]\nnot_measured = [-1]\n" + ENERGY + "not_measured = [9]\n" + other
    found = read(tmp_path, mapping, "time,kwh,x\n2026-01-01T01:00,-1,-1\n2026-01-01T02:00,9,9\n")
    assert points(found) == [(JAN_1 + 7200, 9 * KWH)]


@pytest.mark.parametrize(
    ("quantity", "unit", "cell", "value"),
    [
        ("energy_amount", "J", "1", 1.0),
        ("energy_amount", "Wh", "1", 3600.0),
        ("energy_amount", "MWh", "0.001", 3.6e6),
        ("energy_amount", "GJ", "1", 1e9),
        ("power", "W", "1.2345", 1.234),
        ("power", "kW", "1.2345", 1234.5),
        ("water_amount", "L", "1.5", 0.0015),
        ("water_amount", "m³", "0.00119", 0.00119),
        ("temperature", "degF", "56.35", 13.53),
        ("temperature", "K", "293.15", 20.0),
        ("humidity", "%", "76.88", 76.88),
        ("cpu_utilisation", "%", "55", 0.55),
        ("fan_speed", "rpm", "6000", 100.0),
    ],
)
def test_units(tmp_path: Path, quantity: str, unit: str, cell: str, value: float) -> None:
    """Values arrive in the base unit, rounded to the catalogue's decimals."""
    column = (
        f'[[columns]]\ncolumn = "v"\nresource = "host"\nquantity = "{quantity}"\nunit = "{unit}"\n'
    )
    found = read(tmp_path, HOURS + column, f"time,v\n2026-01-01T01:00,{cell}\n")
    assert points(found) == [(JAN_1 + 3600, value)]


@pytest.mark.parametrize(
    ("quantity", "unit", "value"),
    [("energy_amount", "W", 3.6e6), ("energy_amount", "kW", 3.6e9), ("water_amount", "L/h", 1.0)],
)
def test_means_become_amounts(tmp_path: Path, quantity: str, unit: str, value: float) -> None:
    """A mean over the period, times the period, is the amount: 1 kW for an hour is 1 kWh."""
    column = (
        f'[[columns]]\ncolumn = "v"\nresource = "meter:m"\nquantity = "{quantity}"\n'
        f'unit = "{unit}"\nmean = true\n'
    )
    found = read(tmp_path, HOURS + column, "time,v\n2026-01-01T01:00,1000\n")
    assert points(found) == [(JAN_1 + 3600, value)]


def test_out_of_range(tmp_path: Path) -> None:
    """A value outside the catalogue's range makes the row bad and names range and column."""
    column = (
        '[[columns]]\ncolumn = "t"\nresource = "room:a"\nquantity = "temperature"\nunit = "degC"\n'
    )
    (row,) = read(tmp_path, HOURS + column, "time,t\n2026-01-01T01:00,900\n")
    assert row.problem == "column 't': 900 is 900 Cel, outside temperature's range -60 to 200"


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is an error of one line."""
    with pytest.raises(ConfigurationError, match=r"nothing\.csv: cannot be read: no such file"):
        list(rows(tmp_path / "nothing.csv", mapped(tmp_path, HOURS + ENERGY)))


def test_folder_instead_of_file(tmp_path: Path) -> None:
    """A folder is no table."""
    with pytest.raises(ConfigurationError, match="cannot be read: is a directory"):
        list(rows(tmp_path, mapped(tmp_path, HOURS + ENERGY)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,kWh\n", r"columns\[0\]\.column: .*no column 'kwh'; did you mean 'kWh'\?"),
        ("time;kwh\n", r"time\.columns\[0\]: .*is file\.delimiter right\?"),
        ("time,kwh,kwh\n", r"has 2 columns 'kwh'; give the column's number"),
        ("time,a,b\n", r"columns are time, a, b"),
        ("", "has no header line"),
    ],
)
def test_header_that_does_not_fit(tmp_path: Path, content: str, message: str) -> None:
    """A header without the mapped columns ends the import, naming key and fix."""
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, HOURS + ENERGY, content)


def test_endless_line(tmp_path: Path) -> None:
    """A file without line ends is refused before it fills memory."""
    with pytest.raises(ConfigurationError, match="line 2: is longer than"):
        read(tmp_path, HOURS + ENERGY, b"time,kwh\n" + b"1" * (1 << 21))


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    """Progress is told in bytes and ends at the file's size."""
    path = table(tmp_path, "time,kwh\n" + "2026-01-01T01:00,1\n" * 2500)
    told: list[tuple[int, int]] = []
    list(rows(path, mapped(tmp_path, HOURS + ENERGY), lambda *at: told.append(at)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert len(told) == 4
    assert all(done <= total == size for done, total in told)
