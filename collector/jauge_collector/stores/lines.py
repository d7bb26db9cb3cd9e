"""Line protocol: readings into lines, and lines into a server that speaks InfluxDB's write API."""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self, cast

import aiohttp
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.client.write_api_async import WriteApiAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from jauge_models.quantities import CATALOGUE, SERIES_PREFIX, Quantity
from jauge_models.readings import Reading
from jauge_models.resources import Series, is_name, kind_of
from jauge_models.wire import Address

from jauge_collector.packs import Names, PackReadings, parts_of
from jauge_collector.stores import LeftOut, StoreError

_log = logging.getLogger(__name__)

_READINGS_PER_REQUEST: Final = 8192
_BYTES_PER_REQUEST: Final = 1 << 20
"""aiohttp warns of a larger body in one piece."""
_MOST_PREFIXES: Final = 1_000_000
_MOST_HEADS: Final = 100_000
_MOST_REFUSED: Final = 64
"""Refused lines in one write, beyond which the server is at fault and not the lines."""
_MILLISECONDS: Final = cast(WritePrecision, WritePrecision.MS)
_ABOUT_THE_LINES: Final = frozenset({400, 413, 422})
_NUMBERS: Final = msgspec.json.Encoder()
_TIMEOUT_MS: Final = 12_000
"""For one request; less than the collector's storing may take (`ingest.HANGS_AFTER_S`)."""


class LineNameError(ValueError):
    """A series of which no line may be built: a name that does not match the wire pattern."""


def prefix_of(series: Series) -> str:
    """The line of a series up to its value. Raises LineNameError.

    The wire pattern leaves nothing that line protocol would want escaped.
    """
    quantity = CATALOGUE.get(series.quantity)
    if quantity is None or not all(map(is_name, series[:3])):
        raise LineNameError(f"{series!r} cannot stand in a line")
    return f"{_head_of(*series[:2])}{_tail_of(series.resource, quantity)}"


def _head_of(site: str, agent: str) -> str:
    return f"{SERIES_PREFIX},site={site},agent={agent}"


def _tail_of(resource: str, quantity: Quantity) -> str:
    return f",kind={kind_of(resource)},resource={resource} {quantity.field}="


class _Prefixes(dict[Series, str]):
    """Prefix of every series met so far; emptied when it has grown past its bound."""

    def __missing__(self, series: Series) -> str:
        prefix = prefix_of(series)
        if len(self) >= _MOST_PREFIXES:
            self.clear()
        self[series] = prefix
        return prefix


class _Heads(dict[Address, str]):
    """What prefixes of an agent have in common; emptied when it has grown past its bound."""

    def __missing__(self, address: Address) -> str:
        """Raises LineNameError."""
        if not all(map(is_name, address)):
            raise LineNameError(f"{address!r} cannot stand in a line")
        if len(self) >= _MOST_HEADS:
            self.clear()
        head = self[address] = _head_of(*address)
        return head


class _Tails(dict[Names, tuple[str, ...]]):
    """What prefixes of like packs have in common; emptied when it has grown past its bound."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def __missing__(self, names: Names) -> tuple[str, ...]:
        """Raises LineNameError."""
        if not all(is_name(resource) and name in CATALOGUE for resource, name in names.pairs):
            raise LineNameError(f"{names.pairs!r} cannot stand in lines")
        if self._count + len(names.pairs) > _MOST_PREFIXES:
            self.clear()
            self._count = 0
        self._count += len(names.pairs)
        tails = tuple(_tail_of(resource, CATALOGUE[name]) for resource, name in names.pairs)
        self[names] = tails
        return tails


class LineWriter:
    """Writes readings as lines; an async context manager.

    What no server could take is left out, counted by reason in ``left_out``, and the last
    example kept in ``examples``: a name, a value that is not finite, a line that is refused.
    """

    def __init__(self, url: str, *, org: str = "", bucket: str = "", token: str = "") -> None:
        self._url = url
        self._org = org
        self._bucket = bucket
        self._token = token
        self._prefixes = _Prefixes()
        self._heads = _Heads()
        self._tails = _Tails()
        self._stack = AsyncExitStack()
        self._api: WriteApiAsync | None = None
        self.left_out: Counter[LeftOut] = Counter()
        self.examples: dict[LeftOut, str] = {}

    async def __aenter__(self) -> Self:
        client = InfluxDBClientAsync(
            url=self._url,
            token=self._token,
            org=self._org,
            timeout=_TIMEOUT_MS,
            allow_redirects=False,
        )
        await self._stack.enter_async_context(client)
        self._api = client.write_api()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api = None
        await self._stack.aclose()

    async def write(self, readings: Sequence[Reading]) -> None:
        """Write readings in requests below a mebibyte. Raises StoreError, then all may come again.

        A line counts as bad only where the server took others of the same call: a server that
        takes none is itself at fault, and on its word nothing may be given up.
        """
        refused: list[str] = []
        accepted = 0
        lines: list[str] = []
        for part in parts_of(readings, _READINGS_PER_REQUEST):
            if lines and len(lines) + len(part) > _READINGS_PER_REQUEST:
                accepted += await self._send(lines, refused)
                lines = []
            lines += self.lines(part)
        if lines:
            accepted += await self._send(lines, refused)
        if refused and not accepted:
            raise StoreError(f"{self._url} refuses every line, for instance {refused[-1]!r}")
        for line in refused:
            self._leave_out(LeftOut.LINE, line)

    def lines(self, readings: Sequence[Reading]) -> list[str]:
        """One line for each reading that can have one."""
        if isinstance(readings, PackReadings) and (found := self._lines_of_pack(readings)):
            return found
        prefixes = self._prefixes
        try:
            lines = [
                f"{prefixes[series]}{value!s} {time_ms}"
                for series, time_ms, value in readings
                if value - value == 0.0  # finite, at a third of the cost of math.isfinite
            ]
        except LineNameError:
            return self.lines([reading for reading in readings if self._has_prefix(reading)])
        if len(lines) != len(readings):
            for reading in readings:
                if reading.value - reading.value != 0.0:
                    self._leave_out(LeftOut.VALUE, repr(reading))
        return lines

    def _lines_of_pack(self, pack: PackReadings) -> list[str] | None:
        """Its lines where it can have all; None where readings have to be looked at one by one."""
        total = sum(pack.values)
        if total - total != 0.0:  # also where it is too large for a number
            return None
        try:
            head, tails = self._heads[pack.address], self._tails[pack.names]
        except LineNameError:
            return None
        at = f" {pack.time_ms}"
        # The shortest text that reads back the same, as Python's own but in a third of its time.
        texts = _NUMBERS.encode(pack.values)[1:-1].decode().split(",")
        return [f"{head}{tail}{text}{at}" for tail, text in zip(tails, texts, strict=True)]

    def _has_prefix(self, reading: Reading) -> bool:
        try:
            return bool(self._prefixes[reading.series])
        except LineNameError as error:
            self._leave_out(LeftOut.NAME, str(error))
            return False

    def _leave_out(self, reason: LeftOut, example: str) -> None:
        if reason not in self.left_out:
            _log.error("a reading is left out (%s): %s", reason, example)
        self.left_out[reason] += 1
        self.examples[reason] = example

    async def _send(self, lines: list[str], refused: list[str]) -> int:
        """How many lines the server took. Lines it refuses on their own go to ``refused``."""
        body = "\n".join(lines).encode()
        if len(body) < _BYTES_PER_REQUEST or len(lines) == 1:
            if await self._post(body):
                return len(lines)
            if len(lines) == 1:
                refused += lines
                if len(refused) > _MOST_REFUSED:
                    raise StoreError(f"{self._url} refuses too many lines, the last {lines[0]!r}")
                return 0
        middle = len(lines) // 2
        return await self._send(lines[:middle], refused) + await self._send(lines[middle:], refused)

    async def _post(self, body: bytes) -> bool:
        """Whether the server took the lines; False where it is the lines that it does not like."""
        if self._api is None:
            raise StoreError("the store is not open")
        try:
            return await self._api.write(
                bucket=self._bucket, record=body, write_precision=_MILLISECONDS
            )
        except ApiException as error:
            if error.status in _ABOUT_THE_LINES:
                return False
            raise StoreError(f"{self._url} answers {error.status}: {error.message!r}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"{self._url}: {type(error).__name__}: {error}") from error
