"""Configuration files: TOML text into frozen structs, with errors a person can act on."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

_Config = TypeVar("_Config", bound=msgspec.Struct)

_LONGEST_PART: Final = 500
"""Characters of a key, a problem or a fix in an error."""

_AT_PATH: Final = " - at `$"
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<key>[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<key>[^`]*)`$")
_NO_CHOICE: Final = re.compile(r"^Invalid enum value (?P<value>.*)$", re.DOTALL)
_NO_MATCH: Final = re.compile(r"^Expected `str` matching regex ")


class ConfigurationError(ValueError):
    """A configuration that cannot be used: names the file, the key and the fix in one line."""

    def __init__(self, file: str, key: str, problem: str, fix: str = "") -> None:
        where = f"{file}: {_shortened(key)}: " if key else f"{file}: "
        super().__init__(f"{where}{_shortened(problem)}{f'; {_shortened(fix)}' if fix else ''}")
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
    except RecursionError:
        raise ConfigurationError(file, "", "is nested too deeply", "write flat tables") from None
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
        if near := _nearest(unknown["key"], known):
            fix = f"did you mean {near!r}?"
        else:
            fix = f"known keys are {', '.join(known)}" if known else "remove it"
        return ConfigurationError(file, key, "unknown key", fix)
    if missing := _MISSING.match(problem):
        key = f"{path}.{missing['key']}".lstrip(".")
        return ConfigurationError(file, key, "missing", "add this key")
    if wrong := _NO_CHOICE.match(problem):
        return _no_choice(wrong["value"], _type_at(into, path), file, path)
    if _NO_MATCH.match(problem):
        form = _form_of(_type_at(into, path))
        problem = f"expected {form}" if form else "is not of the form that is asked for"
        return ConfigurationError(file, path, problem)
    return ConfigurationError(file, path, problem[:1].lower() + problem[1:])


def _no_choice(value: str, kind: Any, file: str, path: str) -> ConfigurationError:
    choices = _choices_of(kind)
    listed = ", ".join(repr(choice) for choice in choices)
    near = _nearest(value.strip("'"), [str(choice) for choice in choices])
    fix = f"did you mean {near!r}? choices are {listed}" if near else f"choices are {listed}"
    return ConfigurationError(file, path, f"{value} is no choice", fix if choices else "")


def _nearest(word: str, known: Sequence[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 - memory that only a mistake needs

    near = get_close_matches(word, known, n=1)
    return near[0] if near else None


def _keys_at(into: Any, path: str) -> list[str]:
    """Keys of the struct that stands at a msgspec path such as ``meters[...].dial``."""
    here = _struct_of(_type_at(into, path))
    return [field.encode_name for field in msgspec.structs.fields(here)] if here else []


def _type_at(into: Any, path: str) -> Any:
    """The annotation of what stands at a msgspec path; None where the path leads nowhere."""
    here = into
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        if part.isdigit() or part == "...":
            continue
        struct = _struct_of(here)
        here = get_type_hints(struct, include_extras=True).get(part) if struct else None
    return here


def _choices_of(kind: Any) -> list[Any]:
    """What an enumeration or a ``Literal`` inside an annotation allows, in its order."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [choice for part in get_args(kind) for choice in _choices_of(part)]


def _form_of(kind: Any) -> str:
    """What a pattern inside an annotation asks for, in words: its ``description``."""
    if get_origin(kind) is Annotated:
        for about in get_args(kind)[1:]:
            if isinstance(about, msgspec.Meta) and about.pattern and about.description:
                return about.description
    return next(filter(None, map(_form_of, get_args(kind))), "")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct_of(annotation: Any) -> Any:
    """The struct inside ``list[X]``, ``dict[str, X]``, ``X | None``."""
    if _is_struct(annotation):
        return annotation
    return next((found for part in get_args(annotation) if (found := _struct_of(part))), None)


def _shortened(text: str) -> str:
    """One printable line: what a file says is repeated in errors, but not all of it."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(plain.split())
    return line if len(line) <= _LONGEST_PART else f"{line[: _LONGEST_PART - 1]}…"
