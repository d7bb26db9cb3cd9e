"""The connection of the mqtt source: it subscribes, and gives each message as it comes."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiomqtt
from paho.mqtt import client as paho

from jauge_agent.cancellation import raise_if_cancelled
from jauge_agent.config import BrokerConfig, resolved, secret
from jauge_agent.connection import Connection
from jauge_agent.refusal import explain

_TIMEOUT_S: Final = 10.0
_FAREWELL_S: Final = 2.0

_log = logging.getLogger(__name__)

Take = Callable[[str, bytes, bool], None]
"""Gets topic and payload of a message, and whether the broker had kept it."""


async def listen(
    broker: BrokerConfig, topics: Sequence[str], take: Take, ready: Callable[[], None]
) -> str:
    """One connection from its start to its end, and why that came.

    ``ready`` is called when all topics are subscribed.
    """
    client = None
    try:
        client = _Listener(broker, take)
        async with client:
            raise_if_cancelled()
            try:
                await _session(client, broker, topics, ready)
            finally:
                client.timeout = _FAREWELL_S
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent goes on
        alert = client.alert if client else None
        return explain(error, broker, alert=alert)[1]
    finally:
        if client is not None:
            client.abandon()
    return "the broker ended the connection"


async def _session(
    client: "_Listener", broker: BrokerConfig, topics: Sequence[str], ready: Callable[[], None]
) -> None:
    for topic in topics:
        await client.hear(topic)
    raise_if_cancelled()
    ready()
    while not client.lost.done():
        client.keep_alive()
        await asyncio.wait((client.lost,), timeout=broker.keepalive_s / 4)
    error = client.lost.exception()
    raise aiomqtt.MqttError(str(error or "connection closed")) from error


class _Listener(Connection):
    """A connection that gives whole messages to ``take``, as they come: none waits in a queue."""

    _is_for_payloads = False

    def __init__(self, broker: BrokerConfig, take: Take) -> None:
        """Raises CredentialError, OSError."""
        context = None
        if broker.tls:
            from jauge_agent.credentials import tls_context  # noqa: PLC0415 - loads ssl

            files = (broker.ca_file, broker.cert_file, broker.key_file)
            context = tls_context(*(resolved(name) if name else None for name in files))
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=secret(broker.password_file) if broker.password_file else None,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=broker.keepalive_s,
            tls_context=context,
            timeout=_TIMEOUT_S,
            on_payload=lambda _: None,
            on_acknowledged=lambda *_: None,
            logger=_log.getChild("client"),
        )
        self._take = take

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        self._taken += 1
        self._take(message.topic, bytes(message.payload), message.retain)
