"""Structs as TOML text, which the standard library reads and does not write."""

import json
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any

import msgspec


def written(struct: msgspec.Struct) -> str:
    """TOML that ``configuration.parse`` reads into an equal struct.

    Fields: numbers, texts, dates, enumerations, structs and tuples of these. What stands at its
    default is left out.
    """
    lines: list[str] = []
    tables: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in _said(struct).items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables.extend((key, table) for table in value)
        else:
            lines.append(f"{key} = {_value(value)}")
    for key, table in tables:
        lines.extend(("", f"[[{key}]]"))
        lines.extend(f"{name} = {_value(value)}" for name, value in table.items())
    return "\n".join(lines) + "\n"


def _said(table: msgspec.Struct) -> dict[str, Any]:
    """The keys of a struct that are required or differ from their default."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(table)):
        value = getattr(table, field.name)
        if field.required or value != field.default:
            found[field.encode_name] = _tree(value)
    return found


def _tree(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _said(value)
    if isinstance(value, tuple):
        return [_tree(one) for one in value]
    return value.value if isinstance(value, Enum) else value


def _value(value: Any) -> str:
    """One value as TOML writes it: a text as a basic string, which escapes as JSON does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON leaves DEL bare, which TOML does not allow.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(one)}' for key, one in value.items())} }}"
    return str(value)
