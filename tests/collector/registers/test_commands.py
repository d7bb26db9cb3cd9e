"""The commands by which people enter things, through the real command line."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.registers.events import enter_event
from jauge_models.intervals import Basis, Flag, Grade
from jauge_models.topology import Event, EventKind, Validity

from tests.collector.ledger.bench import DAY, HOUR, KWH, MAINS, MINUTE, QUARTER, START, Bench

METERS = (
    MAINS
    + """
[[meters]]
id = "water"
commodity = "water"
"""
)


class Desk:
    """A configured collector without any process: the command line, and its site behind it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.config = folder / "collector.toml"
        self.config.write_text(
            'sites = ["lab.toml"]\nstate_dir = "."\n[store]\nretention_days = 20000\n',
            encoding="utf-8",
        )
        self.use(lambda _bench: _nothing())

    def use(self, work: Callable[[Bench], Coroutine[Any, Any, None]], meters: str = METERS) -> None:
        """Do something with the site's store and ledger."""

        async def entered() -> None:
            async with Bench(self.folder, meters, retention_days=20000) as bench:
                await work(bench)

        asyncio.run(entered())

    def run(self, *words: str, code: int = 0) -> str:
        """One command; returns stdout, or on failure the one line on stderr."""
        self._capsys.readouterr()
        got = cli.main([*words, "--site", "lab", "--config", str(self.config)])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        if code == 0:
            assert err == ""
            return str(out)
        assert len(err.splitlines()) <= 1, err
        return str(err or out)

    def json(self, *words: str, code: int = 0) -> Any:
        """One command's JSON."""
        return json.loads(self.run(*words, "--json", code=code))

    def restate(self) -> str:
        """What an entry changes of rows that were closed long ago, signed."""
        why = ("--reason", "entered late", "--signatory", "A. Martin")
        return self.run("quarter", "restate", "--quarter", "2026-Q1", *why)


async def _nothing() -> None:
    return


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A site with one fed meter and a water meter that is only read by people."""
    return Desk(tmp_path, capsys)


async def _two_days(bench: Bench) -> None:
    await bench.receive(
        [(at, KWH * (1 + 12 * at / HOUR)) for at in range(0, 2 * DAY + 1, 5 * MINUTE)]
    )
    await bench.account(3 * DAY)


AGREEING = ("--reading", "201", "--at", "2026-01-01T08:00", "--reading", "489.5", "--at")


def test_a_meter_counts_once_dial_and_record_agree(desk: Desk) -> None:
    """Two dial readings within 2 % of the record commission it from the first one's moment."""
    desk.use(_two_days)
    told = desk.json("meter", "commission", "--meter", "mains", *AGREEING, "2026-01-02T08:00")
    assert told["agrees"]
    assert told["on_dial"] == pytest.approx(288.5)
    assert told["recorded"] == pytest.approx(288)
    assert told["counts_from"] == "2026-01-01T08:00:00+00:00"

    async def check(bench: Bench) -> None:
        assert bench.ledger.commissioned("lab") == {"mains": START + 8 * HOUR}
        since = bench.ledger.commissioned("lab")
        rows = bench.ledger.rows("lab", ["mains"], START, START + DAY, counts_from=since)
        assert rows["mains"][0].start_ms == START + 8 * HOUR

    desk.use(check)
    listed = desk.json("meter", "list", "--meter", "mains")
    assert listed[0]["counts_from"] == "2026-01-01T08:00:00+00:00"
    assert [e["kind"] for e in listed[0]["entries"]] == ["reading", "reading", "commissioning"]


def test_a_meter_that_disagrees_with_its_dial_does_not_count(desk: Desk) -> None:
    """The difference is named, the exit code is 1 and nothing is commissioned."""
    desk.use(_two_days)
    words = ("--reading", "201", "--at", "2026-01-01T08:00", "--reading", "208.2", "--at")
    line = desk.run("meter", "commission", "--meter", "mains", *words, "2026-01-02T08:00", code=1)
    assert "does not count" in line
    assert "+3900.00 %" in line
    told = desk.json("meter", "commission", "--meter", "mains", "--multiplier", "40")
    assert told["agrees"], "the last two readings are taken, and the multiplier explains them"


def test_a_meter_without_a_record_does_not_count(desk: Desk) -> None:
    """Dial readings alone commission nothing: the record must cover the time between them."""
    line = desk.run(
        "meter", "commission", "--meter", "mains", *AGREEING, "2026-01-02T08:00", code=1
    )
    assert "covers only 0.0 %" in line


def test_an_attested_amount_stands_where_nothing_was_measured(desk: Desk) -> None:
    """A bill with its document is kept under the hash and fills its span, as attested."""
    desk.use(_two_days)
    bill = desk.folder / "bill.pdf"
    bill.write_bytes(b"%PDF example")
    words = ("attest", "--meter", "mains", "--unit", "MWh", "--signatory", "energy manager")
    told = desk.json(
        *words, "--amount", "8.4", "--from", "2026-02-01", "--to", "2026-03-01",
        "--document", str(bill),
    )  # fmt: skip
    digest = hashlib.sha256(b"%PDF example").hexdigest()
    assert told["document"] == digest
    assert (desk.folder / "documents" / digest).read_bytes() == b"%PDF example"
    again = (*words, "--amount", "8.4", "--from", "2026-02-01", "--to", "2026-03-01", "--document")
    desk.run(*again, str(bill), code=2)
    bill.write_bytes(b"%PDF other")
    desk.run(*again, str(bill), code=2)
    kept = [path.name for path in (desk.folder / "documents").iterdir()]
    assert kept == [digest], "a refused entry leaves none, and takes none away"
    desk.run(*words, "--amount", "0.3", "--from", "2026-01-01", "--to", "2026-01-02")

    async def check(bench: Bench) -> None:
        (row,) = bench.rows(start=31 * DAY, end=40 * DAY)
        assert (row.amount, row.basis, row.grade) == (8.4e3 * KWH, Basis.ATTESTED, Grade.MEDIUM)
        assert row.coverage == 1
        first = bench.rows(end=DAY)
        assert {r.basis for r in first} == {Basis.REGISTER}, "measured rows go before"
        assert len(first) == 96

    desk.use(check)


def test_an_attested_value_is_corrected_only_by_a_new_entry(desk: Desk) -> None:
    """The old entry stays, names its successor, and cannot be corrected twice."""
    words = ("attest", "--meter", "water", "--unit", "m3", "--signatory", "energy manager")
    span = ("--from", "2026-02-01", "--to", "2026-03-01")
    key = desk.json(*words, "--amount", "100", *span)["id"]
    assert "overlaps" in desk.run(*words, "--amount", "110", *span, code=2)
    desk.run(*words, "--amount", "110000", *span, "--corrects", str(key), "--unit", "L")
    assert "already corrected" in desk.run(
        *words, "--amount", "1", "--from", "2026-04-01", "--to", "2026-05-01",
        "--corrects", str(key), code=2,
    )  # fmt: skip
    listed = desk.json("attest", "--list")
    assert [(e["entered"], e["corrected_by"]) for e in listed] == [
        ("100 m3", key + 1),
        ("110000 L", None),
    ]

    async def check(bench: Bench) -> None:
        (row,) = bench.rows("water", 31 * DAY, 59 * DAY)
        assert row.amount == pytest.approx(110)

    desk.use(check)


def test_dial_readings_of_a_meter_that_nothing_feeds_give_its_rows(desk: Desk) -> None:
    """From each reading to the next the difference is attested; a corrected one restates."""
    words = ("attest", "--meter", "water", "--unit", "m3", "--signatory", "energy manager")
    key = 0
    for day, value in (("01", 10), ("11", 25.5), ("21", 30)):
        key = desk.json(*words, "--reading", str(value), "--at", f"2026-01-{day}")["id"]

    async def check(bench: Bench) -> None:
        rows = bench.rows("water")
        assert [(r.amount, r.basis) for r in rows] == [
            (15.5, Basis.ATTESTED),
            (4.5, Basis.ATTESTED),
        ]
        assert rows[0].end_ms == START + 10 * DAY

    desk.use(check)
    desk.run(*words, "--reading", "31", "--at", "2026-01-21", "--corrects", str(key))

    async def corrected(bench: Bench) -> None:
        assert [row.amount for row in bench.rows("water")] == [15.5, 5.5]
        assert len(bench.ledger.history("lab", "water", START + 10 * DAY)) == 2

    desk.use(corrected)


def test_a_factor_entered_at_the_command_line_counts_once_it_is_restated(desk: Desk) -> None:
    """Without a running collector the command brings the rows up to date; old ones are closed."""
    desk.use(_two_days)
    out = desk.run(
        "meter", "factor", "--meter", "mains", "--value", "2", "--from", "2026-01-02",
        "--reason", "200/5 A transformers",
    )  # fmt: skip
    assert "0 of them restated; 96 closed rows would change" in out
    assert "mains: 96 rows changed, 288 -> 576 kWh" in desk.restate()

    async def check(bench: Bench) -> None:
        assert bench.row(DAY - QUARTER).amount == pytest.approx(3 * KWH)
        assert bench.row(DAY).amount == pytest.approx(6 * KWH)

    desk.use(check)


def test_a_running_collector_keeps_the_lock_and_does_the_work(desk: Desk) -> None:
    """An entry is taken while a collector runs; the rows are left to it."""
    desk.use(_two_days)

    async def held(bench: Bench) -> None:
        with bench.ledger.writer():
            out = await asyncio.to_thread(
                desk.run, "meter", "replace", "--meter", "mains", "--final", "570", "--first",
                "0", "--at", "2026-01-02T23:00",
            )  # fmt: skip
            assert "running collector" in out
        assert any(mark.scope == "meter" for mark in bench.ledger.marks("lab", 0))

    desk.use(held)


def test_a_dial_shows_one_value_at_a_time(desk: Desk) -> None:
    """Of two the amount between them would be lost: the second is refused, but as a correction."""
    words = ("meter", "read", "--meter", "water", "--at", "2026-01-11", "--reading")
    desk.json("meter", "read", "--meter", "water", "--at", "2026-01-01", "--reading", "10")
    key = desk.json(*words, "20")["id"]
    error = desk.run(*words, "25", code=2)
    assert f"reading {key} of water says 20 m3 at that time; correct that" in error
    desk.json(*words, "20")
    desk.run(*words, "25", "--corrects", str(key))
    other = desk.json("meter", "read", "--meter", "water", "--at", "2026-01-12", "--reading", "30")
    assert "at that time" in desk.run(*words, "30", "--corrects", str(other["id"]), code=2)


def test_a_replacement_and_a_reading_end_a_suspension(desk: Desk) -> None:
    """A meter that fell back undeclared is suspended until its replacement is entered."""

    async def fallen(bench: Bench) -> None:
        await bench.receive([(at, KWH * (1 + 12 * at / HOUR)) for at in range(0, HOUR, MINUTE)])
        await bench.receive(
            [(at, KWH * 12 * (at - HOUR) / HOUR) for at in range(HOUR, 2 * HOUR + 1, MINUTE)]
        )
        await bench.account()

    desk.use(fallen)
    assert desk.json("meter", "list")[0]["suspended_since"] == "2026-01-01T00:59:00+00:00"
    assert "suspended since" in desk.run("meter", "list")
    desk.run(
        "meter", "replace", "--meter", "mains", "--final", "13", "--first", "0",
        "--at", "2026-01-01T01:00", "--reason", "calibration due",
    )  # fmt: skip
    assert desk.json("meter", "list")[0]["suspended_since"] is None
    desk.restate()

    async def check(bench: Bench) -> None:
        assert sum(row.amount or 0 for row in bench.rows()) == pytest.approx(24 * KWH)

    desk.use(check)


def test_events_are_entered_and_listed(desk: Desk) -> None:
    """An event shows with its span on the site's clock, and with its correction."""
    words = ("event", "add", "--kind", "bypass", "--subject", "mains", "--from")
    told = desk.json(*words, "2026-03-02T10:00", "--to", "2026-03-02T11:00")
    desk.run(*words, "2026-03-02T10:00", "--to", "2026-03-02T11:30", "--corrects", str(told["id"]))
    listed = desk.json("event", "list")
    assert [(e["event"], e["corrected_by"]) for e in listed] == [
        ("bypass", told["id"] + 1),
        ("bypass", None),
    ]
    assert "corrected by" in desk.run("event", "list")


HOST = """
[[hosts]]
id = "srv"
feeds = ["bmc/host:serial"]
"""


def test_an_event_may_name_a_host(desk: Desk) -> None:
    """By its id or by what reads it; its rows are computed again where zeros mean nothing then."""
    desk.use(lambda _bench: _nothing(), METERS + HOST)
    words = ("event", "add", "--from", "2026-01-01T10:00", "--to", "2026-01-01T11:00", "--subject")
    desk.json(*words, "srv", "--kind", "maintenance")
    desk.json(*words, "bmc/host:serial", "--kind", "battery")

    async def unmarked(bench: Bench) -> None:
        assert "srv" not in {mark.name for mark in bench.ledger.marks("lab", bench.now_ms)}
        event = Event(EventKind.BYPASS, Validity(START, START + HOUR), "srv", "test")
        enter_event(bench.ledger, bench.site, event, now_ms=bench.now_ms)
        assert {"srv", "mains"} <= {m.name for m in bench.ledger.marks("lab", bench.now_ms)}

    desk.use(unmarked, METERS + HOST)
    line = desk.run(*words, "svr", "--kind", "maintenance", code=2)
    assert "known are bmc/host:serial, gw/" not in line
    assert "bmc/host:serial, mains, meter:mains, srv, water" in line
    assert "knows no 'host:serial'" in desk.run(
        *words, "host:serial", "--kind", "maintenance", code=2
    ), "that may be any machine's"


WRONG = [
    (("meter", "read", "--meter", "mian", "--reading", "1", "--at", "2026-01-01"), "mains"),
    (("meter", "read", "--meter", "mains", "--reading", "1", "--at", "32.1."), "is no date"),
    (("meter", "read", "--meter", "mains", "--reading", "1", "--at", "2126-01-01"), "future"),
    (("meter", "read", "--meter", "mains", "--reading", "nan", "--at", "2026-01-01"), "reading"),
    (
        ("meter", "factor", "--meter", "mains", "--value", "0", "--from", "2026-01-01",
         "--reason", "x"),
        "above 0",
    ),
    (("meter", "commission", "--meter", "mains"), "two dial readings"),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "m3", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x"),
        "does not fit electricity",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-02",
         "--to", "2026-01-02", "--signatory", "x"),
        "not after",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02"),
        "--signatory",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--at", "2026-01-02",
         "--signatory", "x"),
        "--from",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x", "--document", "absent.pdf"),
        "absent.pdf",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x", "--document", "/dev/zero"),
        "/dev/zero: cannot be kept: is no regular file",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", " - "),
        "--signatory: missing",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x", "--corrects", "77"),
        "no amount numbered 77",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "-5", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x"),
        "--amount: -5 kWh is no amount",
    ),
    (
        ("attest", "--meter", "mains", "--reading", "-5", "--unit", "kWh", "--at", "2026-01-01",
         "--signatory", "x"),
        "--reading: -5 kWh is no dial reading",
    ),
    (
        ("attest", "--meter", "mains", "--amount", "1", "--unit", "kWh", "--from", "2026-01-01",
         "--to", "2026-01-02", "--signatory", "x", "--corrects", "99999999999999999999"),
        "no amount numbered 99999999999999999999",
    ),
    (
        ("event", "add", "--kind", "bypass", "--subject", "mains", "--from", "2026-01-01",
         "--to", "2026-01-02", "--corrects", "99999999999999999999"),
        "no event numbered",
    ),
    (
        ("meter", "read", "--meter", "mains", "--reading", "1", "--at", "2026-01-01",
         "--corrects", "99999999999999999999"),
        "no reading numbered",
    ),
    *(
        (("meter", "factor", "--meter", "mains", f"--value={value}", "--from", "2026-01-01",
          "--reason", "x"), "--value")
        for value in ("-1", "inf", "-inf", "nan", "1e300")
    ),
    *(
        (("meter", "replace", "--meter", "mains", option, value, other, "1", "--at",
          "2026-01-01"), f"{option}: ")
        for option, other in (("--final", "--first"), ("--first", "--final"))
        for value in ("-1", "inf", "nan", "1e305")
    ),
    *(
        (("meter", "commission", "--meter", "mains", "--multiplier", value), "--multiplier")
        for value in ("-1", "0", "inf", "nan", "1e300")
    ),
    *(
        (("meter", "commission", "--meter", "mains", "--reading", "1", "--at", "2026-01-01",
          "--reading", value, "--at", "2026-01-02"), "--reading")
        for value in ("-1", "inf", "nan", "1e305")
    ),
    (
        ("event", "add", "--kind", "bypass", "--subject", "ups-z", "--from", "2026-01-01",
         "--to", "2026-01-02"),
        "ups-z",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_bad_input_is_one_clear_line(desk: Desk, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, one line that names what is wrong, and no entry made."""
    assert said in desk.run(*words, code=2)

    async def check(bench: Bench) -> None:
        for kind in ("reading", "amount", "replacement", "factor", "event", "commissioning"):
            assert bench.ledger.entries("lab", kind, corrected=True) == []

    desk.use(check)


def test_an_unknown_site_is_named_with_those_known(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says which sites there are."""
    words = ["meter", "list", "--site", "bal", "--config", str(desk.config)]
    assert cli.main(words) == 2
    assert "known are lab" in capsys.readouterr().err


def test_an_amount_that_does_not_count_says_so(desk: Desk) -> None:
    """One measured quarter of an hour in an attested month sets it aside, and that is named."""
    desk.use(_two_days)
    desk.run("meter", "commission", "--meter", "mains", *AGREEING, "2026-01-02T08:00")
    words = ("attest", "--meter", "mains", "--unit", "MWh", "--signatory", "energy manager")
    told = desk.json(*words, "--amount", "8", "--from", "2026-01-02", "--to", "2026-02-01")
    assert told["counts"] is False
    assert "between 2026-01-02T00:00:00+00:00 and 2026-01-03T00:00:00+00:00" in told["rows"]
    assert desk.json(*words, "--amount", "7", "--from", "2026-02-01", "--to", "2026-03-01")[
        "counts"
    ]
    early = desk.run(*words, "--amount", "1", "--from", "2025-12-31", "--to", "2026-01-01T08:00")
    assert "stands where nothing was measured" in early, "rows before the commissioning count not"

    async def check(bench: Bench) -> None:
        year = ("lab", ["water", "mains"], START - DAY, START + 60 * DAY)
        since = bench.ledger.commissioned("lab")
        (aside,) = bench.ledger.set_aside(*year, counts_from=since)
        assert (aside.entry.id, aside.entry.subject) == (told["id"], "mains")
        assert (aside.first_ms, aside.last_ms) == (START + DAY, START + 2 * DAY)
        assert len(bench.ledger.set_aside(*year)) == 2, "as in rows: without it every row counts"
        assert bench.ledger.set_aside("lab", ["mains"], START + 31 * DAY, START + 59 * DAY) == []
        amounts = [r.amount for r in bench.ledger.rows(*year, counts_from=since)["mains"]]
        assert 8e3 * KWH not in amounts

    desk.use(check)


def test_an_entry_of_another_meter_is_not_corrected(desk: Desk) -> None:
    """A wrong --meter beside --corrects is refused; an event may be moved to another subject."""
    desk.use(_two_days)
    key = desk.json(
        "meter", "factor", "--meter", "mains", "--value", "2", "--from", "2026-01-01",
        "--reason", "transformers",
    )["id"]  # fmt: skip
    line = desk.run(
        "meter", "factor", "--meter", "water", "--value", "1", "--from", "2026-01-01",
        "--reason", "slip", "--corrects", str(key), code=2,
    )  # fmt: skip
    assert f"factor {key} is one of 'mains', not of 'water'" in line
    event = ("event", "add", "--kind", "bypass", "--from", "2026-01-01", "--to", "2026-01-02")
    wrong = desk.json(*event, "--subject", "water")["id"]
    desk.run(*event, "--subject", "mains", "--corrects", str(wrong))
    desk.restate()

    async def check(bench: Bench) -> None:
        assert bench.row(DAY).amount == pytest.approx(6 * KWH)

    desk.use(check)


def test_json_never_holds_infinity(desk: Desk) -> None:
    """An entry of an earlier version that holds one is shown, as null."""

    async def old(bench: Bench) -> None:
        bench.ledger.append(
            "lab", "factor", "mains", start_ms=START, content={"value": 2.0}, now_ms=bench.now_ms
        )

    desk.use(old)
    connection = sqlite3.connect(desk.folder / "ledger.db")
    connection.execute("""UPDATE entries SET content = '{"value": Infinity}'""")
    connection.commit()
    connection.close()
    told = desk.run("meter", "list", "--meter", "mains", "--json")
    assert "Infinity" not in told
    assert json.loads(told)[0]["entries"][0]["value"] is None


def test_what_a_wrong_collector_said_of_clocks_is_withdrawn(desk: Desk) -> None:
    """Listed, withdrawn whole spans only, with an entry; the rows follow."""

    async def noted(bench: Bench) -> None:
        await _two_days(bench)
        spans = [ClockSpan(START + HOUR, START + 2 * HOUR, -3_600_000)]
        bench.ledger.note_clock("lab", "gw", spans, bench.now_ms)
        await bench.account(3 * DAY + HOUR)
        assert any(Flag.CLOCK in row.flags for row in bench.rows())

    async def restored(bench: Bench) -> None:
        assert not any(Flag.CLOCK in row.flags for row in bench.rows())
        (entry,) = bench.ledger.entries("lab", "clock_withdrawal")
        assert (entry.subject, entry.signatory) == ("gw", "A. Martin")

    desk.use(noted)
    (listed,) = desk.json("clock", "list")
    assert (listed["agent"], listed["skew_s"]) == ("gw", -3600.0)
    why = ("--reason", "ours", "--signatory", "A. Martin")
    begin = ("clock", "withdraw", "--from", "2026-01-01")
    assert desk.json(*begin, "--to", "2026-01-01T01:30", *why)["withdrawn"] == []
    told = desk.json(*begin, "--to", "2026-01-02", *why)
    assert [(one["agent"], one["spans"]) for one in told["withdrawn"]] == [("gw", 1)]
    assert "restated" in told["rows"]
    assert desk.json("clock", "list") == []
    desk.restate()
    desk.use(restored)
