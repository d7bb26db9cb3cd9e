"""Real agents, a real collector, the shipped broker: who is refused, who notices, who goes on."""

import asyncio
import http.client
import re
import shutil
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final, Self

import pytest

from tests.faults.program import Program
from tests.parts import eventually, free_port
from tests.security.client import Client
from tests.security.conftest import COLLECTOR
from tests.security.ground import WITHIN_S, Authority, Identity, ShippedBroker

pytestmark = [pytest.mark.usefixtures("real_mosquitto"), pytest.mark.end_to_end]

HONEST: Final = "par/honest"
SITE: Final = """
[site]
name = "par"
agents = ["honest", "bob", "victim", "revoked", "foreign", "bare", "plain", "old"]
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["honest/host"]
counts = "from_start"
reason = "a test"
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""
COLLECTOR_FILE: Final = """
sites = ["site.toml"]
state_dir = "state"
state_encryption = "elsewhere"
[mqtt]
host = "localhost"
port = {broker}
ca_file = "{identity.authority}"
cert_file = "{identity.certificate}"
key_file = "{identity.key}"
[store]
kind = "sqlite"
[console]
listen = "127.0.0.1:{port}"
"""
AGENT_FILE: Final = """
site = "par"
agent = "{name}"
[broker]
host = "localhost"
port = {broker}
{credentials}
[spool]
directory = "{spool}"
[delivery]
resend_after_s = 2
[metrics]
port = {port}
[sources.host]
period_s = 1.0
"""
CREDENTIALS: Final = """
ca_file = "{identity.authority}"
cert_file = "{identity.certificate}"
key_file = "{identity.key}"
"""


class Measured(Program):
    """A program whose /metrics can be asked."""

    def __init__(self, module: str, configuration: Path, log: Path, port: int) -> None:
        super().__init__(module, ["run", "--config", configuration], log)
        self._port = port

    async def metrics(self) -> dict[str, float]:
        """Every sample by its name with labels; empty while nobody answers."""

        def ask() -> str:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.request("GET", "/metrics")
                return connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                return ""
            finally:
                connection.close()

        lines = re.findall(r"(?m)^(\w+(?:\{.*\})?) (\S+)$", await asyncio.to_thread(ask))
        return {name: float(value) for name, value in lines}

    async def total(self, name: str, *labels: str) -> float:
        """The sum of a family's samples that carry all these labels."""
        found = await self.metrics()
        return sum(
            value
            for sample, value in found.items()
            if sample.partition("{")[0] == name and all(label in sample for label in labels)
        )

    async def reaches(self, least: float, name: str, *labels: str) -> None:
        """Wait until such a sum is at least so much."""

        async def enough() -> bool:
            assert self.runs, self.words()
            return await self.total(name, *labels) >= least

        await eventually(enough, within=WITHIN_S, what=f"{name}{labels} >= {least}: {self.log}")


class House:
    """A broker, a collector and an honest agent at work; strangers may come."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        self.broker = ShippedBroker(folder / "broker", authority)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.broker)
        port = free_port()
        (self.folder / "site.toml").write_text(SITE)
        path = self.folder / "collector.toml"
        identity = self.authority.collector(COLLECTOR)
        path.write_text(
            COLLECTOR_FILE.format(broker=self.broker.port, port=port, identity=identity)
        )
        self.collector = Measured("jauge_collector.cli", path, self.folder / "collector.log", port)
        await self._stack.enter_async_context(self.collector)
        await self.collector.reaches(1, "jauge_collector_mqtt_connected")
        self.honest = await self.agent(HONEST, self.authority.agent(HONEST))
        await self.stores_of_honest(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def agent(self, name: str, identity: Identity | None, more: str = "") -> Measured:
        """A real agent of that name, with those credentials, or with the lines ``more``."""
        agent = name.partition("/")[2]
        spool = self.folder / f"spool-{agent}"
        spool.mkdir()
        path = self.folder / f"{agent}.toml"
        port = free_port()
        credentials = CREDENTIALS.format(identity=identity) if identity else more
        path.write_text(
            AGENT_FILE.format(
                name=agent,
                broker=self.broker.port,
                port=port,
                spool=spool,
                credentials=credentials,
            )
        )
        program = Measured("jauge_agent.cli", path, self.folder / f"{agent}.log", port)
        return await self._stack.enter_async_context(program)

    async def stores_of_honest(self, more: int) -> None:
        """Wait until so many more batches of the honest agent are answered."""
        labels = "jauge_agent_spool_batches_total", 'outcome="stored"'
        before = await self.honest.total(*labels)
        await self.honest.reaches(before + more, *labels)

    def in_store(self) -> set[str]:
        """The agents of which anything was ever stored."""
        with closing(sqlite3.connect(self.folder / "state" / "readings.db")) as database:
            return {f"{s}/{a}" for s, a in database.execute("SELECT site, agent FROM series")}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that this test may change."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    return Authority(tmp_path / "authority")


def revoked(authority: Authority, name: str) -> Identity:
    """Its certificate is on the list before the broker reads it."""
    identity = authority.agent(name)
    authority.run("revoke", name)
    return identity


def foreign(authority: Authority, name: str) -> Identity:
    """Certified by somebody else, and told to trust our broker."""
    identity = Authority(authority.folder / "other").agent(name)
    identity.authority.write_bytes(authority.certificate.read_bytes())
    return identity


async def test_agents_without_a_good_certificate_notice_and_reach_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    """Each says once why it is refused and counts it; the collector counts and names them too."""
    trust = f'ca_file = "{authority.certificate}"'
    revoked_one = revoked(authority, "par/revoked")
    async with House(tmp_path, authority) as house:
        strangers = {
            "certificate_revoked": await house.agent("par/revoked", revoked_one),
            "certificate_untrusted": await house.agent(
                "par/foreign", foreign(authority, "par/foreign")
            ),
            "certificate_missing": await house.agent("par/bare", None, trust),
            "closed": await house.agent("par/plain", None, "tls = false"),
        }
        for reason, agent in strangers.items():
            await agent.reaches(2, "jauge_agent_connection_failures_total", f'reason="{reason}"')
        await house.collector.reaches(
            2 * len(strangers), "jauge_collector_broker_refusals_total", 'reason="tls"'
        )
        await house.stores_of_honest(3)
        for reason, agent in strangers.items():
            assert await agent.total("jauge_agent_connections_total") == 0
            assert await agent.total("jauge_agent_spool_batches_total", 'outcome="stored"') == 0
            assert await agent.total("jauge_agent_spool_waiting_batches") > 0
            said = [line for line in agent.words().splitlines() if 'event="broker ' in line]
            assert len(said) == 1, said
            assert f"reason={reason}" in said[0]
        named = [line for line in house.collector.words().splitlines() if "refused 127." in line]
        assert len(named) == 1, named
        assert await house.honest.total("jauge_agent_connection_failures_total") == 0
        assert house.in_store() == {HONEST}


async def test_an_expired_certificate_is_refused_when_it_expires(
    tmp_path: Path, authority: Authority
) -> None:
    """The agent starts, says that its certificate is over, keeps its readings; none is stored."""
    expired = authority.sign("par/old", expired=True)
    async with House(tmp_path, authority) as house:
        old = await house.agent("par/old", expired)
        await old.reaches(
            2, "jauge_agent_connection_failures_total", 'reason="certificate_expired"'
        )
        await house.collector.reaches(2, "jauge_collector_broker_refusals_total", 'reason="tls"')
        await house.stores_of_honest(1)
        assert house.in_store() == {HONEST}


async def test_another_agents_certificate_does_not_even_start(
    tmp_path: Path, authority: Authority
) -> None:
    """Certificate of one, configured as another: exit 2 with one line that names both."""
    async with House(tmp_path, authority) as house:
        thief = await house.agent("par/victim", authority.agent("par/thief"))
        await eventually(lambda: not thief.runs, within=WITHIN_S, what="the agent gives up")
        assert thief.status == 2
        (line,) = thief.words().splitlines()
        assert "par/thief" in line
        assert "par/victim" in line
        await house.stores_of_honest(1)
        assert house.in_store() == {HONEST}


async def test_a_forged_pack_is_dropped_counted_and_named(
    tmp_path: Path, authority: Authority
) -> None:
    """A real pack in another's name by a raw client: never stored, its sender named once."""
    mallory = authority.agent("par/bob")
    async with House(tmp_path, authority) as house:
        pack = (
            b'[{"bn":"par/victim/","bt":%d,"bboot":"b","bseq":%d,"bfrom":%d,'
            b'"n":"host/power","u":"W","v":1}]'
        )
        now = int(time.time())
        for seq in range(1, 4):
            async with Client(house.broker.port, mallory) as client:
                await client.publish("jauge/v1/par/victim/readings", pack % (now, seq, now))
                await client.is_thrown_out()
        await house.collector.reaches(3, "jauge_collector_broker_refusals_total", 'reason="acl"')
        named = [line for line in house.collector.words().splitlines() if "refused par/bob" in line]
        assert len(named) == 1, named
        await house.stores_of_honest(2)
        assert house.in_store() == {HONEST}
        # The same pack under its sender's own topic: the payload names another, which is refused.
        async with Client(house.broker.port, mallory) as client:
            await client.publish("jauge/v1/par/bob/readings", pack % (now, 9, now))
            await house.collector.reaches(
                1, "jauge_collector_packs_refused_total", 'reason="address"'
            )
        assert house.in_store() == {HONEST}
        # And under an own name that is right: that is what a certificate is for.
        async with Client(house.broker.port, mallory) as client:
            right = (pack % (now, 10, now)).replace(b"par/victim/", b"par/bob/")
            await client.publish("jauge/v1/par/bob/readings", right)
            await eventually(
                lambda: house.in_store() == {HONEST, "par/bob"}, within=WITHIN_S, what="stored"
            )


async def test_an_agent_outside_the_inventory_is_not_stored(
    tmp_path: Path, authority: Authority
) -> None:
    """A good certificate for a name that the site file does not list: unanswered, counted."""
    async with House(tmp_path, authority) as house:
        stray = await house.agent("par/stray", authority.agent("par/stray"))
        await house.collector.reaches(
            2, "jauge_collector_packs_unanswered_total", 'reason="unknown_agent"'
        )
        await stray.reaches(1, "jauge_agent_heard", 'standing="ignored"')
        await house.stores_of_honest(1)
        assert await stray.total("jauge_agent_spool_batches_total", 'outcome="stored"') == 0
        assert "collector know par/stray" in stray.words()
        assert house.in_store() == {HONEST}
