"""The demonstration's broker: amqtt in this process, one listener on loopback, no persistence."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amqtt.broker import Broker
from amqtt.errors import BrokerError


@asynccontextmanager
async def broker(port: int) -> AsyncIterator[None]:
    """Serve MQTT 3.1.1 on 127.0.0.1 until the block ends. Raises OSError when the port is taken.

    What it loses, the end-to-end acknowledgement recovers (docs/decisions/0007-demo-broker.md).
    """
    # A client that goes away is news to amqtt's log, not to the person who watches the demo.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    serving = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
        }
    )
    try:
        await serving.start()
    except BrokerError as error:
        raise OSError(f"127.0.0.1:{port}: {error}") from None
    try:
        yield
    finally:
        await serving.shutdown()
