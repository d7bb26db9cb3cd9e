"""Forms change something only when a page of ours was sent back, and each change is recorded."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from jauge_collector import config
from jauge_collector.access.roles import Grant, Role
from jauge_collector.console.guard import API, DECLARED, UPLOADS
from jauge_collector.inventory import Agent

from tests.collector.console.doors import (
    ADMINISTRATOR,
    APPROVER,
    OFFICER,
    OPERATOR,
    READER,
    SAME,
    Browser,
    audited,
    guarded,
    held_back,
    hidden,
    quarantine,
    refusals,
)
from tests.collector.console.serving import PLANT, Served, configuration, introduce, serving

PAGE = "/s/agent/plant"
POST = f"{PAGE}/release"


def quarantined(console: Served) -> Agent:
    """The plant's agent, heard twice under one name."""
    introduce(console.state)
    agent = console.state.inventory.get(PLANT)
    assert agent is not None
    quarantine(agent)
    return agent


async def proof_of(browser: Browser) -> dict[str, str]:
    """What the form on the agent's page carries."""
    _, _, page = await browser.get(PAGE)
    return {"form_token": hidden(page[page.index(f'action="{POST}') :])}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://[half"},
        {"Origin": "https://evil.example.org", **SAME},
    ],
)
async def test_a_form_from_another_place_changes_nothing(
    tmp_path: Path, headers: Mapping[str, str]
) -> None:
    """Even with the right value in it: cookies alone, or a browser that says nothing, do not do."""
    async with serving(guarded(tmp_path, OPERATOR)) as console:
        agent, browser = quarantined(console), Browser(console)
        await browser.sign_in(OPERATOR.token)
        proof = await proof_of(browser)
        status, _, page = await browser.post(POST, proof, headers)
        assert status == 403
        assert "Traceback" not in page
        assert held_back(agent)
        assert (await Browser(console).sign_in(OPERATOR.token, headers=headers))[0] == 403


async def test_every_form_that_there_is_asks_where_it_comes_from_and_for_its_proof(
    tmp_path: Path,
) -> None:
    """Whatever is mounted as a POST, sent by each who may; as a file where it brings one."""
    who = (OPERATOR, OFFICER, APPROVER)
    async with serving(guarded(tmp_path, *who)) as console:
        introduce(console.state)
        forms = [path for method, path in console.app[DECLARED] if method == "POST"]
        forms = [path for path in forms if not path.startswith(API)]
        assert len(forms) > 10
        seen = set[str]()
        for holder in who:
            browser = Browser(console)
            assert (await browser.sign_in(holder.token))[0] == 303
            for form in forms:
                asked = console.app[DECLARED]["POST", form]
                if not Grant(Role(holder.role)).may(asked):
                    continue
                seen.add(form)
                path = form.format(site="s", agent="plant", ticket="1")
                cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
                for headers, reason in (
                    ({"Sec-Fetch-Site": "cross-site"}, "origin"),
                    ({}, "origin"),
                    (SAME, "form"),
                ):
                    before = await _refused(console, reason)
                    data = aiohttp.FormData(default_to_multipart=form in console.app[UPLOADS])
                    data.add_field("form_token", "x")
                    status, _, text = await console.ask(
                        "POST", path, data=data, headers={**headers, "Cookie": cookies}
                    )
                    assert status == 403, (path, reason, text)
                    assert await _refused(console, reason) == before + 1, (path, reason)
        assert seen == set(forms)
        changes = {one["what"] for one in audited(tmp_path)}
        assert changes == {"sign_in"}


async def _refused(console: Served, reason: str) -> float:
    _, _, text = await console.get("/metrics", headers=OFFICER.bearer)
    return refusals(text)[reason]


async def test_the_origin_alone_does_where_it_is_ours(tmp_path: Path) -> None:
    """An older browser, and a public name behind a proxy that changes the host."""
    settings = guarded(tmp_path, OPERATOR)
    path = settings.source
    text = path.read_text().replace("[console]\n", '[console]\nhost_names = ["Jauge.example"]\n')
    path.write_text(text, encoding="utf-8")
    async with serving(config.load(path)) as console:
        for origin in (console.base, "https://jauge.example", "http://jauge.example:8443"):
            agent, browser = quarantined(console), Browser(console)
            await browser.sign_in(OPERATOR.token)
            status, _, _ = await browser.post(POST, await proof_of(browser), {"Origin": origin})
            assert status == 303
            assert not held_back(agent)


async def test_the_value_of_a_form_is_of_one_session_and_one_action(tmp_path: Path) -> None:
    """None, invented, of another session, of another form, or too old: nothing is changed."""
    async with serving(guarded(tmp_path, OPERATOR, READER)) as console:
        agent, mine, other = quarantined(console), Browser(console), Browser(console)
        await mine.sign_in(OPERATOR.token)
        await other.sign_in(OPERATOR.token)
        right = await proof_of(mine)
        _, _, page = await mine.get(PAGE)
        elsewhere = {"form_token": hidden(page[page.index('action="/logout') :])}
        ends, _, code = right["form_token"].partition(".")
        for wrong in (
            {},
            {"form_token": ""},
            {"form_token": "9999999999.00"},
            {"form_token": f"{int(ends) + 1}.{code}"},
            {"form_token": "é.é"},
            elsewhere,
            await proof_of(other),
        ):
            status, _, text = await mine.post(POST, wrong)
            assert status == 403, wrong
            assert "formulaire" in text
        from jauge_collector.console.guard import GATE

        forms = console.app[GATE]._forms
        now = forms._clock
        forms._clock = lambda: now() + 13 * 3600
        assert (await mine.post(POST, right))[0] == 403
        forms._clock = now
        assert held_back(agent)
        assert (await mine.post(POST, right))[0] == 303
        assert not held_back(agent)


async def test_a_sign_in_form_is_of_the_browser_that_asked_for_it(tmp_path: Path) -> None:
    """Nobody can have another's browser sign in with a token of theirs."""
    async with serving(guarded(tmp_path, READER)) as console:
        attacker, victim = Browser(console), Browser(console)
        _, _, page = await attacker.get("/login")
        fields = {"form_token": hidden(page), "next": "/", "token": READER.token}
        await victim.get("/login")
        assert (await victim.post("/login", fields))[0] == 403
        assert (await Browser(console).post("/login", fields))[0] == 403
        assert (await attacker.post("/login", fields))[0] == 303


async def test_a_form_is_small_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large, too many fields, no form at all, or one that never ends: refused in a line."""
    from jauge_collector.console import guard

    monkeypatch.setattr(guard, "_BODY_WITHIN_S", 0.2)
    async with serving(guarded(tmp_path, OPERATOR)) as console:
        agent, browser = quarantined(console), Browser(console)
        await browser.sign_in(OPERATOR.token)
        proof = await proof_of(browser)
        assert (await browser.post(POST, {**proof, "x": "x" * 9000}))[0] == 413
        assert (await browser.post(POST, {f"x{n}": "" for n in range(30)}))[0] == 400
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        kinds = {"multipart/form-data; boundary=x": 415, "application/json": 415, "text/plain": 415}
        for kind, told in kinds.items():
            headers = {**SAME, "Cookie": cookies, "Content-Type": kind}
            status, _, _ = await console.ask("POST", POST, data=b"{}", headers=headers)
            assert status == told, kind
        form = "application/x-www-form-urlencoded; charset=nonsense"
        headers = {**SAME, "Cookie": cookies, "Content-Type": form}
        assert (await console.ask("POST", POST, data=b"a=%ff", headers=headers))[0] in (400, 403)
        host, port = console.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {POST} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n"
            "Sec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\na".encode()
        )
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
        writer.close()
        assert held_back(agent)


async def test_get_changes_nothing(tmp_path: Path) -> None:
    """The addresses of forms take no GET, and signing out needs its form."""
    async with serving(guarded(tmp_path, OPERATOR)) as console:
        agent, browser = quarantined(console), Browser(console)
        await browser.sign_in(OPERATOR.token)
        for path in (POST, "/api/v1/agents/release"):
            status, headers, _ = await browser.get(path)
            assert (status, headers["Allow"]) == (405, "POST")
        assert (await browser.get("/logout"))[0] == 404
        assert held_back(agent)
        assert (await browser.get(PAGE))[0] == 200


async def test_a_release_is_told_and_recorded(tmp_path: Path) -> None:
    """Who, when, what, from where; shown to administrators; a second one changes nothing."""
    async with serving(guarded(tmp_path, OPERATOR, ADMINISTRATOR)) as console:
        agent, browser = quarantined(console), Browser(console)
        await browser.sign_in(OPERATOR.token)
        proof = await proof_of(browser)
        status, headers, _ = await browser.post(f"{POST}?lang=en", proof)
        assert status == 303
        assert not held_back(agent)
        _, _, page = await browser.get(headers["Location"])
        assert 'role="status"' in page
        assert "Released" in page
        assert POST not in page, "there is nothing to release any more"
        _, headers, _ = await browser.post(f"{POST}?lang=en", proof)
        _, _, page = await browser.get(headers["Location"])
        assert "nothing was changed" in page
        assert (await browser.get("/audit"))[0] == 403
        administrator = Browser(console)
        await administrator.sign_in(ADMINISTRATOR.token)
        _, _, page = await administrator.get("/audit?lang=en")
        assert "released from quarantine" in page
        assert "s/plant" in page
        assert "127.0.0.1" in page
    (told,) = [one for one in audited(tmp_path) if one["what"] == "agent.release"]
    assert told["who"] == "operator"
    assert told["detail"] == "b1, b2"
    assert (tmp_path / "state" / "console-audit.jsonl").stat().st_mode & 0o777 == 0o600


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    """A record that cannot be written keeps the agent where it is, by form and by JSON."""
    async with serving(guarded(tmp_path, OPERATOR)) as console:
        agent, browser = quarantined(console), Browser(console)
        await browser.sign_in(OPERATOR.token)
        proof = await proof_of(browser)
        record = tmp_path / "state" / "console-audit.jsonl"
        record.unlink()
        record.mkdir()
        assert (await browser.post(POST, proof))[0] == 503
        status, _, text = await console.ask(
            "POST",
            "/api/v1/agents/release",
            json={"site": "s", "agent": "plant"},
            headers=OPERATOR.bearer,
        )
        assert status == 503
        assert "not made" in text
        assert held_back(agent)


async def test_on_loopback_forms_are_there_for_the_role_that_is_configured(tmp_path: Path) -> None:
    """Without one everything is readable and nothing can be changed; names of forms stay taken."""
    async with serving(configuration(tmp_path)) as console:
        quarantined(console)
        _, _, page = await console.get(PAGE)
        assert "<form" not in page
        assert "b1, b2" in page
        assert (await console.ask("POST", POST, headers=SAME))[0] == 403
        assert (await console.get("/login"))[0] == 404
        assert (await console.get("/audit"))[0] == 403
    settings = configuration(tmp_path, more='[console.access]\nrole = "operator"\n')
    async with serving(settings) as console:
        agent = quarantined(console)
        _, _, page = await console.get(PAGE)
        proof = {"form_token": hidden(page)}
        assert (await console.ask("POST", POST, data=proof))[0] == 403
        assert (await console.ask("POST", POST, data={}, headers=SAME))[0] == 403
        assert held_back(agent)
        assert (await console.ask("POST", POST, data=proof, headers=SAME))[0] == 303
        assert not held_back(agent)
    assert [one["who"] for one in audited(tmp_path)] == ["local"]
