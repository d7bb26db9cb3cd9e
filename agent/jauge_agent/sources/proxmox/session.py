"""All that may leave for a cluster: GET of documents under ``/api2/json``, with an API token.

There is no way to send anything else: every request goes through `Api._send`, which knows no other
method and refuses every other path. A token needs no login and no session on the cluster. One
request is in flight at a time, and redirects are not followed.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jauge_agent.source import FatalError, RetryError

if TYPE_CHECKING:
    import ssl

    import aiohttp

REQUEST_S: Final = 15.0
"""Seconds for one answer; a refusal alone is held back by three."""
ASIDE_S: Final = 5.0
"""The same for a question that other values do not depend on."""
LONGEST_BODY: Final = 32 * 1024 * 1024
"""Bytes of one answer; a guest takes some 400 in the list of all."""

_PATH: Final = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){1,6}", re.ASCII)
_TOKEN: Final = re.compile(r"[^\s!=@:/]+@[^\s!=]+![^\s!=]+=[0-9A-Fa-f-]{1,64}", re.ASCII)
_KEEP_ALIVE_S: Final = 100.0


class ForbiddenError(Exception):
    """A request that must not leave: a defect of this program, never the cluster's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` of an answer with status 200; None with any other."""

    status: int
    data: Any


def token_of(text: str) -> str:
    """The token in a file's text; raises FatalError without repeating it."""
    token = text.strip().removeprefix("PVEAPIToken=")
    if not _TOKEN.fullmatch(token):
        raise FatalError("token_file holds no token: write USER@REALM!TOKENID=UUID on one line")
    return token


def is_path(path: str) -> bool:
    """Whether a path names a document of the API, below ``/api2/json``."""
    return bool(_PATH.fullmatch(path)) and ".." not in path


class Api:
    """One cluster, at the first of some hosts that answers; belongs to one event loop."""

    def __init__(
        self,
        authorities: Sequence[str],
        token: Callable[[], str],
        trust: "ssl.SSLContext | aiohttp.Fingerprint",
        *,
        agent: str = "jauge",
    ) -> None:
        """Nothing is sent before the first `get`. ``token`` is called for each request."""
        self._authorities = list(authorities)
        self._token = token
        self._trust = trust
        self._agent = agent
        self._http: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()

    async def get(self, path: str) -> Answer:
        """The answer to a question that every host can answer, such as ``/cluster/resources``.

        Raises RetryError when none does, or when the token is not accepted: then there is no use in
        asking for more.
        """
        async with self._turn:
            for _ in self._authorities[1:]:
                try:
                    answer = await self._send(path, REQUEST_S)
                except RetryError:
                    self._authorities.append(self._authorities.pop(0))
                else:
                    return self._admitted(answer)
            return self._admitted(await self._send(path, REQUEST_S))

    async def get_aside(self, path: str) -> Answer:
        """The answer to a question that the cluster hands on to one of its nodes.

        That node may hang: so this takes `ASIDE_S` at most, and says nothing of the other hosts.
        Raises RetryError.
        """
        async with self._turn:
            return self._admitted(await self._send(path, ASIDE_S))

    async def close(self) -> None:
        """End the connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _admitted(self, answer: Answer) -> Answer:
        if answer.status == 401:
            raise RetryError(
                f"{self._authorities[0]}: the token is not accepted (HTTP 401): it has expired,"
                " was withdrawn, or its user is disabled"
            )
        return answer

    async def _send(self, path: str, seconds: float) -> Answer:
        """The one way out. Raises RetryError when no answer comes."""
        if not is_path(path):
            raise ForbiddenError(path)
        import aiohttp  # noqa: PLC0415 - an optional extra, and heavy
        from yarl import URL  # noqa: PLC0415 - aiohttp

        host = self._authorities[0]
        headers = {"Authorization": f"PVEAPIToken={self._token()}"}
        try:
            async with self._client().get(
                URL(f"https://{host}/api2/json{path}", encoded=True),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                return await _read(response, host)
        except TimeoutError:
            raise RetryError(f"{host}: no answer within {seconds:g} s") from None
        except aiohttp.ServerFingerprintMismatch as error:
            raise RetryError(
                f"{host}: certificate refused: its SHA-256 is {error.got.hex(':').upper()}"
            ) from None
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "") or "not trusted"
            raise RetryError(f"{host}: certificate refused: {reason}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Only the operating system's words: others quote the lines of an answer.
            words = str(error) if isinstance(error, OSError) else ""
            raise RetryError(f"{host}: {words or type(error).__name__}") from None

    def _client(self) -> "aiohttp.ClientSession":
        import aiohttp  # noqa: PLC0415 - see above

        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=1, ssl=self._trust, keepalive_timeout=_KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={
                    "User-Agent": self._agent,
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
            )
        return self._http


async def _read(response: "aiohttp.ClientResponse", host: str) -> Answer:
    parts: list[bytes] = []
    length = 0
    async for part in response.content.iter_any():
        length += len(part)
        if length > LONGEST_BODY:
            response.close()
            raise RetryError(f"{host}: an answer is longer than {LONGEST_BODY // 2**20} MiB")
        parts.append(part)
    if response.status != 200:
        return Answer(response.status, None)
    try:
        document = msgspec.json.decode(b"".join(parts))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise RetryError(f"{host}: an answer is not JSON: is this Proxmox VE?") from None
    if not isinstance(document, dict) or "data" not in document:
        raise RetryError(f"{host}: an answer has no data: is this Proxmox VE?")
    return Answer(200, document["data"])
