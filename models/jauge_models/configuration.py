"""Configuration files: TOML text into frozen structs, with errors a person can act on."""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec

_Config = TypeVar("_Config", bound=msgspec.Struct)

_AT_PATH: Final = " - at `$"
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<key>[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<key>[^`]*)`$")


class ConfigurationError(ValueError):
    """A configuration that cannot be used: names the file, the key and the fix in one line."""

    def __init__(self, file: str, key: str, problem: str, fix: str = "") -> None:
        where = f"{file}: {key}: " if key else f"{file}: "
        super().__init__(" ".join(f"{where}{problem}{f'; {fix}' if fix else ''}".split()))
        self.file = file
        self.key = key


def parse(text: str, into: type[_Config], *, file: str) -> _Config:
    """Read TOML text into a struct that forbids unknown keys.

    Dates and times, quoted or not, arrive as ISO 8601 text; a number that is not finite is
    refused. ``file`` is only named in errors. Raises ConfigurationError.
    """
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(file, "", f"not valid TOML: {error}") from None
    return convert(tree, into, file=file)


def convert(tree: Mapping[str, Any], into: type[_Config], *, file: str) -> _Config:
    """Like parse, for a tree that is already decoded."""
    try:
        return msgspec.convert(_plain(tree, "", file), into, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        raise _explained(str(error), into, file) from None


def _from_text(kind: type, value: Any) -> Any:
    """Types that TOML has not, such as paths, are built from their text."""
    if not isinstance(value, str):
        raise TypeError(f"Expected text, got {type(value).__name__}")
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return kind(value)


def _plain(node: Any, path: str, file: str) -> Any:
    """A tree with its dates as text. Raises ConfigurationError where a number is not finite."""
    if isinstance(node, dict):
        return {
            key: _plain(value, f"{path}.{key}".lstrip("."), file) for key, value in node.items()
        }
    if isinstance(node, list):
        return [_plain(value, f"{path}[{at}]", file) for at, value in enumerate(node)]
    if isinstance(node, float) and not math.isfinite(node):
        raise ConfigurationError(file, path, f"{node} is no number", "write a finite number")
    if isinstance(node, date | datetime | time):
        return node.isoformat()
    return node


def _explained(message: str, into: type[msgspec.Struct], file: str) -> ConfigurationError:
    problem, found, path = message.rpartition(_AT_PATH)
    if not found:
        problem, path = message, ""
    path = path.removesuffix("`").removeprefix(".")
    if unknown := _UNKNOWN.match(problem):
        key = f"{path}.{unknown['key']}".lstrip(".")
        known = _keys_at(into, path)
        near = difflib.get_close_matches(unknown["key"], known, n=1)
        if near:
            fix = f"did you mean {near[0]!r}?"
        else:
            fix = f"known keys are {', '.join(known)}" if known else "remove it"
        return ConfigurationError(file, key, "unknown key", fix)
    if missing := _MISSING.match(problem):
        key = f"{path}.{missing['key']}".lstrip(".")
        return ConfigurationError(file, key, "missing", "add this key")
    return ConfigurationError(file, path, problem[:1].lower() + problem[1:])


def _keys_at(into: Any, path: str) -> list[str]:
    """Keys of the struct that stands at a msgspec path such as ``meters[...].dial``."""
    here = into
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        if part.isdigit() or part == "...":
            continue
        here = _struct_of(get_type_hints(here).get(part)) if _is_struct(here) else None
    if not _is_struct(here):
        return []
    return [field.encode_name for field in msgspec.structs.fields(here)]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct_of(annotation: Any) -> Any:
    """The struct inside ``list[X]``, ``dict[str, X]``, ``X | None``."""
    if _is_struct(annotation):
        return annotation
    return next((found for part in get_args(annotation) if (found := _struct_of(part))), None)
