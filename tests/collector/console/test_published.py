"""/metrics of sites: powers that add up, limits, places, events and the record; nothing else."""

import re
import time
from collections import Counter
from datetime import UTC, date
from pathlib import Path

import aiohttp
import msgspec
import pytest
from jauge_collector import civil
from jauge_collector.console import published
from jauge_collector.console.published import NAMES
from jauge_collector.ledger import chain
from jauge_collector.ledger.closing import close_span
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.registers.events import enter_event
from jauge_models.intervals import Basis, Grade, Interval
from jauge_models.metrics import METRICS, MetricType, Publisher
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity, Event, EventKind, Validity
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.console.cluster import HOSTS, WHOLE, housing
from tests.collector.console.serving import (
    KWH,
    PLANT,
    SITE,
    Served,
    configuration,
    introduce,
    serving,
)
from tests.collector.running import collecting, configured
from tests.parts import eventually, free_port

Samples = dict[str, list[tuple[dict[str, str], float]]]

MORE = """
[registers]
rooms = "rooms.csv"
servers = "servers.csv"

[[circuits]]
current = "plant/phase:a.1"
limit_a = 32
phase = "L1"
feed = "A"
load = "rack A1"

[[circuits]]
current = "plant/phase:old"
limit_a = 16
valid_to = "2020-01-01"

[[connections]]
upstream = "incomer"
downstream = "ups"
"""
ROOMS = """\
room;row;rack;intake;class
R;1;A1;plant/sensor:in-1;
R;1;;;10..30
R;2;B1;plant/sensor:in-2 plant/sensor:in-3;
R;3;C1;plant/sensor:in-4;A1
"""
SERVERS = "id;serial;room;row;rack;owner;used_by;valid_from\nS1;SN1;R;1;A1;o;u;2024-01-01\n"


def samples_of(text: str) -> Samples:
    """What a scrape reads, by name; every name and label is one of the catalogue."""
    known = {name: metric for metric in METRICS.values() for name in metric.series}
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            metric = known[sample.name]
            assert metric.publisher is Publisher.COLLECTOR
            labels = set(sample.labels) - {"le"}
            assert labels >= set(metric.labels), sample
            assert metric.open_labels or labels <= {*metric.labels, *metric.optional}, sample
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def scraped(console: Served, headers: dict[str, str] | None = None) -> Samples:
    """One scrape."""
    status, _, text = await console.get("/metrics", headers=headers)
    assert status == 200
    return samples_of(text)


async def write(console: Served, **powers: float) -> None:
    """Watts of meters of the plant, read just now."""
    now = time.time_ns() // 1_000_000
    await console.state.store.write(
        [Reading(Series(*PLANT, f"meter:{m}", "power"), now, watts) for m, watts in powers.items()]
    )


def more(folder: Path) -> None:
    """The site with circuits and registers."""
    (folder / "site.toml").write_text(SITE + MORE, encoding="utf-8")
    (folder / "rooms.csv").write_text(ROOMS, encoding="utf-8")
    (folder / "servers.csv").write_text(SERVERS, encoding="utf-8")


async def test_a_running_collector_publishes_what_the_catalogue_has(tmp_path: Path) -> None:
    """Each family with its type and text, whether it has a sample or not, and no other."""
    port = free_port()
    path = configured(tmp_path, mqtt_port=free_port(), port=port)
    async with collecting(path, ready=False), aiohttp.ClientSession() as session:

        async def text() -> str:
            try:
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    return await answer.text()
            except aiohttp.ClientConnectionError:
                return ""

        async def answers() -> bool:
            return "jauge_collector_agents" in await text()

        await eventually(answers, within=20, what="/metrics answers")
        shown = await text()
    samples_of(shown)
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", shown, re.MULTILINE))
    texts = dict(re.findall(r"^# HELP (\S+) (.+)$", shown, re.MULTILINE))
    made = {name for name in types if name.endswith("_created")}
    catalogue = {m.name: m for m in METRICS.values() if m.publisher is Publisher.COLLECTOR}
    assert types.keys() - made == catalogue.keys()
    counted = {MetricType.COUNTER, MetricType.HISTOGRAM}
    assert made <= {
        f"{metric.family}_created" for metric in catalogue.values() if metric.type in counted
    }
    for name, metric in catalogue.items():
        assert types[name] == metric.type, name
        assert texts[name] == metric.help, name


async def test_hosts_are_the_sum_of_their_guests_and_their_own(tmp_path: Path) -> None:
    """A host that says nothing has no power and no guests, and is there all the same."""
    async with housing(tmp_path, days=1) as console:
        shown = await scraped(console, WHOLE.bearer)
    parts: Counter[str] = Counter()
    for family in ("jauge_host_own_power_watts", "jauge_guest_attributed_power_watts"):
        for labels, watts in shown[family]:
            parts[labels["host"]] += round(watts * 10)
    hosts = {labels["host"]: (labels, watts) for labels, watts in shown["jauge_host_power_watts"]}
    assert {host: round(watts * 10) for host, (_, watts) in hosts.items()} == parts
    assert set(hosts) == {subject for subject, *_ in HOSTS.values()} - {"vc/host:a3"}
    certainty = {host: labels["certainty"] for host, (labels, _) in hosts.items()}
    assert certainty == {
        "alpha-1": "measured",
        "vc/host:a2": "measured",
        "vc/host:alone": "estimated",
    }
    infos = {labels["host"]: labels for labels, _ in shown["jauge_host_info"]}
    assert set(infos) == {subject for subject, *_ in HOSTS.values()}
    assert (infos["alpha-1"]["name"], infos["alpha-1"]["cluster"]) == ("Alpha one", "north")
    feeds = {
        (labels["host"], labels["agent"], labels["resource"], labels["rank"])
        for labels, _ in shown["jauge_host_feed_info"]
    }
    assert ("alpha-1", "vc", "host:a1", "1") in feeds
    guests = {(one["agent"], one["resource"]) for one, _ in shown["jauge_resource_info"]}
    for labels, _ in shown["jauge_guest_attributed_power_watts"]:
        assert (labels["agent"], labels["resource"]) in guests
        assert labels["guest"] == f"{labels['agent']}/{labels['resource']}"
    ((site, _),) = shown["jauge_site_info"]
    assert site["simulated"] == "true"


async def test_totals_are_there_while_every_meter_of_them_is(tmp_path: Path) -> None:
    """With one meter silent the other's total stays, and no zero stands for the rest."""
    settings = configuration(tmp_path)
    more(tmp_path)
    async with serving(settings) as console:
        introduce(console.state)
        await write(console, incomer=1200.0)
        shown = await scraped(console)
    assert [(one["meter"], watts) for one, watts in shown["jauge_meter_power_watts"]] == [
        ("incomer", 1200.0)
    ]
    assert shown["jauge_total_power_watts"] == [({"site": "s", "symbol": "E_DC"}, 1200.0)]
    names = {one["meter"]: one for one, _ in shown["jauge_meter_info"]}
    assert set(names) == {"incomer", "ups", "water", "spare"}
    assert [one for one, _ in shown["jauge_connection_info"]] == [
        {"site": "s", "upstream": "incomer", "downstream": "ups", "feed": ""}
    ]
    ((limit, amperes),) = shown["jauge_meter_limit_amperes"]
    assert amperes == 32
    assert limit == {
        "site": "s",
        "agent": "plant",
        "resource": "phase:a.1",
        "phase": "L1",
        "feed": "A",
        "load": "rack A1",
    }


async def test_intake_sensors_have_their_place_and_the_class_around_them(tmp_path: Path) -> None:
    """The rack's class, else the row's, else the policy's; no limits of a class from memory."""
    settings = configuration(tmp_path)
    more(tmp_path)
    async with serving(settings) as console:
        shown = await scraped(console)
    classes = {
        one["resource"]: (one["room"], one["row"], one["rack"], one["class"])
        for one, _ in shown["jauge_intake_info"]
    }
    assert classes == {
        "sensor:in-1": ("R", "1", "A1", "10..30"),
        "sensor:in-2": ("R", "2", "B1", "A2"),
        "sensor:in-3": ("R", "2", "B1", "A2"),
        "sensor:in-4": ("R", "3", "C1", "A1"),
    }
    limits = {
        (one["class"], one["bound"]): value for one, value in shown["jauge_envelope_limit_celsius"]
    }
    assert {name for name, _ in limits} == {"A1", "A2", "A3", "A4", "10..30"}
    assert limits["A2", "allowable_high"] == 35
    assert limits["A1", "recommended_low"] == 18
    assert (limits["10..30", "allowable_low"], limits["10..30", "allowable_high"]) == (10, 30)
    assert limits["10..30", "recommended_high"] == 27


async def test_an_event_shows_while_it_runs(tmp_path: Path) -> None:
    """Of the site file's and of the register's; neither one that is over nor one to come."""
    settings = configuration(tmp_path)
    async with serving(settings) as console:
        now, hour = time.time_ns() // 1_000_000, 3_600_000
        site = console.state.sites["s"]
        for subject, start, end in (
            ("", -hour, hour),
            ("ups", -hour, hour),
            ("incomer", -2 * hour, -hour),
            ("water", hour, 2 * hour),
        ):
            event = Event(EventKind.MAINTENANCE, Validity(now + start, now + end), subject, "test")
            enter_event(console.state.ledger, site, event, now_ms=now, signatory="tester")
        shown = await scraped(console)
    assert sorted(one["scope"] for one, _ in shown["jauge_event_active"]) == ["", "ups"]
    assert {one["kind"] for one, _ in shown["jauge_event_active"]} == {"maintenance"}


async def test_the_record_is_shown_once_it_is_made(tmp_path: Path) -> None:
    """Every result of a site with servers; none closed a quarter, so nothing is proposed."""
    settings = configuration(tmp_path)
    more(tmp_path)
    async with serving(settings) as console:
        introduce(console.state)

        async def there() -> bool:
            return "jauge_compliance_servers" in await scraped(console)

        await eventually(there, within=30, what="the record is on /metrics")
        shown = await scraped(console)
    counts = {one["result"]: value for one, value in shown["jauge_compliance_servers"]}
    assert sum(counts.values()) == 1
    assert counts["demonstrated"] == 0
    shares = {one["result"]: value for one, value in shown["jauge_compliance_share_ratio"]}
    assert shares == counts
    blocking = {one["criterion"]: n for one, n in shown["jauge_compliance_blocking_criteria"]}
    assert blocking["S3"] == 1
    assert "jauge_compliance_required_ratio" not in shown
    assert "jauge_ledger_restatements_proposed" not in shown
    ((quarter, made_s),) = shown["jauge_compliance_record_timestamp_seconds"]
    assert re.fullmatch(r"\d{4}-Q[1-4]", quarter["quarter"])
    assert abs(made_s - time.time()) < 120


async def test_a_site_without_registers_shows_no_record_and_no_zero(tmp_path: Path) -> None:
    """Nor hosts, powers or limits that nobody declared or measured."""
    async with serving(configuration(tmp_path)) as console:
        shown = await scraped(console)
    assert {name for name in NAMES if name in shown} == {"jauge_site_info", "jauge_meter_info"}


async def test_a_register_that_is_wrong_takes_nothing_else_away(tmp_path: Path) -> None:
    """What it would say is absent; powers are there."""
    settings = configuration(tmp_path)
    more(tmp_path)
    (tmp_path / "rooms.csv").write_text("nonsense\n", encoding="utf-8")
    async with serving(settings) as console:
        introduce(console.state)
        await write(console, incomer=1200.0, ups=1000.0)
        shown = await scraped(console)
    assert len(shown["jauge_total_power_watts"]) == 2
    assert "jauge_intake_info" not in shown


async def test_what_has_become_old_is_no_longer_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power of long ago is none of now: its last value does not stay."""
    async with serving(configuration(tmp_path)) as console:
        introduce(console.state)
        await write(console, incomer=1200.0)
        assert "jauge_meter_power_watts" in await scraped(console)
    monkeypatch.setattr(published, "STALE_S", 0.0)
    async with serving(configuration(tmp_path)) as console:
        introduce(console.state)
        assert "jauge_meter_power_watts" not in await scraped(console)


async def test_rows_that_wait_for_a_person_are_counted(tmp_path: Path) -> None:
    """A quarter was closed: 0 where nothing would change, and the rows that would."""
    start_ms, hour = civil.midnight_ms(date(2025, 7, 1), UTC), 3_600_000
    row = Interval(start_ms, start_ms + hour, KWH, hour, hour, Basis.REGISTER, Grade.HIGH)
    async with serving(configuration(tmp_path)) as console:
        ledger = console.state.ledger

        def save(amount: float) -> None:
            kept = Row(
                msgspec.structs.replace(row, amount=amount), "plant/meter:ups/energy", final=True
            )
            span = (start_ms, start_ms + hour)
            stretch = Stretch("ups", Commodity.ELECTRICITY, *span, [kept], meter=True)
            ledger.save("s", [stretch], start_ms + 2 * hour)

        save(KWH)
        end_ms = civil.midnight_ms(date(2025, 10, 1), UTC)
        with ledger.transaction(writes=True) as connection:
            close_span(connection, "s", "2025-Q3", ["ups"], start_ms, end_ms, end_ms)
        told = dict.fromkeys(("note", "data_hash", "snapshot"), "")
        content = {"act": "closed", "revision": 1, "by": "tester", **told}
        ledger.link("s", chain.QUARTER, "2025-Q3", content, end_ms)
        shown = await scraped(console)
        assert shown["jauge_ledger_restatements_proposed"] == [({"site": "s"}, 0)]
    async with serving(configuration(tmp_path)) as console:
        ledger = console.state.ledger
        save(2 * KWH)
        shown = await scraped(console)
    assert shown["jauge_ledger_restatements_proposed"] == [({"site": "s"}, 1)]
