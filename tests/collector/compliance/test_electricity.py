"""Electricity by sums of the database against the same rows read one by one, on random rows."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from jauge_collector import sites
from jauge_collector.compliance.electricity import MachineEnergy
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.sites import Site
from jauge_models.compliance.windows import Window
from jauge_models.intervals import GRADE_OF, Basis, Flag, Grade, Interval
from jauge_models.topology import Commodity

HOUR = 3_600_000
DAY = 24 * HOUR
FIRST = date(2025, 3, 1)
ZONES = ("UTC", "Europe/Paris", "Asia/Kolkata")
FEEDS = ("bmc/host:SN1", "agent/host:SN1", "pdu/outlet:1", "late/outlet:2")
SITE = """
[site]
name = "yard"
time_zone = "{zone}"

[[hosts]]
id = "h1"
feeds = ["agent/host:SN1"]

[[meters]]
id = "outlet"
commodity = "electricity"
feeds = ["pdu/outlet:1"]
counts = "from_start"
reason = "test"

[[meters]]
id = "late"
commodity = "electricity"
feeds = ["late/outlet:2"]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{{ meter = "outlet" }}]
"""


def _site(folder: Path, zone: str) -> Site:
    file = folder / "site.toml"
    file.write_text(SITE.format(zone=zone), encoding="utf-8")
    return sites.load(file)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def _save(ledger: Ledger, subject: str, rows: list[Interval]) -> None:
    kept = [Row(row, f"{subject}/power", final=True) for row in rows]
    if rows:
        stretch = Stretch(subject, Commodity.ELECTRICITY, rows[0].start_ms, rows[-1].end_ms, kept)
        ledger.save("yard", [stretch], rows[-1].end_ms)


def _random_rows(random: Random, start_ms: int, end_ms: int) -> list[Interval]:
    """Rows without overlap, some beyond both bounds: hours, quarters of one, odd ones, days."""
    length = random.choice([HOUR, HOUR, HOUR // 4, 7 * HOUR // 3, DAY])
    kinds = [Basis.POWER] * 3 + [random.choice([Basis.ESTIMATE, Basis.REGISTER, Basis.ATTESTED])]
    holes = random.choice([0.0, 0.0, 0.2, 0.9])
    partial = random.choice([0.0, 0.05, 0.5])
    at = start_ms - random.choice([0, 3 * HOUR, 3 * HOUR + 1000])
    rows: list[Interval] = []
    while at < end_ms + 2 * HOUR:
        end = at + length
        if random.random() >= holes:
            basis = random.choice(kinds)
            covered = random.randrange(0, length) if random.random() < partial else length
            flags = frozenset({Flag.CLOCK}) if random.random() < 0.1 else frozenset[Flag]()
            grade = Grade.LOW if flags or random.random() < 0.05 else GRADE_OF[basis]
            amount = random.uniform(1, 1e7) if covered else None
            rows.append(Interval(at, end, amount, covered, covered, basis, grade, flags=flags))
        at = end
    return rows


def _tell(ledger: Ledger, random: Random, start_ms: int, end_ms: int) -> None:
    """Rows of one to four subjects, and at times a bill."""
    subjects = ["bmc/host:SN1", "h1", "outlet", "late"]
    for subject in random.sample(subjects, random.randrange(1, 5)):
        rows = _random_rows(random, start_ms, end_ms)
        if random.random() < 0.3:
            rows = [row for row in rows if row.start_ms >= start_ms + 6 * DAY]
        _save(ledger, subject, rows)
    if random.random() < 0.25:
        ledger.append(
            "yard",
            "amount",
            random.choice(["outlet", "late"]),
            start_ms=start_ms + DAY,
            end_ms=start_ms + 4 * DAY,
            content={"base": 5e7, "entered": "test", "note": ""},
            now_ms=end_ms,
            signatory="operator",
        )
    if random.random() < 0.5:
        ledger.append(
            "yard",
            "commissioning",
            "late",
            start_ms=start_ms + random.choice([-30, 0, 5]) * DAY,
            content={},
            now_ms=end_ms,
        )


class _Hours:
    """Of one hour: ms measured, signed for and estimated; J that are no estimate."""

    def __init__(self) -> None:
        self.measured = self.attested = self.estimated = self.joules = 0.0
        self.known = False

    def add(self, row: Interval, part: float) -> None:
        self.known = True
        if row.basis is Basis.ESTIMATE or (row.grade is Grade.LOW and Flag.CLOCK not in row.flags):
            self.estimated += row.covered_ms * part
            return
        self.joules += (row.amount or 0.0) * part
        if row.basis is Basis.ATTESTED:
            self.attested += row.covered_ms * part
        else:
            self.measured += row.covered_ms * part

    @property
    def rank(self) -> tuple[float, float, float]:
        return self.measured, self.measured + self.attested, self.estimated


def _by_rows(
    ledger: Ledger, site: Site, subjects: Iterable[str], start_ms: int, end_ms: int
) -> dict[int, tuple[str, _Hours]]:
    """The best subject of each hour, every row read and spread: how it was once worked out."""
    since = counting_since(ledger, site)
    best: dict[int, tuple[str, _Hours]] = {}
    for subject in subjects:
        counts = since if subject in {"outlet", "late"} else None
        hours: dict[int, _Hours] = {}
        for row in ledger.rows("yard", [subject], start_ms, end_ms, counts_from=counts)[subject]:
            begin, end = max(row.start_ms, start_ms), min(row.end_ms, end_ms)
            while begin < end and row.amount is not None and row.covered_ms:
                until = min(end, begin - begin % HOUR + HOUR)
                part = (until - begin) / row.length_ms
                hours.setdefault(begin // HOUR, _Hours()).add(row, part)
                begin = until
        for at, hour in hours.items():
            if at not in best or hour.rank > best[at][1].rank:
                best[at] = subject, hour
    return best


@pytest.mark.parametrize("seed", range(40))
def test_sums_say_what_rows_say(tmp_path: Path, ledger: Ledger, seed: int) -> None:
    """Every share, the first day, the energy of the quarter and the last measured hour."""
    random = Random(seed)
    site = _site(tmp_path, random.choice(ZONES))
    window = Window(FIRST, FIRST + timedelta(days=random.choice([11, 40])))
    quarter = Window(FIRST + timedelta(days=random.choice([-20, 0, 5])), window.last)
    start_ms, end_ms = span_ms(window, site.zone)
    since_ms = max(start_ms, span_ms(quarter, site.zone)[0])
    _tell(ledger, random, start_ms, end_ms)
    energy = MachineEnergy(ledger, site)
    feeds = random.sample(FEEDS, random.randrange(1, 5))
    subjects = energy.subjects(feeds)
    known = energy.known(feeds, window, quarter)

    # A bound within an hour parts it: of each part the better one counts.
    before = _by_rows(ledger, site, subjects, start_ms, since_ms) if since_ms > start_ms else {}
    after = _by_rows(ledger, site, subjects, since_ms, end_ms)
    both = [*before.items(), *after.items()]
    if not both:
        assert known.electricity is None
        assert known.energy_kwh is None
        return
    found = known.electricity
    assert found is not None
    length = end_ms - start_ms
    for name in ("measured", "attested", "estimated"):
        whole = sum(getattr(hour, name) for _, (_, hour) in both)
        assert getattr(found, name) == pytest.approx(whole / length, rel=1e-12, abs=1e-15), name
    assert set(found.meters) == {subject for _, (subject, _) in both}
    signed = [(at, hour) for at, (_, hour) in both if hour.measured or hour.attested]
    if signed:
        first_ms = max(min(at for at, _ in signed) * HOUR, start_ms)
        assert found.first_day == FIRST + timedelta(days=(first_ms - start_ms) // DAY)
        taken = sum(hour.measured + hour.attested for _, hour in signed)
        assert found.since_first == pytest.approx(min(1.0, taken / (end_ms - first_ms)), rel=1e-12)
    else:
        assert (found.first_day, found.since_first) == (None, 0.0)
    joules = [h.joules for _, (_, h) in after.items() if h.measured or h.attested]
    kwh = sum(joules) / 3.6e6 if joules else None
    assert known.energy_kwh == (None if kwh is None else pytest.approx(kwh, rel=1e-11))

    whole_hours = _by_rows(ledger, site, subjects, start_ms, end_ms)
    measured = [at for at, (_, hour) in whole_hours.items() if hour.measured]
    last = min(max(measured) * HOUR + HOUR, end_ms) - 1 if measured else None
    assert energy.last_measured_ms(feeds, start_ms, end_ms) == last


def test_the_random_rows_take_every_way(tmp_path: Path, ledger: Ledger) -> None:
    """Wholly measured by the second while the first only estimates; a day apart, hour by hour."""
    site = _site(tmp_path, "UTC")
    window = Window(FIRST, FIRST + timedelta(days=2))
    start_ms, _ = span_ms(window, site.zone)

    def hours(count: int, joules: float, basis: Basis, from_hour: int = 0) -> list[Interval]:
        return [
            Interval(
                start_ms + (from_hour + n) * HOUR,
                start_ms + (from_hour + n + 1) * HOUR,
                joules,
                HOUR,
                HOUR,
                basis,
                GRADE_OF[basis],
            )
            for n in range(count)
        ]

    _save(ledger, "a/host:1", hours(72, 1.0, Basis.ESTIMATE))
    _save(ledger, "b/host:1", hours(60, 3.6e6, Basis.POWER))
    found = MachineEnergy(ledger, site).known(["a/host:1", "b/host:1"], window, window)
    assert found.electricity is not None
    assert found.electricity.measured == pytest.approx(60 / 72)
    assert found.electricity.estimated == pytest.approx(12 / 72)
    assert found.electricity.meters == ("a/host:1", "b/host:1")
    assert found.energy_kwh == pytest.approx(60)
