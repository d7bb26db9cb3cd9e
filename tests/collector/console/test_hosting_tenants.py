"""Guests of two tenants on shared hosts: neither learns a name or a watt of the other."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from jauge_collector import sites
from jauge_collector.access.holders import Holders
from jauge_collector.access.scope import Scope, Sight
from jauge_collector.access.tenancy import Tenancy
from jauge_collector.console.figures import Figures
from jauge_collector.console.guard import DECLARED
from jauge_collector.console.scoped import Scoping
from jauge_collector.ledger.descriptions import Description
from jauge_models.topology import Feed, Validity

from tests.collector.console.cluster import (
    ALPHA,
    BRAVO,
    GUESTS,
    HANDED_H,
    HOSTS,
    WHOLE,
    housing,
    last_hour_ms,
    shared_hour,
    site_file,
)
from tests.collector.console.doors import Holder
from tests.collector.console.plants import Outline
from tests.collector.console.serving import HOUR_MS, Served
from tests.collector.console.test_tenants import plain

OWN: Final = {"web", "idle", "handed", "own"}
OTHERS: Final = (
    "bravo-files",
    "bravo-mail",
    "bravo-service",
    "north-two",
    "alpha one",
    "alpha-1",
    "host:a2",
    "db-1",
    "training",
    "research",
    "before-the-move",
    "handed-over",
    "handed-service",
    "hyperlink",
)
"""Names of others' guests and hosts, what alpha's guest was called while it was bravo's."""


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the site, with five weeks of shares."""
    async with housing(tmp_path) as served:
        yield served


def addresses(console: Served) -> list[str]:
    """Every GET address of hosts, guests and use, with every name that it may hold."""
    hosts = [subject for subject, *_ in HOSTS.values()]
    paths: list[str] = []
    for method, path in console.app[DECLARED]:
        if method != "GET" or not any(word in path for word in ("host", "guest", "use")):
            continue
        for host in hosts if "{host}" in path else [""]:
            name, slash, resource = host.partition("/")
            if bool(slash) != ("{resource}" in path):
                continue
            for guest in GUESTS if "{guest}" in path else [""]:
                whole = path.format(site="s", host=name, resource=resource, guest=guest)
                paths.append(f"{whole}?site=s" if whole.startswith("/api") else whole)
    return [*paths, "/s/hosts?cluster=north", "/s/guests?q=bravo", "/api/v1/guests?host=alpha-1"]


async def answer(console: Served, path: str, holder: Holder) -> Any:
    """What the JSON interface says to somebody."""
    status, _, text = await console.get(f"/api/v1{path}", headers=holder.bearer)
    assert status == 200, text
    return json.loads(text)


async def test_a_tenant_reads_no_name_of_others(console: Served) -> None:
    """At every address, in both languages; who may see everything finds each of them."""
    heard: dict[str, str] = {}
    seen: list[str] = []
    for path in addresses(console):
        for code in ("en", "fr"):
            asked = (
                path
                if path.startswith("/api")
                else f"{path}{'&' if '?' in path else '?'}lang={code}"
            )
            _, _, text = await console.get(asked, headers=ALPHA.bearer)
            told = plain(text)
            heard |= {one: asked for one in OTHERS if one in told and one not in plain(asked)}
            _, _, whole = await console.get(asked, headers=WHOLE.bearer)
            seen.append(plain(whole))
    assert heard == {}
    everything = "\n".join(seen)
    assert [one for one in OTHERS if one not in everything] == []
    assert len(seen) > 40


async def test_each_tenant_reads_their_own_guests(console: Served) -> None:
    """By site file, by label, and since the handover; a host only where all on it is theirs."""
    for holder, guests, hosts in (
        (ALPHA, OWN, {"vc/host:alone"}),
        (BRAVO, {"bravo-file", "bravo-label"}, set()),
        (WHOLE, set(GUESTS), {subject for subject, *_ in HOSTS.values()}),
    ):
        told = (await answer(console, "/guests", holder))["guests"]
        assert {one["guest"] for one in told} == guests
        shown = (await answer(console, "/hosts", holder))["hosts"]
        assert {one["host"] for one in shown} == hosts
        for one in told:
            status, _, _ = await console.get(f"/s/guests/{one['guest']}", headers=holder.bearer)
            assert status == 200
            assert one["host"] in {"", *hosts}
        for guest in set(GUESTS) - guests:
            assert (await console.get(f"/s/guests/{guest}", headers=holder.bearer))[0] == 404
        for subject, *_ in HOSTS.values():
            status, _, _ = await console.get(f"/s/hosts/{subject}", headers=holder.bearer)
            assert status == (200 if subject in hosts else 404)


async def test_a_tenants_energy_is_that_of_their_hours(console: Served) -> None:
    """A guest that changed hands counts since it did, in lists, days and roll-ups alike."""
    told = {one["guest"]: one for one in (await answer(console, "/guests", ALPHA))["guests"]}
    whole = {one["guest"]: one for one in (await answer(console, "/guests", WHOLE))["guests"]}
    end = last_hour_ms()
    since = sum(
        share.energy
        for at in range(end - HANDED_H * HOUR_MS, end, HOUR_MS)
        for share in shared_hour("a2", at).shares
        if share.guest == "vc/guest:handed"
    )
    assert told["handed"]["energy_month"] == pytest.approx(since)
    assert told["handed"]["energy_day"] == pytest.approx(since)
    assert told["web"]["energy_month"] == whole["web"]["energy_month"]
    _, _, text = await console.get("/s/guests/handed?lang=en", headers=ALPHA.bearer)
    days = next(t for t in Outline(text).tables if t[0][0] == "When")[1:]
    assert sum(row[4] != "not seen" for row in days) in (1, 2)
    stays = next(t for t in Outline(text).tables if t[0][0] == "Host")[1:]
    assert [row[0] for row in stays] == ["a host that is not shown"]
    _, _, text = await console.get("/s/hosts?lang=en", headers=ALPHA.bearer)
    tenants = next(t for t in Outline(text).tables if t[0][0] == "Tenant")[1:]
    assert [row[0] for row in tenants] == ["alpha", "Sum"]
    assert tenants[0][1] == "4"
    assert tenants[0][2] == tenants[1][2]


async def test_a_tenants_findings_are_theirs(console: Served) -> None:
    """Of guests that were theirs throughout, and of hosts that they see."""
    use = await answer(console, "/use?site=s", ALPHA)
    assert [one["guest"] for one in use["idle"]] == ["idle"]
    assert {one["guest"] for one in use["oversized"]} == {"own"}
    assert [one["guest"] for one in use["night"]] == ["web"]
    assert use["asleep"] == [], "its guest would go to a host that is not shown"
    assert use["judged"] == 3
    other = await answer(console, "/use?site=s", BRAVO)
    assert [one["guest"] for one in other["oversized"]] == ["bravo-file"]
    assert other["idle"] == other["night"] == []


def test_a_tenants_site_holds_their_hosts_alone(tmp_path: Path) -> None:
    """By what is said of its id; with those feeds whose agents are theirs too."""
    text = (
        site_file()
        + """
[[hosts]]
id = "second"
feeds = ["bmc/host:b", "vc/host:b"]
"""
    )
    for subject in ("second", "agent:bmc"):
        text += f'[[attributes]]\nsubject = "{subject}"\nname = "tenant"\nvalue = "alpha"\n'
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    site = sites.load(tmp_path / "site.toml")
    figures = cast("Figures", None)  # not asked
    scoping = Scoping(figures, {"s": site}, {"s": Tenancy(site)})
    alpha = scoping.of(Scope({"s": Sight(frozenset({"alpha"}))}, whole=False)).site("s")
    assert {host.id: host.meter.feeds for host in alpha.hosts} == {
        "second": (Feed("bmc", "host:b"),)
    }
    assert scoping.of(Scope({"s": Sight(frozenset({"bravo"}))}, whole=False)).site("s").hosts == ()
    assert scoping.of(Scope({"s": Sight()}, whole=False)).site("s").hosts == site.hosts
    holders = Holders(Tenancy(site), {})
    assert holders.host("second", frozenset({"alpha"})) == (Validity(None, None),)


def test_a_label_holds_from_when_it_was_said_and_only_where_the_site_file_is_silent(
    tmp_path: Path,
) -> None:
    """Nothing opens from before; for the whole site the first label is taken to have held."""
    (tmp_path / "site.toml").write_text(site_file(), encoding="utf-8")
    site = sites.load(tmp_path / "site.toml")
    said = [
        Description("x", {"tenant": tenant}, at) for tenant, at in (("alpha", 10), ("bravo", 20))
    ]
    histories = {("vc", f"guest:{name}"): said for name in ("x", "bravo-file")}
    holders = Holders(Tenancy(site), histories)
    alpha, bravo = frozenset({"alpha"}), frozenset({"bravo"})
    assert holders.guest("vc", "guest:x", alpha) == (Validity(10, 20),)
    assert holders.guest("vc", "guest:x", bravo) == (Validity(20, None),)
    assert holders.guest("vc", "guest:x", alpha | bravo) == (Validity(10, None),)
    assert holders.pieces("vc", "guest:x", 0, 30) == [(0, 20, "alpha"), (20, 30, "bravo")]
    assert holders.guest("vc", "guest:bravo-file", alpha) == ()
    assert holders.guest("vc", "guest:bravo-file", bravo) == (Validity(None, None),)
    assert holders.guest("vc", "guest:nobodys", alpha) == ()
    assert holders.host("vc/host:alone", alpha) == (Validity(None, None),)
    assert holders.host("alpha-1", alpha) == holders.host("vc/host:a2", alpha) == ()
