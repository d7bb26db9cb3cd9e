"""Secrets of devices: what their files hold, and one line for what is wrong with one.

The line never tells what may be a secret that somebody wrote in the place of its file.
"""

from pathlib import PurePath
from typing import Final

from jauge_agent.config import secret, shown

_NO_SECRETS: Final = ("ca_file", "cert_file", "key_file")
"""Files whose content is no line of text; who reads them checks them."""


class SecretError(Exception):
    """A secret that cannot be used; the text is for a person, and begins with the file."""


def read_secret(name: str) -> str:
    """What a secret file holds. Raises SecretError: unreadable, no text, empty."""
    try:
        found = secret(name)
    except OSError as error:
        raise SecretError(f"{shown(name)} cannot be read: {error.strerror}") from None
    except ValueError:  # no UTF-8, or a name that no file can have
        held = "is not UTF-8 text" if PurePath(name).name.isprintable() else "is no file"
        raise SecretError(f"{shown(name)} {held}") from None
    if not found:
        raise SecretError(f"{shown(name)} is empty")
    return found


def is_secret(key: str) -> bool:
    """Whether the file of a key of the configuration holds a secret text."""
    return not key.endswith(_NO_SECRETS)
