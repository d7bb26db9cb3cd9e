"""A broker that wants proof of who an agent is, and a publisher at work with it."""

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from jauge_agent.broker import Broker
from jauge_agent.config import BrokerConfig

from tests.agent.certificates import Authority, Issued
from tests.agent.test_publisher import ADDRESS, Bench, running
from tests.parts import Mosquitto, eventually

ACCESS = """\
pattern write jauge/v1/%u/readings
pattern write jauge/v1/%u/birth
pattern write jauge/v1/%u/state
pattern read jauge/v1/%u/ack

user collector
topic read jauge/v1/#
topic write jauge/v1/+/+/ack
"""


@dataclass
class Ground:
    """A broker that wants TLS and client certificates, and what a client needs for it."""

    broker: Mosquitto
    authority: Authority
    client: Issued
    folder: Path

    def config(self, **changes: object) -> BrokerConfig:
        """The right configuration, but for ``changes``."""
        right: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.broker.port,
            "tls": True,
            "ca_file": str(self.authority.certificate),
            "cert_file": str(self.client.certificate),
            "key_file": str(self.client.key),
        }
        return BrokerConfig(**{**right, **changes})  # type: ignore[arg-type]


def ground_in(folder: Path, authority: Authority, server: Issued) -> Ground:
    """A broker with that certificate, which is not started; each agent may write its own topics."""
    client = authority.issue("lab/a1")
    acl = folder / "acl"
    acl.write_text(ACCESS, encoding="utf-8")
    for path in (server.key, server.certificate, authority.certificate, acl):
        path.chmod(0o644)
    broker = Mosquitto(
        folder / "mosquitto",
        settings={
            "allow_anonymous": "false",
            "cafile": str(authority.certificate),
            "certfile": str(server.certificate),
            "keyfile": str(server.key),
            "require_certificate": "true",
            "use_identity_as_username": "true",
            "crlfile": str(authority.revoke()),
            "acl_file": str(acl),
            # With 0, as other tests have it, Mosquitto hangs up on whom it forbids to publish.
            "max_queued_messages": "10000",
        },
    )
    return Ground(broker, authority, client, folder)


def pair(issued: Issued) -> dict[str, object]:
    """The keys that name a certificate."""
    return {"cert_file": str(issued.certificate), "key_file": str(issued.key)}


@contextlib.asynccontextmanager
async def bench_at(
    config: BrokerConfig, tmp_path: Path, *, resend_after_s: float = 60.0
) -> AsyncIterator[Bench]:
    """A publisher at work with that configuration."""
    bench = Bench(tmp_path / "spool", config.port, resend_after_s=resend_after_s)
    bench.publisher.broker = Broker(config, ADDRESS)
    async with running(bench):
        yield bench


async def failed(bench: Bench, reason: str, times: int = 2) -> None:
    """Wait for that many failures, all for that reason, and none with a connection."""
    await eventually(
        lambda: bench.publisher.stats.failures.total() >= times, within=30, what="failures"
    )
    assert set(bench.publisher.stats.failures) == {reason}
    assert bench.publisher.stats.connections == 0


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """What a line of the log says beside its event."""
    return {key: str(value) for key, value in vars(record)["fields"].items()}
