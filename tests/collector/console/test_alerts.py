"""The page of whoever is on call, over a real Alertmanager and over ones that fail."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jauge_collector import config
from jauge_collector.console import alertmanager
from jauge_collector.console.alertmanager import Alertmanager as Asked
from jauge_collector.console.alertmanager import Matcher, Trouble
from jauge_collector.console.app import build_app
from jauge_collector.service import Service
from jauge_models.configuration import ConfigurationError

from tests import parts
from tests.agent.certificates import Authority
from tests.collector.console import oncall
from tests.collector.console.doors import OPERATOR, READER, Holder, guarded, write_tokens
from tests.collector.console.serving import SITE, Served, configuration, introduce, serving
from tests.collector.console.test_tickets import OWNER
from tests.parts import Alertmanager

ALPHA = Holder("alpha", "reader", tenants=("alpha",))
ELSEWHERE = Holder("elsewhere", "reader", sites=("t",))
ALONE = Holder("alone", "reader", sites=("s",))
OF_ALPHA = SITE + "".join(
    OWNER.format(*pair)
    for pair in (("ups", "alpha"), ("agent:plant", "alpha"), ("incomer", "bravo"))
)
DEAD = "Alertmanager has not answered since"
MUTE = "sign of life is missing"
NONE = "No alert: the rules are evaluated"
NONE_SEEN = "None that you may see: the rules are evaluated"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every visit asks anew: what a test posted is there."""
    monkeypatch.setattr(alertmanager, "FRESH_S", 0.0)


@pytest.fixture
def held(alertmanager: Alertmanager) -> Alertmanager:
    """A real one, empty."""
    return alertmanager


@asynccontextmanager
async def console_of(folder: Path, url: str) -> AsyncIterator[Served]:
    """A console of two sites that asks there; in one of them some things are alpha's."""
    people = (OPERATOR, READER, ALPHA, ALONE, ELSEWHERE)
    path = oncall.on_call(folder, url, site=OF_ALPHA).source
    write_tokens(folder, *people)
    second = SITE.replace('name = "s"', 'name = "t"')
    for name, text in {
        "second.toml": second,
        "collector.toml": path.read_text(encoding="utf-8").replace(
            '["site.toml"]', '["site.toml", "second.toml"]'
        ),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    async with serving(config.load(path)) as served:
        introduce(served.state)
        yield served


async def page(console: Served, who: Holder = READER, path: str = "/alerts?lang=en") -> str:
    """The page as somebody sees it."""
    status, _, text = await console.get(path, headers=who.bearer)
    assert status == 200, text
    return text


@pytest.mark.usefixtures("at_once")
async def test_what_fires_stands_newest_first_with_its_place_runbook_and_what_to_do(
    held: Alertmanager, tmp_path: Path
) -> None:
    """How bad, since when, on what, in the language of its rule; a stranger's alert too."""
    strange = {"alertname": "DiskFull", "instance": "<b>db-1</b>"}
    await oncall.tell(
        held,
        [
            oncall.alert(oncall.WATCHDOG),
            oncall.alert(oncall.DRIFT, {"summary": "PUE drifts"}, minutes=90),
            oncall.alert(oncall.HOT, oncall.SAID, minutes=5),
            oncall.alert(strange, minutes=1),
        ],
    )
    async with console_of(tmp_path, held.url) as console:
        text = await page(console)
    order = [text.index(one) for one in ("DiskFull", "Salle hall de s", "PUE drifts")]
    assert order == sorted(order)
    assert "instance &lt;b&gt;db-1&lt;/b&gt;" in text
    assert '<h3 lang="fr">Salle hall de s trop chaude : 38,5 °C</h3>' in text
    assert "(5\u00a0min)" in text
    for said in ("38,5 °C", "35,0 °C", "site s, salle hall", "Regardez les groupes froids"):
        assert said in text
    assert 'href="/runbooks/en/JaugeRoomHot?lang=en"' in text
    assert "http://127.0.0.1:3000/d/jauge-rooms?var-site=s&amp;var-room=hall" in text
    assert "Watchdog" not in text
    assert DEAD not in text
    assert MUTE not in text
    assert NONE not in text


@pytest.mark.usefixtures("at_once")
async def test_no_alert_is_said_only_while_the_sign_of_life_is_there(
    held: Alertmanager, tmp_path: Path
) -> None:
    """Rules that nobody evaluates look like a quiet night; and a dead Alertmanager does too."""
    async with console_of(tmp_path, held.url) as console:
        text = await page(console)
        assert MUTE in text
        assert NONE not in text
        await oncall.tell(held, [oncall.alert(oncall.WATCHDOG)])
        text = await page(console)
        assert MUTE not in text
        assert NONE in text
        await oncall.tell(held, [oncall.alert(oncall.HOT, oncall.SAID)])
        assert "Salle hall" in await page(console)
        await held.kill()
        text = await page(console)
        assert DEAD in text
        assert "nobody at its address" in text
        assert "its last answer, of" in text
        assert "Firing then" in text
        assert "Salle hall" in text
        assert NONE not in text
        await held.start()
        assert DEAD not in await page(console)


async def test_an_alertmanager_that_never_answered_is_never_no_alert(tmp_path: Path) -> None:
    """Since the collector began nothing is known; the planned events are shown all the same."""
    async with console_of(tmp_path, f"http://127.0.0.1:{parts.free_port()}") as console:
        text = await page(console)
        assert DEAD in text
        assert "what fires is not known" in text
        assert NONE not in text
        assert "Planned events that run" in text


async def test_without_a_url_the_page_says_how_to_set_it(tmp_path: Path) -> None:
    """And never that nothing fires."""
    async with serving(guarded(tmp_path, READER)) as console:
        text = await page(console)
        assert "[alerts]" in text
        assert 'url = "http://127.0.0.1:9093"' in text
        assert NONE not in text
        assert DEAD not in text


@pytest.mark.usefixtures("at_once")
async def test_what_is_silenced_says_by_whom_and_until_when_and_what_an_event_holds_back_too(
    held: Alertmanager, tmp_path: Path
) -> None:
    """Both stand apart from what somebody is told of."""
    event = {"alertname": "JaugeEventActive", "severity": "none", "site": "s", "kind": "battery"}
    ups = {**oncall.SILENT, "alertname": "JaugeUpsOnBattery", "topic": "power", "severity": "page"}
    await oncall.tell(
        held,
        [
            oncall.alert(oncall.WATCHDOG),
            oncall.alert(oncall.SILENT, {"summary": "plant is silent"}),
            oncall.alert(event),
            oncall.alert(ups, {"summary": "ups-a on battery"}),
        ],
    )
    await oncall.silence(held, {"alertname": "JaugeAgentSilent"}, comment="new switch")
    await oncall.until_state(held, "JaugeAgentSilent", "suppressed")
    await oncall.until_state(held, "JaugeUpsOnBattery", "suppressed")
    async with console_of(tmp_path, held.url) as console:
        text = await page(console)
        quiet = text[text.index('id="held"') :]
        assert "plant is silent" in quiet
        assert "by ops: new switch" in quiet
        assert "ups-a on battery" in quiet
        assert "planned event (on battery)" in quiet
        assert NONE in text
        # The silence names no site, and its comment may tell of another.
        other = await page(console, ALONE)
        assert "plant is silent" in other
        assert "Silenced until" in other
        assert "new switch" not in other
        assert "Silences of Alertmanager" not in other


@pytest.mark.usefixtures("at_once")
async def test_each_sees_the_alerts_of_their_sites_and_tenants_alone(
    held: Alertmanager, tmp_path: Path
) -> None:
    """What names another's agent, or a thing of no site, is for who sees everything."""
    meter = {**oncall.DRIFT, "alertname": "OfMeter", "meter": "ups"}
    others = {**oncall.DRIFT, "alertname": "OfIncomer", "meter": "incomer"}
    both = {**oncall.SILENT, "alertname": "OfBoth", "meter": "incomer"}
    alerts = {
        "OfMeter": meter,
        "OfIncomer": others,
        "OfBoth": both,
        "OfAgent": {**oncall.SILENT, "alertname": "OfAgent"},
        "OfRoom": {**oncall.HOT, "alertname": "OfRoom"},
        "OfElsewhere": {**oncall.HOT, "alertname": "OfElsewhere", "site": "t"},
        "OfBroker": {"alertname": "OfBroker", "severity": "page", "topic": "delivery"},
        "OfInstance": {"alertname": "OfInstance", "severity": "ticket", "instance": "h:1"},
        "OfGuest": {**oncall.SILENT, "alertname": "OfGuest", "guest": "vcenter/guest:9"},
    }
    await oncall.tell(
        held, [oncall.alert(oncall.WATCHDOG), *(oncall.alert(one) for one in alerts.values())]
    )
    everything = set(alerts)
    expected = {
        READER: everything,
        ALPHA: {"OfMeter", "OfAgent"},
        ALONE: everything - {"OfElsewhere", "OfInstance"},
        ELSEWHERE: {"OfElsewhere", "OfBroker"},
    }
    async with console_of(tmp_path, held.url) as console:
        for who, names in expected.items():
            text = await page(console, who)
            assert {name for name in alerts if f">{name}<" in text} == names, who.name


async def test_the_page_reloads_only_where_somebody_asked_for_it(tmp_path: Path) -> None:
    """A link begins it and another ends it; the language stays."""
    async with serving(guarded(tmp_path, READER)) as console:
        _, headers, text = await console.get("/alerts?lang=en", headers=READER.bearer)
        assert "Refresh" not in headers
        assert 'href="/alerts?reload=on&amp;lang=en"' in text
        _, headers, text = await console.get("/alerts?reload=on&lang=en", headers=READER.bearer)
        assert headers["Refresh"] == "60"
        assert "Stop reloading" in text
        assert 'href="/alerts?lang=en"' in text


# --- an Alertmanager that is none


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server that gives every question this answer; its address."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = parts.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(alertmanager.LARGEST // 2**20 + 2):
        await response.write(b" " * 2**20)
    return response


async def _elsewhere(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


async def _refused(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401)


async def _strange(_: web.Request) -> web.StreamResponse:
    return web.Response(text='[{"labels": 3}]')


async def _page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>welcome</html>")


async def _nested(_: web.Request) -> web.StreamResponse:
    """Deeper than anything can be read, in a field that nobody asks for."""
    return web.Response(text='[{"x":' + "[" * 100_000 + "]" * 100_000 + "}]")


async def _timeless(_: web.Request) -> web.StreamResponse:
    """A beginning without an offset, before any year that can be counted."""
    one = '{"labels":{},"annotations":{},"fingerprint":"f","status":{"state":"active"}'
    return web.Response(text=f'[{one},"startsAt":"0001-01-01T00:00:00"}}]')


async def _held_by_nameless(request: web.Request) -> web.StreamResponse:
    """An alert that one without a name holds back: Alertmanager asks for no name."""
    if request.path.endswith("/silences"):
        return web.json_response([])
    said = {"annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}
    cause = {"labels": {"a": "b"}, "fingerprint": "c", "status": {"state": "active"}}
    status = {"state": "suppressed", "inhibitedBy": ["c"]}
    one = {"labels": oncall.DRIFT, "fingerprint": "d", "status": status}
    return web.json_response([{**said, **cause}, {**said, **one}])


Json = dict[str, Any]


def fired(labels: Mapping[str, str], said: Mapping[str, str] | None = None, **stands: Any) -> Json:
    """An alert as Alertmanager tells it."""
    return {
        "labels": labels,
        "annotations": said or {},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": labels["alertname"],
        "status": {"state": "active", **stands},
    }


def silenced(key: str, comment: str, *sites: str) -> Json:
    """A silence of some sites; ``s|t`` is a pattern."""
    return {
        "id": key,
        "matchers": [
            {"name": "site", "value": site, "isRegex": "|" in site, "isEqual": True}
            for site in sites
        ],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "ops",
        "comment": comment,
        "status": {"state": "active"},
    }


def telling(alerts: Sequence[Json], silences: Sequence[Json] = ()) -> Answer:
    """An Alertmanager that holds these."""

    async def answer(request: web.Request) -> web.StreamResponse:
        silent = request.path.endswith("/silences")
        return web.json_response(list(silences if silent else alerts))

    return answer


async def test_why_several_sites_are_silent_is_for_who_sees_them_all(tmp_path: Path) -> None:
    """Beside the alert too, and whether a silence names them by a pattern or one by one."""
    held = fired(oncall.SILENT, state="suppressed", silencedBy=["a", "b", "c"])
    silences = [
        silenced("a", "the switch of t", "s|t"),
        silenced("b", "the cable of t", "s", "t"),
        silenced("c", "the agent of s", "s"),
    ]
    async with (
        answering(telling([held], silences)) as url,
        console_of(tmp_path, url) as console,
    ):
        everything, alone = await page(console), await page(console, ALONE)
    for comment in ("the switch of t", "the cable of t", "the agent of s"):
        assert comment in everything
    assert "the agent of s" in alone
    assert " of t" not in alone
    assert alone.count("Silenced until") == 3


@pytest.mark.parametrize("held", [True, False], ids=["fires", "quiet"])
async def test_who_does_not_see_every_alert_is_never_told_that_none_fires(
    held: bool, tmp_path: Path
) -> None:
    """An external label hides a dead broker; a quiet night reads the same, and tells of nothing."""
    cluster = {"cluster": "c1"}
    broker = {"alertname": "JaugeBrokerDown", "severity": "page", "topic": "delivery", **cluster}
    alerts = [fired({**oncall.WATCHDOG, **cluster}), *([fired(broker)] if held else [])]
    async with answering(telling(alerts)) as url, console_of(tmp_path, url) as console:
        everything = await page(console)
        limited = [await page(console, who) for who in (ALONE, ALPHA, ELSEWHERE)]
    assert (NONE in everything) is not held
    for text in limited:
        assert NONE_SEEN in text
        assert NONE not in text
        assert "JaugeBrokerDown" not in text


async def test_a_hostile_label_stays_a_text(tmp_path: Path) -> None:
    """Markup is shown, a script is no address, and a name leads to no other page."""
    markup = '"><img src=x onerror=alert(1)>'
    said = dict.fromkeys(("summary", "description", "action", "place", "value", "limit"), markup)
    said |= {"runbook_url": "javascript:alert(1)", "dashboard_url": f"http://h/{'a' * 2000}"}
    alerts = [
        fired({**oncall.SILENT, "alertname": markup, "agent": f"../../logout?{markup}"}, said),
        fired({**oncall.SILENT, "alertname": "Held"}, state="suppressed", inhibitedBy=["Cause"]),
        fired({"alertname": "JaugeEventActive", "kind": "by", "site": "s"}),
    ]
    alerts[2]["fingerprint"] = "Cause"
    async with answering(telling(alerts)) as url, console_of(tmp_path, url) as console:
        text = await page(console)
    assert "<img" not in text
    assert "javascript:" not in text
    assert f"http://h/{'a' * 100}" not in text
    assert 'href="/s/agent/..%2F..%2Flogout%3F%22%3E%3Cimg%20src%3Dx' in text
    assert "planned event (by)" in text


async def test_however_much_it_holds_a_page_stays_a_page(tmp_path: Path) -> None:
    """Thousands of silences, and an alert that thousands hold back."""
    many = [str(number) for number in range(5000)]
    held = fired(oncall.SILENT, state="suppressed", silencedBy=many, inhibitedBy=many)
    silences = [silenced(key, "why", "s") for key in many]
    async with (
        answering(telling([held], silences)) as url,
        console_of(tmp_path, url) as console,
    ):
        text = await page(console)
    assert len(text) < 100_000
    assert "4,800" in text


async def test_what_holds_back_needs_no_name(tmp_path: Path) -> None:
    """The page is there all the same."""
    async with answering(_held_by_nameless) as url, console_of(tmp_path, url) as console:
        assert "JaugePueDrift" in await page(console)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (_silent, Trouble.LATE),
        (_endless, Trouble.LARGE),
        (_elsewhere, Trouble.STATUS),
        (_refused, Trouble.REFUSED),
        (_strange, Trouble.UNREADABLE),
        (_page, Trouble.UNREADABLE),
        (_nested, Trouble.UNREADABLE),
        (_timeless, Trouble.UNREADABLE),
    ],
)
async def test_what_is_no_answer_is_told_as_such(
    answer: Answer, trouble: Trouble, tmp_path: Path
) -> None:
    """Within the deadline and the limit; no redirect is followed."""
    async with answering(answer) as url:
        asked = Asked(oncall.on_call(tmp_path, url, READER), within_s=0.5)
        try:
            standing = await asked.standing()
        finally:
            await asked.close()
    assert (standing.answer, standing.trouble) == (None, trouble)
    assert standing.since_ms is not None


async def test_credentials_come_from_files_and_reach_only_alertmanager(tmp_path: Path) -> None:
    """Bearer or basic, without the line's end."""
    seen: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response([])

    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    async with answering(note) as url:
        for more in ('token_file = "secret"', 'username = "u"\npassword_file = "secret"', ""):
            asked = Asked(oncall.on_call(tmp_path, url, READER, more=more))
            try:
                assert (await asked.standing()).trouble is None
            finally:
                await asked.close()
    assert seen[::2] == ["Bearer s3cret", "Basic dTpzM2NyZXQ=", ""]


@pytest.mark.usefixtures("at_once")
async def test_since_when_it_is_dead_is_the_first_failure_and_not_the_last(
    held: Alertmanager, tmp_path: Path
) -> None:
    """Until it answers again."""
    asked = Asked(oncall.on_call(tmp_path, held.url, READER))
    try:
        assert (await asked.standing()).answer is not None
        await held.kill()
        first = await asked.standing()
        second = await asked.standing()
        assert first.since_ms == second.since_ms is not None
        assert second.answer is not None
        await held.start()
        assert (await asked.standing()).since_ms is None
    finally:
        await asked.close()


async def test_many_visitors_make_one_question(tmp_path: Path) -> None:
    """Two requests a round, however many look."""
    paths: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.json_response([])

    async with answering(note) as url:
        asked = Asked(oncall.on_call(tmp_path, f"{url}/am/", READER))
        try:
            await asyncio.gather(*(asked.standing() for _ in range(20)))
        finally:
            await asked.close()
    assert paths == ["/am/api/v2/alerts", "/am/api/v2/silences"]


async def test_an_untrusted_certificate_is_told_and_a_trusted_one_taken(tmp_path: Path) -> None:
    """TLS is checked against ``ca_file``."""
    authority = Authority(tmp_path)
    authority.issue("console", file="console")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "console.pem", tmp_path / "console.key")

    async def empty(_: web.Request) -> web.StreamResponse:
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/{path:.*}", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    port = parts.free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    try:
        for more, trouble in (("", Trouble.TLS), (f'ca_file = "{authority.certificate}"', None)):
            asked = Asked(oncall.on_call(tmp_path, f"https://127.0.0.1:{port}", READER, more=more))
            try:
                assert (await asked.standing()).trouble is trouble
            finally:
                await asked.close()
    finally:
        await runner.cleanup()


async def test_moments_out_of_this_world_do_not_take_the_page_away(tmp_path: Path) -> None:
    """A silence for ever, and an alert that began in the year 1, on a clock east of Greenwich."""
    forever = {
        "id": "i",
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "9999-12-31T23:59:59Z",
        "createdBy": "",
        "comment": "for ever",
        "status": {"state": "active"},
    }
    first = {
        "labels": {"alertname": "First"},
        "annotations": {},
        "startsAt": "0001-01-01T00:00:00.000Z",
        "fingerprint": "f",
        "status": {"state": "suppressed", "silencedBy": ["i"], "inhibitedBy": []},
    }

    async def strange(request: web.Request) -> web.StreamResponse:
        return web.json_response([first if request.path.endswith("alerts") else forever])

    site = SITE.replace('"UTC"', '"Europe/Paris"')
    async with (
        answering(strange) as url,
        serving(oncall.on_call(tmp_path, url, READER, site=site)) as console,
    ):
        text = await page(console)
    assert "1 Jan 1970" in text.replace("\u00a0", " ")
    assert "for ever" in text


# --- the configuration


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('url = "http://alerts.example.org:9093"', "alerts.url"),
        ('url = "ftp://127.0.0.1"', "alerts.url"),
        ('url = "http://u:p@127.0.0.1:9093"', "alerts.url"),
        ('url = "http://127.0.0.1:9093?x=1"', "alerts.url"),
        ('token_file = "t"', "alerts.token_file"),
        ('url = "http://127.0.0.1:1"\nusername = "u"', "alerts.password_file"),
        (
            'url = "http://127.0.0.1:1"\nusername = "u"\npassword_file = "p"\ntoken_file = "t"',
            "alerts.token_file",
        ),
    ],
)
def test_a_setting_that_would_leak_or_never_work_is_refused(
    lines: str, key: str, tmp_path: Path
) -> None:
    """With its key."""
    with pytest.raises(ConfigurationError) as refused:
        configuration(tmp_path, more=f"[alerts]\n{lines}\n")
    assert refused.value.key == key


@pytest.mark.parametrize("text", ["", "two\nlines\n", "\u00e9"])
def test_a_secret_that_no_header_can_hold_is_refused_at_start(text: str, tmp_path: Path) -> None:
    """As is a file that is not there."""
    (tmp_path / "secret").write_text(text, encoding="utf-8")
    more = '[alerts]\nurl = "http://127.0.0.1:1"\ntoken_file = "{}"\n'
    for name in ("secret", "none"):
        service = Service(configuration(tmp_path, more=more.format(name)))
        try:
            with pytest.raises(ConfigurationError) as refused:
                build_app(service.state)
        finally:
            service.state.ledger.close()
        assert refused.value.key == "alerts.token_file"


def test_a_matcher_reads_as_amtool_writes_it() -> None:
    """Each of the four signs."""
    found = [
        str(Matcher("a", "b", is_regex=regex, is_equal=equal))
        for regex in (False, True)
        for equal in (True, False)
    ]
    assert found == ['a="b"', 'a!="b"', 'a=~"b"', 'a!~"b"']
