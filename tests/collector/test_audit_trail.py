"""From a figure to the readings in three steps, each of which adds up to the one before."""

import asyncio
import json
from collections.abc import Iterator
from math import fsum
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jauge_collector import cli, sites
from jauge_collector.audit_trail import explain
from jauge_collector.compliance import archive
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.kpis import site_kpis
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.registers.files import Registers
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.boundaries import Place, Symbol
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.intervals import GRADE_OF, Basis, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.rules import Indicator
from jauge_models.topology import Commodity

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_767_225_600_000
"""2026-01-01T00:00Z."""
KWH = 3.6e6


def _meter(name: str, commodity: str = "electricity") -> str:
    return f"""
[[meters]]
id = "{name}"
commodity = "{commodity}"
feeds = ["gw/meter:{name}"]
interval_s = 3600
counts = "from_start"
reason = "test"
"""


SITE = (
    """
[site]
name = "s"
time_zone = "UTC"
"""
    + "".join(map(_meter, ("dc", "office", "it", "cooling", "reuse")))
    + _meter("tank", "water")
    + """
[[equations]]
symbol = "E_DC"
terms = [
    { meter = "dc" },
    { meter = "office", sign = -1, factor = 0.5, reason = "half", valid_from = "2026-01-02" },
]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "it" }]

[[equations]]
symbol = "E_IT"
place = "it_input"
terms = [{ meter = "it", factor = 0.9 }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "tank" }]

[[equations]]
symbol = "E_REUSE"
terms = [{ meter = "reuse" }]

[[equations]]
symbol = "E_SUB"
zone = "hall"
terms = [{ meter = "cooling" }, { meter = "office", factor = 0.1 }]

[[equations]]
symbol = "E_IT"
zone = "hall"
place = "pdu_output"
terms = [{ meter = "it" }]

[[emission_factors]]
kg_co2e_per_kwh = 0.02
source = "test"
scope = "direct"
valid_to = "2026-01-02T12:30"

[[emission_factors]]
kg_co2e_per_kwh = 0.06
source = "test"
scope = "direct"
valid_from = "2026-01-02T12:30"
"""
)
RATES = {"dc": 150, "office": 20, "it": 100, "cooling": 30, "reuse": 10, "tank": 0.05}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one beside the site's files."""
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    (tmp_path / "collector.toml").write_text(
        'sites = ["site.toml"]\nstate_dir = "."\n[store]\nretention_days = 20000\n',
        encoding="utf-8",
    )
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def _random_rows(random: Random, rate: float, unit: float) -> list[Interval]:
    length = random.choice([HOUR, 5 * HOUR, HOUR // 4])
    found: list[Interval] = []
    for at in range(START - HOUR // 2, START + 3 * DAY + HOUR, length):
        if random.random() < 0.05:
            continue
        basis = random.choice([Basis.REGISTER] * 9 + [Basis.POWER])
        covered = length if random.random() < 0.95 else length // 3
        amount = rate * random.uniform(0.9, 1.1) * unit * covered / HOUR
        found.append(Interval(at, at + length, amount, covered, covered, basis, GRADE_OF[basis]))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_terms_add_up_to_each_side_of_every_indicator(
    tmp_path: Path, ledger: Ledger, seed: int
) -> None:
    """With a sign, factors, a term that begins midway, and emission factors that change midway."""
    random = Random(seed)
    site = sites.load(tmp_path / "site.toml")
    for meter, rate in RATES.items():
        water = meter == "tank"
        rows = _random_rows(random, rate, 1.0 if water else KWH)
        commodity = Commodity.WATER if water else Commodity.ELECTRICITY
        kept = [Row(row, f"gw/meter:{meter}/energy", final=True) for row in rows]
        span = rows[0].start_ms, rows[-1].end_ms
        ledger.save("s", [Stretch(meter, commodity, *span, kept)], START)
    policy = CoveragePolicy(minimum=0.1)
    span = START, START + 3 * DAY
    kpis = site_kpis(ledger, site, *span, policy)
    asked = [
        (Indicator.PUE, "", kpis.pue),
        (Indicator.WUE, "", kpis.wue),
        (Indicator.CUE, "", kpis.cue),
        (Indicator.ERF, "", kpis.erf),
        (Indicator.REF, "", kpis.ref),
        (Indicator.PPUE, "hall", kpis.ppue[0].kpi),
    ]
    for indicator, zone, kpi in asked:
        found = explain(ledger, site, indicator, span, policy, zone=zone)
        assert found.value == kpi.value
        if indicator is Indicator.REF:  # its numerator is not declared
            assert found.numerator is None
            continue
        assert kpi.value is not None
        for side, total in (
            (found.numerator, kpi.numerator),
            (found.denominator, kpi.denominator),
        ):
            assert side is not None
            assert total is not None
            assert total.value is not None
            assert side.amount == total.value
            assert fsum(term.amount for term in side.terms) == pytest.approx(
                total.value, rel=1e-12
            ), (indicator, side.symbol)
    ((place, other),) = [(e.place, e) for e in site.further(Symbol.E_IT)]
    (elsewhere,) = kpis.pue_elsewhere
    found = explain(ledger, site, Indicator.PUE, span, policy, over=other)
    assert place == Place.IT_INPUT
    assert found.value == elsewhere.value != kpis.pue.value
    assert found.denominator is not None
    assert elsewhere.denominator is not None
    assert found.denominator.equation == other.text()
    assert fsum(term.amount for term in found.denominator.terms) == pytest.approx(
        elsewhere.denominator.value, rel=1e-12
    )
    pue = explain(ledger, site, Indicator.PUE, span, policy).numerator
    assert pue is not None
    assert pue.terms[1].amount < 0
    assert pue.terms[1].valid == "from 2026-01-02T00:00:00+00:00"


# --- three steps


async def _measure(folder: Path, ledger: Ledger, *, last_ms: int) -> None:
    """Registers of all meters every quarter hour, with a hole of two hours, and their rows."""
    site = sites.load(folder / "site.toml")
    quarter_hour = HOUR // 4
    async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
        for meter, rate in RATES.items():
            water = meter == "tank"
            unit, quantity = (1.0, "volume") if water else (KWH, "energy")
            series = Series("s", "gw", f"meter:{meter}", quantity)
            await store.write(
                [
                    Reading(series, at, rate * unit * (at - START) / HOUR)
                    for at in range(START, last_ms + 1, quarter_hour)
                    if not 10 * HOUR < at - START < 12 * HOUR
                ]
            )
        with ledger.writer():
            ledger.mark("s", "gw", range(START, last_ms, quarter_hour), last_ms)
            await run_pass(store, ledger, site, last_ms + HOUR)


def _run(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    config = str(folder / "collector.toml")
    code = cli.main(["kpi", "--site", "s", *words, "--config", config])
    out, err = capsys.readouterr()
    assert code == 0, err
    return str(out)


def _json(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(_run(folder, capsys, *words, "--json"))


def test_three_steps_lead_to_the_readings(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each names the next; the register's readings there give the amount of the first."""
    asyncio.run(_measure(tmp_path, ledger, last_ms=START + 2 * DAY))
    period = ("--from", "2026-01-01", "--to", "2026-01-03")
    told = _json(tmp_path, capsys, *period, "--explain")
    figures = _json(tmp_path, capsys, *period)
    assert told["value"] == figures["pue"]["value"]
    (it,) = told["denominator"]["terms"]
    assert it["amount"] == pytest.approx(figures["pue"]["denominator"]["value"])
    assert it["opening"]["value"] == 0
    assert it["closing"] == {"time": "2026-01-03T00:00:00+00:00", "value": 4800.0, "unit": "kWh"}
    assert it["rows"] == 48
    assert it["rows_of_a_day"].endswith("--explain --meter it --day 2026-01-02")

    words = it["rows_of_a_day"].split()[4:]
    day = _json(tmp_path, capsys, *words)
    assert len(day["rows"]) == 24
    assert fsum(row["amount"] for row in day["rows"]) == pytest.approx(2400)
    assert {row["feed"] for row in day["rows"]} == {"gw/meter:it/energy"}
    assert day["readings"].split(" --config")[0].endswith("--day 2026-01-02 --readings")

    (series,) = _json(tmp_path, capsys, *words, "--readings")["series"]
    assert (series["found_in"], series["unit"]) == ("store", "J")
    first, last = series["readings"][0], series["readings"][-1]
    assert (last["value"] - first["value"]) / KWH == pytest.approx(2400)
    opening = day["rows"][0]["opening"]
    assert (first["time"], first["value"] / KWH) == (opening["time"], opening["value"])
    text = _run(tmp_path, capsys, *words, "--readings")
    assert f"{first['time']}  {first['value']!r}" in text


def test_each_place_of_the_it_equation_is_explained(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --over; the first says which others there are."""
    asyncio.run(_measure(tmp_path, ledger, last_ms=START + 2 * DAY))
    words = ("--from", "2026-01-01", "--to", "2026-01-03", "--explain")
    assert "also by the E_IT equation of: it_input (--over PLACE)" in _run(tmp_path, capsys, *words)
    over = _json(tmp_path, capsys, *words, "--over", "it_input")
    (kpi,) = _json(tmp_path, capsys, *words[:4])["pue_elsewhere"]
    assert over["value"] == kpi["value"]
    assert [term["factor"] for term in over["denominator"]["terms"]] == [0.9]
    told = _run(tmp_path, capsys, *words, "--over", "it_input")
    assert "also by the E_IT equation of: pdu_output (--over PLACE)" in told


def test_a_hole_is_named_with_the_readings_around_it(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A register bridges it; the rows say so, and no reading lies in it."""
    asyncio.run(_measure(tmp_path, ledger, last_ms=START + DAY))
    words = ("--explain", "--meter", "it", "--day", "2026-01-01")
    rows = _json(tmp_path, capsys, *words)["rows"]
    bounds = [(row["opening"]["time"], row["closing"]["time"]) for row in rows]
    apart = [n for n, row in enumerate(rows) if bounds[n] != (row["from"], row["to"])]
    assert apart == [10, 11]
    assert set(bounds[10:12]) == {("2026-01-01T10:00:00+00:00", "2026-01-01T12:00:00+00:00")}
    assert all("bridged" in row["flags"] for row in rows[10:12])
    (series,) = _json(tmp_path, capsys, *words, "--readings")["series"]
    times = [reading["time"] for reading in series["readings"]]
    assert "2026-01-01T10:00:00+00:00" in times
    assert not [time for time in times if "T10:15" <= time[10:] < "T12:00"]


def test_what_the_store_forgot_comes_out_of_the_archive(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same readings; and where nothing was archived that is said, not an empty list alone."""
    end = START + 90 * DAY
    asyncio.run(_measure(tmp_path, ledger, last_ms=START + 2 * DAY))
    words = ("--explain", "--meter", "it", "--day", "2026-01-01", "--readings")
    (before,) = _json(tmp_path, capsys, *words)["series"]

    async def keep_and_forget() -> None:
        site = sites.load(tmp_path / "site.toml")
        file = tmp_path / "ledger.db"
        async with SqliteStore(tmp_path / "readings.db", retention_days=20000) as store:
            sources = Sources(site, Registers(), ledger, file, store)
            quarter = quarter_of("2026-Q1", site.zone, end + DAY)
            await archive.archive(sources, tmp_path / "archive", quarter, revision=1)
            await store.erase("s", [("gw", "meter:it")])

    asyncio.run(keep_and_forget())
    (after,) = _json(tmp_path, capsys, *words)["series"]
    assert (before["found_in"], after["found_in"]) == ("store", "archive")
    assert after["readings"] == before["readings"]

    for kept in archive.files_of(tmp_path / "archive", "s", "2026-Q1"):
        kept.unlink()
    (lost,) = _json(tmp_path, capsys, *words)["series"]
    assert (lost["found_in"], lost["readings"]) == ("", [])
    assert "no readings of 2026-Q1 are archived" in lost["lost"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--day", "2026-01-01"], "--day: needs --meter"),
        (["--explain", "--meter", "it"], "--meter: needs --day"),
        (["--explain", "--meter", "x", "--day", "2026-01-01"], "no meter 'x'"),
        (["--explain", "--meter", "it", "--day", "soon"], "--day: 'soon' is no date"),
        (["--explain"], "--from: missing"),
        (["--over", "it_input"], "--over: needs --explain"),
        (
            ["--explain", "--over", "roof", "--from", "2026-01-01", "--to", "2026-01-02"],
            "no E_IT equation of 'roof'; known are pdu_output, it_input",
        ),
        (
            [
                *("--explain", "--over", "it_input", "--indicator", "wue"),
                *("--from", "2026-01-01", "--to", "2026-01-02"),
            ],
            "--over: is of a PUE",
        ),
        (
            ["--explain", "--indicator", "ppue", "--from", "2026-01-01", "--to", "2026-01-02"],
            "known are hall",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path,
    ledger: Ledger,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    """No traceback, no zero exit."""
    assert ledger.entries("s", "amount") == []
    config = str(tmp_path / "collector.toml")
    assert cli.main(["kpi", "--site", "s", *words, "--config", config]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
