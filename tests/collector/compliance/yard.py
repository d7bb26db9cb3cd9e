"""A site with registers and a year of measurements, in which everything that is asked is met."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from jauge_collector import cli, sites
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.registers import files
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import GRADE_OF, Basis, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity
from jauge_models.wire import Method, ResourceDescription

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
START: Final = 1_735_689_600_000
"""2025-01-01T00:00Z."""
END: Final = START + 365 * DAY
KWH: Final = 3.6e6
SENSOR: Final = "gw/sensor:in-1"


_T = TypeVar("_T")


def _meter(name: str, feed: str, commodity: str = "electricity") -> str:
    return f"""
[[meters]]
id = "{name}"
commodity = "{commodity}"
feeds = ["{feed}"]
interval_s = 86400
counts = "from_start"
reason = "test"
"""


SITE: Final = (
    """
[site]
name = "yard"
time_zone = "UTC"

[registers]
servers = "servers.csv"
rooms = "rooms.csv"
practices = "practices.csv"
documents = "documents.csv"
policy = "policy.toml"

[[hosts]]
id = "h1"
feeds = ["gw/host:SN1", "gw/outlet:1"]

[[equations]]
symbol = "E_DC"
terms = [{ meter = "dc" }]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "it" }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "tank" }]
"""
    + _meter("dc", "gw/meter:dc")
    + _meter("it", "gw/meter:it")
    + _meter("tank", "gw/meter:tank", "water")
    + _meter("outlet2", "gw/outlet:2")
)

SERVERS: Final = """\
id;serial;room;row;rack;owner;used_by;envelope;valid_from;feeds
SRV-1;SN1;R;1;A1;o;u;A2;2024-01-01;gw/host:SN1
SRV-2;SN2;R;1;A1;o;u;A2;2024-01-01;gw/outlet:2
"""
PRACTICES: Final = """\
edition;number;title;category;domain;page;certainty;status
test;1;t;entire_data_centre;electricity | water | temperature;7;text;implemented
"""
DOCUMENTS: Final = """\
id;title;file;kind;date;role;confirmed_by
D-1;t;d.pdf;participant_certificate;2025-01-02;;
D-2;t;d.pdf;annual_return;2025-03-01;;
D-3;t;d.pdf;set_point_log;2025-03-01;;
D-4;t;d.pdf;set_point_review;2025-03-01;;
"""
FILES: Final = {
    "collector.toml": 'sites = ["yard.toml"]\nstate_dir = "."\n[store]\nretention_days = 20000\n',
    "yard.toml": SITE,
    "servers.csv": SERVERS,
    "rooms.csv": f"room;row;rack;intake\nR;1;A1;{SENSOR}\n",
    "practices.csv": PRACTICES,
    "documents.csv": DOCUMENTS,
    "policy.toml": 'version = "test"\n[goal]\nedition = "test"\n[counting]\ntwo_people = []\n',
    "d.pdf": "an example",
}


def days(
    amount: float, first: int = 0, last: int = 365, basis: Basis = Basis.REGISTER
) -> list[Interval]:
    """Rows of whole days since START, each of one amount."""
    return [
        Interval(START + n * DAY, START + (n + 1) * DAY, amount, DAY, DAY, basis, GRADE_OF[basis])
        for n in range(first, last)
    ]


def keep(
    ledger: Ledger,
    subject: str,
    rows: list[Interval],
    commodity: Commodity = Commodity.ELECTRICITY,
) -> None:
    """Put rows into the ledger; all there is of the subject in their time."""
    kept = [Row(row, f"gw/{subject}/energy", final=True) for row in rows]
    stretch = Stretch(subject, commodity, rows[0].start_ms, rows[-1].end_ms, kept)
    ledger.save("yard", [stretch], END)


def attest(ledger: Ledger, meter: str, amount: float, start: int = START, end: int = END) -> None:
    """A signed amount over [start, end)."""
    content = {"base": amount, "entered": "test", "note": ""}
    ledger.append(
        "yard",
        "amount",
        meter,
        start_ms=start,
        end_ms=end,
        content=content,
        now_ms=END,
        signatory="operator",
    )


async def write(
    folder: Path,
    sensor: str,
    points: Iterable[tuple[int, float]],
    quantity: str = "temperature",
) -> None:
    """Readings of a feed, temperatures unless told otherwise; times are ms after START."""
    agent, _, resource = sensor.partition("/")
    series = Series("yard", agent, resource, quantity)
    async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
        await store.write([Reading(series, START + at, value) for at, value in points])


def build(folder: Path) -> None:
    """Registers, ledger and store: SRV-1 measured, SRV-2 attested, SN3 seen and not listed."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    with Ledger(folder / "ledger.db") as ledger:
        keep(ledger, "dc", days(150 * KWH))
        keep(ledger, "it", days(100 * KWH))
        keep(ledger, "tank", days(0.01), Commodity.WATER)
        keep(ledger, "h1", days(10 * KWH))
        attest(ledger, "outlet2", 365 * 5 * KWH)
        keep(ledger, "gw/host:SN3", days(KWH, 300))
        birth = {
            resource: ResourceDescription(resource, {"power": Method.GAUGE}, labels=labels)
            for resource, labels in (
                ("host:SN1", {}),
                ("host:SN3", {"serial": "SN3"}),
                ("host:VM", {"virtual": "yes"}),
            )
        }
        ledger.set_descriptions("yard", "gw", described(birth), START + 290 * DAY)
    asyncio.run(write(folder, SENSOR, ((at * HOUR, 22.0) for at in range(365 * 24 + 1))))


class Yard:
    """The site's files, and the command over them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> str:
        """The command; its stdout, or on failure its stderr."""
        self._capsys.readouterr()
        config = str(self.folder / "collector.toml")
        asked = ("--site", "yard", "--config", config)
        got = cli.main(["servers", *asked, "--quarter", "2025-Q4", *words])
        out, err = self._capsys.readouterr()
        assert got == code, err or out
        return str(err if code else out)

    def json(self) -> Any:
        """The record."""
        return json.loads(self.run("--json"))

    def results(self) -> dict[str, str]:
        """The result of each machine."""
        servers = self.json()["assessment"]["servers"]
        return {each["machine"]["id"]: each["result"] for each in servers}

    def status(self, criterion: str) -> tuple[str, str]:
        """Status and reason of a criterion of the site."""
        found = criterion_of(self.json()["assessment"]["sites"]["yard"], criterion)
        return found["status"], found["reason"]["key"]

    def server_status(self, server: str, criterion: str) -> tuple[str, dict[str, Any]]:
        """Status and reason of a criterion of a server."""
        servers = self.json()["assessment"]["servers"]
        mine = next(each for each in servers if each["machine"]["id"] == server)
        found = criterion_of(mine["criteria"], criterion)
        return found["status"], found["reason"]

    def criterion(self, criterion: str) -> dict[str, Any]:
        """A criterion of the site, whole."""
        return criterion_of(self.json()["assessment"]["sites"]["yard"], criterion)

    def write(
        self, sensor: str, points: Iterable[tuple[int, float]], quantity: str = "temperature"
    ) -> None:
        """Readings of a feed, as `write`."""
        asyncio.run(write(self.folder, sensor, points, quantity))


def with_sources(
    folder: Path, work: Callable[[Sources], Awaitable[_T]], *, retention_days: float = 20000
) -> _T:
    """What ``work`` gives of a yard's ledger and store, both opened anew for it."""

    async def run() -> _T:
        site = sites.load(folder / "yard.toml")
        registers = files.load(site.registers, folder, site.name)
        async with SqliteStore(folder / "readings.db", retention_days=retention_days) as store:
            with Ledger(folder / "ledger.db") as ledger:
                return await work(Sources(site, registers, ledger, folder / "ledger.db", store))

    return asyncio.run(run())


def criterion_of(criteria: list[dict[str, Any]], criterion: str) -> dict[str, Any]:
    """One of some criteria."""
    return next(each for each in criteria if each["criterion"] == criterion)


def copied(built: Path, folder: Path) -> Path:
    """A copy of a built site that a test may change."""
    shutil.copytree(built, folder)
    return folder
