"""Pushing to a server that behaves as Grafana's HTTP API is documented."""

import asyncio
import copy
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jauge_dashboards import building, cli
from jauge_dashboards.boards import BOARDS
from jauge_dashboards.push import Done, Grafana, Outcome, PushError
from jauge_models.configuration import ConfigurationError

TOKEN = "glsa_an-example"


@dataclass
class Kept:
    """Folders and dashboards of a Grafana, and what it was asked to write."""

    port: int = 0
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@web.middleware
async def _guard(request: web.Request, handler: Any) -> web.StreamResponse:
    told = request.headers.get("Authorization")
    if told == "Bearer glsa_may-only-read" and request.method != "GET":
        return web.json_response({"message": "You'll need additional permissions"}, status=403)
    if told not in {f"Bearer {TOKEN}", "Bearer glsa_may-only-read"}:
        return web.json_response({"message": "Invalid API key"}, status=401)
    answer: web.StreamResponse = await handler(request)
    return answer


def _folders(kept: Kept, routes: web.RouteTableDef) -> None:
    """As documented under « Folder API »."""

    @routes.get("/api/folders/{uid}")
    async def folder(request: web.Request) -> web.Response:
        found = kept.folders.get(request.match_info["uid"])
        if found is None:
            return web.json_response({"message": "folder not found"}, status=404)
        return web.json_response(found)

    @routes.post("/api/folders")
    async def make_folder(request: web.Request) -> web.Response:
        body = await request.json()
        if body["uid"] in kept.folders:
            return web.json_response({"message": "a folder with this uid exists"}, status=409)
        kept.folders[body["uid"]] = {**body, "version": 1}
        kept.writes.append(f"folder {body['uid']}")
        return web.json_response(kept.folders[body["uid"]])

    @routes.put("/api/folders/{uid}")
    async def change_folder(request: web.Request) -> web.Response:
        body, found = await request.json(), kept.folders[request.match_info["uid"]]
        if not body.get("overwrite") and body.get("version") != found["version"]:
            return web.json_response({"message": "version mismatch"}, status=412)
        found |= {"title": body["title"], "version": found["version"] + 1}
        kept.writes.append(f"folder {request.match_info['uid']}")
        return web.json_response(found)


def _dashboards(kept: Kept, routes: web.RouteTableDef) -> None:
    """As documented under « Dashboard API »."""

    @routes.get("/api/dashboards/uid/{uid}")
    async def dashboard(request: web.Request) -> web.Response:
        found = kept.dashboards.get(request.match_info["uid"])
        if found is None:
            return web.json_response({"message": "Dashboard not found"}, status=404)
        return web.json_response(found)

    @routes.post("/api/dashboards/db")
    async def save(request: web.Request) -> web.Response:
        body = await request.json()
        wanted = body["dashboard"]
        if body["folderUid"] not in kept.folders:
            return web.json_response({"message": "folder not found"}, status=400)
        if wanted.get("id") is not None:
            return web.json_response({"message": "Dashboard not found"}, status=404)
        before = kept.dashboards.get(wanted["uid"])
        if before and not body.get("overwrite"):
            return web.json_response({"message": "version mismatch"}, status=412)
        version = before["dashboard"]["version"] + 1 if before else 1
        number = before["dashboard"]["id"] if before else len(kept.dashboards) + 1
        kept.dashboards[wanted["uid"]] = {
            "dashboard": {**wanted, "id": number, "version": version},
            "meta": {"folderUid": body["folderUid"], "version": version},
        }
        kept.writes.append(wanted["uid"])
        return web.json_response({"status": "success", "uid": wanted["uid"], "version": version})


def _app(kept: Kept) -> web.Application:
    routes = web.RouteTableDef()
    _folders(kept, routes)
    _dashboards(kept, routes)
    app = web.Application(middlewares=[_guard], client_max_size=1 << 24)
    app.add_routes(routes)
    return app


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    """A running server."""
    found = Kept()
    runner = web.AppRunner(_app(found))
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found.port = listening.getsockname()[1]
        await web.SockSite(runner, listening).start()
        yield found
        await runner.cleanup()


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with the right token."""
    return _written(tmp_path / "token", f"{TOKEN}\n")


async def _push(kept: Kept, token: Path, language: str = "en", title: str = "Jauge") -> list[Done]:
    def work() -> list[Done]:
        with Grafana(kept.url, token) as grafana:
            return grafana.push(title, building.dashboards(language))

    return await asyncio.to_thread(work)


async def test_pushing_again_changes_nothing(kept: Kept, token: Path) -> None:
    """First everything is made; then nothing is written, not even a version."""
    first = await _push(kept, token)
    assert {one.outcome for one in first} == {Outcome.CREATED}
    assert kept.writes == ["folder jauge", *(board.uid for board in BOARDS)]
    again = await _push(kept, token)
    assert {one.outcome for one in again} == {Outcome.UNCHANGED}
    assert len(kept.writes) == 1 + len(BOARDS)


async def test_only_what_differs_is_written(kept: Kept, token: Path) -> None:
    """What somebody changed, moved or renamed in Grafana is set right; the rest is left alone."""
    await _push(kept, token)
    kept.writes.clear()
    kept.dashboards["jauge-site"]["dashboard"]["title"] = "changed by hand"
    kept.dashboards["jauge-rooms"]["meta"]["folderUid"] = "elsewhere"
    del kept.dashboards["jauge-fleet"]
    done = await _push(kept, token, title="Énergie")
    assert kept.writes == ["folder jauge", "jauge-site", "jauge-rooms", "jauge-fleet"]
    assert kept.folders["jauge"]["title"] == "Énergie"
    wanted = copy.deepcopy(building.dashboards("en")["jauge-site.json"])
    assert wanted["title"] == kept.dashboards["jauge-site"]["dashboard"]["title"]
    assert {one.outcome for one in done} == set(Outcome)


async def test_another_language_takes_the_place_of_the_first(kept: Kept, token: Path) -> None:
    """The addresses stay, so that links and bookmarks hold."""
    await _push(kept, token)
    await _push(kept, token, "fr")
    assert set(kept.dashboards) == {board.uid for board in BOARDS}
    assert kept.dashboards["jauge-site"]["dashboard"]["title"] == "Vue du site"


@pytest.mark.parametrize(
    ("text", "status"), [("glsa_another", "401"), ("glsa_may-only-read", "403")]
)
async def test_a_wrong_token_is_refused_and_never_shown(
    kept: Kept, tmp_path: Path, text: str, status: str
) -> None:
    """Nothing is written; the complaint says what the token must be allowed."""
    token = _written(tmp_path / "token", text)
    with pytest.raises(PushError, match="refuses the token") as refused:
        await _push(kept, token)
    assert status in str(refused.value)
    assert text not in str(refused.value)
    assert kept.writes == []


@pytest.mark.parametrize("text", ["", " \n", "two words", "gl\x00sa", "clé"])
def test_a_file_without_a_token_is_refused(text: str, token: Path) -> None:
    """Before anything is sent."""
    token.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds no token"):
        Grafana("https://127.0.0.1", token)


async def test_the_command_tells_each_outcome(
    kept: Kept, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for the folder and for each dashboard; French unless asked otherwise."""
    asked = ["push", "--url", kept.url, "--token-file", str(token)]
    assert await asyncio.to_thread(cli.main, asked) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["created: Jauge", "created: Vue du site"]
    assert len(told) == 1 + len(BOARDS)


async def test_what_is_no_grafana_is_told_in_one_line(
    kept: Kept, token: Path, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody there, and somebody else there."""
    for url in (f"http://127.0.0.1:{free_port}", f"{kept.url}/elsewhere"):
        asked = ["push", "--url", url, "--token-file", str(token)]
        assert await asyncio.to_thread(cli.main, asked) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert url.removesuffix("/elsewhere") in told
