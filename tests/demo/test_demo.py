"""The demonstration as its user sees it: started, looked at, stopped by Ctrl-C."""

import asyncio
import http.client
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pikepdf
import pytest
import pytest_asyncio
from jauge_collector.reports import content, page
from jauge_collector.reports.composition import compose
from jauge_demo.cluster import GPUS, HOSTS

from tests import parts
from tests.browser import chromium, in_few_colours
from tests.end_to_end import host_page

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "console.png"
FIRST_PAGE = ROOT / "docs" / "images" / "report.png"


class Demo:
    """A running demonstration."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, folder: Path) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self.host = url.removeprefix("http://").removesuffix("/")

    async def get(self, path: str) -> str:
        """The text of a page or answer."""
        status, text = await self.ask(path)
        assert status == http.client.OK, text
        return text

    async def ask(self, path: str) -> tuple[int, str]:
        """Status and text of a page or answer."""

        def read() -> tuple[int, str]:
            asking = http.client.HTTPConnection(self.host, timeout=10)
            try:
                asking.request("GET", path)
                answer = asking.getresponse()
                return answer.status, answer.read().decode()
            finally:
                asking.close()

        return await asyncio.to_thread(read)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """A demonstration in a folder of its own, stopped in order at the end."""
    folder = tmp_path_factory.mktemp("demo")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jauge_demo.cli",
        "--folder",
        str(folder),
        "--port",
        str(parts.free_port()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=os.environ | {"TERM": "dumb"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            said = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said + (await process.stdout.read()).decode()
        yield Demo(process, found.group(), folder)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            rest = (await process.stdout.read()).decode()
            assert await process.wait() == 0, rest
        assert "Traceback" not in rest
        for log in folder.glob("*.log"):
            assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_year_of_history_gives_annual_figures_marked_simulated(demo: Demo) -> None:
    """PUE1 and WUE of the year come with coverage and category, and say that they are simulated."""
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))
    begin = f"{int(today[:4]) - 1}{today[4:]}".replace("02-29", "02-28")
    answer = json.loads(await demo.get(f"/api/v1/kpi?site=demo&from={begin}&to={today}"))
    pue, wue = answer["pue"], answer["wue"]
    assert answer["simulated"] is True
    assert (pue["status"], pue["category"], pue["label"]) == ("simulated", "PUE1", "PUE1")
    assert 1.1 < pue["value"] < 1.4
    assert 0.1 < wue["value"] < 1.0
    assert pue["coverage"] > 0.99


@pytest.mark.asyncio(loop_scope="module")
async def test_it_writes_the_running_quarters_report(demo: Demo) -> None:
    """Its second line names a report that says of itself what it is.

    With JAUGE_PICTURES=1 the picture of its first page is taken anew.
    """
    assert demo.process.stdout is not None
    async with asyncio.timeout(120):
        said = (await demo.process.stdout.readline()).decode()
    named = re.fullmatch(r"Its quarterly report is (\S+\.pdf)\n", said)
    assert named, said
    file = Path(named[1])
    assert file.is_relative_to(demo.folder)
    with pikepdf.open(file) as pdf:
        assert "SIMULÉ" in str(pdf.docinfo["/Title"])
        assert "PROVISOIRE" in str(pdf.docinfo["/Title"])
    report = content.decode(file.with_suffix(".json").read_bytes())
    results = {
        result.value: share.servers for result, share in report.record.headline.results.items()
    }
    assert (results["demonstrated"], results["not_demonstrated"]) == (5, 3)
    assert report.year.kpis.pue.label == "PUE1"
    assert report.capacity is not None
    (kind,) = report.capacity.gpus
    assert kind.number == len(GPUS)
    if os.environ.get("JAUGE_PICTURES") == "1":
        first = page.pictures("report.typ", compose(report, "fr"))[0]
        FIRST_PAGE.write_bytes(first)


@pytest.mark.asyncio(loop_scope="module")
async def test_this_very_machine_is_read_live(demo: Demo) -> None:
    """Within a minute a third agent, the real one, is online with fresh readings of this host."""

    async def all_online() -> bool:
        agents = json.loads(await demo.get("/api/v1/agents?site=demo"))["agents"]
        online = {agent["agent"] for agent in agents if agent["presence"] == "online"}
        return len(online) == 3 and {"plant", "cluster"} < online

    await parts.eventually(all_online, within=60, what="all agents are online")


@pytest.mark.asyncio(loop_scope="module")
async def test_live_meters_advance(demo: Demo) -> None:
    """The simulated meters' newest readings are seconds old and move on."""

    async def newest() -> int:
        meters = json.loads(await demo.get("/api/v1/meters?site=demo"))["meters"]
        return max(int(meter["last_reading"]["time_ms"]) for meter in meters)

    first = await newest()

    async def moved_on() -> bool:
        return await newest() > first > (time.time() - 3600) * 1000

    await parts.eventually(moved_on, within=60, what="meters advance")


@pytest.mark.asyncio(loop_scope="module")
async def test_watts_of_guests_sum_to_the_measured_watts_of_their_host(demo: Demo) -> None:
    """As its page shows them: every guest's and the host's own, to the last decimal."""

    async def hosts() -> list[str]:
        told = json.loads(await demo.get("/api/v1/hosts?site=demo"))["hosts"]
        return [host["host"] for host in told if host["power"] is not None and host["guests"]]

    async def all_of_them() -> bool:
        return len(await hosts()) == len(HOSTS)

    await parts.eventually(all_of_them, within=60, what="the cluster's hosts have guests and watts")
    for host in await hosts():
        seen = host_page.seen_on(await demo.get(f"/demo/hosts/{host}?lang=en"))
        assert seen.guests
        assert seen.own + sum(seen.guests.values()) == seen.measured


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_asked_of_its_gpus_is_answered(demo: Demo) -> None:
    """By the scenario that it ships: what has no place, and what would give it one.

    By what was measured: what a server draws, and which rack fills up.
    """
    asked = "/api/v1/capacity?site=demo&scenario=example"

    async def answered() -> bool:
        status, text = await demo.ask(asked)
        assert status in {http.client.OK, http.client.SERVICE_UNAVAILABLE}, text
        return status == http.client.OK  # before, it is being worked out

    await parts.eventually(answered, within=60, what="the scenario is answered")
    answer = json.loads(await demo.get(asked))["answer"]
    assert answer["sentence"]["code"] == "refused"
    assert answer["sentence"]["remedy"] == "one-more-server"
    assert [kind["measured"] for kind in answer["draws"]] == [True]
    (first, *_) = sorted(answer["outlook"], key=lambda one: -one["full"]["probability"])
    assert (first["limit"], first["place"]) == ("rack_power", "B2")
    assert first["full"]["days_90"] is not None
    assert "example" in await demo.get("/demo/capacity/form?scenario=example")  # may be changed


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_the_overview_shows_figures_charts_and_the_dead_sensor(
    demo: Demo, tmp_path: Path
) -> None:
    """Tiles with values, four drawn charts, all agents, one silent sensor, no complaint.

    With JAUGE_PICTURES=1 the picture of the README is taken anew.
    """

    async def all_online() -> bool:
        agents = json.loads(await demo.get("/api/v1/agents?site=demo"))["agents"]
        return [agent["presence"] for agent in agents] == ["online"] * 3

    await parts.eventually(all_online, within=60, what="all agents are online")
    wrong: list[str] = []
    async with chromium() as browser:
        page = await browser.new_page(
            viewport={"width": 1280, "height": 1500}, color_scheme="light"
        )
        page.on("console", lambda message: wrong.append(message.text))
        await page.goto(demo.url + "demo?lang=en")
        tiles = [text.strip() for text in await page.locator(".tiles .value").all_inner_texts()]
        assert len(tiles) == 4
        assert 1.1 < float(tiles[0]) < 1.4
        assert await page.locator("svg.chart").count() == 4
        assert await page.locator("svg.chart .stroke").count() >= 4
        assert await page.locator("svg.chart .gap").count() >= 1
        glance = await page.locator(".glance").inner_text()
        assert re.search(r"Silent sensors\s*■\s*1\s*plant", glance)
        assert await page.locator("#agents + div tbody tr").count() == 3
        taken = await page.screenshot()
    assert wrong == []
    if os.environ.get("JAUGE_PICTURES") == "1":
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_bytes(in_few_colours(taken))
    else:
        (tmp_path / "console.png").write_bytes(taken)


def test_a_bad_option_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the usage, which --help shows."""
    from jauge_demo.cli import main

    with pytest.raises(SystemExit) as end:
        main(["--port", "x"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("jauge-demo: argument --port: 'x' is no port; choose one from 1 to")
    assert said.count("\n") == 1
