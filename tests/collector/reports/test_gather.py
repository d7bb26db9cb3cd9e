"""The gathered report against sites worked out by hand.

The yard draws 150 kWh a day at its incomer and 100 at its PDUs, and takes 0.01 m3 of water; its
clock is UTC and 2025 has 365 days, its fourth quarter 92.
"""

from datetime import date

import pytest
from jauge_collector import sites
from jauge_collector.ledger.verification import verify
from jauge_collector.registers import policy
from jauge_collector.registers.confirmations import confirm
from jauge_collector.reports import page
from jauge_collector.reports.content import Report, data_hash, decode, encode
from jauge_models.effectiveness import PeriodKind, Status
from jauge_models.intervals import Flag, Grade, Interval
from jauge_models.topology import Commodity

from tests.collector.compliance.yard import (
    DAY,
    END,
    KWH,
    SERVERS,
    START,
    Yard,
    attest,
    days,
    keep,
)
from tests.collector.reports.desk import (
    NOW,
    amount,
    closed,
    gathered,
    ledger_of,
    never_read,
)

OCTOBER, NOVEMBER, DECEMBER = 273, 304, 334
"""Days from 1 January on."""
HASH_OF_TEST = "b819aea3e5eae74c546c2745d4a137a8be652d805928d4c139a030f8d84a48c9"
"""Of the policy ``version = "test"``, before a base year could be given."""


def test_the_yard(yard: Yard) -> None:
    """A year without a hole: totals, ratios, months and temperature as worked out by hand."""
    report = gathered(yard.folder)
    assert (report.quarter.first, report.quarter.last) == (date(2025, 10, 1), date(2025, 12, 31))
    assert (report.year.first, report.year.last) == (date(2025, 1, 1), date(2025, 12, 31))
    for figures, length in ((report.quarter, 92), (report.year, 365)):
        assert amount(figures, "E_DC").value == pytest.approx(150 * length)
        assert amount(figures, "E_IT").value == pytest.approx(100 * length)
        assert amount(figures, "W_IN").value == pytest.approx(0.01 * length)
        assert amount(figures, "W_IN").unit == "m3"
        assert figures.kpis.pue.value == pytest.approx(1.5)
        assert figures.kpis.wue.value == pytest.approx(0.1)
        assert figures.without_attested is None
        for each in figures.amounts:
            assert (each.coverage, each.attested_share, each.grade) == (1.0, 0.0, Grade.HIGH)
            assert each.bases == ("register",)
            assert each.reason is None
    assert len(report.months) == 12
    assert [slot.first.month for slot in report.months] == list(range(1, 13))
    assert all(slot.e_dc_w == pytest.approx(150_000 / 24) for slot in report.months)
    assert report.months[1].water_m3 == pytest.approx(0.28)
    (room,) = report.temperature.rooms
    assert room.quarter is not None
    assert room.quarter.hours()["within"] == 92 * 24
    assert sum(room.quarter.hours().values()) == 92 * 24
    assert (room.rci_high, room.rci_low) == (100.0, 100.0)
    assert room.highest_c == pytest.approx(22.0)
    assert report.gaps == ()
    assert report.restated == ()
    assert report.provisional
    assert [meter.terms for meter in report.meters] == [("+ E_DC",), ("+ E_IT",), ("+ W_IN",)]


def test_twelve_months_and_a_quarter_apart(yard: Yard) -> None:
    """200 kWh a day from October on: 2.0 in the quarter, (273 × 150 + 92 × 200) / 36 500 of all."""
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "dc", days(200 * KWH, OCTOBER))
    report = gathered(yard.folder)
    quarter, year = report.quarter.kpis.pue, report.year.kpis.pue
    assert quarter.value == pytest.approx(2.0)
    assert year.value == pytest.approx(59_350 / 36_500)
    assert (quarter.label, year.label) == ("iPUE2", "PUE2")
    assert (quarter.period_kind, year.period_kind) == (PeriodKind.INTERIM, PeriodKind.ANNUAL)
    assert amount(report.year, "E_DC").value == pytest.approx(59_350)
    assert report.record.pue[0] == year


def test_a_hole_leaves_no_total(yard: Yard) -> None:
    """Ten days of the quarter without a reading: no total, no iPUE; the year's ratio stands."""
    never_read(yard.folder, "dc", 300, 310)
    report = gathered(yard.folder)
    e_dc = amount(report.quarter, "E_DC")
    assert e_dc.value is None
    assert e_dc.reason == "not measured: coverage of the total 89.1 % is below 99.9 %"
    assert e_dc.coverage == pytest.approx(82 / 92)
    assert amount(report.year, "E_DC").value is None
    assert amount(report.quarter, "E_IT").value == pytest.approx(9200)
    assert report.quarter.kpis.pue.value is None
    assert report.year.kpis.pue.value == pytest.approx(1.5)
    (gap,) = report.gaps
    assert (gap.meter, gap.start_ms, gap.end_ms) == ("dc", START + 300 * DAY, START + 310 * DAY)
    assert (gap.bridged, gap.flags) == (False, ())
    assert next(meter for meter in report.meters if meter.id == "dc").coverage == e_dc.coverage
    october, november, december = report.months[-3:]
    assert october.e_dc_w is None
    assert november.e_dc_w is None
    assert december.e_dc_w == pytest.approx(6250)
    assert october.e_it_w == pytest.approx(100_000 / 24)


def test_thirty_six_summer_days_away(yard: Yard) -> None:
    """90.1 % of the year is left, and no annual figure: the hole is longer than ten days."""
    for meter in ("dc", "it"):
        never_read(yard.folder, meter, 181, 217)
    report = gathered(yard.folder)
    assert report.year.kpis.pue.value is None
    assert report.year.kpis.pue.coverage == pytest.approx(329 / 365)
    assert report.year.kpis.pue.reason == (
        "not measured: a gap of 36.0 days is longer than 10 days"
    )
    assert amount(report.year, "E_IT").value is None
    assert report.quarter.kpis.pue.value == pytest.approx(1.5)
    assert amount(report.quarter, "E_IT").value == pytest.approx(9200)


def test_a_register_bridges(yard: Yard) -> None:
    """What a register tells across a gap is a total; when it flowed is not, and is a gap."""
    with ledger_of(yard.folder) as ledger:
        bridged = [
            Interval(
                row.start_ms,
                row.end_ms,
                row.amount,
                DAY,
                0,
                row.basis,
                row.grade,
                flags=frozenset({Flag.BRIDGED}),
            )
            for row in days(150 * KWH, 300, 310)
        ]
        keep(ledger, "dc", bridged)
    report = gathered(yard.folder)
    assert amount(report.quarter, "E_DC").value == pytest.approx(13_800)
    (gap,) = report.gaps
    assert (gap.start_ms, gap.end_ms) == (START + 300 * DAY, START + 310 * DAY)
    assert (gap.bridged, gap.flags) == (True, ())


def test_an_attested_month(yard: Yard) -> None:
    """November by a bill of 4 500 kWh: counted, and shown apart with its share and who signed."""
    never_read(yard.folder, "dc", NOVEMBER, DECEMBER)
    with ledger_of(yard.folder) as ledger:
        attest(ledger, "dc", 4500 * KWH, START + NOVEMBER * DAY, START + DECEMBER * DAY)
    report = gathered(yard.folder)
    for figures, whole in ((report.quarter, 13_800), (report.year, 54_750)):
        e_dc = amount(figures, "E_DC")
        assert e_dc.value == pytest.approx(whole)
        assert e_dc.attested_share == pytest.approx(4500 / whole)
        assert (e_dc.bases, e_dc.grade) == (("attested", "register"), Grade.MEDIUM)
        assert figures.kpis.pue.status is Status.MIXED
        assert figures.without_attested is not None
        assert figures.without_attested.pue.value is None
    (event,) = report.events
    assert (event.meter, event.kind, event.signatory) == ("dc", "amount", "operator")
    assert (event.confirmed_by, event.text) == ("", "test")
    (gap,) = report.gaps
    assert (gap.flags, gap.bridged) == (("attested",), False)
    assert report.months[10].e_dc_w == pytest.approx(6250)


def test_two_people(yard: Yard) -> None:
    """Where the policy asks for a second person, a bill counts from its confirmation on."""
    yard.edit("policy.toml", "two_people = []", 'two_people = ["attestation"]')
    never_read(yard.folder, "dc", NOVEMBER, DECEMBER)
    site = sites.load(yard.folder / "yard.toml")
    with ledger_of(yard.folder) as ledger:
        attest(ledger, "dc", 4500 * KWH, START + NOVEMBER * DAY, START + DECEMBER * DAY)
        (entry,) = ledger.entries("yard", "amount", "dc")
    alone = gathered(yard.folder)
    assert amount(alone.year, "E_DC").value is None
    assert alone.year.kpis.pue.value is None
    assert alone.record.pue[0].value is None
    with ledger_of(yard.folder) as ledger:
        confirm(ledger, site, entry.id, signatory="second", now_ms=END)
    both = gathered(yard.folder)
    assert amount(both.year, "E_DC").value == pytest.approx(54_750)
    assert both.year.kpis.pue.value == pytest.approx(1.5)
    assert [(each.entry, each.confirmed_by) for each in both.events] == [(entry.id, "second")]


def test_a_running_quarter(yard: Yard) -> None:
    """Asked in the middle of a quarter: what there is of it, and the twelve months up to then."""
    report = gathered(yard.folder, now_ms=START + (NOVEMBER + 14) * DAY)
    assert report.record.running
    assert report.provisional
    assert report.quarter.last == date(2025, 11, 14)
    assert (report.year.first, report.year.last) == (date(2024, 11, 15), date(2025, 11, 14))
    assert amount(report.quarter, "E_DC").value == pytest.approx(45 * 150)
    assert amount(report.year, "E_DC").value is None


def test_inventory_changes(yard: Yard) -> None:
    """One came, one went with its reason, one only moved."""
    lines = SERVERS.replace("valid_from;feeds", "valid_from;feeds;valid_to;removal")
    lines = lines.replace("gw/host:SN1", "gw/host:SN1;;").replace("let:2", "let:2;;")
    lines += "SRV-3;SN9;R;1;A1;o;u;A2;2025-11-03;;;\n"
    lines += "SRV-4;SN4;R;1;A1;o;u;A2;2024-01-01;;2025-12-01;sold\n"
    lines += "SRV-5;SN5;R;1;A1;o;u;A2;2024-01-01;;2025-12-02;moved\n"
    lines += "SRV-5;SN5;R;1;A2;o;u;A2;2025-12-02;;;\n"
    (yard.folder / "servers.csv").write_text(lines, encoding="utf-8")
    report = gathered(yard.folder)
    assert [(each.server, each.day, each.came, each.reason) for each in report.inventory] == [
        ("SRV-3", date(2025, 11, 3), True, ""),
        ("SRV-4", date(2025, 12, 1), False, "sold"),
    ]


def test_calendar(yard: Yard) -> None:
    """The law's dates after the quarter, the return's; the label's only where texts to come are."""
    assert [(each.key, each.day) for each in gathered(yard.folder).calendar] == [
        ("legal_report", date(2026, 5, 15)),
        ("annual_return", date(2026, 6, 1)),
        ("tertiary_report", date(2026, 9, 30)),
    ]
    yard.edit("policy.toml", 'version = "test"', 'version = "test"\npending_texts = true')
    with_texts = gathered(yard.folder)
    assert with_texts.calendar[-1].key == "label"
    assert with_texts.calendar[-1].day == date(2027, 8, 15)
    assert [rule.id for rule in with_texts.rules if rule.status == "adopted_pending"] == [
        "wue-2026"
    ]
    third = gathered(yard.folder, "2025-Q1").calendar
    assert [each.day for each in third if each.key == "legal_report"] == [date(2025, 5, 15)]


def test_sobriety(yard: Yard) -> None:
    """200 kWh a day in 2024, 150 in 2025, a factor of 0.05: a quarter less than in a leap year."""
    yard.edit("policy.toml", 'edition = "test"', 'edition = "test"\nsobriety_base_year = 2024')
    site = yard.folder / "yard.toml"
    factor = '\n[[emission_factors]]\nkg_co2e_per_kwh = 0.05\nsource = "x"\nscope = "direct"\n'
    site.write_text(site.read_text(encoding="utf-8") + factor, encoding="utf-8")
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "dc", days(200 * KWH, -366, 0))
    found = gathered(yard.folder).sobriety
    assert found is not None
    assert (found.base_first, found.base_last) == (date(2024, 1, 1), date(2024, 12, 31))
    rows = {row.symbol: row for row in found.rows}
    assert rows["E_DC"].base == pytest.approx(73_200)
    assert rows["E_DC"].now == pytest.approx(54_750)
    assert rows["E_DC"].change == pytest.approx(54_750 / 73_200 - 1)
    assert rows["CO2e"].base == pytest.approx(3.66)
    assert rows["CO2e"].now == pytest.approx(2.7375)
    assert (rows["W_IN"].base, rows["W_IN"].change) == (None, None)
    assert rows["W_IN"].now == pytest.approx(3.65)
    assert rows["W_IN"].reason == "not measured: coverage of the total 0.0 % is below 99.9 %"


def test_factors_of_two_scopes_are_not_set_side_by_side(yard: Yard) -> None:
    """Direct emissions then and life-cycle emissions now: both amounts, and no change."""
    yard.edit("policy.toml", 'edition = "test"', 'edition = "test"\nsobriety_base_year = 2024')
    site = yard.folder / "yard.toml"
    factors = """
[[emission_factors]]
kg_co2e_per_kwh = 0.02
source = "x"
scope = "direct"
valid_to = "2025-01-01"

[[emission_factors]]
kg_co2e_per_kwh = 0.05
source = "y"
scope = "life_cycle"
valid_from = "2025-01-01"
"""
    site.write_text(site.read_text(encoding="utf-8") + factors, encoding="utf-8")
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "dc", days(200 * KWH, -366, 0))
    report = gathered(yard.folder)
    assert report.sobriety is not None
    carbon = report.sobriety.rows[-1]
    assert carbon.base == pytest.approx(1.464)
    assert carbon.now == pytest.approx(2.7375)
    assert carbon.change is None
    assert carbon.reason == ("emission factors of different scope never mix: direct, life_cycle")
    assert [(each.source, each.scope) for each in report.factors] == [("y", "life_cycle")]


def test_a_policy_without_a_base_year_keeps_its_hash() -> None:
    """Approvals of older policies stand; a base year is part of what is approved."""
    plain = policy.read('version = "test"', "p")
    named = policy.read('version = "test"\n[goal]\nsobriety_base_year = 2021', "p")
    assert policy.policy_hash(plain) == HASH_OF_TEST
    assert policy.policy_hash(named) != HASH_OF_TEST


def test_the_same_ledger_gives_the_same_report(yard: Yard) -> None:
    """Whenever it is gathered, and as it reads back from its JSON."""
    one = gathered(yard.folder)
    later = gathered(yard.folder, now_ms=NOW + 400 * DAY)
    assert data_hash(one) == data_hash(later)
    assert one.gathered_ms != later.gathered_ms
    again = decode(encode(one))
    assert again == one
    assert data_hash(again) == data_hash(one)
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "dc", days(151 * KWH, 364))
    assert data_hash(gathered(yard.folder)) != data_hash(one)


def test_closed_quarters_are_the_way_so_far(yard: Yard) -> None:
    """The third quarter is closed: a point of the fourth's trajectory, and of no earlier one's."""
    third = closed(yard.folder, "2025-Q3")
    (point,) = gathered(yard.folder).record.trajectory.history
    assert point.day == date(2025, 9, 30)
    assert point.total == third.record.headline.total
    assert gathered(yard.folder, "2025-Q3").record.trajectory.history == ()


def test_objectives_and_milestones_are_the_policys(yard: Yard) -> None:
    """Its figures reach the text, the chart and the table, with closed quarters and without."""
    plain = page.html(gathered(yard.folder), "en")
    assert "PUE below 1.5 and WUE of at most 0.4\u00a0m³/MWh: objective of RGESN" in plain.replace(
        " m³", "\u00a0m³"
    )
    assert "The policy sets no dated milestone." in plain
    yard.edit(
        "policy.toml",
        "[counting]",
        "[[goal.milestones]]\nday = 2026-12-31\nshare = 0.62\nnote = 'hall B'\n"
        "[site]\npue_objective = 1.3\nwue_objective = 0.35\n[counting]",
    )
    for history in (False, True):
        if history:
            closed(yard.folder, "2025-Q3")
        report = gathered(yard.folder)
        shown = page.html(report, "en")
        assert "PUE below 1.3 and WUE of at most 0.35" in shown
        assert "objectives of the policy" in shown
        assert "objective of the policy 1.3" in shown
        assert "objective of RGESN" not in shown
        for cell in ("Dated milestones", "hall B", "62"):
            assert cell in shown
        assert [one.note for one in report.record.trajectory.goals[-1].milestones] == ["hall B"]
        assert bool(report.record.trajectory.history) is history


def test_a_closed_quarter_gathered_anew_is_the_same(yard: Yard) -> None:
    """Closing is no change of what the report says."""
    stored = closed(yard.folder, "2025-Q4")
    assert data_hash(gathered(yard.folder)) == data_hash(stored)


def test_a_report_names_the_head_of_the_chain(yard: Yard) -> None:
    """When gathered, and once closed what its closing is linked to; no part of the hash."""
    with ledger_of(yard.folder) as ledger:
        last = ledger.links("yard")[-1]
    before = gathered(yard.folder)
    assert before.chain_head == last.digest
    stored = closed(yard.folder, "2025-Q4")
    with ledger_of(yard.folder) as ledger:
        (step,) = ledger.links("yard", "quarter", "2025-Q4")
        assert verify(ledger, anchor=stored.chain_head).problems == ()
    assert stored.chain_head == step.previous == last.digest
    after = gathered(yard.folder)
    assert after.chain_head == step.digest
    assert data_hash(after) == data_hash(before)


def test_a_restated_figure_is_marked(yard: Yard) -> None:
    """A server comes to light after closing: its edition says so, and so does one gathered anew."""
    first = closed(yard.folder, "2025-Q4")
    listed = yard.folder / "servers.csv"
    row = "SRV-6;SN6;R;1;A1;o;u;A2;2024-01-01;\n"
    listed.write_text(listed.read_text(encoding="utf-8") + row, encoding="utf-8")
    report = gathered(yard.folder)
    assert _restated(report) == [
        ("servers.total", 3.0, 4.0, "1", False),
        ("servers.declared.racks", 1.0, 0.0, "1", False),
        ("servers.not_demonstrated", 0.0, 1.0, "1", False),
        ("servers.not_demonstrated.kwh", 0.0, None, "kWh", False),
        ("servers.not_demonstrated.racks", 0.0, 1.0, "1", False),
    ]
    assert all(each.quarter == "2025-Q4" for each in report.restated)
    second = closed(yard.folder, "2025-Q4", note="a server was missing")
    assert (first.revision, second.revision) == (1, 2)
    assert second.restated == report.restated
    assert data_hash(gathered(yard.folder)) == data_hash(second)


def _restated(report: Report) -> list[tuple[str, float | None, float | None, str, bool]]:
    return [
        (each.figure, each.before, each.after, each.unit, each.published)
        for each in report.restated
    ]


def test_water_is_a_commodity_of_its_own(yard: Yard) -> None:
    """Twice the water in the quarter moves WUE and its total, and no energy."""
    with ledger_of(yard.folder) as ledger:
        keep(ledger, "tank", days(0.02, OCTOBER), Commodity.WATER)
    report = gathered(yard.folder)
    assert amount(report.quarter, "W_IN").value == pytest.approx(1.84)
    assert report.quarter.kpis.wue.value == pytest.approx(0.2)
    assert report.quarter.kpis.pue.value == pytest.approx(1.5)
