"""``jauge-collector inventory`` against a server that pages and asks for a token as NetBox does."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from jauge_collector import cli
from jauge_collector.registers import servers
from jauge_collector.registers.problems import File

from tests.collector.importer.test_netbox_devices import MAPPING, device

TOKEN = "0123456789abcdef"


@pytest_asyncio.fixture
async def netbox() -> AsyncIterator[str]:
    """Three devices, one a page whatever is asked for; ``next`` names a host that is not there."""
    known = [
        device("srv-1", serial="S-1"),
        device("switch-1", role="Switch"),
        device("srv-2", role="ESXi", serial="S-2"),
    ]

    async def devices(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return web.json_response({"detail": "no"}, status=403)
        at = int(request.query["offset"])
        more = "https://inside.invalid/api/" if at + 1 < len(known) else None
        page = {"count": len(known), "next": more, "previous": None, "results": known[at : at + 1]}
        return web.json_response(page)

    app = web.Application()
    app.router.add_get("/api/dcim/devices/", devices)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a mapping and a token, which is the current one."""
    (tmp_path / "netbox.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "token").write_text(f"{TOKEN}\n", "ascii")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(*words: str) -> int:
    """The command, off this loop."""
    return await asyncio.to_thread(cli.main, ["inventory", *words, "--mapping", "netbox.toml"])


async def test_every_page_becomes_rows_of_the_register(
    netbox: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it writes is a register; what is no server is counted, what is known left out."""
    assert await run(netbox, "--token-file", "token", "--out", "first.csv") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "1 devices left out: its role is no server's, e.g. switch-1, Switch" in told.err
    first = servers.parse(File("first.csv", (desk / "first.csv").read_bytes()))
    assert [(one.id, one.kind.value) for one in first] == [
        ("srv-1", "physical"),
        ("srv-2", "hypervisor"),
    ]
    (desk / "known.csv").write_text(servers.written(first[:1]), "utf-8")
    assert await run(netbox, "--token-file", "token", "--known", "known.csv", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["servers"] == ["srv-2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{netbox}"], "refuses the request (403); give --token-file"),
        (["{netbox}/elsewhere", "--token-file", "token"], "answers 404; is it NetBox's address?"),
        (["http://192.0.2.1", "--token-file", "token"], "would cross in clear text"),
        (["ftp://x"], "is no address; write https://HOST"),
        (["devices.csv", "--token-file", "token"], "is for NetBox's address, not for a file"),
        (["{netbox}", "--token-file", "none"], "none: No such file or directory"),
        (["http://127.0.0.1:9", "--token-file", "token"], "does not answer"),
    ],
)
@pytest.mark.usefixtures("desk")
async def test_what_cannot_be_read_is_one_line(
    netbox: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and what to do."""
    assert await run(*(word.format(netbox=netbox) for word in words)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
