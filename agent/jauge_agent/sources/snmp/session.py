"""The wire to one SNMP device: GET, and GETNEXT along a table; nothing that could change it."""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings

if TYPE_CHECKING:
    from gufo.snmp.aio import SnmpSession

Value = str | bytes | int | float
"""What an object holds: an identifier or address as text, octets, a number."""

STALE_S: Final = 120.0
"""SNMPv3: after this silence the device's clock is asked anew, or it would refuse the request."""
MAX_ROWS: Final = 8192
"""Rows taken of one table: a flat one has some fifty for each outlet, and a device must not fill
the memory."""
WALK_S: Final = 8.0
"""Seconds for one table; what has not come by then is cut off."""
LEAST_BATCH: Final = 4
"""Objects per request that every device bears; fewer only while one at fault is looked for."""
_AT_ONCE: Final = 16
"""Rows of a table asked for at once."""
ATTEMPTS: Final = 2
"""UDP loses packets: how often one request is sent."""


class Objects(Protocol):
    """A device that can be asked for objects."""

    cut: set[str]
    """Columns whose last walk ended before they did."""

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """The objects that exist, by identifier. Raises RetryError, FatalError."""
        ...

    async def column(self, oid: str) -> list[tuple[str, Value]]:
        """Rows of a table's column: index and value. Raises RetryError, FatalError."""
        ...


class Session:
    """Meets `Objects` over UDP with gufo-snmp; one request at a time, in small batches."""

    def __init__(
        self,
        device: SnmpDeviceSettings,
        secrets: Mapping[str, str],
        *,
        timeout_s: float,
        batch: int,
    ) -> None:
        """``secrets``: ``community``, or ``auth`` and ``privacy``."""
        self._device = device
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._batch = batch
        self._session: SnmpSession | None = None
        self._last_s = float("-inf")
        self.cut: set[str] = set()
        """See `Objects`."""

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """See `Objects`. A batch that the device refuses is halved, down to the object at fault."""
        found: dict[str, Value] = {}
        ahead = [oids[at : at + self._batch] for at in range(0, len(oids), self._batch)]
        while ahead:
            part = ahead.pop(0)
            answer = await self._get_part(part)
            if answer is not None:
                found.update(answer)
            elif len(part) > 1:
                half = len(part) // 2
                ahead[:0] = [part[:half], part[half:]]
                self._batch = max(LEAST_BATCH, min(self._batch, half))
        return found

    async def column(self, oid: str) -> list[tuple[str, Value]]:
        """See `Objects`."""
        from gufo.snmp import SnmpError  # noqa: PLC0415 - an extra

        for _ in range(ATTEMPTS):
            session = await self._ready()
            rows: list[tuple[str, Value]] = []
            self.cut.discard(oid)
            until = asyncio.get_running_loop().time() + WALK_S
            try:
                with _no_panic(self._where):
                    async for name, value in session.getbulk(oid, max_repetitions=_AT_ONCE):
                        if not name.startswith(f"{oid}."):
                            break
                        if len(rows) >= MAX_ROWS or asyncio.get_running_loop().time() > until:
                            self.cut.add(oid)
                            break
                        if value is not None:
                            rows.append((name[len(oid) + 1 :], value))
            except TimeoutError:
                continue
            except (SnmpError, OSError) as error:
                self.close()
                raise RetryError(f"a table of {self._where} cannot be read: {error}") from None
            self._answered()
            return rows
        self.close()
        raise RetryError(f"no answer from {self._where} while its tables were read")

    def close(self) -> None:
        """Give the socket back."""
        self._session = None

    async def _get_part(self, oids: Sequence[str]) -> dict[str, Value] | None:
        """One request; None when the device refuses it, as too big or for one of its objects."""
        from gufo.snmp import (  # noqa: PLC0415 - an extra
            NoSuchInstance,
            SnmpAuthError,
            SnmpDecodeError,
            SnmpError,
        )

        for _ in range(ATTEMPTS):
            session = await self._ready()
            try:
                with _no_panic(self._where):
                    answer = await session.get_many(oids)
            except TimeoutError:
                continue
            except NoSuchInstance:
                return {}
            except (SnmpAuthError, SnmpDecodeError) as error:
                self.close()
                raise RetryError(f"an answer of {self._where} cannot be used: {error}") from None
            except SnmpError:
                return None
            except OSError as error:
                self.close()
                raise RetryError(f"{self._where}: {error.strerror or error}") from None
            self._answered()
            if not answer and self._device.user and len(oids) > LEAST_BATCH:
                # gufo-snmp gives an SNMPv3 agent's "too big" as an answer without objects.
                return None
            asked = set(oids)
            return {
                oid: value for oid, value in answer.items() if value is not None and oid in asked
            }
        self.close()
        raise RetryError(f"no answer from {self._where}{self._hint}")

    async def _ready(self) -> "SnmpSession":
        """A session that the device will listen to."""
        now = asyncio.get_running_loop().time()
        if self._session is not None and (not self._device.user or now - self._last_s < STALE_S):
            return self._session
        if self._session is None:
            self._session = await self._made()
        from gufo.snmp import SnmpError  # noqa: PLC0415 - an extra

        try:
            with _no_panic(self._where):
                await self._session.refresh()
        except TimeoutError:
            self.close()
            raise RetryError(f"no answer from {self._where}{self._hint}") from None
        except (SnmpError, OSError) as error:
            self.close()
            raise RetryError(f"{self._where} refuses user {self._device.user}: {error}") from None
        self._answered()
        return self._session

    async def _made(self) -> "SnmpSession":
        from gufo.snmp.aio import SnmpSession  # noqa: PLC0415 - an extra

        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._device.host, self._device.port, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            raise RetryError(f"{self._device.host}: {error.strerror or error}") from None
        # UDP tells nobody that an address is dead, and few devices speak IPv6: IPv4 comes first.
        found.sort(key=lambda one: one[0] != socket.AF_INET)
        address = str(found[0][4][0])
        common: dict[str, Any] = {"port": self._device.port, "timeout": self._timeout_s}
        try:
            if self._device.user:
                return SnmpSession(address, user=_user(self._device, self._secrets), **common)
            return SnmpSession(address, community=self._secrets["community"], **common)
        except OSError as error:
            raise RetryError(f"{self._where}: {error.strerror or error}") from None
        except ValueError as error:
            raise FatalError(f"{self._where}: {error}") from None

    def _answered(self) -> None:
        self._last_s = asyncio.get_running_loop().time()

    @property
    def _where(self) -> str:
        return f"{self._device.host}:{self._device.port}"

    @property
    def _hint(self) -> str:
        """Devices do not answer at all when they do not know who asks."""
        return "" if self._device.user else "; is the community right?"


@contextmanager
def _no_panic(where: str) -> Iterator[None]:
    """A datagram can make the library's Rust panic, which Python sees as no Exception at all."""
    try:
        yield
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise RetryError(f"an answer of {where} cannot be used: {error}") from None


def _user(device: SnmpDeviceSettings, secrets: Mapping[str, str]) -> Any:
    from gufo.snmp import user as users  # noqa: PLC0415 - an extra

    auth = {
        "md5": users.Md5Key,
        "sha1": users.Sha1Key,
        "sha224": users.Sha224Key,
        "sha256": users.Sha256Key,
        "sha384": users.Sha384Key,
        "sha512": users.Sha512Key,
    }
    privacy = {
        "des": users.DesKey,
        "aes128": users.Aes128Key,
        "aes192": users.Aes192Key,
        "aes256": users.Aes256Key,
    }
    return users.User(
        device.user or "",
        auth_key=auth[device.auth](secrets["auth"].encode()) if "auth" in secrets else None,
        priv_key=privacy[device.privacy](secrets["privacy"].encode())
        if "privacy" in secrets
        else None,
    )
