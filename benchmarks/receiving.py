"""A floor for the collector: aiomqtt receiving packs of readings at QoS 1, and nothing else.

``python -m benchmarks.receiving PORT`` receives until it is stopped.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiomqtt
import paho.mqtt.client as paho
from jauge_models.wire import TOPIC_ROOT, Address, Channel
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.processes import cpu_s, running, still_running
from tests.parts import Mosquitto, eventually

_WITHIN_S: Final = 120.0


async def messages_per_cpu_second(packs: Sequence[tuple[Address, bytes]]) -> float:
    """Packs that one receiver takes per second of its processor time."""
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        folder = Path(name)
        log = folder / "receiver.log"
        async with Mosquitto(folder / "mosquitto") as broker:
            argv = (sys.executable, "-m", "benchmarks.receiving", str(broker.port))
            async with running(argv, log) as process:

                def taken() -> int:
                    still_running(process, log)
                    counts = re.findall(rb"\d+", log.read_bytes())
                    return int(counts[-1]) if counts else -1

                await eventually(lambda: taken() >= 0, within=_WITHIN_S, what="it listens")
                before = cpu_s(process.pid)
                _send(broker.port, packs)
                await eventually(
                    lambda: taken() >= len(packs), within=_WITHIN_S, what="all is received"
                )
                return len(packs) / (cpu_s(process.pid) - before)


def _send(port: int, packs: Sequence[tuple[Address, bytes]]) -> None:
    """Publish at QoS 1 and wait until the broker has all."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        sent = [
            client.publish(address.topic(Channel.READINGS), payload, qos=1)
            for address, payload in packs
        ]
        sent[-1].wait_for_publish(_WITHIN_S)
    finally:
        client.disconnect()
        client.loop_stop()


async def _receive(port: int) -> None:
    received = told = 0

    class Counted(asyncio.Queue[aiomqtt.Message]):
        """As in the collector: no task for each message."""

        def put_nowait(self, item: aiomqtt.Message) -> None:  # noqa: ARG002 - the base class names it
            nonlocal received
            received += 1

    async with aiomqtt.Client(
        "127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V311, queue_type=Counted
    ) as client:
        await client.subscribe(f"{TOPIC_ROOT}/+/+/{Channel.READINGS}", qos=1)
        sys.stdout.write("0\n")
        sys.stdout.flush()
        while True:
            await asyncio.sleep(0.1)
            if received != told:
                told = received
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_receive(int(sys.argv[1])))
