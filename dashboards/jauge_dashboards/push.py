"""Puts the dashboards into a running Grafana through its HTTP API, again and again alike.

A dashboard that is there as it should be is left alone, so that its history shows changes only.
The token is a service account's with the right to write dashboards; it comes from a file and goes
nowhere but to the address given: over TLS, or on this machine.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote, urlsplit

from jauge_models.configuration import ConfigurationError

from jauge_dashboards.provisioning import FOLDER_UID
from jauge_dashboards.schema import Json

_TIMEOUT_S: Final = 30.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_ANSWER: Final = 32 * 1024 * 1024
_OF_GRAFANA: Final = frozenset({"id", "version", "iteration"})
"""What Grafana itself sets in a dashboard that it keeps."""


class PushError(Exception):
    """Grafana cannot be reached or refuses; the text says what and what to do."""


class Outcome(StrEnum):
    """What was done with a folder or dashboard."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Done(NamedTuple):
    """One thing that is now in Grafana as it should be."""

    title: str
    outcome: Outcome


class Grafana:
    """One connection to Grafana's HTTP API. Use as a context manager.

    Raises ConfigurationError for an address or a token file that cannot be used.
    """

    def __init__(self, url: str, token_file: Path) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ConfigurationError("--url", "", f"{url!r} is no address", "write https://HOST")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigurationError(
                "--url", "", "the token would cross the network in clear", "write https://"
            )
        self._path = parts.path.rstrip("/")
        self._token = _token(token_file)
        try:
            port = parts.port
        except ValueError:
            raise ConfigurationError("--url", "", "its port is none", "1 to 65535") from None
        if parts.scheme == "https":
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            self._http = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT_S)
        self._where = f"{parts.scheme}://{parts.netloc}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def push(self, title: str, dashboards: Mapping[str, Json]) -> list[Done]:
        """The folder first, then each dashboard in it. Raises PushError at the first refusal."""
        return [self._folder(title), *(self._dashboard(one) for one in dashboards.values())]

    def _folder(self, title: str) -> Done:
        found = self._ask("GET", f"/api/folders/{FOLDER_UID}")
        if found is None:
            self._ask("POST", "/api/folders", {"uid": FOLDER_UID, "title": title})
            return Done(title, Outcome.CREATED)
        if found.get("title") == title:
            return Done(title, Outcome.UNCHANGED)
        change = {"title": title, "overwrite": True}
        self._ask("PUT", f"/api/folders/{FOLDER_UID}", change)
        return Done(title, Outcome.CHANGED)

    def _dashboard(self, wanted: Json) -> Done:
        title = str(wanted["title"])
        found = self._ask("GET", f"/api/dashboards/uid/{quote(str(wanted['uid']), safe='')}")
        if found is not None:
            kept = found.get("dashboard")
            placed = found.get("meta", {}).get("folderUid") == FOLDER_UID
            if placed and isinstance(kept, dict) and _own(kept) == _own(wanted):
                return Done(title, Outcome.UNCHANGED)
        self._ask(
            "POST",
            "/api/dashboards/db",
            {
                "dashboard": _own(wanted),
                "folderUid": FOLDER_UID,
                "overwrite": True,
                "message": "jauge-dashboards push",
            },
        )
        return Done(title, Outcome.CREATED if found is None else Outcome.CHANGED)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json | None:
        """Grafana's answer; None where it knows nothing of that address (404 to a GET)."""
        head = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            head["Content-Type"] = "application/json"
        try:
            payload = None if body is None else json.dumps(body).encode()
            self._http.request(method, f"{self._path}{path}", payload, head)
            answer = self._http.getresponse()
            status, told = answer.status, answer.read(_MOST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise PushError(
                f"{self._where} does not answer: {error}; is it Grafana's address?"
            ) from None
        if status == http.client.NOT_FOUND and method == "GET":
            return None
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            raise PushError(
                f"{self._where} refuses the token ({status}) for {method} {path}; "
                "make one for a service account that may write folders and dashboards"
            )
        decoded = _decoded(told)
        if status != http.client.OK or decoded is None:
            said = str((decoded or {}).get("message", "no JSON"))[:200]
            raise PushError(
                f"{self._where} answers {status} to {method} {path}: {said}; is it Grafana?"
            )
        return decoded


def _own(dashboard: Json) -> Json:
    return {key: value for key, value in dashboard.items() if key not in _OF_GRAFANA}


def _decoded(told: bytes) -> Json | None:
    try:
        found: Any = json.loads(told)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _token(file: Path) -> str:
    try:
        token = file.read_text("ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            "--token-file", "", f"{file}: {error.strerror}", "name a file with the token"
        ) from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "--token-file", "", f"{file} holds no token", "write the token there, nothing else"
        )
    return token
