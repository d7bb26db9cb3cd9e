"""What stands beside the figures: gaps, events, factors, rooms; and where files lie."""

import asyncio
import shutil
from pathlib import Path

import pytest
from jauge_collector.reports.content import data_hash, encode
from jauge_models.intervals import Basis, Grade, Interval

from tests.collector.compliance.yard import DAY, END, HOUR, KWH, START, Yard, keep, write
from tests.collector.reports.desk import gathered, ledger_of


def test_an_uncommissioned_meter_is_a_gap_of_its_own_kind(yard: Yard) -> None:
    """What it read counts for nothing until somebody compared it with its dial."""
    yard.edit("yard.toml", 'counts = "from_start"\n', "")
    yard.edit("yard.toml", 'reason = "test"\n', "")
    gaps = gathered(yard.folder).gaps
    assert [gap.meter for gap in gaps] == ["dc", "it", "tank"]
    for gap in gaps:
        assert (gap.start_ms, gap.end_ms) == (START, END)
        assert (gap.bridged, gap.flags) == (False, ("uncommissioned",))


def test_half_a_row_is_a_gap(yard: Yard) -> None:
    """A day of which half was sampled counts in no total."""
    at = START + 300 * DAY
    half = Interval(at, at + DAY, 75 * KWH, DAY // 2, DAY // 2, Basis.POWER, Grade.MEDIUM)
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "dc2", [half])
    yard.edit(
        "yard.toml",
        'symbol = "W_IN"',
        'symbol = "E_REUSE"\nterms = [{ meter = "dc2" }]\n\n[[equations]]\nsymbol = "W_IN"',
    )
    meter = yard.folder / "yard.toml"
    meter.write_text(
        meter.read_text(encoding="utf-8")
        + '\n[[meters]]\nid = "dc2"\ncommodity = "electricity"\nfeeds = ["gw/meter:dc2"]\n'
        + 'interval_s = 86400\ncounts = "from_start"\nreason = "test"\n',
        encoding="utf-8",
    )
    report = gathered(yard.folder)
    (gap,) = report.gaps
    assert (gap.meter, gap.start_ms, gap.end_ms) == ("dc2", START, END)
    state = next(each for each in report.meters if each.id == "dc2")
    assert state.coverage == pytest.approx(0.5 / 92)
    assert (state.method, state.grade, state.terms) == ("power", Grade.MEDIUM, ("+ E_REUSE",))


def test_events_of_the_site_file_and_of_people(yard: Yard) -> None:
    """Both are told, in time order; those of other machines are not."""
    site = yard.folder / "yard.toml"
    declared = """
[[events]]
kind = "bypass"
subject = "dc"
begin = "2025-11-03T10:00"
end = "2025-11-03T12:00"
reason = "works"

[[events]]
kind = "maintenance"
subject = "h1"
begin = "2025-11-04"
end = "2025-11-05"
"""
    site.write_text(site.read_text(encoding="utf-8") + declared, encoding="utf-8")
    with ledger_of(yard.folder) as ledger:
        number = ledger.append(
            "yard",
            "event",
            "",
            start_ms=START + 10 * DAY,
            end_ms=START + 11 * DAY,
            content={"event": "generator_test", "reason": "yearly"},
            now_ms=END,
            signatory="operator",
        )
    assert [
        (each.entry, each.meter, each.kind, each.text, each.signatory)
        for each in gathered(yard.folder).events
    ] == [
        (number, "", "event", "generator_test: yearly", "operator"),
        (0, "dc", "event", "bypass: works", ""),
    ]


def test_a_fuel_says_its_energy_content(yard: Yard) -> None:
    """9.9 kWh in a litre, by the evidence that the site file names."""
    yard.edit(
        "yard.toml",
        'terms = [{ meter = "dc" }]',
        'terms = [{ meter = "dc" },'
        ' { meter = "tank2", joules_per_m3 = 3.564e10, evidence = "EN 50600-4" }]',
    )
    site = yard.folder / "yard.toml"
    meter = '\n[[meters]]\nid = "tank2"\ncommodity = "fuel"\n'
    site.write_text(site.read_text(encoding="utf-8") + meter, encoding="utf-8")
    report = gathered(yard.folder)
    (factor,) = report.factors
    assert (factor.subject, factor.unit, factor.source) == ("tank2", "kWh/m3", "EN 50600-4")
    assert factor.value == pytest.approx(9900)
    assert next(m for m in report.meters if m.id == "tank2").terms == ("+ E_DC × 9900 kWh/m3",)


def test_the_worst_row_comes_first(yard: Yard) -> None:
    """30 °C in row 2: allowable and never recommended; its index is 1 − 3 of 8 kelvin."""
    yard.edit(
        "rooms.csv", "R;1;A1;gw/sensor:in-1\n", "R;1;A1;gw/sensor:in-1\nR;2;A2;gw/sensor:in-2\n"
    )
    asyncio.run(write(yard.folder, "gw/sensor:in-2", ((n * HOUR, 30.0) for n in range(8761))))
    first, second = gathered(yard.folder).temperature.rooms
    assert [first.place, second.place] == ["R / 2", "R / 1"]
    assert first.quarter is not None
    assert first.quarter.hours()["above"] == 92 * 24
    assert first.rci_high == pytest.approx(62.5)
    assert first.rci_low == pytest.approx(100.0)
    assert second.rci_high == pytest.approx(100.0)
    assert first.highest_c == pytest.approx(30.0)


def test_it_does_not_matter_where_files_lie(yard: Yard, tmp_path: Path) -> None:
    """The same site in another folder: the same report, which names no folder of this machine."""
    yard.edit("policy.toml", "two_people = []", 'two_people = ["policy_change"]')
    shutil.copytree(yard.folder, tmp_path / "elsewhere")
    one, other = gathered(yard.folder), gathered(tmp_path / "elsewhere")
    assert data_hash(one) == data_hash(other)
    assert "policy.toml" in {note.file for note in one.record.notes}
    assert str(tmp_path).encode() not in encode(one)
