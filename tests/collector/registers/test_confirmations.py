"""The second person: who may confirm what, and what counts once somebody has."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from jauge_collector.compliance.confirmed_ledger import ConfirmedLedger, counted
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger import retention as kept
from jauge_collector.ledger.accounting import account_now
from jauge_collector.ledger.verification import verify
from jauge_collector.registers import attestations, meters
from jauge_collector.registers.confirmations import confirm, confirmed, unconfirmed
from jauge_collector.registers.files import Registers
from jauge_models.compliance.policy import Act, Policy
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Replacement
from jauge_models.topology import Factor, Validity

from tests.collector.ledger.bench import DAY, HOUR, KWH, MINUTE, START, Bench
from tests.collector.registers.test_commands import METERS, Desk

TWO = Policy(two_people=frozenset({Act.ATTESTATION}))


def bill(bench: Bench, first: int, last: int, amount: float = 100.0, by: str = "A. First") -> int:
    """A water bill over days since START."""
    return attestations.enter_amount(
        bench.ledger,
        bench.site,
        bench.site.topology.meter("water"),
        amount,
        start_ms=START + first * DAY,
        end_ms=START + last * DAY,
        now_ms=START + 400 * DAY,
        entered=f"{amount:g} m3",
        signatory=by,
    )


def read(
    bench: Bench, day: float, value: float, *, meter: str = "water", corrects: int | None = None
) -> int:
    """A dial reading, days after START; kWh or m3."""
    declared = bench.site.topology.meter(meter)
    return meters.enter_reading(
        bench.ledger,
        bench.site,
        declared,
        meters.to_base(declared, value),
        at_ms=START + round(day * DAY),
        now_ms=START + 400 * DAY,
        entered=f"{value:g}",
        signatory="A. First",
        corrects=corrects,
    )


def second(bench: Bench, *keys: int) -> None:
    """Another person confirms these."""
    for key in keys:
        confirm(bench.ledger, bench.site, key, signatory="B. Second", now_ms=START + 401 * DAY)


async def counting(bench: Bench, meter: str = "water") -> list[tuple[float, float, float | None]]:
    """What counts of a meter: start and end in days after START, and the amount."""
    await account_now(bench.store, bench.ledger, bench.site, START + 401 * DAY)
    with ConfirmedLedger(bench.folder / "ledger.db", bench.site) as ledger:
        rows = ledger.rows("lab", [meter], START, START + 400 * DAY)[meter]
    return [
        ((row.start_ms - START) / DAY, (row.end_ms - START) / DAY, row.amount)
        for row in rows
        if row.amount is not None
    ]


def test_another_person_confirms_an_entry(tmp_path: Path) -> None:
    """It is an entry of its own, linked like any other, and known by the number it confirms."""
    bench = Bench(tmp_path, METERS)
    with bench.ledger as ledger:
        key, other = bill(bench, 0, 31), read(bench, 40, 1)
        number = confirm(
            ledger, bench.site, key, signatory="  B. Second ", now_ms=START, note="seen"
        )
        (entry,) = ledger.entries("lab", "confirmation")
        assert (entry.id, entry.subject, entry.signatory) == (number, str(key), "B. Second")
        assert (entry.start_ms, entry.end_ms) == (START, START + 31 * DAY)
        assert entry.content == {"of": "amount", "note": "seen"}
        assert confirmed(ledger, "lab") == {key: "B. Second"}
        assert confirmed(ledger, "other") == {}
        assert [each.id for each in unconfirmed(ledger, "lab")] == [other]
        assert verify(ledger)[2:5] == (3, 0, 0)
        assert verify(ledger).problems == ()


REFUSED: list[tuple[Callable[[Bench], int], str, str]] = [
    (lambda _: 99, "B. Second", "no attested value numbered 99"),
    (lambda _: -1, "B. Second", "no attested value numbered -1"),
    (lambda bench: bill(bench, 0, 1), " a.  FIRST", "another person"),
    (lambda bench: bill(bench, 0, 1), "Ａ. First", "another person"),
    (lambda bench: bill(bench, 0, 1), "  ", "missing"),
    (lambda bench: bill(bench, 0, 1, by=" "), "B. Second", "names nobody"),
]


@pytest.mark.parametrize(("make", "by", "told"), REFUSED)
def test_who_may_not_confirm(
    tmp_path: Path, make: Callable[[Bench], int], by: str, told: str
) -> None:
    """One line says why, and nothing is entered."""
    bench = Bench(tmp_path, METERS)
    with bench.ledger as ledger:
        key = make(bench)
        with pytest.raises(ConfigurationError, match=told):
            confirm(ledger, bench.site, key, signatory=by, now_ms=START)
        assert ledger.entries("lab", "confirmation") == []


def test_an_entry_is_confirmed_once_and_its_correction_anew(tmp_path: Path) -> None:
    """Nobody confirms what no longer holds; the correction counts only with its own."""
    bench = Bench(tmp_path, METERS)
    with bench.ledger as ledger:
        key = read(bench, 1, 10)
        second(bench, key)
        with pytest.raises(ConfigurationError, match=f"{key} is confirmed already, by B. Second"):
            confirm(ledger, bench.site, key, signatory="C. Third", now_ms=START)
        with pytest.raises(ConfigurationError, match="no attested value"):
            second(bench, ledger.entries("lab", "confirmation")[0].id)
        later = read(bench, 1, 11, corrects=key)
        assert [each.id for each in unconfirmed(ledger, "lab")] == [later]
        with pytest.raises(ConfigurationError, match=f"{key} is corrected by {later}"):
            second(bench, key)
        second(bench, later)
        assert unconfirmed(ledger, "lab") == []


async def test_a_bill_counts_once_it_is_confirmed(tmp_path: Path) -> None:
    """Until then it is as if nobody had entered it."""
    async with Bench(tmp_path, METERS) as bench:
        first, _ = bill(bench, 0, 31), bill(bench, 31, 59)
        assert await counting(bench) == []
        second(bench, first)
        assert await counting(bench) == [(0, 31, 100)]
        bill_again = attestations.enter_amount(
            bench.ledger,
            bench.site,
            bench.site.topology.meter("water"),
            90.0,
            start_ms=START,
            end_ms=START + 31 * DAY,
            now_ms=START + 400 * DAY,
            entered="90 m3",
            signatory="A. First",
            corrects=first,
        )
        assert await counting(bench) == [], "the correction needs its own"
        second(bench, bill_again)
        assert await counting(bench) == [(0, 31, 90)]


@pytest.mark.parametrize("chosen", list(itertools.product((False, True), repeat=4)))
async def test_dial_readings_count_from_one_confirmed_to_the_next(
    tmp_path: Path, chosen: tuple[bool, ...]
) -> None:
    """Exactly as if the others had never been entered, the slip among them too."""
    dial = [(0, 10.0), (10, 25.5), (20, 24.0), (30, 40.0)]  # the third: 15 m3 back, a slip
    confirmed_ones = [point for point, one in zip(dial, chosen, strict=True) if one]
    (tmp_path / "all").mkdir()
    (tmp_path / "alone").mkdir()
    async with Bench(tmp_path / "all", METERS) as bench:
        keys = [read(bench, *point) for point in dial]
        second(bench, *itertools.compress(keys, chosen))
        found = await counting(bench)
    async with Bench(tmp_path / "alone", METERS) as alone:
        second(alone, *[read(alone, *point) for point in confirmed_ones])
        assert found == await counting(alone)
    if chosen == (True, True, False, True):
        assert found == [(0, 10, 15.5), (10, 30, 14.5)]


async def test_an_unconfirmed_reading_keeps_no_bill_from_counting(tmp_path: Path) -> None:
    """A confirmed bill stands where dial rows are that do not count."""
    async with Bench(tmp_path, METERS) as bench:
        read(bench, 0, 10)
        read(bench, 31, 50)
        second(bench, bill(bench, 0, 31, 41.0))
        assert await counting(bench) == [(0, 31, 41.0)]
        assert [row.amount for row in bench.rows("water")] == [40.0], "as all of it is shown"


async def test_what_was_measured_counts_as_before(tmp_path: Path) -> None:
    """Rows of a fed meter stay as they are; a dial row takes nobody's place there."""
    async with Bench(tmp_path, METERS) as bench:
        await bench.receive([(at, KWH * (1 + at / HOUR)) for at in range(0, DAY + 1, 5 * MINUTE)])
        await bench.account(3 * DAY)
        second(bench, read(bench, 0, 1, meter="mains"), read(bench, 2, 60, meter="mains"))
        plain = [row for row in bench.rows() if row.amount is not None]
        assert len(plain) == 96
        assert len(await counting(bench, "mains")) == 96


async def test_factor_and_replacement_hold_for_what_counts(tmp_path: Path) -> None:
    """A row over two others is worked out as the pass would: old and new meter, times a factor."""
    async with Bench(tmp_path, METERS) as bench:
        water = bench.site.topology.meter("water")
        second(bench, read(bench, 0, 100))
        read(bench, 5, 104)
        meters.enter_replacement(
            bench.ledger,
            bench.site,
            water,
            Replacement(START + 10 * DAY, 110.0, 2.0),
            now_ms=START + 400 * DAY,
        )
        second(bench, read(bench, 20, 7))
        meters.enter_factor(
            bench.ledger,
            bench.site,
            water,
            Factor(2.0, Validity(None, None), "test"),
            now_ms=START + 400 * DAY,
        )
        ((start, end, amount),) = await counting(bench)
        assert (start, end) == (0, 20)
        assert amount == pytest.approx(2 * (10 + 5))


async def test_nothing_is_opened_twice_where_all_counts(tmp_path: Path) -> None:
    """With one person enough, nothing signed or all confirmed, the ledger itself is used."""
    async with Bench(tmp_path, METERS) as bench:
        sources = Sources(
            bench.site, Registers(), bench.ledger, tmp_path / "ledger.db", bench.store
        )
        with counted(sources, TWO) as what:
            assert what == (bench.ledger, 0)
        key = bill(bench, 0, 31)
        with counted(sources, Policy(two_people=frozenset())) as what:
            assert what == (bench.ledger, 0)
        with counted(sources, TWO) as what:
            assert isinstance(what.ledger, ConfirmedLedger)
            assert what.unconfirmed == 1
        second(bench, key)
        with counted(sources, TWO) as what:
            assert what == (bench.ledger, 0)


def test_a_confirmation_goes_with_what_it_confirms(tmp_path: Path) -> None:
    """An amount past its time takes it along; a reading, which stays, keeps it."""
    bench = Bench(tmp_path, METERS)
    with bench.ledger as ledger:
        old, stays = bill(bench, 0, 1), read(bench, 0, 1)
        second(bench, old, stays)
        going = kept.old_entries(ledger, kept.CLOSED, START + 2 * DAY, None)
        kept.drop_entries(ledger, going, START + 500 * DAY, dry_run=False)
        assert confirmed(ledger, "lab") == {stays: "B. Second"}
        assert verify(ledger).problems == ()


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A site behind the command line."""
    return Desk(tmp_path, capsys)


def test_the_command_confirms_and_lists(desk: Desk) -> None:
    """An amount and a reading; who confirmed shows in both lists."""
    desk.run(
        "attest", "--meter", "water", "--amount", "3", "--unit", "m3", "--from", "2026-02-01",
        "--to", "2026-03-01", "--signatory", "A. First",
    )  # fmt: skip
    read_it = ("meter", "read", "--meter", "mains", "--reading", "7", "--at", "2026-01-03")
    desk.run(*read_it, "--signatory", "A. First")
    assert desk.run("attest", "--confirm", "1", "--signatory", "B. Second") == (
        "entry 3: B. Second confirms 1\n"
    )
    told = desk.json("attest", "--confirm", "2", "--signatory", "B. Second", "--note", "photo")
    assert (told["id"], told["kind"], told["subject"]) == (4, "confirmation", "2")
    assert told["note"] == "photo"
    assert [each["confirmed_by"] for each in desk.json("attest", "--list")] == ["B. Second"] * 2
    assert desk.run("attest", "--list").count("confirmed by B. Second") == 2
    (listed,) = desk.json("meter", "list", "--meter", "mains")[0]["entries"]
    assert listed["confirmed_by"] == "B. Second"
    assert "confirmed_by B. Second" in desk.run("meter", "list", "--meter", "mains")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--confirm", "1"), "--signatory: missing"),
        (("--confirm", "7", "--signatory", "B"), "see attest --list"),
        (("--confirm", "1", "--signatory", "B", "--amount", "3"), "--amount: does not go with"),
        (("--confirm", "1", "--signatory", "B", "--from", "2026-01-01"), "--from: does not go"),
        (("--confirm", "1", "--signatory", "B", "--corrects", "1"), "--corrects: does not go"),
    ],
)
def test_what_the_command_refuses(desk: Desk, words: tuple[str, ...], told: str) -> None:
    """One line, exit status 2, and nothing is entered."""
    assert told in desk.run("attest", *words, code=2)

    async def nothing(bench: Bench) -> None:
        assert bench.ledger.links("lab") == []

    desk.use(nothing)
