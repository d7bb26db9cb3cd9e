"""YAML as the generated files have it: every text quoted, expressions as blocks."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BREAK: Final = re.compile(r" (?=(?:and on|or|unless on|\* on) )")
"""Where an expression may begin a new line."""


def document(tree: Mapping[str, Any], comment: str) -> str:
    """A whole file, with ``comment`` as its first lines."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return "\n".join([head, *_lines(tree), ""])


def _lines(node: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            found += [f"{key}:", *_indented(_lines(value))] if value else [f"{key}: {{}}"]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            found += _listed(key, value)
        elif key == "expr":
            found += [f"{key}: |-", *_indented(_BREAK.sub("\n", value).splitlines())]
        else:
            found.append(f"{key}: {_scalar(value)}")
    return found


def _listed(key: str, items: Sequence[Any]) -> list[str]:
    if not items or not isinstance(items[0], Mapping):
        return [f"{key}: [{', '.join(map(_scalar, items))}]"]
    found = [f"{key}:"]
    for item in items:
        first, *rest = _lines(item)
        found += [f"  - {first}", *_indented(_indented(rest))]
    return found


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _scalar(value: Any) -> str:
    """JSON, which YAML reads as it is."""
    return json.dumps(value, ensure_ascii=False)
