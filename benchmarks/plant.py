"""A site as large as the design asks: a thousand servers and a year, in ledger, store, registers.

An example throughout: every reading here is arithmetic, none was measured.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.ledger.rows import add_subject
from jauge_collector.stores import Store
from jauge_models.intervals import Basis, Grade
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity
from jauge_models.wire import Method, ResourceDescription
from sqlalchemy import insert

SITE: Final = "plant"
HOUR_MS: Final = 3_600_000
QUARTER_HOUR_MS: Final = 900_000
START_MS: Final = 1_735_686_000_000
"""2025-01-01 00:00 in Paris."""
HOURS: Final = 8760
END_MS: Final = START_MS + HOURS * HOUR_MS
QUARTER: Final = "2025-Q4"

_AGENTS: Final = 20
_ROWS_AT_ONCE: Final = 20_000
_READINGS_AT_ONCE: Final = 20_000
_METERS: Final = {
    "incomer": (420_000.0, Commodity.ELECTRICITY),
    "ups-a": (150_000.0, Commodity.ELECTRICITY),
    "ups-b": (150_000.0, Commodity.ELECTRICITY),
    "pdu-a": (145_000.0, Commodity.ELECTRICITY),
    "pdu-b": (145_000.0, Commodity.ELECTRICITY),
    "water": (4e-4, Commodity.WATER),
}
"""Mean rate of each: W, or m3/s."""
_EQUATIONS: Final = """
[[equations]]
symbol = "E_DC"
terms = [{ meter = "incomer" }]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups-a" }, { meter = "ups-b" }]

[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{ meter = "pdu-a" }, { meter = "pdu-b" }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "water" }]
"""


class Size(NamedTuple):
    """How much of everything."""

    servers: int = 1000
    rows_of_racks: int = 50
    strangers: int = 10
    """Machines that report and are not listed."""
    sensor_s: int = 900
    """Between two readings of an intake sensor."""


def write_files(folder: Path, size: Size) -> Path:
    """The site's files and registers; returns the site file."""
    folder.mkdir(parents=True, exist_ok=True)
    meters = "".join(
        f'[[meters]]\nid = "{name}"\ncommodity = "{commodity}"\nfeeds = ["gw/meter:{name}"]\n'
        'counts = "from_start"\nreason = "an example"\n'
        for name, (_, commodity) in _METERS.items()
    )
    registers = (
        '[registers]\nservers = "servers.csv"\nrooms = "rooms.csv"\npolicy = "policy.toml"\n'
    )
    texts = {
        "site.toml": f'[site]\nname = "{SITE}"\ntime_zone = "Europe/Paris"\n'
        f"{registers}{meters}{_EQUATIONS}",
        "policy.toml": 'version = "an example"\n[goal]\nedition = "an example"\n'
        "[counting]\ntwo_people = []\n",
        "rooms.csv": "\n".join(
            [
                "room;row;rack;intake",
                *(f"R;{at};;{name}" for at, name in enumerate(sensors(size))),
                "",
            ]
        ),
        "servers.csv": "\n".join(
            [
                "id;serial;room;row;rack;owner;used_by;envelope;valid_from;feeds",
                *(
                    f"S{n:04};{_serial(n)};R;{n % size.rows_of_racks};A{n % 200};o;b{n % 7};A2;"
                    f"2024-01-01;{_feed(n)}"
                    for n in range(size.servers)
                ),
                "",
            ]
        ),
        "collector.toml": 'sites = ["site.toml"]\nstate_dir = "."\n'
        "[store]\nretention_days = 20000\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "site.toml"


def fill_ledger(ledger: Ledger, size: Size) -> int:
    """Hourly rows of machines, quarter hours of meters; returns how many rows."""
    count = 0
    for n in range(size.servers + size.strangers):
        count += _fill(ledger, _feed(n), Commodity.ELECTRICITY, _host_rows(n))
    for name, (rate, commodity) in _METERS.items():
        count += _fill(ledger, name, commodity, _meter_rows(rate))
    for agent in range(_AGENTS):
        births = {
            f"host:{_serial(n)}": ResourceDescription(
                f"host:{_serial(n)}", {"power": Method.GAUGE}, labels={"serial": _serial(n)}
            )
            for n in range(agent, size.servers + size.strangers, _AGENTS)
        }
        ledger.set_descriptions(SITE, _agent(agent), described(births), START_MS)
    return count


async def fill_store(store: Store, size: Size) -> int:
    """A year of each intake sensor and the last power of each machine; returns how many."""
    return await fill_sensors(store, size) + await _write(store, _powers(size))


async def fill_sensors(store: Store, size: Size) -> int:
    """A year of each intake sensor; returns how many."""
    return await _write(store, _temperatures(size))


def sensors(size: Size) -> list[str]:
    """The intake sensors, as ``agent/resource``."""
    return [f"gw/sensor:in-{at}" for at in _rows(size)]


def _rows(size: Size) -> range:
    return range(size.rows_of_racks)


def _serial(n: int) -> str:
    return f"SN{n:05}"


def _agent(n: int) -> str:
    return f"gw-{n % _AGENTS}"


def _feed(n: int) -> str:
    return f"{_agent(n)}/host:{_serial(n)}"


_Record = tuple[object, ...]


def _host_rows(n: int) -> Iterator[_Record]:
    """Of power samples: a few hours lack some, each fiftieth machine was silent for a week."""
    silent = range(2000, 2168) if n % 50 == 0 else range(0)
    for hour in range(HOURS):
        if hour in silent:
            continue
        covered = HOUR_MS if (hour + n) % 40 else HOUR_MS - 61_000
        watts = 300.0 + n % 200 + 40 * math.sin(hour / 24 + n)
        yield (
            START_MS + hour * HOUR_MS,
            HOUR_MS,
            watts * covered / 1000,
            covered,
            Basis.POWER,
            Grade.MEDIUM,
        )


def _meter_rows(rate: float) -> Iterator[_Record]:
    """Of a register: each thousandth quarter hour was not read."""
    for at in range(HOURS * 4):
        if at % 1000 == 999:
            continue
        amount = rate * (1 + 0.2 * math.sin(at / 96)) * QUARTER_HOUR_MS / 1000
        yield (
            START_MS + at * QUARTER_HOUR_MS,
            QUARTER_HOUR_MS,
            amount,
            QUARTER_HOUR_MS,
            Basis.REGISTER,
            Grade.HIGH,
        )


def _fill(ledger: Ledger, name: str, commodity: Commodity, rows: Iterable[_Record]) -> int:
    count = 0
    with ledger.transaction(writes=True) as connection:
        key = add_subject(connection, SITE, name, commodity)
        statement = str(insert(schema.intervals).compile(dialect=connection.dialect))
        following = (_record(key, name, row) for row in rows)
        while some := list(islice(following, _ROWS_AT_ONCE)):
            # Past SQLAlchemy's handling of each parameter: there are millions.
            connection.exec_driver_sql(statement, some)
            count += len(some)
    return count


def _record(key: int, name: str, row: _Record) -> Any:
    start, length, amount, covered, basis, grade = row
    end = int(str(start)) + int(str(length))
    feed = f"{name}/power"
    return (
        *(key, start, 0, end, amount, covered, covered, str(basis), str(grade)),
        *(None, None, None, None, "", feed, True, END_MS),
    )


def _temperatures(size: Size) -> Iterator[Reading]:
    for at, name in enumerate(sensors(size)):
        agent, _, resource = name.partition("/")
        series = Series(SITE, agent, resource, "temperature")
        for time_ms in range(START_MS, END_MS + 1, size.sensor_s * 1000):
            yield Reading(series, time_ms, 22 + 4 * math.sin(time_ms / 8.64e7 + at))


def _powers(size: Size) -> Iterator[Reading]:
    for n in range(size.servers + size.strangers):
        series = Series(SITE, _agent(n), f"host:{_serial(n)}", "power")
        yield Reading(series, END_MS - HOUR_MS, 300.0)


async def _write(store: Store, readings: Iterable[Reading]) -> int:
    count = 0
    following = iter(readings)
    while some := list(islice(following, _READINGS_AT_ONCE)):
        await store.write(some)
        count += len(some)
    return count
