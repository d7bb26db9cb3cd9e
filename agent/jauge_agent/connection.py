"""One connection to the broker: aiomqtt's, without what one batch a second is too dear for.

aiomqtt starts a task and a timer for each publish, goes three times round the event loop for each
packet that it writes, and wakes every second. Here a message is written at once, nobody waits for
its PUBACK, and what the broker sends may be gathered, to be read in one go.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, Self

import aiomqtt
from aiomqtt.exceptions import MqttCodeError
from paho.mqtt import client as paho

from jauge_agent.packets import Packets

_DEAF_S: Final = 9.0
"""How long incoming messages may be gathered: they and a loss are noticed that much later."""


_FAILURE: Final = 0x80
"""Codes of MQTT from here on say that something was not done."""


class ClosedError(aiomqtt.MqttError):
    """The broker ended the connection instead of accepting it."""


class SubscriptionError(aiomqtt.MqttError):
    """The broker does not allow the subscription."""


class Connection(aiomqtt.Client):
    """A client for one ``async with``; ``abandon`` it afterwards, however it ended."""

    _is_for_payloads: ClassVar[bool] = True
    """Whether ``on_payload`` is all that messages are for; else they go to ``_on_message``."""

    def __init__(
        self,
        *arguments: Any,
        on_payload: Callable[[bytes], None],
        on_acknowledged: Callable[[int, int], None],
        **more: Any,
    ) -> None:
        """``on_payload`` gets each message, ``on_acknowledged`` the number that `send` gave.

        Beside the number comes the code of the PUBACK, which is 0 in MQTT 3.1.1.

        Neither may call `send`: the client is not reentrant.
        """
        super().__init__(*arguments, **more)
        self._on_payload = on_payload
        self._on_acknowledged = on_acknowledged
        self._thread = threading.get_ident()
        self._is_abandoned = False
        self._corked = False
        self._taken = 0
        self._deaf: asyncio.TimerHandle | None = None
        self._tls: object = None
        self._client.disable_logger()
        self._packets: Packets | None = None
        """Where the client speaks MQTT 3.1.1; with 5 all is paho's."""
        if self._is_for_payloads and more.get("protocol") is aiomqtt.ProtocolVersion.V311:
            self._packets = Packets(self._client, on_payload, on_acknowledged)

    async def __aenter__(self) -> Self:
        """Connect. Raises MqttError, also where the connection has ended again meanwhile."""
        begun = self._disconnected
        await super().__aenter__()
        if begun.done():  # aiomqtt would forget it, and wait for answers
            self._lock.release()
            error = begun.exception()
            raise aiomqtt.MqttError(str(error or "connection closed")) from error
        return self

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when the connection has ended, by its error where there was one."""
        return self._disconnected

    @property
    def alert(self) -> ssl.SSLError | None:
        """What TLS said when it ended the connection."""
        return getattr(self._tls, "alert", None)

    def connect_within(self, seconds: float) -> None:
        """Give up sooner on a broker that does not take the connection, or the handshake."""
        self._client.connect_timeout = seconds

    async def hear(self, topic: str) -> None:
        """Subscribe at QoS 0; raises SubscriptionError when that is not allowed."""
        granted = await self.subscribe(topic, qos=0)
        if any(getattr(code, "value", code) >= _FAILURE for code in granted):
            raise SubscriptionError(f"the broker does not let this agent read {topic}")

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Write a message at QoS 1, as far as the socket takes it; returns its number.

        Raises MqttError when the connection is gone.
        """
        self._corked = True
        try:
            if self._packets is not None:
                number = self._packets.publish(topic, payload, retain=retain)
            else:
                info = self._client.publish(topic, payload, 1, retain)
                if info.rc != paho.MQTT_ERR_SUCCESS:
                    raise MqttCodeError(info.rc, "could not publish")
                number = info.mid
        finally:
            self._corked = False
        if self._client.want_write():
            self._write()
        return number

    def keep_alive(self) -> None:
        """Ping when it is time; to be called several times within the keepalive."""
        if self._client.loop_misc() != paho.MQTT_ERR_SUCCESS:
            self.break_off(aiomqtt.MqttError("the broker is silent"))

    def break_off(self, error: BaseException) -> None:
        """End the connection for a reason of our own."""
        if not self._disconnected.done():
            self._disconnected.set_exception(error)

    @property
    def is_ripe(self) -> bool:
        """Whether what `gather` leaves has lain long enough to be read with the next sending.

        Several answers read in one go cost little more than one.
        """
        return self._deaf is None or self._deaf.when() - self._loop.time() <= _DEAF_S / 2

    def gather(self) -> None:
        """Leave what comes in until `read` is called, but for a few seconds at most."""
        sock = self._client.socket()
        if sock is None:
            return
        if self._deaf is None:
            self._loop.remove_reader(sock)
        elif self.is_ripe:
            self._deaf.cancel()
        else:
            return
        self._deaf = self._loop.call_later(_DEAF_S, self.listen)

    def listen(self) -> None:
        """Read whatever comes when it comes; undoes `gather`."""
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None
            if (sock := self._client.socket()) is not None:
                self._loop.add_reader(sock, self.read)
                self.read()  # TLS may have taken it from the socket already

    def read(self) -> None:
        """Take everything that has come in."""
        try:
            if self._packets is not None:
                self._packets.read()
                return
            taken = -1
            while taken != self._taken:
                taken = self._taken
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001 - as in aiomqtt: whatever it is ends the connection
            self.break_off(error)

    def abandon(self) -> None:
        """Close the socket where that is left to do, as after a failure to connect."""
        self._is_abandoned = True
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None
        self._client.on_socket_unregister_write = None
        self._client.on_socket_close = None
        sock = self._client.socket()
        if sock is not None and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            with contextlib.suppress(OSError):
                sock.close()
        for ended in (self._connected, self._disconnected):
            if ended.done() and not ended.cancelled():
                ended.exception()  # or asyncio reports it as never retrieved

    def _write(self) -> None:
        if self._is_abandoned:
            return
        try:
            self._client.loop_write()
        except Exception as error:  # noqa: BLE001 - see read
            self.break_off(error)
        sock = self._client.socket()
        if sock is not None and self._client.want_write():
            self._loop.add_writer(sock, self._write)

    def _on_socket_open(self, _: paho.Client, __: Any, sock: Any) -> None:
        # Called on the thread that connects. No task for `keep_alive` begins here.
        self._tls = sock
        self._loop.call_soon_threadsafe(self._opened)

    def _opened(self) -> None:
        if self._is_abandoned:
            self.abandon()  # cancelled meanwhile: the thread could not be
        elif (sock := self._client.socket()) is not None:
            self._loop.add_reader(sock, self.read)

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, *more: Any
    ) -> None:
        if self._connected.cancelled():
            return  # nobody waits any more, and aiomqtt would ask how it ended
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, *more)
        else:
            # aiomqtt would wait until its time is up.
            self._connected.set_exception(ClosedError("the broker closed the connection"))

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        self._taken += 1
        self._on_payload(bytes(message.payload))

    def _on_publish(self, _: paho.Client, __: Any, mid: int, reason_code: Any, *___: Any) -> None:
        self._taken += 1
        self._on_acknowledged(mid, reason_code.value)

    def _on_socket_register_write(self, _: paho.Client, __: Any, sock: Any) -> None:
        if self._corked:
            return  # `send` writes by itself
        if threading.get_ident() == self._thread:
            self._loop.add_writer(sock, self._write)
        else:
            self._loop.call_soon_threadsafe(self._write)
