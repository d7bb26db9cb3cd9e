"""``jauge-collector purge`` as a user runs it: alone and beside a collector, both stores."""

import asyncio
import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import config, purging
from jauge_collector.ledger import erased_events, purge_requests
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.stores import Store
from jauge_collector.stores.open import open_store
from jauge_models.intervals import Basis, Grade, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity
from jauge_models.wire import Address, Birth, Method, ResourceDescription, Sample

from tests.collector.packs import pack
from tests.collector.running import WireAgent, collecting, configured
from tests.parts import Mosquitto, VictoriaMetrics, eventually

HOUR = 3_600_000
DAY = 24 * HOUR
NOW_MS = time.time_ns() // 1_000_000
SECRET = "5e0fb7c1-a-name-to-be-erased"
GUEST = Series("s", "h1", f"guest:{SECRET}", "power")
OTHER = Series("s", "h1", "guest:another", "power")
METER = Series("s", "a", "host", "power")


async def purge(path: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit status and what was said on both streams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "jauge_collector.cli", "purge", "--config", str(path), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    assert b"Traceback" not in error, error.decode()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def purged(path: Path, *arguments: str) -> dict[str, Any]:
    """The outcome as JSON."""
    status, out, error = await purge(path, *arguments, "--json")
    assert status == 0, error
    told: dict[str, Any] = json.loads(out)
    return told


def counts(told: dict[str, Any]) -> dict[str, int]:
    """How much of what, nothing left out."""
    return {what: part["rows"] for what, part in told["gone"].items() if part["rows"]}


def fill(ledger: Ledger, subject: str, start_ms: int, hours: int) -> None:
    """Hourly rows."""
    start_ms -= start_ms % HOUR
    rows = [
        Row(
            Interval(at, at + HOUR, 1.0, HOUR, HOUR, Basis.POWER, Grade.MEDIUM),
            f"{subject}/power",
            final=True,
        )
        for at in range(start_ms, start_ms + hours * HOUR, HOUR)
    ]
    end_ms = start_ms + hours * HOUR
    ledger.save("s", [Stretch(subject, Commodity.ELECTRICITY, start_ms, end_ms, rows)], NOW_MS)


async def prepare(path: Path, *, old: bool) -> config.CollectorConfig:
    """Readings and rows of two guests and of a meter; some past their time, if asked for."""
    settings = config.load(path)
    ages = (0, 3, 1000) if old else (0,)
    async with open_store(settings) as store:
        await store.write(
            [
                Reading(series, NOW_MS - age * DAY - at * 1000, 1.0)
                for series in (GUEST, OTHER, METER)
                for age in ages
                for at in range(50)
            ]
        )
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        for subject in (f"h1/guest:{SECRET}", "h1/guest:another", "it"):
            fill(ledger, subject, NOW_MS - 5 * DAY, 10)
        ledger.set_methods("s", "h1", {(GUEST.resource, "power"): Method.ESTIMATE})
        ledger.set_methods("s", "h1", {(OTHER.resource, "power"): Method.ESTIMATE})
        ledger.set_oldest("s", "h1", NOW_MS)
        ledger.append(
            "s",
            "event",
            GUEST.resource,
            start_ms=NOW_MS,
            end_ms=NOW_MS + 1,
            content={"event": "maintenance"},
            now_ms=NOW_MS,
        )
        if old:
            fill(ledger, "it", NOW_MS - 4000 * DAY, 10)
    return settings


async def readings_of(store: Store, *series: Series) -> set[Series]:
    """Which of these the store has."""
    return set(await store.read(series, NOW_MS - 1100 * DAY, NOW_MS + DAY))


async def test_by_policy(tmp_path: Path, free_port: int) -> None:
    """A dry run says what the real one then does, which is entered; a third finds nothing."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = await prepare(path, old=True)
    planned = await purged(path, "--dry-run")
    assert planned["entry"] is None
    assert counts(planned) == {"readings": 150, "rows": 10}
    assert await purged(path, "--dry-run") == planned
    told = await purged(path, "--signatory", "the officer")
    assert told["gone"] == planned["gone"]
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        (entry,) = ledger.entries("", "purge")
    assert (entry.id, entry.signatory) == (told["entry"], "the officer")
    assert entry.content["rows"] == counts(told)
    assert entry.content["policy"]["readings_days"] == 800
    again = await purged(path)
    assert (counts(again), again["entry"]) == ({}, None)
    async with open_store(settings) as store:
        assert await readings_of(store, GUEST, OTHER, METER) == {GUEST, OTHER, METER}
    status, out, _ = await purge(path)
    assert (status, out.splitlines()[-1]) == (0, "gone: 0")


async def test_a_guest_is_erased_to_the_last_byte(tmp_path: Path, free_port: int) -> None:
    """No file below ``state_dir`` holds its name, while its neighbour's data are whole."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = await prepare(path, old=False)
    guest = f"h1/{GUEST.resource}"
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        fill(ledger, guest, NOW_MS - 300 * DAY, 3000)
    with sqlite3.connect(settings.state(settings.ledger.path)) as database:
        # Pages that are free by now and still hold the name, as SQLite leaves them by default.
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM intervals WHERE start_ms < ?", (NOW_MS - 100 * DAY,))
    database.close()
    arguments = ("--site", "s", "--resource", GUEST.resource)
    planned = await purged(path, "--dry-run", *arguments)
    assert counts(planned) == {"readings": 50, "rows": 10, "names": 2}
    assert holding(tmp_path / "state", SECRET) == {"readings.db", "ledger.db"}
    told = await purged(path, *arguments)
    assert told["gone"] == planned["gone"]
    assert told["overwritten"] is True
    assert holding(tmp_path / "state", SECRET) == set()
    assert counts(await purged(path, *arguments)) == {}
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        (entry,) = ledger.entries("s", "purge")
        assert entry.subject.startswith("sha256:")
        rows = ledger.rows("s", ["h1/guest:another", "it"], 0, NOW_MS)
    assert {name: len(found) for name, found in rows.items()} == {"h1/guest:another": 10, "it": 10}
    async with open_store(settings) as store:
        assert await readings_of(store, GUEST, OTHER, METER) == {OTHER, METER}


def holding(folder: Path, name: str) -> set[str]:
    """The files that hold a name; their journals under the same one."""
    return {
        file.name.removesuffix("-wal").removesuffix("-shm")
        for file in folder.rglob("*")
        if file.is_file() and name.encode() in file.read_bytes()
    }


async def test_what_feeds_a_meter_stays(tmp_path: Path, free_port: int) -> None:
    """An agent's other resources go; the accounting record and its proof are kept, and said so."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = await prepare(path, old=False)
    gpu = Series("s", "a", "gpu:0", "power")
    async with open_store(settings) as store:
        await store.write([Reading(gpu, NOW_MS, 1.0)])
    told = await purged(path, "--site", "s", "--agent", "a")
    assert told["stays"] == {"a/host": ["it"]}
    assert counts(told) == {"readings": 1}
    async with open_store(settings) as store:
        assert await readings_of(store, gpu, METER) == {METER}
    status, out, _ = await purge(path, "--site", "s", "--agent", "h1")
    assert status == 0
    assert "the broker still keeps what h1 said of itself" in out
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        assert len(ledger.rows("s", ["it"], 0, NOW_MS)["it"]) == 10
        assert "h1" not in {agent for agent, _, _ in ledger.methods("s")}
        assert "h1" not in ledger.oldest("s")


@pytest.mark.end_to_end
async def test_beside_a_running_collector(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector does it between two passes; what the agent sends after it is kept."""
    monkeypatch.setattr(purging, "STEADY_S", 0.0)
    path = configured(tmp_path, mqtt_port=mosquitto.port)
    await prepare(path, old=True)
    async with collecting(path) as service, WireAgent(mosquitto.port) as agent:
        gpu = Series("s", "a", "gpu:0", "power")

        async def send(seq: int) -> None:
            at_ms = time.time_ns() // 1_000_000
            await agent.send([pack([Sample("gpu:0", "power", 5.0)], seq=seq, time_ms=at_ms)])
            await agent.answered([seq])

        await send(1)
        # The collector has carried out the policy by itself at its start.
        await eventually(
            lambda: bool(service.state.ledger.entries("", "purge")),
            within=30,
            what="the policy is carried out and entered",
        )
        (entry,) = service.state.ledger.entries("", "purge")
        assert entry.content["rows"]["rows"] == 10
        assert service.state.ledger.extent("s", "it", 0, NOW_MS - 3000 * DAY) is None
        told = await purged(path, "--site", "s", "--resource", GUEST.resource)
        assert told["overwritten"] is False
        assert counts(told) == {"readings": 100, "rows": 10, "names": 2}
        told = await purged(path, "--site", "s", "--resource", "gpu:0")
        assert counts(told)["readings"] == 1
        await send(2)
        store = service.state.store
        assert await store.held("s", [(GUEST.agent, GUEST.resource)]) == (0, None, None)
        found = await store.read([gpu], 0, NOW_MS + DAY)
        assert len(found[gpu]) == 1
        assert len(service.state.ledger.entries("s", "purge")) == 2


def event(ledger: Ledger, subject: str, corrects: int | None = None, kind: str = "bypass") -> int:
    """A declared event with a reason that is personal."""
    return ledger.append(
        "s",
        "event",
        subject,
        start_ms=NOW_MS - HOUR,
        end_ms=NOW_MS,
        content={"event": kind, "reason": SECRET},
        now_ms=NOW_MS,
        corrects=corrects,
        may_move=True,
    )


async def test_events_of_what_another_agent_has_stay(tmp_path: Path, free_port: int) -> None:
    """One agent goes: events stay by the names that the site declares or another agent has."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = config.load(path)
    mine = [Series("s", "old", name, "power") for name in ("host", "gpu:0", "gpu:1")]
    async with open_store(settings) as store:
        others = [Series("s", "h2", "gpu:0", "power"), METER]
        await store.write([Reading(series, NOW_MS, 1.0) for series in (*mine, *others)])
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        for subject in ("host", "gpu:0", "gpu:1", "old/gpu:0", "h2/gpu:0", "it", ""):
            event(ledger, subject)
        told = await purged(path, "--site", "s", "--agent", "old")
        assert counts(told) == {"readings": 3, "names": 2}
        left = {entry.subject for entry in ledger.entries("s", "event")}
        assert left == {"host", "gpu:0", "h2/gpu:0", "it", ""}
        (mark,) = ledger.marks("s", NOW_MS)
        assert mark[:4] == ("meter", "it", NOW_MS - HOUR, NOW_MS)


async def test_a_corrected_event_of_another_name_stays_blanked(
    tmp_path: Path, free_port: int
) -> None:
    """In either direction; what was corrected does not hold again, and chains of one name go."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = await prepare(path, old=False)
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        onto_meter = event(ledger, "it", corrects=event(ledger, GUEST.resource))
        onto_guest = event(ledger, GUEST.resource, corrects=event(ledger, "it"))
        event(ledger, GUEST.resource, corrects=event(ledger, GUEST.resource))
        await purged(path, "--site", "s", "--resource", GUEST.resource)
        left = {e.id: e for e in ledger.entries("s", "event", corrected=True)}
        assert {key: e.corrects for key, e in left.items()} == {
            onto_meter - 1: None,
            onto_meter: onto_meter - 1,
            onto_guest - 1: None,
            onto_guest: onto_guest - 1,
        }
        assert {e.id: e.subject for e in ledger.entries("s", "event")} == {
            onto_meter: "it",
            onto_guest: erased_events.ERASED,
        }
        for key in (onto_meter - 1, onto_guest):
            assert (left[key].subject, left[key].content["reason"]) == (erased_events.ERASED, "")
        assert left[onto_meter].content["reason"] == SECRET
        assert counts(await purged(path, "--site", "s", "--resource", GUEST.resource)) == {}


@pytest.mark.end_to_end
async def test_a_request_that_cannot_be_done_is_answered(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """With one line and exit status 1; the next one is served, and nothing is tried for ever."""
    path = configured(tmp_path, mqtt_port=mosquitto.port)
    settings = await prepare(path, old=False)
    file = settings.state(settings.ledger.path)
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE TRIGGER refuses BEFORE DELETE ON methods WHEN old.resource LIKE 'guest:5e0f%'"
            " BEGIN SELECT RAISE(ABORT, 'this one may not go'); END"
        )
    database.close()
    async with collecting(path) as service:
        status, out, error = await purge(path, "--site", "s", "--resource", GUEST.resource)
        assert (status, out) == (1, "")
        assert "the collector could not do it" in error
        assert "this one may not go" in error
        assert error.strip().count("\n") == 0
        assert purge_requests.asked(service.state.ledger) == []
        told = await purged(path, "--site", "s", "--resource", OTHER.resource)
        assert counts(told) == {"readings": 50, "rows": 10, "names": 1}
        purge_requests.ask(service.state.ledger, {"site": 5}, NOW_MS)
        await eventually(
            lambda: not purge_requests.asked(service.state.ledger),
            within=30,
            what="what makes no sense is answered",
        )
        with sqlite3.connect(file) as database:
            database.execute("DROP TRIGGER refuses")
        database.close()
        told = await purged(path, "--site", "s", "--resource", GUEST.resource)
        assert counts(told) == {"names": 2}


async def test_a_clock_that_no_reading_proves_purges_nothing(
    tmp_path: Path, free_port: int
) -> None:
    """Where the last reading is of long ago the clock may have jumped: a person has to say not."""
    path = configured(tmp_path, mqtt_port=free_port)
    settings = config.load(path)
    async with open_store(settings) as store:
        await store.write([Reading(METER, NOW_MS - 900 * DAY - at, 1.0) for at in range(50)])
    status, out, error = await purge(path)
    assert (status, out) == (1, "")
    assert error.startswith("jauge-collector: nothing is purged: the clock says ")
    assert error.rstrip().endswith("if the clock is right, add --even-if-clock-jumped")
    assert error.count("\n") == 1
    planned = await purge(path, "--dry-run")
    assert planned[0] == 0
    assert "nothing would be purged now: the clock says " in planned[1]
    async with open_store(settings) as store:
        assert (await store.held("s", [("a", "host")])).rows == 50
    assert counts(await purged(path, "--even-if-clock-jumped")) == {"readings": 50}


@pytest.mark.end_to_end
async def test_an_agent_that_returns_is_known_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Its birth, the same as ever, is told to the ledger, which has forgotten it."""
    path = configured(tmp_path, mqtt_port=mosquitto.port)
    guest = ResourceDescription("guest:x", {"power": Method.ESTIMATE})
    birth = Birth("b1", "0.1", time.time(), resources=[guest])
    async with (
        collecting(path) as service,
        WireAgent(mosquitto.port, Address("s", "h7")) as agent,
    ):

        def known() -> bool:
            return ("h7", "guest:x", "power") in service.state.ledger.methods("s")

        await agent.describe(birth)
        await eventually(known, within=30, what="the ledger knows the methods")
        for whose in (("--agent", "h7"), ("--resource", "guest:x")):
            await purged(path, "--site", "s", *whose)
            assert not known()
            await agent.describe(birth)
            await eventually(known, within=30, what="the ledger knows them again")


@pytest.mark.end_to_end
async def test_from_victoriametrics(
    tmp_path: Path, free_port: int, victoria_metrics: VictoriaMetrics
) -> None:
    """Whole series go there; its own retention is its own flag's."""
    path = configured(tmp_path, mqtt_port=free_port, store_url=victoria_metrics.url)
    settings = await prepare(path, old=False)
    arguments = ("--site", "s", "--resource", GUEST.resource)
    async with open_store(settings) as store:

        async def shown() -> bool:
            await victoria_metrics.force_flush()
            held = await store.held("s", [(GUEST.agent, GUEST.resource)])
            return held.rows == 50 and GUEST in await store.series("s")

        await eventually(shown, within=30, what="the readings are shown")
        assert counts(await purged(path, "--dry-run", *arguments))["readings"] == 50
        assert counts(await purged(path, *arguments)) == {"readings": 50, "rows": 10, "names": 2}
        assert await readings_of(store, GUEST, OTHER, METER) == {OTHER, METER}
        assert counts(await purged(path, *arguments)) == {}
        assert counts(await purged(path)) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--site", "elsewhere"), "--site: 'elsewhere' is unknown; known: s"),
        (("--agent", "h1"), "--site: is missing; --agent is one of a site"),
        (("--site", "s", "--agent", "h 1"), "--agent: 'h 1' is no agent; write it as"),
        (("--site", "s", "--resource", "vm:1"), "--resource: 'vm:1' is no resource; write it"),
    ],
)
async def test_bad_input_is_one_line(
    tmp_path: Path, free_port: int, arguments: tuple[str, ...], words: str
) -> None:
    """Nothing is deleted by a command that is not understood."""
    path = configured(tmp_path, mqtt_port=free_port)
    status, out, error = await purge(path, *arguments)
    assert (status, out) == (2, "")
    assert error.startswith(f"jauge-collector: {words}")
    assert error.count("\n") == 1
