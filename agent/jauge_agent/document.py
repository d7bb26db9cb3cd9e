"""Prints the sample configuration: ``python -m jauge_agent.document``.

Every key is shown with its documentation; the value behind a ``#`` is the default.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from jauge_agent.config import AgentConfig
from jauge_agent.sources import BUILT_IN, load

_EXAMPLES: Final = {"site": "paris-1"}
_WIDTH: Final = 96


def sample() -> str:
    """The text of ``agent.sample.toml``."""
    lines = [
        "# Configuration of jauge-agent. A key behind a # shows its default, if it has one.",
        "# Generated from the structs in jauge_agent; do not edit.",
        "",
    ]
    fields = msgspec.structs.fields(AgentConfig)
    documents = _documents(AgentConfig)
    sections: list[tuple[str, type[msgspec.Struct]]] = []
    for field in fields:
        if _is_struct(field.type):
            sections.append((field.encode_name, field.type))
        elif field.name != "sources":
            lines += [*_entry(field, documents.get(field.name, "")), ""]
    sections += [(f"sources.{name}", load(name).Settings) for name in BUILT_IN]
    for name, struct in sections:
        lines += [*_comment(_summary(struct)), f"[{name}]"]
        documents = _documents(struct)
        for field in msgspec.structs.fields(struct):
            lines += _entry(field, documents.get(field.name, ""))
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _entry(field: msgspec.structs.FieldInfo, document: str) -> Iterator[str]:
    yield from _comment(document)
    key = field.encode_name
    if field.required:
        yield f"{key} = {_toml(_EXAMPLES.get(key, ''))}"
        return
    default = field.default
    if default is msgspec.NODEFAULT:
        factory: Any = field.default_factory
        default = factory()
    yield f"#{key} =" if default is None else f"#{key} = {_toml(default)}"


def _toml(value: object) -> str:
    """A value as TOML: of strings, numbers, booleans and lists, JSON is TOML."""
    return msgspec.json.encode(value).decode()


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def _summary(struct: type[msgspec.Struct]) -> str:
    return (inspect.getdoc(struct) or "").partition("\n\n")[0].replace("\n", " ")


def _documents(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each field, those of base structs included."""
    found: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if kind in (object, msgspec.Struct) or not issubclass(kind, msgspec.Struct):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        if not isinstance(body, ast.ClassDef):
            continue
        for before, after in zip(body.body, body.body[1:], strict=False):
            match before, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


if __name__ == "__main__":
    sys.stdout.write(sample())
