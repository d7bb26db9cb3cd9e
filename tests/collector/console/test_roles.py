"""Every route says what it asks for, and each role gets from each route what the table promises."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from jauge_collector.console.app import build_app
from jauge_collector.console.guard import DECLARED, declared
from jauge_collector.service import Service

from tests.collector.console.doors import (
    ADMINISTRATOR,
    EVERYBODY,
    OPERATOR,
    READER,
    Browser,
    Holder,
    guarded,
    held_back,
    hidden,
    quarantine,
)
from tests.collector.console.serving import PLANT, Served, configuration, introduce, serving

ALL: Final = {holder.role for holder in EVERYBODY}
KPI: Final = "site=s&from=2026-01-01&to=2026-02-01"
GETS: Final = {
    "/healthz": ALL | {"nobody"},
    "/static/console.css": ALL | {"nobody"},
    "/login": ALL | {"nobody"},
    "/runbooks": ALL | {"nobody"},
    "/runbooks/fr/JaugeRoomHot": ALL | {"nobody"},
    "/alerts": ALL,
    "/readyz": ALL,
    "/metrics": ALL,
    "/": ALL,
    "/sites": ALL,
    "/faults": ALL,
    "/audit": {"administrator"},
    "/s": ALL,
    "/s/kpi/pue?from=2026-01-01&to=2026-02-01": ALL,
    "/s/meter/ups": ALL,
    "/s/agent/plant": ALL,
    "/s/tickets": ALL,
    "/s/events": ALL,
    "/s/hosts": ALL,
    "/s/hosts.csv": ALL,
    "/s/hosts/plant/host": ALL,
    "/s/hosts/ups": ALL,
    "/s/guests": ALL,
    "/s/guests.csv": ALL,
    "/s/guests/g1": ALL,
    "/s/use": ALL,
    "/s/use.csv": ALL,
    "/s/fleet": ALL,
    "/s/capacity": ALL,
    "/s/capacity/form": {"operator", "officer"},
    "/s/capacity/scenario": ALL,
    "/s/capacity.csv": ALL,
    "/s/compliance": ALL,
    "/s/compliance/todo": ALL,
    "/s/compliance/servers": ALL,
    "/s/compliance/servers.csv": ALL,
    "/s/compliance/server": ALL,
    "/s/compliance/criteria": ALL,
    "/s/compliance/meters": ALL,
    "/s/compliance/attestations": ALL,
    "/s/compliance/document": ALL,
    "/s/compliance/reports": ALL,
    "/s/compliance/report": ALL,
    "/api/v1/sites": ALL,
    f"/api/v1/kpi?{KPI}": ALL,
    "/api/v1/agents": ALL,
    "/api/v1/meters": ALL,
    "/api/v1/faults": ALL,
    "/api/v1/tickets": ALL,
    "/api/v1/reconciliation?site=s": ALL,
    "/api/v1/hosts": ALL,
    "/api/v1/guests": ALL,
    "/api/v1/use?site=s": ALL,
    "/api/v1/servers?site=s": ALL,
    "/api/v1/reports?site=s": ALL,
    "/api/v1/capacity?site=s": ALL,
    "/api/v1/openapi.json": ALL,
}
"""Who is answered, written down apart from the code."""
UNKNOWN: Final = (
    *("/s/hosts/plant/host", "/s/hosts/ups", "/s/guests/g1"),
    *("/s/compliance/server", "/s/compliance/document", "/s/compliance/report"),
    *("/s/capacity/scenario", "/s/capacity.csv"),
)
"""What this site has not: answered as a page that is not there to who may ask."""
RELEASING: Final = {"operator", "administrator"}


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """A console with one token of each role."""
    async with serving(guarded(tmp_path, *EVERYBODY)) as served:
        introduce(served.state)
        yield served


def test_no_route_is_without_a_permission(tmp_path: Path) -> None:
    """Every route that can be reached declares what it asks; nothing is declared for no route."""
    service = Service(configuration(tmp_path))
    app = build_app(service.state)
    service.state.ledger.close()
    routes = list(app.router.routes())
    assert [route for route in routes if declared(app, route) is None] == []
    mounted = {
        ("GET" if r.method == "HEAD" else r.method, r.resource.canonical)
        for r in routes
        if r.resource is not None
    }
    mapping = app[DECLARED]
    assert mounted == set(mapping)
    tested = {path.partition("?")[0] for path in GETS} | {"/static/pue", "/runbooks/fr/pue"}
    for method, path in mounted:
        if method == "GET":
            names = {
                "site": "s",
                "language": "fr",
                "name": "pue",
                "meter": "ups",
                "agent": "plant",
                "guest": "g1",
            }
            host = "plant" if "{resource}" in path else "ups"
            assert path.format(**names, host=host, resource="host") in tested, path


async def test_a_route_without_a_permission_is_not_answered(tmp_path: Path) -> None:
    """What somebody forgot to declare is closed, also to who may do everything."""
    async with serving(guarded(tmp_path, *EVERYBODY)) as console:
        declared_of = console.app[DECLARED]
        del declared_of["GET", "/api/v1/sites"]
        status, _, _ = await console.get("/api/v1/sites", headers=ADMINISTRATOR.bearer)
        assert status == 403


@pytest.mark.parametrize("holder", EVERYBODY, ids=lambda holder: holder.role)
async def test_each_role_gets_from_each_route_what_it_may(console: Served, holder: Holder) -> None:
    """GETs by bearer token: an answer, or 403 and nothing else."""
    for path, roles in GETS.items():
        status, _, text = await console.get(path, headers=holder.bearer)
        if holder.role in roles:
            assert status in (200, 302, 303, 503) or path in UNKNOWN, (path, status)
            assert status == 404 or path not in UNKNOWN, (path, status)
            assert status != 503 or path == "/readyz", path
        else:
            assert status == 403, path
            assert "plant" not in text


async def test_nobody_gets_nothing(console: Served) -> None:
    """Without a token pages lead to the sign-in form, and programs get 401 with what to send."""
    for path, roles in GETS.items():
        status, headers, _ = await console.get(path)
        if "nobody" in roles:
            assert status == 200, path
        elif path.startswith(("/api/", "/metrics", "/readyz")):
            assert status == 401, path
            assert headers["WWW-Authenticate"].startswith("Bearer ")
        else:
            assert status == 303, path
            assert headers["Location"].startswith("/login")


@pytest.mark.parametrize("holder", EVERYBODY, ids=lambda holder: holder.role)
async def test_only_some_roles_release(console: Served, holder: Holder) -> None:
    """By the form's address and by JSON; the form is shown only to who may send it."""
    agent = console.state.inventory.get(PLANT)
    assert agent is not None
    may = holder.role in RELEASING
    for by_form in (True, False):
        quarantine(agent)
        if by_form:
            browser = Browser(console)
            await browser.sign_in(holder.token)
            _, _, page = await browser.get("/s/agent/plant")
            assert ("/s/agent/plant/release" in page) == may
            # The value of another form of the session: what counts first is the role.
            proof = {"form_token": hidden(page)}
            if may:
                part = page[page.index("/s/agent/plant/release") :]
                proof = {"form_token": hidden(part)}
            status, _, _ = await browser.post("/s/agent/plant/release", proof)
            assert status == (303 if may else 403)
        else:
            status, _, _ = await console.ask(
                "POST",
                "/api/v1/agents/release",
                json={"site": "s", "agent": "plant"},
                headers=holder.bearer,
            )
            assert status == (200 if may else 403)
        assert held_back(agent) != may


async def test_a_role_over_one_site_does_not_reach_another(tmp_path: Path) -> None:
    """A reader of everything who operates one site releases there alone: two tokens, two scopes."""
    other = Holder("elsewhere", "operator", sites=("t",))
    settings = guarded(tmp_path, READER, OPERATOR)
    second = (tmp_path / "site.toml").read_text().replace('name = "s"', 'name = "t"')
    (tmp_path / "second.toml").write_text(second, encoding="utf-8")
    path = settings.source
    path.write_text(
        path.read_text().replace('["site.toml"]', '["site.toml", "second.toml"]'), encoding="utf-8"
    )
    (tmp_path / "tokens.toml").write_text(READER.entry + other.entry, encoding="utf-8")
    from jauge_collector import config

    async with serving(config.load(path)) as console:
        introduce(console.state)
        agent = console.state.inventory.get(PLANT)
        assert agent is not None
        quarantine(agent)
        status, _, text = await console.ask(
            "POST",
            "/api/v1/agents/release",
            json={"site": "s", "agent": "plant"},
            headers=other.bearer,
        )
        assert status == 404
        assert "known are t" in text
        assert held_back(agent)
        for hidden_path in ("/s", "/s/agent/plant", "/api/v1/agents?site=s"):
            assert (await console.get(hidden_path, headers=other.bearer))[0] == 404
        status, headers, _ = await console.get("/", headers=other.bearer)
        assert (status, headers["Location"]) == (302, "/t")
        for path_of_all in ("/metrics", "/readyz", "/faults", "/api/v1/faults"):
            status, _, text = await console.get(path_of_all, headers=other.bearer)
            assert status == 403, path_of_all
            assert "every site" in text or "tous les sites" in text
        browser = Browser(console)
        assert (await browser.sign_in(other.token))[0] == 303
        _, _, page = await browser.get("/sites")
        assert 'href="/t"' in page
        assert 'href="/s"' not in page
        assert "/faults" not in page
