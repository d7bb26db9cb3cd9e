"""UUIDs as they are written, and serial numbers that identify nothing.

The latter are what a maker leaves in where no number was written.
"""

import itertools
import re
from typing import Final

IS_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""As RFC 9562 writes one, in small letters."""

_WORDS: Final = frozenset(
    {
        "chassis serial number",
        "default",
        "default string",
        "empty",
        "invalid",
        "na",
        "nil",
        "no asset tag",
        "none",
        "not applicable",
        "not available",
        "not present",
        "not provided",
        "not set",
        "not specified",
        "null",
        "oem",
        "serial",
        "serial number",
        "system serial number",
        "tbd",
        "to be filled by oem",
        "undefined",
        "unknown",
        "unspecified",
    }
)
"""In small letters, without full stops and slashes."""
_UUIDS: Final = frozenset(
    {
        "00020003000400050006000700080009",
        "03000200040005000006000700080009",
        "12345678123456781234567812345678",
        "123456781234567890abcddeefaafbbc",
    }
)
"""Identities that whole series of mainboards were shipped with, as bare digits."""
_LEAST_RUN: Final = 4
"""Characters from which on 1234 or ABCD is no number of a device."""


def is_placeholder(text: str) -> bool:
    """Whether a serial number or UUID is one that many devices tell, or none at all."""
    bare = " ".join(re.sub(r"[./\\]", "", text.lower()).replace("_", " ").split())
    if bare in _WORDS:
        return True
    signs = re.sub(r"[^a-z0-9]", "", bare)
    if len(set(signs)) <= 1 or signs in _UUIDS:
        return True
    if len(signs) >= 2 * _LEAST_RUN and not signs.replace("fe", ""):
        return True
    return len(signs) >= _LEAST_RUN and all(
        _follows(left, right) for left, right in itertools.pairwise(signs)
    )


def _follows(left: str, right: str) -> bool:
    """Whether one sign comes after the other, as in 0123456789ABCDEF; after 9 a 0 may come."""
    return ord(right) - ord(left) == 1 or left + right in ("90", "9a")
