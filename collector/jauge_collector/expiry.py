"""How long the collector's own certificates last: said in time, shown, renewed ones taken up."""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

from jauge_models.certificates import Certificate, day
from jauge_models.configuration import ConfigurationError

from jauge_collector import credentials
from jauge_collector.config import CollectorConfig
from jauge_collector.telemetry import Sample, Telemetry

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0


def check(config: CollectorConfig, now_s: float) -> Iterable[str]:
    """A warning for each own certificate that ends soon.

    Raises ConfigurationError for one that does not hold at that time, in Unix seconds.
    """
    for use, path in credentials.own_certificates(config).items():
        key, found = f"{use}.cert_file", credentials.certificate(config, use)
        if found is None:
            continue
        if problem := found.invalidity(now_s):
            raise ConfigurationError(
                str(config.source), key, f"{path} {problem}", "have it renewed"
            )
        if found.ends_soon(now_s):
            yield f"{key}: {path} expires on {day(found.not_after_s)}; have it renewed"


class Expiry:
    """Watches the certificates for ``mqtt`` and ``console`` of one service.

    The subscriber reads its files for each connection; the console's are given to the context that
    serves already, whose next handshakes show them.
    """

    def __init__(
        self,
        config: CollectorConfig,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` gives Unix seconds."""
        self._config = config
        self._clock = clock
        self._found: dict[str, Certificate] = {}
        self._seen: dict[str, object] = {}
        self._said: dict[str, tuple[str, Certificate]] = {}
        self._wrong: dict[str, str] = {}
        self._console: ssl.SSLContext | None = None
        telemetry.watch_family(
            "jauge_collector_certificate_expiry_timestamp_seconds",
            lambda: [
                Sample({"use": use}, found.not_after_s) for use, found in self._found.copy().items()
            ],
        )

    def serve(self, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
        """Take note of the context that the console serves with; gives it back."""
        self._console = context
        return context

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look now, and again and again meanwhile."""
        self.look()
        task = asyncio.create_task(self._watch(), name="expiry")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def look(self) -> None:
        """Take up files that have changed, and say once of each certificate that its end is near.

        Never raises: files that cannot be used are said once and change nothing.
        """
        for use, path in credentials.own_certificates(self._config).items():
            mark = self._mark(use)
            if mark != self._seen.get(use):
                try:
                    self._take_up(use)
                except ConfigurationError as error:
                    if self._wrong.get(use) != str(error):
                        self._wrong[use] = str(error)
                        _log.error("%s; what was read before is used", error)
                else:
                    self._seen[use] = mark
                    if self._wrong.pop(use, ""):
                        _log.info("%s.cert_file: %s can be used again", use, path)
            self._say(use, path)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def _take_up(self, use: str) -> None:
        found = credentials.certificate(self._config, use)
        if found is None:
            return
        if use == "console" and self._console is not None and use in self._found:
            console = self._config.console
            if console.cert_file is None:
                return
            # On a context of its own first: one that fails half-way must not be the one in use.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._console):
                credentials.load_pair(
                    context, self._config, use, console.cert_file, console.key_file
                )
            _log.info("console: shows its renewed certificate, until %s", day(found.not_after_s))
        self._found[use] = found

    def _say(self, use: str, path: Path) -> None:
        if (found := self._found.get(use)) is None:
            return
        now_s = self._clock()
        problem, soon = found.invalidity(now_s), found.ends_soon(now_s)
        said = problem or (f"expires on {day(found.not_after_s)}" if soon else "")
        if said and self._said.get(use) != (said, found):
            self._said[use] = said, found
            level = logging.ERROR if problem else logging.WARNING
            _log.log(level, "%s.cert_file: %s %s; have it renewed", use, path, said)

    def _mark(self, use: str) -> object:
        """What changes when certificate or key do."""
        section = self._config.mqtt if use == "mqtt" else self._config.console
        marks: list[object] = []
        for path in (section.cert_file, section.key_file):
            if path is None:
                continue
            try:
                told = self._config.beside(path).stat()
            except OSError:
                marks.append(None)
            else:
                marks.append((told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns))
        return tuple(marks)
