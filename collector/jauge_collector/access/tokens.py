"""The tokens file: who may come in with a token, of which only the hash stands on disk."""

import contextlib
import hmac
import logging
import re
import secrets
import stat
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
from jauge_models.configuration import ConfigurationError, parse

from jauge_collector import civil
from jauge_collector.access.roles import ALL, Grant, Role
from jauge_collector.config import CollectorConfig, read_text

_log = logging.getLogger(__name__)

TOKEN: Final = re.compile(r"jauge_[A-Za-z0-9_-]{43}")
"""256 random bits behind a word that secret scanners and people recognise."""
MOST_TOKENS: Final = 1_000
LONGEST_NAME: Final = 128
_LOOKED_AT_S: Final = 2.0
_FOREVER_MS: Final = 2**62


class TokenSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One token and what its bearer may do; ``jauge-collector token`` makes it."""

    name: str
    """Whose it is, as the record of changes shows it."""
    role: Role
    """``reader``, ``operator``, ``officer``, ``approver`` or ``administrator``."""
    sites: list[str]
    """Names of sites; ``["*"]`` for every one."""
    tenants: list[str]
    """Names of tenants, as in the ``tenant`` attributes of site files; ``["*"]`` for no limit."""
    sha256: Annotated[
        str,
        msgspec.Meta(
            pattern="^[0-9a-f]{64}$",
            description="64 hexadecimal digits in lower case, as jauge-collector token prints them",
        ),
    ]
    """SHA-256 of the token, in hexadecimal."""
    expires: str | None = None
    """Day or moment (UTC) from which it is refused; never where absent."""
    share_site_indicators: bool = False
    """For a token limited to tenants: whether it also reads PUE and its like of the whole site,
    without the totals they are made of."""


class TokensFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What stands in the tokens file."""

    tokens: list[TokenSection] = []


@dataclass(frozen=True, slots=True)
class Token:
    """A token that may come."""

    name: str
    grant: Grant
    digest: bytes
    expires_ms: int


def make() -> str:
    """A new token."""
    return f"jauge_{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> bytes:
    """What the file holds of a token."""
    return sha256(token.encode()).digest()


def grant_of(
    where: tuple[Path, str],
    role: Role,
    sites: Sequence[str],
    tenants: Sequence[str],
    known: Mapping[str, Collection[str]],
    *,
    share: bool,
) -> Grant:
    """A grant as a file declares it; ``known`` holds each site's tenants.

    Raises ConfigurationError for a name that nothing has: it would grant less than is believed.
    """
    file, key = where
    everybody = {tenant for some in known.values() for tenant in some}
    limits: list[frozenset[str] | None] = []
    for part, names, all_names in (("sites", sites, set(known)), ("tenants", tenants, everybody)):
        if list(names) == [ALL]:
            limits.append(None)
            continue
        if not names or ALL in names:
            fix = f"write {part} = ['*'] for every one, or names"
            raise ConfigurationError(str(file), f"{key}.{part}", f"{list(names)}", fix)
        for name in names:
            if name not in all_names:
                told = ", ".join(sorted(all_names)) or "none"
                raise ConfigurationError(
                    str(file), f"{key}.{part}", f"{name!r} is in no site file", f"known are {told}"
                )
        limits.append(frozenset(names))
    return Grant(role, limits[0], limits[1], share)


def load(path: Path, known: Mapping[str, Collection[str]]) -> list[Token]:
    """Read a tokens file. Raises ConfigurationError."""
    text = read_text(path)
    if path.stat().st_mode & stat.S_IWOTH:
        raise ConfigurationError(
            str(path), "", "everybody may write it, and so let themselves in", "chmod o-w"
        )
    declared = parse(text, TokensFile, file=str(path)).tokens
    if len(declared) > MOST_TOKENS:
        raise ConfigurationError(
            str(path), "tokens", f"{len(declared)} tokens", f"at most {MOST_TOKENS}"
        )
    tokens: list[Token] = []
    for index, one in enumerate(declared):
        key = f"tokens[{index}]"
        if not is_person(one.name):
            raise ConfigurationError(
                str(path),
                f"{key}.name",
                f"{one.name!r} is no name",
                "1 to 128 printable characters",
            )
        for part, twin in (("name", one.name), ("sha256", one.sha256)):
            if any(getattr(other, part) == twin for other in declared[:index]):
                raise ConfigurationError(
                    str(path), f"{key}.{part}", f"{twin!r} is there twice", "drop one"
                )
        try:
            ends = civil.moment_ms(one.expires, UTC) if one.expires is not None else _FOREVER_MS
        except (ValueError, OverflowError) as error:
            raise ConfigurationError(str(path), f"{key}.expires", str(error)) from None
        grant = grant_of(
            (path, key),
            one.role,
            one.sites,
            one.tenants,
            known,
            share=one.share_site_indicators,
        )
        tokens.append(Token(one.name, grant, bytes.fromhex(one.sha256), ends))
    return tokens


def warnings(config: CollectorConfig, now_s: float) -> Iterator[str]:
    """What a person should know of a tokens file that can be used: nobody in it, or expired ones.

    ``now_s`` is Unix seconds. Raises ConfigurationError.
    """
    if (named := config.console.access.tokens_file) is None:
        return
    key, path = "console.access.tokens_file", config.beside(named)
    declared = parse(config.read(key, named), TokensFile, file=str(path)).tokens
    if not declared:
        yield f"{key}: {path} holds no token: nobody can come in with one; add a [[tokens]]"
    for one in declared:
        if one.expires is None:
            continue
        with contextlib.suppress(ValueError, OverflowError):
            if civil.moment_ms(one.expires, UTC) <= now_s * 1000:
                yield f"{key}: {path}: token {one.name!r} has expired on {one.expires}; take it out"


def is_person(name: str) -> bool:
    """Whether a text can stand for somebody in the record of changes."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()


class Tokens:
    """The tokens of a file that may change while the collector runs: a revoked one ends at once.

    A file that has become unusable is logged once and changes nothing: the tokens read before stay
    in force. Raises ConfigurationError when it cannot be used at the start.
    """

    def __init__(self, path: Path, known: Mapping[str, Collection[str]]) -> None:
        self._path = path
        self._sites = known
        self._tokens = load(path, known)
        self._seen = self._mark()
        self._looked_s = time.monotonic()
        self._wrong = ""

    def bearer(self, token: str) -> Token | None:
        """Whose a token is, expired or not, in a time that tells nothing of how near a guess is."""
        return self.by_digest(digest_of(token)) if TOKEN.fullmatch(token) else None

    def by_digest(self, digest: bytes) -> Token | None:
        """The token of a hash, while it stands in the file."""
        self._look()
        found = None
        for one in self._tokens:
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOKED_AT_S:
            return
        self._looked_s = now_s
        mark = self._mark()
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._tokens, self._wrong = load(self._path, self._sites), ""
            _log.info("%s was read again: %d tokens", self._path, len(self._tokens))
        except ConfigurationError as error:
            if str(error) != self._wrong:
                _log.error("%s; the tokens read before stay in force", error)
            self._wrong = str(error)

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            told = self._path.stat()
        except OSError:
            return None
        return told.st_mtime_ns, told.st_size, told.st_ino
