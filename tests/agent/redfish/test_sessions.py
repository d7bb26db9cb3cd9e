"""How a BMC is treated: one session, one request at a time, and nothing that writes."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.logins import MOST_REFUSALS
from jauge_agent.polling import Device, Poller
from jauge_agent.source import FatalError, RetryError, SourceError, SourceSettings
from jauge_agent.sources.redfish import session as out
from jauge_agent.sources.redfish.source import (
    BmcSource,
    RedfishDevice,
    RedfishSettings,
    RedfishSource,
)
from jauge_agent.sources.redfish.walking import MOST_DOCUMENTS
from jauge_agent.trust import Trust

from tests.agent.certificates import Authority, Issued
from tests.agent.redfish import machines
from tests.agent.redfish.conftest import Serving, Settings
from tests.parts import eventually

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")

from aiohttp import web

from tests.agent.redfish.server import SESSIONS

POWER = f"{machines.CHASSIS}/Power"


def small() -> machines.Documents:
    """A server of 412 W."""
    return machines.server(PowerControl=[machines.control(412, machines.SYSTEM)])


@asynccontextmanager
async def opened(settings: RedfishSettings) -> AsyncIterator[BmcSource]:
    """The first BMC of some settings, without a source around it."""
    bmc = BmcSource(settings.devices[0], settings, Trust())
    try:
        await bmc.open()
        yield bmc
    finally:
        await bmc.close()


async def watts(bmc: BmcSource) -> float:
    """The power of the only host."""
    (value,) = (s.value for s in (await bmc.read()).samples if s.quantity == "power")
    return value


async def test_a_thousand_polls_use_one_session(serve: Serving, settings: Settings) -> None:
    """One session is opened, used a thousand times, and closed; never two at a time."""
    server = await serve(small())
    async with opened(settings(server)) as bmc:
        for _ in range(1000):
            assert await watts(bmc) == 412
        assert (server.opened, server.ended) == (1, 0)
    assert (server.opened, server.ended, server.most_sessions) == (1, 1, 1)
    assert not server.sessions
    assert server.asked.count(("GET", POWER)) == 1001


async def test_a_connection_that_the_bmc_closes_costs_nothing(
    serve: Serving, settings: Settings
) -> None:
    """Controllers close idle connections long before the next poll: the session goes on."""
    server = await serve(small())
    async with opened(settings(server)) as bmc:
        for _ in range(20):
            server.drop_connections()
            assert await watts(bmc) == 412
    assert server.opened == server.ended == 1


async def test_a_session_that_ends_in_the_middle_is_renewed(
    serve: Serving, settings: Settings
) -> None:
    """A controller that restarts forgets its sessions: the same poll gives its values."""
    documents = small()
    documents[machines.CHASSIS]["Thermal"] = machines.to(f"{machines.CHASSIS}/Thermal")
    documents[f"{machines.CHASSIS}/Thermal"] = {
        "Temperatures": [{"PhysicalContext": "Intake", "ReadingCelsius": 24.5}]
    }
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        for _ in range(3):
            server.sessions.clear()
            assert len((await bmc.read()).samples) == 2
    assert (server.opened, server.ended) == (4, 1)
    assert not server.sessions


async def test_a_session_that_the_bmc_still_counts_is_ended_after_a_401(
    serve: Serving, settings: Settings
) -> None:
    """A token that is refused while its session lives on: the session is not left behind."""
    server = await serve(small())
    async with opened(settings(server)) as bmc:
        for session in server.sessions:
            server.sessions[session] = "changed"
        assert await watts(bmc) == 412
        assert len(server.sessions) == 1
    assert server.opened == server.ended == 2


async def test_a_document_that_is_always_refused_costs_no_session_each_time(
    serve: Serving, settings: Settings
) -> None:
    """401 for one document, whoever asks: it is counted, and the others are read."""
    server = await serve(small())

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401)

    server.documents[machines.CHASSIS] |= {"Thermal": machines.to(f"{machines.CHASSIS}/Thermal")}  # type: ignore[operator]
    server.special[f"{machines.CHASSIS}/Thermal"] = refuse
    async with opened(settings(server)) as bmc:
        for _ in range(5):
            assert await watts(bmc) == 412
    assert server.opened == server.ended == 2


async def test_a_login_that_is_given_up_leaves_no_session(
    serve: Serving, settings: Settings
) -> None:
    """A deadline in the middle of a slow login: what the BMC opens then is used, and ended."""
    server = await serve(small())
    server.login_delay.clear()
    bmc = BmcSource(settings(server).devices[0], settings(server), Trust())
    opening = asyncio.create_task(bmc.open())
    await eventually(lambda: ("POST", SESSIONS) in server.asked, within=20)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    server.login_delay.set()
    await bmc.open()
    assert await watts(bmc) == 412
    await bmc.close()
    assert (server.opened, server.ended) == (1, 1)


async def test_closing_in_the_middle_of_a_login_ends_what_it_opens(
    serve: Serving, settings: Settings
) -> None:
    """The agent stops while a BMC still thinks about a login."""
    server = await serve(small())
    server.login_delay.clear()
    bmc = BmcSource(settings(server).devices[0], settings(server), Trust())
    opening = asyncio.create_task(bmc.open())
    await eventually(lambda: ("POST", SESSIONS) in server.asked, within=20)
    opening.cancel()
    closing = asyncio.create_task(bmc.close())
    await asyncio.sleep(0)
    server.login_delay.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert (server.opened, server.ended) == (1, 1)


async def test_a_slow_bmc_harms_nobody(serve: Serving, settings: Settings) -> None:
    """One of three takes for ever: the tick gives the other two, and nothing is left open."""
    servers = []
    for number in range(3):
        documents = small()
        documents[machines.SYSTEM]["UUID"] = f"5f0a7c7e-4a0b-4c4e-9d7f-0d3c2b1a0f0{number}"
        servers.append(await serve(documents))
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        raise AssertionError("unreachable")

    given = settings(*servers)
    trust = Trust()
    devices = [
        Device(each.label, BmcSource(each, given, trust), deadline_s=60) for each in given.devices
    ]
    source = Poller("redfish", devices, SourceSettings(period_s=1, deadline_s=20))
    slow = servers[1]
    slow.special[f"{machines.CHASSIS}"] = hang
    await source.open()
    heard: Counter[str] = Counter()
    longest = 0.0

    async def read() -> bool:
        nonlocal longest
        begun = asyncio.get_running_loop().time()
        heard.update(sample.resource for sample in (await source.read()).samples)
        longest = max(longest, asyncio.get_running_loop().time() - begun)
        return len(heard) == 2 and min(heard.values()) >= 3

    await eventually(read, within=60)
    await source.close()
    assert longest < 0.9 * 1
    assert len(heard) == 2
    assert all(each.opened == 1 for each in servers)
    await eventually(lambda: not any(each.sessions for each in servers), within=20)


async def test_wrong_passwords_are_not_tried_again_and_again(
    serve: Serving, settings: Settings
) -> None:
    """After three refusals a BMC is left alone for an hour: accounts are locked by more."""
    server = await serve(small())
    server.password = "another"
    given = settings(server)
    bmc = BmcSource(given.devices[0], given, Trust())
    errors: list[SourceError] = []
    for _ in range(10):
        with pytest.raises(SourceError) as refused:
            await bmc.open()
        errors.append(refused.value)
    await bmc.close()
    assert server.asked.count(("POST", SESSIONS)) == MOST_REFUSALS
    assert all(isinstance(error, FatalError) for error in errors[MOST_REFUSALS - 1 :])
    assert "no session for this user (HTTP 401)" in str(errors[0])


async def test_a_bmc_without_free_sessions_says_so_and_is_read_later(
    serve: Serving, settings: Settings
) -> None:
    """Sessions taken by others: a failure that passes."""
    server = await serve(small())
    server.limit = 0
    given = settings(server)
    bmc = BmcSource(given.devices[0], given, Trust())
    with pytest.raises(RetryError, match=r"HTTP 503, Base\.1\.8\.SessionLimitExceeded"):
        await bmc.open()
    server.limit = 1
    await bmc.open()
    assert await watts(bmc) == 412
    await bmc.close()
    assert server.opened == server.ended == 1


@pytest.mark.parametrize("basic", ["asked for", "no session service"])
async def test_basic_authentication_needs_no_session(
    basic: str, serve: Serving, settings: Settings
) -> None:
    """Where it is asked for, and where the BMC has no session service."""
    server = await serve(small())
    given = settings(server)
    if basic == "asked for":
        given = settings(devices=[RedfishDevice(host="127.0.0.1", port=server.port, login="basic")])
    else:
        server.offers_sessions = False
    async with opened(given) as bmc:
        assert await watts(bmc) == 412
    assert server.opened == 0


async def test_the_older_place_of_sessions_is_tried(serve: Serving, settings: Settings) -> None:
    """Early iDRACs open sessions at /redfish/v1/Sessions."""
    server = await serve(small())
    server.sessions_at = "/redfish/v1/Sessions"
    async with opened(settings(server)) as bmc:
        assert await watts(bmc) == 412
    assert server.opened == server.ended == 1


@pytest.mark.parametrize(
    "location",
    [
        "/redfish/v1/AccountService/Accounts/1",
        "/redfish/v1/SessionService/Sessions/../../AccountService/Accounts/1",
        "/redfish/v1/SessionService/Sessions/..",
        "/redfish/v1/SessionService/Sessions",
        "//elsewhere.example/redfish/v1/Systems/1",
    ],
)
async def test_a_lie_about_the_session_deletes_nothing_else(
    location: str, serve: Serving, settings: Settings
) -> None:
    """What the BMC calls our session is deleted only where sessions are."""
    server = await serve(small())
    server.location = location
    async with opened(settings(server)):
        pass
    deleted = [path for method, path in server.asked if method == "DELETE"]
    assert deleted == [f"{SESSIONS}/1"]


async def test_an_absolute_location_is_of_this_bmc(serve: Serving, settings: Settings) -> None:
    """Some controllers name themselves in it as they like to be called."""
    server = await serve(small())
    server.location = f"https://bmc.example{SESSIONS}/1"
    async with opened(settings(server)):
        pass
    assert server.opened == server.ended == 1


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"])
PATHS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"/redfish/v1(/[A-Za-z0-9.%/_~?-]{0,40})?", fullmatch=True),
    st.sampled_from(
        [
            f"{machines.SYSTEM}/Actions/ComputerSystem.Reset",
            SESSIONS,
            f"{SESSIONS}/1",
            "/redfish/v1/AccountService/Accounts",
        ]
    ),
)


@given(method=METHODS, path=PATHS, body=st.none() | st.binary(max_size=8), own=PATHS)
def test_nothing_else_can_leave(method: str, path: str, body: bytes | None, own: str) -> None:
    """The one way out refuses everything but reading, a login, and the end of the own session."""
    left: list[tuple[str, str]] = []

    class Leaving(Exception):  # noqa: N818
        pass

    bmc = out.Bmc("bmc.example", None, None)  # type: ignore[arg-type]

    def client() -> Any:
        left.append((method, path))
        raise Leaving

    bmc._client = client  # type: ignore[method-assign]
    with suppress(out.ForbiddenError, Leaving):
        asyncio.run(bmc._send(method, path, body=body, own=own))
    for way, target in left:
        if way == "GET":
            assert body is None
            assert out.is_path(target)
        elif way == "POST":
            assert target in {SESSIONS, "/redfish/v1/Sessions"}
        else:
            assert way == "DELETE"
            assert target == own
            assert target.startswith((f"{SESSIONS}/", "/redfish/v1/Sessions/"))
            assert target.count("/") == (5 if "SessionService" in target else 4)


def test_requests_are_sent_in_one_place_only() -> None:
    """No other line of the source has a client to send with."""
    import inspect

    import jauge_agent.sources.redfish as package

    for file in Path(package.__path__[0]).glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert text.count("ClientSession(") == (file.name == "session.py")
        assert text.count("._client()") == (file.name == "session.py")
    assert "._client()" in inspect.getsource(out.Bmc._send)


async def test_links_to_other_hosts_lead_nowhere(serve: Serving, settings: Settings) -> None:
    """Absolute links and redirects to another BMC: that one is never asked anything."""
    other = await serve(small())
    server = await serve(small())
    chassis = server.documents[machines.CHASSIS]
    assert isinstance(chassis, dict)
    chassis["Thermal"] = machines.to(f"https://{other.authority}{machines.CHASSIS}/Power")
    chassis["Sensors"] = machines.to(f"//{other.authority}/redfish/v1/Chassis")
    chassis["EnvironmentMetrics"] = machines.to(f"{machines.CHASSIS}/Elsewhere")

    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"https://{other.authority}{POWER}"})

    server.special[f"{machines.CHASSIS}/Elsewhere"] = elsewhere
    async with opened(settings(server)) as bmc:
        outcome = await bmc.read()
    assert [sample.value for sample in outcome.samples] == [412]
    assert outcome.failed == {"link": 2, "redirect": 1}
    assert other.asked == []


async def test_a_redirect_on_the_same_host_is_followed(serve: Serving, settings: Settings) -> None:
    """Some controllers send from a path without a slash to the one with it."""
    server = await serve(small())
    documents = server.documents

    async def slash(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/"):
            return server._document(machines.CHASSIS, expanded=False)
        return web.Response(status=308, headers={"Location": request.path + "/"})

    assert machines.CHASSIS in documents
    server.special[machines.CHASSIS] = slash
    async with opened(settings(server)) as bmc:
        assert await watts(bmc) == 412


async def test_loops_and_floods_of_links_end(serve: Serving, settings: Settings) -> None:
    """Chassis inside each other, pages that lead back, thousands of members: bounded requests."""
    documents = small()
    many = [f"/redfish/v1/Chassis/flood{number}" for number in range(5000)]
    documents["/redfish/v1/Chassis"] = machines.listed(machines.CHASSIS, *many) | {
        "Members@odata.nextLink": "/redfish/v1/Chassis"
    }
    for path in many[:64]:
        supplies = [f"{path}/Supplies/{number}" for number in range(8)]
        documents |= {supply: {"Metrics": machines.to(path)} for supply in supplies}
        documents[f"{path}/Supplies"] = machines.listed(*supplies)
        documents[path] = {
            "Links": {"Contains": [machines.to(path), machines.to(machines.CHASSIS)]},
            "PowerSubsystem": machines.to(path),
            "PowerSupplies": machines.to(f"{path}/Supplies"),
            "EnvironmentMetrics": machines.to(path),
        }
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert len(server.asked) <= MOST_DOCUMENTS + 1
        assert bmc.plan is not None
        assert bmc.plan.cut["documents"] > 0


async def test_a_huge_document_is_cut_off(serve: Serving, settings: Settings) -> None:
    """A body without end: it is given up at the limit, and the rest is read."""
    documents = small()
    documents[machines.CHASSIS]["Thermal"] = machines.to(f"{machines.CHASSIS}/Thermal")
    server = await serve(documents)

    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        block = b" " * 2**16
        try:
            for _ in range(2**14):
                await answer.write(block)
        except (ConnectionError, asyncio.CancelledError):
            pass
        return answer

    server.special[f"{machines.CHASSIS}/Thermal"] = flood
    async with opened(settings(server)) as bmc:
        outcome = await bmc.read()
    assert [sample.value for sample in outcome.samples] == [412]
    assert outcome.failed["size"] >= 1


async def test_an_unknown_certificate_gets_no_password(
    serve: Serving, settings: Settings, tmp_path: Any
) -> None:
    """A BMC whose certificate is not trusted is sent nothing; the reason is said."""
    server = await serve(small())
    folder = tmp_path / "other"
    folder.mkdir()
    stranger = Authority(folder, "stranger")
    with pytest.raises(RetryError, match=r"certificate refused: .*issuer"):
        async with opened(settings(server, ca_file=str(stranger.certificate))):
            pass
    assert server.asked == []


async def test_a_bmcs_own_certificate_can_be_trusted(
    certificate: Issued, settings: Settings, tmp_path: Path
) -> None:
    """What controllers make for themselves is signed by nobody else: it may be named itself."""
    import subprocess

    from tests.agent.redfish.server import RedfishServer

    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bmc"]
    command += ["-keyout", str(key), "-out", str(own), "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    certificate.certificate, certificate.key = own, key
    async with (
        RedfishServer(small(), certificate) as server,
        opened(settings(server, ca_file=str(own))) as bmc,
    ):
        assert await watts(bmc) == 412


async def test_an_unchecked_certificate_is_said_loudly(
    serve: Serving, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Without verification any BMC is read, and a warning names it."""
    server = await serve(small())
    source = RedfishSource(settings(server, ca_file=None, verify=False))
    with caplog.at_level(logging.WARNING, logger="jauge_agent"):
        await source.open()
        assert (await source.read()).samples
        await source.close()
    (said,) = [record for record in caplog.records if record.message == "certificate not checked"]
    assert said.__dict__["fields"]["device"] == server.authority


async def test_no_password_is_in_any_error_or_log(
    serve: Serving, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong is told without the secret."""
    server = await serve(small())
    server.offers_sessions = False
    server.password = "another"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as error:
        async with opened(settings(server)):
            pass
    assert "a secret of this test" not in str(error.value) + caplog.text


ECHO = "The value '{}' for the property Password is of a different format."


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("Base.1.8.PropertyValueFormatError", True),
        ("Base.1.8.PropertyValueFormatError of 21 signs", False),
        (ECHO, False),
        ("Base.1.0.{}", False),
        ("{}", False),
    ],
)
@pytest.mark.parametrize("password", ["a secret of this test", "Hidden", "Base.Hidden"])
async def test_the_answer_to_a_login_is_never_quoted(
    *,
    password: str,
    identity: str,
    said: bool,
    status: int,
    serve: Serving,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A BMC that sends the password back wherever it can: no error and no log holds it."""
    server = await serve(small())
    (tmp_path / "password").write_text(password, encoding="utf-8")

    async def echo() -> web.Response:
        name, message = identity.format(password), ECHO.format(password)
        info = [{"MessageId": name, "Message": message, "MessageArgs": [password]}]
        error = {"error": {"code": message, "message": message, "@Message.ExtendedInfo": info}}
        return web.json_response(error, status=status)

    server._log_in = echo  # type: ignore[method-assign]
    source = RedfishSource(settings(server))
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as error:
        await source.open()
    await source.close()
    logged = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert f"HTTP {status}" in str(error.value)
    assert password not in str(error.value) + logged
    assert ("PropertyValueFormatError" in str(error.value)) == said


async def test_a_broken_header_with_the_token_is_not_quoted(
    certificate: Issued, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """No proper HTTP: the client's own words repeat the line that it stumbled over."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nX-Auth-Token: 0123hidden\x00token\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    source = RedfishSource(settings(devices=[RedfishDevice(host="127.0.0.1", port=port)]))
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as error:
        await source.open()
    await source.close()
    server.close()
    logged = caplog.text + repr([record.__dict__ for record in caplog.records])
    assert "hidden" not in str(error.value) + logged


def test_what_is_shown_of_a_login_holds_no_password() -> None:
    """As it would stand in the report of a defect."""
    assert "hidden" not in repr(out.Login("jauge", "hidden"))
    assert "hidden" not in repr(out._Answer(201, {"X-Auth-Token": "hidden"}, b"hidden"))


def test_settings_refuse_what_is_no_host_and_too_short_a_period() -> None:
    """A URL or a path is no host; no BMC is asked more often than each minute."""
    import msgspec

    for host in ("https://bmc", "bmc/redfish", "user@bmc", "bmc:443", "[::1]", ""):
        with pytest.raises(msgspec.ValidationError, match=r"devices\[0\]"):
            msgspec.convert({"devices": [{"host": host}]}, RedfishSettings)
    for host in ("bmc-1.example", "192.0.2.7", "2001:db8::7", "::1"):
        msgspec.convert({"devices": [{"host": host}]}, RedfishSettings)
    with pytest.raises(msgspec.ValidationError, match=">= 60"):
        msgspec.convert({"period_s": 30}, RedfishSettings)
