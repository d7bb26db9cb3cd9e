"""How one agent reaches its broker: connections for work, and for a question in between."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiomqtt
from jauge_models.wire import Address, Channel

from jauge_agent.config import BrokerConfig
from jauge_agent.connection import Connection
from jauge_agent.hearing import Heard, ask
from jauge_agent.keyring import Keyring
from jauge_agent.refusal import Failure, explain

_QUESTION_S: Final = 2.0
_OUTGOING: Final = 64


class Broker:
    """Makes connections, each with the credentials of the moment."""

    def __init__(self, config: BrokerConfig, address: Address) -> None:
        self.config = config
        self.keyring = Keyring(config, address)
        self._address = address
        # aiomqtt warns about every full queue and pending call: counted here, not said.
        self._log = logging.getLogger(f"{__name__}.mqtt")
        self._log.setLevel(logging.CRITICAL)

    def connection(
        self,
        *,
        will: bytes,
        timeout_s: float,
        on_payload: Callable[[bytes], None],
        on_acknowledged: Callable[[int, int], None],
    ) -> Connection:
        """For work: MQTT 3.1.1, which every broker speaks and which costs least.

        Raises CredentialError, OSError.
        """
        shown = self.keyring.show()
        return Connection(
            self.config.host,
            self.config.port,
            username=self.config.username,
            password=shown.password,
            # One name, so that a broker ends a half-open connection and sends its will before
            # this one says that it is online.
            identifier=self._identifier,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=self.config.keepalive_s,
            tls_context=shown.context,
            will=aiomqtt.Will(self._address.topic(Channel.STATE), will, 1, retain=True),
            timeout=timeout_s,
            on_payload=on_payload,
            on_acknowledged=on_acknowledged,
            max_queued_outgoing_messages=_OUTGOING,
            logger=self._log,
        )

    async def ask(self, channel: Channel, payload: bytes) -> Heard:
        """What becomes of what this agent publishes, as far as the broker tells.

        MQTT 5, under an identifier of its own, and without a will to leave behind. Takes seconds
        at most.
        """
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(_: int, code: int) -> None:
            if not told.done():
                told.set_result(code)

        shown = self.keyring.last()
        if shown is None:
            return Heard.UNANSWERED
        client = Connection(
            self.config.host,
            self.config.port,
            username=self.config.username,
            password=shown.password,
            identifier=f"{self._identifier}:asks",
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=shown.context,
            timeout=_QUESTION_S,
            on_payload=lambda _: None,
            on_acknowledged=tell,
            logger=self._log,
        )
        client.connect_within(_QUESTION_S)
        return await ask(client, told, self._address.topic(channel), payload)

    def explain(self, error: Exception, client: Connection | None) -> tuple[Failure, str]:
        """Why a connection ended."""
        alert = client.alert if client else None
        return explain(error, self.config, alert=alert, certificate=self.keyring.certificate)

    @property
    def _identifier(self) -> str:
        return f"jauge-agent:{self._address.site}:{self._address.agent}"
