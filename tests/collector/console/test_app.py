"""What guards every answer of the console: headers, names it answers to, methods, errors."""

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest
from jauge_collector.ledger.book import LedgerError
from yarl import URL

from tests.collector.console.doors import READER, guarded
from tests.collector.console.serving import configuration, serving

PATHS = ("/healthz", "/readyz", "/metrics", "/api/v1/sites", "/api/v1/none", "/none", "/static/..")


async def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    """Policy, no sniffing, no referrer, no caching; also on errors, and no server's version."""
    async with serving(configuration(tmp_path)) as console:
        for path in PATHS:
            _, headers, _ = await console.get(path)
            policy = headers["Content-Security-Policy"].split("; ")
            assert set(policy) == {
                "default-src 'none'",
                "style-src 'self'",
                "img-src 'self' data:",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            }, path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "geolocation=()" in headers["Permissions-Policy"]
            assert "Strict-Transport-Security" not in headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["Server"] == "jauge"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8090", 200),
        ("[::1]:8090", 200),
        ("[::1]", 200),
        ("jauge.example.org", 200),
        ("attacker.example.org", 421),
        ("attacker.example.org:8090", 421),
        ("127.0.0.1.example.org", 421),
        ("localhost.example.org", 421),
        ("[::1].example.org", 421),
        ("", 421),
    ],
)
async def test_on_loopback_a_strangers_name_is_refused(
    tmp_path: Path, host: str, status: int
) -> None:
    """A page whose name was pointed at this machine (DNS rebinding) reads nothing."""
    settings = configuration(tmp_path, more='host_names = ["Jauge.example.org"]\n')
    async with serving(settings) as console:
        for path in ("/healthz", "/api/v1/sites"):
            told, _, text = await console.get(path, headers={"Host": host})
            assert told == status
            assert ("host_names" in text) == (status == 421)


async def test_on_another_address_any_name_is_answered(tmp_path: Path) -> None:
    """Who listens to the network has a name of their own choosing."""
    async with serving(guarded(tmp_path, READER, listen="0.0.0.0:8090", tls=True)) as console:
        status, _, _ = await console.get("/healthz", headers={"Host": "jauge.example.org"})
        assert status == 200


async def test_head_is_answered_and_other_methods_are_not(tmp_path: Path) -> None:
    """HEAD is GET without its body; what would change something is 405 and names what may be."""
    async with serving(configuration(tmp_path)) as console:
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/sites", "/api/v1/openapi.json"):
            status, headers, text = await console.ask("HEAD", path)
            assert (status, text) == (200, "")
            assert int(headers["Content-Length"]) > 0
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                status, headers, _ = await console.ask(method, path)
                assert status == 405, (method, path)
                assert "GET" in headers["Allow"]


async def test_errors_below_api_are_json_and_one_line(tmp_path: Path) -> None:
    """Unknown address, wrong method: an object with one line; elsewhere it is no JSON."""
    async with serving(configuration(tmp_path)) as console:
        for method, path in (("GET", "/api/v1/none"), ("GET", "/api/"), ("POST", "/api/v1/kpi")):
            status, headers, text = await console.ask(method, path)
            assert status in {404, 405}
            assert headers["Content-Type"] == "application/json"
            (line,) = json.loads(text).values()
            assert line
            assert "\n" not in line
        status, headers, _ = await console.get("/none")
        assert status == 404
        assert "json" not in headers["Content-Type"]


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example/x"])
async def test_no_address_makes_a_page_lead_elsewhere(path: str, tmp_path: Path) -> None:
    """The link to the other language of the page that says there is no such page."""
    async with serving(configuration(tmp_path)) as console:
        host = f"127.0.0.1:{URL(console.base).port}"
        reader, writer = await asyncio.open_connection(*host.split(":"))
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        text = (await reader.read()).decode()
        writer.close()
    links = re.findall(r'href="([^"]*evil[^"]*)"', text)
    assert links == ["/evil.example/x?lang=en"]


async def test_static_files_are_kept_and_asked_after_and_nothing_else_is_served(
    tmp_path: Path,
) -> None:
    """A stylesheet comes with its type and is 304 next time; no path leads out of its folder."""
    async with serving(configuration(tmp_path)) as console:
        status, headers, _ = await console.get("/static/console.css")
        assert status == 200
        assert headers["Content-Type"].startswith("text/css")
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Content-Type-Options"] == "nosniff"
        asked = {"If-None-Match": headers["ETag"]}
        assert (await console.get("/static/console.css", headers=asked))[0] == 304
        for path in ("/static/", "/static/..%2Fapp.py", "/static/%2e%2e/app.py"):
            assert (await console.get(URL(console.base + path, encoded=True)))[0] in {403, 404}


async def test_a_failure_inside_shows_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is 500 and logged; a ledger that fails is 503; neither tells its inside."""
    from jauge_collector import kpis

    asked = "/api/v1/kpi?site=s&from=2026-01-01&to=2026-04-01"
    for error, status in ((ZeroDivisionError("inside"), 500), (LedgerError("inside"), 503)):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(kpis, "site_kpis", fail)
        async with serving(configuration(tmp_path)) as console:
            told, _, text = await console.get(asked)
            assert told == status
            assert "inside" not in text
            assert list(json.loads(text)) == ["error"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_path_writes_nothing_into_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of a made-up name, of any length, is 404 like any other, and nobody logs it."""
    forged = "/static/%0a2026-01-01%20WARNING%20forged%0a"
    async with serving(guarded(tmp_path, READER)) as console:
        for path in (forged, forged + "a" * 260, "/static/%00", "/static/" + "a/" * 500):
            status, _, _ = await console.get(URL(console.base + path, encoded=True))
            assert status in {303, 404}, path
        caplog.set_level("DEBUG", "jauge_collector")
        assert (await console.get("/static/console.css"))[0] == 200
    assert "forged" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_error_inside_is_told_once_and_without_what_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where in the code it arose, once for each such place; its text and the path stay out."""

    def fail(*_: object, **__: object) -> None:
        raise OSError("\nWARNING " + "forged")

    async with serving(configuration(tmp_path)) as console:
        monkeypatch.setattr("jauge_collector.kpis.site_kpis", fail)
        asked = "/api/v1/kpi?site=s&from=2026-01-01&to=2026-04-01"
        for _ in range(3):
            status, _, _ = await console.get(asked)
            assert status == 500
        counted = console.state.telemetry.registry.get_sample_value
        assert counted("jauge_collector_console_errors_total") == 3
    (told,) = [r for r in caplog.records if "failed" in r.getMessage()]
    assert told.getMessage().startswith("GET /api/v1/kpi failed")
    assert "OSError" in told.getMessage()
    assert "\nWARNING forged" not in told.getMessage()


async def test_a_request_without_a_host_is_refused(tmp_path: Path) -> None:
    """HTTP/1.0 without Host names nobody: refused, not served."""
    async with serving(configuration(tmp_path)) as console:
        import asyncio

        port = int(console.base.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(5):
            line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert b" 421 " in line
