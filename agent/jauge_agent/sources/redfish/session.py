"""All that may leave for a BMC: reading, and opening and closing a session of its own.

`Bmc.get` asks for documents; the only other requests are the POST that opens a session, to one of
the two places that the standard names, and the DELETE of that session. There is no way to send
anything else: every request goes through `Bmc._send`, which refuses it.

One request is in flight at a time. Nothing leads to another host: links and redirects are paths.
"""

import asyncio
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from jauge_agent.source import RetryError
from jauge_agent.sources.redfish.values import Document

if TYPE_CHECKING:
    import ssl

    import aiohttp

REQUEST_S: Final = 20.0
"""Seconds for one answer; a controller that needs longer is given up for this time."""
LOGIN_S: Final = 60.0
"""Seconds for opening a session: given up earlier, it would be left open on the controller."""
CLOSE_S: Final = 2.5
LONGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes of one document; a whole collection of sensors takes some hundred thousand."""
LONGEST_PATH: Final = 1024
_BUFFER: Final = 32 * 1024
"""Twice the largest record of TLS."""

_SESSIONS: Final = ("/redfish/v1/SessionService/Sessions", "/redfish/v1/Sessions")
"""Where sessions are opened; iDRAC 8 and early iDRAC 9 have the second."""
_PATH: Final = re.compile(r"/redfish/v1(/[\x21-\x7e]*)?", re.ASCII)
_ORIGIN: Final = re.compile(r"^https?://[^/]+", re.IGNORECASE)
_SESSION_ID: Final = re.compile(r"[A-Za-z0-9._~%:@-]+", re.ASCII)
_MESSAGE_ID: Final = re.compile(
    r"[A-Za-z]{1,32}(\.\d{1,3}){1,3}\.[A-Za-z]{1,64}|[A-Z][A-Za-z]{1,32}\.[A-Z][A-Za-z]{1,64}",
    re.ASCII,
)
"""Registry, version, key, as in ``Base.1.8.SessionLimitExceeded``."""
_KEEP_ALIVE_S: Final = 100.0
"""Longer than the usual period: a TLS handshake is the dearest request of all."""


class ForbiddenError(Exception):
    """A request that must not leave: a defect of this program, never the device's."""


class RefusedError(RetryError):
    """The BMC does not let this user in."""


@dataclass(frozen=True, slots=True)
class Login:
    """How to get in."""

    username: str
    password: str = field(repr=False)
    session: bool = True
    """Whether to open a session; else the password goes with every request."""


class Bmc:
    """One BMC at ``https://authority``; belongs to one event loop."""

    def __init__(
        self, authority: str, login: Login | None, tls: "ssl.SSLContext", *, agent: str = "jauge"
    ) -> None:
        """Nothing is sent before the first `get`. ``authority``: host, or host:port."""
        self.failed: Counter[str] = Counter()
        """Documents that could not be had, by a bounded reason."""
        self.logins = 0
        """Sessions opened so far: behind a new one another machine may answer."""
        self._base = f"https://{authority}"
        self._login = login
        self._tls = tls
        self._agent = agent
        self._http: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()
        self._token = ""
        self._session = ""
        """Path of the session that is open on the BMC."""
        self._opening: asyncio.Task[None] | None = None
        self._basic = login is not None and not login.session
        self._admitted = False
        """Whether anything was read that not everybody may read."""
        self._barred: set[str] = set()
        """Documents that this user may not read, for which no new session is any use."""

    async def get(self, path: str) -> Document | None:
        """The document at a path, or None where the BMC has none there that can be read.

        Raises RetryError when the BMC does not answer or does not let this user in: then there is
        no use in asking for more.
        """
        if not is_path(path):
            self.failed["link"] += 1
            return None
        with_session = self._login is not None and not self._basic
        if with_session:
            await self._logged_in()
        answer = await self._ask(path)
        if answer.status == 401 and with_session and path not in self._barred:
            # The session has timed out, or the controller has restarted.
            await self._renew()
            answer = await self._ask(path)
        if answer.status in {401, 403}:
            if not self._admitted or is_root(path):
                raise RefusedError(f"{self._base}: this user may not read (HTTP {answer.status})")
            self._barred.add(path)
            self.failed["forbidden"] += 1
            return None
        self._admitted |= answer.status == 200 and not is_root(path)
        return self._document(answer)

    async def close(self) -> None:
        """End the session on the BMC and the connection; takes `CLOSE_S` at most."""
        try:
            async with asyncio.timeout(CLOSE_S):
                if self._opening is not None:
                    await asyncio.wait((self._opening,))
                session, token = self._forget()
                await self._end(session, token)
        except TimeoutError:
            pass  # it stays until the controller's own time-out
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait((opening,))
            if not opening.cancelled():
                opening.exception()
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _logged_in(self) -> None:
        """Have a session, by one request however often this is cancelled meanwhile.

        A login that was given up half-way would leave a session on the BMC that nobody ends; so
        it is brought to its end by a task of its own.
        """
        if self._opening is None:
            if self._token:
                return
            self._opening = asyncio.create_task(self._open_session(), name=f"login {self._base}")
        opening = self._opening
        await asyncio.wait((opening,))
        self._opening = None
        opening.result()

    async def _renew(self) -> None:
        """Have a new session, and end the old one should the BMC still count it."""
        session, _ = self._forget()
        await self._logged_in()
        await self._end(session, self._token)

    def _forget(self) -> tuple[str, str]:
        session, token = self._session, self._token
        self._session = self._token = ""
        return session, token

    async def _open_session(self) -> None:
        assert self._login is not None  # noqa: S101 - for the type checker; only called so
        body = msgspec.json.encode(
            {"UserName": self._login.username, "Password": self._login.password}
        )
        for place in _SESSIONS:
            answer = await self._send("POST", place, body=body, seconds=LOGIN_S)
            if answer.status in {200, 201, 204}:
                token = answer.headers.get("X-Auth-Token", "")
                session = session_path(answer.headers.get("Location", ""))
                if not session:
                    about = _decoded(answer.body)
                    linked = about.get("@odata.id") if isinstance(about, Mapping) else None
                    session = session_path(linked if isinstance(linked, str) else "")
                if not token:
                    break
                self._token, self._session = token, session
                self._admitted = True
                self.logins += 1
                return
            said = _said(answer.body, (self._login.username, self._login.password))
            if answer.status in {400, 401, 403}:
                raise RefusedError(
                    f"{self._base}: no session for this user (HTTP {answer.status}{said})"
                )
            if answer.status not in {404, 405, 501}:
                raise RetryError(
                    f"{self._base}: no session to be had (HTTP {answer.status}{said}): "
                    "others may hold all of them"
                )
        self._basic = True  # no session service: the password goes with every request

    async def _end(self, session: str, token: str) -> None:
        """Delete a session of ours, whether the BMC still knows it or not."""
        if not session:
            return
        try:
            await self._send("DELETE", session, token=token, own=session)
        except RetryError:
            return  # it ends by the controller's own time-out

    async def _ask(self, path: str) -> "_Answer":
        answer = await self._send("GET", path, token=self._token)
        if answer.status in {301, 302, 307, 308}:
            target = local_path(answer.headers.get("Location", ""), self._base)
            if not is_path(target):
                self.failed["redirect"] += 1
                return _Answer(404, {}, b"")
            answer = await self._send("GET", target, token=self._token)
        return answer

    def _document(self, answer: "_Answer") -> Document | None:
        if answer.too_long:
            self.failed["size"] += 1
            return None
        if answer.status != 200:
            # What is not there is nothing that failed.
            if answer.status not in {404, 405, 410, 501}:
                self.failed["status"] += 1
            return None
        document = _decoded(answer.body)
        if not isinstance(document, dict):
            self.failed["json"] += 1
            return None
        return document

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        token: str = "",
        own: str = "",
        seconds: float = REQUEST_S,
    ) -> "_Answer":
        """The one way out. Raises RetryError when no answer comes."""
        may_leave = {
            "GET": is_path(path) and body is None,
            "POST": path in _SESSIONS and body is not None,
            "DELETE": bool(own) and path == own and is_session(path) and body is None,
        }
        if not may_leave.get(method, False):
            raise ForbiddenError(f"{method} {path}")
        import aiohttp  # noqa: PLC0415 - an optional extra, and heavy
        from yarl import URL  # noqa: PLC0415 - aiohttp

        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token:
            headers["X-Auth-Token"] = token
        elif method == "GET" and self._basic and self._login is not None:
            pair = f"{self._login.username}:{self._login.password}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        async with self._turn:
            try:
                async with self._client().request(
                    method,
                    URL(self._base + path, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=seconds),
                ) as response:
                    return await _read(response)
            except TimeoutError:
                raise RetryError(f"{self._base}: no answer within {seconds:g} s") from None
            except aiohttp.ClientConnectorCertificateError as error:
                reason = getattr(error.certificate_error, "verify_message", "") or "not trusted"
                raise RetryError(f"{self._base}: certificate refused: {reason}") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # Only the operating system's words: others quote the lines of an answer, and a
                # header may be a token, or a password that comes back.
                words = str(error) if isinstance(error, OSError) else ""
                raise RetryError(f"{self._base}: {words or type(error).__name__}") from None

    def _client(self) -> "aiohttp.ClientSession":
        import aiohttp  # noqa: PLC0415 - see above

        if self._http is None:
            _take_small_buffers()
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=1, ssl=self._tls, keepalive_timeout=_KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            )
        return self._http


def _take_small_buffers() -> None:
    """Have TLS connections hold 32 KiB each: asyncio's 256 are 128 MB for 500 BMCs.

    The size is no public setting; where it is none at all, nothing changes but the memory.
    """
    from asyncio import sslproto  # noqa: PLC0415 - only where used

    if getattr(sslproto.SSLProtocol, "max_size", 0) > _BUFFER:
        sslproto.SSLProtocol.max_size = _BUFFER


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    too_long: bool = False


async def _read(response: "aiohttp.ClientResponse") -> _Answer:
    parts: list[bytes] = []
    length = 0
    async for part in response.content.iter_any():
        length += len(part)
        if length > LONGEST_BODY:
            response.close()
            return _Answer(response.status, response.headers, b"", too_long=True)
        parts.append(part)
    return _Answer(response.status, response.headers, b"".join(parts))


def is_root(path: str) -> bool:
    """Whether a path is that of the service's root, which everybody may read."""
    return path.rstrip("/") == "/redfish/v1"


def is_path(path: str) -> bool:
    """Whether a link leads to a document of the service on the same host."""
    if len(path) > LONGEST_PATH or not _PATH.fullmatch(path):
        return False
    plain = path.partition("?")[0]
    return "//" not in plain and "\\" not in path and ".." not in plain and "#" not in path


def is_session(path: str) -> bool:
    """Whether a path is that of one session."""
    folder, _, name = path.rpartition("/")
    return folder in _SESSIONS and bool(_SESSION_ID.fullmatch(name)) and name not in {".", ".."}


def session_path(location: str) -> str:
    """The path of the session that a BMC says it has opened; empty when it names something else."""
    # Some controllers name themselves as they like to be called; it is theirs all the same.
    path = _ORIGIN.sub("", location).rstrip("/")
    return path if is_session(path) else ""


def local_path(location: str, base: str) -> str:
    """A location as a path of the same host; empty for any other host."""
    if location.startswith(f"{base}/"):
        return location[len(base) :]
    return location if location.startswith("/") and not location.startswith("//") else ""


def _decoded(body: bytes) -> Any:
    """What a body says, or None when it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _said(body: bytes, secrets: Sequence[str]) -> str:
    """The identity of the message in the answer to a login, and nothing else of it.

    Messages quote what was sent ("The value 'x' for the property Password is of a different
    format …"); so does an identity that holds one of the secrets, which is left out.
    """
    about = _decoded(body)
    error = about.get("error") if isinstance(about, dict) else None
    details = error.get("@Message.ExtendedInfo") if isinstance(error, dict) else None
    first = details[0] if isinstance(details, list) and details else None
    name = first.get("MessageId") if isinstance(first, dict) else None
    if not isinstance(name, str) or not _MESSAGE_ID.fullmatch(name):
        return ""
    if any(each and each.casefold() in name.casefold() for each in secrets):
        return ""
    return f", {name}"
