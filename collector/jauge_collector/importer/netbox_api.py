"""Asks a NetBox for all of a list, page after page, and changes nothing there."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from jauge_models.configuration import ConfigurationError

_PAGE: Final = 500
_MOST_PAGES: Final = 200
_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of one page."""
_TIMEOUT_S: Final = 60.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


async def pages(url: str, what: str, token_file: Path | None) -> bytes:
    """Every page of ``/api/dcim/<what>/`` as a JSON list, as `netbox.listed` reads it.

    ``url`` is NetBox's own address. The token goes nowhere else, and never in clear text over a
    network. Raises ConfigurationError.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise ConfigurationError(url, "", "is no address", "write https://HOST")
    if token_file is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(url, "", "the token would cross in clear text", "write https://")
    head = {"Accept": "application/json"}
    if token_file is not None:
        head["Authorization"] = f"Token {_token(token_file)}"
    found: list[Any] = []
    base = f"{url.rstrip('/')}/api/dcim/{what}/?limit={_PAGE}"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    seen = 0
    async with aiohttp.ClientSession(headers=head, timeout=timeout) as session:
        for _ in range(_MOST_PAGES):
            page = await _page(session, f"{base}&offset={seen}", url)
            found.append(page)
            seen += len(page["results"])
            # NetBox's « next » names a host that its proxy may not have: we count for ourselves.
            if not page.get("next") or not page["results"]:
                return json.dumps(found).encode()
    raise ConfigurationError(url, "", f"has more than {_MOST_PAGES} pages of {what}")


async def _page(session: aiohttp.ClientSession, address: str, url: str) -> dict[str, Any]:
    try:
        async with session.get(address, allow_redirects=False) as answer:
            status, body = answer.status, bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                body += part
                if len(body) > _MOST_BYTES:
                    much = f"sends a page of more than {_MOST_BYTES >> 20} MiB"
                    raise ConfigurationError(url, "", much)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise ConfigurationError(url, "", f"does not answer: {str(error) or 'too late'}") from None
    if status in {401, 403}:
        fix = "give --token-file of a token that may read devices"
        raise ConfigurationError(url, "", f"refuses the request ({status})", fix)
    if status != 200:
        raise ConfigurationError(url, "", f"answers {status}", "is it NetBox's address?")
    try:
        page = json.loads(body)
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict) or not isinstance(page.get("results"), list):
        raise ConfigurationError(url, "", "sends no list", "is it NetBox's address?")
    return page


def _token(file: Path) -> str:
    try:
        token = file.read_text("ascii").strip()
    except OSError as error:
        raise ConfigurationError(str(file), "", str(error.strerror)) from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise ConfigurationError(str(file), "", "holds no token", "write the token, nothing else")
    return token
