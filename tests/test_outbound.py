"""No process of ours connects anywhere but where its configuration says.

The programs run under strace, which sees every connection and datagram whoever makes it; the
table of settings is that of docs/donnees-personnelles.md.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from jauge_agent.config import AgentConfig
from jauge_agent.sources import BUILT_IN, load
from jauge_collector.config import CollectorFile
from jauge_collector.site_file import SiteFile
from jauge_models.samples import keys

from tests.collector.running import configured
from tests.parts import Mosquitto, PartMissingError, VictoriaMetrics, eventually, free_port
from tests.test_examples import ROOT

DOCUMENT = ROOT / "docs" / "donnees-personnelles.md"
PROGRAMS = {"agent": "agent", "collecteur": "collector"}

LISTENING = {
    "agent": {"metrics.port", "metrics.address"},
    "collector": {"console.listen", "console.host_names", "console.access.trusted_proxies"},
}
"""Keys that name addresses, but where others connect to us."""

ELSE = {"budget.host", "registers.servers"}
"""Keys that sound like addresses: so many series of a host, and the file of the inventory."""

ADDRESS = re.compile(
    r"(^|[._])(hosts?|urls?|uri|ports?|listen|address(es)?|endpoints?|servers?|peers?|prox(y|ies)"
    r"|host_names|brokers?|issuer|dsn|smtp|webhooks?)$"
)
"""What a key that leads somewhere is called."""

CALL = re.compile(
    r"(?:connect|sendto|sendmsg|sendmmsg)\(.*?sa_family=AF_(INET6?)\b.*?"
    r"sin6?_port=htons\((\d+)\).*?"
    r'(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")'
)


def documented() -> dict[str, set[str]]:
    """The settings of the table, by program."""
    section = DOCUMENT.read_text("utf-8").partition("## Connexions sortantes")[2]
    found: dict[str, set[str]] = {"agent": set(), "collector": set()}
    for program, settings in re.findall(r"^\| (\w+) \| (`[^|]+`) \|", section, re.MULTILINE):
        found[PROGRAMS[program]] |= set(re.findall(r"`([\w.]+)`", settings))
    return found


def test_every_setting_that_leads_somewhere_is_in_the_table() -> None:
    """A new key of that kind fails here until the page tells of it; none there is stale."""
    known: dict[str, set[str]] = {
        "agent": set(keys(AgentConfig)),
        "collector": set(keys(CollectorFile)) | set(keys(SiteFile)),
    }
    for name in BUILT_IN:
        settings = load(name, BUILT_IN).Settings
        known["agent"] |= {f"sources.{name}.{key}" for key in keys(settings)}
    for program, names in known.items():
        leading = {name for name in names if ADDRESS.search(name)}
        assert leading - LISTENING[program] - ELSE == documented()[program]


@contextlib.asynccontextmanager
async def traced(*arguments: str | Path, log: Path) -> AsyncIterator[Path]:
    """Python with these arguments, under strace; what it called stands in the file."""
    strace = shutil.which("strace")
    if strace is None:
        raise PartMissingError("strace is not installed (Debian package strace)")
    calls = log.with_suffix(".calls")
    words = (
        *("-f", "-qq", "-s", "64", "-o", str(calls)),
        *("-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"),
        *(sys.executable, *map(str, arguments)),
    )
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            strace, *words, stdout=out, stderr=out, cwd=ROOT, start_new_session=True
        )
    try:
        yield calls
        assert process.returncode is None, f"it ended: {log}"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)  # the group that we made: strace and its child
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


def peers(calls: Path) -> set[tuple[str, int]]:
    """Whoever was connected or sent to over the network."""
    found = set()
    for line in calls.read_text(errors="replace").splitlines():
        if "AF_INET" in line:
            match = CALL.search(line)
            assert match is not None, line
            found.add((match[3] or match[4], int(match[2])))
    return found


def agent_file(folder: Path, broker: int) -> Path:
    """An agent of this machine."""
    (folder / "spool").mkdir()
    path = folder / "agent.toml"
    path.write_text(
        f'site = "s"\nagent = "a"\n[broker]\nport = {broker}\ntls = false\n'
        f'[spool]\ndirectory = "{folder / "spool"}"\n[sources.host]\nperiod_s = 1\n',
        encoding="utf-8",
    )
    return path


def _missing(error: PartMissingError) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(str(error))
    pytest.skip(str(error))


async def text_of(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    """Status and body; 0 where nothing answers yet."""
    try:
        async with session.get(url) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


@pytest.mark.end_to_end
@pytest.mark.parametrize("everything_on", [False, True], ids=["by default", "all switched on"])
async def test_the_programs_connect_where_they_are_told_and_nowhere_else(
    everything_on: bool, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """Real agent and collector, readings stored and pages looked at: only configured peers.

    Each of them was really met, or the test would see nothing.
    """
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        allowed = {mosquitto.port}
        store_url, more = None, ""
        if everything_on:
            servers = [VictoriaMetrics(tmp_path / name) for name in ("store", "sink")]
            for server in servers:
                await stack.enter_async_context(server)
                allowed.add(server.port)
            store_url = servers[0].url
            sink = f'url = "{servers[1].url}"\norg = "o"\nbucket = "jauge"'
            more = f"[influxdb]\n{sink}\n"
        path = configured(
            tmp_path, mqtt_port=mosquitto.port, store_url=store_url, port=port, more=""
        )
        path.write_text(path.read_text("utf-8") + more, encoding="utf-8")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        console = f"http://127.0.0.1:{port}"
        agent = agent_file(tmp_path, mosquitto.port)
        run = ("run", "--config")
        try:
            async with (
                traced("-m", "jauge_collector.cli", *run, path, log=tmp_path / "c.log") as c,
                traced("-m", "jauge_agent.cli", *run, agent, log=tmp_path / "a.log") as a,
            ):

                async def stored() -> bool:
                    _, page = await text_of(session, f"{console}/metrics")
                    number = re.search(
                        r"^jauge_collector_readings_stored_total(?:\{[^}]*\})? (\S+)$",
                        page,
                        re.MULTILINE,
                    )
                    return number is not None and float(number[1]) > 0

                await eventually(stored, within=90, what="readings are stored")
                await crawl(session, console)
                if everything_on:
                    await eventually(
                        lambda: allowed - {mosquitto.port} <= {p for _, p in peers(c)},
                        within=60,
                        what="store and sink are met",
                    )
        except PartMissingError as error:
            _missing(error)
    assert peers(a) == {("127.0.0.1", mosquitto.port)}
    assert peers(c) == {("127.0.0.1", each) for each in allowed}


class References(HTMLParser):
    """Every address that a page refers to: what is loaded, sent or led to."""

    NAMES = frozenset(
        {"href", "src", "srcset", "action", "formaction", "poster", "data", "ping", "xlink:href"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect, whatever the tag."""
        del tag
        self.found += [value for name, value in attrs if name in self.NAMES and value]


async def crawl(session: aiohttp.ClientSession, console: str) -> None:
    """Every page that can be reached refers to its own host alone."""
    waiting, seen = [f"{console}/"], set[str]()
    while waiting and len(seen) < 60:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        status, text = await text_of(session, url)
        assert status in {200, 404}, url
        parser = References()
        if "<html" in text:
            parser.feed(text)
        styles = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)
        for target in (*parser.found, *(one or other for one, other in styles)):
            if target.startswith(("data:", "#")):
                continue
            absolute = urlsplit(urljoin(url, target))
            assert f"{absolute.scheme}://{absolute.netloc}" == console, f"{url} → {target}"
            waiting.append(absolute._replace(fragment="").geturl())
    assert len(seen) > 5


async def test_a_connection_elsewhere_would_be_seen(tmp_path: Path) -> None:
    """What the test relies on: connections and datagrams of either family are found."""
    script, log = tmp_path / "elsewhere.py", tmp_path / "e.log"
    script.write_text(
        """
import contextlib, socket, time
for family, place in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
        s.sendto(b"x", (place, 9))
with socket.socket() as s, contextlib.suppress(OSError):
    s.connect(("127.0.0.3", 9))
print("done", flush=True)
time.sleep(60)
""",
        encoding="utf-8",
    )
    try:
        async with traced(script, log=log) as calls:
            await eventually(lambda: b"done" in log.read_bytes(), within=30, what="it has run")
    except PartMissingError as error:
        _missing(error)
    assert peers(calls) == {("127.0.0.2", 9), ("::1", 9), ("127.0.0.3", 9)}
