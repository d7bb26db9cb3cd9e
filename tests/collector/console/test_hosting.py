"""Hosts, guests and their use on the console: parts that add up, walked back, in both languages."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from jauge_collector.console.host import MOST_PARTS
from jauge_collector.console.hosting_words import ON_A_PAGE
from jauge_collector.console.text import language
from jauge_collector.ledger.shares import HostHour
from jauge_collector.stores import StoreError
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.attribution import Doubt
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address, Birth, Method, ResourceDescription, SourceDescription

from tests.browser import chromium
from tests.collector.console.cluster import (
    DAYS,
    GUESTS,
    HOSTS,
    WHOLE,
    fill,
    housing,
    last_hour_ms,
    shared_hour,
    site_file,
)
from tests.collector.console.doors import guarded
from tests.collector.console.plants import EVIL, Outline, built
from tests.collector.console.serving import HOUR_MS, Served, now_ms, opened, serve
from tests.collector.console.test_api import checked
from tests.collector.console.test_browser import CONTRAST, CUT, LEAST_CONTRAST, page_of, tree_of

PAGES = (
    "/s/hosts",
    "/s/hosts?cluster=north",
    "/s/hosts/alpha-1",
    "/s/hosts/vc/host:a2",
    "/s/hosts/vc/host:a3",
    "/s/guests",
    "/s/guests?q=portal",
    "/s/guests/evil",
    "/s/guests/train",
    "/s/use",
)

OPEN = "document.querySelectorAll('details').forEach((one) => one.open = true)"
NAMED = ("region", "navigation", "link", "table", "image", "searchbox", "button")


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the site, with five weeks of shares."""
    async with housing(tmp_path) as served:
        yield served


async def read(console: Served, path: str, status: int = 200) -> str:
    """What who may see everything gets there."""
    told, _, text = await console.get(path, headers=WHOLE.bearer)
    assert told == status, (path, text)
    return text


async def page(console: Served, path: str, code: str = "en") -> Outline:
    """A page in a language."""
    return Outline(await read(console, f"{path}{'&' if '?' in path else '?'}lang={code}"))


async def answer(console: Served, path: str) -> Any:
    """What the JSON interface says."""
    return json.loads(await read(console, f"/api/v1{path}"))


def number(text: str) -> float:
    """A number as either language writes it."""
    plain = re.sub(r"[\s\u00a0\u202f]", "", text)
    plain = plain.replace(",", "") if "." in plain else plain.replace(",", ".")
    found = re.match(r"[\d.]+", plain)
    assert found, text
    return float(found[0])


def table_of(shown: Outline, first: str) -> list[list[str]]:
    """The first table whose head begins with a text."""
    return next(table for table in shown.tables if table[0][0] == first)


async def test_every_page_is_built_for_every_reader(console: Served) -> None:
    """Each kind of page in both languages; nothing that machines named is taken for markup."""
    for path in PAGES:
        for code in ("fr", "en"):
            text = await read(console, f"{path}{'&' if '?' in path else '?'}lang={code}")
            shown = built(text, code, f"{path} {code}")
            assert "not measured" not in shown.text or code == "en"
            if code == "fr":
                assert not re.search(r"[ \u00a0][:;!?%»]|«[ \u00a0]", shown.text), path
    assert EVIL in (await page(console, "/s/guests/evil")).text


@pytest.mark.parametrize("code", ["fr", "en"])
async def test_the_parts_of_a_host_add_up_to_what_it_was_measured_to_draw(
    console: Served, code: str
) -> None:
    """As shown, to the last decimal: along each row, down each column, and to the measured W."""
    total = {"fr": "Somme", "en": "Sum"}[code]
    for path in ("/s/hosts/alpha-1", "/s/hosts/vc/host:a2"):
        shown = await page(console, path, code)
        head, *rows, last = table_of(shown, {"fr": "Part de", "en": "Part of"}[code])
        assert len(rows) == (5 if "alpha" in path else 4)
        cells = [[round(10 * number(cell)) for cell in row[1:5]] for row in (*rows, last)]
        for idle, dynamic, gpu, power in cells:
            assert idle + dynamic + gpu == power
        for column in range(4):
            assert sum(row[column] for row in cells[:-1]) == cells[-1][column]
        assert last[0] == total
        assert len(head) == 8
        hosts = (await answer(console, "/hosts"))["hosts"]
        (power,) = (one["power"] for one in hosts if path.endswith(f"/{one['host']}"))
        assert last[4] == language(code).number(power, 1)
        assert cells[-1][3] > 1000
        assert "■" not in shown.text


async def test_the_interface_gives_watts_that_add_up(console: Served) -> None:
    """A host's own part and its guests' are its power; the answers fit the document."""
    document = await answer(console, "/openapi.json")
    hosts = await answer(console, "/hosts")
    checked(document, "/hosts", hosts)
    measured = [host for host in hosts["hosts"] if host["power"] is not None]
    assert {host["host"] for host in measured} == {"alpha-1", "vc/host:a2", "vc/host:alone"}
    for host in measured:
        found = await answer(console, f"/guests?site=s&host={host['host']}")
        checked(document, "/guests", found)
        parts = [guest["now"] for guest in found["guests"]]
        assert len(parts) == host["guests"]
        for part in (host["own"], *parts):
            assert part["idle"] + part["dynamic"] + part["gpu"] == pytest.approx(part["power"])
            assert part["certainty"] in ("measured", "derived", "estimated")
        assert sum(part["power"] for part in (host["own"], *parts)) == pytest.approx(host["power"])
    use = await answer(console, "/use?site=s")
    checked(document, "/use", use)
    await read(console, "/api/v1/use", 400)
    await read(console, "/api/v1/guests?site=t", 404)


async def test_a_host_without_power_says_why_and_shows_no_zero(console: Served) -> None:
    """Its row and its page give a reason in words; its guests have no watts."""
    listed = await page(console, "/s/hosts")
    row = next(row for row in table_of(listed, "Host") if row[0].startswith("south-one"))
    assert row[1].startswith("not measured")
    assert len(row[1]) > len("not measured") + 5
    shown = await page(console, "/s/hosts/vc/host:a3")
    assert "not measured: " in " ".join(shown.text.split())
    assert "Part of" not in shown.text
    hosts = (await answer(console, "/hosts"))["hosts"]
    (host,) = (one for one in hosts if one["host"] == "vc/host:a3")
    assert (host["power"], host["own"]) == (None, None)
    assert host["reason"]
    guests = (await answer(console, "/guests"))["guests"]
    assert [one["now"] for one in guests if one["guest"] == "train"] == [None]
    assert "not running, or not measured" in (await page(console, "/s/guests/train")).text


async def test_the_last_day_of_a_host_is_its_rows(console: Served) -> None:
    """24 hours, each with its parts and their sum; together the energy that the row says."""
    shown = await page(console, "/s/hosts/alpha-1")
    _, *hours = table_of(shown, "When")
    assert len(hours) == 24
    sums = [round(1000 * number(row[5])) for row in hours]
    for row, whole in zip(hours, sums, strict=True):
        assert sum(round(1000 * number(cell)) for cell in row[1:5]) == whole
        assert row[6] in ("derived", "estimated")
    host = next(h for h in (await answer(console, "/hosts"))["hosts"] if h["host"] == "alpha-1")
    assert sum(sums) / 1000 == pytest.approx(host["energy_day"] / 3.6e6, abs=0.02)
    first = shared_hour("a1", last_hour_ms() - 24 * HOUR_MS)
    energy = sum(share.energy for share in first.shares)
    assert sums[0] == pytest.approx(energy / 3600, abs=1)
    _, _, text = await console.get("/s/hosts/alpha-1", headers=WHOLE.bearer)
    for style in ("own", "idle", "dynamic"):
        assert f'class="bar {style}"' in text


async def test_an_hour_without_shares_is_a_gap(console: Served) -> None:
    """Never a bar of zero."""
    missing = last_hour_ms() - 5 * HOUR_MS
    console.state.ledger.save_shares("s", [HostHour("alpha-1", missing, [])])
    text = await read(console, "/s/hosts/alpha-1?lang=en")
    _, *hours = table_of(Outline(text), "When")
    assert hours[19][1:] == ["not measured"] * 5 + ["–"]
    assert 'class="gap"' in text


async def test_a_guest_tells_where_it_ran_and_what_it_was_called(console: Served) -> None:
    """Names by date, hosts by span, days that add up to the month."""
    shown = await page(console, "/s/guests/evil")
    _, *names = table_of(shown, "Name")
    assert [row[0] for row in names] == [GUESTS["evil"].name, "before-the-move"]
    _, *stays = table_of(shown, "Host")
    assert [row[0] for row in stays] == ["Alpha one", "north-two"]
    assert stays[0][1] == stays[1][2]
    _, *days = table_of(shown, "When")
    assert len(days) in (31, 32)
    for row in days:
        assert sum(round(100 * number(c)) for c in row[1:4]) == round(100 * number(row[4]))
    guest = next(g for g in (await answer(console, "/guests"))["guests"] if g["guest"] == "evil")
    month = sum(number(row[4]) for row in days)
    assert month == pytest.approx(guest["energy_month"] / 3.6e6, abs=0.2)
    assert shown.to("/s/hosts/alpha-1")
    await read(console, "/s/guests/nobody", 404)
    await read(console, "/s/hosts/nobody", 404)
    await read(console, "/s/hosts/vc/host:nobody", 404)


async def test_a_months_energy_is_rolled_up_three_times_alike(console: Served) -> None:
    """Clusters, tenants and services each add up to the hosts' energy; a handover parts a guest."""
    last = datetime.fromtimestamp(last_hour_ms() / 1000, UTC)
    month = f"{last.year - (last.month == 1)}-{(last.month - 2) % 12 + 1:02}"
    shown = await page(console, f"/s/hosts?month={month}")
    sums: list[float] = []
    for head in ("Cluster", "Tenant", "Service"):
        _, *rows = table_of(shown, head)
        *groups, whole = rows
        assert whole[0] == "Sum"
        assert sum(number(row[2]) for row in groups) == pytest.approx(number(whole[2]), abs=0.05)
        sums.append(number(whole[2]))
    assert sums[0] == sums[1] == sums[2] > 0
    now = await page(console, "/s/hosts")
    tenants = {row[0]: row for row in table_of(now, "Tenant")[1:]}
    assert {"alpha", "bravo", "no tenant"} <= set(tenants)
    services = {row[0]: row for row in table_of(now, "Service")[1:]}
    assert EVIL in services
    assert now.to("q=portal")
    assert shown.to("month=")
    await read(console, "/s/hosts?month=next", 400)
    await read(console, "/s/hosts?month=9999-12", 400)


async def test_guests_are_found_by_name_and_by_label(console: Served) -> None:
    """Case does not matter, nothing found says so, and a page too far is the last."""
    shown = await page(console, "/s/guests?q=PORTAL")
    assert sorted(row[0] for row in table_of(shown, "Guest")[1:]) == [
        "alpha-ownportal",
        "db-1portal",
        "web-1portal",
    ]
    assert "3 of 9" in shown.text
    assert "No guest is found" in (await page(console, "/s/guests?q=nothing-of-that-name")).text
    assert len(table_of(await page(console, "/s/guests?page=99"), "Guest")) == 10


async def test_the_list_of_guests_says_where_each_runs(console: Served) -> None:
    """By the host's name, which leads to it; nothing where it does not run."""
    shown = await page(console, "/s/guests")
    head, *found = table_of(shown, "Guest")
    column = head.index("Host")
    where = {row[0]: row[column] for row in found}
    assert where["web-1portal"] == "Alpha one"
    assert shown.to("/s/hosts/alpha-1")
    told = {one["name"]: one["host"] for one in (await answer(console, "/guests"))["guests"]}
    off = {name for name, host in told.items() if not host}
    without = {row[0] for row in found if row[column].startswith("–")}
    assert len(without) == len(off) > 0
    assert all(any(name.startswith(one) for one in off) for name in without)


async def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    """VM2 before VM10."""
    address, now = Address("s", "vc"), now_ms()
    names = ["VM10", "vm3", "VM2", "A", "VM"]
    async with opened(guarded(tmp_path, WHOLE, site=site_file())) as state:
        quantities = dict.fromkeys(("cpu_utilisation", "processors"), Method.GAUGE)
        resources = [
            ResourceDescription("host:a1", {"power": Method.GAUGE}, "Alpha one"),
            *(ResourceDescription(f"guest:{name}", quantities, name) for name in names),
        ]
        birth = Birth("b", "1", now / 1000, [SourceDescription("vsphere", 20.0)], resources)
        state.inventory.born(address, birth, now)
        readings = [Reading(Series(*address, "host:a1", "power"), now, 100.0)]
        for name in names:
            own = [Series(*address, f"guest:{name}", quantity) for quantity in quantities]
            readings += [Reading(series, now, 1.0) for series in own]
        await state.store.write(readings)
        async with serve(state) as console:
            found = table_of(await page(console, "/s/guests"), "Guest")[1:]
    assert [row[0] for row in found] == ["A", "VM", "VM2", "vm3", "VM10"]


async def test_where_no_guest_was_seen_long_enough_that_is_said(tmp_path: Path) -> None:
    """Instead of four zeros, which would say that nothing is wrong."""
    async with opened(guarded(tmp_path, WHOLE, site=site_file())) as state:
        async with serve(state) as console:
            shown = (await page(console, "/s/use")).text
        assert "No guest was seen in these weeks" in shown
        assert 'class="big"' not in shown
        fill(state, days=3)
        async with serve(state) as console:
            shown = (await page(console, "/s/use")).text
    assert "were seen on too few days. 14 whole days are needed, and 30 for idle" in shown
    assert 'class="big"' not in shown
    assert "Not known yet." in shown
    assert "None was found." not in shown


def rows_of(text: str) -> list[dict[str, str]]:
    """A CSV file by its columns."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_files_say_what_the_interface_says_and_start_no_formula(console: Served) -> None:
    """Same hosts, guests and findings; a cell that a spreadsheet would run is a text."""
    _, headers, text = await console.get("/s/guests.csv", headers=WHOLE.bearer)
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="jauge-s-guests-\d{4}-\d\d-\d\d\.csv"',
        headers["Content-Disposition"],
    )
    found = {row["guest"]: row for row in rows_of(text)}
    told = {one["guest"]: one for one in (await answer(console, "/guests"))["guests"]}
    assert set(found) == set(told) == set(GUESTS)
    assert found["evil"]["name"] == f"'=cmd|{EVIL}"
    assert found["evil"]["service"] == "'=HYPERLINK(1)"
    assert found["train"]["power_w"] == ""
    for key, row in found.items():
        now = told[key]["now"]
        if now is not None:
            assert float(row["power_w"]) == pytest.approx(now["power"], abs=1e-3)
        assert float(row["energy_30d_kwh"]) == pytest.approx(
            told[key]["energy_month"] / 3.6e6, abs=1e-3
        )
    hosts = rows_of(await read(console, "/s/hosts.csv"))
    assert [row["host"] for row in hosts] == [
        one["host"] for one in (await answer(console, "/hosts"))["hosts"]
    ]
    use = rows_of(await read(console, "/s/use.csv"))
    told_use = await answer(console, "/use?site=s")
    kinds = (("idle", "idle"), ("oversized", "oversized"), ("at_rest", "night"))
    for kind, key in kinds:
        assert [row["id"] for row in use if row["finding"] == kind] == [
            one["guest"] for one in told_use[key]
        ]
    for text in (*(cell for row in (*found.values(), *hosts, *use) for cell in row.values()),):
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), text


async def test_use_finds_what_was_put_there(console: Served) -> None:
    """The idle, the oversized, the one at rest by night, the host that could sleep; thresholds."""
    use = await answer(console, "/use?site=s")
    assert [one["guest"] for one in use["idle"]] == ["idle"]
    assert use["oversized"][0]["guest"] == "big"
    assert use["oversized"][0]["recommended_processors"] == 2
    (night,) = use["night"]
    assert night["guest"] == "web"
    assert [window["hours"] for window in night["windows"]] == [11, 11, 11, 11, 59]
    assert [one["host"] for one in use["asleep"]] == ["vc/host:alone"]
    assert use["asleep"][0]["moves"] == [{"guest": "own", "host": "alpha-1"}]
    assert use["not_judged"] == {"gpu": 1}
    assert use["judged"] == len(GUESTS)
    hours = 35 * 24
    idle_w = sum(
        days * HOSTS["a1"][3] * GUESTS["idle"].processors / given / 35
        for days, given in ((25, 22), (10, 24))
    )
    saved = use["idle"][0]["saving"]
    assert saved["idle"] == pytest.approx(idle_w * 8766 / 1000, rel=0.01)
    assert saved["dynamic"] < 2
    assert saved["certainty"] == "derived"
    assert use["end_ms"] - use["start_ms"] in range((hours - 1) * HOUR_MS, (hours + 2) * HOUR_MS)
    shown = await page(console, "/s/use")
    words = " ".join(shown.text.split())
    assert "busier than 5%" in words
    assert "30 days or more" in words
    assert "Mon 20:00–Tue 07:00" in words.replace("\u00a0", " ")
    french = " ".join((await page(console, "/s/use", "fr")).text.split())
    assert "lun 20:00–mar 07:00" in french.replace("\u00a0", " ")
    assert DAYS > 35


async def test_without_the_store_energies_are_still_told(
    console: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn now is said to be unavailable; nothing is 0, and the ledger's part stands."""

    async def away(*_: object, **__: object) -> None:
        raise StoreError("away")

    monkeypatch.setattr(SqliteStore, "read", away)
    monkeypatch.setattr(SqliteStore, "series", away, raising=False)
    for path in ("/s/hosts", "/s/guests", "/s/use"):
        assert "does not answer" in (await page(console, path)).text
    rows = table_of(await page(console, "/s/hosts"), "Host")[1:]
    assert len(rows) == len(HOSTS)
    assert all(row[1].startswith("not measured") and "kWh" in row[3] for row in rows)
    shown = await page(console, "/s/hosts/alpha-1")
    assert "does not answer" in shown.text
    assert len(table_of(shown, "When")) == 25


async def test_shares_that_are_written_later_show(
    console: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure that was quick to work out is not kept for long: a late hour counts."""
    monkeypatch.setattr("jauge_collector.console.figures.CHECKED_S", 0.0)
    monkeypatch.setattr("jauge_collector.console.figures.WORTH", 0.0)

    async def energies() -> dict[str, float]:
        guests = (await answer(console, "/guests"))["guests"]
        return {guest["guest"]: guest["energy_day"] for guest in guests}

    before = await energies()
    at = last_hour_ms() - 3 * HOUR_MS
    console.state.ledger.save_shares("s", [HostHour("alpha-1", at, [])])
    after = await energies()
    gone = {share.guest.partition(":")[2]: share.energy for share in shared_hour("a1", at).shares}
    for guest, energy in before.items():
        assert after[guest] == pytest.approx(energy - gone.get(guest, 0.0))
    assert after["web"] < before["web"]


async def test_measured_or_estimated_is_said_everywhere(console: Served) -> None:
    """In the table of hosts, on each one's page, in the interface and in the file."""
    hosts = {one["host"]: one for one in (await answer(console, "/hosts"))["hosts"]}
    said = {"alpha-1": "measured", "vc/host:alone": "estimated", "vc/host:a3": None}
    assert {host: hosts[host]["certainty"] for host in said} == said
    lines = rows_of(await read(console, "/s/hosts.csv"))
    told = {line["host"]: line["power_certainty"] for line in lines}
    assert {host: told[host] for host in said} == {h: w or "" for h, w in said.items()}
    words = {"en": ("measured", "estimated"), "fr": ("mesuré", "estimé")}
    for code, (measured, estimated) in words.items():
        table = table_of(await page(console, "/s/hosts", code), {"en": "Host", "fr": "Hôte"}[code])
        cells = {row[0]: row[1] for row in table[1:]}
        assert f"{measured}, " in next(cell for name, cell in cells.items() if "Alpha one" in name)
        assert f"{estimated}, " in next(
            cell for name, cell in cells.items() if "alpha-alone" in name
        )
        glance = {"en": "measured: 2, estimated: 1, of 4", "fr": "estimée\u202f: 1, sur 4"}[code]
        assert glance in (await page(console, "/s/hosts", code)).text
        alone = await page(console, "/s/hosts/vc/host:alone", code)
        assert {"en": "was estimated for the host", "fr": "estimée de l’hôte"}[code] in alone.text
        alpha = await page(console, "/s/hosts/alpha-1", code)
        assert {"en": "was measured for the host", "fr": "mesurée de l’hôte"}[code] in alpha.text


@pytest.mark.parametrize(
    ("factor", "english", "french"),
    [
        (1.25, "said 20.0% less of its guests", "20,0\u202f% de moins"),
        (0.8, "said 25.0% more of its guests", "25,0\u202f% de plus"),
        (1.0, "said the same of its guests", "la même énergie dynamique"),
    ],
)
async def test_a_host_tells_how_its_counters_agree(
    console: Served,
    monkeypatch: pytest.MonkeyPatch,
    factor: float,
    english: str,
    french: str,
) -> None:
    """By how much the hypervisor's own counters differ, and which contradict each other."""
    monkeypatch.setattr("jauge_collector.console.figures.CHECKED_S", 0.0)
    monkeypatch.setattr("jauge_collector.console.figures.WORTH", 0.0)
    shown = await page(console, "/s/hosts/alpha-1")
    assert "No counters contradicted each other." in shown.text
    assert "own counters said" not in shown.text
    for hours in range(1, 4):
        at_ms = last_hour_ms() - hours * HOUR_MS
        own, *guests = shared_hour("a1", at_ms).shares
        doubts = frozenset(Doubt) if hours == 2 else frozenset({Doubt.BUSY_EXCEEDS_HOST})
        own = msgspec.structs.replace(own, reconciliation=factor, doubts=doubts)
        hour = HostHour(own.host, at_ms, [own, *guests])
        console.state.ledger.save_shares("s", [hour])
    text = (await page(console, "/s/hosts/vc/host:a2")).text
    assert "No counters contradicted each other." in text
    (host,) = [
        one for one in (await answer(console, "/hosts"))["hosts"] if one["host"] == "alpha-1"
    ]
    assert host["reconciliation_day"] == pytest.approx(factor)
    assert host["doubts_day"] == {
        "busy_exceeds_host": 3,
        "gpu_exceeds_host": 1,
        "idle_exceeds_rest": 1,
        "parts_exceed_gpu": 1,
    }
    (line,) = [
        one for one in rows_of(await read(console, "/s/hosts.csv")) if one["host"] == "alpha-1"
    ]
    assert float(line["reconciliation_24h"]) == factor
    assert line["doubts_24h"].split() == sorted(host["doubts_day"])
    for code, sentence, counted in (
        ("en", english, "In 3 of the last 24 hours"),
        ("fr", french, "Dans 3 des 24 dernières heures"),
    ):
        shown = await page(console, "/s/hosts/alpha-1", code)
        assert sentence in shown.text
        assert counted in shown.text
        assert shown.text.count(counted.replace("3", "1")) == 3


async def test_a_host_of_many_guests_still_adds_up_within_the_size(tmp_path: Path) -> None:
    """What is too much for the table stands as one line; the list of guests has pages."""
    number_of_guests, address, now = 260, Address("s", "vc"), now_ms()
    settings = guarded(tmp_path, WHOLE, site=site_file())
    async with opened(settings) as state:
        guests = [f"guest:{n:04}{'-' * 30}" for n in range(number_of_guests)]
        quantities = dict.fromkeys(("cpu_utilisation", "processors"), Method.GAUGE)
        resources = [
            ResourceDescription("host:a1", {"power": Method.GAUGE}, "Alpha one"),
            *(ResourceDescription(guest, quantities, "desktop") for guest in guests),
        ]
        birth = Birth("b", "1", now / 1000, [SourceDescription("vsphere", 20.0)], resources)
        state.inventory.born(address, birth, now)
        readings = [Reading(Series(*address, "host:a1", "power"), now, 1234.5)]
        for n, guest in enumerate(guests):
            busy = Reading(Series(*address, guest, "cpu_utilisation"), now, round(n / 500, 4))
            readings += [busy, Reading(Series(*address, guest, "processors"), now, 2.0)]
        await state.store.write(readings)
        async with serve(state) as console:
            for code in ("fr", "en"):
                text = await read(console, f"/s/hosts/alpha-1?lang={code}")
                shown = built(text, code, code)
                head = {"fr": "Part de", "en": "Part of"}[code]
                _, *rows, last = table_of(shown, head)
                assert len(rows) == 1 + MOST_PARTS + 1
                assert rows[-1][0].startswith(str(number_of_guests - MOST_PARTS))
                tenths = [round(10 * number(row[4])) for row in (*rows, last)]
                assert sum(tenths[:-1]) == tenths[-1] == 12345
            first = await read(console, "/s/guests?lang=en")
            assert len(table_of(built(first, "en", "guests"), "Guest")) == 1 + ON_A_PAGE
            assert "Page 1 of 3" in Outline(first).text
            last_page = await page(console, "/s/guests?page=3")
            assert len(table_of(last_page, "Guest")) == 1 + number_of_guests - 2 * ON_A_PAGE
            assert last_page.to("page=2")


@pytest.mark.browser
async def test_a_browser_shows_the_pages_to_everybody(console: Served) -> None:
    """Contrast in light and dark, no page wider than a phone, a named tree, no complaint."""
    wrong: list[str] = []
    async with chromium() as browser:
        looks: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 320), ("dark", 1280))
        for scheme, width in looks:
            async with page_of(browser, width=width, scheme=scheme, wrong=wrong) as shown:
                await shown.set_extra_http_headers(WHOLE.bearer)
                for path in PAGES:
                    await shown.goto(f"{console.base}{path}")
                    await shown.evaluate(OPEN)
                    measured = await shown.evaluate(CONTRAST)
                    assert [m for m in measured if m[0] < LEAST_CONTRAST] == [], (scheme, path)
                    wide = await shown.evaluate(
                        "[document.documentElement.scrollWidth, innerWidth]"
                    )
                    assert wide[0] <= wide[1], path
                    assert await shown.evaluate(CUT) == [], path
                    for node in await tree_of(shown):
                        if node["role"]["value"] in NAMED:
                            assert node["name"]["value"].strip(), (path, node["role"])
    assert wrong == []
