"""Who gets in: tokens, sessions, a proxy's word; what is counted, said and never said."""

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli, config
from jauge_collector.access import throttle, tokens
from jauge_collector.access.roles import Role
from jauge_collector.console.gate import Refused
from jauge_collector.console.guard import safe_return
from jauge_models.configuration import ConfigurationError
from yarl import URL

from tests.collector.console.doors import (
    OPERATOR,
    READER,
    SAME,
    Browser,
    Holder,
    audited,
    guarded,
    held_back,
    hidden,
    quarantine,
    refusals,
    write_tokens,
)
from tests.collector.console.serving import PLANT, configuration, introduce, serving

GROUPS = """
[[console.access.groups]]
group = "dc-readers"
role = "reader"
sites = ["*"]
tenants = ["*"]
[[console.access.groups]]
group = "dc-operators"
role = "operator"
sites = ["s"]
tenants = ["*"]
"""
SECRET = "0123456789abcdef" * 2


def behind_proxy(folder: Path, lines: str, *, tokens_file: bool = False) -> config.CollectorConfig:
    """A console in proxy mode."""
    more = f'[console.access]\nmode = "proxy"\n{lines}\n'
    if tokens_file:
        write_tokens(folder, READER)
        more += 'tokens_file = "tokens.toml"\n'
    return configuration(folder, more=more + GROUPS)


# --- what may start


@pytest.mark.parametrize(
    ("listen", "lines", "key", "says"),
    [
        ("0.0.0.0:8090", "", "console.access.mode", "is not loopback"),
        ("[::]:8090", "", "console.access.mode", "tokens_file, or listen on 127.0.0.1"),
        ("jauge.example.org:80", "", "console.access.mode", "is not loopback"),
        ("127.0.0.1:8090", 'mode = "token"', "console.access.tokens_file", "missing"),
        ("127.0.0.1:8090", 'mode = "proxy"', "console.access.trusted_proxies", "anybody"),
        (
            "127.0.0.1:8090",
            'mode = "proxy"\ntrusted_proxies = ["127.0.0.1"]',
            "console.access.groups",
            "nobody would be let in",
        ),
        (
            "0.0.0.0:8090",
            'mode = "token"\ntokens_file = "tokens.toml"',
            "console.cert_file",
            "tls_in_front = true",
        ),
    ],
)
def test_what_would_leave_the_console_open_is_refused_in_one_line(
    tmp_path: Path, listen: str, lines: str, key: str, says: str
) -> None:
    """File, key and fix; exit code 2 through the command."""
    (tmp_path / "site.toml").write_text("", encoding="utf-8")
    path = tmp_path / "collector.toml"
    path.write_text(
        f'sites = ["site.toml"]\n[console]\nlisten = "{listen}"\n[console.access]\n{lines}\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        config.load(path)
    text = str(caught.value)
    assert caught.value.key == key
    assert text.startswith(f"{path}: {key}: ")
    assert says in text
    assert "\n" not in text
    assert cli.main(["check", "--config", str(path)]) == 2


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        (Holder("x", "reader", sites=("nowhere",)).entry, "tokens[0].sites"),
        (Holder("x", "reader", tenants=("nobody",)).entry, "tokens[0].tenants"),
        (Holder("x", "reader", sites=()).entry, "tokens[0].sites"),
        (Holder("x", "reader", sites=("*", "s")).entry, "tokens[0].sites"),
        (Holder("x", "reader", expires="soon").entry, "tokens[0].expires"),
        (READER.entry + READER.entry, "tokens[1].name"),
        (
            READER.entry + READER.entry.replace('name = "reader"', 'name = "twin"'),
            "tokens[1].sha256",
        ),
        (READER.entry.replace('role = "reader"', 'role = "chief"'), "tokens[0].role"),
        (READER.entry.replace('sites = ["*"]', "").replace("sites = ['*']", ""), "tokens[0].sites"),
        (READER.entry + "token = 'plain'\n", "tokens[0].token"),
    ],
)
def test_a_wrong_tokens_file_is_refused_by_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, key: str
) -> None:
    """A name that nothing has, an empty list, twins, a token in clear: named by file and key."""
    settings = guarded(tmp_path, READER)
    (tmp_path / "tokens.toml").write_text(entry, encoding="utf-8")
    assert cli.main(["check", "--config", str(settings.source)]) == 2
    assert f"tokens.toml: {key}" in capsys.readouterr().err


def test_a_tokens_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever can add an entry lets themselves in."""
    settings = guarded(tmp_path, READER)
    (tmp_path / "tokens.toml").chmod(0o666)
    assert cli.main(["check", "--config", str(settings.source)]) == 2
    (tmp_path / "tokens.toml").chmod(0o640)
    assert cli.main(["check", "--config", str(settings.source)]) == 0


# --- tokens and sessions


async def test_signing_in_opens_the_console_and_signing_out_closes_it(tmp_path: Path) -> None:
    """A strict cookie for scripts' eyes not; the page that was asked for comes after signing in."""
    async with serving(guarded(tmp_path, READER)) as console:
        browser = Browser(console)
        status, headers, _ = await browser.get("/s?lang=en")
        assert (status, URL(headers["Location"]).path) == (303, "/login")
        assert URL(headers["Location"]).query == {"next": "/s?lang=en"}
        status, headers, page = await browser.get("/login?next=/s%3Flang%3Den")
        assert status == 200
        assert hidden(page, "next") == "/s?lang=en"
        fields = {"form_token": hidden(page), "next": "/s?lang=en", "token": READER.token}
        status, headers, _ = await browser.post("/login", fields)
        assert (status, headers["Location"]) == (303, "/s?lang=en")
        (cookie,) = [line for line in headers.getall("Set-Cookie") if line.startswith("jauge=")]
        parts = {part.strip().partition("=")[0] for part in cookie.split(";")}
        assert parts >= {"HttpOnly", "SameSite", "Max-Age", "Path"}
        assert "SameSite=Strict" in cookie
        assert "Max-Age=28800" in cookie
        assert "Secure" not in cookie
        assert READER.token not in cookie
        status, headers, page = await browser.get("/s?lang=en")
        assert status == 200
        assert headers["Cache-Control"] == "no-store"
        assert "Sign out" in page
        assert (await browser.get("/api/v1/sites"))[0] == 200
        kept = dict(browser.cookies)
        proof = hidden(page[page.index('action="/logout') :])
        status, headers, _ = await browser.post("/logout", {"form_token": proof})
        assert (status, headers["Location"]) == (303, "/login")
        assert "jauge" not in browser.cookies
        browser.cookies = kept
        assert (await browser.get("/s"))[0] == 303, "the cookie itself has ended"
    told = audited(tmp_path)
    assert [(one["who"], one["what"], one["how"]) for one in told] == [
        ("reader", "sign_in", "session"),
        ("reader", "sign_out", "session"),
    ]
    record = tmp_path / "state" / "console-audit.jsonl"
    assert record.stat().st_mode & 0o777 == 0o600
    assert READER.token not in record.read_text()


async def test_what_a_browser_fetches_for_a_page_makes_no_form_of_its_own(tmp_path: Path) -> None:
    """Its icon, asked for beside the form: another cookie would make the form stale."""
    async with serving(guarded(tmp_path, READER)) as console:
        told = {"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"}
        status, headers, _ = await console.get("/favicon.ico", headers=told)
        assert status == 401
        assert "Set-Cookie" not in headers
        told["Sec-Fetch-Dest"] = "document"
        assert (await console.get("/favicon.ico", headers=told))[0] in {303, 404}


async def test_signing_in_over_and_over_leaves_the_record_to_others(tmp_path: Path) -> None:
    """Within a minute a person's coming is noted once; a form of theirs always works."""
    async with serving(guarded(tmp_path, READER)) as console:
        for _ in range(5):
            assert (await Browser(console).sign_in(READER.token))[0] == 303
    assert [one["what"] for one in audited(tmp_path)] == ["sign_in"]


async def test_behind_tls_cookies_are_secure_and_browsers_told_to_stay(tmp_path: Path) -> None:
    """The name begins with __Host-, so that no neighbour can plant one."""
    async with serving(guarded(tmp_path, READER, tls=True)) as console:
        _, headers, _ = await console.get("/login")
        assert "max-age=" in headers["Strict-Transport-Security"]
        browser = Browser(console)
        _, headers, _ = await browser.sign_in(READER.token)
        cookies = headers.getall("Set-Cookie")
        assert any(c.startswith("__Host-jauge=") and "Secure" in c for c in cookies)
        assert (await browser.get("/s"))[0] == 200


async def test_a_session_ends_with_its_token_and_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token taken out of the file closes the sessions that it opened, without a restart."""
    async with serving(guarded(tmp_path, READER, OPERATOR)) as console:
        browser, other = Browser(console), Browser(console)
        await browser.sign_in(READER.token)
        await other.sign_in(OPERATOR.token)
        assert (await browser.get("/s"))[0] == 200
        write_tokens(tmp_path, OPERATOR)
        monkeypatch.setattr(tokens, "_LOOKED_AT_S", 0.0)
        assert (await browser.get("/s"))[0] == 303
        assert (await console.get("/api/v1/sites", headers=READER.bearer))[0] == 401
        assert (await other.get("/s"))[0] == 200
        (tmp_path / "tokens.toml").write_text("[[tokens]]\n", encoding="utf-8")
        assert (await other.get("/s"))[0] == 200, "an unusable file changes nothing"
        write_tokens(tmp_path, OPERATOR)
        later = time.monotonic() + 8 * 3600 + 1
        sessions = console.app[_gate_key()]._sessions
        monkeypatch.setattr(sessions, "_clock", lambda: later)
        assert (await other.get("/s"))[0] == 303


def _gate_key() -> Any:
    from jauge_collector.console.guard import GATE

    return GATE


async def test_an_expired_token_opens_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From its day on; the day before it does. The log says whose it was."""
    today = datetime.now(UTC).date()
    past = Holder("past", "reader", expires=str(today - timedelta(days=1)))
    future = Holder("future", "reader", expires=str(today + timedelta(days=2)))
    async with serving(guarded(tmp_path, past, future)) as console:
        assert (await console.get("/api/v1/sites", headers=past.bearer))[0] == 401
        assert (await console.get("/api/v1/sites", headers=future.bearer))[0] == 200
        assert (await Browser(console).sign_in(past.token))[0] == 401
        assert (await Browser(console).sign_in(future.token))[0] == 303
        _, _, text = await console.get("/metrics", headers=future.bearer)
        assert refusals(text)["expired_token"] == 2
    (line,) = (message for message in caplog.messages if "refused" in message)
    assert line.startswith("console: refused 127.0.0.1: expired_token of 'past'")


async def test_whatever_is_wrong_with_a_token_sounds_the_same(tmp_path: Path) -> None:
    """Unknown, malformed, expired: one text and one status, so that nothing can be told apart."""
    past = Holder("past", "reader", expires="2020-01-01")
    stranger = Holder("stranger", "reader")
    async with serving(guarded(tmp_path, READER, past)) as console:
        said = set()
        for token in (stranger.token, past.token, "x", "", "jauge_é"):
            browser = Browser(console)
            status, headers, page = await browser.sign_in(token)
            assert "jauge=" not in str(headers)
            assert 'aria-invalid="true"' in page
            text = page[page.index("<h1") : page.index("form_token")]
            said.add((status, text))
        assert len(said) == 1
        answers = {
            (await console.get("/api/v1/sites", headers={"Authorization": told}))[::2]
            for told in (stranger.bearer["Authorization"], "Bearer x", "Basic eDp4", "Bearer", "?")
        }
        assert len(answers) == 1


async def test_failures_are_counted_logged_once_and_slowed_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten a minute and source; a right token is never locked out by its neighbours."""
    caplog.set_level(logging.DEBUG)
    stranger = Holder("stranger", "reader")
    async with serving(guarded(tmp_path, READER)) as console:
        for _ in range(throttle.FAILURES):
            assert (await console.get("/api/v1/sites", headers=stranger.bearer))[0] == 401
        status, headers, _ = await console.get("/api/v1/sites", headers=stranger.bearer)
        assert status == 429
        assert 0 < int(headers["Retry-After"]) <= 60
        status, headers, page = await Browser(console).sign_in(stranger.token)
        assert status == 429
        assert "min" in page or "60" in page
        assert (await Browser(console).sign_in(READER.token))[0] == 303, "nor is its form"
        assert (await console.get("/api/v1/sites", headers=READER.bearer))[0] == 200
        _, _, text = await console.get("/metrics", headers=READER.bearer)
        counted = refusals(text)
        assert counted["unknown_token"] == throttle.FAILURES
        assert counted["throttled"] == 2
        assert set(counted) == {str(reason) for reason in Refused}
        gate = console.app[_gate_key()]
        later = time.monotonic() + throttle.WINDOW_S + 1
        monkeypatch.setattr(gate._throttle, "_clock", lambda: later)
        assert (await Browser(console).sign_in(READER.token))[0] == 303
    lines = [record for record in caplog.messages if "refused" in record]
    assert len(lines) == 1
    assert "127.0.0.1: unknown_token" in lines[0]
    for holder in (READER, stranger):
        assert holder.token not in caplog.text
        assert tokens.digest_of(holder.token).hex() not in caplog.text


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("/s/meter/ups?day=2026-01-01", "/s/meter/ups?day=2026-01-01"),
        ("//evil.example.org", "/"),
        ("/\\evil.example.org", "/"),
        ("https://evil.example.org/", "/"),
        ("javascript:alert(1)", "/"),
        ("s", "/"),
        ("", "/"),
        ("/s\r\nSet-Cookie: a=b", "/"),
        ("/\t/evil.example.org", "/"),
        ("/é", "/"),
        ("/login?next=/login", "/"),
        ("/logout", "/"),
        ("/" + "a" * 2000, "/"),
    ],
)
async def test_only_a_local_path_is_returned_to(tmp_path: Path, asked: str, kept: str) -> None:
    """A link to the sign-in form cannot send its visitor elsewhere."""
    assert safe_return(asked) == kept
    async with serving(guarded(tmp_path, READER)) as console:
        browser = Browser(console)
        _, _, page = await browser.get("/login", params={"next": asked})
        fields = {"form_token": hidden(page), "next": asked, "token": READER.token}
        status, headers, _ = await browser.post("/login", fields)
        assert (status, headers["Location"]) == (303, kept)


async def test_a_link_from_elsewhere_goes_on_from_here(tmp_path: Path) -> None:
    """An alert's link: the strict cookie is not sent with it, so a page of ours leads on."""
    async with serving(guarded(tmp_path, READER)) as console:
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        status, _, page = await console.get('/s?a=">', headers=elsewhere)
        assert status == 200
        assert 'content="0;url=/login?next=/s%3Fa%3D%2522%253E"' in page
        assert "Example" not in page
        assert (await console.get("/s", headers=SAME))[0] == 303
        assert (await console.get("/api/v1/sites", headers=elsewhere))[0] == 401


async def test_a_cookie_changes_nothing_by_json(tmp_path: Path) -> None:
    """A change by the JSON interface needs the bearer token itself."""
    async with serving(guarded(tmp_path, OPERATOR)) as console:
        introduce(console.state)
        agent = console.state.inventory.get(PLANT)
        assert agent is not None
        quarantine(agent)
        browser = Browser(console)
        await browser.sign_in(OPERATOR.token)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        body = {"site": "s", "agent": "plant"}
        path = "/api/v1/agents/release"
        for headers in ({"Cookie": cookie, **SAME}, {}):
            status, told, _ = await console.ask("POST", path, json=body, headers=headers)
            assert status == 401
            assert told["WWW-Authenticate"].startswith("Bearer ")
        status, _, _ = await console.ask(
            "POST", path, data="{}", headers={**OPERATOR.bearer, "Content-Type": "text/plain"}
        )
        assert status == 415
        for wrong in (b"{", b"[]", b'{"site": "s"}', b'{"site": "s", "agent": "plant", "x": 1}'):
            status, _, text = await console.ask(
                "POST",
                path,
                data=wrong,
                headers={**OPERATOR.bearer, "Content-Type": "application/json"},
            )
            assert status == 400, text
        assert held_back(agent)
        status, _, _ = await console.ask("POST", path, json=body, headers=OPERATOR.bearer)
        assert status == 200
        assert not held_back(agent)
        status, _, _ = await console.ask("POST", path, json=body, headers=OPERATOR.bearer)
        assert status == 409


# --- a proxy's word


async def test_only_a_trusted_proxy_is_believed(tmp_path: Path) -> None:
    """By address; the same headers from anybody else are those of nobody."""
    told = {"X-Forwarded-User": "ada@example.org", "X-Forwarded-Groups": "x,dc-readers"}
    trusted = behind_proxy(tmp_path, 'trusted_proxies = ["127.0.0.1", "::1"]')
    async with serving(trusted) as console:
        assert (await console.get("/sites", headers=told))[0] == 200
        assert "ada@example.org" in (await console.get("/sites", headers=told))[2]
        assert (await console.get("/sites"))[0] == 401
        for wrong in (
            {**told, "X-Forwarded-User": ""},
            {**told, "X-Forwarded-User": "a\tb"},
            {**told, "X-Forwarded-User": "a" * 300},
            {"X-Forwarded-Groups": "dc-readers"},
        ):
            assert (await console.get("/sites", headers=wrong))[0] == 401, wrong
        no_groups = {"X-Forwarded-User": "ada@example.org"}
        assert (await console.get("/sites", headers=no_groups))[0] == 403
    strange = behind_proxy(tmp_path, 'trusted_proxies = ["192.0.2.0/24"]')
    async with serving(strange) as console:
        status, headers, _ = await console.get("/api/v1/sites", headers=told)
        assert status == 401
        assert headers["WWW-Authenticate"]
        assert (await console.get("/sites", headers=told))[0] == 401
        assert (await console.get("/login", headers=told))[0] == 404
        told_metrics = console.state.telemetry.access_refused.labels("untrusted_proxy")
        assert told_metrics._value.get() == 2


async def test_headers_given_twice_name_nobody(tmp_path: Path) -> None:
    """A proxy that adds to what the client sent, instead of replacing it, is no proof."""
    from multidict import CIMultiDict

    async with serving(behind_proxy(tmp_path, 'trusted_proxies = ["127.0.0.1"]')) as console:
        for twice in ("X-Forwarded-User", "X-Forwarded-Groups"):
            told = CIMultiDict({"X-Forwarded-User": "ada", "X-Forwarded-Groups": "dc-readers"})
            assert (await console.get("/sites", headers=told))[0] == 200
            told.add(twice, "dc-operators")
            assert (await console.get("/sites", headers=told))[0] == 401


async def test_a_proxy_is_also_known_by_its_secret(tmp_path: Path) -> None:
    """With both configured, address and secret are asked for; a short secret does not start."""
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    told = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "dc-readers"}
    right = {**told, "X-Jauge-Proxy-Secret": SECRET}
    for lines, works in (
        ('proxy_secret_file = "secret"', True),
        ('proxy_secret_file = "secret"\ntrusted_proxies = ["127.0.0.1"]', True),
        ('proxy_secret_file = "secret"\ntrusted_proxies = ["192.0.2.1"]', False),
    ):
        async with serving(behind_proxy(tmp_path, lines)) as console:
            assert (await console.get("/sites", headers=told))[0] == 401
            wrong = {**right, "X-Jauge-Proxy-Secret": SECRET[:-1] + "é"}
            assert (await console.get("/sites", headers=wrong))[0] == 401
            assert ((await console.get("/sites", headers=right))[0] == 200) == works
    (tmp_path / "secret").write_text("short", encoding="utf-8")
    settings = behind_proxy(tmp_path, 'proxy_secret_file = "secret"')
    assert cli.main(["check", "--config", str(settings.source)]) == 2


async def test_groups_give_roles_and_add_up(tmp_path: Path) -> None:
    """A person's groups together; forms are bound to the person, and programs may bring tokens."""
    settings = behind_proxy(tmp_path, 'trusted_proxies = ["127.0.0.1"]', tokens_file=True)
    async with serving(settings) as console:
        introduce(console.state)
        agent = console.state.inventory.get(PLANT)
        assert agent is not None
        quarantine(agent)
        reader = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "dc-readers"}
        both = {"X-Forwarded-User": "bea", "X-Forwarded-Groups": "dc-readers, dc-operators"}
        path = "/s/agent/plant"
        assert "/release" not in (await console.get(path, headers=reader))[2]
        _, _, page = await console.get(path, headers=both)
        proof = {"form_token": hidden(page[page.index(f"{path}/release") :])}
        post = f"{path}/release"
        for who, sent in ((reader, SAME), (both, {}), (both, {"Sec-Fetch-Site": "cross-site"})):
            status, _, _ = await console.ask("POST", post, data=proof, headers={**who, **sent})
            assert status == 403
        other = {**both, "X-Forwarded-User": "eve"}
        status, _, _ = await console.ask("POST", post, data=proof, headers={**other, **SAME})
        assert status == 403, "the form was bea's"
        assert held_back(agent)
        status, _, _ = await console.ask("POST", post, data=proof, headers={**both, **SAME})
        assert status == 303
        assert not held_back(agent)
        quarantine(agent)
        body, api = {"site": "s", "agent": "plant"}, "/api/v1/agents/release"
        crossed = {**both, "Sec-Fetch-Site": "cross-site"}
        assert (await console.ask("POST", api, json=body, headers=crossed))[0] == 403
        assert (await console.ask("POST", api, json=body, headers=both))[0] == 200
        assert (await console.get("/metrics", headers=READER.bearer))[0] == 200
        foreign = {**reader, "Authorization": "Bearer eyJhbGciOi.of.another"}
        assert (await console.get("/sites", headers=foreign))[0] == 200
    told = [one for one in audited(tmp_path) if one["what"] == "agent.release"]
    assert [(one["who"], one["how"], one["subject"]) for one in told] == [
        ("bea", "proxy", "plant"),
        ("bea", "proxy", "plant"),
    ]


async def test_the_address_behind_a_trusted_proxy_is_what_is_slowed_down(tmp_path: Path) -> None:
    """Failures of one client behind a proxy do not close the door for the others."""
    access = 'trusted_proxies = ["127.0.0.1"]\n'
    stranger = Holder("stranger", "reader")
    async with serving(guarded(tmp_path, READER, access=access)) as console:
        bad = {**stranger.bearer, "X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        for _ in range(throttle.FAILURES):
            assert (await console.get("/api/v1/sites", headers=bad))[0] == 401
        assert (await console.get("/api/v1/sites", headers=bad))[0] == 429
        near = {**stranger.bearer, "X-Forwarded-For": "198.51.100.8"}
        assert (await console.get("/api/v1/sites", headers=near))[0] == 401
        spoofed = {**stranger.bearer, "X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
        assert (await console.get("/api/v1/sites", headers=spoofed))[0] == 429


# --- the command


def test_the_command_makes_an_entry_that_lets_its_token_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is printed once and written nowhere; what is pasted is what is read."""
    args = ["--name", 'Ada "A" Ex', "--role", "operator", "--site", "s", "--expires", "2099-01-01"]
    assert cli.main(["token", *args]) == 0
    text = capsys.readouterr().out
    token = next(line for line in text.splitlines() if line.startswith("jauge_"))
    path = tmp_path / "tokens.toml"
    path.write_text(text[text.index("[[tokens]]") :], encoding="utf-8")
    (one,) = tokens.load(path, {"s": frozenset()})
    assert (one.name, one.grant.role, one.grant.sites) == (
        'Ada "A" Ex',
        Role.OPERATOR,
        frozenset({"s"}),
    )
    assert one.grant.tenants is None
    assert one.digest == tokens.digest_of(token)
    assert token not in path.read_text()
    assert cli.main(["token", "--name", "x", "--role", "reader", "--expires", "soon"]) == 2
    assert cli.main(["token", "--name", " x", "--role", "reader"]) == 2
