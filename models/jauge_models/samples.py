"""Sample configuration files, made of the structs that read them.

Every key stands in a sample, under its docstring. A key behind a ``#`` shows its default, if it
has one; a section behind a ``#`` is left out by default and shows an example.
"""

import ast
import enum
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

_WIDTH: Final = 96

SourceOf = Callable[[type], str]
"""Gives the source text of a class: ``inspect.getsource``, since nothing here reads files."""


def sample(
    struct: type[msgspec.Struct],
    *,
    title: Sequence[str],
    source_of: SourceOf,
    examples: Mapping[str, object],
    shown: Collection[str] = (),
    omit: Collection[str] = (),
    more: Sequence[tuple[str, type[msgspec.Struct]]] = (),
) -> str:
    """The text of a sample file.

    ``examples`` holds values by dotted key; each required key needs one. Lists of tables are
    behind a ``#`` unless they are required or ``shown``. What is in ``omit`` is no user's key.
    ``more`` are further sections by name.
    """
    writer = _Writer(source_of, examples, frozenset(shown), frozenset(omit))
    blocks = [[f"# {line}" for line in title]]
    blocks += [list(lines) for lines in writer.entries(struct, "", live=True)]
    blocks += writer.tables(struct, "", live=True)
    for name, section in more:
        blocks += writer.table(section, name, f"[{name}]", live=True)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def keys(struct: type[msgspec.Struct], path: str = "") -> Iterator[str]:
    """Every dotted key that a file of this struct may have, tables aside."""
    for field in msgspec.structs.fields(struct):
        where = f"{path}.{field.encode_name}".lstrip(".")
        inner = _struct_in(field.type)
        if inner is None:
            yield where
        else:
            yield from keys(inner, where)


def documents(struct: type[msgspec.Struct], source_of: SourceOf) -> dict[str, str]:
    """The docstring under each field, those of base structs included."""
    found: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if kind in (object, msgspec.Struct) or not issubclass(kind, msgspec.Struct):
            continue
        body = ast.parse(textwrap.dedent(source_of(kind))).body[0]
        if not isinstance(body, ast.ClassDef):
            continue
        for before, after in zip(body.body, body.body[1:], strict=False):
            match before, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split()).replace("``", "`")
    return found


class _Writer:
    def __init__(
        self,
        source_of: SourceOf,
        examples: Mapping[str, object],
        shown: frozenset[str],
        omit: frozenset[str],
    ) -> None:
        self._source_of = source_of
        self._examples = examples
        self._shown = shown
        self._omit = omit

    def entries(
        self, struct: type[msgspec.Struct], path: str, *, live: bool
    ) -> Iterator[Iterator[str]]:
        """The lines of each key that is no table."""
        told = documents(struct, self._source_of)
        for field in msgspec.structs.fields(struct):
            where = f"{path}.{field.encode_name}".lstrip(".")
            if where not in self._omit and _struct_in(field.type) is None:
                yield self._entry(field, where, told.get(field.name, ""), live=live)

    def tables(self, struct: type[msgspec.Struct], path: str, *, live: bool) -> list[list[str]]:
        """The blocks of each key that is a table or a list of tables."""
        blocks: list[list[str]] = []
        for field in msgspec.structs.fields(struct):
            where = f"{path}.{field.encode_name}".lstrip(".")
            inner = _struct_in(field.type)
            if inner is None:
                continue
            is_list = get_origin(field.type) is list
            given = where in self._shown if is_list else field.default is not None
            present = live and (field.required or given)
            header = f"[[{where}]]" if is_list else f"[{where}]"
            blocks += self.table(inner, where, header, live=present)
        return blocks

    def table(
        self, struct: type[msgspec.Struct], path: str, header: str, *, live: bool
    ) -> list[list[str]]:
        """One table with its keys, then the tables inside it."""
        block = _comment((struct.__doc__ or "").partition("\n\n")[0])
        block.append(header if live else f"#{header}")
        for lines in self.entries(struct, path, live=live):
            block += lines
        return [block, *self.tables(struct, path, live=live)]

    def _entry(
        self, field: msgspec.structs.FieldInfo, where: str, told: str, *, live: bool
    ) -> Iterator[str]:
        yield from _comment(_with_choices(told, field.type))
        key = field.encode_name
        given = where in self._examples
        value = self._examples[where] if given or field.required else _default(field)
        mark = "" if live and given else "#"
        yield f"{mark}{key} =" if value is None else f"{mark}{key} = {_toml(value)}"


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    factory: Any = field.default_factory
    return factory()


def _toml(value: object) -> str:
    """A value as TOML: of strings, numbers and booleans, JSON is TOML."""
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return msgspec.json.encode(value, enc_hook=_as_text).decode()


def _as_text(value: object) -> str:
    if hasattr(value, "__fspath__"):  # a path, which nothing here may import
        return str(value)
    raise NotImplementedError(type(value).__name__)


def _with_choices(told: str, annotation: object) -> str:
    """The docstring, with the values a key may have where it does not name them all."""
    choices = _choices(annotation)
    if not choices or all(str(choice) in told for choice in choices):
        return told
    listed = ", ".join(_toml(choice) for choice in choices)
    return f"{told} One of {listed}."


def _choices(annotation: object) -> list[object]:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [member.value for member in annotation]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct of ``X``, ``list[X]`` or ``X | None``."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if get_origin(annotation) is dict:
        return None
    return next((found for p in get_args(annotation) if (found := _struct_in(p))), None)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in _wrapped(" ".join(text.split()))]


_wrapped: Final = textwrap.TextWrapper(_WIDTH, break_on_hyphens=False).wrap
