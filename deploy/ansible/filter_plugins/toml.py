"""``to_toml``: a mapping as TOML, so that every key of a configuration can be set by a variable.

Strict: what TOML cannot say is an error that names the key.
"""  # noqa: INP001 (Ansible loads it from a folder)

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ansible.errors import AnsibleFilterError

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class FilterModule:
    """What Ansible asks a filter plugin for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"to_toml": to_toml}


def to_toml(value: object) -> str:
    """The text of a TOML document. Raises AnsibleFilterError, which names the key."""
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"to_toml: {type(value).__name__} is no mapping")
    lines: list[str] = []
    _table(lines, (), value)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(lines: list[str], path: tuple[str, ...], table: Mapping[Any, Any]) -> None:
    """Plain keys first: what follows a header belongs to it."""
    tables: list[tuple[tuple[str, ...], Any]] = []
    for key, value in table.items():
        if not isinstance(key, str):
            raise _wrong((*path, str(key)), "a key must be a text")
        inner = (*path, str(key))
        if isinstance(value, Mapping) or _is_tables(value):
            tables.append((inner, value))
        else:
            lines.append(f"{_key(key)} = {_value(inner, value)}")
    for inner, value in tables:
        name = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]"]
            _table(lines, inner, value)
            continue
        for each in value:
            lines += ["", f"[[{name}]]"]
            _table(lines, inner, each)


def _is_tables(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(each, Mapping) for each in value)
    )


def _key(name: str) -> str:
    return str(name) if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # JSON's escapes are TOML's but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(path: tuple[str, ...], value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float() if math.isfinite(value):
            return repr(float(value))
        case str():
            return _text(value)
        case Mapping():
            pairs = (
                f"{_key(str(key))} = {_value((*path, str(key)), each)}"
                for key, each in value.items()
            )
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case [*items]:
            return f"[{', '.join(_value((*path, str(at)), each) for at, each in enumerate(items))}]"
        case None:
            raise _wrong(path, "is null: leave the key out instead")
    raise _wrong(path, f"{value!r} is no text, number, truth value, list or mapping")


def _wrong(path: tuple[str, ...], problem: str) -> AnsibleFilterError:
    return AnsibleFilterError(f"to_toml: {'.'.join(path)}: {problem}")
