"""Regular expressions whose matching time grows with the text only, whatever the text.

Python's engine tries every way to part a text among repetitions. A pattern is refused where two
ways exist: a repetition in a repetition, alternatives of one repetition that begin alike, and two
repetitions in a row of which the first could take what the second, and all between, would match.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

# The one parser of this syntax that exists; its public name, sre_parse, is deprecated.
_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001 - see above

_MANY: Final = 20
"""Repetitions up to so many are taken for a fixed number."""
_CHARACTERS: Final = frozenset(map(chr, range(0x100))) | {"\u202f", "\u2212"}
"""Stand for all: enough to tell the classes of patterns written by people apart."""

_Item = tuple[Any, Any]


class SlowPatternError(ValueError):
    """A pattern that a crafted text could keep busy."""


def linear(text: str) -> re.Pattern[str]:
    """The compiled pattern. Raises ValueError: no pattern, or one that may take for ever."""
    try:
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    refuse_slow(compiled)
    return compiled


def refuse_slow(pattern: re.Pattern[str]) -> None:
    """Raises SlowPatternError where the time may grow faster than the text."""
    items = list(_parser.parse(pattern.pattern, pattern.flags))
    _check(items, [], pattern.pattern, repeated=False)


def _check(items: list[_Item], after: list[_Item], text: str, *, repeated: bool) -> None:
    for at, (code, value) in enumerate(items):
        rest = items[at + 1 :] + after
        if _is_repeat(code):
            many, body = _is_many(value), list(value[2])
            if many and repeated:
                raise SlowPatternError(f"{text!r} repeats a repetition: it may take for ever")
            if many:
                _refuse_shared(rest, _any_of(body), text)
            _check(body, [] if many else rest, text, repeated=repeated or many)
            continue
        branches = list(_branches(code, value))
        if repeated and len(branches) > 1:
            begins = [_first(branch) for branch in branches]
            for number, begin in enumerate(begins):
                if any(begin & other or not begin | other for other in begins[number + 1 :]):
                    raise SlowPatternError(f"{text!r} repeats alternatives that begin alike")
        for branch in branches:
            _check(branch, rest, text, repeated=repeated)


def _refuse_shared(rest: Sequence[_Item], taken: frozenset[str], text: str) -> None:
    """Whether a later repetition competes for what the one before it could take as well."""
    for code, value in rest:
        if _is_repeat(code) and _is_many(value):
            if _any_of(list(value[2])) & taken:
                raise SlowPatternError(f"{text!r} has two repetitions for the same characters")
            if value[0] > 0:
                return
            continue
        inner = [item for branch in _branches(code, value) for item in branch]
        if _is_repeat(code):
            inner = list(value[2])
        if inner:
            _refuse_shared(inner, taken, text)
        needed = _any_of([(code, value)])
        optional = _is_repeat(code) and value[0] == 0
        if needed and not needed & taken and not optional:
            return  # what stands between parts the two


def _is_repeat(code: Any) -> bool:
    return str(code) in ("MAX_REPEAT", "MIN_REPEAT")


def _is_many(value: Any) -> bool:
    return bool(value[1] == _parser.MAXREPEAT or value[1] > _MANY)


def _branches(code: Any, value: Any) -> Iterable[list[_Item]]:
    match str(code):
        case "SUBPATTERN":
            yield list(value[3])
        case "BRANCH":
            yield from (list(branch) for branch in value[1])
        case "ATOMIC_GROUP":
            yield list(value)
        case "ASSERT" | "ASSERT_NOT":
            yield list(value[1])


def _any_of(items: Iterable[_Item]) -> frozenset[str]:
    """Every character that occurs somewhere in what the items match."""
    found: frozenset[str] = frozenset()
    for code, value in items:
        if _is_repeat(code):
            found |= _any_of(list(value[2]))
        elif str(code) in ("ASSERT", "ASSERT_NOT", "AT"):
            continue
        elif branches := list(_branches(code, value)):
            found |= frozenset[str]().union(*map(_any_of, branches))
        else:
            found |= _one(code, value)
    return found


def _first(items: Sequence[_Item]) -> frozenset[str]:
    """Every character that what the items match may begin with."""
    found: frozenset[str] = frozenset()
    for code, value in items:
        if str(code) in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        if _is_repeat(code):
            found |= _first(list(value[2]))
            if value[0] == 0:
                continue
            return found
        branches = list(_branches(code, value))
        return found | frozenset[str]().union(*map(_first, branches)) | _one(code, value)
    return found


def _one(code: Any, value: Any) -> frozenset[str]:
    match str(code):
        case "LITERAL":
            return frozenset({chr(value)})
        case "NOT_LITERAL":
            return _CHARACTERS - {chr(value)}
        case "ANY" | "GROUPREF":
            return _CHARACTERS
        case "IN":
            return _class(value)
    return frozenset()


def _class(parts: Sequence[_Item]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    negated = False
    for code, value in parts:
        match str(code):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= {chr(value)}
            case "RANGE":
                found |= {c for c in _CHARACTERS if value[0] <= ord(c) <= value[1]}
            case "CATEGORY":
                found |= {c for c in _CHARACTERS if _in_category(c, str(value))}
    return _CHARACTERS - found if negated else found


def _in_category(character: str, name: str) -> bool:
    kind = name.removeprefix("CATEGORY_").removeprefix("UNI_").removeprefix("NOT_")
    inside = {
        "DIGIT": character.isdigit(),
        "SPACE": character.isspace(),
        "WORD": character.isalnum() or character == "_",
    }.get(kind, False)
    return inside is not ("NOT_" in name)
